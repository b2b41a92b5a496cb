"""MNIST: 60,000 + 10,000 handwritten digits, 28 × 28, grey."""

from dataclasses import dataclass
from pathlib import Path

from noisybench.data.array_files import read_arrays
from noisybench.data.source import LoadSource, Source
from noisybench.data.sources._published import Published, Split, load_published, published_source
from noisybench.ground.arrays import as_labels

PUBLISHED = Published(
    name="mnist",
    torchvision="MNIST",
    folder="MNIST/raw",
    samples=(60_000, 10_000),
    shape=(28, 28, 1),
    class_names=tuple("0123456789"),
    train="1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    test="ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    other_file="the mnist.npz of Keras",
)


@dataclass(frozen=True, slots=True)
class Mnist:
    """MNIST from its official files, from Parquet or from the ``mnist.npz`` of Keras. Published labels are the reference.

    Source: LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document recognition.
    """

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is not None:
            file = data / "mnist.npz" if data.is_dir() else data
            if file.is_file():
                return published_source(PUBLISHED, *_read_keras(file), limit=limit)
        return load_published(PUBLISHED, data, limit=limit)


def _read_keras(file: Path) -> tuple[Split, Split]:
    arrays = read_arrays(file, required=("x_train", "y_train", "x_test", "y_test"))

    def split(part: str) -> Split:
        images = arrays[f"x_{part}"]
        return Split(as_labels(arrays[f"y_{part}"], what=f"y_{part} of {file}"), lambda rows: images[rows])

    return split("train"), split("test")


SOURCE: type[LoadSource] = Mnist
