"""Aliases are one ranking, by their published formulas in exact arithmetic; what is only close to one is not folded."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax

from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Floats
from noisybench.ground.errors import UnknownName
from noisybench.ground.lookup import find, names
from noisybench.training.trace import Column, Trace

E, N, K = 3, 120, 5
RNG = np.random.default_rng(0)
LOGITS = RNG.uniform(-50, 50, (E, N, K)) * RNG.uniform(0.01, 1, (N, 1))
GIVEN = RNG.integers(0, K, N)
DIGITS = 200
"""Of the arithmetic of the formulas: 1 - p of logits up to 50 apart by 100 needs 44 of them."""

Formula = Callable[[Sequence[Decimal]], Decimal]
"""The probabilities of a label at each epoch → what is published, with the published sign."""


def probabilities(logits: Floats) -> list[list[Decimal]]:
    """The softmax of each sample and epoch at its given label, [n][e], in ``DIGITS`` digits."""
    found = []
    for i in range(logits.shape[1]):
        row = []
        for epoch in logits:
            powers = [Decimal(float(z)).exp() for z in epoch[i]]
            row.append(powers[GIVEN[i]] / sum(powers))
        found.append(row)
    return found


def loss(logits: Floats) -> Floats:
    """Cross-entropy in float64 without cancellation: log(1 + sum of exp(z_k - z_y) over other k), (e, n)."""
    own = np.take_along_axis(logits, np.broadcast_to(GIVEN[None, :, None], (*logits.shape[:2], 1)), 2)
    apart = logits - own
    np.put_along_axis(apart, np.broadcast_to(GIVEN[None, :, None], (*logits.shape[:2], 1)), -np.inf, 2)
    return np.logaddexp(0, np.logaddexp.reduce(apart, axis=2))


def mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def divergence(p: Decimal) -> Decimal:
    """Jensen-Shannon between a prediction and the one-hot label: the other classes, all at 0 there, sum to 1 - p."""
    middle = (1 + p) / 2
    return (-middle.ln() + p * (p / middle).ln() + (1 - p) * Decimal(2).ln()) / 2


OF_LABEL: dict[str, tuple[str, int, Formula]] = {
    "cross-entropy": ("final_loss", 1, lambda p: -p[-1].ln()),
    "small loss": ("final_loss", 1, lambda p: -p[-1].ln()),
    "in-confidence": ("final_loss", 1, lambda p: 1 - p[-1]),
    "GCE": ("final_loss", 1, lambda p: (1 - p[-1] ** Decimal("0.7")) / Decimal("0.7")),
    "Jensen-Shannon to the one-hot label": ("final_loss", 1, lambda p: divergence(p[-1])),
    "Data Maps confidence": ("label_confidence", -1, mean),
    "Data-IQ confidence": ("label_confidence", -1, mean),
    "CSL": ("cumulative_loss", 1, lambda p: sum((-each.ln() for each in p), Decimal(0))),
}
"""Alias → whose it is, the sign of the published formula for suspicion, and the formula of the label's probabilities."""
OF_OTHERS = {
    "Data Maps correctness",
    "Data-OOB",
    "C-score at one ratio",
    "kDN",
    "deep kNN",
    "held-out cross-entropy",
    "SSFT",
    "FSLT",
}
"""Those whose tests are below."""


def trace(**columns: NDArray[np.generic]) -> Trace:
    count = len(next(iter(columns.values())))
    named = {name.replace("__", "."): Column(np.arange(1, count + 1), values) for name, values in columns.items()}  # type: ignore[arg-type]
    return Trace(named, "0" * 64)


def ranks(values: Floats) -> Floats:
    return stats.rankdata(values)


def test_every_alias_has_its_formula_here() -> None:
    """What is declared is what is held to a formula below."""
    declared = {alias for name in names("detectors") for alias in find("detectors", name).aliases}
    assert declared == {*OF_LABEL, *OF_OTHERS}
    assert all(alias in find("detectors", name).aliases for alias, (name, _, _) in OF_LABEL.items())


