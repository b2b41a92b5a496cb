"""Matrices of many classes against the same as arrays: the limit is brought down to three classes."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.cards import description_text, picture, variant_card
from noisybench.cards.condition import condition_number
from noisybench.cards.description import Description, describe
from noisybench.cards.description_text import to_record, to_text
from noisybench.cards.variant_card import write_cards
from noisybench.cards.verify import verify_draw, verify_variant
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground import checks
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.items import find
from noisybench.noise import class_structure, legacy_generators
from noisybench.variants import transitions
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode, flip_by_class, law_of_labels, transition_of
from noisybench.variants.transitions import (
    SparseTransition,
    check_transition,
    compact,
    count_pairs,
    count_transitions,
    mapped_law,
    off_diagonal,
    sparse,
    uniform_law,
)
from noisybench.variants.variant import Variant, read_variant, write_variant

K = 12
LAWS: dict[str, Callable[[], Any]] = {
    "symmetric": lambda: uniform_law(K, own=False),
    "inclusive": lambda: uniform_law(K, own=True),
    "pairs": lambda: mapped_law((np.arange(K) + 1) % K),
    "some": lambda: mapped_law(np.array([3, 1, 2, 0, 4, 7, 7, 7, 8, 0, 10, 11])),
    "counts": lambda: law_of_labels(_counts()),
}
CHANCES = np.linspace(0, 1, K)


def _counts() -> Any:  # noqa: ANN401
    rng = np.random.default_rng(3)
    clean = np.append(np.arange(K - 1), rng.integers(0, K - 1, 40))  # the last class is empty
    given = np.where(rng.random(len(clean)) < 0.4, rng.integers(0, K, len(clean)), clean)
    count = count_pairs if transitions.MOST_DENSE < K else count_transitions
    return count(given, clean, K)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Brings the limit down when it is called, and blocks to a few rows."""

    def lower() -> None:
        monkeypatch.setattr(transitions, "MOST_DENSE", 3)
        monkeypatch.setattr(transitions, "_BLOCK", 5 * K)

    return lower


