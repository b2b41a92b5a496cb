"""Checks of what a run's record says of its objective."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from noisybench.ground.errors import NoisybenchError
from noisybench.ground.lookup import is_ours
from noisybench.ground.options import parse_call
from noisybench.runs.record import RunRecord

if TYPE_CHECKING:
    from noisybench.training.objective import NamedObjective

OBJECTIVE = ("objective", "objective_options", "objective_knows")
"""Fields of a record of a training that does not minimise cross-entropy."""


def is_known_objective(record: RunRecord) -> bool:
    """Whether its part in the digest of a setup follows from the record: one of the user's own is in it by its code."""
    return record.objective is None or is_ours("objectives", record.objective.partition("(")[0])


def objective_of(record: RunRecord) -> "NamedObjective":
    """The objective that a record describes, which must be one of noisybench's.

    Raises:
        BadUsage: An option that cannot be meant.
        UnknownName: An option that it does not have.
    """
    from noisybench.training.objective import CROSS_ENTROPY, choose_objective  # brings torch

    if record.objective is None:
        return choose_objective(CROSS_ENTROPY)
    return choose_objective(*parse_call(record.objective, what="an objective"))


def faults_of_objective(record: RunRecord) -> Iterator[str]:
    """What the fields of an objective say that cannot be."""
    told = [getattr(record, name) is not None for name in OBJECTIVE]
    if any(told) != all(told):
        yield f"says {' and '.join(n for n, there in zip(OBJECTIVE, told, strict=True) if there)} alone of an objective"
        return
    if record.objective is None or not is_known_objective(record):
        return
    try:
        made = objective_of(record).recorded
    except NoisybenchError as error:
        yield f"says what cannot be: {error}"
        return
    for name in OBJECTIVE:
        given = getattr(record, name)
        if given != made.get(name):
            yield f"says {name} = {str(given)[:60]}, its objective gives {str(made.get(name))[:60]}"
