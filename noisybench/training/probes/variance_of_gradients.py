"""Variance of gradients (VoG): how much the input gradient of the label's logit moves in training."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from noisybench.ground.random_streams import derive
from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When

MOST_PIXELS = 256


@dataclass(frozen=True, slots=True)
class VarianceOfGradients:
    """Mean over pixels of the deviation over epochs of S = ∂z_label/∂x, as a z-score within the given class.

    z_label is the logit of the given label, before the softmax. The deviation is that of the population, over the epochs
    at which curvature is observed; mean and deviation of the class are of the samples with the same given label. Of
    inputs of more than 256 numbers, the same random 256 of them are followed, whatever the run: sums of all would take
    two floats a pixel and sample. A class whose samples are all alike has 0.

    Source: Agarwal, D'souza and Hooker 2022, arXiv:2008.11600, section 2. (Their toy script takes the gradient of the
    probability, and divides sums of all epochs by the epochs of one stage.)
    """

    name: str = "variance_of_gradients"
    passes: float = 1.0
    gradient: bool = True

    @property
    def when(self) -> When:
        return "with_curvature"

    def __call__(self, batch: Batch) -> Tensor:
        return batch.differentiate(batch.inputs, _gradient_of_label)

    def gather(self, values: Tensor, labels: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Welford's running mean and sum of squares: S (n, m) → z-scores (n,) and memory (n, 2m + 1), the epochs last."""
        n, m = values.shape
        memory = values.new_zeros(n, 2 * m + 1) if memory is None else memory
        mean, squares, epochs = memory[:, :m], memory[:, m : 2 * m], memory[:, 2 * m :] + 1
        change = values - mean
        mean = mean + change / epochs
        squares = squares + change * (values - mean)
        deviation = squares.div(epochs).sqrt().mean(1)
        return _within_class(deviation.double(), labels).to(values.dtype), torch.cat([mean, squares, epochs], 1)


def _gradient_of_label(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the logit of each sample's label at the pixels that are followed, shape (b, m)."""
    gradient = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), inputs)[0].flatten(1)
    return gradient[:, torch.from_numpy(pixels_followed(gradient.shape[1])).to(gradient.device)]


def pixels_followed(size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Which of ``size`` numbers of an input are followed, ascending: all of few, else the first of a random order."""
    words = np.random.Philox(key=derive(0, "variance_of_gradients")).random_raw(size)
    return np.sort(np.argsort(words, kind="stable")[:MOST_PIXELS]).astype(np.int64)


def _within_class(values: Tensor, labels: Tensor) -> Tensor:
    """Values less the mean of their class, over its deviation, shape (n,); 0 where a class has none."""
    k = int(labels.max()) + 1
    counts = torch.zeros(k, dtype=values.dtype, device=values.device).index_add_(0, labels, torch.ones_like(values))
    mean = torch.zeros_like(counts).index_add_(0, labels, values) / counts.clamp_min(1)
    off = values - mean[labels]
    deviation = (torch.zeros_like(counts).index_add_(0, labels, off.square()) / counts.clamp_min(1)).sqrt()[labels]
    return torch.where(deviation > 0, off / deviation.where(deviation > 0, 1), 0.0)


PROBE: Probe = VarianceOfGradients()
