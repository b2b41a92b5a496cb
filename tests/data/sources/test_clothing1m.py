"""Clothing1M from small trees in its layout, against what was written to them."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_layouts import NAMES_OF_CLOTHES, Clothes, clothes, clothing1m
from shell import shell

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.loading import load_source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage
from noisybench.variants.variant import read_variant


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Clothes]:
    root = tmp_path_factory.mktemp("clothing1m")
    return root, clothing1m(root)


def test_the_million_has_labels_of_the_web_alone(tree: tuple[Path, Clothes]) -> None:
    """In the order of the noisy list, with commas inside of names; the clean label is unknown, the test set clean."""
    root, what = tree
    source = load_source("clothing1m", root, side="8")
    assert source.labels.tolist() == list(what.noisy.values())
    assert (source.clean == UNKNOWN).all()
    assert source.test_labels is not None
    assert source.test_labels.tolist() == list(what.test.values())
    assert source.class_names == tuple(NAMES_OF_CLOTHES.split())
    assert isinstance(source.inputs, ImageFiles)
    assert [f"images/{name}" for name in source.inputs.names.to_pylist()] == list(what.noisy)
    assert source.inputs[:3].shape == (3, 8, 8, 3)
    validated = load_source("clothing1m", root, side="8", test="val")
    assert validated.test_labels is not None
    assert validated.test_labels.tolist() == list(what.val.values())


def test_the_clean_label_is_known_of_what_has_both(tree: tuple[Path, Clothes]) -> None:
    """``verified`` has them, ``both`` appends them to the noisy list; ``clean`` is the clean list with its labels."""
    root, what = tree
    given, right = np.array(list(what.verified.values())).T
    verified, both, clean = (
        load_source("clothing1m", root, part=part, side="8") for part in ("verified", "both", "clean")
    )
    assert np.array_equal(verified.labels, given)
    assert np.array_equal(verified.clean, right)
    n = len(what.noisy)
    assert np.array_equal(both.labels, [*what.noisy.values(), *given])
    assert np.array_equal(both.clean, [*[UNKNOWN] * n, *right])
    assert np.array_equal(both.inputs[n:], verified.inputs[:])
    assert np.array_equal(clean.labels, [*what.clean_only.values(), *right])
    assert np.array_equal(clean.labels, clean.clean)


@pytest.mark.parametrize("layout", [{"images": False}, {"annotations": True}])
def test_every_layout_is_the_same_source(layout: dict[str, bool], tree: tuple[Path, Clothes], tmp_path: Path) -> None:
    """Text files beside the images or in ``annotations/``, images in ``images/`` or not: one digest."""
    clothing1m(tmp_path, tree[1], **layout)
    assert load_source("clothing1m", tmp_path, side="8").sha256 == load_source("clothing1m", tree[0], side="8").sha256


def test_a_balanced_subset_is_drawn_and_told(tree: tuple[Path, Clothes]) -> None:
    """As many of each label, in order, by seed alone; the order tells the digest of the names, counted by hand."""
    root, what = tree
    source, again, other = (
        load_source("clothing1m", root, subset="balanced", per_class="9", side="8", seed=seed)
        for seed in ("3", "3", "4")
    )
    assert np.bincount(source.labels).tolist() == [9] * 14
    assert isinstance(source.inputs, ImageFiles)
    names = source.inputs.names.to_pylist()
    places = [list(what.noisy).index(f"images/{name}") for name in names]
    assert places == sorted(set(places))
    assert source.labels.tolist() == [what.noisy[f"images/{name}"] for name in names]
    assert hashlib.sha256("\n".join(names).encode()).hexdigest() in source.order
    assert source.sha256 == again.sha256 != other.sha256
    assert source.order != other.order
    fewest = int(np.bincount(list(what.noisy.values())).min())
    with pytest.raises(
        BadUsage, match=rf"keeps 18976 of each label, and only {fewest} images have label \d+; say --sou"
    ):
        load_source("clothing1m", root, subset="balanced")


def edit(file: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def do(root: Path) -> None:
        (root / file).write_text(change((root / file).read_text(encoding="utf-8")), encoding="utf-8")

    return do


def swapped(root: Path) -> None:
    """The test list under the name of the noisy one, whose images are also noisy."""
    shutil.copy(root / "clean_test_key_list.txt", root / "noisy_train_key_list.txt")
    with (root / "noisy_label_kv.txt").open("a", encoding="utf-8") as stream:
        known = (root / "noisy_label_kv.txt").read_text(encoding="utf-8")
        lines = (root / "clean_test_key_list.txt").read_text(encoding="utf-8").splitlines()
        stream.writelines(f"{name} 1\n" for name in lines if name not in known)


NOISY, KEYS = "noisy_label_kv.txt", "noisy_train_key_list.txt"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda root: (root / NOISY).unlink(),
            r"noisy_label_kv.txt is missing, and so is .*annotations/noisy_label_kv.txt;",
        ),
        (
            lambda root: (root / KEYS).unlink(),
            r"noisy_train_key_list.txt cannot be read: No such file or directory; exp",
        ),
        (edit(NOISY, lambda text: text[: len(text) // 2]), r"has no label in noisy_label_kv.txt|has 1 words"),
        (
            edit(NOISY, lambda text: text.replace(" ", ",")),
            r"line 1 of .*noisy_label_kv.txt has 1 words, expected <image",
        ),
        (
            edit(NOISY, lambda text: text.replace(" 13\n", " 14\n")),
            r"the class '14', expected 0..13 \(\d+ such entries\)",
        ),
        (
            edit(NOISY, lambda text: text.replace(" 13\n", " -1\n")),
            r"the class '-1', expected 0..13 \(\d+ such entries\)",
        ),
        (edit(NOISY, lambda text: text + text[:60].partition("\n")[0]), r"lists '.+' more than once \(1 such images\)"),
        (
            edit(KEYS, lambda text: text + text.partition("\n")[0]),
            r"key_list.txt lists '.+' more than once \(1 such ima",
        ),
        (edit(KEYS, lambda _: ""), r"noisy_train_key_list.txt is empty; expected lines of <image file>"),
        (
            edit(KEYS, lambda text: text + "images/0/00/gone.jpg\n"),
            r"'0/00/gone.jpg' of .* has no label in noisy_label_kv",
        ),
        (
            edit(KEYS, lambda text: text + "images/../../x.jpg\n"),
            r"lists 'images/../../x.jpg', which is outside of the f",
        ),
        (
            lambda root: (root / KEYS).write_bytes(b"images/\xff\n"),
            r"noisy_train_key_list.txt is no text in UTF-8; expe",
        ),
        (swapped, r"of clean_test_key_list.txt is in the training list too \(42 such images\); the lists are mixed up"),
        (edit("category_names_eng.txt", lambda text: text[:20]), r"names 3 classes, expected 14; copy it again"),
        (
            lambda root: shutil.rmtree(root / "images"),
            r"no image is in .*images nor .*, as .+jpg would be \(\d+ were loo",
        ),
        (
            lambda root: shutil.rmtree(root / "images" / "3"),
            r"images lacks 3/.+jpg \(\d+ of \d+ images that were looked f",
        ),
    ],
)
def test_a_damaged_tree_is_refused(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """One sentence: the file, what it has, what it should have."""
    clothing1m(tmp_path, clothes(noisy=60, verified=4))
    damage(tmp_path)
    with pytest.raises(BadData, match=message) as caught:
        load_source("clothing1m", tmp_path, side="8")
    assert "\n" not in str(caught.value)


def test_labels_that_nothing_verifies_are_refused(tmp_path: Path) -> None:
    """The part of images with both labels would be empty."""
    clothing1m(tmp_path, clothes(noisy=60, verified=0))
    with pytest.raises(BadData, match="no image of .*clean_train_key_list.txt has a noisy label; copy the label files"):
        load_source("clothing1m", tmp_path, part="verified")


def test_a_missing_image_is_named_when_it_is_met(tree: tuple[Path, Clothes], tmp_path: Path) -> None:
    """Not when the lists are read, since only some images are looked for then."""
    what = clothing1m(tmp_path, tree[1])
    source = load_source("clothing1m", tmp_path, side="8")
    gone = list(what.noisy)[7]
    (tmp_path / gone).unlink()
    with pytest.raises(BadData, match=rf"{gone} cannot be read: No such file or directory; is the data set whole"):
        source.inputs[5:9]


def test_a_miniature_goes_all_the_way(tree: tuple[Path, Clothes], tmp_path: Path) -> None:
    """Built as found, evaluated, ranked by the 60 labels whose truth is known, and searched for errors, by commands."""
    root, what = tree
    how = ("--source-set", "part=both", "--source-set", "side=8")
    built = shell("build", "clothing1m", "--data", root, *how, "--noise", "as_found", "--out", tmp_path / "variants")
    folder = Path(built.out.splitlines()[-1])
    variant = read_variant(folder)
    wrong = sum(given != right for given, right in what.verified.values())
    assert (len(variant.labels), variant.known.sum(), variant.mislabeled.sum()) == (300, 60, wrong)
    done = shell(
        "evaluate", folder, "--model", "mlp", "--epochs", 2, "--seeds", 0, "--detectors", "aum,cumulative_loss",
        "--workers", 1, "--out", tmp_path / "runs",
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = json.loads(shell("leaderboard", tmp_path / "runs", "--format", "json").out)
    assert {"aum", "cumulative_loss"} <= {row["detector"] for row in rows}
    assert {row["n"] for row in rows} == {60}
    run = next((tmp_path / "runs").glob("*/mlp-*"))
    suspects = json.loads(shell("suspects", run, "--top", 5, "--format", "json").out)
    assert len(suspects) == 5
