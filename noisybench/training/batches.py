"""Inputs on a device, a batch at a time: normalised, cropped and mirrored.

A set that fits in memory is one tensor and needs no data loader; one that does not is read by one, to the same bits.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from noisybench.data.inputs import IMAGE_DIMENSIONS, AnyInputs, read_rows
from noisybench.data.source import Augmentation
from noisybench.ground.engines.processes import interrupts_blocked
from noisybench.ground.errors import BadData, NoisybenchError

PADDING = 8
"""Part of the side by which crops are shifted at most: an eighth, the 4 pixels of every CIFAR paper."""
PART = 128
"""Inputs whose moments are taken together: few enough that their float64 copies stay in a CPU's cache."""


class Inputs:
    """Inputs as they were read; floats of mean zero and deviation one only a batch at a time.

    Images stay uint8, which is a quarter of the memory and of the traffic, and leave as channels-last floats, on which
    convolutions on a CPU are faster. An array is held on the device; a memory map and what is read lazily stay where
    they are, and no more of them than some batches is in memory.
    """

    def __init__(
        self, array: AnyInputs, device: torch.device, *, like: "Inputs | None" = None, loader_workers: int = 0
    ) -> None:
        """Put ``array`` on ``device``, or make ready to read it.

        Args:
            array: Images (n, h, w, c) uint8 or features (n, d) float32.
            device: Where batches are wanted.
            like: Take mean and deviation from there (a test set from its training set) instead of from ``array``.
            loader_workers: Processes that read ahead what is read lazily, the moments too; no bit depends on it. 0 reads
                here, and so does a memory map, whose pages need no decoding. Each takes 0.3 GB for torch itself.
        """
        self.loader_workers = loader_workers
        self.rows: _Held | _Streamed
        if isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
            self.rows = _Held(torch.tensor(array, device=device))
        else:
            self.rows = _Streamed(_Loader(array, 0 if isinstance(array, np.ndarray) else loader_workers), device)
        self.is_image = len(self.rows.shape) == IMAGE_DIMENSIONS
        self._mean, self._scale = self._moments() if like is None else like.moments
        # Whole images of them, because broadcasting three channels over every pixel is slow.
        self._means, self._scales = (part.expand(self.rows.shape[1:]).contiguous() for part in self.moments)

    def __len__(self) -> int:
        return self.rows.shape[0]

    @property
    def device(self) -> torch.device:
        return self.rows.device

    @property
    def is_held(self) -> bool:
        """Whether all of them are in memory."""
        return isinstance(self.rows, _Held)

    @property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and inverse deviation that inputs are normalised by, a channel or a feature each."""
        return self._mean, self._scale

    def subset(self, chosen: NDArray[np.intp]) -> "Inputs":
        """Some of them, shape (s, ...), normalised as these are; of what is read lazily only the numbers are kept."""
        part = copy.copy(self)
        part.rows = self.rows.subset(torch.tensor(chosen))
        return part

    def batch(self, chosen: Tensor | slice) -> Tensor:
        """Normalised inputs, shape (b, c, h, w) channels-last or (b, d), float32. ``chosen``: indices (b,) or a slice."""
        return self._normalise(self.rows.pick(chosen))

    def augmented(
        self, chosen: Tensor, augmentation: Augmentation, generator: torch.Generator | Sequence[torch.Generator]
    ) -> Tensor:
        """Like ``batch``, each image shifted, and mirrored half of the time, as ``augmentation`` allows.

        Args:
            chosen: Indices, shape (b,).
            augmentation: What may be done without changing the class.
            generator: On the CPU, so that the draws are the same on every device. Of several each draws for its part of
                the batch: so many equal parts.
        """
        return next(self.stream([chosen], augmentation, generator))

    def stream(
        self,
        batches: Sequence[Tensor],
        augmentation: Augmentation,
        generator: torch.Generator | Sequence[torch.Generator],
    ) -> Iterator[Tensor]:
        """What ``augmented`` gives for each batch of indices in turn; what is read lazily is read ahead."""
        for picked in self.rows.picks(batches):
            if augmentation == "none" or not self.is_image:
                yield self._normalise(picked)
            else:
                own = [generator] if isinstance(generator, torch.Generator) else generator
                yield self._normalise(self._cropped(picked, augmentation, own))

    def batches(self, size: int) -> Iterator[Tensor]:
        """All inputs in order, normalised, at most ``size`` at a time."""
        yield from map(self._normalise, self.rows.picks(self._parts(size)))

    def _cropped(self, picked: Tensor, augmentation: Augmentation, generators: Sequence[torch.Generator]) -> Tensor:
        """Images (b, h, w, c) as they were read, shifted and mirrored, an equal part of them by each generator."""
        b, h, w, c = picked.shape
        each = b // len(generators)
        dy, dx = h // PADDING, w // PADDING
        padded = picked.new_zeros(b, h + 2 * dy, w + 2 * dx, c)
        padded[:, dy : dy + h, dx : dx + w] = picked
        # All crops of an image are one strided view of its padded self, rows of bytes: no loop over images.
        views = padded.flatten(2).unfold(1, h, 1).unfold(2, w * c, c)
        rows = torch.cat([torch.randint(0, 2 * dy + 1, (each,), generator=own) for own in generators]).to(self.device)
        columns = torch.cat([torch.randint(0, 2 * dx + 1, (each,), generator=own) for own in generators])
        columns = columns.to(self.device)
        crops = views[torch.arange(b, device=self.device), rows, columns].view(b, h, w, c)
        if augmentation == "crop_flip":
            mirrored = torch.cat([torch.rand(each, generator=own) for own in generators]) < 0.5  # noqa: PLR2004 - half
            turned = mirrored.nonzero()[:, 0].to(self.device)
            crops[turned] = crops.index_select(0, turned).flip(2)
        return crops

    def _parts(self, size: int) -> list[slice]:
        return [slice(start, min(start + size, len(self))) for start in range(0, len(self), size)]

    def _normalise(self, values: Tensor) -> Tensor:
        if not self.is_image:
            return (values - self._means) * self._scales
        return values.float().sub_(self._means).mul_(self._scales).permute(0, 3, 1, 2)

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and inverse deviation over the set, a channel or a feature each; a constant one is left at scale 1."""
        mean, variance = self._image_moments() if self.is_image else self._feature_moments()
        deviation = variance.sqrt()
        scale = torch.where(deviation > 0, 1 / deviation, 1.0)
        return mean.float(), scale.float()

    def _image_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel in one pass: sums of bytes and of their squares are whole numbers, and exact."""
        _, h, w, c = self.rows.shape
        total = torch.zeros(h, w, c, dtype=torch.float64, device=self.device)
        squares = torch.zeros_like(total)
        for part in self.rows.picks(self._parts(PART)):
            values = part.double()
            total += values.sum(0)
            squares += values.square_().sum(0)
        # Summed over the samples first, and over the pixels at the end: sums three channels wide are slow.
        sums, powers = ([int(x) for x in part.view(-1, c).sum(0).tolist()] for part in (total, squares))
        count = len(self) * h * w
        moments = [(s / count, (count * p - s * s) / count**2) for s, p in zip(sums, powers, strict=True)]
        mean, variance = torch.tensor(moments, dtype=torch.float64, device=self.device).T
        return mean, variance

    def _feature_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of each feature, in two passes, because sums of floats are not exact."""
        total = torch.zeros(self.rows.shape[1:], dtype=torch.float64, device=self.device)
        squares = torch.zeros_like(total)
        for part in self.rows.picks(self._parts(PART)):
            total += part.sum(0, dtype=torch.float64)
        mean = total / len(self)
        for part in self.rows.picks(self._parts(PART)):
            squares += (part - mean).square_().sum(0)
        return mean, squares / len(self)


