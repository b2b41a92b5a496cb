"""The most suspicious samples of a data set, for someone who has no truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisybench.detection.scoring import read_scores
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.checks import unknown, whole
from noisybench.ground.errors import BadData, UnknownName
from noisybench.ground.files import check_fields, file_name, read_record
from noisybench.runs.folder import read_names
from noisybench.training.trace import read_trace
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


def suspects(run: str | Path, *, detector: str | None = None, top: int = 20) -> list[Suspect]:
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
    run, top = Path(run), whole(top, "top", least=1)
    folders = sorted(path.parent for path in run.rglob("agreement.parquet"))
    if not folders:
        msg = f"{run} holds no finished run; 'noisybench evaluate' makes one"
        raise BadData(msg)
    if len({folder.parent for folder in folders}) > 1:
        msg = f"{run} holds runs of several setups; name one of them, such as {folders[0].parent}"
        raise BadData(msg)
    found = _common([_detectors(folder / "run.json") for folder in folders])
    if detector is None:
        detector = DEFAULT_DETECTOR if DEFAULT_DETECTOR in found or not found else found[0]
    if detector not in found:
        raise UnknownName(unknown(detector, found, "detector of this run"))
    variant = read_variant(folders[0].parent.parent / "variant")
    order = [detector, *(name for name in found if name != detector)]
    means = {}
    for name in order:
        runs = [read_scores(folder / "scores" / f"{file_name(name)}.parquet") for folder in folders]
        for scores in runs:
            if scores.variant_id != variant.provenance.variant_id or scores.values.shape != variant.labels.shape:
                msg = f"{run} holds scores of other labels than its variant; evaluate again"
                raise BadData(msg)
        means[name] = np.mean([scores.values for scores in runs], axis=0)
    predicted = _most_predicted(folders, variant)
    called = read_names(folders[0].parent.parent, len(variant.labels))
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


def _detectors(path: Path) -> list[str]:
    """Names of the detectors of a run, from its record."""
    record = read_record(path)
    check_fields(record, {"detectors": Mapping[str, str]}, path)
    return list(record["detectors"])


def _most_predicted(folders: Sequence[Path], variant: Variant) -> Labels:
    """The class that most of the runs predict, shape (n,); ``UNKNOWN`` where they hold scores and nothing else."""
    if all(read_record(folder / "run.json").get("form") == "scores" for folder in folders):
        return np.full(len(variant.labels), UNKNOWN)
    votes = np.zeros((len(variant.labels), variant.num_classes), dtype=np.int64)
    for folder in folders:
        votes[np.arange(len(votes)), _last_prediction(folder / "trace", variant)] += 1
    return votes.argmax(1)


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
