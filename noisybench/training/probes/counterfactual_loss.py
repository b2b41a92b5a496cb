"""Cross-entropy of a random label: what the loss would be of a sample that carries no information."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from noisybench.ground.random_streams import derive
from noisybench.training.asking import Batch
from noisybench.training.probe import Probe
from noisybench.training.probes._logits import cross_entropy

WORDS_PER_COUNT = 4  # Philox gives its words by fours; a sample takes the first of its four


@dataclass(frozen=True, slots=True)
class CounterfactualLoss:
    """Cross-entropy of a label drawn uniformly from all classes, the given one included, in nats: (b, k) → (b,).

    Each sample's label is drawn once, so that its mean over a window of epochs is a draw of the distribution of such
    means that uniformly random labels would have, had the model not been trained on them.

    Attributes:
        seed: Of the labels, which depend on it, the sample and the number of classes alone.

    Source: Song et al. 2020, arXiv:2003.10647, the counterfactual distribution {-log p_k(x): k uniform}.
    """

    seed: int = 0

    @property
    def name(self) -> str:
        return "counterfactual_loss"

    @property
    def passes(self) -> float:
        return 0.0

    @property
    def gradient(self) -> bool:
        return False

    def __call__(self, batch: Batch) -> Tensor:
        b, k = batch.logits.shape
        stream = np.random.Philox(key=derive(self.seed, "counterfactual label"), counter=batch.start)
        words = stream.random_raw(b * WORDS_PER_COUNT)[::WORDS_PER_COUNT]
        labels = ((words >> np.uint64(11)) * 2.0**-53 * k).astype(np.int64)
        return cross_entropy(batch.logits, torch.from_numpy(labels).to(batch.logits.device))


PROBE: Probe = CounterfactualLoss()
