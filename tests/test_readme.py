"""What the README shows, works."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from shell import shell

import noisybench
from noisybench.detection.scoring import Scores

README = Path(noisybench.__file__).parents[1] / "README.md"
if not README.is_file():  # the package was installed: the page lies beside the tests
    README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>python|sh)\n(?P<code>.*?)```", re.DOTALL)

CHEAPER = {
    "--epochs 10": "--epochs 4",
    "epochs=10": "epochs=4",
    "--models 100": "--models 20",
    "--models 50": "--models 20",
}
"""What a page says → what is run here: the same commands of the same data, with less training."""


def cheaper(code: str) -> str:
    """The code of a block, with less training."""
    for said, run in CHEAPER.items():
        code = re.sub(rf"{said}\b", run, code)
    return code


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python blocks share one session, shell lines one folder and this process; what downloads or installs is left out."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # a process more would take longer to start than it has to do
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {}
    commands = 0
    page = README.read_text(encoding="utf-8")
    for table in ("quickstart", "cifar"):
        printed = page.split(f"<!-- {table}: begin -->")[1].split(f"<!-- {table}: end -->")[0]
        assert "cumulative_loss" in printed
    for block in BLOCK.finditer(page):
        code = cheaper(block["code"])
        if block["file"]:
            Path(block["file"]).write_text(code, encoding="utf-8")
        elif block["language"] == "python":
            exec(compile(code, str(README), "exec"), names)  # noqa: S102 - the page's own code
        elif "pip install" not in code and "cifar" not in code:
            for line in code.splitlines():
                command, *words = shlex.split(line, comments=True)
                assert command == "noisybench"
                done = shell(
                    *(path for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word]))
                )
                assert done.code == 0, done.err
                commands += 1
    assert commands >= 9
    suspicion = names["suspicion"]
    assert isinstance(suspicion, Scores)
    wrong = names["variants"][0].mislabeled  # type: ignore[index]
    assert np.median(suspicion.values[wrong]) > np.quantile(suspicion.values[~wrong], 0.9)
    own = "own-runs/breast_cancer-Adjacent-????????/softmax+MODEL-standard-????????"
    assert list(tmp_path.glob(f"{own}/seed-0/scores/worst_margin.parquet"))
    assert names["rivals"].shape == (1, 1437)  # type: ignore[attr-defined]
    shutil.rmtree(tmp_path / "runs")


def test_the_commands_of_the_pages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page of ``docs`` in an empty folder, line by line; Python blocks of a page share one session."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    for page in sorted((README.parent / "docs").glob("*.md")):
        (tmp_path / page.stem).mkdir()
        monkeypatch.chdir(tmp_path / page.stem)
        monkeypatch.syspath_prepend(str(tmp_path / page.stem))
        names: dict[str, object] = {}
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if block["file"]:
                Path(block["file"]).write_text(block["code"], encoding="utf-8")
                continue
            code = cheaper(block["code"])
            if "noisybench.integrations" in code:
                continue  # tests/integrations/test_integrations_page.py runs it, where its library is installed
            if block["language"] == "python":
                exec(compile(code, str(page), "exec"), names)  # noqa: S102 - the page's own code
                continue
            for line in code.splitlines():
                command, *words = shlex.split(line, comments=True)
                assert command == "noisybench"
                done = shell(
                    *(path for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word]))
                )
                assert done.code == 0, done.err
