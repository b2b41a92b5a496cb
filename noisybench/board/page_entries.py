"""PageColumns of the leaderboard's page that name things: sources, noises, rates, learners, contestants and runs."""

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from noisybench.board.ablation import Ablation, ablations_of
from noisybench.board.averages import names_shown
from noisybench.board.detector_table import Row
from noisybench.board.information import in_words
from noisybench.board.row_words import objective_words
from noisybench.board.subject import sources_of, with_sources
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Floats
from noisybench.ground.lookup import find, is_ours
from noisybench.ground.text import cell
from noisybench.memorization.learner import FITTED
from noisybench.runs.reading import Run
from noisybench.runs.record import NOBODY, WITH_HISTORY, Regime, Setup

PageColumns: TypeAlias = "dict[str, list[Any]]"
"""Name → values, all of one length."""
NONE = -1
"""Position of nothing."""

FAMILIES: Mapping[Regime, str] = {
    "training": "one training",
    "pool": "pool of models",
    "features": "frozen features",
    "second_split": "trainings on two halves",
    "threshold": "trainings with threshold samples",
    "answers": "answers of annotators",
    "given": "given scores",
}
"""What the scores of a regime come from."""
_OPTIONS = (
    "batch_size", "lr", "momentum", "weight_decay", "schedule", "augmentation", "precision",
    "optimizer", "cosine_cycles", "cosine_floor", "milestones", "milestone_factor",
)  # fmt: skip


_NOTHING: Floats = np.array([math.nan])


class Place(NamedTuple):
    """Where a run stands in the filters, as positions."""

    source: int
    noise: int
    rate: int


