"""A whole set of inputs as one tensor on the device: normalised batches, random crops and flips, no data loader."""

from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from noisybench.source import IMAGE_DIMENSIONS, Augmentation

PADDING = 8
"""Crops are shifted by up to one eighth of the side: the 4 pixels of every CIFAR paper."""


class Inputs:
    """Inputs as they were read, on a device; floats of mean zero and deviation one only a batch at a time.

    Images stay uint8, which is a quarter of the memory and of the traffic, and leave as channels-last floats, on which
    convolutions on a CPU are faster.
    """

    def __init__(self, array: NDArray[Any], device: torch.device, *, like: "Inputs | None" = None) -> None:
        """Put ``array`` on ``device``.

        Args:
            array: Images (n, h, w, c) uint8 or features (n, d) float32.
            device: Where the tensor lives.
            like: Take mean and deviation from there (a test set from its training set) instead of from ``array``.
        """
        self._tensor = torch.tensor(array, device=device)
        self.is_image = self._tensor.ndim == IMAGE_DIMENSIONS
        self._mean, self._scale = self._moments() if like is None else like.moments
        # Whole images of them, because broadcasting three channels over every pixel is slow.
        self._means, self._scales = (part.expand(self._tensor.shape[1:]).contiguous() for part in self.moments)

    def __len__(self) -> int:
        return len(self._tensor)

    @property
    def device(self) -> torch.device:
        return self._tensor.device

    @property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and inverse deviation that inputs are normalised by, a channel or a feature each."""
        return self._mean, self._scale

    def batch(self, chosen: Tensor | slice) -> Tensor:
        """Normalised inputs, shape (b, c, h, w) channels-last or (b, d), float32. ``chosen``: indices (b,) or a slice."""
        return self._normalise(self._pick(chosen))

    def augmented(self, chosen: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
        """Like ``batch``, each image shifted, and mirrored half of the time, as ``augmentation`` allows.

        Args:
            chosen: Indices, shape (b,).
            augmentation: What may be done without changing the class.
            generator: On the CPU, so that the draws are the same on every device.
        """
        if augmentation == "none" or not self.is_image:
            return self.batch(chosen)
        b, (h, w, c) = len(chosen), self._tensor.shape[1:]
        dy, dx = h // PADDING, w // PADDING
        padded = self._tensor.new_zeros(b, h + 2 * dy, w + 2 * dx, c)
        padded[:, dy : dy + h, dx : dx + w] = self._pick(chosen)
        # All crops of an image are one strided view of its padded self, rows of bytes: no loop over images.
        views = padded.flatten(2).unfold(1, h, 1).unfold(2, w * c, c)
        rows = torch.randint(0, 2 * dy + 1, (b,), generator=generator).to(self.device)
        columns = torch.randint(0, 2 * dx + 1, (b,), generator=generator).to(self.device)
        crops = views[torch.arange(b, device=self.device), rows, columns].view(b, h, w, c)
        if augmentation == "crop_flip":
            mirrored = torch.rand(b, generator=generator) < 0.5  # noqa: PLR2004 - half
            turned = mirrored.nonzero()[:, 0].to(self.device)
            crops[turned] = crops.index_select(0, turned).flip(2)
        return self._normalise(crops)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All inputs in order, normalised, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    def _pick(self, chosen: Tensor | slice) -> Tensor:
        """Inputs as they were read. ``index_select`` copies whole rows, which indexing did not: 3 against 22 ms for 10,000."""
        return self._tensor[chosen] if isinstance(chosen, slice) else self._tensor.index_select(0, chosen)

    def _normalise(self, values: Tensor) -> Tensor:
        if not self.is_image:
            return (values - self._means) * self._scales
        return values.float().sub_(self._means).mul_(self._scales).permute(0, 3, 1, 2)

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and inverse deviation over the set, a channel or a feature each; a constant one is left at scale 1."""
        shape, width = self._tensor.shape[1:], self._tensor.shape[-1]
        count = max(1, self._tensor.numel() // width)
        total = torch.zeros(shape, dtype=torch.float64, device=self.device)
        squares = torch.zeros_like(total)
        for part in self._tensor.split(128):  # few enough that their float64 copies stay in a CPU's cache
            total += part.sum(0, dtype=torch.float64)
        # Summed over the samples first, and over the pixels at the end: sums three channels wide are slow.
        mean = total.view(-1, width).sum(0) / count
        means = mean.expand(shape).contiguous()
        for part in self._tensor.split(128):
            squares += (part - means).square_().sum(0)
        deviation = (squares.view(-1, width).sum(0) / count).sqrt()
        scale = torch.where(deviation > 0, 1 / deviation, 1.0)
        return mean.float(), scale.float()
