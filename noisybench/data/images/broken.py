"""Broken images of one's own data: found before anything is read, left out where that was asked for, and named."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.data.images.decoding import SHOWN, Fault, image_fault, words_on_faults
from noisybench.data.lazy_inputs import ArrowRows, ImageFiles
from noisybench.ground.errors import BadData


class Unbroken(NamedTuple):
    """What is left of some images without the broken ones.

    Attributes:
        rows: Of those that are kept, shape (m,).
        left_out: Names of the others.
        notes: A sentence on them, where there are any.
    """

    rows: NDArray[np.int64]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def without_broken(
    names: Sequence[str], content: Callable[[int], bytes | None], what: str, *, limit: int | None = None
) -> Unbroken:
    """The images that can be decoded; those after the first ``limit`` whole ones are not looked at, and kept.

    Args:
        names: What each is called, shape (n,).
        content: Number of an image → its encoded bytes.
        what: Whose images these are, for messages.
        limit: How many are needed; None needs all.

    Raises:
        BadData: None is left.
    """
    found: dict[int, Fault] = {}
    for i in range(len(names)):
        if limit is not None and i - len(found) >= max(limit, 1):
            break
        fault = image_fault(content(i))
        if fault is not None and fault.broken:
            found[i] = fault
    rows = np.setdiff1d(np.arange(len(names)), list(found))
    if not found:
        return Unbroken(rows, (), ())
    faults = [(names[i], fault) for i, fault in found.items()]
    if not rows.size:
        raise BadData(words_on_faults(faults, what))
    shown = ", ".join(f"{name} ({fault.reason})" for name, fault in faults[:SHOWN])
    more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    count = f"{len(faults)} broken image{'s are' if len(faults) > 1 else ' is'} left out of {len(names)}"
    return Unbroken(rows, tuple(name for name, _ in faults), (f"{what}: {count}: {shown}{more}",))


def all_pixels(
    images: ImageFiles | ArrowRows, names: Sequence[str], content: Callable[[int], bytes | None], what: str
) -> Any:  # noqa: ANN401 - an array (n, h, w, c)
    """Every image of some that are read when they are asked for.

    Raises:
        BadData: Some cannot be read: those that are broken are all named at once.
    """
    try:
        return images[:]
    except BadData:
        found = ((name, image_fault(content(i))) for i, name in enumerate(names))
        faults = [(name, fault) for name, fault in found if fault is not None and fault.broken]
        if not faults:
            raise
    raise BadData(words_on_faults(faults, what, skip=True))
