"""What a table says of its intervals, of the differences that it can tell, and of rows that are as good as the best."""

import math
import re
from collections.abc import Sequence

from noisybench.board.detector_table import Row, about_metric
from noisybench.board.row_words import AnyRow, digits, model_words, recipe_words
from noisybench.ground.lookup import find, is_ours
from noisybench.runs.record import Regime
from noisybench.statistics.column_means import Interval, weakest
from noisybench.statistics.comparisons import DELTA

UNTRAINED: tuple[Regime, ...] = ("features", "answers", "given")
"""Regimes whose scores have no training seed."""
MOST_NAMES = 3
COVERED: dict[Interval, str] = {
    "samples, draws": "95 % intervals cover other samples, noise draws and training seeds",
    "samples, seeds": "95 % intervals cover other samples and training seeds, not another noise draw",
    "samples": "95 % intervals cover other samples, not another noise draw",
    "draws": "95 % intervals cover new noise draws and training seeds",
    "seeds": "95 % intervals cover new training seeds only, as some setting has one noise draw",
    "none": "no intervals, as some setting has a single run",
}
"""What an interval covers, in words."""


def covered_words(rows: Sequence[AnyRow]) -> str:
    """What the intervals of a table cover: the least that any row does, where it has training seeds at all."""
    told = [(row.interval, row.regime) for row in rows]
    one_seed = any(interval == "samples" and regime not in UNTRAINED for interval, regime in told)
    seeded: set[Interval] = {interval for interval, _ in told if interval != "samples"}
    if not one_seed and "samples" in {interval for interval, _ in told} and seeded == {"samples, draws"}:
        return COVERED["samples"]  # a setting with one draw, of which nobody has seeds
    covered = COVERED[weakest(seeded)] if seeded else COVERED["samples"]
    if not one_seed:
        return covered
    if not seeded:
        return f"{covered} or training seed"
    return f"{covered}; those of a single training or pool cover no other seed"


def differences_words(rows: Sequence[Row]) -> list[str]:
    """A sentence about rows in pairs: what difference can be told, which may be the best, which are equivalent to it."""
    ranked = [row for row in rows if row.rank is not None]
    floors = sorted({row.floor for row in ranked if not math.isnan(row.floor)})
    told = []
    best = "the best" + " of its block" * (len({(row.source, row.block, row.truth_learner) for row in ranked}) > 1)
    if floors:
        open_ones = sum(row.surely_worse is False for row in ranked)
        if open_ones < len(ranked):
            told.append(f"{open_ones} of {len(ranked)} ranked rows may be {best}")
        low, high = about_metric(ranked[0].metric).bounds
        ends = digits(floors[0]) if len(floors) == 1 else f"{digits(floors[0])} to {digits(floors[-1])} (by block)"
        what = f"differences below {ends}" if floors[-1] < high - low else "even the largest differences"
        told.append(f"{what} cannot be told here (80 % power, all pairs at once)")
    same = [row for row in ranked if row.equivalent]
    if same:
        alike = len({row.setup for row in ranked}) == 1
        names = [
            row.detector
            if alike
            else f"{row.detector} ({', '.join([model_words(row), recipe_words(rows)(row), *_options(row)])})"
            for row in same
        ]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        told.append(f"equivalent to {best} (± {DELTA:g}): {', '.join(names[:MOST_NAMES])}{more}")
    words = "; ".join(told)
    return [f"{words[:1].upper()}{words[1:]}."] if told else []


def _options(row: Row) -> list[str]:
    return [f"{name}={value}" for name, value in row.ablation]


def cluster_words(rows: Sequence[Row]) -> list[str]:
    """A sentence where wrong labels come in clusters, of which none is written down."""
    if not any(row.clustered and "samples" in row.interval for row in rows):
        return []
    return ["There, the wrong labels of one right and one given class count as one in intervals and ranks."]


def copies_words(rows: Sequence[Row]) -> list[str]:
    """A sentence where samples are copies of one."""
    if not any(source.copies for row in rows if "samples" in row.interval for source in row.subject.sources):
        return []
    return ["Copies of one sample count as one in intervals and ranks."]


def found_words(rows: Sequence[Row]) -> list[str]:
    """A sentence where wrong labels were found and not drawn, so that nobody knows whether they come in clusters."""
    names = {
        re.split(r"\W", noise.words)[0] for row in rows if "samples" in row.interval for noise in row.subject.noises
    }
    found = [name for name in sorted(names) if is_ours("noises", name) and find("noises", name).found]
    if not found:
        return []
    return [
        f"Errors of {', '.join(found)} may come in clusters that nobody knows: intervals and ranks are too narrow then."
    ]