class Book:
    """Names of everything that runs are of, each with a position.

    Attributes:
        runs: The finished runs, in order.
        places: Of each run, in their order.
        sources: PageColumns ``name``, ``samples``.
        noises: Families of noise.
        rates: In words, lowest first.
        shown: Setup, detector and maker → name of the row.
    """

    def __init__(self, runs: Sequence[Run], train_accuracy: Mapping[Path, Floats]) -> None:
        self.runs = list(runs)
        self._train_accuracy = train_accuracy
        self.position = {run.path: at for at, run in enumerate(self.runs)}
        self.shown = names_shown(self.runs)
        named = sources_of(self.runs)
        used = sorted(set(named.values()))
        self.sources: PageColumns = {"name": [cell(one.name) for one in used], "samples": [one.samples for one in used]}
        of = [[one.words for one in used].index(run.column.source) for run in with_sources(self.runs, named)]
        self._source_of = {run.record.variant_id: at for run, at in zip(self.runs, of, strict=True)}
        noises = sorted({run.column.noise for run in self.runs})
        self.noises = [cell(name) for name in noises]
        rates = sorted({_rate(run) for run in self.runs})
        self.rates = [words for _, words in rates]
        self.places = [
            Place(at, noises.index(run.column.noise), rates.index(_rate(run)))
            for at, run in zip(of, self.runs, strict=True)
        ]
        self._ablations = ablations_of(self.runs)
        self._by = objective_words(run.setup.learner for run in self.runs)
        self._learners: dict[Setup, int] = {}
        self._entries: dict[tuple[str, str, Setup], int] = {}
        self._rows: list[Row] = []
        self._members: dict[Setup, list[Run]] = {}
        for run in self.runs:
            self._learners.setdefault(run.setup, len(self._learners))
            self._members.setdefault(run.setup, []).append(run)

    def learner(self, setup: Setup) -> int:
        """Position of a learner; ``NONE`` of references, which are the same whatever was trained."""
        return NONE if setup == NOBODY else self._learners[setup]

    def entry(self, row: Row) -> int:
        """Position of the contestant that a row is of, which is noted where it is new."""
        key = (row.detector, row.kind, _setup(row))
        if key not in self._entries:
            self._entries[key] = len(self._entries)
            self._rows.append(row)
        return self._entries[key]

    def source_of(self, row: Row) -> int:
        """Position of the data set of a row; ``NONE`` where several are pooled."""
        return self._source_of[row.subject.variants[0]] if row.source and row.subject.variants else NONE

    def entry_of(self, run: Run, detector: str) -> int:
        """Position of the contestant that a detector's scores of a run belong to; ``NONE`` where no row is of it."""
        name = self.shown[run.setup, detector, run.maker(detector)]
        return self._entries.get((name, run.kinds[detector], run.setup), NONE)

    def learners(self) -> PageColumns:
        """The columns of ``learners``."""
        columns: PageColumns = {}
        for setup, members in self._members.items():
            first = members[0]
            said = {
                "model": cell(setup.learner.model),
                "recipe": cell(setup.learner.recipe),
                "epochs": setup.learner.epochs,
                "objective": cell(self._objective(setup)),
                "features": cell(setup.learner.features),
                "regime": setup.regime,
                "observe": setup.observe,
                "setup": setup.setup[:12],
                "trained": setup.learner.trained,
                "words": self._words(setup),
                "options": _options(first),
                "command": _command(first, self._ablations.get(setup, ())),
                "versions": ", ".join(sorted({run.version for run in members} - {""})),
            }
            for name, value in said.items():
                columns.setdefault(name, []).append(value)
        return columns

    def entries(self) -> PageColumns:
        """The columns of ``entries``, of the contestants noted."""
        columns: PageColumns = {}
        for row in self._rows:
            setup = _setup(row)
            members = self._members.get(setup, [])
            origin, code = next(
                (
                    run.maker(name)
                    for run in members
                    for name in run.kinds
                    if self.shown[setup, name, run.maker(name)] == row.detector
                ),
                ("", ""),
            )
            said = {
                "detector": cell(row.detector),
                "kind": row.kind,
                "learner": self.learner(setup),
                "family": FAMILIES[setup.regime] if members else "reference",
                "information": list(row.information),
                "made_with": "" if row.kind == "reference" else in_words(row.information, row.pretrained, declared=row.declared),
                "block": row.block,
                "set": _smallest_set(origin) if members and setup.regime != "given" else "",
                "aliases": ", ".join(row.aliases),
                "origin": cell(origin),
                "code": code[:12],
                "asked": _asked(row, setup, members),
            }  # fmt: skip
            for name, value in said.items():
                columns.setdefault(name, []).append(value)
        return columns

    def run_columns(self) -> PageColumns:
        """The columns of ``runs``."""
        columns: PageColumns = {}
        root = _common([run.path for run in self.runs])
        for run, place in zip(self.runs, self.places, strict=True):
            said: dict[str, Any] = {
                "learner": self.learner(run.setup),
                **place._asdict(),
                "seed": run.seed,
                "draw": run.record.noise_seed,
                "variant": run.record.variant_id[:12],
                "path": cell(os.path.relpath(run.path, root)),
                "samples": run.record.n,
                **{
                    name: rounded(run.history.get(name, math.nan))
                    for name in ("test_accuracy", "mislabeled_fit", "clean_fit", "susceptibility")
                },
                "train_accuracy": rounded(float(self._train_accuracy.get(run.path, _NOTHING)[-1])),
            }
            for name, value in said.items():
                columns.setdefault(name, []).append(value)
        return columns

    def slices(self) -> tuple[PageColumns, list[list[int]]]:
        """The columns of ``slices``, and the positions of the runs of each table.

        Every combination of source, noise and rate, each or all of them, that holds a run; those of the same runs have
        the same table.
        """
        tables: dict[tuple[int, ...], int] = {}
        columns: PageColumns = {"source": [], "noise": [], "rate": [], "table": []}
        many = [range(NONE, len(names)) for names in (self.sources["name"], self.noises, self.rates)]
        held = {place: [at for at, one in enumerate(self.places) if one == place] for place in set(self.places)}
        for source in many[0]:
            for noise in many[1]:
                for rate in many[2]:
                    wanted = (source, noise, rate)
                    runs = sorted(
                        at
                        for place, members in held.items()
                        if all(want in (NONE, is_) for want, is_ in zip(wanted, place, strict=True))
                        for at in members
                    )
                    if runs:
                        table = tables.setdefault(tuple(runs), len(tables))
                        for name, value in zip(columns, (*wanted, table), strict=True):
                            columns[name].append(value)
        return columns, [list(runs) for runs in tables]

    def _objective(self, setup: Setup) -> str:
        """What was minimised, where the learners of the page differ in it; empty where nothing was trained."""
        return self._by(setup.learner) if setup.regime in WITH_HISTORY else ""

    def _learner_words(self, setup: Setup) -> str:
        learner = setup.learner
        if setup.regime == "features":
            return f"frozen {learner.features}"
        if setup.regime == "answers":
            return f"answers, {setup.observe}"
        if setup.regime == "given":
            return learner.model
        on = "" if learner.features == "input" else f"on {learner.features}"
        how = "" if setup.observe == "after" else setup.observe
        words = (learner.model, learner.recipe, f"{learner.epochs} epochs", self._objective(setup), on, how)
        return ", ".join(filter(None, words))

    def _words(self, setup: Setup) -> str:
        """What people call a learner; with options, or else its digest, where another one would be called the same."""
        words = self._learner_words(setup)
        if sum(self._learner_words(other) == words for other in self._learners) == 1:
            return cell(words)
        told = self._ablations.get(setup, ())
        alone = [self._ablations.get(other) for other in self._learners].count(told) == 1
        options = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in told]
        return cell(f"{words} ({', '.join(options) if told and alone else setup.setup[:8]})")


