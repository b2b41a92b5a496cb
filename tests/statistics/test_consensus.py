"""How three kinds of evidence become one suspicion, against a loop, and the cut."""

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.ground.errors import BadData
from noisybench.statistics.consensus import CUT, TUNING_SETS, consensus, disagreeing
from noisybench.statistics.linear_probe import held_out_probabilities
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.ridge import leave_one_out_ridge

Floats = NDArray[np.float64]


def drawn(n: int = 50, k: int = 4) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Labels, ridge answers, probabilities, shares."""
    rng = np.random.default_rng(0)
    return rng.integers(0, k, n), rng.normal(size=(n, k)), rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k), n)


def looped(labels: NDArray[np.int64], *evidence: Floats) -> Floats:
    """Sample by sample, kind by kind."""
    total = np.zeros(len(labels))
    for kind, values in enumerate(evidence):
        scores = np.log(values + 0.001) if kind == 1 else values
        margins = [max(np.delete(row, label)) - row[label] for row, label in zip(scores, labels, strict=True)]
        total += np.array(margins) / (sum(m * m for m in margins) / len(margins)) ** 0.5 / 3
    return total


def test_suspicion_is_that_of_a_loop() -> None:
    """In float32 too, as a trace keeps it; permuted samples have permuted suspicions."""
    labels, *evidence = drawn()
    found = consensus(labels, *evidence)
    np.testing.assert_allclose(found, looped(labels, *evidence))
    np.testing.assert_allclose(consensus(labels, *(e.astype(np.float32) for e in evidence)), found, atol=1e-5)
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_allclose(consensus(labels[order], *(e[order] for e in evidence)), found[order])


def test_evidence_without_a_word_is_left_out() -> None:
    """Equal answers to all classes count nothing; with no evidence at all nothing is suspicious."""
    labels, answers, probabilities, _ = drawn()
    even = np.full((50, 4), 0.25)
    two = looped(labels, answers, probabilities, answers) - looped(labels, answers)
    np.testing.assert_allclose(consensus(labels, answers, probabilities, even), two)
    assert not consensus(labels, even, even, even).any()
    assert not disagreeing(consensus(labels, even, even, even)).any()


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1, 0.4])
def test_the_cut_finds_planted_errors_and_few_others(rate: float) -> None:
    """Of classes that hardly overlap; no number of errors is told to it."""
    rng = np.random.default_rng(0)
    n, k = 400, 4
    clean = rng.integers(0, k, n)
    features = 3 * rng.normal(size=(k, 40))[clean] / 2 + rng.normal(size=(n, 40)) * 1.5
    wrong = rng.permutation(n) < rate * n
    given = np.where(wrong, (clean + rng.integers(1, k, n)) % k, clean)
    suspicion = consensus(
        given,
        leave_one_out_ridge(features, given, k).answers,
        held_out_probabilities(features, given, k).probabilities,
        neighbour_labels(features, given, k),
    )
    flagged = disagreeing(suspicion)
    assert flagged[~wrong].mean() < 0.02
    assert not wrong.any() or flagged[wrong].mean() > 0.85
    assert suspicion[flagged].min(initial=np.inf) > CUT


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, np.full(50, 4), r"labels\[0\] = 4 is not a class of 0..3"),
        (1, np.ones((50, 3)), r"ridge_answers have shape \(50, 3\), expected \(50, 4\), that of the probabilities"),
        (1, np.full((50, 4), np.nan), r"ridge_answers\[0\] holds a value that is not finite \(50 such rows\)"),
        (1, np.ones(50), "ridge_answers must be an array of numbers of 2 dimensions"),
        (2, np.full((50, 4), 0.3), r"\[0\] sums to 1.2"),
        (3, np.full((50, 5), 0.2), r"shares of neighbours have shape \(50, 5\), expected \(50, 4\)"),
        (3, np.full((50, 4), 0.3), r"shares of neighbours\[0\] sums to 1.2"),
    ],
)
def test_what_is_none_is_refused(at: int, value: Floats, message: str) -> None:
    """One sentence with what was wrong and what was expected."""
    given = list(drawn())
    given[at] = value
    with pytest.raises(BadData, match=message):
        consensus(*given)  # type: ignore[arg-type]


def test_tuning_sets_are_none_whose_figures_are_reported() -> None:
    """Neither by name nor by content."""
    told = " ".join([*TUNING_SETS, *TUNING_SETS.values()]).lower()
    assert "fashion" in told
    for name in ("wine", "digits", "cifar", "music", "isbook", "hausa", "numpy", "torch", "pandas"):
        assert name not in told
    assert "mnist" not in told.replace("fashion-mnist", "")
