"""Refits of ridge regression in closed form: what it answers when samples are left out, exactly, from one decomposition.

One-hot labels are regressed on features, or on a kernel of them, with a bias that is not penalised. What the samples are
mapped to (their centre, their length, the kernel, the landmarks) and the penalty are fixed beforehand and stay as they are
when a sample is left out; the weights and the bias are fitted again. No centre of the features matters then, because the
bias takes it up.

With H = Z (ZᵀZ + λI)⁻¹ Zᵀ + 11ᵀ/n of centred Z and residuals R = I - H, a sample that is left out is answered
y_i - (RY)_i / r_ii, and samples T that are left out together Y_T - R_TT⁻¹ (RY)_T: a block of the inverse is downdated. What
the others are answered without T follows: replace Y_T by those answers, and H gives the refit on all samples.

Source: Allen 1974, doi:10.1080/00401706.1974.10489157 (one left out), and the Woodbury identity (a block);
    Saunders et al. 1998, ICML (kernel ridge regression); Williams and Seeger 2001, NeurIPS (Nyström).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.checks import check_room, number
from noisybench.ground.errors import BadUsage
from noisybench.statistics.grouping import group_batches
from noisybench.statistics.ridge import answers_left_out, class_sums
from noisybench.statistics.spectrum import BLOCK, spectrum

MOST_EXACT = 10_000
"""Samples of the largest kernel matrix that is inverted: 0.8 GB."""
LEAST_PENALTY = 1e-6
"""Smallest penalty, rows being of length one: below it float64 keeps few digits of what 10,000 samples answer."""
FLAT_PART = 1e-12
"""Part of the largest eigenvalue of the landmarks' kernel from which one counts as more than rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class RidgeFit:
    """A fit by coordinates: few numbers a sample.

    Attributes:
        coordinates: Along the principal axes of the centred values, and 1 for the bias, shape (n, r).
        penalised: Their sums of squares, with the penalty but for the bias, shape (r,).
        penalty: λ.
    """

    coordinates: Floats
    penalised: Floats
    penalty: float


@dataclass(frozen=True, slots=True, eq=False)
class KernelFit:
    """A fit by a kernel: a number for each two samples.

    Attributes:
        residuals: R, which takes labels to what the fit leaves of them, shape (n, n).
    """

    residuals: Floats


