"""How far the share of flagged labels is from the share of wrong ones."""

from noisybench.statistics.cut_metrics import cut_calibration_error
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="calibration error of its own cut",
    words=__doc__,
    compute=cut_calibration_error,
    compares="cut",
    higher_is_better=False,
)
