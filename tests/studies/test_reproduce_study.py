"""Study reproduce: effects against loops over hand-made results, parts found or carried out, and a tiny study end to end."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from shell import shell

from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.studies import harm as of_harm
from noisybench.studies import reproduce_parts
from noisybench.studies.claims import HYPOTHESES, hypotheses_of
from noisybench.studies.draw_means import measured_over
from noisybench.studies.forecast import StudyForecast
from noisybench.studies.harm_runs import HarmGrid
from noisybench.studies.hypotheses import Effect, judge_hypotheses
from noisybench.studies.reproduce import (
    PRESETS,
    TABLES,
    draw_reproduce,
    forecast_reproduce,
    measure_reproduce,
    reproduce,
    reproduce_findings,
)
from noisybench.studies.reproduce_parts import finished_part, part_records
from noisybench.studies.reproduce_runs import ReproduceGrid
from noisybench.studies.results import StudyResults, read_results, results_of, write_results
from noisybench.training.machine import Machine
from noisybench.variants.variant import read_variant

GRID = ReproduceGrid(studies={}, limit=60, draws=(0, 1), epochs=2, models=2, fraction=0.5)
DRAWS = 6
WIDE = replace(GRID, draws=tuple(range(DRAWS)))


def own_results(**means: float) -> StudyResults:
    """Hand-made results of six draws: quantities of one objective at ``objective_name``, all others at a half."""
    rng = np.random.default_rng(1)

    def of(objective: str, name: str) -> float:
        return means.get(f"{objective}_{name}", 0.5) + 0.01 * float(rng.standard_normal())

    records: list[Mapping[str, Any]] = [{"record": "source", "samples": 60, "model": "mlp"}]
    for draw in WIDE.draws:
        for objective in ("cross_entropy", "elr", "car"):
            about = {"draw": draw, "objective": objective}
            pool = {name: of(objective, name) for name in ("wrong_memorization", "right_memorization")}
            records += [
                {"record": "pool", **about, "models": 10, **pool},
                {"record": "training", **about, "wrong_at_right": of(objective, "wrong_at_right")},
            ]
        scores = (("car", "indicator"), ("elr", "target"), ("cross_entropy", "loss"))
        for objective, name in scores:
            detector = "final_loss" if name == "loss" else f"objective_{name}"
            about = {"draw": draw, "objective": objective, "detector": detector}
            records.append({"record": "score", **about, "auroc": of(objective, name)})
    return results_of("reproduce", WIDE, records)


def verdicts(results: StudyResults) -> dict[str, str]:
    return {one.hypothesis.name: one.word for one in judge_hypotheses(HYPOTHESES, measure_reproduce(results))}


def effect(results: StudyResults, name: str) -> Effect:
    found = measure_reproduce(results)[name]
    assert isinstance(found, Effect), found
    return found


def test_effects_equal_loops_over_draws() -> None:
    """Each effect is the mean over draws of differences within a draw, with Student's t."""
    results = own_results(cross_entropy_wrong_memorization=0.9, elr_wrong_memorization=0.3, car_indicator=0.8)
    pools = results.of("pool")

    def value(draw: int, objective: str, name: str) -> float:
        return float(next(one[name] for one in pools if (one["draw"], one["objective"]) == (draw, objective)))

    wrong, more = [], []
    for draw in range(DRAWS):
        taken = {}
        for name in ("wrong_memorization", "right_memorization"):
            taken[name] = value(draw, "cross_entropy", name) - value(draw, "elr", name)
        wrong.append(taken["wrong_memorization"])
        more.append(taken["wrong_memorization"] - taken["right_memorization"])
    for name, values in (("elr_holds_back", wrong), ("elr_holds_back_wrong_more", more)):
        found, truth = effect(results, name), ttest_1samp(values, 0)
        ends = truth.confidence_interval(0.95)
        assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), *ends))
        assert found.p == pytest.approx(truth.pvalue)
        assert found.units == DRAWS
    areas = {one["detector"]: [] for one in results.of("score")}  # type: dict[str, list[float]]
    for one in results.of("score"):
        areas[one["detector"]].append(one["auroc"])
    assert effect(results, "indicator_separates").value == pytest.approx(np.mean(areas["objective_indicator"]) - 0.5)
    gain = np.subtract(areas["objective_indicator"], areas["final_loss"]).mean()
    assert effect(results, "indicator_finds_more_than_final_loss").value == pytest.approx(gain)


