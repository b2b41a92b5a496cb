"""Errors against a difficulty and a model's second choice: computed, read from files, told and drawn."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shell import shell
from sklearn.metrics import roc_auc_score

from noisybench.cards.dependence import against_difficulty, second_choice_share
from noisybench.cards.description import describe
from noisybench.cards.picture import draw
from noisybench.data.source import source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.drawing import check_picture
from noisybench.ground.errors import BadData, BadUsage, Mismatch, MissingPackage
from noisybench.memorization.difficulty_files import clean_variant_id, is_circular, read_difficulty
from noisybench.memorization.estimate import Memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

N, K = 600, 4
RANDOM = np.random.default_rng(0)
CLEAN = np.arange(N) % K
SOURCE = source_from_arrays("x", np.zeros((N, 1)), CLEAN, clean=CLEAN, class_names=list("abcd"))
VARIANT = build_variant(SOURCE, Symmetric(0.3))
DIFFICULTY = np.round(VARIANT.mislabeled + RANDOM.normal(size=N) + CLEAN, 1)  # has ties; later classes are harder


def partly_known() -> Variant:
    """The variant with a hundred clean labels fewer."""
    clean = CLEAN.copy()
    clean[::6] = UNKNOWN
    return replace(VARIANT, clean=clean, flip_probability=None, transition=None, selected=None)


def memorization(variant_of: str) -> Memorization:
    values = RANDOM.integers(0, 32, N) / 64  # whose sums are exact
    values[3] = np.nan
    p_out = np.where(np.isnan(values), np.nan, 0.25)
    zeros, counts = np.where(np.isnan(values), np.nan, 0.0), np.where(np.isnan(values), 0, 5)
    return Memorization(
        values=values,
        stderr=zeros,
        p_in=values + p_out,
        p_out=p_out,
        margin=zeros,
        clean_damage=zeros,
        n_in=10 - counts,
        n_out=counts,
        models=10,
        learner=Learner("mlp", "overfit", 3, "abc123", fraction=0.7),
        variant_id=variant_of,
    )


def test_areas_are_those_of_scikit_learn_over_what_is_known() -> None:
    """Overall and as a mean over the clean classes, unknown labels and difficulties left out; ties count one half."""
    variant, difficulty = partly_known(), DIFFICULTY.copy()
    difficulty[1::7] = np.nan
    found = against_difficulty(variant, difficulty)
    used = variant.known & ~np.isnan(difficulty)
    assert found.n == used.sum() < N
    assert found.auroc.value == pytest.approx(roc_auc_score(variant.mislabeled[used], difficulty[used]))
    classes = [used & (variant.clean == j) for j in range(K)]
    within = [roc_auc_score(variant.mislabeled[members], difficulty[members]) for members in classes]
    assert found.auroc_within_class.value == pytest.approx(np.mean(within))
    assert found.auroc.low < found.auroc.value < found.auroc.high
    assert abs(found.auroc.value - found.auroc_within_class.value) > 0.02
    with pytest.raises(BadData, match=r"difficulties have shape \(3,\), the variant has 600 samples"):
        against_difficulty(variant, np.zeros(3))


def test_bins_hold_equally_many_and_all_errors() -> None:
    """Twenty from easy to hard, whose rates add up to the errors; equal difficulties have one rate in every order."""
    found = against_difficulty(VARIANT, DIFFICULTY)
    assert [part.n for part in found.bins] == [30] * 20
    assert sum(part.n * part.rate.value for part in found.bins) == pytest.approx(VARIANT.mislabeled.sum())
    assert all(before.high <= after.low for before, after in zip(found.bins, found.bins[1:], strict=False))
    assert [part.expected for part in found.bins] == pytest.approx([0.3] * 20)
    same = against_difficulty(VARIANT, np.zeros(N))
    assert [part.rate.value for part in same.bins] == pytest.approx([0.3] * 20)
    clean = against_difficulty(build_variant(SOURCE, AsFound()), DIFFICULTY)
    assert np.isnan([*clean.auroc, *clean.auroc_within_class]).all()
    assert len(against_difficulty(VARIANT, np.full(N, np.nan)).bins) == 0


def test_second_choices_are_counted() -> None:
    """Against a loop over the wrong labels; NaN where there is none."""
    probabilities = RANDOM.dirichlet(np.ones(K), N)
    hits = [
        sorted(range(K), key=lambda j: -probabilities[i, j])[1] == VARIANT.labels[i]
        for i in np.flatnonzero(VARIANT.mislabeled)
    ]
    assert second_choice_share(VARIANT, probabilities).value == pytest.approx(np.mean(hits))
    assert np.isnan(second_choice_share(build_variant(SOURCE, AsFound()), probabilities).value)
    with pytest.raises(BadData, match=r"probabilities have shape \(600, 3\), the variant needs \(600, 4\)"):
        second_choice_share(VARIANT, probabilities[:, :3])


def test_a_difficulty_may_be_of_the_clean_labels(tmp_path: Path) -> None:
    """As published C-scores are, whose sign is the other; of any other labels it is refused."""
    for labels in (CLEAN, VARIANT.labels):
        np.savez(tmp_path / "c.npz", labels=labels, scores=DIFFICULTY)
        np.testing.assert_array_equal(read_difficulty(tmp_path / "c.npz", VARIANT), DIFFICULTY)
    np.testing.assert_array_equal(read_difficulty(tmp_path / "c.npz", VARIANT, lower_is_harder=True), -DIFFICULTY)
    np.savez(tmp_path / "c.npz", labels=np.roll(CLEAN, 1), scores=DIFFICULTY)
    with pytest.raises(Mismatch, match="c.npz was made with other labels"):
        read_difficulty(tmp_path / "c.npz", VARIANT)


def test_a_difficulty_may_be_a_memorization(tmp_path: Path) -> None:
    """Of the clean labels, whose variant as found has the id; of the labels themselves it is called circular."""
    path = tmp_path / "memorization.parquet"
    clean = build_variant(SOURCE, AsFound()).provenance.variant_id
    assert clean_variant_id(VARIANT) == clean
    for held, circular in ((clean, False), (VARIANT.provenance.variant_id, True)):
        truth = memorization(held)
        write_memorization(truth, path)
        values = read_difficulty(path, VARIANT)
        np.testing.assert_array_equal(values, truth.values)
        assert is_circular(path, VARIANT) == circular
        assert against_difficulty(VARIANT, values).n == N - 1
    with pytest.raises(BadUsage, match="holds memorization, which is high where .*; leave out --lower-is-harder"):
        read_difficulty(path, VARIANT, lower_is_harder=True)
    write_memorization(memorization("0" * 64), path)
    with pytest.raises(
        Mismatch, match="is of variant '000000000000', neither of these labels .* nor of the clean ones"
    ):
        read_difficulty(path, VARIANT)


def test_the_command_tells_all_of_it(tmp_path: Path) -> None:
    """Text for people, everything for machines, a warning where the difficulty is the errors' own memorization."""
    write_variant(VARIANT, tmp_path / "v")
    np.save(tmp_path / "d.npy", DIFFICULTY)
    np.save(tmp_path / "p.npy", RANDOM.dirichlet(np.ones(K), N))
    files = ("--difficulty", tmp_path / "d.npy", "--pred-probs", tmp_path / "p.npy")
    text = shell("describe", tmp_path / "v", *files).out
    for words in (
        "best accuracy on these labels",
        "AUROC 0.",
        "second most likely class: 0.",
        "condition number of the",
    ):
        assert words in text
    described = describe(VARIANT, difficulty=DIFFICULTY)
    assert described.difficulty is not None
    record = json.loads(shell("describe", tmp_path / "v", *files, "--plot", tmp_path / "p.svg", "--json").out)
    assert record["difficulty"]["auroc"]["value"] == described.difficulty.auroc.value
    assert record["ceilings"]["identifiable"] == [1.0, 1.0]
    assert len(record["difficulty"]["bins"]) == 20
    assert np.shape(record["expected_transition"]) == np.shape(record["transition"]) == (K, K)
    assert record["class_wrong"] == np.bincount(CLEAN[VARIANT.mislabeled]).tolist()
    assert set(record["second_choice_share"]) == {"value", "low", "high"}
    assert record["plot"] == str(tmp_path / "p.svg")
    write_memorization(memorization(VARIANT.provenance.variant_id), tmp_path / "memorization.parquet")
    told = shell("describe", tmp_path / "v", "--difficulty", tmp_path / "memorization.parquet")
    assert "warning: the difficulty is the memorization of these very labels" in told.err
    refused = shell("describe", tmp_path / "v", "--lower-is-harder")
    assert (refused.code, "--lower-is-harder is for --difficulty" in refused.err) == (2, True)