class _Held:
    """Rows as one tensor on the device."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._tensor.shape)

    @property
    def device(self) -> torch.device:
        return self._tensor.device

    def subset(self, chosen: Tensor) -> "_Held":
        return _Held(self._tensor.index_select(0, chosen.to(self.device)))

    def pick(self, chosen: Tensor | slice) -> Tensor:
        """Some of them. ``index_select`` copies whole rows, which indexing did not: 3 against 22 ms for 10,000."""
        return self._tensor[chosen] if isinstance(chosen, slice) else self._tensor.index_select(0, chosen)

    def picks(self, batches: Iterable[Tensor | slice]) -> Iterator[Tensor]:
        return map(self.pick, batches)


class _Streamed:
    """Rows that are read when they are asked for, or only those of them at the numbers ``at``."""

    def __init__(self, loader: "_Loader", device: torch.device, at: NDArray[np.int64] | None = None) -> None:
        self._loader = loader
        self._at = at
        self.device = device
        self.shape: tuple[int, ...] = loader.shape if at is None else (len(at), *loader.shape[1:])

    def subset(self, chosen: Tensor) -> "_Streamed":
        rows = chosen.numpy()
        return _Streamed(self._loader, self.device, rows if self._at is None else self._at[rows])

    def pick(self, chosen: Tensor | slice) -> Tensor:
        return next(self.picks([chosen]))

    def picks(self, batches: Iterable[Tensor | slice]) -> Iterator[Tensor]:
        for values in self._loader.read([self._numbers(chosen) for chosen in batches]):
            yield values.to(self.device)

    def _numbers(self, chosen: Tensor | slice) -> NDArray[np.int64] | slice:
        rows = chosen if isinstance(chosen, slice) else chosen.cpu().numpy()
        return rows if self._at is None else self._at[rows]


class _Loader:
    """A torch data loader that is told before each pass which batches it is to read.

    Its processes live until it is dropped. While a pass over them is not at its end, another one is read here.
    """

    def __init__(self, inputs: AnyInputs, workers: int) -> None:
        self.shape = tuple(inputs.shape)
        self._batches = _Batches(inputs)
        self._workers = workers
        self._order: list[NDArray[np.int64] | slice] = []
        self._ahead: DataLoader[Any] | None = None
        self._is_busy = False

    def read(self, order: list[NDArray[np.int64] | slice]) -> Iterator[Tensor]:
        """The rows of each batch, as they were read."""
        if not self._workers or self._is_busy or len(order) == 1:
            yield from map(_raise_error, _loader(self._batches, order, 0))
            return
        self._is_busy = True
        try:
            self._order[:] = order
            self._ahead = self._ahead or _loader(self._batches, self._order, self._workers)
            with interrupts_blocked():
                ahead = iter(self._ahead)
            yield from map(_raise_error, ahead)
        except (RuntimeError, OSError, EOFError) as error:  # what torch raises depends on what it was waiting for
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            msg = (
                f"a process that reads inputs ahead failed ({reason}): for lack of memory, say fewer --loader-workers; the "
                f"same command goes on from what is finished"
            )
            raise BadData(msg) from None
        finally:
            self._is_busy = False


def _loader(
    batches: "_Batches", order: list[NDArray[np.int64] | slice], workers: int
) -> "DataLoader[Tensor | NoisybenchError]":
    """Torch's own loader of batches that are given."""
    return DataLoader(
        batches,
        batch_size=None,  # the batches are those of ``order``
        sampler=order,  # what stands in it is handed to the data set as it is
        num_workers=workers,
        collate_fn=_unchanged,  # type: ignore[arg-type]  # torch declares it for lists of samples alone
        multiprocessing_context="spawn" if workers else None,  # a forked process inherits locks of our threads
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # else each pass would draw from torch's own, and change what dropout draws
    )


class _Batches(Dataset["Tensor | NoisybenchError"]):
    """Some rows at a time; what cannot be read is handed over, so that its sentence arrives as it was said."""

    def __init__(self, inputs: AnyInputs) -> None:
        self._inputs = inputs

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Tensor | NoisybenchError:
        try:
            return torch.tensor(read_rows(self._inputs, rows))
        except NoisybenchError as error:
            return error


def _unchanged(batch: Tensor | NoisybenchError) -> Tensor | NoisybenchError:
    return batch


def _raise_error(batch: Tensor | NoisybenchError) -> Tensor:
    """The batch, or the error that came in its stead."""
    if isinstance(batch, NoisybenchError):
        raise batch
    return batch
