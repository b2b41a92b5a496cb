"""The files that ``docs/contributing.md`` shows are whole, short, and keep the contract of their drawers."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import noisybench
from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData
from noisybench.ground.lookup import HOMES, Drawer, find, folder_of
from noisybench.ground.options import parse_options
from noisybench.variants.building import build_variant
from noisybench.variants.location import source_of
from noisybench.variants.variant import write_variant

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/contributing.md").read_text("utf-8")
PACKAGE = Path(noisybench.__file__).parent
DRAWERS: dict[str, Drawer] = {
    "SOURCE": "sources",
    "NOISE": "noises",
    "MODEL": "models",
    "OBJECTIVE": "objectives",
    "PROBE": "probes",
    "DETECTOR": "detectors",
}
SHOWN = re.findall(r"<!-- file: (\w+)\.py -->\n```python\n(.*?)```", PAGE, re.DOTALL)
FILES: dict[str, str] = dict(SHOWN)


def drawer(code: str) -> Drawer:
    """The drawer of a file, by the name that its last statement gives."""
    return DRAWERS[re.findall(r"^([A-Z]+)\b.* = ", code, re.MULTILINE)[-1]]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package and its conformance test, as a contributor has them, with every file of the page in its drawer."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PACKAGE, folder / "noisybench", ignore=lambda *_: ["__pycache__"])
    if (ROOT / "data_cards").is_dir():
        shutil.copytree(ROOT / "data_cards", folder / "data_cards")
    (folder / "tests").mkdir()
    needed = (
        "conftest.py",
        "browser.py",
        "test_conformance.py",
        "golden_draws.json",
        "stub.py",
        *(p.name for p in ROOT.glob("tests/*_layouts.py")),
    )
    for name in needed:
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, code in FILES.items():
        file = folder / folder_of(drawer(code)).relative_to(PACKAGE.parent) / f"{name}.py"
        assert not file.exists(), f"the page shows {name}, which the package has"
        file.write_text(code, encoding="utf-8")
    return folder


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A Python module's command line in a folder, without what the environment says of imports."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST_"))}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_one_of_each_is_shown_in_under_thirty_lines() -> None:
    """A noise, a source, a model, a detector and a probe, none of them longer than a screen."""
    assert len(FILES) == len(SHOWN)
    assert sorted(drawer(code) for code in FILES.values()) == sorted(DRAWERS.values())
    assert all(code.count("\n") < 30 for code in FILES.values())


def test_the_table_names_the_folder_of_each_drawer() -> None:
    """One row for each kind of item; what it needs besides its file is there, and a detector needs nothing."""
    rows = re.findall(r"^\| (\w+)[^|]* \| `(noisybench/\S+)/NAME\.py` \| (.+) \|$", PAGE, re.MULTILINE)
    assert {folder for _, folder, _ in rows} == {str(folder_of(name).relative_to(PACKAGE.parent)) for name in HOMES}
    assert len(rows) == len(HOMES)
    needs = {what: re.findall(r"`(tests/\S+|data_cards/\S+)`", also) for what, _, also in rows}
    assert needs["detector"] == needs["model"] == needs["features"] == []
    assert all((ROOT / path.replace("NAME.md", "")).exists() for paths in needs.values() for path in paths)


def test_the_conformance_test_accepts_them(checkout: Path) -> None:
    """All of it but one thing: the first draws of the new noise are not frozen yet, and the line to add is printed."""
    wanted = " or ".join(f"{name}{end}" for name in FILES for end in "-]")
    done = run("pytest", "tests/test_conformance.py", "-q", "-k", wanted, "-p", "no:cacheprovider", folder=checkout)
    failed = re.findall(r"^FAILED tests/test_conformance.py::(\S+)", done.stdout, re.MULTILINE)
    assert failed == ["TestNoise::test_the_first_draws_are_frozen[adjacent]"], done.stdout + done.stderr
    assert re.search(
        r"add to tests/golden_draws.json the line\nE +\"adjacent\": \[(\"\w{12}\"(, )?){3}\]$",
        done.stdout,
        re.MULTILINE,
    )
    ran = int(re.search(r"(\d+) passed", done.stdout)[1])  # type: ignore[index]
    assert ran > 10 * len(FILES)


def test_their_types_are_right(tmp_path: Path) -> None:
    """By mypy, as the package is checked: with its settings, and with its cache."""
    for name, code in FILES.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    done = run("mypy", *tmp_path.iterdir(), folder=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("check", [("check",), ("format", "--check")])
def test_their_style_is_right(checkout: Path, check: tuple[str, ...]) -> None:
    """By ruff, in their drawers and with the settings of the package."""
    files = [folder_of(drawer(code)).relative_to(PACKAGE.parent) / f"{name}.py" for name, code in FILES.items()]
    done = run("ruff", *check, "--no-cache", *files, folder=checkout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_user_names_a_module_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant of a source of one's own is read again with ``--source``; its folder alone imports nothing."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_cancer.py").write_text(FILES["breast_cancer"], encoding="utf-8")
    (tmp_path / "own_noise.py").write_text(FILES["adjacent"], encoding="utf-8")
    (tmp_path / "stranger.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    source = load_source("own_cancer:SOURCE")
    noise = parse_options(find("noises", "own_noise:NOISE"), {"rate": "0.1"}, what="adjacent")
    for name in ("breast_cancer", "stranger:SOURCE"):
        variant = build_variant(replace(source, name=name), noise)
        assert re.fullmatch(r"[\w+.-]+", variant.name)
        write_variant(variant, tmp_path / variant.name)
        with pytest.raises(BadData, match=f"^the variant's source '{name}' is none of noisybench's; .* --source "):
            source_of(variant, tmp_path / variant.name)
        assert source_of(variant, tmp_path / variant.name, own="own_cancer:SOURCE").sha256 == source.sha256
