"""Detectors of a whole training, each against a loop over samples and epochs."""

import itertools
import math
import statistics

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.detection.scoring import score
from noisybench.detection.suggesting import suggest
from noisybench.items import find
from noisybench.training.trace import Column, Trace

EPOCHS = [1, 2, 4, 7, 11, 20]
RNG = np.random.default_rng(0)


def trace_of(epochs: list[int], **columns: NDArray[np.generic]) -> Trace:
    """A trace of arrays of shape (e, n) or (e, n, k), the last epochs where there are fewer rows."""
    made = {
        name: Column(np.array(epochs[-len(values) :]), np.asarray(values, dtype=np.float32))
        for name, values in columns.items()
    }
    return Trace(made, "0" * 64)


def scores(name: str, trace: Trace) -> NDArray[np.float64]:
    return score(trace, find("detectors", name)).values


def test_mean_probability_margin_is_of_the_mean() -> None:
    """Log of the best other class less that of the label; the suggestion is that class; zeros stay finite."""
    means = RNG.dirichlet(np.full(4, 0.3), 50).astype(np.float32)
    means[0] = [0, 0, 0, 1]
    labels = RNG.integers(4, size=50)
    labels[0] = 1
    trace = trace_of(EPOCHS, mean_probabilities=means[None], given=labels[None])
    likeliest = suggest(trace, find("detectors", "mean_probability_margin"), labels).labels
    for sample, value in enumerate(scores("mean_probability_margin", trace)):
        p, y = means[sample].tolist(), labels[sample]
        other = max(p[k] for k in range(4) if k != y)
        assert value == pytest.approx(math.log(max(other, 2**-149)) - math.log(max(p[y], 2**-149)), rel=1e-6)
        suggested = likeliest[sample]
        assert suggested != y
        assert p[suggested] == other


def test_mean_of_probabilities_is_not_mean_of_margins() -> None:
    """Two samples that the margins rank one way and the mean probabilities the other (Jensen)."""
    logits = np.array([[[8.0, 0.0], [1.0, 0.0]], [[-3.0, 0.0], [1.0, 0.0]]])  # (e, n, k), label 0
    probabilities = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    trace = trace_of(
        [1, 2],
        margin=logits[:, :, 0] - logits[:, :, 1],
        mean_probabilities=probabilities.mean(0)[None],
        given=np.zeros((1, 2)),
    )
    margins, means = scores("aum", trace), scores("mean_probability_margin", trace)
    assert margins[0] < margins[1]
    assert means[0] > means[1]


def test_first_k_epochs_of_known_histories() -> None:
    """Three in a row, in epochs of the trace; later forgetting does not count."""
    histories = {
        "always right": [1, 1, 1, 1, 1, 1],
        "two in a row only": [1, 1, 0, 1, 1, 0],
        "late": [0, 0, 0, 1, 1, 1],
        "forgotten": [0, 1, 1, 1, 0, 0],
        "never right": [0, 0, 0, 0, 0, 0],
    }
    found = scores("first_k_epochs", trace_of(EPOCHS, correct=np.transpose(list(histories.values()))))
    assert found.tolist() == [4, 21, 20, 7, 21]


@pytest.mark.parametrize("epochs", [1, 2, 3, 6])
def test_first_k_epochs_equals_a_loop(epochs: int) -> None:
    """Also of fewer epochs than three."""
    correct = RNG.random((epochs, 200)) < np.linspace(0, 1, 200)
    expected = []
    for history in correct.T.tolist():
        ends = [t for t in range(min(3, epochs), epochs + 1) if all(history[t - min(3, epochs) : t])]
        expected.append(EPOCHS[:epochs][ends[0] - 1] if ends else EPOCHS[:epochs][-1] + 1)
    assert scores("first_k_epochs", trace_of(EPOCHS[:epochs], correct=correct)).tolist() == expected


@pytest.mark.parametrize(
    ("epochs", "counted"),
    [([1, 2, 3], [1]), ([4, 8, 40], [4, 8]), (list(range(1, 31)), [3, 4, 5, 6, 7]), (list(range(5)), [0, 1])],
)
def test_odd_is_a_quantile(epochs: list[int], counted: list[int]) -> None:
    """Share of mean losses of random labels below a sample's, equal ones half; a tenth of such labels pass the cut.

    The means are over the last five observed epochs of the first quarter of training, or over the first one.
    """
    losses, random = (RNG.exponential(scale, (len(epochs), 80)).round(1) for scale in (1, 2))
    random[:, :10] = losses[:, :10]
    trace = trace_of(epochs, loss=losses, counterfactual_loss=random)
    rows = [epochs.index(epoch) for epoch in counted]
    means = [statistics.fmean(values) for values in trace["loss"][rows].T.tolist()]
    others = [statistics.fmean(values) for values in trace["counterfactual_loss"][rows].T.tolist()]
    expected = [statistics.fmean((other < mean) + (other == mean) / 2 for other in others) for mean in means]
    np.testing.assert_allclose(scores("odd", trace), expected, atol=1e-12)
    same = trace_of(epochs, loss=random, counterfactual_loss=random)
    assert (scores("odd", same) > 0.1).mean() == pytest.approx(0.9, abs=0.03)


def test_odd_is_no_other_name_of_the_cumulative_loss() -> None:
    """Later epochs do not count; within the window samples order as by their mean loss, or tie."""
    losses = RNG.exponential(1, (40, 200))
    trace = trace_of(list(range(1, 41)), loss=losses, counterfactual_loss=RNG.exponential(2, (40, 200)))
    found = scores("odd", trace)
    assert (np.diff(found[np.argsort(trace["loss"][5:10].mean(0, dtype=np.float64))]) >= 0).all()
    assert (np.diff(found[np.argsort(scores("cumulative_loss", trace))]) < 0).any()


def test_time_consistency_is_what_was_recorded() -> None:
    """The value after the last epoch."""
    values = RNG.exponential(1, (2, 30))
    np.testing.assert_allclose(
        scores("time_consistency", trace_of([1, 2], time_inconsistency=values)), values[1], rtol=1e-6
    )


def test_ctrl_ranks_by_votes_then_by_loss() -> None:
    """Samples of more noisy windows stand above; within equal votes the mean loss decides."""
    e, n = 12, 90
    labels = np.arange(n) % 3
    high = RNG.random(n) < 0.2
    fall = np.linspace(2, 0.1, e)[:, None] * np.ones(n)
    losses = np.where(high, 2.0, fall) + RNG.exponential(0.05, (e, n))
    correct = np.repeat(~high[None], e, axis=0)
    found = scores("ctrl", trace_of(list(range(1, e + 1)), loss=losses, correct=correct, given=labels[None]))
    assert found[high].min() > found[~high].max()
    votes = np.floor(found)
    for one, other in itertools.pairwise(
        sorted(range(n), key=lambda sample: (votes[sample], losses[:, sample].mean()))
    ):
        assert found[one] <= found[other] + 1e-9
