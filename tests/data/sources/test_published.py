"""CIFAR, MNIST and Fashion-MNIST: real files, and copies in the layouts and orders in which they go around.

torchvision checks the official CIFAR files by their md5, which no made-up file has; those tests take the md5 out, so
that the check itself is torchvision's to test.
"""

import pickle
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torchvision
from numpy.typing import NDArray
from PIL import Image

from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.data.sources.cifar10 import PUBLISHED as CIFAR10
from noisybench.data.sources.cifar100 import PUBLISHED as CIFAR100
from noisybench.ground.digests import fingerprint
from noisybench.ground.errors import BadData, BadUsage

Array = NDArray[Any]
SHAPE = (32, 32, 3)


def png(colour: tuple[int, int, int], shape: tuple[int, ...] = SHAPE) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.broadcast_to(np.array(colour[: shape[2]], np.uint8), shape).squeeze()).save(stream, "PNG")
    return stream.getvalue()


def write_parquet(
    file: Path, labels: Array, colours: Array | None = None, *, image: str = "img", label: str = "label"
) -> None:
    """Images of one colour each as the hub has them: (label, colour, 0) where the colour of a sample is given."""
    if colours is None:
        colours = np.zeros_like(labels)
    encoded = {pair: png((*pair, 0)) for pair in {*zip(labels.tolist(), colours.tolist(), strict=True)}}
    rows = [{"bytes": encoded[pair], "path": None} for pair in zip(labels.tolist(), colours.tolist(), strict=True)]
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({image: rows, label: pa.array(labels.astype(np.int64))}), file)


@pytest.fixture(scope="session")
def cifar10_labels(data: Path) -> tuple[Array, Array]:
    """Training and test labels in official order."""
    train, test = (
        pq.read_table(data / "cifar10" / f"{part}.parquet")["label"].to_numpy() for part in ("train", "test")
    )
    return train, test


@pytest.fixture(scope="session")
def cifar10_test(tmp_path_factory: pytest.TempPathFactory, cifar10_labels: tuple[Array, Array]) -> Path:
    """A test split that many folders share."""
    file = tmp_path_factory.mktemp("cifar10") / "test.parquet"
    write_parquet(file, cifar10_labels[1])
    return file


def load_ordered(folder: Path, test: Path, labels: Array, colours: Array | None = None) -> Source:
    """CIFAR-10 of which the training labels lie as given."""
    write_parquet(folder / "train.parquet", labels, colours)
    (folder / "test.parquet").symlink_to(test)
    return load_source("cifar10", folder, limit=10_100)


def test_cifar10_is_read_from_real_parquet(data: Path) -> None:
    """All labels are checked though few images are decoded; pixels are those that Pillow decodes."""
    source = load_source("cifar10", data / "cifar10", limit=64)
    assert (source.inputs.shape, source.limit, source.order) == ((64, 32, 32, 3), 64, "official")
    assert source.augmentation == "crop_flip"
    assert [source.class_names[k] for k in source.labels[:3]] == ["frog", "truck", "truck"]
    assert np.array_equal(source.clean, source.labels)
    encoded = pq.read_table(data / "cifar10" / "train.parquet")["image"][63].as_py()["bytes"]
    assert np.array_equal(source.inputs[63], np.asarray(Image.open(BytesIO(encoded))))
    assert source.test_labels is not None
    assert fingerprint(source.test_labels) == CIFAR10.test


def test_tar_order_is_put_into_official_order(
    tmp_path: Path, cifar10_test: Path, cifar10_labels: tuple[Array, Array]
) -> None:
    """The tar archive has batches 4, 3, 2, 5, 1; images move with their labels, and the rearrangement is said."""
    official = cifar10_labels[0]
    batch = np.arange(50_000) // 10_000 + 1
    tar = np.concatenate([np.flatnonzero(batch == k) for k in (4, 3, 2, 5, 1)])
    assert (
        fingerprint(official[tar]) == "e826aa0bc480a9f84af67c4e846b6f870f5ec2170f41ecd5bc0f7ab0632da683"
    )  # as published
    source = load_ordered(tmp_path, cifar10_test, official[tar], batch[tar])
    assert source.order == "official (rearranged: the file has batches 4, 3, 2, 5, 1)"
    assert np.array_equal(source.labels, official[:10_100])
    assert np.array_equal(source.inputs[:, 0, 0, 0], official[:10_100])
    assert np.array_equal(source.inputs[:, 0, 0, 1], batch[:10_100])


