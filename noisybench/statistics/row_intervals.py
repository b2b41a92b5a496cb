"""The 95 % interval of a mean of metrics over label columns, from the parts of its variance.

Near a bound of a metric, and with few wrong labels, samples show too little spread, or none: an AUROC of 1 has no variance
by DeLong. So the ends of the interval are the values that one of two tests does not reject: Student's, by the variance that was
measured, and a score test, by the variance that a law gives under the value, beside what seeds do. Measured in
``tests/benchmarks/coverage.py``.

Source: Newcombe 2006, doi:10.1002/sim.2324 (AUROC, his method 5); Wilson 1927, doi:10.1080/01621459.1927.10502953 (shares).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.statistics.column_means import LEVEL, student
from noisybench.statistics.crossed import SampleParts, VariancePart, Variances, of_means
from noisybench.statistics.intervals import auroc_law

Law: TypeAlias = Callable[[float, Floats, Floats], Floats]
"""Value, wrong and right labels of each label column, (c,) → variance of the metric under the value, (c,)."""


def _share_law(percent: float | None, value: float, wrong: Floats, right: Floats) -> Floats:
    """Variance of a share of the ``percent`` % most suspicious samples, or of the wrong labels."""
    return value * (1 - value) / (wrong if percent is None else np.maximum(1, (wrong + right) * percent / 100))


LAWS: Mapping[str, Law] = {
    "auroc": auroc_law,
    "auroc_within_class": auroc_law,
    "average_precision": partial(_share_law, None),
    "suggestion_accuracy": partial(_share_law, None),
    "false_negative_rate": partial(_share_law, None),
    "precision_at_true_count": partial(_share_law, None),
    **{f"precision_at_{percent}": partial(_share_law, percent) for percent in (1, 5, 10)},
}
"""Laws by metric."""


def row_intervals(
    means: Floats,
    parts: Sequence[VariancePart],
    samples: SampleParts | None,
    law: Law | None,
    bounds: tuple[float, float],
) -> list[tuple[float, float]]:
    """Ends of the interval of each of p means.

    Args:
        means: Shape (p,).
        parts: Of their covariance, at least one.
        samples: What samples do to them; None where that is not known.
        law: Of the metric; None where there is none.
        bounds: Least and greatest value there can be.
    """
    total, freedom = of_means(parts)
    reach = student(freedom, LEVEL) * np.sqrt(total)
    seeds = [part for part in parts if part.of == "seeds"]
    by_seed = of_means(seeds) if seeds else Variances(np.zeros_like(total), np.ones_like(total))
    if samples is None or law is None:
        return [_ends(value, partial(_alike, one), bounds) for value, one in zip(means.tolist(), reach, strict=True)]
    reaches = (
        partial(_reach, mean=value, measured=one, by_seed=Variances(*seeded), samples=samples, law=law)
        for value, one, *seeded in zip(means.tolist(), reach, *by_seed, strict=True)
    )
    return [_ends(value, one, bounds) for value, one in zip(means.tolist(), reaches, strict=True)]


def _alike(measured: float, _: float) -> float:
    """A reach that is the same at every value."""
    return measured


def _reach(value: float, *, mean: float, measured: float, by_seed: Variances, samples: SampleParts, law: Law) -> float:
    """How far from a value a mean may lie: by what was measured, or by the law under the value where that is more.

    What was measured is drawn out from the mean to the value like θ (1 − θ) where that is more, as in ``auroc_interval``,
    so that the interval of a row of one run holds that of the run.
    """
    drawn_out = max(value * (1 - value) / (mean * (1 - mean)), 1.0) if 0 < mean < 1 else 1.0
    by_law = float(samples.weights**2 @ law(value, samples.wrong, samples.right))
    of_seeds = float(by_seed.variance) * drawn_out
    together = by_law + of_seeds
    measured = measured * drawn_out**0.5
    if not together > 0:
        return measured
    freedom = by_seed.freedom * (together / of_seeds) ** 2 if of_seeds > 0 else np.inf
    return max(measured, float(student(freedom, LEVEL) * np.sqrt(together)))


def _ends(value: float, reach: Callable[[float], float], bounds: tuple[float, float]) -> tuple[float, float]:
    """The least and the greatest value within bounds that is not rejected."""
    ends = []
    for bound, sign in zip(bounds, (-1, 1), strict=True):
        inner, outer = value, bound
        if not np.isfinite(outer):
            outer = value + sign * reach(value)
        if (outer - value) * sign <= reach(outer):
            ends.append(outer)
            continue
        for _ in range(40):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if (middle - value) * sign <= reach(middle) else (inner, middle)
        ends.append(inner)
    return ends[0], ends[1]
