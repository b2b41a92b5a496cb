"""Reproduce: what the four founding papers claim, each claim with the rule by which it counts as reproduced.

The list of claims and their smallest effects of interest stand in ``claims``, the rule in ``hypotheses``, both before anything
is measured. Claims on susceptibility, curvature and harm are measured by the studies of these names; those on CAR and ELR by
runs of this study.

Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461; Garg, Ravikumar and Roy 2024, arXiv:2307.05831; Liu 2021,
arXiv:2102.05336; Lu, Bo and He 2021, arXiv:2108.08212.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from os.path import commonprefix
from pathlib import Path
from typing import Any

from noisybench.ground.checks import a_path
from noisybench.ground.drawing import check_picture
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import each_share
from noisybench.runs.training_run import Evaluation
from noisybench.studies.claims import HYPOTHESES
from noisybench.studies.forecast import StudyForecast, forecast_trainings
from noisybench.studies.grids import choose_grid, grid_of_results
from noisybench.studies.hypotheses import Effect, Judged, claims_table, judge_hypotheses, verdicts_of
from noisybench.studies.reproduce_claims import measured_own, setting
from noisybench.studies.reproduce_parts import forecast_parts, grid_of_part, part_records
from noisybench.studies.reproduce_picture import draw_judged
from noisybench.studies.reproduce_runs import PARTS, ReproduceGrid, own_records, planned_runs
from noisybench.studies.results import StudyResults, read_results, results_of, write_results
from noisybench.studies.study import StudyFindings, StudyTable
from noisybench.training.machine import Machine, given_machine
from noisybench.training.timing import read_timing

PRESETS: Mapping[str, ReproduceGrid] = {
    "quick": ReproduceGrid(studies=dict.fromkeys(PARTS, "quick"), limit=200, draws=(0, 1, 2), epochs=10),
    "standard": ReproduceGrid(),
    "full": ReproduceGrid(
        studies=dict.fromkeys(PARTS, "full"),
        base="cifar10",
        model="resnet18",
        draws=(0, 1, 2),
        epochs=100,
        models=100,
    ),
}
"""Name → what is carried out. ``standard`` is CPU-sized; ``full`` has the networks and images of the papers, and wants GPUs."""
TABLES = ("claims", "secondary", "not_measured", "settings", "verdicts")
"""Names of its tables, that which csv takes unless another is asked for first."""
FULL = "noisybench study reproduce --preset full"
"""The command at the size of the papers."""


def reproduce(
    preset: str | Path | ReproduceGrid,
    out: str | Path = "studies/reproduce",
    *,
    plot: str | Path | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> StudyFindings:
    """Every claim of the four papers that can be tested: what was found, and whether it is reproduced.

    A study that measures some of them is taken as it is where its ``results.parquet`` of the same grid lies below ``out`` or
    beside it, as ``studies/harm`` beside ``studies/reproduce``; else it is carried out below ``out``. All runs are kept, and
    a study that was stopped goes on. What was measured is ``out/results.parquet``, of which ``reproduce_findings`` makes the
    findings again.

    Args:
        preset: A key of ``PRESETS``, or a grid.
        out: Folder of runs.
        plot: A .png, .svg or .pdf file for the picture.
        machine: How the networks are trained; None takes one worker, on a GPU where there is one.
        progress: Called after each epoch of each training, and after each subset model.

    Raises:
        UnknownName: There is no such preset, or a study has none of that name.
        BadUsage: A preset of another kind, or another kind of picture.
        MissingPackage: The picture needs matplotlib.
        Unfinished: The runs of the machine's shard are there, and others are not.
    """
    grid, out = choose_grid(preset, PRESETS), a_path(out, "out")
    picture = None if plot is None else check_picture(plot)
    for name, chosen in grid.studies.items():
        grid_of_part(name, chosen)  # refused before anything is trained
    machine = given_machine(machine)
    parts = (own_records, part_records)
    records = each_share(partial(part, grid, out, machine=machine, progress=progress) for part in parts)
    write_results(results_of("reproduce", grid, [*chain(*records)]), out)
    results = read_results(out, "reproduce")
    if picture is not None:
        draw_judged(judged_claims(results), picture)
    return reproduce_findings(results)


def forecast_reproduce(
    preset: str | Path | ReproduceGrid, out: str | Path = "studies/reproduce", machine: Machine | None = None
) -> StudyForecast:
    """What ``reproduce`` would train, the other studies with it; nothing is written. A pool of subset models is one run.

    Raises:
        UnknownName: There is no such preset, or a study has none of that name.
    """
    grid, out, machine = choose_grid(preset, PRESETS), a_path(out, "out"), given_machine(machine)
    source, tasks = planned_runs(grid, out, machine)
    planned = [task.planned(source) for task in tasks if task.what == "training"]
    trainings = forecast_trainings(planned)
    left = [task.blocks_left(source) for task in tasks if task.what == "pool"]
    each = _seconds_each(trainings, planned)
    seconds = None if each is None else sum(left) * grid.fraction * each
    basis = "of subset models by trainings on all samples" if sum(left) else ""
    own = trainings + StudyForecast(len(left), left.count(0), seconds, basis)
    return own + forecast_parts(grid, out, machine)


def _seconds_each(trainings: StudyForecast, planned: Sequence[Evaluation]) -> float | None:
    """About how long one of the trainings takes; None where nobody knows."""
    todo = trainings.runs - trainings.finished
    if todo:
        return None if trainings.seconds is None else trainings.seconds / todo
    folders = [
        one.out / variant.name / one.plan.folder / f"seed-{seed}"
        for one in planned for variant in one.variants for seed in one.seeds
    ]  # fmt: skip
    taken = [sum(read_timing(folder).get("purposes", {}).values()) for folder in folders]
    return sum(taken) / len(taken) if all(taken) else None


def reproduce_findings(results: StudyResults) -> StudyFindings:
    """Tables and verdicts of what was measured.

    Raises:
        BadData: The results are not what this study leaves.
    """
    grid, judged = grid_of_results(results, "reproduce", ReproduceGrid), judged_claims(results)
    primary = [one for one in judged if one.hypothesis.primary]
    secondary = [one for one in judged if not one.hypothesis.primary and one.measured is not None]
    sized = f"CPU-sized where the setting says so; at the size of the papers: {FULL}."
    claims = claims_table(
        primary,
        "claims",
        "Primary claims, with 95 % intervals over the units of each setting; p-values by Holm's method over these. An effect is "
        f"turned so that the claim says that it is above zero. {sized}",
    )
    others = claims_table(secondary, "secondary", f"Secondary claims; Holm's method over these alone. {sized}")
    return StudyFindings(
        study="reproduce",
        about=_about(grid, primary),
        tables=(claims, others, _unmeasured(judged), _settings(grid, results)),
        verdicts=verdicts_of([*primary, *secondary]),
    )


def draw_reproduce(results: StudyResults, path: str | Path) -> None:
    """Draw the effects of all claims beside their smallest effects of interest, into a .png, .svg or .pdf file.

    Raises:
        BadUsage: Another kind of picture.
        MissingPackage: It needs matplotlib.
    """
    draw_judged(judged_claims(results), check_picture(path))


def measure_reproduce(results: StudyResults) -> Mapping[str, Effect | str]:
    """Name of each hypothesis → what was measured, by this study or by another, or in words why nothing was."""
    grid = grid_of_results(results, "reproduce", ReproduceGrid)
    found: dict[str, Effect | str] = {
        one.name: f"this grid leaves out study '{one.study}'" for one in HYPOTHESES if one.study in PARTS
    }
    found |= {one["hypothesis"]: one["why"] for one in results.of("unmeasured")}
    for one in results.of("measured"):
        ends = {name: one.get(name, float("nan")) for name in ("value", "low", "high")}
        found[one["hypothesis"]] = Effect(
            **ends,
            units=int(one["units"]),
            of=one["of"],
            null=one.get("null", float("nan")),
            p_value=one.get("p_value"),
        )
    return found | measured_own(grid, results)


def judged_claims(results: StudyResults) -> tuple[Judged, ...]:
    """Every hypothesis of the list, judged."""
    return judge_hypotheses(HYPOTHESES, measure_reproduce(results))


def _unmeasured(judged: Sequence[Judged]) -> StudyTable:
    """Claims of which nothing was measured, and why."""
    own = [one for one in judged if one.word == "not measured"]
    records = tuple(
        {
            "name": one.hypothesis.name,
            "paper": one.hypothesis.paper,
            "primary": one.hypothesis.primary,
            "claim": one.hypothesis.claim,
            "why": one.why_not or "it has no value",
        }
        for one in own
    )
    lines = tuple((str(one["paper"]), str(one["claim"]), str(one["why"])) for one in records)
    return StudyTable("not_measured", "Claims that were not measured.", records, ("paper", "claim", "why"), lines)


def _settings(grid: ReproduceGrid, results: StudyResults) -> StudyTable:
    """What was carried out for which claims."""
    own: list[dict[str, Any]] = [
        {
            "study": one["study"],
            "preset": one["preset"],
            "version": one["version"],
            "setting": _of_part(results, one["study"]),
        }
        for one in results.of("part")
    ]
    own.append({"study": "reproduce", "preset": None, "version": results.version, "setting": setting(grid, results)})
    lines = tuple((one["study"], one["preset"] or "–", one["version"], one["setting"]) for one in own)
    caption = f"What was carried out. At the size of the papers: {FULL}; one study of it: noisybench study NAME --preset full."
    return StudyTable("settings", caption, tuple(own), ("study", "preset", "noisybench", "setting"), lines)


def _of_part(results: StudyResults, study: str) -> str:
    """What all settings of a study begin with; each claim says the rest of its own."""
    said = [one["of"] for one in results.of("measured") if one["study"] == study]
    return commonprefix(said).rstrip("; ,") or "it measured nothing"  # noqa: RUF071 - texts, not paths


def _about(grid: ReproduceGrid, primary: Sequence[Judged]) -> str:
    """What was found, in sentences."""
    counts = Counter[str](one.word for one in primary)
    words = ("reproduced", "not reproduced", "inconclusive", "not measured")
    studies = ", ".join(f"{name} ({preset})" for name, preset in grid.studies.items()) or "none"
    return (
        f"Of {len(primary)} primary claims of four papers: {', '.join(f'{counts[word]} {word}' for word in words)}. "
        f"Reproduced: the whole 95 % interval lies above zero and above the null, also after Holm's correction, and not below the "
        f"smallest effect of interest; not reproduced: it lies wholly below that; else inconclusive. Studies: {studies}. What is "
        f"called CPU-sized is small networks on small images, and says nothing of large ones: {FULL}."
    )
