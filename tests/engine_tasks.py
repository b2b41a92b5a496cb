"""Tasks of test_engines, in a module that other processes can import."""

import os

from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadData


def square(task: int, shared: dict[str, int], progress: Progress) -> tuple[int, str | None, int]:
    progress()
    return task**2 + shared["plus"], os.environ.get("OMP_NUM_THREADS"), os.getpid()


def fail(task: int, shared: object, progress: Progress) -> None:
    del shared, progress
    if task == 1:
        msg = "task 1 has bad data; mend it"
        raise BadData(msg)


def die(task: int, shared: object, progress: Progress) -> None:
    del task, shared, progress
    os._exit(9)


def flood(task: int, shared: object, progress: Progress) -> None:
    """Task 0 fails while the others tell of steps without a pause."""
    del shared
    for step in range(10**9):
        progress()
        if task == 0 and step == 3000:
            msg = "task 0 has bad data; mend it"
            raise BadData(msg)