def rounded(value: float | None, digits: int = 4) -> float | None:
    """A number as the page holds it: four decimals, or as many digits of a small one; None where there is none."""
    if value is None or not math.isfinite(value):
        return None
    shown = round(value, digits) if abs(value) >= 0.1 or value == 0 else float(f"{value:.{digits}g}")  # noqa: PLR2004
    return int(shown) if shown == int(shown) else shown


def _setup(row: Row) -> Setup:
    return Setup(row.learner, row.setup, row.observe, row.regime)


def _rate(run: Run) -> tuple[float, str]:
    """Rate of wrong labels that was asked for, as a number to sort by and in words; other parameters where there is none."""
    params = run.record.params
    rate = params.get("rate")
    if isinstance(rate, int | float) and not isinstance(rate, bool):
        return float(rate), f"{rate:g}"
    others = ", ".join(f"{name} {value}" for name, value in params.items())
    return math.inf, cell(others) or "as found"


def _options(run: Run) -> str:
    """Options of what was trained, in words."""
    record = run.record
    told = [f"{name} {getattr(record, name)}" for name in _OPTIONS if getattr(record, name) is not None]
    if record.regime == "pool":
        told += [f"models {record.models}", f"fractions {', '.join(f'{one:g}' for one in record.fractions or ())}"]
    if record.regime == "features":
        told += [f"folds {record.folds}", f"neighbours {record.neighbours}"]
    return cell(", ".join(told))


def _command(run: Run, told: Ablation = ()) -> str:
    """The command that makes such a run, with the options that tell it apart; empty of given scores, whose file nobody knows."""
    record = run.record
    parts: Sequence[str] = ()
    if record.regime in ("training", "second_split", "threshold"):
        parts = (
            "evaluate",
            "VARIANT",
            "--model",
            record.model,
            "--recipe",
            record.recipe,
            "--epochs",
            str(record.epochs),
        )
    elif record.regime == "pool":
        trained = () if record.recipe == FITTED else ("--recipe", record.recipe, "--epochs", str(record.epochs))
        parts = ("memorize", "VARIANT", "--pool", "detector", "--model", record.model, *trained)
        parts = (*parts, "--models", str(record.models))
    elif record.regime == "features":
        parts = ("score", "VARIANT", "--features", record.features)
    elif record.regime == "answers":
        parts = ("score", "VARIANT", "--answers", *(["--without-given"] if record.without_given else []))
    if record.objective:
        name, _, options = record.objective.removesuffix(")").partition("(")
        said = (word for option in filter(None, options.split(", ")) for word in ("--objective-set", option))
        parts = (*parts, "--objective", name, *said)
    if record.regime in ("training", "second_split", "threshold", "pool"):
        parts = (*parts, *(word for name, value in told if name in _OPTIONS for word in ("--set", f"{name}={value}")))
    return cell(" ".join(("noisybench", *(shlex.quote(part) for part in parts)))) if parts else ""


def _asked(row: Row, setup: Setup, members: Sequence[Run]) -> str:
    """What the command of a learner must say to make one of its rows; empty where it makes all of them."""
    if row.kind == "reference" or setup.regime not in ("training", "second_split", "threshold", "features"):
        return ""
    seeds = ",".join(map(str, sorted({run.seed for run in members})))
    said = "" if setup.regime == "features" else f" --seeds {seeds}"
    return cell(f" --detectors {shlex.quote(row.detector)}{said}")


def _smallest_set(origin: str) -> str:
    """Smallest of the sets ``fast``, ``standard`` and ``all`` that one of noisybench's own detectors is in."""
    if not is_ours("detectors", origin):
        return ""
    detector: Detector = find("detectors", origin)
    return detector.smallest_set


def _common(paths: Sequence[Path]) -> str:
    """The folder above all of some runs."""
    return os.path.commonpath([path.parent.parent.parent for path in paths]) if paths else "."
