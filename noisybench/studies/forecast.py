"""What a study has to do, before it does it: its runs, those that are finished, and about how long the others take."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from noisybench.ground.amounts import duration
from noisybench.ground.lookup import names
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
        basis: By what the seconds are reckoned, phrases with "; " between them.
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
        return f"{said}; the others take about {duration(self.seconds / at_once)} with {at_once} at once, {self.basis}"

    def __add__(self, other: object) -> "StudyForecast":
        """Both together."""
        if not isinstance(other, StudyForecast):
            return NotImplemented
        known = [part.seconds for part in (self, other) if part.runs > part.finished]
        seconds = None if any(part is None for part in known) else sum(part or 0.0 for part in known)
        bases = dict.fromkeys(phrase for part in (self, other) for phrase in part.basis.split("; ") if phrase)
        return StudyForecast(self.runs + other.runs, self.finished + other.finished, seconds, "; ".join(bases))


NOTHING_TO_DO = StudyForecast(0, 0, 0.0, "")
"""Of a study without runs."""


class _Due(NamedTuple):
    """One run of a plan.

    Attributes:
        kind: What its time depends on.
        trainings: That it consists of, which are observed where it is one alone.
        folder: Where it will be.
        planned: Of it alone, without further rules.
    """

    kind: str
    trainings: int
    folder: Path
    planned: Evaluation

    def times(self, purposes: Iterable[str]) -> dict[str, int]:
        """How often each purpose of ``timing.json`` takes its time: after every epoch, or after some, such as curvature."""
        watch, epochs, known = self.planned.plan.watch, self.planned.plan.recipe.epochs, {*names("probes")}
        every = {"input_gradient": watch.curvature_every} | watch.every(name for name in purposes if name in known)
        if self.trainings > 1:
            every |= dict.fromkeys(every, 0)
        often = {name: every.get(name, 1) for name in purposes}
        return {name: -(-epochs // each) * self.trainings if each else 0 for name, each in often.items()}

    def seconds(self, each: Mapping[str, float]) -> float:
        """What it takes, by what each time takes of each purpose."""
        return sum(count * each[name] for name, count in self.times(each).items())


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
    known: dict[str, Mapping[str, float]] = {}
    for one in due:
        found = whole_record(one.folder) if (one.folder / RECORD).is_file() else None
        if found is None or not found.is_ended:
            left.setdefault(one.kind, []).append(one)
        elif one.trainings == 1 and (spent := spent_before(one.folder)):
            times = one.times(spent)
            known[one.kind] = {name: took / times[name] for name, took in spent.items()}
    finished = len(due) - sum(map(len, left.values()))
    seconds, bases = 0.0, set()
    for kind, others in left.items():
        if kind not in known and not guess:
            return StudyForecast(len(due), finished, None, "")
        each = known[kind] if kind in known else _tried(others[0].planned)
        seconds += sum(one.seconds(each) for one in others)
        bases.add("by those that are finished" if kind in known else "by a few epochs of one of each kind")
    return StudyForecast(len(due), finished, seconds, "; ".join(sorted(bases)))


def _due(planned: Evaluation) -> Iterator[_Due]:
    """Every run of an evaluation."""
    plan = planned.plan
    options = {name: value for name, value in recorded(plan.recipe).items() if name not in NO_MATTER_OF_TIME}
    about = (plan.model, plan.code, plan.chosen.words, options, asdict(plan.watch), len(planned.source.labels))
    kind = repr((*about, sorted(planned.detectors)))
    for variant in planned.variants:
        home = planned.out / variant.name
        for seed in planned.seeds:
            alone = replace(planned, variants=(variant,), seeds=(seed,), rules=())
            yield _Due(kind, 1, home / plan.folder / f"seed-{seed}", alone)
            for rule in planned.rules:
                scheme = SCHEMES[rule]
                folder = home / scheme.folder(plan.model, plan.recipe_name, plan.trained) / f"seed-{seed}"
                yield _Due(kind, scheme.trainings, folder, alone)


NO_MATTER_OF_TIME = ("epochs", "lr", "schedule", "momentum", "weight_decay", "milestones", "cosine_cycles")
"""Options of a recipe on which the time of an epoch does not depend."""
TRIED = (1, 3)
"""Epochs of two trainings; what the second takes beyond the first is the time of further epochs, without any beginning."""


def _tried(one: Evaluation) -> dict[str, float]:
    """Purpose → seconds each time, of a training that is begun twice elsewhere and thrown away."""
    machine = Machine(one.machine.device, one.machine.threads)
    short, longer = TRIED
    spent = []
    with TemporaryDirectory() as folder:
        for epochs in TRIED:
            recipe = replace(one.plan.recipe, epochs=epochs)
            watch = replace(one.plan.watch, curvature_every=longer)  # in both once, after the last epoch
            plan = replace(one.plan, recipe=recipe, watch=watch)
            spent.append(spent_before(carry_out(replace(one, plan=plan, machine=machine, out=Path(folder)))[0]))
    first, last = spent
    times = _Due("", 1, Path(), replace(one, plan=plan)).times(last)
    return {
        name: took if times[name] == 1 else max((took - first[name]) / (longer - short), took / longer / 10)
        for name, took in last.items()
    }
