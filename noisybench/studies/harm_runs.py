"""The runs of the harm study: networks on a frequency spectrum under each treatment, and what they answer to siblings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from noisybench.data.inputs import AnyInputs
from noisybench.data.loading import load_source
from noisybench.data.source import FREQUENCY, UNIT, Source, inputs_of
from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.checks import unknown, whole
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadData, BadUsage, TrainingFailed, UnknownName
from noisybench.ground.lookup import find
from noisybench.runs.detector_choice import choose_detectors
from noisybench.runs.folder import keep_variant
from noisybench.runs.reading import read_run
from noisybench.runs.training_run import Evaluation, carry_out, plan_evaluation
from noisybench.studies.grid_checks import check_axis, check_fields_of
from noisybench.studies.shares import are_finished, run_share
from noisybench.training.batches import Inputs
from noisybench.training.checkpoint import CHECKPOINT, read_checkpoint, weights_of
from noisybench.training.loop import EVALUATION_BATCH
from noisybench.training.machine import Machine
from noisybench.training.model import build_model
from noisybench.training.observing import evaluating
from noisybench.training.plan import Plan, plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant


@dataclass(frozen=True, slots=True)
class Treatment:
    """A way to train on noisy labels.

    Attributes:
        objective: Its name.
        options: Of the objective, as text.
    """

    objective: str
    options: Mapping[str, str] = field(default_factory=dict)


MEMORIZING = "cross_entropy"
"""The treatment that others are compared with."""
TREATMENTS: Mapping[str, Treatment] = {
    MEMORIZING: Treatment("cross_entropy"),
    "label_smoothing .1": Treatment("label_smoothing", {"smoothing": "0.1"}),
    "label_smoothing .4": Treatment("label_smoothing", {"smoothing": "0.4"}),
    "label_smoothing -1": Treatment("label_smoothing", {"smoothing": "-1"}),
    "backward_correction, true": Treatment("backward_correction", {"transition": "true"}),
    "backward_correction, hoc": Treatment("backward_correction", {"transition": "hoc"}),
    "forward_correction, true": Treatment("forward_correction", {"transition": "true"}),
    "forward_correction, hoc": Treatment("forward_correction", {"transition": "hoc"}),
    "peer_loss": Treatment("peer_loss", {"floor": "1e-5", "divided": "true"}),
    "cores": Treatment("cores", {"floor": "1e-8", "divided": "true"}),
    "elr": Treatment("elr"),
    "car": Treatment("car"),
}
"""Name → treatment. ``true`` knows the matrix of the noise; all others know nothing. Peer loss and CORES have no least value
without the floor of their authors' code, and diverge at the rate of this recipe without its division."""


