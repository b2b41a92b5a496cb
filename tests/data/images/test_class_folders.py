"""Which folders are training and test samples, by the names that people give them, and when they are no classes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from noisybench.data.images.class_folders import find_parts
from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData, UnknownName


def tree(root: Path, *files: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


SPELLINGS = [
    (["train", "test"], "train", "test"),
    (["Train", "Test"], "Train", "Test"),
    (["Training", "Testing"], "Training", "Testing"),
    (["TRAIN", "VAL"], "TRAIN", "VAL"),
    (["training_set", "test_set"], "training_set", "test_set"),
    (["trainset", "testset"], "trainset", "testset"),
    (["train", "valid"], "train", "valid"),
    (["train", "Validation"], "train", "Validation"),
    (["train", "val", "valid"], "train", "val"),
    (["train", "val", "Test"], "train", "Test"),
    (["seg_train", "seg_test"], "seg_train", "seg_test"),
    (["train"], "train", None),
    (["train", "unlabelled"], "train", None),
]


@pytest.mark.parametrize(("folders", "train", "test"), SPELLINGS)
def test_parts_are_found_in_any_usual_spelling(
    tmp_path: Path, folders: Sequence[str], train: str, test: str | None
) -> None:
    """A test part goes before a validation part; each choice that is not plain, and what is not read, is told."""
    tree(tmp_path, *(f"{name}/{kind}/1.png" for name in folders for kind in ("cat", "dog")))
    parts = find_parts(tmp_path, None, None)
    assert (parts.train, parts.test) == (tmp_path / train, None if test is None else tmp_path / test)
    told = "; ".join(parts.notes)
    assert (f"folder '{train}' is the training set" in told) == (train != "train")
    assert (f"folder '{test}' is the test set" in told) == (test not in ("test", None))
    unread = [name for name in folders if name not in (train, test)]
    assert ("not read" in told) == bool(unread)
    assert all(f"'{name}'" in told for name in unread)
    assert find_parts(tmp_path, None, "none").test is None
    assert find_parts(tmp_path, folders[-1], None).train == tmp_path / folders[-1]


CLASSES = [
    ["cat/1.png", "dog/1.png"],
    ["train/1.png", "bus/1.png"],  # a class may be called train
    ["cat/deep/1.png", "cat/2.png", "dog/deep/1.png"],
    ["cat/1.png", "__MACOSX/cat/._1.png", ".git/objects/1.png"],
]


@pytest.mark.parametrize("files", CLASSES)
def test_plain_class_folders_are_no_parts(tmp_path: Path, files: Sequence[str]) -> None:
    """Whatever they are called; then there is no test set, and nothing to tell."""
    assert find_parts(tree(tmp_path, *files), None, None) == (tmp_path, None, ())


REFUSED = [
    (
        ["a/cat/1.png", "b/cat/1.png"],
        r"holds 'a', 'b', in which there are only folders again \('cat'\); give the folder",
    ),
    (["images/cat/1.png", "images/dog/1.png"], r"only folders again .*'cat', 'dog'.*; give .*such as \S+images"),
    (["train/1.png", "test/1.png"], "holds 'test', 'train', in which no folder says what the class of an image is"),
    (["train/1.png"], "in which no folder says what the class of an image is"),
    (["test/cat/1.png", "val/cat/1.png"], "holds 'test', 'val', and no training folder of class folders"),
    (["cat/1.png", "dog/1.png", "test/cat/1.png"], "and the folder 'test' of the same classes; move 'cat', 'dog' into"),
    (["Train/cat/1.png", "training/cat/1.png"], "several folders of training samples, 'Train', 'training'; say"),
]


@pytest.mark.parametrize(("files", "message"), REFUSED)
def test_folders_that_are_no_classes_are_refused(tmp_path: Path, files: Sequence[str], message: str) -> None:
    """In one sentence that says what was found; the user may say that they are the classes."""
    tree(tmp_path, *files)
    with pytest.raises(BadData, match=rf"{message}.* --source-set train=\. if these are the classes$"):
        find_parts(tmp_path, None, None)
    assert find_parts(tmp_path, ".", None) == (tmp_path, None, ())


def test_a_test_part_without_class_folders_is_left_out(tmp_path: Path) -> None:
    """Its images have no labels, as in contests; a validation part with labels takes its place."""
    tree(tmp_path, "train/cat/1.png", "test/9.png")
    assert find_parts(tmp_path, None, None).test is None
    tree(tmp_path, "val/cat/1.png")
    parts = find_parts(tmp_path, None, None)
    assert parts.test == tmp_path / "val"
    assert parts.notes[0] == "'test' holds no class folders, so its images have no labels, and is left out"


def test_names_that_are_said_must_be_there(tmp_path: Path) -> None:
    """And make sense together."""
    tree(tmp_path, "Photos/cat/1.png", "Holdout/cat/1.png", "cat/1.png")
    assert find_parts(tmp_path, "Photos", "Holdout")[:2] == (tmp_path / "Photos", tmp_path / "Holdout")
    with pytest.raises(UnknownName, match="test: no folder in .* is called 'holdout'; did you mean 'Holdout'"):
        find_parts(tmp_path, "Photos", "holdout")
    with pytest.raises(BadData, match="test=Holdout lies among the class folders; move these into a folder 'train'"):
        find_parts(tmp_path, ".", "Holdout")
    tree(tmp_path / "two", "train/cat/1.png", "Test1/cat/1.png", "test2/cat/1.png")
    with pytest.raises(BadData, match="several folders of test samples: 'Test1', 'test2'; say --source-set test=NAME"):
        find_parts(tmp_path / "two", None, None)


def test_a_test_class_that_training_lacks_names_the_way_out(tmp_path: Path) -> None:
    """As where unlabelled test images lie in one folder of their own."""
    tree(tmp_path, "train/cat/1.png", "test/unknown/1.png")
    with pytest.raises(BadData, match="test/unknown is of no class .*say --source-set test=none"):
        load_source("folder", tmp_path)