def test_each_verdict_turns_with_its_quantity() -> None:
    """Of the three primary claims, each is reproduced where its own quantity says so, and by no other."""
    plain = {"cross_entropy_wrong_memorization": 0.9, "elr_wrong_memorization": 0.9, "car_wrong_memorization": 0.9}
    names = ("elr_holds_back", "car_holds_back", "indicator_separates")
    for change, turned in (
        ({}, None),
        ({"elr_wrong_memorization": 0.4}, "elr_holds_back"),
        ({"car_wrong_memorization": 0.4}, "car_holds_back"),
        ({"car_indicator": 0.9}, "indicator_separates"),
    ):
        found = verdicts(own_results(**{**plain, **change}))
        assert {name: found[name] for name in names} == {
            name: "reproduced" if name == turned else "not reproduced" for name in names
        }
    # What is held back of the wrong labels and of the right ones alike is no merit.
    alike = own_results(**{**plain, "car_wrong_memorization": 0.4, "car_right_memorization": 0.0})
    assert verdicts(alike)["car_holds_back"] == "reproduced"
    assert verdicts(alike)["car_holds_back_wrong_more"] == "not reproduced"


def test_what_was_not_memorized_cannot_be_held_back() -> None:
    found = measure_reproduce(own_results(cross_entropy_wrong_memorization=0.05, elr_wrong_memorization=0.0))
    for name in ("elr_holds_back", "car_holds_back", "elr_holds_back_wrong_more", "car_fits_less_at_equal_right"):
        assert str(found[name]).startswith(
            "under cross-entropy the wrong labels were not memorized: their mean memorization"
        )
    assert isinstance(found["indicator_separates"], Effect)


def test_a_failed_training_is_told() -> None:
    results = own_results(cross_entropy_wrong_memorization=0.9)
    broken = [
        {"record": "pool", "draw": one["draw"], "objective": "car", "failure": "a loss is not finite"}
        if (one["record"], one.get("objective")) == ("pool", "car") else one
        for one in results.records
    ]  # fmt: skip
    found = measure_reproduce(replace(results, records=tuple(broken)))
    assert found["car_holds_back"] == "car could not be trained: a loss is not finite"
    one = next(record for record in broken if "failure" in record and record["draw"] == 2)
    once = tuple(
        one if (old["record"], old.get("objective"), old.get("draw")) == ("pool", "car", 2) else old
        for old in results.records
    )
    some = effect(replace(results, records=once), "car_holds_back")
    assert (some.units, some.of.endswith("; 1 of 6 draws have no value")) == (5, True)
    assert isinstance(found["elr_holds_back"], Effect)
    table = reproduce_findings(replace(results, records=tuple(broken))).table("not_measured")
    assert ("Lu 2021", "CAR holds back memorization of wrong labels", found["car_holds_back"]) in table.lines


def test_every_hypothesis_of_these_studies_is_measured_or_said_why() -> None:
    found = measure_reproduce(own_results())
    assert {one.name for one in HYPOTHESES if one.study == "reproduce"} <= {*found}
    assert found["susceptibility_tracks_fit"] == "this grid leaves out study 'susceptibility'"


def test_means_of_draws_that_are_alike() -> None:
    """A value without spread has the p-value of the sign test, and an interval where that is below .05; a single one has none."""
    few = measured_over([0.05] * 5, "")
    assert np.isnan([few.low, few.high]).all()
    assert few.p == 2**-4
    assert measured_over([0.5] * 8, "") == Effect(0.5, 0.5, 0.5, 8, "", p_value=2**-7)
    assert measured_over([0.0, 0.0], "").p == 1
    one = measured_over([0.4], "")
    assert np.isnan([one.low, one.high, one.p]).all()
    assert judge_hypotheses(hypotheses_of("reproduce"), {"indicator_separates": one})[0].word == "inconclusive"
    assert measured_over([-0.9, 0.9], "").low == -1
    above = measured_over([0.4, 0.5, 0.6], "", null=0.3)
    assert above.p == pytest.approx(ttest_1samp([0.4, 0.5, 0.6], 0.3).pvalue)


# The other studies


