"""Mean overlap of the top 1 % over all permutations of the scores."""

from functools import partial

from noisybench.statistics.memorization_metrics import overlap_chance
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="chance overlap of the top 1 %",
    words=__doc__,
    compute=partial(overlap_chance, 1),
    compares="memorization",
)
