"""Class folders of images against the images that were written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from shell import shell

from noisybench.data.images import files as image_files
from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.loading import load_source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage

PIXELS = np.arange(6 * 2 * 3 * 3, dtype=np.uint8).reshape(6, 2, 3, 3)


def lay(root: Path, files: dict[str, NDArray[np.uint8]]) -> Path:
    for name, pixels in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)
    return root


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two classes with a training and a test part; a name with a comma, a deeper folder, and what systems leave behind."""
    names = ("train/dog/b.png", "train/cat/9.bmp", "train/cat/10, x.png", "train/dog/deep/a.tiff", "val/dog/1.png")
    root = lay(tmp_path / "pets", dict(zip(names, PIXELS, strict=False)))
    (root / "train" / "cat" / "Thumbs.db").touch()
    (root / "train" / ".DS_Store").touch()
    (root / "train" / "empty").mkdir()
    return root


def test_classes_and_files_are_sorted_by_name(pets: Path) -> None:
    """Deeper files too; a class without images is a class; the validation part is the test set where no other is."""
    source = load_source("folder", pets)
    assert source.class_names == ("cat", "dog", "empty")
    assert source.sample_names == ["cat/10, x.png", "cat/9.bmp", "dog/b.png", "dog/deep/a.tiff"]
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(source.inputs, PIXELS[[2, 1, 0, 3]])
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [1]
    assert np.array_equal(source.test_inputs, PIXELS[4:5])
    assert (source.clean == UNKNOWN).all()
    part = load_source("folder", pets, limit=3)
    assert (part.limit, part.sample_names, part.class_names) == (3, source.sample_names[:3], source.class_names)
    (pets / "test" / "cat").mkdir(parents=True)
    lay(pets, {"test/cat/1.png": PIXELS[5]})
    tested = load_source("folder", pets).test_labels
    assert tested is not None
    assert tested.tolist() == [0]


def test_one_level_of_grey_images_has_no_test_set(tmp_path: Path) -> None:
    """Grey images have one channel; a class may be called ``train``."""
    root = lay(tmp_path / "x", {"train/1.png": PIXELS[0, ..., 0], "other/2.png": PIXELS[1, ..., 0]})
    source = load_source("folder", root)
    assert source.class_names == ("other", "train")
    assert np.array_equal(source.inputs, PIXELS[[1, 0]][..., :1])
    assert source.test_inputs is None


