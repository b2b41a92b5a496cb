from time import process_time
from typing import get_args

import numpy as np
import pytest

from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import uniforms
from noisybench.variants.flipping import (
    Mode,
    check_mode,
    flip_by_class,
    nearest_counts,
    select,
    sum_to,
    systematic,
    transition_of,
)
from noisybench.variants.transitions import all_entries

MODES: tuple[Mode, ...] = get_args(Mode)


def symmetric(k: int) -> Floats:
    """Law of a wrong label: any other class."""
    return (1 - np.eye(k)) / (k - 1)


def long_tail(k: int, largest: int) -> Labels:
    """Class j has about largest / (j + 1) members, at least one; shuffled."""
    labels = np.repeat(np.arange(k), np.maximum(1, largest // np.arange(1, k + 1)))
    return labels[np.argsort(uniforms(0, "shuffle", len(labels)))]


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_rate_outside_its_range_is_refused(rate: float) -> None:
    """Percentages and NaN do not pass for fractions."""
    with pytest.raises(BadUsage, match=r"rate must lie in \[0, 1\] \(0.2 is 20 %\), got"):
        check_rate(rate)
    for nonsense in (True, "0.2", None, [0.2]):
        with pytest.raises(BadUsage, match=r"rate must be a number in \[0, 1\] \(0.2 is 20 %\), got"):
            check_rate(nonsense)  # type: ignore[arg-type]


def test_a_rate_of_any_type_is_a_plain_float() -> None:
    """What NumPy computed, a whole number, and minus zero, which is zero."""
    for given, meant in ((np.float32(0.25), 0.25), (np.float64(0.5), 0.5), (np.int64(1), 1.0), (1, 1.0), (-0.0, 0.0)):
        assert repr(check_rate(given)) == repr(meant)  # type: ignore[arg-type]


def test_a_mode_that_does_not_exist_is_refused() -> None:
    """The message names those that do."""
    with pytest.raises(BadUsage, match="no mode 'exakt'; there are: exact, exact_per_class, bernoulli"):
        check_mode("exakt")


def test_nearest_counts_are_next_to_their_expectation_and_sum_to_the_nearest_integer() -> None:
    """1,000 classes of 5 samples at 5 %: 250 in all, none truncated to nothing, ties broken by the uniforms alone."""
    expected = np.full(1000, 5 * 0.05)
    counts = nearest_counts(expected, uniforms(0, "ties", 1000))
    assert counts.sum() == 250
    assert set(counts) == {0, 1}
    uneven = np.array([1.2, 3.7, 0.0, 2.6])
    assert nearest_counts(uneven, np.zeros(4)).tolist() == [1, 4, 0, 3]


def test_rounding_errors_of_products_do_not_move_a_count() -> None:
    """50 * 0.1 * 3 is 15.000000000000002 and 1437 halves are exactly 718.5: neither gains a sample."""
    assert nearest_counts(np.array([50 * 0.1 * 3, 0.29 * 100]), np.zeros(2)).tolist() == [15, 29]
    for noise in (-1e-10, 0, 1e-10):
        assert nearest_counts(np.array([718.5 + noise]), np.zeros(1)) == 718


def test_systematic_sampling_takes_each_sample_with_its_own_chance() -> None:
    """Averaged over 10,000 evenly spaced starts, inclusion equals the chance; the number taken never varies."""
    chance = sum_to(uniforms(0, "chance", 40), 11)
    taken = np.array([systematic(chance, (j + 0.5) / 10_000) for j in range(10_000)])
    assert set(taken.sum(1)) == {11}
    assert set(taken.ravel()) == {0, 1}
    np.testing.assert_allclose(taken.mean(0), chance, atol=2e-4)


def test_chances_are_scaled_to_a_sum_without_exceeding_one() -> None:
    """Proportional below one, as in the loop that caps the largest and shares out the rest again."""
    weights = np.array([0.0, 0.1, 0.2, 0.3, 0.9])
    chances = sum_to(weights, 2.2)
    np.testing.assert_allclose(chances, [0.0, 0.2, 0.4, 0.6, 1.0])
    np.testing.assert_array_equal(sum_to(weights, 0), np.zeros(5))
    np.testing.assert_array_equal(sum_to(weights, 4), [0, 1, 1, 1, 1])


@pytest.mark.parametrize(("k", "size"), [(2, 7), (10, 143), (100, 5), (1000, 3)])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 1 / 3, 0.9, 1.0])
def test_exact_modes_meet_the_count_to_the_sample(k: int, size: int, rate: float) -> None:
    """The nearest integer overall, also where a class has three samples; per class, one of the two integers around."""
    clean = np.tile(np.arange(k), size)
    for mode in ("exact", "exact_per_class"):
        labels, selected = flip_by_class(
            clean, clean, np.full(k, rate), symmetric(k), by_class=False, seed=1, mode=mode
        )
        assert (labels != clean).sum() == round(round(rate * len(clean), 6))
        np.testing.assert_array_equal(selected, labels != clean)
    assert np.abs(np.bincount(clean[selected], minlength=k) - rate * size).max() < 1 - 1e-9


