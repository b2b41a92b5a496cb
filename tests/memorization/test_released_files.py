"""Released memorization: read in its published layouts, and joined with a variant by checked labels alone.

The references are the arrays that were put into the files, sample by sample; of masks and predictions a loop over models
and samples, which knows nothing of our estimator.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from released_layouts import cscores, feldman_zhang, infl_mem
from shell import shell

import noisybench
from noisybench.board.finished import score_given
from noisybench.board.results import memorize_released
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.items import find
from noisybench.memorization.difficulty_files import is_memorization, read_difficulty
from noisybench.memorization.estimate import read_memorization
from noisybench.memorization.released_files import read_released
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

N, K = 240, 6
LABELS = np.random.default_rng(1).integers(0, K, N)


def source(labels: NDArray[Any] = LABELS, *, limit: int | None = None) -> Source:
    inputs = np.random.default_rng(2).normal(size=(len(labels), 3)).astype(np.float32)
    return source_from_arrays(
        "made", inputs, labels, clean=labels, class_names=[f"c{i}" for i in range(K)], limit=limit
    )


@pytest.fixture(scope="module")
def clean() -> Variant:
    """Whose given labels are the right ones."""
    return build_variant(source(), find("noises", "as_found")())


@pytest.fixture(scope="module")
def noisy() -> Variant:
    return build_variant(source(), find("noises", "symmetric")(rate=0.3))


def test_values_of_feldman_and_zhang_are_those_of_the_file(clean: Variant, tmp_path: Path) -> None:
    """And nothing else is made up: no error, no share, no count."""
    wanted = feldman_zhang(tmp_path / "cifar100_infl_matrix.npz", LABELS)
    found = read_released(tmp_path / "cifar100_infl_matrix.npz", clean)
    assert np.array_equal(found.memorization.values, wanted)
    assert np.isnan(found.memorization.stderr).all()
    assert np.isnan(found.memorization.p_in).all()
    assert found.memorization.models == found.memorization.n_in.sum() == 0
    assert found.memorization.learner.name.startswith("resnet50 of Feldman and Zhang 2020, released (")
    assert found.memorization.learner.name.endswith("fraction 0.7")
    assert found.record["file"] == "cifar100_infl_matrix.npz"
    first = build_variant(source(limit=100), find("noises", "as_found")())
    assert np.array_equal(read_released(tmp_path / "cifar100_infl_matrix.npz", first).memorization.values, wanted[:100])


def test_c_scores_are_taken_as_one_minus_the_score(clean: Variant, tmp_path: Path) -> None:
    """The scores of a file that does not say that it is one of C-scores are anybody's."""
    wanted = cscores(tmp_path / "cifar10-cscores-orig-order.npz", LABELS)
    found = read_released(tmp_path / "cifar10-cscores-orig-order.npz", clean).memorization
    assert np.array_equal(found.values, 1 - wanted)
    assert "one minus C-score" in found.learner.name
    shutil.copy(tmp_path / "cifar10-cscores-orig-order.npz", tmp_path / "mine.npz")
    with pytest.raises(BadData, match="is no released memorization that is known .* --scores FILE"):
        read_released(tmp_path / "mine.npz", clean)


def test_masks_and_predictions_give_the_memorization_again(noisy: Variant, tmp_path: Path) -> None:
    """By a loop over models and samples; samples that all models saw have none, whatever the file says there."""
    path = tmp_path / "cifar-rand1-human-infl-mem.npz"
    arrays = infl_mem(path, noisy.labels, k=K, left_in=40)
    found = read_released(path, noisy)
    values, errors, damage = (np.full(N, np.nan) for _ in range(3))
    for i in range(40, N):
        hits = {True: [0, 0, 0], False: [0, 0, 0]}
        for saw, said in zip(arrays["trainset_mask"][:, i], arrays["trainset_predictions"][:, i], strict=True):
            hits[bool(saw)][0] += 1
            hits[bool(saw)][1] += int(said == noisy.labels[i])
            hits[bool(saw)][2] += int(said == noisy.clean[i])
        values[i] = hits[True][1] / hits[True][0] - hits[False][1] / hits[False][0]
        damage[i] = hits[False][2] / hits[False][0] - hits[True][2] / hits[True][0]
        smooth = [((hit + 0.5) / (m + 1), m) for m, hit, _ in hits.values()]
        errors[i] = np.sqrt(sum(p * (1 - p) / m for p, m in smooth))
    assert np.allclose(found.memorization.values, values, rtol=0, atol=1e-12, equal_nan=True)
    assert np.allclose(found.memorization.stderr, errors, rtol=0, atol=1e-12, equal_nan=True)
    assert np.allclose(found.memorization.clean_damage, damage, rtol=0, atol=1e-12, equal_nan=True)
    assert np.abs(arrays["memorization"][40:] - values[40:]).max() < 1e-6
    assert (arrays["memorization"][:40] > 0.5).all(), "the file has the share of models that are right in its place"
    assert found.memorization.models == 90
    assert found.memorization.learner.fraction == round(arrays["trainset_mask"].mean(), 4)
    assert np.isnan(found.memorization.margin).all()
    assert found.notes[0].startswith(
        "memorization, memorization_inclusion_prob, memorization_exclusion_prob of 200 samples"
    )
    assert any(note.startswith("40 of 240 samples were seen by all models") for note in found.notes)


