"""What the README and the pages of ``docs`` show, works.

The README runs from top to bottom in one folder, and so does each page that says in its first lines that it goes on from
there; every other page runs in an empty folder. Python blocks share a session, shell lines a folder and this process; what
downloads or installs is left out.
"""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from shell import shell

import noisybench
from noisybench.detection.scoring import Scores

ROOT = Path(noisybench.__file__).parents[1]
if not (ROOT / "README.md").is_file():  # the package was installed: the pages lie beside the tests
    ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
GOES_ON = "<!-- goes on from README.md -->"
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>python|sh)\n(?P<code>.*?)```", re.DOTALL)
MOST_LINES = 250
CHEAPER = {
    "--epochs (10|5|4)": "--epochs 2",
    "epochs=10": "epochs=4",
    "--models (100|50)": "--models 10",
}
"""What a page says, as a pattern → what is run here: the same commands of the same data, with less training."""


def test_the_first_page_is_short_and_knows_the_others() -> None:
    """A page that the README does not name is not found; one that it names is there, as is every picture."""
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") < MOST_LINES
    assert {path.relative_to(ROOT / "docs").as_posix() for path in PAGES} == set(
        re.findall(r"\(docs/(\S+\.md)\)", text)
    )
    told = "".join(page.read_text(encoding="utf-8") for page in (README, *PAGES))
    assert all(f"{picture.name})" in told for picture in (ROOT / "docs").rglob("*.png"))
    for page in (README, *PAGES):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#\S*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} names {target}, which is not there"


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README, and what goes on from it."""
    names: dict[str, object] = {}
    commands = runs(README, tmp_path, names, monkeypatch)
    suspicion = names["suspicion"]
    assert isinstance(suspicion, Scores)
    wrong = names["variants"][0].mislabeled  # type: ignore[index]
    assert np.median(suspicion.values[wrong]) > np.quantile(suspicion.values[~wrong], 0.9)
    following = [page for page in PAGES if GOES_ON in page.read_text(encoding="utf-8")]
    assert len(following) > 2
    for page in following:
        commands += runs(page, tmp_path, names, monkeypatch)
    assert commands >= 20
    own = "own-runs/breast_cancer-Adjacent-????????/softmax+MODEL-standard-????????"
    assert list(tmp_path.glob(f"{own}/seed-0/scores/worst_margin.parquet"))
    assert names["rivals"].shape == (1, 1437)  # type: ignore[attr-defined]
    shutil.rmtree(tmp_path / "runs")


@pytest.mark.parametrize(
    "page", [path for path in PAGES if GOES_ON not in path.read_text(encoding="utf-8")], ids=lambda path: path.stem
)
def test_a_page_runs_by_itself(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder."""
    runs(page, tmp_path, {}, monkeypatch)


def runs(page: Path, folder: Path, names: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a page in a folder and a session; how many commands it holds."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # a process more would take longer to start than it has to do
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    commands = 0
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        code = cheaper(block["code"])
        if "noisybench.integrations" in code:
            continue  # tests/integrations/test_integrations_page.py runs it, where its library is installed
        if block["file"]:
            Path(block["file"]).write_text(code, encoding="utf-8")
        elif block["language"] == "python":
            exec(compile(code, str(page), "exec"), names)  # noqa: S102 - the page's own code
        elif "pip install" not in code and "cifar" not in code:
            for line in code.splitlines():
                command, *words = shlex.split(line, comments=True)
                assert command == "noisybench"
                done = shell(
                    *(path for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word]))
                )
                assert done.code == 0, done.err
                commands += 1
    return commands


def cheaper(code: str) -> str:
    """The code of a block, with less training."""
    for said, run in CHEAPER.items():
        code = re.sub(rf"{said}\b", run, code)
    return code
