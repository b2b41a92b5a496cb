"""Hypotheses: what a paper claims as a number that can be measured, and by which rule it counts as reproduced.

The rule stands here, and the numbers that it needs in ``claims``, before anything is measured. Every effect is turned so that
the claim says that it is above zero.

- *not reproduced*: the whole 95 % interval lies below the smallest effect of interest;
- *reproduced*: it does not, and the interval lies above zero and above the null, also after Holm's correction over all
  primary hypotheses that were measured (or all secondary ones);
- *inconclusive*: neither.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from noisybench.statistics.replication import holm, prediction_interval, two_sided_p
from noisybench.studies.study import StudyTable, Verdict, plain

Word = Literal["reproduced", "not reproduced", "inconclusive", "not measured"]
LEVEL = 0.05
"""Of the p-values after Holm's correction."""


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """A figure that a paper or its authors' code gives, and that was checked.

    Attributes:
        figure: As published.
        source: Where it stands, and of what it is.
        n: Units of a correlation over units of the same kind as ours, such as settings, which has a prediction interval
            then; None of anything else.
    """

    figure: float
    source: str
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A claim that can be tested.

    Attributes:
        name: By which it is asked for.
        paper: First author and year.
        study: Which measures it.
        claim: What the paper says, in one sentence.
        measure: The effect: what number is above zero if the claim is right.
        smallest: Smallest effect of interest, in its unit.
        primary: Whether it is one of those by which the paper is judged.
        published: The nearest figure that was published; its source says of what it is.
    """

    name: str
    paper: str
    study: str
    claim: str
    measure: str
    smallest: float
    primary: bool = False
    published: PublishedFigure | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What was found.

    Attributes:
        value: The effect.
        low: Lower end of its 95 % interval; NaN where there is none.
        high: Upper end.
        units: How many units the interval is over.
        of: The setting, in words: data, model, draws, and what the units are.
        null: What the effect must exceed beside zero, in its unit.
        p_value: Two-sided, of the larger of zero and the null; None takes that of the interval, as if it were normal.
    """

    value: float
    low: float
    high: float
    units: int
    of: str
    null: float = 0.0
    p_value: float | None = None

    @property
    def p(self) -> float:
        """The p-value; NaN where nothing gives one."""
        if self.p_value is not None:
            return self.p_value
        return two_sided_p(self.value, self.low, self.high, max(0.0, self.null))


@dataclass(frozen=True, slots=True)
class Judged:
    """A hypothesis with what was found.

    Attributes:
        hypothesis: What was asked.
        measured: What was found; None where it was not measured.
        why_not: Why it was not measured; empty where it was.
        adjusted_p: Its p-value after Holm's correction; NaN where there is none.
        predicted: Ends of the interval in which the published figure lets one expect ours; NaN where it gives none.
        word: The verdict.
    """

    hypothesis: Hypothesis
    measured: Effect | None
    why_not: str
    adjusted_p: float
    predicted: tuple[float, float]
    word: Word


def judge_hypotheses(hypotheses: Sequence[Hypothesis], measured: Mapping[str, Effect | str]) -> tuple[Judged, ...]:
    """Every hypothesis judged, those of one rank (primary or secondary) corrected together.

    Args:
        hypotheses: In the order of the answer.
        measured: Name of a hypothesis → what was found, or in words why nothing was. One that is not there was not asked.
    """
    found = {name: one for name, one in measured.items() if isinstance(one, Effect)}
    adjusted: dict[str, float] = {}
    for primary in (True, False):
        names = [one.name for one in hypotheses if one.primary is primary and one.name in found]
        tested = [name for name in names if not math.isnan(found[name].p)]
        adjusted |= dict(zip(tested, holm([found[name].p for name in tested]).tolist(), strict=True))
    judged = []
    for hypothesis in hypotheses:
        one, p = found.get(hypothesis.name), adjusted.get(hypothesis.name, math.nan)
        why = "" if one else str(measured.get(hypothesis.name, f"study '{hypothesis.study}' was not carried out"))
        judged.append(Judged(hypothesis, one, why, p, _predicted(hypothesis, one), _word(hypothesis, one, p)))
    return tuple(judged)


def _word(hypothesis: Hypothesis, measured: Effect | None, adjusted_p: float) -> Word:
    if measured is None or math.isnan(measured.value):
        return "not measured"
    if measured.high < hypothesis.smallest:
        return "not reproduced"
    if measured.low > max(0.0, measured.null) and adjusted_p <= LEVEL:
        return "reproduced"
    return "inconclusive"


def _predicted(hypothesis: Hypothesis, measured: Effect | None) -> tuple[float, float]:
    published = hypothesis.published
    if measured is None or published is None or published.n is None:
        return math.nan, math.nan
    return prediction_interval(published.figure, published.n, measured.low, measured.high)


HEADER = ("claim", "effect", "found", "null", "smallest of interest", "published", "p (Holm)", "verdict", "setting")


def claims_table(judged: Sequence[Judged], name: str, caption: str) -> StudyTable:
    """A table of hypotheses with what was found and the verdicts."""
    lines = tuple(_line(one) for one in judged)
    return StudyTable(name, caption, tuple(_record(one) for one in judged), HEADER, lines)


def verdicts_of(judged: Sequence[Judged]) -> tuple[Verdict, ...]:
    """Verdicts on the claims, undecided where they are inconclusive or were not measured."""
    held = {"reproduced": True, "not reproduced": False, "inconclusive": None, "not measured": None}
    return tuple(
        Verdict(one.hypothesis.claim, held[one.word], f"{one.hypothesis.measure}: {one.why_not or _found(one)}")
        for one in judged
    )


def _record(one: Judged) -> dict[str, Any]:
    """Every field for programs."""
    told = asdict(one.hypothesis)
    published = told.pop("published") or {"figure": None, "source": None, "n": None}
    found = {"value": None, "low": None, "high": None, "units": None, "of": None, "null": None}
    if one.measured is not None:
        found = {key: value for key, value in asdict(one.measured).items() if key in found}
    return plain(
        told
        | found
        | {f"published_{key}": value for key, value in published.items()}
        | {"p": one.measured.p if one.measured else None, "adjusted_p": one.adjusted_p}
        | dict(zip(("predicted_low", "predicted_high"), one.predicted, strict=True))
        | {"verdict": one.word, "why_not": one.why_not or None}
    )


def _line(one: Judged) -> tuple[str, ...]:
    measured, published = one.measured, one.hypothesis.published
    low, high = one.predicted
    printed = "–" if published is None else f"{published.figure:g}"
    if not math.isnan(low):
        printed += f", so ours in [{low:.3f}, {high:.3f}]"
    if published is not None:
        printed += f" ({published.source})"
    return (
        one.hypothesis.claim,
        one.hypothesis.measure,
        "–" if measured is None else _found(one),
        "–" if measured is None else f"{measured.null:.3g}",
        f"{one.hypothesis.smallest:g}",
        printed,
        "–" if math.isnan(one.adjusted_p) else f"{one.adjusted_p:.2g}",
        one.word,
        one.why_not if measured is None else f"{measured.of} ({measured.units} units)",
    )


def _found(one: Judged) -> str:
    measured = one.measured
    if measured is None or math.isnan(measured.value):
        return "no value"
    ends = "" if math.isnan(measured.low) else f" [{measured.low:.3f}, {measured.high:.3f}]"
    return f"{measured.value:.3f}{ends}"
