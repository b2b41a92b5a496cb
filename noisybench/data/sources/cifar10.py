"""CIFAR-10: 50,000 + 10,000 colour photographs, 32 × 32, of ten kinds of things."""

from dataclasses import dataclass
from pathlib import Path

from noisybench.data.source import LoadSource, Source
from noisybench.data.sources._published import Published, load_published

PUBLISHED = Published(
    name="cifar10",
    torchvision="CIFAR10",
    folder="cifar-10-batches-py",
    samples=(50_000, 10_000),
    shape=(32, 32, 3),
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    train="2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    test="cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    other_orders={"905bbb44a2d3fdda93221c85251b6556d48fcc49801fea6efc4602672fc0ba85": "TFDS"},
    # The tar archive does not begin with the first batch, nor do the Parquet files made from it.
    batches=5,
    augmentation="crop_flip",
)


@dataclass(frozen=True, slots=True)
class Cifar10:
    """CIFAR-10 from its official files or from Parquet. The published labels are the reference.

    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, chapter 3.
    """

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        return load_published(PUBLISHED, data, limit=limit)


SOURCE: type[LoadSource] = Cifar10
