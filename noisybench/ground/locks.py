"""Locks of folders, so that two processes never write the same run, and threads of one do so in turn."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import RLock

from filelock import FileLock, Timeout

from noisybench.ground.durability import clear_below
from noisybench.ground.errors import BadData

if sys.platform != "win32":
    import fcntl

_threads: defaultdict[Path, RLock] = defaultdict(RLock)
"""Folder → lock of this process's threads."""

_patience: ContextVar[float] = ContextVar("patience", default=0.0)
"""Seconds to wait for another process."""

PAUSE = 0.05
"""Seconds between two looks at a lock."""


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep other processes off a folder; the lock goes with the process, however that ends.

    Another thread of this process waits until the folder is free. What killed processes left there half written is
    removed.

    Args:
        folder: Is made where there is none.
        shared: Let those in that ask for a share, too: shards, each of which writes other files. Nothing is removed then.

    Raises:
        BadData: Another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if shared:
        with _share(folder):
            yield
        return
    with _threads[folder.resolve()], _file_locked(folder):
        clear_below(folder)
        yield


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Within, ``locked`` waits so long for another process before it raises.

    For whoever is sure that the other one is about to end: the locks of a machine that was lost are free again when its
    file server has noticed, which takes a minute or two.
    """
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


@contextmanager
def made_once(path: Path) -> Iterator[None]:
    """Let one process at a time make ``path``, which the others wait for and then find; nothing where it is there."""
    with ExitStack() as stack:
        if not path.exists():
            beside = path.with_name(f".{path.name}.lock")
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.callback(beside.unlink, missing_ok=True)  # whoever has it open already finds the path made
            stack.enter_context(FileLock(beside))
        yield


@contextmanager
def _file_locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock", timeout=_patience.get())
    try:
        lock.acquire()
    except Timeout:
        raise _taken(folder) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _share(folder: Path) -> Iterator[None]:
    """A share of the same lock; Windows has no shares, and there one after the other has it alone."""
    if sys.platform == "win32":
        with _file_locked(folder):
            yield
        return
    until = time.monotonic() + _patience.get()
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise _taken(folder) from None
                time.sleep(PAUSE)
        yield
    finally:
        os.close(descriptor)


def _taken(folder: Path) -> BadData:
    return BadData(
        f"another process works on {folder}; wait until it ends and say the same again, or give another --out"
    )
