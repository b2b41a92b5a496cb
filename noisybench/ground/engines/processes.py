"""Tasks in this process, or in local processes of one thread each."""

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.resource_tracker import ensure_running
from typing import Any

from noisybench.ground.checks import whole
from noisybench.ground.engine import ONE_THREAD, Progress, Result, Task
from noisybench.ground.errors import BadData


@dataclass(frozen=True, slots=True)
class Processes:
    """Tasks here, or in local processes that end with this one, however it ends.

    Attributes:
        workers: 1 runs in this process; more start that many processes of one thread each, which on shared cores were
            faster than threads within one.
    """

    workers: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "workers", whole(self.workers, "workers", least=1))

    @property
    def words(self) -> str:
        return f"{self.workers} {'worker' if self.workers == 1 else 'workers'}"

    @property
    def sends(self) -> bool:
        return self.workers > 1

    @property
    def gives_devices(self) -> bool:
        return False

    def on(self, device: str, threads: int) -> "Processes":
        """Itself: a task says its device and its threads."""
        del device, threads
        return self

    def run(
        self,
        function: Callable[[Task, Any, Progress], Result],
        tasks: Sequence[Task],
        shared: Any,  # noqa: ANN401 - handed through untouched
        *,
        progress: Progress = lambda: None,
    ) -> list[Result]:
        """``function(task, shared, progress)`` of every task, in their order; see ``Engine``."""
        if self.workers == 1 or len(tasks) <= 1:
            return [function(task, shared, progress) for task in tasks]
        return _run_apart(function, tasks, shared, workers=min(self.workers, len(tasks)), progress=progress)


def _run_apart(
    function: Callable[[Task, Any, Progress], Result],
    tasks: Sequence[Task],
    shared: Any,  # noqa: ANN401
    *,
    workers: int,
    progress: Progress,
) -> list[Result]:
    """The results of tasks that other processes carry out, which are ended at once when one of them fails."""
    others = set(active_children())
    context = _context(function.__module__)
    # A pipe, not a queue: what is this short is written in one piece without a lock, which a process that is ended while
    # it holds it would never give back.
    heard, steps = context.Pipe(duplex=False)
    listener = threading.Thread(target=_relay, args=(heard, progress), daemon=True)
    listener.start()
    environment = {**os.environ, **ONE_THREAD}
    # As bytes, for what unpickles them imports its libraries, before which the environment must stand.
    sent = (environment, steps, pickle.dumps(shared, protocol=pickle.HIGHEST_PROTOCOL))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=sent)
    try:
        with interrupts_blocked(), _environment(ONE_THREAD):
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


def _context(module: str) -> BaseContext:
    """How processes start: on Linux forked from one that has imported what they need, and done nothing else.

    That one has no threads (but Arrow's jemalloc has, which stops for a fork) and has asked no GPU, and it stays for further calls: two workers for eight
    small runs took 11 s of CPU more than one when each imported torch itself.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    here = [name for name in sys.modules if name.startswith(PRELOADED)]
    context.set_forkserver_preload([*here, module])  # without effect where it has been started
    return context


PRELOADED = ("noisybench.", "sklearn.", "scipy.")
"""Beginnings of what is imported once for all workers, where this process has imported it; our modules bring torch."""

STEP, END = b"step", b"end"

_here: dict[str, Any] = {}
"""What this worker process was started with."""


def _start(environment: Mapping[str, str], steps: Connection, shared: bytes) -> None:
    """Begin a worker: with the environment of who sends tasks, which need not be that of the process it was forked from."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.clear()
    os.environ.update(environment)
    _here.update(shared=pickle.loads(shared), steps=steps)  # noqa: S301 - of our own process
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


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Some variables of the environment as processes shall find them that start meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _run(function: Callable[[Task, Any, Progress], Result], task: Task) -> Result:
    return function(task, _here["shared"], lambda: _here["steps"].send_bytes(STEP))


def _relay(steps: Connection, progress: Progress) -> None:
    while steps.recv_bytes() != END:
        progress()
