"""Agreement with memorization, against SciPy, definitions, simulation and brute force."""

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from noisybench.board.agreement import STRATA, Agreement, against_memorization
from noisybench.board.flags_table import both_truths
from noisybench.board.references import reference_scores
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import Scores
from noisybench.ground.arrays import UNKNOWN, Bools, Floats
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.lookup import find
from noisybench.memorization.estimate import Memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.reliability import reliability
from noisybench.statistics.memorization_metrics import Compared, overlap, overlap_chance
from noisybench.statistics.metric import metrics_of
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

MEMORIZATION_METRICS = metrics_of("memorization")
NAN = float("nan")
NOTHING_HELD_OUT = np.zeros(0)
LEARNER = Learner("mlp", "overfit", 45, "abc123", fraction=0.7)
Rows = dict[tuple[str, str], Agreement]


def made(wrong: Bools, unknown: Bools | None = None, *, first: int = 0) -> Variant:
    """A variant in which these samples are mislabeled, and of these nobody knows the clean label."""
    given = np.arange(first, first + len(wrong)) % 3
    clean = np.where(wrong, (given + 1) % 3, given)
    if unknown is not None:
        clean[unknown] = UNKNOWN
    inputs = np.zeros((len(wrong), 1), dtype=np.float32)
    source = source_from_arrays("made", inputs, given, clean=clean, class_names=["a", "b", "c"])
    return build_variant(source, find("noises", "as_found")())


def truth_of(values: Floats, variant: Variant, stderr: float = 0.0) -> Memorization:
    """Memorization with these values and one standard error, NaN where all models saw the sample."""
    n_out = np.where(np.isnan(values), 0, 3)
    same = np.where(np.isnan(values), NAN, stderr)
    return Memorization(
        values=values,
        stderr=same,
        p_in=same,
        p_out=same,
        margin=same,
        clean_damage=same,
        n_in=10 - n_out,
        n_out=n_out,
        models=10,
        learner=LEARNER,
        variant_id=variant.provenance.variant_id,
    )


def measured(values: Floats, truth: Memorization, variant: Variant, held_out_error: Floats | None = None) -> Rows:
    scores = Scores("made", values, variant.provenance.variant_id)
    rows = against_memorization(scores, truth, variant, held_out_error=held_out_error)
    return {(row.stratum, row.metric): row for row in rows}


def drawn(n: int, levels: int, seed: int = 0) -> tuple[Floats, Floats, Floats, Variant]:
    """Scores, memorization and held-out error on few levels, so tied; a fifth wrong, some unknown on every side."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < 0.2
    values = np.floor((rng.random(n) + 0.4 * wrong) * levels)
    memorization = np.floor((rng.random(n) + 0.4 * wrong + 0.05 * values / levels) * levels) / levels - 0.1
    error = np.floor((rng.random(n) + memorization + 0.3 * values / levels) * levels)
    memorization[rng.random(n) < 0.05] = NAN
    error[rng.random(n) < 0.05] = NAN
    return values, memorization, error, made(wrong, rng.random(n) < 0.1)


def strata(variant: Variant) -> dict[str, Bools]:
    wrong = variant.labels != variant.clean
    return {
        "all": np.ones(len(wrong), dtype=bool),
        "clean": variant.known & ~wrong,
        "mislabeled": variant.known & wrong,
    }


def residual_correlation(x: Floats, y: Floats, z: Floats) -> float:
    """Pearson's correlation of what a straight line in the ranks of z leaves of the ranks of x and y."""
    ranks = [stats.rankdata(side) for side in (x, y)]
    design = np.column_stack([np.ones(len(z)), stats.rankdata(z)])
    left = [side - design @ np.linalg.lstsq(design, side, rcond=None)[0] for side in ranks]
    return float(stats.pearsonr(*left).statistic)


