"""Heads on features: ridge regressions on frozen features, of many label columns at once, on the random subsets of ``memorize``.

A head is the least-squares classifier of ``memorize --model ridge --estimand subsets``: one-hot labels regressed on
centred features of length one, with a bias that is not penalised. What is inverted depends on the features and on who is in
the subset, and on no label; so each subset is solved once, with a right-hand side for each class of each column.

Three estimands of a wrong label i, over heads that saw the sample (in) and heads that did not (out):

- memorization of the given label: P_in[given] - P_out[given];
- clean damage: P_out[right] - P_in[right], how much less often heads that saw the sample say the right class;
- label swap: the share of the heads in that would say the right class if only this label were put right, minus the share
  that does. It is exact: with the leverage h_ii of the sample in the subset's fit, its answers move by h_ii (e_right - e_given).

Weights and leverages are float64; answers are multiplied in float32, which is faster and can turn only what is tied to
six digits. No torch here. Source: Feldman and Zhang 2020, arXiv:2008.03703 (memorization, by subsets); clean damage
and label swap are ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Features, Floats, Floats32, Labels
from noisybench.ground.errors import BadData
from noisybench.ground.random_streams import derive
from noisybench.memorization.subsets import subsets
from noisybench.statistics.refits import fit_ridge
from noisybench.statistics.spectrum import centred_units

ANSWERS_AT_ONCE = 2**23
"""Answers of a subset that are looked at together: 32 MB."""
FLAT_PART = 1e-12
"""Part of the largest sum of squares from which a coordinate is more than rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadSpace:
    """What all heads on the same features share.

    Attributes:
        rows: Coordinates of the samples along the principal axes, and 1 for the bias, shape (n, r).
        tests: The same of test samples, by the map of the samples, shape (m, r); m is 0 where there are none.
        penalised: Sums of squares of the columns of ``rows``, with the penalty but for the bias, shape (r,).
        penalty: λ.
    """

    rows: Floats
    tests: Floats
    penalised: Floats
    penalty: float


@dataclass(frozen=True, slots=True, eq=False)
class WrongCounts:
    """What heads say of the wrong labels of each column, all of a column together: counts of shape (m, c), int64.

    Attributes:
        seen: Wrong labels in the subset of the head.
        unseen: Those that are not.
        given_in: Of those seen, how many the head gives their given label.
        given_out: The same of those unseen.
        right_in: Of those seen, how many the head gives their right class.
        right_out: The same of those unseen.
        swapped: Of those seen, how many the head would give their right class if that one label were put right.
    """

    seen: Labels
    unseen: Labels
    given_in: Labels
    given_out: Labels
    right_in: Labels
    right_out: Labels
    swapped: Labels


@dataclass(frozen=True, slots=True, eq=False)
class SampleCounts:
    """What heads say of each sample of some columns: counts over heads of shape (c, n), int64; ``heads_in`` of (n,).

    Attributes:
        heads: How many heads.
        heads_in: How many of them saw the sample.
        given_in: Of those, how many give its given label.
        given_out: The same of those that did not see it.
        right_in: How many that saw it give its right class; 0 where that is unknown.
        right_out: The same of those that did not.
        swapped: How many that saw it would give its right class with the label put right; of wrong labels, else 0.
    """

    heads: int
    heads_in: Labels
    given_in: Labels
    given_out: Labels
    right_in: Labels
    right_out: Labels
    swapped: Labels


