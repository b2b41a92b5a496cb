"""Heads on features: held against ``memorize``'s own pool of ridge regressions, and against refits one after another.

Estimates and their errors are held against loops over heads and samples.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.data.extraction import features_of
from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData
from noisybench.ground.lookup import find
from noisybench.memorization import heads
from noisybench.memorization.closed_form import refit_subsets
from noisybench.memorization.closed_form_plan import plan_closed_form
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.heads import count_heads, head_accuracies, head_space, head_subsets
from noisybench.memorization.pool import read_pool
from noisybench.statistics.refits import fit_ridge, refits
from noisybench.statistics.spectrum import centred_units
from noisybench.studies.atlas_records import column_estimands, sample_estimands
from noisybench.variants.building import build_variant

N, K, MODELS = 160, 10, 20
SOURCE = load_source("digits", limit=N)
FEATURES = features_of(SOURCE, "input")
COLUMNS = np.stack(
    [build_variant(SOURCE, find("noises", "symmetric")(rate=rate), seed=1).labels for rate in (0.1, 0.3, 0.5)]
)
CLEAN = np.tile(SOURCE.labels, (3, 1))
INCLUDED = head_subsets(range(MODELS), N, 0.7, seed=3)


def counted(**options: Any) -> tuple[Any, Any]:  # noqa: ANN401 - of head_space
    """Counts of all three columns, each sample of all of them."""
    space = head_space(FEATURES, penalty=3.0, **options)
    return count_heads(space, COLUMNS, CLEAN, INCLUDED, K, whole=(0, 1, 2))


def test_one_column_is_the_pool_of_memorize(tmp_path: Path) -> None:
    """The same subsets, predictions and estimates as ``memorize --model ridge --estimand subsets`` of that column."""
    variant = build_variant(SOURCE, find("noises", "symmetric")(rate=0.3), seed=1)
    plan, features = plan_closed_form(SOURCE, model="ridge", estimand="subsets")
    refit_subsets(SOURCE, variant, plan, features, tmp_path, models=MODELS, seed=3)
    pool = read_pool(tmp_path, variant)
    assert np.array_equal(pool.included, INCLUDED)
    _, samples = counted()
    seen, given, right = pool.included, pool.predictions == COLUMNS[1], pool.predictions == CLEAN[1]
    assert np.array_equal(samples.heads_in, seen.sum(0))
    for name, hits in {"given": given, "right": right}.items():
        assert np.array_equal(getattr(samples, f"{name}_in")[1], (hits & seen).sum(0))
        assert np.array_equal(getattr(samples, f"{name}_out")[1], (hits & ~seen).sum(0))
    told, own = estimate_memorization(pool, variant), sample_estimands(samples, 1)
    wrong = variant.mislabeled
    for field, values in {
        "memorization": told.values,
        "memorization_se": told.stderr,
        "clean_damage": told.clean_damage,
    }.items():
        assert own[field][wrong] == pytest.approx(values[wrong])


@pytest.mark.parametrize("components", [None, 12])
def test_the_label_swap_is_a_refit_with_that_label_put_right(components: int | None) -> None:
    """Every head that saw a wrong label is fitted again with it put right, and asked about that sample."""
    fit = fit_ridge(centred_units(FEATURES, N), 3.0)
    if components is not None:
        kept = [*range(components), -1]
        fit = type(fit)(fit.coordinates[:, kept], fit.penalised[kept], fit.penalty)
    of_wrong, samples = counted(components=components)
    column = 1
    swapped = np.zeros(N, dtype=np.int64)
    for chosen in INCLUDED[:4]:
        for sample in np.flatnonzero((COLUMNS[column] != CLEAN[column]) & chosen):
            labels = COLUMNS[column].copy()
            labels[sample] = CLEAN[column, sample]
            swapped[sample] += refits(fit, labels, K)(chosen)[sample].argmax() == CLEAN[column, sample]
    space = head_space(FEATURES, penalty=3.0, components=components)
    few, own = count_heads(space, COLUMNS, CLEAN, INCLUDED[:4], K, whole=(column,))
    assert np.array_equal(own.swapped[0], swapped)
    assert few.swapped[:, column].sum() == swapped.sum()
    assert np.array_equal(of_wrong.swapped[:4, column], few.swapped[:, column])
    assert (
        samples.swapped >= np.where(COLUMNS != CLEAN, samples.right_in, 0)
    ).all()  # none stops saying the right class


def test_columns_in_parts_are_the_columns_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many answers are looked at together; and a subset of more than half is solved as one of less is."""
    whole, samples = counted()
    monkeypatch.setattr(heads, "ANSWERS_AT_ONCE", N * K)
    parts, of_parts = counted()
    for one, other in ((whole, parts), (samples, of_parts)):
        for name in one.__dataclass_fields__:
            assert np.array_equal(getattr(one, name), getattr(other, name))
    space = head_space(FEATURES, penalty=3.0)
    rare = head_subsets(range(10), N, 0.3, seed=0)
    found, _ = count_heads(space, COLUMNS, CLEAN, rare, K)
    fit = fit_ridge(centred_units(FEATURES, N), 3.0)
    for head, chosen in enumerate(rare):
        says = refits(fit, COLUMNS[2], K)(chosen).argmax(1)
        wrong = COLUMNS[2] != CLEAN[2]
        assert found.given_in[head, 2] == ((says == COLUMNS[2]) & wrong & chosen).sum()
        assert found.right_out[head, 2] == ((says == CLEAN[2]) & wrong & ~chosen).sum()


