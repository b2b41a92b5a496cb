"""Metrics of suggested labels: against the right classes of wrong labels, each with its interval."""

from collections.abc import Callable
from typing import NamedTuple

from noisybench.ground.arrays import Labels
from noisybench.statistics.intervals import NOTHING, Estimate, wilson


class SuggestionMetric(NamedTuple):
    """One way to compare suggested labels with the right ones.

    Attributes:
        title: For people.
        compute: (suggested (n,), right classes (n,)) of the samples whose label is wrong → estimate.
        higher_is_better: Whether a better detector has the higher value.
        bounds: Least and greatest value there can be.
    """

    title: str
    compute: Callable[[Labels, Labels], Estimate]
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)


def suggestion_accuracy(suggested: Labels, right: Labels) -> Estimate:
    """Share of wrong labels in whose place the right class is suggested; no suggestion is not right. Interval: Wilson.

    Over the samples that are known to be wrong and whose right class is known. With k classes a random other class is
    right for 1 / (k - 1) of them.
    """
    return wilson(float((suggested == right).mean()), len(right)) if len(right) else NOTHING


SUGGESTION_METRICS: dict[str, SuggestionMetric] = {
    "suggestion_accuracy": SuggestionMetric("accuracy of suggested labels", suggestion_accuracy),
}
"""The metrics of suggested labels, by name; their truth is the mislabeled mask."""
