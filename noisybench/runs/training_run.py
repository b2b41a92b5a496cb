"""The standard protocol: a variant, a model and a recipe → a run folder with trace, history and scores."""

import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from noisybench.data.source import Source, check_unchanged
from noisybench.detection.scoring import FedRegime
from noisybench.ground.checks import check_kind, unknown, whole
from noisybench.ground.engine import Progress, check_sendable
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.lookup import find, names
from noisybench.runs.detector_choice import choose_detectors, fed_by, regimes_of
from noisybench.runs.folder import keep_variant
from noisybench.runs.further_task import FurtherTask, carry_out_further
from noisybench.runs.record import OF_RULES, Regime
from noisybench.runs.schemes import SCHEMES
from noisybench.runs.training_task import TrainingTask, carry_out_one, help_train
from noisybench.training.machine import Machine, given_machine
from noisybench.training.model import BuildModel, check_model
from noisybench.training.objective import CROSS_ENTROPY, Objective
from noisybench.training.objective_contract import check_begin
from noisybench.training.phases import widened
from noisybench.training.plan import Plan, plan_run
from noisybench.training.ranks import training_ranks
from noisybench.variants.variant import Variant, check_source

log = logging.getLogger("noisybench")


def train_and_score(
    variants: Variant | Sequence[Variant],
    source: Source,
    *,
    model: str | BuildModel | None = None,
    recipe: str = "standard",
    epochs: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    detectors: str | Sequence[str] = "standard",
    options: Mapping[str, str] | None = None,
    objective: str | Objective = CROSS_ENTROPY,
    objective_options: Mapping[str, str] | None = None,
    machine: Machine | None = None,
    out: str | Path = "runs",
    rules: Sequence[str] = (),
    progress: Progress = lambda: None,
) -> list[Path]:
    """Train on each variant with each seed, and score every detector.

    A finished run is not repeated, and one that was stopped goes on from its last checkpoint and ends with the same
    bytes. Detectors that a finished run lacks are added from its trace; where they need a probe that was not recorded,
    the run is trained again, with the same end, and the probe's column is added to the trace. One that other versions or
    another machine trained would end otherwise: detectors of a set are left out there, and one that is named is refused.

    Args:
        variants: One or more variants of ``source``.
        source: Their inputs.
        model: See ``plan_run``; also ``recipe``, ``epochs``, ``options``, ``objective`` and ``objective_options``.
        recipe: Name of the recipe.
        epochs: None takes the recipe's.
        seeds: Of training; each is a run.
        detectors: Names, or one of the sets ``fast``, ``standard`` and ``all``; see ``DetectorSet``.
        options: Fields of ``Recipe`` and ``Watch`` as text.
        objective: What is minimised, by its name; or an objective.
        objective_options: Its options as text.
        machine: How the runs are run; None takes one worker, on a GPU where there is one.
        out: Folder of runs.
        rules: Rules of stopping that need trainings of their own, ``noisy_validation``, ``ratt`` and ``pmv``: each is a
            run too, which feeds no detector; see ``stopping_of``.
        progress: Called after each epoch of each run.

    Returns:
        The runs, by their folders, variant by variant; of a machine's shard those that are its own; of several ranks all of
        them on the first, and none on the others.

    Raises:
        BadUsage: Seeds that repeat, two detectors of one name, or a name that does not exist.
        BadData: ``out`` holds runs of the same labels that were made differently, or another process works on one.
        Mismatch: A variant was made from another source.
    """
    machine = given_machine(machine)
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    plan = plan_run(
        source,
        model=model,
        recipe=recipe,
        epochs=epochs,
        options=options,
        objective=objective,
        objective_options=objective_options,
        device=machine.device,
    )
    planned = plan_evaluation(
        variants, source, plan, seeds=seeds, detectors=detectors, machine=machine, out=out, rules=rules
    )
    return carry_out(planned, progress)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Runs that are planned and checked, and not begun.

    Attributes:
        variants: Label columns of the source, each once.
        source: Their inputs.
        plan: What decides the runs but labels and seed.
        seeds: Seeds of training; each is a run of each variant.
        detectors: Name → what the catalog finds it by.
        machine: How the runs are run.
        out: Folder of runs.
        named: Detectors that were asked for by their names, and not as part of a set.
        rules: Rules of stopping that need trainings of their own.
    """

    variants: tuple[Variant, ...]
    source: Source
    plan: Plan
    seeds: tuple[int, ...]
    detectors: Mapping[str, str]
    machine: Machine
    out: Path
    named: frozenset[str]
    rules: tuple[Regime, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs of all trainings together."""
        lengths = sum(1 if regime not in SCHEMES else SCHEMES[regime].lengths for regime in self.regimes)
        lengths += sum(SCHEMES[rule].lengths for rule in self.rules)
        return len(self.variants) * len(self.seeds) * lengths * self.plan.recipe.epochs

    @property
    def regimes(self) -> tuple[FedRegime, ...]:
        """Regimes that feed the detectors: each variant has a run of each with each seed."""
        return regimes_of(self.detectors)

    @property
    def further(self) -> tuple[str, ...]:
        """What detectors and rules cost that need a run of further trainings, a sentence for each such regime."""
        told = []
        for regime in self.regimes:
            if regime in SCHEMES:
                own = ", ".join(name for name, spec in self.detectors.items() if regime in fed_by(spec))
                cost = f"{SCHEMES[regime].trainings} times the training of each seed"
                told.append(f"{own}: {SCHEMES[regime].words}, a run of {cost}, which is in the sum")
        for rule in self.rules:
            cost = f"{SCHEMES[rule].trainings} times the training of each seed"
            told.append(f"rule {rule}: {SCHEMES[rule].words}, a run of {cost}, beside the sum")
        return tuple(told)


