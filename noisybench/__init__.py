"""Label-noise benchmarks: build noisy variants, evaluate what a model memorizes, rank the detectors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "UNKNOWN": "arrays",
    "find": "catalog",
    "load_source": "catalog",
    "names": "catalog",
    "Source": "source",
    "source_from_arrays": "source",
    "Variant": "variant",
    "build_variant": "variant",
    "read_variant": "variant",
    "write_variant": "variant",
    "describe": "description",
    "Trace": "trace",
    "read_trace": "trace",
    "Detector": "scoring",
    "Scores": "scoring",
    "score": "scoring",
    "Recorder": "observing",
    "observe": "observing",
    "Recipe": "training",
    "train": "training",
    "against_labels": "agreement",
    "evaluate": "evaluation",
    "leaderboard": "leaderboard",
    "to_markdown": "leaderboard",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Import a public name where it is first used, so that ``noisybench --help`` does not wait for torch."""
    if name not in _HOME:
        msg = f"module 'noisybench' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(import_module(f"noisybench.{_HOME[name]}"), name)


if TYPE_CHECKING:
    from noisybench.agreement import against_labels
    from noisybench.arrays import UNKNOWN
    from noisybench.catalog import find, load_source, names
    from noisybench.description import describe
    from noisybench.evaluation import evaluate
    from noisybench.leaderboard import leaderboard, to_markdown
    from noisybench.observing import Recorder, observe
    from noisybench.scoring import Detector, Scores, score
    from noisybench.source import Source, source_from_arrays
    from noisybench.trace import Trace, read_trace
    from noisybench.training import Recipe, train
    from noisybench.variant import Variant, build_variant, read_variant, write_variant
