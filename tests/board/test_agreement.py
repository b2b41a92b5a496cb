"""Agreement with the mislabeled mask, against scikit-learn, SciPy, definitions and brute force."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binomtest, mannwhitneyu, norm
from sklearn.metrics import average_precision_score, roc_auc_score

from noisybench.board.agreement import Agreement, against_labels, against_mark, marks_of
from noisybench.board.references import reference_scores
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import Scores
from noisybench.ground.arrays import UNKNOWN, Bools, Floats, Labels
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.lookup import find
from noisybench.statistics.detection_metrics import (
    auroc,
    auroc_within_class,
    average_precision,
    false_negative_rate,
    precision_at,
)
from noisybench.statistics.intervals import auroc_interval
from noisybench.statistics.metric import metrics_of
from noisybench.statistics.ranking import rank
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

METRICS = metrics_of("mislabeled")


def made(given: Labels, clean: Labels, k: int = 3) -> Variant:
    """A variant with these labels."""
    inputs = np.zeros((len(given), 1), dtype=np.float32)
    source = source_from_arrays("made", inputs, given, clean=clean, class_names=[str(i) for i in range(k)])
    return build_variant(source, find("noises", "as_found")())


def measured(values: Floats, variant: Variant) -> dict[str, Agreement]:
    scores = Scores("made", values, variant.provenance.variant_id)
    return {agreement.metric: agreement for agreement in against_labels(scores, variant)}


def drawn(n: int, levels: int, seed: int = 0) -> tuple[Floats, Variant]:
    """Scores on few levels, so that most are tied; a fifth of the labels wrong, a tenth unknown, class 2 never given."""
    rng = np.random.default_rng(seed)
    given = rng.integers(0, 2, n)
    clean = np.where(rng.random(n) < 0.2, (given + 1) % 3, given)
    values = np.floor((rng.random(n) + 0.3 * (clean != given)) * levels)
    clean[rng.random(n) < 0.1] = UNKNOWN
    return values, made(given, clean)


@pytest.mark.parametrize(("n", "levels"), [(500, 7), (500, 10**9), (70_000, 5)])
def test_areas_are_those_of_scikit_learn_and_scipy(n: int, levels: int) -> None:
    """AUROC and average precision equal scikit-learn's, and AUROC SciPy's U, with ties, more than 65,536 samples and unknowns."""
    values, variant = drawn(n, levels)
    found = measured(values, variant)
    score, wrong, given = values[variant.known], variant.mislabeled[variant.known], variant.labels[variant.known]
    area, precision, share = roc_auc_score(wrong, score), average_precision_score(wrong, score), wrong.mean()
    assert found["auroc"].value == pytest.approx(area, abs=1e-12)
    u = mannwhitneyu(score[wrong], score[~wrong]).statistic
    assert found["auroc"].value == pytest.approx(u / wrong.sum() / (~wrong).sum(), abs=1e-12)
    assert found["average_precision"].value == pytest.approx(precision, abs=1e-12)
    assert found["average_precision_normalised"].value == pytest.approx((precision - share) / (1 - share), abs=1e-12)
    within = np.mean([roc_auc_score(wrong[given == c], score[given == c]) for c in (0, 1)])
    assert found["auroc_within_class"].value == pytest.approx(within, abs=1e-12)
    assert {agreement.n for agreement in found.values()} == {len(score)}
    assert list(found) == list(METRICS)
    for agreement in found.values():
        assert agreement.low <= agreement.value <= agreement.high
        assert agreement.low < agreement.high


def test_constant_score_is_chance() -> None:
    """A constant score gets what chance gets, by every metric: half the area, and the share of mislabeled samples."""
    _, variant = drawn(1000, 3)
    share = variant.mislabeled[variant.known].mean()
    expected = dict.fromkeys(METRICS, share) | {
        "auroc": 0.5,
        "auroc_within_class": 0.5,
        "average_precision_normalised": 0.0,
        "false_negative_rate": 1 - share,
    }
    assert {name: metric.chance_at(share) for name, metric in METRICS.items()} == pytest.approx(expected, abs=1e-12)
    found = measured(np.full(1000, 3.0), variant)
    assert {name: agreement.value for name, agreement in found.items()} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", ["none wrong", "all wrong", "none known"])
def test_one_kind_missing_is_nan(case: str) -> None:
    """Where there is no mislabeled or no clean sample, every metric is NaN, never 0."""
    given = np.arange(12) % 3
    clean = {"none wrong": given, "all wrong": (given + 1) % 3, "none known": np.full(12, UNKNOWN)}[case]
    for agreement in measured(np.arange(12.0), made(given, clean)).values():
        assert np.isnan([agreement.value, agreement.low, agreement.high]).all()
        assert agreement.n == (0 if case == "none known" else 12)


def test_within_class_leaves_out_classes_of_one_kind() -> None:
    """The macro mean is over given classes that hold both kinds, and NaN if there is none."""
    given = np.repeat(np.arange(3), 4)
    clean = given.copy()
    clean[[0, 4, 5, 6, 7]] = 2  # class 1 is all wrong, class 2 all right
    found = measured(np.arange(12.0)[::-1], made(given, clean))
    assert found["auroc_within_class"].value == 1.0
    assert found["auroc"].value < 1.0
    clean[0] = 0
    found = measured(np.arange(12.0), made(given, clean))
    assert np.isnan(found["auroc_within_class"].value)
    assert found["auroc"].value == 0.5


def test_class_alone_says_nothing_within_class() -> None:
    """What the given label alone tells is better than chance over all samples and chance within class."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 3, 3000)
    given = np.where((rng.random(3000) < 0.4) & (clean == 0), 1, clean)
    variant = made(given, clean)
    by_name = {scores.detector: scores.values for scores in reference_scores(variant, seed=0)}
    found = measured(by_name["given_label_only"], variant)
    assert found["auroc"].value > 0.8
    assert found["auroc_within_class"].value == 0.5
    share = [(given != clean)[given == c].mean() for c in range(3)]
    np.testing.assert_allclose(by_name["given_label_only"], np.array(share)[given])


