"""Suggested labels: held-out answers first, else the commonest other class of all epochs, and their file."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from noisybench.detection.scoring import Detector, Suggestion
from noisybench.detection.suggesting import (
    best_other,
    commonest_other,
    read_suggestion,
    suggest,
    suggestion_path,
    suggestions,
    write_suggestion,
)
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadData, Mismatch, MissingColumn
from noisybench.ground.files import write_columns
from noisybench.training.trace import Observation, Trace, stack

ID = "a" * 64
PLAIN = Detector("plain", (), lambda trace: trace["prediction"][-1].astype(float), "this test")


def traced(predictions: list[list[int]], variant_id: str = ID, held_out: list[list[float]] | None = None) -> Trace:
    """A trace of predictions, with held-out probabilities at its last epoch where there are any."""
    rows = [{"prediction": np.array(row, np.float32)} for row in predictions]
    if held_out is not None:
        rows[-1]["held_out.probabilities"] = np.array(held_out, np.float32)
    return stack([Observation(e, row) for e, row in enumerate(rows, 1)], variant_id=variant_id)


def slow(predictions: Labels, given: Labels) -> list[int]:
    """The definition, sample by sample."""
    found = []
    for sample, own in enumerate(given):
        votes = [int(answer) for answer in predictions[:, sample] if answer not in (own, UNKNOWN)]
        most = max(Counter(votes).values(), default=0)
        found.append(next((answer for answer in reversed(votes) if votes.count(answer) == most), UNKNOWN))
    return found


@pytest.mark.parametrize(("rows", "n", "classes"), [(1, 50, 2), (2, 300, 3), (7, 400, 3), (12, 300, 200), (30, 200, 5)])
def test_the_commonest_other_class_is_that_of_a_loop(rows: int, n: int, classes: int) -> None:
    """Ties and samples that nothing else was ever said of included, and answers that are missing."""
    generator = np.random.default_rng(rows)
    predictions = generator.integers(UNKNOWN, classes, (rows, n))
    predictions[:, : n // 3] = generator.integers(0, 2, (rows, n // 3))
    given = generator.integers(0, classes, n)
    given[: n // 6] = 0
    found = commonest_other(predictions, given, classes)
    assert found.tolist() == slow(predictions, given)
    assert found.dtype == np.int64
    assert commonest_other(predictions.astype(np.float32), given, classes).tolist() == found.tolist()


def test_of_equally_common_classes_the_last_one_is_taken() -> None:
    """And never the given one, however often it was predicted."""
    predictions = np.array([[1, 1, 0], [2, 2, 0], [2, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert commonest_other(predictions, np.array([0, 0, 0]), 3).tolist() == [1, 1, UNKNOWN]


def test_blocks_of_samples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do the messages count within a block."""
    generator = np.random.default_rng(0)
    predictions, given = generator.integers(0, 4, (5, 103)), generator.integers(0, 4, 103)
    probabilities = generator.random((103, 4)).astype(np.float32)
    whole = commonest_other(predictions, given, 4), best_other([probabilities], given)
    monkeypatch.setattr("noisybench.detection.suggesting.CELLS", 50)
    assert np.array_equal(commonest_other(predictions, given, 4), whole[0])
    assert np.array_equal(best_other([probabilities], given), whole[1])
    predictions[3, 77] = 4
    with pytest.raises(
        BadData, match=r"^prediction 3 of sample 77 is 4, which is no class of 0..3 \(1 such entries\)$"
    ):
        commonest_other(predictions, given, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, -2.0, 9.0, 1e30])
def test_predictions_that_are_no_classes_are_refused(value: float) -> None:
    """Whatever a file may hold."""
    predictions = np.array([[0, 1], [0, value]], np.float32)
    with pytest.raises(BadData, match="prediction 1 of sample 1 is .* which is no class of 0..8"):
        commonest_other(predictions, np.array([0, 0]), 9)


