"""The runs of the curvature study: planted flips and conflicting duplicates, under each step, activation and weight decay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

from noisybench.data.alteration import load_base
from noisybench.data.loading import load_at_side
from noisybench.data.recognising import Recognised
from noisybench.data.source import Source, untested
from noisybench.ground.checks import check_rate, whole
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import each_share
from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.ground.lookup import find, names
from noisybench.ground.options import parse_call
from noisybench.memorization.estimate import Memorization, read_memorization
from noisybench.memorization.subset_plan import SubsetPlan, plan_learner
from noisybench.runs.folder import keep_variant
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.training_run import Evaluation, carry_out, plan_evaluation
from noisybench.studies.grid_checks import check_axis, check_fields_of, check_own_options
from noisybench.studies.shares import are_finished, run_share
from noisybench.training.machine import Machine
from noisybench.training.plan import Plan, Watch, plan_run
from noisybench.training.tuning_sets import STEP_CHOSEN_ON
from noisybench.variants.building import build_variant
from noisybench.variants.location import source_of
from noisybench.variants.variant import Variant, read_variant

AUTHORS_STEP = 1e-3
"""Step of the paper's authors, with ten directions: chosen on none of our sets."""
OWN_STEP = Watch().curvature_step
"""Step that noisybench takes where none is said, chosen on ``STEP_CHOSEN_ON``."""
SMOOTH = "silu"
"""The activation whose model has a Hessian everywhere."""
RIVALS = (
    "cumulative_loss", "final_loss", "input_gradient_norm", "curvature_zeroth", "gauss_newton_trace", "exact_curvature",
)  # fmt: skip
"""Detectors that curvature is compared with; the last is of smooth models alone."""
CURVATURE = "loss_curvature"
CHECKPOINT_EVERY = 10
"""Epochs that a training which is stopped repeats at most; they take seconds, and a checkpoint costs as much as an epoch."""


class CurvatureCell(NamedTuple):
    """What is alike in every draw and training of a cell of the grid."""

    source: str
    """Name in the grid."""
    rate: float | None
    """Share of planted flips; None where the labels are those of a variant that was given."""
    activation: str
    weight_decay: float
    step: float


class GridLabels(NamedTuple):
    """Labels that are trained on, by where they stand in the grid."""

    source: Source
    variant: Variant


GridPlace = tuple[str, float | None, int]
"""Name of the source, rate, and number of the draw."""


