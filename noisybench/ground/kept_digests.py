"""Digests of files that a table reads: each file is read once for all that ask, and none again that stands unchanged.

Inside ``keeping_digests`` a digest is remembered, and left in the user's cache for the next table, by what the system
says of the file: device, number, size, and the times of its last changes, to the nanosecond. The last of these, of the
change of the file's entry, is set by the system at every write and by no program, so that another content with the size
and the date of the first is still noticed. A file that was changed within the last seconds is not kept, since a further
write may get the same time; nor is anything on Windows, which has no such time. What this is for is a table's speed:
``verify`` and all that writes runs are outside, where each byte is read.
"""

import hashlib
import os
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec

from noisybench.ground.digests import file_digest
from noisybench.ground.download import cache_folder
from noisybench.ground.files import replacing
from noisybench.ground.mending import looks_whole as has_both_ends

YOUNG = 3_000_000_000
"""Nanoseconds within which two writes may get one time: clocks of some file systems are that coarse."""
CHANGES_ARE_DATED = os.name == "posix"
"""Whether the system dates changes of a file by a time that no program can set."""
_STATE = struct.Struct("<QQQqq")
_SHA256 = hashlib.sha256().digest_size
_WHOLE = b"\1"

_Folders: TypeAlias = "dict[str, dict[str, bytes]]"
"""Folder → name → state of the file, whether it was seen to be whole, and its digest where that was asked for."""


@dataclass(slots=True)
class _Kept:
    before: _Folders
    now: _Folders = field(default_factory=dict)
    young: set[tuple[str, str]] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    changed: bool = False


_kept: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextmanager
def keeping_digests(folders: Sequence[str | os.PathLike[str]]) -> Iterator[None]:
    """Within, ``kept_digest`` and ``stands_whole`` read no file twice, and what they find is kept for the next time.

    Args:
        folders: What is read; what is kept is kept for them together.
    """
    if _kept.get() is not None:
        yield
        return
    place = _place_of(folders)
    kept = _Kept({} if place is None else _read(place))
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
    if kept.changed and place is not None:
        _write(kept, place)


def _place_of(folders: Sequence[str | os.PathLike[str]]) -> Path | None:
    """Where digests are kept; None for a folder that is said from a working folder which was deleted."""
    try:
        words = "\0".join(str(Path(folder).absolute()) for folder in folders)
    except FileNotFoundError:
        return None
    return cache_folder() / "digests" / f"{hashlib.sha256(words.encode(errors='surrogatepass')).hexdigest()}.kept"


def kept_digest(path: Path | str) -> str:
    """SHA-256 of a file, as ``file_digest`` gives it; within ``keeping_digests`` what stands unchanged is not read again.

    Raises:
        BadData: The file cannot be read.
    """
    kept = _kept.get()
    if kept is None:
        return file_digest(Path(path))
    name = str(path)
    if name in kept.told:  # a table asks for each several times
        return kept.told[name]
    kept.told[name] = found = _kept_digest(kept, path)
    return found


def _kept_digest(kept: _Kept, path: Path | str) -> str:
    """The digest of a file that was not asked for before."""
    known = _known(kept, path)
    if len(known) > _STATE.size + 1:
        return known[_STATE.size + 1 :].hex()
    digest = file_digest(Path(path))
    _note(kept, path, known[: _STATE.size] + (known[_STATE.size :] or b"\0") + bytes.fromhex(digest))
    return digest


def stands_whole(path: Path | str) -> bool:
    """As ``looks_whole`` of ``ground.mending``; within ``keeping_digests`` what stands unchanged is not opened again."""
    kept = _kept.get()
    if kept is None:
        return has_both_ends(path)
    known = _known(kept, path)
    if known[_STATE.size : _STATE.size + 1] == _WHOLE:
        return True
    whole = has_both_ends(path)
    if whole:
        _note(kept, path, known[: _STATE.size] + _WHOLE + known[_STATE.size + 1 :])
    return whole


def is_unchanged(path: Path | str) -> bool:
    """Whether a file still stands as it was met within ``keeping_digests``; outside, where each look is new, it does."""
    kept = _kept.get()
    if kept is None:
        return True
    folder, _, name = str(path).rpartition(os.sep)
    known = kept.now.get(folder, {}).get(name)
    return known is None or known.startswith(_state(path) or b"none")


def _state(path: Path | str) -> bytes:
    """What tells one state of a file from another; empty where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - twice as fast as a Path's
    except (OSError, ValueError):  # whoever reads it says why
        return b""
    return _STATE.pack(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _known(kept: _Kept, path: Path | str) -> bytes:
    """What is known of a file in the state in which it was met first; empty where there is none."""
    folder, _, name = str(path).rpartition(os.sep)
    met = kept.now.get(folder)
    if met is None:
        met = kept.now[folder] = {}
    known = met.get(name)
    if known is not None:
        return known
    state = _state(path)
    if not state:
        return b""
    known = kept.before.get(folder, {}).pop(name, b"")
    if not known.startswith(state):
        known = state
        if _STATE.unpack(state)[-1] > time.time_ns() - YOUNG:
            kept.young.add((folder, name))
    met[sys.intern(name)] = known
    return known


def _note(kept: _Kept, path: Path | str, known: bytes) -> None:
    if len(known) > _STATE.size:
        folder, _, name = str(path).rpartition(os.sep)
        kept.now[folder][sys.intern(name)] = known
        kept.changed = True


def _read(place: Path) -> _Folders:
    """What was kept; nothing where it is missing, damaged, or of a system that does not date changes."""
    if CHANGES_ARE_DATED:
        with suppress(OSError, msgspec.DecodeError):
            content = place.read_bytes()
            if hashlib.sha256(content[_SHA256:]).digest() == content[:_SHA256]:
                return msgspec.msgpack.decode(content[_SHA256:], type=dict[str, dict[str, bytes]])
    return {}


def _write(kept: _Kept, place: Path) -> None:
    """Keep what is known of files that are old enough to be told apart from a later content."""
    for folder, name in kept.young:
        kept.now[folder].pop(name, None)
    content = msgspec.msgpack.encode(kept.now)
    with suppress(OSError), replacing(place, sync=False) as part:  # a cache that is not written harms nothing
        part.write_bytes(hashlib.sha256(content).digest() + content)
