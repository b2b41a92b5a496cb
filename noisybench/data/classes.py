"""Classes by their names: one class however a number is written, one order in every source of one's own."""

import re
from collections.abc import Container, Iterable, Sequence

_NOBODY_KNOWS = re.compile(r"|-1(\.0+)?|nan|null|none|na|n/a|<na>", re.ASCII | re.IGNORECASE)
_ONLY_WRONG = re.compile(r"-2(\.0+)?", re.ASCII)
_WHOLE = re.compile(r"(0|-?[1-9][0-9]{0,17})(?:\.0+)?", re.ASCII)


def class_spelling(texts: Iterable[str]) -> dict[str, str]:
    """The name of the class that each text means, by text; give all columns of a data set together.

    Where every text is a whole number, ``1.0`` means ``1``; where one is not, such as ``01``, all mean themselves.

    >>> class_spelling(["0", "1.0", "1"])
    {'0': '0', '1.0': '1', '1': '1'}
    >>> class_spelling(["01", "1.0"])
    {'01': '01', '1.0': '1.0'}
    """
    found = list(dict.fromkeys(texts))
    whole = [_WHOLE.fullmatch(text) for text in found]
    return {text: match[1] if match and all(whole) else text for text, match in zip(found, whole, strict=True)}


def class_order(names: Iterable[str], declared: Sequence[str] = ()) -> tuple[str, ...]:
    """Each name once: declared ones first, the others by value where all are whole numbers, else by code points.

    A whole number is one in canonical form, with at most 18 digits; ``01`` and ``1.0`` are texts.

    >>> class_order(["10", "9", "b"]), class_order(["10", "9"]), class_order(["a", "b", "c"], declared=["c"])
    (('10', '9', 'b'), ('9', '10'), ('c', 'a', 'b'))
    """
    others = set(names) - set(declared)
    numbers = all((match := _WHOLE.fullmatch(name)) and match[1] == name for name in others)
    return (*declared, *(sorted(others, key=int) if numbers else sorted(others)))


def nobody_knows(text: str, given: Container[str]) -> bool:
    """Whether an entry of a column of right classes says that nobody knows: empty, -1, NaN, null and the like.

    It does not where a given label is called so: a class may be ``NA``, or -1 beside 1.

    Args:
        text: The entry.
        given: The given labels.
    """
    return not text or (text not in given and _NOBODY_KNOWS.fullmatch(text) is not None)


def only_wrong(text: str, given: Container[str]) -> bool:
    """Whether an entry of a column of right classes says that the label is wrong and no more: -2, no given label's name.

    Args:
        text: The entry.
        given: The given labels.
    """
    return text not in given and _ONLY_WRONG.fullmatch(text) is not None
