"""Share of wrong labels among those that are flagged at the cut that is found without a truth."""

from noisybench.statistics.cut_metrics import cut_precision
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="precision at its own cut",
    words=__doc__,
    compute=cut_precision,
    compares="cut",
    chance=lambda share: share,
)