@dataclass(frozen=True, slots=True)
class CurvatureGrid:
    """What the curvature study trains.

    One thing at a time is changed: the rates at both the authors' step and our own; and at ``rate`` the steps with each
    activation, and the weight decays. A draw is other duplicates and other flips.

    Attributes:
        sources: Names of sources, which get duplicates and flips; or folders of variants, which are taken as they are.
        limit: First samples of each source; None are all.
        data: Folder of the files of a source, or of a folder for each by its name; None takes the cache.
        model: Name of a model; None takes one that suits the source. With the activation ``relu`` it is as it stands.
        recipe: ``overfit`` interpolates.
        epochs: Of each training, and of each subset model.
        duplicates: Share of the samples that become exact copies of others, under conflicting labels.
        rates: Shares of symmetric flips, ascending.
        rate: The one of them at which all else is compared.
        steps: Ascending, those of the authors and of noisybench among them.
        directions: Random directions of each.
        every: Epochs between two that are asked for curvature; the last always is.
        weight_decays: The first is that of all other comparisons.
        activations: ``relu`` and ``silu``; the first is that of all other comparisons.
        draws: Of duplicates and flips.
        seeds: Of training, for each draw.
        models: Subset models of which memorization is measured in each draw; 0 measures none.
        top: Share of the samples that are called the most curved.
        options: Further options of the recipe, as text.
    """

    sources: tuple[str, ...] = ("digits",)
    limit: int | None = None
    data: str | None = None
    model: str | None = None
    recipe: str = "overfit"
    epochs: int = 60
    duplicates: float = 0.02
    rates: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1)
    rate: float = 0.05
    steps: tuple[float, ...] = (AUTHORS_STEP, 0.01, 0.03, OWN_STEP)
    directions: int = 10
    every: int = 5
    weight_decays: tuple[float, ...] = (0.0, 1e-4)
    activations: tuple[str, ...] = ("relu", SMOOTH)
    draws: tuple[int, ...] = (0, 1, 2, 3, 4)
    seeds: tuple[int, ...] = (0, 1)
    models: int = 200
    top: float = 0.05
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields_of(self)
        for name in ("sources", "weight_decays", "activations", "draws", "seeds", "rates", "steps"):
            check_axis(getattr(self, name), name, ascending=name in ("rates", "steps"))
        check_own_options(self.options, DECIDED)
        self._check_amounts()
        if self.rate not in self.rates:
            msg = f"rate {self.rate:g}, at which all else is compared, must be one of the rates {self.rates}; add it"
            raise BadUsage(msg)
        missing = [f"{step:g}" for step in (AUTHORS_STEP, OWN_STEP) if step not in self.steps]
        if missing:
            msg = f"steps must hold that of the authors and that of noisybench; add {' and '.join(missing)}"
            raise BadUsage(msg)
        unknown = [one for one in self.activations if one not in ("relu", SMOOTH)]
        if unknown:
            msg = f"activations are relu and {SMOOTH}, got '{unknown[0]}'"
            raise BadUsage(msg)

    def _check_amounts(self) -> None:
        for name in ("directions", "every", "epochs"):
            whole(getattr(self, name), name, least=1)
        whole(self.models, "models", least=0)
        if self.limit is not None:
            whole(self.limit, "limit", least=1)
        if self.models == 1:
            msg = (
                "models of the grid must be 0 or at least 2: memorization is of a sample that some models have not seen"
            )
            raise BadUsage(msg)
        for rate in (self.duplicates, *self.rates):
            check_rate(rate)
        if not 0 < self.top < 1:
            msg = f"top of the grid must lie between 0 and 1, got {self.top:g}: a share of the samples"
            raise BadUsage(msg)
        if min(self.steps) <= 0 or min(self.weight_decays) < 0:
            msg = (
                f"steps of the grid must lie above 0, and weight_decays not below, got {', '.join(map(str, self.steps))} and "
                f"{', '.join(map(str, self.weight_decays))}"
            )
            raise BadUsage(msg)

    @property
    def trainings(self) -> int:
        """Trainings in all, beside the subset models."""
        return sum(len(self.settings(name)) * self._draws(name) * len(self.seeds) for name in self.sources)

    @property
    def progress(self) -> int:
        """Epochs of all trainings and subset models in all."""
        return self.trainings * self.epochs + self.models * sum(self._draws(name) for name in self.sources)

    def _draws(self, source: str) -> int:
        return 1 if is_variant(source) else len(self.draws)

    def settings(self, source: str) -> list[CurvatureCell]:
        """The cells of one source, the centre of all comparisons first."""
        rate = None if is_variant(source) else self.rate
        centre = CurvatureCell(source, rate, self.activations[0], self.weight_decays[0], primary_step(source))
        found = [centre]
        if rate is not None:
            found += [
                centre._replace(rate=one, step=step) for one, step in product(self.rates, (AUTHORS_STEP, OWN_STEP))
            ]
        found += [centre._replace(activation=one, step=step) for one, step in product(self.activations, self.steps)]
        found += [centre._replace(weight_decay=one) for one in self.weight_decays]
        return list(dict.fromkeys(found))

    def centre(self, source: str) -> CurvatureCell:
        """The cell that all others of a source differ from in one thing."""
        return self.settings(source)[0]

    def labelled(self) -> dict[GridPlace, GridLabels]:
        """All labels that are trained on, by where they stand."""
        found: dict[GridPlace, GridLabels] = {}
        for name in self.sources:
            if is_variant(name):
                variant = read_variant(Path(name))
                data = None if self.data is None else Path(self.data)
                found[name, None, self.draws[0]] = GridLabels(untested(source_of(variant, Path(name), data)), variant)
                continue
            for draw in self.draws:
                source = self._source(name, draw)
                for rate in self.rates:
                    noise = find("noises", "symmetric")(rate=rate)
                    found[name, rate, draw] = GridLabels(source, build_variant(source, noise, seed=draw))
        return found

    def _source(self, name: str, draw: int) -> Source:
        """A source with the duplicates of a draw, without its test set."""
        base, _ = parse_call(name, what="a source")
        place = None if self.data is None else Path(self.data)
        if place is not None and len(self.sources) > 1:
            place = place / base if (place / base).is_dir() else None
        if not self.duplicates:
            return untested(load_base(name, place, limit=self.limit))
        options = {"base": name, "steps": f"duplicates(rate={self.duplicates:g})", "seed": str(draw)}
        if self.limit is not None:
            options["base_limit"] = str(self.limit)
        return untested(load_at_side(Recognised("altered", place), options, side=None))

    def plan(self, source: Source, setting: CurvatureCell, device: str) -> Plan:
        """How a cell is trained and watched."""
        options = {
            **self.options,
            "weight_decay": f"{setting.weight_decay:g}",
            "curvature_step": f"{setting.step:g}",
            "curvature_draws": str(self.directions),
            "curvature_every": str(self.every),
            "susceptibility": "off",
        }
        model = self.model
        if setting.activation == SMOOTH:
            model = f"{model or plan_run(source, device=device).model}(activation={SMOOTH})"
        return plan_run(source, model=model, recipe=self.recipe, epochs=self.epochs, options=options, device=device)

    def learner(self, source: Source, setting: CurvatureCell, device: str) -> SubsetPlan:
        """What memorization is measured of: subset models that train as the cell does."""
        plan = self.plan(source, setting, device)
        options = {**self.options, "weight_decay": f"{setting.weight_decay:g}"}
        found, _ = plan_learner(
            source, model=plan.model, recipe=self.recipe, epochs=plan.recipe.epochs, options=options, device=device
        )
        return found


