"""Tasks on a Ray cluster, or on a Ray that is started here."""

import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from noisybench.ground.checks import check_kind, number
from noisybench.ground.engine import ONE_THREAD, Progress, Result, Task
from noisybench.ground.errors import BadData, BadUsage, MissingPackage
from noisybench.ground.locks import patient

log = getLogger("noisybench")

LIVES = 4
"""Times that a task is begun before its deaths are told as an error."""
REACHED_WITHIN = 10.0
"""Seconds in which a cluster must answer."""
TOLD_EVERY = 0.5
"""Seconds between two messages on the steps of a task."""
LOCKS_FREE_WITHIN = 150.0
"""Seconds in which the locks of a task that died are free: a file server lends them for 90 to the machine that was lost."""


@dataclass(frozen=True, slots=True)
class Ray:
    """Tasks on Ray: on a cluster that is joined, or on this machine, where one is started that ends with this process.

    A process that has joined a Ray already uses that one. A task that dies, with its process, its machine or for lack of
    memory, is begun again up to three times, wherever there is room; an error that it raises is raised here, at once.
    The folders that tasks read and write must lie on a file system that all machines share, under the same path.

    Attributes:
        address: Of the cluster, as ``10.0.0.1:6379``, or ``auto`` on a machine of it; None starts one here.
        cpus: Of each task; None takes one for each of its threads.
        gpus: Of each task, or a share of one such as 0.25; None takes one where the device is a GPU.
        memory: Bytes that are reserved for each task; None reserves nothing.
    """

    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.address is not None:
            check_kind(self.address, str, "address", "say 10.0.0.1:6379, or auto on a machine of the cluster")
            _check_address(self.address)
        for name in ("cpus", "gpus", "memory"):
            given = getattr(self, name)
            if given is not None:
                number(given, f"{name} of a task", least=0)
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            msg = f"gpus of a task must be a share of one, or a whole number, got {self.gpus:g}"
            raise BadUsage(msg)

    @property
    def words(self) -> str:
        return "Ray" if self.address is None else f"Ray at {self.address}"

    @property
    def sends(self) -> bool:
        return True

    @property
    def gives_devices(self) -> bool:
        return True

    def on(self, device: str, threads: int) -> "Ray":
        """With what tasks on such a device need, unless that is said already."""
        cpus = float(threads) if self.cpus is None else self.cpus
        gpus = float(device.startswith("cuda")) if self.gpus is None else self.gpus
        return replace(self, cpus=cpus, gpus=gpus)

    def run(
        self,
        function: Callable[[Task, Any, Progress], Result],
        tasks: Sequence[Task],
        shared: Any,  # noqa: ANN401 - handed through untouched
        *,
        progress: Progress = lambda: None,
    ) -> list[Result]:
        """``function(task, shared, progress)`` of every task, in their order; see ``Engine``.

        Raises:
            MissingPackage: Ray is not installed.
            BadUsage: No machine of a Ray that was started here has what a task needs.
            BadData: No cluster answers at the address, or a task died too often.
        """
        if not tasks:
            return []
        ray = _joined(self.address)
        _check_room(ray, self)
        steps = ray.remote(num_cpus=0)(_Steps).remote()
        held = ray.put(shared)
        work = ray.remote(
            num_cpus=self.cpus or 0,
            num_gpus=self.gpus or 0,
            memory=self.memory or None,
            max_retries=0,  # counted here, as Ray begins what lacked memory again without an end
            runtime_env={"env_vars": ONE_THREAD},
        )(_work)

        place_here = (os.getcwd(), sys.path)  # noqa: PTH109 - a text

        def begin(place: int) -> Any:  # noqa: ANN401 - a reference of Ray's
            return work.remote(pickle.dumps((function, tasks[place])), [held], steps, place, *place_here)

        pending: dict[Any, int] = {begin(place): place for place in range(len(tasks))}
        lives, told = dict.fromkeys(range(len(tasks)), 1), dict.fromkeys(range(len(tasks)), 0)
        found: dict[int, Result] = {}
        try:
            while pending:
                ended, _ = ray.wait(list(pending), num_returns=1, timeout=TOLD_EVERY)
                for reference in ended:
                    place = pending.pop(reference)
                    try:
                        found[place], count = ray.get(reference)
                        _tell({place: count}, told, progress)
                    except ray.exceptions.RayTaskError as error:
                        raise error.cause from None
                    except ray.exceptions.RayError as error:
                        _check_lives(lives[place], error)
                        lives[place] += 1
                        pending[begin(place)] = place
                _tell(_reached(ray, steps), told, progress)
        finally:
            for reference in pending:
                with suppress(ray.exceptions.RayError):
                    ray.cancel(reference, force=True)
            ray.kill(steps)
        return [found[place] for place in range(len(tasks))]


