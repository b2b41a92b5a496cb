"""Scores belong to what made them: name, origin and code of a detector that is none of noisybench's."""

import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib import invalidate_caches
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from noisybench.board.finding import find_suspects
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import evaluate
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.detection.detectors import aum
from noisybench.ground import lookup
from noisybench.ground.errors import BadData
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.reading import read_run
from noisybench.variants.building import build_variant

MINE = """
from noisybench import Detector
DETECTOR = Detector("mine", ("correct",), lambda trace: {sign}trace["correct"].mean(0).astype(float), "me")
"""


@pytest.fixture
def source() -> Source:
    """120 digits."""
    return load_source("digits", limit=120)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a module ``own_mine`` of the user's stands."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "own_mine.py"
    sys.modules.pop("own_mine", None)


def edit(module: Path, sign: str) -> None:
    """Write the user's module, as a process that imports it anew finds it."""
    module.write_text(MINE.format(sign=sign), "utf-8")
    sys.modules.pop("own_mine", None)
    for compiled in module.parent.glob("__pycache__/*"):
        compiled.unlink()
    invalidate_caches()


def run(source: Source, out: Path, *, noise_seed: int = 0, seed: int = 0, detectors: str = "own_mine:DETECTOR") -> Path:
    """The folder of a run of one epoch with the user's detector."""
    variant = build_variant(source, Symmetric(0.3), seed=noise_seed)
    options = {"susceptibility": "off"}
    (found,) = evaluate(variant, source, epochs=1, seeds=(seed,), detectors=[detectors], options=options, out=out)
    return found.path


