"""A run from the answers of several people: what they say of each sample together, without training a network.

Shares of votes, Dawid and Skene's model and GLAD need the answers alone; CROWDLAB also asks logistic regression on frozen
features, which did not see the sample, and so is a run of its own: whatever features there are, the others stay the same.
Both leave columns, as every regime does.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.data.crowd.answers import Answers, majority
from noisybench.data.extraction import Default, Extraction, choose_features, default_features, features_of
from noisybench.data.pretraining import UNSAID
from noisybench.data.source import Source
from noisybench.detection.scoring import Detector, Kind
from noisybench.ground.arrays import Features, Floats32, as_array
from noisybench.ground.checks import a_path, check_kind, whole
from noisybench.ground.durability import synced_together
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import write_json
from noisybench.ground.locks import locked
from noisybench.ground.lookup import find
from noisybench.ground.version import __version__
from noisybench.runs.answers_columns import (
    PARTS,
    LookedAt,
    answers_columns,
    digest_of_answers,
    looked_at,
    setup_of_answers,
)
from noisybench.runs.column_scoring import score_added, score_columns
from noisybench.runs.features_columns import FOLDS
from noisybench.runs.features_run import pretrained_of
from noisybench.runs.folder import begin, digests_of, finish, keep_variant, log
from noisybench.runs.kept_rows import groups_of_kept, kept_rows, with_dropped
from noisybench.runs.mending import mend, recognise
from noisybench.runs.record import Pretrained, RunRecord, about_labels
from noisybench.statistics.annotators import SMOOTHING
from noisybench.statistics.linear_probe import held_out_probabilities
from noisybench.training.machine import Machine, limited_threads
from noisybench.training.timing import TIMING
from noisybench.training.trace import Observation, write_observation
from noisybench.variants.variant import Variant, check_source, check_variant

NO_CLASSIFIER = "none"
"""The word, in place of a name of features, that leaves CROWDLAB out."""


class _Seen(NamedTuple):
    """Features of the classifier of CROWDLAB: how they are called, they themselves, and what they had been trained on."""

    word: str
    values: Features
    pretrained: Pretrained | None
    sha256: str


def score_by_answers(
    source: Source | None,
    variant: Variant,
    out: str | Path = "runs",
    *,
    features: str | Extraction | NDArray[Any] | None = None,
    options: Mapping[str, str] | None = None,
    without_given: bool = False,
    seed: int = 0,
    machine: Machine | str = "auto",
    tell: Callable[[str], None] = log.info,
) -> list[Path]:
    """Folders of runs that score labels by what several people answered; no truth is used.

    The first is of the answers alone: shares of votes, Dawid and Skene, GLAD. The second is CROWDLAB's, which asks a
    classifier too. The columns of CIFAR-N are no people: their shares of votes are scored, and no model of an annotator.
    What is left out is said in a line. Nothing finished is done twice.

    Args:
        source: The inputs, for CROWDLAB; None leaves that out.
        variant: Labels of the source, with the answers.
        out: Folder of runs.
        features: Of CROWDLAB's classifier, see ``score_features``; None takes the best that are installed, and ``none``
            leaves CROWDLAB out.
        options: Of the features, as text.
        without_given: Whether an answer that is the given label is left out of each sample: where labels were made of the
            answers, these agree with them in part because they made them.
        seed: Of the folds, and of the draw among equal answers.
        machine: How features are computed, and by how many threads; or the name of a device.
        tell: Called with a sentence for what is chosen or left out; by default it is logged.

    Raises:
        BadUsage: The variant has no answers, or its labels follow from all of them and the truth; features that do not
            suit the source.
        BadData: The folder holds runs of the same labels with other answers.
        Mismatch: The variant is of another source.
    """
    check_variant(variant)
    if source is not None:
        check_source(source, variant)
    machine = Machine(device=machine) if isinstance(machine, str) else machine
    check_kind(machine, Machine, "machine", "Machine(device='cpu', threads=2) is one, and so is the name of a device")
    seed, out = whole(seed, "seed", least=0), a_path(out, "out")
    asked = looked_at(variant, without_given=without_given, seed=seed)
    began = time.perf_counter()
    if without_given:
        tell(f"{asked.removed} of {len(variant.labels)} samples lose an answer, which is their given label")
    default, why = _choice(source, asked, features)
    if why is not None:
        tell(f"crowdlab left out: {why}")
    elif default is not None:
        tell(default.sentence)
        features = default.name
    seen = None
    if why is None and source is not None and features is not None:
        seen = _features(source, features, options, machine, out / "features")
    apart = time.perf_counter() - began
    home = out / variant.name
    there = keep_variant(variant, home / "variant", None if source is None else source.sample_names)
    if variant.answers is None or there.answers is None or _differ(there.answers, variant.answers):
        msg = f"{home} holds runs of the same labels with other answers, or with none; give another --out"
        raise BadData(msg)
    folders = []
    for part in [None] if seen is None else [None, seen]:
        record = _record(there, asked, part, seed, machine, without_given=without_given)
        folder = home / f"answers-{record.setup[:8]}" / f"seed-{seed}"
        folders.append(folder)
        with locked(folder):
            found = recognise(folder, record, ignore=("groups", "features_sha256"))
            if found is not None and found.features_sha256 == record.features_sha256:
                mend(folder, found)
                if _is_whole(folder, found):
                    score_added(folder, found, there)
                    continue
            with limited_threads(machine.threads):
                _write_run(folder, record, there, asked, part, apart=apart)
    return folders


def _differ(one: Answers, other: Answers) -> bool:
    return digest_of_answers(one) != digest_of_answers(other)


def _choice(source: Source | None, asked: LookedAt, features: object) -> tuple[Default | None, str | None]:
    """The features of CROWDLAB's classifier where nobody named any, and why there is none, where it is left out."""
    why = None
    if asked.who != "answers":
        why = "the answers stand in columns that are no people; they are scored by shares of votes alone"
    elif isinstance(features, str) and features == NO_CLASSIFIER:
        why = "as was asked"
    elif source is None or source.inputs is None:
        name = "no source was given" if source is None else f"source '{source.name}' has labels alone"
        why = f"its classifier needs inputs, and {name}"
    elif np.bincount(asked.answers.sample, minlength=1).max() < 2:  # noqa: PLR2004 - two can agree
        why = "no sample has answers of two people, so that nobody knows how far they agree"
    elif features is None:
        return default_features(source), None
    return None, why


