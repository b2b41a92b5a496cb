"""CIFAR-100: 50,000 + 10,000 colour photographs, 32 × 32, of a hundred kinds of things."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from noisybench.data.cifar100_superclasses import SUPERCLASS_NAMES, SUPERCLASS_OF
from noisybench.data.source import LoadSource, Source, source_digest
from noisybench.data.sources._published import Published, load_published
from noisybench.ground.arrays import read_only
from noisybench.ground.errors import BadUsage

# Alphabetical, which is the order of the numbers too.
# fmt: off
CLASS_NAMES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)
# fmt: on

PUBLISHED = Published(
    name="cifar100",
    torchvision="CIFAR100",
    folder="cifar-100-python",
    samples=(50_000, 10_000),
    shape=(32, 32, 3),
    class_names=CLASS_NAMES,
    train="9f11b9f97aad759ba6df0a33e3218b01d8deaf4ed3a14aa1185d69b9ad7ebcb3",
    test="4dad7d09c7c97d33f6cb928d705cf4196221316fd6e31bdd978a08ed9103ee0b",
    other_orders={"9989420b226815e64524d3d8f3a83d65d835d02687e0ab289529f8c9a11ebf0a": "TFDS"},
    label_columns=("fine_label", "label"),
    augmentation="crop_flip",
)


@dataclass(frozen=True, slots=True)
class Cifar100:
    """CIFAR-100 from its official files or from Parquet. The published labels are the reference.

    Attributes:
        labels: The 100 classes (``fine``), or the 20 superclasses that follow from them (``coarse``).

    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, chapter 3.
    """

    labels: Literal["fine", "coarse"] = "fine"

    def __post_init__(self) -> None:
        if self.labels not in ("fine", "coarse"):
            msg = f"labels must be fine or coarse, got '{self.labels}'"
            raise BadUsage(msg)

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        source = load_published(PUBLISHED, data, limit=limit)
        return source if self.labels == "fine" else coarse(source)


def coarse(source: Source) -> Source:
    """CIFAR-100 with its superclasses as classes."""
    groups = np.array(SUPERCLASS_OF)
    labels = read_only(groups[source.labels])
    return replace(
        source,
        labels=labels,
        clean=labels,
        test_labels=None if source.test_labels is None else read_only(groups[source.test_labels]),
        class_names=SUPERCLASS_NAMES,
        sha256=source_digest(source.inputs, labels),
        options={"labels": "coarse"},
    )


SOURCE: type[LoadSource] = Cifar100
