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

from noisybench.ground.checks import a_path, check_kind, unknown
from noisybench.ground.drawing import check_picture
from noisybench.ground.engines.processes import Progress
from noisybench.ground.errors import UnknownName
from noisybench.studies.harm_networks import (
    detector_table,
    failures_of,
    grid_cells,
    harm_table,
    paradox_table,
    treatment_table,
)
from noisybench.studies.harm_picture import draw_harm
from noisybench.studies.harm_runs import HarmGrid, run_grid
from noisybench.studies.harm_theory import Domain, bounds, costs, lookup, paradox
from noisybench.studies.study import StudyFindings
from noisybench.training.machine import Machine

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
}
"""Name → what the networks are trained on. ``exact`` has exact copies, which a network cannot tell apart, like the table."""

TABLES = (
    "networks", "treatments", "detectors", "network_paradox", "costs", "bounds", "lookup", "paradox", "verdicts",
)  # fmt: skip
"""Names of its tables, that which csv takes unless another is asked for first."""


def harm(
    preset: str | HarmGrid,
    out: str | Path = "harm",
    *,
    plot: str | Path | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> StudyFindings:
    """What a memorised wrong label costs, exactly, simulated and in networks; and where treatments help.

    Runs are kept below ``out``: a study that was stopped goes on, and finished trainings are not repeated.

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
    """
    grid, out = preset_of(preset), a_path(out, "out")
    picture = None if plot is None else check_picture(plot)
    spectra, answers = run_grid(grid, out, machine=machine or Machine(device="auto"), progress=progress)
    source = spectra[grid.draws[0]].source
    domain = Domain(grid.frequencies, grid.units, source.num_classes)
    cells = grid_cells(grid, spectra, answers)
    theory = (costs(domain), bounds(), lookup(domain, grid.rates), paradox(domain, grid.rates))
    networks = (
        treatment_table(grid, cells),
        harm_table(grid, spectra, cells),
        paradox_table(grid, spectra, cells),
        detector_table(grid, spectra, answers),
    )
    findings = StudyFindings(
        study="harm",
        about=_about(grid, domain, [*failures_of(answers)]),
        tables=(*networks[:2], *(one.table for one in theory), *networks[2:]),
        verdicts=tuple(verdict for one in theory for verdict in one.verdicts),
    )
    if picture is not None:
        draw_harm(findings, picture)
    return findings


def preset_of(preset: str | HarmGrid) -> HarmGrid:
    """The grid of a preset.

    Raises:
        UnknownName: There is none of that name.
        BadUsage: It is neither a name nor a grid.
    """
    check_kind(preset, (str, HarmGrid), "preset", f"say {', '.join(PRESETS)}, or give a HarmGrid")
    if isinstance(preset, HarmGrid):
        return preset
    if preset not in PRESETS:
        raise UnknownName(unknown(preset, tuple(PRESETS), "preset"))
    return PRESETS[preset]


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