Fit = RidgeFit | KernelFit


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Answers with and without each sample.

    Attributes:
        fitted: Of the fit on all samples, shape (n, k).
        answers: Of the fit without the sample, or without its whole group, shape (n, k).
        leverage: Weight h of a sample's own label in its fitted answer, in (0, 1), shape (n,).
    """

    fitted: Floats
    answers: Floats
    leverage: Floats


def fit_ridge(values: Floats, penalty: float) -> RidgeFit:
    """Ridge regression on values of shape (n, d), which are overwritten.

    Raises:
        BadUsage: The penalty is too small, or there are more than ``spectrum.MOST_SIDE`` samples and features.
    """
    penalty = check_penalty(penalty)
    n = len(values)
    values -= values.mean(axis=0)
    coordinates, squares = spectrum(values)
    whole = np.ones((n, coordinates.shape[1] + 1))
    whole[:, :-1] = coordinates
    return RidgeFit(whole, np.append(squares + penalty, n), penalty)


def fit_kernel_ridge(values: Floats, penalty: float, width: float | None) -> KernelFit:
    """Kernel ridge regression on values of shape (n, d).

    Args:
        values: One row a sample.
        penalty: λ.
        width: Of the Gaussian kernel exp(-‖u - v‖² / (2 width²)); None takes the linear kernel uᵀv.

    Raises:
        BadUsage: The penalty is too small, the width is none, or there are more than ``MOST_EXACT`` samples.
    """
    from scipy.linalg import lapack

    penalty = check_penalty(penalty)
    n = len(values)
    check_exact(n)
    inverse = kernel(values, values, width)
    inverse -= inverse.mean(axis=0)
    inverse -= inverse.mean(axis=1)[:, None]
    inverse[np.diag_indices(n)] += penalty
    # In place: the transpose of a symmetric matrix is what LAPACK reads by columns.
    factor, failed = lapack.dpotrf(inverse.T, lower=0, overwrite_a=1, clean=0)
    found, failed_too = (factor, failed) if failed else lapack.dpotri(factor, lower=0, overwrite_c=1)
    if failed or failed_too:
        msg = f"a penalty of {penalty:g} is too small for {n} samples in float64: the kernel cannot be inverted; take a larger one"
        raise BadUsage(msg)
    residuals: Floats = found.T
    _mirror(residuals)
    residuals *= penalty
    residuals -= 1 / n
    return KernelFit(residuals)


def fit_nystrom(values: Floats, penalty: float, width: float | None, landmarks: Labels) -> RidgeFit:
    """Nyström's approximation of kernel ridge regression, on values of shape (n, d).

    A sample is described by the kernel's values at the landmarks, whitened: K_nm K_mm^(-1/2). With every sample a landmark it
    is kernel ridge regression itself. Landmarks bring no label, and stay where a sample is left out that is one.

    Args:
        values: One row a sample.
        penalty: λ.
        width: See ``fit_kernel_ridge``.
        landmarks: Rows of the landmarks, shape (m,).
    """
    penalty = check_penalty(penalty)
    chosen = values[landmarks]
    squares, axes = np.linalg.eigh(kernel(chosen, chosen, width))
    kept = squares > FLAT_PART * squares[-1]
    whitened = axes[:, kept] / np.sqrt(squares[kept])
    n, r = len(values), whitened.shape[1]
    described = np.empty((n, r))
    step = max(1, BLOCK // len(landmarks))
    for start in range(0, n, step):
        described[start : start + step] = kernel(values[start : start + step], chosen, width) @ whitened
    return fit_ridge(described, penalty)


def kernel(left: Floats, right: Floats, width: float | None) -> Floats:
    """Kernel of each two rows: (n, d), (m, d) → (n, m); Gaussian of a width, or linear where that is None."""
    found: Floats = left @ right.T
    width = check_width(width)
    if width is None:
        return found
    found *= 2
    found -= np.einsum("ij,ij->i", left, left)[:, None]
    found -= np.einsum("ij,ij->i", right, right)
    found /= 2 * width**2
    np.minimum(found, 0, out=found)
    return np.exp(found, out=found)


def leave_out_each(fit: Fit, labels: Labels, k: int, groups: Labels | None = None) -> LeftOut:
    """Answers with and without each sample, or with and without its whole group.

    Args:
        fit: Of n samples.
        labels: Given labels, shape (n,).
        k: Columns of the answers.
        groups: Number of each sample's group, from 0, at least two of them, shape (n,); None leaves out each sample alone.
    """
    n = len(labels)
    check_room(
        n, 2 * k, "an answer of ridge regression for each class, with the sample and without", "take fewer samples"
    )
    fitted, answers, leverage = np.empty((n, k)), np.empty((n, k)), np.empty(n)
    if isinstance(fit, RidgeFit):
        sums = class_sums(fit.coordinates, labels, k)
        for members in group_batches(groups, n, most=BLOCK // (len(sums) + k)):
            own, flat = fit.coordinates[members], members.reshape(-1)
            fitted[flat] = (own.reshape(-1, len(sums)) / fit.penalised) @ sums
            left, weights = answers_left_out(own, labels[members], fit.penalised, sums)
            answers[flat], leverage[flat] = left.reshape(-1, k), weights.reshape(-1)
        return LeftOut(fitted, answers, leverage)
    errors = class_sums(fit.residuals, labels, k)
    wanted = coded(labels, k)
    np.subtract(wanted, errors, out=fitted)
    np.subtract(1, fit.residuals.diagonal(), out=leverage)
    largest = 1 if groups is None else int(np.bincount(groups).max())
    for members in group_batches(groups, n, most=max(1, BLOCK // largest)):
        own = fit.residuals[members[:, :, None], members[:, None, :]]
        answers[members] = wanted[members] - np.linalg.solve(own, errors[members])
    return LeftOut(fitted, answers, leverage)


def refits(fit: Fit, labels: Labels, k: int) -> Callable[[Bools], Floats]:
    """A function that gives the answers of all samples by a refit on some of them: (n,) → (n, k).

    Args:
        fit: Of n samples, whose map and penalty the refits share.
        labels: Given labels, shape (n,).
        k: Columns of the answers.
    """
    check_room(len(labels), k, "an answer of ridge regression for each class", "take fewer samples")
    if isinstance(fit, RidgeFit):
        sums = class_sums(fit.coordinates, labels, k)
        return lambda included: _by_coordinates(fit, labels, sums, included)
    errors = class_sums(fit.residuals, labels, k)
    return lambda included: _by_kernel(fit.residuals, labels, errors, included)


def _by_coordinates(fit: RidgeFit, labels: Labels, sums: Floats, included: Bools) -> Floats:
    """The refit by whichever system is smallest: of those left out, of the coordinates less theirs, or of those included."""
    z, (r, k) = fit.coordinates, sums.shape
    out = np.flatnonzero(~included)
    if len(out) < r:
        own = z[out]
        left, _ = answers_left_out(own[None], labels[out][None], fit.penalised, sums)
        moved = sums + own.T @ (left[0] - coded(labels[out], k))
        weights = moved / fit.penalised[:, None]
    elif len(out) <= len(z) - len(out):
        weights = np.linalg.solve(np.diag(fit.penalised) - _gram(z, out), sums - class_sums(z[out], labels[out], k))
    else:
        chosen = np.flatnonzero(included)
        system = _gram(z, chosen)
        system[np.diag_indices(r - 1)] += fit.penalty
        weights = np.linalg.solve(system, class_sums(z[chosen], labels[chosen], k))
    answers: Floats = z @ weights
    return answers


def _gram(z: Floats, rows: Labels) -> Floats:
    """Sum of the outer products of some rows, a block of them at a time: (n, r) → (r, r)."""
    r = z.shape[1]
    found = np.zeros((r, r))
    step = max(1, BLOCK // r)
    for start in range(0, len(rows), step):
        own = z[rows[start : start + step]]
        found += own.T @ own
    return found


def _by_kernel(residuals: Floats, labels: Labels, errors: Floats, included: Bools) -> Floats:
    """The refit by the block of those left out."""
    out = np.flatnonzero(~included)
    rows = residuals[out]
    moved = np.linalg.solve(rows[:, out], errors[out])
    answers: Floats = coded(labels, errors.shape[1]) - errors
    answers += rows.T @ moved
    answers[out] -= moved
    return answers


def coded(labels: Labels, k: int) -> Floats:
    """1 at each label's class: (n,) → (n, k)."""
    found = np.zeros((len(labels), k))
    found[np.arange(len(labels)), labels] = 1
    return found


