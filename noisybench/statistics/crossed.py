"""Parts of the variance of rows' means: samples, noise draws and training seeds, which are crossed.

Every detector and every seed sees the same samples, and several draws of a noise mislabel the same samples. So what one
sample does to a detector is averaged over seeds first, and all detectors are moved by a sample at once. The independent
parts of the covariance of the means of p rows:

- *Draws*: of a setting with several label columns, the covariance of the columns' means by their number. It holds the
  seeds of each column, and what samples do in one draw and not in another.
- *Seeds*: of a setting with one label column, the covariance over seeds by their number. A row without a training has no
  such part. It holds what samples do with one seed and not with another, which the samples' part holds too.
- *Samples*: Σ TᵢTᵢᵀ over samples, with Tᵢ the influence of sample i on the means, summed over all label columns of the same
  samples. Of settings with several draws only the products of different draws count, by D / (D - 1), which estimates what
  samples do in every draw alike; what is left of them is at least 0.

So the sum is right on average, or too large.

Of a difference of two rows, three seeds or draws tell the variance badly: where it is small by chance, samples seem to be
all there is, and Satterthwaite's degrees of freedom are many. Compared in 231 pairs at once, 22 equal rows whose seeds vary
as much as samples do, twice or five times as much, showed a false difference in 11, 43 and 85 % of simulated tables. So the
part of draws or seeds in a difference is at least the mean part of all pairs, in proportion to what samples do to the pair:
0, 0 and 0 % then, and at most 3 % where rows differ tenfold in how much seeds move them. To pool all pairs, as readers are
pooled by Obuchowski and Rockette, showed one in 7, 17 and 18 %, and in 34 to 44 % where rows differ so.

Source: Obuchowski and Rockette 1995, doi:10.1080/03610919508813243; Gallas 2006, doi:10.1016/j.acra.2005.11.030; Hillis
2007, doi:10.1002/sim.2532 (multi-reader multi-case; seeds are readers here); DeLong et al. 1988, doi:10.2307/2531595.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats
from noisybench.statistics.column_means import Interval, LabelColumn, Setting, satterthwaite, settings_of, weakest

RowValues: TypeAlias = "Mapping[LabelColumn, Mapping[int, float]]"
"""What a row averages over: label column → training seed → finite value."""
_BLOCK = 4096  # samples that are multiplied at a time


class VariancePart(NamedTuple):
    """An independent part of the covariance of the means of p rows.

    Attributes:
        of: What varies.
        measured: Shape (p, p).
        elsewhere: What of it is not of that, or is held by another part, shape (p, p).
        freedom: Degrees of freedom of what was measured.
    """

    of: Literal["draws", "seeds", "samples"]
    measured: Floats
    elsewhere: Floats
    freedom: float


class SampleParts(NamedTuple):
    """What samples do to the means of p rows.

    Attributes:
        measured: As of ``VariancePart``.
        elsewhere: As of ``VariancePart``.
        freedom: As of ``VariancePart``.
        weights: Weight of each label column in the mean, shape (c,).
        wrong: Wrong labels of each, or clusters of them, shape (c,).
        right: Right labels of each, shape (c,).
    """

    measured: Floats
    elsewhere: Floats
    freedom: float
    weights: Floats
    wrong: Floats
    right: Floats


class SampleSums:
    """Influences of the samples of one data set, summed over its label columns; ``add`` takes these setting by setting.

    Args:
        n: Samples.
        p: Rows.
    """

    def __init__(self, n: int, p: int) -> None:
        self._all, self._setting = np.zeros((n, p), dtype=np.float32), np.zeros((n, p), dtype=np.float32)
        self.measured, self.elsewhere = np.zeros((p, p)), np.zeros((p, p))

    def add(self, influences: NDArray[np.float32], weight: float, draws: int) -> None:
        """One label column: influences averaged over seeds (n, p), its weight in the mean, and the draws of its setting."""
        self._setting += np.float32(weight) * influences
        if draws > 1:
            self.elsewhere += draws / (draws - 1) * weight**2 * products(influences)

    def close_setting(self, draws: int) -> None:
        """End a setting, whose label columns were added."""
        if draws > 1:
            self.measured += products(self._setting) / (draws - 1)
        self._all += self._setting
        self._setting[:] = 0

    def close(self) -> None:
        """End the data set, whose settings were closed."""
        self.measured += products(self._all)


def products(influences: NDArray[np.float32]) -> Floats:
    """Sums over samples of products: (n, p) → (p, p), float64."""
    p = influences.shape[1]
    total = np.zeros((p, p))
    for start in range(0, len(influences), _BLOCK):
        block = influences[start : start + _BLOCK].astype(np.float64)
        total += block.T @ block
    return total


def variance_parts(rows: Sequence[RowValues], samples: SampleParts | None) -> list[VariancePart]:
    """The parts of the covariance of the means of rows that have the same label columns."""
    parts = []
    for setting in settings_of(rows[0]):
        if len(setting.columns) > 1:
            means = np.array([[np.mean([*row[column].values()]) for row in rows] for column in setting.columns])
            parts.append(_part("draws", means, setting.weight))
        else:
            parts += _of_seeds(rows, setting)
    if samples is not None:
        parts.append(VariancePart("samples", samples.measured, samples.elsewhere, samples.freedom))
    return parts


def _of_seeds(rows: Sequence[RowValues], setting: Setting) -> list[VariancePart]:
    """What seeds do in a setting of one label column: a part for each set of seeds that rows share, others being apart."""
    column, parts = setting.columns[0], []
    for seeds, members in _by_seeds(rows, column).items():
        if len(seeds) > 1:
            values = np.zeros((len(seeds), len(rows)))
            values[:, members] = np.array([[rows[i][column][seed] for i in members] for seed in seeds])
            parts.append(_part("seeds", values, setting.weight))
    return parts


def _by_seeds(rows: Sequence[RowValues], column: LabelColumn) -> dict[tuple[int, ...], list[int]]:
    """Training seeds of a label column → which rows have these."""
    found: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(rows):
        found.setdefault(tuple(sorted(row[column])), []).append(i)
    return found


def _part(of: Literal["draws", "seeds"], values: Floats, weight: float) -> VariancePart:
    """Covariance of the mean of exchangeable values, (u, p), times a weight."""
    covariance = np.atleast_2d(np.cov(values, rowvar=False)) * weight**2 / len(values)
    return VariancePart(of, covariance, np.zeros_like(covariance), len(values) - 1.0)


class Variances(NamedTuple):
    """Variances and their degrees of freedom: of p means, both (p,), or of the differences of pairs, both (p, p)."""

    variance: Floats
    freedom: Floats


def of_means(parts: Sequence[VariancePart]) -> Variances:
    """Variance of each mean."""
    measured = np.array([np.diagonal(part.measured) for part in parts])
    return _together(parts, measured, np.array([np.diagonal(part.elsewhere) for part in parts]))


def of_differences(parts: Sequence[VariancePart]) -> Variances:
    """Variance of the difference of each two means; 0 where they never differed otherwise, but for rounding.

    Where samples are a part, that of draws or seeds is at least in proportion to it, see above.
    """
    measured = np.array([_between(part.measured) for part in parts])
    samples = sum(part for part, one in zip(measured, parts, strict=True) if one.of == "samples")
    for part, one in zip(measured, parts, strict=True):
        theirs = (part > 0) * samples
        if one.of != "samples" and np.any(theirs):
            np.maximum(part, part.sum() / theirs.sum() * theirs, out=part)
    return _together(parts, measured, np.array([_between(part.elsewhere) for part in parts]))


def _between(covariance: Floats) -> Floats:
    own = np.diagonal(covariance)
    sums = own[:, None] + own
    variance = sums - 2 * covariance
    return np.where(variance < np.maximum(1e-12 * sums, 1e-24), 0.0, variance)


def _together(parts: Sequence[VariancePart], measured: Floats, elsewhere: Floats) -> Variances:
    freedom = np.array([part.freedom for part in parts])
    return Variances(*satterthwaite(np.maximum(measured - elsewhere, 0), measured, freedom))


def coverage(row: RowValues, *, samples: bool) -> Interval:
    """What the interval of a row covers."""
    covered: Interval = weakest(
        {
            "draws" if len(setting.columns) > 1 else "seeds" if len(row[setting.columns[0]]) > 1 else "none"
            for setting in settings_of(row)
        }
    )
    if not samples:
        return covered
    with_samples: dict[Interval, Interval] = {"draws": "samples, draws", "seeds": "samples, seeds", "none": "samples"}
    return with_samples[covered]
