"""Length of the gradient of a sample's loss in the last layer's weights."""

from noisybench.training.probe import Probe
from noisybench.training.probes._last_layer import LastLayerProbe, last_gradient_norm

PROBE: Probe = LastLayerProbe("gradient_norm", last_gradient_norm)