def _features(
    source: Source,
    features: str | Extraction | NDArray[Any],
    options: Mapping[str, str] | None,
    machine: Machine,
    cache: Path,
) -> _Seen:
    """The features of CROWDLAB's classifier, computed."""
    if not isinstance(features, str | Extraction):
        n, values = len(source.labels), as_array(features, what="features")
        if values.ndim != 2 or len(values) != n or not values.shape[1] or values.dtype.kind not in "iuf":  # noqa: PLR2004
            msg = f"features must be numbers of shape (n, d) with n = {n}, got {values.dtype} of shape {values.shape}"
            raise BadData(msg)
        given: Features = np.ascontiguousarray(values, dtype=np.float32)
        digest = _digest(given)
        return _Seen(f"given({digest[:8]})", given, Pretrained(UNSAID, None, "unknown"), digest)
    if isinstance(features, str) and features != "input":
        features = choose_features(features, options)
    elif options:
        msg = f"features '{features}' have no options; leave options out, or name other features"
        raise BadUsage(msg)
    with limited_threads(machine.threads):
        found = features_of(source, features, device=machine.device, cache=cache)
    if isinstance(features, str):
        return _Seen("input", found, None, _digest(found))
    return _Seen(features.word, found, pretrained_of(features, source), _digest(found))