def swapped(labels: NDArray[Any]) -> NDArray[Any]:
    """The same labels with the first two that differ exchanged."""
    other = labels.copy()
    second = int(np.flatnonzero(other != other[0])[0])
    other[[0, second]] = other[[second, 0]]
    return other


def test_other_labels_are_refused_with_their_number(clean: Variant, noisy: Variant, tmp_path: Path) -> None:
    """Noisy, in another order, or of another number: never joined by position alone."""
    path = tmp_path / "cifar100_infl_matrix.npz"
    feldman_zhang(path, LABELS)
    wrong = int(noisy.mislabeled.sum())
    with pytest.raises(
        Mismatch, match=rf"is of other labels: {wrong} of 240 differ, .*they are the clean ones.* as_found"
    ):
        read_released(path, noisy)
    feldman_zhang(path, swapped(LABELS))
    with pytest.raises(
        Mismatch, match=r"2 of 240 differ, the first of sample 0, .*another order, such as that of TensorFlow Datasets"
    ):
        read_released(path, clean)
    feldman_zhang(path, (LABELS + 1) % K)
    with pytest.raises(Mismatch, match="240 of 240 differ"):
        read_released(path, clean)
    feldman_zhang(path, np.append(LABELS, 0))
    with pytest.raises(Mismatch, match="is of 241 samples, the variant has 240"):
        read_released(path, clean)
    infl_mem(path, noisy.labels, k=K)
    with pytest.raises(Mismatch, match=rf"marks as correct is not what gives the variant's label of {wrong} of 240"):
        read_released(path, clean)


def test_labels_in_blocks_cannot_say_how_rows_are_ordered(tmp_path: Path) -> None:
    labels = np.sort(LABELS)
    feldman_zhang(tmp_path / "infl.npz", labels)
    with pytest.raises(Mismatch, match="stand in blocks of one class each"):
        read_released(tmp_path / "infl.npz", build_variant(source(labels), find("noises", "as_found")()))


def test_rows_with_file_names_are_joined_by_them(tmp_path: Path) -> None:
    """In any order, of more files than the samples, with other numbers of the same classes; never with other classes."""
    labels = np.sort(LABELS)
    variant = build_variant(source(labels), find("noises", "as_found")())
    names = [f"n{k:08}/n{k:08}_{i}.JPEG" for i, k in enumerate(labels)]
    order = np.random.default_rng(3).permutation(N)
    files = [names[i].split("/")[1] for i in order]
    path = tmp_path / "imagenet_index.npz"
    wanted = feldman_zhang(path, np.append((labels[order] + 2) % K, [9, 9]), names=[*files, "n9_1.JPEG", "n9_2.JPEG"])
    found = read_released(path, variant, sample_names=names)
    assert np.array_equal(found.memorization.values[order], wanted[:N])
    assert any("240 of the 242 samples" in note for note in found.notes)
    with pytest.raises(BadUsage, match="names its rows by files, and no names are kept"):
        read_released(path, variant)
    with pytest.raises(Mismatch, match="has no row for 1 of the 240 samples"):
        read_released(path, variant, sample_names=["other.JPEG", *names[1:]])
    feldman_zhang(path, swapped(labels[order]), names=files)
    with pytest.raises(Mismatch, match="2 of 240 differ"):
        read_released(path, variant, sample_names=names)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"memorization": np.zeros(N, np.float32)}, r"memorization\[\d+\] = 0\.0, and its masks and predictions give"),
        ({"trainset_mask": np.zeros((90, N))}, "'trainset_mask' in .* is float64 of shape .*, expected bool"),
        ({"trainset_predictions": np.zeros((9, N), int)}, "'trainset_predictions' in .* of shape .9, 240."),
        ({"trainset_mask": np.asfortranarray(np.ones((90, N), bool))}, "is stored by columns"),
        ({"trainset_mask": np.array([[None] * N] * 90)}, "holds Python objects, which are never unpickled"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    noisy: Variant, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    path = tmp_path / "infl-mem.npz"
    arrays = infl_mem(path, noisy.labels, k=K)
    np.savez(path, **{**arrays, **changed})
    with pytest.raises(BadData, match=said):
        read_released(path, noisy)


def test_damaged_files_are_one_sentence(clean: Variant, tmp_path: Path) -> None:
    path = tmp_path / "cifar100_infl_matrix.npz"
    feldman_zhang(path, LABELS)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[:300], whole.replace(b"NUMPY", b"NIMPY")):
        path.write_bytes(content)
        with pytest.raises(BadData, match="cannot be read: it is damaged, or no .npz file; download it again"):
            read_released(path, clean)
    with pytest.raises(BadData, match="cannot be read"):
        read_released(tmp_path / "missing.npz", clean)
    np.savez(path, tr_mem=np.full(N, 1.5), tr_labels=LABELS)
    with pytest.raises(BadData, match=r"tr_mem\[0\] = 1\.5, expected -1 to 1 \(240 such\)"):
        read_released(path, clean)
    np.savez(path, tr_mem=np.zeros(N), tr_labels=LABELS.astype(float))
    with pytest.raises(BadData, match="expected a whole number and a number for each sample"):
        read_released(path, clean)


