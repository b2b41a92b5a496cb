"""Mean cosine over all permutations of the scores: the second null of the cosine."""

from noisybench.statistics.memorization_metrics import cosine_permuted
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="cosine of the permuted scores",
    words=__doc__,
    compute=cosine_permuted,
    compares="memorization",
    bounds=(-1.0, 1.0),
)
