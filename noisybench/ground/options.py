"""Turning ``--set key=value`` strings into the fields of a frozen dataclass, and those fields into JSON."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from noisybench.ground.checks import unknown
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadUsage, UnknownName

T = TypeVar("T")
FLAGS = {"source": "--source-set", "objective": "--objective-set"}
"""Of whom options are → how they are said, where it is not ``--set``."""


def parse_options(kind: type[T], values: Mapping[str, str], *, what: str) -> T:
    """An instance of the dataclass ``kind`` from strings.

    Args:
        kind: A dataclass whose fields are numbers, booleans, strings, paths, a closed choice of strings, or several of one
            of these with commas between them.
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
        flag = next((said for whose, said in FLAGS.items() if what.startswith(whose)), "--set") + f" {missing[0]}=…"
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
    if get_origin(kind) is tuple:
        return tuple(parse_value(get_args(kind)[0], part.strip(), what) for part in text.split(","))
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


def parse_call(text: str, *, what: str, flag: str | None = None) -> tuple[str, dict[str, str]]:
    """Name and options of a text such as ``"symmetric(rate=0.2, inclusive=true)"``.

    >>> parse_call(" pair_flip ( rate = 0.2 ) ", what="a noise")
    ('pair_flip', {'rate': '0.2'})
    >>> parse_call("transition(rows=1, 2, form=dense)", what="a noise")
    ('transition', {'rows': '1,2', 'form': 'dense'})

    Raises:
        BadUsage: It does not read so, or an option is given twice.
    """
    match = re.fullmatch(r"\s*([a-z][a-z0-9_]*)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if match is None:
        msg = f"{what} reads name(option=value, …), got '{text.strip()[:80]}'"
        raise BadUsage(msg)
    pairs: list[str] = []
    for part in filter(None, (part.strip() for part in (match[2] or "").split(","))):
        if pairs and "=" not in part:  # a value that is a list
            pairs[-1] += f",{part}"
        else:
            pairs.append(part)
    return match[1], split_pairs(
        [re.sub(r"\s*=\s*", "=", pair, count=1) for pair in pairs], flag=flag or f"'{match[1]}'"
    )


def options_said(instance: Any, **unsaid: Any) -> dict[str, str | int | float | bool]:  # noqa: ANN401 - any dataclass
    """As ``plain_options``, without those that stand at a default which records of older versions do not name."""
    return {name: value for name, value in plain_options(instance).items() if (name, value) not in unsaid.items()}


def plain_options(instance: Any) -> dict[str, str | int | float | bool]:  # noqa: ANN401 - any dataclass
    """The fields of a dataclass for JSON, without absent ones; a file is named by its name and digest, not its place."""
    result: dict[str, str | int | float | bool] = {}
    if isinstance(instance, type) or not is_dataclass(instance):
        msg = f"options are the fields of a dataclass, and {str(instance)[:60]!r} is none"
        raise BadUsage(msg)
    for field in fields(instance):
        value = getattr(instance, field.name)
        if hasattr(value, "item"):  # a scalar of NumPy, which JSON does not take
            value = value.item()
        if isinstance(value, Path):
            result[field.name] = f"{value.name} sha256:{file_digest(value)}" if value.is_file() else value.name
        elif value is not None:
            result[field.name] = value
    return result
