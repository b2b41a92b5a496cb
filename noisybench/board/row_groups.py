"""Which runs each row of detectors averages over, and whether that is all that there is."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from noisybench.board.agreement import Agreement
from noisybench.board.averages import which_complete
from noisybench.detection.scoring import Kind
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Maker, Run
from noisybench.runs.record import NOBODY, Setup
from noisybench.statistics.column_means import LabelColumn


class RowKey(NamedTuple):
    """What a row is of: detector, what it is, what made its scores, whose memorization, and which data set."""

    detector: str
    kind: Kind
    setup: Setup
    whose: Learner | None
    source: str


Groups = dict[RowKey, dict[tuple[LabelColumn, int], tuple[Run, Agreement]]]
"""What each row averages over."""


def groups_of(
    judged: Mapping[Path, Sequence[Agreement]],
    ended: Sequence[Run],
    shown: Mapping[tuple[Setup, str, Maker], str],
    *,
    pool: bool,
) -> Groups:
    """What each row averages over, in the order of the runs, whose detectors are shown under the names given."""
    groups: Groups = {}
    for run in ended:
        for agreement in judged.get(run.path, ()):
            name, setup = agreement.detector, NOBODY
            if agreement.kind != "reference":
                name, setup = shown[run.setup, name, run.maker(name)], run.setup
            key = RowKey(name, agreement.kind, setup, agreement.learner, "" if pool else run.column.source)
            groups.setdefault(key, {})[run.column, run.seed] = (run, agreement)
    return groups


def complete_rows(groups: Groups, begun: Sequence[Run]) -> list[bool]:
    """Whether each row is complete; each memorization is a truth of its own, with other label columns, as is a source."""
    complete: dict[int, bool] = {}
    for one in {(key.whose, key.source): None for key in groups}:
        ours = [(i, key, group) for i, (key, group) in enumerate(groups.items()) if (key.whose, key.source) == one]
        reached = [
            (key.setup, {at for at, (_, held) in group.items() if math.isfinite(held.value)}) for _, key, group in ours
        ]
        there = [run for run in begun if one[1] in ("", run.column.source)]
        complete |= dict(zip((i for i, _, _ in ours), which_complete(reached, there), strict=True))
    return [complete[i] for i in range(len(groups))]