def test_a_released_truth_judges_detectors(clean: Variant, tmp_path: Path) -> None:
    """From the shell, with verify, merge and a noise by difficulty; never the same numbers that were given as scores."""
    write_variant(clean, tmp_path / "v")
    path, runs = tmp_path / "cifar10-cscores-orig-order.npz", tmp_path / "runs"
    scores = cscores(path, LABELS)
    told = shell("truths", tmp_path / "v", "--released", path, "--out", runs)
    assert told.code == 0, told.err
    assert "one minus C-score" in told.out
    assert "note: cifar10-cscores-orig-order.npz holds no standard errors" in told.err
    again = memorize_released(path, clean, runs)
    assert np.array_equal(again.memorization.values, 1 - scores)
    assert np.array_equal(read_memorization(again.path / "memorization.parquet").values, 1 - scores)
    noise = np.random.default_rng(4).normal(size=N)
    score_given(clean, scores=scores + noise / 5, name="near", lower_is_suspicious=True, out=runs)
    score_given(clean, scores=path, name="itself", lower_is_suspicious=True, out=runs)
    board = noisybench.leaderboard(runs, truth="memorization")
    values = {row.detector: row.mean for row in board.rows}
    assert values["near"] > 0.7
    assert "itself" not in values
    assert any(
        "taken on trust, memorization as released in cifar10-cscores" in line for line in noisybench.verify(runs)
    )
    noisybench.merge(runs, tmp_path / "m")
    joined = noisybench.leaderboard(tmp_path / "m", truth="memorization")
    assert {row.detector: row.mean for row in joined.rows} == values
    estimate = again.path / "memorization.parquet"
    assert is_memorization(estimate)
    assert np.array_equal(read_difficulty(estimate, clean), 1 - scores)
    feldman_zhang(tmp_path / "infl.npz", LABELS)
    memorize_released(tmp_path / "infl.npz", clean, runs)
    assert shell("truths", runs).code == 0
    assert "leave it out" in shell("truths", runs, "--out", runs).err
    again.path.rename(again.path.with_name("renamed"))
    with pytest.raises(Mismatch, match="holds what belongs into a folder called"):
        noisybench.verify(runs)


def test_real_files_join_real_labels(data: Path, tmp_path: Path) -> None:
    """C-scores of CIFAR-10 and CIFAR-100, in the official order; the order of TensorFlow Datasets is refused."""
    for name in ("cifar10", "cifar100"):
        path = data / "cscores" / f"{name}-cscores-orig-order.npz"
        if name == "cifar100":
            labels = np.load(data / "cifar100" / "labels.npz")["train_fine"].astype(np.int64)
        else:
            labels = read_annotations(data / "cifar_n" / "CIFAR-10_human.pt")["clean_label"]
        labels = np.asarray(labels, dtype=np.int64)
        inputs, k = np.zeros((len(labels), 1), np.float32), int(labels.max()) + 1
        classes = [str(i) for i in range(k)]
        variant = build_variant(
            source_from_arrays(name, inputs, labels, clean=labels, class_names=classes), find("noises", "as_found")()
        )
        found = read_released(path, variant).memorization
        assert np.array_equal(found.values, 1 - np.load(path)["scores"])
        order = np.load(data / "cifar_n" / "image_order_tfds_to_torch.npz")[f"{name}"]
        moved = source_from_arrays(name, inputs, labels[order], clean=labels[order], class_names=classes)
        with pytest.raises(Mismatch, match=r"of 50000 differ, .* another order, such as that of TensorFlow"):
            read_released(path, build_variant(moved, find("noises", "as_found")()))
