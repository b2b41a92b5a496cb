"""Label-noise benchmarks: build noisy variants, evaluate what a model memorizes, rank the detectors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from noisybench.ground.version import __version__

_HOME = {
    "UNKNOWN": "ground.arrays",
    "WRONG": "ground.arrays",
    "find": "ground.lookup",
    "load_source": "data.loading",
    "names": "ground.lookup",
    "Source": "data.source",
    "source_from_arrays": "data.source",
    "ImageFiles": "data.lazy_inputs",
    "ArrowRows": "data.lazy_inputs",
    "Variant": "variants.variant",
    "build_variant": "variants.building",
    "read_variant": "variants.variant",
    "write_variant": "variants.variant",
    "write_cards": "cards.variant_card",
    "describe": "cards.description",
    "Trace": "training.trace",
    "read_trace": "training.trace",
    "Detector": "detection.scoring",
    "Scores": "detection.scoring",
    "score": "detection.scoring",
    "Recorder": "training.observing",
    "observe": "training.observing",
    "Recipe": "training.recipe",
    "train": "training.training",
    "against_labels": "board.agreement",
    "evaluate": "board.results",
    "plan_learner": "memorization.subset_plan",
    "memorize": "board.results",
    "detect": "board.results",
    "read_memorization": "memorization.estimate",
    "against_memorization": "board.agreement",
    "features_of": "data.extraction",
    "score_given": "board.results",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Import a public name where it is first used, so that ``noisybench --help`` does not wait for torch."""
    if name not in _HOME:
        msg = f"module 'noisybench' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(import_module(f"noisybench.{_HOME[name]}"), name)


if TYPE_CHECKING:  # what __getattr__ gives, for type checkers
    from noisybench.board.agreement import against_labels as against_labels
    from noisybench.board.agreement import against_memorization as against_memorization
    from noisybench.board.results import detect as detect
    from noisybench.board.results import evaluate as evaluate
    from noisybench.board.results import memorize as memorize
    from noisybench.board.results import score_given as score_given
    from noisybench.cards.description import describe as describe
    from noisybench.cards.variant_card import write_cards as write_cards
    from noisybench.data.extraction import features_of as features_of
    from noisybench.data.lazy_inputs import ArrowRows as ArrowRows
    from noisybench.data.lazy_inputs import ImageFiles as ImageFiles
    from noisybench.data.loading import load_source as load_source
    from noisybench.data.source import Source as Source
    from noisybench.data.source import source_from_arrays as source_from_arrays
    from noisybench.detection.scoring import Detector as Detector
    from noisybench.detection.scoring import Scores as Scores
    from noisybench.detection.scoring import score as score
    from noisybench.ground.arrays import UNKNOWN as UNKNOWN
    from noisybench.ground.arrays import WRONG as WRONG
    from noisybench.ground.lookup import find as find
    from noisybench.ground.lookup import names as names
    from noisybench.memorization.estimate import read_memorization as read_memorization
    from noisybench.memorization.subset_plan import plan_learner as plan_learner
    from noisybench.training.observing import Recorder as Recorder
    from noisybench.training.observing import observe as observe
    from noisybench.training.recipe import Recipe as Recipe
    from noisybench.training.trace import Trace as Trace
    from noisybench.training.trace import read_trace as read_trace
    from noisybench.training.training import train as train
    from noisybench.variants.building import build_variant as build_variant
    from noisybench.variants.variant import Variant as Variant
    from noisybench.variants.variant import read_variant as read_variant
    from noisybench.variants.variant import write_variant as write_variant
