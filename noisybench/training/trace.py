"""A trace: what a model said of every training sample, epoch by epoch. No torch here."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Floats32
from noisybench.ground.checks import a_path
from noisybench.ground.errors import BadData, Mismatch, MissingColumn
from noisybench.ground.files import column_names, count_rows, read_columns, write_columns
from noisybench.ground.mending import looks_whole, take_away


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Every probe's value for every sample, at the end of one epoch.

    Attributes:
        epoch: Epochs trained so far; 0 is the untrained model.
        values: Probe name → shape (n,) or (n, k), float32.
    """

    epoch: int
    values: Mapping[str, Floats32]

    def __repr__(self) -> str:
        n = max((len(values) for values in self.values.values()), default=0)
        return f"Observation(epoch {self.epoch}, {n} samples: {', '.join(self.values)})"


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One probe's values over training.

    Attributes:
        epochs: Shape (e,), strictly increasing.
        values: Shape (e, n) or (e, n, k), float32.
    """

    epochs: NDArray[np.int64]
    values: Floats32

    def __post_init__(self) -> None:
        for name in ("epochs", "values"):
            array: object = getattr(self, name)
            if not isinstance(array, np.ndarray) or not array.ndim or array.dtype.kind not in "iuf":
                msg = f"{name} must be an array of numbers, one row an epoch, got {type(array).__name__}"
                raise BadData(msg)
        if len(self.epochs) != len(self.values) or np.any(np.diff(self.epochs) <= 0):
            msg = f"{len(self.values)} rows of values for epochs {self.epochs.tolist()}; expected one each, increasing"
            raise BadData(msg)

    def __repr__(self) -> str:
        return f"Column(values of shape {self.values.shape})"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Columns by probe name, all of the same n samples, and the id of the variant they were observed under."""

    columns: Mapping[str, Column]
    variant_id: str

    def __repr__(self) -> str:
        return f"Trace({', '.join(self.columns)}; variant {self.variant_id[:8]})"

    def column(self, name: str) -> Column:
        """One column with its epochs.

        Raises:
            MissingColumn: It was not observed.
        """
        if name not in self.columns:
            had = ", ".join(sorted(self.columns)) or "none"
            mend = f"observe with the probe '{name}'"
            if name.startswith("objective."):
                mend = "train with an objective that leaves it, such as evaluate --objective car"
            msg = f"no column '{name}' in this trace, which has: {had}; {mend}"
            raise MissingColumn(msg)
        return self.columns[name]

    def __getitem__(self, name: str) -> Floats32:
        """Values of one column, shape (e, n) or (e, n, k)."""
        return self.column(name).values

    def mean_at(self, name: str, epochs: Sequence[float]) -> Floats:
        """Mean over the samples of a column (e, n) at each of some epochs; NaN at those where it was not observed."""
        seen = self.columns.get(name)
        means = (
            {} if seen is None else dict(zip(seen.epochs.tolist(), seen.values.mean(1, dtype=np.float64), strict=True))
        )
        return np.array([means.get(int(epoch), np.nan) for epoch in epochs], dtype=np.float64)


def stack(observations: Sequence[Observation], *, variant_id: str) -> Trace:
    """A trace in memory from observations in epoch order."""
    columns = {}
    for name in sorted({name for observation in observations for name in observation.values}):
        seen = [observation for observation in observations if name in observation.values]
        epochs = np.array([observation.epoch for observation in seen], dtype=np.int64)
        columns[name] = Column(epochs, np.stack([observation.values[name] for observation in seen]))
    return Trace(columns, variant_id)


def write_observation(
    observation: Observation, folder: Path, *, variant_id: str, keep: bool = False, large: bool = False
) -> None:
    """Write one epoch as one Parquet file, a column a probe: memory does not grow with the epochs.

    Columns are in the order of their names, so a file's bytes do not tell in how many goes it came about.

    Args:
        observation: Of one epoch.
        folder: Of the trace.
        variant_id: The labels that the model is trained on.
        keep: Whether columns stay that the epoch's file has and the observation lacks, as they must where the same
            training is done again for a further probe.
        large: Whether time matters more than room, as it does for probabilities of many classes that lie in a file already.

    Raises:
        Mismatch: The file there is of another variant.
    """
    path = epoch_path(folder, observation.epoch)
    columns = dict(observation.values)
    if path.is_file() and not _is_damaged(path):
        kept, metadata = read_columns(path, None if keep else [])
        if metadata["variant_id"] != variant_id:
            msg = f"{path} is of another variant; give another folder, or delete that one"
            raise Mismatch(msg)
        columns = {**kept, **columns}
    metadata = {"variant_id": variant_id, "epoch": str(observation.epoch)}
    write_columns(dict(sorted(columns.items())), path, metadata=metadata, compression="lz4" if large else "zstd")


def epoch_path(folder: Path, epoch: int) -> Path:
    """File of an epoch."""
    return folder / f"epoch-{epoch:04d}.parquet"


