"""Share of wrong labels that are missed when exactly as many labels are flagged as are wrong."""

from noisybench.statistics.detection_metrics import false_negative_rate
from noisybench.statistics.influences import false_negative_rate_influence
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="false-negative rate at the true count",
    words=__doc__,
    compute=false_negative_rate,
    ranked=True,
    chance=lambda share: 1 - share,
    higher_is_better=False,
    influence=false_negative_rate_influence,
)
