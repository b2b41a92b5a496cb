"""Alterations: what they change is marked, what they leave is left, and nothing of it counts as a flip."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from noisybench.board.agreement import against_labels, against_mark, marks_of
from noisybench.cards.description import describe
from noisybench.cards.verify import verify_draw
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import Scores
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError, UnknownName
from noisybench.items import find, names
from noisybench.variants.building import build_variant
from noisybench.variants.location import source_of, write_location
from noisybench.variants.variant import read_variant, write_variant

SYMMETRIC = find("noises", "symmetric")


@pytest.fixture(scope="module")
def images() -> Source:
    """400 grey images of 9 × 8 in eight classes of equal size, with a test set."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (400, 9, 8, 1), dtype=np.uint8)
    labels = np.arange(400) % 8
    return source_from_arrays("made", inputs, labels, clean=labels, test_inputs=inputs[:40], test_labels=labels[:40])


@pytest.fixture(scope="module")
def coloured() -> Source:
    rng = np.random.default_rng(1)
    return source_from_arrays("coloured", rng.integers(0, 256, (30, 18, 16, 3), dtype=np.uint8), np.arange(30) % 3)


def altered(name: str, source: Source, *, seed: int = 0, foreign: Source | None = None, **options: Any) -> Source:  # noqa: ANN401
    result: Source = find("alterations", name)(**options)(source, seed=seed, foreign=foreign)
    return result


OPTIONS: dict[str, dict[str, Any]] = {
    "open_set": {"rate": 0.2},
    "open_classes": {"share": 0.25},
    "duplicates": {"rate": 0.1},
    "long_tail": {"factor": 10.0},
    "corruption": {"rate": 0.3},
    "frequency_spectrum": {},
}


@pytest.mark.parametrize("name", names("alterations"))
def test_every_alteration_is_seeded_marked_and_leaves_its_source(name: str, images: Source, coloured: Source) -> None:
    """Same seed, same bytes; another seed, others; unmarked samples are those of the base; noise keeps unknown labels."""
    before = images.inputs.tobytes(), images.labels.tobytes(), images.clean.tobytes()
    one, same, other = (altered(name, images, seed=s, foreign=coloured, **OPTIONS[name]) for s in (1, 1, 2))
    assert (images.inputs.tobytes(), images.labels.tobytes(), images.clean.tobytes()) == before
    assert one.sha256 == same.sha256 != other.sha256
    assert not any(array.flags.writeable for array in (one.inputs, one.labels, one.clean, *one.marks.values()))
    parent = one.marks["parent"]
    touched = np.zeros(len(one.labels), dtype=bool)
    for mark, values in one.marks.items():
        if values.dtype == bool and mark != "tail":
            touched |= values
            assert values.any()
    assert np.array_equal(one.inputs[~touched], images.inputs[parent[~touched]])
    assert np.array_equal(one.labels[~touched], images.labels[parent[~touched]])
    assert not ((one.clean != UNKNOWN) & (one.clean != one.labels)).any()
    variant = build_variant(one, SYMMETRIC(rate=0.2), seed=3)
    assert np.array_equal(variant.labels[one.clean == UNKNOWN], one.labels[one.clean == UNKNOWN])
    assert describe(variant).known == (one.clean != UNKNOWN).sum()


def test_open_set_inputs_are_foreign_and_brought_to_size(images: Source, coloured: Source) -> None:
    """80 of 400, each foreign image as often as another; grey and half as large, as Pillow makes them to a few levels."""
    found = altered("open_set", images, foreign=coloured, rate=0.2)
    mark = found.marks["open_set"]
    assert mark.sum() == 80
    assert (found.clean[mark] == UNKNOWN).all()
    assert (found.marks["parent"][mark] == UNKNOWN).all()
    assert np.array_equal(found.labels, images.labels)
    theirs = [
        np.asarray(Image.fromarray(image).convert("L").resize((8, 9), Image.Resampling.BILINEAR))
        for image in coloured.inputs
    ]
    nearest = [
        min(range(30), key=lambda j: np.abs(image[..., 0].astype(int) - theirs[j]).max())
        for image in found.inputs[mark]
    ]
    worst = max(
        np.abs(image[..., 0].astype(int) - theirs[j]).max()
        for image, j in zip(found.inputs[mark], nearest, strict=True)
    )
    assert worst <= 3
    assert min(np.bincount(nearest, minlength=30)) >= 2
    with pytest.raises(BadUsage, match="alteration 'open_set' needs other inputs: say --source-set foreign="):
        altered("open_set", images, rate=0.2)
    columns = source_from_arrays("columns", np.ones((4, 3), dtype=np.float32), np.arange(4))
    with pytest.raises(BadUsage, match=r"foreign inputs have shape \(3,\), those of source 'made' \(9, 8, 1\)"):
        altered("open_set", images, foreign=columns, rate=0.2)


