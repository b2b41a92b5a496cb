"""Locks of folders, so that two processes never write the same run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from noisybench.ground.durability import clear_below
from noisybench.ground.errors import BadData


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes off a folder; the lock goes with the process, however that ends.

    What killed processes left there half written is removed.

    Raises:
        BadData: Another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        msg = f"another process works on {folder}; wait until it ends and say the same again, or give another --out"
        raise BadData(msg) from None
    try:
        clear_below(folder)
        yield
    finally:
        lock.release()
