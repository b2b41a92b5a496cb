"""Mean AUROC over the given classes that hold both wrong and right labels."""

from noisybench.statistics.detection_metrics import auroc_within_class
from noisybench.statistics.influences import auroc_within_class_influence
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="AUROC within given class",
    words=__doc__,
    compute=auroc_within_class,
    ranked=True,
    chance=0.5,
    influence=auroc_within_class_influence,
)
