"""On-the-fly data denoising: where a sample's loss stands among those of uniformly random labels."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def odd(trace: Trace) -> NDArray[np.float64]:
    """Share of counterfactual losses below a sample's, both as means over epochs: (e, n) → (n,), in [0, 1].

    Equal ones count half. A score has a meaning of its own: the authors drop samples above the 10 % quantile, scores
    above 0.1, so that a label that tells nothing is kept with probability 0.1. Over all recorded epochs, as the phase of
    the large rate, at whose end the authors look at the last few, is in none of noisybench's recipes; in rank it is then
    ``cumulative_loss`` but for samples beyond all counterfactual losses, which tie.
    """
    losses = trace["loss"].mean(0, dtype=np.float64)
    reference = np.sort(trace["counterfactual_loss"].mean(0, dtype=np.float64))
    below, up_to = (np.searchsorted(reference, losses, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(reference))


DETECTOR = Detector(
    name="odd",
    needs=("loss", "counterfactual_loss"),
    score=odd,
    source="Song et al. 2020, arXiv:2003.10647, quantile of the counterfactual loss distribution (over all epochs)",
    information={"in_sample"},
    smallest_set="fast",
)
