"""The most suspicious samples of a data set, for someone who has no truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisybench.detection.scoring import Scores, scores_path
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.checks import a_path, unknown, whole
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, UnknownName
from noisybench.ground.walking import find_below, reached
from noisybench.runs.folder import RECORD
from noisybench.runs.reading import AnyPath, Run, leave_out, read_run
from noisybench.training.trace import read_trace
from noisybench.variants.sample_names import read_names
from noisybench.variants.variant import Variant, read_variant

DEFAULT_DETECTOR = "cumulative_loss"


@dataclass(frozen=True, slots=True)
class Suspect:
    """One sample.

    Attributes:
        sample: Its position in the source.
        name: What people call it, such as its file, where the source says so and was there when the run was made; else
            empty.
        given: The label it has.
        given_name: Name of that class.
        predicted: What the model says at the end of training; the most frequent answer over seeds. -1 of scores that
            came without predictions.
        predicted_name: Name of that class.
        scores: Detector → score, mean over seeds; higher is more likely mislabeled. The ranking detector comes first.
    """

    sample: int
    name: str
    given: int
    given_name: str
    predicted: int
    predicted_name: str
    scores: dict[str, float]


def suspects(run: AnyPath, *, detector: str | None = None, top: int = 20) -> list[Suspect]:
    """The ``top`` most suspicious samples, most suspicious first.

    Args:
        run: A run folder, or one above the seeds of one setup: their scores are then averaged.
        detector: The one that ranks, ties in sample order; None takes ``cumulative_loss`` where the runs have it, else
            the first that they have.
        top: How many.

    Raises:
        UnknownName: The runs have no scores of that detector.
        BadData: No finished run is there, or several setups are.
    """
    folder, top = a_path(run, "run"), whole(top, "top", least=1)
    runs = _finished_below(folder)
    if not runs:
        msg = f"{folder} holds no finished run; 'noisybench evaluate' makes one, and 'noisybench score' of your own probabilities"
        raise BadData(msg)
    if len({one.path.parent for one in runs}) > 1:
        msg = f"{folder} holds runs of several setups; name one of them, such as {runs[0].path.parent}"
        raise BadData(msg)
    found = _common([list(one.kinds) for one in runs])
    for name in [name for name in found if len({one.maker(name) for one in runs}) > 1]:
        fault = BadData(
            f"the runs in {folder} have scores of '{name}' by different codes, which are not averaged; name one of the "
            f"runs, such as {runs[0].path}, or evaluate all of them again"
        )
        if name == detector:
            raise fault
        leave_out(fault)
        found = tuple(other for other in found if other != name)
    if detector is None:
        detector = DEFAULT_DETECTOR if DEFAULT_DETECTOR in found or not found else found[0]
    if detector not in found:
        raise UnknownName(unknown(detector, found, "detector of this run"))
    variant = read_variant(runs[0].home / "variant")
    order = [detector, *(name for name in found if name != detector)]
    means = {}
    for name in order:
        scored = [_unchanged(one, name) for one in runs]
        for scores in scored:
            if scores.variant_id != variant.provenance.variant_id or scores.values.shape != variant.labels.shape:
                msg = f"{folder} holds scores of other labels than its variant; evaluate again"
                raise BadData(msg)
        means[name] = np.mean([scores.values for scores in scored], axis=0)
    predicted = _most_predicted(runs, variant)
    called = read_names(runs[0].home, len(variant.labels)) or [""] * len(variant.labels)
    return [
        Suspect(
            sample=int(i),
            name=called[i],
            given=int(variant.labels[i]),
            given_name=variant.class_names[variant.labels[i]],
            predicted=int(predicted[i]),
            predicted_name="unknown" if predicted[i] == UNKNOWN else variant.class_names[predicted[i]],
            scores={name: float(values[i]) for name, values in means.items()},
        )
        for i in np.argsort(-means[detector], kind="stable")[:top]
    ]


def _unchanged(run: Run, name: str) -> Scores:
    """The scores of a detector, which must be those that the run left."""
    path = scores_path(run.path, name)
    told = (run.record.files_sha256 or {}).get(path.relative_to(run.path).as_posix())
    if told is not None and file_digest(path) != told:
        msg = f"{path} was changed after it was written; run the command that made it again"
        raise BadData(msg)
    return run.scores(name)


def _finished_below(folder: Path) -> list[Run]:
    """The finished runs in a folder and below it, in the order of their paths."""
    runs = (read_run(path.parent) for path in find_below(reached(folder), {RECORD}).paths)
    return [run for run in runs if run.finished]


def _most_predicted(runs: Sequence[Run], variant: Variant) -> Labels:
    """The class that most of the runs predict, shape (n,); ``UNKNOWN`` where they hold scores and nothing else."""
    if all(run.record.form == "scores" for run in runs):
        return np.full(len(variant.labels), UNKNOWN)
    answers = np.stack([_last_prediction(run.path / "trace", variant) for run in runs])
    votes = np.stack([(answers == answer).sum(0) for answer in answers])
    most: Labels = np.where(votes == votes.max(0), answers, variant.num_classes).min(0)  # of equally many the first
    return most


def _last_prediction(folder: Path, variant: Variant) -> Labels:
    """Predicted classes at the end of a trace, shape (n,)."""
    values = read_trace(folder)["prediction"][-1]
    if values.shape != variant.labels.shape or not np.isin(values, np.arange(variant.num_classes)).all():
        msg = f"{folder} holds predictions that are no classes of the variant's samples; evaluate again"
        raise BadData(msg)
    return values.astype(np.int64)


def _common(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The names that are in every list, in the order of the first."""
    return tuple(name for name in lists[0] if all(name in other for other in lists[1:]))
