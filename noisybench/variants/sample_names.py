"""What people call the samples of a variant: kept beside it, and beside its runs."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from noisybench.ground.errors import BadData
from noisybench.ground.files import replacing

NAMES = "samples.parquet"
"""File beside a variant and beside its runs: the names of its samples. Found in the source, never hashed, never published."""


def write_names(names: Sequence[str] | None, folder: Path, *, again: bool = True) -> None:
    """Keep the names of samples, shape (n,), in a folder; None keeps nothing.

    Args:
        names: In the order of the samples.
        folder: Of a variant, or of its runs.
        again: Whether names that are there are replaced.
    """
    path = folder / NAMES
    if names is None:
        if again:
            path.unlink(missing_ok=True)
        return
    if again or not path.is_file():
        table = pa.table({"name": pa.array(names, pa.large_string())})
        with replacing(path) as part:
            pq.write_table(table, part, compression="zstd")


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
