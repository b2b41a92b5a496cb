"""Share of wrong labels in whose place the right class is suggested."""

from noisybench.statistics.metric import Metric
from noisybench.statistics.suggestion_metrics import suggestion_accuracy

METRIC = Metric(
    title="accuracy of suggested labels",
    words=__doc__,
    compute=suggestion_accuracy,
    compares="suggestion",
)
