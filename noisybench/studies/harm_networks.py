"""The networks' part of the harm study: harm on held-out siblings by frequency, and what detectors do there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData
from noisybench.statistics.column_means import LEVEL, student
from noisybench.statistics.lookup_table import SAME, count_law, table_harm
from noisybench.studies.harm_measured import UnitErrors
from noisybench.studies.harm_runs import MEMORIZING, HarmGrid
from noisybench.studies.results import StudyResults
from noisybench.studies.study import StudyTable, pivoted, plain

LOOKUP = "(lookup table)"
"""Name of the line of what a memorizing table would do."""
MEASURES = ("error", "harm", "gain", "worse", "better")
"""Fields of each treatment, rate and frequency; again with the ending ``_drawn`` for answers drawn from the probabilities."""
LEAST = {"harm": -1.0, "gain": -1.0, "weighted_harm": -1.0, "disparity": -2.0} | dict.fromkeys(
    ("corrected", "right", "gap"), -np.inf
)
"""Least value of what is no share."""


def over_draws(values: Sequence[float], least: float = -1.0) -> tuple[float, float, float]:
    """Mean over draws and its 95 % interval by Student's t, within ``least`` and 1; NaN ends of one draw."""
    found = np.array([value for value in values if not np.isnan(value)])
    if not len(found):
        return np.nan, np.nan, np.nan
    middle = float(found.mean())
    if len(found) == 1:
        return middle, np.nan, np.nan
    reach = float(student(len(found) - 1, LEVEL)) * float(found.std(ddof=1)) / np.sqrt(len(found))
    return middle, max(middle - reach, least), min(middle + reach, 1.0)