def test_pictures_are_drawn_alike_and_by_their_name(tmp_path: Path) -> None:
    """Each kind begins as such files do, an SVG holds its words and is the same twice; a name may hold anything."""
    odd = source_from_arrays("x", np.zeros((N, 1)), CLEAN, clean=CLEAN, class_names=["$a$", "日本", "c" * 40, "3"])
    variant = build_variant(odd, Symmetric(0.3))
    description = describe(variant, difficulty=DIFFICULTY)
    for name, first in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("b.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        draw(variant, description, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(first)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    area = description.difficulty.auroc.value if description.difficulty else None
    for words in ("x: symmetric(rate=0.3", "30.00 % of 600 labels wrong", f"AUROC {area:.3f}", "0 $a$", "ccc…"):
        assert words in text
    many = source_from_arrays("m", np.zeros((N, 1)), np.arange(N) % 30, clean=np.arange(N) % 30)
    draw(many_noisy := build_variant(many, Symmetric(0.3)), describe(many_noisy), tmp_path / "many.svg")
    assert "difficulty" not in (tmp_path / "many.svg").read_text(encoding="utf-8")


def test_pictures_that_cannot_be_drawn_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another kind of file, nothing known, and matplotlib missing: before anything is read."""
    with pytest.raises(BadUsage, match=r"v.jpg is no .png, .svg, .pdf file; name the picture so"):
        check_picture("v.jpg")
    nothing = build_variant(source_from_arrays("w", np.zeros((N, 1)), CLEAN), AsFound())
    with pytest.raises(BadData, match="nothing can be drawn of variant .*: no clean label is known"):
        draw(nothing, describe(nothing), tmp_path / "w.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(MissingPackage, match=r"drawing v.png needs .*: pip install 'noisybench\[plot\]'"):
        check_picture("v.png")
    assert list(tmp_path.iterdir()) == []
