import pickle
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from noisybench.board.agreement import against_labels, against_mark, marks_of
from noisybench.cards.description import describe
from noisybench.data.crowd.answers import majority
from noisybench.data.source import Source, source_from_arrays
from noisybench.data.sources.cifar100 import coarse
from noisybench.detection.scoring import Scores
from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.options import parse_options
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.noises.cifar_n import CifarN
from noisybench.variants.building import build_variant

CONTESTED: tuple[Literal["keep", "unknown"], ...] = ("keep", "unknown")


def source_of(labels: Labels, *, k: int = 10) -> Source:
    """Labels under images of one pixel."""
    name = "cifar10" if k == 10 else "cifar100"
    images = np.zeros((len(labels), 1, 1, 3), dtype=np.uint8)
    return source_from_arrays(name, images, labels, clean=labels, class_names=[str(j) for j in range(k)])


def archive(path: Path, content: bytes, *, member: str = "archive/data.pkl") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(member, content)
        file.writestr("archive/version", "3")
    return path


def annotations(path: Path, columns: Any) -> Path:  # noqa: ANN401 - whatever a test wants in the file
    """A file as torch wrote them under NumPy 1, where the module had another name."""
    return archive(path, pickle.dumps(columns, protocol=2).replace(b"numpy._core.", b"numpy.core."))


@pytest.fixture(scope="module")
def official(data: Path) -> Labels:
    """Labels of CIFAR-10 in the order of the official batches."""
    clean: Labels = read_annotations(data / "cifar_n" / "CIFAR-10_human.pt")["clean_label"]
    return clean


@pytest.mark.parametrize(
    ("labels", "wrong"), [("aggre", 4505), ("random1", 8617), ("random2", 9061), ("random3", 8820), ("worse", 20104)]
)
def test_rates_are_those_that_the_authors_measured(labels: Any, wrong: int, data: Path, official: Labels) -> None:  # noqa: ANN401 - a literal
    """9.010, 17.234, 18.122, 17.640 and 40.208 % of 50,000; cell by cell the counts that were published beside them."""
    variant = build_variant(source_of(official), CifarN(labels, data / "cifar_n" / "CIFAR-10_human.pt"))
    assert variant.mislabeled.sum() == wrong
    assert [variant.flip_probability, variant.transition, variant.selected] == [None] * 3
    counts = np.load(data / "cifar_n" / "transition_counts.npz")
    key = next(name for name in counts if labels in name.replace("random_label", "random"))
    np.testing.assert_array_equal(np.bincount(official * 10 + variant.labels).reshape(10, 10), counts[key])


def test_cifar100n_is_not_identifiable_in_three_classes(data: Path) -> None:
    """40.200 % of 50,000 are wrong, and for three classes another label is the likeliest: that is warned of."""
    fine = np.load(data / "cifar100" / "labels.npz")["train_fine"]
    variant = build_variant(source_of(fine, k=100), CifarN("fine", data / "cifar_n" / "CIFAR-100_human.pt"))
    assert f"{variant.mislabeled.mean():.3%}" == "40.200%"
    assert any("not identifiable: in 3 of 100 classes" in sentence for sentence in describe(variant).warnings)


def test_coarse_labels_are_those_of_the_superclasses(data: Path) -> None:
    """26.404 % of 50,000, and each the superclass of the fine label; a source of 100 classes does not take them."""
    file, known = data / "cifar_n" / "CIFAR-100_human.pt", np.load(data / "cifar100" / "labels.npz")
    fine = source_of(known["train_fine"].astype(np.int64), k=100)
    source = coarse(fine)
    assert np.array_equal(source.labels, known["train_coarse"])
    assert (source.num_classes, source.options, source.class_names[:2]) == (
        20,
        {"labels": "coarse"},
        ("aquatic_mammals", "fish"),
    )
    variant = build_variant(source, CifarN("coarse", file))
    assert f"{variant.mislabeled.mean():.3%}" == "26.404%"
    given = build_variant(fine, CifarN("fine", file)).labels
    assert np.array_equal(variant.labels, known["fine_to_coarse"][given])
    assert not variant.marks
    with pytest.raises(
        BadUsage, match=r"belong to cifar100\(labels=coarse\) with 20 classes, source 'cifar100' has 100"
    ):
        build_variant(fine, CifarN("coarse", file))
    with pytest.raises(BadUsage, match="labels=coarse have one annotator, so none are contested by three"):
        CifarN("coarse", file, contested="unknown")


