"""What is told of a model at the end of its training, and in which words."""

import math
from collections.abc import Iterable, Mapping

FIT_WORDS: Mapping[str, str] = {
    "test_accuracy": "test accuracy",
    "mislabeled_fit": "wrong labels fitted",
    "clean_fit": "right labels fitted",
    "susceptibility": "susceptibility",
}
"""Name of a column of a history → what tables and commands call it."""
FITS = tuple(FIT_WORDS)
RIGHT_SHARES = (0.5, 0.7, 0.8, 0.9, 0.95)
"""Shares of right labels fitted at which tables compare the wrong labels fitted."""

SUSCEPTIBILITY = (
    "Susceptibility: by how many nats one step on randomly labelled inputs lowers their mean loss, mean over the epochs; "
    "the higher, the faster the model would fit wrong labels."
)


def on_susceptibility(values: Iterable[float]) -> str:
    """What susceptibility is, where it is told, and what it means where it is below zero; empty where none is known."""
    known = [value for value in values if not math.isnan(value)]
    below = " Below zero: the steps went too far, and raised that loss." if any(value < 0 for value in known) else ""
    return f"{SUSCEPTIBILITY}{below}" if known else ""
