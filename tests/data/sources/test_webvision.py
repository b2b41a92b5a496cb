"""WebVision from a small tree in its layout, against what was written to it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_layouts import webvision

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.loading import load_source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage


def test_lists_are_read_by_engine(tmp_path: Path) -> None:
    """All images, or those of one engine, in the order of their list; validation images in their own folder."""
    lists = webvision(tmp_path)
    for engine in ("all", "google", "flickr"):
        source = load_source("webvision", tmp_path, engine=engine, side="8")
        names, labels = zip(*lists[engine], strict=True)
        assert isinstance(source.inputs, ImageFiles)
        assert source.inputs.names.to_pylist() == list(names)
        assert source.labels.tolist() == list(labels)
        assert source.order == f"of train_filelist_{engine}.txt"
    assert (source.clean == UNKNOWN).all()
    assert source.num_classes == 1000
    assert source.class_names[1:3] == ("n01440765 crane", "n01440766 crane")
    assert source.test_inputs is not None
    images = source.test_inputs[:]
    assert images.shape == (40, 8, 8, 3)
    (tmp_path / "val_images_256").rename(tmp_path / "val_images")
    again = load_source("webvision", tmp_path, engine="flickr", side="8")
    assert again.test_inputs is not None
    assert np.array_equal(again.test_inputs[:], images)


def test_mini_is_google_below_fifty(tmp_path: Path) -> None:
    """In training and validation; images of Flickr need not even be there."""
    lists = webvision(tmp_path)
    shutil.rmtree(tmp_path / "flickr")
    source = load_source("webvision", tmp_path, mini="true", side="8")
    kept = [(name, label) for name, label in lists["google"] if label < 50]
    assert isinstance(source.inputs, ImageFiles)
    assert list(zip(source.inputs.names.to_pylist(), source.labels.tolist(), strict=True)) == kept
    assert source.num_classes == 50
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [label for _, label in lists["val"] if label < 50]
    assert source.order == "of train_filelist_google.txt, classes below 50"
    with pytest.raises(
        BadUsage, match="mini-WebVision has the images that Google found; leave engine=flickr or mini=tr"
    ):
        load_source("webvision", tmp_path, mini="true", engine="flickr")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2].rpartition(b" ")[0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root / "info"), r"info is missing; expected get info.tar|info is missing"),
        (lambda root: (root / "info/val_filelist.txt").unlink(), "val_filelist.txt cannot be read: No such file"),
        (
            lambda root: cut(root / "info/train_filelist_all.txt"),
            r"line \d+ of .*all.txt has 1 words, expected <image fi",
        ),
        (
            lambda root: shutil.copy(root / "info/synsets.txt", root / "info/train_filelist_all.txt"),
            r"line 1 of .*all.txt has 4 words, expected <image file> <class number>; copy it again",
        ),
        (
            lambda root: cut(root / "info/synsets.txt"),
            r"synsets.txt names \d+ classes, expected 1000; unpack info.tar a",
        ),
        (
            lambda root: (root / "info/synsets.txt").unlink(),
            r"synsets.txt cannot be read \(No such file or directory\); ",
        ),
        (
            lambda root: shutil.rmtree(root / "google"),
            r"lacks google/.+jpg \(\d+ of \d+ images that were looked for\); u",
        ),
        (
            lambda root: shutil.rmtree(root / "val_images_256"),
            r"no image is in .*val_images_256 nor .*; unpack val_imag",
        ),
    ],
)
def test_a_damaged_tree_is_refused(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """One sentence: the file, what it has, what it should have."""
    webvision(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadData, match=message) as caught:
        load_source("webvision", tmp_path, side="8")
    assert "\n" not in str(caught.value)


def test_lists_without_the_first_classes_have_no_miniature(tmp_path: Path) -> None:
    """Rather than a source without samples."""
    webvision(tmp_path)
    (tmp_path / "info" / "train_filelist_google.txt").write_text("google/q1/x.jpg 50\n", encoding="utf-8")
    with pytest.raises(BadData, match="train_filelist_google.txt lists no image of a class below 50; copy it again"):
        load_source("webvision", tmp_path, mini="true")
