"""Forecast of memorization: hours, memory and disk of many subset models, from a few that are trained and thrown away."""

import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from noisybench.data.source import Source
from noisybench.ground.amounts import duration, size
from noisybench.ground.arrays import Features
from noisybench.ground.checks import a_path, check_kind, whole
from noisybench.ground.errors import BadUsage
from noisybench.memorization.closed_form_plan import ClosedFormPlan
from noisybench.memorization.fitted import seconds_of_fit
from noisybench.memorization.fitted_plan import FittedPlan
from noisybench.memorization.kept_blocks import kept_together
from noisybench.memorization.pool import BLOCK, Purpose, block_path, blocks, class_type
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.subsets import check_fraction, subsets
from noisybench.memorization.tested_blocks import check_was_asked, count_of_asked
from noisybench.memorization.vectorised import models_together
from noisybench.runs.closed_form_forecast import try_solving
from noisybench.runs.memorization_trial import BUDGET, Trial, seconds_of_estimate, seconds_of_neighbours
from noisybench.runs.pool_run import check_purpose, folder_of_pools
from noisybench.statistics.pair_influences import CELLS
from noisybench.training.machine import Machine, given_machine, limited_threads
from noisybench.variants.variant import Variant, check_source, check_variant

OF_ESTIMATE = 40
"""Bytes of an estimate's file for each sample, about."""
OF_CELL = 40
"""Bytes for each of the pairs whose influence is looked at together, about."""
STARTING = 3.0
"""Seconds in which a worker process starts, most of them the import of torch."""


@dataclass(frozen=True, slots=True)
class MemorizationForecast:
    """What a measurement of memorization, or a detector pool, would take; what is there already is taken off.

    Attributes:
        models: That are trained, of all fractions; 0 where each sample is left out exactly.
        finished: How many of them are there.
        workers: Processes that train at the same time.
        together: Models trained at a time by ``torch.func``; 1 of all others.
        model_seconds: Processor seconds of one model, in the way that it would be trained; on a GPU seconds by the clock.
            NaN where nothing is trained.
        alone_seconds: The same one by one, where models would be trained together; NaN elsewhere.
        processor_seconds: Of all processes.
        seconds: By the clock, with so many workers, each with a core or a GPU for itself.
        worker_bytes: Peak of the memory of one process.
        estimate_bytes: Peak of what the estimate takes beside that, once all models are there.
        memory_bytes: Peak of the memory of all processes.
        gpu_bytes: Peak of a GPU's memory; 0 without one.
        disk_bytes: Of the files that would be written.
    """

    models: int
    finished: int
    workers: int
    together: int
    model_seconds: float
    alone_seconds: float
    processor_seconds: float
    seconds: float
    worker_bytes: int
    estimate_bytes: int
    memory_bytes: int
    gpu_bytes: int
    disk_bytes: int

    def in_words(self) -> list[str]:
        """For people, line by line."""
        lines = []
        if self.models:
            told = f"{self.models} models, {self.finished} of them finished"
            if not math.isnan(self.model_seconds):
                told += f"; one takes {self.model_seconds:.2g} s"
            if not math.isnan(self.alone_seconds):
                told += f", and {self.alone_seconds:.2g} s if trained alone"
            if self.together > 1:
                told += f"; {self.together} are trained at a time"
            lines.append(told)
        many = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        lines += [
            f"about {duration(self.seconds)} with {many}, {duration(self.processor_seconds)} of processor time",
            f"memory up to {size(self.memory_bytes)}: {size(self.worker_bytes)} a process, the estimate {size(self.estimate_bytes)}",
            f"disk {size(self.disk_bytes)}",
        ]
        if self.gpu_bytes:
            lines.append(f"memory of the GPU up to {size(self.gpu_bytes)}")
        return lines