def test_a_limit_of_the_base_tears_no_copy_from_its_twin() -> None:
    """The first samples alone are altered: every pair is whole, and the option is on record; without it nothing is."""
    options: dict[str, Any] = {"base": "digits", "steps": "duplicates(rate=0.1)"}
    found = load_source("altered", **options, base_limit="50")
    whole = load_source("digits", limit=50)
    copies = found.marks["conflicting"]
    assert (len(found.labels), copies.sum(), found.marks["duplicate"].sum()) == (50, 5, 10)
    assert np.array_equal(found.inputs, whole.inputs[found.marks["parent"]])
    assert found.options["base_limit"] == 50
    assert "base_limit" not in load_source("altered", **options).options
    with pytest.raises(BadUsage, match="base_limit"):
        load_source("altered", **options, base_limit="0")


def test_open_classes_leave_the_label_set(images: Source) -> None:
    """Two of eight: their samples stay, under labels of the other six that are drawn alike; the test set loses them."""
    found = altered("open_classes", images, share=0.25)
    mark = found.marks["open_set"]
    assert np.array_equal(mark, images.labels >= 6)
    assert found.num_classes == 6
    assert found.labels.max() == 5
    counts = np.bincount(found.labels[mark], minlength=6)
    assert ((counts - 100 / 6) ** 2 / (100 / 6)).sum() < 20.5  # 99.9 % of chi-square with five degrees
    assert found.test_labels is not None
    assert found.test_labels.max() == 5
    with pytest.raises(BadUsage, match="a share of 0.9 of 8 classes leaves 0; expected at least 2"):
        altered("open_classes", images, share=0.9)


@pytest.mark.parametrize("how", ["exact", "mirrored", "shifted", "jpeg"])
def test_duplicates_are_disjoint_pairs(images: Source, how: str) -> None:
    """A copy is its twin's input as numpy and Pillow make it; with conflict its label is never its twin's."""
    found = altered("duplicates", images, rate=0.1, how=how)
    copies = np.flatnonzero(found.marks["conflicting"])
    twins = found.marks["parent"][copies]
    assert len(copies) == len(set(twins)) == 40
    assert not set(copies) & set(twins)
    assert np.array_equal(np.flatnonzero(found.marks["duplicate"]), np.sort([*copies, *twins]))
    for copy, twin in zip(copies[:5], twins, strict=False):
        image = images.inputs[twin]
        stream = io.BytesIO()
        Image.fromarray(image[..., 0]).save(stream, "jpeg", quality=50)
        expected = {
            "exact": image,
            "mirrored": np.fliplr(image),
            "shifted": np.pad(image, ((1, 0), (1, 0), (0, 0)))[:-1, :-1],
            "jpeg": np.asarray(Image.open(stream))[..., None],
        }[how]
        assert np.array_equal(found.inputs[copy], expected)
    assert (found.labels[copies] != images.labels[twins]).all()
    assert (found.clean[copies] == UNKNOWN).all()
    alike = altered("duplicates", images, rate=0.1, how=how, conflict=False)
    assert np.array_equal(alike.labels[copies], images.labels[twins])
    assert np.array_equal(alike.clean, alike.labels)
    assert "conflicting" not in alike.marks


def test_a_conflict_is_one_with_a_wrong_twin_too(images: Source) -> None:
    """Where twins are mislabeled themselves, a copy has neither their label nor their class; nothing known is refused."""
    wrong = replace(images, labels=(images.clean + (np.arange(400) % 2)) % 8)
    found = altered("duplicates", wrong, rate=0.4)
    copies = np.flatnonzero(found.marks["conflicting"])
    twins = found.marks["parent"][copies]
    assert (found.labels[copies] != wrong.labels[twins]).all()
    assert (found.labels[copies] != wrong.clean[twins]).all()
    with pytest.raises(
        BadData, match="an alteration of source 'made' would leave no clean label known; lower its rate"
    ):
        altered("open_set", images, foreign=images, rate=1.0)
    with pytest.raises(UnknownName, match="no way is called 'exactly'; did you mean 'exact'"):
        altered("duplicates", images, rate=0.1, how="exactly")


