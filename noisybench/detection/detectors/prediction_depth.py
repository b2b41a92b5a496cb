"""Prediction depth: the layer from which on a sample's nearest neighbours have its label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def prediction_depth(trace: Trace) -> NDArray[np.float64]:
    """First layer from which on the neighbours agree with the label in every layer, at the last epoch: (e, n, l) → (n,).

    Layers count from 0, which is what the first block is given; where the neighbours disagree in the last of l layers, the
    depth is l. They agree where more of them have the label than any other. Equal depths, of which there are many, are
    ordered by the mean lead of the label over all layers, from 1 to -1, which adds less than one layer: (1 - lead) / 3.
    """
    leads = trace["prediction_depth"][-1]
    leads = leads.reshape(len(leads), -1)
    disagree = leads <= 0
    layers = leads.shape[1]
    depth = np.where(disagree.any(1), layers - disagree[:, ::-1].argmax(1), 0)
    return depth + (1 - leads.mean(1, dtype=np.float64)) / 3


DETECTOR = Detector(
    name="prediction_depth",
    needs=("prediction_depth",),
    score=prediction_depth,
    source="Baldock, Maennel and Neyshabur 2021, arXiv:2106.09647, section 2 (agreement with the given label)",
    information={"in_sample"},
    smallest_set="all",
)
