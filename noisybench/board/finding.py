"""Finding suspects: in data of one's own, in a variant, in finished runs, or in arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from noisybench.board.agreement import settled
from noisybench.board.agreement_file import COMMANDS
from noisybench.board.evidence import contradicted, evidence_of, suggested
from noisybench.board.own_cut import answers_of, flag
from noisybench.board.suspects import Suspects
from noisybench.data.extraction import Extraction, choose_features, default_features
from noisybench.data.given_values import SIDE, source_from_values
from noisybench.data.loading import load_at_side
from noisybench.data.recognising import Recognised, recognise_source
from noisybench.data.source import Source, inputs_of
from noisybench.detection.scoring import Scores, scores_path
from noisybench.ground.arrays import as_array, read_only
from noisybench.ground.checks import a_path, check_kind, unknown
from noisybench.ground.digests import file_digest
from noisybench.ground.download import cache_folder
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.lookup import find, objectives_leaving
from noisybench.ground.version import __version__
from noisybench.ground.walking import find_below, reached
from noisybench.runs.folder import LEFT_BY_A_RUN, RECORD
from noisybench.runs.given_run import keep_given
from noisybench.runs.reading import AnyPath, Run, leave_out, read_run
from noisybench.statistics.neighbour_index import IndexName
from noisybench.variants.building import build_variant
from noisybench.variants.location import read_location, source_of
from noisybench.variants.sample_files.groups import read_groups
from noisybench.variants.sample_files.values import Tell
from noisybench.variants.sample_names import read_names
from noisybench.variants.variant import Variant, read_variant

VARIANT_RECORD = "variant.json"
VARIANTS_BELOW = ("*", "*/variant")
"""Where variants stand in a folder of them, and in one of runs."""
DEEP = 4
"""Names between a folder of runs and a record in it: variant, setup, seed, ``run.json``."""
SHOWN = 5
"""Classes that a note names."""

DEFAULTS = ("feature_consensus", "cumulative_loss", "self_confidence", "second_split_forgetting")
"""Detectors that rank where none is named, the first that there is: by frozen features, by a training, by
probabilities, by two halves."""


class Wish(NamedTuple):
    """How suspects are looked for.

    Attributes:
        features: Name of frozen features; None takes what suits the data.
        features_options: Theirs, as text.
        groups: A column of the source's table, a file, or one entry a sample.
        detector: The one that ranks; None takes the first of ``DEFAULTS`` that there is.
        seed: Of the folds.
        device: Where features are computed.
        tell: Called with each sentence on what was chosen.
        neighbour_index: By which neighbours are found; None compares all pairs.
    """

    features: str | None = None
    features_options: Mapping[str, str] | None = None
    groups: Any = None
    detector: str | None = None
    seed: int = 0
    device: str = "auto"
    tell: Tell = lambda _: None
    neighbour_index: IndexName | None = None


def find_suspects(
    what: AnyPath | Source | None = None,
    *,
    labels: Any = None,  # noqa: ANN401 - anything NumPy, pandas or datasets hold
    pred_probs: Any = None,  # noqa: ANN401
    inputs: Any = None,  # noqa: ANN401
    features: Any = None,  # noqa: ANN401 - a name, or an array
    groups: Any = None,  # noqa: ANN401
    class_names: Sequence[str] | None = None,
    sample_names: Sequence[str] | None = None,
    detector: str | None = None,
    seed: int = 0,
    device: str = "auto",
    index: IndexName | None = None,
) -> Suspects:
    """The labels that disagree with the evidence, and a suspicion of each; needs no truth, and trains no network.

    ``find_suspects("photos/")`` looks at data of one's own, a variant, or finished runs. ``labels`` with ``inputs``, with
    an array of ``features``, or with out-of-sample ``pred_probs`` are arrays, lists, or columns of pandas and
    ``datasets``. A ``Source`` is looked at with the labels that it has.

    Args:
        what: What ``noisybench build`` takes, a variant's folder, a run's or one above the seeds of one setup, or a
            ``Source``. None: arrays are given.
        labels: Given labels, shape (n,): class indices or names.
        pred_probs: Out-of-sample class probabilities, shape (n, k), in the order of the classes.
        inputs: Images (n, h, w, c), numbers (n, d), n texts, n pictures of Pillow, or a data frame.
        features: Name of frozen features, see ``noisybench list features``; None takes what suits the data. With
            ``labels`` also an array of features of your own, shape (n, d), which are taken as they are: columns of different
            units are ``inputs``.
        groups: Samples of one group say nothing of each other's labels, one entry a sample; near duplicates are found.
        class_names: One a class, where ``labels`` are indices.
        sample_names: What people call each sample, shape (n,).
        detector: The one that ranks; None takes the first of ``DEFAULTS`` that there is.
        seed: Of the folds.
        device: Where features are computed: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        index: ``hnsw`` finds nearly all neighbours of many samples sooner, with the extra ``index``; None compares all pairs.

    Raises:
        UnknownName: There is nothing of that name, or no such features or detector.
        BadUsage: Arguments that do not go together.
        BadData: What is there cannot be read, or arrays do not fit together.
    """
    if (what is None) == (labels is None):
        msg = "give what to look at, such as 'photos/', or labels=… with inputs=…, features=… or pred_probs=…"
        raise BadUsage(msg)
    if detector is not None:
        check_kind(detector, str, "detector", "give the name of one, such as ridge")
    named = features if isinstance(features, str) else None
    wish = Wish(named, None, groups, detector, seed, device, neighbour_index=index)
    if labels is not None:
        given = {"inputs": inputs, "features": None if named else features, "pred_probs": pred_probs}
        several = [key for key, value in given.items() if value is not None]
        if not several or ("pred_probs" in several and (named or "features" in several)):
            msg = "labels=… need evidence: give pred_probs=…, or inputs=… or an array features=…, and not both"
            raise BadUsage(msg)
        source = source_from_values(labels, inputs, class_names=class_names, sample_names=sample_names)
        return _at_once(source, wish, features=given["features"], pred_probs=pred_probs)
    if any(value is not None for value in (pred_probs, inputs, class_names, sample_names)):
        msg = "pred_probs, inputs, class_names and sample_names go with labels=…; leave them out, or give the labels"
        raise BadUsage(msg)
    if features is not None and named is None:
        msg = "an array of features goes with labels=…; give the labels, or the name of features such as 'pca'"
        raise BadUsage(msg)
    assert what is not None  # noqa: S101 - or labels are
    return _at_once(what, wish) if isinstance(what, Source) else suspects_at(what, wish)


def suspects_at(
    what: AnyPath,
    wish: Wish,
    *,
    data: Path | None = None,
    source_options: Mapping[str, str] | None = None,
    own_source: str | None = None,
    limit: int | None = None,
    corrections: Sequence[Path] = (),
    out: Path | None = None,
) -> Suspects:
    """Suspects in data of one's own, in a variant, or of finished runs.

    Args:
        what: See ``find_suspects``.
        wish: How they are looked for.
        data: Where the files of the source named by ``what`` are.
        source_options: Options of the source, as text.
        own_source: ``package.module:attribute`` of a variant's source that is none of noisybench's.
        limit: Keep the first ``limit`` samples.
        corrections: Files of what was decided before, applied to the labels of data of one's own; what a person decided is
            no suspect again.
        out: Folder of runs; None keeps them in the cache, those of each version of noisybench apart.
    """
    of_data = {"--source-set": source_options, "--limit": limit, "--corrections": corrections}
    folder, kept = a_path(what, "what"), out or cache_folder() / "suspects" / __version__
    if data is None and folder.is_dir() and (folder / VARIANT_RECORD).is_file():
        _refuse(of_data, f"{folder} is a variant, whose source is read as it was built")
        variant = read_variant(folder)
        source = source_of(variant, folder, data, own_source)
        location = read_location(folder)
        place = None if location is None or location.data is None else Path(location.data)
        return _scored(source, variant, wish, kept, place=place)
    below = find_below(reached(folder), {RECORD}).paths if data is None and folder.is_dir() else []
    if below:
        asked = {"--features": wish.features, "--groups": wish.groups, "--index": wish.neighbour_index, **of_data}
        _refuse(asked, f"{folder} holds runs, whose evidence is there already")
        if min(len(path.relative_to(reached(folder)).parts) for path in below) > DEEP:  # more lies here than runs
            wish.tell(f"note: {folder} is looked at as a folder of runs; name a file or folder of data to look at data")
        return suspects_of_runs(folder, wish.detector)
    if data is None:
        _check_no_part(folder)
    found = recognise_source(what if isinstance(what, str) else folder) if data is None else Recognised(str(what), data)
    options = dict(source_options or {})
    if found.note:
        wish.tell(f"note: {found.note}")
    source = load_at_side(found, options, limit=limit, side=SIDE)
    for sentence in source.notes:
        wish.tell(f"note: {sentence}")
    return _scored(source, _as_found(source, corrections), wish, kept, place=found.data)


def _check_no_part(folder: Path) -> None:
    """Raise ``BadUsage`` for a folder whose tables noisybench wrote: of variants alone, or a part of a run."""
    variants = sorted(path for pattern in VARIANTS_BELOW for path in folder.glob(f"{pattern}/{VARIANT_RECORD}"))
    if variants:
        msg = f"{folder} holds variants and no run; name one of the variants, such as {variants[0].parent}"
        raise BadUsage(msg)
    if folder.name in LEFT_BY_A_RUN and (reached(folder).parent / RECORD).is_file():
        msg = f"{folder} is a part of a run; name the run, {folder.parent}"
        raise BadUsage(msg)


def _refuse(asked: Mapping[str, object], why: str) -> None:
    """Raise ``BadUsage`` for the first option that was said and has no meaning."""
    for flag_name, value in asked.items():
        if value:
            msg = f"{why}; leave {flag_name} out"
            raise BadUsage(msg)


def _as_found(source: Source, corrections: Sequence[Path] = ()) -> Variant:
    """The labels of a source as they are, with what was decided before."""
    return build_variant(source, find("noises", "as_found")(), corrections=list(corrections) or None)


def _features(source: Source, wish: Wish) -> Extraction | str:
    """The features that are asked for, or what suits the source, which is told."""
    inputs_of(source, "suspects")
    name = wish.features
    if name is None:
        name, why = default_features(source)
        wish.tell(f"note: {why}")
    if name == "input" and wish.features_options:
        msg = "features 'input' have no options; leave --features-set out, or name other features"
        raise BadUsage(msg)
    return name if name == "input" else choose_features(name, wish.features_options)


def _scored(
    source: Source,
    variant: Variant,
    wish: Wish,
    out: Path,
    *,
    features: Any = None,  # noqa: ANN401 - an array
    place: Path | None = None,
) -> Suspects:
    """Suspects of a source, by a run from frozen features in the folder ``out``."""
    from noisybench.runs.features_run import score_frozen  # brings torch

    wanted = _computed(wish.detector)
    _tell_of_single(variant, wish.tell)
    folder = score_frozen(
        source,
        variant,
        _features(source, wish) if features is None else features,
        out,
        detectors=wanted,
        groups=read_groups(wish.groups, variant, source, place) if isinstance(wish.groups, str) else wish.groups,
        grouped_by=Path(wish.groups).name if isinstance(wish.groups, str) else None,
        index=wish.neighbour_index,
        seed=wish.seed,
        machine=wish.device,
    )
    found = _of_runs(folder, wish.detector, variant)
    return replace(found, inputs=source, names=source.sample_names, folder=_folder_of(source, place), place=place)


def _computed(detector: str | None) -> list[str]:
    """What is computed for: the fast detectors, and the one that is asked for, which frozen features must feed."""
    if detector is None or ":" in detector:
        return ["fast"]
    asked = find("detectors", detector)
    if "features" in asked.fed_by:
        return ["fast", detector]
    command, *flags = COMMANDS[asked.fed_by[0]].split() if asked.fed_by else ("evaluate",)
    flags += [f"--objective {name}" for name in objectives_leaving(asked.left_by_objective)[:1]]
    words = " ".join([command, "VARIANT", *flags, *([f"--detectors {detector}"] if command == "evaluate" else [])])
    msg = (
        f"detector '{detector}' is not scored from frozen features, by which suspects are found here; 'noisybench {words}' "
        f"scores it, and 'noisybench suspects RUN --detector {detector}' then ranks by it"
    )
    raise BadUsage(msg)


def _tell_of_single(variant: Variant, tell: Tell) -> None:
    """Say which classes have one sample, for whose label nobody can speak; ``BadData`` where there are no others."""
    counts = np.bincount(variant.labels[~variant.dropped], minlength=variant.num_classes)
    single = np.flatnonzero(counts == 1)
    if single.size and counts.max() == 1:
        msg = (
            f"no class has two samples ({single.size} labels in all), so that nothing speaks for or against a label; "
            f"expected classes of several samples"
        )
        raise BadData(msg)
    if single.size:
        named = ", ".join(variant.class_names[k] for k in single[:SHOWN])
        more = f" and {single.size - SHOWN} more" if single.size > SHOWN else ""
        tell(f"note: classes of one sample, for which nobody else can speak, so that it disagrees: {named}{more}")


def _at_once(
    source: Source,
    wish: Wish,
    *,
    features: Any = None,  # noqa: ANN401 - an array
    pred_probs: Any = None,  # noqa: ANN401
) -> Suspects:
    """Suspects of a source with the labels that it has, of which nothing is kept."""
    variant = _as_found(source)
    with TemporaryDirectory() as out:
        if pred_probs is None:
            return _scored(source, variant, wish, Path(out), features=features)
        folder = keep_given(variant, out, name="probabilities", pred_probs=as_array(pred_probs, what="pred_probs"))
        return replace(suspects_of_runs(folder, wish.detector), inputs=source, names=source.sample_names)


def _folder_of(source: Source, place: Path | None) -> Path | None:
    """The folder below which samples are files of their names; None where they are none."""
    if place is None or not source.sample_names:
        return None
    folder = place if place.is_dir() else place.parent
    return folder if (first := source.sample_names[0]) and (folder / first).is_file() else None


def suspects_of_runs(folder: Path, detector: str | None = None) -> Suspects:
    """What finished runs of one setup say: the mean of their scores, and the answers of all of them.

    Args:
        folder: A run's, or one above the seeds of one setup.
        detector: The one that ranks; None takes the first of ``DEFAULTS`` that the runs have, else their first.

    Raises:
        UnknownName: The runs have no scores of that detector.
        BadData: No finished run is there, or several setups are, or scores were changed.
    """
    return _of_runs(folder, detector, None)


def _of_runs(folder: Path, detector: str | None, variant: Variant | None) -> Suspects:
    """What ``suspects_of_runs`` finds, of this variant; None reads the one beside the runs.

    The one beside them may know of other labels that a person found right, which change no id.
    """
    runs = _finished_below(folder)
    if not runs:
        msg = (
            f"{folder} holds no finished run: what is there was begun and not ended, or has lost files; give the command "
            f"that made it again, or name your data or a variant; a run of a rule of stopping has no scores"
        )
        raise BadData(msg)
    if detector is not None:  # runs of other setups, which do not have it, are not meant
        runs = [one for one in runs if detector in one.kinds] or runs
    if len({one.path.parent for one in runs}) > 1:
        msg = f"{folder} holds runs of several setups; name one of them, such as {runs[0].path.parent}"
        raise BadData(msg)
    detector = _ranking(runs, folder, detector)
    variant = variant or read_variant(runs[0].home / "variant")
    scored = [_unchanged(one, detector) for one in runs]
    for scores in scored:
        if scores.variant_id != variant.provenance.variant_id or scores.values.shape != variant.labels.shape:
            msg = f"{folder} holds scores of other labels than its variant; evaluate again"
            raise BadData(msg)
    suspicion = read_only(np.mean([scores.values for scores in scored], axis=0))
    traces = [] if runs[0].record.form == "scores" else [answers_of(one, variant) for one in runs]
    against = contradicted(traces, variant)
    return Suspects(
        variant=variant,
        detector=detector,
        evidence=evidence_of([one.record for one in runs], traces),
        suggested=suggested(traces, detector, variant.labels),
        suspicion=suspicion,
        flagged=None if against is None else flag(suspicion, against, but=settled(variant)),
        names=read_names(runs[0].home, len(variant.labels)),
    )


def _ranking(runs: Sequence[Run], folder: Path, detector: str | None) -> str:
    """The detector that ranks: the one that is asked for, else the default, else the first that all runs have."""
    found = [name for name in runs[0].kinds if all(name in one.kinds for one in runs)]
    for name in [name for name in found if len({one.maker(name) for one in runs}) > 1]:
        fault = BadData(
            f"the runs in {folder} have scores of '{name}' by different codes, which are not averaged; name one of the "
            f"runs, such as {runs[0].path}, or evaluate all of them again"
        )
        if name == detector:
            raise fault
        leave_out(fault)
        found.remove(name)
    if detector is None:
        detector = next((name for name in DEFAULTS if name in found), found[0] if found else "")
    if detector not in found:
        raise UnknownName(unknown(detector, tuple(found), "detector of this run"))
    return detector


def _finished_below(folder: Path) -> list[Run]:
    """The finished runs in a folder and below it that have scores, in the order of their paths."""
    runs = (read_run(path.parent) for path in find_below(reached(folder), {RECORD}).paths)
    return [run for run in runs if run.finished and run.kinds]


def _unchanged(run: Run, name: str) -> Scores:
    """The scores of a detector, which must be those that the run left."""
    path = scores_path(run.path, name)
    told = (run.record.files_sha256 or {}).get(path.relative_to(run.path).as_posix())
    if told is not None and file_digest(path) != told:
        msg = f"{path} was changed after it was written; run the command that made it again"
        raise BadData(msg)
    return run.scores(name)
