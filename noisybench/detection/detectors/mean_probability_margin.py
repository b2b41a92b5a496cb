"""Margin of the probabilities that were predicted on average over training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace

LEAST = float(np.finfo(np.float32).smallest_subnormal)
"""Least probability above 0 that a trace can hold: its logarithm stands for that of 0."""


def mean_probability_margin(trace: Trace) -> NDArray[np.float64]:
    """Log mean probability of the best other class minus that of the label: (1, n, k) → (n,), in nats.

    A mean of probabilities hears the epochs in which the label was not learnt yet, where a mean of margins hears those
    with the largest logits: the two rank differently.
    """
    means = trace["mean_probabilities"][-1].copy()
    here, labels = np.arange(len(means)), given_labels(trace)
    own = means[here, labels].astype(np.float64)
    means[here, labels] = 0
    return np.log(means.max(1).astype(np.float64).clip(LEAST)) - np.log(own.clip(LEAST))


def likeliest_other(trace: Trace) -> Labels:
    """The class with the greatest mean probability but for the given one: (1, n, k) → (n,)."""
    means = trace["mean_probabilities"][-1].copy()
    means[np.arange(len(means)), given_labels(trace)] = -1
    best: Labels = means.argmax(1)
    return best


DETECTOR = Detector(
    name="mean_probability_margin",
    needs=("given", "mean_probabilities"),
    score=mean_probability_margin,
    source="Pickler, Kamassury and Silva 2025, arXiv:2510.16211, average "
    "probability with the logit margin, in-sample (the margin read as that of log probabilities, negated)",
    information={"in_sample"},
    smallest_set="fast",
    suggest=likeliest_other,
)
