"""Spearman's rank correlation of scores with memorization."""

from noisybench.statistics.memorization_metrics import spearman
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="Spearman's ρ",
    words=__doc__,
    compute=spearman,
    compares="memorization",
    chance=0.0,
    bounds=(-1.0, 1.0),
)