def test_other_orders_are_kept_and_said(
    tmp_path: Path, data: Path, cifar10_test: Path, cifar10_labels: tuple[Array, Array]
) -> None:
    """That of TensorFlow Datasets by its name, any other by its fingerprint."""
    official = cifar10_labels[0]
    tfds = official[np.load(data / "cifar_n" / "image_order_tfds_to_torch.npz")["cifar10"]]
    source = load_ordered(tmp_path / "tfds", cifar10_test, tfds)
    assert source.order == "TFDS"
    assert np.array_equal(source.labels, tfds[:10_100])
    backwards = official[::-1].copy()
    source = load_ordered(tmp_path / "backwards", cifar10_test, backwards)
    assert source.order == f"unknown (fingerprint {fingerprint(backwards)[:12]})"
    assert np.array_equal(source.labels, backwards[:10_100])


def test_cifar100_has_its_fine_labels(tmp_path: Path, data: Path) -> None:
    """From the hub's shards and columns; unknown test labels are said."""
    labels = np.load(data / "cifar100" / "labels.npz")
    fine = labels["train_fine"].astype(np.int64)
    for part, rows in enumerate(np.split(np.arange(50_000), [10_000])):
        file = tmp_path / "cifar100" / f"train-0000{part}-of-00002.parquet"
        write_parquet(file, fine[rows], labels["train_coarse"][rows], label="fine_label")
        table = pq.read_table(file)
        pq.write_table(
            table.append_column("label", table["fine_label"]).append_column("coarse_label", [[0] * len(rows)]), file
        )
    write_parquet(tmp_path / "cifar100" / "test-00000-of-00001.parquet", labels["test_fine"][::-1], label="fine_label")
    source = load_source("cifar100", tmp_path, limit=10_100)
    assert source.order.startswith("official; test labels unknown (fingerprint ")
    assert np.array_equal(source.labels, fine[:10_100])
    assert np.array_equal(source.inputs[:, 0, 0, 1], labels["train_coarse"][:10_100])


def test_class_names_of_cifar100_stand_at_their_numbers(data: Path) -> None:
    """They are sorted, as the numbers are, and the superclass "trees" holds the five trees."""
    assert list(CIFAR100.class_names) == sorted(CIFAR100.class_names)
    assert len(set(CIFAR100.class_names)) == 100
    coarse = np.load(data / "cifar100" / "labels.npz")["fine_to_coarse"]
    trees = [CIFAR100.class_names[k] for k in np.flatnonzero(coarse == 17)]
    assert trees == ["maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"]
    people = [CIFAR100.class_names[k] for k in np.flatnonzero(coarse == 14)]
    assert people == ["baby", "boy", "girl", "man", "woman"]


