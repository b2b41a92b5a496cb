"""What a file of ``metrics/`` gives: one way to hold what a detector says against a truth."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.checks import check_choice, check_kind
from noisybench.ground.errors import BadData
from noisybench.ground.lookup import find, names
from noisybench.statistics.intervals import Estimate
from noisybench.statistics.ranking import rank

Compares = Literal["mislabeled", "suggestion", "cut", "memorization"]
"""What a metric compares: scores with a mask, suggested classes with the right ones, a detector's own flags with a mask, or
scores with memorization."""
COMPARED: Mapping[Compares, str] = {
    "mislabeled": "scores with a mask of samples",
    "suggestion": "suggested classes with the right ones, of wrong labels",
    "cut": "a detector's own flags with the mask of wrong labels",
    "memorization": "scores with memorization",
}
"""What a metric compares, in words."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a file of ``metrics/`` gives.

    What ``compute`` takes follows from what is compared, over the samples whose truth is known:

    - ``mislabeled``: scores (n,), higher is more suspicious, mislabeled (n,), given labels (n,); or one ``RankedScores`` of them,
      where ``ranked``;
    - ``suggestion``: suggested classes (n,), right classes (n,), of mislabeled samples;
    - ``cut``: flagged (n,), mislabeled (n,), given labels (n,);
    - ``memorization``: one ``Compared``.

    Where it compares with a mask, both kinds of sample are present.

    Attributes:
        title: For people, as the head of a column.
        words: What it is, in a sentence.
        compute: Arrays → estimate; NaN where it cannot be computed, and NaN ends where no interval is honest.
        compares: What it compares.
        chance: Its value where the detector knows nothing: a number, or a function of the share of mislabeled samples; None
            where it depends on more.
        bounds: Least and greatest value there can be.
        higher_is_better: Whether a better detector has the higher value.
        influence: (scores (n,), mislabeled (n,), given labels (n,)) → each sample's influence on the value, shape (n,):
            their squares sum to its variance over samples. None where nobody has worked it out.
        ranked: Whether ``compute`` takes one ``RankedScores``, which is made once for all such metrics of the same scores, in place of
            the three arrays; of ``mislabeled``.
        needs_held_out_error: Whether it is left out where no held-out error is given; of memorization.
    """

    title: str
    words: str
    compute: Callable[..., Estimate]
    compares: Compares = "mislabeled"
    chance: float | Callable[[float], float] | None = None
    bounds: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    influence: Callable[[Floats, Bools, Labels], Floats] | None = None
    ranked: bool = False
    needs_held_out_error: bool = False

    def __post_init__(self) -> None:
        check_kind(self.title, str, "title", "give a text")
        check_choice(self.compares, f"compares of metric '{self.title}'", get_args(Compares))
        if self.ranked and self.compares != "mislabeled":
            msg = f"metric '{self.title}' compares '{self.compares}' and is ranked; what is ranked is scores against 'mislabeled'"
            raise BadData(msg)
        least, greatest = self.bounds
        if not least < greatest:
            msg = f"metric '{self.title}' has bounds ({least:g}, {greatest:g}); give the lower one first"
            raise BadData(msg)

    def chance_at(self, share: float) -> float:
        """Its value where the detector knows nothing, of a share of mislabeled samples; NaN where that is not known."""
        if self.chance is None:
            return math.nan
        return float(self.chance(share)) if callable(self.chance) else self.chance

    @property
    def best(self) -> float:
        """The bound that a perfect detector reaches."""
        return self.bounds[1] if self.higher_is_better else self.bounds[0]


def estimates(metrics: Mapping[str, Metric], values: Floats, mislabeled: Bools, given: Labels) -> dict[str, Estimate]:
    """What each metric of ``mislabeled`` says of the same scores, by name; they are sorted once for all of them.

    Args:
        metrics: By name.
        values: Scores, shape (n,), higher is more suspicious.
        mislabeled: Shape (n,), both kinds of sample being present.
        given: Given labels, shape (n,).
    """
    ranking = rank(values, mislabeled, given) if any(metric.ranked for metric in metrics.values()) else None
    return {
        name: metric.compute(ranking) if metric.ranked else metric.compute(values, mislabeled, given)
        for name, metric in metrics.items()
    }


def metrics_of(*compares: Compares) -> dict[str, Metric]:
    """Every metric that compares one of these, by name."""
    found: dict[str, Any] = {name: find("metrics", name) for name in names("metrics")}
    return {name: metric for name, metric in found.items() if metric.compares in compares}
