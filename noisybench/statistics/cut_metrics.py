"""Metrics of a detector's own cut: which labels it flags where nobody says how many are wrong.

The flags are those of ``noisybench suspects``: of each detector as many as the evidence of its run contradicts, the most
suspicious first. What cannot be computed is NaN, never 0.
"""

import numpy as np

from noisybench.ground.arrays import Bools, Labels
from noisybench.statistics.intervals import NOTHING, Estimate, wilson


def cut_precision(flagged: Bools, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001 - every metric takes these
    """Share of mislabeled samples among the flagged ones; NaN where none is flagged. Interval: Wilson."""
    count = int(flagged.sum())
    return wilson(float(mislabeled[flagged].mean()), count) if count else NOTHING


def cut_recall(flagged: Bools, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Share of the mislabeled samples that are flagged. Interval: Wilson.

    Random flags reach the share that they flag. Recall above precision means more flags than wrong labels.
    """
    count = int(mislabeled.sum())
    return wilson(float(flagged[mislabeled].mean()), count) if count else NOTHING


def cut_f1(flagged: Bools, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN), 0 where no flag is right.

    With J = TP / (TP + FP + FN), F1 is 2 J / (1 + J), which grows with J. So Wilson's interval of J, as a share of the
    samples that are flagged or mislabeled, gives that of F1.
    """
    either = int((flagged | mislabeled).sum())
    if not either:
        return NOTHING
    return Estimate(*(2 * end / (1 + end) for end in wilson(float((flagged & mislabeled).sum()) / either, either)))


def cut_calibration_error(flagged: Bools, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Distance between the share of flagged and the share of mislabeled samples, 0 where as many are flagged as are wrong.

    It says nothing of which are flagged. No interval: near 0 that of a distance would be none of the difference.
    """
    return Estimate(float(abs(flagged.mean() - mislabeled.mean())), np.nan, np.nan) if len(flagged) else NOTHING
