"""Notes in the user's own cache: what was found of files here, by the digests of all that it follows from.

A file that changes is another, of which nothing is noted. No folder of runs can bring a note along.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from noisybench.board.truths import Truths
from noisybench.ground.download import cache_folder


def key_of_files(truths: Truths, digests: Mapping[str, str], *what: str) -> str:
    """What a note about files beside the labels of truths is found by.

    Args:
        truths: Of the labels.
        digests: Name of each file → its digest.
        what: What is noted of them; nothing where they were verified, or made, here.
    """
    text = json.dumps([dict(truths.digests), dict(digests), *what], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_noted(key: str) -> bool:
    """Whether there is a note."""
    return _path(key).is_file()


def note(key: str) -> None:
    """Leave a note."""
    with suppress(OSError):  # a cache that cannot be written saves and harms nothing
        _path(key).parent.mkdir(parents=True, exist_ok=True)
        _path(key).touch()


def _path(key: str) -> Path:
    return cache_folder() / "verified" / key[:2] / key