def head_space(
    features: Features, *, penalty: float, components: int | None = None, tests: Features | None = None
) -> HeadSpace:
    """What heads on features (n, d) share, the penalty being of rows of length one.

    Args:
        features: Shape (n, d), finite.
        penalty: λ, at least ``refits.LEAST_PENALTY``.
        components: Leading principal components that are regressed on; None takes all, as ``memorize`` does.
        tests: Features of test samples, shape (m, d).

    Raises:
        BadData: They are no finite float32 of these shapes.
        BadUsage: The penalty is too small, or more samples and features than are decomposed.
    """
    n, d = features.shape
    units = centred_units(features, n)
    fit = fit_ridge(units.copy(), penalty)
    own = fit.coordinates[:, :-1]
    kept = own.shape[1] if components is None else min(components, own.shape[1])
    rows = np.ones((n, kept + 1))
    rows[:, :-1] = own[:, :kept]
    penalised = np.append(fit.penalised[:kept], n)
    if tests is None:
        return HeadSpace(rows, np.ones((0, kept + 1)), penalised, penalty)
    if tests.ndim != 2 or tests.shape[1] != d or not np.isfinite(tests).all():  # noqa: PLR2004
        msg = f"features of test samples have shape {tests.shape}, expected finite ones of shape (m, {d}), as the samples have"
        raise BadData(msg)
    squares = penalised[:-1] - penalty
    real = squares > FLAT_PART * max(squares.max(initial=0), 1e-300)
    axes = (units - units.mean(axis=0)).T @ rows[:, :-1] / np.where(real, squares, np.inf)
    asked = np.ones((len(tests), kept + 1))
    asked[:, :-1] = (_like(tests, features) - units.mean(axis=0)) @ axes
    return HeadSpace(rows, asked, penalised, penalty)


def _like(tests: Features, features: Features) -> Floats:
    """Test rows less the mean of the samples, each divided by its length, as ``centred_units`` maps the samples."""
    scale = float(np.abs(features).max()) or 1.0
    rows = tests.astype(np.float64) / scale - (features.astype(np.float64) / scale).mean(axis=0)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    rows /= np.where(lengths > 0, lengths, 1.0)[:, None]
    return rows


def head_subsets(models: range, n: int, fraction: float, *, seed: int, groups: Labels | None = None) -> Bools:
    """Who is in the subset of each head, shape (m, n): those of ``memorize --estimand subsets`` with the same seed."""
    return subsets(models, n, fraction, seed=derive(seed, "truth"), groups=groups)


def count_heads(
    space: HeadSpace, given: NDArray[Any], clean: NDArray[Any], included: Bools, k: int, *, whole: Sequence[int] = ()
) -> tuple[WrongCounts, SampleCounts]:
    """What heads on some subsets say of every column: counts of its wrong labels, and of each sample of some columns.

    Args:
        space: Of n samples.
        given: Label columns that heads are fitted to, shape (c, n).
        clean: Right classes of each column, shape (c, n); below 0 where unknown, and the label is nobody's error then.
        included: Who is in the subset of each head, shape (m, n).
        k: Classes.
        whole: Columns of which each sample is counted.
    """
    columns, n = given.shape
    heads = len(included)
    wrong = (given != clean) & (clean >= 0)
    of_wrong = {one.name: np.zeros((heads, columns), dtype=np.int64) for one in fields(WrongCounts)}
    per_sample = {name: np.zeros((len(whole), n), dtype=np.int64) for name in WANTED}
    place = {column: row for row, column in enumerate(whole)}
    base = np.where(clean[0] >= 0, clean[0], given[0]).astype(np.int64)
    sums = [_class_sums(space.rows, given[part], base, k) for part in _parts(columns, n * k)]
    single = space.rows.astype(np.float32)
    for head, chosen in enumerate(included):
        factor, leverage = _solved(space, chosen)
        of_wrong["seen"][head] = (wrong & chosen).sum(1)
        of_wrong["unseen"][head] = (wrong & ~chosen).sum(1)
        for part, total in zip(_parts(columns, n * k), sums, strict=True):
            left = _class_sums(space.rows[~chosen], given[part][:, ~chosen], base[~chosen], k)
            answers = _answers(single, factor, total - left, k)
            said = _said(answers, given[part], clean[part], wrong[part], chosen, leverage)
            for name, values in said.items():
                of_wrong[name][head, part] = (values & wrong[part]).sum(1)
                for row in range(part.start, part.stop):
                    if row in place:
                        per_sample[name][place[row]] += values[row - part.start]
    counted = SampleCounts(heads, included.sum(0).astype(np.int64), **per_sample)
    return WrongCounts(**of_wrong), counted


