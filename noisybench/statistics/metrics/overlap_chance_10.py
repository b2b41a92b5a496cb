"""Mean overlap of the top 10 % over all permutations of the scores."""

from functools import partial

from noisybench.statistics.memorization_metrics import overlap_chance
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="chance overlap of the top 10 %",
    words=__doc__,
    compute=partial(overlap_chance, 10),
    compares="memorization",
)
