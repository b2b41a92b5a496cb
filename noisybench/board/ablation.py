"""Ablations by name: the options of a recipe, of watching or of a pool that tell apart what a table would show alike."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from noisybench.data.source import Option
from noisybench.runs.reading import Run
from noisybench.runs.record import RunRecord, Setup, option_of

Ablation: TypeAlias = tuple[tuple[str, Option], ...]
"""Options by the name of their field in ``run.json``, as ``("lr", 0.02)``."""
OPTIONS = (
    "batch_size", "lr", "momentum", "weight_decay", "schedule", "augmentation", "precision",
    "optimizer", "cosine_cycles", "cosine_floor", "milestones", "milestone_factor",
    "curvature_every", "curvature_draws", "curvature_step", "curvature_power",
    "susceptibility", "susceptibility_samples", "susceptibility_lr", "susceptibility_also", "susceptibility_source",
    "test_every",
    "fractions", "balanced", "models", "neighbours", "folds", "penalties", "grouped_by", "without_given", "smoothing",
    "form", "file", "column", "lower_is_suspicious",
)  # fmt: skip
"""Fields of a record that a user sets, and a table's words of a row leave out."""


def ablations_of(runs: Iterable[Run]) -> dict[Setup, Ablation]:
    """The options by which setups of the same words differ, of every setup that has them; empty where none differ."""
    records: dict[Setup, RunRecord] = {}
    for run in runs:
        records.setdefault(run.setup, run.record)
    alike: dict[tuple[object, ...], list[RunRecord]] = {}
    for setup, record in records.items():
        learner = setup.learner
        # Not by objective: where one was trained with another learning rate, a table has to say so.
        words = (learner.model, learner.recipe, learner.epochs, learner.features, setup.observe, setup.regime)
        alike.setdefault(words, []).append(record)
    names = [name for name in OPTIONS if any(_differs(name, group) for group in alike.values())]
    return {
        setup: tuple((name, _option(told)) for name in names if (told := option_of(record, name)) is not None)
        for setup, record in records.items()
    }


def _differs(name: str, records: Sequence[RunRecord]) -> bool:
    first, *others = (_option(option_of(record, name)) for record in records)
    return any(other != first for other in others)


def _option(value: object) -> Option:
    """A value of a record; several of them in words."""
    if isinstance(value, str | int | float | bool):
        return value
    return ", ".join(map(str, value)) if isinstance(value, Sequence) else str(value)