def test_scores_of_two_codes_stand_apart(
    source: Source, module: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An edited detector is another one: two rows, and a line that says how to make them one; afterwards there is one."""
    runs = tmp_path / "runs"
    edit(module, "")
    run(source, runs)
    edit(module, "-")
    second = run(source, runs, noise_seed=1)
    third = run(source, runs, noise_seed=1, seed=1)
    caplog.clear()
    rows = [row for row in leaderboard(runs) if row.kind == "detector"]
    assert len(rows) == 2
    assert all(row.detector.startswith("mine (own_mine:DETECTOR ") for row in rows)
    assert not any(row.complete for row in rows)
    assert "made by different codes" in caplog.text
    assert "evaluate all of their runs again" in caplog.text
    assert verify(runs)[-1].endswith("is whole")
    assert find_suspects(second.parent).detector == "mine"
    edit(module, "")
    assert run(source, runs, noise_seed=1, seed=1) == third
    with pytest.raises(BadData, match="'mine' by different codes, which are not averaged; name one of the runs"):
        find_suspects(second.parent, detector="mine")
    run(source, runs, noise_seed=1)
    assert [row.detector for row in leaderboard(runs) if row.kind == "detector"] == ["mine"]


def test_a_record_of_another_code_is_noticed(source: Source, module: Path, tmp_path: Path) -> None:
    """What a record says of a code must be what the scores say; noisybench's own have none."""
    edit(module, "")
    path = run(source, tmp_path / "runs")
    record = json.loads((path / "run.json").read_text("utf-8"))
    assert read_run(path).maker("mine") == ("own_mine:DETECTOR", record["codes"]["mine"])
    for codes, words in ({"mine": "ab" * 32}, "is of another code"), ({}, "is of another code"), (
        {**record["codes"], "aum": "ab" * 32}, "has the code of 'aum', which is none of its detectors"
    ):  # fmt: skip
        (path / "run.json").write_text(json.dumps({**record, "codes": codes}), "utf-8")
        with pytest.raises(BadData, match=words):
            verify(tmp_path / "runs")
    told = {**record, "detectors": {"mine": "other:DETECTOR"}}
    (path / "run.json").write_text(json.dumps(told), "utf-8")
    with pytest.raises(BadData, match=r"says that 'mine' is 'other:DETECTOR', its scores are of 'own_mine:DETECTOR'"):
        verify(tmp_path / "runs")


def test_what_an_author_declares_is_on_record(source: Source, module: Path, tmp_path: Path) -> None:
    """Its row says so and whose word it is; who knows the rate ranks in a block of its own; a forged record is refused."""
    declared = MINE.replace('"me")', '"me", information={{"in_sample", "knows_rate"}}, aliases=("theirs",))')
    module.write_text(declared.format(sign="-"), "utf-8")
    path = run(source, tmp_path / "runs")
    run(source, tmp_path / "runs", detectors="aum")
    record = json.loads((path / "run.json").read_text("utf-8"))
    assert record["information"] == {"mine": ["in_sample", "knows_rate"]}
    sys.modules.pop("own_mine")
    module.unlink()  # nothing is imported to make a table
    board = leaderboard(tmp_path / "runs")
    rows = {row.detector: row for row in board}
    mine, ours = rows["mine"], rows["aum"]
    assert (mine.information, mine.declared, mine.block) == (("in_sample", "knows_rate"), True, "knows_truth")
    assert (mine.rank, ours.rank) == (1, 1)
    assert (ours.declared, ours.block) == (False, "")
    assert "in-sample, knows the rate (declared by its author)" in board.to_markdown()
    assert "detectors that know something of the truth stand in a block of their own" in board.caption.lower()
    assert verify(tmp_path / "runs")[-1].endswith("is whole")
    for told, words in (
        ({"mine": ["in_sample"]}, "uses something else than the file of its scores says"),
        ({}, "uses something else than the file of its scores says"),
        ({"mine": ["clairvoyant"]}, "says that 'mine' uses clairvoyant, expected some of in_sample"),
        ({**record["information"], "yours": ["held_out"]}, "says what 'yours' uses, which is none of its detectors"),
        ({**record["information"], "aum": ["held_out"]}, "says that 'aum' uses something else than the file"),
    ):
        (path / "run.json").write_text(json.dumps({**record, "information": told}), "utf-8")
        with pytest.raises(BadData, match=words):
            verify(tmp_path / "runs")


def test_a_detector_that_declares_nothing_is_unknown(source: Source, module: Path, tmp_path: Path) -> None:
    """As in records of earlier versions, which stay what they are."""
    edit(module, "")
    path = run(source, tmp_path / "runs")
    assert "information" not in json.loads((path / "run.json").read_text("utf-8"))
    (row,) = (row for row in leaderboard(tmp_path / "runs") if row.detector == "mine")
    assert (row.information, row.declared, row.block) == (("unknown",), False, "")


def test_records_of_noisybenchs_own_have_no_codes(source: Source, tmp_path: Path) -> None:
    """Older records and files stay what they are."""
    path = run(source, tmp_path / "runs", detectors="entropy")
    assert "codes" not in json.loads((path / "run.json").read_text("utf-8"))


def test_another_version_of_another_package_is_scored_again(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector that a package adds belongs to its version; once uninstalled, its scores stay as they are."""
    given = {"version": "1.0", "sign": 1.0}
    found = aum.DETECTOR

    @cache
    def of_version(sign: float) -> object:
        return type(found)("theirs", ("correct",), lambda trace: sign * trace["correct"].mean(0, dtype=np.float64), "x")

    def load() -> object:
        return of_version(given["sign"])

    class Entries(list[SimpleNamespace]):
        def select(self, *, name: str = "theirs", group: str = "") -> "Entries":
            return self if name == "theirs" and group in ("", "noisybench.detectors") else Entries()

    entry = SimpleNamespace(name="theirs", value="pkg:D", load=load, dist=SimpleNamespace(name="pkg", version="1.0"))
    installed = Entries([entry])
    monkeypatch.setattr(lookup, "_entry_points", lambda _: installed)
    path = run(source, tmp_path / "runs", detectors="theirs")
    first = read_run(path)
    given["sign"], entry.dist.version = -1.0, "1.1"
    run(source, tmp_path / "runs", detectors="theirs")
    second = read_run(path)
    assert first.maker("theirs") != second.maker("theirs")
    assert second.scores("theirs").values.max() <= 0
    installed.clear()
    run(source, tmp_path / "runs", detectors="entropy")
    assert read_run(path).maker("theirs") == second.maker("theirs")
    assert verify(tmp_path / "runs")[-1].endswith("is whole")
