"""Checks of a run's history: each column that can be computed again is, from the trace, the recipe or the models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_columns
from noisybench.runs.record import RunRecord
from noisybench.runs.record_checks import recipe_of
from noisybench.training.recipe import learning_rate
from noisybench.training.trace import Trace
from noisybench.variants.variant import Variant


def check_epochs(path: Path, trace: Trace, epochs: int) -> None:
    """What every run records was observed at the end; the columns of detectors are checked by their scores."""
    for name in ("correct", "prediction"):
        last = trace.column(name).epochs[-1]
        if last != epochs:
            msg = (
                f"{path}: '{name}' was last observed in epoch {last} of {epochs}; delete that folder and evaluate again"
            )
            raise BadData(msg)


def check_history(path: Path, trace: Trace, record: RunRecord, variant: Variant) -> None:
    """Each column of a history that can be computed again is: epochs, rates of learning, shares of labels fitted."""
    history = read_columns(path / "history.parquet")[0]
    correct = trace.column("correct")
    if not np.array_equal(history.get("epoch", np.zeros(0)), correct.epochs):
        msg = f"{path}: history.parquet and the trace are of different epochs; delete that folder and evaluate again"
        raise BadData(msg)
    for name, chosen in (("mislabeled_fit", variant.mislabeled), ("clean_fit", variant.known & ~variant.mislabeled)):
        shares = [row[chosen].mean(dtype=np.float64) if chosen.any() else np.nan for row in correct.values]
        check_history_column(path, name, history.get(name), np.array(shares), "the trace gives")
    if "activation_change" in history:
        changes = trace.mean_at("activation_change", history["epoch"].tolist())
        check_history_column(path, "activation_change", history["activation_change"], changes, "the trace gives")
    if "learning_rate" in history:
        if len(history["epoch"]) != record.epochs:  # before as many rates are computed: the record may claim a billion
            msg = f"{path}: history.parquet has {len(history['epoch'])} epochs of {record.epochs}; delete that folder and evaluate again"
            raise BadData(msg)
        recipe, n = recipe_of(record), int((~variant.dropped).sum())
        steps = -(-n // recipe.batch_size)
        steps -= steps > 1 and n % recipe.batch_size == 1  # a last batch of one joins the one before
        rates = [
            learning_rate(recipe, epoch * steps - 1, recipe.epochs * steps) for epoch in range(1, recipe.epochs + 1)
        ]
        check_history_column(path, "learning_rate", history["learning_rate"], np.array(rates), "the recipe gives")
    _check_readings(path, history, record)
    for name in ("train_accuracy", "test_accuracy"):
        values = history.get(name, np.zeros(0))
        if not ((values >= 0) & (values <= 1) | np.isnan(values)).all():
            msg = f"{path}: {name} of history.parquet is no share; delete that folder and evaluate again"
            raise BadData(msg)
    if record.test_sha256 is None and np.isfinite(history.get("test_accuracy", np.zeros(0))).any():
        msg = f"{path}: history.parquet has a test_accuracy, the record no test set; delete that folder and evaluate again"
        raise BadData(msg)
    if record.susceptibility == "off" and np.isfinite(history.get("susceptibility", np.zeros(0))).any():
        msg = f"{path}: history.parquet has a susceptibility, which the record says was off; delete that folder and evaluate again"
        raise BadData(msg)


def _check_readings(path: Path, history: Mapping[str, Floats], record: RunRecord) -> None:
    """Each further reading of susceptibility is the mean of its own drops."""
    for name in record.susceptibility_also or ():
        drops = history.get(f"susceptibility_drop.{name}", np.zeros(0))
        counted = np.where(np.arange(len(drops)) < name.startswith("authors"), 0.0, drops)
        made = np.cumsum(counted) / np.arange(1, len(drops) + 1)
        column = f"susceptibility.{name}"
        check_history_column(path, column, history.get(column), made, "the drops give")


def check_history_of_fits(path: Path, made: Mapping[str, Floats], *, tested: bool = False) -> None:
    """Each column of a history of several trainings is what their trace gives; accuracy on the test set is a share.

    Args:
        path: The run's folder.
        made: Columns that follow from its trace.
        tested: Whether the test set was asked.
    """
    history = read_columns(path / "history.parquet")[0]
    if tested:
        values = history.pop("test_accuracy", np.full(1, 2.0))
        if len(values) != len(made["epoch"]) or not ((values >= 0) & (values <= 1) | np.isnan(values)).all():
            msg = f"{path}: history.parquet has no test_accuracy that is a share for each epoch; delete that folder and evaluate again"
            raise BadData(msg)
    odd = sorted({*history} - {*made})
    if odd:
        msg = f"{path}: history.parquet has a column '{odd[0][:60]}', which such a run has not; delete that folder and evaluate again"
        raise BadData(msg)
    for name, values in made.items():
        check_history_column(path, name, history.get(name), values, "the trace gives")


def check_history_column(path: Path, name: str, told: Any, found: Any, words: str = "the record gives") -> None:  # noqa: ANN401
    """Raise ``BadData`` unless a column of a history is the one that was computed again, shape (e,)."""
    if told is None or told.shape != found.shape:
        msg = f"{path}: history.parquet has no {name} for each epoch; delete that folder and evaluate again"
        raise BadData(msg)
    odd = np.flatnonzero(~np.isclose(told, found, rtol=0, atol=1e-12, equal_nan=True))
    if odd.size:
        epoch = int(odd[0])
        msg = (
            f"{path}: {name} of epoch {epoch + 1} is {told[epoch]} in history.parquet, {words} {found[epoch]}; "
            f"delete that folder and evaluate again"
        )
        raise BadData(msg)
