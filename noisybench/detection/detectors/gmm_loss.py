"""DivideMix's mixture of two Gaussians on the losses of the last epoch."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.statistics.two_gaussians import two_gaussians
from noisybench.training.trace import Trace


def gmm_loss(trace: Trace) -> NDArray[np.float64]:
    """Posterior of the high-loss component at the last epoch: (e, n) → (n,), in [0, 1].

    Losses are brought to [0, 1] first. Equal losses tell nothing: every sample then gets 0.5. A posterior is no loss:
    the wider component also claims the far low tail.
    """
    losses = trace["loss"][-1].astype(np.float64)
    lowest, spread = losses.min(), np.ptp(losses)
    if spread == 0:
        return np.full(len(losses), 0.5)
    scaled = (losses - lowest) / spread
    return two_gaussians(scaled).posteriors(scaled)


DETECTOR = Detector(
    name="gmm_loss",
    needs=("loss",),
    score=gmm_loss,
    source="Li, Socher and Hoi 2020, arXiv:2002.07394, section 3.1 (one minus the clean probability)",
    information={"in_sample"},
    smallest_set="fast",
)
