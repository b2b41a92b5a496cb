"""Spearman's correlation with memorization that the held-out error does not explain."""

from noisybench.statistics.memorization_metrics import partial_spearman
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="Spearman's ρ given the held-out error",
    words=__doc__,
    compute=partial_spearman,
    compares="memorization",
    chance=0.0,
    bounds=(-1.0, 1.0),
    needs_held_out_error=True,
)
