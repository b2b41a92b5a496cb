"""What is said of several annotators, against loops over pairs; and the file that answers are kept in."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.cards.croissant import croissant_of
from noisybench.cards.crowd import crowd_of
from noisybench.cards.description import describe
from noisybench.cards.description_text import to_record, to_text
from noisybench.cards.export import export_variant
from noisybench.cards.variant_card import card_of, write_cards
from noisybench.cards.verify import verify_draw, verify_variant
from noisybench.data.crowd.answers import Answers
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import read_columns, write_columns
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant, write_variant


@pytest.fixture(scope="module")
def source() -> Source:
    """60 samples of four classes, six annotators of several qualities, some of whom answered; two samples nobody did."""
    rng = np.random.default_rng(0)
    right = rng.integers(0, 4, 60)
    clean = np.where(np.arange(60) < 5, UNKNOWN, right)
    clean[5] = WRONG
    labels = np.where(rng.random(60) < 0.3, (right + 1) % 4, right)
    labels[5] = 0
    answers = np.where(rng.random((60, 6)) < np.linspace(0.3, 1, 6), right[:, None], rng.integers(0, 4, (60, 6)))
    answers[rng.random((60, 6)) < 0.4] = -1
    answers[[7, 20]] = -1
    inputs = rng.normal(size=(60, 3))
    return source_from_arrays("npz", inputs, labels, clean=clean, answers=answers)


@pytest.fixture
def variant(source: Source) -> Variant:
    return build_variant(source, AsFound())


def test_numbers_are_those_of_a_loop(variant: Variant) -> None:
    """Pairs within samples, alpha as the ratio of disagreements, accuracy where the right class is known."""
    crowd = crowd_of(variant)
    answers = variant.answers
    assert crowd is not None
    assert answers is not None
    said: dict[int, list[int]] = {}
    for i, label in zip(answers.sample.tolist(), answers.label.tolist(), strict=True):
        said.setdefault(i, []).append(label)
    pairs = [a == b for given in said.values() for a, b in combinations(given, 2)]
    assert crowd.agreement == pytest.approx(np.mean(pairs))
    several = {i: given for i, given in said.items() if len(given) > 1}
    pooled = [label for given in several.values() for label in given]
    weights = [2 * (a != b) / (len(given) - 1) for given in several.values() for a, b in combinations(given, 2)]
    chance = 2 * sum(a != b for a, b in combinations(pooled, 2)) / (len(pooled) * (len(pooled) - 1))
    assert crowd.alpha == pytest.approx(1 - sum(weights) / len(pooled) / chance)
    sizes = [len(given) for given in said.values()]
    assert (crowd.covered, crowd.fewest, crowd.most) == (len(said), min(sizes), max(sizes))
    assert crowd.covered == 58
    assert crowd.mean == pytest.approx(np.mean(sizes))
    known = variant.clean[answers.sample] >= 0
    right = answers.label == variant.clean[answers.sample]
    assert (crowd.known, crowd.accuracy) == (int(known.sum()), right[known].mean())
    by = [right[known & (answers.annotator == j)].mean() for j in range(6)]
    assert crowd.annotator_accuracy == pytest.approx((min(by), np.median(by), max(by)))
    counts = np.bincount(answers.annotator)
    assert crowd.by_annotator == (counts.min(), np.median(counts), counts.max())
    assert crowd.given == (answers.label == variant.labels[answers.sample]).mean()


def test_krippendorffs_own_example_has_his_alpha() -> None:
    """Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C: nominal data, four observers, .743."""
    table = "123321412...1233224125.3.3332342251.12332441251."
    values = np.array([-1 if value == "." else int(value) - 1 for value in table]).reshape(4, 12).T
    source = source_from_arrays("mine", np.zeros((12, 1)), values.max(1), answers=values)
    crowd = crowd_of(build_variant(source, AsFound()))
    assert crowd is not None
    assert crowd.alpha == pytest.approx(0.743, abs=5e-4)
    assert np.isnan(crowd.accuracy)
    assert np.isnan(crowd.annotator_accuracy).all()


def test_one_answer_a_sample_agrees_with_none() -> None:
    """Nothing can be said of agreement then, nor of alpha where all answers are of one class."""
    for answers, agreement in (([[0], [1]], np.nan), ([[0, 0], [0, 0]], 1.0)):
        source = source_from_arrays("mine", np.zeros((2, 1)), [0, 1], clean=[0, 1], answers=answers)
        variant = build_variant(source, AsFound())
        crowd = crowd_of(variant)
        assert crowd is not None
        assert crowd.agreement == pytest.approx(agreement, nan_ok=True)
        assert np.isnan(crowd.alpha)
        assert "Krippendorff's alpha –" in to_text(variant, describe(variant))


def test_it_is_told_for_people_and_machines(variant: Variant, source: Source, tmp_path: Path) -> None:
    """In words, in the record, in both cards, and not where there are no answers."""
    text = to_text(variant, describe(variant))
    assert "several annotators:\n  answers " in text
    assert "of 58 of 60 samples" in text
    record = to_record(variant, describe(variant))
    assert record["crowd"]["annotators"] == 6
    write_variant(variant, tmp_path)
    write_cards(variant, tmp_path)
    card = card_of(variant)
    assert "## Annotators\n" in card
    assert "`answers.parquet` has a row for each answer" in card
    assert '"@id": "answers/annotator"' in croissant_of(variant, tmp_path)
    assert any("README.md follows" in sentence for sentence in verify_variant(tmp_path))
    bare = build_variant(source_from_arrays("npz", source.inputs, source.labels), AsFound())
    write_variant(bare, tmp_path)
    assert not (tmp_path / "answers.parquet").exists()
    assert "## Annotators" not in card_of(bare)
    assert "annotator" not in croissant_of(bare, tmp_path) + to_text(bare, describe(bare))
    assert to_record(bare, describe(bare))["crowd"] is None


def test_answers_are_kept_with_the_variant(variant: Variant, source: Source, tmp_path: Path) -> None:
    """Through a noise, a folder and an export; the labels alone decide the id."""
    write_variant(variant, tmp_path / "variant")
    again = read_variant(tmp_path / "variant")
    assert same(again.answers, variant.answers)
    columns, metadata = read_columns(tmp_path / "variant" / "answers.parquet")
    assert list(columns) == ["sample", "annotator", "label"]
    assert metadata["variant_id"] == variant.provenance.variant_id
    assert "drawn again, gives these labels" in verify_draw(again, source)
    noisy = build_variant(source, Symmetric(0.2), seed=1)
    assert same(noisy.answers, source.answers)
    bare = source_from_arrays("npz", source.inputs, source.labels, clean=source.clean)
    assert build_variant(bare, AsFound()).provenance.variant_id == variant.provenance.variant_id
    with pytest.raises(Mismatch, match="does not give this variant but another answers"):
        verify_draw(again, bare)
    assert "gives these labels" in verify_draw(build_variant(bare, AsFound()), source)  # it was built before
    folder = export_variant(variant, source, tmp_path / "export")
    assert same(read_variant(folder / "noisybench").answers, variant.answers)
    assert "`noisybench/answers.parquet` has a row" in (folder / "README.md").read_text(encoding="utf-8")
    export_variant(variant, source, folder)


def same(left: Answers | None, right: Answers | None) -> bool:
    assert left is not None
    assert right is not None
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in ("sample", "annotator", "label"))


def edited(**changes: Any) -> Callable[[Path], None]:  # noqa: ANN401
    def edit(folder: Path) -> None:
        columns, metadata = read_columns(folder / "answers.parquet")
        write_columns(
            columns | {name: change(columns[name]) for name, change in changes.items()},
            folder / "answers.parquet",
            metadata=metadata,
        )

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            edited(label=lambda values: (values + 1) % 4),
            "does not hold the columns that variant.json describes; build again",
        ),
        (edited(annotator=lambda values: values + 1), "does not hold the columns"),
        (edited(label=lambda values: np.full_like(values, -1)), "label of answers is -1"),
        (lambda folder: (folder / "answers.parquet").unlink(), "does not hold the columns"),
        (lambda folder: (folder / "answers.parquet").write_bytes(b"PAR1"), "cannot be read as Parquet"),
        (
            lambda folder: write_columns({"sample": np.arange(3)}, folder / "answers.parquet"),
            "has no column 'annotator'",
        ),
    ],
)
def test_answers_cannot_be_changed_unnoticed(
    edit: Callable[[Path], None], message: str, variant: Variant, tmp_path: Path
) -> None:
    write_variant(variant, tmp_path)
    edit(tmp_path)
    with pytest.raises(BadData, match=message):
        read_variant(tmp_path)


def test_answers_cannot_be_added_unnoticed(variant: Variant, source: Source, tmp_path: Path) -> None:
    """To a variant that was built without any."""
    write_variant(variant, tmp_path / "with")
    bare = build_variant(source_from_arrays("npz", source.inputs, source.labels), AsFound())
    write_variant(bare, tmp_path / "bare")
    (tmp_path / "with" / "answers.parquet").rename(tmp_path / "bare" / "answers.parquet")
    with pytest.raises(Mismatch, match="does not hold the columns"):
        read_variant(tmp_path / "bare")