@pytest.mark.parametrize(("n", "levels"), [(300, 5), (300, 10**9), (70_000, 6)])
def test_correlations_are_those_of_scipy(n: int, levels: int) -> None:
    """In each stratum the correlations are SciPy's, with ties, more than 65,536 samples and unknowns on every side."""
    values, memorization, error, variant = drawn(n, levels)
    truth = truth_of(memorization, variant, 0.05)
    found = measured(values, truth, variant, error)
    assert list(found) == [(stratum, metric) for stratum in strata(variant) for metric in MEMORIZATION_METRICS]
    for stratum, members in strata(variant).items():
        kept = members & ~np.isnan(memorization)
        x, y = values[kept], memorization[kept]
        rho = stats.spearmanr(x, y).statistic
        expected = {
            "spearman": rho,
            "spearman_corrected": rho / np.sqrt(1 - 0.05**2 / y.var(ddof=1)),
            "kendall": stats.kendalltau(x, y).statistic,
            "pearson": stats.pearsonr(x, y).statistic,
            "cosine": x @ y / np.linalg.norm(x) / np.linalg.norm(y),
        }
        both = kept & ~np.isnan(error)
        expected["partial_spearman"] = residual_correlation(values[both], memorization[both], error[both])
        for metric, value in expected.items():
            row = found[stratum, metric]
            assert row.value == pytest.approx(value, abs=1e-11), metric
            assert row.low < row.value < row.high
            assert row.n == (both if metric == "partial_spearman" else kept).sum()
            assert (row.truth, row.learner, row.kind) == ("memorization", LEARNER, "detector")


def test_interval_is_that_of_the_jackknife() -> None:
    """Leaving out one sample after the other and correlating with SciPy gives the same intervals, within 2 %."""
    values, memorization, error, _ = drawn(400, 7)
    kept = ~np.isnan(memorization) & ~np.isnan(error)
    x, y, z = values[kept], memorization[kept], error[kept]
    n = len(x)
    correlations: dict[str, Callable[..., float]] = {
        "spearman": lambda x, y, _: float(stats.spearmanr(x, y).statistic),
        "kendall": lambda x, y, _: stats.kendalltau(x, y).statistic,
        "pearson": lambda x, y, _: stats.pearsonr(x, y).statistic,
        "cosine": lambda x, y, _: x @ y / np.linalg.norm(x) / np.linalg.norm(y),
        "partial_spearman": residual_correlation,
    }
    for metric, correlate in correlations.items():
        without = np.array([correlate(*(np.delete(side, i) for side in (x, y, z))) for i in range(n)])
        value, error_ = correlate(x, y, z), np.sqrt((n - 1) ** 2 / n * without.var())
        reach = stats.norm.ppf(0.975) * error_ / (1 - value**2)
        found = MEMORIZATION_METRICS[metric].compute(Compared(x, y, 1.0, z))
        assert [np.arctanh(end) - np.arctanh(value) for end in found[1:]] == pytest.approx([-reach, reach], rel=0.02)


def like_memorization(stratum: str, n: int, rng: np.random.Generator) -> Compared:
    """Memorization as it is met: clean samples near 0, many tied, mislabeled ones near 1, and scores that follow it."""
    wrong = rng.random(n) < {"all": 0.2, "clean": 0.0, "mislabeled": 1.0}[stratum]
    memorization = np.where(wrong, rng.beta(20, 1, n), rng.beta(0.3, 3, n))
    seen, error = (np.round((memorization + 0.03 * rng.normal(size=n)) * 150) / 150 for _ in range(2))
    return Compared(np.floor(20 * (memorization + 0.3 * rng.random(n))), seen, 1.0, error)


@pytest.mark.parametrize("stratum", ["all", "clean", "mislabeled"])
def test_intervals_cover(stratum: str) -> None:
    """In 300 draws of 300 such samples the intervals hold the value of 100,000 in about 95 % (three sigmas: ± 4).

    Wilson's of the overlap holds it more often; Fieller's variance for Kendall, of untied normal data, less often.
    """
    rng = np.random.default_rng(1)
    metrics = ("spearman", "kendall", "pearson", "cosine", "partial_spearman", "overlap_10")
    endless = like_memorization(stratum, 100_000, rng)
    truth = {metric: MEMORIZATION_METRICS[metric].compute(endless).value for metric in metrics}
    covered: dict[str, list[bool]] = {metric: [] for metric in (*metrics, "fieller")}
    for _ in range(300):
        samples = like_memorization(stratum, 300, rng)
        for metric in metrics:
            value, low, high = MEMORIZATION_METRICS[metric].compute(samples)
            covered[metric].append(low <= truth[metric] <= high)
            if metric == "kendall":
                off = np.arctanh(value) - np.arctanh(truth[metric])
                covered["fieller"].append(bool(abs(off) <= stats.norm.ppf(0.975) * np.sqrt(0.437 / 296)))
    shares = {name: float(np.mean(held)) for name, held in covered.items()}
    assert shares.pop("fieller") < shares["kendall"]
    assert shares.pop("overlap_10") >= 0.95
    assert shares == pytest.approx(dict.fromkeys(shares, 0.95), abs=0.04)


