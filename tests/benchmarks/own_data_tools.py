"""Tools that look for wrong labels: noisybench, and the library that people know on its own road and on our evidence.

``OWN_ROAD`` are that library's tools as their tutorials use them: Datalab on features alone; Datalab on probabilities of
scikit-learn's ``LogisticRegression`` by ``cross_val_predict``; ``CleanLearning`` as it comes. The features of that road
are standardised columns, ``TfidfVectorizer`` as it comes, pixels. ``on_evidence`` runs them on our features and held-out
probabilities. ``ours`` is what ``noisybench suspects`` does, on features that were computed once a set.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from own_data_sets import Labels, OwnData, first_photographs, photographs, written

from noisybench import Source, features_of, find_suspects, source_from_arrays
from noisybench.board.finding import Wish, suspects_at
from noisybench.board.suspects import Suspects
from noisybench.statistics.grouping import find_groups
from noisybench.statistics.linear_probe import held_out_probabilities


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a tool says of labels.

    Attributes:
        suspicion: Higher is more likely mislabeled, shape (n,).
        flagged: The tool's own cut, shape (n,).
        suggested: The label that it would give, shape (n,).
        before: Processor seconds of what was computed once, such as features.
    """

    suspicion: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    suggested: Labels
    before: float = 0.0


Tool = Callable[[OwnData, Labels], Found]


# The library that people know, on its own road


def plain_features(data: OwnData) -> NDArray[np.float64]:
    """Features as its tutorials make them, without a pretrained network: (n, d)."""
    if isinstance(data.inputs, list):
        from sklearn.feature_extraction.text import TfidfVectorizer

        return np.asarray(TfidfVectorizer().fit_transform(data.inputs).toarray())
    if data.inputs.ndim > 2:
        return data.inputs.reshape(len(data.inputs), -1) / 255
    return (data.inputs - data.inputs.mean(0)) / data.inputs.std(0)


def by_datalab(
    labels: Labels, *, features: NDArray[Any] | None = None, probabilities: NDArray[Any] | None = None
) -> Found:
    """Datalab's label issues, with its defaults."""
    from cleanlab import Datalab

    lab = Datalab({"label": labels.tolist()}, label_name="label", task="classification", verbosity=0)
    lab.find_issues(features=features, pred_probs=probabilities, issue_types={"label": {}})
    issues = lab.get_issues("label")
    return Found(
        1 - issues["label_score"].to_numpy(np.float64),
        issues["is_label_issue"].to_numpy(bool),
        issues["predicted_label"].to_numpy().astype(np.int64),
    )


def by_clean_learning(
    labels: Labels, *, features: NDArray[Any] | None = None, probabilities: NDArray[Any] | None = None
) -> Found:
    """The label issues of ``CleanLearning`` as it comes, or of given probabilities."""
    from cleanlab.classification import CleanLearning

    given: dict[str, Any] = {"X": features} if probabilities is None else {"pred_probs": probabilities}
    issues = CleanLearning(seed=0).find_label_issues(labels=labels, **given)
    return Found(
        1 - issues["label_quality"].to_numpy(np.float64),
        issues["is_label_issue"].to_numpy(bool),
        issues["predicted_label"].to_numpy().astype(np.int64),
    )


