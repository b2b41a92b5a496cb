"""``timm:NAME``: what a frozen model of timm gives before its classifier."""

from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any, Literal

from noisybench.data.extraction import ExtractFeatures
from noisybench.data.features._backbone import Intake, check_size, frozen_features, load_weights
from noisybench.data.pretraining import IMAGENET, UNSAID, Pretraining
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, MissingPackage, UnknownName


@dataclass(frozen=True, slots=True)
class Backbone:
    """Pooled features of a model.

    Attributes:
        architecture: timm's name, such as ``vit_small_patch14_dinov2.lvd142m``.
        weights: A file with its state dict; None takes timm's own, which are downloaded once.
        size: Side to which images are resized; None takes that of timm's own weights. Images are normalised as these
            ask for, whatever the weights.
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
        """What the weights were trained on, as the name of timm's own weights tells it, such as ``resnet50.a1_in1k``."""
        if self.weights is not None or self.trained_on is not None:
            return Pretraining(self.trained_on or UNSAID, overlap=self.overlap)
        name, _, tag = self.architecture.partition(".")
        if not tag:
            try:
                from timm import get_pretrained_cfg
            except ModuleNotFoundError:
                return Pretraining(UNSAID, overlap=self.overlap)
            own = get_pretrained_cfg(name, allow_unregistered=True)
            tag = (own.tag if own else "") or ""
        # The last that taught it ends the tag; what went before, such as in12k, had these classes, too, or is not known.
        if tag.endswith("in1k"):
            return Pretraining(IMAGENET, supervised=True, overlap=self.overlap)
        return Pretraining(f"timm's {tag}" if tag else UNSAID, overlap=self.overlap)

    def __call__(self, source: Source, *, device: str) -> Features:
        try:
            import timm
        except ModuleNotFoundError:
            msg = f"features 'timm:{self.architecture}' need the package 'timm': pip install 'noisybench[timm]'"
            raise MissingPackage(msg) from None
        what = f"timm:{self.architecture}"
        if not timm.is_model(self.architecture.partition(".")[0]):
            raise UnknownName(unknown(self.architecture, tuple(timm.list_models()), "timm model"))
        getLogger("huggingface_hub").setLevel("ERROR")  # it tells of every try, and the sentence below says it once
        own = timm.get_pretrained_cfg(self.architecture)
        try:
            model: Any = timm.create_model(self.architecture, pretrained=self.weights is None)
        except Exception as error:  # whatever the hub, its client or a missing file raises
            msg = (
                f"timm's weights of {self.architecture} cannot be had ({type(error).__name__}); give a file with "
                f"--features-set weights=…"
            )
            raise BadData(msg) from error
        if self.weights is not None:
            classifier = model.get_classifier()
            heads = [name for name, layer in model.named_modules() if layer is classifier]
            load_weights(
                model, self.weights, head=[f"{name}.{part}" for name in heads for part in ("weight", "bias")], what=what
            )
        model.reset_classifier(0)
        side, mean, deviation = (own.input_size[-1], own.mean, own.std) if own else (224, _MEAN, _DEVIATION)
        return frozen_features(source, model, Intake(self.size or side, mean, deviation), device=device, what=what)


_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

FEATURE: type[ExtractFeatures] = Backbone
