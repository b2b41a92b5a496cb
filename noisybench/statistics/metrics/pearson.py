"""Pearson's correlation of scores with memorization."""

from noisybench.statistics.memorization_metrics import pearson
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="Pearson's r",
    words=__doc__,
    compute=pearson,
    compares="memorization",
    chance=0.0,
    bounds=(-1.0, 1.0),
)
