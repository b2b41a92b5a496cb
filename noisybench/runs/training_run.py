"""The standard protocol: a variant, a model and a recipe → a run folder with trace, history, scores and agreement."""

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from noisybench.board.agreement import read_agreements, read_truths
from noisybench.board.truths import digests_of, judge, truths_beside
from noisybench.data.source import Source
from noisybench.detection.scoring import Kind, Scores, read_scores, score, scores_path, write_scores
from noisybench.ground.checks import whole
from noisybench.ground.engines.processes import Progress, check_sendable, run_tasks
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import check_fields, read_record, write_json
from noisybench.ground.locks import locked
from noisybench.ground.lookup import find, names
from noisybench.runs.folder import keep_variant
from noisybench.runs.record import HOW_LABELS_CAME, about_labels
from noisybench.training.checkpoint import epochs_trained
from noisybench.training.machine import surroundings
from noisybench.training.model import BuildModel, check_model
from noisybench.training.observing import Probe
from noisybench.training.plan import Plan, Watch, plan_run
from noisybench.training.trace import Trace, read_trace
from noisybench.training.training import digest_of_test_set, due_columns, is_observed, train
from noisybench.variants.variant import Variant, check_source


def evaluate(
    variants: Variant | Sequence[Variant],
    source: Source,
    *,
    model: str | BuildModel | None = None,
    recipe: str = "standard",
    epochs: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    detectors: str | Sequence[str] = "all",
    options: Mapping[str, str] | None = None,
    workers: int = 1,
    device: str = "auto",
    threads: int = 1,
    checkpoint_every: int = 1,
    loader_workers: int = 0,
    out: str | Path = "runs",
    progress: Progress = lambda: None,
) -> list[Path]:
    """Train on each variant with each seed, score every detector, and compare with the mislabeled mask.

    A finished run is not repeated, and one that was stopped goes on from its last checkpoint and ends with the same
    bytes. Detectors that a finished run lacks are added from its trace; where they need a probe that was not recorded,
    the run is trained again, with the same end, and the probe's column is added to the trace.

    Args:
        variants: One or more variants of ``source``.
        source: Their inputs.
        model: See ``plan_run``; also ``recipe``, ``epochs``, ``options`` and ``device``.
        recipe: Name of the recipe.
        epochs: None takes the recipe's.
        seeds: Of training; each is a run.
        detectors: Names, or ``all``.
        options: Fields of ``Recipe`` and ``Watch`` as text.
        workers: Processes, each with a run of its own at a time.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        threads: Of torch in each process; part of what decides the last bits.
        checkpoint_every: Epochs between two checkpoints.
        loader_workers: Processes of each run that read ahead inputs that do not lie in memory; no bit depends on them.
        out: Folder of runs.
        progress: Called after each epoch of each run.

    Returns:
        The folders of the runs, variant by variant.

    Raises:
        BadUsage: Seeds that repeat, two detectors of one name, or a name that does not exist.
        BadData: ``out`` holds runs of the same labels that were made differently, or another process works on one.
        Mismatch: A variant was made from another source.
    """
    plan = plan_run(source, model=model, recipe=recipe, epochs=epochs, options=options, device=device)
    seeds, chosen = check_seeds(seeds), choose_detectors(detectors)
    workers, threads = whole(workers, "workers", least=1), whole(threads, "threads", least=1)
    checkpoint_every = whole(checkpoint_every, "checkpoint_every", least=1)
    loader_workers = whole(loader_workers, "loader_workers", least=0)
    given = [variants] if isinstance(variants, Variant) else variants
    different = {variant.provenance.variant_id: variant for variant in given}
    for variant in different.values():
        check_source(source, variant)
    check_runs(plan, source, runs=len(different) * len(seeds), workers=workers)
    tasks: list[_Task] = []
    for variant in different.values():
        home = Path(out) / variant.name
        keep_variant(variant, home / "variant", source)
        for seed in seeds:
            # Several workers on a machine of several GPUs take one each, in turn.
            gpu = f"cuda:{len(tasks) % torch.cuda.device_count()}" if plan.device == "cuda" else plan.device
            folder = home / plan.folder / f"seed-{seed}"
            tasks.append(_Task(variant, plan, seed, chosen, gpu, threads, checkpoint_every, loader_workers, folder))
    return run_tasks(_evaluate_one, tasks, source, workers=workers, progress=progress)


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
        detectors: Names, or ``all`` that need no pool.

    Raises:
        BadUsage: A name that does not exist, a detector that needs a pool, or two detectors of one name.
    """
    wanted = names("detectors") if detectors == "all" else ((detectors,) if isinstance(detectors, str) else detectors)
    found = {spec: find("detectors", spec) for spec in wanted}
    pooled = [detector.name for detector in found.values() if detector.needs_pool]
    if detectors == "all":
        wanted = [spec for spec in wanted if not found[spec].needs_pool]
    elif pooled:
        msg = f"detector '{pooled[0]}' needs a pool of models; 'noisybench memorize VARIANT --pool detector' scores it"
        raise BadUsage(msg)
    chosen = {found[spec].name: spec for spec in wanted}
    if len(chosen) < len(wanted):
        mend = "rename your own" if len(set(wanted)) == len(wanted) else "name each once"
        msg = f"two of the detectors {', '.join(wanted)} have one name; {mend}"
        raise BadUsage(msg)
    return chosen


def check_runs(plan: Plan, source: Source, *, runs: int, workers: int) -> None:
    """Raise, before anything is said or written, what a model raises that cannot be built, run or sent to a worker."""
    if workers > 1 and runs > 1:
        check_sendable(plan.build, f"model '{plan.model}'")
    check_model(plan.build, source, device=plan.device)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One run: the unit that is distributed. It writes its own folder."""

    variant: Variant
    plan: Plan
    seed: int
    detectors: Mapping[str, str]  # name → what the catalog finds it by
    device: str
    threads: int
    checkpoint_every: int
    loader_workers: int
    folder: Path


