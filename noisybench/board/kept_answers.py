"""Answers of the board that are kept in the user's own cache, by digests of everything that they follow from.

They are not kept beside the runs, since a folder may be a stranger's, and its files say what he likes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec

from noisybench.ground.download import cache_folder
from noisybench.ground.files import replacing

T = TypeVar("T")
DIGEST = hashlib.sha256().digest_size
"""Bytes at the start of a kept answer: the digest of the others."""


def kept(follows_from: Mapping[str, object], compute: Callable[[], T], kind: type[T]) -> T:
    """What ``compute`` gives, from the cache where the same followed from the same before.

    Args:
        follows_from: All that decides the answer, as JSON holds it: digests of files and of code.
        compute: Gives the answer.
        kind: Its type, by which it is read.
    """
    key = hashlib.sha256(json.dumps(follows_from, sort_keys=True).encode()).hexdigest()
    path = cache_folder() / "agreement" / key[:2] / f"{key}.msgpack"
    with suppress(OSError, msgspec.DecodeError):  # missing or damaged: computed again
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
            return msgspec.msgpack.decode(content[DIGEST:], type=kind)
    answer = compute()
    content = msgspec.msgpack.encode(answer)  # which knows NaN, unlike JSON
    with suppress(OSError), replacing(path, sync=False) as part:  # a cache that is not written saves and harms nothing
        part.write_bytes(hashlib.sha256(content).digest() + content)
    return answer
