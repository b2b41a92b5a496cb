"""Cook's distance of ridge regression: how far a sample's label moves the answers."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def cooks_distance(trace: Trace) -> NDArray[np.float64]:
    """Leverage times the squared error of the answers without the sample: (1, n) → (n,), from 0 up.

    Its control is ``ridge_leverage``, the factor that looks at no label.
    """
    return trace["features.cooks_distance"][-1].astype(np.float64)


DETECTOR = Detector(
    name="cooks_distance",
    needs=("features.cooks_distance",),
    score=cooks_distance,
    source="Cook 1977, doi:10.1080/00401706.1977.10489493 (of one-hot labels, without the constant)",
    information={"held_out"},
)