def _evaluate_one(task: _Task, source: Source, progress: Progress) -> Path:
    with locked(task.folder):
        record = _record(task, source)
        path = task.folder / "agreement.parquet"
        finished = path.is_file() and (task.folder / "history.parquet").is_file()
        found = _found(task.folder, record)
        # What a stopped call asked for and did not come to, is not found: only what is compared with the truth.
        held = {a.detector for a in read_agreements(path, record["variant_id"])} if finished else set()
        found = {name: spec for name, spec in found.items() if name in held}
        wanted = dict(sorted({**found, **task.detectors}.items()))
        here = _scored_here(task, wanted)
        columns = sorted({column for name in here for column in find("detectors", wanted[name]).needs} | RECORDED)
        epochs = task.plan.recipe.epochs
        due = due_columns(columns, epochs, task.plan.watch.every)
        # A training for a further probe, stopped after its last look, has still to leave its checkpoint.
        ended = wanted == found or epochs_trained(task.folder / "checkpoint.pt") in (None, epochs)
        trained = finished and ended and is_observed(task.folder / "trace", due, until=epochs)
        digests = digests_of(truths_beside(task.folder.parent.parent, task.variant))
        own = any(":" in spec for spec in task.detectors.values())  # a user's own may have been edited
        scored = wanted == found and not own and all(scores_path(task.folder, name).is_file() for name in wanted)
        if trained and scored and read_truths(path) == digests:
            for _ in range(epochs):
                progress()
            return task.folder
        if not finished:
            write_json({**record, "detectors": found}, task.folder / "run.json")
        if not trained:
            _train(task, source, record, columns, progress)
        scores = _score_all(task, wanted)
        write_json({**record, "detectors": wanted}, task.folder / "run.json")
        judge(task.folder, task.variant, scores, seed=task.seed)
    return task.folder


RECORDED = {"correct", "prediction"}
"""Columns of every trace: what was fitted, and what the model says instead."""