def test_outliers_mislead_the_interval_of_pearson_alone() -> None:
    """With scores of a lognormal law Pearson's interval covers less than 90 %, those by rank what they promise."""
    rng = np.random.default_rng(2)

    def outlying(n: int) -> Compared:
        samples = like_memorization("all", n, rng)
        return samples._replace(scores=np.exp(3 * samples.memorization + rng.normal(size=n)))

    covered: dict[str, list[bool]] = {"pearson": [], "spearman": [], "kendall": []}
    endless = outlying(100_000)
    truth = {metric: MEMORIZATION_METRICS[metric].compute(endless).value for metric in covered}
    for _ in range(300):
        samples = outlying(300)
        for metric, held in covered.items():
            _, low, high = MEMORIZATION_METRICS[metric].compute(samples)
            held.append(low <= truth[metric] <= high)
    shares = {metric: float(np.mean(held)) for metric, held in covered.items()}
    assert shares.pop("pearson") < 0.9
    assert shares == pytest.approx(dict.fromkeys(shares, 0.95), abs=0.04)


@pytest.mark.parametrize("case", ["constant scores", "constant memorization", "two samples", "none"])
def test_what_cannot_be_computed_is_nan(case: str) -> None:
    """Correlations of a constant side or of fewer than three samples are NaN; overlap with a constant is at chance."""
    n = {"two samples": 2, "none": 0}.get(case, 40)
    values, memorization = np.arange(n, dtype=float), np.linspace(0, 1, n)
    if case == "constant scores":
        values = np.full(n, 0.1)
    elif case == "constant memorization":
        memorization = np.full(n, 0.1)
    found = {
        name: metric.compute(Compared(values, memorization, 0.9, memorization))
        for name, metric in MEMORIZATION_METRICS.items()
    }
    for name in ("spearman", "spearman_corrected", "kendall", "pearson", "partial_spearman"):
        assert np.isnan(found[name]).all(), name
    for name in ("cosine", "cosine_constant", "cosine_permuted"):
        assert np.isnan(found[name].value) == (n < 3)
    if n == 40:
        assert found["overlap_10"].value == pytest.approx(0.1)
        constant = "cosine_constant" if case == "constant scores" else "cosine"
        assert found[constant].value == pytest.approx(found["cosine"].value)
    if n == 0:
        assert np.isnan(found["overlap_10"]).all()
        assert np.isnan(found["overlap_chance_10"]).all()


def test_strata_without_samples_are_nan() -> None:
    """Where no clean label is known, there is no clean and no mislabeled stratum: NaN of 0 samples, all the same rows."""
    values, memorization, _, variant = drawn(50, 9)
    unknown = made(np.zeros(50, dtype=bool), np.ones(50, dtype=bool))
    found = measured(values, truth_of(memorization, unknown), unknown)
    assert "partial_spearman" not in {metric for _, metric in found}
    for (stratum, metric), row in found.items():
        if stratum == "all":
            assert np.isfinite(row.value), metric
            assert row.n == 50 - np.isnan(memorization).sum()
        else:
            assert np.isnan([row.value, row.low, row.high]).all(), metric
            assert row.n == 0
    clean_only = made(np.zeros(50, dtype=bool))
    found = measured(values, truth_of(memorization, clean_only), clean_only)
    assert found["clean", "spearman"].value == found["all", "spearman"].value
    assert variant.mislabeled.any()


def test_full_agreement_has_no_width() -> None:
    """The order of memorization itself gets 1 and its reverse -1 by rank, with an interval of no width, never beyond."""
    y = np.random.default_rng(0).random(500)
    for x, value in ((np.exp(y), 1.0), (-np.exp(y), -1.0)):
        for name in ("spearman", "kendall"):
            assert MEMORIZATION_METRICS[name].compute(Compared(x, y, 1.0, y)) == pytest.approx([value] * 3, abs=1e-12)
    assert [*MEMORIZATION_METRICS["pearson"].compute(Compared(3 * y + 1, y, 1.0, y))] == pytest.approx([1.0] * 3)
    assert np.isnan(MEMORIZATION_METRICS["partial_spearman"].compute(Compared(-y, y, 1.0, y))).all()


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scale_of_the_scores_does_not_matter(scale: float) -> None:
    """Scores near the ends of what a float holds correlate as others do."""
    x, y, z = np.random.default_rng(0).normal([[2], [1], [0]], size=(3, 100))
    for name, metric in MEMORIZATION_METRICS.items():
        plain, scaled = (metric.compute(Compared(side, y, 0.9, z)) for side in (x, x * scale))
        assert [*scaled] == pytest.approx([*plain], nan_ok=True), name


