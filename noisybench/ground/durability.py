"""What reaches the disk, and in which order: temporary names, and syncing before a rename counts.

After a power cut a name may stand for an empty or half written file unless file and folder were synced. So a file is
synced, renamed, and its folder synced, before anything is written that speaks of it.
"""

import errno
import glob
import itertools
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

NO_SYNC_OF_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR)
"""Errors of systems that know no syncing of a folder: Windows, and some network file systems."""
TEMPORARY = re.compile(r"(?P<name>.*)\.(?P<key>\d+(-\d+)?)@(?P<host>.*?)(?P<old>\.old)?\.part", re.DOTALL)
"""Temporary names: of what, of which process with which number, on which machine, and whether it was put aside."""

_waiting: ContextVar[list[Path] | None] = ContextVar("waiting", default=None)
"""What is synced at the end of ``synced_together``; None outside."""
_numbers = itertools.count()
_in_use: set[str] = set()
"""Temporary names that this process works on: any other that has its number was left by an earlier one."""


@contextmanager
def synced_together() -> Iterator[None]:
    """Files that are written within are synced at its end, each folder once, and not one by one.

    A power cut before that may tear all of them: what counts on them must be written afterwards.
    """
    if _waiting.get() is not None:
        yield
        return
    written: list[Path] = []
    token = _waiting.set(written)
    try:
        yield
    finally:
        _waiting.reset(token)
    for path in dict.fromkeys(written):
        if path.is_file():
            sync_file(path)
    for folder in dict.fromkeys(path.parent for path in written):
        sync_folder(folder)


def rename_durably(part: Path, path: Path) -> None:
    """Let a file take the place of another: now and for good, or at the end of ``synced_together``."""
    waiting = _waiting.get()
    if waiting is None:
        sync_file(part)
    part.replace(path)
    _settle(path)


def sync_tree(folder: Path) -> None:
    """Sync every file below a folder, and every folder after what is in it."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync_file(Path(place, name))
        sync_folder(Path(place))


def sync_file(path: Path) -> None:
    """Wait until what was written to a file is on the disk."""
    _sync(path, os.O_RDWR)  # Windows syncs nothing that is open for reading alone


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can be asked for that."""
    with suppress(FileNotFoundError):  # another program took it away: whoever needs what was in it notices
        try:
            _sync(folder, os.O_RDONLY)
        except OSError as error:
            if error.errno not in NO_SYNC_OF_FOLDERS:
                raise


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle(path: Path) -> None:
    """Sync the folder that a name stands in, now or at the end of ``synced_together``."""
    waiting = _waiting.get()
    if waiting is None:
        sync_folder(path.parent)
    else:
        waiting.append(path)


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """A path beside ``path`` that no other process or thread uses; what stands there at the end is removed.

    What killed processes left beside it is cleared before.
    """
    _make_folder(path.parent)
    _clear_abandoned(path)
    key = f"{os.getpid()}-{next(_numbers)}"
    part = path.with_name(f"{path.name}.{key}@{platform.node()}.part")
    _in_use.add(key)
    try:
        yield part
    finally:
        _remove(part)
        _in_use.discard(key)


def put_aside(part: Path) -> Path:
    """Where the folder goes whose place the temporary folder ``part`` takes, until it has it."""
    return part.with_name(f"{part.name.removesuffix('.part')}.old.part")


def is_temporary(path: Path) -> bool:
    """Whether a path lies in something that is being written, or was when its process was killed."""
    return any(name.endswith(".part") and "@" in name for name in path.parts)


def clear_below(folder: Path) -> None:
    """Remove everything temporary below a folder that nobody else may write in now, but for what some process here still does.

    A file that follows from finished ones, such as ``agreement.parquet``, is written without the folder's lock.
    """
    for part in sorted(folder.rglob("*@*.part")):
        found = TEMPORARY.fullmatch(part.name)
        if found is None or found["host"] != platform.node() or not _is_in_use(found["key"]):
            _remove(part)


def _clear_abandoned(path: Path) -> None:
    """Remove what killed processes of this machine left beside ``path``; a folder that was put aside comes back."""
    here = platform.node()
    for abandoned in path.parent.glob(f"{glob.escape(path.name)}.*@{glob.escape(here)}*.part"):
        found = TEMPORARY.fullmatch(abandoned.name)
        if found is None or found["name"] != path.name or found["host"] != here or _is_in_use(found["key"]):
            continue
        if found["old"] and not path.exists():
            abandoned.rename(path)  # its process was killed between two renames
        else:
            _remove(abandoned)


def _is_in_use(key: str) -> bool:
    """Whether a temporary name is one of a process that runs."""
    process = key.partition("-")[0]
    if process == str(os.getpid()):
        return key in _in_use
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; their names are synced as those of files are."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in new:
        _settle(each)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
