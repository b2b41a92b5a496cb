"""The engine: what carries out tasks, and the protocol that those of the folder ``engines`` have in common."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from noisybench.ground.errors import BadUsage

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[], None]

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of a process that carries out tasks: libraries read it as they are imported, so it must stand before."""


class Engine(Protocol):
    """Where tasks are carried out. A task writes its own files; what it returns is small."""

    @property
    def words(self) -> str:
        """What it is, for people: ``2 workers``."""

    @property
    def sends(self) -> bool:
        """Whether tasks go to other processes, so that all they hold must be able to."""

    @property
    def gives_devices(self) -> bool:
        """Whether it gives each task its GPUs, as the only ones that the task sees."""

    def on(self, device: str, threads: int) -> "Engine":
        """The engine for tasks on a device, with so many threads each."""

    def run(
        self,
        function: Callable[[Task, Any, Progress], Result],
        tasks: Sequence[Task],
        shared: Any,  # noqa: ANN401 - handed through untouched
        *,
        progress: Progress = lambda: None,
    ) -> list[Result]:
        """``function(task, shared, progress)`` of every task, in their order.

        When a task fails, or this process is stopped, the other tasks end at once: they keep what they wrote, and go on
        from there when they are run again.

        Args:
            function: Defined in a module, so that another process can import it.
            tasks: Small descriptions of what to do.
            shared: Large read-only data, sent to each process or node once.
            progress: Called in this process whenever a task reports a step.

        Raises:
            BadData: A process died, as often as the engine lets one.
        """


def check_sendable(value: Any, what: str) -> None:  # noqa: ANN401 - whatever a task holds
    """Raise ``BadUsage`` unless ``value`` can be sent to another process."""
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        mend = "define it with def at the top level of its module, or take one worker"
        msg = f"{what} cannot be sent to another process ({error}); {mend}"
        raise BadUsage(msg) from None