def test_nulls_are_those_of_all_permutations() -> None:
    """The permuted cosine and the chance overlap are the means over all 720 orders, the constant's cosine is by hand."""
    x, y = np.array([1.0, 1, 2, 5, -3, 4]), np.array([0.0, 0.3, 0.3, 0.9, 1.0, -0.1])
    orders = [Compared(x[list(order)], y, 1.0, y) for order in permutations(range(6))]
    samples = orders[0]

    def mean(compute: Callable[[Compared], Any]) -> float:
        return float(np.mean([compute(order).value for order in orders]))

    cosine = MEMORIZATION_METRICS["cosine"].compute
    assert MEMORIZATION_METRICS["cosine_permuted"].compute(samples).value == pytest.approx(mean(cosine))
    for percent, chance in ((20, 1 / 6), (50, 1 / 2), (60, 2 / 3)):
        assert overlap_chance(percent, samples).value == chance
        assert mean(lambda order, percent=percent: overlap(percent, order)) == pytest.approx(chance)  # type: ignore[misc]
    by_hand = 2.4 / np.sqrt(6 * (0.09 + 0.09 + 0.81 + 1 + 0.01))
    assert MEMORIZATION_METRICS["cosine_constant"].compute(samples).value == pytest.approx(by_hand)
    assert cosine(samples._replace(scores=np.full(6, 7.0))).value == pytest.approx(by_hand)
    for name in ("cosine_constant", "cosine_permuted", "overlap_chance_10"):
        assert np.isnan(MEMORIZATION_METRICS[name].compute(samples)[1:]).all()


def tops(values: Floats, count: int) -> list[set[int]]:
    """The ``count`` highest, by every order of breaking ties."""
    orders = permutations(range(len(values)))
    return [set(np.lexsort((np.array(order), -values))[:count].tolist()) for order in orders]


@pytest.mark.parametrize("values", [[3, 2, 2, 2, 1], [1, 1, 1, 1, 1], [5, 5, 3, 3, 1]])
def test_overlap_counts_ties_at_their_expectation(values: list[float]) -> None:
    """Overlap is the mean over all pairs of 120 × 120 orders of breaking ties on both sides."""
    x, y = np.array(values, dtype=float), np.array([0.2, 0.7, 0.7, 0.7, 0.0])
    for count in (1, 2, 3):
        brute = np.mean([len(one & other) / count for one, other in product(tops(x, count), tops(y, count))])
        found = overlap(20 * count, Compared(x, y, 1.0, NOTHING_HELD_OUT))
        assert found.value == pytest.approx(brute)
        assert found.low <= found.value <= found.high


def test_partial_correlation_is_what_held_out_error_leaves() -> None:
    """Scores that follow the held-out error alone have no partial correlation; those that also follow the rest do."""
    rng = np.random.default_rng(3)
    error, fitted = rng.random(4000), rng.random(4000)
    variant = made(np.arange(4000) % 5 == 0)
    truth = truth_of(error + 0.2 * fitted, variant)
    for part, low, high in ((0.0, -0.08, 0.08), (0.3, 0.5, 1.0)):
        found = measured(error + part * fitted + 0.1 * rng.random(4000), truth, variant, error)
        for stratum in ("all", "clean", "mislabeled"):
            row = found[stratum, "partial_spearman"]
            assert low < row.value < high
            assert (row.low < 0 < row.high) == (part == 0)
            assert found[stratum, "spearman"].value > 0.9
    assert "partial_spearman" not in {metric for _, metric in measured(error, truth, variant)}


def test_reliability_is_the_squared_correlation_with_what_was_measured() -> None:
    """On simulated memorization of known error it is the squared correlation of seen and true values, by stratum."""
    rng = np.random.default_rng(4)
    wrong = rng.random(50_000) < 0.3
    truly = np.where(wrong, 0.9 + 0.05 * rng.normal(size=50_000), 0.1 + 0.1 * rng.normal(size=50_000))
    seen = truly + 0.05 * rng.normal(size=50_000)
    variant = made(wrong)
    truth = truth_of(np.where(rng.random(50_000) < 0.1, NAN, seen), variant, 0.05)
    expected = []
    for members in strata(variant).values():
        expected.append(stats.pearsonr(seen[members], truly[members]).statistic ** 2)
        assert reliability(truth, members) == pytest.approx(expected[-1], abs=0.02)
    assert expected == pytest.approx([0.98, 0.8, 0.5], abs=0.02)
    assert reliability(truth) == reliability(truth, np.ones(50_000, dtype=bool))
    assert np.isnan(reliability(truth, np.arange(50_000) < 2))
    assert reliability(truth_of(seen, variant, 1.0), variant.mislabeled) < 0


