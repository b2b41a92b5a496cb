"""Memorization in closed form, against regressions that are fitted anew, and as a truth beside runs like any other."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench import memorize, read_memorization, verify
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import Features
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName
from noisybench.ground.files import column_names, read_columns, read_metadata, write_columns
from noisybench.items import find
from noisybench.memorization.closed_form import leave_out_exactly
from noisybench.memorization.closed_form_plan import (
    CHOSEN_ON,
    ClosedFormPlan,
    KernelRidge,
    KernelRidgeNystrom,
    Ridge,
    Solved,
    plan_closed_form,
)
from noisybench.memorization.estimate import ANSWERS, estimate_memorization
from noisybench.memorization.learner import CLOSED_FORM_MODELS, Estimand
from noisybench.memorization.pool import read_pool
from noisybench.memorization.subsets import subsets
from noisybench.runs.verify import verify_memorization
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant

N, D, K = 90, 5, 3
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def source() -> Source:
    """Three overlapping clouds, of which a bias must be learnt: classes are of unequal size."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(K), [20, 30, 40])
    inputs = (rng.normal(size=(N, D)) + 2 * np.eye(K, D)[labels]).astype(np.float32)
    return source_from_arrays("clouds", inputs, labels, clean=labels, class_names=["a", "b", "c"])


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)


def features_of(source: Source) -> Features:
    return np.asarray(source.inputs, dtype=np.float32)