def definition(high: Floats, low: Floats) -> tuple[float, float]:
    """DeLong's area and variance by all pairs, O(n·m)."""
    wins = (high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :])
    variance = wins.mean(1).var(ddof=1) / len(high) + wins.mean(0).var(ddof=1) / len(low)
    return float(wins.mean()), float(variance)


def test_delong_is_its_definition() -> None:
    """The interval by midranks is that of DeLong's variance over all pairs, overall and summed over classes."""
    values, variant = drawn(400, 9)
    score, wrong, given = values[variant.known], variant.mislabeled[variant.known], variant.labels[variant.known]
    m, n = wrong.sum(), (~wrong).sum()
    assert auroc(rank(score, wrong)) == pytest.approx(auroc_interval(*definition(score[wrong], score[~wrong]), m, n))
    parts = [definition(score[wrong & (given == c)], score[~wrong & (given == c)]) for c in (0, 1)]
    area, variance = np.mean([part[0] for part in parts]), sum(part[1] for part in parts) / 4
    counts = np.array([[(kind & (given == c)).sum() for c in (0, 1)] for kind in (wrong, ~wrong)])
    assert auroc_within_class(rank(score, wrong, given)) == pytest.approx(
        auroc_interval(float(area), variance, *counts)
    )


def test_one_mislabeled_sample_has_the_widest_spread() -> None:
    """A single mislabeled sample shows no spread of its own: its part is A (1 − A), the largest there can be."""
    values, wrong = np.arange(11.0), np.arange(11) == 7
    area, part = 0.7, np.r_[np.ones(7), np.zeros(3)].var(ddof=1) / 10
    assert auroc(rank(values, wrong)) == pytest.approx(auroc_interval(area, area * (1 - area) + part, 1, 10))


@pytest.mark.parametrize("values", [[3, 2, 2, 2, 1, 1], [1, 1, 1, 1, 1, 1], [6, 5, 5, 3, 3, 1]])
def test_ties_count_at_their_expectation(values: list[float]) -> None:
    """Flagging with ties equals the mean over all 720 orders of breaking them."""
    score, wrong = np.array(values, dtype=float), np.array([False, True, False, True, False, True])
    orders = [np.lexsort(np.array([order, -score])) for order in permutations(range(6))]

    def top(count: int) -> float:
        return float(np.mean([wrong[order[:count]].mean() for order in orders]))

    assert false_negative_rate(rank(score, wrong)).value == pytest.approx(1 - top(3))
    for percent, count in ((1, 1), (33, 2), (50, 3), (100, 6)):
        assert precision_at(percent, rank(score, wrong)).value == pytest.approx(top(count))