@pytest.mark.parametrize("level", [0.3, 1.0])
@pytest.mark.parametrize("law", ["normal", "skewed"])
def test_correction_recovers_the_true_correlation(law: str, level: float) -> None:
    """From noisy memorization the corrected correlation is the true one: within .015 for normal data, .04 for skewed."""
    rng = np.random.default_rng(5)
    n = 40_000
    if law == "normal":
        truly = rng.normal(size=n)
        seen, stderr = truly + 0.5 * rng.normal(size=n), 0.5
    else:  # how often 15 models that did not see the sample are wrong
        truly = rng.beta(0.3, 3, n)
        seen = rng.binomial(15, truly) / 15
        stderr = float(np.sqrt(np.mean(truly * (1 - truly) / 15)))
    values = truly + level * truly.std() * rng.normal(size=n)
    variant = made(np.arange(n) % 4 == 0)
    found = measured(values, truth_of(seen, variant, stderr), variant)
    for stratum, members in strata(variant).items():
        true = stats.spearmanr(values[members], truly[members]).statistic
        raw, corrected = found[stratum, "spearman"], found[stratum, "spearman_corrected"]
        assert corrected.value == pytest.approx(true, abs=0.015 if law == "normal" else 0.04)
        assert raw.value < true - 0.01
        scaled = np.array([raw.low, raw.high]) / raw.value * corrected.value
        assert [corrected.low, corrected.high] == pytest.approx(scaled)
    unreliable = measured(values, truth_of(truly, variant, 2.0), variant)
    assert np.isnan(unreliable["clean", "spearman_corrected"].value)
    assert unreliable["clean", "spearman"].value > 0.4


def test_both_truths_count_ties_at_their_expectation() -> None:
    """Flags by quarter and false alarms equal the means over all orders of breaking ties in a tiny variant."""
    wrong = np.array([True, True, True, False, False, False, False, False])
    memorization = np.array([0.9, 0.25, 0.1, 0.5, 0.5, 0.2, NAN, 1])  # one unknown, and one of unknown clean label
    values = np.array([3.0, 2, 1, 2, 2, 1, 9, 9])
    variant = made(wrong, np.arange(8) == 7)
    scores = Scores("made", values, variant.provenance.variant_id)
    (row,) = both_truths([scores], truth_of(memorization, variant), variant)
    flagged = tops(values[:6], 3)
    quarters = [{0, 1}, {2}, {3, 4}, {5}]
    assert [*row.flags] == pytest.approx([np.mean([len(top & q) / 3 for top in flagged]) for q in quarters])
    assert [*row.caught] == pytest.approx([np.mean([len(top & q) / len(q) for top in flagged]) for q in quarters])
    assert [*row.sizes] == [2, 1, 2, 1]
    most = tops(memorization[3:6], 1)
    brute = np.mean([{i - 3 for i in top} >= one for top, one in product(flagged, most)])
    assert row.false_alarms.value == pytest.approx(brute)
    assert (row.detector, row.flagged, row.n, row.threshold, row.learner) == ("made", 3, 6, 0.25, LEARNER)
    (row,) = both_truths([scores], truth_of(memorization, variant), variant, threshold=0.95)
    assert [*row.sizes] == [0, 3, 0, 3]
    assert [*row.caught] == pytest.approx([NAN, 5 / 9, NAN, 4 / 9], nan_ok=True)


