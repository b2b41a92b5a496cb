"""What is odd of the classes of one's own table, in a sentence each."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from noisybench.ground.arrays import Labels

_SHOWN = 5  # names in a sentence


def class_doubts(
    given: Labels, clean: Labels | None, class_names: Sequence[str], label: str, right: str
) -> Iterator[str]:
    """What is odd of the classes of a table.

    Args:
        given: Given labels, shape (n,).
        clean: Right ones, shape (n,); None where there are none.
        class_names: Of all.
        label: Column of the given labels.
        right: Column of the right ones.
    """
    yield from _alike(class_names)
    if class_names[0] == "-1" and class_names != ("-1", "1") and (given == 0).any():
        yield f"-1 in column '{label}' is a class; drop its rows where it means that nobody knows"
    if clean is None:
        return
    known = np.unique(clean[clean >= 0])
    never = np.setdiff1d(known, given)
    if known.size and never.size == known.size:
        ours, theirs = class_names[given[0]], class_names[known[0]]
        yield (
            f"columns '{label}' and '{right}' have no class in common, such as '{ours}' and '{theirs}': every "
            f"known label counts as wrong"
        )
    elif never.size:
        yield (
            f"column '{right}' has classes that no label is ({_some(class_names[k] for k in never)}; "
            f"{np.isin(clean, never).sum()} samples): they are classes like the others; leave empty what nobody knows"
        )
    if known.size and class_names[known[0]] == "-1":
        yield f"-1 in column '{right}' is the class -1, as column '{label}' has it; leave empty what nobody knows"


def _alike(class_names: Sequence[str]) -> Iterator[str]:
    """What is told of classes that may be one."""
    spelt: dict[str, list[str]] = {}
    for name in class_names:
        spelt.setdefault(" ".join(name.split()).casefold(), []).append(name)
    several = [same for same in spelt.values() if len(same) > 1]
    if several:
        more = f" (and {len(several) - 1} more such groups)" if len(several) > 1 else ""
        yield (
            f"classes {_some(several[0])}{more} differ in capitals or spaces alone and are classes of their own; write them "
            f"alike where they are one"
        )


def _some(names: Iterable[str]) -> str:
    texts = [f"'{name}'" for name in names]
    return ", ".join(texts[:_SHOWN]) + (", …" if len(texts) > _SHOWN else "")
