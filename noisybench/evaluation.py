"""The standard protocol: a variant, a model and a recipe → a run folder with trace, history, scores and agreement."""

import platform
import resource
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import noisybench
from noisybench.agreement import Agreement, against_labels, reference_scores, write_agreements
from noisybench.catalog import find, names
from noisybench.engines import Progress, run_tasks
from noisybench.errors import BadData, BadUsage
from noisybench.observing import Probe
from noisybench.planning import Plan, Watch, plan_run
from noisybench.scoring import read_scores, score, write_scores
from noisybench.source import Source, source_digest
from noisybench.tables import file_name, read_record, write_columns, write_json
from noisybench.trace import Trace, read_trace
from noisybench.training import BuildModel, check_source, train
from noisybench.variant import Variant, read_variant, write_variant


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
    out: str | Path = "runs",
    progress: Progress = lambda: None,
) -> list[Path]:
    """Train on each variant with each seed, score every detector, and compare with the mislabeled mask.

    A finished run is not repeated. Detectors that it lacks are added from its trace; where they need a probe that was
    not recorded, the run is trained again, with the same end, and all its detectors are scored anew.

    Args:
        variants: One or more variants of ``source``.
        source: Their inputs.
        model: See ``plan_run``; also ``recipe``, ``epochs``, ``options`` and ``device``.
        recipe: Name of the recipe.
        epochs: None takes the recipe's.
        seeds: Of training; each is a run.
        detectors: Names, or ``all``.
        options: Fields of ``Recipe`` and ``Watch`` as text.
        workers: Processes, of one thread each.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        out: Folder of runs.
        progress: Called after each epoch of each run.

    Returns:
        The folders of the runs, variant by variant.

    Raises:
        BadUsage: Seeds that repeat, two detectors of one name, or a name that does not exist.
        BadData: ``out`` holds runs of the same labels that were made differently.
        Mismatch: A variant was made from another source.
    """
    plan = plan_run(source, model=model, recipe=recipe, epochs=epochs, options=options, device=device)
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        msg = f"seeds must be different and not negative, got {','.join(map(str, seeds)) or 'none'}"
        raise BadUsage(msg)
    wanted = names("detectors") if detectors == "all" else ((detectors,) if isinstance(detectors, str) else detectors)
    chosen = {find("detectors", spec).name: spec for spec in wanted}
    if len(chosen) < len(wanted):
        msg = f"two of the detectors {', '.join(wanted)} have one name; rename your own"
        raise BadUsage(msg)
    tasks: list[_Task] = []
    given = [variants] if isinstance(variants, Variant) else variants
    for variant in {variant.provenance.variant_id: variant for variant in given}.values():
        check_source(source, variant)
        home = Path(out) / variant.name
        _keep_variant(variant, home / "variant")
        for seed in seeds:
            # Several workers on a machine of several GPUs take one each, in turn.
            gpu = f"cuda:{len(tasks) % torch.cuda.device_count()}" if plan.device == "cuda" else plan.device
            folder = home / plan.folder / f"seed-{seed}"
            tasks.append(_Task(variant, plan, seed, chosen, gpu, folder))
    return run_tasks(_evaluate_one, tasks, source, workers=workers, progress=progress)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One run: the unit that is distributed. It writes its own folder."""

    variant: Variant
    plan: Plan
    seed: int
    detectors: Mapping[str, str]  # name → what the catalog finds it by
    device: str
    folder: Path


def _evaluate_one(task: _Task, source: Source, progress: Progress) -> Path:
    record = _record(task, source)
    done = _finished_detectors(task.folder, record)
    own = any(":" in spec for spec in task.detectors.values())  # a user's own may have been edited
    if done is not None and task.detectors.items() <= done.items() and not own:
        for _ in range(task.plan.recipe.epochs):
            progress()
        return task.folder
    wanted = dict(sorted({**(done or {}), **task.detectors}.items()))
    needs = {column for spec in wanted.values() for column in find("detectors", spec).needs}
    if done is None or not needs <= set(read_trace(task.folder / "trace").columns):
        _train(task, source, record, sorted(needs | {"correct", "prediction"}), progress)
    agreements, costs = _score_all(task, wanted)
    timing = read_record(task.folder / "timing.json")
    write_json({**timing, "detectors": {**timing.get("detectors", {}), **costs}}, task.folder / "timing.json")
    write_json({**record, "detectors": wanted}, task.folder / "run.json")
    # Last, because a folder that has it is a finished run.
    write_agreements(agreements, task.folder / "agreement.parquet", task.variant.provenance.variant_id)
    return task.folder


def _train(task: _Task, source: Source, record: Mapping[str, Any], columns: list[str], progress: Progress) -> None:
    """Train and observe; leaves trace, history and timing."""
    plan, folder = task.plan, task.folder
    shutil.rmtree(folder / "trace", ignore_errors=True)
    (folder / "agreement.parquet").unlink(missing_ok=True)
    write_json({**record, "detectors": {}}, folder / "run.json")
    began = time.perf_counter()
    probes = [_probe(name, plan.watch) for name in columns]
    training = train(
        source,
        task.variant,
        plan.build,
        plan.recipe,
        probes,
        seed=task.seed,
        device=task.device,
        observe=plan.watch.observe,
        every={"curvature": plan.watch.curvature_every},
        susceptibility=plan.watch.tracker(),
        folder=folder / "trace",
        progress=progress,
    )
    write_columns(
        training.history, folder / "history.parquet", metadata={"variant_id": task.variant.provenance.variant_id}
    )
    timing = {
        "seconds": time.perf_counter() - began,
        "purposes": dict(training.seconds),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    write_json(timing, folder / "timing.json")


def _score_all(task: _Task, wanted: Mapping[str, str]) -> tuple[list[Agreement], dict[str, dict[str, float]]]:
    """Score every detector and compare it with the truth; also what each detector cost."""
    trace = read_trace(task.folder / "trace")
    spent = read_record(task.folder / "timing.json")["purposes"]
    agreements: list[Agreement] = []
    costs = {}
    for name, spec in wanted.items():
        detector = find("detectors", spec)
        began = time.perf_counter()
        scores = score(trace, detector)
        costs[name] = _cost(trace, detector.needs, task.plan.watch, spent, time.perf_counter() - began)
        path = task.folder / "scores" / f"{file_name(name)}.parquet"
        write_scores(scores, path)
        read_back = read_scores(path)  # what is compared is what was written: the file is the contract
        kind: Literal["control", "detector"] = "control" if detector.control else "detector"
        agreements += against_labels(read_back, task.variant, kind=kind)
    for scores in reference_scores(task.variant, seed=task.seed):
        agreements += against_labels(scores, task.variant, kind="reference")
    return agreements, costs


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
    plan, provenance = task.plan, task.variant.provenance
    test = None
    if source.test_inputs is not None and source.test_labels is not None:
        test = source_digest(source.test_inputs, source.test_labels)
    return {
        "variant_id": provenance.variant_id,
        "source": provenance.source,
        "source_sha256": provenance.source_sha256,
        "source_options": dict(provenance.source_options),
        "limit": provenance.limit,
        "noise": provenance.noise,
        "params": dict(provenance.params),
        "mode": provenance.mode,
        "noise_seed": provenance.seed,
        "test_sha256": test,
        "n": len(task.variant.labels),
        "known": int(task.variant.known.sum()),
        "classes": task.variant.num_classes,
        "model": plan.model,
        "recipe": plan.recipe_name,
        "setup": plan.setup,
        **asdict(plan.recipe),
        **asdict(plan.watch),
        "seed": task.seed,
        "device": plan.device.partition(":")[0],
        "versions": {"noisybench": noisybench.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "machine": platform.machine(),
    }


def _finished_detectors(folder: Path, record: Mapping[str, Any]) -> dict[str, str] | None:
    """The detectors that a finished run has, by name; None where there is no finished run.

    Raises:
        BadData: The folder holds a run that was made differently.
    """
    if not (folder / "agreement.parquet").is_file():
        return None
    found = read_record(folder / "run.json")
    differs = [key for key in record if key not in HOW_LABELS_CAME and found.get(key) != record[key]]
    if differs:
        key = differs[0]
        msg = (
            f"{folder} holds a run with {key} = {found.get(key)}, now it is {record[key]}; "
            f"give another --out, or delete that folder to run it again"
        )
        raise BadData(msg)
    return dict(found["detectors"])


HOW_LABELS_CAME = ("source_options", "limit", "noise", "params", "mode", "noise_seed")
"""Told in the record; which labels they are, the variant id says."""


def _keep_variant(variant: Variant, folder: Path) -> None:
    """Lay a variant beside its runs, unless it is there.

    Raises:
        BadData: The same labels are there with another truth, which the finished runs were compared with.
    """
    if not (folder / "variant.json").is_file():
        write_variant(variant, folder)
    elif not np.array_equal(read_variant(folder).clean, variant.clean):
        msg = f"{folder.parent} holds runs of the same labels against other clean labels; give another --out"
        raise BadData(msg)
