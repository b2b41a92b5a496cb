"""Audits: the draw against counting, the estimates against the truth, coverage against simulation."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.audit import AuditSample, audit_estimates, draw_audit, guessed_shares
from noisybench.statistics.score_intervals import stratum_shares

SIMULATION = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "audit_coverage.py"))


def suspicion(n: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=n)


def top(values: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.argsort(np.argsort(-values)) < count


def strata_of(values: np.ndarray[Any, Any], flagged: np.ndarray[Any, Any], sample: AuditSample) -> np.ndarray[Any, Any]:
    """The stratum of every sample of the data set, by sorting, shape (n,)."""
    found = np.empty(len(values), np.int64)
    order = sorted(range(len(values)), key=lambda i: (not flagged[i], -values[i]))
    found[order] = np.repeat(np.arange(len(sample.sizes)), sample.sizes)
    return found


@pytest.mark.parametrize(("n", "cut", "m"), [(600, 48, 100), (5_000, 0, 200), (300, 300, 60), (50, 1, 4), (9, 4, 40)])
def test_what_is_drawn(n: int, cut: int, m: int) -> None:
    """Each sample once, from its stratum; at least two of each; no weight above about twice that of equal chances."""
    values = suspicion(n)
    flagged = top(values, cut)
    sample = draw_audit(values, flagged, m, seed=3)
    assert len(np.unique(sample.samples)) == len(sample.samples) == min(m, n)
    np.testing.assert_array_equal(sample.strata, strata_of(values, flagged, sample)[sample.samples])
    np.testing.assert_array_equal(sample.flagged[sample.strata], flagged[sample.samples])
    assert sample.sizes.sum() == n
    assert sample.sizes[sample.flagged].sum() == cut
    drawn = np.bincount(sample.strata, minlength=len(sample.sizes))
    assert (drawn >= np.minimum(sample.sizes, 2)).all()
    np.testing.assert_allclose(sample.inclusion, (drawn / sample.sizes)[sample.strata])
    assert (1 / sample.inclusion).max() <= 2.3 * max(n / m, 1)
    again = draw_audit(values, flagged, m, seed=3)
    np.testing.assert_array_equal(again.samples, sample.samples)
    assert m >= n or not np.array_equal(draw_audit(values, flagged, m, seed=4).samples, sample.samples)


def test_inclusion_is_the_chance_to_be_drawn_and_weights_give_the_truth() -> None:
    """Over 250 draws; so also for half of an audit, whose strata are spread evenly."""
    values, rng = suspicion(90), np.random.default_rng(1)
    flagged, wrong = top(values, 20), rng.random(90) < 0.3
    times, totals, halves, chance = np.zeros(90), [], [], np.full(90, np.nan)
    for seed in range(250):
        sample = draw_audit(values, flagged, 40, seed=seed)
        times[sample.samples] += 1
        chance[sample.samples] = sample.inclusion
        totals.append((wrong[sample.samples] / sample.inclusion).sum())
        begun = sample.strata[:20]
        seen = np.bincount(begun, wrong[sample.samples[:20]]), np.bincount(begun)
        halves.append(sample.sizes @ stratum_shares(*seen, sample.sizes))
    assert np.abs((times - 250 * chance) / np.sqrt(250 * chance * (1 - chance) + 1e-9)).max() < 4.5
    for found in (totals, halves):
        assert abs(np.mean(found) - wrong.sum()) < 4 * np.std(found) / np.sqrt(250)
    answers = np.where(wrong[sample.samples], "wrong", "right").astype(object)
    assert audit_estimates(sample, answers).rate.value == pytest.approx(totals[-1] / 90)
    answers[20:] = ""
    assert audit_estimates(sample, answers).rate.value == pytest.approx(halves[-1] / 90)


def test_the_order_tells_nothing_and_any_beginning_is_spread_over_the_strata() -> None:
    """The j-th of a stratum stands near its share of the way."""
    sample = draw_audit(suspicion(2_000), top(suspicion(2_000), 150), 200)
    drawn = np.bincount(sample.strata)
    for j in (30, 100, 160):
        assert (np.abs(np.bincount(sample.strata[:j], minlength=len(drawn)) - drawn * j / 200) < 1.5).all()
    first = [draw_audit(suspicion(200), top(suspicion(200), 40), 100, seed=seed) for seed in range(60)]
    assert {one.strata[0] for one in first} == set(range(len(first[0].sizes)))


def test_some_are_left_out() -> None:
    """They are neither drawn nor counted, and the others are drawn as if they were alone."""
    values = suspicion(200)
    flagged, left = top(values, 30), np.arange(200) % 3 == 0
    sample = draw_audit(values, flagged, 50, leave_out=left)
    alone = draw_audit(values[~left], flagged[~left], 50)
    np.testing.assert_array_equal(sample.samples, np.flatnonzero(~left)[alone.samples])
    assert sample.sizes.sum() == (~left).sum()


def test_guesses_fall_down_the_ranking() -> None:
    """Half of the flagged; half as many wrong ones beyond them."""
    shares = guessed_shares(1_000, 100)
    assert (shares[:100] == 0.5).all()
    assert (np.diff(shares[100:]) <= 0).all()
    assert shares[100:].sum() == pytest.approx(25, rel=1e-6)
    assert guessed_shares(1_000, 0).sum() == pytest.approx(10, rel=0.05)


def test_coverage_is_that_of_95_percent() -> None:
    """Of 93 to 97 % over data sets of a kind; above where so few wrong labels are seen that no count is too low."""
    rng = np.random.default_rng(0)
    simulated = {}
    for good in (True, False):
        for share in (0.005, 0.08, 0.4):
            by_setting = [
                SIMULATION["coverage"](rng, n, share, m, good=good, sets=3, draws=100).mean(0)
                for n in (600, 50_000)
                for m in (100, 400)
            ]
            assert np.min(by_setting) > 0.88  # 300 trials each
            simulated[good, share] = np.mean(by_setting, axis=0)
    for (good, share), shares in simulated.items():
        assert (shares > 0.93).all(), (good, share, shares)
        if share >= 0.4:
            assert (shares < 0.975).all(), (good, share, shares)
    assert simulated[False, 0.08][0] < 0.97


def test_no_wrong_label_seen() -> None:
    """The upper end is near three by the number of answers, of a large data set; nothing is known of the recall."""
    sample = draw_audit(np.zeros(100_000), np.zeros(100_000, bool), 300)
    found = audit_estimates(sample, ["right"] * 300)
    assert found.rate[:2] == (0, 0)
    assert 2.5 / 300 < found.rate.high < 6 / 300
    assert np.isnan(found.recall.value)
    assert found.recall[1:] == (0, 1)
    assert np.isnan(found.precision.value)  # nothing is flagged


def test_all_were_asked() -> None:
    """Then nothing is unsure."""
    values = suspicion(40)
    flagged = top(values, 10)
    sample = draw_audit(values, flagged, 100)
    wrong = np.arange(40) % 4 == 0
    found = audit_estimates(sample, np.where(wrong[sample.samples], "wrong", "right"))
    assert found.rate == pytest.approx((0.25, 0.25, 0.25))
    assert found.precision == pytest.approx([wrong[flagged].mean()] * 3)
    assert found.recall == pytest.approx([flagged[wrong].mean()] * 3)


def test_all_or_none_flagged() -> None:
    """The recall is then known, once a wrong label was seen."""
    values = suspicion(200)
    for flagged, recall in ((np.ones(200, bool), 1), (np.zeros(200, bool), 0)):
        sample = draw_audit(values, flagged, 40)
        found = audit_estimates(sample, ["wrong"] * 5 + ["right"] * 35)
        assert found.recall == (recall, recall, recall)


def test_a_side_without_an_answer_tells_nothing_of_either_share() -> None:
    """Precision and recall are then anything, of plain numbers as all estimates are."""
    values = suspicion(200)
    sample = draw_audit(values, top(values, 40), 40)
    beyond = ~sample.flagged[sample.strata]
    found = audit_estimates(sample, np.where(np.arange(40) == np.flatnonzero(beyond)[0], "wrong", ""))
    for share in (found.precision, found.recall):
        assert np.isnan(share.value)
        assert share[1:] == (0, 1)
    assert {type(part) for part in found.rate} == {float}


def test_what_nobody_could_tell_and_what_was_not_reached() -> None:
    """The former are left out and bounded, also where passed over; the latter cost nothing."""
    values = suspicion(1_000)
    sample = draw_audit(values, top(values, 80), 200)
    answers = ["right", "wrong", "right", "right", "", "cannot tell"] * 20 + ["right"] + [""] * 79
    found = audit_estimates(sample, answers)
    assert (found.right, found.wrong, found.unclear, found.asked) == (61, 20, 40, 200)
    low, high = found.rate_if_unclear
    assert low < found.rate.value < high
    assert high - low == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"suspicion": np.array([0.0, np.nan])}, "suspicion must be finite numbers of shape"),
        ({"flagged": np.zeros(3, bool)}, "flagged must be true or false for each of 2 samples, got bool of shape .3,."),
        ({"flagged": np.zeros(2)}, "flagged must be true or false for each of 2 samples, got float64"),
        ({"leave_out": np.ones(2, bool)}, "all samples are left out"),
        ({"m": 3}, "m must be at least 4, got 3"),
    ],
)
def test_what_cannot_be_drawn(arguments: dict[str, Any], words: str) -> None:
    """One sentence each."""
    usual: dict[str, Any] = {"suspicion": np.zeros(2), "flagged": np.zeros(2, bool), "m": 10}
    with pytest.raises((BadData, BadUsage), match=words):
        draw_audit(**(usual | arguments))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (["right"] * 9, "there are 9 answers about 10 samples"),
        (["right"] * 9 + ["yes"], r"answers\[9\] is 'yes' .1 such answers., expected right, wrong or cannot tell"),
        (["cannot tell"] * 10, "nothing can be estimated yet"),
    ],
)
def test_answers_that_do_not_fit(answers: list[str], words: str) -> None:
    """One sentence each."""
    sample = draw_audit(suspicion(50), np.zeros(50, bool), 10)
    with pytest.raises(BadData, match=words):
        audit_estimates(sample, answers)


def test_parts_that_do_not_fit() -> None:
    """A sample drawn twice, and strata that there are not."""
    one = np.array([3, 3])
    with pytest.raises(BadData, match="drawn twice"):
        AuditSample(one, np.array([0, 0]), np.array([5]), np.array([False]), 0)
    with pytest.raises(BadData, match="do not fit"):
        AuditSample(np.array([3, 4]), np.array([0, 1]), np.array([5]), np.array([False]), 0)
