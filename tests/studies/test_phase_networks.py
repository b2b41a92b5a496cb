"""Networks of the phase study: the choice of points against a loop, and records against the run and the pool they come from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from noisybench.data.loading import load_source
from noisybench.data.source import Source, untested
from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.npy import write_array
from noisybench.memorization.estimate import read_memorization
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.folder import keep_variant
from noisybench.runs.reading import read_runs
from noisybench.statistics.score_parts import split_auroc
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.studies.phase_networks import RUNS, chosen_points, forecast_networks, network_records
from noisybench.studies.phase_runs import ANSWERS, POINTS
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant


def point(name: str, difficulty: float, coherence: float) -> dict[str, Any]:
    about = {"map": "main", "role": "target", "point": name, "draw": 0}
    return {**about, "difficulty": difficulty, "coherence": coherence, "reached": True}


def test_points_are_spread_evenly() -> None:
    """Of random places: the first is nearest to the origin, each next one the farthest from all before, by a loop."""
    places = np.random.default_rng(0).uniform((0.3, 0), (0.8, 0.2), size=(30, 2))
    points = [point(f"p{number:02}", *place) for number, place in enumerate(places.tolist())]
    found = chosen_points(points[::-1], 6)
    assert chosen_points(points, 6) == found  # whatever their order
    scaled = {one["point"]: place for one, place in zip(points, (places / np.ptp(places, axis=0)), strict=True)}
    origin = np.array([0.5, 0.0]) / np.ptp(places, axis=0)
    assert found[0]["point"] == min(scaled, key=lambda name: float(np.linalg.norm(scaled[name] - origin)))
    for number in range(1, 6):
        near = {
            name: min(np.linalg.norm(at - scaled[one["point"]]) for one in found[:number])
            for name, at in scaled.items()
        }
        assert found[number]["point"] == max(near, key=lambda name: near[name])


def test_there_are_no_more_points_than_were_reached() -> None:
    """Points of one place are chosen once each, the first by name before the other; of nothing nothing is chosen."""
    points = [point(name, 0.5, 0.1) for name in ("b", "a", "c")]
    assert [one["point"] for one in chosen_points(points, 12)] == ["a", "b", "c"]
    assert chosen_points([], 12) == chosen_points(points, 0) == []


@pytest.fixture(scope="module")
def source() -> Source:
    return untested(load_source("digits", limit=200))


def laid(source: Source, out: Path) -> list[Variant]:
    """Two variants as points of a study, with answers beside them."""
    found = []
    for number in range(2):
        variant = build_variant(source, Symmetric(rate=0.3), seed=number)
        keep_variant(variant, out / POINTS / f"p{number}" / "variant")
        write_array(np.random.default_rng(number).random(len(variant.labels)), out / POINTS / f"p{number}" / ANSWERS)
        found.append(variant)
    return found


PARTS = ("given_label", "held_out_answers", "rest")


def within_given(values: Floats, wrong: Bools, given: Labels) -> float:
    """Mean AUROC over the given labels that hold both kinds, by scikit-learn."""
    of_label = [(wrong[given == label], values[given == label]) for label in np.unique(given)]
    return float(np.mean([roc_auc_score(*one) for one in of_label if 0 < one[0].sum() < len(one[0])]))


def test_records_are_those_of_runs_and_pools(source: Source, tmp_path: Path) -> None:
    """AUROC of each detector of the run on disk and of memorization, by scikit-learn, and its parts; a second call trains nothing."""
    grid = PhaseGrid(
        "digits", limit=200, features="pca", networks=2, model="mlp(width=8)", epochs=2, pool_models=6, pool_model="mlp(width=8)",
        pool_epochs=2,
    )  # fmt: skip
    variants = laid(source, tmp_path)
    points = [point("p0", 0.5, 0.0), point("p1", 0.6, 0.1)]
    trial: Any = {"elsewhere": tmp_path / "elsewhere", "machine": Machine()}
    assert forecast_networks(grid, points, source, tmp_path, **trial).finished == 0
    steps: list[int] = []
    found = network_records(grid, points, source, tmp_path, machine=Machine(), progress=lambda: steps.append(1))
    assert len(steps) == 2 * (2 + 6)
    for number, variant in enumerate(variants):
        own = {one["detector"]: one for one in found if one["point"] == f"p{number}"}
        (run,) = read_runs(tmp_path / RUNS / variant.name)
        assert {*own} == {*run.kinds, "memorization"}
        (pool,) = (tmp_path / RUNS / variant.name).glob("memorization/*/memorization.parquet")
        values = {name: run.scores(name).values for name in run.kinds}
        values["memorization"] = read_memorization(pool).values
        for name, record in own.items():
            known = np.isfinite(values[name])  # of memorization, where some model saw the sample and some did not
            answers = np.random.default_rng(number).random(len(known))  # as they were laid
            score, wrong, given = values[name][known], variant.mislabeled[known], variant.labels[known]
            assert record["auroc"] == pytest.approx(roc_auc_score(wrong, score), abs=1e-12)
            parts = split_auroc(score, wrong, given, answers[known])
            assert {part: record[part] for part in PARTS} == {part: getattr(parts, part) for part in PARTS}
            assert record["auroc_within_given"] == pytest.approx(within_given(score, wrong, given))
            assert (record["by"], record["kind"]) == (
                ("pool", "memorization") if name == "memorization" else ("training", run.kinds[name])
            )
            assert (record["difficulty"], record["model"]) == (points[number]["difficulty"], "mlp(width=8)")
    steps.clear()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / RUNS).rglob("*.parquet")}
    assert network_records(grid, points, source, tmp_path, machine=Machine(), progress=lambda: None) == found
    assert before == {path: path.stat().st_mtime_ns for path in before}
    there = forecast_networks(grid, points, source, tmp_path, **trial)
    assert (there.runs, there.finished, there.seconds) == (2, 2, 0.0)
    more = forecast_networks(replace(grid, networks=5), points, source, tmp_path, **trial)
    assert (more.runs, more.finished) == (2, 2)  # no more than points that were reached
    for other in (replace(grid, epochs=3), replace(grid, pool_epochs=3), replace(grid, pool_models=8)):
        due = forecast_networks(other, points, source, tmp_path, **trial)
        assert (due.runs, due.finished) == (2, 0)  # what is there was trained otherwise