class _Steps:
    """How many steps each task has told; it lives in the cluster."""

    def __init__(self) -> None:
        self._reached: dict[int, int] = {}

    def reach(self, place: int, count: int) -> None:
        self._reached[place] = count

    def reached(self) -> dict[int, int]:
        return self._reached


def _work(  # noqa: PLR0917 - Ray hands arguments on by their places
    sent: bytes,
    held: Sequence[Any],
    steps: Any,  # noqa: ANN401 - a handle of Ray's
    place: int,
    folder: str,
    search: Sequence[str],
) -> tuple[Any, int]:
    """What a task gives, and its steps. It is carried out in the folder of who sent it, with that one's search path.

    What it is comes as bytes, and what it shares as a reference in a list: neither can be read before ``search`` is.
    """
    if not Path(folder).is_dir():
        msg = (
            f"there is no folder {folder} on {socket.gethostname()}; start the command in a folder, and give an --out, that "
            f"all machines of the cluster share"
        )
        raise BadData(msg)
    os.chdir(folder)
    sys.path += [each for each in search if each not in sys.path]
    import ray

    function, task = pickle.loads(sent)  # noqa: S301 - of who started this
    shared = ray.get(held[0])
    count, last = 0, 0.0

    def progress() -> None:
        nonlocal count, last
        count += 1
        if time.monotonic() - last > TOLD_EVERY:
            last = time.monotonic()
            steps.reach.remote(place, count)

    with patient(LOCKS_FREE_WITHIN):
        return function(task, shared, progress), count


def _joined(address: str | None) -> Any:  # noqa: ANN401 - a module
    """Ray, joined to a cluster, or to one that is started here.

    Raises:
        MissingPackage: It is not installed.
        BadData: There is no cluster, or it cannot be joined.
    """
    try:
        import ray
    except ImportError:
        msg = "engine ray needs Ray: pip install 'noisybench[ray]'"
        raise MissingPackage(msg) from None
    if ray.is_initialized():
        return ray
    if address is not None:
        _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what is started here tells nobody of it
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with _own_signals():
        try:
            ray.init(
                address="local" if address is None else address,
                include_dashboard=None if address else False,
                logging_level=ERROR,
                log_to_driver=False,
            )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            first = str(error).strip().partition("\n")[0]
            msg = f"Ray at {address or 'this machine'} cannot be joined: {first}"
            raise BadData(msg) from None
    return ray


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray sets what is done when this process is asked to end; afterwards it is done as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


FOUND_BY_RAY = "auto"
"""The address of a cluster of this machine, which Ray looks up itself."""


def _check_address(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if address != FOUND_BY_RAY and not (colon and host and "/" not in host and port.isdecimal()):
        msg = f"the address of a Ray is as 10.0.0.1:6379, or auto on a machine of its cluster, got '{address}'"
        raise BadUsage(msg)


def _check_answers(address: str) -> None:
    """Raise unless something listens at an address: Ray itself would ask for minutes."""
    if address == FOUND_BY_RAY:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        msg = f"no Ray answers at {address} ({error}); 'ray start --head' starts one, and says its address"
        raise BadData(msg) from None


def _check_room(ray: Any, engine: Ray) -> None:  # noqa: ANN401
    """Raise where no machine could ever carry out a task, and warn where a cluster may still grow."""
    wanted = {"CPU": engine.cpus or 0, "GPU": engine.gpus or 0, "memory": engine.memory or 0}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= count for name, count in wanted.items()) for node in nodes):
        return
    asked = ", ".join(f"{count:g} {name}" for name, count in wanted.items() if count)
    if engine.address is None:
        msg = f"no machine of this Ray has what each task asks for ({asked}); ask for less"
        raise BadUsage(msg)
    log.warning("no machine of the cluster has what each task asks for (%s): they wait until one has", asked)


def _check_lives(lives: int, error: Exception) -> None:
    """Say that a task died and is begun again; raise ``BadData`` where it has been often enough."""
    why = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0].partition('. ')[0].rstrip('.')}"
    if lives >= LIVES:
        msg = (
            f"a task died {LIVES} times, the last time by {why}; give tasks more memory (--task-memory), or run fewer at a "
            f"time (--task-cpus); finished runs stay"
        )
        raise BadData(msg) from None
    log.warning("a task died (%s): it is begun again, %d of %d times", why, lives, LIVES - 1)


def _reached(ray: Any, steps: Any) -> Mapping[int, int]:  # noqa: ANN401
    """How many steps each task has told."""
    try:
        found: dict[int, int] = ray.get(steps.reached.remote(), timeout=TOLD_EVERY)
    except ray.exceptions.RayError:  # lost with its machine, or slow: no result depends on it
        return {}
    return found


def _tell(reached: Mapping[int, int], told: dict[int, int], progress: Progress) -> None:
    """Call ``progress`` for each step that is new: a task that is begun again counts from the beginning."""
    for place, count in reached.items():
        for _ in range(count - told[place]):
            progress()
        told[place] = max(told[place], count)
