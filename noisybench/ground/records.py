"""Records: frozen dataclasses that JSON files hold, read against what is expected."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from noisybench.ground.claims import check_record_size
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_record

T = TypeVar("T")


def read_json_as(path: Path, kind: type[T], *, mend: str = "make it again", allow_unknown: bool = False) -> T:
    """The frozen dataclass ``kind`` that a JSON file holds.

    Args:
        path: A file of ``write_json``, which took ``dataclasses.asdict`` of the record.
        kind: A dataclass; fields with a default may be missing in the file, and fields may be dataclasses.
        mend: What to do about a damaged file, the end of the message.
        allow_unknown: Whether fields that ``kind`` does not have are passed over.

    Raises:
        BadData: The file is missing, is no JSON, lacks a field, has one of another type or one that nobody knows.
    """
    check_record_size(path)
    return record_as(read_record(path, mend=mend), kind, path, mend=mend, allow_unknown=allow_unknown)


def record_as(
    record: Mapping[str, Any], kind: type[T], path: Path, *, mend: str = "make it again", allow_unknown: bool = False
) -> T:
    """The frozen dataclass ``kind`` that ``record``, as read from ``path``, describes; see ``read_json_as``.

    Raises:
        BadData: As ``read_json_as``, but for what is wrong with the file itself.
    """
    known = tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # a dataclass by contract
    odd = None if allow_unknown else next((name for name in record if name not in known), None)
    if odd is not None:
        msg = f"{path} has a field '{odd}', which is none of: {', '.join(known)}; {mend}"
        raise BadData(msg)
    try:
        json.dumps(record, ensure_ascii=False).encode()
        return msgspec.convert(record, kind)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and no text file can hold
        msg = f"{path} holds text that is no Unicode; {mend}"
        raise BadData(msg) from None
    except msgspec.ValidationError as error:
        msg = f"{path}{_fault(str(error), record, kind)} {mend}"
        raise BadData(msg) from None


def check_fields(record: Mapping[str, Any], kinds: Mapping[str, Any], path: Path) -> None:
    """Raise ``BadData`` unless ``record``, as read from ``path``, has every field of ``kinds``, and of that type.

    Args:
        record: Field → value.
        kinds: Field → type hint.
        path: Where the record stands, for messages.
    """
    for name, kind in kinds.items():
        if name not in record:
            msg = f"{path} lacks '{name}'; it is damaged, or of another version: make it again"
            raise BadData(msg)
        if not _fits(record[name], kind):
            wanted = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
            msg = f"{path}: '{name}' is {str(record[name])[:40]!r}, expected {wanted}; make it again"
            raise BadData(msg)


def _fits(value: Any, kind: Any) -> bool:  # noqa: ANN401 - a value of JSON and a type hint
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(kind))
    if get_origin(kind) is Mapping:
        return isinstance(value, dict) and all(_fits(part, get_args(kind)[1]) for part in value.values())
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(part, get_args(kind)[0]) for part in value)
    return type(value) is kind  # True is no number here


def _fault(text: str, record: Mapping[str, Any], kind: type) -> str:
    """What msgspec found wrong with a record, in our words: the field, what stands there and what should.

    >>> _fault("Expected `int`, got `str` - at `$.seed`", {"seed": "x"}, Mapping)
    ": 'seed' is 'x', expected int;"
    >>> _fault("Object missing required field `seed`", {}, Mapping)
    " lacks 'seed'; it is damaged, or of another version:"
    >>> _fault("draws must be different, got 1, 1", {"draws": [1, 1]}, Mapping)
    ': draws must be different, got 1, 1;'
    """
    reason, _, within = text.partition(" - at ")
    within = within.rpartition("$")[2].strip("`").removeprefix(".")
    missing = re.fullmatch("Object missing required field `(.*)`", reason)
    if missing:
        return f" lacks '{'.'.join(filter(None, (within, missing[1])))}'; it is damaged, or of another version:"
    if not within:  # what the dataclass itself refuses
        return f": {reason};"
    top = re.split(r"[.\[]", within)[0]
    expected = re.fullmatch("Expected `(.*)`, got `.*`", reason)  # else it is no word of a closed choice
    wanted = expected[1].replace("null", "None") if expected else str(get_type_hints(kind).get(top, reason))
    return f": '{within}' is {str(record.get(top))[:40]!r}, expected {wanted.replace('typing.', '')};"