def test_the_conflicting_labels_are_drawn_alike(images: Source) -> None:
    """Over seeds, each of the seven other classes equally often: chi-square."""
    steps = np.zeros(8)
    for seed in range(40):
        found = altered("duplicates", images, seed=seed, rate=0.1)
        copies = np.flatnonzero(found.marks["conflicting"])
        step = (found.labels[copies] - images.labels[found.marks["parent"][copies]]) % 8
        steps += np.bincount(step, minlength=8)
    assert steps[0] == 0
    expected = steps.sum() / 7
    assert ((steps[1:] - expected) ** 2 / expected).sum() < 22.5  # 99.9 % with six degrees


def test_a_long_tail_has_the_sizes_of_cui_et_al(images: Source) -> None:
    """round(50 · 10^(-j/7)), largest first by index, and in a drawn order otherwise; who is left is drawn."""
    expected = [round(50 * 10 ** (-j / 7)) for j in range(8)]
    found = altered("long_tail", images, factor=10.0, order="index")
    assert np.bincount(found.labels).tolist() == expected
    assert np.array_equal(found.marks["tail"], found.labels >= 4)
    drawn = altered("long_tail", images, factor=10.0, seed=5)
    assert sorted(np.bincount(drawn.labels), reverse=True) == expected
    assert np.bincount(drawn.labels).tolist() != expected
    assert (np.diff(drawn.marks["parent"]) > 0).all()
    assert found.test_labels is images.test_labels
    assert altered("long_tail", images, factor=1.0).sha256 == images.sha256
    with pytest.raises(BadUsage, match=r"factor must be at least 1 .* got 0.5"):
        altered("long_tail", images, factor=0.5)


