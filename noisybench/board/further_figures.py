"""FurtherFigures figures of a row: its worst class, how much of its top stays between seeds, and its flags on a clean set.

They take more than a table's own values, so that they are computed where they are asked for, and kept as these are.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from noisybench.board.agreement import Agreement, settled
from noisybench.board.averages import cells_of
from noisybench.board.judging import digest_of_code, flags_follow_from, judge_all_by_class
from noisybench.board.kept_answers import kept
from noisybench.board.own_cut import own_flags
from noisybench.board.ranking import Group
from noisybench.board.truths import MISLABELED, Asked, Truths
from noisybench.detection.scoring import scores_path
from noisybench.ground.digests import file_digest
from noisybench.ground.lookup import find
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Run
from noisybench.statistics.column_means import LabelColumn, mean
from noisybench.statistics.metric import Metric
from noisybench.statistics.stability import false_flag_share, top_overlap
from noisybench.variants.variant import Variant

FEWEST_OF_A_CLASS = 5
"""Wrong labels, and right ones, that a given class must have for its value to count."""


class FurtherFigures(NamedTuple):
    """FurtherFigures figures of a row; NaN and empty where there is none.

    Attributes:
        worst_class: Name of the given class in which its value is worst, of those with at least five wrong and five right
            labels; of several data sets with the name of its own.
        worst_class_value: Its value there, a mean as the row's own. The worst of many is worse than a class that was named
            beforehand, the more so the fewer labels they have.
        top_overlap: Jaccard index of the most suspicious samples of two seeds of a label column, as many as are wrong, else
            as are flagged; mean over pairs.
        false_flags: Share of the labels of clean sets that it flags at its own cut; a set is clean where no label is known
            to be wrong and some are known to be right.
    """

    worst_class: str = ""
    worst_class_value: float = math.nan
    top_overlap: float = math.nan
    false_flags: float = math.nan


NO_FURTHER = FurtherFigures()
AskFurther: TypeAlias = Callable[[Group], FurtherFigures]
_Whose: TypeAlias = "tuple[Path, str, str, Learner | None]"


def ask_further(runs: Sequence[Run], truths: Mapping[Path, Truths], asked: Asked) -> AskFurther:
    """A function that gives the further figures of what a row averages over.

    Args:
        runs: All of the table.
        truths: Folder of a variant's runs → its truths.
        asked: What the table answers.
    """
    metric: Metric = find("metrics", asked.metric)
    by_class: dict[_Whose, dict[int, float]] = defaultdict(dict)
    if asked.truth == MISLABELED and asked.given_class is None:
        for label, found in judge_all_by_class(runs, truths, asked)[0].items():
            for path, rows in found.items():
                for row in rows:
                    by_class[path, row.detector, row.kind, row.learner][label] = row.value

    def ask(group: Group) -> FurtherFigures:
        members = list(group.values())
        worst, value = _worst_class(members, truths, by_class, higher_is_better=metric.higher_is_better)
        if any(held.kind == "reference" for _, held in members):
            return FurtherFigures(worst, value)
        return FurtherFigures(worst, value, _top_overlap(members, truths), _false_flags(members, truths))

    return ask


def _worst_class(
    members: Sequence[tuple[Run, Agreement]],
    truths: Mapping[Path, Truths],
    by_class: Mapping[_Whose, Mapping[int, float]],
    *,
    higher_is_better: bool,
) -> tuple[str, float]:
    """The class of the worst mean value among those that are large enough, and that value."""
    several = len({run.column.source for run, _ in members}) > 1
    values: dict[str, list[tuple[Run, float]]] = {}
    for run, held in members:
        variant = truths[run.home].variant
        found = by_class.get((run.path, held.detector, held.kind, held.learner), {})
        for label in _large_classes(variant):
            name = variant.class_names[label]
            shown = f"{run.column.source}: {name}" if several else name
            values.setdefault(shown, []).append((run, found.get(label, math.nan)))
    means = {name: mean(cells_of(cells)) for name, cells in values.items()}
    known = {name: value for name, value in means.items() if math.isfinite(value)}
    if not known:
        return "", math.nan
    worst = (min if higher_is_better else max)(known, key=lambda name: known[name])
    return worst, known[worst]


def _large_classes(variant: Variant) -> list[int]:
    """Given classes with enough wrong and right labels."""
    k, wrong = variant.num_classes, variant.mislabeled
    right = variant.known & ~wrong
    counts = np.minimum(*(np.bincount(variant.labels[part], minlength=k) for part in (wrong, right)))
    return [int(label) for label in np.flatnonzero(counts >= FEWEST_OF_A_CLASS)]


def _top_overlap(members: Sequence[tuple[Run, Agreement]], truths: Mapping[Path, Truths]) -> float:
    """Mean over label columns of the overlap of the top between the seeds of each; over clean ones where all are."""
    columns: dict[LabelColumn, list[tuple[Run, str]]] = {}
    for run, held in members:
        columns.setdefault(run.column, []).append((run, held.detector))
    several = [seeds for seeds in columns.values() if len(seeds) > 1]
    wrong = [seeds for seeds in several if truths[seeds[0][0].home].variant.mislabeled.any()]
    return mean(cells_of((seeds[0][0], _overlap(seeds, truths)) for seeds in wrong or several))


def _overlap(seeds: Sequence[tuple[Run, str]], truths: Mapping[Path, Truths]) -> float:
    of = truths[seeds[0][0].home]
    counted, wrong = ~of.variant.dropped, int(of.variant.mislabeled.sum())

    def compute() -> float:
        count = wrong
        if not count:
            flags = [own_flags(run, of.variant)[name] for run, name in seeds]
            sizes = [int(one.sum()) for one in flags if one is not None]
            count = round(sum(sizes) / len(sizes)) if sizes else 0
        rankings = np.stack([run.scores(name).values[counted] for run, name in seeds])
        return top_overlap(rankings, count) if count else math.nan

    follows = [file_digest(scores_path(run.path, name)) for run, name in seeds]
    made = follows if wrong else [flags_follow_from(run) for run, _ in seeds]
    return _kept("top overlap", {"scores": follows, "made": made}, of, compute)


def _false_flags(members: Sequence[tuple[Run, Agreement]], truths: Mapping[Path, Truths]) -> float:
    """Mean share of right labels flagged, over the runs of clean sets."""
    clean = [(run, held) for run, held in members if _is_clean(truths[run.home].variant)]
    return mean(cells_of((run, _flagged(run, held.detector, truths[run.home])) for run, held in clean))


def _is_clean(variant: Variant) -> bool:
    return bool(variant.known.any()) and not variant.mislabeled.any()


def _flagged(run: Run, name: str, of: Truths) -> float:
    def compute() -> float:
        flags = own_flags(run, of.variant)[name]
        right = of.variant.known & ~settled(of.variant)
        return math.nan if flags is None else false_flag_share(flags, right).value

    return _kept("false flags", {"detector": name, "run": flags_follow_from(run)}, of, compute)


def _kept(figure: str, follows_from: Mapping[str, object], of: Truths, compute: Callable[[], float]) -> float:
    """A figure of one label column, from the cache where it was computed before."""
    code = {"code": digest_of_code(), "own": file_digest(Path(__file__))}
    return kept({"figure": figure, "variant": dict(of.digests), **follows_from, **code}, compute, float)
