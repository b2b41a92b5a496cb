"""Metrics of suggested labels: against the right classes of wrong labels, each with its interval."""

from noisybench.ground.arrays import Labels
from noisybench.statistics.intervals import NOTHING, Estimate, wilson


def suggestion_accuracy(suggested: Labels, right: Labels) -> Estimate:
    """Share of wrong labels in whose place the right class is suggested; no suggestion is not right. Interval: Wilson.

    Over the samples that are known to be wrong and whose right class is known. With k classes a random other class is
    right for 1 / (k - 1) of them.
    """
    return wilson(float((suggested == right).mean()), len(right)) if len(right) else NOTHING
