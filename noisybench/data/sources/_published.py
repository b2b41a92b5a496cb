"""Reading a published image set from any of the forms in which it goes around, and recognising its sample order."""

import pickle
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import permutations
from pathlib import Path
from sys import stderr
from typing import Any

import numpy as np

from noisybench.data.images.decoding import decode_images
from noisybench.data.source import Augmentation, Source, source_from_arrays
from noisybench.ground.arrays import Images, Indices, Labels, as_labels
from noisybench.ground.digests import fingerprint
from noisybench.ground.download import cache_folder, check_asked_for, is_offline
from noisybench.ground.errors import BadData


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a published image set.

    Attributes:
        name: Of the source.
        torchvision: Its class in ``torchvision.datasets``, which knows the official files.
        folder: Where that class keeps them, below its root.
        samples: How many training and test samples there are.
        shape: Of one image, (h, w, c).
        class_names: One per class, in index order.
        train: ``fingerprint`` of the training labels in official order.
        test: ``fingerprint`` of the test labels in official order.
        other_orders: ``fingerprint`` → name of other orders of the training samples that go around.
        batches: In how many files of equal size the official training samples come.
        label_columns: Names of the label in Parquet files, the first that is there counts.
        other_file: Another file that the source reads, in words; empty where there is none.
        augmentation: What may be done to an image without changing its class.
    """

    name: str
    torchvision: str
    folder: str
    samples: tuple[int, int]
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train: str
    test: str
    other_orders: Mapping[str, str] = field(default_factory=dict)
    batches: int = 1
    label_columns: tuple[str, ...] = ("label",)
    other_file: str = ""
    augmentation: Augmentation = "none"

    @property
    def expected(self) -> str:
        """What a folder must hold, in words."""
        labels = " or ".join(self.label_columns)
        other = f", or {self.other_file}" if self.other_file else ""
        return (
            f"{self.folder}/ of torchvision, or train.parquet and test.parquet with columns image or img, "
            f"and {labels}{other}"
        )


@dataclass(frozen=True, slots=True)
class Split:
    """All labels of a split, and its images on demand: (m,) rows → (m, h, w, c) uint8."""

    labels: Labels
    images: Callable[[Indices], Images]


def load_published(published: Published, data: Path | None, *, limit: int | None) -> Source:
    """The set from ``data``, or from the cache after a download.

    Raises:
        BadData: The files are missing, broken or of another set, or cannot be downloaded.
    """
    train, test = read_splits(published, data)
    return published_source(published, train, test, limit=limit)


def published_source(published: Published, train: Split, test: Split, *, limit: int | None) -> Source:
    """A source of both splits; all labels are checked, but only the first ``limit`` training images are read.

    Raises:
        BadData: A split of another length, or images of another shape.
    """
    for what, split, expected in zip(("training", "test"), (train, test), published.samples, strict=True):
        if len(split.labels) != expected:
            msg = (
                f"{published.name} has {expected:,} {what} samples, found {len(split.labels):,}; "
                "read a part with --limit, another set with the source huggingface or npz"
            )
            raise BadData(msg)
    rows, order = recognise_order(published, train.labels)
    if fingerprint(test.labels) != published.test:
        order += f"; test labels unknown (fingerprint {fingerprint(test.labels)[:12]})"
    # A limit below one is left to source_from_arrays to refuse.
    kept = rows[: max(limit, 1)] if limit is not None else rows
    labels = train.labels[rows]
    return source_from_arrays(
        published.name,
        _images_of(published, train, kept, "training images"),
        labels,
        clean=labels,
        test_inputs=_images_of(published, test, np.arange(len(test.labels)), "test images"),
        test_labels=test.labels,
        class_names=published.class_names,
        order=order,
        augmentation=published.augmentation,
        limit=limit,
    )


def recognise_order(published: Published, labels: Labels) -> tuple[Indices, str]:
    """Indices to read, shape (n,), and the order they are then in, in words; it starts with "official" where it is that.

    The official batches in another order, as the tar archive of CIFAR-10 has them, are put into the official one.
    """
    rows = np.arange(len(labels)).reshape(published.batches, -1)
    for batches in permutations(range(published.batches)):
        candidate = rows[list(batches)].ravel()
        if fingerprint(labels[candidate]) == published.train:
            if batches == tuple(range(published.batches)):
                return candidate, "official"
            stored = ", ".join(str(k + 1) for k in np.argsort(batches))
            return candidate, f"official (rearranged: the file has batches {stored})"
    found = fingerprint(labels)
    return rows.ravel(), published.other_orders.get(found, f"unknown (fingerprint {found[:12]})")


def read_splits(published: Published, data: Path | None) -> tuple[Split, Split]:
    """Training and test split from the official files or from Parquet.

    Raises:
        BadData: Neither is there, or it cannot be read or downloaded.
    """
    if data is None:
        if not (cache_folder() / published.folder).is_dir():
            check_asked_for(published.name)
        return _official(published, cache_folder(), download=not is_offline())
    if data.name == Path(published.folder).parts[0] and (data.parent / published.folder).is_dir():
        data = data.parent
    if (data / published.folder).is_dir():
        return _official(published, data, download=False)
    train, test = _shards(data, "train"), _shards(data, "test")
    if train and test:
        return _parquet(published, train), _parquet(published, test)
    there = "is no folder" if not data.is_dir() else f"holds no {published.name}"
    msg = f"{data} {there}; expected {published.expected}"
    raise BadData(msg)


def _official(published: Published, root: Path, *, download: bool) -> tuple[Split, Split]:
    """Training and test part of the published files, as torchvision reads them."""
    from torchvision import datasets

    read = getattr(datasets, published.torchvision)
    try:
        with redirect_stdout(stderr):  # whatever torchvision has to say of a download, it is no result
            train, test = (read(root, train=part, download=download) for part in (True, False))
    except (
        # The last two rows for what torchvision stumbles over in a damaged file.
        RuntimeError, OSError, HTTPException, ValueError, AssertionError,
        LookupError, TypeError, EOFError, MemoryError, pickle.UnpicklingError,
    ) as error:  # fmt: skip
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        if isinstance(error, pickle.UnpicklingError):  # torch's own words advise to trust the file
            reason = "it holds more than tensors"
        msg = (
            f"{published.name} could not be downloaded to {root} ({reason}); say --data DIR, a folder that holds "
            f"{published.expected}"
            if download
            else f"{root / published.folder} cannot be read ({reason}); unpack the official files again"
        )
        raise BadData(msg) from None
    return _split_of(train), _split_of(test)


def _split_of(read: Any) -> Split:  # noqa: ANN401 - a torchvision data set, whose data are an array or a tensor
    images, labels = np.asarray(read.data), np.asarray(read.targets, dtype=np.int64)
    return Split(labels, lambda rows: images[rows])


def _shards(data: Path, split: str) -> list[Path]:
    """``train.parquet``, or ``train-00000-of-00002.parquet`` and so on as on the Hugging Face hub."""
    whole = data / f"{split}.parquet"
    if whole.is_file():
        return [whole]
    return sorted(data.glob(f"{split}-*.parquet")) or sorted(data.glob(f"*/{split}-*.parquet"))


def _parquet(published: Published, paths: list[Path]) -> Split:
    """Training and test part of Parquet files of the hub, one after the other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(paths[0]).names
        image, label = (
            next((name for name in wanted if name in names), None)
            for wanted in (("image", "img"), published.label_columns)
        )
        if image is None or label is None:
            msg = (
                f"{paths[0]} has columns {', '.join(names)}; "
                f"expected image or img, and {' or '.join(published.label_columns)}"
            )
            raise BadData(msg)
        table = pa.concat_tables([pq.read_table(path, columns=[image, label]) for path in paths])
    except (pa.ArrowException, OSError) as error:
        msg = f"{paths[0]} cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise BadData(msg) from None
    labels = as_labels(table[label].to_numpy(), what=f"column '{label}' of {paths[0]}")
    column = table[image].combine_chunks()
    if pa.types.is_struct(column.type):  # Hugging Face keeps the path beside the bytes
        column = column.field("bytes")
    return Split(labels, lambda rows: decode_images(column.take(pa.array(rows)).to_pylist(), what=str(paths[0])))


def _images_of(published: Published, split: Split, rows: Indices, what: str) -> Images:
    try:
        images = split.images(rows)
    except IndexError:
        msg = f"{what} of {published.name} are fewer than their labels; copy the files again"
        raise BadData(msg) from None
    if images.ndim == 3:  # noqa: PLR2004 - n, h, w
        images = images[..., None]
    if images.shape[1:] != published.shape or images.dtype != np.uint8:
        msg = (
            f"{what} of {published.name} must be uint8 of shape (n, {', '.join(map(str, published.shape))}), "
            f"got {images.dtype} of shape {images.shape}"
        )
        raise BadData(msg)
    return images
