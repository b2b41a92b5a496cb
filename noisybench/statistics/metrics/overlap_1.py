"""Share of the 1 % most suspicious samples that are among as many most memorized ones."""

from functools import partial

from noisybench.statistics.memorization_metrics import overlap
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="overlap of the top 1 %",
    words=__doc__,
    compute=partial(overlap, 1),
    compares="memorization",
    chance=0.01,
)
