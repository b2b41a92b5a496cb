"""What ``docs/integrations.md`` shows, works."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"


def shown(library: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the block of a library leaves."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "page"}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    told = (f"noisybench.integrations.{library}", f"from {library} import")
    (code,) = (block for block in blocks if any(each in block for each in told))
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page's own code
    return names


def test_the_estimator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = shown("sklearn", tmp_path, monkeypatch)
    assert set(np.argsort(-names["found"].suspicion_)[:2]) == {20, 90}
    assert capsys.readouterr().out.rstrip().endswith("[0 1]")


@pytest.mark.integration("lightning")
@pytest.mark.filterwarnings("ignore")
def test_the_callback_of_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = shown("lightning", tmp_path, monkeypatch)
    assert names["recorder"].trace()["margin"].shape == (5, 1797)
    assert np.isfinite(names["suspicion"].values).all()


@pytest.mark.integration("accelerate")
@pytest.mark.integration("transformers")
@pytest.mark.filterwarnings("ignore")
def test_the_callback_of_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = shown("transformers", tmp_path, monkeypatch)
    assert names["recorder"].trace()["loss"].shape == (1, 300)


@pytest.mark.integration("accelerate")
@pytest.mark.filterwarnings("ignore")
def test_a_loop_of_accelerate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    names = shown("accelerate", tmp_path, monkeypatch)
    assert names["recorder"].trace()["loss"].shape == (3, 1797)
