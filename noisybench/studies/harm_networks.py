"""The networks' part of the harm study: harm on held-out siblings by frequency, and what detectors do there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from noisybench.data.source import FREQUENCY, UNIT
from noisybench.ground.arrays import Floats, Labels
from noisybench.runs.reading import read_run
from noisybench.statistics.column_means import LEVEL, student
from noisybench.statistics.lookup_table import SAME, count_law, decided_errors, symmetric_matrix, table_harm
from noisybench.studies.harm_runs import MEMORIZING, Answered, HarmGrid, Spectrum, flags_of
from noisybench.studies.study import StudyTable, pivoted, plain

LOOKUP = "(lookup table)"
"""Name of the line of what a memorizing table would do."""


MEASURES = ("error", "harm", "gain", "worse", "better")
"""Fields of each treatment, rate and frequency; again with the ending ``_drawn`` for answers drawn from the probabilities."""
SIGNED = {"harm": -1.0, "gain": -1.0, "weighted_harm": -1.0, "disparity": -2.0}
"""Least value of what is no share."""


class UnitErrors(NamedTuple):
    """Errors of one network on the siblings of each unit, shape (u,) each."""

    decided: Floats
    """Of the largest answer."""
    drawn: Floats
    """Of an answer drawn from the probabilities: 1 − p of the right class."""


def unit_errors(answers: Floats, right: Labels, unit: Labels) -> UnitErrors:
    """Mean errors by unit: probabilities (m, k), right classes (m,) and units (m,) → (u,)."""
    counts = np.bincount(unit)
    each = decided_errors(answers, right), 1 - answers[np.arange(len(right)), right]
    return UnitErrors(*(np.bincount(unit, weights=errors) / counts for errors in each))


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


class Cell(NamedTuple):
    """One treatment at one rate: unit errors of each draw that could be trained, beside those of clean and memorizing."""

    treatment: str
    rate: float
    frequencies: tuple[Labels, ...]
    own: tuple[UnitErrors, ...]
    clean: tuple[UnitErrors, ...]
    memorizing: tuple[UnitErrors, ...]
    answered: tuple[Answered, ...]


def grid_cells(grid: HarmGrid, spectra: Mapping[int, Spectrum], answers: Sequence[Answered]) -> list[Cell]:
    """The cells of the grid, of the draws in which all three trainings ended."""
    errors = {}
    for one in answers:
        if one.path is not None:
            source = spectra[one.draw].source
            errors[one.draw, one.rate, one.treatment] = (
                unit_errors(one.siblings, np.asarray(source.test_labels), source.test_marks[UNIT]),
                one,
            )
    cells = []
    for rate in grid.rates:
        for name in grid.treatments:
            needed = {
                draw: ((draw, rate, name), (draw, 0.0, MEMORIZING), (draw, rate, MEMORIZING)) for draw in grid.draws
            }
            ended = [draw for draw, keys in needed.items() if all(key in errors for key in keys)]
            own, clean, memorizing = (tuple(errors[needed[draw][part]][0] for draw in ended) for part in range(3))
            frequencies = tuple(spectra[draw].frequencies for draw in ended)
            trained = tuple(errors[needed[draw][0]][1] for draw in ended)
            cells.append(Cell(name, rate, frequencies, own, clean, memorizing, trained))
    return cells


def harm_table(grid: HarmGrid, spectra: Mapping[int, Spectrum], cells: Sequence[Cell]) -> StudyTable:
    """Harm, gain and share of units that are worse off, for each treatment, rate and frequency."""
    records, classes = [], spectra[grid.draws[0]].source.num_classes
    for cell in cells:
        for copies in grid.frequencies:
            told: dict[str, Any] = {"treatment": cell.treatment, "rate": cell.rate, "copies": copies}
            told |= {"units": grid.units, "draws": len(cell.own)}
            fitted = [wrong_fitted(one, spectra[one.draw], copies) for one in cell.answered]
            told |= dict(
                zip(("wrong_fitted", "wrong_fitted_low", "wrong_fitted_high"), over_draws(fitted, 0.0), strict=True)
            )
            for name, values in _by_measure(cell, copies).items():
                told |= dict(
                    zip(
                        (name, f"{name}_low", f"{name}_high"),
                        over_draws(values, SIGNED.get(name.removesuffix("_drawn"), 0.0)),
                        strict=True,
                    )
                )
            records.append(plain(told))
    for rate in grid.rates:
        for copies in grid.frequencies:
            law = count_law(copies, rate, classes)
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


def wrong_fitted(answered: Answered, spectrum: Spectrum, copies: int) -> float:
    """Share of the wrong labels of units with so many copies that a network answers with; NaN where there are none."""
    variant = spectrum.variants[answered.rate]
    here = (spectrum.source.marks[FREQUENCY] == copies) & variant.mislabeled
    return float((answered.samples[here].argmax(1) == variant.labels[here]).mean()) if here.any() else np.nan


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


def treatment_table(grid: HarmGrid, cells: Sequence[Cell]) -> StudyTable:
    """Each treatment in one line: accuracy, labels fitted, harm weighted by mass, and head against tail."""
    shares = np.array(grid.frequencies) / sum(grid.frequencies)
    records = []
    for cell in cells:
        by_copies = [_by_measure(cell, copies) for copies in grid.frequencies]
        draws = range(len(cell.own))
        fits = [read_run(one.path).history for one in cell.answered if one.path is not None]
        values: dict[str, list[float]] = {
            "accuracy": [1 - float(one.decided.mean()) for one in cell.own],
            "mislabeled_fit": [fit["mislabeled_fit"] for fit in fits],
            "clean_fit": [fit["clean_fit"] for fit in fits],
        }
        for ending in ("", "_drawn"):
            harm = [[one[f"harm{ending}"][draw] for one in by_copies] for draw in draws]
            gain = [[one[f"gain{ending}"][draw] for one in by_copies] for draw in draws]
            values[f"weighted_harm{ending}"] = [float(shares @ one) for one in harm]
            values[f"disparity{ending}"] = [one[-1] - one[0] for one in gain]
        told: dict[str, Any] = {"treatment": cell.treatment, "rate": cell.rate, "draws": len(cell.own)}
        for name, each in values.items():
            ends = over_draws(each, SIGNED.get(name.removesuffix("_drawn"), 0.0))
            told |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
        records.append(plain(told))
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


def detector_table(grid: HarmGrid, spectra: Mapping[int, Spectrum], answers: Sequence[Answered]) -> StudyTable:
    """Recall and false alarms of each detector by frequency, when as many are flagged as are wrong."""
    values: dict[tuple[str, float, int], dict[str, list[float]]] = {}
    for one in answers:
        if one.treatment != MEMORIZING or not one.rate:
            continue
        spectrum = spectra[one.draw]
        for flags in flags_of(one, spectrum.variants[one.rate]):
            for copies in grid.frequencies:
                here = spectrum.source.marks[FREQUENCY] == copies
                cell = values.setdefault((flags.detector, one.rate, copies), {"recall": [], "false_alarms": []})
                for name, which in (("recall", flags.wrong), ("false_alarms", ~flags.wrong)):
                    chosen = flags.shares[here & which]
                    cell[name].append(float(chosen.mean()) if len(chosen) else np.nan)
    records = []
    for (detector, rate, copies), found in sorted(values.items(), key=lambda one: (one[0][1], one[0][0], one[0][2])):
        told: dict[str, Any] = {"detector": detector, "rate": rate, "copies": copies}
        for name, each in found.items():
            told |= dict(zip((name, f"{name}_low", f"{name}_high"), over_draws(each, 0.0), strict=True))
        records.append(plain(told))
    shown = [{**one, "cell": f"{_span(one, 'recall')} / {_span(one, 'false_alarms')}"} for one in records]
    header, lines = pivoted(shown, ("rate", "detector"), "copies", "cell", prefix="l = ")
    caption = (
        f"Detectors on {MEMORIZING}, when as many labels are flagged as are wrong: share of the wrong labels of units with l copies "
        f"that are flagged / share of the right ones. Means over draws."
    )
    return StudyTable("detectors", caption, tuple(records), header, lines)


def paradox_table(grid: HarmGrid, spectra: Mapping[int, Spectrum], cells: Sequence[Cell]) -> StudyTable:
    """Corrected training loss of each network against its loss under the right labels, by frequency."""
    records = []
    for cell in cells:
        for copies in grid.frequencies:
            values: dict[str, list[float]] = {"corrected": [], "right": [], "gap": []}
            for one in cell.answered:
                corrected, right = _training_losses(one, spectra[one.draw], copies)
                for name, value in (("corrected", corrected), ("right", right), ("gap", right - corrected)):
                    values[name].append(value)
            told: dict[str, Any] = {"treatment": cell.treatment, "rate": cell.rate, "copies": copies}
            for name, each in values.items():
                told |= dict(zip((name, f"{name}_low", f"{name}_high"), over_draws(each, -np.inf), strict=True))
            records.append(plain(told))
    shown = [{**one, "cell": f"{_span(one, 'corrected')} / {_span(one, 'right')}"} for one in records]
    header, lines = pivoted(shown, ("rate", "treatment"), "copies", "cell", prefix="l = ")
    caption = (
        "The paradox in networks: training loss of units with l copies, corrected with the true matrix / under the right labels, "
        "both as the probability of a wrong answer. Of a network that did not depend on the labels the two would be equal."
    )
    return StudyTable("network_paradox", caption, tuple(records), header, lines)


def _training_losses(answered: Answered, spectrum: Spectrum, copies: int) -> tuple[float, float]:
    """Corrected and right loss of the training samples of units with so many copies."""
    here = spectrum.source.marks[FREQUENCY] == copies
    variant, answers = spectrum.variants[answered.rate], answered.samples[here]
    inverse = np.linalg.inv(symmetric_matrix(answered.rate, answers.shape[1]))
    corrected = 1 - (inverse[variant.labels[here]] * answers).sum(1)
    right = 1 - answers[np.arange(len(answers)), variant.clean[here]]
    return float(corrected.mean()), float(right.mean())


def failures_of(answers: Sequence[Answered]) -> Iterator[str]:
    """A sentence for each treatment that could not be trained, with what it was told first."""
    failed: dict[tuple[str, float], list[str]] = {}
    for one in answers:
        if one.failure:
            failed.setdefault((one.treatment, one.rate), []).append(one.failure)
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
