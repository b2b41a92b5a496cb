"""Detectors of what an objective leaves: in its own runs alone, for nothing, and by its targets and its indicator."""

import json
from pathlib import Path

import numpy as np
import pytest
from shell import shell

from noisybench.cli.listing import ABOUT_SETS
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.detection.scoring import read_scores, scores_path
from noisybench.detection.suggesting import read_suggestion, suggest, suggestion_path
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import objectives_leaving
from noisybench.items import find, names
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.detector_choice import choose_detectors
from noisybench.runs.forecast import detector_costs
from noisybench.runs.training_run import train_and_score
from noisybench.training.objective import BY_PRODUCTS
from noisybench.training.trace import Column, Trace, read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

OWN = """
from noisybench import Detector
MINE = Detector("mine", ("objective.indicator",), lambda trace: -trace["objective.indicator"].mean(0).astype(float), "me 2026, x")
"""


@pytest.fixture(scope="module")
def few() -> Source:
    return load_source("digits", limit=200)


@pytest.fixture(scope="module")
def variant(few: Source) -> Variant:
    return build_variant(few, Symmetric(rate=0.4), seed=0)


def test_scores_and_suggestions_are_those_of_the_last_epoch() -> None:
    """1 − t[given], and the greatest other share; 1 − τ; by hand, with epochs before that say something else."""
    target = np.array([[[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]], dtype=np.float32)
    trust = np.array([[0.1, 0.9, 0.9, 0.9], [0.75, 0.25, 1.0, 0.0]], dtype=np.float32)
    columns = {
        "given": Column(np.array([2]), np.array([[0, 1, 0, 2]], dtype=np.float32)),
        "objective.target": Column(np.array([2]), target),
        "objective.indicator": Column(np.array([1, 2]), trust),
    }
    trace, given = Trace(columns, "0" * 64), np.array([0, 1, 0, 2])
    of_target, of_indicator = (find("detectors", f"objective_{name}") for name in ("target", "indicator"))
    np.testing.assert_allclose(of_target.score(trace), [0.3, 0.7, 0.0, 1.0], atol=1e-7)
    np.testing.assert_allclose(of_indicator.score(trace), [0.25, 0.75, 0.0, 1.0], atol=1e-7)
    assert suggest(trace, of_target, given).labels.tolist() == [1, 2, UNKNOWN, UNKNOWN]


def test_a_set_has_them_where_the_objective_leaves_their_columns() -> None:
    """Each of the three sets, of each objective: those detectors all of whose columns it leaves, and no other of them."""
    of_objectives = {name for name in names("detectors") if find("detectors", name).left_by_objective}
    assert of_objectives == {"objective_target", "objective_indicator"}
    for name in names("objectives"):
        leaves = find("objectives", name).leaves
        expected = {one for one in of_objectives if {*find("detectors", one).left_by_objective} <= {*leaves}}
        for word in ("fast", "standard", "all"):
            assert of_objectives & choose_detectors(word, leaves).keys() == expected
    assert not of_objectives & choose_detectors("all").keys()
    assert objectives_leaving(["objective.target"]) == ["car", "elr", "selc"]
    assert objectives_leaving([*BY_PRODUCTS]) == ["car"]


@pytest.mark.parametrize(
    ("detector", "leaves", "words"),
    [
        (
            "objective_target",
            (),
            "reads objective.target, which this objective does not leave; objective car or elr or selc",
        ),
        ("objective_indicator", ("objective.target",), "reads objective.indicator, .* objective car leaves it"),
        ("own_by_objective:MINE", (), "'mine' reads objective.indicator, .* objective car leaves it"),
    ],
)
def test_by_name_they_are_refused_with_another_objective(
    detector: str, leaves: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence that names the objectives that leave the column."""
    (tmp_path / "own_by_objective.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadUsage, match=words):
        choose_detectors(["aum", detector], leaves)
    assert [*choose_detectors([detector], tuple(BY_PRODUCTS)).values()] == [detector]


def test_they_cost_nothing(few: Source) -> None:
    """No pass of their own and no training: with them a run costs what it costs with ``aum`` alone."""
    car = {"epochs": 5, "objective": "car"}
    with_both = detector_costs(few, ["aum", "objective_target", "objective_indicator"], **car)  # type: ignore[arg-type]
    alone = detector_costs(few, "aum", **car)  # type: ignore[arg-type]
    assert (with_both.added, with_both.looking, with_both.total) == (0, alone.looking, alone.total)
    assert all(cost.trainings == 0 for cost in with_both.detectors.values())
    with pytest.raises(BadUsage, match="objective car"):
        detector_costs(few, "objective_indicator", epochs=5, objective="elr")


def test_a_run_has_them_and_its_corrected_labels_are_judged(few: Source, variant: Variant, tmp_path: Path) -> None:
    """Their scores are those of the trace; the labels suggested are the target's, and better than chance by far."""
    (folder,) = train_and_score(
        variant,
        few,
        epochs=12,
        seeds=[0],
        detectors=["aum", "objective_target"],
        objective="elr",
        out=tmp_path,
        options={"susceptibility": "off"},
    )
    target = read_trace(folder / "trace")["objective.target"][-1].astype(np.float64)
    each = np.arange(len(target))
    scores = read_scores(scores_path(folder, "objective_target"))
    np.testing.assert_allclose(scores.values, 1 - target[each, variant.labels])
    suggested = read_suggestion(suggestion_path(folder, "objective_target")).labels
    target[each, variant.labels] = -1
    assert np.array_equal(suggested, target.argmax(1))
    assert (suggested == variant.clean)[variant.mislabeled].mean() > 0.5


def test_the_command_line_says_the_same(variant: Variant, tmp_path: Path) -> None:
    """A refusal of one line and code 2, before anything is read; the list names objectives that leave the columns."""
    write_variant(variant, tmp_path / "variant")
    refused = shell("evaluate", tmp_path / "variant", "--detectors", "objective_target", "--out", tmp_path / "runs")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "objective car or elr or selc leaves it" in refused.err
    assert not (tmp_path / "runs").exists()
    records = {one["name"]: one for one in json.loads(shell("list", "detectors", "--json").out)}
    assert records["objective_target"]["left_by_objective"] == ["objective.target"]
    assert records["aum"]["left_by_objective"] == []
    for name in ("objective_target", "objective_indicator"):
        page = shell("list", "detectors", name).out
        able = objectives_leaving(find("detectors", name).left_by_objective)
        assert f"with objective {' or '.join(able)}" in " ".join(page.split())
        assert f"({', '.join(able)})" in page.splitlines()[0] + page.splitlines()[1]
        assert f"--detectors {name} --objective {able[0]}" in page
    assert "objective_*" in ABOUT_SETS