def test_cifar_batches_of_torchvision_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cifar10_labels: tuple[Array, Array]
) -> None:
    """From the folder above them, from the folder itself, and without a download where the cache has them."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.arange(10_000 * 3072, dtype=np.uint8).reshape(10_000, 3072)
    files = [f"data_batch_{k}" for k in range(1, 6)]
    for name, labels in zip((*files, "test_batch"), (*np.split(cifar10_labels[0], 5), cifar10_labels[1]), strict=True):
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels.tolist()}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10.class_names)}))
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "train_list", [[name, None] for name in files])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(
        torchvision.datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None}
    )
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path))
    sources = [load_source("cifar10", place, limit=5) for place in (tmp_path, folder, None)]
    assert sources[0].order == "official"
    assert np.array_equal(sources[0].inputs, pixels[:5].reshape(5, 3, 32, 32).transpose(0, 2, 3, 1))
    assert len({source.sha256 for source in sources}) == 1


def write_idx(folder: Path, images: tuple[Array, Array], labels: tuple[Array, Array]) -> None:
    """The four unpacked files of MNIST: a header of big-endian sizes, then bytes."""
    folder.mkdir(parents=True)
    for part, x, y in zip(("train", "t10k"), images, labels, strict=True):
        sizes = b"".join(size.to_bytes(4, "big") for size in x.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes + x.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + len(y).to_bytes(4, "big") + y.tobytes())


def test_mnist_is_the_same_from_keras_and_from_torchvision(tmp_path: Path, data: Path) -> None:
    """Folder or file, and the official files written from the same arrays."""
    arrays = np.load(data / "mnist" / "mnist.npz")
    write_idx(tmp_path / "MNIST" / "raw", (arrays["x_train"], arrays["x_test"]), (arrays["y_train"], arrays["y_test"]))
    places = (data / "mnist", data / "mnist" / "mnist.npz", tmp_path)
    sources = [load_source("mnist", place, limit=100) for place in places]
    assert len({source.sha256 for source in sources}) == 1
    for source in sources:
        assert (source.order, source.augmentation) == ("official", "none")
        assert np.array_equal(source.inputs[..., 0], arrays["x_train"][:100])
        assert np.array_equal(source.labels, arrays["y_train"][:100])
        assert source.test_inputs is not None
        assert np.array_equal(source.test_inputs[..., 0], arrays["x_test"])


def test_fashion_mnist_is_read_from_the_official_files(tmp_path: Path, data: Path) -> None:
    """Real labels and the real first images; those that the test data lack are black."""
    arrays = np.load(data / "fashion_mnist" / "fashion_mnist_prefix.npz")
    prefix = arrays["x_train_prefix"]
    train = np.zeros((60_000, 28, 28), dtype=np.uint8)
    train[: len(prefix)] = prefix
    write_idx(tmp_path / "FashionMNIST" / "raw", (train, train[:10_000]), (arrays["y_train"], arrays["y_test"]))
    source = load_source("fashion_mnist", tmp_path, limit=2_557)
    assert (source.order, source.augmentation) == ("official", "crop_flip")
    assert np.array_equal(source.inputs[..., 0], prefix)
    assert source.class_names[source.labels[0]] == "Ankle boot"


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence: why, and which folder to give instead."""

    def refuse(*_args: object, **_options: object) -> None:
        reason = "no route to host"
        raise URLError(reason)

    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", refuse)
    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", refuse)
    with pytest.raises(BadData) as caught:
        load_source("cifar10")
    assert str(caught.value) == (
        f"cifar10 could not be downloaded to {tmp_path} (<urlopen error no route to host>); say --data DIR, a folder "
        "that holds cifar-10-batches-py/ of torchvision, or train.parquet and test.parquet with columns image or img, "
        "and label"
    )
    with pytest.raises(BadData, match=r"^mnist could not be downloaded .*and label, or the mnist.npz of Keras$"):
        load_source("mnist")


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    """The message says what the folder must hold; a folder of torchvision with a file missing is another matter."""
    with pytest.raises(BadData, match=r"absent is no folder; expected cifar-100-python/ of torchvision, or train.par"):
        load_source("cifar100", tmp_path / "absent")
    with pytest.raises(BadData, match="holds no fashion_mnist; expected FashionMNIST/raw/ of torchvision, or train"):
        load_source("fashion_mnist", tmp_path)
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(BadData, match=r"cifar-10-batches-py cannot be read \(Dataset not found or corrupted.*unpack"):
        load_source("cifar10", tmp_path)


def test_broken_parquet_is_refused(tmp_path: Path, cifar10_test: Path) -> None:
    """Cut off, of other columns, of another length, of other images, or with a limit that cannot be meant."""
    train, test = tmp_path / "train.parquet", tmp_path / "test.parquet"
    test.symlink_to(cifar10_test)
    train.write_bytes(cifar10_test.read_bytes()[:-100])
    with pytest.raises(BadData, match=r"train.parquet cannot be read as Parquet"):
        load_source("cifar10", tmp_path)
    pq.write_table(pa.table({"picture": [1], "label": [1]}), train)
    with pytest.raises(BadData, match=r"train.parquet has columns picture, label; expected image or img, and label"):
        load_source("cifar10", tmp_path)
    write_parquet(train, np.zeros(30, dtype=np.int64))
    with pytest.raises(BadData, match="cifar10 has 50,000 training samples, found 30; read a part with --limit"):
        load_source("cifar10", tmp_path)
    labels = np.zeros(50_000, dtype=np.int64)
    rows = [{"bytes": png((0, 0, 0), (28, 28, 1)), "path": None}] * len(labels)
    pq.write_table(pa.table({"image": rows, "label": labels}), train)
    with pytest.raises(BadData, match=r"must be uint8 of shape \(n, 32, 32, 3\), got uint8 of shape \(3, 28, 28, 1\)"):
        load_source("cifar10", tmp_path, limit=3)
    write_parquet(train, labels)
    with pytest.raises(BadUsage, match="limit must be at least 1, got 0"):
        load_source("cifar10", tmp_path, limit=0)


def test_sources_are_found_without_importing_torch() -> None:
    """``noisybench list`` and ``--help`` must start at once."""
    code = (
        "import sys; from noisybench.ground.lookup import find, names; [find('sources', name) for name in names('sources')]; "
        "assert not {'torch', 'torchvision', 'datasets', 'sklearn', 'PIL', 'pooch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
