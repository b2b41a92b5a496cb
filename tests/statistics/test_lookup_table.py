"""The table that each loss makes, against a grid of answers, every sequence of labels, and simulation."""

from itertools import product

import numpy as np
import pytest

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadUsage
from noisybench.statistics.harm import failing, helping, majority_wrong, posterior_mass
from noisybench.statistics.lookup_table import (
    backward_answers,
    count_law,
    decided_errors,
    draw_tables,
    forward_answers,
    harm_by_copies,
    peer_answers,
    smoothed_answers,
    symmetric_matrix,
    table_answers,
    table_harm,
)

RATE = 0.3
LEAST = 1e-9
"""Least answer of the grid, in place of 0."""
STEP = 1 / 60


def grid(k: int) -> Floats:
    """Every distribution over k classes in steps of ``STEP``, with ``LEAST`` in place of 0."""
    parts = np.array([p for p in product(range(61), repeat=k - 1) if sum(p) <= 60])
    found: Floats = np.column_stack([parts, 60 - parts.sum(1)]) * STEP
    return found.clip(LEAST)


def losses(h: Floats, shares: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Each treatment: its expected loss by its definition at distributions (g, k) → (g,), and the answers, (k,)."""
    k = len(shares)
    matrix = symmetric_matrix(RATE, k)
    inverse = np.linalg.inv(matrix)
    marginal = np.arange(1, k + 1) / (k * (k + 1) / 2)
    own, row = -np.log(h), shares[None]

    def drawn(loss: Floats) -> Floats:
        """Mean over the labels of the instance of a loss (g, k) of each label."""
        return np.asarray(sum(share * loss[:, label] for label, share in enumerate(shares)))

    return {
        "cross_entropy": (drawn(own), shares),
        "label_smoothing": (drawn(0.6 * own + 0.4 * own.mean(1)[:, None]), smoothed_answers(row, 0.4)[0]),
        "negative": (drawn(2 * own - own.mean(1)[:, None]), smoothed_answers(row, -1)[0]),
        "backward": (drawn(own @ inverse.T), backward_answers(row, matrix)[0]),
        "forward": (drawn(-np.log(h @ matrix)), forward_answers(row, RATE)[0]),
        "peer": (drawn(own) - 0.7 * own @ marginal, peer_answers(row, 0.7, marginal)[0]),
    }


@pytest.mark.parametrize("shares", [[0.25, 0.75], [0.5, 0.3, 0.2], [0.75, 0.25, 0.0], [0.45, 0.35, 0.2, 0.0]])
def test_answers_are_those_of_the_least_loss(shares: list[float]) -> None:
    """The best of all distributions of a grid is the one beside the answers."""
    h = grid(len(shares))
    for name, (loss, answers) in losses(h, np.array(shares)).items():
        assert np.abs(h[loss.argmin()] - answers).max() < STEP, name


def test_an_asymmetric_matrix_is_corrected_for() -> None:
    """The shares that a class would have without sampling lead back to it."""
    matrix = np.array([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.0, 0.7]])
    assert backward_answers(matrix, matrix) == pytest.approx(np.eye(3), abs=1e-12)
    assert forward_answers(symmetric_matrix(RATE, 4), RATE) == pytest.approx(np.eye(4), abs=1e-9)
    with pytest.raises(BadUsage, match="without an inverse"):
        backward_answers(np.array([[0.5, 0.5]]), np.full((2, 2), 0.5))
    with pytest.raises(BadUsage, match="smoothing must be at most 1, got 2"):
        smoothed_answers(np.array([[0.5, 0.5]]), 2)


def test_identities() -> None:
    """No smoothing, no noise and no weight leave the labels as they are; ties of nothing but bad targets are shared."""
    shares = np.random.default_rng(0).dirichlet(np.ones(4), size=20)
    for answers in (
        smoothed_answers(shares, 0),
        backward_answers(shares, np.eye(4)),
        forward_answers(shares, 0.0),
        peer_answers(shares, 0.0),
    ):
        assert answers == pytest.approx(shares, abs=1e-9)
    assert table_answers(np.array([[-1.0, -1.0, -2.0]])).tolist() == [[0.5, 0.5, 0.0]]


@pytest.mark.parametrize(("copies", "k"), [(1, 3), (4, 3), (5, 2), (5, 4)])
def test_the_law_of_counts_is_that_of_all_sequences(copies: int, k: int) -> None:
    """Every sequence of labels, sorted into its counts."""
    by_hand: dict[tuple[float, ...], float] = {}
    for labels in product(range(k), repeat=copies):
        counts = np.bincount(labels, minlength=k)
        key = (counts[0], *sorted(counts[1:], reverse=True))
        p = float(np.prod([1 - RATE if label == 0 else RATE / (k - 1) for label in labels]))
        by_hand[key] = by_hand.get(key, 0.0) + p
    law = count_law(copies, RATE, k)
    found = {tuple(row.round().astype(int)): p for row, p in zip(law.shares * copies, law.probability, strict=True)}
    assert found == pytest.approx(by_hand)


def test_two_classes_help_and_fail_as_the_wrong_share_says() -> None:
    """Better only below one half, worse only above it; the decision is that of the majority whatever the treatment."""
    for copies in range(1, 13):
        law = count_law(copies, 0.4, 2)
        wrong = law.shares[:, 1]
        for answers in (
            backward_answers(law.shares, symmetric_matrix(0.4, 2)),
            forward_answers(law.shares, 0.4),
            peer_answers(law.shares),
        ):
            harm = table_harm(answers, law)
            below = ((wrong > 0) & (wrong < 0.5)) @ law.probability
            above = ((wrong > 0.5) & (wrong < 1)) @ law.probability
            assert [harm.better, harm.worse] == pytest.approx([below, above])
            assert harm.better <= helping([copies], 0.4)[0] + 1e-12
            assert harm.worse <= failing([copies], 0.4)[0] + 1e-12
            assert harm.decided == pytest.approx(majority_wrong([copies], 0.4)[0])


def test_with_many_classes_correction_helps_above_one_part_of_those_present() -> None:
    """Where every class that has a label keeps a target: the right share against one m-th."""
    law = count_law(6, 0.2, 5)
    answers = backward_answers(law.shares, symmetric_matrix(0.2, 5))
    m = (law.shares > 0).sum(1)
    gains = answers[:, 0] - law.shares[:, 0]
    assert (gains[law.shares[:, 0] > 1 / m + 1e-9] >= -1e-12).all()
    assert (gains[law.shares[:, 0] < 1 / m - 1e-9] <= 1e-12).all()


def test_a_simulated_table_errs_as_the_closed_form_says() -> None:
    """Excess error per number of copies, for the memorizer and under correction, with power to see a fifth of it."""
    masses = np.repeat([1, 2, 4, 8, 16, 32], 4) / (63 * 4)
    n, times = 120, [1, 2, 4, 8]
    drawn = draw_tables(masses, n, 0.4, 3, repeats=6_000, generator=np.random.default_rng(0))
    tau = posterior_mass(masses, n, times)
    matrix = symmetric_matrix(0.4, 3)
    right = np.zeros(len(drawn.mass), dtype=np.int64)
    laws = [count_law(copies, 0.4, 3) for copies in times]
    for errors, exact in (
        (1 - drawn.shares[:, 0], [0.4] * len(times)),
        (decided_errors(drawn.shares, right), [table_harm(law.shares, law).decided for law in laws]),
        (
            1 - backward_answers(drawn.shares, matrix)[:, 0],
            [table_harm(backward_answers(law.shares, matrix), law).error for law in laws],
        ),
    ):
        means, spreads = harm_by_copies(drawn, errors, times)
        assert (np.abs(means - tau * np.array(exact)) < 4 * spreads).all()
        assert (4 * spreads < 0.2 * tau * np.array(exact)).all()
    assert np.isnan(harm_by_copies(drawn, errors, [119])[0]).all()