@pytest.mark.parametrize("mode", ["exact", "exact_per_class"])
def test_each_class_has_its_own_count_where_chances_differ(mode: Mode) -> None:
    """Classes of 1 to 300 samples with chances 0, 0.15, … in a long tail, an empty class among them."""
    clean = long_tail(300, 300)
    clean = clean[clean != 7]
    chance = np.tile([0.0, 0.15, 0.3, 0.45, 0.6], 60)
    labels, _ = flip_by_class(clean, clean, chance, symmetric(300), by_class=True, seed=2, mode=mode)
    expected = chance * np.bincount(clean, minlength=300)
    flipped = np.bincount(clean[labels != clean], minlength=300)
    assert np.abs(flipped - expected).max() < 1
    assert flipped.sum() == round(expected.sum())


def test_rates_of_classes_are_met_in_each_also_when_they_are_equal() -> None:
    """Every class of 500 gets its 100 wrong labels, not 100 on average."""
    clean = np.tile(np.arange(100), 500)
    labels, _ = flip_by_class(clean, clean, np.full(100, 0.2), symmetric(100), by_class=True, seed=0, mode="exact")
    np.testing.assert_array_equal(np.bincount(clean[labels != clean], minlength=100), 100)


def test_exact_per_class_meets_every_cell_of_the_matrix() -> None:
    """Each cell is one of the two integers next to n_i T_ij, in balanced classes and in a long tail."""
    law = uniforms(0, "law", 2500).reshape(50, 50)
    np.fill_diagonal(law, 0)
    law /= law.sum(1, keepdims=True)
    chance = uniforms(0, "rates", 50)
    for clean in (np.tile(np.arange(50), 97), long_tail(50, 2000)):
        labels, _ = flip_by_class(clean, clean, chance, law, by_class=False, seed=3, mode="exact_per_class")
        counts = np.bincount(clean * 50 + labels, minlength=2500).reshape(50, 50)
        expected = np.bincount(clean)[:, None] * all_entries(transition_of(chance, law))
        assert np.abs(counts - expected).max() < 1


@pytest.mark.parametrize("mode", MODES)
def test_two_classes_swap_and_the_extreme_rates_are_certain(mode: Mode) -> None:
    """With two classes every label becomes the other at rate 1 and none does at rate 0."""
    clean = np.array([0, 1, 1, 0, 1], dtype=np.int64)
    swapped, _ = flip_by_class(clean, clean, np.ones(2), symmetric(2), by_class=False, seed=0, mode=mode)
    kept, selected = flip_by_class(clean, clean, np.zeros(2), symmetric(2), by_class=False, seed=0, mode=mode)
    np.testing.assert_array_equal(swapped, 1 - clean)
    np.testing.assert_array_equal(kept, clean)
    assert not selected.any()


@pytest.mark.parametrize("mode", MODES)
def test_unknown_clean_labels_keep_the_given_one(mode: Mode) -> None:
    """They are never selected, count in no rate, and do not become the last class."""
    clean = np.tile(np.arange(10), 30)
    given = clean.copy()
    clean[::3] = UNKNOWN
    given[::3] = 4
    labels, selected = flip_by_class(given, clean, np.full(10, 0.5), symmetric(10), by_class=False, seed=5, mode=mode)
    np.testing.assert_array_equal(labels[::3], 4)
    assert not selected[::3].any()
    if mode != "bernoulli":
        assert selected.sum() == 100
    nobody, none = flip_by_class(
        given, np.full_like(clean, UNKNOWN), np.ones(10), symmetric(10), by_class=False, seed=5, mode=mode
    )
    np.testing.assert_array_equal(nobody, given)
    assert not none.any()


def test_selection_follows_the_chances_of_the_samples() -> None:
    """Over 2,000 seeds each sample is taken as often as its chance says (binomial bounds), in every mode."""
    chance = np.concatenate([np.zeros(5), uniforms(0, "chances", 40), np.ones(3)])
    chance[5:45] *= 18 / chance[5:45].sum()
    clean = np.arange(48) % 2
    chance[clean == 1] *= round(chance[clean == 1].sum()) / chance[clean == 1].sum()
    chance[clean == 0] *= round(chance[clean == 0].sum()) / chance[clean == 0].sum()
    chance = np.minimum(chance, 1)
    for mode in MODES:
        taken = np.mean([select(chance, clean, by_class=False, seed=s, mode=mode) for s in range(2000)], axis=0)
        assert np.abs(taken - chance).max() < 5 * np.sqrt(0.25 / 2000)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_certain_is_drawn_for_certain(mode: Mode) -> None:
    """Also where chances sum to 5.4 in one class and 2.4 in the other, and the counts are next to these."""
    chance = np.array([1.0, 1.0, 1.0, *[0.4] * 6, *[0.4] * 6])
    clean = np.repeat([0, 1], [9, 6])
    for seed in range(50):
        taken = select(chance, clean, by_class=False, seed=seed, mode=mode)
        assert taken[:3].all()
        assert mode == "bernoulli" or taken.sum() == 8


def test_symmetric_noise_on_the_scale_of_imagenet_takes_under_two_seconds() -> None:
    """1.3 million labels of 1,000 classes; 0.4 to 0.6 s of processor time measured on one EPYC core."""
    clean = np.tile(np.arange(1000), 1300)
    start = process_time()
    labels, _ = flip_by_class(
        clean, clean, np.full(1000, 0.2), symmetric(1000), by_class=False, seed=0, mode="exact_per_class"
    )
    assert process_time() - start < 2
    assert set(np.bincount(clean[labels != clean])) == {260}
