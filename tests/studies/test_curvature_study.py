"""The curvature study: its numbers against loops over pairs and SciPy, its verdicts on made records, and a small one whole."""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr, ttest_1samp
from shell import shell

from noisybench.data.source import source_from_arrays
from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.reading import Run, read_run
from noisybench.studies.claims import hypotheses_of
from noisybench.studies.curvature import (
    PRESETS,
    TABLES,
    curvature,
    curvature_findings,
    draw_most_curved,
    forecast_curvature,
    measure_curvature,
)
from noisybench.studies.curvature_cells import by_run, minus, spread
from noisybench.studies.curvature_records import pixels_of, targets_of
from noisybench.studies.curvature_runs import AUTHORS_STEP, OWN_STEP, CurvatureGrid, GridLabels, primary_step
from noisybench.studies.hypotheses import Effect
from noisybench.studies.results import StudyResults, read_results, results_of
from noisybench.training.machine import Machine
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant

GRID = CurvatureGrid(
    limit=90,
    epochs=3,
    duplicates=0.1,
    rates=(0.1,),
    rate=0.1,
    steps=(AUTHORS_STEP, OWN_STEP),
    directions=1,
    every=2,
    activations=("relu",),
    draws=(0,),
    models=4,
    top=0.1,
)
CPU = Machine("cpu")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small study that was carried out."""
    folder = tmp_path_factory.mktemp("curvature")
    curvature(GRID, folder, machine=CPU)
    return folder


@pytest.fixture(scope="module")
def results(out: Path) -> StudyResults:
    return read_results(out, "curvature")


@pytest.fixture(scope="module")
def column() -> GridLabels:
    return GRID.labelled()["digits", 0.1, 0]


def run_of(out: Path, *, step: float, decay: float = 0.0, seed: int = 0) -> Run:
    """The run of a cell, found by what its record says."""
    runs = [read_run(path.parent) for path in out.glob("altered-*/*/seed-*/run.json")]
    asked = (step, decay, seed)
    return next(one for one in runs if (one.record.curvature_step, one.record.weight_decay, one.record.seed) == asked)


def one_of(results: StudyResults, kind: str, **where: Any) -> dict[str, Any]:  # noqa: ANN401
    found = [one for one in results.of(kind) if all(one.get(key) == value for key, value in where.items())]
    assert len(found) == 1
    return found[0]


def area(values: Floats, sought: "np.ndarray[Any, Any]", others: "np.ndarray[Any, Any]") -> float:
    """AUROC by a loop over pairs."""
    pairs = [*product(values[sought], values[others])]
    return float(np.mean([(high > low) + (high == low) / 2 for high, low in pairs]))


def test_kinds_of_samples_equal_a_loop() -> None:
    """Flips, copies, twins and right labels are disjoint; a twin whose label was flipped is of none."""
    labels = np.arange(60) % 3
    duplicate, conflicting = np.isin(np.arange(60), [*range(10)]), np.isin(np.arange(60), [*range(5)])
    source = source_from_arrays(
        "made", np.zeros((60, 1), np.float32), labels, clean=np.where(conflicting, -1, labels),
        marks={"duplicate": duplicate, "conflicting": conflicting},
    )  # fmt: skip
    variant = build_variant(source, Symmetric(0.5), seed=1)
    found = targets_of(source, variant)
    for sample in range(60):
        wrong = variant.clean[sample] >= 0 and variant.labels[sample] != variant.clean[sample]
        kinds = [name for name, mask in found._asdict().items() if mask[sample]]
        if sample < 5:
            assert kinds == ["copies"]
        elif sample < 10:
            assert kinds == ([] if wrong else ["twins"])
        else:
            assert kinds == (["flips"] if wrong else ["right"])
    assert variant.mislabeled[5:10].any()


def test_areas_equal_a_loop_over_pairs(out: Path, results: StudyResults, column: GridLabels) -> None:
    """Of detectors, of the last epoch, of each epoch and of memorization, for each kind of sample."""
    run, targets = run_of(out, step=AUTHORS_STEP), targets_of(*column)
    about = {"step": AUTHORS_STEP, "weight_decay": 0.0, "seed": 0}
    trace = read_trace(run.path / "trace").column("curvature")
    assert trace.epochs.tolist() == [2, 3]
    for target, mask in targets.sought.items():
        for name in ("loss_curvature", "cumulative_loss", "gauss_newton_trace"):
            expected = area(run.scores(name).values, mask, targets.right)
            assert one_of(results, "score", measure=name, target=target, **about)["auroc"] == pytest.approx(expected)
        last = one_of(results, "score", measure="curvature of the last epoch", target=target, **about)
        assert last["auroc"] == pytest.approx(area(trace.values[-1], mask, targets.right))
        for epoch, values in zip((2, 3), trace.values, strict=True):
            one = one_of(results, "epoch", measure="curvature", target=target, epoch=epoch, **about)
            assert one["auroc"] == pytest.approx(area(values, mask, targets.right))
    assert targets.flips.sum() == one_of(results, "run", **about)["flips"] > 0
    assert targets.copies.sum() == 9


def test_tops_and_steps_equal_sets_and_scipy(out: Path, results: StudyResults, column: GridLabels) -> None:
    """Overlaps of the nine most curved, what they are, and rank agreement of two steps and of two seeds."""

    def values(**what: Any) -> Floats:  # noqa: ANN401
        return run_of(out, **{"step": AUTHORS_STEP, **what}).scores("loss_curvature").values

    def top(**what: Any) -> set[int]:  # noqa: ANN401
        return set(np.argsort(-values(**what))[:9].tolist())

    pairs = {
        "seeds": [((0.0, 0), (0.0, 1)), ((1e-4, 0), (1e-4, 1))],
        "weight decays": [((0.0, 0), (1e-4, 0)), ((0.0, 1), (1e-4, 1))],
        "weight decays and seeds": [((0.0, 0), (1e-4, 1)), ((0.0, 1), (1e-4, 0))],
    }
    for between, both in pairs.items():
        found = sorted(one["overlap"] for one in results.of("top") if one["between"] == between)
        tops = [[top(decay=decay, seed=seed) for decay, seed in pair] for pair in both]
        assert found == pytest.approx(sorted(len(first & second) / 9 for first, second in tops))
    targets = targets_of(*column)
    kinds = one_of(results, "kind_of_top", weight_decay=0.0, seed=1)
    for name, mask in targets._asdict().items():
        assert kinds[name] == pytest.approx(sum(mask[sample] for sample in top(seed=1)) / 9)
    for seed in (0, 1):
        one = one_of(results, "steps", seed=seed, other_seed=seed)
        rank = spearmanr(values(seed=seed), values(seed=seed, step=OWN_STEP)).statistic
        assert (one["step"], one["other_step"], one["spearman"]) == (AUTHORS_STEP, OWN_STEP, pytest.approx(rank))
    again = one_of(results, "steps", step=OWN_STEP, other_step=OWN_STEP)
    rank = spearmanr(values(step=OWN_STEP), values(step=OWN_STEP, seed=1)).statistic
    assert again["spearman"] == pytest.approx(rank)


def test_agreement_equals_scipy_and_its_nulls_a_mean(out: Path, results: StudyResults, column: GridLabels) -> None:
    """Rank and angle with memorization over the samples in no pair, right and wrong ones together and apart."""
    from noisybench.memorization.estimate import read_memorization

    path = next(out.glob("altered-*/memorization/*/memorization.parquet"))
    truth, targets = read_memorization(path).values, targets_of(*column)
    scores = run_of(out, step=OWN_STEP).scores("loss_curvature").values
    masks = {"all": targets.flips | targets.right, "right labels": targets.right, "wrong labels": targets.flips}
    for stratum, mask in masks.items():
        chosen = mask & ~np.isnan(truth)
        x, y = scores[chosen], truth[chosen]
        one = one_of(results, "agreement", measure="loss_curvature", stratum=stratum, step=OWN_STEP, seed=0)
        if len({*y}) > 1:
            assert one["spearman"] == pytest.approx(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
            assert one["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1])
        assert one["cosine"] == pytest.approx(x @ y / np.sqrt((x @ x) * (y @ y)))
        assert one["cosine_constant"] == pytest.approx(y.sum() / np.sqrt(len(y) * (y @ y)))
        rng = np.random.default_rng(0)
        shuffled = [rng.permutation(x) @ y / np.sqrt((x @ x) * (y @ y)) for _ in range(4_000)]
        assert one["cosine_permuted"] == pytest.approx(np.mean(shuffled), abs=4 * np.std(shuffled) / 4_000**0.5)


def test_images_are_those_of_the_source(results: StudyResults, column: GridLabels) -> None:
    """The most curved first, with the labels and pixels that they have."""
    images = results.of("image")
    curvatures = [one["curvature"] for one in images]
    assert len(images) == 24
    assert curvatures == sorted(curvatures, reverse=True)
    for one in images:
        assert np.array_equal(pixels_of(one), column.source.inputs[one["sample"]])
        assert one["given"] == str(column.variant.labels[one["sample"]])
        clean = column.variant.clean[one["sample"]]
        assert one.get("clean") == (None if clean < 0 else str(clean))


def test_a_stopped_study_goes_on_and_trains_nothing_twice(out: Path, results: StudyResults, tmp_path: Path) -> None:
    """Without one run, one truth and the results, all is as before; the other runs are not touched."""
    copy = tmp_path / "again"
    shutil.copytree(out, copy)
    (copy / "results.parquet").unlink()
    shutil.rmtree(next(copy.glob("altered-*/memorization")))
    gone = run_of(copy, step=OWN_STEP).path
    shutil.rmtree(gone)
    before = {path: path.stat().st_mtime_ns for path in copy.glob("altered-*/*/seed-*/run.json")}
    assert forecast_curvature(GRID, copy, CPU)[:2] == (6, 5)
    findings = curvature(GRID, copy, machine=CPU)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert read_results(copy, "curvature").records == results.records
    assert findings.to_json() == curvature_findings(results).to_json()


def test_shell_remakes_tables_and_pictures_without_runs(out: Path, tmp_path: Path) -> None:
    """From the one file, in another folder; every table has lines but agreement, for three epochs memorize nothing."""
    shutil.copy(out / "results.parquet", tmp_path)
    told = shell("study", "curvature", "--remake", "--out", tmp_path, "--sheet", tmp_path / "s.png", "--json")
    assert told.code == 0
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"
    tables = json.loads(told.out)
    assert [name for name in TABLES if not tables[name]] == ["agreement"]
    assert "for 0.1 was chosen on this very set" in tables["about"]
    line = shell("study", "curvature", "--remake", "--out", tmp_path, "--format", "csv", "--table", "tops")
    assert line.out.splitlines()[0].startswith("source,between,what,value,low,high")
    plan = shell("study", "curvature", "--grid", tmp_path / "none.json", "--dry-run")
    assert (plan.code, "none.json" in plan.err) == (1, True)


def test_spreads_equal_student_over_means_of_draws() -> None:
    """Over draws where there are several, else over trainings, else over samples."""
    cells = {(0, 0): 0.6, (0, 1): 0.8, (1, 0): 0.9, (1, 1): 0.7, (2, 0): 0.5, (2, 1): 0.5}
    means = [0.7, 0.8, 0.5]
    found, expected = spread(cells), ttest_1samp(means, 0.4)
    ends = expected.confidence_interval()
    assert found[:3] == pytest.approx((np.mean(means), max(ends.low, -1), min(ends.high, 1)))
    assert found.over == "3 draws, 2 trainings each"
    one_draw = {key: value for key, value in cells.items() if key[0] == 1}
    assert spread(one_draw, bounds=(-9, 9)).low == pytest.approx(ttest_1samp([0.9, 0.7], 0).confidence_interval().low)
    assert spread({(4, 0): 0.8}, own=(0.7, 0.9))[1:3] == (0.7, 0.9)
    assert np.isnan(spread({(4, 0): 0.8}).low)
    assert minus(cells, {(0, 7): 0.5, (2, 7): 0.1}) == pytest.approx({(0, 7): 0.2, (2, 7): 0.4})
    assert minus(cells, {(1, 1): 0.5, (0, 0): 0.1}) == pytest.approx({(1, 1): 0.2, (0, 0): 0.5})
    twice: list[dict[str, Any]] = [
        {"draw": 0, "seed": 0, "x": 1.0, "y": None},
        {"draw": 0, "seed": 0, "x": 2.0, "y": 1},
    ]
    assert by_run(twice, "x") == {(0, 0): 1.5}
    assert by_run(twice, "x", y=None) == {(0, 0): 1.0}


def made(*, fitted: float = 1.0, tuned: bool = False) -> StudyResults:
    """Results of two draws and two seeds, whose curvature finds flips with AUROC .9, at the last epoch with .8, and so on."""
    grid = CurvatureGrid(sources=("made",), draws=(0, 1), activations=("relu",), rates=(0.05, 0.1))
    step = AUTHORS_STEP if tuned else OWN_STEP
    records: list[dict[str, Any]] = [
        {"record": "source", "source": "made", "rate": 0.05, "step": step, "model": "mlp", "samples": 99, "epochs": 60}
        | ({"tuned_on": "this"} if tuned else {})
    ]
    for rate, draw, seed in product((0.05, 0.1), (0, 1), (0, 1)):
        off = 0.001 * (draw - 0.5)
        about = {"source": "made", "rate": rate, "activation": "relu", "weight_decay": 0.0, "step": step} | {
            "draw": draw,
            "seed": seed,
        }
        records.append({"record": "run", **about, "mislabeled_fit": fitted, "clean_fit": 1.0})
        areas = {
            "loss_curvature": 0.9 + (rate == 0.1) * 0.05,
            "curvature of the last epoch": 0.8,
            "cumulative_loss": 0.95,
        }
        for measure, value in areas.items():
            records += [
                {
                    "record": "score",
                    **about,
                    "measure": measure,
                    "target": target,
                    "auroc": value + off * (measure == "loss_curvature"),
                }
                for target in ("flips", "pairs", "copies", "twins")
            ]
        if rate == 0.05:
            agreed = {
                "spearman": 0.4 + off,
                "pearson": 0.3 + off,
                "cosine": 0.6 + off,
                "cosine_constant": 0.7,
                "cosine_permuted": 0.2,
            }
            records += [
                {"record": "agreement", **about, "measure": measure, "stratum": stratum, **agreed}
                for measure in ("loss_curvature", "cumulative_loss") for stratum in ("all", "right labels", "wrong labels")
            ]  # fmt: skip
            records.append({"record": "score", **about, "measure": "memorization", "target": "pairs", "auroc": 0.5})
            tops = {"seeds": 0.8, "weight decays and seeds": 0.3 + off}
            records += [{"record": "top", **about, "between": name, "overlap": value} for name, value in tops.items()]
            ends = {**about, "step": AUTHORS_STEP, "other_step": OWN_STEP, "other_seed": seed}
            records.append({"record": "steps", **ends, "spearman": 0.97 + off})
    return results_of("curvature", grid, records)


def test_effects_of_made_records_are_those_put_in() -> None:
    """Least rate, differences by draw, the larger null, and both ends of the steps."""
    found = measure_curvature(made())
    expected = {
        "curvature_finds_flips": 0.4,
        "curvature_finds_flips_0.1": 0.45,
        "averaging_helps": 0.125,
        "curvature_beats_cumulative_loss": -0.05,
        "duplicates_seen_by_curvature": 0.4,
        "weight_decay_changes_top": 0.5,
        "step_is_robust": 0.97,
        "curvature_agrees_with_memorization": -0.1,
        "curvature_ranks_as_memorization_right": 0.4,
        "curvature_agrees_more_than_cumulative_loss": 0.0,
    }
    for name, value in expected.items():
        one = found[name]
        assert isinstance(one, Effect)
        assert one.value == pytest.approx(value)
        assert one.units == 2
    words = {one.claim: one.word for one in curvature_findings(made()).verdicts}
    assert words["Curvature agrees with memorization"] == "fails"
    assert (
        words["Curvature averaged over epochs finds 1 to 10 % of flipped labels in an interpolating network"] == "holds"
    )
    results = made()
    alike = [
        {**one, "overlap": 0.3} if one.get("between") == "weight decays and seeds" else one for one in results.records
    ]
    top = measure_curvature(replace(results, records=tuple(alike)))["weight_decay_changes_top"]
    assert isinstance(top, Effect)
    assert (top.p, np.isnan(top.low)) == (0.5, True)
    failed = tuple(one for one in results.records if one.get("draw") != 1 or one["record"] != "top")
    top = measure_curvature(replace(results, records=failed))["weight_decay_changes_top"]
    assert isinstance(top, Effect)
    assert top.of.endswith("; 1 of 2 draws have no value")
    wide = [
        {**one, "spearman": 0.5 + 0.4 * one["draw"]} if one["record"] == "steps" else one for one in results.records
    ]
    step = measure_curvature(replace(results, records=tuple(wide)))["step_is_robust"]
    assert isinstance(step, Effect)
    assert (step.low, step.high) == (-1, 1)
    ends = [str(getattr(found[f"curvature_finds_flips_{rate}"], "of", "")) for rate in (0.05, 0.1)]
    assert [one.partition("; units")[0].rpartition("; ")[2] for one in ends][1] == "at rate 0.1 instead"
    assert "instead" not in ends[0]
    silu = found["curvature_finds_flips_silu"]
    assert isinstance(silu, str)
    assert {*found} == {one.name for one in hypotheses_of("curvature")}


def test_what_memorized_nothing_is_not_correlated() -> None:
    """Below one half of the wrong labels fitted the study says so; below nine tenths a network does not interpolate."""
    little, some = measure_curvature(made(fitted=0.2)), measure_curvature(made(fitted=0.7))
    assert {*little} == {one.name for one in hypotheses_of("curvature")}
    assert all("nothing was memorized" in str(one) for one in little.values())
    told = curvature_findings(made(fitted=0.2))
    assert "nothing was memorized to speak of" in told.about
    assert not told.to_records("agreement")
    assert "Nothing was memorized on made" in told.table("agreement").caption
    assert isinstance(some["curvature_agrees_with_memorization"], Effect)
    assert "an interpolating network fits 90%" in str(some["curvature_finds_flips"])


def test_main_figures_are_not_at_a_step_that_was_chosen_on_their_set() -> None:
    """Ours was chosen on digits and CIFAR-10: theirs is taken there, and ours elsewhere."""
    assert [primary_step(name) for name in ("digits", "cifar10", "mnist", "cifar100")] == [
        AUTHORS_STEP, AUTHORS_STEP, OWN_STEP, OWN_STEP,
    ]  # fmt: skip
    for tuned in (False, True):
        effect = measure_curvature(made(tuned=tuned))["curvature_finds_flips"]
        assert isinstance(effect, Effect)
        assert f"step {AUTHORS_STEP if tuned else OWN_STEP:g}" in effect.of


def test_one_thing_at_a_time_is_changed() -> None:
    """Each cell of the standard grid differs from the centre in one thing, but for a rate at the other step."""
    grid = PRESETS["standard"]
    cells = grid.settings("digits")
    for cell in cells:
        differs = [name for name, value in cell._asdict().items() if value != getattr(cells[0], name)]
        assert len(differs) <= 1 or differs in (["rate", "step"], ["activation", "step"])
    assert len(cells) == len({*cells}) == 15
    assert grid.trainings == 15 * 5 * 2


def test_grids_that_cannot_be_meant_are_refused(results: StudyResults, tmp_path: Path) -> None:
    """Each with what would be right."""
    with pytest.raises(BadUsage, match=r"must be one of the rates"):
        CurvatureGrid(rate=0.3)
    with pytest.raises(BadUsage, match="limit must be at least 1"):
        CurvatureGrid(limit=0)
    with pytest.raises(BadUsage, match=r"add 0.001"):
        CurvatureGrid(steps=(0.1,))
    with pytest.raises(BadUsage, match="activations are relu and silu"):
        CurvatureGrid(activations=("gelu",))
    with pytest.raises(BadUsage, match="seeds of the grid must be different ones, at least one, got 1, 1"):
        CurvatureGrid(seeds=(1, 1))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"models": 1}, "models of the grid must be 0 or at least 2"),
        ({"steps": (-1.0, 0.001, 0.1)}, "steps of the grid must lie above 0"),
        ({"weight_decays": (0.0, -1.0)}, "weight_decays not below"),
        ({"rates": (0.05, 2.0)}, "rate must lie in"),
        ({"top": 0.0}, "top of the grid must lie between 0 and 1, got 0"),
        ({"options": {"weight_decay": "1"}}, "hold 'weight_decay', which is decided by weight_decays"),
        ({"rates": 0.1}, "rates of a CurvatureGrid is '0.1', expected"),
        ({"sources": (1,)}, "sources of a CurvatureGrid is"),
        ({"options": 5}, "options of a CurvatureGrid is '5', expected Mapping"),
    ]
    for fields, words in refused:
        with pytest.raises(BadUsage, match=words):
            CurvatureGrid(**fields)
    assert CurvatureGrid(draws=range(2), rates=np.array([0.05, 0.1])).rates == (0.05, 0.1)  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match="rates of the grid must be ascending"):
        CurvatureGrid(rates=(0.1, 0.05))
    with pytest.raises(UnknownName, match="preset"):
        curvature("quik")
    with pytest.raises(BadData, match="no images"):
        draw_most_curved(made(), tmp_path / "s.png")
    broken = StudyResults("curvature", {**results.grid, "rate": 0.3}, results.records)
    with pytest.raises(BadData, match="rate 0.3, at which all else is compared, must be one of"):
        curvature_findings(broken)
    (tmp_path / "grid.json").write_text('{"seeds": [1, 1]}')
    told = shell("study", "curvature", "--grid", tmp_path / "grid.json", "--dry-run")
    assert (told.code, "seeds of the grid must be different ones" in told.err) == (1, True)
