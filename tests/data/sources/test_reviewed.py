"""Sources whose labels people reviewed, against loops over the published files and over small copies in their layout."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reviewed_layouts import DISHES, SYNSETS, food101, food101n, imagenet_val, real_json

from noisybench.cards.description import describe
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.data.sources import _verdicts, testset
from noisybench.data.sources.imagenet_val import read_reassessment
from noisybench.data.sources.testset import PublishedTestSet, disagreement, majority, read_judgement_counts
from noisybench.ground.arrays import UNKNOWN, WRONG, Labels
from noisybench.ground.digests import fingerprint
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.options import parse_options
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant


@pytest.fixture(scope="module")
def verdicts(data: Path) -> Path:
    return data / "label_errors" / "cifar10_mturk.json"


# --- test sets ---------------------------------------------------------------------------------------------------------


def test_people_found_54_errors_of_275_in_cifar10(data: Path, verdicts: Path) -> None:
    """Counted in the published file: fewer than three votes for the label; 18 have a right class, 36 have none."""
    source = load_source("testset", data / "cifar10", truth="label_errors", file=str(verdicts))
    variant = build_variant(source, AsFound())
    assert (variant.known.sum(), variant.mislabeled.sum(), (variant.clean == WRONG).sum()) == (275, 54, 36)
    for entry in json.loads(verdicts.read_text(encoding="utf-8")):
        votes, clean = entry["mturk"], source.clean[entry["id"]]
        if votes["given"] >= 3:
            assert clean == source.labels[entry["id"]] == entry["given_original_label"]
        else:
            assert clean == (entry["our_guessed_label"] if votes["guessed"] >= 3 else WRONG)
    assert source.order == "of the test set of cifar10; 275 judged by people, 54 of them wrong"
    assert fingerprint(source.labels).startswith("cec8a24a1e92")
    assert source.test_labels is None
    told = describe(variant)
    assert (told.known, told.wrong, told.wrong_alone, told.class_counts.sum()) == (275, 54, 36, 239)


@pytest.fixture
def without_images(data: Path, monkeypatch: pytest.MonkeyPatch) -> Labels:
    """The real labels of the test set of CIFAR-10, which are then read under images of one pixel."""
    labels = np.load(data / "cifar10h" / "cifar10h_counts.npz")["test_labels"].astype(np.int64)
    pixels = np.zeros((len(labels), 1, 1, 3), np.uint8)
    base = source_from_arrays("cifar10", pixels[:10], np.arange(10), test_inputs=pixels, test_labels=labels)
    monkeypatch.setattr(testset, "load_base", lambda *_, **__: base)
    return labels


def test_judgements_disagree_in_477_of_ten_thousand(data: Path, without_images: Labels) -> None:
    """The mean over images of the share against the label; 99.21 % have the label's class first, and 3 have two."""
    file = data / "cifar10h" / "cifar10h_counts.npz"
    source = load_source("testset", data / "cifar10", truth="cifar10h", file=str(file))
    counts = read_judgement_counts(file)
    labels = without_images
    assert round(float(disagreement(counts, labels).mean()), 4) == 0.0477
    assert round(float((counts.argmax(1) == labels).mean()), 4) == 0.9921
    assert (source.clean == UNKNOWN).sum() == 3
    assert source.order.endswith("4.77% of 511,000 judgements against the label, by the mean over images")
    first = [row.tolist().index(max(row)) if row.tolist().count(max(row)) == 1 else -1 for row in counts[:500]]
    assert source.clean[:500].tolist() == first == majority(counts[:500]).tolist()
    published = load_source("testset", data / "cifar10", limit=1000)
    assert np.array_equal(published.clean, labels[:1000])
    short = load_source("testset", data / "cifar10", truth="cifar10h", file=str(file), limit=1000)
    assert np.array_equal(short.clean, source.clean[:1000])
    assert published.sha256 == short.sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entries: entries[:-1], "holds 274 entries, expected the 275 verdicts on cifar10"),
        (lambda _: {"a": 1}, "holds a dict, expected the 275"),
        (
            lambda entries: [{**entries[0], "mturk": {"given": 2}}, *entries[1:]],
            "entry 0 of .* is no verdict of at least",
        ),
        (lambda entries: [{**entries[0], "id": True}, *entries[1:]], "entry 0 of .* is no verdict"),
        (lambda entries: [*entries[1:], entries[1]], "several verdicts on one sample"),
        (
            lambda entries: [{**entries[0], "id": 10_000}, *entries[1:]],
            "verdict on sample 10000, the test set has 10000",
        ),
        (
            lambda entries: [{**e, "id": entries[i - 1]["id"]} for i, e in enumerate(entries)],
            r"the verdict on sample \d+ is of label \d and guess \d, the sample has label .* another test set, or it is in",
        ),
    ],
)
def test_verdicts_that_are_not_as_published_are_refused(
    change: Any,  # noqa: ANN401 - a function
    message: str,
    verdicts: Path,
    without_images: Labels,
    tmp_path: Path,
) -> None:
    """Truncated, of another form, twice, beyond the end, or of other samples."""
    file = tmp_path / "cifar10_mturk.json"
    file.write_text(json.dumps(change(json.loads(verdicts.read_text(encoding="utf-8")))), encoding="utf-8")
    assert len(without_images) == 10_000
    with pytest.raises(BadData, match=message):
        load_source("testset", truth="label_errors", file=str(file))