@pytest.mark.parametrize("alias", OF_LABEL)
def test_an_alias_of_the_labels_probability_is_the_same_ranking(alias: str) -> None:
    """In float64, logits up to ± 50; the formula in exact arithmetic, since 1 - p of a sure model is 1 or 0 in float64.

    At one epoch the ranks are equal. A mean over epochs may round two samples to one float: they never change places, and
    those that tie are nearer than rounding.
    """
    name, sign, formula = OF_LABEL[alias]
    ours = find("detectors", name).score(trace(loss=loss(LOGITS)))
    with localcontext() as context:
        context.prec = DIGITS
        exact = [sign * formula(each) for each in probabilities(LOGITS)]
        order = sorted(range(N), key=lambda i: exact[i])
        if name == "final_loss":
            assert len(set(exact)) == N
            np.testing.assert_array_equal(ranks(ours)[order], np.arange(1, N + 1))
        else:
            near = [float(exact[j] - exact[i]) for i, j in pairwise(order)]
            apart = np.diff(ours[order])
            assert (apart >= -1e-15).all()
            assert all(gap < 1e-15 for gap, step in zip(near, apart, strict=True) if step <= 0)
            assert (apart > 0).mean() > 0.7


def test_correctness_is_the_same_ranking() -> None:
    """Number of epochs at which the prediction is the label, fewer first."""
    correct = LOGITS.argmax(2) == GIVEN
    ours = find("detectors", "cumulative_error").score(trace(correct=correct.astype(np.float64)))
    np.testing.assert_array_equal(ranks(ours), ranks(-correct.sum(0)))
    assert "Data Maps correctness" in find("detectors", "cumulative_error").aliases


def test_held_out_votes_are_data_oob_and_the_c_score_of_one_ratio() -> None:
    """Loops over 40 bootstrap samples, and over 40 subsets of 0.6: the share right of those models that lack the sample."""
    for replace in (True, False):
        drawn = [RNG.choice(N, N if replace else int(0.6 * N), replace=replace) for _ in range(40)]
        answers = RNG.integers(0, K, (40, N))
        answers[:, : N // 2] = np.where(RNG.random((40, N // 2)) < 0.7, GIVEN[: N // 2], answers[:, : N // 2])
        right, votes = np.zeros(N), np.zeros((N, K))
        for i in range(N):
            asked = [b for b in range(40) if i not in drawn[b]]
            right[i] = sum(answers[b, i] == GIVEN[i] for b in asked) / len(asked)
            votes[i] = [sum(answers[b, i] == k for b in asked) / len(asked) for k in range(K)]
        ours = find("detectors", "held_out_error").score(trace(given=GIVEN[None], held_out__votes=votes[None]))
        np.testing.assert_array_equal(ranks(ours), ranks(1 - right))
    assert {"Data-OOB", "C-score at one ratio"} <= {*find("detectors", "held_out_error").aliases}


def test_neighbours_are_kdn_and_deep_knn() -> None:
    """Brute force: k-disagreeing neighbours, and one minus the share of k neighbours with the label."""
    places, k = RNG.normal(size=(N, 3)), 7
    apart = cdist(places, places)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1)[:, :k]
    disagree = (GIVEN[near] != GIVEN[:, None]).sum(1) / k
    shares = np.stack([(GIVEN[near] == j).mean(1) for j in range(K)], axis=1)
    ours = find("detectors", "knn").score(trace(given=GIVEN[None], neighbours__labels=shares[None]))
    np.testing.assert_array_equal(ranks(ours.round(12)), ranks(disagree.round(12)))
    assert {"kDN", "deep kNN"} <= {*find("detectors", "knn").aliases}


def test_self_confidence_is_held_out_cross_entropy() -> None:
    """Minus the logarithm of a held-out probability."""
    held_out = softmax(LOGITS[0] / 10, axis=1)
    columns = trace(given=GIVEN[None], held_out__probabilities=held_out[None])
    expected = -np.log(held_out[np.arange(N), GIVEN])
    np.testing.assert_array_equal(ranks(find("detectors", "self_confidence").score(columns)), ranks(expected))


