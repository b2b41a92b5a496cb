"""What the fields of a study's grid must be, seen when a grid is made and before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

import msgspec

from noisybench.ground.errors import BadUsage


def check_fields_of(grid: Any) -> None:  # noqa: ANN401 - each study has a grid of its own
    """Raise unless every field of a new grid is of its kind; lists, ranges and arrays become tuples of plain values.

    Args:
        grid: A frozen dataclass.

    Raises:
        BadUsage: A field is of another kind.
    """
    hints = get_type_hints(type(grid))
    for field in fields(grid):
        value, kind = _plain(getattr(grid, field.name)), hints[field.name]
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            wanted = (kind.__name__ if isinstance(kind, type) and kind in PLAIN else str(kind)).rpartition("abc.")[2]
            msg = f"{field.name} of a {type(grid).__name__} is {str(value)[:60]!r}, expected {wanted}"
            raise BadUsage(msg) from None
        if not isinstance(value, Mapping):
            object.__setattr__(grid, field.name, value)


PLAIN = (bool, int, float, str)
"""Kinds that are told by their name."""


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a caller gives
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple, range)) else value


def check_axis(values: Sequence[Any], name: str, *, ascending: bool = False) -> None:
    """Raise unless there are values, each of them once.

    Args:
        values: Of a field of a grid.
        name: Of the field.
        ascending: Whether they must be in their order, too.

    Raises:
        BadUsage: There is none, or one twice, or they are in another order.
    """
    told = ", ".join(map(str, values)) or "none"
    if not values or len({*values}) < len(values):
        msg = f"{name} of the grid must be different ones, at least one, got {told}"
        raise BadUsage(msg)
    if ascending and [*values] != sorted(values):
        msg = f"{name} of the grid must be ascending, got {told}"
        raise BadUsage(msg)


def check_own_options(options: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Raise for an option that other fields of a grid decide, since one of the two would be passed over.

    Args:
        options: Of the grid.
        own: Option → what decides it.

    Raises:
        BadUsage: There is one.
    """
    for name, decider in own.items():
        if name in options:
            msg = f"options of the grid hold '{name}', which is decided by {decider}; leave it out"
            raise BadUsage(msg)
