"""Locks of folders, so that two processes never write the same run, and threads of one do so in turn."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from filelock import FileLock, Timeout

from noisybench.ground.durability import clear_below
from noisybench.ground.errors import BadData

_threads: defaultdict[Path, RLock] = defaultdict(RLock)
"""Folder → lock of this process's threads."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes off a folder; the lock goes with the process, however that ends.

    Another thread of this process waits until the folder is free. What killed processes left there half written is
    removed.

    Raises:
        BadData: Another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _threads[folder.resolve()], _file_locked(folder):
        clear_below(folder)
        yield


@contextmanager
def _file_locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        msg = f"another process works on {folder}; wait until it ends and say the same again, or give another --out"
        raise BadData(msg) from None
    try:
        yield
    finally:
        lock.release()
