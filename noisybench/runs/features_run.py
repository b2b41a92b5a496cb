"""A run from frozen features: what simple models that did not see a sample say of it, without training a network.

Logistic regression in folds, exact leave-one-out ridge regression and nearest neighbours answer each sample from the
others, and leave columns as every regime does; what else is computed depends on the detectors that are asked for, see
``features_columns``. Samples of one group, near duplicates above all, never vouch for each other's labels.
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.data.extraction import Extraction, choose_features, default_features, features_of
from noisybench.data.pretraining import UNSAID, classes_overlap
from noisybench.data.source import Source
from noisybench.ground.arrays import Features, Labels, as_array
from noisybench.ground.checks import a_path, as_list, check_kind, whole
from noisybench.ground.durability import synced_together
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import file_name
from noisybench.ground.locks import locked
from noisybench.ground.version import __version__
from noisybench.runs.column_scoring import score_added, score_columns
from noisybench.runs.features_columns import FOLDS, columns_asked, columns_from, write_timing
from noisybench.runs.folder import begin, digests_of, finish, keep_variant, log, train_again
from noisybench.runs.frozen_features import NEIGHBOURS
from noisybench.runs.kept_rows import groups_of_kept
from noisybench.runs.mending import mend, recognise
from noisybench.runs.record import Pretrained, RunRecord, about_labels
from noisybench.statistics.neighbour_index import IndexName, as_index, index_versions
from noisybench.statistics.ridge import PENALTIES
from noisybench.training.machine import Machine, limited_threads
from noisybench.training.timing import TIMING
from noisybench.training.trace import Observation, epochs_observed, read_trace, write_observation
from noisybench.variants.variant import Variant, check_source, check_variant


class Seen(NamedTuple):
    """Features that are chosen, and not yet computed.

    Attributes:
        word: How they are called.
        values: They themselves, where they were given.
        extraction: What computes them; None of the inputs as they are, and of given ones.
        pretrained: What they had been trained on.
    """

    word: str
    values: Features | None
    extraction: Extraction | None
    pretrained: Pretrained | None

    @property
    def of_the_user(self) -> bool:
        """Whether they, or the code that computes them, are the user's: under the same word they may be others next time."""
        own = self.extraction is not None and type(self.extraction.how).__module__.partition(".")[0] != "noisybench"
        return own or self.values is not None


def score_frozen(
    source: Source,
    variant: Variant,
    features: str | Extraction | NDArray[Any] | None = None,
    out: str | Path = "runs",
    *,
    options: Mapping[str, str] | None = None,
    detectors: str | Sequence[str] = "standard",
    groups: Any = None,  # noqa: ANN401 - anything with one entry a sample
    grouped_by: str | None = None,
    index: IndexName | None = None,
    seed: int = 0,
    machine: Machine | str = "auto",
) -> Path:
    """Folder of a run that scores detectors with frozen features; no network is trained, and no truth is used.

    Nothing finished is done twice: features are kept where ``memorize`` keeps them, and so is a run that is there. One that
    lacks columns of a detector that is asked for gets those, and keeps what it has.

    Args:
        source: The inputs.
        variant: Their labels.
        features: A name, see ``choose_features``; ``input`` for the inputs as they are; or an array, shape (n, d). None
            takes the best that are installed, and says which; see ``default_features``.
        out: Folder of runs.
        options: Of the features, as text.
        detectors: Names, and sets: ``fast``, ``standard`` or ``all`` that frozen features feed, see ``DetectorSet``. A run
            scores every detector that its columns feed, whichever were asked for.
        groups: One entry a sample, shape (n,): samples of one group, such as pictures of one patient, are left out
            together. None, NaN and the empty text are groups of their own. Near duplicates are found in any case.
        grouped_by: What the groups are called, such as the column they stand in.
        index: ``hnsw`` finds nearly all of the neighbours of ``knn`` sooner, where samples are many; None compares all pairs.
        seed: Of the folds.
        machine: How features are computed, and by how many threads; or the name of a device. ``auto`` is a GPU where there is
            one.

    Raises:
        UnknownName: No such features, option or detector.
        BadUsage: Features that do not suit the source, options of those that have none, or a detector that they do not feed.
        BadData: Features or groups that are none, or the folder holds a run that was made differently.
        Mismatch: The variant is of another source.
    """
    check_variant(variant)
    check_source(source, variant)
    as_index(index)
    machine = Machine(device=machine) if isinstance(machine, str) else machine
    check_kind(machine, Machine, "machine", "Machine(device='cpu', threads=2) is one, and so is the name of a device")
    seed, out = whole(seed, "seed", least=0), a_path(out, "out")
    n, asked = len(variant.labels), columns_asked(detectors)
    seen = _choose(source, features, options)
    given = None if groups is None else group_numbers(groups, n)
    word = (grouped_by or "groups") if given is not None else None
    members = None if given is None else hashlib.sha256(given.astype("<i8").tobytes()).hexdigest()
    setup = setup_of_features(
        seen.word, FOLDS, NEIGHBOURS, PENALTIES, grouped_by=word, groups_sha256=members, index=index
    )
    home = out / variant.name
    folder = home / folder_of_features(seen.word, setup) / f"seed-{seed}"
    record = replace(
        _record(keep_variant(variant, home / "variant", source.sample_names), seen, setup, seed, index),
        grouped_by=word,
        groups_sha256=members,
        threads=machine.threads if machine.threads > 1 else None,
    )
    with locked(folder):
        early = seen.of_the_user or source.texts is not None
        values, apart = _values(source, seen, machine, out / "features") if early else (None, 0.0)
        later = ["groups", "pretrained"]  # known when the columns are
        if values is None or not seen.of_the_user:
            later.append("features_sha256")
        else:
            record = replace(record, features_sha256=_digest(values))
        found = recognise(folder, record, ignore=later)
        if found is not None and values is not None and found.features_sha256 != _digest(values):
            found = None  # of other texts, which decide features and are no part of the variant's id
        there: set[str] = set()  # columns
        if found is not None:
            mend(folder, found)
            there = set() if found.groups is None else epochs_observed(folder / "trace").get(0, set())
        finished, parts = found is not None and _is_whole(folder, found), None
        if found is None or not asked <= there:
            if values is None:
                values, apart = _values(source, seen, machine, out / "features")
            if found is not None and there and found.features_sha256 != _digest(values):
                log.warning("%s is of other features of that name: all its columns are computed again", folder)
                found, finished = None, False
            with limited_threads(machine.threads):
                if found is not None and there:
                    parts = _add(folder, found, values, variant, given, asked - there)
                else:
                    found, parts = _observe(folder, record, values, variant, given, asked)
            parts["features"] += apart
        _score(folder, found, variant, parts, finished=finished)
    return folder