def answers(features: Features, labels: NDArray[np.int64], included: NDArray[np.bool_], penalty: float) -> Floats:
    """Of all samples, by ridge regression on the included ones; the bias is not penalised, the rows are fixed."""
    rows = features.astype(np.float64)
    rows -= rows.mean(0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    design = np.c_[rows, np.ones(len(rows))]
    own = design[included]
    penalties = np.diag(np.append(np.full(rows.shape[1], penalty), 0))
    return design @ np.linalg.solve(own.T @ own + penalties, own.T @ np.eye(K)[labels[included]])


@pytest.mark.parametrize("dropped", [False, True])
def test_leave_one_out_is_that_of_refits(source: Source, variant: Variant, *, dropped: bool) -> None:
    """Both quantities, by a loop over samples; who was dropped takes no part and is unknown."""
    if dropped:
        out = np.array([0, 50])
        made = Corrections(variant.variant_id, out, variant.labels[out], np.full(2, -1), ("drop", "drop"))
        variant = correct_variant(variant, made)
    features, given, kept = features_of(source), variant.labels, ~variant.dropped
    found = leave_out_exactly(variant, ClosedFormPlan(Ridge(0.1)), features)
    margin = leave_out_exactly(variant, ClosedFormPlan(Ridge(0.1), estimand="leave_one_out_margin"), features)
    whole = answers(features, given, kept, 0.1)
    for i in np.flatnonzero(kept):
        without = answers(features, given, kept & (np.arange(N) != i), 0.1)[i]
        hits = [int(one.argmax() == given[i]) for one in (whole[i], without)]
        assert found.memorization.values[i] == hits[0] - hits[1]
        assert [found.memorization.p_in[i], found.memorization.p_out[i]] == hits
        assert margin.memorization.values[i] == pytest.approx(whole[i, given[i]] - without[given[i]], abs=1e-9)
        assert found.answers["answer_out"][i] == pytest.approx(without[given[i]], abs=1e-9)
        others = np.arange(K) != given[i]
        margins = [one[given[i]] - one[others].max() for one in (whole[i], without)]
        assert found.memorization.margin[i] == pytest.approx(margins[0] - margins[1], abs=1e-9)
        right = [int(one.argmax() == variant.clean[i]) for one in (whole[i], without)]
        assert found.memorization.clean_damage[i] == right[1] - right[0]
    assert {*np.unique(found.memorization.values[kept])} == {0.0, 1.0}  # some is memorized, and not all
    assert np.array_equal(np.isnan(found.memorization.values), ~kept)
    assert np.array_equal(np.isnan(found.memorization.stderr), ~kept)
    assert not found.memorization.n_in.any()
    assert found.memorization.models == 0
    leverage = found.answers["leverage"][kept]
    np.testing.assert_allclose(
        margin.memorization.values[kept], leverage * (1 - found.answers["answer_out"][kept]), rtol=0, atol=1e-9
    )


def test_copies_are_left_out_together() -> None:
    """Exact copies of a wrong label would answer it: all of a unit are left out at once, as they are of subsets."""
    spectrum = find("alterations", "frequency_spectrum")(frequencies="1,4,12", others=60)
    source = spectrum(load_source("digits", limit=150), seed=0, foreign=None)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2))
    features = np.asarray(source.inputs, dtype=np.float32).reshape(len(source.labels), -1)
    copies = variant.copies
    assert copies is not None
    rows = features.astype(np.float64) - features.astype(np.float64).mean(0)
    design = np.c_[rows / np.linalg.norm(rows, axis=1, keepdims=True), np.ones(len(rows))]
    exact = leave_out_exactly(variant, ClosedFormPlan(Ridge(0.1)), features)
    penalties = np.diag(np.append(np.full(rows.shape[1], 0.1), 0))
    for unit in np.unique(copies)[::20]:
        own = design[copies != unit]
        wanted = np.eye(variant.num_classes)[variant.labels[copies != unit]]
        weights = np.linalg.solve(own.T @ own + penalties, own.T @ wanted)
        out = np.flatnonzero(copies == unit)
        expected = (design[out] @ weights)[np.arange(len(out)), variant.labels[out]]
        np.testing.assert_allclose(exact.answers["answer_out"][out], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("balanced", [True, False])
def test_subsets_are_those_of_networks_and_each_is_a_refit(
    source: Source, variant: Variant, tmp_path: Path, *, balanced: bool
) -> None:
    """Predictions and margins of every model; the estimate counts them as it counts networks'."""
    plan = ClosedFormPlan(Ridge(0.1), estimand="subsets", balanced=balanced)
    features = features_of(source)
    done = memorize(source, variant, plan, tmp_path, models=60, features=features, seed=3)
    pool = read_pool(done.path, variant)
    assert pool.learner == plan.learner == done.memorization.learner
    for included, predictions, margins in list(zip(pool.included, pool.predictions, pool.margins, strict=True))[::7]:
        expected = answers(features, variant.labels, included, 0.1)
        assert np.array_equal(expected.argmax(1), predictions)
        given = expected[np.arange(N), variant.labels]
        expected[np.arange(N), variant.labels] = -np.inf
        np.testing.assert_allclose(margins, given - expected.max(1), rtol=1e-3, atol=1e-3)  # float16
    assert np.array_equal(done.memorization.values, estimate_memorization(pool, variant).values)
    assert (done.memorization.stderr > 0).all()
    whole = np.mean([answers(features, variant.labels, row, 0.1)[0] for row in pool.included if not row[0]], axis=0)
    np.testing.assert_allclose(pool.held_out[0], whole, rtol=1e-5)
    drawn = subsets(range(60), N, 0.7, seed=0, balanced=balanced).sum(1)
    assert np.array_equal(np.sort(pool.included.sum(1)), np.sort(drawn))


def test_killed_and_said_again_it_gives_the_same_bytes(source: Source, variant: Variant, tmp_path: Path) -> None:
    """A block that is there is not solved again, a lost or damaged one is; what is whole stays as it is."""
    plan, features = ClosedFormPlan(KernelRidge(), estimand="subsets"), features_of(source)
    done = memorize(source, variant, plan, tmp_path, models=70, features=features)
    names = ("block-0000.npz", "block-0001-of-20.npz", "memorization.parquet")
    first = {name: (done.path / name).read_bytes() for name in names}
    (done.path / names[1]).write_bytes(first[names[1]][:-50])
    (done.path / names[2]).unlink()
    stands = (done.path / names[0]).stat().st_mtime_ns
    again = memorize(source, variant, plan, tmp_path, models=70, features=features)
    assert {name: (again.path / name).read_bytes() for name in names} == first
    assert (done.path / names[0]).stat().st_mtime_ns == stands
    exact = ClosedFormPlan(KernelRidge())
    one = memorize(source, variant, exact, tmp_path, features=features).path / "memorization.parquet"
    before, stands = one.read_bytes(), one.stat().st_mtime_ns
    memorize(source, variant, exact, tmp_path, features=features)
    assert one.stat().st_mtime_ns == stands
    one.write_bytes(before[:-20])
    memorize(source, variant, exact, tmp_path, features=features)
    assert one.read_bytes() == before
    with pytest.raises(BadData, match="other features that are called 'input'"):
        memorize(source, variant, exact, tmp_path, features=features + 1)
    with pytest.raises(BadData, match="with another seed"):
        memorize(source, variant, plan, tmp_path, models=70, features=features, seed=1)
    list(verify(tmp_path))


@pytest.mark.parametrize("estimand", ["leave_one_out", "leave_one_out_margin"])
def test_the_file_says_what_it_is_and_holds_no_counts(
    source: Source, variant: Variant, tmp_path: Path, estimand: Estimand
) -> None:
    """Neither models in and out nor a standard error; setup, estimand and where defaults were chosen are on record."""
    plan = ClosedFormPlan(KernelRidgeNystrom(landmarks=30, width=0.6), "pca", estimand)
    done = memorize(source, variant, plan, tmp_path, features=features_of(source))
    file = done.path / "memorization.parquet"
    assert done.path.name.startswith(f"kernel_ridge_nystrom-{estimand}-pca-truth-")
    assert not {"stderr", "n_in", "n_out"} & {*column_names(file)}
    assert {*ANSWERS} <= {*column_names(file)}
    told = read_metadata(file)
    assert json.loads(told["learner"])["estimand"] == estimand
    setup = json.loads(told["setup"])
    assert setup["options"] == {"penalty": 0.3, "width": 0.6, "landmarks": 30, "landmark_seed": 0}
    assert setup["chosen"] == {"penalty": CHOSEN_ON, "width": "given"}
    words = "leave-one-out" + (" margin" if estimand.endswith("margin") else "")
    assert "landmarks=30,penalty=0.3,width=0.6), closed form (" in done.memorization.learner.name
    assert done.memorization.learner.name.endswith(f"), {words}, on pca")
    assert repr(done.memorization).startswith(f"Memorization({N} samples: kernel_ridge_nystrom")
    found = read_memorization(file)
    assert found.models == 0
    assert not found.n_in.any()
    assert not found.stderr.any()
    assert found.learner == plan.learner
    assert "follows from its answers" in verify_memorization(file)


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("memorization", 0.5, "memorization is not p_in - p_out"),
        ("answer_in", 0.1, r"answer_in is not answer_out \+ leverage"),
        ("leverage", -2.0, "leverage is not between 0 and 1"),
        ("clean_damage", 1.0, "'clean_damage' of right labels is not p_out - p_in"),
        ("margin", np.nan, r"margin\[3\] = nan with memorization"),
    ],
)
def test_a_changed_file_is_told(
    source: Source, variant: Variant, tmp_path: Path, column: str, change: float, message: str
) -> None:
    """Each column follows from others, and the folder from the setup."""
    path = memorize(source, variant, ClosedFormPlan(), tmp_path, features=features_of(source)).path
    columns, metadata = read_columns(path / "memorization.parquet")
    changed = {name: values.copy() for name, values in columns.items()}
    right = np.flatnonzero(variant.clean == variant.labels)[0] if column == "clean_damage" else 3
    changed[column][right] += change
    write_columns(changed, path / "memorization.parquet", metadata=metadata)
    with pytest.raises(BadData, match=message):
        verify_memorization(path / "memorization.parquet")
    setup = json.loads(metadata["setup"]) | {"options": {"penalty": 1.0}}
    write_columns(columns, path / "memorization.parquet", metadata=metadata | {"setup": json.dumps(setup)})
    with pytest.raises(Mismatch, match="its setup is of another"):
        verify_memorization(path / "memorization.parquet")
    write_columns(columns, path / "memorization.parquet", metadata=metadata)
    with pytest.raises(Mismatch, match="renamed, or is a copy"):
        verify_memorization(path.rename(path.parent / "other") / "memorization.parquet")


