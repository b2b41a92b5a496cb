"""A frequency spectrum: as many samples of each unit as it says, siblings that are held out, and a label for each copy."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.cards.variant_card import card_of
from noisybench.cards.verify import verify_draw
from noisybench.data.cifar100_superclasses import SUPERCLASS_OF
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays, untested
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError, UnknownName
from noisybench.items import find
from noisybench.variants.building import build_variant
from noisybench.variants.location import source_of
from noisybench.variants.variant import read_variant, write_variant

N, K = 600, 4
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 9, 8, 1), dtype=np.uint8)
COLUMNS = (RNG.normal(size=(N, 5)) * [1, 2, 0, 5, 1e-3]).astype(np.float32)
LABELS = np.arange(N) % K
SYMMETRIC = find("noises", "symmetric")


def source_with(inputs: Any = IMAGES, **fields: Any) -> Source:  # noqa: ANN401
    """600 samples of four classes in turn, and a test set of 80 others."""
    usual = {"clean": LABELS, "test_inputs": inputs[:80][::-1], "test_labels": LABELS[:80][::-1]}
    return source_from_arrays("made", inputs, LABELS, **{**usual, **fields})


def spectrum(source: Source, *, seed: int = 0, **options: Any) -> Source:  # noqa: ANN401
    result: Source = find("alterations", "frequency_spectrum")(**options)(source, seed=seed, foreign=None)
    return result


def units_of(marks: Any) -> dict[int, int]:  # noqa: ANN401
    """Unit → how many samples it has."""
    return dict(Counter(marks["unit"][marks["unit"] >= 0].tolist()))


HOW: dict[str, dict[str, Any]] = {
    "exact": {},
    "near": {"siblings": 3},
    "clusters": {"frequencies": "1,2,4,8", "units": 5, "siblings": 3},
    "fine": {"frequencies": "30,9", "siblings": 3, "coarse": 2},
}
UNITS = {"exact": 60, "near": 60, "clusters": 20, "fine": 4}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("inputs", [IMAGES, COLUMNS], ids=["images", "columns"])
def test_every_unit_has_its_samples_and_its_siblings(how: str, inputs: Any) -> None:  # noqa: ANN401
    """Counts are exact, numbers go up with frequency, a unit is of one class, and so are its siblings; seeded."""
    base = source_with(inputs)
    found, same, other = (spectrum(base, seed=seed, how=how, **HOW[how]) for seed in (1, 1, 2))
    assert found.sha256 == same.sha256 != other.sha256
    assert np.array_equal(found.test_inputs, same.test_inputs)
    unit, frequency = found.marks["unit"], found.marks["frequency"]
    counts = units_of(found.marks)
    assert sorted(counts) == list(range(UNITS[how]))
    assert all(frequency[unit == number].tolist() == [size] * size for number, size in counts.items())
    assert [counts[number] for number in sorted(counts)] == sorted(counts.values())
    asked = [int(size) for size in HOW[how].get("frequencies", "1,2,4,8,16,32").split(",")]
    assert Counter(counts.values()) == dict.fromkeys(asked, UNITS[how] // len(asked))
    assert (frequency[unit < 0] == 0).all()
    tested = found.test_marks
    assert set(units_of(tested).values()) == {1 if how == "exact" else 3}
    assert sorted(units_of(tested)) == sorted(counts)
    assert found.test_labels is not None
    for number, size in counts.items():
        rows = tested["unit"] == number
        assert set(tested["frequency"][rows]) == {size}
        assert set(found.test_labels[rows]) == set(found.labels[unit == number])
        assert len(set(found.labels[unit == number])) == 1
    classes = [int(found.labels[unit == number][0]) for number in counts]
    for size in set(counts.values()):
        each = Counter(k for k, number in zip(classes, counts, strict=True) if counts[number] == size)
        assert max(each.values()) - min(each.values()) <= 1
        assert len(each) == (2 if how == "fine" else K)
    assert np.array_equal(found.clean, found.labels)
    assert not any(values.flags.writeable for values in (*found.marks.values(), *tested.values(), found.test_inputs))
    if how in ("exact", "near"):  # all that is no instance stays as it was
        instances = np.unique(found.marks["parent"][unit >= 0])
        assert len(instances) == 60
        left = np.setdiff1d(np.arange(N), instances)
        assert np.array_equal(found.marks["parent"][unit < 0], left)
        assert np.array_equal(found.inputs[unit < 0], inputs[left])


@pytest.mark.parametrize("how", HOW)
def test_siblings_are_held_out(how: str) -> None:
    """The sibling of exact copies is what was copied; no other sibling is in the training set, by its bytes."""
    found = spectrum(source_with(test_inputs=IMAGES[::-1][:80] ^ 1, test_labels=LABELS[::-1][:80]), how=how, **HOW[how])
    trained = {image.tobytes() for image in found.inputs}
    siblings = [image.tobytes() for image in found.test_inputs]
    if how == "exact":
        for image, number in zip(siblings, found.test_marks["unit"], strict=True):
            assert {one.tobytes() for one in found.inputs[found.marks["unit"] == number]} == {image}
    else:
        assert len(set(siblings)) == len(siblings)
        assert not trained & set(siblings)
    if how == "fine":  # and is of the test set that there was
        assert set(siblings) <= {image.tobytes() for image in IMAGES[::-1][:80] ^ 1}
        without = spectrum(untested(source_with()), how=how, **HOW[how])
        held_out = {image.tobytes() for image in without.test_inputs}
        assert held_out <= {image.tobytes() for image in IMAGES}
        assert not held_out & {image.tobytes() for image in without.inputs}


def test_the_draws_stay_what_they_are() -> None:
    """Golden digests: which samples are in which unit follows from the seed alone, in every version."""
    inputs = np.arange(N * 2, dtype=np.float32).reshape(N, 2)
    for how, golden in (("exact", "c42fb85e7f536e08"), ("fine", "ba83eb406253c369")):
        found = spectrum(source_with(inputs), seed=7, how=how, **HOW[how], **({} if how == "fine" else {"others": 40}))
        told = np.concatenate([found.marks["parent"], found.marks["unit"], found.test_inputs[:, 0].astype(np.int64)])
        assert hashlib.sha256(told.astype("<i8").tobytes()).hexdigest()[:16] == golden


def test_copies_are_equal_and_near_copies_are_near() -> None:
    """Exact ones to the bit; near ones are all different, of the same mean over draws, and as far as the strength says."""
    for inputs in (IMAGES, COLUMNS):
        found = spectrum(source_with(inputs), how="exact")
        assert np.array_equal(found.inputs, inputs[found.marks["parent"]])
    found = spectrum(source_with(COLUMNS), how="near", strength=0.2, units=40)
    within = found.marks["unit"] >= 0
    step = (found.inputs - COLUMNS[found.marks["parent"]])[within]
    assert len(np.unique(found.inputs[within], axis=0)) == within.sum() == 40 * 63
    np.testing.assert_allclose(step.std(0), 0.2 * COLUMNS.std(0), rtol=0.06)
    assert (np.abs(step.mean(0)) <= 4 * step.std(0) / np.sqrt(len(step))).all()


def test_near_images_are_moved_brightened_and_noisy() -> None:
    """Each is, to the noise, the image over its edge at one of the allowed places, times one of the allowed brightnesses."""
    texture = np.random.default_rng(1).integers(90, 160, (10, 20, 1), dtype=np.uint8)
    images = np.tile(texture, (60, 1, 1, 2))
    images[1] = 0
    images[1, 0, 0] = 255  # the range of all is 255
    source = source_from_arrays("textures", images, np.arange(60) % 2)
    strength = 0.1
    found = spectrum(source, how="near", strength=strength, frequencies="20", units=10, siblings=5)
    chosen = np.r_[found.inputs[found.marks["unit"] >= 0], found.test_inputs].astype(float)
    seen = set()
    residuals, factors = [], []
    places = {}
    for down in range(-2, 3):
        for right in range(-3, 4):
            moved = np.empty((10, 20, 1))
            for i in range(10):
                for j in range(20):
                    moved[i, j] = texture[min(max(i - down, 0), 9), min(max(j - right, 0), 19), 0]
            places[down, right] = moved
    for image in chosen[chosen.mean((1, 2, 3)) > 50]:
        best: tuple[float, Any, float] = (np.inf, None, 0.0)
        for place, moved in places.items():
            factor = (image * moved).sum() / (2 * moved**2).sum()
            error = ((image - factor * moved) ** 2).mean()
            best = min(best, (error, place, factor), key=lambda one: one[0])
        seen.add(best[1])
        residuals.append(best[0])
        factors.append(best[2])
    assert {abs(down) for down, _ in seen} == {0, 1}  # a tenth of 10
    assert {abs(right) for _, right in seen} == {0, 1, 2}  # a tenth of 20
    assert np.mean(residuals) ** 0.5 == pytest.approx(0.1 * 255, rel=0.05)
    assert min(factors) > 0.87
    assert max(factors) < 1.13
    assert np.std(factors) == pytest.approx(0.2 / 12**0.5, rel=0.2)


def test_fine_classes_of_cifar100_are_the_rare_groups_of_ssft() -> None:
    """Within each superclass, each frequency once, in an order that the seed draws; the labels are the superclasses."""
    labels = np.repeat(np.arange(100), 20)
    inputs = RNG.normal(size=(2000, 2)).astype(np.float32)
    source = source_from_arrays(
        "cifar100",
        inputs,
        labels,
        clean=labels,
        test_inputs=inputs,
        test_labels=labels,
        class_names=[f"c{k}" for k in range(100)],
    )
    found = spectrum(source, how="fine", frequencies="20,10,5,2,1", siblings=20)
    fine = labels[found.marks["parent"]]
    assert np.array_equal(found.labels, np.array(SUPERCLASS_OF)[fine])
    assert found.num_classes == 20
    assert np.bincount(found.labels).tolist() == [38] * 20
    kept = np.bincount(fine, minlength=100)
    assert [sorted(kept[np.array(SUPERCLASS_OF) == k]) for k in range(20)] == [[1, 2, 5, 10, 20]] * 20
    other = spectrum(source, how="fine", frequencies="20,10,5,2,1", seed=1)
    assert not np.array_equal(np.bincount(labels[other.marks["parent"]], minlength=100), kept)
    assert len(found.test_marks["unit"]) == 2000
    everything = spectrum(source, how="fine", frequencies="4,1", siblings=5, tested="all")
    assert Counter(everything.test_marks["frequency"].tolist()) == {0: 1500, 4: 250, 1: 250}
    assert everything.test_labels is not None
    assert np.bincount(everything.test_labels).tolist() == [100] * 20
    assert np.array_equal(np.unique(everything.test_inputs[:, 0]), np.unique(inputs[:, 0]))  # each once


def test_clusters_are_clusters() -> None:
    """Where each class has four clumps that lie apart, a unit and its siblings are of one clump."""
    clump = RNG.integers(0, 4, N)
    inputs = (10 * RNG.normal(size=(4 * K, 6))[4 * LABELS + clump] + RNG.normal(size=(N, 6)) * 0.01).astype(np.float32)
    found = spectrum(source_with(inputs), how="clusters", frequencies="1,3", units=8, siblings=4, others=0)
    assert len(found.labels) == 32
    for number in range(16):
        mine = clump[found.marks["parent"][found.marks["unit"] == number]]
        siblings = found.test_inputs[found.test_marks["unit"] == number]
        origins = [clump[np.flatnonzero((inputs == row).all(1))[0]] for row in siblings]
        assert len({*mine.tolist(), *origins}) == 1


def test_others_and_tests_are_as_many_as_asked_for() -> None:
    """Training samples of no unit are drawn; the base's test set comes before the siblings, unmarked."""
    base = source_with()
    found = spectrum(base, others=100, tested="all")
    assert (found.marks["unit"] < 0).sum() == 100
    assert len(found.labels) == 730
    assert np.array_equal(found.test_inputs[:80], base.test_inputs)
    assert found.test_marks["unit"][:80].tolist() == [-1] * 80
    assert found.test_marks["unit"][80:].tolist() == list(range(60))
    assert found.notes[-1].startswith("frequency spectrum: 630 training samples in units (10 of 1, 10 of 2,")
    assert len(spectrum(base, others=0).labels) == 630
    assert untested(found).test_marks == {}


