"""Label files as they are released: read, matched and checked."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from noisybench.cards.description import describe
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.noise.noises.published import Published
from noisybench.variants.building import build_variant

N = 120
CLEAN = np.random.default_rng(0).integers(0, 3, N)
GIVEN = np.where(np.arange(N) % 5, CLEAN, (CLEAN + 1) % 3)
NAMES = ("cat", "dog", "owl")
ORDER = np.random.default_rng(1).permutation(N)


@pytest.fixture
def source() -> Source:
    return source_from_arrays("toy", np.zeros((N, 1)), CLEAN, clean=CLEAN, class_names=NAMES)


def write(path: Path, content: Any) -> Path:  # noqa: ANN401 - an array, or columns by name
    match path.suffix:
        case ".npy":
            np.save(path, content)
        case ".npz":
            np.savez(path, **content)
        case ".csv":
            rows = zip(*(np.asarray(column).tolist() for column in content.values()), strict=True)
            path.write_text(
                "\n".join([",".join(content), *(",".join(map(str, row)) for row in rows)]), encoding="utf-8"
            )
        case _:
            torch.save(content, path)
    return path


READ: list[tuple[str, Any, Mapping[str, str], str | None]] = [
    (".npy", GIVEN, {}, None),
    (".npy", GIVEN.astype(np.uint8)[:, None], {}, None),
    (".npy", np.array(NAMES)[GIVEN], {}, None),
    (".npz", {"anything": GIVEN, "images": np.zeros((N, 2, 2))}, {}, None),
    (".npz", {"a": GIVEN, "b": CLEAN}, {"label": "a", "clean": "b"}, "b"),
    (".npz", {"idn__noise_label_train": GIVEN, "idn__clean_label_train": CLEAN, "x": CLEAN[::-1]},
     {"label": "idn__noise_label_train"}, "idn__clean_label_train"),
    (".csv", {"label": CLEAN, "label_noisy": GIVEN}, {}, "label"),
    (".csv", {"label": CLEAN * 1.0, "label_noisy": GIVEN * 1.0}, {}, "label"),
    (".csv", {"": ORDER, "mine": GIVEN[ORDER], "true_label": CLEAN[ORDER]}, {}, "true_label"),
    (".csv", {"id": ORDER, "noisy_label": np.array(NAMES)[GIVEN[ORDER]], "clean": np.array(NAMES)[CLEAN[ORDER]]}, {}, "clean"),
    (".pt", torch.tensor(GIVEN), {}, None),
    (".pt", torch.tensor(np.stack([CLEAN, GIVEN]))[1], {}, None),
    (".pt", {"noise_label_train": torch.tensor(GIVEN.astype(np.int32)), "clean_label_train": CLEAN}, {}, "clean_label_train"),
    (".pt", {"clean_label": CLEAN.tolist(), "noise_label": GIVEN.tolist()}, {}, "clean_label"),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "content", "options", "clean"), READ)
def test_every_kind_of_file_gives_the_same_labels(
    ending: str,
    content: Any,  # noqa: ANN401
    options: Mapping[str, str],
    clean: str | None,
    source: Source,
    tmp_path: Path,
) -> None:
    """By usual names or said ones, rows by ids where there are some; the record tells columns and digest, and no place."""
    noise = Published(write(tmp_path / f"x{ending}", content), **options)
    variant = build_variant(source, noise)
    assert np.array_equal(variant.labels, GIVEN)
    assert variant.mislabeled.mean() == pytest.approx(0.2)
    params = variant.provenance.params
    assert params.get("clean") == clean
    assert re.fullmatch(rf"x{ending} sha256:[0-9a-f]{{64}}", str(params["file"]))
    first = replace(
        source_from_arrays("toy", np.zeros((50, 1)), CLEAN[:50], clean=CLEAN[:50], class_names=NAMES), limit=50
    )
    assert np.array_equal(build_variant(first, noise).labels, GIVEN[:50])


REFUSED: list[tuple[str, Any, Mapping[str, str], type[Exception], str]] = [
    (".npy", GIVEN[ORDER], {}, Mismatch, "agree with those of source 'toy' at .*, no more than in any other order"),
    (".npy", GIVEN[:90], {}, BadData, "has 90 labels, source 'toy' has 120 samples; expected one each; say --limit 90"),
    (".npy", np.r_[GIVEN, 0], {}, BadData, "has 121 labels, source 'toy' has 120 samples; expected one each$"),
    (".npy", GIVEN + 1, {}, BadData, "is not a class of 0..2"),
    (".npy", GIVEN + 0.5, {}, BadData, "must be integers"),
    (".npy", np.array([*NAMES[:2], "ant"])[GIVEN], {}, BadData, r"\[\d+\] = 'ant' is neither a number nor one of the classes"),
    (".npz", {"a": GIVEN, "b": CLEAN}, {}, BadUsage, "several columns, say which .*: --set label=…; it has: a, b"),
    (".npz", {"a": GIVEN}, {"label": "b"}, BadUsage, "has no label=b; it has: a"),
    (".npz", {"a": GIVEN}, {"clean": "b"}, BadUsage, "has no clean=b; it has: a"),
    (".npz", {"a": GIVEN}, {"label": "a", "clean": "a"}, BadUsage, "are one column"),
    (".npz", {"noisy_label": GIVEN[ORDER], "clean_label": CLEAN[ORDER]}, {}, Mismatch, r"clean labels of .* \d+ of 120 differ"),
    (".csv", {"label": CLEAN[ORDER], "label_noisy": GIVEN}, {}, Mismatch, "are not those of source 'toy'"),
    (".csv", {"id": ORDER + 1, "mine": GIVEN}, {}, BadData, "'id' of .* must hold the ids 0..119, each once"),
    (".csv", {"a": [""] * N}, {}, BadData, "= '' is neither a number"),
    (".pt", {"a": torch.tensor(GIVEN)[::2]}, {}, BadData, "do not lie one after the other"),
    (".pt", {"a": "text"}, {}, BadData, "it holds a str where numbers are expected; save its labels as"),
    (".txt", GIVEN, {}, BadUsage, "is a .npy, .npz, .csv, .tsv, .pt file, got 'x.txt'"),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "content", "options", "kind", "message"), REFUSED)
def test_what_is_not_of_the_source_is_refused(
    ending: str,
    content: Any,  # noqa: ANN401
    options: Mapping[str, str],
    kind: type[Exception],
    message: str,
    source: Source,
    tmp_path: Path,
) -> None:
    """Another order, length, class or column, in one sentence."""
    with pytest.raises(kind, match=message) as caught:
        build_variant(source, Published(write(tmp_path / f"x{ending}", content), **options))
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_damaged_are_refused(tmp_path: Path) -> None:
    """Missing, empty and cut files of every kind, and a pickle that asks for a function."""
    with pytest.raises(BadData, match="there is no file of labels at"):
        Published(tmp_path / "x.npy")
    for ending in (".npy", ".npz", ".csv", ".pt"):
        for content in (b"", b"PK\x03\x04\xff\xfe\x00"):
            path = tmp_path / f"x{ending}"
            path.write_bytes(content)
            with pytest.raises((BadData, BadUsage)) as caught:
                Published(path)
            assert "\n" not in str(caught.value)
    torch.save({"a": Path("x")}, tmp_path / "x.pt")
    with pytest.raises(BadData, match="it asks for pathlib"):
        Published(tmp_path / "x.pt")


def test_clean_labels_beside_the_file_decide(source: Source, tmp_path: Path) -> None:
    """They show that labels which agree with none are of the source, or that others are not."""
    noise = Published(write(tmp_path / "x.npy", (CLEAN + 1) % 3))
    with pytest.raises(Mismatch, match=r"at 0.0% of the samples"):
        build_variant(source, noise)
    write(tmp_path / "clean_labels.npy", CLEAN)
    assert build_variant(source, noise).mislabeled.all()
    write(tmp_path / "clean_labels.npy", CLEAN[ORDER])
    with pytest.raises(Mismatch, match=r"clean labels of .*clean_labels.npy are not those"):
        build_variant(source, noise)


RELEASED = [
    ("coherent/cifar10-cluster-0.35.npy", None, 0.3494),
    ("published_noise/xia_hoc.npz", "IDN_0.6_C10_0__noise_label_train", 0.5989),
    ("published_noise/xia_hoc.npz", "noise_label_human__noise_label_train", 0.1555),
    ("published_noise/xia_hoc.npz", "IDN_0.2_C10", 0.2077),
    ("published_noise/xia_hoc.npz", "IDN_0.4_C10", 0.4033),
    ("published_noise/chen2021.npz", "CIFAR10_dependent0.1", 0.1),
    ("published_noise/chen2021.npz", "CIFAR10_dependent0.4", 0.4),
    ("published_noise/pmd.npz", "cifar10-1-0.35", 0.35),
    ("published_noise/pmd.npz", "cifar10-1-0.70", 0.7046),
    ("published_noise/pmd.npz", "cifar10-2-0.35", 0.35),
    ("published_noise/pmd.npz", "cifar10-3-0.70", 0.70),
]


@pytest.mark.parametrize(("file", "label", "rate"), RELEASED)
def test_released_files_become_variants(file: str, label: str | None, rate: float, data: Path) -> None:
    """Of CIFAR-10 in its official order, at the rates measured on them; another order of it is refused."""
    clean = np.load(data / "cscores" / "cifar10-cscores-orig-order.npz")["labels"].astype(np.int64)
    n = 45_000 if "pmd" in file else 50_000
    noise = Published(data / file, label)
    found = source_from_arrays("cifar10", np.zeros((n, 1)), clean[:n], clean=clean[:n])
    assert build_variant(found, noise).mislabeled.mean() == pytest.approx(rate, abs=0.006)
    other = np.random.default_rng(0).permutation(clean[:n])
    with pytest.raises(Mismatch):
        build_variant(source_from_arrays("cifar10", np.zeros((n, 1)), other, clean=other), noise)


def test_the_released_cluster_noise_is_as_it_was_measured(data: Path) -> None:
    """As its file stands: the rate, of every class, the commonest wrong class, and that errors fall on easy images."""
    known = np.load(data / "cscores" / "cifar10-cscores-orig-order.npz")
    clean, doubt = known["labels"].astype(np.int64), 1 - known["scores"].astype(np.float64)
    digest = "2b7cd2f2"  # of the clean labels of CIFAR-10, in whose order the column is
    assert hashlib.sha256(clean.astype(np.uint8).tobytes()).hexdigest().startswith(digest)
    source = source_from_arrays("cifar10", None, clean, clean=clean)
    variant = build_variant(source, Published(data / "coherent" / "cifar10-cluster-0.35.npy"))
    found = describe(variant, difficulty=doubt)
    assert found.realised_rate == pytest.approx(0.3494, abs=5e-5)
    assert (found.class_rates.min(), found.class_rates.max()) == pytest.approx((0.283, 0.399), abs=5e-4)
    assert found.modal_shares.mean() == pytest.approx(0.605, abs=5e-4)
    assert found.difficulty is not None
    assert found.difficulty.auroc.value == pytest.approx(0.4199, abs=5e-5)
    assert found.difficulty.auroc_within_class.value == pytest.approx(0.4254, abs=5e-5)
    pairs = found.class_wrong * (found.class_counts - found.class_wrong)
    each = [roc_auc_score(variant.mislabeled[clean == k], doubt[clean == k]) for k in range(10)]
    assert np.average(each, weights=pairs) == pytest.approx(0.4256, abs=5e-5)
    easiest, hardest = found.difficulty.bins[0].rate.value, found.difficulty.bins[-1].rate.value
    assert (easiest, hardest) == pytest.approx((0.427, 0.174), abs=1e-3)


@pytest.mark.parametrize("form", ["{}", "{}.png", "photos/{}.png", "photos\\{}.png"])
def test_rows_are_found_by_what_the_samples_are_called(source: Source, form: str, tmp_path: Path) -> None:
    """In any order, below another folder too; of a prefix by the same names; another name is refused."""
    called = [f"x{i}" if form == "{}" else f"x{i}.png" for i in range(N)]
    named = replace(source, sample_names=called)
    ids = np.array([form.format(f"x{i}") for i in ORDER], dtype=object)
    column = "id" if form == "{}" else "file_name"
    file = write(tmp_path / "x.csv", {column: ids, "noisy": GIVEN[ORDER]})
    assert np.array_equal(build_variant(named, Published(file)).labels, GIVEN)
    if "photos" not in form:
        first = replace(named, inputs=None, labels=CLEAN[:60], clean=CLEAN[:60], sample_names=called[:60], limit=60)
        assert np.array_equal(build_variant(first, Published(file)).labels, GIVEN[:60])
    ids[3] = "other"
    with pytest.raises(BadData, match=f"column '{column}' of .*: 'other' is the name of no sample"):
        build_variant(named, Published(write(tmp_path / "x.csv", {column: ids, "noisy": GIVEN[ORDER]})))


def test_numbers_may_be_ids_or_positions(source: Source, tmp_path: Path) -> None:
    """Ids of the source that count its samples in another order are ambiguous, unless the column is called ``sample``."""
    named = replace(source, sample_names=[str(i) for i in ORDER])
    columns = {"id": np.arange(N), "noisy": GIVEN}
    with pytest.raises(BadData, match="column 'id' of .* may hold ids or positions of samples; call it 'sample' where"):
        build_variant(named, Published(write(tmp_path / "x.csv", columns)))
    counted = write(tmp_path / "x.csv", {"sample": np.arange(N), "noisy": GIVEN})
    assert np.array_equal(build_variant(named, Published(counted)).labels, GIVEN)
    far = replace(source, sample_names=[str(1000 + i) for i in range(N)])
    file = write(tmp_path / "x.csv", {"id": 1000 + ORDER, "noisy": GIVEN[ORDER]})
    assert np.array_equal(build_variant(far, Published(file)).labels, GIVEN)
