"""Share of wrong labels among the 1 % most suspicious."""

from functools import partial

from noisybench.statistics.detection_metrics import precision_at
from noisybench.statistics.influences import precision_at_influence
from noisybench.statistics.metric import Metric

METRIC = Metric(
    title="precision at 1 %",
    words=__doc__,
    compute=partial(precision_at, 1),
    ranked=True,
    chance=lambda share: share,
    influence=partial(precision_at_influence, 1),
)