@pytest.mark.parametrize("mode", ["exact", "bernoulli"])
def test_two_copies_of_a_unit_flip_independently(mode: Any) -> None:  # noqa: ANN401
    """Over 150 draws of noise: both of 40 pairs as often as chance has it, and to the same class in a third of those."""
    found = spectrum(source_with(), frequencies="2", units=40)
    first = np.flatnonzero(found.marks["unit"] >= 0).reshape(40, 2)
    assert (found.marks["unit"][first[:, 0]] == found.marks["unit"][first[:, 1]]).all()
    both = alike = one = 0
    for seed in range(150):
        variant = build_variant(found, SYMMETRIC(rate=0.4), seed=seed, mode=mode)
        wrong = variant.mislabeled[first]
        one += int(wrong.sum())
        both += int(wrong.all(1).sum())
        alike += int((wrong.all(1) & (variant.labels[first[:, 0]] == variant.labels[first[:, 1]])).sum())
    pairs = 40 * 150
    assert one / (2 * pairs) == pytest.approx(0.4, abs=0.02)
    assert both / pairs == pytest.approx(0.16, abs=4 * (0.16 * 0.84 / pairs) ** 0.5)
    assert alike / both == pytest.approx(1 / 3, abs=4 * (2 / 9 / both) ** 0.5)


