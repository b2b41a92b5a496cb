"""Sets of detectors on runs that another version trained: what their traces have is added, and nothing is trained."""

from pathlib import Path
from typing import Any

import pytest

from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_columns, read_json, write_columns, write_json
from noisybench.items import find
from noisybench.runs.folder import read_run_record
from noisybench.runs.forecast import repeats_of
from noisybench.runs.training_run import plan_evaluation
from noisybench.runs.verify import verify_runs
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

OPTIONS = {"batch_size": "64", "curvature": "authors", "susceptibility": "off"}


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source("digits", limit=120)


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)


def evaluated(variant: Variant, source: Source, out: Path, detectors: str | list[str]) -> Path:
    how: dict[str, Any] = {"epochs": 2, "seeds": (0,), "options": OPTIONS, "machine": Machine("cpu")}
    return evaluate(variant, source, detectors=detectors, out=out, **how)[0].path


def left_by(run: Path) -> dict[str, bytes]:
    kept = [path for part in ("trace", "scores") for path in (run / part).iterdir()]
    return {str(path.relative_to(run)): path.read_bytes() for path in [*kept, run / "history.parquet"]}


def test_a_set_adds_what_the_trace_of_an_older_run_has(
    variant: Variant, source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A line names what is left out; nothing that was there changes; a detector that is named is refused."""
    run = evaluated(variant, source, tmp_path, ["aum", "loss_curvature"])
    record = read_json(run / "run.json")
    record["versions"]["noisybench"] = "0.0.9"
    write_json(record, run / "run.json")
    (run / "checkpoint.safetensors").unlink()
    before = left_by(run)
    plan = plan_run(source, epochs=2, options=OPTIONS, device="cpu")
    planned = plan_evaluation(variant, source, plan, machine=Machine("cpu"), seeds=(0,), detectors="fast", out=tmp_path)
    assert repeats_of(planned)[:3] == (1, 1, 0)
    assert evaluated(variant, source, tmp_path, "fast") == run
    assert "left out" in caplog.text
    assert "odd" not in read_run_record(run).detectors
    assert "its trace lacks what they read" in caplog.text
    added = {*read_run_record(run).detectors} - {"aum", "loss_curvature"}
    assert {"learning_time", "cumulative_error"} <= added
    assert before.items() <= left_by(run).items()
    assert (read_run_record(run).versions or {})["noisybench"] == "0.0.9"
    list(verify_runs(tmp_path))
    with pytest.raises(BadData, match="holds a run with versions"):
        evaluated(variant, source, tmp_path, ["aum", "mean_probability_margin"])
    assert before.items() <= left_by(run).items()


def test_a_history_without_a_later_column_is_trained_again(variant: Variant, source: Source, tmp_path: Path) -> None:
    """The column is unknown of the epochs that are not trained again yet, and there in the end."""
    run = evaluated(variant, source, tmp_path, "aum")
    history, told = read_columns(run / "history.parquet")
    del history["activation_change"]
    write_columns(history, run / "history.parquet", metadata=told)
    record = read_json(run / "run.json")
    del record["files_sha256"]["history.parquet"]
    write_json(record, run / "run.json")
    evaluated(variant, source, tmp_path, ["aum", "final_loss"])
    assert "activation_change" in read_columns(run / "history.parquet")[0]
