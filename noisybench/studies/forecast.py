"""What a study has to do, before it does it: its runs, those that are finished, and about how long the others take."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from noisybench.ground.lookup import names
from noisybench.runs.folder import RECORD, whole_record
from noisybench.runs.training_run import Evaluation, carry_out
from noisybench.training.machine import Machine
from noisybench.training.timing import read_timing


class StudyForecast(NamedTuple):
    """What a study has to do.

    Attributes:
        runs: How many it has in all.
        finished: Those that are there.
        seconds: That the others take, one after the other; None where nobody knows.
        basis: By what the seconds are reckoned.
    """

    runs: int
    finished: int
    seconds: float | None
    basis: str

    def in_words(self, workers: int = 1) -> str:
        """For people, with so many processes at once."""
        left = self.runs - self.finished
        said = f"{self.runs} runs, {self.finished} of them finished"
        if not left:
            return f"{said}: nothing is trained"
        if self.seconds is None:
            return f"{said}; how long the others take is not known"
        at_once = max(1, min(workers, left))
        return f"{said}; the others take about {_time(self.seconds / at_once)} with {at_once} at once, {self.basis}"

    def __add__(self, other: object) -> "StudyForecast":
        """Both together."""
        if not isinstance(other, StudyForecast):
            return NotImplemented
        known = [part.seconds for part in (self, other) if part.runs > part.finished]
        seconds = None if any(part is None for part in known) else sum(part or 0.0 for part in known)
        bases = dict.fromkeys(part.basis for part in (self, other) if part.basis)
        return StudyForecast(self.runs + other.runs, self.finished + other.finished, seconds, "; ".join(bases))


NOTHING_TO_DO = StudyForecast(0, 0, 0.0, "")
"""Of a study without runs."""


def forecast_trainings(planned: Sequence[Evaluation], *, guess: bool = True) -> StudyForecast:
    """What trainings cost that are planned, each evaluation with its own plan; nothing is written where they will be.

    Trainings of one model and recipe on as many samples are alike in time: those that are finished say how long. Of a kind
    that none is finished of, one training is begun for an epoch, elsewhere, and thrown away.

    Args:
        planned: The trainings.
        guess: Whether such an epoch is trained; else their time is unknown.
    """
    runs, finished = 0, 0
    left: dict[tuple[str, int], list[Evaluation]] = {}
    taken: dict[tuple[str, int], list[float]] = {}
    for one in planned:
        kind = (one.plan.setup, len(one.source.labels))
        for variant in one.variants:
            for seed in one.seeds:
                folder = one.out / variant.name / one.plan.folder / f"seed-{seed}"
                found = whole_record(folder) if (folder / RECORD).is_file() else None
                runs += 1
                if found is not None and found.detectors:
                    finished += 1
                    taken.setdefault(kind, []).append(sum(read_timing(folder).get("purposes", {}).values()))
                else:
                    left.setdefault(kind, []).append(replace(one, variants=(variant,), seeds=(seed,)))
    seconds, basis = 0.0, set()
    for kind, others in left.items():
        own = [each for each in taken.get(kind, []) if each > 0]
        if own:
            seconds += len(others) * sum(own) / len(own)
            basis.add("by those that are finished")
        elif guess:
            if GUESSED not in basis:
                _first_epoch(others[0])  # what is loaded once is in no epoch
            seconds += len(others) * _whole_training(others[0], _first_epoch(others[0]))
            basis.add(GUESSED)
        else:
            return StudyForecast(runs, finished, None, "")
    return StudyForecast(runs, finished, seconds, " and ".join(sorted(basis)))


GUESSED = "by the first epoch of one of each kind"


def _first_epoch(one: Evaluation) -> dict[str, float]:
    """Seconds of the first epoch of a training by purpose, which is thrown away."""
    plan = replace(one.plan, recipe=replace(one.plan.recipe, epochs=1))
    machine = Machine(one.machine.device, one.machine.threads)
    with TemporaryDirectory() as folder:
        path = carry_out(replace(one, plan=plan, machine=machine, out=Path(folder), rules=()))[0]
        return dict(read_timing(path).get("purposes", {}))


def _whole_training(one: Evaluation, purposes: Mapping[str, float]) -> float:
    """Seconds of a training by those of its first epoch, which has all that is asked in the last, and rarely before."""
    known = names("probes")
    every = {"input_gradient": one.plan.watch.curvature_every}
    every |= one.plan.watch.every(name for name in purposes if name in known)
    epochs = one.plan.recipe.epochs
    return float(sum(took * math.ceil(epochs / every.get(name, 1)) for name, took in purposes.items()))


def _time(seconds: float) -> str:
    """A duration for people."""
    if seconds < 90:  # noqa: PLR2004 - below, seconds are told
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - above, hours are told