def test_judgements_that_are_not_as_published_are_refused(data: Path, tmp_path: Path) -> None:
    """Two rows exchanged, a row less, other numbers, cut, or probabilities instead of counts."""
    counts = np.load(data / "cifar10h" / "cifar10h_counts.npz")["counts"].astype(np.int64)
    np.save(tmp_path / "good.npy", counts)
    assert np.array_equal(read_judgement_counts(tmp_path / "good.npy"), counts)
    swapped = counts[[1, 0, *range(2, len(counts))]]
    for odd in (swapped, counts[:-1], counts + 1, counts / counts.sum(1, keepdims=True)):
        np.save(tmp_path / "odd.npy", odd)
        with pytest.raises(
            BadData, match=r"odd.npy does not hold the published counts of CIFAR-10H .*download cifar10h-co"
        ):
            read_judgement_counts(tmp_path / "odd.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:5000])
    with pytest.raises(BadData, match="cut.npy cannot be read as a NumPy array"):
        read_judgement_counts(tmp_path / "cut.npy")


def test_truths_that_do_not_fit_are_refused(data: Path) -> None:
    """Before anything is read: another base, a file of no truth, a truth that is none."""
    for options, message in [
        ({"truth": "cifar10h", "base": "mnist"}, "truth=cifar10h is of the test set of cifar10, got base=mnist"),
        ({"file": "x.json"}, "file=x.json is of no truth; say truth=label_errors"),
        ({"base": "digits"}, "must be one of cifar10, cifar100, mnist, got 'digits'"),
    ]:
        with pytest.raises(BadUsage, match=message):
            parse_options(PublishedTestSet, options, what="source 'testset'")
    with pytest.raises(BadUsage, match=r"truth=real or truth=label_errors, or leave it out"):
        load_source("imagenet_val", data, truth="published", file="x.json")


# --- ImageNet ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A folder with the 1,000 folders of classes in ``val/``, 120 images in them, and their classes by number."""
    root = tmp_path_factory.mktemp("imagenet")
    return root, imagenet_val(root / "val", n=120)


def test_images_of_imagenet_are_joined_by_their_number(imagenet: tuple[Path, list[int]], tmp_path: Path) -> None:
    """One right class that is the label, another one, several with and without the label, and none."""
    root, labels = imagenet
    lists = [[labels[0]], [5], [labels[2], 5], [5, 6], [], [7]]
    file = real_json(tmp_path / "real.json", lists)
    source = load_source("imagenet_val", root, side="8", file=str(file))
    assert source.labels.tolist() == labels
    assert source.class_names == SYNSETS
    assert source.clean.tolist() == [labels[0], 5, labels[2], WRONG, UNKNOWN, 7] + [UNKNOWN] * 114
    assert source.order == "by number, 120 of 50,000 images; 5 judged by people, 3 of them wrong"
    assert source.inputs.shape == (120, 8, 8, 3)
    flat = load_source("imagenet_val", root / "val", side="8", file=str(file), limit=2)
    assert flat.clean.tolist() == source.clean[:2].tolist()
    assert np.array_equal(flat.inputs[:2], source.inputs[:2])


def test_a_folder_that_is_no_imagenet_is_refused(imagenet: tuple[Path, list[int]], tmp_path: Path) -> None:
    """Classes or all images missing, an image twice or of another name, and lists of other images."""
    root, labels = imagenet
    other = real_json(tmp_path / "other.json", [[(label + 1) % 1000] for label in labels])
    with pytest.raises(Mismatch, match=r"has the label of 0.0% of 120 images only, where nine in ten are right"):
        load_source("imagenet_val", root, file=str(other))
    for content, message in [
        ("[[1]]", "holds 1 entries, expected a list of classes for each of 50,000 images; download real.json again"),
        (json.dumps([[1000]] + [[]] * 49_999), r"has \[1000\] for image 1, expected classes of 0..999"),
        (json.dumps([[]] * 49_999 + [[3, 3]]), r"has \[3, 3\] for image 50000"),
        ("[[1], [", "is not JSON"),
    ]:
        other.write_text(content, encoding="utf-8")
        with pytest.raises(BadData, match=message):
            read_reassessment(other)
    folder = root / "val" / SYNSETS[3]
    for name, message in [
        ("ILSVRC2012_val_00000001.JPEG", f"val_00000001.JPEG is both in {SYNSETS[37]} and as {SYNSETS[3]}/ILS"),
        ("ILSVRC2012_val_00050001.JPEG", "_00050001.JPEG is no ILSVRC2012_val_00000001.JPEG to 00050000; move it away"),
        ("notes.txt", "notes.txt is no ILSVRC2012_val_"),
    ]:
        (folder / name).touch()
        with pytest.raises(BadData, match=message):
            load_source("imagenet_val", root, truth="published")
        (folder / name).unlink()
    (tmp_path / "n01440764").mkdir()
    with pytest.raises(BadData, match="holds 1 folders named like n01440764, expected all 1000 classes"):
        load_source("imagenet_val", tmp_path, truth="published")


def test_verdicts_on_imagenet_are_joined_by_number(
    imagenet: tuple[Path, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict's id is the number in the name of the image, not its place in the folders."""
    root, labels = imagenet
    votes = {"given": 1, "guessed": 4, "neither": 0, "both": 0}
    entry = {"id": 2, "given_original_label": labels[1], "our_guessed_label": 9, "mturk": votes}
    file = tmp_path / "imagenet_mturk.json"
    file.write_text(json.dumps([entry, {**entry, "id": 40_000}]), encoding="utf-8")
    monkeypatch.setitem(_verdicts._PUBLISHED, "imagenet", (2, 0, ""))
    source = load_source("imagenet_val", root, truth="label_errors", file=str(file))
    assert source.clean.tolist() == [UNKNOWN, 9] + [UNKNOWN] * 118


# --- Food-101N ---------------------------------------------------------------------------------------------------------


def test_food_is_known_to_be_right_or_wrong(tmp_path: Path) -> None:
    """Right: the clean label; wrong: no right class; not verified: nothing. Noise on top leaves both alone."""
    images = food101n(tmp_path / "Food-101N_release")
    tested = food101(tmp_path / "food-101")
    source = load_source("food101n", tmp_path, side="8", test=str(tmp_path / "food-101"))
    verdicts = {1: None, 0: WRONG, None: UNKNOWN}
    assert source.labels.tolist() == [label for label, _ in images.values()]
    assert source.clean.tolist() == [label if v == 1 else verdicts[v] for label, v in images.values()]
    assert source.order == "of imagelist.tsv; 36 verified, 1 verified ones are not in it"
    assert source.class_names == DISHES
    assert source.test_labels is not None
    assert source.test_labels.tolist() == tested
    assert source.inputs[0:3].shape == (3, 8, 8, 3)
    variant = build_variant(source, Symmetric(0.5), seed=1)
    kept = source.clean < 0
    assert np.array_equal(variant.labels[kept], source.labels[kept])
    assert np.array_equal(variant.clean, source.clean)
    assert (variant.mislabeled & (source.clean == WRONG)).sum() == 12
    only = load_source("food101n", tmp_path / "Food-101N_release", side="8", verified="val")
    assert (only.clean != UNKNOWN).sum() == 6
    assert only.sha256 == source.sha256


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "classes.txt",
            lambda lines: lines[1:],
            "must begin with a line 'class_name…' and go on, got 'apple_pie' in 101",
        ),
        ("classes.txt", lambda lines: lines[:-1], "names 100 classes, expected 101; unpack it again"),
        ("imagelist.tsv", lambda lines: lines[1:], "must begin with a line 'class_name"),
        ("imagelist.tsv", lambda lines: [*lines, lines[1]], "more than once"),
        (
            "imagelist.tsv",
            lambda lines: [*lines, "pizza/1.jpg"],
            "'pizza/1.jpg', which is in the folder of no class of",
        ),
        ("imagelist.tsv", lambda lines: [*lines, "../../x.jpg"], "outside of the folder"),
        ("imagelist.tsv", lambda lines: lines[:20], r"\d+ of 37 verified images are not in imagelist.tsv"),
        (
            "imagelist.tsv",
            lambda lines: [lines[0], *lines[::-1]],
            "'class_name/key', which is in the folder of no class",
        ),
        ("verified_train.tsv", lambda lines: [*lines, f"{lines[2][:-1]}2"], "says '2' of '.*', expected 0 or 1"),
        (
            "verified_train.tsv",
            lambda lines: [*lines[:-1], lines[-1].partition("\t")[0]],
            "has 1 words, expected <class>/",
        ),
        (
            "verified_train.tsv",
            lambda lines: [*lines, lines[2][:-1] + str(1 - int(lines[2][-1]))],
            "verified_train.tsv contradicts another verification of ",
        ),
    ],
)
def test_files_of_food_that_are_not_as_published_are_refused(
    file: str,
    change: Any,  # noqa: ANN401 - a function
    message: str,
    tmp_path: Path,
) -> None:
    """Without header, cut, twice, of another class, of another release, with other verdicts."""
    food101n(tmp_path, painted=False)
    lines = (tmp_path / "meta" / file).read_text(encoding="utf-8").splitlines()
    (tmp_path / "meta" / file).write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    with pytest.raises(BadData, match=message):
        load_source("food101n", tmp_path, side="8")