def _digest(values: Features) -> str:
    shape = np.array(values.shape, dtype="<i8")
    return hashlib.sha256(shape.tobytes() + np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()


def _record(
    variant: Variant, asked: LookedAt, seen: _Seen | None, seed: int, machine: Machine, *, without_given: bool
) -> RunRecord:
    """Everything that decides a run, but for the groups of near duplicates."""
    word, folds = ("given", None) if seen is None else (seen.word, FOLDS)
    setup = setup_of_answers(word, folds, who=asked.who, without_given=without_given, smoothing=SMOOTHING)
    return RunRecord(
        regime="answers",
        **about_labels(variant),
        model=asked.who,
        recipe="answers",
        setup=setup,
        trained="",
        epochs=0,
        observe="without the given" if without_given else "with the given",
        features=word,
        features_sha256=None if seen is None else seen.sha256,
        pretrained=None if seen is None else seen.pretrained,
        folds=folds,
        answers_sha256=digest_of_answers(asked.answers),
        answers=len(asked.answers),
        annotators=len(np.unique(asked.answers.annotator)),
        without_given=without_given,
        given_from=asked.given_from,
        smoothing=SMOOTHING,
        seed=seed,
        threads=machine.threads if machine.threads > 1 else None,
        versions={
            "noisybench": __version__,
            "numpy": np.__version__,
            **{name: version(name) for name in ("scipy", "scikit-learn")},
        },
        detectors={},
    )


def _is_whole(folder: Path, found: RunRecord) -> bool:
    """Whether a run is finished, and all its files are those that it left."""
    return (
        bool(found.detectors)
        and (folder / TIMING).is_file()
        and found.files_sha256 == digests_of(folder, found.detectors)
    )


def _write_run(
    folder: Path, record: RunRecord, variant: Variant, asked: LookedAt, seen: _Seen | None, *, apart: float
) -> None:
    """Write a run in place of what is there: its columns, scores and suggestions."""
    began = time.perf_counter()
    classifier = None
    if seen is not None:
        groups = groups_of_kept(seen.values, variant, None)
        record = replace(record, groups=int(groups.max()) + 1)
        classifier = _classifier(seen.values, variant, asked, groups, record.seed)
    learnt = time.perf_counter() - began + apart
    for part in ("scores", "suggestions", "trace"):
        shutil.rmtree(folder / part, ignore_errors=True)
    (folder / TIMING).unlink(missing_ok=True)
    begin(folder, record)
    seconds: dict[str, float] = {}
    columns = answers_columns(variant, asked, classifier, seconds=seconds)
    with synced_together():
        write_observation(Observation(0, columns), folder / "trace", variant_id=record.variant_id)
        kinds = score_columns(folder, variant)
    if "crowdlab" in seconds:
        seconds["crowdlab"] += learnt
    _write_timing(folder, seconds, kinds)
    finish(folder, record, {name: name for name in sorted(kinds)}, kinds)


def _classifier(
    features: Features, variant: Variant, asked: LookedAt, groups: NDArray[np.int64], seed: int
) -> Floats32:
    """Probabilities by logistic regression in folds that learnt the majority of the answers, shape (n, k).

    Where nobody answered, the given label is learnt; of whom a person dropped, nothing is, and every class is alike.
    """
    kept, k = kept_rows(variant), variant.num_classes
    labels = majority(asked.answers, len(variant.labels))[0]
    labels = np.where(labels < 0, variant.labels, labels)[kept]
    found = held_out_probabilities(features[kept], labels, k, groups=groups[kept], folds=FOLDS, seed=seed)
    whole_column: Floats32 = with_dropped(found.probabilities, variant, 1 / k).astype(np.float32)
    return whole_column


def _write_timing(folder: Path, seconds: Mapping[str, float], kinds: Mapping[str, Kind]) -> None:
    """What the run and each detector took."""
    costs: dict[str, dict[str, float]] = {}
    for name in kinds:
        detector: Detector = find("detectors", name)
        parts = [PARTS[need] for need in detector.needs if need in PARTS]
        costs[name] = {"seconds": sum(seconds[part] for part in parts), "passes": 0.0}
    write_json({"seconds": sum(seconds.values()), "detectors": costs}, folder / TIMING, sync=False)
