"""Mean precision over the recall steps: precision of the flags, wherever the cut is set."""

from noisybench.statistics.detection_metrics import average_precision
from noisybench.statistics.influences import average_precision_influence
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="average precision",
    words=__doc__,
    compute=average_precision,
    ranked=True,
    chance=lambda share: share,
    influence=average_precision_influence,
)
