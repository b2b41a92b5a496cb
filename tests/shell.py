"""Runs a command line in this process: what a shell would see of it, without the seconds that an import takes."""

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import NamedTuple

import pytest

from noisybench.__main__ import main


class Result(NamedTuple):
    code: int
    out: str
    err: str


def shell(*arguments: object) -> Result:
    """Exit code, stdout and stderr of ``noisybench`` with these arguments."""
    out, err = StringIO(), StringIO()
    argv, path = sys.argv, list(sys.path)
    sys.argv = ["noisybench", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stopped:
            main()
    finally:
        sys.argv, sys.path[:] = argv, path
    code = stopped.value.code
    return Result(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())