def group_numbers(groups: Any, n: int) -> Labels:  # noqa: ANN401 - anything with one entry a sample
    """Number of each sample's group, in the order in which they appear, shape (n,), int64.

    None, NaN and the empty text are groups of their own each.

    Raises:
        BadUsage: They are no several.
        BadData: There is not one a sample.
    """
    several = groups.tolist() if hasattr(groups, "tolist") else groups
    given = as_list(several, "groups", "give a number or a text for each sample")
    if len(given) != n:
        msg = f"there are {len(given)} groups and {n} samples; expected one for each sample"
        raise BadData(msg)
    numbers: dict[object, int] = {}
    found = np.empty(n, dtype=np.int64)
    for i, group in enumerate(given):
        if not isinstance(group, Hashable):
            msg = f"groups[{i}] is a {type(group).__name__}; expected a number or a text for each sample"
            raise BadData(msg)
        found[i] = numbers.setdefault(("alone", i) if _is_missing(group) else group, len(numbers))
    return found


def _is_missing(group: object) -> bool:
    """Whether a group is none: None, NaN of any kind, or the empty text."""
    if group is None or type(group).__name__ in ("NAType", "NaTType"):
        return True
    return group == "" or (isinstance(group, float) and math.isnan(group))


def setup_of_features(
    features: str,
    folds: int,
    neighbours: int,
    penalties: Sequence[float],
    *,
    grouped_by: str | None,
    groups_sha256: str | None,
    index: str | None,
) -> str:
    """Digest of everything that decides the columns but labels and seed: alike for every variant."""
    what: list[object] = [
        "features",
        features,
        folds,
        neighbours,
        [float(penalty) for penalty in penalties],
        grouped_by,
    ]
    if groups_sha256 is not None:
        what.append(groups_sha256)
    if index is not None:
        what.append({"index": index})
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def folder_of_features(features: str, setup: str) -> str:
    """Name of a run's folder, safe on every file system and alike for all seeds."""
    return f"{file_name(features.partition('(')[0])}-features-{setup[:8]}"


def _choose(
    source: Source, features: str | Extraction | NDArray[Any] | None, options: Mapping[str, str] | None
) -> Seen:
    """The features that were asked for, of which nothing is computed yet."""
    if features is None:
        default = default_features(source)
        log.info("%s", default.sentence)
        features = default.name
    if options and (not isinstance(features, str) or features == "input"):
        what = "'input'" if isinstance(features, str) else "that are given"
        msg = f"features {what} have no options; leave options out, or name other features"
        raise BadUsage(msg)
    if isinstance(features, str):
        if features == "input":
            return Seen("input", None, None, None)
        features = choose_features(features, options)
    if isinstance(features, Extraction):
        return Seen(features.word, None, features, pretrained_of(features, source))
    given = given_features(features, len(source.labels))
    return Seen(f"given({_digest(given)[:8]})", given, None, Pretrained(UNSAID, None, "unknown"))


