"""Turning ``--set key=value`` strings into the fields of a frozen dataclass, and those fields into JSON."""

import hashlib
import inspect
import operator
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from noisybench.errors import BadData, BadUsage, UnknownName

T = TypeVar("T")
MOST_NAMES = 30
"""That a message lists; timm has over a thousand models."""


def parse_options(kind: type[T], values: Mapping[str, str], *, what: str) -> T:
    """An instance of the dataclass ``kind`` from strings.

    Args:
        kind: A dataclass whose fields are numbers, booleans, strings, paths or a closed choice of strings.
        values: Field name → text.
        what: Of whom these are the options, for messages.

    Raises:
        UnknownName: A key that is no field.
        BadUsage: A text that is not of the field's type, or a field without a default that is missing.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass by contract
    types = get_type_hints(kind)
    for key in values:
        if key not in known:
            raise UnknownName(unknown(key, tuple(known), f"option of {what}"))
    missing = [
        name
        for name, field in known.items()
        if name not in values and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        flag = f"{'--source-set' if what.startswith('source') else '--set'} {missing[0]}=…"
        flag = "--rate 0.2" if missing[0] == "rate" and what.startswith("noise") else flag
        msg = f"{what} needs '{missing[0]}': say {flag}"
        raise BadUsage(msg)
    return kind(**{key: parse_value(types[key], text, f"option '{key}' of {what}") for key, text in values.items()})


def parse_value(kind: Any, text: str, what: str) -> Any:  # noqa: ANN401 - a type hint and a value of it
    """``text`` as a value of type ``kind``.

    Raises:
        BadUsage: The text is not of that type.
    """
    if get_origin(kind) in (Union, UnionType):
        if NoneType in get_args(kind) and text.lower() in ("none", ""):
            return None
        kind = next(part for part in get_args(kind) if part is not NoneType)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            msg = f"{what} must be one of {', '.join(map(str, get_args(kind)))}, got '{text}'"
            raise BadUsage(msg)
        return text
    if kind is bool:
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            msg = f"{what} must be true or false, got '{text}'"
            raise BadUsage(msg)
        return text.lower() in ("true", "yes", "1")
    try:
        return kind(text)
    except ValueError:
        words = {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        msg = f"{what} must be {words}, got '{text}'"
        raise BadUsage(msg) from None


def split_pairs(pairs: list[str], *, flag: str) -> dict[str, str]:
    """``["k=v", …]`` → ``{"k": "v", …}``.

    Raises:
        BadUsage: An entry without ``=``, or a key given twice.
    """
    result: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            msg = f"{flag} takes key=value, got '{pair}'"
            raise BadUsage(msg)
        if key in result:
            msg = f"{flag} {key}=… is given twice"
            raise BadUsage(msg)
        result[key] = value
    return result


def parse_call(text: str, *, what: str) -> tuple[str, dict[str, str]]:
    """Name and options of a text such as ``"symmetric(rate=0.2, inclusive=true)"``.

    >>> parse_call(" pair_flip ( rate = 0.2 ) ", what="a noise")
    ('pair_flip', {'rate': '0.2'})

    Raises:
        BadUsage: It does not read so, or an option is given twice.
    """
    match = re.fullmatch(r"\s*([a-z][a-z0-9_]*)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if match is None:
        msg = f"{what} reads name(option=value, …), got '{text.strip()[:80]}'"
        raise BadUsage(msg)
    pairs = [part.strip() for part in (match[2] or "").split(",") if part.strip()]
    return match[1], split_pairs([re.sub(r"\s*=\s*", "=", pair, count=1) for pair in pairs], flag=f"'{match[1]}'")


def plain_options(instance: Any) -> dict[str, str | int | float | bool]:  # noqa: ANN401 - any dataclass
    """The fields of a dataclass for JSON, without absent ones; a file is named by its name and digest, not its place."""
    result: dict[str, str | int | float | bool] = {}
    for field in fields(instance):
        value = getattr(instance, field.name)
        if hasattr(value, "item"):  # a scalar of NumPy, which JSON does not take
            value = value.item()
        if isinstance(value, Path):
            result[field.name] = f"{value.name} sha256:{file_digest(value)}" if value.is_file() else value.name
        elif value is not None:
            result[field.name] = value
    return result


def whole(value: Any, what: str, *, least: int | None = None) -> int:  # noqa: ANN401 - whatever a caller gives
    """``value`` as an int: whole numbers of any type, such as NumPy's, but neither booleans nor 3.0.

    >>> whole(True, "seed")
    Traceback (most recent call last):
    noisybench.errors.BadUsage: seed must be a whole number, got True

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


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        BadData: The file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise BadData(msg) from None


def code_of(item: Any) -> str | None:  # noqa: ANN401 - a class or a function
    """SHA-256 of the file of a user's own item; None for one of noisybench, whose version is recorded."""
    if item.__module__.partition(".")[0] == "noisybench":
        return None
    try:
        return file_digest(Path(inspect.getfile(item)))
    except (TypeError, OSError):  # typed into a session: it stands in no file
        return None


def unknown(name: str, names: tuple[str, ...], what: str) -> str:
    """The message for a name that does not exist, with the nearest that does."""
    near = get_close_matches(name, names, n=1)
    some = ", ".join(names[:MOST_NAMES]) + (f", … ({len(names)} in all)" if len(names) > MOST_NAMES else "")
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {some or 'none'}"
    return f"no {what} is called '{name}'; {hint}"
