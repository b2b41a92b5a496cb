"""Ridge regression left out in closed form, against systems that are solved anew without the samples.

The references are normal equations with a column of ones that is not penalised, and the dense system of a kernel with a
bias. What the rows are (their centre, their length, the kernel, the landmarks) is the same in every refit.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.ground.errors import BadUsage
from noisybench.statistics import refits as module
from noisybench.statistics.refits import (
    Fit,
    RidgeFit,
    fit_kernel_ridge,
    fit_nystrom,
    fit_ridge,
    kernel,
    leave_out_each,
    refits,
)
from noisybench.statistics.spectrum import centred_units

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Bools = NDArray[np.bool_]
K, WIDTH = 4, 0.7
SHAPES = {"more samples": (60, 7), "more features": (30, 80), "as many": (40, 41)}
KINDS = ("ridge", "linear kernel", "kernel", "nystrom")


def drawn(n: int, d: int) -> tuple[Floats, Labels]:
    """Rows of length one whose mean is not 0, two of them alike, and labels of which one class has one sample."""
    rng = np.random.default_rng(n + d)
    values, labels = rng.normal(3, 2, size=(n, d)), rng.integers(0, K - 1, n)
    values[1], labels[2] = values[0], K - 1
    return centred_units(values, n), labels


def fitted(kind: str, units: Floats, penalty: float) -> Fit:
    if kind == "ridge":
        return fit_ridge(units.copy(), penalty)
    if kind == "nystrom":
        return fit_nystrom(units, penalty, WIDTH, np.random.default_rng(0).permutation(len(units)))
    return fit_kernel_ridge(units, penalty, WIDTH if kind == "kernel" else None)


def refitted(kind: str, units: Floats, labels: Labels, included: Bools, penalty: float) -> Floats:
    """Answers of all samples by a system that is solved for the included ones alone."""
    wanted = np.eye(K)[labels]
    if kind in ("ridge", "linear kernel"):
        design = np.c_[units, np.ones(len(units))]
        penalties = np.diag(np.append(np.full(units.shape[1], penalty), 0))
        own = design[included]
        return design @ np.linalg.solve(own.T @ own + penalties, own.T @ wanted[included])
    squared = ((units[:, None] - units[None]) ** 2).sum(-1)
    dense = np.exp(-squared / (2 * WIDTH**2))
    m = int(included.sum())
    system = np.zeros((m + 1, m + 1))
    system[:m, :m] = dense[np.ix_(included, included)] + penalty * np.eye(m)
    system[m, :m] = system[:m, m] = 1
    found = np.linalg.solve(system, np.r_[wanted[included], np.zeros((1, K))])
    return dense[:, included] @ found[:m] + found[m]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_sample_left_out_is_a_refit(
    shape: str, kind: str, *, grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 1e-9, also of groups, some larger than the number of features, and whatever the size of a block."""
    n, d = SHAPES[shape]
    units, labels = drawn(n, d)
    alone = np.arange(n)
    groups = np.unique(np.maximum(alone - n // 3, 0) // 2, return_inverse=True)[1] if grouped else None
    monkeypatch.setattr(module, "BLOCK", 200)
    for penalty in (0.01, 3.0):
        found = leave_out_each(fitted(kind, units, penalty), labels, K, groups)
        expected = np.empty((n, K))
        for group in np.unique(alone if groups is None else groups):
            out = (alone if groups is None else groups) == group
            expected[out] = refitted(kind, units, labels, ~out, penalty)[out]
        np.testing.assert_allclose(found.answers, expected, rtol=0, atol=1e-9)
        whole = refitted(kind, units, labels, np.ones(n, dtype=bool), penalty)
        np.testing.assert_allclose(found.fitted, whole, rtol=0, atol=1e-9)
        if not grouped:
            given = alone, labels
            margin = found.leverage * (1 - expected[given])
            np.testing.assert_allclose(found.fitted[given] - expected[given], margin, rtol=0, atol=1e-9)
            assert found.leverage.min() > 0
            assert found.leverage.max() < 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_subset_by_its_block_is_a_refit(shape: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-9 of every sample, in the subset or not, whether few are left out, or most."""
    n, d = SHAPES[shape]
    units, labels = drawn(n, d)
    monkeypatch.setattr(module, "BLOCK", 200)
    rng = np.random.default_rng(0)
    for penalty in (0.01, 3.0):
        refit = refits(fitted(kind, units, penalty), labels, K)
        for share in (0.05, 0.3, 0.6, 0.9):
            included = rng.random(n) >= share
            expected = refitted(kind, units, labels, included, penalty)
            np.testing.assert_allclose(refit(included), expected, rtol=0, atol=1e-9)


def test_the_three_ways_to_solve_a_subset_are_all_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """By those left out, by the coordinates less theirs, and by those included."""
    units, labels = drawn(60, 7)
    fit = fit_ridge(units.copy(), 1.0)
    assert isinstance(fit, RidgeFit)
    taken: list[int] = []
    gram = module._gram

    def counted(z: Floats, rows: Labels) -> Floats:
        taken.append(len(rows))
        return gram(z, rows)

    monkeypatch.setattr(module, "_gram", counted)
    refit = refits(fit, labels, K)
    for out in (3, 20, 50):
        refit(np.arange(60) >= out)
    assert taken == [20, 10]


def test_nystrom_is_no_more_than_its_landmarks_and_bounded_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With all landmarks it is exact, which the tests above hold; with few it has as many coordinates, and is not."""
    units, labels = drawn(60, 7)
    exact = leave_out_each(fit_kernel_ridge(units, 0.3, WIDTH), labels, K).answers
    few = fit_nystrom(units, 0.3, WIDTH, np.arange(2, 12))
    assert few.coordinates.shape == (60, 11)
    coarse = leave_out_each(few, labels, K).answers
    half = leave_out_each(fit_nystrom(units, 0.3, WIDTH, np.arange(2, 42)), labels, K).answers
    assert np.abs(coarse - exact).mean() > np.abs(half - exact).mean() > 1e-4
    monkeypatch.setattr(module, "BLOCK", 30)
    again = leave_out_each(fit_nystrom(units, 0.3, WIDTH, np.arange(2, 12)), labels, K).answers
    np.testing.assert_allclose(again, coarse, rtol=0, atol=1e-12)
    mirrored = fit_kernel_ridge(units, 0.3, WIDTH).residuals
    np.testing.assert_allclose(mirrored, mirrored.T, rtol=0, atol=1e-15)


def test_what_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Penalties and widths that are not above 0, and more samples than are inverted exactly."""
    units, _ = drawn(60, 7)
    for penalty in (0, -1, float("nan"), "x"):
        with pytest.raises(BadUsage, match="penalty must be a number at least 1e-06 and finite"):
            fit_ridge(units.copy(), penalty)  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match="width must be a number more than 0"):
        kernel(units, units, 0.0)
    monkeypatch.setattr(module, "LEAST_PENALTY", -2)
    with pytest.raises(BadUsage, match="too small for 60 samples"):
        fit_kernel_ridge(units, -1, WIDTH)
    monkeypatch.setattr(module, "MOST_EXACT", 59)
    with pytest.raises(BadUsage, match="matrix of 60 × 60, and takes at most 59 samples.*kernel_ridge_nystrom"):
        fit_kernel_ridge(units, 1.0, WIDTH)
