"""A whole set of inputs as one tensor on the device: normalised batches, random crops and flips, no data loader."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
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
        tensor = torch.tensor(array, device=device)
        self.is_image = tensor.ndim == IMAGE_DIMENSIONS
        self._tensor = tensor.permute(0, 3, 1, 2) if self.is_image else tensor
        if like is None:
            self._mean, self._scale = self._moments()
        else:
            self._mean, self._scale = like.moments

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
        """Normalised inputs, shape (b, c, h, w) channels-last or (b, d), float32."""
        return self._normalise(self._tensor[chosen])

    def augmented(self, chosen: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
        """Like ``batch``, each image shifted, and mirrored half of the time, as ``augmentation`` allows.

        Args:
            chosen: Indices, shape (b,).
            augmentation: What may be done without changing the class.
            generator: On the CPU, so that the draws are the same on every device.
        """
        images = self._tensor[chosen]
        if augmentation == "none" or not self.is_image:
            return self._normalise(images)
        b, _, h, w = images.shape
        dy, dx = h // PADDING, w // PADDING
        # All crops of an image are one strided view of its padded self: no loop over images.
        views = F.pad(images, (dx, dx, dy, dy)).unfold(2, h, 1).unfold(3, w, 1)
        rows = torch.randint(0, 2 * dy + 1, (b,), generator=generator).to(images.device)
        columns = torch.randint(0, 2 * dx + 1, (b,), generator=generator).to(images.device)
        crops = self._normalise(views[torch.arange(b, device=images.device), :, rows, columns])
        if augmentation == "crop":
            return crops
        mirrored = torch.rand(b, generator=generator).to(images.device) < 0.5  # noqa: PLR2004 - half
        return torch.where(mirrored[:, None, None, None], crops.flip(-1), crops)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All inputs in order, normalised, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    def _normalise(self, values: Tensor) -> Tensor:
        floats = (values.float() - self._mean) * self._scale
        return floats.contiguous(memory_format=torch.channels_last) if self.is_image else floats

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and inverse deviation over the set, a channel or a feature each; a constant one is left at scale 1."""
        dims = (0, 2, 3) if self.is_image else (0,)
        count = max(1, self._tensor.numel() // self._tensor.shape[1])
        total = torch.zeros(self._tensor.shape[1], dtype=torch.float64, device=self.device)
        squares = torch.zeros_like(total)
        for part in self._tensor.split(4096):
            total += part.sum(dims, dtype=torch.float64)
        mean = total / count
        shape = (1, -1, 1, 1) if self.is_image else (1, -1)
        for part in self._tensor.split(4096):
            squares += (part - mean.view(shape)).square().sum(dims)
        deviation = (squares / count).sqrt()
        scale = torch.where(deviation > 0, 1 / deviation, 1.0)
        return mean.float().view(shape), scale.float().view(shape)