def test_early_coarse_labels_are_refused(tmp_path: Path) -> None:
    """Of twenty superclasses they have twelve; clean ones or given ones."""
    twenty, twelve = (np.arange(240) % k for k in (20, 12))
    source = source_of(twenty, k=20)
    for pair, name in (((twenty, twelve), "noisy"), ((twelve, twenty), "clean")):
        columns = dict(zip(("clean_coarse_label", "noisy_coarse_label"), (part.tolist() for part in pair), strict=True))
        file = annotations(tmp_path / "file.pt", columns)
        with pytest.raises(BadData, match=f"'{name}_coarse_label' of .* has 12 of the 20 superclasses, as copies from"):
            CifarN("coarse", file)(source, seed=0, mode="exact")


def test_annotators_agree_split_or_contest(data: Path, official: Labels) -> None:
    """Votes counted by numpy's ``unique``, sample by sample: 3,041 splits, 60.4 % unanimous, 282 against CIFAR-10."""
    file = data / "cifar_n" / "CIFAR-10_human.pt"
    columns = read_annotations(file)
    answers = np.stack([columns[f"random_label{j}"] for j in (1, 2, 3)], axis=1)
    variant = build_variant(source_of(official), CifarN("random1", file))
    votes = variant.marks["votes"]
    assert votes[:3000].tolist() == [np.unique(row, return_counts=True)[1].max() for row in answers[:3000]]
    assert np.array_equal(variant.marks["split"], votes == 1)
    assert (votes == 1).sum() == 3041
    assert f"{(votes == 3).mean():.1%}" == "60.4%"
    contested = variant.marks["contested"]
    assert contested.sum() == 282
    assert all(
        len(set(row)) == 1 and row[0] != label
        for row, label in zip(answers[contested], official[contested], strict=True)
    )


def test_metrics_are_told_with_and_without_the_contested(data: Path, official: Labels) -> None:
    """With ``contested=unknown`` they are those over the other samples, by scikit-learn; the labels are the same."""
    file = data / "cifar_n" / "CIFAR-10_human.pt"
    kept, left = (build_variant(source_of(official), CifarN("aggre", file, contested=c)) for c in CONTESTED)
    assert kept.provenance.variant_id == left.provenance.variant_id
    assert kept.mislabeled.sum() - left.mislabeled.sum() == kept.known.sum() - left.known.sum() == 282
    values = np.random.default_rng(0).normal(size=50_000) + kept.mislabeled
    for variant in (kept, left):
        scores = Scores("mine", values, variant.provenance.variant_id)
        told = {a.metric: a.value for a in against_labels(scores, variant)}
        counted = np.ones(50_000, bool) if variant is kept else ~variant.marks["contested"]
        wrong = kept.labels[counted] != official[counted]
        assert told["auroc"] == pytest.approx(roc_auc_score(wrong, values[counted]), abs=1e-12)
        assert told["average_precision"] == pytest.approx(average_precision_score(wrong, values[counted]), abs=1e-12)
        assert marks_of(variant) == ("split", "contested")
        for mark in marks_of(variant):
            (held,) = against_mark(scores, variant, mark, metrics=["auroc"])
            bears = variant.marks[mark]
            told_from = bears | ~variant.mislabeled
            expected = roc_auc_score(bears[told_from], values[told_from])
            assert held.truth == mark
            assert held.value == pytest.approx(expected, abs=1e-12)
    with pytest.raises(BadUsage, match="contested must be keep or unknown, got 'drop'"):
        CifarN("aggre", file, contested="drop")  # type: ignore[arg-type]


def test_the_three_columns_come_as_answers(data: Path, official: Labels) -> None:
    """Three a sample, of which the majority is ``aggre`` but for three-way splits; also in another order, and of a prefix."""
    file, orders = data / "cifar_n" / "CIFAR-10_human.pt", data / "cifar_n" / "image_order_tfds_to_torch.npz"
    variant = build_variant(source_of(official), CifarN("aggre", file))
    answers = variant.answers
    assert answers is not None
    assert np.array_equal(answers.sample, np.repeat(np.arange(50_000), 3))
    columns = read_annotations(file)
    for j in range(3):
        assert np.array_equal(answers.label[j::3], columns[f"random_label{j + 1}"])
    labels, tied = majority(answers, 50_000)
    assert np.array_equal(tied, variant.marks["split"])
    assert np.array_equal(labels[~tied], variant.labels[~tied])
    crowd = describe(variant).crowd
    assert crowd is not None
    assert crowd.accuracy == pytest.approx(1 - (8617 + 9061 + 8820) / 150_000)
    assert crowd.annotator_accuracy == pytest.approx((1 - 9061 / 50_000, 1 - 8820 / 50_000, 1 - 8617 / 50_000))
    order = np.load(orders)["cifar10"][:2000]
    other = build_variant(source_of(official[order]), CifarN("worse", file, order_file=orders)).answers
    assert other is not None
    assert np.array_equal(other.label.reshape(-1, 3), answers.label.reshape(-1, 3)[order])
    fine = np.load(data / "cifar100" / "labels.npz")["train_fine"].astype(np.int64)
    hundred = CifarN("fine", data / "cifar_n" / "CIFAR-100_human.pt")
    assert build_variant(source_of(fine, k=100), hundred).answers is None


