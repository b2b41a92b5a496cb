"""Principal components of the inputs."""

from dataclasses import dataclass

from noisybench.data.extraction import ExtractFeatures, features_of
from noisybench.data.features._components import principal
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import whole


@dataclass(frozen=True, slots=True)
class Pca:
    """The first principal components of the flattened inputs, in the order of their variance, not whitened.

    Attributes:
        components: How many; fewer where there are fewer samples or dimensions.

    Source: Pearson 1901, doi:10.1080/14786440109462720; by scikit-learn.
    """

    components: int = 128

    def __post_init__(self) -> None:
        whole(self.components, "components", least=1)

    def __call__(self, source: Source, *, device: str) -> Features:
        del device
        return principal(features_of(source, "input"), self.components)


FEATURE: type[ExtractFeatures] = Pca
