"""Steps of curvature on the rows of a leaderboard, in every form, and what costs of shared passes come to."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.board.leaderboard import leaderboard
from noisybench.board.rendering import to_table
from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_columns, write_columns
from noisybench.ground.lookup import find
from noisybench.runs import training_task
from noisybench.runs.reading import read_run
from noisybench.runs.training_task import TrainingTask
from noisybench.runs.verify import verify_runs
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

DETECTORS = ["aum", "loss_curvature", "input_gradient_norm"]


class Functional(nn.Module):
    """A network whose activation is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 - torch's modules are untyped
        return self.last(F.relu(self.first(x.flatten(1))))


def functional(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return Functional()


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source("digits", limit=100)


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)


@pytest.fixture(scope="module")
def runs(source: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two choices of curvature, and of a model whose activations leave nothing to look at."""
    out = tmp_path_factory.mktemp("runs")
    asked: dict[str, Any] = {"epochs": 3, "seeds": (0,), "detectors": DETECTORS, "out": out}
    evaluate(variant, source, **asked)
    evaluate(variant, source, **asked, options={"curvature": "authors"})
    evaluate(variant, source, **asked, model=functional)
    return out


def test_each_choice_has_a_row_of_its_own_with_its_step(runs: Path) -> None:
    """Step and share, which is that of the trace; of a model without modules that switch nobody knows the share."""
    rows = [row for row in leaderboard(runs) if row.detector == "loss_curvature"]
    found = {(row.learner.model.rpartition(":")[2], row.curvature_step): row.activation_change for row in rows}
    assert set(found) == {("mlp", 0.1), ("mlp", 1e-3), ("functional", 0.1)}
    assert 0 <= found["mlp", 1e-3] < 0.2
    assert 0.5 < found["mlp", 0.1] <= 1
    assert math.isnan(found["functional", 0.1])
    for path in runs.glob("*/mlp-*/seed-0"):
        run, trace = read_run(path), read_trace(path / "trace")
        column, history = trace.column("activation_change"), read_columns(path / "history.parquet")[0]
        assert column.epochs.tolist() == trace.column("curvature").epochs.tolist()
        assert found["mlp", run.record.curvature_step or 0] == pytest.approx(column.values.mean(), rel=1e-6)
        known = np.isfinite(history["activation_change"])
        assert (history["epoch"][known] == column.epochs).all()
    assert all(math.isnan(row.curvature_step) for row in leaderboard(runs) if row.detector != "loss_curvature")


def test_every_form_says_the_step(runs: Path) -> None:
    """People read a sentence below or above the table, machines two fields."""
    board = leaderboard(runs)
    words = board.caption
    assert "Steps of curvature: loss_curvature (" in words
    assert "0.001 (" in words
    assert " % change the activation pattern)" in words
    assert "0.1 (no activation with a kink was recorded)" in words
    assert words in board.to_markdown()
    assert str(to_table(board.rows).caption).startswith(words)
    assert "change the activation pattern" in board.to_latex()
    records = {row["setup"]: row for row in json.loads(board.to_json()) if row["detector"] == "loss_curvature"}
    told = {
        row["setup"]: row for row in csv.DictReader(io.StringIO(board.to_csv())) if row["detector"] == "loss_curvature"
    }
    assert sorted(row["curvature_step"] for row in records.values()) == [0.001, 0.1, 0.1]
    for setup, row in records.items():
        assert float(told[setup]["curvature_step"]) == row["curvature_step"]
        assert told[setup]["activation_change"] == (
            "" if row["activation_change"] is None else str(row["activation_change"])
        )


def test_a_table_without_curvature_says_nothing_of_it(source: Source, variant: Variant, tmp_path: Path) -> None:
    """No sentence, and no step."""
    evaluate(variant, source, epochs=1, seeds=(0,), detectors=["aum"], out=tmp_path)
    assert "curvature" not in leaderboard(tmp_path).caption


def test_a_share_that_was_changed_is_found(runs: Path) -> None:
    """``verify`` takes the shares of a history from the trace again."""
    path = next(runs.glob("*/mlp-*/seed-0")) / "history.parquet"
    before = path.read_bytes()
    columns, metadata = read_columns(path)
    columns["activation_change"] = columns["activation_change"] + 0.01
    write_columns(columns, path, metadata=metadata)
    try:
        with pytest.raises(BadData, match="activation_change of epoch"):
            list(verify_runs(runs))
    finally:
        path.write_bytes(before)


def test_a_pass_that_two_probes_share_costs_once(runs: Path, source: Source, variant: Variant) -> None:
    """Alone each costs what it says; of both, the base gradient counts once, in passes as in seconds."""
    plan = plan_run(source, epochs=3, device="cpu")
    (path,) = runs.glob(f"*/{plan.folder}/seed-0")
    task = TrainingTask(variant, plan, 0, {}, Machine(), path)
    spent = {"input_gradient": 4.0, "curvature": 9.0, "input_gradient_norm": 0.5}

    def cost(*needs: str) -> dict[str, float | None]:
        return training_task._cost(needs, task, spent, 0.25)

    observed = 2  # epochs 2 and 3
    assert cost("curvature") == {"seconds": 13.25, "passes": 4 * observed}
    assert cost("input_gradient_norm") == {"seconds": 4.75, "passes": observed}
    assert cost("curvature", "input_gradient_norm") == {"seconds": 13.75, "passes": 4 * observed}
    told = {row.detector: row.passes for row in leaderboard(path) if row.kind == "detector"}
    assert told == {"aum": 3, "loss_curvature": 8, "input_gradient_norm": 2}


def test_looking_at_activations_leaves_the_weights(runs: Path) -> None:
    """Trainings that were watched in two ways end in the same bits."""
    ends = [torch.tensor(read_trace(path / "trace")["margin"][-1]) for path in runs.glob("*/mlp-*/seed-0")]
    assert len(ends) == 2
    assert torch.equal(*ends)
