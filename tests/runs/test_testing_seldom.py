"""Testing every few epochs: everything but the accuracies that are left out against a run that tests after each."""

from pathlib import Path

import numpy as np
import pytest

from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import evaluate
from noisybench.data.source import Source
from noisybench.ground.errors import BadUsage
from noisybench.ground.files import read_columns, read_json
from noisybench.items import find
from noisybench.runs.stopping import stopping_of
from noisybench.runs.verify import verify_runs
from noisybench.training.machine import Machine
from noisybench.training.plan import Watch, plan_run
from noisybench.variants.building import build_variant


def test_a_run_that_is_tested_seldom_differs_in_nothing_else(digits: Source, tmp_path: Path) -> None:
    """Trace and scores are the same bytes, the last epoch is tested, and whoever reads the history bears the gaps."""
    variant = build_variant(digits, find("noises", "symmetric")(rate=0.2))

    def run(**options: str) -> Path:
        options |= {"susceptibility": "off"}
        told = {"epochs": 5, "detectors": "aum", "options": options, "machine": Machine(), "out": tmp_path / "runs"}
        return evaluate(variant, digits, seeds=(0,), **told)[0].path  # type: ignore[arg-type]

    often, seldom = run(), run(test_every="2")
    assert often.parent != seldom.parent  # other options, another folder
    for path in (*often.glob("trace/*"), *often.glob("scores/*")):
        assert path.read_bytes() == (seldom / path.relative_to(often)).read_bytes()
    full, thin = (read_columns(one / "history.parquet")[0] for one in (often, seldom))
    accuracy = full.pop("test_accuracy")
    accuracy[[0, 2]] = np.nan
    np.testing.assert_array_equal(thin.pop("test_accuracy"), accuracy)
    assert all(np.array_equal(values, thin[name], equal_nan=True) for name, values in full.items())
    assert "test_every" not in read_json(often / "run.json")
    assert read_json(seldom / "run.json")["test_every"] == 2
    assert sum("follow from the trace" in sentence for sentence in verify_runs(tmp_path / "runs")) == 2
    assert {dict(row.ablation).get("test_every") for row in leaderboard(tmp_path / "runs").rows} >= {2}
    best = stopping_of(seldom)[-1]
    assert best.epoch in (2, 4, 5)
    assert best.test_accuracy == np.nanmax(accuracy)


def test_a_period_below_one_is_refused(digits: Source) -> None:
    """One sentence, from the option and from the class."""
    for told in (lambda: Watch(test_every=0), lambda: plan_run(digits, device="cpu", options={"test_every": "0"})):
        with pytest.raises(BadUsage, match="test_every must be at least 1 epoch, got 0"):
            told()
