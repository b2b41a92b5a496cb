"""Pretraining: what features were learned from, before they saw the data set, and whether they know its classes already."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from noisybench.ground.checks import as_list, check_choice, check_kind

IMAGENET = "ImageNet-1k"
UNSAID = "unknown"
Overlap = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What the weights behind features were trained on.

    Attributes:
        data: Name of the data set, such as ``ImageNet-1k``; ``unknown`` where nobody said.
        supervised: Whether labels taught them; None where nobody said.
        overlap: Whether its classes and those of a data set overlap, where somebody declared it; None asks the names.
    """

    data: str
    supervised: bool | None = None
    overlap: Literal["yes", "no"] | None = None

    def __post_init__(self) -> None:
        check_kind(self.data, str, "data", "name the data set that the weights were trained on, or say unknown")
        if self.overlap is not None:
            check_choice(self.overlap, "overlap", ("yes", "no"))

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of its classes; None where there are none or nobody knows them."""
        return imagenet_classes() if self.data == IMAGENET else None

    @property
    def words(self) -> str:
        """What there is to say of it, such as ``ImageNet-1k, with labels``."""
        how = {True: "with labels", False: "without labels", None: "labels unknown"}[self.supervised]
        return self.data if self.data == UNSAID else f"{self.data}, {how}"


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Names of the 1,000 classes of ImageNet-1k, as torchvision has them."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])


def classes_overlap(pretraining: Pretraining, class_names: Sequence[str]) -> Overlap:
    """Whether what features were trained on has classes of a data set: then they may owe their success to labels of its own.

    ``yes`` where it was declared, or where the name of a class, or one of its words, is a class of the training data or the
    last words of one (``cat`` of ``Persian cat``), in whatever case and number; ``no`` only where it was declared, since
    names that differ prove nothing; else ``unknown``.

    Args:
        pretraining: See ``Extraction.pretraining``.
        class_names: Of the data set.

    Raises:
        BadUsage: What is given says nothing of a pretraining, or the names are no texts.

    >>> classes_overlap(Pretraining("ImageNet-1k", supervised=True), ["airplane", "cat"])
    'yes'
    >>> classes_overlap(Pretraining("ImageNet-1k", supervised=True), ["benign", "malignant"])
    'unknown'
    """
    check_kind(pretraining, Pretraining, "pretraining", "Pretraining('ImageNet-1k', supervised=True) is one")
    class_names = as_list(class_names, "class_names", "give a text for each class")
    for name in class_names:
        check_kind(name, str, "class name", "name each class by a text")
    if pretraining.overlap is not None:
        return pretraining.overlap
    known = pretraining.class_names
    if known is None:
        return "unknown"
    ends = {" ".join(words[start:]) for words in map(_words, known) for start in range(len(words))}
    found = any({" ".join(words), *words} & ends for words in map(_words, class_names))
    return "yes" if found else "unknown"


def _words(name: str) -> list[str]:
    """The words of a class name in lower case and the singular, as far as an ``s`` tells it."""
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    return [word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "su" else word for word in words]  # noqa: PLR2004
