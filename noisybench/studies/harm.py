"""Harm: what a memorised wrong label costs by how often its instance occurs, and whether treatments heal or worsen that.

First a lookup table, exactly and simulated, against the theorems; then networks on a frequency spectrum, which are described and
not tested: no theorem is about them.

*Memorised* here is the paper's word for a label that a model answers with; how much a sample is memorized in the sense of Feldman
and Zhang is measured by ``memorize``.

Source: Liu 2021, arXiv:2102.05336.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from noisybench.ground.checks import a_path
from noisybench.ground.drawing import check_picture
from noisybench.ground.engine import Progress
from noisybench.studies.forecast import StudyForecast, forecast_trainings
from noisybench.studies.grids import choose_grid, grid_of_results
from noisybench.studies.harm_claims import measured_harm
from noisybench.studies.harm_measured import measured_records
from noisybench.studies.harm_networks import (
    classes_of,
    detector_table,
    failures_of,
    grid_cells,
    harm_table,
    paradox_table,
    treatment_table,
)
from noisybench.studies.harm_picture import draw_findings
from noisybench.studies.harm_runs import MEMORIZING, HarmGrid, planned_trainings, run_grid
from noisybench.studies.harm_theory import Domain, bounds, costs, lookup, paradox
from noisybench.studies.hypotheses import Effect
from noisybench.studies.results import StudyResults, read_results, results_of, write_results
from noisybench.studies.study import StudyFindings
from noisybench.training.machine import Machine, given_machine

PRESETS: Mapping[str, HarmGrid] = {
    "quick": HarmGrid(
        frequencies=(1, 4, 16),
        units=8,
        siblings=3,
        rates=(0.4,),
        draws=(0, 1),
        epochs=15,
        treatments=("cross_entropy", "label_smoothing .4", "backward_correction, true", "peer_loss"),
    ),
    "standard": HarmGrid(),
    "exact": replace(HarmGrid(), how="exact"),
    "claims": HarmGrid(
        draws=tuple(range(10)),
        treatments=(
            "cross_entropy",
            "backward_correction, true",
            "backward_correction, hoc",
            "forward_correction, true",
            "peer_loss",
        ),
        detectors=("final_loss",),
    ),
    "full": HarmGrid(base="cifar10", units=64, draws=tuple(range(10)), epochs=100),
}
"""Name → what the networks are trained on. ``exact`` has exact copies, which a network cannot tell apart, like the table;
``claims`` has more draws of what hypotheses are about. ``standard`` and these are CPU-sized; ``full`` has images of the paper's
experiments."""

TABLES = (
    "networks", "treatments", "detectors", "network_paradox", "costs", "bounds", "lookup", "paradox", "verdicts",
)  # fmt: skip
"""Names of its tables, that which csv takes unless another is asked for first."""


def harm(
    preset: str | Path | HarmGrid,
    out: str | Path = "studies/harm",
    *,
    plot: str | Path | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> StudyFindings:
    """What a memorised wrong label costs, exactly, simulated and in networks; and where treatments help.

    Runs are kept below ``out``: a study that was stopped goes on, and finished trainings are not repeated. What they gave
    is ``out/results.parquet``, of which ``harm_findings`` makes the findings again.

    Args:
        preset: A key of ``PRESETS``, or a grid.
        out: Folder of runs.
        plot: A .png, .svg or .pdf file for the picture.
        machine: How the networks are trained; None takes one worker, on a GPU where there is one.
        progress: Called after each epoch of each training.

    Raises:
        UnknownName: There is no such preset.
        BadUsage: A preset of another kind, or another kind of picture.
        MissingPackage: The picture needs matplotlib.
        Unfinished: The runs of the machine's shard are there, and others are not.
    """
    grid, out = choose_grid(preset, PRESETS), a_path(out, "out")
    picture = None if plot is None else check_picture(plot)
    spectra, answers = run_grid(grid, out, machine=given_machine(machine), progress=progress)
    write_results(results_of("harm", grid, [*measured_records(grid, spectra, answers)]), out)
    findings = harm_findings(read_results(out, "harm"))
    if picture is not None:
        draw_findings(findings, picture)
    return findings


def forecast_harm(
    preset: str | Path | HarmGrid, out: str | Path = "studies/harm", machine: Machine | None = None
) -> StudyForecast:
    """What ``harm`` would train: its runs, those that are finished, and how long the others take; nothing is written.

    Raises:
        UnknownName: There is no such preset.
    """
    planned = planned_trainings(choose_grid(preset, PRESETS), a_path(out, "out"), given_machine(machine))
    return forecast_trainings(planned)


def harm_findings(results: StudyResults) -> StudyFindings:
    """Tables and verdicts of what the runs gave; the lookup table's are computed again, which takes seconds.

    Raises:
        BadData: The results are not what this study leaves.
    """
    grid = grid_of_results(results, "harm", HarmGrid)
    domain = Domain(grid.frequencies, grid.units, classes_of(results))
    cells = grid_cells(grid, results)
    theory = (costs(domain), bounds(), lookup(domain, grid.rates), paradox(domain, grid.rates))
    networks = (
        treatment_table(grid, results, cells),
        harm_table(grid, results, cells),
        paradox_table(grid, results, cells),
        detector_table(results),
    )
    return StudyFindings(
        study="harm",
        about=_about(grid, domain, [*failures_of(results)]),
        tables=(*networks[:2], *(one.table for one in theory), *networks[2:]),
        verdicts=tuple(verdict for one in theory for verdict in one.verdicts),
    )


def draw_harm(results: StudyResults, path: str | Path) -> None:
    """Draw the picture of what the runs gave into a .png, .svg or .pdf file.

    Raises:
        BadUsage: Another kind of picture.
        MissingPackage: It needs matplotlib.
    """
    picture = check_picture(path)
    draw_findings(harm_findings(results), picture)


def measure_harm(results: StudyResults) -> Mapping[str, Effect | str]:
    """Name of each hypothesis on harm → what the networks say of it, or in words why nothing; see ``harm_claims``."""
    grid = grid_of_results(results, "harm", HarmGrid)
    rarest = [one for one in results.of("bucket") if one["copies"] == grid.frequencies[0]]
    fits = [float(one["wrong_fitted"]) for one in rarest if one["treatment"] == MEMORIZING and "wrong_fitted" in one]
    return measured_harm(grid, grid_cells(grid, results), fits)


def _about(grid: HarmGrid, domain: Domain, failures: list[str]) -> str:
    """What was run, in sentences."""
    siblings = "the instance itself as sibling" if grid.how == "exact" else f"{grid.siblings} held-out siblings each"
    said = (
        f"Networks: {grid.trainings} trainings of {grid.epochs} epochs (recipe overfit) on '{grid.base}' as {grid.how} copies: "
        f"{grid.units} units of each of {', '.join(map(str, grid.frequencies))} copies, {domain.samples:,} samples, {siblings}; "
        f"symmetric noise at {', '.join(f'{rate:g}' for rate in grid.rates)}, drawn for each copy, in {len(grid.draws)} draws of "
        f"instances, labels and training. The table: the same units, {domain.repeats} samples of {domain.samples:,}. Verdicts are on "
        f"the table; networks are described."
    )
    return " ".join([said, *failures])
