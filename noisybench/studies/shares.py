"""A study that several jobs share: each carries out its tasks, and whoever finds all of them finished reads what they gave."""

from collections.abc import Callable, Sequence
from typing import Any

from noisybench.ground.engine import Progress, Result, Task
from noisybench.ground.engines.shards import MERGED, unfinished
from noisybench.runs.training_run import Evaluation
from noisybench.studies.forecast import forecast_trainings
from noisybench.training.machine import Machine


def run_share(
    function: Callable[[Task, Any, Progress], Result],
    tasks: Sequence[Task],
    shared: Any,  # noqa: ANN401 - handed through untouched
    *,
    machine: Machine,
    is_finished: Callable[[Task], bool],
    progress: Progress = lambda: None,
    joined: str = MERGED,
) -> list[Result]:
    """``function(task, shared, progress)`` of every task, in their order.

    A shard carries out its own; where all others are finished by then, their results are read, too.

    Args:
        function: Finishes a task, or finds it finished; see ``Engine.run``.
        tasks: All of them.
        shared: What each task needs.
        machine: What carries them out, and which shard of them.
        is_finished: Whether a task has left everything, so that ``function`` would train nothing.
        progress: Called after each step.
        joined: How the folders of shards come together, ``MERGED`` or ``COPIED``.

    Raises:
        Unfinished: The tasks of the shard are finished, and others are not.
    """
    own = machine.shard.share(range(len(tasks)))
    found = machine.runner.run(function, [tasks[place] for place in own], shared, progress=progress)
    if machine.shard.is_whole:
        return found
    # Those of others alone: a training that failed has left no finished run, and its own shard knows that it ended.
    left = sum(not is_finished(task) for place, task in enumerate(tasks) if place not in own)
    if left:
        raise unfinished(
            machine.shard, done=len(own), of=len(tasks), left=left, what="runs", result="the tables of the study",
            joined=joined,
        )  # fmt: skip
    return machine.runner.run(function, tasks, shared)


def are_finished(planned: Evaluation) -> bool:
    """Whether every run of an evaluation is there."""
    found = forecast_trainings([planned], guess=False)
    return found.finished == found.runs
