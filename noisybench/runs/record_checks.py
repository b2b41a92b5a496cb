"""Checks of a run's record: each of its fields against the variant, the folder, the checkpoint and what follows from the others."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.detection.scoring import RESERVED, Detector
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import file_name, read_columns
from noisybench.ground.lookup import find, is_ours, names
from noisybench.runs.detector_codes import faults_of_codes, faults_of_information
from noisybench.runs.objective_checks import OBJECTIVE, faults_of_objective, is_known_objective, objective_of
from noisybench.runs.record import (
    BY_SEED,
    DEFAULTS,
    HOW_LABELS_CAME,
    OF_RULES,
    WHAT_CAME_OUT,
    RunRecord,
    about_labels,
)
from noisybench.training.recipe import LATER_OPTIONS, RECIPE_OF_0_1_0, Recipe
from noisybench.variants.variant import Variant

RECIPE = tuple(name for name in RECIPE_OF_0_1_0 if name != "epochs")
WATCH = (
    "curvature_every", "curvature_draws", "curvature_step", "curvature_power", "susceptibility",
    "susceptibility_samples", "susceptibility_lr",
)  # fmt: skip
READINGS = ("susceptibility_also", "susceptibility_source", "test_every")
OF_REGIME: Mapping[str, tuple[str, ...]] = {
    "training": (*RECIPE, *WATCH, "device", "threads"),
    "pool": (*RECIPE, "fractions", "balanced", "models", "neighbours"),
    "given": ("form", "file_sha256", "lower_is_suspicious"),
    "features": ("features_sha256", "folds", "neighbours", "penalties", "groups"),
    **dict.fromkeys(("second_split", "threshold", *OF_RULES), (*RECIPE, "device", "threads")),
    "answers": ("answers_sha256", "answers", "annotators", "without_given", "smoothing"),
}
"""Regime → optional fields that each of its records has; it has none of those of another regime."""
AT_WILL: Mapping[str, tuple[str, ...]] = {
    "training": ("corrections", "ranks", *LATER_OPTIONS, *READINGS, *OBJECTIVE),
    "pool": ("corrections", "threads", *LATER_OPTIONS, *OBJECTIVE),
    "given": ("corrections", "file", "column"),
    "features": ("corrections", "threads", "pretrained", "grouped_by", "groups_sha256", "neighbour_index"),
    **dict.fromkeys(("second_split", "threshold", *OF_RULES), ("corrections", *LATER_OPTIONS, *OBJECTIVE)),
    "answers": ("corrections", "threads", "pretrained", "features_sha256", "folds", "groups", "given_from"),
}
"""Regime → optional fields that some of its records have: corrections, threads or ranks other than one, what a file was called, and
of a recipe what is not at its default."""
MOST_FRACTIONS = 50


def again(record: RunRecord) -> str:
    """What to do about a run that is not what it says: the end of a message."""
    return f"delete that folder and {'evaluate' if record.regime in BY_SEED else 'run its command'} again"


def check_about_labels(path: Path, record: RunRecord, variant: Variant) -> None:
    """Raise ``Mismatch`` unless every field of a record that is about labels is what the variant beside the run gives."""
    compare_about_labels(path, record, told_of_labels(variant))


def told_of_labels(variant: Variant) -> dict[str, tuple[object, str]]:
    """Field of a record → what it must be for a run of these labels, and the same as JSON, by which it is compared."""
    return {name: (given, _as_json(given)) for name, given in about_labels(variant).items()}


def compare_about_labels(path: Path, record: RunRecord, wanted: Mapping[str, tuple[object, str]]) -> None:
    """The same for many runs of one variant, given what ``told_of_labels`` says of it."""
    for name, (given, as_json) in wanted.items():
        told = getattr(record, name)
        if _as_json(told) != as_json:
            msg = (
                f"{path / 'run.json'} says {name} = {str(told)[:60]}, the variant beside the runs has {str(given)[:60]}; "
                f"{again(record)}"
            )
            raise Mismatch(msg)


def _as_json(value: object) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, sort_keys=True)


def check_record(path: Path, record: RunRecord) -> None:
    """Raise ``BadData`` unless a record fits its regime, its folder and itself: digests, names and kinds are made again."""
    check_seed(path, record)
    check_detectors(path, record)
    _refuse(path, record, faults_of_codes(path, record))
    _refuse(path, record, faults_of_information(path, record))
    _refuse(path, record, _faults_of_fields(record))
    _refuse(path, record, faults_of_objective(record))
    faults = {
        "training": _faults_of_training,
        "pool": _faults_of_pool,
        "given": _faults_of_given,
        "features": _faults_of_features,
        **dict.fromkeys(("second_split", "threshold", *OF_RULES), _faults_of_several),
        "answers": _faults_of_answers,
    }[record.regime]
    _refuse(path, record, faults(path, record))


def check_detectors(path: Path, record: RunRecord) -> None:
    """Raise ``BadData`` unless every detector of a record is what its name says, and of the kind that its code says."""
    _refuse(path, record, _faults_of_detectors(record))


def check_seed(path: Path, record: RunRecord) -> None:
    """Raise ``Mismatch`` unless a run's folder is called as its seed."""
    if path.name != f"seed-{record.seed}":
        msg = f"{path} holds the run of seed {record.seed}; it was renamed, or is a copy: delete it"
        raise Mismatch(msg)