@dataclass(frozen=True, slots=True)
class HarmGrid:
    """What the networks of the harm study are trained on.

    Each draw is a spectrum of other instances, other labels and another training: intervals over draws cover all three.

    Attributes:
        base: The source whose samples become units.
        how: ``near`` copies, with siblings that were not seen; or ``exact`` ones, whose sibling is the instance itself.
        frequencies: Copies of a unit, ascending.
        units: Units of each frequency.
        siblings: Held-out siblings of each unit; of exact copies there is one.
        rates: Of symmetric noise, drawn for each copy by itself.
        draws: Numbers of the draws.
        epochs: Of each training.
        treatments: Keys of ``TREATMENTS``, ``cross_entropy`` among them.
        detectors: Scored on ``cross_entropy``: names, or sets.
        options: Of the recipe ``overfit``, as text.
    """

    base: str = "digits"
    how: str = "near"
    frequencies: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    units: int = 16
    siblings: int = 5
    rates: tuple[float, ...] = (0.2, 0.4)
    draws: tuple[int, ...] = (0, 1, 2)
    epochs: int = 30
    treatments: tuple[str, ...] = tuple(TREATMENTS)
    detectors: tuple[str, ...] = ("fast",)
    options: Mapping[str, str] = field(default_factory=lambda: {"susceptibility": "off"})

    def __post_init__(self) -> None:
        check_fields_of(self)
        for name in self.treatments:
            if name not in TREATMENTS:
                raise UnknownName(unknown(name, tuple(TREATMENTS), "treatment"))
        if MEMORIZING not in self.treatments:
            msg = f"treatments are compared with '{MEMORIZING}', got {', '.join(self.treatments) or 'none'}; add it"
            raise BadUsage(msg)
        for name in ("treatments", "detectors"):
            check_axis(getattr(self, name), name)
        for name in ("frequencies", "rates", "draws"):
            check_axis(getattr(self, name), name, ascending=True)
        for name in ("units", "siblings", "epochs"):
            whole(getattr(self, name), name, least=1)

    @property
    def steps(self) -> str:
        """The alteration that makes the spectrum."""
        held_out = "" if self.how == "exact" else f", siblings={self.siblings}"
        frequencies = ",".join(map(str, self.frequencies))
        return f"frequency_spectrum(how={self.how}, frequencies={frequencies}, units={self.units}{held_out}, others=0)"

    def source(self, draw: int) -> Source:
        """The spectrum of a draw."""
        found = load_source("altered", base=self.base, steps=self.steps, seed=str(draw))
        if not {UNIT, FREQUENCY} <= {*found.test_marks}:
            msg = f"source '{self.base}' has no siblings to test on"
            raise BadData(msg)
        return found

    def labels(self, source: Source, rate: float, draw: int) -> Variant:
        """Labels of a spectrum, each copy drawn by itself; rate 0 gives the right ones."""
        return build_variant(source, find("noises", "symmetric")(rate=rate), seed=draw, mode="bernoulli")

    def plan(self, source: Source, treatment: Treatment, device: str) -> Plan:
        """How a treatment is trained."""
        return plan_run(
            source,
            recipe="overfit",
            epochs=self.epochs,
            options=self.options,
            objective=treatment.objective,
            objective_options=treatment.options,
            device=device,
        )

    @property
    def trainings(self) -> int:
        """Trainings in all, those on right labels among them."""
        return len(self.draws) * (1 + len(self.rates) * len(self.treatments))


class HarmTask(NamedTuple):
    """One training of the study: a unit of work, which finds its own folder finished or finishes it."""

    draw: int
    rate: float
    """0 for the training on right labels."""
    treatment: str
    variant: Variant
    grid: HarmGrid
    out: Path
    device: str


class Answered(NamedTuple):
    """What a trained network answers.

    Attributes:
        draw: Of the grid.
        rate: Of wrong labels; 0 where it was trained on right ones.
        treatment: Of the grid.
        path: Folder of the run; None where the training failed.
        siblings: Probabilities of the classes for each test sample, shape (m, k).
        samples: The same for each training sample, shape (n, k).
        failure: Why there are none.
    """

    draw: int
    rate: float
    treatment: str
    path: Path | None
    siblings: Floats
    samples: Floats
    failure: str = ""


class Spectrum(NamedTuple):
    """What is known of a draw: its spectrum, and its labels by rate."""

    source: Source
    variants: Mapping[float, Variant]

    @property
    def frequencies(self) -> Labels:
        """Frequency of each unit, shape (u,)."""
        found = np.zeros(int(self.source.test_marks[UNIT].max()) + 1, dtype=np.int64)
        found[self.source.test_marks[UNIT]] = self.source.test_marks[FREQUENCY]
        return found


def run_grid(
    grid: HarmGrid, out: Path, *, machine: Machine, progress: Progress = lambda: None
) -> tuple[Mapping[int, Spectrum], list[Answered]]:
    """Train every cell of the grid that is not finished, and ask all: draw → what is known of it, and the answers.

    A stopped study goes on where it was, and finished trainings are not repeated.
    """
    spectra, tasks = _begun(grid, out, machine)
    for spectrum in spectra.values():
        for variant in spectrum.variants.values():
            keep_variant(variant, out / variant.name / "variant")  # here, so that no two processes write it
    sources = {draw: spectrum.source for draw, spectrum in spectra.items()}

    def is_finished(task: HarmTask) -> bool:
        return are_finished(_planned(task, sources[task.draw])[0])

    found = run_share(_answer, tasks, sources, machine=machine, is_finished=is_finished, progress=progress)
    return spectra, found


def planned_trainings(grid: HarmGrid, out: Path, machine: Machine) -> list[Evaluation]:
    """Every training of a grid, none of them begun by this; nothing is written."""
    spectra, tasks = _begun(grid, out, machine)
    return [_planned(task, spectra[task.draw].source)[0] for task in tasks]