def _intervals(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Field → its values in each draw, as the fields of a record: the mean, ``_low`` and ``_high``."""
    told: dict[str, float] = {}
    for name, each in values.items():
        ends = over_draws(each, LEAST.get(name.removesuffix("_drawn"), 0.0))
        told |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
    return told


class Cell(NamedTuple):
    """One treatment at one rate: unit errors of each draw that could be trained, beside those of clean and memorizing.

    ``draws`` are their numbers, and ``frequencies`` the copies of each unit.
    """

    treatment: str
    rate: float
    draws: tuple[int, ...]
    frequencies: tuple[Labels, ...]
    own: tuple[UnitErrors, ...]
    clean: tuple[UnitErrors, ...]
    memorizing: tuple[UnitErrors, ...]


def grid_cells(grid: HarmGrid, results: StudyResults) -> list[Cell]:
    """The cells of the grid, of the draws in which all three trainings ended."""
    found: dict[tuple[int, float, str], list[dict[str, Any]]] = {}
    for one in results.of("unit"):
        found.setdefault((one["draw"], one["rate"], one["treatment"]), []).append(one)
    errors = {
        key: UnitErrors(*(np.array([one[name] for one in units]) for name in UnitErrors._fields))
        for key, units in found.items()
    }
    cells = []
    for rate in grid.rates:
        for name in grid.treatments:
            needed = {
                draw: ((draw, rate, name), (draw, 0.0, MEMORIZING), (draw, rate, MEMORIZING)) for draw in grid.draws
            }
            ended = tuple(draw for draw, keys in needed.items() if all(key in errors for key in keys))
            own, clean, memorizing = (tuple(errors[needed[draw][part]] for draw in ended) for part in range(3))
            frequencies = tuple(np.array([one["copies"] for one in found[needed[draw][0]]]) for draw in ended)
            cells.append(Cell(name, rate, ended, frequencies, own, clean, memorizing))
    return cells


def _of_cell(results: StudyResults, kind: str) -> Callable[..., list[dict[str, Any]]]:
    """Finds the records of one kind of a cell's draws, in their order."""
    rows: dict[tuple[float, str], list[dict[str, Any]]] = {}
    for one in results.of(kind):
        rows.setdefault((one["rate"], one["treatment"]), []).append(one)

    def of(cell: Cell, **fields: object) -> list[dict[str, Any]]:
        own = rows.get((cell.rate, cell.treatment), [])
        return [one for one in own if one["draw"] in cell.draws and all(one[name] == fields[name] for name in fields)]

    return of


def harm_table(grid: HarmGrid, results: StudyResults, cells: Sequence[Cell]) -> StudyTable:
    """Harm, gain and share of units that are worse off, for each treatment, rate and frequency."""
    records, buckets = [], _of_cell(results, "bucket")
    for cell in cells:
        for copies in grid.frequencies:
            told: dict[str, Any] = {"treatment": cell.treatment, "rate": cell.rate, "copies": copies}
            told |= {"units": grid.units, "draws": len(cell.own)}
            fitted = [one.get("wrong_fitted", np.nan) for one in buckets(cell, copies=copies)]
            records.append(plain(told | _intervals({"wrong_fitted": fitted, **_by_measure(cell, copies)})))
    for rate in grid.rates:
        for copies in grid.frequencies:
            law = count_law(copies, rate, classes_of(results))
            table = table_harm(law.shares, law)
            told = {
                "treatment": LOOKUP,
                "rate": rate,
                "copies": copies,
                "harm": table.decided,
                "harm_drawn": table.error,
            }
            records.append(plain(told))
    shown = [{**one, "cell": _span(one, "harm") + _gain(one)} for one in records]
    header, lines = pivoted(shown, ("rate", "treatment"), "copies", "cell", prefix="l = ")
    caption = (
        "Harm: error on held-out siblings of units with l copies, above that of the same network trained on right labels "
        f"(worse: share of units that err more than under {MEMORIZING}). Means over draws; intervals of all are in csv and json. "
        f"{LOOKUP}: the largest answer of a table that holds the shares of the l labels, exactly."
    )
    return StudyTable("networks", caption, tuple(records), header, tuple(sorted(lines, key=lambda line: line[0])))


def _by_measure(cell: Cell, copies: int) -> Mapping[str, list[float]]:
    """Values of each draw by the name of the field."""
    found: dict[str, list[float]] = {f"{name}{ending}": [] for ending in ("", "_drawn") for name in MEASURES}
    for frequencies, own, clean, memorizing in zip(
        cell.frequencies, cell.own, cell.clean, cell.memorizing, strict=True
    ):
        here = frequencies == copies
        for measure, ending in (("decided", ""), ("drawn", "_drawn")):
            mine, right, learnt = (getattr(one, measure)[here] for one in (own, clean, memorizing))
            worse, better = mine > learnt + SAME, mine < learnt - SAME
            values = (mine, mine - right, learnt - mine, worse, better)
            for name, value in zip(MEASURES, (one.mean() for one in values), strict=True):
                found[f"{name}{ending}"].append(float(value))
    return found


def treatment_table(grid: HarmGrid, results: StudyResults, cells: Sequence[Cell]) -> StudyTable:
    """Each treatment in one line: accuracy, labels fitted, harm weighted by mass, and head against tail."""
    shares = np.array(grid.frequencies) / sum(grid.frequencies)
    records, trainings = [], _of_cell(results, "training")
    for cell in cells:
        by_copies = [_by_measure(cell, copies) for copies in grid.frequencies]
        draws = range(len(cell.own))
        fits = trainings(cell)
        values: dict[str, list[float]] = {
            "accuracy": [1 - float(one.decided.mean()) for one in cell.own],
            "mislabeled_fit": [fit.get("mislabeled_fit", np.nan) for fit in fits],
            "clean_fit": [fit.get("clean_fit", np.nan) for fit in fits],
        }
        for ending in ("", "_drawn"):
            harm = [[one[f"harm{ending}"][draw] for one in by_copies] for draw in draws]
            gain = [[one[f"gain{ending}"][draw] for one in by_copies] for draw in draws]
            values[f"weighted_harm{ending}"] = [float(shares @ one) for one in harm]
            values[f"disparity{ending}"] = [one[-1] - one[0] for one in gain]
        told: dict[str, Any] = {"treatment": cell.treatment, "rate": cell.rate, "draws": len(cell.own)}
        records.append(plain(told | _intervals(values)))
    shown = ("accuracy", "mislabeled_fit", "clean_fit", "weighted_harm", "disparity")
    header = ("rate", "treatment", "accuracy on siblings", "wrong labels fitted", "right labels fitted",
              "harm, weighted by mass", "gain of the head over the tail", "draws")  # fmt: skip
    lines = tuple(
        (f"{one['rate']:g}", one["treatment"], *(_span(one, name, ends=True) for name in shown), str(one["draws"]))
        for one in records
    )
    first, last = grid.frequencies[0], grid.frequencies[-1]
    caption = (
        f"Treatments: means over draws with 95 % intervals by Student's t, which cover other instances, labels and trainings. Gain: "
        f"error under {MEMORIZING} less that under the treatment; head against tail is its gain at l = {last} less that at "
        f"l = {first}."
    )
    return StudyTable("treatments", caption, tuple(records), header, lines)


def detector_table(results: StudyResults) -> StudyTable:
    """Recall and false alarms of each detector by frequency, when as many are flagged as are wrong."""
    values: dict[tuple[str, float, int], dict[str, list[float]]] = {}
    for one in results.of("flag"):
        cell = values.setdefault((one["detector"], one["rate"], one["copies"]), {"recall": [], "false_alarms": []})
        for name, each in cell.items():
            each.append(one.get(name, np.nan))
    records = []
    for (detector, rate, copies), found in sorted(values.items(), key=lambda one: (one[0][1], one[0][0], one[0][2])):
        told: dict[str, Any] = {"detector": detector, "rate": rate, "copies": copies}
        records.append(plain(told | _intervals(found)))
    shown = [{**one, "cell": f"{_span(one, 'recall')} / {_span(one, 'false_alarms')}"} for one in records]
    header, lines = pivoted(shown, ("rate", "detector"), "copies", "cell", prefix="l = ")
    caption = (
        f"Detectors on {MEMORIZING}, when as many labels are flagged as are wrong: share of the wrong labels of units with l copies "
        f"that are flagged / share of the right ones. Means over draws."
    )
    return StudyTable("detectors", caption, tuple(records), header, lines)


def paradox_table(grid: HarmGrid, results: StudyResults, cells: Sequence[Cell]) -> StudyTable:
    """Corrected training loss of each network against its loss under the right labels, by frequency."""
    records, buckets = [], _of_cell(results, "bucket")
    for cell in cells:
        for copies in grid.frequencies:
            values: dict[str, list[float]] = {"corrected": [], "right": [], "gap": []}
            for one in buckets(cell, copies=copies):
                corrected, right = one.get("corrected", np.nan), one.get("right", np.nan)
                for name, value in (("corrected", corrected), ("right", right), ("gap", right - corrected)):
                    values[name].append(value)
            told: dict[str, Any] = {"treatment": cell.treatment, "rate": cell.rate, "copies": copies}
            records.append(plain(told | _intervals(values)))
    shown = [{**one, "cell": f"{_span(one, 'corrected')} / {_span(one, 'right')}"} for one in records]
    header, lines = pivoted(shown, ("rate", "treatment"), "copies", "cell", prefix="l = ")
    caption = (
        "The paradox in networks: training loss of units with l copies, corrected with the true matrix / under the right labels, "
        "both as the probability of a wrong answer. Of a network that did not depend on the labels the two would be equal."
    )
    return StudyTable("network_paradox", caption, tuple(records), header, lines)


def classes_of(results: StudyResults) -> int:
    """Classes of the labels.

    Raises:
        BadData: The results do not say.
    """
    found = [one["classes"] for one in results.of("setting") if "classes" in one]
    if not found:
        msg = "the results of study 'harm' say nothing of their labels; carry out 'noisybench study harm' again"
        raise BadData(msg)
    return int(found[0])


def failures_of(results: StudyResults) -> Iterator[str]:
    """A sentence for each treatment that could not be trained, with what it was told first."""
    failed: dict[tuple[str, float], list[str]] = {}
    for one in results.of("training"):
        if "failure" in one:
            failed.setdefault((one["treatment"], one["rate"]), []).append(one["failure"])
    for (treatment, rate), why in failed.items():
        yield f"{treatment} at rate {rate:g} could not be trained in {len(why)} draw{'s' * (len(why) > 1)}: {why[0]}."


def _span(record: Mapping[str, Any], name: str, *, ends: bool = False) -> str:
    value, low, high = (record.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "–"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if ends and low is not None else f"{value:.2f}"


def _gain(record: Mapping[str, Any]) -> str:
    worse = record.get("worse")
    return "" if worse is None or record["treatment"] == MEMORIZING else f" ({worse:.2f})"
