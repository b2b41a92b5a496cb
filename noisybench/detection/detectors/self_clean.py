"""SelfClean: how far the nearest sample of the same label is, against the nearest of another."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace

NEEDS = ("features.nearest_same", "features.nearest_other")


def self_clean(trace: Trace) -> NDArray[np.float64]:
    """Squared distance to the nearest of the label, as a share of that and the nearest other's: (1, n) → (n,), in [0, 1].

    The authors' code returns one minus this, and sorts it upwards.
    """
    same, other = (trace[name][-1].astype(np.float64) ** 2 for name in NEEDS)
    return np.divide(same, same + other, out=np.full(len(same), 0.5), where=same + other > 0)


DETECTOR = Detector(
    name="self_clean",
    needs=NEEDS,
    score=self_clean,
    source="Gröger et al. 2024, arXiv:2305.17048, section 3 (intra and extra class distance ratio)",
    information={"held_out"},
)
