"""Where tasks run: in this process, or in local processes of one thread each."""

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from typing import Any, TypeVar

from noisybench.ground.errors import BadData, BadUsage

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[], None]


def run_tasks(
    function: Callable[[Task, Any, Progress], Result],
    tasks: Sequence[Task],
    shared: Any,  # noqa: ANN401 - handed through untouched
    *,
    workers: int,
    progress: Progress = lambda: None,
) -> list[Result]:
    """``function(task, shared, progress)`` of every task, in their order.

    When a task fails, or this process is stopped, the other processes end at once: their tasks write what they finish,
    and go on from there when they are run again. They also end when this process is killed.

    Args:
        function: Defined in a module, so that another process can import it. Writes its own files.
        tasks: Small descriptions of what to do.
        shared: Large read-only data, sent to each process once.
        workers: 1 runs here; more start that many processes of one thread each, which on shared cores were faster than
            threads within one.
        progress: Called in this process whenever a task reports a step.

    Raises:
        BadUsage: Fewer than one worker.
        BadData: A process died.
    """
    if workers < 1:
        msg = f"workers must be at least 1, got {workers}"
        raise BadUsage(msg)
    if workers == 1 or len(tasks) <= 1:
        return [function(task, shared, progress) for task in tasks]
    others = set(active_children())
    context = get_context("spawn")  # a forked process may not use CUDA, and inherits locks of our threads
    # A pipe, not a queue: what is this short is written in one piece without a lock, which a process that is ended while
    # it holds it would never give back.
    heard, steps = context.Pipe(duplex=False)
    listener = threading.Thread(target=_relay, args=(heard, progress), daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=context, initializer=_start, initargs=(shared, steps)
    )
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # read when a process imports its libraries, so it must stand before
    try:
        with interrupts_blocked():
            futures = [pool.submit(_run, function, task) for task in tasks]
        for future in as_completed(futures):
            future.result()
        return [future.result() for future in futures]
    except BrokenProcessPool:
        msg = (
            "a worker process died: for lack of memory (take fewer workers; finished runs stay), or because it could not "
            "import its task (guard a script with if __name__ == '__main__', and keep functions in a module)"
        )
        raise BadData(msg) from None
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        steps.send_bytes(END)
        listener.join()
        heard.close()
        steps.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def check_sendable(value: Any, what: str) -> None:  # noqa: ANN401 - whatever a task holds
    """Raise ``BadUsage`` unless ``value`` can be sent to another process."""
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        mend = "define it with def at the top level of its module, or take one worker"
        msg = f"{what} cannot be sent to another process ({error}); {mend}"
        raise BadUsage(msg) from None


ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

STEP, END = b"step", b"end"

_here: dict[str, Any] = {}
"""What this worker process was started with."""


def _start(shared: Any, steps: Connection) -> None:  # noqa: ANN401
    _here.update(shared=shared, steps=steps)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process of a pool would wait for its next task forever after whoever sends tasks was killed."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes that start meanwhile ignore Ctrl-C: it is for this one to stop them. This one gets it afterwards."""
    ensure_running()  # Python starts a tracker with the first of them, and unblocks the signal after that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(function: Callable[[Task, Any, Progress], Result], task: Task) -> Result:
    return function(task, _here["shared"], lambda: _here["steps"].send_bytes(STEP))


def _relay(steps: Connection, progress: Progress) -> None:
    while steps.recv_bytes() != END:
        progress()