def fake_part(monkeypatch: pytest.MonkeyPatch, carried: list[Path]) -> None:
    """Study harm whose carrying out leaves results without a training."""

    def carry_out(_: ReproduceGrid, preset: str, out: Path, *__: object) -> None:
        carried.append(out)
        write_results(results_of("harm", of_harm.PRESETS[preset], [{"record": "setting", "classes": 3}]), out)

    def measure(_: StudyResults) -> dict[str, Effect | str]:
        return {
            "frequent_harmed_more": Effect(0.3, 0.2, 0.4, 9, "hand-made"),
            "correction_fails_at_small_l": "no units",
        }

    part = reproduce_parts.PartStudy(
        of_harm.PRESETS, carry_out, lambda *_: StudyForecast(7, 2, 10.0, "by hand"), measure, lambda *_: 0
    )
    monkeypatch.setattr("noisybench.studies.reproduce_parts.part_studies", lambda: {"harm": part})


def test_a_study_is_taken_where_it_is_finished_and_else_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried: list[Path] = []
    fake_part(monkeypatch, carried)
    out, machine = tmp_path / "reproduce", Machine()
    beside, wanted = tmp_path / "harm", replace(GRID, studies={"harm": "quick"})
    write_results(results_of("harm", of_harm.PRESETS["standard"], [{"record": "setting", "classes": 3}]), beside)
    assert finished_part("harm", "quick", out) is None  # of another grid
    (beside / "results.parquet").write_bytes(b"no Parquet")
    assert finished_part("harm", "quick", out) is None
    records = [*part_records(wanted, out, machine=machine)]
    assert carried == [out / "harm"]
    assert records[0] == {"record": "part", "study": "harm", "preset": "quick", "version": records[0]["version"]}
    assert records[1]["hypothesis"] == "frequent_harmed_more"
    assert records[1]["value"] == 0.3
    assert records[1]["of"] == "CPU-sized: hand-made"
    assert records[2]["why"] == "no units"
    assert [*part_records(wanted, out, machine=machine)] == records
    shutil.move(out / "harm" / "results.parquet", beside / "results.parquet")
    assert [*part_records(wanted, out, machine=machine)] == records
    assert len(carried) == 1
    results = results_of("reproduce", wanted, [*own_results().records, *records])
    assert measure_reproduce(results)["correction_fails_at_small_l"] == "no units"
    # A p-value that is left to the interval is so after the file, too.
    assert effect(results, "frequent_harmed_more") == Effect(0.3, 0.2, 0.4, 9, "CPU-sized: hand-made")
    with pytest.raises(UnknownName, match="no preset of study harm is called 'quik'; did you mean 'quick'?"):
        reproduce(replace(GRID, studies={"harm": "quik"}), out)


# From end to end


