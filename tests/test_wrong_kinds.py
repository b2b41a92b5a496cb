"""Objects of the wrong kind, for every argument that a public function needs: errors of noisybench's own."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisybench
from noisybench import NoisybenchError

WRONG: dict[str, Any] = {
    "None": None,
    "str": "x",
    "bytes": b"x",
    "list": [1, "a"],
    "nothing": [],
    "dict": {},
    "negative": -3,
    "nan": float("nan"),
    "object": object(),
    "function": lambda: None,
    "floats": np.array([[1.5, np.nan]]),
    "objects": np.array(["a"], dtype=object),
    "empty": np.zeros((0, 3)),
    "scalar": np.array(3),
}
TYPES = ("Mode",)
"""Public names that are called by nobody."""


def functions() -> Iterator[str]:
    """Names of the public functions and classes, but for protocols and errors."""
    for name in dir(noisybench):
        item = getattr(noisybench, name)
        odd = isinstance(item, type) and (issubclass(item, BaseException) or getattr(item, "_is_protocol", False))
        if callable(item) and not odd and not name.startswith("_") and name not in TYPES:
            yield name


@pytest.mark.parametrize("name", functions())
def test_wrong_kinds_get_errors_of_ours(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of every argument without a default; some functions take anything, or read a path that is not there."""
    monkeypatch.chdir(tmp_path)
    function = getattr(noisybench, name)
    needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    needed = [one for one in needed if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    for wrong in WRONG.values():
        args = [wrong for one in needed if one.kind != one.KEYWORD_ONLY]
        try:
            function(*args, **{one.name: wrong for one in needed if one.kind == one.KEYWORD_ONLY})
        except NoisybenchError as error:
            assert "\n" not in str(error)  # noqa: PT017 - not all of them are refused