def test_both_truths_of_references() -> None:
    """The truth flags wrong samples only, a constant flags every quarter by its size, memorization alarms falsely."""
    rng = np.random.default_rng(6)
    wrong = rng.random(2000) < 0.2
    memorization = np.where(wrong, rng.beta(20, 3, 2000), rng.beta(0.5, 3, 2000))
    variant = made(wrong)
    truth = truth_of(memorization, variant)
    rows = {row.detector: row for row in both_truths(reference_scores(variant, seed=0), truth, variant)}
    memorized = memorization >= 0.25
    sizes = [(wrong == w)[memorized == m].sum() for w, m in ((1, 1), (1, 0), (0, 1), (0, 0))]
    assert list(rows) == ["random", "flag_nothing", "perfect", "given_label_only"]
    assert all([*row.sizes] == sizes for row in rows.values())
    assert [*rows["flag_nothing"].flags] == pytest.approx(np.array(sizes) / 2000)
    assert rows["flag_nothing"].false_alarms.value == pytest.approx(wrong.mean())
    assert sum(rows["perfect"].flags[:2]) == pytest.approx(1)
    assert rows["perfect"].false_alarms.value == 0
    itself = Scores("memorization", memorization, variant.provenance.variant_id)
    (row,) = both_truths([itself], truth, variant)
    assert row.flags.clean_memorized > 0
    most = np.sort(memorization[~wrong])[-round(0.05 * (~wrong).sum()) :]
    line = np.sort(memorization)[-int(wrong.sum())]
    expected = stats.binomtest(int((most >= line).sum()), len(most)).proportion_ci(method="wilson")
    assert [*row.false_alarms] == pytest.approx([(most >= line).mean(), expected.low, expected.high])


@pytest.mark.parametrize("wrong", [False, True])
def test_both_truths_need_both_kinds(wrong: bool) -> None:  # noqa: FBT001
    """Where nothing is mislabeled nothing is flagged, and where nothing is clean nothing is a false alarm: NaN."""
    variant = made(np.full(9, wrong))
    values = np.linspace(0, 1, 9)
    (row,) = both_truths([Scores("made", values, variant.provenance.variant_id)], truth_of(values, variant), variant)
    assert np.isnan(row.false_alarms).all()
    assert [*row.flags] == pytest.approx([7 / 9, 2 / 9, 0, 0] if wrong else [NAN] * 4, nan_ok=True)
    assert [*row.caught] == pytest.approx([1, 1, NAN, NAN] if wrong else [NAN] * 4, nan_ok=True)
    assert [*row.sizes] == ([7, 2, 0, 0] if wrong else [0, 0, 7, 2])


def test_what_does_not_belong_together_is_refused() -> None:
    """Scores or memorization of other labels, of another length, and thresholds that mean nothing are refused."""
    values, memorization, _, variant = drawn(50, 9)
    other = made(np.zeros(50, dtype=bool), first=1)
    theirs, ours = other.provenance.variant_id, variant.provenance.variant_id
    truth, scores = truth_of(memorization, variant), Scores("aum", values, ours)
    short = truth_of(memorization[1:], variant)
    of = f"of variant {theirs[:12]}, the labels are of {ours[:12]}; all must be of the same labels"
    for call in (against_memorization, lambda one, *rest: both_truths([one], *rest)):
        with pytest.raises(Mismatch, match=f"scores of 'aum' are {of}"):
            call(Scores("aum", values, theirs), truth, variant)
        with pytest.raises(Mismatch, match=f"memorization is {of}"):
            call(scores, truth_of(memorization, other), variant)
        with pytest.raises(BadData, match=r"'aum' have shape \(49,\), the variant has 50 samples; expected one value"):
            call(Scores("aum", values[1:], ours), truth, variant)
        with pytest.raises(BadData, match=r"memorization has shape \(49,\), the variant has 50 samples"):
            call(scores, short, variant)
    with pytest.raises(BadData, match=r"held-out error has shape \(49,\), the variant has 50 samples; expected one"):
        against_memorization(scores, truth, variant, held_out_error=values[1:])
    for threshold in (0.0, 1.5, NAN):
        with pytest.raises(BadUsage, match=f"above 0 and at most 1, got {threshold}"):
            both_truths([scores], truth, variant, threshold=threshold)


def test_only_what_is_asked_is_computed() -> None:
    """One metric over one stratum gives the row that all of them give together; what needs a held-out error needs one."""
    values, memorization, error, variant = drawn(200, 9)
    truth = truth_of(memorization, variant)
    scores = Scores("made", values, variant.provenance.variant_id)
    every = measured(values, truth, variant, error)
    for stratum, metric in product(STRATA, ("kendall", "partial_spearman")):
        (row,) = against_memorization(scores, truth, variant, held_out_error=error, metrics=[metric], strata=[stratum])
        assert row == every[stratum, metric]
    assert against_memorization(scores, truth, variant, metrics=["partial_spearman"]) == []