def forecast_memorization(
    source: Source,
    variant: Variant,
    learner: SubsetPlan | FittedPlan | ClosedFormPlan,
    out: str | Path = "runs",
    *,
    purpose: Purpose = "truth",
    fractions: Sequence[float] = (),
    models: int = 500,
    seed: int = 0,
    features: Features | None = None,
    ask_test: bool = False,
    machine: Machine | None = None,
) -> MemorizationForecast:
    """What ``memorize``, or ``detect``, would take; a few models are trained for it and thrown away, nothing is written.

    Of trained models the time of an epoch is that of a few steps on as many samples a batch, and grows with steps and
    epochs; of classifiers of scikit-learn it is that of whole fits; of models in closed form it is that of the same algebra
    on fewer samples, and grows as its operations do. Of detector pools it includes looking for neighbours.

    Args:
        source: See ``memorize`` and ``detect``, as all but the next.
        variant: Whose labels.
        learner: What would be trained, or solved.
        out: Folder of runs, where what is finished would be.
        purpose: ``truth``, or ``detector``.
        fractions: Of a detector pool, several; none takes the learner's.
        models: How many for each fraction.
        seed: Of subsets and training.
        features: What the models see in place of the inputs; in closed form always.
        ask_test: Whether the models would be asked about the test set as well.
        machine: How the models would be trained.

    Raises:
        BadUsage: A number that cannot be meant, or no test set to ask about.
        BadData: Models that are there were not asked about the test set.
        Mismatch: The variant was made from another source.
        TrainingFailed: The model cannot be built or run.
    """
    check_variant(variant)
    mend = "plan_learner(source), plan_fitted(source) and plan_closed_form(source) give one"
    check_kind(learner, (SubsetPlan, FittedPlan, ClosedFormPlan), "learner", mend)
    check_source(source, variant)
    check_purpose(purpose, fractions)
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    machine = given_machine(machine)
    home = a_path(out, "out") / variant.name
    if ask_test and (purpose == "detector" or isinstance(learner, ClosedFormPlan)):
        msg = "only models that are trained or fitted to measure memorization are asked about a test set; leave ask_test out"
        raise BadUsage(msg)
    if isinstance(learner, ClosedFormPlan):
        if features is None:
            msg = "ridge regression needs features; plan_closed_form(source) gives them beside the plan"
            raise BadUsage(msg)
        if purpose == "detector":
            msg = "a detector pool is of models that are trained; what ridge regression says unseen, score_features scores"
            raise BadUsage(msg)
        return _of_closed_form(variant, learner, features, home, models=models, seed=seed, threads=machine.threads)
    shares = tuple(sorted(fractions)) or (learner.fraction,)
    learners = [replace(learner, fraction=share) for share in shares]
    if purpose == "truth":
        folders = [home / "memorization" / learners[0].folder(purpose="truth", seed=seed)]
    else:
        run = home / folder_of_pools([one.setup for one in learners]) / f"seed-{seed}"
        folders = [run / f"fraction-{share:g}" for share in shares]
    parts = [
        _of_pool(source, variant, one, folder, models=models, features=features, ask_test=ask_test, machine=machine)
        for one, folder in zip(learners, folders, strict=True)
    ]
    found = _joined(parts)
    if purpose == "truth":
        return found
    n, k = len(variant.labels), variant.num_classes
    near = seconds_of_neighbours(source, variant, features, machine.threads)
    return replace(
        found,
        processor_seconds=found.processor_seconds + near,
        seconds=found.seconds + near,
        disk_bytes=found.disk_bytes + n * (8 * k + 12 + 8 * 10),  # the trace, and a file of scores for each detector
    )


def _of_closed_form(
    variant: Variant,
    plan: ClosedFormPlan,
    features: Features,
    home: Path,
    *,
    models: int,
    seed: int,
    threads: int,
) -> MemorizationForecast:
    """What leaving out each sample exactly takes, or refits on random subsets."""
    folder, n = home / "memorization" / plan.folder(seed=seed), len(variant.labels)
    with limited_threads(threads):
        taken = try_solving(variant, plan, features, BUDGET)
    if plan.learner.is_exact:
        left = [] if (folder / "memorization.parquet").is_file() else [1]
        count, spent, each, reading, disk = 0, taken.leaving_out, float("nan"), 0, n * OF_ESTIMATE
    else:
        left = [count for number, count in blocks(models) if not block_path(folder, number, count).is_file()]
        count, each = models, taken.refit
        spent = sum(left) * each + seconds_of_estimate(variant, models)
        reading = _bytes_of_reading(variant, models)
        disk = sum(_bytes_of_block(variant, number) for number in left) + n * OF_ESTIMATE
    spent = (taken.fit + spent) if left else 0.0
    here = _peak_here()
    return MemorizationForecast(
        models=count,
        finished=count - sum(left) if count else 0,
        workers=1,
        together=1,
        model_seconds=each,
        alone_seconds=float("nan"),
        processor_seconds=spent,
        seconds=spent,
        worker_bytes=here + taken.bytes,
        estimate_bytes=reading,
        memory_bytes=here + max(taken.bytes, reading),
        gpu_bytes=0,
        disk_bytes=disk if left else 0,
    )


def _joined(parts: Sequence[MemorizationForecast]) -> MemorizationForecast:
    """Pools of several fractions, one after the other."""
    first = parts[0]
    models = sum(part.models for part in parts)
    return replace(
        first,
        models=models,
        finished=sum(part.finished for part in parts),
        model_seconds=_mean([part.model_seconds for part in parts]),
        alone_seconds=_mean([part.alone_seconds for part in parts]),
        processor_seconds=sum(part.processor_seconds for part in parts),
        seconds=sum(part.seconds for part in parts),
        worker_bytes=max(part.worker_bytes for part in parts),
        estimate_bytes=sum(part.estimate_bytes for part in parts),  # all pools are read before detectors are scored
        memory_bytes=max(part.memory_bytes for part in parts),
        gpu_bytes=max(part.gpu_bytes for part in parts),
        disk_bytes=sum(part.disk_bytes for part in parts),
    )