def cross_validated(features: NDArray[Any], labels: Labels) -> NDArray[np.float64]:
    """Held-out probabilities as its tutorials make them: (n, d) and (n,) → (n, k)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    return np.asarray(cross_val_predict(LogisticRegression(), features, labels, method="predict_proba"))


def _datalab_on_features(data: OwnData, labels: Labels) -> Found:
    return by_datalab(labels, features=plain_features(data))


def _datalab_on_probabilities(data: OwnData, labels: Labels) -> Found:
    return by_datalab(labels, probabilities=cross_validated(plain_features(data), labels))


def _clean_learning(data: OwnData, labels: Labels) -> Found:
    return by_clean_learning(labels, features=plain_features(data))


OWN_ROAD: dict[str, Tool] = {
    "Datalab, features": _datalab_on_features,
    "Datalab, probabilities": _datalab_on_probabilities,
    "CleanLearning": _clean_learning,
}


# noisybench


class Frozen(NamedTuple):
    """Features (n, d), and the processor seconds that they took."""

    values: NDArray[np.float32]
    seconds: float


FEATURES = {
    "wine": ("input", "input"), "texts": ("words", "minilm"),
    "digits": ("patches", "patches"), "photographs": ("patches", "lite0"),
}  # fmt: skip
"""Set → what ``noisybench suspects`` takes without extras, and with them."""


@cache
def frozen(data: OwnData, name: str) -> Frozen:
    """Features of a set, which depend on no label."""
    if name == "lite0" and data.rows is not None and data is not photographs(0):
        return Frozen(_of_first(name)[data.rows], frozen(photographs(0), name).seconds)
    start = time.process_time()
    values = features_of(_source(data), name)
    return Frozen(values, time.process_time() - start)


@cache
def _of_first(name: str) -> NDArray[np.float32]:
    """Features of the first 10,000 photographs, kept in a folder where one is named."""
    source = source_from_arrays("photographs", *first_photographs())
    return features_of(source, name, cache=os.environ.get("OWN_DATA_CACHE"))


def _source(data: OwnData) -> Source:
    if isinstance(data.inputs, list):
        return source_from_arrays("own", plain_features(data).astype(np.float32), data.clean, texts=data.inputs)
    values = data.inputs[..., None] if data.inputs.ndim == GREY else data.inputs
    return source_from_arrays("own", values if values.ndim > 2 else plain_features(data).astype(np.float32), data.clean)


GREY = 3
"""Dimensions of images of one channel."""


def file_order(data: OwnData, labels: Labels) -> NDArray[np.intp]:
    """In which order the set's files hold its samples: class folders one after the other, shape (n,)."""
    images = isinstance(data.inputs, np.ndarray) and data.inputs.ndim > 2
    return np.argsort(labels, kind="stable") if images else np.arange(len(labels))


def ours(*, extras: bool) -> Tool:
    """What ``noisybench suspects`` says, with features of ``FEATURES``."""

    def tool(data: OwnData, labels: Labels) -> Found:
        values, seconds = frozen(data, FEATURES[data.name][extras])
        order = file_order(data, labels)
        found = find_suspects(labels=labels[order], features=values[order], class_names=data.class_names)
        return _as_found(found, order, seconds)

    return tool


def by_command(data: OwnData, labels: Labels, name: str) -> Found:
    """What ``noisybench suspects`` says of the set's files, with these features."""
    with TemporaryDirectory() as folder:
        place = written(data, labels, Path(folder) / "data")
        found = suspects_at(str(place), Wish(features=name, device="cpu"), out=Path(folder) / "runs")
        assert found.class_names == data.class_names
        order = np.arange(len(labels))
        if place.is_dir():
            assert found.names is not None
            order = np.array([int(Path(one).stem) for one in found.names])
        assert np.array_equal(found.given, labels[order])
        return _as_found(found, order, 0.0)


def _as_found(found: Suspects, order: NDArray[np.intp], seconds: float) -> Found:
    assert found.flagged is not None
    back = np.argsort(order)
    return Found(found.suspicion[back], found.flagged[back], found.suggested[back], seconds)


# The library that people know, on our evidence


def evidence(data: OwnData, labels: Labels, name: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Features (n, d) and held-out probabilities (n, k), as a run of ours has them."""
    return frozen(data, name).values, _probabilities(data, labels.tobytes(), name)


@lru_cache(maxsize=4)
def _probabilities(data: OwnData, labels: bytes, name: str) -> NDArray[np.float64]:
    values, given = frozen(data, name).values, np.frombuffer(labels, np.int64)
    return held_out_probabilities(values, given, len(data.class_names), groups=find_groups(values)).probabilities


def on_evidence(*, extras: bool) -> dict[str, Tool]:
    """The same tools on our evidence, and the likeliest other class of our held-out probabilities alone."""

    def seen(data: OwnData, labels: Labels) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        return evidence(data, labels, FEATURES[data.name][extras])

    def with_features(data: OwnData, labels: Labels) -> Found:
        return by_datalab(labels, features=seen(data, labels)[0])

    def with_probabilities(data: OwnData, labels: Labels) -> Found:
        return by_datalab(labels, probabilities=seen(data, labels)[1])

    def learning(data: OwnData, labels: Labels) -> Found:
        return by_clean_learning(labels, probabilities=seen(data, labels)[1])

    def likeliest_other(data: OwnData, labels: Labels) -> Found:
        probabilities = seen(data, labels)[1]
        rows, others = np.arange(len(labels)), probabilities.copy()
        others[rows, labels] = -np.inf
        return Found(1 - probabilities[rows, labels], probabilities.argmax(1) != labels, others.argmax(1))

    which = "ours with" if extras else "ours without"
    return {
        f"Datalab, features of {which}": with_features,
        f"Datalab, probabilities of {which}": with_probabilities,
        f"CleanLearning, probabilities of {which}": learning,
        f"likeliest other class, of {which}": likeliest_other,
    }
