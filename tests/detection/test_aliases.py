"""Aliases: what is said to be the same ranking is, and what is close to it and another one is not folded.

Losses of labels that are as good as certain, or as good as impossible, differ by less than a probability can tell in 64
bits: there the other definitions are computed to 80 digits, so that ranks are ranks and not ties.
"""

from collections.abc import Callable
from decimal import Decimal, getcontext

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from noisybench.detection.scoring import Detector
from noisybench.items import find, names
from noisybench.training.trace import Column, Trace

N, K, E, M = 400, 5, 3, 40
"""Samples, classes, epochs, models."""
Floats = NDArray[np.float64]
TWO = Decimal(2)


def jensen_shannon(p: Decimal) -> Decimal:
    """JSD of the prediction to the one-hot label, which the label's probability alone decides (METHODS of the field)."""
    half = (1 + p) / 2
    return (-half.ln() + p * (p / half).ln() + (1 - p) * TWO.ln()) / 2


OF_PROBABILITY: dict[str, Callable[[Decimal], Decimal]] = {
    "in-confidence": lambda p: 1 - p,
    "cross-entropy": lambda p: -p.ln(),
    "GCE": lambda p: (1 - p ** Decimal("0.7")) / Decimal("0.7"),
    "Jensen-Shannon divergence to the given label": jensen_shannon,
}
"""Alias of ``final_loss`` → its definition, of the label's probability."""


def traced(**columns: NDArray[np.floating]) -> Trace:
    return Trace(
        {name: Column(np.arange(1, len(values) + 1), values) for name, values in columns.items()}, variant_id="0" * 64
    )


def ranks(values: Floats | list[Decimal]) -> list[float]:
    order = np.empty(len(values), dtype=object)
    order[:] = list(values)
    unique = {value: i for i, value in enumerate(sorted(set(order)))}
    return rankdata([unique[value] for value in order]).tolist()


@pytest.fixture(scope="module")
def logits() -> Floats:
    """Logits up to ± 50, (e, n, k); the label is class 0."""
    return np.random.default_rng(0).uniform(-50, 50, (E, N, K))


def exact_probabilities(logits: Floats) -> list[Decimal]:
    """Probability of class 0, to 80 digits: (n, k) → n."""
    getcontext().prec = 80
    powers = [[Decimal(z).exp() for z in row] for row in logits.tolist()]
    return [row[0] / sum(row) for row in powers]


def loss_of(logits: Floats) -> Floats:
    """Cross-entropy of class 0 in 64 bits, from the other classes, so that certain labels do not tie: (…, k) → (…)."""
    found: Floats = np.logaddexp.reduce(logits - logits[..., :1], axis=-1)
    small = np.logaddexp.reduce(logits[..., 1:] - logits[..., :1], axis=-1)
    return np.where(small < 0, np.log1p(np.exp(small)), found)


@pytest.mark.parametrize("alias", OF_PROBABILITY)
def test_losses_of_one_epoch_are_one_ranking(alias: str, logits: Floats) -> None:
    """Every alias of ``final_loss`` ranks as it does, on logits up to ± 50, without one tie or inversion."""
    detector = find("detectors", "final_loss")
    assert alias in detector.aliases
    suspicion = detector.score(traced(loss=loss_of(logits)))
    other = [OF_PROBABILITY[alias](p) for p in exact_probabilities(logits[-1])]
    assert len(set(other)) == N
    assert ranks(suspicion) == ranks(other)


def test_neighbours_and_held_out_answers_have_the_names_of_loops() -> None:
    """KDN counts neighbours of another label; Data-OOB and the C-score of one share, models that did not see the sample."""
    rng = np.random.default_rng(1)
    given, others = rng.integers(0, K, N), rng.integers(0, K, (N, 20))
    shares = np.stack([(others == c).mean(1) for c in range(K)], axis=1)[None]
    trace = traced(given=given[None].astype(float), **{"neighbours.labels": shares})
    kdn = [sum(other != given[i] for other in others[i]) / 20 for i in range(N)]
    assert find("detectors", "knn").score(trace) == pytest.approx(kdn, abs=1e-12)
    answers, seen = rng.integers(0, K, (M, N)), rng.random((M, N)) < 0.6
    votes = np.array([[np.mean(answers[~seen[:, i], i] == c) for c in range(K)] for i in range(N)])[None]
    oob = [np.mean([answers[m, i] == given[i] for m in range(M) if not seen[m, i]]) for i in range(N)]
    found = find("detectors", "held_out_error").score(
        traced(given=given[None].astype(float), **{"held_out.votes": votes})
    )
    assert found == pytest.approx(1 - np.array(oob), abs=1e-12)
    for name, alias in (("knn", "kDN"), ("held_out_error", "Data-OOB (of a bootstrap pool)")):
        assert alias in find("detectors", name).aliases


def test_averages_over_epochs_are_what_their_names_say(logits: Floats) -> None:
    """Mean cross-entropy and mean in-confidence over epochs, from probabilities."""
    loss = np.clip(loss_of(logits), 1e-6, 30)
    for name, values in (("cumulative_loss", loss.mean(0)), ("label_confidence", (1 - np.exp(-loss)).mean(0))):
        assert find("detectors", name).score(traced(loss=loss)) == pytest.approx(values, abs=1e-9)


def test_what_is_close_is_not_folded(logits: Floats) -> None:
    """CORES and AUM; the mean of losses and the loss of the mean probability: other ranks, and so rows of their own."""
    margin = logits[..., 0] - logits[..., 1:].max(-1)
    mean_margin = logits[..., 0] - logits.mean(-1)
    aum = find("detectors", "aum").score(traced(margin=margin))
    cores = find("detectors", "cores").score(traced(mean_margin=mean_margin))
    assert ranks(aum) != ranks(cores)
    loss = loss_of(logits)
    assert ranks(loss.mean(0)) != ranks(-np.log(np.exp(-loss).mean(0)))
    folded = {alias for name in names("detectors") for alias in find("detectors", name).aliases}
    assert not folded & {"CORES", "AUM", *names("detectors")}


def test_an_alias_names_one_detector() -> None:
    """No other name stands for two rankings, and none is the name of a detector."""
    items: list[Detector] = [find("detectors", name) for name in names("detectors")]
    said = [alias for item in items for alias in item.aliases]
    assert len(said) == len(set(said))
