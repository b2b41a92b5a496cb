"""Digests: of files, of a user's code and of labels."""

import hashlib
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from noisybench.ground.arrays import Labels
from noisybench.ground.claims import check_regular
from noisybench.ground.errors import BadData


def label_digest(labels: Labels) -> str:
    """SHA-256 of the labels as little-endian int64, so that it is the same on every machine."""
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()


def fingerprint(labels: Labels) -> str:
    """SHA-256 of the labels as uint8: the short-hand by which published sample orders are recognised."""
    return hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest()


def named_options(options: Any, first: Collection[str]) -> dict[str, Any]:  # noqa: ANN401 - any dataclass of options
    """Field → value of what a digest that names a folder is made of.

    These are the ``first`` fields, which such digests always held, and of later ones those that are not at their default:
    so a field that is added renames no folder that is there.
    """
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name in first or getattr(options, field.name) != field.default
    }


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        BadData: The file cannot be read.
    """
    check_regular(path)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise BadData(msg) from None


def code_of(item: Any) -> str | None:  # noqa: ANN401 - a class or a function
    """SHA-256 of the file of a user's own item; None for one of noisybench, whose version is recorded."""
    if str(item.__module__).partition(".")[0] == "noisybench":
        return None
    try:
        return file_digest(Path(inspect.getfile(item)))
    except (TypeError, OSError, BadData):  # typed into a session: it stands in no file
        return None


def function_digest(function: Any) -> str:  # noqa: ANN401 - whatever can be called
    """SHA-256 of what a function computes with: its code, its defaults, what it closes over, the arguments of a partial.

    Of a function that stands in a file it is that whole file which counts, so that what stands beside it does; modules
    that the file imports do not. Of noisybench's own functions it is the name, as the version is recorded.
    """
    return hashlib.sha256("\n".join(_parts(function, 0)).encode(errors="surrogatepass")).hexdigest()


DEEPEST = 8
"""Containers and functions in one another into which a digest of a function looks."""


def _parts(value: Any, depth: int) -> Iterator[str]:  # noqa: ANN401
    """What tells a value from others, line by line, the same in every process: no addresses, no order of sets."""
    yield type(value).__qualname__
    if isinstance(value, FunctionType):
        yield from _parts_of_function(value, depth)
    elif isinstance(value, type):
        yield f"{value.__module__}.{value.__qualname__} {code_of(value)}"
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    elif value is None or isinstance(value, str | bytes | int | float | complex | np.generic):
        yield repr(value)
    elif depth < DEEPEST:
        for part in _held_by(value):
            yield from _parts(part, depth + 1)


def _held_by(value: Any) -> Iterable[Any]:  # noqa: ANN401
    """The parts of a container, of a method, a partial, or of any other object."""
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, Mapping):
        return chain.from_iterable(value.items())
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, list | tuple):
        return value
    return type(value), getattr(value, "__dict__", {})


def _parts_of_function(function: FunctionType, depth: int) -> Iterator[str]:
    yield f"{function.__module__}.{function.__qualname__}"
    if depth > DEEPEST:
        return
    if str(function.__module__).partition(".")[0] != "noisybench":
        file = code_of(function)
        yield from _parts_of_code(function.__code__) if file is None else [file]
    for part in (function.__defaults__, function.__kwdefaults__):
        yield from _parts(part, depth + 1)
    for cell in function.__closure__ or ():
        try:
            held = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        yield from _parts(held, depth + 1)


def _parts_of_code(code: CodeType) -> Iterator[str]:
    """What was typed into a session and stands in no file."""
    yield code.co_code.hex()
    yield repr(code.co_names)
    for held in code.co_consts:
        yield from _parts_of_code(held) if isinstance(held, CodeType) else [repr(held)]