def test_memory_does_not_grow_with_samples_times_classes() -> None:
    """300,000 samples of 1,000 classes over 10 epochs: a table of votes would take 2.4 GB as int64."""
    n, classes, rows = 300_000, 1000, 10
    generator = np.random.default_rng(0)
    predictions = generator.integers(0, classes, (rows, n)).astype(np.float32)
    given = generator.integers(0, classes, n)
    tracemalloc.start()
    found = commonest_other(predictions, given, classes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6
    some = slice(0, n, 3001)
    assert found[some].tolist() == slow(predictions[:, some].astype(np.int64), given[some])


def test_the_best_other_class_is_that_of_a_loop() -> None:
    """Of one or several trainings; NaN, and other classes of no probability at all, say nothing."""
    generator = np.random.default_rng(1)
    parts = [generator.random((200, 6)).astype(np.float32) for _ in range(3)]
    given = generator.integers(0, 6, 200)
    parts[0][0], parts[1][1] = np.nan, np.nan
    for part in parts:
        part[2] = np.nan
        part[3] = np.eye(6)[given[3]]
    for some in (parts[:1], parts):
        wanted = []
        for sample, own in enumerate(given):
            totals = {
                k: sum(float(p[sample, k]) for p in some if not np.isnan(p[sample, k])) for k in range(6) if k != own
            }
            best = max(totals, key=lambda k: totals[k])
            wanted.append(best if totals[best] > 0 else UNKNOWN)
        assert best_other(some, given).tolist() == wanted
    assert best_other(parts[:1], given)[[0, 2, 3]].tolist() == [UNKNOWN] * 3
    with pytest.raises(BadData, match=r"probabilities have shape \(200, 6\), the labels \(200,\); .* labels below k"):
        best_other(parts[:1], given + 1)


def test_held_out_answers_come_before_predictions() -> None:
    """And a detector's own suggestion before both."""
    trace = traced([[0, 1], [0, 1]], held_out=[[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]])
    given = np.array([0, 1])
    assert suggest(trace, PLAIN, given).labels.tolist() == [2, 2]
    own = Detector("own", ("prediction",), PLAIN.score, "this test", suggest=lambda _: np.array([1, UNKNOWN]))
    found = suggestions(trace, [PLAIN, own], given)
    assert {name: one.labels.tolist() for name, one in found.items()} == {"plain": [2, 2], "own": [1, UNKNOWN]}
    assert found["own"].variant_id == ID
    assert not found["own"].labels.flags.writeable


def test_seeds_vote_together() -> None:
    """Their votes are summed in the order of the epochs, not of the seeds; own suggestions are votes too."""
    given = np.array([0, 0, 0])
    traces = [traced([[1, 1, 0], [1, 0, 2]]), traced([[2, 2, 0], [2, 0, 1]]), traced([[2, 1, 0], [0, 2, 0]])]
    assert suggest(traces, PLAIN, given).labels.tolist() == [2, 2, 1]
    assert suggest(traces[:1], PLAIN, given).labels.tolist() == [1, 1, 2]
    first = Detector("own", (), PLAIN.score, "this test", suggest=lambda t: t["prediction"][0].astype(int))
    with pytest.raises(
        BadData, match=r"'own' suggests class 0 for sample 2, which is the given label \(1 such samples\)"
    ):
        suggest(traces, first, given)
    assert suggest(traces, first, np.array([0, 0, 3])).labels.tolist() == [2, 1, 0]
    with pytest.raises(Mismatch, match="2 traces of 2 variants; expected some of one"):
        suggest([traces[0], traced([[1, 1, 1]], "b" * 64)], PLAIN, given)
    with pytest.raises(BadData, match=r"predictions have shape \(2, 3\), \(1, 2\); expected \(e, n\), of as many"):
        suggest([traces[0], traced([[1, 1]])], PLAIN, given)


def test_what_has_nothing_to_suggest_says_so() -> None:
    """One trace of losses alone; many detectors are then left out."""
    trace = stack([Observation(1, {"loss": np.zeros(2, np.float32)})], variant_id=ID)
    with pytest.raises(MissingColumn, match="no column 'prediction' in this trace, which has: loss"):
        suggest(trace, PLAIN, np.array([0, 1]))
    assert suggestions(trace, [PLAIN], np.array([0, 1])) == {}


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        (np.array([1]), "gave 1 suggestions, expected one for each of 2 samples"),
        (np.array([1, -2]), r"suggests class -2 for sample 1, which is no class"),
        (np.array([1.0, 2.0]), "suggestions of 'own' must be integers"),
    ],
)
def test_own_suggestions_of_another_kind_are_refused(gives: Labels, words: str) -> None:
    """A class for each sample, or none."""
    own = Detector("own", (), PLAIN.score, "this test", suggest=lambda _: gives)
    with pytest.raises(BadData, match=words):
        suggest(traced([[0, 0]]), own, np.array([0, 0]))


def test_suggestions_come_back(tmp_path: Path) -> None:
    """With their detector and their variant; out of order, or of nobody knows what, they are refused."""
    labels = np.array([3, UNKNOWN, 0])
    path = suggestion_path(tmp_path, "a/b")
    assert path.parent == tmp_path / "suggestions"
    write_suggestion(Suggestion("a/b", labels, ID), path)
    found = read_suggestion(path)
    assert (found.labels.tolist(), found.detector, found.variant_id) == (labels.tolist(), "a/b", ID)
    columns = {"sample": np.arange(3), "suggested": labels}
    write_columns(columns, path)
    with pytest.raises(Mismatch, match="does not say which variant it is of; write it with noisybench"):
        read_suggestion(path)
    write_columns({**columns, "sample": np.array([1, 0, 2])}, path, metadata={"variant_id": ID})
    with pytest.raises(BadData, match=r"is not in sample order; expected samples 0..2$"):
        read_suggestion(path)
    write_columns({**columns, "suggested": labels.astype(float)}, path, metadata={"variant_id": ID})
    with pytest.raises(BadData, match="must be classes as int64, got float64"):
        read_suggestion(path)
