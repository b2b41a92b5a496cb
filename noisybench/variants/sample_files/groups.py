"""Groups of samples that belong together, such as the pictures of one patient: in a file, or in the source's own table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from noisybench.data.source import PARENT, UNIT, Source
from noisybench.data.tables.columns import header, read_table
from noisybench.data.tables.layout import SUFFIXES, layout_of
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.npy import read_array
from noisybench.ground.packing import ending_of
from noisybench.variants.sample_files.column_names import ids_among
from noisybench.variants.sample_files.readers import reader_of
from noisybench.variants.sample_files.text_readers import Chosen
from noisybench.variants.variant import Variant

GROUPS = ("group", "groups", "group_id")
"""Names of the column of groups in a file that has several."""


def read_groups(where: str, variant: Variant, source: Source, table: Path | None) -> Sequence[Any]:
    """The group of each sample, shape (n,), from a file, a column of the source's table, or a mark of the source.

    Args:
        where: A file with a row for each sample, in their order: ``.npy``, or a table with one column, or one called
            ``group``. Else the name of a column or mark.
        variant: Whose samples.
        source: Of the variant.
        table: The file that the source was read from; None where it has none.

    Raises:
        BadUsage: It is neither.
        BadData: The file cannot be read, or has not a row for each sample.
    """
    n = len(variant.labels)
    path = Path(where)
    if path.is_file():
        return _fitting(_of_file(path, variant), n, str(path))
    if where in source.marks:
        marked = source.marks[where].tolist()
        # -1 is none: such samples have nothing in common.
        return [None if where in (PARENT, UNIT) and mark < 0 else mark for mark in marked]
    if table is not None and table.is_file() and table.name.lower().endswith(SUFFIXES):
        layout = layout_of(table)
        if where in header(layout):
            found: list[Any] = read_table(layout, texts=(where,))[where].to_pylist()
            return _fitting(found if source.limit is None else found[: source.limit], n, f"column '{where}' of {table}")
        there = f"; its columns are: {', '.join(header(layout)[:20])}"
    else:
        there = f", and source '{source.name}' has no table of its own"
    msg = f"--groups {where} is neither a file nor a column of the source's table{there}; give a file with a group for each sample"
    raise BadUsage(msg)


def _of_file(path: Path, variant: Variant) -> Sequence[Any]:
    """The column of groups of a file, in the order of its rows."""

    def choose(there: Sequence[str]) -> Chosen:
        names = [name for name in GROUPS if name in there] or [name for name in there if name != ids_among(there)]
        if len(names) != 1:
            shown = ", ".join(there[:20])
            msg = f"{path} must have one column of groups, called {' or '.join(GROUPS)}; it has: {shown}"
            raise BadData(msg)
        return Chosen((names[0],), frozenset(names))

    if ending_of(path) == ".npy":
        found = read_array(path)
    else:
        found = next(iter(reader_of(path, "groups")(path, choose, variant).values()))
    return list(found.tolist())


def _fitting(groups: Sequence[Any], n: int, what: str) -> Sequence[Any]:
    if len(groups) != n:
        msg = f"{what} has {len(groups)} groups, the variant {n} samples; expected one for each sample, in their order"
        raise BadData(msg)
    return groups
