"""Dropped samples in runs from frozen features and pools: no part of any fit, and a row that says nothing.

Reference: the same run on a data set that never had them.
"""

from pathlib import Path

import numpy as np
import pytest

from noisybench import find_suspects
from noisybench.board.finding import Wish, suspects_at
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import detect, evaluate, score_features
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import COLUMNS
from noisybench.items import find
from noisybench.memorization.subset_plan import plan_learner
from noisybench.runs.features_columns import columns_from
from noisybench.runs.kept_rows import groups_of_kept, neighbour_labels_of_kept
from noisybench.runs.reading import read_run
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Action, Corrections
from noisybench.variants.variant import Variant, write_variant

N, OUT = 150, [0, 7, 70, 149]
KEPT = np.delete(np.arange(N), OUT)
SOURCE = load_source("digits", limit=N)
FEATURES = np.asarray(SOURCE.inputs, dtype=np.float32).reshape(N, -1)


def without(variant: Variant, samples: list[int]) -> Variant:
    """The variant, of which a person dropped some samples."""
    actions = tuple[Action, ...]("drop" for _ in samples)
    unknown = np.full(len(samples), -1)
    made = Corrections(variant.variant_id, np.array(samples), variant.labels[samples], unknown, actions)
    return correct_variant(variant, made)


@pytest.fixture(scope="module")
def variant() -> Variant:
    return without(build_variant(SOURCE, find("noises", "symmetric")(rate=0.2)), OUT)


@pytest.mark.parametrize("grouped", [False, True])
def test_columns_of_the_others_are_those_of_a_data_set_without_the_dropped(variant: Variant, *, grouped: bool) -> None:
    """To the last bit, also with groups, one of which is dropped as a whole; dropped rows are undecided."""
    fewer = source_from_arrays("fewer", SOURCE.inputs[KEPT], variant.labels[KEPT], class_names=SOURCE.class_names)
    alone = build_variant(fewer, find("noises", "as_found")())
    given = np.arange(N) // 2 if grouped else None
    groups = groups_of_kept(FEATURES, variant, given)
    own = groups_of_kept(FEATURES[KEPT], alone, None if given is None else given[KEPT])
    assert np.array_equal(groups[KEPT], own)
    assert len({*groups[OUT].tolist()} - {*own.tolist()}) == len(OUT)
    every = COLUMNS["features"]
    found, _ = columns_from(FEATURES, variant, groups, seed=3, lacking=every)
    expected, _ = columns_from(FEATURES[KEPT], alone, own, seed=3, lacking=every)
    assert {*found} == {*every}
    for name, values in expected.items():
        there = KEPT[values.astype(np.int64)] if name == "features.two_nearest" else values
        assert np.array_equal(found[name][KEPT], there), name
        assert np.isfinite(found[name]).all()
    for name in ("held_out.probabilities", "features.ridge_answers", "neighbours.labels"):
        assert np.allclose(found[name][OUT], 0.1)
    assert (found["features.two_nearest"][OUT] == -1).all()


def test_a_pool_asks_neighbours_that_stay(variant: Variant) -> None:
    shares = neighbour_labels_of_kept(FEATURES, variant, 20)
    assert np.array_equal(shares[KEPT], neighbour_labels(FEATURES[KEPT], variant.labels[KEPT], 10, 20))
    assert np.allclose(shares[OUT], 0.1)


def test_the_count_is_that_without_the_dropped(variant: Variant, tmp_path: Path) -> None:
    """As many labels disagree, and the same ones, as where the samples were never there."""
    run = score_features(SOURCE, variant, FEATURES, tmp_path)
    found = find_suspects(run.path)
    names = [str(k) for k in SOURCE.class_names]
    alone = find_suspects(labels=variant.labels[KEPT], features=FEATURES[KEPT], class_names=names)
    assert found.count == alone.count > 0
    assert found.chosen().tolist() == KEPT[alone.chosen()].tolist()


def test_each_road_takes_a_corrected_variant(variant: Variant, tmp_path: Path) -> None:
    """A training, a pool and frozen features: finite scores of every sample, one table, verified; none dropped is a suspect."""
    runs = tmp_path / "runs"
    evaluate(variant, SOURCE, seeds=[0], epochs=1, detectors=["aum"], out=runs)
    plan, features = plan_learner(SOURCE, epochs=1, features="pca", cache=runs / "features")
    detect(SOURCE, variant, plan, runs, models=10, features=features)
    found = score_features(SOURCE, variant, "pca", runs)
    assert len([*runs.glob("features/pca-*.npy")]) == 1, "features are kept once"
    assert read_run(found.path).record.groups == N
    for path in runs.glob("*/*/seed-*"):
        run = read_run(path)
        assert all(np.isfinite(run.scores(name).values).all() for name in run.kinds)
    assert verify(runs)[-1] == f"{runs} is whole"
    assert {row.detector for row in leaderboard(runs)} >= {"aum", "knn", "ridge", "feature_consensus"}
    folder = tmp_path / "v"
    write_variant(variant, folder)
    suspects = suspects_at(folder, Wish(features="pca"), out=runs)
    assert not {*suspects.order.tolist()} & {*OUT}
    assert suspects.flagged is not None
    assert not suspects.flagged[OUT].any()