DECIDED: Mapping[str, str] = {
    "weight_decay": "weight_decays",
    "curvature_step": "steps",
    "curvature_draws": "directions",
    "curvature_every": "every",
    "epochs": "epochs",
}
"""Option → what decides it."""


def is_variant(name: str) -> bool:
    """Whether a name of the grid is the folder of a variant."""
    return (Path(name) / "variant.json").is_file()


def tuned_on(source: str) -> str | None:
    """What the set is on which noisybench's own step was chosen, where it is this one; else None."""
    if is_variant(source):
        provenance = read_variant(Path(source)).provenance
        source = str(provenance.source_options.get("base", provenance.source))
    return STEP_CHOSEN_ON.get(source.partition("(")[0].strip())


def primary_step(source: str) -> float:
    """The step of the main figures: noisybench's own, or that of the authors where ours was chosen on this very set."""
    return OWN_STEP if tuned_on(source) is None else AUTHORS_STEP


class CurvatureTask(NamedTuple):
    """One training of the study: a unit of work, which finds its own folder finished or finishes it."""

    setting: CurvatureCell
    place: GridPlace
    seed: int
    variant: Variant
    grid: CurvatureGrid
    out: Path
    device: str

    def planned(self, source: Source) -> Evaluation:
        """The run, checked and not begun."""
        asked = [CURVATURE, "cumulative_loss"]
        if self.setting.step == primary_step(self.setting.source):
            known = names("detectors")
            smooth = self.setting.activation == SMOOTH
            asked += [one for one in RIVALS if one in known and (smooth or one != "exact_curvature")]
        return plan_evaluation(
            self.variant,
            source,
            self.grid.plan(source, self.setting, self.device),
            machine=Machine(self.device, checkpoint_every=CHECKPOINT_EVERY),
            seeds=(self.seed,),
            detectors=list(dict.fromkeys(asked)),
            out=self.out,
        )


class TrainedCell(NamedTuple):
    """A training of the study.

    Attributes:
        setting: Of the grid.
        draw: Of the grid.
        seed: Of the training.
        path: Folder of the run; None where the training failed.
        failure: Why there is none.
    """

    setting: CurvatureCell
    draw: int
    seed: int
    path: Path | None
    failure: str = ""


def tasks_of(
    grid: CurvatureGrid, labelled: Mapping[GridPlace, GridLabels], out: Path, machine: Machine
) -> list[CurvatureTask]:
    """Every training of the grid."""
    return [
        CurvatureTask(setting, place, seed, labelled[place].variant, grid, out, machine.device_of(number))
        for name in grid.sources
        for number, (setting, place, seed) in enumerate(
            (setting, place, seed)
            for setting in grid.settings(name)
            for place in labelled
            for seed in grid.seeds
            if place[:2] == setting[:2]
        )
    ]


def train_all(
    grid: CurvatureGrid, labelled: Mapping[GridPlace, GridLabels], out: Path, *, machine: Machine, progress: Progress
) -> list[TrainedCell]:
    """Train every cell that is not finished."""
    for one in labelled.values():
        keep_variant(one.variant, out / one.variant.name / "variant")  # here, so that no two processes write it
    tasks = tasks_of(grid, labelled, out, machine)
    sources = {place: one.source for place, one in labelled.items()}

    def is_finished(task: CurvatureTask) -> bool:
        return are_finished(task.planned(sources[task.place]))

    return run_share(_train, tasks, sources, machine=machine, is_finished=is_finished, progress=progress)


def _train(task: CurvatureTask, sources: Mapping[GridPlace, Source], progress: Progress) -> TrainedCell:
    """Train, or find trained."""
    about = (task.setting, task.place[2], task.seed)
    try:
        return TrainedCell(*about, carry_out(task.planned(sources[task.place]), progress)[0])
    except TrainingFailed as error:
        return TrainedCell(*about, None, str(error))


def measure_truths(
    grid: CurvatureGrid, labelled: Mapping[GridPlace, GridLabels], out: Path, *, machine: Machine, progress: Progress
) -> dict[GridPlace, Memorization]:
    """Memorization of the labels that all else is compared on, of models that train as the centre of their source does."""
    if not grid.models:
        return {}

    def measure(one: GridLabels, centre: CurvatureCell) -> Memorization:
        learner = grid.learner(one.source, centre, machine.device)
        folder, _ = measure_memorization(
            one.source, one.variant, learner, out, models=grid.models, machine=machine, progress=progress
        )
        return read_memorization(folder / "memorization.parquet", one.variant.provenance.variant_id)

    centres = {place: grid.centre(place[0]) for place in labelled}
    places = [place for place in labelled if place[1] == centres[place].rate]
    found = each_share(partial(measure, labelled[place], centres[place]) for place in places)
    return dict(zip(places, found, strict=True))
