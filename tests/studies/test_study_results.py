"""Results of a study as a file, and what is said of its runs beforehand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.lookup import find
from noisybench.ground.records import record_as
from noisybench.runs.training_run import carry_out, plan_evaluation
from noisybench.studies.forecast import StudyForecast, forecast_trainings
from noisybench.studies.harm_runs import HarmGrid
from noisybench.studies.results import RESULTS, grid_as_json, read_results, results_of, write_results
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [{"record": "a", "value": float("nan"), "count": 2}, {"record": "b", "name": "x"}]
    grid = HarmGrid(draws=(0, 1))
    results = results_of("harm", grid, records)
    assert results.of("a") == [{"record": "a", "count": 2}]
    path = write_results(results, tmp_path / "study")
    assert read_results(path, "harm") == read_results(tmp_path / "study", "harm") == results
    assert results.grid["draws"] == [0, 1]
    assert record_as(results.grid, HarmGrid, path) == grid
    with pytest.raises(Mismatch, match="is of study 'harm', expected 'curvature'"):
        read_results(path, "curvature")
    with pytest.raises(TypeError, match="dataclass"):
        grid_as_json({})


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="carry out 'noisybench study harm' first"):
        read_results(tmp_path, "harm")
    path = write_results(results_of("harm", HarmGrid(), [{"record": "a"}]), tmp_path)
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
    with pytest.raises(BadData, match="does not say of which study"):
        read_results(tmp_path / RESULTS, "harm")


def test_a_forecast_knows_what_is_asked_at_some_epochs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten epochs three have curvature, and the last alone what is asked at the end; all else is of every epoch."""
    source = load_source("digits", limit=60)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)
    plan = plan_run(source, epochs=10, options={"curvature_every": "4"}, device="cpu")
    planned = plan_evaluation(
        variant, source, plan, machine=Machine("cpu"), seeds=(0, 1), detectors=("aum",), out=tmp_path
    )
    each = {
        "training": 1.0,
        "logits": 2.0,
        "curvature": 10.0,
        "input_gradient": 100.0,
        "self_influence_kronecker": 1000.0,
    }
    monkeypatch.setattr("noisybench.studies.forecast._tried", lambda _: each)
    assert forecast_trainings([planned]).seconds == 2 * (10 + 20 + 30 + 300 + 1000)
    ruled = replace(planned, seeds=(0,), rules=("pmv",))
    assert forecast_trainings([ruled]).seconds == (10 + 20 + 30 + 300 + 1000) + 4 * (10 + 20)


def test_a_forecast_counts_what_is_finished_and_reckons_the_rest(tmp_path: Path) -> None:
    source = load_source("digits", limit=60)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)
    plan = plan_run(source, epochs=2, device="cpu")
    machine = Machine("cpu")
    planned = plan_evaluation(
        variant, source, plan, machine=machine, seeds=(0, 1, 2), detectors=("final_loss",), out=tmp_path
    )
    before = forecast_trainings([planned], guess=False)
    assert before == StudyForecast(3, 0, None, "")
    assert "not known" in before.in_words(2)
    guessed = forecast_trainings([planned])
    assert (guessed.runs, guessed.finished) == (3, 0)
    assert guessed.seconds is not None
    assert guessed.seconds > 0
    assert not list(tmp_path.iterdir())
    carry_out(
        plan_evaluation(variant, source, plan, machine=machine, seeds=(1,), detectors=("final_loss",), out=tmp_path)
    )
    after = forecast_trainings([planned], guess=False)
    assert (after.runs, after.finished, after.basis) == (3, 1, "by those that are finished")
    both = after + StudyForecast(2, 2, 0.0, "")
    assert (both.runs, both.finished, both.seconds) == (5, 3, after.seconds)
    told = StudyForecast(1, 0, 1.0, "as ever; by hand") + StudyForecast(1, 0, 1.0, "by hand; without pools")
    assert told.basis == "as ever; by hand; without pools"
    assert StudyForecast(2, 2, 0.0, "").in_words() == "2 runs, 2 of them finished: nothing is trained"
    assert "about 30 min with 2 at once, as ever" in StudyForecast(9, 1, 3600.0, "as ever").in_words(2)
