"""Normalised, cropped and mirrored batches against a torch DataLoader with PIL images, measured in the same run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/input_pipeline.py [--json FILE]``. 10,000 random images of the shape of
CIFAR-10 in batches of 128. The baseline is what a training script of CIFAR-10 does: ``Image.fromarray``,
``RandomCrop(32, padding=4)``, ``RandomHorizontalFlip``, ``ToTensor``, ``Normalize``, in this process and in two workers
(the processor time of workers is counted; of two workers the time on the clock is given as well).
"""

from time import perf_counter
from typing import Any

import numpy as np
import torch
from measuring import Row, faster, medians, report
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from noisybench.training.batches import Inputs

N, BATCH, REPEATS = 10_000, 128, 3


TRANSFORM: Any = transforms.Compose(
    [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.491, 0.482, 0.447), (0.247, 0.243, 0.262)),
    ]
)


class Images(Dataset[tuple[torch.Tensor, int]]):
    """Arrays as torchvision's CIFAR10 serves them: a PIL image at a time."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], transform: Any) -> None:  # noqa: ANN401
        self._images = images
        self._labels = labels
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self._transform(Image.fromarray(self._images[i])), int(self._labels[i])


def measure() -> list[Row]:
    """Rows of processor time with zero and two workers, and of the clock with two."""
    images = np.random.default_rng(0).integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    data = Inputs(images, torch.device("cpu"))
    dataset = Images(images, np.zeros(N, dtype=np.int64), TRANSFORM)

    def ours() -> None:
        generator = torch.Generator().manual_seed(0)
        for chosen in torch.randperm(N, generator=generator).split(BATCH):
            data.augmented(chosen, "crop_flip", generator)

    def loader(workers: int) -> None:
        for _ in DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers):
            pass

    spent = medians({"ours": ours, "0": lambda: loader(0), "2": lambda: loader(2)}, REPEATS)
    clock = medians({"ours": ours, "2": lambda: loader(2)}, REPEATS, perf_counter)
    what = f"crop, flip and normalise {N:,} images"
    return [
        faster(f"{what}, no workers", spent["ours"], spent["0"], REPEATS),
        faster(f"{what}, 2 workers, processor time", spent["ours"], spent["2"], REPEATS),
        faster(f"{what}, 2 workers, clock", clock["ours"], clock["2"], REPEATS),
    ]


if __name__ == "__main__":
    report(measure)
