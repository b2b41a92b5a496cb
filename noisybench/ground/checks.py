"""Checks of single values: whole numbers, rates and other numbers, closed choices, and names that do not exist."""

import operator
import os
from difflib import get_close_matches
from math import inf, isfinite
from pathlib import Path
from typing import Any

from noisybench.ground.errors import BadUsage


def check_rate(rate: float, *, highest: float = 1.0) -> float:
    """``rate`` as a plain float that is not -0.0.

    Raises:
        BadUsage: It is no number, or outside [0, highest]; NaN is outside.
    """
    import numpy as np  # here, so that looking for a name does not wait for it

    number = np.asarray(rate)
    if number.ndim or number.dtype.kind not in "iuf":
        msg = f"rate must be a number in [0, {highest:g}] (0.2 is 20 %), got {rate!r}"
        raise BadUsage(msg)
    if not 0 <= rate <= highest:
        msg = f"rate must lie in [0, {highest:g}] (0.2 is 20 %), got {rate:g}"
        raise BadUsage(msg)
    return float(rate) + 0.0  # -0.0 + 0.0 is 0.0


MOST_NAMES = 30
"""Names that a message lists; timm has over a thousand models."""


def whole(value: Any, what: str, *, least: int | None = None) -> int:  # noqa: ANN401 - whatever a caller gives
    """``value`` as an int: whole numbers of any type, such as NumPy's, but neither booleans nor 3.0.

    >>> whole(True, "seed")
    Traceback (most recent call last):
    noisybench.ground.errors.BadUsage: seed must be a whole number, got True

    Raises:
        BadUsage: It is none, or below ``least``.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        msg = f"{what} must be a whole number, got {value!r}"
        raise BadUsage(msg)
    if least is not None and number < least:
        msg = f"{what} must {f'be at least {least}' if least else 'not be negative'}, got {number}"
        raise BadUsage(msg)
    return number


def number(
    value: Any,  # noqa: ANN401 - whatever a caller gives
    name: str,
    *,
    least: float = -inf,
    most: float = inf,
    without: float | None = None,
) -> float:
    """``value`` as a plain float that is not -0.0; ``without`` is an end that it may not reach.

    Raises:
        BadUsage: It is no finite number, or outside.
    """
    import numpy as np  # here, as above

    array = np.asarray(value)
    fits = array.ndim == 0 and array.dtype.kind in "iuf" and bool(np.isfinite(array)) and least <= value <= most
    if not fits or value == without:
        opening, closing = ("(" if without == least else "["), (")" if without == most else "]")
        bounds = {
            (False, False): "finite",
            (True, False): f"{'more than' if without == least else 'at least'} {least:g} and finite",
            (False, True): f"{'below' if without == most else 'at most'} {most:g} and finite",
            (True, True): f"in {opening}{least:g}, {most:g}{closing}",
        }
        msg = f"{name} must be a number {bounds[isfinite(least), isfinite(most)]}, got {repr(value)[:60]}"
        raise BadUsage(msg)
    return float(value) + 0.0  # -0.0 + 0.0 is 0.0


def check_kind(value: object, kind: type | tuple[type, ...], what: str, mend: str) -> None:
    """Raise ``BadUsage`` unless ``value`` is of a kind; ``mend`` says how to have one.

    >>> check_kind("variants/x", int, "variant", "read_variant(folder) reads one")
    Traceback (most recent call last):
    noisybench.ground.errors.BadUsage: variant is the str 'variants/x'; read_variant(folder) reads one
    """
    if not isinstance(value, kind):
        msg = f"{what} is the {type(value).__name__} {str(value)[:60]!r}; {mend}"
        raise BadUsage(msg)


def a_path(value: object, what: str = "path") -> Path:
    """A path that a caller gives as text or as any object that stands for one.

    Raises:
        BadUsage: It is neither.
    """
    check_kind(value, (str, os.PathLike), what, "give the path of a file or folder")
    return Path(value)  # type: ignore[arg-type]  # checked just now


def as_list(values: Any, what: str, mend: str) -> list[Any]:  # noqa: ANN401 - whatever a caller gives
    """What a caller gives one after the other, as a list; ``mend`` says what was expected.

    >>> as_list(3, "class_names", "give a text for each class")
    Traceback (most recent call last):
    noisybench.ground.errors.BadUsage: class_names is the int '3'; give a text for each class

    Raises:
        BadUsage: It is one thing, and no several.
    """
    try:
        return list(values)
    except TypeError:
        pass
    msg = f"{what} is the {type(values).__name__} {str(values)[:60]!r}; {mend}"
    raise BadUsage(msg)


def check_choice(value: str, what: str, choices: tuple[str, ...]) -> None:
    """Raise ``BadUsage`` unless ``value`` is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        msg = f"{what} must be one of {', '.join(choices)}, got {value!r}"
        raise BadUsage(msg)


def check_count(value: int, what: str, *, most: int) -> int:
    """``value`` as an int.

    Raises:
        BadUsage: It is no whole number from 1 to ``most``.
    """
    number = whole(value, what, least=1)
    if number > most:
        msg = f"{what} must be at most {most}, got {number}"
        raise BadUsage(msg)
    return number


def unknown(name: str, names: tuple[str, ...], what: str) -> str:
    """The message for a name that does not exist, with the nearest that does."""
    near = get_close_matches(name, names, n=1)
    some = ", ".join(names[:MOST_NAMES]) + (f", … ({len(names)} in all)" if len(names) > MOST_NAMES else "")
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {some or 'none'}"
    return f"no {what} is called '{name}'; {hint}"


def check_room(rows: int, columns: int, what: str, instead: str) -> None:
    """Raise ``BadUsage`` where an array of rows × columns numbers is more than can be asked of a machine's memory."""
    if rows * columns > MOST_CELLS:
        size = f"{rows} × {columns}" if columns > 1 else f"{rows}"
        msg = f"{what} would hold {size} numbers ({rows * columns * 8 / 2**30:.3g} GiB), more than fit: {instead}"
        raise BadUsage(msg)


MOST_CELLS = 1 << 29
"""Numbers that one array may hold where they grow with samples × classes or classes × classes: 4 GiB of float64."""