def plan_evaluation(
    variants: Variant | Sequence[Variant],
    source: Source,
    plan: Plan,
    *,
    machine: Machine,
    seeds: Sequence[int] = (0, 1, 2),
    detectors: str | Sequence[str] = "standard",
    out: str | Path = "runs",
    rules: Sequence[str] = (),
) -> Evaluation:
    """The runs of a plan, checked as far as that goes without a training; nothing is written.

    Arguments and errors are those of ``train_and_score``.
    """
    check_kind(out, (str, Path), "out", "give the path of a folder for runs")
    numbers, asked = check_seeds(seeds), choose_rules(rules)
    chosen = choose_detectors(detectors, plan.objective.leaves)
    given = [variants] if isinstance(variants, Variant | str | os.PathLike) else list(variants)
    for variant in given:
        check_source(source, variant)
    check_unchanged(source)
    different = {variant.provenance.variant_id: variant for variant in given}
    regimes, alone = regimes_of(chosen), {detectors} if isinstance(detectors, str) else {*detectors}
    if machine.runner.sends and len(different) * len(numbers) * (len(regimes) + len(asked)) > 1:
        check_sendable(plan.build, f"model '{plan.model}'")
    for variant in different.values():
        rows, k = np.flatnonzero(~variant.dropped), source.num_classes
        check_begin(plan.objective, variant, variant.labels, rows, classes=k, epochs=plan.recipe.epochs)
    left_out = _unaskable(chosen, plan, source, machine.device)
    left_out |= _unable_for(chosen, plan, different.values(), numbers[0])
    chosen = _without(chosen, left_out, alone)
    trained = (*regimes_of(chosen), *asked)
    classes = {*(k for one in different.values() for k in _outputs(one, plan, numbers[0], trained))}
    for k in sorted(classes - {source.num_classes}):
        check_model(plan.build, widened(source, k), device=machine.device)
    named = frozenset(name for name, spec in chosen.items() if spec in alone)
    return Evaluation(tuple(different.values()), source, plan, numbers, chosen, machine, Path(out), named, asked)


def carry_out(planned: Evaluation, progress: Progress = lambda: None) -> list[Path]:
    """The folders of the planned runs, or of those of a shard, each finished; see ``train_and_score``.

    Of several ranks the first has them.
    """
    ranks = training_ranks(planned.machine)
    tasks: list[TrainingTask | FurtherTask] = []
    observed = {name: spec for name, spec in planned.detectors.items() if "training" in fed_by(spec)}
    for variant in planned.variants:
        home = planned.out / variant.name
        keep = partial(keep_variant, variant, home / "variant", planned.source.sample_names)
        kept = ranks.on_first(keep) or keep()  # on the others once it is there
        for seed in planned.seeds:
            for regime in (*planned.regimes, *planned.rules):
                own = planned.machine.of_task(len(tasks))
                if regime in SCHEMES:
                    tasks.append(FurtherTask(regime, kept, planned.plan, seed, replace(own, ranks=1), home))
                else:
                    folder = home / planned.plan.folder / f"seed-{seed}"
                    tasks.append(TrainingTask(kept, planned.plan, seed, observed, own, folder, planned.named))
    share = planned.machine.shard.share(tasks)
    if ranks.is_first:
        folders = planned.machine.runner.run(_carry_out_task, share, planned.source, progress=progress)
        ranks.told_by_all(None)
        return folders
    help_train([task for task in share if isinstance(task, TrainingTask)], planned.source, ranks)
    return []


