"""Chance that a wrong label scores above a right one, a tie counting one half."""

from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.influences import auroc_influence
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="AUROC",
    words=__doc__,
    compute=auroc,
    ranked=True,
    chance=0.5,
    influence=auroc_influence,
)
