"""Cosine of the angle between scores and memorization, to be read against its two nulls."""

from noisybench.statistics.memorization_metrics import cosine
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="cosine",
    words=__doc__,
    compute=cosine,
    compares="memorization",
    bounds=(-1.0, 1.0),
)