def test_what_cannot_be_solved_is_refused(source: Source, variant: Variant, tmp_path: Path) -> None:
    """In a sentence each: features, penalties, sizes, and labels of one class."""
    features = features_of(source)
    broken = features.copy()
    broken[7, 1] = np.nan
    with pytest.raises(BadData, match=r"features\[7\] holds a value that is not finite"):
        memorize(source, variant, ClosedFormPlan(), tmp_path, features=broken)
    with pytest.raises(BadData, match="features must be floats of shape"):
        memorize(source, variant, ClosedFormPlan(), tmp_path, features=features[:5])
    with pytest.raises(BadUsage, match="penalty must be a number at least 1e-06"):
        memorize(source, variant, ClosedFormPlan(Ridge(0.0)), tmp_path, features=features)
    with pytest.raises(BadUsage, match="ridge regression needs features"):
        memorize(source, variant, ClosedFormPlan(), tmp_path)
    with pytest.raises(UnknownName, match="no model in closed form is called 'rigde'; did you mean 'ridge'"):
        plan_closed_form(source, model="rigde")
    with pytest.raises(BadUsage, match="landmarks must be at most 8192, got 9000"):
        plan_closed_form(source, model="kernel_ridge_nystrom", options={"landmarks": "9000"})
    with pytest.raises(BadUsage, match="estimand must be one of subsets, leave_one_out"):
        ClosedFormPlan(estimand="loo")  # type: ignore[arg-type]
    many = replace(
        source,
        inputs=np.zeros((10_001, 1), np.float32),
        labels=np.zeros(10_001, np.int64),
        clean=np.zeros(10_001, np.int64),
    )
    with pytest.raises(BadUsage, match="at most 10000 samples; its Nyström approximation"):
        plan_closed_form(many, model="kernel_ridge")
    alike = source_from_arrays("alike", features, np.zeros(N, np.int64), class_names=["a", "b"])
    with pytest.raises(BadData, match="all 90 labels are class 0"):
        memorize(
            alike, build_variant(alike, find("noises", "as_found")()), ClosedFormPlan(), tmp_path, features=features
        )
    assert not list(tmp_path.glob("**/memorization.parquet"))


def test_old_learners_are_written_as_they_were(source: Source, variant: Variant) -> None:
    """A field that came later stands in no file at its default, and a plan's models are those that are told apart."""
    plan = ClosedFormPlan(estimand="subsets")
    assert "estimand" not in plan.learner.as_json()
    hows: tuple[Solved, ...] = (Ridge(), KernelRidge(), KernelRidgeNystrom())
    assert tuple(ClosedFormPlan(how).model for how in hows) == CLOSED_FORM_MODELS
    assert ClosedFormPlan(Ridge(3)).folder() == ClosedFormPlan(Ridge(3.0)).folder()
    assert ClosedFormPlan(Ridge(3)).folder(seed=1) == ClosedFormPlan().folder()
    assert plan.folder(seed=1) != plan.folder()
