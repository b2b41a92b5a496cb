"""How far a measurement of memorization can be trusted: split half, reliability, summary."""

import math
from dataclasses import dataclass

import numpy as np

from noisybench.ground.arrays import Bools
from noisybench.memorization.estimate import Memorization, check_same, estimate_from, mean_of
from noisybench.memorization.pool import Pool
from noisybench.variants.variant import Variant


@dataclass(frozen=True, slots=True)
class SplitHalf:
    """How well two halves of a pool agree on memorization.

    Attributes:
        correlation: Pearson's, of the two halves' values; NaN where there is none.
        corrected: What two pools of the full size would be expected to have (Spearman and Brown: 2 r / (1 + r)).
    """

    correlation: float
    corrected: float


def split_half(pool: Pool, variant: Variant) -> SplitHalf:
    """Correlation between the memorization from every second group of models and that from the others.

    Groups and not models are split, because the models of a balanced group depend on each other.

    Raises:
        Mismatch: The pool is of another variant.
    """
    check_same(pool, variant)
    odd = np.unique(pool.groups, return_inverse=True)[1] % 2 == 1
    one, other = (estimate_from(pool, variant, chosen).values for chosen in (~odd, odd))
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    if len(one) < 2 or one.std() == 0 or other.std() == 0:  # noqa: PLR2004 - a correlation needs two points
        return SplitHalf(float("nan"), float("nan"))
    r = float(np.corrcoef(one, other)[0, 1])
    return SplitHalf(r, 2 * r / (1 + r) if r > -1 else float("-inf"))


def reliability(memorization: Memorization, members: Bools | None = None) -> float:
    """Share of the values' variance that is no sampling error: 1 - mean(stderr²) / var(values).

    What a score of another pool correlates with this memorization is lowered by about its square root. It is not
    positive where the samples differ by less than their errors, and NaN for fewer than three or equal ones.

    Args:
        memorization: Samples of unknown memorization are left out.
        members: Which samples, shape (n,); None takes all.
    """
    known = ~np.isnan(memorization.values)
    counted = known if members is None else known & members
    values = memorization.values[counted]
    if len(values) < 3 or values.min() == values.max():  # noqa: PLR2004 - two always lie on a line
        return float("nan")
    return float(1 - np.mean(memorization.stderr[counted] ** 2) / values.var(ddof=1))


@dataclass(frozen=True, slots=True)
class Summary:
    """A memorization estimate in a few numbers. Means over no sample are NaN.

    Attributes:
        models: Models of the pool.
        undefined: Samples that all models saw, or none.
        rms_stderr: Root of the mean squared standard error.
        largest_stderr: The largest standard error.
        split_half: Correlation of two halves of the pool, see ``split_half``.
        split_half_corrected: The same for pools of full size.
        reliability: Share of the variance that is not error, see ``reliability``.
        mislabeled_fit: Wrong labels fitted by the models that are trained on them: mean p_in of mislabeled samples. Where
            it is low, so is their memorization.
        clean_fit: Right labels fitted: the same of correctly labelled ones.
        mislabeled_memorization: Mean memorization of mislabeled samples.
        clean_memorization: Mean memorization of correctly labelled ones.
        clean_damage: Mean damage to the right label of mislabeled samples whose right label is known.
        models_per_second: Trained, all processes together; NaN where nothing was trained.
    """

    models: int
    undefined: int
    rms_stderr: float
    largest_stderr: float
    split_half: float
    split_half_corrected: float
    reliability: float
    mislabeled_fit: float
    clean_fit: float
    mislabeled_memorization: float
    clean_memorization: float
    clean_damage: float
    models_per_second: float


def summarise(
    memorization: Memorization, pool: Pool, variant: Variant, *, models_per_second: float = float("nan")
) -> Summary:
    """The numbers that say how good an estimate is and what it found.

    Raises:
        Mismatch: The three are not of one variant.
    """
    check_same(memorization, variant)
    return _summary(memorization, variant, split_half(pool, variant), models_per_second)


def _summary(memorization: Memorization, variant: Variant, halves: SplitHalf, models_per_second: float) -> Summary:
    defined = np.isfinite(memorization.values)
    errors = memorization.stderr[defined]
    wrong, right = variant.mislabeled & defined, variant.known & ~variant.mislabeled & defined
    return Summary(
        models=memorization.models,
        undefined=int((~defined).sum()),
        rms_stderr=math.sqrt(mean_of(errors**2)),
        largest_stderr=float(errors.max()) if errors.size else float("nan"),
        split_half=halves.correlation,
        split_half_corrected=halves.corrected,
        reliability=reliability(memorization),
        mislabeled_fit=mean_of(memorization.p_in[wrong]),
        clean_fit=mean_of(memorization.p_in[right]),
        mislabeled_memorization=mean_of(memorization.values[wrong]),
        clean_memorization=mean_of(memorization.values[right]),
        clean_damage=mean_of(memorization.clean_damage[wrong & variant.class_known]),
        models_per_second=models_per_second,
    )


def summarise_exact(memorization: Memorization, variant: Variant) -> Summary:
    """The same where each sample was left out exactly: there are no models, and no error.

    Raises:
        Mismatch: The two are not of one variant.
    """
    check_same(memorization, variant)
    nothing = float("nan")
    return _summary(memorization, variant, SplitHalf(nothing, nothing), nothing)
