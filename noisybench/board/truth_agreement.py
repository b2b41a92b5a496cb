"""How far measured memorizations of the same labels agree: networks' with each other, and with what is solved in closed form."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from noisybench.board.agreement import STRATA, Stratum, stratum_members
from noisybench.board.truths import Truths, read_truths
from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.checks import as_list, check_kind
from noisybench.ground.walking import find_below, reached
from noisybench.memorization.estimate import Memorization, check_same
from noisybench.memorization.learner import Learner
from noisybench.memorization.reliability import reliability
from noisybench.statistics.memorization_metrics import Compared, pearson, spearman
from noisybench.variants.variant import Variant, check_variant


@dataclass(frozen=True, slots=True)
class TruthAgreement:
    """How far two memorizations of the same labels agree.

    Attributes:
        one: Whose memorization the first is.
        other: Whose the second is.
        stratum: Which samples were compared.
        metric: ``spearman`` or ``pearson``.
        value: The correlation; NaN where there is none.
        low: Lower end of its 95 % interval over samples.
        high: Upper end.
        null: Its mean where nothing agrees but which labels are wrong: one side is permuted among the wrong labels, among the
            right ones and among those of which nobody knows. 0 within one of them.
        reliability_one: Share of the first one's variance that is no sampling error; 1 of what is exact.
        reliability_other: The same of the second.
        corrected: The correlation divided by the root of both reliabilities, which may pass 1; NaN where one is not above 0.
            Right for Pearson's; of ranks it is near.
        n: Samples.
    """

    one: Learner
    other: Learner
    stratum: Stratum
    metric: str
    value: float
    low: float
    high: float
    null: float
    reliability_one: float
    reliability_other: float
    corrected: float
    n: int


def compare_memorizations(
    measured: Sequence[Memorization], variant: Variant, *, strata: Sequence[Stratum] = STRATA
) -> list[TruthAgreement]:
    """Each two memorizations of a variant, in each stratum, by Spearman's and Pearson's correlation.

    Args:
        measured: At least two, for a row; in the order in which they are paired.
        variant: Whose labels they are of; tells the strata apart.
        strata: Which samples are compared: ``all``, the ``clean`` and the ``mislabeled`` ones.

    Raises:
        Mismatch: One is of another variant.

    Source: Spearman 1904, doi:10.2307/1412159 (correction for attenuation).
    """
    check_variant(variant)
    mend = "memorize(…).memorization or read_memorization(path) gives one"
    measured = as_list(measured, "measured", f"give at least two memorizations; {mend}")
    for one in measured:
        check_kind(one, Memorization, "each of measured", mend)
        check_same(one, variant)
    rows = []
    for one, other in combinations(measured, 2):
        known = ~np.isnan(one.values) & ~np.isnan(other.values)
        for stratum in strata:
            members = known & stratum_members(variant, stratum)
            rows += _compared(one, other, variant, members, stratum)
    return rows


def _compared(
    one: Memorization, other: Memorization, variant: Variant, members: Bools, stratum: Stratum
) -> list[TruthAgreement]:
    """The rows of one stratum, by each metric."""
    from scipy.stats import rankdata

    x, y = one.values[members], other.values[members]
    kinds = (variant.mislabeled.astype(np.int64) + 2 * ~variant.known)[members]
    trusted = reliability(one, members), reliability(other, members)
    root = math.sqrt(trusted[0] * trusted[1]) if min(trusted) > 0 else math.nan
    rows = []
    for name, metric in (("spearman", spearman), ("pearson", pearson)):
        found = metric(Compared(x, y, math.nan, np.zeros(0)))
        sides = (rankdata(x), rankdata(y)) if name == "spearman" else (x, y)
        null = math.nan if math.isnan(found.value) else _within(*sides, kinds)
        rows.append(
            TruthAgreement(
                one.learner,
                other.learner,
                stratum,
                name,
                *found,
                null,
                *trusted,
                found.value / root,
                int(members.sum()),
            )
        )
    return rows


def _within(x: Floats, y: Floats, kinds: Labels) -> float:
    """Mean of Pearson's correlation over all permutations of y within each kind: that of the kinds' means with x's."""
    _, which, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    means = [np.bincount(which, side) / sizes - side.mean() for side in (x, y)]
    return float((sizes * means[0] * means[1]).sum() / (len(x) * x.std() * y.std()))


def measured_below(folder: Path) -> dict[Path, Truths]:
    """Folder of a variant's runs → its truths, of those at or below a folder whose memorization was measured."""
    found = find_below(reached(folder), {"memorization.parquet"}).paths
    return {home: read_truths(home) for home in sorted({path.parents[2] for path in found})}
