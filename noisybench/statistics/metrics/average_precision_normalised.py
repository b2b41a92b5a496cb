"""Average precision with chance at 0 and perfection at 1."""

from noisybench.statistics.detection_metrics import average_precision_normalised
from noisybench.statistics.influences import average_precision_normalised_influence
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="average precision above chance",
    words=__doc__,
    compute=average_precision_normalised,
    ranked=True,
    chance=0.0,
    bounds=(-float("inf"), 1.0),
    influence=average_precision_normalised_influence,
)