def _train(task: _Task, source: Source, record: Mapping[str, Any], columns: Sequence[str], progress: Progress) -> None:
    """Train and observe, from the last checkpoint on; leaves trace, history, checkpoint and timing."""
    plan, folder = task.plan, task.folder
    training = train(
        source,
        task.variant,
        plan.build,
        plan.recipe,
        [_probe(name, plan.watch) for name in columns],
        seed=task.seed,
        device=task.device,
        threads=task.threads,
        observe=plan.watch.observe,
        every=plan.watch.every,
        susceptibility=plan.watch.tracker(),
        folder=folder,
        checkpoint_every=task.checkpoint_every,
        loader_workers=task.loader_workers,
        made_by={key: value for key, value in record.items() if key not in HOW_LABELS_CAME},
        progress=progress,
    )
    timing = {
        **_timing(folder),
        "seconds": sum(training.seconds.values()),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    write_json(timing, folder / "timing.json")


def _score_all(task: _Task, wanted: Mapping[str, str]) -> dict[str, tuple[Scores, Kind]]:
    """Score every detector that is not scored yet; every detector's scores by name, and what it is."""
    trace = read_trace(task.folder / "trace")
    timing = _timing(task.folder)
    costs = timing.setdefault("detectors", {})
    here = _scored_here(task, wanted)
    kinds: dict[str, Kind] = {}
    if len(here) < len(wanted):
        kinds |= {a.detector: a.kind for a in read_agreements(task.folder / "agreement.parquet")}
    scored: dict[str, tuple[Scores, Kind]] = {}
    for name, spec in wanted.items():
        path = scores_path(task.folder, name)
        if name in here:
            detector = find("detectors", spec)
            kinds[name] = "control" if detector.control else "detector"
            # A score follows from its trace and from the version, which is the run's; a user's own detector has none.
            if ":" in spec or name not in costs or not path.is_file():
                began = time.perf_counter()
                found = score(trace, detector)
                seconds = time.perf_counter() - began
                write_scores(found, path)
                costs[name] = _cost(trace, detector.needs, task.plan.watch, timing.get("purposes", {}), seconds)
                write_json(timing, task.folder / "timing.json")
        # What is compared is what was written: the file is the contract.
        scored[name] = read_scores(path), kinds[name]
    return scored


def _timing(folder: Path) -> dict[str, Any]:
    """What a run took so far; empty where the file was lost, since no result depends on it."""
    path = folder / "timing.json"
    record = read_record(path) if path.is_file() else {}
    kinds = {"purposes": Mapping[str, float], "detectors": Mapping[str, Mapping[str, float | int | None]]}
    check_fields(record, {name: kind for name, kind in kinds.items() if name in record}, path)
    return record


def _scored_here(task: _Task, wanted: Mapping[str, str]) -> list[str]:
    """The detectors to be scored in this call. A record may not name code to import: only who calls may."""
    return [name for name, spec in wanted.items() if ":" not in spec or task.detectors.get(name) == spec]


def _cost(
    trace: Trace, needs: Sequence[str], watch: Watch, spent: Mapping[str, float], scoring: float
) -> dict[str, float]:
    """Seconds and extra passes over the training set that a detector adds to plain training."""
    probes = [_probe(name, watch) for name in needs]
    seconds, passes = scoring, 0.0
    for probe in probes:
        if probe.gradient:
            seconds += spent.get(probe.name, 0.0)
            passes += probe.passes * len(trace.column(probe.name).epochs)
    plain = [len(trace.column(probe.name).epochs) for probe in probes if not probe.gradient]
    if plain and watch.observe == "after":  # one pass an epoch serves every probe of the logits
        seconds += spent.get("logits", 0.0)
        passes += max(plain)
    return {"seconds": seconds, "passes": passes}


def _probe(name: str, watch: Watch) -> Probe:
    return watch.curvature() if name == "curvature" else find("probes", name)


def _record(task: _Task, source: Source) -> dict[str, Any]:
    """Everything that decides the bytes of a run."""
    plan = task.plan
    around = surroundings(torch.device(task.device), task.threads)
    package = plan.model.partition(":")[0]
    if package in ("torchvision", "timm"):  # whose next version may build another model under the same name
        around["versions"] |= {package: version(package)}
    return {
        "regime": "training",
        "features": "input",
        **about_labels(task.variant),
        "test_sha256": digest_of_test_set(source),
        "model": plan.model,
        "recipe": plan.recipe_name,
        "setup": plan.setup,
        "trained": plan.trained,
        **asdict(plan.recipe),
        **asdict(plan.watch),
        "seed": task.seed,
        **around,
    }


def _found(folder: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """The detectors that a run already has, by name; none where there is no run yet.

    Raises:
        BadData: The folder holds a run, finished or not, that was made differently.
    """
    path = folder / "run.json"
    if not path.is_file():
        if any((folder / name).exists() for name in ("agreement.parquet", "checkpoint.pt", "trace")):
            msg = f"{folder} has lost its run.json, which says how the run was made; delete that folder to run it again"
            raise BadData(msg)
        return {}
    found = read_record(path)
    check_fields(found, {"detectors": Mapping[str, str]}, path)
    differs = [key for key in record if key not in HOW_LABELS_CAME and found.get(key) != record[key]]
    if differs:
        key = differs[0]
        msg = (
            f"{folder} holds a run with {key} = {found.get(key)}, now it is {record[key]}; "
            f"give another --out, or delete that folder to run it again"
        )
        raise BadData(msg)
    return dict(found["detectors"])
