"""Runs that version 0.1.0 made, kept in ``runs_0_1_0.zip`` with the tables that it printed of them."""

import csv
import io
import json
import logging
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.board.finding import find_suspects
from noisybench.board.latex import to_latex
from noisybench.board.leaderboard import flags_board, leaderboard, models_board
from noisybench.board.rendering import to_markdown
from noisybench.board.results import detect, evaluate, memorize
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadData
from noisybench.ground.lookup import is_ours
from noisybench.ground.version import __version__
from noisybench.items import find, names
from noisybench.memorization.estimate import read_memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.subset_plan import plan_learner
from noisybench.runs import column_scoring, detector_codes
from noisybench.runs.folder import read_run_record
from noisybench.runs.reading import read_run, read_runs
from noisybench.runs.verify import verify_runs
from noisybench.variants.variant import Variant, read_variant

ARCHIVE = Path(__file__).parents[1] / "runs_0_1_0.zip"
MEASURED, OTHER = "digits-symmetric-2199417d", "digits-symmetric-4ebfd070"
SETUP = "mlp-standard-eb9a0ce2"
OPTIONS = {"curvature": "authors", "curvature_every": "3"}
SINCE = (
    "version", "information", "block", "pretrained", "pretrained_supervised", "pretrained_overlap", "curvature_step",
    "activation_change", "declared", "aliases", "clustered", "neighbours_alike",
    "surely_worse", "equivalent", "floor", "moderated", "worst_class", "worst_class_value", "top_overlap", "false_flags",
    "source", "samples", "noise", "rate", "wrong_share", "draws", "variant_ids", "noisybench",
    "objective",
)  # fmt: skip
"""Fields of records that 0.1.0 did not have."""
SINCE_OF_MODELS = (
    "own_detector", "own_detection", "corrected", "seconds", "knows", "wrong_at_right_50", "wrong_at_right_70",
    "wrong_at_right_80", "wrong_at_right_90", "wrong_at_right_95",
)  # fmt: skip
"""The same of models."""
INTERVALS = ("low", "high", "interval")
"""Ends of the names of fields that are intervals and confidence sets of ranks."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of variants, runs and golden tables, as 0.1.0 left it."""
    assert __version__ != "0.1.0"
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def source() -> Source:
    """The samples that the runs were trained on."""
    return load_source("digits", limit=120)


def variant_of(old: Path, name: str) -> Variant:
    return read_variant(old / "variants" / name)


