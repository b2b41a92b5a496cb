"""Share of wrong labels among the flags when exactly as many labels are flagged as are wrong."""

from noisybench.statistics.detection_metrics import precision_at_true_count
from noisybench.statistics.influences import precision_at_true_count_influence
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="precision at the true count",
    words=__doc__,
    compute=precision_at_true_count,
    ranked=True,
    chance=lambda share: share,
    influence=precision_at_true_count_influence,
)
