"""Where rules of stopping would have ended a training, as lines for people and as a record for machines."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noisybench.runs.stopping import StoppedAt

WORDS = {
    "last_epoch": "last epoch",
    "label_wave": "Label Wave",
    "training_loss": "lowest training loss",
    "accuracy_and_susceptibility": "accuracy and susceptibility",
    "noisy_validation": "noisy validation",
    "ratt": "RATT",
    "pmv": "PMV",
    "best_test_accuracy": "best test accuracy",
}


def record_of_stopping(stops: "Sequence[StoppedAt]") -> list[dict[str, Any]]:
    """The rules of a run as JSON; null where something is not known."""
    return [
        {key: None if isinstance(value, float) and isnan(value) else value for key, value in asdict(stop).items()}
        for stop in stops
    ]


def stopping_line(stops: "Sequence[StoppedAt]") -> str:
    """The rules of a run in a line: ``stopped by Label Wave at epoch 12 (test accuracy 0.934, regret 0.002)``, and so on."""
    return "stopped by " + "; ".join(f"{WORDS[stop.rule]} at {_said(stop)}" for stop in stops)


def _said(stop: "StoppedAt") -> str:
    if stop.epoch is None:
        return "no epoch"
    ended = "" if stop.found else ", where the training ended first"
    if isnan(stop.test_accuracy):
        return f"epoch {stop.epoch}{ended}"
    lost = "" if stop.rule == "best_test_accuracy" else f", regret {stop.regret:.3f}"
    return f"epoch {stop.epoch}{ended} (test accuracy {stop.test_accuracy:.3f}{lost})"