def test_the_order_of_tensorflow_is_permuted(data: Path, official: Labels, tmp_path: Path) -> None:
    """With the published order file each image has the labels and marks of its place; the official order needs none."""
    file, orders = data / "cifar_n" / "CIFAR-10_human.pt", data / "cifar_n" / "image_order_tfds_to_torch.npz"
    order = np.load(orders)["cifar10"]
    np.save(tmp_path / "image_order_c10.npy", order.astype(np.int64))
    expected = build_variant(source_of(official), CifarN("worse", file))
    for place in (orders, tmp_path / "image_order_c10.npy"):
        noise = CifarN("worse", file, order_file=place)
        variant = build_variant(source_of(official[order]), noise)
        assert np.array_equal(variant.labels, expected.labels[order])
        assert all(np.array_equal(mark, expected.marks[name][order]) for name, mark in variant.marks.items())
        assert np.array_equal(build_variant(source_of(official), noise).labels, expected.labels)
        short = build_variant(source_of(official[order][:5000]), noise)
        assert np.array_equal(short.labels, variant.labels[:5000])
    with pytest.raises(
        Mismatch, match=r"TensorFlow Datasets; .*: say --set order_file=image_order_c10.npy, published bes"
    ):
        CifarN("worse", file)(source_of(official[order]), seed=0, mode="exact")
    with pytest.raises(Mismatch, match=r"neither in the official order of cifar10 nor in that of image_order_c10.npy"):
        noise(source_of(official[::-1].copy()), seed=0, mode="exact")
    alike = np.flatnonzero(official == official[0])[1]
    exchanged = np.arange(50_000)
    exchanged[[0, alike]] = alike, 0
    np.save(tmp_path / "image_order_c10.npy", exchanged)
    with pytest.raises(
        Mismatch, match=r"the 1 samples of source 'cifar10' fit both the official order and that of image_"
    ):
        noise(source_of(official[:1]), seed=0, mode="exact")
    for odd in (order[:-1], np.zeros(50_000, int), order.astype(float)):
        np.save(tmp_path / "image_order_c10.npy", odd)
        with pytest.raises(BadData, match=r"must hold each of 0..49999 once, as image_order_c10.npy does, got"):
            noise(source_of(official), seed=0, mode="exact")
    for content in (b"", b"\x93NUMPY", (data / "cifar_n" / "transition_counts.npz").read_bytes()):
        (tmp_path / "image_order_c10.npy").write_bytes(content)
        with pytest.raises(
            BadData, match=r"image_order_c10.npy cannot be read: it is damaged, or no .npy and no .npz file"
        ):
            noise(source_of(official), seed=0, mode="exact")


def test_a_prefix_is_enough(data: Path, official: Labels) -> None:
    """The first 10,000 of ``worse`` are 41.04 % wrong."""
    noise = CifarN("worse", data / "cifar_n" / "CIFAR-10_human.pt")
    variant = build_variant(source_of(official[:10_000]), noise)
    assert variant.mislabeled.sum() == 4104
    assert str(data) not in str(variant.provenance)
    assert str(variant.provenance.params["file"]).startswith("CIFAR-10_human.pt sha256:873e69c39cb9")


def test_labels_in_another_order_are_refused(data: Path, official: Labels) -> None:
    """Known orders are named, unknown ones say how far they agree; one exchanged pair of labels is enough."""
    noise = CifarN("worse", data / "cifar_n" / "CIFAR-10_human.pt")
    tar = official.reshape(5, 10_000)[[3, 2, 1, 4, 0]].ravel()
    tensorflow = official[np.load(data / "cifar_n" / "image_order_tfds_to_torch.npz")["cifar10"]]
    swapped = official.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    for labels, words in [
        (tar, "is in the order of the tar archive"),
        (tensorflow, "is in the order of TensorFlow Datasets; .* the order of the official Python batches"),
        (swapped, "is in no known order .*agree with the file's at 49998 of 50000 positions"),
        (np.concatenate([official, official[:1]]), "is in no known order"),
    ]:
        with pytest.raises(Mismatch, match=words):
            noise(source_of(labels), seed=0, mode="exact")