def without_version(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records as 0.1.0 had them, but for intervals and what follows from them, which cover other samples since 0.5.0.

    Numbers to 12 digits: areas are summed in another order since 0.5.0.
    """
    return [
        {
            name: round(value, 12) if isinstance(value, float) else value
            for name, value in record.items()
            if name not in SINCE and not name.endswith(INTERVALS)
        }
        for record in records
    ]


def cells_of(table: str, between: str) -> list[list[str]]:
    """The cells of a table for people in the words of 0.1.0, but for its values, whose digits follow their intervals now."""
    words = table.replace("wrong / right labels fitted", "memorized / clean fitted").strip().splitlines()
    lines = [line.split(between) for line in words]
    width = max(map(len, lines))
    rows = [line for line in lines if len(line) == width]
    left = {2, *(i for i, name in enumerate(rows[0]) if name == "information")}
    return [[one.strip() for i, one in enumerate(line) if i not in left] for line in rows]


def golden(old: Path, name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((old / "golden" / name).read_text("utf-8"))


def test_tables_of_detectors_are_those_that_0_1_0_printed(old: Path) -> None:
    """Every number, rank, name and order: against the mask, and against memorization by three metrics."""
    here = old / "runs" / MEASURED
    assert without_version(leaderboard(old / "runs").to_records()) == without_version(golden(old, "leaderboard.json"))
    of_memorization = leaderboard(here, truth="memorization")
    assert without_version(of_memorization.to_records()) == without_version(golden(old, "memorization.json"))
    partial = leaderboard(here, truth="memorization", metric="partial_spearman")
    assert without_version(partial.to_records()) == without_version(golden(old, "partial.json"))
    overlap = leaderboard(here, truth="memorization", metric="overlap_5", stratum="clean").to_csv()
    told = list(csv.DictReader(io.StringIO((old / "golden" / "overlap.csv").read_text("utf-8"))))
    assert without_version(list(csv.DictReader(io.StringIO(overlap)))) == without_version(told)


def test_the_other_tables_are_those_that_0_1_0_printed(old: Path) -> None:
    """Models, flags, suspects, and the forms for people."""
    runs = old / "runs"
    models = [
        {name: value for name, value in record.items() if name not in SINCE_OF_MODELS}
        for record in models_board(runs).to_records()
    ]
    assert without_version(models) == without_version(golden(old, "models.json"))
    assert without_version(flags_board(runs).to_records()) == without_version(golden(old, "flags.json"))
    suspects = find_suspects(runs / MEASURED / SETUP)
    found = [(one.sample, one.given, one.suspicion) for one in suspects.table(20)]
    told = golden(old, "suspects.json")
    assert found == [(one["sample"], one["given_name"], one["scores"][suspects.detector]) for one in told]
    markdown, latex = to_markdown(leaderboard(runs).rows), to_latex(leaderboard(runs, metric="average_precision").rows)
    for table, name, between in ((markdown, "leaderboard.md", " | "), (latex, "average_precision.tex", " & ")):
        told = (old / "golden" / name).read_text("utf-8")
        assert cells_of(table, between) == cells_of(told, between)
        for words in (table, told):
            assert "1 unfinished run left out; 23 incomplete rows, unranked." in words


def test_they_are_whole(old: Path) -> None:
    """History, scores, pools and memorization of the older version follow from its traces and models."""
    sentences = list(verify_runs(old / "runs"))
    assert sum("follow from the trace" in sentence for sentence in sentences) == 4
    assert sum("memorization follows from its 24 models" in sentence for sentence in sentences) == 1
    assert sum(": unfinished; " in sentence for sentence in sentences) == 1


def test_their_learners_are_fields(old: Path) -> None:
    """A measurement, which stored a sentence, and the pool and the trainings beside it."""
    runs = {run.setup.regime: run for run in read_runs(old / "runs" / MEASURED)}
    pool = Learner("mlp", "overfit", 4, "558730", "input", 0.7, balanced=True)
    assert runs["pool"].setup.learner == pool
    assert runs["training"].setup.learner == Learner("mlp", "standard", 3, "406b7c")
    row = leaderboard(old / "runs" / MEASURED, truth="memorization").rows[0]
    assert row.truth_learner == pool
    matched = {row.learner.recipe: row.matched for row in leaderboard(old / "runs" / MEASURED, truth="memorization")}
    assert matched == {"overfit": True, "standard": False, "given": False, "": None}


def test_the_same_command_finds_them_finished(old: Path, source: Source) -> None:
    """Folders have the names of 0.1.0, so that nothing is trained again; the record is left as it was."""
    before = {path: path.read_bytes() for path in (old / "runs" / OTHER).rglob("*") if path.is_file()}
    results = evaluate(
        variant_of(old, OTHER), source, epochs=3, seeds=(0, 1), options=OPTIONS, out=old / "runs", detectors=["aum"]
    )
    assert [result.path for result in results] == [old / "runs" / OTHER / SETUP / f"seed-{seed}" for seed in (0, 1)]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_detector_of_today_is_added_to_them(
    old: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only reduces the stored trace, so that the version that trained is kept, and told where versions differ."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_detector_today.py").write_text(
        "from noisybench import Detector\n"
        "def score(trace): return -trace['margin'][-1].astype(float)\n"
        "DETECTOR = Detector('last_of_today', ('margin',), score, 'ours')\n",
        encoding="utf-8",
    )
    spec = "own_detector_today:DETECTOR"
    variant = variant_of(old, OTHER)
    (result,) = evaluate(
        variant, source, epochs=3, seeds=(0,), options=OPTIONS, out=old / "runs", detectors=["aum", spec]
    )
    record = read_run_record(result.path)
    assert record.versions is not None
    assert record.versions["noisybench"] == "0.1.0"
    assert record.detectors["last_of_today"] == spec
    (final,) = (row for row in result.agreement() if row.detector == "last_of_today")
    assert final.value > 0.8
    (new,) = evaluate(variant, source, epochs=3, seeds=(7,), options=OPTIONS, out=old / "runs", detectors=["aum"])
    board = leaderboard([result.path, new.path])
    assert {row.version for row in board} == {"0.1.0", f"0.1.0, {__version__}", ""}
    assert "different versions of noisybench" in board.caption
    assert "trained by" in board.to_markdown().splitlines()[2]


def test_a_training_of_another_version_is_not_gone_on_with(old: Path, source: Source) -> None:
    """A further probe needs a training, whose bytes another version does not promise: one sentence, nothing changed."""
    (folder,) = (run.path for run in read_runs(old / "runs" / OTHER) if run.finished and run.seed == 0)
    (folder / "trace" / "epoch-0002.parquet").unlink()  # as if a column had not been recorded
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    there = r"(versions = .*0\.1\.0.*|machine = x86_64 AVX2)"  # the first of the two that differs here
    with pytest.raises(BadData, match=f"holds a run with {there}, now it is .*; give another --out"):
        evaluate(variant_of(old, OTHER), source, epochs=3, seeds=(0,), options=OPTIONS, out=old / "runs")
    assert all(path.read_bytes() == content for path, content in before.items())


def test_an_unfinished_one_is_begun_again(old: Path, source: Source, caplog: pytest.LogCaptureFixture) -> None:
    """With one line, and to the same bytes as a run that nothing had been left of."""
    variant = variant_of(old, OTHER)
    asked: dict[str, Any] = {"epochs": 3, "seeds": (2,), "options": OPTIONS, "detectors": ["aum", "loss_curvature"]}
    with caplog.at_level(logging.WARNING, logger="noisybench"):
        (again,) = evaluate(variant, source, out=old / "runs", **asked)
    assert [record.getMessage().count("begun again") for record in caplog.records] == [1]
    (fresh,) = evaluate(variant, source, out=old / "fresh", **asked)
    left, made = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.suffix in (".parquet", ".json")
        }
        for folder in (again.path, fresh.path)
    )
    left.pop(Path("timing.json"))
    made.pop(Path("timing.json"))
    assert left == made
    assert not (again.path / "checkpoint.pt").exists()


def test_their_memorization_is_not_measured_over(old: Path, source: Source) -> None:
    """What is finished is taken up as it is, and no model is trained again."""
    learner, _ = plan_learner(source, epochs=4)
    variant = variant_of(old, MEASURED)
    (path,) = (old / "runs" / MEASURED / "memorization").glob("*/memorization.parquet")
    before = read_memorization(path)
    again = memorize(source, variant, learner, old / "runs", models=24)
    assert again.path == path.parent
    np.testing.assert_array_equal(again.memorization.values, before.values)
    assert again.memorization.learner == before.learner


def test_their_pools_take_up_a_detector_of_today(old: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the answers that are stored; the others' scores are left as they were."""
    (run,) = (run for run in read_runs(old / "runs" / MEASURED) if run.record.regime == "pool")
    added = replace(find("detectors", "self_confidence"), name="added_today")
    monkeypatch.setattr(column_scoring, "names", lambda drawer: (*names(drawer), "added_today"))
    monkeypatch.setattr(
        column_scoring, "find", lambda drawer, name: added if name == "added_today" else find(drawer, name)
    )
    monkeypatch.setattr(detector_codes, "is_ours", lambda drawer, name: name == "added_today" or is_ours(drawer, name))
    before = {path: path.read_bytes() for path in (run.path / "scores").iterdir()}
    learner, _ = plan_learner(source, epochs=4)
    result = detect(source, variant_of(old, MEASURED), learner, old / "runs", models=24)
    assert result.path == run.path
    assert all(path.read_bytes() == content for path, content in before.items())
    assert set(result.scores) == {*run.kinds, "added_today"}
    np.testing.assert_array_equal(result.scores["added_today"].values, result.scores["self_confidence"].values)
    assert (read_run_record(run.path).versions or {}) == {}  # that of 0.1.0 does not say


def test_a_copy_of_a_record_keeps_every_field(old: Path) -> None:
    """Reading and writing a record of 0.1.0 loses nothing of it but the sentence about the learner, which is fields now."""
    for path in sorted((old / "runs").rglob("run.json")):
        told = json.loads(path.read_text("utf-8"))
        told.pop("learner", None)
        assert read_run(path.parent).record.as_json() == told
