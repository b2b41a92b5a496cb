"""Share of the wrong labels that are flagged at the cut that is found without a truth."""

from noisybench.statistics.cut_metrics import cut_recall
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="recall at its own cut",
    words=__doc__,
    compute=cut_recall,
    compares="cut",
)
