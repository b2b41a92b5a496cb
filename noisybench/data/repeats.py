"""The same image, text or id twice in one's own data: counted, named and marked."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Labels

DUPLICATE = "duplicate"
"""Name of the mark of samples of which there is another."""


def repeated(
    keys: Iterable[Hashable], labels: Labels, names: Sequence[str] | None, what: str
) -> tuple[NDArray[np.bool_], str | None]:
    """Whether another sample has the same key, shape (n,), and a sentence that says so where one has.

    Args:
        keys: What may be the same, shape (n,); an empty one is none.
        labels: Shape (n,).
        names: What people call each, shape (n,).
        what: What a key is, such as ``image``.
    """
    rows: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        if key:
            rows[key].append(row)
    groups = [group for group in rows.values() if len(group) > 1]
    mark = np.zeros(len(labels), bool)
    if not groups:
        return mark, None
    mark[np.concatenate(groups)] = True
    torn = sum(len(np.unique(labels[group])) > 1 for group in groups)
    first = " and ".join(f"row {row}" + ("" if names is None else f" ('{names[row]}')") for row in groups[0][:2])
    several = f"{len(groups)} {what}{'s are' if len(groups) > 1 else ' is'} there more than once, in {mark.sum()} rows"
    labelled = f"; {torn} of them under several labels" if torn else ""
    return mark, f"{several}, such as {first}{labelled}; the mark 'duplicate' says which"


def repeated_images(
    inputs: Any,  # noqa: ANN401 - of Source.inputs
    names: Sequence[str],
    labels: Labels,
) -> tuple[NDArray[np.bool_], str | None]:
    """As ``repeated``, for images of the same pixels; of the same name where they are not kept in memory."""
    kept = isinstance(inputs, np.ndarray)
    keys = (blake2b(image.tobytes(), digest_size=16).digest() for image in inputs) if kept else names
    return repeated(keys, labels, names, "image")


def marked(
    found: Iterable[tuple[NDArray[np.bool_], str | None]],
) -> tuple[dict[str, NDArray[np.bool_]], tuple[str, ...]]:
    """One mark of all that was found, none where nothing was, and the sentences."""
    some = [(mark, sentence) for mark, sentence in found if sentence is not None]
    if not some:
        return {}, ()
    return {DUPLICATE: np.logical_or.reduce([mark for mark, _ in some])}, tuple(sentence for _, sentence in some)