def test_a_tiny_study_is_made_again_of_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing finished is trained twice; tables and picture need no run folder; a forecast writes nothing."""
    carried: list[Path] = []
    fake_part(monkeypatch, carried)
    grid, out = replace(GRID, studies={"harm": "quick"}), tmp_path / "reproduce"
    monkeypatch.setitem(PRESETS, "quick", grid)
    todo = forecast_reproduce(grid, out, Machine())
    assert (todo.runs, todo.finished) == (12 + 7, 2)
    assert not out.exists()
    steps: list[int] = []
    first = reproduce(grid, out, progress=lambda: steps.append(1), machine=Machine())
    assert len(steps) == grid.steps
    assert {*first.names} == {*TABLES}
    with monkeypatch.context() as refused:
        for name in ("training_task.train", "memorization"):
            target = (
                "noisybench.runs.training_task.train"
                if "." in name
                else "noisybench.memorization.retraining.RunInProgress"
            )
            refused.setattr(target, lambda *_, **__: pytest.fail("trained again"))
        again = reproduce(grid, out, machine=Machine())
        assert again.to_json() == first.to_json()
    for lost in (next(out.glob("*/memorization/*")), next(out.glob("*/*/seed-1"))):
        shutil.rmtree(lost)
    assert reproduce(grid, out, machine=Machine()).to_json() == first.to_json()
    assert (forecast_reproduce(grid, out, Machine()).finished, carried) == (12, [out / "harm"])
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    picture = tmp_path / "claims.png"
    made = shell("study", "reproduce", "--out", out, "--remake", "--plot", picture, "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out) == json.loads(first.to_json())
    assert picture.stat().st_size < 200_000
    assert "at the size of the papers: noisybench study reproduce --preset full" in first.to_markdown("claims")
    results = read_results(out, "reproduce")
    assert {one["record"] for one in results.records} == {
        "source",
        "training",
        "score",
        "pool",
        "part",
        "measured",
        "unmeasured",
    }
    for objective in ("cross_entropy", "elr", "car"):
        assert len([one for one in results.of("pool") if one["objective"] == objective]) == 2
    draw_reproduce(results, tmp_path / "again.svg")
    other = shell("study", "reproduce", "--out", out, "--remake", "--preset", "standard")
    assert (other.code, other.err.strip()) == (
        1,
        f"error: the results in {out} are of another grid; leave out --preset and --grid, or --remake",
    )


def test_the_command_refuses_what_cannot_be_meant(tmp_path: Path) -> None:
    given = tmp_path / "grid.json"
    given.write_text('{"draws": [1, 1]}')
    for arguments, words in (
        (("--preset", "quik"), "no preset is called 'quik'; did you mean 'quick'?"),
        (("--table", "claim"), "no table of this study is called 'claim'; did you mean 'claims'?"),
        (("--preset", "quick", "--grid", given), "--preset and --grid both choose the grid; leave one out"),
        (("--dry-run", "--remake"), "--dry-run says what would be trained, and --remake trains nothing; leave one out"),
    ):
        result = shell("study", "reproduce", "--out", tmp_path / "reproduce", *arguments)
        assert (result.code, result.out) == (2, "")
        assert words in result.err
    broken = shell("study", "reproduce", "--out", tmp_path / "reproduce", "--grid", given)
    assert broken.code == 1
    assert (
        f"{given}: draws of the grid must be different ones, at least one, got 1, 1; give the fields of a" in broken.err
    )
    missing = shell("study", "reproduce", "--out", tmp_path / "reproduce", "--remake")
    assert missing.code == 1
    assert "carry out 'noisybench study reproduce' first, or name its folder with --out" in missing.err
    for fields in (
        {"susceptibility_rates": ()},
        {"susceptibility_rates": (2.0,)},
        {"fraction": 1.0},
        {"draws": 3},
        {"rate": 0.0},
    ):
        with pytest.raises(BadUsage, match=r"susceptibility_rates of|rate must|fraction must|draws of|rate and"):
            ReproduceGrid(**fields)
    with pytest.raises(UnknownName, match="no study that measures claims is called 'harms'; did you mean 'harm'?"):
        ReproduceGrid(studies={"harms": "quick"})
    with pytest.raises(BadUsage, match="preset is the int '3'; say quick, standard, full, a .json file, or give"):
        reproduce(3)  # type: ignore[arg-type]
    with pytest.raises(BadData, match="the results has a field 'nothing'"):
        reproduce_findings(StudyResults("reproduce", {"nothing": 1}, ()))


def test_labels_of_susceptibility_are_those_of_the_grid(tmp_path: Path) -> None:
    """Its own grid says nothing of labels: results below the study may be of others, and are not taken unasked."""
    grid = reproduce_parts.grid_of_part("susceptibility", "quick")
    results = results_of("susceptibility", grid, [{"record": "setting"}])
    write_results(results, tmp_path / "reproduce" / "susceptibility")
    assert finished_part("susceptibility", "quick", tmp_path / "reproduce") is None
    write_results(results, tmp_path / "susceptibility")
    assert finished_part("susceptibility", "quick", tmp_path / "reproduce") == read_results(
        tmp_path / "susceptibility", "susceptibility"
    )
    folders = reproduce_parts.own_variants(replace(GRID, susceptibility_rates=(0.1, 0.4)), tmp_path / "variants")
    variants = [read_variant(folder) for folder in folders]
    assert [round(float(one.mislabeled.mean()), 2) for one in variants] == [0.1, 0.4]


def test_presets_name_presets_of_the_other_studies() -> None:
    studies = reproduce_parts.part_studies()
    for name, grid in PRESETS.items():
        assert {*grid.studies} == {"susceptibility", "curvature", "harm"}, name
        for study, preset in grid.studies.items():
            assert preset in studies[study].presets, (name, study)
    assert HarmGrid() == of_harm.PRESETS["standard"]
