"""Animal-10N from small files in its two layouts, against what was written to them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_layouts import animal10n, animals, draw, record

from noisybench.data.loading import load_source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData


@pytest.mark.parametrize("batches", [1, 3])
def test_binary_records_are_put_in_the_order_of_their_ids(batches: int, tmp_path: Path) -> None:
    """Whatever file they are in; planes become pixels; only test labels are clean."""
    what = animal10n(tmp_path, batches=batches)
    source = load_source("animal10n", tmp_path)
    assert np.array_equal(source.inputs[:], what.images)
    assert np.array_equal(source.labels, what.labels)
    assert (source.clean == UNKNOWN).all()
    assert source.test_inputs is not None
    assert np.array_equal(source.test_inputs[:], what.test_images)
    assert source.test_labels is not None
    assert np.array_equal(source.test_labels, what.test_labels)
    assert source.order.startswith("by id; 66 training images, where the official set has 50,000; 20 test images,")
    assert source.class_names[8:] == ("Hamster", "Guinea pig")


def test_folders_are_read_by_file_name(tmp_path: Path) -> None:
    """The label is before the underscore; hidden files are passed over; one folder further down is found too."""
    numbers = {part: [(k, 997 * i % 60) for i, k in enumerate([9, 0, 3, 3, 5])] for part in ("training", "testing")}
    for part, named in numbers.items():
        for k, number in named:
            draw(tmp_path / "raw_image" / part / f"{k}_{number}.jpg", k, number, side=64)
        (tmp_path / "raw_image" / part / ".DS_Store").touch()
    source = load_source("animal10n", tmp_path)
    expected = sorted(f"{k}_{number}.jpg" for k, number in numbers["training"])
    assert source.labels.tolist() == [int(name[0]) for name in expected] == [0, 3, 3, 5, 9]
    assert source.inputs[:].shape == (5, 64, 64, 3)
    assert source.order.startswith("by file name; 5 training images")
    draw(tmp_path / "raw_image" / "training" / "cat_1.jpg", 0, 0)
    with pytest.raises(
        BadData, match=r"training/cat_1.jpg is no image <label>_<id>.jpg with a label 0..9; take it away"
    ):
        load_source("animal10n", tmp_path)
    shutil.rmtree(tmp_path / "raw_image" / "training")
    (tmp_path / "raw_image" / "training").mkdir()
    with pytest.raises(BadData, match="training has no image <label>_<id>.jpg; fill in the form at dm.kaist.ac.kr"):
        load_source("animal10n", tmp_path)


def little_endian(root: Path) -> None:
    content = (root / "data_batch_2.bin").read_bytes()
    (root / "data_batch_2.bin").write_bytes(content[:4] + (1).to_bytes(4, "little") + content[8:])


BATCH, TEST = "data_batch_2.bin", "test_batch.bin"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda root: (root / TEST).unlink(),
            r"test_batch.bin cannot be read: No such file or directory; fill in the f",
        ),
        (
            lambda root: (root / BATCH).write_bytes((root / BATCH).read_bytes()[:-5]),
            "expected a multiple of 12,296: it is",
        ),
        (lambda root: (root / BATCH).write_bytes(b""), "data_batch_2.bin has 0 bytes, expected a multiple of 12,296"),
        (
            lambda root: (root / BATCH).unlink(),
            r"has a record of id \d+ where 44 records have ids 0..43; a file of anoth",
        ),
        (
            lambda root: shutil.copy(root / TEST, root / BATCH),
            r"a file of another set is among data_batch_1.bin, data_b",
        ),
        (
            lambda root: shutil.copy(root / "data_batch_1.bin", root / BATCH),
            r"id \d+ is in .*2.bin and data_batch_1.bin",
        ),
        (
            lambda root: (root / BATCH).write_bytes((root / BATCH).read_bytes()[:12296] * 22),
            r"id \d+ is in .*data_batch_2.bin twice \(1 such ids\)",
        ),
        (
            little_endian,
            r"record 0 of .*2.bin has label 16777216, expected 0..9 \(1 such records\): it is damaged, or no",
        ),
        (
            lambda root: (root / "training").mkdir(),
            "holds both data_batch_\\*.bin and training/, of which one is enough",
        ),
        (
            lambda root: [path.unlink() for path in root.glob("data*")],
            "holds no Animal-10N; fill in the form at dm.kaist",
        ),
    ],
)
def test_damaged_files_are_refused(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """Cut, missing, doubled or mixed-up files, and numbers in the other order of bytes."""
    animal10n(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadData, match=message) as caught:
        load_source("animal10n", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_record_is_as_its_authors_read_it(tmp_path: Path) -> None:
    """Bytes 0-3 and 4-7 summed up with the highest first, as their reader does; then 64 rows of red, of green, of blue."""
    what = animals(n=1, test=1)
    content = record(0, 7, what.images[0])
    assert len(content) == 12_296
    assert sum(byte * 256 ** (3 - i) for i, byte in enumerate(content[4:8])) == 7
    assert content[8 : 8 + 64] == bytes(what.images[0, 0, :, 0])
    assert content[8 + 64 * 64 * 2 :][:64] == bytes(what.images[0, 0, :, 2])
