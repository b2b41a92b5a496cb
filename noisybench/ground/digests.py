"""Digests: of files, of a user's code and of labels."""

import hashlib
import inspect
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
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
    if item.__module__.partition(".")[0] == "noisybench":
        return None
    try:
        return file_digest(Path(inspect.getfile(item)))
    except (TypeError, OSError):  # typed into a session: it stands in no file
        return None
