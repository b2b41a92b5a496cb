"""Kendall's τ-b: concordant less discordant pairs, as a share of the pairs that are not tied."""

from noisybench.statistics.memorization_metrics import kendall
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="Kendall's τ-b",
    words=__doc__,
    compute=kendall,
    compares="memorization",
    chance=0.0,
    bounds=(-1.0, 1.0),
)
