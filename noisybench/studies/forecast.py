"""What a study has to do, before it does it: its runs, those that are finished, and about how long the others take."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from noisybench.runs.folder import RECORD, whole_record
from noisybench.runs.schemes import SCHEMES
from noisybench.runs.training_run import Evaluation, carry_out
from noisybench.training.machine import Machine
from noisybench.training.recipe import recorded
from noisybench.training.timing import spent_before


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


class _Pace(NamedTuple):
    """How long trainings of one kind take, in seconds.

    Attributes:
        epoch: Training and what is looked at after every epoch.
        look: What is looked at after some epochs alone, such as curvature, each time.
    """

    epoch: float
    look: float


class _Due(NamedTuple):
    """One run of a plan.

    Attributes:
        kind: What its time depends on.
        epochs: Of all its trainings.
        looks: Epochs after which curvature is asked; none in runs for a rule of stopping.
        folder: Where it will be.
        planned: Of it alone, without further rules.
    """

    kind: str
    epochs: int
    looks: int
    folder: Path
    planned: Evaluation

    def seconds(self, pace: _Pace) -> float:
        """What it takes."""
        return self.epochs * pace.epoch + self.looks * pace.look


def forecast_trainings(planned: Sequence[Evaluation], *, guess: bool = True) -> StudyForecast:
    """What trainings cost that are planned, each evaluation with its own plan; nothing is written where they will be.

    Trainings of one model, in batches of one size, on as many samples, watched alike, are alike in time: those that are
    finished say how long an epoch takes. Of a kind that none is finished of, one training is begun for a few epochs,
    elsewhere, and thrown away. Runs for rules of stopping take as long as the trainings they consist of.

    Args:
        planned: The trainings.
        guess: Whether such epochs are trained; else their time is unknown.
    """
    due = [one for each in planned for one in _due(each)]
    left: dict[str, list[_Due]] = {}
    paces: dict[str, list[_Pace]] = {}
    for one in due:
        found = whole_record(one.folder) if (one.folder / RECORD).is_file() else None
        if found is None or not found.is_ended:
            left.setdefault(one.kind, []).append(one)
        elif one.looks and (purposes := spent_before(one.folder)):
            paces.setdefault(one.kind, []).append(_pace(purposes, one.epochs, one.looks))
    finished = len(due) - sum(map(len, left.values()))
    seconds, bases = 0.0, set()
    for kind, others in left.items():
        known = paces.get(kind, [])
        if not known and not guess:
            return StudyForecast(len(due), finished, None, "")
        pace = _Pace(*np.mean(known, axis=0).tolist()) if known else _tried(others[0].planned)
        seconds += sum(one.seconds(pace) for one in others)
        bases.add("by those that are finished" if known else "by a few epochs of one of each kind")
    return StudyForecast(len(due), finished, seconds, " and ".join(sorted(bases)))


def _due(planned: Evaluation) -> Iterator[_Due]:
    """Every run of an evaluation."""
    plan = planned.plan
    options = {name: value for name, value in recorded(plan.recipe).items() if name not in NO_MATTER_OF_TIME}
    about = (plan.model, plan.code, plan.chosen.words, options, asdict(plan.watch), len(planned.source.labels))
    kind = repr((*about, sorted(planned.detectors)))
    epochs = plan.recipe.epochs
    looks = -(-epochs // plan.watch.curvature_every)
    for variant in planned.variants:
        home = planned.out / variant.name
        for seed in planned.seeds:
            alone = replace(planned, variants=(variant,), seeds=(seed,), rules=())
            yield _Due(kind, epochs, looks, home / plan.folder / f"seed-{seed}", alone)
            for rule in planned.rules:
                scheme = SCHEMES[rule]
                folder = home / scheme.folder(plan.model, plan.recipe_name, plan.trained) / f"seed-{seed}"
                yield _Due(kind, scheme.trainings * epochs, 0, folder, alone)


NO_MATTER_OF_TIME = ("epochs", "lr", "schedule", "momentum", "weight_decay", "milestones", "cosine_cycles")
"""Options of a recipe on which the time of an epoch does not depend."""
EVERY_EPOCH = ("training", "logits", "testing", "susceptibility")
"""Purposes of ``timing.json`` that take their time in every epoch; the others are probes that are asked of some."""
TRIED = (1, 3)
"""Epochs of two trainings; what the second takes beyond the first is the time of further epochs, without any beginning."""


def _pace(purposes: Mapping[str, float], epochs: int, looks: int) -> _Pace:
    """How long things took, by what was spent on each purpose."""
    always = sum(purposes.get(name, 0.0) for name in EVERY_EPOCH)
    return _Pace(always / epochs, (sum(purposes.values()) - always) / looks)


def _tried(one: Evaluation) -> _Pace:
    """How long a training takes that is begun twice elsewhere, and thrown away; each looks once, after its last epoch."""
    machine = Machine(one.machine.device, one.machine.threads)
    short, longer = TRIED
    spent = []
    with TemporaryDirectory() as folder:
        for epochs in TRIED:
            recipe = replace(one.plan.recipe, epochs=epochs)
            watch = replace(one.plan.watch, curvature_every=longer)
            plan = replace(one.plan, recipe=recipe, watch=watch)
            path = carry_out(replace(one, plan=plan, machine=machine, out=Path(folder)))[0]
            spent.append(_pace(spent_before(path), epochs, looks=1))
    further = (longer * spent[1].epoch - short * spent[0].epoch) / (longer - short)
    return _Pace(max(further, spent[1].epoch / 10), spent[1].look)


def _time(seconds: float) -> str:
    """A duration for people."""
    if seconds < 90:  # noqa: PLR2004 - below, seconds are told
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - above, hours are told