def _mean(values: Sequence[float]) -> float:
    """Of those that are known; NaN where none is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def _of_pool(
    source: Source,
    variant: Variant,
    learner: SubsetPlan | FittedPlan,
    folder: Path,
    *,
    models: int,
    features: Features | None,
    ask_test: bool,
    machine: Machine,
) -> MemorizationForecast:
    """What one pool takes of which some blocks may be there."""
    n, k = len(variant.labels), variant.num_classes
    tests = count_of_asked(source, learner.features) if ask_test else 0
    check_fraction(learner.fraction, int((~variant.dropped).sum()))
    mine = machine.shard.share([*blocks(models)])
    there = [(number, count) for number, count in mine if block_path(folder, number, count).is_file()]
    for number, count in there if ask_test else ():
        check_was_asked(block_path(folder, number, count))
    left = [count for number, count in mine if (number, count) not in there]
    one, alone, together, gpu = 0.0, float("nan"), 1, 0
    if left and isinstance(learner, FittedPlan):
        one = seconds_of_fit(source, variant, learner, features, tests=tests, budget=BUDGET)
    elif left and isinstance(learner, SubsetPlan):
        together = _together(source, variant, learner, folder, features=features, machine=machine)
        trial = Trial(source, variant, learner, features, machine.device_of(0), together, tests)
        one = trial.seconds_of_model(alone=False)
        gpu = 0 if machine.device == "cpu" else _peak_of_gpu()
        alone = trial.seconds_of_model(alone=True) if trial.is_stacked else float("nan")
    began = time.process_time()
    subsets(range(BLOCK), n, learner.fraction, seed=0, balanced=learner.balanced, groups=variant.copies)
    drawn = time.process_time() - began
    of_blocks = [count * one + drawn * count / BLOCK for count in left]
    workers = min(getattr(machine.runner, "workers", 1), max(len(left), 1))  # of Ray nobody knows beforehand
    starting = STARTING if workers > 1 else 0.0
    estimate = seconds_of_estimate(variant, models)
    spent = starting * workers + sum(of_blocks) + estimate
    # What a block keeps of each model, and what is made of the answers of one.
    worker = _peak_here() + BLOCK * (n + tests) * (2 + class_type(k)().nbytes + 1) + n * k * (8 + 16)
    reading = _bytes_of_reading(variant, models) + (models * tests * 6 + CELLS * OF_CELL if ask_test else 0)
    return MemorizationForecast(
        models=sum(count for _, count in mine),
        finished=sum(count for _, count in mine) - sum(left),
        workers=workers,
        together=together,
        model_seconds=one if left else float("nan"),
        alone_seconds=alone,
        processor_seconds=spent,
        seconds=starting + longest(of_blocks, workers) + estimate,
        worker_bytes=worker,
        estimate_bytes=reading,
        memory_bytes=max(worker * (workers + (workers > 1)), _peak_here() + reading),
        gpu_bytes=gpu,
        disk_bytes=sum(_bytes_of_block(variant, count, tests) for count in left) + n * OF_ESTIMATE,
    )


def _together(
    source: Source, variant: Variant, learner: SubsetPlan, folder: Path, *, features: Features | None, machine: Machine
) -> int:
    """Models that would be trained at a time by ``torch.func``."""
    seen = source if features is None else replace(source, inputs=features, augmentation="none")
    return models_together(seen, learner.plan, machine, kept_together(folder, variant), BLOCK) or 1


def _bytes_of_reading(variant: Variant, models: int) -> int:
    """Peak of reading a pool: its blocks and the whole of them, and their held-out answers twice."""
    n, k = len(variant.labels), variant.num_classes
    return 2 * models * n * (3 + class_type(k)().nbytes) + len([*blocks(models)]) * n * k * 8


def longest(tasks: Sequence[float], workers: int) -> float:
    """By the clock, of tasks that workers take in their order: when the last one ends."""
    ends = [0.0] * workers
    for task in tasks:
        ends[ends.index(min(ends))] += task
    return max(ends)


def _peak_here() -> int:
    """Bytes that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_of_gpu() -> int:
    """Bytes that this process has held on GPUs at most."""
    import torch

    return max(torch.cuda.max_memory_allocated(number) for number in range(torch.cuda.device_count()))


def _bytes_of_block(variant: Variant, count: int, tests: int = 0) -> int:
    """What a block of so many models takes on disk, and what they predict of so many test samples beside it."""
    n, k = len(variant.labels), variant.num_classes
    label = class_type(k)().nbytes
    return count * (-(-n // 8) + n * (label + 2) + tests * label) + n * k * 4 + 3_000
