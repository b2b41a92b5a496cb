import json

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from noisybench.cards.description import describe
from noisybench.cards.description_text import to_record
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.asymmetric import Asymmetric
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant
from noisybench.variants.transitions import all_entries, count_transitions


def toy(k: int, n: int, *, name: str = "toy") -> Source:
    labels = np.arange(n) % k
    return source_from_arrays(name, np.arange(n * 4.0).reshape(n, 4) % 23, labels, clean=labels)


def test_counts_are_a_confusion_matrix() -> None:
    """Clean classes in rows, given ones in columns: the one of scikit-learn."""
    rng = np.random.default_rng(0)
    clean, given = rng.integers(0, 7, (2, 1000))
    np.testing.assert_array_equal(count_transitions(given, clean, 9), confusion_matrix(clean, given, labels=range(9)))


def test_rates_are_counted_and_not_copied_from_the_request() -> None:
    """Per source class, inclusive and effective rates differ from what is realised, and both are told."""
    cifar = describe(build_variant(toy(10, 1000, name="cifar10"), Asymmetric(0.4)))
    assert (cifar.nominal_rate, cifar.expected_rate, cifar.realised_rate) == pytest.approx((0.4, 0.2, 0.2))
    np.testing.assert_allclose(cifar.class_rates, [0, 0, 0.4, 0.4, 0.4, 0.4, 0, 0, 0, 0.4])
    assert cifar.nominal_class_rates is not None
    np.testing.assert_allclose(cifar.nominal_class_rates, cifar.class_rates)
    inclusive = build_variant(toy(4, 1000), Symmetric(0.4, inclusive=True))
    found = describe(inclusive)
    assert (found.nominal_rate, found.expected_rate) == pytest.approx((0.4, 0.3))
    assert found.realised_rate == (inclusive.labels != inclusive.clean).mean()
    np.testing.assert_allclose(all_entries(found.transition).sum(1), 1)
    np.testing.assert_allclose(found.class_rates @ found.class_counts, 1000 * found.realised_rate)


def test_classes_have_counts_intervals_and_their_commonest_mistake() -> None:
    """Counts and shares against a loop over samples, Wilson's intervals against SciPy."""
    variant = build_variant(toy(3, 600), Symmetric(0.3))
    found = describe(variant)
    for k in range(3):
        given = variant.labels[variant.clean == k].tolist()
        wrong = [j for j in given if j != k]
        assert (found.class_counts[k], found.class_wrong[k]) == (len(given), len(wrong))
        assert found.modal_shares[k] == max(wrong.count(j) for j in range(3)) / len(wrong)
        interval = binomtest(len(wrong), len(given)).proportion_ci(method="wilson")
        np.testing.assert_allclose(found.class_intervals[k], [interval.low, interval.high])
    assert found.wrong == found.class_wrong.sum() == 180
    interval = binomtest(180, 600).proportion_ci(method="wilson")
    assert found.realised_interval == pytest.approx((interval.low, interval.high))


def test_the_expected_matrix_is_as_much_as_the_law_tells() -> None:
    """The nominal one of a law of the class alone; of chances for each sample the diagonal, from their class means."""
    conditional = describe(build_variant(toy(3, 600), PairFlip(0.3)))
    assert conditional.expected_transition is not None
    np.testing.assert_allclose(conditional.expected_transition, conditional.nominal_transition)  # type: ignore[arg-type]
    np.testing.assert_allclose(conditional.expected_class_rates, 0.3)  # type: ignore[arg-type]
    variant = build_variant(toy(3, 600), Instance(0.3))
    assert variant.flip_probability is not None
    found = describe(variant)
    means = [variant.flip_probability[variant.clean == k].mean() for k in range(3)]
    np.testing.assert_allclose(found.expected_class_rates, means)  # type: ignore[arg-type]
    assert found.expected_transition is not None
    np.testing.assert_allclose(found.expected_transition.diagonal(), 1 - np.array(means))
    assert found.expected_transition is not None
    assert np.isnan(all_entries(found.expected_transition)).sum() == 6


def test_unknown_and_empty_are_neither_right_nor_wrong() -> None:
    """Rates are of the known samples; the row of a class without any is NaN; nothing known at all gives NaN."""
    labels = np.array([0, 1, 1, 2, 0, 0])
    clean = np.array([0, 0, 1, UNKNOWN, UNKNOWN, 1])
    source = source_from_arrays("found", np.zeros((6, 1)), labels, clean=clean, class_names=list("abcd"))
    found = describe(build_variant(source, AsFound()))
    assert (found.n, found.known, found.realised_rate) == (6, 4, 0.5)
    np.testing.assert_array_equal(found.class_counts, [2, 2, 0, 0])
    np.testing.assert_array_equal(found.class_rates, [0.5, 0.5, np.nan, np.nan])
    assert [found.nominal_rate, found.expected_rate, found.nominal_transition] == [None] * 3
    assert any("the clean label of 2 of 6 samples is unknown" in sentence for sentence in found.warnings)
    assert any("no sample is given class 3 (1 such classes)" in sentence for sentence in found.warnings)
    nothing = source_from_arrays("wild", np.zeros((6, 1)), labels)
    assert np.isnan(describe(build_variant(nothing, AsFound())).realised_rate)


@pytest.mark.parametrize(
    ("noise", "k", "lost"),
    [
        (PairFlip(0.45), 5, 0),
        (PairFlip(0.5), 5, 5),
        (Symmetric(0.74), 4, 0),
        (Symmetric(0.75), 4, 4),
        (Symmetric(0.95, inclusive=True), 4, 0),
        (Symmetric(0.5), 2, 2),
        (Asymmetric(0.5, "cifar10"), 10, 5),
        (Asymmetric(0.49, "cifar10"), 10, 0),
    ],
)
def test_unidentifiable_noise_is_warned_of(noise: Symmetric | PairFlip | Asymmetric, k: int, lost: int) -> None:
    """From the thresholds of the literature on: (K - 1) / K for exclusive symmetric noise, one half for pairs."""
    sentences = [text for text in describe(build_variant(toy(k, 400), noise)).warnings if "identifiable" in text]
    assert bool(sentences) == bool(lost)
    if lost:
        assert f"not identifiable: in {lost} of {k} classes" in sentences[0]


def test_samples_more_likely_wrong_than_right_are_counted() -> None:
    """The share of known samples whose own chance exceeds one half, where there is no matrix to judge by."""
    clean = np.arange(2000) % 4
    clean[1000:] = UNKNOWN
    source = source_from_arrays("toy", np.random.default_rng(0).random((2000, 5)), np.arange(2000) % 4, clean=clean)
    variant = build_variant(source, Instance(0.4))
    assert variant.flip_probability is not None
    share = (variant.flip_probability[:1000] > 0.5).mean()
    assert 0.1 < share < 0.25
    assert any(f"{share:.1%} of the samples are more likely wrong" in text for text in describe(variant).warnings)


def test_what_there_is_no_matrix_of_is_null_in_json() -> None:
    """Without a law there is no nominal one, and without a known class every entry of the realised one is null."""
    labels = np.arange(6) % 2
    unknown = build_variant(source_from_arrays("x", None, labels), AsFound())
    record = json.loads(json.dumps(to_record(unknown, describe(unknown), matrices=True), allow_nan=False))
    assert record["nominal_transition"] is None
    assert record["transition"] in (None, [[None, None], [None, None]])
