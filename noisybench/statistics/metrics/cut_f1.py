"""F1 of the flags at the cut that is found without a truth."""

from noisybench.statistics.cut_metrics import cut_f1
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="F1 at its own cut",
    words=__doc__,
    compute=cut_f1,
    compares="cut",
)
