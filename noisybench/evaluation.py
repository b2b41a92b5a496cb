"""The standard protocol: a variant, a model and a recipe → a run folder with trace, history, scores and agreement."""

import hashlib
import inspect
import json
import platform
import resource
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import noisybench
from noisybench.agreement import Agreement, against_labels, reference_scores, write_agreements
from noisybench.catalog import find, names
from noisybench.engines import Progress, run_tasks
from noisybench.errors import BadData, BadUsage, UnknownName
from noisybench.observing import Probe
from noisybench.options import file_digest, parse_options, unknown
from noisybench.probes.curvature import Curvature
from noisybench.scoring import read_scores, score, write_scores
from noisybench.source import IMAGE_DIMENSIONS, Source, source_digest
from noisybench.susceptibility import Susceptibility
from noisybench.tables import file_name, read_record, write_columns, write_json
from noisybench.trace import Trace, read_trace
from noisybench.training import BuildModel, Observe, Recipe, check_source, train
from noisybench.variant import Variant, read_variant, write_variant

RecipeName = Literal["standard", "overfit"]
RECIPES: tuple[RecipeName, ...] = ("standard", "overfit")
SMALL = 5_000
"""Sets up to this size get smaller batches and more epochs: else there are too few steps to fit anything."""
SMALL_SIDE = 16
"""Images below this side, such as digits, leave a convolutional network nothing to pool."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run is looked at. Nothing here changes the training.

    Attributes:
        observe: After each epoch, un-augmented and in eval mode; or during training, from the batches' own logits.
        curvature_every: Epochs between two curvature passes; the last epoch is always observed.
        curvature_draws: Random directions a pass (n).
        curvature_step: Length of a step in each input dimension, in normalised units (h).
        curvature_power: 1 averages norms, as the authors' code does; 2 averages squared norms, as their formula says.
        susceptibility: ``fixed``, ``authors`` or ``off``.
        susceptibility_samples: Randomly labelled inputs of ``fixed``.
        susceptibility_lr: Rate of the one step of ``fixed``.
    """

    observe: Observe = "after"
    curvature_every: int = 5
    curvature_draws: int = 10
    curvature_step: float = 1e-3
    curvature_power: int = 1
    susceptibility: Literal["fixed", "authors", "off"] = "fixed"
    susceptibility_samples: int = 512
    susceptibility_lr: float = 0.01

    def __post_init__(self) -> None:
        if self.curvature_every < 1:
            msg = f"curvature_every must be at least 1 epoch, got {self.curvature_every}"
            raise BadUsage(msg)
        self.curvature()
        self.tracker()

    def curvature(self) -> Curvature:
        """The curvature probe."""
        return Curvature(draws=self.curvature_draws, step=self.curvature_step, power=self.curvature_power)

    def tracker(self) -> Susceptibility | None:
        """How to track susceptibility; None where it is off."""
        if self.susceptibility == "off":
            return None
        return Susceptibility(self.susceptibility, self.susceptibility_samples, self.susceptibility_lr)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides a run but the labels and the seed.

    Attributes:
        model: Name of the model.
        build: Builds it.
        recipe_name: The recipe that ``recipe`` started from.
        recipe: How to train.
        watch: How to look.
        device: Of torch.
        code: Digest of the file that a model of the user's own stands in: an edited model is another one.
    """

    model: str
    build: BuildModel
    recipe_name: RecipeName
    recipe: Recipe
    watch: Watch
    device: str
    code: str | None

    @property
    def setup(self) -> str:
        """Digest of model, recipe and options: runs that differ in anything but labels and seed differ in it."""
        what = {"model": self.model, "code": self.code, "name": self.recipe_name}
        what |= {**asdict(self.recipe), **asdict(self.watch)}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> str:
        """Name of its folder, safe on every file system."""
        return f"{file_name(self.model)}-{self.recipe_name}-{self.setup[:8]}"


def plan_run(
    source: Source,
    *,
    model: str | BuildModel | None = None,
    recipe: str = "standard",
    epochs: int | None = None,
    options: Mapping[str, str] | None = None,
    device: str = "auto",
) -> Plan:
    """Choose what was left open, to suit the source.

    Args:
        source: What will be trained on.
        model: Name, or a function of the caller's; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        recipe: ``standard`` (augmentation where the source allows it, weight decay) or ``overfit`` (neither).
        epochs: None takes the recipe's.
        options: Fields of ``Recipe`` and ``Watch`` as text.
        device: ``auto`` takes a GPU where there is one.

    Raises:
        UnknownName: No such model, recipe or option.
        BadUsage: A value that cannot be meant.
    """
    if recipe not in RECIPES:
        raise UnknownName(unknown(recipe, RECIPES, "recipe"))
    if source.num_classes < 2:  # noqa: PLR2004 - nothing to tell apart
        msg = f"source '{source.name}' has {source.num_classes} class; a classifier needs at least 2"
        raise BadUsage(msg)
    name: RecipeName = "overfit" if recipe == "overfit" else "standard"
    place = _device(device)
    if model is None:
        large = len(source.input_shape) == IMAGE_DIMENSIONS - 1 and min(source.input_shape[1:]) >= SMALL_SIDE
        model = "small_cnn" if large else "mlp"
    build = find("models", model) if isinstance(model, str) else model
    label = model if isinstance(model, str) else _name_of(model)
    given = dict(options or {})
    if epochs is not None:
        if "epochs" in given:
            msg = f"the epochs are given twice: {epochs} and, as an option, {given['epochs']}"
            raise BadUsage(msg)
        given["epochs"] = str(epochs)
    recipe_names, watch_names = ({field.name for field in fields(kind)} for kind in (Recipe, Watch))
    for key in given:
        if key not in recipe_names | watch_names:
            raise UnknownName(unknown(key, tuple(sorted(recipe_names | watch_names)), "option of 'evaluate'"))
    base = _recipe(name, source, place)
    changes = {key: text for key, text in given.items() if key in recipe_names}
    chosen = parse_options(Recipe, changes, what="the recipe")
    return Plan(
        model=label,
        build=build,
        recipe_name=name,
        recipe=replace(base, **{key: getattr(chosen, key) for key in changes}),
        watch=parse_options(Watch, {k: v for k, v in given.items() if k in watch_names}, what="'evaluate'"),
        device=place,
        code=_code_of(build),
    )


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


def _name_of(build: BuildModel) -> str:
    """``module:function`` of a caller's own model.

    Raises:
        BadUsage: It has no name of its own in a module, so that two of them could not be told apart.
    """
    name = getattr(build, "__qualname__", "<object>")
    if "<" in name:
        msg = f"a model of your own must be a function of a module, got {build!r}; define it with def at the top level"
        raise BadUsage(msg)
    return f"{build.__module__}:{name}"


def _code_of(build: BuildModel) -> str | None:
    """SHA-256 of the file of a user's own model; None for one of noisybench, whose version is recorded."""
    if getattr(build, "func", build).__module__.partition(".")[0] == "noisybench":
        return None
    try:
        return file_digest(Path(inspect.getfile(build)))
    except (TypeError, OSError):  # typed into a session: it stands in no file
        return None


def _recipe(name: RecipeName, source: Source, device: str) -> Recipe:
    """A recipe that suits the size of the source."""
    small = len(source.labels) <= SMALL
    precision: Literal["float32", "bfloat16"] = "float32"
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        precision = "bfloat16"
    if name == "overfit":
        return Recipe(
            epochs=60 if small else 30,
            batch_size=32,
            lr=0.1 if small else 0.05,
            weight_decay=0.0,
            precision=precision,
        )
    return Recipe(
        epochs=30 if small else 20,
        batch_size=32 if small else 128,
        augmentation=source.augmentation,
        precision=precision,
    )


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        msg = f"no device is called '{name}'; say auto, cpu, cuda or cuda:1"
        raise BadUsage(msg) from None
    if kind == "cuda" and not torch.cuda.is_available():
        msg = f"device '{name}' is asked for, and torch finds no GPU; say --device cpu"
        raise BadUsage(msg)
    return name
