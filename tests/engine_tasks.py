"""Tasks of test_engines, in a module that other processes can import."""

import os
import signal
import time
from pathlib import Path
from typing import Any

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


def surroundings(task: str, shared: object, progress: Progress) -> tuple[str | None, int]:
    """A variable of the environment, and the process that this one was forked from."""
    del shared, progress
    return os.environ.get(task), os.getppid()


def killed_once(task: int, shared: Path, progress: Progress) -> int:
    """Kills its process in the middle of a task, the first time."""
    for _ in range(3):
        progress()
    begun = shared / str(task)
    if task == 1 and not begun.exists():
        begun.touch()
        time.sleep(1)  # until the steps are told
        os.kill(os.getpid(), signal.SIGKILL)
    progress()
    return task


def leave(task: int, shared: Path, progress: Progress) -> int:
    """Takes half a second, and leaves a file, by which it is known to be finished."""
    file = shared / str(task)
    if not file.exists():
        time.sleep(0.5)
        file.write_text("finished")
    progress()
    return task


def carry_out_killed_once(task: Any, shared: Any, progress: Progress) -> Path:  # noqa: ANN401 - of runs
    """One run of an evaluation, whose process is killed after its second epoch, the first time."""
    from noisybench.runs.training_run import _carry_out_task

    epochs = 0

    def kill() -> None:
        nonlocal epochs
        epochs += 1
        progress()
        begun = task.folder / "killed"
        if epochs == 2 and task.seed == 1 and not begun.exists():
            begun.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return _carry_out_task(task, shared, kill)