def _begun(grid: HarmGrid, out: Path, machine: Machine) -> tuple[dict[int, Spectrum], list[HarmTask]]:
    """What is known of each draw, and a task for each training."""
    choose_detectors(grid.detectors)
    spectra: dict[int, Spectrum] = {}
    for draw in grid.draws:
        source = grid.source(draw)
        spectra[draw] = Spectrum(source, {rate: grid.labels(source, rate, draw) for rate in (0.0, *grid.rates)})
    tasks = [
        HarmTask(draw, rate, name, spectra[draw].variants[rate], grid, out, machine.device_of(number))
        for draw in grid.draws
        for number, (rate, name) in enumerate(
            [(0.0, MEMORIZING), *((rate, name) for rate in grid.rates for name in grid.treatments)]
        )
    ]
    return spectra, tasks


def _planned(task: HarmTask, source: Source) -> tuple[Evaluation, Plan]:
    """The run of a task, and its plan."""
    plan = task.grid.plan(source, TREATMENTS[task.treatment], task.device)
    scored = task.grid.detectors if task.rate and task.treatment == MEMORIZING else ("final_loss",)
    planned = plan_evaluation(
        task.variant, source, plan, machine=Machine(task.device), seeds=(task.draw,), detectors=scored, out=task.out
    )
    return planned, plan


def _answer(task: HarmTask, sources: Mapping[int, Source], progress: Progress) -> Answered:
    """Train, or find trained, and ask."""
    source = sources[task.draw]
    planned, plan = _planned(task, source)
    nothing = np.zeros((0, source.num_classes))
    about = (task.draw, task.rate, task.treatment)
    try:
        path = carry_out(planned, progress)[0]
    except TrainingFailed as error:
        return Answered(*about, None, nothing, nothing, str(error))
    siblings, samples = answers_of_run(path, plan, source, task.device, (source.test_inputs, inputs_of(source, "it")))
    return Answered(*about, path, siblings, samples)


def answers_of_run(
    folder: Path, plan: Plan, source: Source, device: str, asked: Sequence[AnyInputs]
) -> tuple[Floats, ...]:
    """What the model of a finished training answers: (m, k) probabilities for each of some inputs (m, ...).

    Args:
        folder: Of the run.
        plan: That it was trained by.
        source: That it was trained on, whose moments normalise inputs.
        device: Where it is asked.
        asked: Inputs like those of the source.

    Raises:
        BadData: The checkpoint is missing, broken or of another model.
    """
    import torch

    data = Inputs(inputs_of(source, "a model"), torch.device(device))
    model = build_model(plan.build, source, data)
    kept = read_checkpoint(folder / CHECKPOINT).weights  # an added branch has weights of its own there
    own = weights_of(model)
    if not all(name in kept and kept[name].shape == tensor.shape for name, tensor in own.items()):
        msg = f"{folder / CHECKPOINT} holds the weights of another model; delete the run to train it again"
        raise BadData(msg)
    found = []
    with torch.no_grad(), evaluating(model, seed=0, device=data.device):
        for name, tensor in own.items():
            tensor.copy_(kept[name])
        for inputs in asked:
            batches = Inputs(inputs, data.device, like=data).batches(EVALUATION_BATCH)
            found.append(torch.cat([model(batch).double().softmax(1).cpu() for batch in batches]).numpy())
    return tuple(found)


def flagged_shares(suspicion: Floats, count: int) -> Floats:
    """Chance that each sample is among the ``count`` most suspicious ones, ties broken at random, shape (n,)."""
    cut = np.sort(suspicion)[len(suspicion) - count]
    above, tied = suspicion > cut, suspicion == cut
    found: Floats = above + tied * (count - above.sum()) / tied.sum()
    return found


class Flagged(NamedTuple):
    """What a detector flags in one run, at the number of wrong labels.

    Attributes:
        detector: Its name.
        shares: Chance to be flagged, shape (n,).
        wrong: Wrong labels, shape (n,).
    """

    detector: str
    shares: Floats
    wrong: Bools


def flags_of(answered: Answered, variant: Variant) -> list[Flagged]:
    """What every detector of a run flags; nothing where no label is wrong."""
    count = int(variant.mislabeled.sum())
    if answered.path is None or not count:
        return []
    run = read_run(answered.path)
    return [
        Flagged(name, flagged_shares(run.scores(name).values, count), variant.mislabeled)
        for name, kind in run.kinds.items()
        if kind == "detector"
    ]
