"""What people call the samples of a variant: kept beside it, and matched with the file names and ids of other files."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisybench.ground.errors import BadData
from noisybench.ground.files import replacing

NAMES = "samples.parquet"
"""File beside a variant and beside its runs: the names of its samples. Found in the source, never hashed, never published."""


def write_names(names: Sequence[str] | None, folder: Path) -> None:
    """Keep the names of samples, shape (n,), in the folder of their variant; None takes away those that are there."""
    if names is None:
        (folder / NAMES).unlink(missing_ok=True)
        return
    with replacing(folder / NAMES) as part:
        write_table_of_names(names, part)


def write_table_of_names(names: Sequence[str], path: Path) -> None:
    """Write the names of samples, shape (n,), as they are kept; nothing keeps another process from reading half of them."""
    pq.write_table(pa.table({"name": pa.array(names, pa.large_string())}), path, compression="zstd")


def read_names(folder: Path, n: int) -> Sequence[str] | None:
    """What people call the samples, shape (n,), as ``write_names`` left it; None where nobody did.

    Raises:
        BadData: The file is damaged, or of other samples.
    """
    path = folder / NAMES
    if not path.is_file():
        return None
    mend = "delete it, and evaluate or build again"
    try:
        names = pq.read_table(path, schema=pa.schema({"name": pa.large_string()}))["name"].to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path} cannot be read as Parquet: {reason}; {mend}"
        raise BadData(msg) from None
    if len(names) != n or None in names:
        msg = f"{path} has {len(names)} names, the variant has {n} samples; {mend}"
        raise BadData(msg)
    return names


def rows_by_name(texts: Sequence[str], names: Sequence[str], what: str) -> NDArray[np.int64]:
    r"""The row of each sample, shape (n,), of a file that calls samples by names or by files.

    Slashes of either kind are alike. Where whole names differ, as those of files below other folders do, as many of their
    last parts are compared as tell all samples apart: ``D:\data\cats\1.png`` and ``cats/1.png`` are one, and so are
    both and ``1.png`` where only one sample is called so, and ``1``.

    Args:
        texts: What the file calls its rows.
        names: What people call each sample, shape (n,).
        what: Whose texts these are, for messages.

    Raises:
        BadData: A text is no sample's or several samples', or a sample has no row or several.
    """
    ours, theirs = ([_plain(text) for text in each] for each in (names, texts))
    depth = max(name.count("/") for name in (*ours, *theirs)) + 1 if ours and theirs else 1
    best: tuple[list[str], list[str]] = ours, theirs
    found = -1
    for reduced in (_same, *(_last(parts) for parts in range(depth - 1, 0, -1)), _stem):
        keys = [reduced(name) for name in ours]
        if found >= 0 and len(set(keys)) < len(keys):
            break
        asked = [reduced(text) for text in theirs]
        known = set(keys)
        hits = sum(text in known for text in asked)
        if hits > found:
            best, found = (keys, asked), hits
        if hits == len(asked):
            break
    keys, asked = best
    row = {text: number for number, text in enumerate(asked)}
    known = set(keys)
    unknown = [text for text, key in zip(texts, asked, strict=True) if key not in known]
    if unknown:
        shown = ", ".join(repr(name) for name in names[:2])
        msg = (
            f"{what}: {unknown[0]!r} is the name of no sample ({len(unknown)} such rows); samples are called {shown}, …"
        )
        raise BadData(msg)
    shared = [name for name, count in Counter(keys).items() if count > 1]
    if shared:
        msg = f"{what}: {shared[0]!r} is the name of {keys.count(shared[0])} samples; give ids 0..{len(names) - 1} as 'sample'"
        raise BadData(msg)
    for wrong, words in (
        ([names[i] for i, key in enumerate(keys) if key not in row], "has no row"),
        ([text for text, count in Counter(asked).items() if count > 1], "stands there more than once"),
    ):
        if wrong:
            msg = f"{what} must have each sample once: {wrong[0]!r} {words} ({len(wrong)} such samples)"
            raise BadData(msg)
    return np.array([row[key] for key in keys], np.int64)


def _plain(text: str) -> str:
    return text.replace("\\", "/").removeprefix("./")


def _same(text: str) -> str:
    return text


def _last(parts: int) -> Callable[[str], str]:
    """The last parts of a path."""
    return lambda text: "/".join(text.rsplit("/", parts)[-parts:])


def _stem(text: str) -> str:
    """The last part of a path without its ending."""
    name = text.rpartition("/")[2]
    return name.rpartition(".")[0] or name