@pytest.mark.parametrize("name", LAWS)
def test_every_law_is_the_same_entry_by_entry(name: str, few: Callable[[], None]) -> None:
    """Bit for bit: rows, diagonal, single entries and what a chance of selection makes of it."""
    dense = LAWS[name]()
    few()
    law = LAWS[name]()
    assert isinstance(law, SparseTransition)
    np.testing.assert_array_equal(law.toarray(), dense)
    np.testing.assert_array_equal(off_diagonal(law).toarray(), off_diagonal(dense))  # type: ignore[union-attr]
    matrix, expected = transition_of(CHANCES, law), transition_of(CHANCES, dense)
    assert isinstance(matrix, SparseTransition)
    assert isinstance(expected, np.ndarray)
    check_transition(matrix, K)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    np.testing.assert_array_equal(matrix.diagonal(), expected.diagonal())
    rows, columns = np.divmod(np.arange(K * K)[::5], K)
    np.testing.assert_array_equal(matrix.at(rows, columns), expected[rows, columns])
    np.testing.assert_array_equal(matrix.row(7), expected[7])
    np.testing.assert_allclose(matrix.row_sums(), expected.sum(1), atol=1e-12)
    weights = np.append(np.linspace(1, 2, K - 1), 0)
    np.testing.assert_allclose(matrix.weighted_sum(weights), weights @ expected, atol=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_the_greatest_others_are_those_of_the_array(name: str, few: Callable[[], None]) -> None:
    """And the first column that has them; also after a product, whose rest is not even."""
    dense = transition_of(CHANCES, LAWS[name]())
    assert isinstance(dense, np.ndarray)
    few()
    matrix = compact(dense)
    made = transition_of(CHANCES, LAWS[name]())
    assert isinstance(matrix, SparseTransition)
    assert isinstance(made, SparseTransition)
    for one, expected in ((matrix, dense), (made, dense), (made @ matrix, dense @ dense)):
        others = expected.copy()
        np.fill_diagonal(others, -np.inf)
        np.testing.assert_allclose(one.greatest_others(), others.max(1), atol=1e-15)
        if expected is dense:
            np.testing.assert_array_equal(one.likeliest_others(np.array([0, 3, 11])), others.argmax(1)[[0, 3, 11]])


@pytest.mark.parametrize("first", LAWS)
@pytest.mark.parametrize("second", LAWS)
def test_a_product_is_that_of_the_arrays(first: str, second: str, few: Callable[[], None]) -> None:
    """Of any two laws, and of three of them."""
    dense: list[Any] = [transition_of(CHANCES, LAWS[name]()) for name in (first, second)]
    few()
    left, right = (transition_of(CHANCES, LAWS[name]()) for name in (first, second))
    assert isinstance(left, SparseTransition)
    assert isinstance(right, SparseTransition)
    product: Any = left @ right
    check_transition(product, K)
    np.testing.assert_allclose(product.toarray(), dense[0] @ dense[1], atol=1e-15)
    np.testing.assert_allclose((product @ left).toarray(), dense[0] @ dense[1] @ dense[0], atol=1e-15)


def test_even_steps_stay_one_number_a_row(few: Callable[[], None]) -> None:
    """Symmetric after symmetric is symmetric: no rank is gathered."""
    few()
    law = transition_of(np.full(K, 0.2), uniform_law(K, own=False))
    assert isinstance(law, SparseTransition)
    product = law @ law @ law
    assert product.even
    assert len(product.right) == 1
    other = 1 / K * (1 - (1 - 0.2 * K / (K - 1)) ** 3)
    np.testing.assert_allclose(product.row(4), np.where(np.arange(K) == 4, 1 - (K - 1) * other, other))


@pytest.mark.parametrize("mode", ["exact", "exact_per_class", "bernoulli"])
@pytest.mark.parametrize("name", LAWS)
def test_labels_are_drawn_alike(name: str, mode: Mode, few: Callable[[], None]) -> None:
    """To the label, in every mode."""
    clean = np.append(np.random.default_rng(0).integers(0, K, 500), UNKNOWN)

    def draw() -> Any:  # noqa: ANN401
        return flip_by_class(np.zeros_like(clean), clean, CHANCES, LAWS[name](), by_class=False, seed=4, mode=mode)

    expected = draw()
    few()
    for found, told in zip(draw(), expected, strict=True):
        np.testing.assert_array_equal(found, told)


def _source(folder: Path) -> Source:
    rng = np.random.default_rng(1)
    clean = np.append(np.arange(K - 1), rng.integers(0, K - 1, 500)) % (K - 1)
    inputs = rng.normal(size=(len(clean), 3)).astype(np.float32) + clean[:, None]
    np.save(folder / "hard.npy", rng.random(len(clean)))
    np.save(folder / "T.npy", 0.7 * np.eye(K) + 0.2 * np.roll(np.eye(K), 3, 1) + 0.1 * np.roll(np.eye(K), 5, 1))
    (folder / "map.json").write_text(json.dumps({str(k): k + 1 for k in range(0, K - 1, 3)}))
    clean[30:40] = UNKNOWN
    labels = np.where(clean < 0, 0, clean)
    return source_from_arrays("toy", inputs, labels, clean=clean, class_names=[f"class {k}" for k in range(K)])


NOISES: dict[str, dict[str, Any]] = {
    "symmetric": {"rate": 0.3},
    "dividemix_symmetric": {"rate": 0.3},
    "pair_flip": {"rate": 0.6},
    "asymmetric": {"rate": 0.4, "map": "map.json"},
    "transition": {"matrix": Path("T.npy")},
    "counterpart": {"of": Path("T.npy")},
    "coteaching": {"rate": 0.3},
    "loss_correction": {"rate": 0.3},
    "composed": {"steps": "pair_flip(rate=0.2); symmetric(rate=0.1); asymmetric(rate=0.3, map=map.json)"},
    "difficulty": {"rate": 0.3, "auroc": 0.8, "difficulty": Path("hard.npy"), "structure": "pair_flip"},
    "coherent": {"rate": 0.3, "coherence": 0},
    "bounded_instance": {"rate": 0.2},
    "as_found": {},
}


def _same(found: Any, expected: Any, what: str) -> None:  # noqa: ANN401
    if isinstance(found, SparseTransition):
        found = found.toarray()
    if isinstance(expected, np.ndarray):
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=what)
    elif isinstance(expected, float | tuple) and what not in ("warnings", "lost"):
        assert found == pytest.approx(expected, abs=1e-9, nan_ok=True), what
    else:
        assert found == expected, what


