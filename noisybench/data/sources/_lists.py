"""Text files that list images and their classes, as many published sets have them; and where those images lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData
from noisybench.ground.random_streams import bits

Names = Any
"""Arrow column of strings, shape (n,): a million names of 40 letters take 44 MB, where Python's strings take 100."""

LOOKED_FOR = 64
"""Images whose file is looked for when a list is read; to look for all would take hours on a shared file system."""
_CHUNK = 1 << 20
_OUTSIDE = r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:"


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The images that a file lists.

    Attributes:
        names: As written there, shape (n,).
        labels: Their classes, shape (n,).
        file: Where they are listed.
    """

    names: Names
    labels: Labels
    file: Path


def read_listing(file: Path, num_classes: int) -> Listing:
    """Lines of a name and a class number. Names may hold commas, since only whitespace separates.

    Raises:
        BadData: The file cannot be read, or a line is not of that form.
    """
    names, classes = read_words(file, "<image file> <class number>", 2)
    digits = pc.match_substring_regex(classes, "^[0-9]{1,9}$")
    labels: Labels = pc.if_else(digits, classes, "-1").cast(pa.int64()).to_numpy(zero_copy_only=False)
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if bad.size:
        msg = (
            f"{file} gives '{names[int(bad[0])]}' the class '{classes[int(bad[0])]}', expected 0..{num_classes - 1} "
            f"({bad.size} such entries); copy it again"
        )
        raise BadData(msg)
    return Listing(names, labels, file)


def read_lines(file: Path) -> Names:
    """Lines of one name each.

    Raises:
        BadData: The file cannot be read, or a line is not of that form.
    """
    return read_words(file, "<image file>", 1)[0]


def check_once(names: Names, file: Path) -> None:
    """Raise ``BadData`` where a name is listed twice."""
    if pc.count_distinct(names).as_py() == len(names):
        return
    counts = pc.value_counts(names)
    several = counts.filter(pc.greater(counts.field("counts"), 1))
    msg = f"{file} lists '{several[0]['values']}' more than once ({len(several)} such images); copy it again"
    raise BadData(msg)


def find_rows(names: Names, among: Names) -> Labels:
    """Row of each name in ``among``, shape (n,); -1 where it is not there."""
    rows: Labels = pc.fill_null(pc.index_in(names, value_set=among), -1).to_numpy(zero_copy_only=False)
    return rows.astype(np.int64)


def labels_of(names: Names, file: Path, listing: Listing) -> Labels:
    """The class of each name of ``file`` in a listing, shape (n,).

    Raises:
        BadData: A name that is not in the listing.
    """
    rows = find_rows(names, listing.names)
    absent = np.flatnonzero(rows < 0)
    if absent.size:
        msg = (
            f"'{names[int(absent[0])]}' of {file} has no label in {listing.file.name} ({absent.size} such images); "
            "copy both again, of one release"
        )
        raise BadData(msg)
    return listing.labels[rows]


def find_images(roots: Sequence[Path], names: Names, *, mend: str) -> Path:
    """The first of some folders that holds images of these names, of which a seeded sample is looked for.

    Args:
        roots: Where the images may lie.
        names: Files below it, shape (n,).
        mend: What to do where they are not there.

    Raises:
        BadData: An image that was looked for is in none of them.
    """
    wanted = np.unique(bits(0, "images to look for", LOOKED_FOR) % np.uint64(len(names)))
    looked = [names[int(row)].as_py() for row in wanted]
    for root in roots:
        missing = [name for name in looked if not (root / name).is_file()]
        if not missing:
            return root
        if len(missing) < len(looked):
            msg = f"{root} lacks {missing[0]} ({len(missing)} of {len(looked)} images that were looked for); {mend}"
            raise BadData(msg)
    folders = " nor ".join(str(root) for root in roots)
    msg = f"no image is in {folders}, as {looked[0]} would be ({len(looked)} were looked for); {mend}"
    raise BadData(msg)


def read_words(file: Path, form: str, width: int) -> list[Any]:
    """The columns of a text file, of strings, each of shape (n,). Lines without any word are left out."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    before = 0
    try:
        with file.open("rb") as stream:
            while lines := stream.readlines(_CHUNK):
                rows = [line.split() for line in lines]
                odd = next((i for i, row in enumerate(rows) if row and len(row) != width), None)
                if odd is not None:
                    msg = (
                        f"line {before + odd + 1} of {file} has {len(rows[odd])} words, expected {form}; copy it again"
                    )
                    raise BadData(msg)
                for number, column in enumerate(columns):
                    column.append(pa.array([row[number] for row in rows if row], pa.binary()).cast(pa.string()))
                before += len(lines)
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}; expected lines of {form}"
        raise BadData(msg) from None
    except pa.ArrowInvalid:
        msg = f"{file} is no text in UTF-8; expected lines of {form}"
        raise BadData(msg) from None
    if not before or not any(map(len, columns[0])):
        msg = f"{file} is empty; expected lines of {form}"
        raise BadData(msg)
    whole = [pa.concat_arrays(column) for column in columns]
    outside = pc.index(pc.match_substring_regex(whole[0], _OUTSIDE), value=True).as_py()
    if outside >= 0:
        msg = f"{file} lists '{whole[0][outside]}', which is outside of the folder; use the published file"
        raise BadData(msg)
    return whole