def test_shares_have_the_wilson_interval() -> None:
    """Precision and false-negative rate have SciPy's Wilson interval, of the flagged or of the mislabeled samples."""
    values = np.arange(1000.0)
    wrong = np.zeros(1000, dtype=bool)
    wrong[[*range(955, 1000, 3), *range(100, 185)]] = True  # 15 of the top 50, none of the 35 before
    expected = binomtest(15, 50).proportion_ci(method="wilson")
    assert [*precision_at(5, rank(values, wrong))] == pytest.approx([0.3, expected.low, expected.high])
    expected = binomtest(85, 100).proportion_ci(method="wilson")
    assert [*false_negative_rate(rank(values, wrong))] == pytest.approx([0.85, expected.low, expected.high])
    assert [*false_negative_rate(rank(wrong * 1.0, wrong))][:2] == [0, 0]


def test_average_precision_has_the_wilson_interval() -> None:
    """The interval is Wilson's of as many as are mislabeled, and has a width where all are told apart."""
    values, variant = drawn(300, 50)
    wrong: Bools = variant.mislabeled
    value, low, high = average_precision(rank(values, wrong))
    m, reach = wrong.sum(), norm.ppf(0.975)
    for end in (low, high):
        assert (value - end) ** 2 == pytest.approx(reach**2 * end * (1 - end) / m)
    assert average_precision(rank(wrong.astype(np.float64), wrong)).low == pytest.approx(1 / (1 + reach**2 / m))


def test_references_are_what_they_are_called() -> None:
    """Random and constant scores are at chance, the truth is perfect, and the seed decides the random ones alone."""
    _, variant = drawn(5000, 3)
    first, again, other = ({s.detector: s.values for s in reference_scores(variant, seed=k)} for k in (0, 0, 1))
    assert list(first) == ["random", "flag_nothing", "perfect", "given_label_only"]
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
        assert np.array_equal(values, other[name]) == (name != "random")
    random, nothing, perfect = (measured(first[name], variant) for name in ("random", "flag_nothing", "perfect"))
    assert random["auroc"].low < 0.5 < random["auroc"].high
    assert nothing["auroc"].value == 0.5
    assert {name: perfect[name].value for name in METRICS} == dict.fromkeys(METRICS, 1) | {"false_negative_rate": 0}


def test_scores_of_other_labels_are_refused() -> None:
    """Scores of another variant, or of another number of samples, are refused with both sides named."""
    values, variant = drawn(50, 3)
    _, other = drawn(50, 3, seed=1)
    theirs, ours = other.provenance.variant_id[:12], variant.provenance.variant_id[:12]
    with pytest.raises(Mismatch, match=rf"'aum' are of variant {theirs}, the truth is of {ours}; score a trace"):
        against_labels(Scores("aum", values, other.provenance.variant_id), variant)
    with pytest.raises(BadData, match=r"'aum' have shape \(49,\), the variant has 50 samples; expected one score"):
        against_labels(Scores("aum", values[1:], variant.provenance.variant_id), variant)


def test_only_the_metrics_that_are_asked_for_are_computed() -> None:
    """One metric gives the row that all of them give together."""
    values, variant = drawn(200, 9)
    scores = Scores("made", values, variant.provenance.variant_id)
    every = measured(values, variant)
    for name in METRICS:
        assert against_labels(scores, variant, metrics=[name]) == [every[name]]


def test_a_mark_is_told_from_right_labels_without_it() -> None:
    """Against a mark the AUROC is scikit-learn's, over all but the mislabeled samples that do not bear it."""
    values, variant = drawn(500, 9)
    rng = np.random.default_rng(3)
    odd = rng.random(500) < 0.1
    marked = replace(variant, marks={"odd": odd, "votes": rng.integers(0, 9, 500)})
    assert marks_of(marked) == ("odd",)  # what is no truth or falsehood is no truth to rank by
    counted = odd | ~variant.mislabeled
    expected = roc_auc_score(odd[counted], values[counted])
    scores = Scores("made", values, variant.provenance.variant_id)
    (row,) = against_mark(scores, marked, "odd", kind="control", metrics=["auroc"])
    assert (row.truth, row.metric, row.kind, row.n) == ("odd", "auroc", "control", counted.sum())
    assert row.value == pytest.approx(expected, abs=1e-12)
    with pytest.raises(Mismatch, match="score a trace of the same variant"):
        against_mark(Scores("made", values, "0" * 64), marked, "odd")
