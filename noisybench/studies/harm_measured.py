"""What the networks of the harm study gave, as plain records: all its tables, its picture and its verdicts are made of them.

Kinds of records: ``setting`` (one: classes of the labels); ``training`` (a draw × rate × treatment: fits, or why there are
none); ``unit`` (its errors on the siblings of a unit); ``bucket`` (its training samples of units with so many copies);
``flag`` (what a detector flags of those).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from noisybench.data.source import FREQUENCY, UNIT
from noisybench.ground.arrays import Floats, Labels
from noisybench.runs.reading import read_run
from noisybench.statistics.lookup_table import decided_errors, symmetric_matrix
from noisybench.studies.harm_runs import MEMORIZING, Answered, HarmGrid, Spectrum, flags_of

Record = Mapping[str, Any]


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


def measured_records(
    grid: HarmGrid, spectra: Mapping[int, Spectrum], answers: Sequence[Answered]
) -> Iterator[dict[str, Any]]:
    """Every record of a grid's networks, draw by draw."""
    yield {"record": "setting", "classes": spectra[grid.draws[0]].source.num_classes}
    for one in answers:
        spectrum = spectra[one.draw]
        about = {"draw": one.draw, "rate": one.rate, "treatment": one.treatment}
        if one.path is None:
            yield {"record": "training", **about, "failure": one.failure}
            continue
        fit = read_run(one.path).history
        yield {"record": "training", **about, **{name: fit[name] for name in ("mislabeled_fit", "clean_fit")}}
        source = spectrum.source
        errors = unit_errors(one.siblings, np.asarray(source.test_labels), source.test_marks[UNIT])
        for unit, (copies, decided, drawn) in enumerate(zip(spectrum.frequencies, *errors, strict=True)):
            yield {"record": "unit", **about, "unit": unit, "copies": copies, "decided": decided, "drawn": drawn}
        for copies in grid.frequencies:
            corrected, right = training_losses(one, spectrum, copies)
            told = {"wrong_fitted": wrong_fitted(one, spectrum, copies), "corrected": corrected, "right": right}
            yield {"record": "bucket", **about, "copies": copies, **told}
        if one.treatment == MEMORIZING and one.rate:
            yield from _flag_records(grid, one, spectrum)


def _flag_records(grid: HarmGrid, one: Answered, spectrum: Spectrum) -> Iterator[dict[str, Any]]:
    """Recall and false alarms of each detector, by frequency, when as many are flagged as are wrong."""
    for flags in flags_of(one, spectrum.variants[one.rate]):
        for copies in grid.frequencies:
            here = spectrum.source.marks[FREQUENCY] == copies
            shares = {}
            for name, which in (("recall", flags.wrong), ("false_alarms", ~flags.wrong)):
                chosen = flags.shares[here & which]
                shares[name] = float(chosen.mean()) if len(chosen) else np.nan
            about = {"draw": one.draw, "rate": one.rate, "detector": flags.detector, "copies": copies}
            yield {"record": "flag", **about, **shares}


def wrong_fitted(answered: Answered, spectrum: Spectrum, copies: int) -> float:
    """Share of the wrong labels of units with so many copies that a network answers with; NaN where there are none."""
    variant = spectrum.variants[answered.rate]
    here = (spectrum.source.marks[FREQUENCY] == copies) & variant.mislabeled
    return float((answered.samples[here].argmax(1) == variant.labels[here]).mean()) if here.any() else np.nan


def training_losses(answered: Answered, spectrum: Spectrum, copies: int) -> tuple[float, float]:
    """Corrected and right loss of the training samples of units with so many copies."""
    here = spectrum.source.marks[FREQUENCY] == copies
    variant, answers = spectrum.variants[answered.rate], answered.samples[here]
    inverse = np.linalg.inv(symmetric_matrix(answered.rate, answers.shape[1]))
    corrected = 1 - (inverse[variant.labels[here]] * answers).sum(1)
    right = 1 - answers[np.arange(len(answers)), variant.clean[here]]
    return float(corrected.mean()), float(right.mean())
