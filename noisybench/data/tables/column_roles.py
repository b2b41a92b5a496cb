"""What a column of one's own table is by its name: row numbers, ids, splits, file names, further labels, images, texts."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.splits import split_role

SPLIT = "which part a row is in"
NUMBERED = "row numbers"
NOTHING = "nothing"
"""What the inputs of labels alone are called; ``none`` leaves an option as it is."""
TEXT_COLUMNS = ("text", "sentence", "content", "review", "comment", "tweet", "document", "utterance")
"""What a column of texts is often called."""
_BY_NAME = {
    NUMBERED: r"|unnamed(: |_)\d+(_level_\d+)?|__index_level_\d+__|level_0|index|idx|row|rows?_?(id|no|num|number|index|idx)|x\.\d+",
    "ids": r"(.+_)?(id|ids|uid|uuid|guid|md5|sha1|sha256|hash)",
    SPLIT: r"(.+_)?(split|splits|k?folds?|subset|partition)|(is|in)_(train|valid|val|test|validation|training|testing)(_set)?",
    "file names": r"(.+_)?(path|file|files|filename|filepath|file_name|file_path|url|uri)",
    "labels": r"(.+_)?labels?(_.+)?|clean|noisy|target|targets|true_?class|given_?class|class_?(name|id)|ground_?truth|gold",
}
_PATTERNS = {reason: re.compile(pattern, re.IGNORECASE | re.ASCII) for reason, pattern in _BY_NAME.items()}
_IMAGES = ("path", "file_name", "filename", "image", "img", "image_path", "img_path", "image_file", "image_name",
           "file_path", "filepath", "file", "image_filename")  # fmt: skip
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".jp2", ".avif")
_FEWEST = 20
"""Rows of which whole numbers that count them are taken for row numbers; fewer may do so by chance."""


def bookkeeping(names: Iterable[str], index: Collection[str] = ()) -> dict[str, str]:
    """What columns are by their names, where they are no inputs: name → row numbers, ids, and so on.

    Args:
        names: Of columns that have no other meaning.
        index: Those that the file itself calls an index.
    """
    found = {name: _reason(name) for name in names}
    return {name: NUMBERED if name in index else why for name, why in found.items() if why or name in index}


def _reason(name: str) -> str:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).replace("-", "_").replace(" ", "_")
    return next((why for why, pattern in _PATTERNS.items() if pattern.fullmatch(plain) or pattern.fullmatch(name)), "")


def name_parts(entries: Iterable[str]) -> bool:
    """Whether all entries of a column name parts of a data set, such as Training and PublicTest, and more than one."""
    roles = {split_role(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", entry)) for entry in entries}
    return "train" in roles and len(roles) > 1 and None not in roles


def counts_rows(values: NDArray[np.float64]) -> bool:
    """Whether whole numbers (n,) rise from row to row, or are n consecutive ones in any order."""
    if len(values) < _FEWEST or (values != np.trunc(values)).any():
        return False
    if (np.diff(values) > 0).all():
        return True
    return bool(values.max() - values.min() == len(values) - 1 and len(np.unique(values)) == len(values))


def left_out(reasons: Mapping[str, str], mend: str = "features=A,B takes what you name, features=* all") -> str:
    """One sentence on columns that are no features, and which option of the source says otherwise."""
    said = ", ".join(
        (f"'{name}'" if name else "a column without a name") + f" ({why})" for name, why in reasons.items()
    )
    split = any(why == SPLIT for why in reasons.values())
    part = "; all rows are training samples, and test=FILE names the others" if split else ""
    return f"left out of the features: {said}{part}; --source-set {mend}"


def naming(reasons: Mapping[str, str], entries: Callable[[str], list[str]]) -> tuple[list[str] | None, tuple[str, ...]]:
    """What people call each row, shape (n,), and a sentence that says whence; None where no column tells all rows apart.

    Args:
        reasons: Why columns are no features.
        entries: The texts of a column, none where it holds something else.
    """
    for reason in ("ids", "file names", NUMBERED):
        for name in (name for name, why in reasons.items() if why == reason):
            texts = entries(name)
            counted = texts == [f"{row}" for row in range(len(texts))]
            if texts and "" not in texts and len({*texts}) == len(texts) and not counted:
                return texts, (f"samples are called as in column '{name}'",)
    return None, ()


def image_column(names: Iterable[str], entries: Any) -> str | None:  # noqa: ANN401 - a function: name → some of its texts
    """The first column, by names that are usual for image files, whose entries end as image files do; None: none does."""
    usual = {name.lower(): name for name in reversed(list(names))}
    for plain in _IMAGES:
        name = usual.get(plain)
        if name is not None:
            texts = entries(name)
            if texts and all(text.lower().endswith(_ENDINGS) for text in texts):
                return name
    return None