def test_means_and_errors_are_those_of_loops() -> None:
    """Mean over wrong labels of each estimand, its error over heads, and the error of paired differences of a sample."""
    of_wrong, samples = counted()
    found = column_estimands(of_wrong)
    for column in range(3):
        wrong = np.flatnonzero(COLUMNS[column] != CLEAN[column])
        own = sample_estimands(samples, column)
        for name in ("memorization", "clean_damage", "label_swap"):
            assert found[name][column] == pytest.approx(own[name][wrong].mean())
        each = [
            of_wrong.given_in[head, column] / (INCLUDED[head, wrong].sum())
            - of_wrong.given_out[head, column] / (~INCLUDED[head, wrong]).sum()
            for head in range(MODELS)
        ]
        assert found["memorization_se"][column] == pytest.approx(np.std(each, ddof=1) / MODELS**0.5)
    sample = int(np.flatnonzero(COLUMNS[2] != CLEAN[2])[0])
    gained, n_in = samples.swapped[2, sample] - samples.right_in[2, sample], samples.heads_in[sample]
    share = (gained + 0.5) / (n_in + 1)
    assert sample_estimands(samples, 2)["label_swap_se"][sample] == pytest.approx((share * (1 - share) / n_in) ** 0.5)


def test_unknown_right_classes_are_nobodys_errors() -> None:
    """A label whose right class is unknown is fitted, and counted nowhere among the wrong ones."""
    space = head_space(FEATURES, penalty=3.0)
    clean = CLEAN.copy()
    clean[1, COLUMNS[1] != CLEAN[1]] = -1
    found, _ = count_heads(space, COLUMNS, clean, INCLUDED, K)
    whole, _ = counted()
    assert not found.seen[:, 1].any()
    assert np.array_equal(found.right_in[:, 0], whole.right_in[:, 0])
    assert np.array_equal(found.given_out[:, 2], whole.given_out[:, 2])


@pytest.mark.parametrize("components", [None, 12])
def test_accuracy_on_test_samples_is_that_of_the_regression(components: int | None) -> None:
    """Ridge regression by normal equations on rows that are mapped by hand; left-out test labels do not count."""
    tests = load_source("digits").test_inputs[:90].reshape(90, -1).astype(np.float32)
    labels = np.asarray(load_source("digits").test_labels)[:90].copy()
    units = centred_units(FEATURES, N)
    scaled = FEATURES.astype(np.float64) / np.abs(FEATURES).max()
    asked = tests / np.abs(FEATURES).max() - scaled.mean(0)
    asked /= np.linalg.norm(asked, axis=1)[:, None]
    rows, asked = units - units.mean(0), asked - units.mean(0)
    if components is not None:
        axes = np.linalg.svd(rows, full_matrices=False)[2][:components].T
        rows, asked = rows @ axes, asked @ axes
    one_hot = np.eye(K)[COLUMNS[1]]
    weights = np.linalg.solve(rows.T @ rows + 3.0 * np.eye(rows.shape[1]), rows.T @ (one_hot - one_hot.mean(0)))
    says = (asked @ weights + one_hot.mean(0)).argmax(1)
    left = np.where(np.arange(90) < 30, -1, labels)
    space = head_space(FEATURES, penalty=3.0, components=components, tests=tests)
    found = head_accuracies(space, COLUMNS, np.stack([labels, left, np.full(90, -1)]), K)
    assert found[0, 1] == pytest.approx((says == labels).mean())
    assert found[1, 1] == pytest.approx((says == labels)[30:].mean())
    assert np.isnan(found[2]).all()


def test_test_features_of_another_width_are_refused() -> None:
    with pytest.raises(
        BadData, match=r"features of test samples have shape \(5, 3\), expected finite ones of shape \(m, 64\)"
    ):
        head_space(FEATURES, penalty=3.0, tests=np.zeros((5, 3), dtype=np.float32))
