"""Planning a comparison, against closed forms and against simulated runs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.errors import BadUsage
from noisybench.statistics.planning import Correlations, hanley_mcneil, measure_correlations, plan_comparison

GIVEN = Correlations(0.6, 0.5, 0.2)


def drawn(
    rng: np.random.Generator, times: int, shape: tuple[int, int, int, int], shifts: Floats
) -> tuple[Floats, Bools]:
    """Scores (t, p, d, s, n) and wrong labels (t, d, n): a part that inputs, detectors, draws and seeds share each."""
    p, d, s, n = shape
    wrong = np.argsort(rng.random((times, d, n)), axis=-1) < n // 5
    of_sample = rng.standard_normal((times, 1, 1, 1, n))
    of_detector = rng.standard_normal((times, p, 1, 1, n))
    of_draw = rng.standard_normal((times, p, d, 1, n))
    of_seed = rng.standard_normal((times, p, d, s, n))
    noise = (of_sample + 0.6 * of_detector + 0.5 * of_draw + 0.7 * of_seed) / math.sqrt(1 + 0.36 + 0.25 + 0.49)
    return noise + shifts[:, None, None, None] * wrong[:, None, :, None, :], wrong


def areas_of(scores: Floats, wrong: Bools) -> Floats:
    """AUROCs by ranks, (t, p, d, s)."""
    m = wrong.sum(-1)[:, None, :, None]
    ranks = scores.argsort(-1).argsort(-1) + 1  # no two are tied
    sums = (ranks * wrong[:, None, :, None, :]).sum(-1)
    areas: Floats = (sums - m * (m + 1) / 2) / (m * (scores.shape[-1] - m))
    return areas


def shift_of(area: float) -> float:
    return float(norm.ppf(area) * math.sqrt(2))


def measured(scores: Floats, wrong: Bools) -> Correlations:
    """Correlations that many draws of all give together, each measured alone."""
    each = [measure_correlations(a, b, words="", default=GIVEN) for a, b in zip(scores, wrong, strict=True)]
    names = ("detectors", "seeds", "draws", "spread")
    detectors, seeds, draws, spread = (float(np.mean([getattr(one, name) for one in each])) for name in names)
    return Correlations(detectors, seeds, draws, spread)


def test_the_correlations_are_those_of_repeated_experiments() -> None:
    """What placement values of single experiments tell is how AUROCs vary over 1,000 experiments with new samples."""
    rng = np.random.default_rng(0)
    scores, wrong = drawn(rng, 1000, (2, 2, 2, 150), np.array([shift_of(0.8)] * 2))
    found = measured(scores[:100], wrong[:100])
    areas = areas_of(scores, wrong)
    gap = areas[:, 0] - areas[:, 1]  # (t, d, s)

    def together(values: Floats, others: Floats) -> float:
        return float(np.mean((values - values.mean(0)) * (others - others.mean(0))))

    one = together(gap, gap)
    assert found.seeds == pytest.approx(together(gap[:, :, 0], gap[:, :, 1]) / one, abs=0.09)
    assert found.draws == pytest.approx(together(gap[:, 0], gap[:, 1]) / one, abs=0.09)
    assert found.detectors == pytest.approx(1 - one / 2 / together(areas, areas), abs=0.09)
    assert found.spread * hanley_mcneil(0.8, 30, 120) == pytest.approx(together(areas, areas), rel=0.1)
    for draws, seeds in ((1, 2), (2, 1), (2, 2)):
        plan = plan_comparison(0.8, 30, 120, correlations=found, draws=draws, seeds=seeds)
        assert plan.standard_error == pytest.approx(gap[:, :draws, :seeds].mean((1, 2)).std(), rel=0.08)


def test_the_planned_size_has_the_planned_power() -> None:
    """With as many samples as the plan names, a difference of .06 is found in 80 % of 500 experiments, none in 5 %."""
    rng = np.random.default_rng(1)
    scores, wrong = drawn(rng, 100, (2, 2, 2, 200), np.array([shift_of(0.82)] * 2))
    plan = plan_comparison(0.82, 40, 160, correlations=measured(scores, wrong), draws=2, seeds=2, difference=0.06)
    assert plan.samples_needed is not None
    n = 5 * math.ceil(plan.samples_needed / 5)
    for difference, expected in ((0.06, 0.8), (0.0, 0.05)):
        shifts = np.array([shift_of(0.82 + difference / 2), shift_of(0.82 - difference / 2)])
        areas = areas_of(*drawn(rng, 500, (2, 2, 2, n), shifts)).mean((2, 3))
        surely = 0.06 * norm.ppf(0.975) / (norm.ppf(0.975) + norm.ppf(0.8))
        found = np.mean(np.abs(areas[:, 0] - areas[:, 1]) > surely)
        assert found == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / 500) + 0.01)


def test_a_plan_is_its_formula() -> None:
    """Standard error and smallest difference are those of the variance that the page states, α shared by the pairs."""
    plan = plan_comparison(0.9, 100, 400, correlations=replace(GIVEN, spread=1.3), draws=3, seeds=2, detectors=4)
    one = 1.3 * hanley_mcneil(0.9, 100, 400)
    variance = 2 * one * 0.4 * (0.2 + 0.3 / 3 + 0.5 / 6)
    assert plan.standard_error == pytest.approx(math.sqrt(variance))
    assert plan.smallest == pytest.approx((norm.ppf(1 - 0.05 / 6 / 2) + norm.ppf(0.8)) * math.sqrt(variance))


@pytest.mark.parametrize("what", ["draws", "seeds", "samples"])
def test_what_is_needed_is_just_enough(what: str) -> None:
    """With as many draws, seeds or samples as are named the difference is found, with one fewer it is not."""
    size = {"draws": 3, "seeds": 1, "samples": 1000}

    def smallest(**changed: int) -> float:
        now = size | changed
        size_of = {"draws": now["draws"], "seeds": now["seeds"]}
        if "samples" not in changed:
            return plan_comparison(0.9, 200, 800, correlations=GIVEN, **size_of).smallest
        law = hanley_mcneil(0.9, 0.2 * now["samples"], 0.8 * now["samples"]) / hanley_mcneil(0.9, 200, 800)
        return plan_comparison(0.9, 200, 800, correlations=replace(GIVEN, spread=law), **size_of).smallest

    difference = smallest(**{what: 2 * size[what]}) * 1.0001
    plan = plan_comparison(0.9, 200, 800, correlations=GIVEN, draws=3, difference=difference)
    needed = {"draws": plan.draws_needed, "seeds": plan.seeds_needed, "samples": plan.samples_needed}[what]
    assert needed is not None
    assert smallest(**{what: needed}) <= difference < smallest(**{what: needed - 1})


def test_what_no_number_is_enough_for_is_none() -> None:
    """Where draws share what is left, further draws never find it, nor do further seeds; samples do."""
    plan = plan_comparison(0.9, 50, 450, correlations=GIVEN, difference=0.001)
    assert (plan.draws_needed, plan.seeds_needed) == (None, None)
    assert plan.samples_needed is not None
    equal = plan_comparison(0.9, 50, 450, correlations=replace(GIVEN, detectors=1.0))
    assert (equal.smallest, equal.draws_needed, equal.seeds_needed, equal.samples_needed) == (0, 1, 1, 20)


def test_one_draw_and_one_seed_take_what_they_cannot_tell() -> None:
    """Without a second draw or seed the correlation is the stated one, and a draw shares no more than its seeds do."""
    scores, wrong = drawn(np.random.default_rng(0), 1, (3, 1, 1, 200), np.full(3, 1.0))
    found = measure_correlations(scores[0], wrong[0], words="these", default=GIVEN)
    assert (found.seeds, found.draws, found.measured_on) == (0.5, 0.2, "these")
    assert 0 < found.detectors < 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"area": 1.0}, "area = 1.0, expected a number between 0 and 1"),
        ({"wrong": 0}, "wrong = 0, expected at least 1"),
        ({"detectors": 1}, "detectors = 1, expected at least 2"),
        ({"difference": 0.0}, "difference = 0.0, expected"),
    ],
)
def test_numbers_out_of_range_are_refused(changed: dict[str, float], said: str) -> None:
    """The number and the range are named."""
    given = {"area": 0.9, "wrong": 10, "right": 90} | changed
    with pytest.raises(BadUsage, match=said):
        plan_comparison(**given, correlations=GIVEN)  # type: ignore[arg-type]


def test_correlations_out_of_range_are_refused() -> None:
    """A correlation has its bounds, and draws share no more than seeds of one draw."""
    with pytest.raises(BadUsage, match=r"'seeds' is 1.5, which lies outside \[0, 1\]"):
        Correlations(0.5, 1.5, 0.5)
    with pytest.raises(BadUsage, match=r"of draws, 0.6, is above that of seeds, 0.5"):
        Correlations(0.5, 0.5, 0.6)
    with pytest.raises(BadUsage, match="spread = 0, expected a number above 0"):
        Correlations(0.5, 0.5, 0.5, 0)