def given_features(features: NDArray[Any], n: int) -> Features:
    """An array of numbers as features of n samples, shape (n, d), float32.

    Raises:
        BadData: They are of another shape, or no numbers.
    """
    values = as_array(features, what="features")
    if values.ndim != 2 or len(values) != n or not values.shape[1] or values.dtype.kind not in "iuf":  # noqa: PLR2004
        msg = f"features must be numbers of shape (n, d) with n = {n}, got {values.dtype} of shape {values.shape}"
        raise BadData(msg)
    return np.ascontiguousarray(values, dtype=np.float32)


def pretrained_of(extraction: Extraction, source: Source) -> Pretrained | None:
    """What features had been trained on; None of those that no other data decided."""
    told = extraction.pretraining
    if told is None:
        return None
    return Pretrained(told.data, told.supervised, classes_overlap(told, source.class_names))


def _digest(values: Features) -> str:
    shape = np.array(values.shape, dtype="<i8")
    return hashlib.sha256(shape.tobytes() + np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()


def _record(variant: Variant, seen: Seen, setup: str, seed: int, index: IndexName | None) -> RunRecord:
    """Everything that decides a run, before its features are computed."""
    return RunRecord(
        regime="features",
        **about_labels(variant),
        model="frozen",
        recipe="features",
        setup=setup,
        trained="",
        epochs=0,
        observe="held out",
        features=seen.word,
        pretrained=seen.pretrained,
        folds=FOLDS,
        neighbours=NEIGHBOURS,
        penalties=list(PENALTIES),
        seed=seed,
        neighbour_index=index,
        versions=_versions() | index_versions(index),
        detectors={},
    )


def _versions() -> dict[str, str]:
    """What decides the last bits of the columns."""
    return {
        "noisybench": __version__,
        "numpy": np.__version__,
        **{name: version(name) for name in ("scipy", "scikit-learn")},
    }


def _is_whole(folder: Path, found: RunRecord) -> bool:
    """Whether a run is finished, and all its files are those that it left."""
    return (
        bool(found.detectors)
        and (folder / TIMING).is_file()
        and found.files_sha256 == digests_of(folder, found.detectors)
    )


def _observe(  # noqa: PLR0917 - what the public function has
    folder: Path, record: RunRecord, values: Features, variant: Variant, given: Labels | None, asked: set[str]
) -> tuple[RunRecord, dict[str, float]]:
    """Write the columns in place of what is there; the record with what is known since, and the seconds of each part."""
    began = time.perf_counter()
    groups = groups_of_kept(values, variant, given)
    apart = time.perf_counter() - began
    columns, seconds = columns_from(
        values, variant, groups, seed=record.seed, lacking=asked, index=record.neighbour_index
    )
    for part in ("scores", "suggestions", "trace"):
        shutil.rmtree(folder / part, ignore_errors=True)
    (folder / TIMING).unlink(missing_ok=True)
    record = replace(record, features_sha256=_digest(values), groups=int(groups.max()) + 1)
    begin(folder, record)
    with synced_together():
        write_observation(Observation(0, columns), folder / "trace", variant_id=record.variant_id)
    return record, {"features": apart, **seconds}


def _add(  # noqa: PLR0917 - what the public function has
    folder: Path, found: RunRecord, values: Features, variant: Variant, given: Labels | None, lacking: set[str]
) -> dict[str, float]:
    """Write the columns that a run lacks beside those that it has, which stay; the seconds of each part."""
    began = time.perf_counter()
    groups = groups_of_kept(values, variant, given)
    apart = time.perf_counter() - began
    columns, seconds = columns_from(
        values, variant, groups, seed=found.seed, lacking=lacking, index=found.neighbour_index
    )
    trace = read_trace(folder / "trace")
    columns |= {name: trace[name][-1] for name in trace.columns}
    train_again(folder, found)  # the record may hold a digest of the file that is written next
    with synced_together():
        write_observation(Observation(0, columns), folder / "trace", variant_id=found.variant_id)
    return {"features": apart, **seconds}


def _score(folder: Path, found: RunRecord, variant: Variant, parts: dict[str, float] | None, *, finished: bool) -> None:
    """Score what a finished run lacks, or all of one that is not; write what it took, where anything was computed."""
    if finished:
        kinds = score_added(folder, found, variant)
    else:
        begin(folder, found)  # what is scored again is no finished run meanwhile
        with synced_together():
            kinds = score_columns(folder, variant)
        finish(folder, found, {name: name for name in sorted(kinds)}, kinds)
    if parts is not None or not (folder / TIMING).is_file():
        write_timing(folder, parts, kinds)


def _values(source: Source, seen: Seen, machine: Machine, cache: Path) -> tuple[Features, float]:
    """The features that were chosen, shape (n, d), and the seconds that they took."""
    if seen.values is not None:
        return seen.values, 0.0
    began = time.perf_counter()
    with limited_threads(machine.threads):
        values = features_of(source, seen.extraction or "input", device=machine.device, cache=cache)
    return values, time.perf_counter() - began