def _refuse(path: Path, record: RunRecord, faults: Iterator[str]) -> None:
    """Raise ``BadData`` for the first of the faults of a record, where it has one."""
    for fault in faults:
        msg = f"{path / 'run.json'} {fault}; {again(record)}"
        raise BadData(msg)


def _faults_of_fields(record: RunRecord) -> Iterator[str]:
    """Fields that a record lacks, or has of another regime."""
    ours = OF_REGIME[record.regime]
    for name in ours:
        if getattr(record, name) is None:
            yield f"lacks '{name}', which every record of regime '{record.regime}' has"
    others = set().union(*OF_REGIME.values(), *AT_WILL.values())
    for name in sorted(others - {*ours, *AT_WILL[record.regime]}):
        if getattr(record, name) is not None:
            yield f"has '{name}', and regime '{record.regime}' has none"
    for name, default in DEFAULTS.items():
        if getattr(record, name) is not None and _as_json(getattr(record, name)) == _as_json(default):
            yield f"says {name} = {default}, which stands in no record, being the default"


def _faults_of_detectors(record: RunRecord) -> Iterator[str]:
    """Detectors that are not what they are called, or of another kind."""
    old = (record.versions or {}).get("noisybench", "0.1.0") == "0.1.0"
    if record.controls is None and record.detectors and not old:
        yield "does not say which of its detectors are controls"
    controls = set(record.controls or ())
    for name in sorted(controls - set(record.detectors)):
        yield f"calls '{name}' a control, which is none of its detectors"
    given = record.regime == "given" and record.form == "scores"
    for name, spec in record.detectors.items():
        if name in RESERVED or name.startswith("memorization by "):
            yield f"has a detector '{name}', as references are called"
        found = None if given else _one_of_ours(spec)
        if found is not None:
            if found.name != name:
                yield f"says that '{name}' is the detector '{spec}'"
            if record.controls is not None and found.control != (name in controls):
                yield f"says that '{name}' is a {'control' if name in controls else 'detector'}, which it is not"
        elif _one_of_ours(name) is not None or (given and name in names("detectors")):
            yield f"says that '{name}', the name of one of noisybench's detectors, is '{spec[:60]}'"


@cache  # a table asks for every detector of every run
def _one_of_ours(name: str) -> Detector | None:
    """The detector of noisybench's of that name; None where it has none."""
    return find("detectors", name) if is_ours("detectors", name) else None


def _faults_of_training(path: Path, record: RunRecord) -> Iterator[str]:
    """Setup and training must have the digests of model, recipe and options, and the folder is named by them."""
    from noisybench.training.plan import RECIPES, Plan, Watch  # brings torch

    if record.recipe not in RECIPES or record.features != "input" or record.observe not in ("after", "during"):
        yield (
            f"says recipe '{record.recipe[:40]}' on '{record.features[:40]}', observed '{record.observe[:40]}', which is "
            f"no training of noisybench"
        )
    elif code_is_known(record.model) and is_known_objective(record):
        name: Any = record.recipe
        try:
            plan = Plan(record.model, _nothing, name, recipe_of(record), _of(Watch, record), None, objective_of(record))
        except BadUsage as error:
            yield f"says what cannot be: {error}"
            return
        for name in ("setup", "trained"):
            told, made = getattr(record, name), getattr(plan, name)
            if told != made:
                yield f"says {name} = {told[:12]}, its model, recipe and options give {made[:12]}"
    yield from _faults_of_place(path, f"{file_name(record.model)}-{record.recipe}-{record.setup[:8]}")


def code_is_known(model: str) -> bool:
    """Whether the digest of a setup follows from its record: a model of the user's own is in it by its code."""
    return is_ours("models", model.partition("(")[0]) or model.partition(":")[0] in ("torchvision", "timm")