def _compare(found: Description, expected: Description) -> None:
    for field in fields(Description):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "ceilings":
            for part in fields(theirs):
                _same(getattr(ours, part.name), getattr(theirs, part.name), part.name)
            assert ours.condition == pytest.approx(theirs.condition, rel=1e-4, nan_ok=True)
        elif not (ours is None and field.name == "expected_transition" and found.nominal_transition is None):
            _same(ours, theirs, field.name)


@pytest.mark.parametrize("name", NOISES)
def test_a_variant_of_many_classes_is_that_of_few(
    name: str, few: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels, law, description and ceilings; it survives the disk, its cards verify, and it is drawn again."""
    monkeypatch.chdir(tmp_path)
    source = _source(tmp_path)

    def build() -> Variant:
        return build_variant(source, find("noises", name)(**NOISES[name]), seed=2)

    dense = build()
    expected = describe(dense)
    few()
    variant = build()
    np.testing.assert_array_equal(variant.labels, dense.labels)
    assert variant.provenance == dense.provenance
    _same(variant.flip_probability, dense.flip_probability, "flip_probability")
    _same(variant.transition, dense.transition, "transition")
    _compare(describe(variant), expected)
    write_variant(variant, tmp_path / "v")
    write_cards(variant, tmp_path / "v")
    assert (tmp_path / "v/transition.npz").is_file() == (dense.transition is not None)
    assert not (tmp_path / "v/transition.npy").exists()
    again = read_variant(tmp_path / "v")
    assert len(list(verify_variant(tmp_path / "v"))) > 2
    assert "drawn again, gives" in verify_draw(again, source)


def _symmetric(folder: Path) -> Variant:
    return build_variant(_source(folder), find("noises", "symmetric")(rate=0.3))


def test_what_is_said_of_many_classes_is_short(
    few: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst few by name; the record for machines has every class, and matrices as what they are made of."""
    few()
    for module in (description_text, variant_card):
        monkeypatch.setattr(module, "PRINTED_CLASSES", 3)
    variant = _symmetric(tmp_path)
    found = describe(variant)
    text = to_text(variant, found, ceilings=False)
    worst = int(np.nanargmax(found.class_rates))
    assert (
        f"worst         {worst} class {worst} {found.class_rates[worst]:.0%} of {found.class_counts[worst]}, " in text
    )
    assert "ceilings, from" not in text
    assert "'noisybench describe' has their ceilings" in text
    record = to_record(variant, found, matrices=True)
    assert len(record["class_rates"]) == K
    assert record["nominal_transition"]["shape"] == [K, K]
    assert record["nominal_transition"]["rows"] == list(range(K))
    assert json.dumps(record, allow_nan=False)
    write_variant(variant, tmp_path / "v")
    write_cards(variant, tmp_path / "v")
    card = (tmp_path / "v/README.md").read_text(encoding="utf-8")
    assert f"{K} classes with 0 to " in card
    assert "`transition.npz` holds the nominal one" in card


def test_a_picture_of_many_classes_shows_groups_of_them(
    few: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of the known rows of a group, summed over the columns of a group; grey where no row is known."""
    few()
    monkeypatch.setattr(picture, "MOST_CELLS_DRAWN", 4)
    monkeypatch.setattr(picture, "PRINTED_CLASSES", 3)
    matrix = describe(_symmetric(tmp_path)).transition
    assert isinstance(matrix, SparseTransition)
    cells, edges = picture._cells(matrix)
    np.testing.assert_array_equal(edges, [0, 3, 6, 9, 12])
    expected = [[np.nanmean(matrix.toarray()[i : i + 3, j : j + 3].sum(1)) for j in edges[:-1]] for i in edges[:-1]]
    np.testing.assert_allclose(cells, expected)
    pytest.importorskip("matplotlib")
    picture.draw(_symmetric(tmp_path), describe(_symmetric(tmp_path)), tmp_path / "p.svg")
    assert "of 4 groups of neighbouring classes" in (tmp_path / "p.svg").read_text()


def _save(folder: Path, **changes: NDArray[Any]) -> None:
    with np.load(folder / "transition.npz") as arrays:
        np.savez(folder / "transition.npz", allow_pickle=False, **{**arrays, **changes})


def _compress(folder: Path) -> None:
    with np.load(folder / "transition.npz") as arrays:
        np.savez_compressed(folder / "transition.npz", allow_pickle=False, **arrays)


TAMPERED: list[tuple[Callable[[Path], object], str]] = [
    (lambda v: _save(v, values=np.full(K, 0.8)), "does not hold the columns"),
    (lambda v: _save(v, left=np.full((K, 1), 0.2)), "does not hold the columns"),
    (lambda v: _save(v, more=np.zeros(3)), "does not hold the arrays rows"),
    (_compress, "not compressed"),
    (lambda v: (v / "transition.npz").unlink(), "does not hold the columns"),
    (lambda v: (v / "transition.npz").write_bytes(b"PK\x03\x04 no zip"), "damaged, or no .npz file"),
    (lambda v: _save(v, values=np.array([{}] * K)), "does not hold the arrays"),
]


@pytest.mark.parametrize(("change", "told"), TAMPERED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_changed_matrix_is_noticed(
    change: Callable[[Path], object], told: str, few: Callable[[], None], tmp_path: Path
) -> None:
    """Other numbers, other arrays, a compressed, a broken, a pickled or no file."""
    few()
    write_variant(_symmetric(tmp_path), tmp_path / "v")
    try:
        change(tmp_path / "v")
    except ValueError:  # NumPy pickles nothing on our behalf
        with zipfile.ZipFile(tmp_path / "v/transition.npz", "w") as file:
            file.writestr("rows.npy", b"pickle")
            for name in ("columns", "values", "left", "right"):
                file.writestr(f"{name}.npy", b"\x80\x04")
    with pytest.raises((BadData, Mismatch), match=told):
        read_variant(tmp_path / "v")


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"values": np.full(K, -0.1)}, r"transition\[0, 0\] = -0.1 is not a probability"),
    ({"values": np.full(K, 0.1)}, "row 0 of the transition matrix sums to 0.43, expected 1"),
    ({"left": np.full((K, 1), -0.1)}, r"transition\[0, 1\] = -0.1 is not a probability"),
    ({"columns": np.zeros(K, dtype=np.int64) + K}, "not of classes 0..11"),
    ({"rows": np.zeros(K, dtype=np.int64)}, "each once and in order|sums to"),
    ({"rows": np.arange(K)[::-1]}, "each once and in order"),
    ({"right": np.ones((2, K))}, r"'left' of the transition matrix is float64 of shape \(12, 1\), expected \(12, 2\)"),
    ({"rows": np.arange(K) * 1.0}, "'rows' of the transition matrix is float64"),
    ({"size": K + 1}, r"has shape \(12, 12\), got \(13, 13\)"),
]


@pytest.mark.parametrize(("change", "told"), BROKEN)
def test_a_matrix_that_is_no_law_is_refused(change: dict[str, Any], told: str, few: Callable[[], None]) -> None:
    """In the words that arrays have: the entry, or the row and its sum."""
    few()
    law = transition_of(np.full(K, 0.33), uniform_law(K, own=False))
    assert isinstance(law, SparseTransition)
    with pytest.raises(BadData, match=told):
        check_transition(replace(law, **change), K)


@pytest.mark.parametrize("k", [1001, 2000])
def test_condition_numbers_are_those_of_the_closed_forms(k: int) -> None:
    """1 / |1 - r k / (k - 1)| of symmetric noise, 1 / (1 - 2 r) of pair-flip noise with even k, infinite where singular."""
    for rate in (0.0, 0.2, 0.7):
        law = transition_of(np.full(k, rate), uniform_law(k, own=False))
        assert condition_number(law) == pytest.approx(1 / abs(1 - rate * k / (k - 1)))
        law = transition_of(np.full(k, rate), uniform_law(k, own=True))
        assert condition_number(law) == pytest.approx(1 / (1 - rate))
    even = k + k % 2
    pairs = mapped_law((np.arange(even) + 1) % even)
    assert condition_number(transition_of(np.full(even, 0.2), pairs)) == pytest.approx(1 / (1 - 0.4), rel=1e-3)
    assert condition_number(transition_of(np.full(even, 0.5), pairs)) == np.inf
    assert condition_number(transition_of(np.full(k, (k - 1) / k), uniform_law(k, own=False))) == np.inf
    assert condition_number(uniform_law(k, own=True)) == np.inf


def test_condition_numbers_of_counts_are_those_of_numpy(few: Callable[[], None]) -> None:
    """Where every class has samples; unknown where one has none, or where it would take minutes."""
    few()
    counts = _counts()
    law = law_of_labels(counts)
    assert isinstance(law, SparseTransition)
    assert condition_number(law) == pytest.approx(np.linalg.cond(law.toarray()), rel=1e-4)
    assert np.isnan(condition_number(counts.divided(np.append(np.ones(K - 1), np.nan))))
    rows, columns = np.divmod(np.arange(5 * 4000), 5)
    many = sparse(rows, (rows + columns * 7) % 4000, np.full(len(rows), 0.2), 4000)
    assert not np.isnan(condition_number(many))  # four others each
    rows, columns = np.divmod(np.arange(6 * 4000), 6)
    assert np.isnan(condition_number(sparse(rows, (rows + columns * 7) % 4000, np.full(len(rows), 1 / 6), 4000)))


def test_nothing_is_allocated_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, few: Callable[[], None]) -> None:
    """One sentence: how much it would be, and what to do."""
    few()
    monkeypatch.setattr(checks, "MOST_CELLS", 100)
    law = uniform_law(K, own=False)
    assert isinstance(law, SparseTransition)
    with pytest.raises(BadUsage, match=r"would hold 12 × 12 numbers .*more than fit: read its rows"):
        law.toarray()


def test_noises_that_would_take_minutes_are_refused(
    monkeypatch: pytest.MonkeyPatch, few: Callable[[], None], tmp_path: Path
) -> None:
    """A vector for each pair of classes, a published loop over all classes, probabilities that fill the memory."""
    few()
    source = _source(tmp_path)
    monkeypatch.setattr(class_structure, "MOST_NORMALS", 100)
    for name, options in (("instance", {"rate": 0.2}), ("xia_raw", {})):
        with pytest.raises(BadUsage, match=rf"noise '{name}' draws a vector of 3 numbers for each of 12 × 12 pairs"):
            build_variant(source, find("noises", name)(**options))
    monkeypatch.setattr(legacy_generators, "MOST_STEPS", 100)
    with pytest.raises(BadUsage, match="goes through all 12 classes for each of 501 labels"):
        build_variant(source, find("noises", "coteaching")(rate=0.2))
    monkeypatch.setattr(checks, "MOST_CELLS", 1000)
    for name in ("confusion", "rater_pool", "polynomial_margin"):
        with pytest.raises(BadUsage, match=r"a probability of each class for each sample would hold 511 × 12 numbers"):
            build_variant(source, find("noises", name)(rate=0.1))


def test_a_matrix_of_an_own_noise_is_kept_as_few_numbers(few: Callable[[], None]) -> None:
    """Also where it came as an array, or lies on disk as one."""
    few()
    dense = 0.9 * np.eye(K) + 0.1 * np.roll(np.eye(K), 1, 1)
    kept = compact(dense)
    assert isinstance(kept, SparseTransition)
    assert len(kept.values) == 2 * K
    np.testing.assert_array_equal(kept.toarray(), dense)
    assert repr(kept) == "SparseTransition(12 classes, 24 entries, 0 elsewhere)"
    assert repr(uniform_law(K, own=True)) == "SparseTransition(12 classes, 0 entries, rank 1 elsewhere)"
