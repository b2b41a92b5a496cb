"""``torchvision:NAME``: what a frozen classifier of torchvision gives before its last layer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.error import URLError

from noisybench.data.extraction import ExtractFeatures
from noisybench.data.features._backbone import Intake, check_size, frozen_features, load_weights
from noisybench.data.pretraining import IMAGENET, UNSAID, Pretraining
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, BadUsage, UnknownName


@dataclass(frozen=True, slots=True)
class Backbone:
    """Inputs of the last linear layer of a classifier.

    Attributes:
        architecture: torchvision's name, such as ``resnet18``.
        weights: A file with its state dict; None takes torchvision's own, which are downloaded once.
        size: Side to which images are resized; None takes that of torchvision's own weights. Images are normalised as
            these ask for, whatever the weights.
        trained_on: What weights of a file were trained on, for the record, such as ``ImageNet-1k``; None: unknown.
        overlap: Whether those data have classes of the source, for the record; None: as their names tell.
    """

    architecture: str
    weights: Path | None = None
    size: int | None = None
    trained_on: str | None = None
    overlap: Literal["yes", "no"] | None = None

    def __post_init__(self) -> None:
        check_size(self.size)

    @property
    def pretraining(self) -> Pretraining:
        """What the weights were trained on; those of torchvision were all taught labels of ImageNet in the end."""
        if self.weights is not None or self.trained_on is not None:
            return Pretraining(self.trained_on or UNSAID, overlap=self.overlap)
        return Pretraining(IMAGENET, supervised=True, overlap=self.overlap)

    def __call__(self, source: Source, *, device: str) -> Features:
        from torch import nn
        from torchvision import models

        known = tuple(models.list_models(module=models))
        if self.architecture not in known:
            raise UnknownName(unknown(self.architecture, known, "torchvision model"))
        own = models.get_model_weights(self.architecture).DEFAULT
        what = f"torchvision:{self.architecture}"
        try:
            model = models.get_model(self.architecture, weights=own if self.weights is None else None)
        except (URLError, OSError) as error:
            msg = (
                f"torchvision's weights of {self.architecture} cannot be downloaded ({type(error).__name__}); give a file "
                f"with --features-set weights=…"
            )
            raise BadData(msg) from None
        named = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
        if not named:
            msg = f"{what} has no linear layer to take off; take another architecture, such as torchvision:resnet18"
            raise BadUsage(msg)
        last = named[-1]
        if self.weights is not None:
            load_weights(model, self.weights, head=(f"{last}.weight", f"{last}.bias"), what=what)
        holder, _, name = last.rpartition(".")
        setattr(model.get_submodule(holder), name, nn.Identity())
        taken = own.transforms()
        intake = Intake(self.size or taken.crop_size[0], taken.mean, taken.std)
        return frozen_features(source, model, intake, device=device, what=what)


FEATURE: type[ExtractFeatures] = Backbone
