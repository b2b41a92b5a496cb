"""The standard protocol: a variant, a model and a recipe → a run folder with trace, history and scores."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from noisybench.data.source import Source, check_unchanged
from noisybench.detection.scoring import RESERVED, Detector, DetectorSet
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.engines.processes import Progress, check_sendable, run_tasks
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find, names
from noisybench.runs.folder import keep_variant
from noisybench.runs.training_task import TrainingTask, carry_out_one
from noisybench.training.machine import Machine
from noisybench.training.model import BuildModel, check_model
from noisybench.training.plan import Plan, plan_run
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
    machine: Machine | None = None,
    out: str | Path = "runs",
    progress: Progress = lambda: None,
) -> list[Path]:
    """Train on each variant with each seed, and score every detector.

    A finished run is not repeated, and one that was stopped goes on from its last checkpoint and ends with the same
    bytes. Detectors that a finished run lacks are added from its trace; where they need a probe that was not recorded,
    the run is trained again, with the same end, and the probe's column is added to the trace.

    Args:
        variants: One or more variants of ``source``.
        source: Their inputs.
        model: See ``plan_run``; also ``recipe``, ``epochs`` and ``options``.
        recipe: Name of the recipe.
        epochs: None takes the recipe's.
        seeds: Of training; each is a run.
        detectors: Names, or one of the sets ``fast``, ``standard`` and ``all``; see ``DetectorSet``.
        options: Fields of ``Recipe`` and ``Watch`` as text.
        machine: How the runs are run; None takes one worker, on a GPU where there is one.
        out: Folder of runs.
        progress: Called after each epoch of each run.

    Returns:
        The runs, by their folders, variant by variant.

    Raises:
        BadUsage: Seeds that repeat, two detectors of one name, or a name that does not exist.
        BadData: ``out`` holds runs of the same labels that were made differently, or another process works on one.
        Mismatch: A variant was made from another source.
    """
    machine = machine or Machine(device="auto")
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    plan = plan_run(source, model=model, recipe=recipe, epochs=epochs, options=options, device=machine.device)
    planned = plan_evaluation(variants, source, plan, seeds=seeds, detectors=detectors, machine=machine, out=out)
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
    """

    variants: tuple[Variant, ...]
    source: Source
    plan: Plan
    seeds: tuple[int, ...]
    detectors: Mapping[str, str]
    machine: Machine
    out: Path

    @property
    def epochs(self) -> int:
        """Epochs of all runs together."""
        return len(self.variants) * len(self.seeds) * self.plan.recipe.epochs


def plan_evaluation(
    variants: Variant | Sequence[Variant],
    source: Source,
    plan: Plan,
    *,
    machine: Machine,
    seeds: Sequence[int] = (0, 1, 2),
    detectors: str | Sequence[str] = "standard",
    out: str | Path = "runs",
) -> Evaluation:
    """The runs of a plan, checked as far as that goes without a training; nothing is written.

    Arguments and errors are those of ``train_and_score``.
    """
    check_kind(out, (str, Path), "out", "give the path of a folder for runs")
    numbers, chosen = check_seeds(seeds), choose_detectors(detectors)
    given = [variants] if isinstance(variants, Variant | str | os.PathLike) else list(variants)
    for variant in given:
        check_source(source, variant)
    check_unchanged(source)
    different = {variant.provenance.variant_id: variant for variant in given}
    if machine.workers > 1 and len(different) * len(numbers) > 1:
        check_sendable(plan.build, f"model '{plan.model}'")
    chosen = _askable(chosen, detectors, plan, source, machine.device)
    return Evaluation(tuple(different.values()), source, plan, numbers, chosen, machine, Path(out))


def carry_out(planned: Evaluation, progress: Progress = lambda: None) -> list[Path]:
    """The folders of the planned runs, each finished; see ``train_and_score``."""
    tasks: list[TrainingTask] = []
    for variant in planned.variants:
        home = planned.out / variant.name
        kept = keep_variant(variant, home / "variant", planned.source.sample_names)
        for seed in planned.seeds:
            own = replace(planned.machine, device=planned.machine.device_of(len(tasks)), workers=1)
            folder = home / planned.plan.folder / f"seed-{seed}"
            tasks.append(TrainingTask(kept, planned.plan, seed, planned.detectors, own, folder))
    return run_tasks(carry_out_one, tasks, planned.source, workers=planned.machine.workers, progress=progress)


def _askable(
    chosen: Mapping[str, str], detectors: str | Sequence[str], plan: Plan, source: Source, device: str
) -> dict[str, str]:
    """The chosen detectors without those of a set whose probes the model cannot be asked, which is said in one line.

    Raises:
        BadUsage: Such a one is named.
        TrainingFailed: The model cannot be built or run.
    """
    needs = {name: find("detectors", spec).needs for name, spec in chosen.items()}
    probes = [find("probes", name) for name in names("probes") if any(name in need for need in needs.values())]
    refused = check_model(plan.build, source, probes, device=device)
    left_out = {name: why for name, need in needs.items() for probe, why in refused.items() if probe in need}
    named = {detectors} if isinstance(detectors, str) else {*detectors}
    for name, why in left_out.items():
        if chosen[name] in named:
            msg = f"detector '{name}': {why}"
            raise BadUsage(msg)
    if left_out:
        log.warning("left out %s: %s", ", ".join(left_out), next(iter(left_out.values())))
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


def choose_detectors(detectors: str | Sequence[str]) -> dict[str, str]:
    """Name of each detector → what the catalog finds it by.

    Args:
        detectors: Names, and sets: ``fast``, ``standard`` or ``all`` that a training feeds, see ``DetectorSet``.

    Raises:
        BadUsage: A name that does not exist or is taken, a detector that no training feeds, or two detectors of one name.
    """
    asked = [detectors] if isinstance(detectors, str) else [*detectors]
    sets = [spec for spec in asked if spec in get_args(DetectorSet)]
    alone = [spec for spec in asked if spec not in sets]
    found: dict[str, Detector] = {
        spec: find("detectors", spec) for spec in (*alone, *(names("detectors") if sets else ()))
    }
    other = [found[spec] for spec in alone if "training" not in found[spec].fed_by]
    if other:
        msg = f"detector '{other[0].name}' needs a pool of models; 'noisybench memorize VARIANT --pool detector' scores it"
        raise BadUsage(msg)
    within = {smallest for one in sets for smallest in get_args(DetectorSet)[: get_args(DetectorSet).index(one) + 1]}
    listed = [
        spec
        for spec, detector in found.items()
        if spec not in alone and "training" in detector.fed_by and detector.smallest_set in within
    ]
    wanted = [*alone, *listed]
    chosen = {found[spec].name: spec for spec in wanted}
    if len(chosen) < len(wanted):
        mend = "rename your own" if len(set(wanted)) == len(wanted) else "name each once"
        msg = f"two of the detectors {', '.join(wanted)} have one name; {mend}"
        raise BadUsage(msg)
    for name, spec in chosen.items():
        ours = name in names("detectors") and find("detectors", name) != found[spec]
        if ours or name in RESERVED or name.startswith("memorization by "):
            msg = f"detector {spec} is called '{name}', as one of noisybench's detectors or references; rename your own"
            raise BadUsage(msg)
    return chosen
