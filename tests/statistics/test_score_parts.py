"""The parts of an AUROC: against loops over all pairs, and on scores of which the parts are known beforehand."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.score_parts import LEAST, AurocParts, split_auroc


class Drawn(NamedTuple):
    """A score, which labels are wrong, given labels, and what held-out answers say."""

    suspicion: Floats
    wrong: Bools
    given: Labels
    answers: Floats


def drawn(n: int, *, classes: int = 3, seed: int = 0, levels: float = 2.0) -> Drawn:
    """Labels of which some are wrong more often, answers that know of it, and a score on few levels that knows more."""
    rng = np.random.default_rng(seed)
    given = rng.integers(0, classes, n)
    wrong = rng.random(n) < 0.2 + 0.4 * given / classes
    answers = np.round(rng.normal(size=n) + wrong, 1)
    return Drawn(np.floor((rng.normal(size=n) + wrong + answers + given) * levels), wrong, given, answers)


def cells_by_loop(one: Drawn, bins: int) -> Labels:
    """Number of each sample's label and bin of answers."""
    cells = []
    for i in range(len(one.given)):
        same = one.given == one.given[i]
        at_most = min(max(int(same.sum()) // LEAST, 1), bins)
        below = (one.answers[same] < one.answers[i]).sum() + ((one.answers[same] == one.answers[i]).sum() - 1) / 2
        cells.append(int(one.given[i]) * bins + min(int((below + 0.5) / same.sum() * at_most), at_most - 1))
    return np.array(cells)


def by_loop(one: Drawn, known: Bools, bins: int) -> AurocParts:
    """The definition: a pair of one group one half, of two groups the share of pairs of their scores that are in order."""

    def area(group: Labels) -> float:
        scores = {g: one.suspicion[group == g] for g in np.unique(group)}
        order = {
            (g, h): np.mean(np.sign(scores[g][:, None] - scores[h]) + 1) / 2 if g != h else 0.5
            for g in scores
            for h in scores
        }
        wrongs, rights = (group[which & known] for which in (one.wrong, ~one.wrong))
        return float(np.mean([order[g, h] for g in wrongs for h in rights]))

    own = float(roc_auc_score(one.wrong[known], one.suspicion[known]))
    by_label, by_cell = area(one.given), area(cells_by_loop(one, bins))
    return AurocParts(own, by_label - 0.5, by_cell - by_label, own - by_cell)


def as_tuple(parts: AurocParts) -> tuple[float, float, float, float]:
    return parts.auroc, parts.given_label, parts.held_out_answers, parts.rest


@pytest.mark.parametrize(("n", "classes", "bins"), [(150, 3, 4), (150, 1, 20), (60, 40, 20), (90, 2, 1)])
@pytest.mark.parametrize("unknown", [0, 17])
def test_parts_are_those_of_the_loop(n: int, classes: int, bins: int, unknown: int) -> None:
    """With ties, labels of a single sample, and samples whose truth nobody knows."""
    one = drawn(n, classes=classes, seed=n + classes)
    known = np.arange(n) >= unknown
    found = split_auroc(*one, known=known, bins=bins)
    assert as_tuple(found) == pytest.approx(as_tuple(by_loop(one, known, bins)), abs=1e-12)
    assert found.given_label + found.held_out_answers + found.rest == pytest.approx(found.auroc - 0.5, abs=1e-12)


def test_terms_are_means_over_permutations() -> None:
    """Of the score within label, and within label and bin: by scikit-learn, over 500 permutations."""
    one, rng = drawn(120, seed=3), np.random.default_rng(0)
    found = split_auroc(*one, bins=3)
    for group, told in (
        (one.given, 0.5 + found.given_label),
        (cells_by_loop(one, 3), found.auroc - found.rest),
    ):
        ordered = np.argsort(group, kind="stable")
        areas = []
        for _ in range(500):
            permuted = np.empty(120)
            permuted[ordered] = one.suspicion[np.lexsort((rng.random(120), group))]
            ranks = rankdata(permuted)[one.wrong]
            areas.append((ranks.mean() - (len(ranks) + 1) / 2) / (120 - len(ranks)))
        assert abs(np.mean(areas) - told) < 4 * np.std(areas) / np.sqrt(len(areas))


def test_a_score_of_the_given_label_alone_has_only_the_first_part() -> None:
    """Whatever the labels' scores, two of them equal."""
    one = drawn(1500, classes=5)
    found = split_auroc(np.array([0.1, 0.7, 0.7, 0.2, 0.9])[one.given], *one[1:])
    assert found.given_label == pytest.approx(found.auroc - 0.5, abs=1e-12)
    assert abs(found.given_label) > 0.05
    assert (found.held_out_answers, found.rest) == pytest.approx((0, 0), abs=1e-12)


def test_a_score_of_label_and_bin_has_no_rest() -> None:
    """Of answers on as many levels as there are bins, whatever their order in each label."""
    rng = np.random.default_rng(1)
    given, level = np.divmod(rng.permutation(4000) % 40, 10)
    wrong = rng.random(4000) < 0.1 + level / 20
    score = (rng.normal(size=40) + np.arange(40) % 10 / 3)[10 * given + level]
    found = split_auroc(score, wrong, given, level + 0.0, bins=10)
    assert found.rest == pytest.approx(0, abs=1e-12)
    assert abs(found.held_out_answers) > 0.02


@pytest.mark.parametrize("knows", [0.0, 100.0])
def test_no_part_is_what_it_is_not(knows: float) -> None:
    """Over draws: of pure noise all parts are 0; of a perfect score beside answers of noise the rest, but 1 / 2m."""
    parts = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        wrong = rng.random(2000) < 0.35
        noise, answers = rng.normal(size=(2, 2000))
        parts.append(as_tuple(split_auroc(noise + knows * wrong, wrong, rng.integers(0, 10, 2000), answers))[1:])
    label, both = 1 / 400, 1 / 40  # of 200 samples, and of bins of 20
    expected = np.array([label, both - label, 0.5 - both]) * (knows > 0)
    error = np.std(parts, axis=0, ddof=1) / np.sqrt(len(parts))
    assert (np.abs(np.mean(parts, axis=0) - expected) < 3 * error + 2e-3).all()
    assert error.max() < 0.01


def test_labels_that_are_wrong_alike_often_tell_nothing() -> None:
    """A perfect score, and as many wrong labels in each given one, as class-conditional noise in exact counts has."""
    given, wrong = np.arange(1000) % 10, np.arange(1000) // 10 % 20 < 7
    found = split_auroc(wrong.astype(np.float64), wrong, given, np.random.default_rng(0).normal(size=1000))
    assert found.given_label == pytest.approx(0, abs=1e-12)
    assert found.rest == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("weight", [0.1, 1.0])
def test_a_score_that_is_answers_and_noise_has_no_rest(weight: float) -> None:
    """However much noise: what the mean of many samples would tell is not what the score tells."""
    rng = np.random.default_rng(0)
    answers = rng.normal(size=8000)
    wrong = answers + rng.normal(size=8000) > 0.5
    found = split_auroc(weight * answers + rng.normal(size=8000), wrong, rng.integers(0, 4, 8000), answers)
    assert found.auroc > 0.52
    assert abs(found.rest) < 0.01
    assert found.held_out_answers == pytest.approx(found.auroc - 0.5, abs=0.01)


def test_it_is_unknown_where_one_kind_is_missing() -> None:
    one = drawn(50)
    found = split_auroc(one.suspicion, np.zeros(50, dtype=bool), one.given, one.answers)
    assert np.isnan(as_tuple(found)).all()


def test_what_is_no_score_is_refused() -> None:
    one = drawn(20)
    with pytest.raises(BadData, match=r"suspicion\[3\] = nan is not finite \(1 such entries\)"):
        split_auroc(np.where(np.arange(20) == 3, np.nan, one.suspicion), *one[1:])
    with pytest.raises(BadUsage, match="bins must be at least 1, got 0"):
        split_auroc(*one, bins=0)
    with pytest.raises(BadData, match=r"answers_suspicion must have shape \(n,\) with n = 20.*got \(19,\)"):
        split_auroc(*one[:3], one.answers[:19])