def test_labels_of_the_other_data_set_are_refused() -> None:
    """Before anything is read or downloaded."""
    with pytest.raises(BadUsage, match="labels=fine belong to cifar100 with 100 classes, source 'cifar10' has 10"):
        CifarN("fine")(source_of(np.arange(10)), seed=0, mode="exact")
    with pytest.raises(
        BadUsage, match="must be one of aggre, worse, random1, random2, random3, fine, coarse, got 'worst'"
    ):
        parse_options(CifarN, {"labels": "worst"}, what="noise 'cifar_n'")
    with pytest.raises(BadUsage, match=r"must be one of aggre, .*, got 'worst'"):
        CifarN("worst")  # type: ignore[arg-type]


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    """Nothing runs: neither a system call, nor a codec, nor a function of NumPy that is not among the four."""
    victim = tmp_path / "victim"

    class Attack:
        def __init__(self, function: Any, *arguments: Any) -> None:  # noqa: ANN401
            self.call = function, arguments

        def __reduce__(self) -> Any:  # noqa: ANN401
            return self.call

    import codecs
    import os

    for attack, asks in [
        (Attack(os.mkdir, str(victim)), "asks for (posix|nt).mkdir"),
        (Attack(eval, f"open({str(victim)!r}, 'w')"), "asks for (builtins|__builtin__).eval"),
        (Attack(np.load, str(victim)), "asks for numpy.load"),
        (Attack(codecs.encode, "text", "rot13"), "asks for the codec rot13"),
    ]:
        with pytest.raises(BadData, match=f"is not a file of CIFAR-N as published: it {asks}; download it again"):
            read_annotations(annotations(tmp_path / "file.pt", {"clean_label": attack}))
    assert not victim.exists()


def test_broken_files_are_refused(tmp_path: Path) -> None:
    """Missing, cut anywhere, of another kind, empty, or holding something else: one sentence, always the same error."""
    labels = np.arange(10)
    whole = annotations(tmp_path / "whole.pt", {"clean_label": labels, "worse_label": labels}).read_bytes()
    assert set(read_annotations(tmp_path / "whole.pt")) == {"clean_label", "worse_label"}
    content = pickle.dumps({"clean_label": labels}, protocol=2).replace(b"numpy._core.", b"numpy.core.")
    with pytest.raises(BadData, match=r"none.pt cannot be read: No such file"):
        read_annotations(tmp_path / "none.pt")
    for size in range(0, len(whole) - 1, 61):
        (tmp_path / "cut.pt").write_bytes(whole[:size])
        with pytest.raises(BadData, match="is not a file of CIFAR-N as published"):
            read_annotations(tmp_path / "cut.pt")
    for size in range(len(content)):
        with pytest.raises(BadData, match="is not a file of CIFAR-N as published"):
            read_annotations(archive(tmp_path / "cut.pt", content[:size]))
    with pytest.raises(BadData, match=r"expected one data.pkl of at most"):
        read_annotations(archive(tmp_path / "other.pt", content, member="archive/constants.pkl"))
    with pytest.raises(BadData, match=r"expected one data.pkl of at most 33554432 bytes in it, found"):
        read_annotations(archive(tmp_path / "bomb.pt", bytes(1 << 26)))
    with pytest.raises(BadData, match="it holds one array, expected a dict"):
        read_annotations(annotations(tmp_path / "list.pt", [1, 2]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"clean_label": np.arange(10)}, "has no labels 'worse_label'; it has: clean_label"),
        (
            {"clean_label": np.arange(10), "worse_label": np.arange(9)},
            "has 10 labels 'clean_label' and 9 'worse_label'",
        ),
        (
            {"clean_label": np.arange(10), "worse_label": np.arange(10) + 1},
            r"'worse_label' of file.pt\[9\] = 10 is not a",
        ),
        ({"clean_label": np.arange(10), "worse_label": np.eye(10)}, "'worse_label' of file.pt must be integers"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: Any, message: str, tmp_path: Path) -> None:  # noqa: ANN401
    """A missing key, another length, another class, another type."""
    noise = CifarN("worse", annotations(tmp_path / "file.pt", columns))
    with pytest.raises(BadData, match=message):
        noise(source_of(np.arange(10)), seed=0, mode="exact")
