"""Scores or class probabilities of someone else's code, as a run that stands beside every other. No torch here."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import RESERVED, Kind, Scores, score, scores_path, write_scores
from noisybench.ground.arrays import read_only, row_blocks
from noisybench.ground.checks import check_room
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import file_name
from noisybench.ground.locks import locked
from noisybench.ground.lookup import find, names
from noisybench.ground.version import __version__
from noisybench.runs.folder import RECORD, begin, digests_of, finish, is_finished, keep_variant, whole_record
from noisybench.runs.given_dynamics import observe_dynamics
from noisybench.runs.record import TRAINED_BY, RunRecord, about_labels, first_difference
from noisybench.runs.suggestion_files import write_suggestions
from noisybench.training.trace import Column, Observation, Trace, read_trace, write_observation
from noisybench.variants.sample_files.dynamics import digest_of_dynamics
from noisybench.variants.sample_files.values import Form, Given, Tell, check_given, read_given
from noisybench.variants.variant import Variant, check_variant

CONFIDENT = ("self_confidence", "normalized_margin", "confident_learning")
"""The detectors that probabilities are scored with."""
LONGEST_NAME = 80

Dynamics = Literal["dynamics"]

log = logging.getLogger("noisybench")


def _log(sentence: str) -> None:
    """Log what is hard to believe as a warning, and what was taken for granted as information."""
    hard = sentence.startswith("warning: ")
    log.log(logging.WARNING if hard else logging.INFO, "%s", sentence.removeprefix("warning: "))


def keep_given(
    variant: Variant,
    out: str | Path = "runs",
    *,
    name: str,
    pred_probs: Any = None,  # noqa: ANN401 - a path, or anything NumPy can read
    scores: Any = None,  # noqa: ANN401
    dynamics: str | Path | None = None,
    column: str | None = None,
    lower_is_suspicious: bool | None = None,
    labels: Any = None,  # noqa: ANN401
    sample_names: Sequence[object] | None = None,
    tell: Tell = _log,
) -> Path:
    """Folder of a run made of a file or an array, which a leaderboard shows beside the others, and ``suspects`` reads.

    ``noisybench.variants.sample_files.values`` says what a file may hold; an array is in the order of the samples.

    Probabilities must be out of sample: of a model that was not trained on the sample. They are scored with
    ``self_confidence``, ``normalized_margin`` and ``confident_learning``; scores are a detector called ``name``. Training
    dynamics, the logits of every epoch, are a trace, which every detector scores that needs no more. The same file again
    changes nothing; another file, or the other sign, replaces the run of that name. Files of one name for several variants
    are one row of a leaderboard.

    Args:
        variant: The labels that the scores are of.
        out: Folder of runs.
        name: What the scores, or the model whose probabilities they are, shall be called.
        pred_probs: A file of probabilities, or these, shape (n, k); columns of a data frame by the names of the classes.
        scores: A file of scores, or these, shape (n,).
        dynamics: A folder of training dynamics, see ``noisybench.variants.sample_files.dynamics``.
        column: The column of the scores, where the file has several.
        lower_is_suspicious: Whether low scores are the suspicious ones, as of most measures of label quality; None is as
            AUM, cleanlab and dataset cartography mean theirs, and higher of others.
        labels: The given labels in the order of the file's rows, in a file, or of the array's, shape (n,), which must be
            the variant's.
        sample_names: What people call each sample, shape (n,), as ``Source.sample_names``: rows of files are matched by
            them, and ``suspects`` shows them.
        tell: Called with a sentence for what was taken for granted of the file, or is hard to believe of it; by default it
            is logged.

    Raises:
        BadUsage: Not exactly one file, a name that cannot be used, or more probabilities than fit in memory.
        BadData: The file cannot be read, or holds something else.
        Mismatch: The file is of other labels.
    """
    check_variant(variant)
    _check_name(name)
    called = _names_of(sample_names, len(variant.labels))
    form, given = _one_of(
        {"pred_probs": pred_probs, "scores": scores, "dynamics": dynamics},
        {"--lower-is-suspicious": lower_is_suspicious, "--column": column, "--labels": labels},
    )
    if form == "pred_probs":
        n, k = len(variant.labels), variant.num_classes
        check_room(n, k, "probabilities of every class", "give a number for each sample, with --scores")
    what: dict[str, Any] = {"form": form, "lower_is_suspicious": False, "column": column}
    values: NDArray[Any] = np.zeros(0)
    if form == "dynamics":
        path = Path(given)
        observations = observe_dynamics(path, variant, sample_names=called, tell=tell)
        what |= {"file": path.name, "file_sha256": digest_of_dynamics(path), "epochs": len(observations)}
    elif isinstance(given, str | os.PathLike):
        path = Path(given)
        read = read_given(path, variant, form, column=column, labels=labels, sample_names=called, tell=tell)
        values = read.values
        lower = _sign(read, lower_is_suspicious, tell)
        what |= {"file": path.name, "file_sha256": file_digest(path), "lower_is_suspicious": lower}
    else:
        values = check_given(given, variant, form, labels=labels, tell=tell)
        what |= {"file_sha256": _digest(values), "lower_is_suspicious": bool(lower_is_suspicious)}
    if form != "dynamics":
        values = 0.0 - values if what["lower_is_suspicious"] else values
        observations = [] if form == "scores" else [_observation(values, variant)]
    setup = setup_of_given(name, form)
    home = Path(out) / variant.name
    folder = home / f"given-{file_name(name)}-{setup[:8]}" / "seed-0"
    record = replace(_record(keep_variant(variant, home / "variant", called), name, setup), **what)
    with locked(folder):
        if not _is_whole(folder, record):
            scores_given = [] if observations else [Scores(name, read_only(values), record.variant_id)]
            _write_run(folder, variant, record, observations, scores_given)
    return folder


def _write_run(
    folder: Path,
    variant: Variant,
    record: RunRecord,
    observations: Sequence[Observation],
    scores_given: Sequence[Scores],
) -> None:
    """Write a run in place of what is there: its trace and what follows from it, or the scores that were given."""
    begin(folder, record)  # what is replaced is no finished run meanwhile
    for part in ("scores", "suggestions", "trace"):
        shutil.rmtree(folder / part, ignore_errors=True)
    (folder / "agreement.parquet").unlink(missing_ok=True)  # that of the scores which are replaced
    for observation in observations:
        write_observation(
            observation, folder / "trace", variant_id=record.variant_id, large=record.form == "pred_probs"
        )
    trace = _trace_of(folder, observations, record.variant_id)
    found = scores_given if trace is None else _scored(trace, record.form or "")
    for held in found:
        write_scores(held, scores_path(folder, held.detector))
    if trace is not None:
        asked = {held.detector: find("detectors", held.detector) for held in found}
        write_suggestions(folder, trace, asked, variant)
    digests = {held.detector: file_digest(scores_path(folder, held.detector)) for held in found}
    kinds: dict[str, Kind] = {held.detector: _kind(held.detector) for held in found}
    finish(folder, replace(record, scores_sha256=digests), {each: each for each in kinds}, kinds)


def _trace_of(folder: Path, observations: Sequence[Observation], variant_id: str) -> Trace | None:
    """What was written of observations: one is at hand, several are read column by column; None of none."""
    if len(observations) != 1:
        return read_trace(folder / "trace") if observations else None
    epoch = np.array([observations[0].epoch])
    return Trace({name: Column(epoch, values[None]) for name, values in observations[0].values.items()}, variant_id)


def _names_of(sample_names: Sequence[object] | None, n: int) -> list[str] | None:
    """What people call n samples, as texts; ``BadData`` where there are more or fewer."""
    if sample_names is not None and len(sample_names) != n:
        msg = f"there are {len(sample_names)} sample_names and {n} samples; expected one each"
        raise BadData(msg)
    return None if sample_names is None else [str(each) for each in sample_names]


def _one_of(given: Mapping[Form | Dynamics, Any], options: Mapping[str, object]) -> tuple[Form | Dynamics, Any]:
    """What was given: its kind, and a path or an array; ``BadUsage`` unless it is one thing, and the options are of it."""
    there = [(form, value) for form, value in given.items() if value is not None]
    if len(there) != 1:
        got = ("nothing", "one", "both", "all three")[len(there)]
        msg = f"give scores (--scores), probabilities (--pred-probs) or training dynamics (--dynamics), got {got}"
        raise BadUsage(msg)
    form = there[0][0]
    for flag, value in options.items():
        if value is not None and form != "scores" and (flag != "--labels" or form == "dynamics"):
            reason = "hold the labels that they were made with" if flag == "--labels" else "have one meaning"
            what = "training dynamics" if form == "dynamics" else "probabilities"
            msg = f"{flag} is for --scores{' and --pred-probs' if flag == '--labels' else ''}; {what} {reason}"
            raise BadUsage(msg)
    return there[0]


def _scored(trace: Trace, form: str) -> list[Scores]:
    """Scores of every detector that answers, or logits, are enough for."""
    found = [find("detectors", name) for name in (CONFIDENT if form == "pred_probs" else names("detectors"))]
    if form == "dynamics":
        found = [each for each in found if "training" in each.fed_by and set(each.needs) <= set(trace.columns)]
    return [score(trace, detector) for detector in found]


def _kind(name: str) -> Kind:
    """Whether a detector is a control; scores that came ready-made are none."""
    return "control" if name in names("detectors") and find("detectors", name).control else "detector"


def _sign(read: Given, said: bool | None, tell: Tell) -> bool:  # noqa: FBT001 - what the user said
    """Whether low scores are the suspicious ones: as was said, else as the tool that wrote them means them."""
    if read.lower_is_suspicious is None:
        return bool(said)
    known = read.lower_is_suspicious
    low, flags = ("low", "high")[not known], ("--higher-is-suspicious", "--lower-is-suspicious")
    if said is None:
        tell(f"the scores are {read.tool}, {low} where a label is suspicious; {flags[not known]} says otherwise")
    elif said != known:
        tell(f"warning: the scores are {read.tool}, {low} where a label is suspicious, and {flags[said]} was said")
    return known if said is None else said


def setup_of_given(name: str, form: str) -> str:
    """Digest of what given scores are called and of their form: alike for every variant."""
    return hashlib.sha256(json.dumps([name, form]).encode()).hexdigest()


def _record(variant: Variant, name: str, setup: str) -> RunRecord:
    """What a run says of its labels and of where its scores come from."""
    return RunRecord(
        regime="given",
        **about_labels(variant),
        model=name,
        recipe="given",
        setup=setup,
        trained="",
        epochs=0,
        observe="given",
        features="given",
        seed=0,
        versions={"noisybench": __version__, "numpy": np.__version__},
        detectors={},
    )


def _is_whole(folder: Path, record: RunRecord) -> bool:
    """Whether a folder holds the finished run of ``record``, and the files that it left; one line says where it is damaged."""
    if not (folder / RECORD).is_file():
        return False
    found = whole_record(folder)
    if found is None:
        log.warning("%s is damaged: it is made again", folder / RECORD)
        return False
    if first_difference(found, record, ignore=TRAINED_BY) is not None or not found.detectors:
        return False
    if is_finished(folder, found) and found.files_sha256 in (None, digests_of(folder, found.detectors)):
        return found.scores_sha256 == {name: file_digest(scores_path(folder, name)) for name in found.detectors}
    log.warning("%s has files that are damaged or missing: it is made again", folder)
    return False


def _digest(values: NDArray[Any]) -> str:
    """SHA-256 of an array's numbers as float64."""
    digest = hashlib.sha256()
    for part in row_blocks(values.shape):
        digest.update(values[part].astype("<f8").tobytes())
    return digest.hexdigest()


def _observation(probabilities: NDArray[Any], variant: Variant) -> Observation:
    """What a trace of held-out answers has: the given labels, a probability a class, and the class of the greatest."""
    columns = {
        "given": variant.labels,
        "held_out.probabilities": probabilities,
        "prediction": np.concatenate([probabilities[part].argmax(1) for part in row_blocks(probabilities.shape)]),
    }
    return Observation(0, {name: column.astype(np.float32, copy=False) for name, column in columns.items()})


def _check_name(name: str) -> None:
    """Raise ``BadUsage`` for a name that is no line, or that noisybench gives to scores of its own."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        msg = f"a name must be a line of 1 to {LONGEST_NAME} characters, got {str(name)[:LONGEST_NAME]!r}"
        raise BadUsage(msg)
    if name in {*names("detectors"), *RESERVED} or name.startswith("memorization by "):
        msg = f"'{name}' is the name of one of noisybench's own detectors or references; give the scores another"
        raise BadUsage(msg)
