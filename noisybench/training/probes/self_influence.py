"""What a step on a sample takes off its own loss: rate times squared gradient norm in the last layer's weights."""

import logging
from functools import cache

from torch import Tensor

from noisybench.training.asking import Batch
from noisybench.training.probe import Probe
from noisybench.training.probes._last_layer import LastLayerProbe, last_gradient_norm

log = logging.getLogger("noisybench")


def self_influence(batch: Batch) -> Tensor:
    """η‖p - e‖²(‖φ‖² + 1), with η the learning rate at the end of the epoch: shape (b,), in nats.

    Where the rate is not known it is 1, so that all epochs count alike.

    Source: Pruthi et al. 2020, arXiv:2002.08484, a term of TracInCP with test sample and training sample the same.
    """
    if batch.learning_rate is None:
        _say_that_rates_are_unknown()
        return last_gradient_norm(batch).square()
    return batch.learning_rate * last_gradient_norm(batch).square()


@cache
def _say_that_rates_are_unknown() -> None:
    log.warning("self_influence weighs every epoch alike: give learning_rate= to observe, and each has its own weight")


PROBE: Probe = LastLayerProbe("self_influence", self_influence)
