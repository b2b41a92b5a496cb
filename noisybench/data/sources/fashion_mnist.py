"""Fashion-MNIST: 60,000 + 10,000 grey pictures, 28 × 28, of ten kinds of clothes."""

from dataclasses import dataclass
from pathlib import Path

from noisybench.data.source import LoadSource, Source
from noisybench.data.sources._published import Published, load_published

PUBLISHED = Published(
    name="fashion_mnist",
    torchvision="FashionMNIST",
    folder="FashionMNIST/raw",
    samples=(60_000, 10_000),
    shape=(28, 28, 1),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    train="657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
    test="3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    augmentation="crop_flip",
)


@dataclass(frozen=True, slots=True)
class FashionMnist:
    """Fashion-MNIST from its official files or from Parquet. The published labels are the reference.

    Source: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.
    """

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        return load_published(PUBLISHED, data, limit=limit)


SOURCE: type[LoadSource] = FashionMnist
