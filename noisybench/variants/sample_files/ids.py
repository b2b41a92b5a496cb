"""Whose each row of a file is: by positions of samples, or by what people call them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.errors import BadData
from noisybench.ground.packing import ending_of
from noisybench.variants.sample_files.column_names import COUNTING, FILES, IDS
from noisybench.variants.sample_files.text_readers import delimiter_of, fault_of
from noisybench.variants.sample_names import rows_by_name

_WHOLE_NUMBER = r"(-?\d{1,18})(\.0*)?"


def order_of(ids: NDArray[Any], name: str, n: int, path: Path, names: Sequence[str] | None = None) -> NDArray[np.int64]:
    """Row of each sample, shape (n,), by a column of ids 0..n-1, or of what ``names`` calls the samples.

    Args:
        ids: Whole numbers or texts, shape (n,).
        name: What the column is called.
        n: Samples.
        path: The file, for messages.
        names: What people call each sample, shape (n,); None where they have no names.

    Raises:
        BadData: They are neither, or not each once.
    """
    whole = _whole_numbers(ids)
    if ids.ndim != 1 or (whole is None and ids.dtype.kind not in "UO"):
        msg = f"{name!r} of {path} must be whole numbers of shape (n,), got {ids.dtype} of shape {ids.shape}"
        raise BadData(msg)
    texts = [str(text) for text in ids] if whole is None else [str(number) for number in whole]
    if whole is None and names is None:
        raise BadData(_no_names(texts, name, n, path))
    called = names is not None and (whole is None or (name not in COUNTING and set(texts) <= set(names)))
    if not called or names is None:
        assert whole is not None  # noqa: S101 - for mypy
        return _order_of_positions(whole, name, n, path)
    what = f"column {name!r} of {path}"
    counts = whole is not None and np.array_equal(np.sort(whole), np.arange(n))
    if counts and name not in FILES and texts != [names[int(text)] for text in texts]:
        msg = f"{what} may hold ids or positions of samples; call it 'sample' where it counts them from 0, else 'name'"
        raise BadData(msg)
    return rows_by_name(texts, names, what)


def _no_names(texts: Sequence[str], name: str, n: int, path: Path) -> str:
    """What is said of ids that are no numbers, where the samples have no names."""
    fault = fault_of(path, delimiter_of(path), [name]) if ending_of(path) in (".csv", ".tsv") else None
    odd = next(text for text in texts if not re.fullmatch(_WHOLE_NUMBER, text))
    words = fault or f"column {name!r} of {path} holds {odd[:40]!r}, expected ids 0..{n - 1}"
    return f"{words}; no names are kept of this variant's samples, to match it by: build it again if its files or ids have some"


def _order_of_positions(whole: NDArray[np.int64], name: str, n: int, path: Path) -> NDArray[np.int64]:
    """Row of each sample, shape (n,), by ids that must be 0..n-1."""
    unknown = whole[(whole < 0) | (whole >= n)]
    if unknown.size:
        hint = "; ids count the samples from 0" if name != IDS[0] or unknown.size == 1 else ""
        msg = f"sample {unknown[0]} of {path} is none of the variant's 0..{n - 1} ({unknown.size} such rows){hint}"
        raise BadData(msg)
    counts = np.bincount(whole, minlength=n)
    for found, words in ((counts > 1, "stands there more than once"), (counts == 0, "is missing")):
        if found.any():
            msg = f"{path} must have each sample once: sample {found.argmax()} {words} ({found.sum()} such samples)"
            raise BadData(msg)
    return np.argsort(whole)


def _whole_numbers(ids: NDArray[Any]) -> NDArray[np.int64] | None:
    """Ids as whole numbers, which texts may be too; None where they are none."""
    if ids.dtype.kind in "iu":
        return ids.astype(np.int64)
    if ids.dtype.kind not in "UO" or ids.ndim != 1:
        return None
    found = [re.fullmatch(_WHOLE_NUMBER, str(text)) for text in ids]
    numbers = [match[1] for match in found if match is not None]
    return np.array(numbers, np.int64) if len(numbers) == len(ids) else None
