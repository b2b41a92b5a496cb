import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from noisybench.cards.description import describe
from noisybench.cards.variant_card import write_cards
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import read_columns, write_columns
from noisybench.noise.noises.asymmetric import Asymmetric
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant
from noisybench.variants.transitions import check_transition
from noisybench.variants.variant import Variant, read_variant, write_variant


@pytest.fixture
def source() -> Source:
    """120 feature rows of three classes, every tenth of unknown clean class."""
    clean = np.arange(120) % 3
    clean[::10] = UNKNOWN
    inputs = np.arange(240, dtype=np.float32).reshape(120, 2) % 17
    return source_from_arrays(
        "toy", inputs, np.arange(120) % 3, clean=clean, class_names=["cat", "dog", "Kuh ü"], options={"split": "train"}
    )


def build(source: Source, path: Path, **changes: Any) -> Variant:  # noqa: ANN401
    variant = build_variant(source, Symmetric(0.3), **changes)
    write_variant(variant, path)
    return variant


def same(first: Variant, second: Variant) -> bool:
    columns = ("labels", "clean", "flip_probability", "selected", "transition")
    pairs = [(getattr(first, name), getattr(second, name)) for name in columns]
    return (first.provenance, first.class_names) == (second.provenance, second.class_names) and all(
        a is b is None or (a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")) for a, b in pairs
    )


@pytest.mark.parametrize("noise", [Symmetric(0.3), Instance(0.3, temperature=0.5)])
def test_a_variant_survives_the_disk(noise: Any, source: Source, tmp_path: Path) -> None:  # noqa: ANN401
    """Every column bit by bit, the provenance field by field, with a transition matrix and without."""
    variant = build_variant(source, noise, seed=7, mode="bernoulli")
    write_variant(variant, tmp_path / variant.name)
    again = read_variant(tmp_path / variant.name)
    assert same(variant, again)
    assert not again.labels.flags.writeable
    assert variant.name == f"toy-{type(noise).__module__.split('.')[-1]}-{variant.provenance.variant_id[:8]}"


def test_a_folder_written_twice_holds_the_second_variant(source: Source, tmp_path: Path) -> None:
    """Also where the first had a transition matrix and the second has none."""
    build(source, tmp_path)
    second = build_variant(source, Instance(0.2))
    write_variant(second, tmp_path)
    assert same(read_variant(tmp_path), second)


def test_columns_are_told_by_their_names(source: Source, tmp_path: Path) -> None:
    """The table has the documented columns, in sample order; the record the documented fields."""
    variant = build(source, tmp_path)
    columns, metadata = read_columns(tmp_path / "labels.parquet")
    assert list(columns) == ["sample", "label", "clean", "flip_probability", "selected"]
    assert metadata["variant_id"] == variant.provenance.variant_id
    record = json.loads((tmp_path / "variant.json").read_text(encoding="utf-8"))
    assert record["params"] == {"rate": 0.3, "inclusive": False}
    assert record["class_names"] == ["cat", "dog", "Kuh ü"]
    assert np.load(tmp_path / "transition.npy").shape == (3, 3)


def test_no_record_holds_a_path(source: Source, tmp_path: Path) -> None:
    """Neither of the folder nor of a file that the noise was given."""
    (tmp_path / "map.json").write_text('{"0": 1}')
    write_variant(build_variant(source, Asymmetric(0.2, tmp_path / "map.json")), tmp_path / "variant")
    for file in (tmp_path / "variant").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
    assert "map.json sha256:" in (tmp_path / "variant" / "variant.json").read_text()


def edit_column(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        columns, metadata = read_columns(folder / "labels.parquet")
        columns[name] = change(columns[name].copy())
        write_columns(columns, folder / "labels.parquet", metadata=metadata)

    return edit


def edit_record(**changes: Any) -> Callable[[Path], None]:  # noqa: ANN401
    def edit(folder: Path) -> None:
        record = json.loads((folder / "variant.json").read_text(encoding="utf-8")) | changes
        (folder / "variant.json").write_text(json.dumps(record), encoding="utf-8")

    return edit


def lose_field(folder: Path) -> None:
    record = json.loads((folder / "variant.json").read_text(encoding="utf-8"))
    del record["seed"]
    (folder / "variant.json").write_text(json.dumps(record), encoding="utf-8")


def roll(values: Any) -> Any:  # noqa: ANN401
    return np.roll(values, 1)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_column("label", roll), "does not hold the columns that variant.json describes; build again"),
        (edit_column("clean", roll), "does not hold the columns that variant.json describes"),
        (edit_column("flip_probability", roll), "does not hold the columns that variant.json describes"),
        (edit_column("selected", roll), "does not hold the columns that variant.json describes"),
        (edit_column("sample", roll), "is not in sample order"),
        (lambda folder: np.save(folder / "transition.npy", np.eye(3)), "does not hold the columns"),
        (lambda folder: (folder / "transition.npy").unlink(), "does not hold the columns"),
        (edit_record(seed=1), "was changed after it was written; build again"),
        (edit_record(params={"rate": 0.2, "inclusive": False}), "was changed after it was written"),
        (edit_record(class_names=["dog", "cat", "cow"]), "was changed after it was written"),
        (edit_record(variant_id="0" * 64), "labels.parquet is of another variant than variant.json; build again"),
        (edit_record(seed="1"), "variant.json: 'seed' is '1', expected int; build again"),
        (edit_record(limit=True), r"variant.json: 'limit' is 'True', expected int | None; build again"),
        (edit_record(mode="none"), "variant.json: 'mode' is 'none', expected Literal"),
        (edit_record(params={"rate": None}), r"variant.json: 'params\[...\]' is "),
        (edit_record(class_names=["a", 2]), r"variant.json: 'class_names\[1\]' is "),
        (edit_record(labels_sha256="0" * 64), "was changed after it was written"),
        (edit_record(extra=1), r"variant.json has a field 'extra', which is none of: source, .*; build again"),
        (lose_field, r"variant.json lacks 'seed'; it is damaged, or of another version: build again"),
        (lambda folder: (folder / "variant.json").write_text("[]"), "holds a list, expected a JSON object"),
        (lambda folder: (folder / "variant.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "variant.json").unlink(), "is no variant: it has no variant.json"),
        (lambda folder: (folder / "labels.parquet").unlink(), "cannot be read as Parquet"),
        (lambda folder: (folder / "labels.parquet").write_bytes(b"PAR1"), "cannot be read as Parquet"),
    ],
)
def test_a_folder_that_was_tampered_with_is_refused(
    edit: Callable[[Path], None], message: str, source: Source, tmp_path: Path
) -> None:
    """Any column, the matrix and any field of the record: edited, exchanged, lost or broken."""
    build(source, tmp_path)
    edit(tmp_path)
    with pytest.raises(BadData, match=message):
        read_variant(tmp_path)


def test_the_table_of_another_variant_is_refused(source: Source, tmp_path: Path) -> None:
    """Two draws of the same noise must not be mixed."""
    build(source, tmp_path / "a", seed=0)
    build(source, tmp_path / "b", seed=1)
    (tmp_path / "a" / "labels.parquet").write_bytes((tmp_path / "b" / "labels.parquet").read_bytes())
    with pytest.raises(Mismatch, match=r"labels.parquet is of another variant than variant.json"):
        read_variant(tmp_path / "a")
    assert pq.read_schema(tmp_path / "b" / "labels.parquet").names[0] == "sample"


def test_labels_and_provenance_belong_together(source: Source) -> None:
    """A variant with other labels than those it was built with cannot exist, nor one of another source."""
    variant = build_variant(source, Symmetric(0.3))
    with pytest.raises(Mismatch, match=r"the labels are not those of their provenance: sha256 .* build again"):
        replace(variant, labels=np.roll(variant.labels, 1))
    with pytest.raises(Mismatch, match=r"variant id .* does not follow from its source and labels"):
        replace(variant, provenance=replace(variant.provenance, source_sha256="0" * 64))
    with pytest.raises(BadData, match=r"column 'clean' has shape \(119,\), the labels have \(120,\)"):
        replace(variant, clean=variant.clean[1:])


def test_the_identity_of_a_variant_is_its_source_and_its_labels(source: Source) -> None:
    """Same labels from the same inputs are one variant, whatever the seed says; other pixels make another."""
    nothing = [build_variant(source, Symmetric(0.0), seed=seed).provenance.variant_id for seed in (0, 1)]
    assert nothing[0] == nothing[1]
    brighter = source_from_arrays("toy", source.inputs + 1, source.labels, clean=source.clean)
    assert build_variant(brighter, Symmetric(0.0)).provenance.variant_id != nothing[0]
    assert build_variant(source, Symmetric(0.3)).provenance.variant_id != nothing[0]


def test_unknown_clean_labels_stay_unknown(source: Source, tmp_path: Path) -> None:
    """Before and after the disk they are neither clean nor mislabeled, and keep the label they came with."""
    build(source, tmp_path)
    variant = read_variant(tmp_path)
    unknown = np.arange(120) % 10 == 0
    np.testing.assert_array_equal(variant.known, ~unknown)
    assert not variant.mislabeled[unknown].any()
    np.testing.assert_array_equal(variant.labels[unknown], source.labels[unknown])
    assert variant.mislabeled.sum() == round(0.3 * 108)
    assert variant.provenance.reference == "clean"


def test_without_any_clean_label_the_given_ones_are_the_reference() -> None:
    """It is written down and warned of, since errors that were there already then count as right."""
    source = source_from_arrays("wild", np.zeros((30, 2)), np.arange(30) % 3)
    variant = build_variant(source, Symmetric(0.2))
    assert variant.provenance.reference == "labels"
    np.testing.assert_array_equal(variant.clean, source.labels)
    assert variant.mislabeled.sum() == 6
    assert any("source 'wild' knows no clean label" in sentence for sentence in describe(variant).warnings)


def test_what_cannot_be_built_is_refused(source: Source) -> None:
    """A seed that is negative or no whole number, an unknown mode, no instance of a noise, errors among one class."""
    for seed in (1.5, True, "0"):
        with pytest.raises(BadUsage, match=f"seed must be a whole number, got {seed!r}"):
            build_variant(source, Symmetric(0.3), seed=seed)  # type: ignore[arg-type]
    for noise, given in ((Symmetric, "the class Symmetric"), ("symmetric", "'symmetric'"), (None, "None")):
        with pytest.raises(BadUsage, match=rf"noise must be an instance .*\(rate=0.2\), got {given}"):
            build_variant(source, noise)  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match="seed must not be negative, got -1"):
        build_variant(source, Symmetric(0.3), seed=-1)
    with pytest.raises(BadUsage, match="no mode 'fast'; there are: exact"):
        build_variant(source, Symmetric(0.3), mode="fast")  # type: ignore[arg-type]
    single = source_from_arrays("one", np.zeros((4, 1)), np.zeros(4, dtype=int))
    with pytest.raises(BadData, match="source 'one' has 1 class: a wrong label needs at least two"):
        build_variant(single, Symmetric(0.3))
    labels = np.arange(6) % 2
    doubtful = source_from_arrays("doubtful", np.zeros((6, 1)), labels, clean=np.full(6, WRONG))
    with pytest.raises(
        BadData, match="source 'doubtful' has no sample of known class, so noise 'symmetric' has nothing"
    ):
        build_variant(doubtful, Symmetric(0.3))


def test_numbers_of_numpy_and_folders_as_text_are_taken(source: Source, tmp_path: Path) -> None:
    """The same labels and record as from plain numbers; minus zero is zero."""
    folder = str(tmp_path / "x")
    plain = build_variant(source, Symmetric(0.25), seed=3)
    write_variant(build_variant(source, Symmetric(np.float32(0.25)), seed=np.int64(3)), folder)  # type: ignore[arg-type]
    assert read_variant(folder).provenance == plain.provenance
    write_cards(plain, folder)
    assert (tmp_path / "x" / "croissant.json").is_file()
    for noise in (Symmetric, Asymmetric, Instance, PairFlip):
        assert repr(noise(-0.0).rate) == "0.0"


def test_a_transition_matrix_may_miss_one_by_rounding_only() -> None:
    """1e-9 is rounding, 1e-6 is an error."""
    check_transition(np.array([[0.9 + 1e-9, 0.1], [0.0, 1.0]]), 2)
    with pytest.raises(BadData, match=r"row 0 of the transition matrix sums to 1\.\d+, expected 1"):
        check_transition(np.array([[0.9 + 1e-5, 0.1], [0.0, 1.0]]), 2)