STEPS = "frequency_spectrum(how=near, frequencies=1,2,4, units=5, siblings=2, others=50)"


def test_a_spectrum_goes_through_the_folder_of_a_variant(tmp_path: Path) -> None:
    """Marks are columns, the record alone gives source and test marks again, and the card says what they are."""
    source = load_source("altered", base="digits", steps=STEPS, seed="3")
    variant = build_variant(source, SYMMETRIC(rate=0.2), seed=1)
    write_variant(variant, tmp_path / "variant")
    read = read_variant(tmp_path / "variant")
    assert {name: mark.tolist() for name, mark in read.marks.items()} == {
        name: source.marks[name].tolist() for name in ("parent", "unit", "frequency")
    }
    again = source_of(read, tmp_path / "variant")
    assert again.sha256 == source.sha256
    assert np.array_equal(again.test_inputs, source.test_inputs)
    assert {name: mark.tolist() for name, mark in again.test_marks.items()} == {
        name: mark.tolist() for name, mark in source.test_marks.items()
    }
    assert "drawn again, gives these labels" in verify_draw(read, again)
    card = card_of(variant)
    assert "mark_unit" in card
    assert "sub-population" in card


def test_a_source_without_truth_has_units_of_its_labels() -> None:
    """And one that knows some classes has units of these alone; texts go with their copies, and not with near ones."""
    source = source_from_arrays("plain", COLUMNS, LABELS, texts=[f"text {i}" for i in range(N)])
    found = spectrum(source)
    assert (found.clean == -1).all()
    assert found.texts is not None
    assert [found.texts[i] for i in range(len(found.labels))] == [f"text {i}" for i in found.marks["parent"]]
    near = spectrum(source, how="near")
    assert near.texts is not None
    assert {near.texts[int(i)] for i in np.flatnonzero(near.marks["unit"] >= 0)} == {""}
    some = source_with(clean=np.where(np.arange(N) < 200, LABELS, -1))
    for how, options in HOW.items():
        found = spectrum(some, how=how, **options)
        assert found.marks["parent"][found.marks["unit"] >= 0].max() < 200


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"how": "rare"}, UnknownName, "no way is called 'rare'"),
        ({"tested": "none"}, UnknownName, "no test set is called 'none'"),
        (
            {"frequencies": "1,2,2"},
            BadUsage,
            "frequencies must be different whole numbers above 0, as 1,2,4,8, got '1,2,2'",
        ),
        ({"frequencies": "0,1"}, BadUsage, "frequencies must be different"),
        ({"frequencies": ""}, BadUsage, "frequencies must be different"),
        ({"frequencies": "few"}, BadUsage, "frequencies must be different"),
        ({"siblings": 3}, BadUsage, "siblings is for how=near or fine or clusters, got how=exact; leave it out"),
        ({"how": "fine", "units": 3}, BadUsage, "units is for how=exact or near or clusters, got how=fine"),
        ({"units": 0}, BadUsage, "units must be"),
        (
            {"how": "near", "strength": 0.0},
            BadUsage,
            "strength of near copies must be a number above 0, up to 1, got 0",
        ),
        ({"how": "near", "strength": 1e-6}, BadData, "near copies of one sample of source 'made' came out equal"),
        (
            {"how": "fine"},
            BadUsage,
            "source 'made' of 4 classes has no superclasses that noisybench knows: say coarse=2",
        ),
        ({"how": "fine", "coarse": 4}, BadUsage, "coarse must be less than the 4 classes of source 'made', got 4"),
        (
            {"how": "fine", "coarse": 2, "frequencies": "400"},
            BadData,
            "class ., within '.*', has 150 training samples and 20 of the test set; expected 400 and 10",
        ),
        ({"units": 101}, BadData, "606 units need as many samples of known class, and there are 600; lower the units"),
        (
            {"how": "clusters"},
            BadData,
            "60 units of 11 to 42 members, siblings included, are more than clusters of the 600 samples of source 'made' give",
        ),
    ],
)
def test_what_a_spectrum_refuses(options: dict[str, Any], kind: type[NoisybenchError], sentence: str) -> None:
    """One sentence each."""
    with pytest.raises(kind, match=sentence):
        spectrum(source_with(), **options)


