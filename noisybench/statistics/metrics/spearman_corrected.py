"""Spearman's correlation, corrected for what memorization was measured with: its reliability."""

from noisybench.statistics.memorization_metrics import spearman_corrected
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="Spearman's ρ, corrected for attenuation",
    words=__doc__,
    compute=spearman_corrected,
    compares="memorization",
    chance=0.0,
    bounds=(-float("inf"), float("inf")),
)
