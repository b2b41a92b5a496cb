"""Options of a recipe that came later, in records: read, verified, told apart by tables, and absent at their default."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.board.leaderboard import leaderboard, models_board
from noisybench.board.results import evaluate, memorize
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.files import read_columns
from noisybench.items import find
from noisybench.memorization.learner import learner_of_setup
from noisybench.memorization.subset_plan import plan_learner
from noisybench.training.recipe import LATER_OPTIONS, Recipe, learning_rate
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

OPTIONS = {"optimizer": "adamw", "schedule": "multi_step", "milestones": "0.5,0.8", "milestone_factor": "0.2"}


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=100)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


@pytest.fixture(scope="module")
def runs(small: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the recipe as it is, and one that differs in optimiser and schedule."""
    out = tmp_path_factory.mktemp("runs")
    asked: dict[str, Any] = {"epochs": 4, "seeds": (0,), "detectors": ("final_loss", "aum"), "out": out}
    evaluate(variant, small, **asked)
    evaluate(variant, small, options=OPTIONS, **asked)
    return out


def records_of(runs: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text("utf-8")) for path in runs.glob("*/*/seed-0/run.json")]
    return sorted(found, key=lambda record: "optimizer" in record)


def test_records_hold_what_is_not_at_its_default(runs: Path) -> None:
    """And nothing else; ``verify`` computes digests and rates of learning again from them."""
    plain, other = records_of(runs)
    assert not {*plain} & {*LATER_OPTIONS}
    assert {name: other[name] for name in LATER_OPTIONS if name in other} == {
        "optimizer": "adamw",
        "milestones": [0.5, 0.8],
        "milestone_factor": 0.2,
    }
    assert "history and 2 detectors follow from the trace" in "\n".join(verify(runs))
    recipe = Recipe(
        epochs=4, lr=1e-3, optimizer="adamw", schedule="multi_step", milestones=(0.5, 0.8), milestone_factor=0.2
    )
    (folder,) = (path.parent for path in runs.glob("*/*/seed-0/run.json") if "adamw" in path.read_text("utf-8"))
    steps = 100 // 32 + 1
    rates = [learning_rate(recipe, epoch * steps - 1, 4 * steps) for epoch in range(1, 5)]
    np.testing.assert_allclose(read_columns(folder / "history.parquet")[0]["learning_rate"], rates)
    assert rates[0] == 1e-3
    assert rates[-1] == pytest.approx(4e-5)


def test_tables_name_what_differs(runs: Path) -> None:
    """By the option's name, and the default where a record leaves it out."""
    told = {dict(row.ablation)["optimizer"]: dict(row.ablation) for row in models_board(runs).rows}
    assert told["sgd"]["schedule"] == "one_cycle"
    assert told["adamw"]["milestones"] == "0.5, 0.8"
    assert told["sgd"]["milestones"] == "0.5, 0.75"
    assert {*told["adamw"]} == {"lr", "weight_decay", "schedule", "optimizer", "milestones", "milestone_factor"}
    assert "adamw" in leaderboard(runs).to_markdown()


def test_memorization_is_measured_with_adamw(small: Source, variant: Variant, tmp_path: Path) -> None:
    """One model after the other, and its learner is known again from the models."""
    learner, _ = plan_learner(small, epochs=2, options=OPTIONS)
    assert learner_of_setup(json.loads(json.dumps(learner.setup))).trained == learner.learner.trained
    measured = memorize(small, variant, learner, tmp_path, models=4)
    assert measured.memorization.learner == learner.learner
    assert "memorization follows from its 4 models" in "\n".join(verify(tmp_path))