def head_accuracies(space: HeadSpace, given: NDArray[Any], test_labels: NDArray[Any], k: int) -> Floats:
    """Share of the test labels that a head on all samples gives, of each column: labels (c, n) and (t, m) → (t, c).

    Args:
        space: With test samples.
        given: Label columns, shape (c, n).
        test_labels: One or more versions of the test labels, shape (t, m); those below 0 are left out.
        k: Classes.
    """
    found = np.full((len(test_labels), len(given)), np.nan)
    base = given[0].astype(np.int64)
    for part in _parts(len(given), max(len(space.rows), len(space.tests)) * k):
        weights = _class_sums(space.rows, given[part], base, k) / space.penalised[:, None]
        predicted = (space.tests @ weights).reshape(len(space.tests), -1, k).argmax(2)
        for row, labels in enumerate(test_labels):
            kept = labels >= 0
            if kept.any():
                found[row, part] = (predicted[kept] == labels[kept][:, None]).mean(0)
    return found


WANTED = ("given_in", "given_out", "right_in", "right_out", "swapped")
"""Counts that are of one sample as well as of a column."""


def _parts(columns: int, answers: int) -> Iterator[slice]:
    """Slices of the columns, so many at a time that their answers fit, given how many answers one has."""
    step = max(1, ANSWERS_AT_ONCE // answers)
    for start in range(0, columns, step):
        yield slice(start, min(columns, start + step))


def _class_sums(rows: Floats, labels: NDArray[Any], base: Labels, k: int) -> Floats:
    """ZᵀY of the one-hot labels of several columns side by side: (n, r) and (c, n) → (r, c k).

    Columns are alike but for some labels: what they share is summed once, ``base`` (n,) being most of each.
    """
    from scipy.sparse import csr_array

    columns, n = labels.shape
    column, sample = np.nonzero(labels != base)
    m = sample.size
    places = k * np.tile(column, 2) + np.concatenate([labels[column, sample].astype(np.int64), base[sample]])
    moves = csr_array((np.repeat([1.0, -1.0], m), (places, np.tile(sample, 2))), shape=(columns * k, n))
    shared = csr_array((np.ones(n), base, np.arange(n + 1)), shape=(n, k)).T @ rows
    sums: Floats = np.ascontiguousarray((moves @ rows).reshape(columns, k, -1) + shared).reshape(columns * k, -1).T
    return sums


def _solved(space: HeadSpace, chosen: Bools) -> tuple[Floats, Floats]:
    """Cholesky factor of a subset's system, and the leverage of each sample in it: (r, r) and (n,), 0 of who is left out."""
    from scipy.linalg import cholesky, solve_triangular

    z = space.rows
    out = z[~chosen]
    if len(out) <= len(z) - len(out):
        system = np.diag(space.penalised) - out.T @ out
    else:
        system = z[chosen].T @ z[chosen]
        system[np.diag_indices(z.shape[1] - 1)] += space.penalty
    factor: Floats = cholesky(system, lower=True)
    leverage = np.zeros(len(z))
    leverage[chosen] = (solve_triangular(factor, z[chosen].T, lower=True) ** 2).sum(0)
    return factor, leverage


def _answers(single: Floats32, factor: Floats, sums: Floats, k: int) -> Floats32:
    """What the heads of a part of the columns answer of every sample, by the class sums of those in: (n, c, k)."""
    from scipy.linalg import cho_solve

    weights = cho_solve((factor, True), sums, check_finite=False)
    answers: Floats32 = (single @ weights.astype(np.float32)).reshape(len(single), -1, k)
    return answers


def _said(  # noqa: PLR0917 - as above
    answers: Floats32, given: NDArray[Any], clean: NDArray[Any], wrong: Bools, chosen: Bools, leverage: Floats
) -> dict[str, Bools]:
    """Where a head gives the given label and the right class, with the sample and without: name → (c, n)."""
    predicted = answers.argmax(2).T
    is_given, is_right = predicted == given, predicted == clean
    swapped = is_right & wrong & chosen
    column, sample = np.nonzero(wrong & chosen & ~is_right)
    moved = answers[sample, column]
    rows = np.arange(len(moved))
    moved[rows, clean[column, sample]] += leverage[sample]
    moved[rows, given[column, sample]] -= leverage[sample]
    swapped[column, sample] = moved.argmax(1) == clean[column, sample]
    return {
        "given_in": is_given & chosen,
        "given_out": is_given & ~chosen,
        "right_in": is_right & chosen,
        "right_out": is_right & ~chosen,
        "swapped": swapped,
    }