def mend_trace(folder: Path, *, but: Collection[Path] = ()) -> None:
    """Take away every epoch that cannot be read, checksums included, and say so in one line each: it is then missing.

    Args:
        folder: Of the trace.
        but: Files that are known to be whole.
    """
    for path in sorted(folder.glob("epoch-*.parquet")):
        if path not in but and _is_damaged(path):
            take_away(path, "the epoch is observed again")


def _is_damaged(path: Path) -> bool:
    """Whether an epoch's file cannot be read, has lost the name of its variant, or is a copy of another epoch's."""
    try:
        metadata = read_columns(path)[1] if looks_whole(path) else {}
        return "variant_id" not in metadata or _is_copy(path, metadata)
    except BadData:
        return True


def _is_copy(path: Path, metadata: Mapping[str, str]) -> bool:
    """Whether an epoch's file says that it is of another epoch."""
    number = _epoch_of(path)
    return metadata.get("epoch", str(number)) != str(number)


def epochs_observed(folder: Path) -> dict[int, set[str]]:
    """Epoch → names of the columns that its file has."""
    return {_epoch_of(path): set(column_names(path)) for path in folder.glob("epoch-*.parquet")}


def trace_rows(folder: Path) -> dict[Path, int]:
    """File of each epoch → samples that its header claims; nothing is unpacked."""
    return {path: count_rows(path) for path in sorted(folder.glob("epoch-*.parquet"))}


def read_trace(folder: str | Path, *, keep: bool = False) -> Trace:
    """The trace in a folder of ``write_observation``; a column is read when it is asked for.

    Args:
        folder: Of the trace.
        keep: Whether the columns of a small trace stay in memory once they are read, for whoever asks for them often.

    Raises:
        BadData: No epoch is there, or a file is broken.
        Mismatch: The files are of different variants.
    """
    folder = a_path(folder, "folder")
    paths = sorted(folder.glob("epoch-*.parquet"), key=lambda path: (len(path.name), path.name))  # 9999 before 10000
    if not paths:
        msg = f"{folder} holds no trace: it has no epoch-*.parquet; 'noisybench evaluate' writes them"
        raise BadData(msg)
    columns: dict[str, list[Path]] = {}
    ids = set()
    for path in paths:
        metadata = read_columns(path, [])[1]
        if _is_copy(path, metadata):
            msg = f"{path} is a copy of epoch {metadata['epoch'][:20]}; delete it and evaluate again"
            raise BadData(msg)
        ids.add(metadata.get("variant_id", ""))
        for name in column_names(path):
            columns.setdefault(name, []).append(path)
    if len(ids) != 1:
        msg = f"{folder} holds epochs of {len(ids)} variants; a trace is of one"
        raise Mismatch(msg)
    return Trace(_Files(columns, keep=keep), ids.pop())


def _epoch_of(path: Path) -> int:
    number = path.stem.removeprefix("epoch-")
    if not (number.isascii() and number.isdigit() and len(number) < 10):  # noqa: PLR2004 - fits an int64
        msg = f"{path} is no epoch of a trace, which is called epoch-0001.parquet and so on; take it away"
        raise BadData(msg)
    return int(number)


SMALL = 1 << 25
"""Bytes of the files of a trace, 32 MiB, below which its columns may stay in memory."""


class _Files(Mapping[str, Column]):
    """Columns on disk, by probe name. Nothing is kept: one column of a large trace is all that is ever in memory.

    Of a small one each column may be: then it is read once, and cannot be written to.
    """

    def __init__(self, paths: dict[str, list[Path]], *, keep: bool = False) -> None:
        self._paths = paths
        size = sum(path.stat().st_size for path in {path for some in paths.values() for path in some}) if keep else 0
        self._kept: dict[str, Column] | None = {} if keep and size < SMALL else None

    def __getitem__(self, name: str) -> Column:
        if self._kept is None:
            return self._read(name)
        if name not in self._kept:
            self._kept[name] = column = self._read(name)
            column.values.flags.writeable = False
        return self._kept[name]

    def _read(self, name: str) -> Column:
        paths = self._paths[name]
        epochs = np.array([_epoch_of(path) for path in paths], dtype=np.int64)
        first = read_columns(paths[0], [name])[0][name]
        if first.dtype.kind != "f":
            msg = f"{paths[0]} has '{name}' as {first.dtype}, expected numbers (float32)"
            raise BadData(msg)
        if len(paths) == 1:
            return Column(epochs, first[None].astype(np.float32, copy=False))
        values = np.empty((len(paths), *first.shape), dtype=np.float32)
        values[0] = first
        for row, path in enumerate(paths[1:], start=1):
            read = read_columns(path, [name])[0][name]
            if (read.shape, read.dtype) != (first.shape, first.dtype):
                msg = (
                    f"{path} has '{name}' of shape {read.shape}, {paths[0].name} of {first.shape}, types {read.dtype} "
                    f"and {first.dtype}; expected alike"
                )
                raise BadData(msg)
            values[row] = read
        return Column(epochs, values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, name: object) -> bool:
        return name in self._paths
