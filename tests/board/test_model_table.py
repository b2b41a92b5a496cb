"""The table of models by objective: each figure against loops over runs, and the forms that people and programs see."""

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_runs import make_runs, source_of

from noisybench.board.agreement import against_labels, against_right_classes
from noisybench.board.detector_table import detector_rows
from noisybench.board.latex import to_latex
from noisybench.board.leaderboard import models_board
from noisybench.board.model_table import ModelRow, model_rows
from noisybench.board.model_words import shares_shown
from noisybench.board.page_data import page_data
from noisybench.board.records import to_csv, to_json, to_records
from noisybench.board.rendering import cells_for_people, to_markdown
from noisybench.ground.files import read_columns, write_columns, write_json
from noisybench.runs.reading import read_runs
from noisybench.variants.variant import read_variant

OBJECTIVES = {
    "": "nothing",
    "cdr": "rate",
    "elr(strength=1)": "nothing",
    "forward_correction(transition=true)": "transition",
}
SKILLS = {"aum": 2.0, "objective_target": 1.5, "entropy": 0.2}
EPOCHS = 8


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two draws, two seeds and four objectives, one of which leaves a target, of 90 samples."""
    folder = tmp_path_factory.mktemp("runs")
    noises = (("symmetric", 0.4),)
    common = {"noises": noises, "recipes": ("standard",), "epochs": EPOCHS, "measured": False}
    others = {words: knows for words, knows in OBJECTIVES.items() if not words.startswith("elr")}
    make_runs(folder, source_of(90), objectives=others, skills={"aum": 2.0, "entropy": 0.2}, **common)  # type: ignore[arg-type]
    elr = {words: knows for words, knows in OBJECTIVES.items() if words.startswith("elr")}
    for path in make_runs(folder, source_of(90), objectives=elr, skills=SKILLS, **common):  # type: ignore[arg-type]
        columns = read_columns(path / "history.parquet")[0]
        write_columns({**columns, "mislabeled_fit": columns["mislabeled_fit"] / 2}, path / "history.parquet")
        write_json({"purposes": {"training": 3.0, "logits": 9.0}}, path / "timing.json")
    return folder


@pytest.fixture(scope="module")
def rows(home: Path) -> dict[str, ModelRow]:
    return {row.learner.objective: row for row in model_rows(home)}


def test_wrong_labels_at_equal_right_labels_are_means_of_the_runs(home: Path, rows: dict[str, ModelRow]) -> None:
    """At each share: straight lines between epochs by a loop, runs averaged, and NaN for a share below the first epoch."""
    assert {at.right for row in rows.values() for at in row.at_right} == {0.5, 0.7, 0.8, 0.9, 0.95}
    part = np.arange(1, EPOCHS + 1) / EPOCHS
    for objective, row in rows.items():
        curve = list(zip(np.sqrt(part), part**3 / (2 if objective.startswith("elr") else 1), strict=True))
        for at in row.at_right:
            wanted = [
                w0 + (w1 - w0) * (at.right - r0) / (r1 - r0)
                for (r0, w0), (r1, w1) in pairwise(curve)
                if r0 < at.right <= r1
            ]
            assert at.wrong == pytest.approx(wanted[0])
            assert (at.low, at.high) == pytest.approx((at.wrong, at.wrong))  # both draws are alike
    assert shares_shown([*rows.values()]) == {"made (90 samples)": 0.95}
    late = [path for path in home.rglob("history.parquet") if "cdr" in str(path)]
    before = {path: path.read_bytes() for path in late}
    try:
        columns = read_columns(late[0])[0]
        write_columns({**columns, "clean_fit": np.linspace(0.85, 0.92, EPOCHS)}, late[0])
        again = {row.learner.objective: row for row in model_rows(home)}
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    known = [not np.isnan(at.wrong) for at in again["cdr"].at_right]
    assert known == [False, False, False, True, False]  # one of its runs begins beyond .8, and never has .95
    assert shares_shown([*again.values()]) == {"made (90 samples)": 0.9}


def test_own_detection_and_corrected_labels_are_those_of_the_target(home: Path, rows: dict[str, ModelRow]) -> None:
    """Means over draws of the means over seeds, from the scores and suggestions themselves; a dash where nothing is left."""
    found: dict[str, dict[str, list[float]]] = {"auroc": {}, "suggestion_accuracy": {}}
    for run in read_runs(home):
        if "objective_target" in run.kinds:
            variant = read_variant(run.home / "variant")
            (area,) = against_labels(run.scores("objective_target"), variant, metrics=["auroc"])
            suggestion = run.suggestion("objective_target", variant)
            (right,) = against_right_classes(
                suggestion, variant, detector="objective_target", metrics=["suggestion_accuracy"]
            )
            for name, value in (("auroc", area.value), ("suggestion_accuracy", right.value)):
                found[name].setdefault(variant.variant_id, []).append(value)
    elr = rows["elr(strength=1)"]
    for name, value, low, high in (
        ("auroc", elr.own_detection, elr.own_detection_low, elr.own_detection_high),
        ("suggestion_accuracy", elr.corrected, elr.corrected_low, elr.corrected_high),
    ):
        assert value == pytest.approx(np.mean([np.mean(values) for values in found[name].values()]))
        assert low < value < high
    assert (elr.own_detector, elr.seconds) == ("objective_target", 3.0)
    assert [rows[""].own_detector, rows["cdr"].own_detector] == ["", ""]
    assert np.isnan([rows[""].own_detection, rows[""].corrected, rows[""].seconds]).all()


def test_those_that_were_told_something_stand_apart(home: Path, rows: dict[str, ModelRow]) -> None:
    """Below the others and a line, with what they know; so do detectors of their trainings, which were made with it."""
    assert [*rows] == ["", "elr(strength=1)", "cdr", "forward_correction(transition=true)"]
    table = to_markdown([*rows.values()])
    header, body = cells_for_people([*rows.values()])
    assert header[:5] == ["model", "recipe", "objective", "knows", "test accuracy"]
    assert [line[2:4] for line in body] == [
        ["cross_entropy", "nothing"],
        ["elr(strength=1)", "nothing"],
        ["cdr", "the rate"],
        ["forward_correction(transition=true)", "the transition matrix"],
    ]
    assert header[8:12] == [
        "wrong labels fitted at 95 % right",
        "own detection",
        "corrected labels",
        "seconds of training",
    ]
    assert body[0][9:12] == ["–", "–", "–"]
    assert "earners whose objective knows something of the truth stand in a block of their own." in table
    assert "Own detection: AUROC against wrong labels" in table
    assert "– where one never has, or has after the first epoch that was observed." in table
    assert to_latex([*rows.values()]).count(r"\midrule") == 2
    blocks = {(row.learner.objective, row.block) for row in detector_rows(home) if row.detector == "aum"}
    assert blocks == {(words, "" if knows == "nothing" else "knows_truth") for words, knows in OBJECTIVES.items()}
    plain = to_markdown([rows[""]])
    assert not any(word in plain for word in ("objective", "knows", "Own detection"))


def test_programs_get_every_field(home: Path, rows: dict[str, ModelRow]) -> None:
    """JSON, CSV and Parquet have the objective, what it knows, and each share; detectors' rows have the objective too."""
    records = to_records([*rows.values()])
    assert [record["objective"] for record in records] == ["cross_entropy", *[*rows][1:]]
    assert [record["knows"] for record in records] == ["nothing", "nothing", "rate", "transition"]
    assert [record["wrong_at_right_90"] for record in records] == [row.at_right[3].wrong for row in rows.values()]
    assert {"wrong_at_right_95_low", "own_detection_high", "corrected_low", "seconds"} <= records[0].keys()
    assert json.loads(to_json([*rows.values()])) == records
    lines = list(csv.DictReader(io.StringIO(to_csv([*rows.values()]))))
    assert [line["own_detector"] for line in lines] == ["", "objective_target", "", ""]
    told = {(record["detector"], record["objective"]) for record in to_records(detector_rows(home))}
    assert {("aum", "cdr"), ("aum", "cross_entropy"), ("perfect", "")} <= told
    path = models_board(home).to_parquet(home.parent / "models.parquet")
    assert read_columns(path, ["wrong_at_right_50"])[0]["wrong_at_right_50"].shape == (4,)


def test_detectors_of_other_objectives_are_other_learners(home: Path) -> None:
    """A row each, the objective among the words of its learner; on the page, too, with the command that makes them."""
    rows = [row for row in detector_rows(home) if row.detector == "aum"]
    header, body = cells_for_people(rows)
    assert [line[header.index("recipe")].split(", ", 2)[2] for line in body] == [row.learner.objective or "cross_entropy" for row in rows]  # fmt: skip
    assert not any(row.ablation for row in rows)
    learners = page_data(home)["learners"]
    assert learners["objective"] == ["cross_entropy", "cdr", "elr(strength=1)", "forward_correction(transition=true)"]
    assert learners["words"][2] == "mlp, standard, 8 epochs, elr(strength=1)"
    assert learners["command"][2].endswith("--epochs 8 --objective elr --objective-set strength=1")
