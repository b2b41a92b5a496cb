"""Scores of someone else's code, or of its class probabilities, as a run that stands beside every other. No torch here."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from noisybench.detection.scoring import REFERENCES, Kind, Scores, score, scores_path, write_scores
from noisybench.ground.arrays import Floats, read_only
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadUsage
from noisybench.ground.files import file_name
from noisybench.ground.locks import locked
from noisybench.ground.lookup import find, names
from noisybench.ground.version import __version__
from noisybench.runs.folder import RECORD, begin, finish, is_finished, keep_variant, read_run_record
from noisybench.runs.record import TRAINED_BY, RunRecord, about_labels, first_difference
from noisybench.training.trace import Observation, read_trace, write_observation
from noisybench.variants.sample_files import Form, Tell, read_given
from noisybench.variants.variant import Variant

CONFIDENT = ("self_confidence", "normalized_margin", "confident_learning")
"""The detectors that probabilities are scored with."""
LONGEST_NAME = 80


def keep_given(
    variant: Variant,
    out: str | Path = "runs",
    *,
    name: str,
    pred_probs: str | Path | None = None,
    scores: str | Path | None = None,
    lower_is_suspicious: bool = False,
    labels: str | Path | None = None,
    tell: Tell = lambda _: None,
) -> Path:
    """Folder of a run made of a file, which a leaderboard shows beside the others; see ``noisybench.variants.sample_files`` for the file.

    Probabilities must be out of sample: of a model that was not trained on the sample. They are scored with
    ``self_confidence``, ``normalized_margin`` and ``confident_learning``; scores are a detector called ``name``. The same
    file again changes nothing. Another file, or the other sign, replaces
    the run of that name; files of one name for several variants are one row of a leaderboard.

    Args:
        variant: The labels that the scores are of.
        out: Folder of runs.
        name: What the scores, or the model whose probabilities they are, shall be called.
        pred_probs: A file of probabilities.
        scores: A file of scores, higher more suspicious.
        lower_is_suspicious: The scores have the other sign, as most measures of label quality do.
        labels: A file of the given labels in the order of the file's rows, which must be the variant's.
        tell: Called with a sentence for what was taken for granted of the file, or is hard to believe of it.

    Raises:
        BadUsage: Not exactly one file, or a name that cannot be used.
        BadData: The file cannot be read, or holds something else.
        Mismatch: The file is of other labels.
    """
    _check_name(name)
    if (pred_probs is None) == (scores is None):
        msg = f"give probabilities (--pred-probs) or scores (--scores), got {'neither' if scores is None else 'both'}"
        raise BadUsage(msg)
    if lower_is_suspicious and scores is None:
        msg = "--lower-is-suspicious is for --scores; what probabilities mean is known"
        raise BadUsage(msg)
    form: Form = "pred_probs" if scores is None else "scores"
    path = Path(str(pred_probs if scores is None else scores))
    setup = setup_of_given(name, form)
    values = read_given(path, variant, form, labels=labels, tell=tell)
    home = Path(out) / variant.name
    folder = home / f"given-{file_name(name)}-{setup[:8]}" / "seed-0"
    detectors = CONFIDENT if form == "pred_probs" else (name,)
    record = replace(
        _record(keep_variant(variant, home / "variant"), name, setup),
        form=form,
        file=path.name,
        file_sha256=file_digest(path),
        lower_is_suspicious=lower_is_suspicious,
    )
    with locked(folder):
        if not _is_whole(folder, record):
            begin(folder, record)  # what is replaced is no finished run meanwhile
            for part in ("scores", "trace"):
                shutil.rmtree(folder / part, ignore_errors=True)
            if form == "pred_probs":
                write_observation(_observation(values, variant), folder / "trace", variant_id=record.variant_id)
                trace = read_trace(folder / "trace")
                found = [score(trace, find("detectors", detector)) for detector in CONFIDENT]
            else:
                signed = 0.0 - values if lower_is_suspicious else values
                found = [Scores(name, read_only(signed), record.variant_id)]
            for held in found:
                write_scores(held, scores_path(folder, held.detector))
            digests = {held.detector: file_digest(scores_path(folder, held.detector)) for held in found}
            kinds: dict[str, Kind] = dict.fromkeys(detectors, "detector")
            finish(folder, replace(record, scores_sha256=digests), {each: each for each in detectors}, kinds)
    return folder


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
    """Whether a folder holds the finished run of ``record``, and the scores that it left."""
    if not (folder / RECORD).is_file():
        return False
    found = read_run_record(folder)
    if first_difference(found, record, ignore=TRAINED_BY) is not None or not is_finished(folder, found):
        return False
    return found.scores_sha256 == {name: file_digest(scores_path(folder, name)) for name in found.detectors}


def _observation(probabilities: Floats, variant: Variant) -> Observation:
    """What a trace of held-out answers has: the given labels, a probability a class, and the class of the greatest."""
    columns = {
        "given": variant.labels,
        "held_out.probabilities": probabilities,
        "prediction": probabilities.argmax(1),
    }
    return Observation(0, {name: column.astype(np.float32) for name, column in columns.items()})


def _check_name(name: str) -> None:
    """Raise ``BadUsage`` for a name that is no line, or that noisybench gives to scores of its own."""
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        msg = f"a name must be a line of 1 to {LONGEST_NAME} characters, got {name[:LONGEST_NAME]!r}"
        raise BadUsage(msg)
    if name in {*names("detectors"), *REFERENCES} or name.startswith("memorization by "):
        msg = f"'{name}' is the name of one of noisybench's own detectors or references; give the scores another"
        raise BadUsage(msg)
