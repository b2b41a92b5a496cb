"""Gathering: columns of probes that must see all samples at once, or remember what they saw of earlier epochs."""

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.training.probe import MOST_EPOCHS, Gathering, Probe
from noisybench.training.ranks import Ranks
from noisybench.training.trace import Observation, epochs_observed

Memory = MutableMapping[str, Tensor | None]
"""Name of a probe → what it remembers; None of one that has nothing to remember yet."""


def remembers(probe: Probe) -> bool:
    """Whether the column of a probe is that of all epochs so far: of one that gathers, unless it says otherwise."""
    return isinstance(probe, Gathering) and bool(getattr(probe, "remembers", True))


def remembering(probes: Sequence[Probe]) -> set[str]:
    """Names of the probes that remember."""
    return {probe.name for probe in probes if remembers(probe)}


class Values:
    """What one probe gave in an epoch, of all samples, filled batch by batch."""

    def __init__(self, probe: Probe, n: int) -> None:
        self._probe, self._n = probe, n
        self._values: Tensor | None = None

    def put(self, start: int, b: int, values: Tensor) -> None:
        """Keep what the probe gave for the ``b`` samples from ``start`` on.

        Raises:
            TrainingFailed: It is not one row a sample, alike in all batches.
        """
        held, row = self._values, values.shape[1:]
        if values.shape[:1] != (b,) or (held is not None and held.shape[1:] != row):
            msg = (
                f"probe '{self._probe.name}' gave values of shape {tuple(values.shape)} for {b} samples; expected one "
                f"row a sample, alike in every batch"
            )
            raise TrainingFailed(msg)
        if held is None:
            held = self._values = torch.zeros(self._n, *row, dtype=values.dtype, device=values.device)
        held[start : start + b] = values.detach()

    def merge(self, ranks: Ranks, device: torch.device) -> None:
        """Have the first of several ranks hold what all of them gave; nothing is left on the others.

        Raises:
            TrainingFailed: The ranks gave rows of different shapes or types.
        """
        if ranks.world > 1:
            self._values = _merged(self._values, self._n, ranks, device, self._probe.name)

    def column(self, labels: Tensor, memory: Memory, kept: Tensor | None = None) -> Tensor:
        """The column, shape (n,) or (n, k); ``memory`` is brought up to date.

        Args:
            labels: Given labels, shape (n,).
            memory: What probes remember, by name.
            kept: Samples that others are compared with, shape (m,); None are all. The rest has the value 0 of a probe that
                compares the samples of one epoch.

        Raises:
            BadUsage: The probe says that it remembers nothing, and gave something to remember.
        """
        probe, values = self._probe, self._values
        if values is None:  # of no sample
            values = torch.empty(0, device=labels.device)
        if not isinstance(probe, Gathering):
            return values
        rows = slice(None) if kept is None or remembers(probe) else kept
        with torch.no_grad():
            column, told = probe.gather(values[rows], labels[rows], memory.get(probe.name))
        if remembers(probe):
            memory[probe.name] = None if told is None else told.detach()
        elif told is not None:
            msg = f"probe '{probe.name}' says remembers = False, and its gather gave a memory; return None, or say True"
            raise BadUsage(msg)
        if isinstance(rows, Tensor):
            found = column.new_zeros(len(labels), *column.shape[1:])
            found[rows] = column
            return found.detach()
        return column.detach()


def merge_parts(
    parts: Mapping[str, Sequence[tuple[int, Tensor]]], n: int, ranks: Ranks, device: torch.device
) -> dict[str, Tensor]:
    """Columns of n rows that came in parts, on the first rank; those that have not come of every sample are left out.

    Args:
        parts: Name → index of the first sample of each part, and its rows.
        n: Samples.
        ranks: That have them.
        device: Where they are.
    """
    told = ranks.told_by_all({name: sum(len(rows) for _, rows in some) for name, some in parts.items()})
    known = {name: sum(rows.get(name, 0) for rows in told) for name in sorted({name for rows in told for name in rows})}
    columns = {}
    for name in (name for name, rows in known.items() if rows == n):
        held: Tensor | None = None
        for start, rows in parts.get(name, ()):
            held = rows.new_zeros(n, *rows.shape[1:]) if held is None else held
            held[start : start + len(rows)] = rows
        whole = held if ranks.world == 1 else _merged(held, n, ranks, device, name)
        if whole is not None:
            columns[name] = whole
    return columns


def _merged(held: Tensor | None, n: int, ranks: Ranks, device: torch.device, name: str) -> Tensor | None:
    """Rows (n, ...) of all ranks, on the first; None on the others.

    Args:
        held: Rows of this rank, zero of samples that it was not asked about; None of a rank that was asked about none.
        n: Samples.
        ranks: That have them.
        device: Where they are.
        name: Of the probe, for the message.
    """
    kinds = ranks.told_by_all(None if held is None else (tuple(held.shape[1:]), held.dtype))
    given = [kind for kind in kinds if kind is not None]
    if not given:
        return None
    if any(kind != given[0] for kind in given):
        msg = f"probe '{name}' gave rows of {given[0]} on one rank and of others elsewhere; expected alike"
        raise TrainingFailed(msg)
    row, kind = given[0]
    held = torch.zeros(n, *row, dtype=kind, device=device) if held is None else held
    ranks.merge(held)
    return held if ranks.is_first else None


def check_remembered(names: Collection[str], memory: Memory, folder: Path | None) -> None:
    """Raise ``BadUsage`` for a probe of a trace that is gone on with, whose memory of its earlier epochs is not there."""
    for name in sorted({*names} - {*memory}):
        msg = (
            f"probe '{name}' remembers earlier epochs, and {folder} does not hold what it remembered; give an empty folder "
            f"and observe from the first epoch on, put back 'memory' of the recorder that began, or leave that probe out"
        )
        raise BadUsage(msg)


def without(observation: Observation, names: Collection[str]) -> Observation:
    """An observation without some of its columns."""
    kept = {name: values for name, values in observation.values.items() if name not in names}
    return observation if len(kept) == len(observation.values) else Observation(observation.epoch, kept)


def asked_columns(probes: Sequence[Probe], epochs: int, every: Mapping[str, int]) -> dict[int, set[str]]:
    """Epoch → names of the probes that are asked after it, of a training of so many epochs; after the last, all are."""
    return {
        epoch: {probe.name for probe in probes if epoch % every.get(probe.name, 1) == 0 or epoch == epochs}
        for epoch in range(1, epochs + 1)
    }


def due_columns(probes: Sequence[Probe], epochs: int, every: Mapping[str, int]) -> dict[int, set[str]]:
    """Epoch → the columns that a training leaves of it; the last epoch has all.

    Args:
        probes: All that are asked.
        epochs: Of the training.
        every: Probe name → epochs between two observations, where that is not one.

    >>> from noisybench import find
    >>> probes = [find("probes", name) for name in ("loss", "curvature")]
    >>> [sorted(names) for names in due_columns(probes, 3, {"curvature": 2}).values()]
    [['loss'], ['curvature', 'loss'], ['curvature', 'loss']]
    """
    return asked_columns(probes, epochs, {**every, **dict.fromkeys(remembering(probes), MOST_EPOCHS)})


def is_observed(trace: Path, due: Mapping[int, set[str]], *, until: int) -> bool:
    """Whether the trace in a folder has every column that is due in the epochs up to ``until``."""
    seen = epochs_observed(trace)
    return all(due[epoch] <= seen.get(epoch, set()) for epoch in range(1, until + 1))