def recipe_of(record: RunRecord) -> Recipe:
    """The recipe that a record describes.

    Raises:
        BadUsage: A number that cannot be meant.
    """
    recipe: Recipe = _of(Recipe, record)
    return recipe


def _of(kind: Any, record: RunRecord) -> Any:  # noqa: ANN401 - Recipe or Watch
    told = {field.name: getattr(record, field.name, None) for field in fields(kind)}
    return kind(**{name: value for name, value in told.items() if value is not None})


def _nothing(*, num_classes: int, input_shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - it builds nothing
    raise NotImplementedError


def _faults_of_place(path: Path, name: str) -> Iterator[str]:
    if path.parent.name != name:
        yield f"belongs into a folder called {name[:120]}, where it was made"


def _faults_of_pool(path: Path, record: RunRecord) -> Iterator[str]:
    """The numbers of a pool must be possible; that they are those of its models, the blocks say."""
    shares = list(record.fractions or ())
    if not 1 <= len(shares) <= MOST_FRACTIONS or shares != sorted(set(shares)) or not 0 < shares[0] <= shares[-1] < 1:
        yield f"says {len(shares)} fractions, expected up to {MOST_FRACTIONS} different shares in order"
    elif not all((path / f"fraction-{share:g}").is_dir() for share in shares):
        yield "says fractions whose models are not there"
    if (record.models or 0) < 2 or record.observe != "held out":  # noqa: PLR2004 - one is left out of none
        yield f"says {record.models} models, observed '{record.observe[:40]}', which is no pool of noisybench"


def _faults_of_given(path: Path, record: RunRecord) -> Iterator[str]:
    """What was given must have the fixed fields of such a run, and the digest of its name and form."""
    from noisybench.runs.given_run import CONFIDENT, setup_of_given

    dynamics = record.form == "dynamics"
    fixed: dict[str, object] = {"recipe": "given", "trained": "", "observe": "given", "features": "given", "seed": 0}
    fixed |= {} if dynamics else {"epochs": 0}
    for name, value in fixed.items():
        if getattr(record, name) != value:
            yield f"says {name} = {str(getattr(record, name))[:40]}, expected {value!r} of a run of given scores"
    if record.form not in ("scores", "pred_probs", "dynamics"):
        yield f"says form = '{str(record.form)[:40]}', expected scores, pred_probs or dynamics"
        return
    ours = names("detectors") if dynamics else CONFIDENT
    expected = {record.model: record.model} if record.form == "scores" else {name: name for name in ours}
    if any(expected.get(name) != spec for name, spec in record.detectors.items()):
        yield f"says detectors that {record.form} named '{record.model[:40]}' do not give"
    if record.controls and not dynamics:
        yield "calls given scores a control"
    if record.setup != setup_of_given(record.model, record.form):
        yield "says a setup that its name and form do not give"
    yield from _faults_of_place(path, f"given-{file_name(record.model)}-{record.setup[:8]}")


def _faults_of_features(path: Path, record: RunRecord) -> Iterator[str]:
    """A run from frozen features must have the fixed fields of such a run, numbers that can be, and the digest of them."""
    from noisybench.runs.features_run import folder_of_features, setup_of_features

    fixed = {"model": "frozen", "recipe": "features", "trained": "", "observe": "held out", "epochs": 0}
    for name, value in fixed.items():
        if getattr(record, name) != value:
            yield f"says {name} = {str(getattr(record, name))[:40]}, expected {value!r} of a run from frozen features"
    folds, neighbours, penalties = record.folds or 0, record.neighbours or 0, record.penalties or ()
    strong = penalties and all(0 < penalty < math.inf for penalty in penalties)
    if folds <= 1 or neighbours < 1 or not strong:  # of fewer samples than folds each is one
        yield f"says {folds} folds, {neighbours} neighbours and penalties {str(penalties)[:40]}, which cannot be"
    if not 1 < (record.groups or 0) <= record.n:
        yield f"says {record.groups} groups of {record.n} samples"
    if (record.grouped_by is None) != (record.groups_sha256 is None):
        yield "says what groups are called without their digest, or the other way round"
    groups = {"grouped_by": record.grouped_by, "groups_sha256": record.groups_sha256}
    if record.setup != setup_of_features(
        record.features, folds, neighbours, penalties, **groups, index=record.neighbour_index
    ):
        yield "says a setup that its features, folds, neighbours, penalties, groups and index do not give"
    yield from _faults_of_place(path, folder_of_features(record.features, record.setup))


def _faults_of_several(path: Path, record: RunRecord) -> Iterator[str]:
    """A run of several trainings must have the digests of its model, recipe and regime, and the folder is named by them."""
    from noisybench.runs.schemes import SCHEMES
    from noisybench.training.plan import RECIPES, Plan, Watch  # brings torch

    scheme = next(one for one in SCHEMES.values() if one.regime == record.regime)
    if record.recipe not in RECIPES or record.features != "input" or record.observe != scheme.words:
        yield (
            f"says recipe '{record.recipe[:40]}' on '{record.features[:40]}', observed '{record.observe[:40]}', which is no "
            f"run of {scheme.words}"
        )
        return
    if code_is_known(record.model) and is_known_objective(record):
        name: Any = record.recipe
        try:
            made = Plan(record.model, _nothing, name, recipe_of(record), Watch(), None, objective_of(record)).trained
        except BadUsage as error:
            yield f"says what cannot be: {error}"
            return
        if record.trained != made:
            yield f"says trained = {record.trained[:12]}, its model, recipe and options give {made[:12]}"
    if record.setup != scheme.setup(record.trained):
        yield "says a setup that its regime and training do not give"
    yield from _faults_of_place(path, scheme.folder(record.model, record.recipe, record.trained))


def _faults_of_answers(path: Path, record: RunRecord) -> Iterator[str]:
    """A run of answers must have the fixed fields of such a run, numbers that can be, and the digest of what decides it."""
    from noisybench.runs.answers_columns import setup_of_answers

    fixed: dict[str, object] = {"recipe": "answers", "trained": "", "epochs": 0}
    fixed |= {"observe": "without the given" if record.without_given else "with the given"}
    for name, value in fixed.items():
        if getattr(record, name) != value:
            yield f"says {name} = {str(getattr(record, name))[:40]}, expected {value!r} of a run of answers"
    if record.model not in ("answers", "answer columns"):
        yield f"says model = {record.model[:40]}, expected answers or answer columns"
    smoothing, folds = record.smoothing or 0.0, record.folds
    if not 0 <= smoothing < math.inf or not 0 < (record.annotators or 0) <= (record.answers or 0):
        yield f"says {record.answers} answers of {record.annotators} annotators, smoothed by {smoothing}, which cannot be"
    with_classifier = (record.features_sha256, folds, record.groups)
    if any(each is None for each in with_classifier) != all(each is None for each in with_classifier):
        yield "says features, folds or groups of CROWDLAB's classifier without the others"
    if folds is None and (record.features != "given" or record.pretrained is not None):
        yield f"says features '{record.features[:40]}', and no folds of a classifier that saw them"
    if folds is not None and (folds <= 1 or not 1 < (record.groups or 0) <= record.n):
        yield f"says {folds} folds and {record.groups} groups of {record.n} samples, which cannot be"
    if record.setup != setup_of_answers(
        record.features,
        folds,
        who=record.model,
        without_given=bool(record.without_given),
        smoothing=smoothing,
    ):
        yield "says a setup that its features, folds, answers and smoothing do not give"
    yield from _faults_of_place(path, f"answers-{record.setup[:8]}")


def check_checkpoint(path: Path, record: RunRecord) -> Iterator[str]:
    """Compare a record and a history with what the checkpoint of the training says; a sentence where it cannot be read.

    Raises:
        BadData: A field, or a value of the history, is another.
    """
    from noisybench.training.checkpoint import CHECKPOINT, read_checkpoint  # brings torch

    file = path / CHECKPOINT
    if not file.is_file():
        return
    try:
        checkpoint = read_checkpoint(file)
    except BadData as error:
        yield f"{path}: record and history were not compared with the checkpoint: {error}"
        return
    passed = {*HOW_LABELS_CAME, *WHAT_CAME_OUT, "layers"}
    made_by = {name: value for name, value in checkpoint.made_by.items() if name not in passed}
    told = {name: value for name, value in record.as_json().items() if name not in passed}
    for name in sorted({*made_by, *told}):
        if _as_json(made_by.get(name)) != _as_json(told.get(name)):
            msg = (
                f"{path / 'run.json'} says {name} = {str(told.get(name))[:60]}, the checkpoint is of a training with "
                f"{str(made_by.get(name))[:60]}; {again(record)}"
            )
            raise Mismatch(msg)
    history = read_columns(path / "history.parquet")[0]
    for name in sorted({*history, *checkpoint.history}):
        kept = np.array(checkpoint.history.get(name, []), dtype=np.float64)
        there = history.get(name, np.zeros(0))[: checkpoint.epoch]
        if not np.array_equal(there, kept, equal_nan=True):
            msg = f"{path / 'history.parquet'}: '{name}' is not what the checkpoint holds of it; {again(record)}"
            raise BadData(msg)
