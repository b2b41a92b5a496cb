"""Cosine of one number for every sample with memorization: the first null of the cosine."""

from noisybench.statistics.memorization_metrics import cosine_constant
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="cosine of a constant",
    words=__doc__,
    compute=cosine_constant,
    compares="memorization",
    bounds=(-1.0, 1.0),
)