def test_nothing_comes_after_it() -> None:
    """What would make a frequency untrue is refused: further steps, and a limit; so are tests that are not there."""
    for options in ({"steps": f"{STEPS}; long_tail(factor=2)"}, {"steps": STEPS, "limit": 60}):
        with pytest.raises(BadUsage, match="what comes after frequency_spectrum would make its frequencies untrue"):
            load_source("altered", base="digits", **options)
    assert load_source("altered", base="digits", steps=STEPS, limit=10_000).limit is None
    with pytest.raises(BadUsage, match="source 'made' has no test set to keep; say tested=siblings"):
        spectrum(untested(source_with()), tested="all")
    with pytest.raises(BadUsage, match="an alteration needs inputs"):
        spectrum(source_from_arrays("made", None, LABELS))


def test_marks_of_a_test_set_are_checked_and_cut_with_it() -> None:
    """One for each test sample; where some have no label, for those that have; other alterations keep them."""
    marks = {"seen": np.arange(80) % 3 == 0}
    source = source_with(test_marks=marks, test_labels=np.where(np.arange(80) < 60, LABELS[:80], -1))
    assert source.test_marks["seen"].tolist() == marks["seen"][:60].tolist()
    assert source.sha256 == source_with().sha256
    opened = find("alterations", "open_classes")(share=0.25)(source, seed=0, foreign=None)
    assert opened.test_marks["seen"].tolist() == marks["seen"][:60][LABELS[:60] < 3].tolist()
    with pytest.raises(
        BadData, match=r"test mark 'seen' is bool of shape \(79,\), expected bool or int64 of shape \(80,\)"
    ):
        source_with(test_marks={"seen": marks["seen"][1:]})
    with pytest.raises(
        BadData, match=r"test mark 'seen' is bool of shape \(80,\), expected bool or int64 of shape \(0,\)"
    ):
        source_with(test_marks=marks, test_inputs=None, test_labels=None)
