"""The test set of CIFAR-10, CIFAR-100 or MNIST as samples, with what people said of its labels as truth."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from noisybench.data.alteration import load_base
from noisybench.data.array_files import read_arrays
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._verdicts import clean_labels, judged_words, read_verdicts
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.download import fetch
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.npy import read_array
from noisybench.ground.options import plain_options

Base = Literal["cifar10", "cifar100", "mnist"]
Truth = Literal["published", "label_errors", "cifar10h"]

COUNTS = "cifar10h-counts.npy"
_COUNTS_URL = f"https://raw.githubusercontent.com/jcpeterson/cifar-10h/master/data/{COUNTS}"
_COUNTS_SHA256 = "9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff"
_COUNTS_SIZE = 800_128
_JUDGEMENTS_SHA256 = "e3a314fdecb1f8aeb680f50fde8682d83065d5191d8fc76f0bdc86333bd7fefe"
"""Digest of the counts as little-endian int64 without the header of the file, whatever type they are kept in."""


@dataclass(frozen=True, slots=True)
class PublishedTestSet:
    """The published test images as samples, in their order and under their published labels; there is no test set then.

    Attributes:
        base: Whose test set; ``--data`` is where the files of that source are.
        truth: ``published``: the labels are the reference. ``label_errors``: people's verdicts on suspected errors; a label
            is wrong where fewer than three of five voted for it, its right class is known where three or more agreed on
            it, and of images that nobody was shown nothing is known. ``cifar10h``: the class that most of some 51 people
            gave, unknown in a tie; of CIFAR-10 only.
        file: The file of the truth as published: ``cifar10_mturk.json`` and the like; ``cifar10h-counts.npy``, or a
            ``.npz`` file with its ``counts``. None downloads it.

    Source: Northcutt, Athalye and Mueller 2021, arXiv:2103.14749; Peterson et al. 2019, arXiv:1908.07086.
    """

    base: Base = "cifar10"
    truth: Truth = "published"
    file: Path | None = None

    def __post_init__(self) -> None:
        for what, value, choices in (("base", self.base, get_args(Base)), ("truth", self.truth, get_args(Truth))):
            if value not in choices:
                msg = f"{what} of source 'testset' must be one of {', '.join(choices)}, got '{value}'"
                raise BadUsage(msg)
        if self.truth == "cifar10h" and self.base != "cifar10":
            msg = f"truth=cifar10h is of the test set of cifar10, got base={self.base}"
            raise BadUsage(msg)
        if self.truth == "published" and self.file is not None:
            msg = f"file={self.file.name} is of no truth; say truth=label_errors or truth=cifar10h, or leave it out"
            raise BadUsage(msg)

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        try:
            base = load_base(self.base, data, limit=1)
        except BadData as error:
            msg = f"source 'testset' reads the files of {self.base}: {error}"
            raise BadData(msg) from None
        labels = base.test_labels
        if labels is None:
            msg = f"source '{self.base}' has no test set"
            raise BadData(msg)
        words = "truth: the labels as published"
        clean = labels
        if self.truth == "label_errors":
            verdicts = read_verdicts(self.file, self.base)
            clean = clean_labels(verdicts, labels, _rows(verdicts[:, 0], len(labels)), base.num_classes)
            words = judged_words(clean, labels)
        elif self.truth == "cifar10h":
            counts = read_judgement_counts(self.file)
            clean = majority(counts)
            against = disagreement(counts, labels)
            words = (
                f"{against.mean():.2%} of {int(counts.sum()):,} judgements against the label, by the mean over images"
            )
        return source_from_arrays(
            "testset",
            base.test_inputs,
            labels,
            clean=clean,
            class_names=base.class_names,
            order=f"of the test set of {self.base}; {words}",
            augmentation=base.augmentation,
            options=plain_options(self),
            limit=limit,
        )


def _rows(samples: Labels, n: int) -> Labels:
    """Samples as positions in a test set of n; one beyond its end is an error of the file."""
    if (samples >= n).any():
        msg = f"there is a verdict on sample {samples.max()}, the test set has {n}; download the verdicts again"
        raise BadData(msg)
    return samples


def read_judgement_counts(path: Path | None) -> Floats:
    """How many people gave each class to each test image of CIFAR-10, shape (10000, 10).

    Raises:
        BadData: The file cannot be read, or does not hold the published counts in their order.
    """
    if path is None:
        path = fetch(
            COUNTS, _COUNTS_URL, _COUNTS_SHA256, _COUNTS_SIZE, instead=f"--source-set file=…/{COUNTS}, and --data DIR"
        )
    npz = path.suffix == ".npz"
    counts = read_arrays(path, required=("counts",))["counts"] if npz else read_array(path)
    if (
        counts.dtype.kind not in "iu"
        or hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest() != _JUDGEMENTS_SHA256
    ):
        msg = (
            f"{path} does not hold the published counts of CIFAR-10H (int64 of shape (10000, 10), in the order of the "
            f"official test set), got {counts.dtype} of shape {counts.shape}; download {COUNTS} again"
        )
        raise BadData(msg)
    return counts.astype(np.float64)


def majority(counts: Floats) -> Labels:
    """The class that was given most often, shape (n,); ``UNKNOWN`` in a tie."""
    tied = (counts == counts.max(1, keepdims=True)).sum(1) > 1
    return np.where(tied, UNKNOWN, counts.argmax(1))


def disagreement(counts: Floats, labels: Labels) -> Floats:
    """Share of the judgements of each image that are against its label, shape (n,)."""
    share: Floats = 1 - counts[np.arange(len(labels)), labels] / counts.sum(1)
    return share


SOURCE: type[LoadSource] = PublishedTestSet