def test_corruption_damages_inputs_only(images: Source) -> None:
    """Gaussian noise of the asked deviation; shifted and zoomed as numpy and Pillow do; columns take noise alone."""
    peaked = np.full((900, 20, 20, 1), 100, dtype=np.uint8)
    peaked[:2] = np.array([0, 200]).reshape(2, 1, 1, 1)
    halves = np.arange(900) % 2
    source = source_from_arrays("flat", peaked, halves, clean=halves)
    found = altered("corruption", source, rate=0.5, strength=0.1)
    mark = found.marks["corrupted"] & (np.arange(900) > 1)
    added = found.inputs[mark].astype(float) - 100
    assert added.std() == pytest.approx(0.1 * 200, rel=0.02)
    assert np.array_equal(found.labels, source.labels)
    assert np.array_equal(found.clean, source.clean)
    moved = altered("corruption", images, rate=0.3, how="shift", strength=2)
    i = int(np.flatnonzero(moved.marks["corrupted"])[0])
    assert np.array_equal(moved.inputs[i], np.pad(images.inputs[i], ((2, 0), (2, 0), (0, 0)))[:-2, :-2])
    large = altered("corruption", images, rate=0.3, how="zoom", strength=2)
    window = images.inputs[i][2:6, 2:6, 0]
    expected = np.asarray(Image.fromarray(window).resize((8, 9), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(large.inputs[i][..., 0] - expected).max() <= 2
    columns = source_from_arrays(
        "columns", np.ones((10, 3), dtype=np.float32), np.arange(10) % 2, clean=np.arange(10) % 2
    )
    assert altered("corruption", columns, rate=0.5).inputs.dtype == np.float32
    with pytest.raises(BadUsage, match="corruption by zoom is of images, source 'columns' has columns"):
        altered("corruption", columns, rate=0.5, how="zoom")
    with pytest.raises(BadUsage, match="strength of 'zoom' must be a number above 1, got 1"):
        altered("corruption", images, rate=0.5, how="zoom", strength=1.0)
    with pytest.raises(BadUsage, match="strength of 'shift' must be a number above 0.5, got 0.3"):
        altered("corruption", images, rate=0.5, how="shift", strength=0.3)


def test_a_source_without_truth_is_not_told_that_it_lost_some(coloured: Source) -> None:
    """What makes clean labels unknown needs some that are known."""
    for name in ("open_set", "open_classes", "duplicates"):
        with pytest.raises(
            BadData, match=f"alteration '{name}' makes clean labels unknown, and source 'coloured' knows none"
        ):
            altered(name, coloured, foreign=coloured, **OPTIONS[name])


STEPS = "long_tail(factor=4); duplicates(rate=0.05); corruption(rate=0.1, how=shift, strength=2)"


def test_an_altered_source_is_built_verified_and_found_again(tmp_path: Path) -> None:
    """Marks go along through disk; the record alone rebuilds it; steps come after each other on what was left."""
    source = load_source("altered", base="digits", steps=STEPS, seed="7")
    assert list(source.marks) == ["parent", "tail", "duplicate", "conflicting", "corrupted"]
    assert len(source.labels) < 1437
    variant = build_variant(source, SYMMETRIC(rate=0.2), seed=1)
    assert variant.mislabeled[variant.known].mean() == pytest.approx(0.2, abs=0.001)
    write_variant(variant, tmp_path / "variant")
    read = read_variant(tmp_path / "variant")
    for name, mark in variant.marks.items():
        assert np.array_equal(read.marks[name], mark)
    again = source_of(read, tmp_path / "variant")
    assert again.sha256 == source.sha256
    assert "drawn again, gives these labels" in verify_draw(read, again)
    assert load_source("altered", base="digits", steps=STEPS, seed="7", limit=50).limit == 50
    write_location(tmp_path / "variant", data=None, source_set={"base": "digits", "steps": STEPS, "seed": "8"})
    assert source_of(read, tmp_path / "variant").sha256 != source.sha256


def test_marks_are_truths_of_their_own(images: Source) -> None:
    """What bears a mark is told from clean samples without it; the mislabeled truth does not count what lost its label."""
    source = altered("duplicates", images, rate=0.1)
    variant = build_variant(source, SYMMETRIC(rate=0.25))
    mark = variant.marks["conflicting"]
    values = np.where(variant.mislabeled, 9.0, mark.astype(np.float64))
    scores = Scores("made", values, variant.provenance.variant_id)
    assert set(marks_of(variant)) == {"duplicate", "conflicting"}
    found = {(a.truth, a.metric): a for a in against_mark(scores, variant, "conflicting")}
    assert {truth for truth, _ in found} == {"conflicting"}
    assert found["conflicting", "auroc"].value == 1
    assert found["conflicting", "auroc"].n == 400 - variant.mislabeled.sum()
    own = {a.metric: a for a in against_labels(scores, variant)}
    assert own["auroc"].n == 360


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"steps": "x"}, BadUsage, "source 'altered' needs 'base': say --source-set base=…"),
        ({"base": "digits", "steps": ";"}, BadUsage, "source 'altered' needs alterations, as --source-set"),
        ({"base": "digits", "steps": "long_tale(factor=3)"}, UnknownName, "did you mean 'long_tail'"),
        ({"base": "digits", "steps": "long_tail(3)"}, BadUsage, "'long_tail' takes key=value, got '3'"),
        ({"base": "digits", "steps": "os:system(rate=1)"}, BadUsage, r"an alteration reads name\(option=value, …\)"),
        ({"base": "altered", "steps": "long_tail(factor=3)"}, BadUsage, "source 'altered' cannot be altered"),
        ({"base": "digit", "steps": "long_tail(factor=3)"}, UnknownName, "did you mean 'digits'"),
        ({"base": "digits", "steps": "open_set(rate=0.1)", "foreign": "digit"}, UnknownName, "did you mean 'digits'"),
        (
            {"base": "huggingface(path=/some/where)", "steps": "long_tail(factor=3)"},
            BadUsage,
            "path of source 'huggingface' must be named without its folder, got '/some/where'",
        ),
        ({"base": "digits", "steps": "corruption(rate=2)"}, BadUsage, r"rate must lie in \[0, 1\]"),
    ],
)
def test_what_an_altered_source_refuses(options: dict[str, str], kind: type[NoisybenchError], sentence: str) -> None:
    """One sentence each."""
    with pytest.raises(kind, match=sentence):
        load_source("altered", **options)  # type: ignore[arg-type]