# --- what is close, and no alias --------------------------------------------------------------------------------------


def margins(logits: Floats) -> Floats:
    """The label's logit minus the greatest other, (e, n)."""
    where = np.broadcast_to(GIVEN[None, :, None], (*logits.shape[:2], 1))
    others = logits.copy()
    np.put_along_axis(others, where, -np.inf, 2)
    return np.take_along_axis(logits, where, 2)[..., 0] - others.max(2)


def label_logits(values: Floats) -> Floats:
    return np.take_along_axis(values, np.broadcast_to(GIVEN[None, :, None], (*values.shape[:2], 1)), 2)[..., 0]


NEAR = LOGITS / 25
LOG_P = log_softmax(NEAR, axis=2)
P = np.exp(LOG_P)
CLOSE: dict[str, tuple[Floats, Floats]] = {
    "CORES and AUM": (NEAR.mean((0, 2)) - label_logits(NEAR).mean(0), -margins(NEAR).mean(0)),
    "mean of margins and margin of the mean": (-margins(P).mean(0), -margins(np.log(P.mean(0))[None])[0]),
    "mean loss and mean confidence": (-label_logits(LOG_P).mean(0), 1 - label_logits(P).mean(0)),
    "mean loss and last loss": (-label_logits(LOG_P).mean(0), -label_logits(LOG_P)[-1]),
    "EL2N and cross-entropy": (
        np.linalg.norm(P[-1] - np.eye(K)[GIVEN], axis=1),
        -label_logits(LOG_P)[-1],
    ),
    "NCE and cross-entropy": (label_logits(LOG_P)[-1] / LOG_P[-1].sum(1), -label_logits(LOG_P)[-1]),
    "margin and cross-entropy": (-margins(P)[-1], -label_logits(LOG_P)[-1]),
    "entropy-weighted and cross-entropy": (
        -(P[-1] * LOG_P[-1]).sum(1) / math.log(K) / label_logits(P)[-1],
        -label_logits(LOG_P)[-1],
    ),
}


@pytest.mark.parametrize("pair", CLOSE)
def test_what_is_close_is_not_one(pair: str) -> None:
    """Two published scores of the same logits that agree and yet order some samples the other way round."""
    one, other = CLOSE[pair]
    assert stats.spearmanr(one, other).statistic > 0.4
    first, second = np.argsort(np.argsort(one)), np.argsort(np.argsort(other))
    assert (first != second).mean() > 0.2


def test_close_ones_are_detectors_of_their_own() -> None:
    """``cores`` and ``aum`` are held to their own formulas, and rank the same logits otherwise."""
    columns = trace(margin=margins(NEAR), mean_margin=label_logits(NEAR) - NEAR.mean(2))
    cores, aum = (find("detectors", name).score(columns) for name in ("cores", "aum"))
    np.testing.assert_allclose(cores, CLOSE["CORES and AUM"][0], atol=1e-12)
    np.testing.assert_allclose(aum, CLOSE["CORES and AUM"][1], atol=1e-12)
    assert not np.array_equal(ranks(cores), ranks(aum))


@pytest.mark.parametrize(
    ("name", "own", "alias"),
    [("GCE", "final_loss", "GCE"), ("kdn", "knn", "kDN"), ("data_oob", "held_out_error", "Data-OOB")],
)
def test_an_alias_is_answered_with_the_name(name: str, own: str, alias: str) -> None:
    """In the sentence that says that there is no such detector; other names are answered with the nearest."""
    words = f"no detector is called '{name}': '{own}' is the same ranking, also known as {alias}; use {own}"
    with pytest.raises(UnknownName, match=words):
        find("detectors", name)
    with pytest.raises(UnknownName, match="no detector is called 'feature_consensu'; did you mean 'feature_consensus'"):
        find("detectors", "feature_consensu")


def test_a_detector_of_ones_own_may_have_aliases() -> None:
    """They are kept as they are given."""
    assert Detector("x", ("loss",), lambda t: t["loss"][-1].astype(np.float64), "me", aliases=("y",)).aliases == ("y",)