def check_exact(n: int) -> None:
    """Raise ``BadUsage`` for more samples than ``MOST_EXACT``."""
    if n > MOST_EXACT:
        msg = (
            f"exact kernel ridge regression inverts a matrix of {n} × {n}, and takes at most {MOST_EXACT} samples; its "
            f"Nyström approximation is model kernel_ridge_nystrom"
        )
        raise BadUsage(msg)


def check_penalty(penalty: float) -> float:
    """A penalty as a float.

    Raises:
        BadUsage: It is no number of at least ``LEAST_PENALTY``.
    """
    return number(penalty, "penalty", least=LEAST_PENALTY)


def check_width(width: float | None) -> float | None:
    """The width of a Gaussian kernel as a float, or None of the linear one.

    Raises:
        BadUsage: It is neither.
    """
    return None if width is None else number(width, "width", least=0, without=0)


def _mirror(square: Floats) -> None:
    """Fill the upper triangle from the lower one, a block of rows at a time: (n, n)."""
    n = len(square)
    step = max(1, BLOCK // n)
    for start in range(0, n, step):
        stop = min(n, start + step)
        own = np.tril(square[start:stop, start:stop])
        square[start:stop, start:stop] = own + np.tril(own, -1).T
        square[start:stop, stop:] = square[stop:, start:stop].T