def test_a_side_brings_all_to_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The centred square of a flat image is flat; read lazily, each image is the same, and only then a file may be gone."""
    flat = {f"{'ab'[i % 2]}/{i}.png": np.full((4 + i, 9, 3), 40 * i, dtype=np.uint8) for i in range(6)}
    root = lay(tmp_path / "x", flat)
    with pytest.raises(BadData, match=r"must have one size: image a/0.png is 4 × 9, image a/2.png is 6 × 9 .*side=…"):
        load_source("folder", root)
    kept = load_source("folder", root, side="4")
    expected = np.repeat([0, 80, 160, 40, 120, 200], 4 * 4 * 3).reshape(6, 4, 4, 3)
    assert np.array_equal(kept.inputs, expected)
    monkeypatch.setattr(image_files, "IN_MEMORY", 6 * 48 - 1)
    lazy = load_source("folder", root, side="4")
    assert isinstance(lazy.inputs, ImageFiles)
    assert np.array_equal(lazy.inputs[:], expected)
    assert lazy.sha256 != kept.sha256
    assert isinstance(load_source("folder", root, side="4", limit=5).inputs, np.ndarray)
    (root / "b" / "1.png").rename(tmp_path / "gone.png")
    with pytest.raises(BadData, match=r"b/1.png cannot be read: No such file"):
        lazy.inputs[:]
    with pytest.raises(BadUsage, match=r"the 5 images of .*x take more than 287 bytes; say --source-set side=…"):
        load_source("folder", root)


def test_clean_labels_come_from_a_table(pets: Path) -> None:
    """By the name below the training folder or below the whole; what it does not name, or leaves empty, is unknown."""
    lines = ["path,label", '"train/cat/10, x.png",dog', "dog/b.png,dog", "cat/9.bmp,"]
    (pets / "right.csv").write_text("\n".join(lines), encoding="utf-8")
    source = load_source("folder", pets, clean="right.csv")
    assert source.clean.tolist() == [1, UNKNOWN, 1, UNKNOWN]
    assert source.options == {"clean": "right.csv"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda root: lay(root, {"val/cow/1.png": PIXELS[0]}),
            "val/cow is of no class of the training folder: no class",
        ),
        (lambda root: (root / "train/cat/notes.txt").touch(), "cat/notes.txt is no image by its name; take it away"),
        (lambda root: (root / "train/cat/9.bmp").write_bytes(b"x"), r"image cat/9.bmp of .* cannot be decoded"),
        (
            lambda root: (root / "train/cat/9.bmp").write_bytes(b""),
            r"image cat/9.bmp of .* cannot be decoded .it is empty",
        ),
        (
            lambda root: Image.new("CMYK", (3, 2)).save(root / "train/cat/c.tiff"),
            "image cat/c.tiff of .* has mode CMYK",
        ),
        (lambda root: (root / "train/cat/9").symlink_to("."), "cat/9/9/.* cannot be read: Too many levels of symbolic"),
        (lambda root: (root / "right.csv").unlink(), "clean=right.csv must be the name of a file or folder in .*pets"),
        (lambda root: (root / "right.csv").write_text("path\nx"), "no column of .*right.csv is called 'label'"),
        (
            lambda root: (root / "right.csv").write_text("path,label\ncat/9.bmp,cta\n"),
            r"column 'label' of .*right.csv, row 0: no class is called 'cta'; did you mean 'cat'\? \(1 such rows\)",
        ),
        (
            lambda root: (root / "right.csv").write_text("path,label\ncat/8.bmp,cat\n"),
            "row 0 of .*right.csv is of 'cat/8.bmp', which is no image below .*train",
        ),
        (
            lambda root: (root / "right.csv").write_text("path,label\ncat/9.bmp,cat\ntrain/cat/9.bmp,dog"),
            "row 1 of .*right.csv is of 'train/cat/9.bmp' again; expected each image once",
        ),
        (
            lambda root: (root / "right.csv").write_text("path,label\n,cat\n"),
            "column 'path' of .*right.csv is empty in row 0",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_with_the_file(pets: Path, spoil: Callable[[Path], object], message: str) -> None:
    """One sentence each."""
    (pets / "right.csv").write_text("path,label\n", encoding="utf-8")
    (pets / "right.csv").write_text("path,label\ncat/9.bmp,cat\n", encoding="utf-8")
    spoil(pets)
    with pytest.raises((BadData, BadUsage), match=message) as caught:
        load_source("folder", pets, clean="right.csv")
    assert "\n" not in str(caught.value)


def test_places_that_are_no_class_folders_are_refused(tmp_path: Path) -> None:
    """None, a file, an empty folder, folders without images, and a table outside of the folder."""
    with pytest.raises(BadUsage, match="source 'folder' needs a folder: say --data FOLDER"):
        load_source("folder")
    with pytest.raises(BadData, match="absent is no folder; expected one with a folder of images for each class"):
        load_source("folder", tmp_path / "absent")
    with pytest.raises(BadData, match="holds no folders; expected one of images for each class"):
        load_source("folder", tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(BadData, match="holds no image in its class folders, such as .*cat; expected some"):
        load_source("folder", tmp_path)
    lay(tmp_path, {"cat/1.png": PIXELS[0]})
    for name in ("../right.csv", str(tmp_path / "right.csv")):
        with pytest.raises(BadData, match="clean=.*right.csv must be the name of a file or folder in"):
            load_source("folder", tmp_path, clean=name)


def test_suspects_are_found_without_any_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line: the one dark image among the light is named first, and leaderboards say there is no truth."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    light = {"dark": 0, "light": 180}
    for name, base in light.items():
        images = rng.integers(base, base + 60, (20, 4, 4, 3)).astype(np.uint8)
        lay(Path("mine"), {f"{name}/{i:02}.png": image for i, image in enumerate(images)})
    lay(Path("mine"), {"light/zz.png": rng.integers(0, 60, (4, 4, 3)).astype(np.uint8)})
    code, out, err = shell("build", "folder", "--data", "mine", "--noise", "as_found")
    assert code == 0, err
    code, _, err = shell(
        "evaluate", out.splitlines()[-1], "--epochs", 2, "--seeds", 0, "--workers", 1, "--device", "cpu"
    )
    assert code == 0, err
    lines = shell("suspects", "runs", "--format", "csv", "--top", 2).out.splitlines()
    assert lines[0] == "sample,name,given,suggested,suspicion,flagged"
    assert lines[1].startswith("40,light/zz.png,light,dark,")
    assert "light/zz.png" in shell("suspects", "runs", "--top", 1).out
    told = shell("leaderboard", "runs", "--format", "markdown").out.splitlines()[0]
    assert told.startswith(
        "There is no truth to rank by: of no sample is it known whether it is 'mislabeled'; 'noisybench"
    )
    names = next(Path("runs").glob("*/samples.parquet"))
    names.write_bytes(names.read_bytes()[:-9])
    code, _, err = shell("suspects", "runs")
    assert code == 1
    assert "samples.parquet cannot be read as Parquet: " in err


def test_classes_of_numbers_have_the_order_of_their_values(tmp_path: Path) -> None:
    """Files stay in the order of their names, as torchvision has them; the same image twice is marked."""
    root = lay(tmp_path / "x", {f"{name}/1.png": PIXELS[i % 2] for i, name in enumerate(("2", "10", "9"))})
    (root / "clean.csv").write_text("path,label\n10/1.png,2.0\n2/1.png,-1\n9/1.png,\n", encoding="utf-8")
    source = load_source("folder", root, clean="clean.csv")
    assert source.class_names == ("2", "9", "10")
    assert source.sample_names == ["10/1.png", "2/1.png", "9/1.png"]
    assert source.labels.tolist() == [2, 0, 1]
    assert source.clean.tolist() == [0, UNKNOWN, UNKNOWN]
    assert source.marks["duplicate"].tolist() == [False, True, True]
    assert (
        "1 image is there more than once, in 2 rows, such as row 1 ('2/1.png') and row 2 ('9/1.png')" in source.notes[0]
    )
