"""Stopping a run: at which epoch each rule would have ended its training, and how accurate the model was then."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.checks import a_path
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_columns
from noisybench.runs.noisy_validation_run import CURVE as VALIDATION
from noisybench.runs.pmv_run import CURVE as PMV
from noisybench.runs.ratt_run import CURVE as RATT
from noisybench.runs.reading import Run, read_run
from noisybench.runs.record import OF_RULES, Regime
from noisybench.statistics.stopping import Stop, highest, label_wave, lowest, regret, trainable_and_resistant
from noisybench.training.trace import read_trace

CURVES: Mapping[Regime, str] = {"noisy_validation": VALIDATION, "ratt": RATT, "pmv": PMV}
"""Rule with trainings of its own → the column of their history by which it chooses, see ``Scheme.curve``."""


@dataclass(frozen=True, slots=True)
class StoppedAt:
    """Where a rule would have stopped a training.

    Attributes:
        rule: ``last_epoch``, ``label_wave``, ``training_loss``, ``accuracy_and_susceptibility``, ``noisy_validation``,
            ``ratt`` or ``pmv``; or ``best_test_accuracy``, which is no rule, and what the others' regret is against.
        epoch: Whose model is kept; None where the rule names none, or what it reads was not recorded.
        found: Whether the rule stopped by itself; False where the training ended first.
        test_accuracy: Of the model of that epoch; NaN where there is no epoch or no test set.
        regret: Test accuracy at the best epoch of the same training, minus that.
    """

    rule: str
    epoch: int | None
    found: bool
    test_accuracy: float
    regret: float


def stopping_of(run: str | os.PathLike[str] | Run) -> tuple[StoppedAt, ...]:
    """Where each rule would have stopped the training of a run, and the test accuracy there.

    Of an observed training these are the rules that need no other one: the last epoch, Label Wave, the lowest training
    loss, and training accuracy with susceptibility. Of a run that ``evaluate`` made for a rule of its own (``rules=``) it
    is that rule, on that training. The epoch of highest test accuracy comes last, which nobody knows who has no test set
    of right labels. Other runs have none.

    Args:
        run: A finished run, or its folder.

    Raises:
        BadData: A file of it is missing or broken.
    """
    known = run if isinstance(run, Run) else read_run(Path(a_path(run, "run")))
    if not known.finished or known.record.regime not in ("training", *OF_RULES):
        return ()
    history = _history(known.path)
    unknown: Floats = np.full(known.record.epochs, np.nan)
    tested = history.get("test_accuracy", unknown)
    if known.record.regime == "training":
        stops = {
            "last_epoch": Stop(known.record.epochs),
            "label_wave": _label_wave(known.path),
            "training_loss": lowest(history.get("train_loss", unknown)),
            "accuracy_and_susceptibility": trainable_and_resistant(
                history.get("train_accuracy", unknown), history.get("susceptibility", unknown)
            ),
        }
    else:
        rule = known.record.regime
        curve = history.get(CURVES[rule], unknown)
        stops = {rule: lowest(curve) if rule == "ratt" else highest(curve)}
    stops["best_test_accuracy"] = highest(tested)
    return tuple(
        StoppedAt(
            rule,
            stop.epoch,
            stop.found,
            float("nan") if stop.epoch is None else float(tested[stop.epoch - 1]),
            regret(tested, stop.epoch),
        )
        for rule, stop in stops.items()
    )


def _history(folder: Path) -> Mapping[str, Floats]:
    """The columns of a history, which has a value for each epoch of each.

    Raises:
        BadData: It is missing or broken, or has none.
    """
    columns = read_columns(folder / "history.parquet")[0]
    if not columns or any(not values.size or values.dtype.kind not in "fiu" for values in columns.values()):
        msg = f"{folder / 'history.parquet'} holds no numbers, one an epoch; evaluate again"
        raise BadData(msg)
    return columns


def _label_wave(folder: Path) -> Stop:
    """Label Wave on the recorded predictions."""
    column = read_trace(folder / "trace").column("prediction")
    stop = label_wave(column.values)
    return Stop(None if stop.epoch is None else int(column.epochs[stop.epoch - 1]), stop.found)