def _carry_out_task(task: TrainingTask | FurtherTask, source: Source, progress: Progress) -> Path:
    """The folder of one run, of whichever regime."""
    if isinstance(task, FurtherTask):
        return carry_out_further(task, source, progress)
    return carry_out_one(task, source, progress)


def choose_rules(rules: str | Sequence[str]) -> tuple[Regime, ...]:
    """The rules of stopping that need trainings of their own, each once.

    Raises:
        UnknownName: No such rule.
    """
    asked = [rules] if isinstance(rules, str) else [*rules]
    for rule in asked:
        if rule not in OF_RULES:
            raise UnknownName(unknown(rule, OF_RULES, "rule of stopping that needs trainings of its own"))
    return tuple(rule for rule in OF_RULES if rule in asked)


def _outputs(variant: Variant, plan: Plan, seed: int, regimes: Sequence[Regime]) -> set[int]:
    """How many outputs the models of several trainings have; raises where they cannot be made of these labels."""
    planned = [part for regime in regimes if regime in SCHEMES for part in SCHEMES[regime].plan(variant, seed)]
    for part in planned:
        told = {"classes": part.classes, "epochs": plan.recipe.epochs}
        for rows in part.phases:
            check_begin(plan.objective, variant, part.labels, rows, **told)
    return {part.classes for part in planned}


def _unaskable(chosen: Mapping[str, str], plan: Plan, source: Source, device: str) -> dict[str, str]:
    """Name of each detector that reads a probe which the model cannot be asked → why.

    Raises:
        BadUsage: A detector reads a probe of the user's own.
        TrainingFailed: The model cannot be built or run.
    """
    needs = {name: find("detectors", spec).needs for name, spec in chosen.items()}
    for detector, need in needs.items():
        for own in (each for each in need if ":" in each):
            msg = (
                f"detector '{detector}' needs '{own}', and a training leaves columns of noisybench's probes alone; ask that "
                f"probe with a Recorder, and score its trace"
            )
            raise BadUsage(msg)
    probes = [find("probes", name) for name in names("probes") if any(name in need for need in needs.values())]
    adds = type(plan.objective).branch is not Objective.branch
    refused = check_model(plan.build, source, probes, device=device, ends_linear=adds)
    return {name: why for name, need in needs.items() for probe, why in refused.items() if probe in need}


def _unable_for(chosen: Mapping[str, str], plan: Plan, variants: Iterable[Variant], seed: int) -> dict[str, str]:
    """Name of each detector whose run of further trainings cannot be made of some variant → why."""
    refused: dict[FedRegime, str] = {}
    for variant in variants:
        for regime in regimes_of(chosen):
            try:
                _outputs(variant, plan, seed, [regime])
            except (BadData, BadUsage) as error:
                refused[regime] = str(error)
    return {name: why for name, spec in chosen.items() for regime, why in refused.items() if regime in fed_by(spec)}


def _without(chosen: Mapping[str, str], left_out: Mapping[str, str], alone: Collection[str]) -> dict[str, str]:
    """The chosen detectors without some, which is said in a line for each reason.

    Args:
        chosen: Name → what the catalog finds it by.
        left_out: Name of each that goes → why.
        alone: What was asked for by name, and not as one of a set.

    Raises:
        BadUsage: One that goes was asked for by name.
    """
    for name, why in left_out.items():
        if chosen[name] in alone:
            msg = f"detector '{name}': {why}"
            raise BadUsage(msg)
    for why in dict.fromkeys(left_out.values()):
        log.warning("left out %s: %s", ", ".join(name for name, each in left_out.items() if each == why), why)
    return {name: spec for name, spec in chosen.items() if name not in left_out}


def check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds as plain integers.

    Raises:
        BadUsage: None of them, one that is no whole number or negative, or one that is there twice.
    """
    try:
        given = tuple(seeds)
    except TypeError:
        msg = f"seeds must be several whole numbers, such as (0, 1, 2), got {seeds!r}"
        raise BadUsage(msg) from None
    numbers = tuple(whole(seed, "each of the seeds") for seed in given)
    if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 0:
        msg = f"seeds must be different and not negative, got {','.join(map(str, numbers)) or 'none'}"
        raise BadUsage(msg)
    return numbers
