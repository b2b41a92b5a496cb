"""Runs of labels that nobody knows the truth of: a sentence with the command that helps, and no table of dashes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from shell import shell


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A variant of labels as they are, made once, and a file of scores."""
    folder = tmp_path_factory.mktemp("own")
    inputs = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    np.savez(folder / "mine.npz", inputs=inputs, labels=(inputs[:, 0] > 0).astype(np.int64))
    np.savez(folder / "scores.npz", scores=inputs[:, 1])
    assert shell("build", folder / "mine.npz", "--source-set", "test=none", "--out", folder / "variants").code == 0
    return folder


def test_a_run_without_truth_ends_with_its_suspects_command(home: Path) -> None:
    """The command that it names runs; machines get JSON alone; the leaderboard is a sentence, but for machines."""
    (variant,) = (home / "variants").iterdir()
    words = ("evaluate", variant, "--epochs", 1, "--detectors", "aum", "--workers", 1, "--out", home / "runs")
    one, both = (shell(*words, "--seeds", seeds).err.splitlines()[-1] for seeds in ("0", "0,1"))
    told = rf"{variant.name}: of no label is it known whether it is wrong; 'noisybench suspects (\S+)' lists the most"
    named = [re.match(told, line) for line in (one, both)]
    assert named[0]
    assert named[1]
    assert [Path(found[1]).name[:4] for found in named if found] == ["seed", "mlp-"]
    assert shell("suspects", named[1][1]).code == 0
    assert "suspects" not in shell(*words, "--seeds", "0", "--json").err
    given = ("score", variant, "--scores", home / "scores.npz", "--name", "mine", "--out", home / "runs")
    assert re.match(told, shell(*given).err.splitlines()[-1])
    for style in ("table", "markdown", "latex"):
        (line,) = shell("leaderboard", home / "runs", "--format", style).out.strip().splitlines()
        assert line.startswith("There is no truth to rank by")
        assert "noisybench suspects RUN" in line
    rows = json.loads(shell("leaderboard", home / "runs", "--format", "json").out)
    assert {"aum", "mine"} <= {row["detector"] for row in rows}
    assert {row["mean"] for row in rows} == {None}


def test_what_was_not_made_yet_is_named_by_its_command(home: Path) -> None:
    """Memorization before ``memorize``; a detector of a training, of a pool and none, before anything is computed."""
    (variant,) = (home / "variants").iterdir()
    for detector, command in (
        ("aum", "evaluate VARIANT --detectors aum"),
        ("c_score", "memorize VARIANT --pool detector"),
        ("glad", "score VARIANT --answers"),
        ("objective_target", "evaluate VARIANT --objective car --detectors objective_target"),
    ):
        done = shell("suspects", variant, "--detector", detector)
        assert done.code == 2
        (line,) = done.err.strip().splitlines()
        assert line.startswith(f"error: detector '{detector}' is not scored from frozen features")
        assert f"'noisybench {command}'" in line
        assert f"'noisybench suspects RUN --detector {detector}'" in line
    assert "did you mean 'aum'" in shell("suspects", variant, "--detector", "amu").err


def test_a_detector_without_a_cut_has_no_value_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that came alone beside a training: the caption says so, and why memorization has no table yet."""
    monkeypatch.chdir(tmp_path)
    assert shell("build", "digits", "--noise", "symmetric", "--rate", 0.2, "--limit", 60).code == 0
    (variant,) = Path("variants").iterdir()
    np.savez("scores.npz", scores=np.random.default_rng(0).random(60))
    assert shell("evaluate", variant, "--epochs", 2, "--seeds", 0, "--detectors", "aum").code == 0
    assert shell("score", variant, "--scores", "scores.npz", "--name", "mine").code == 0
    done = shell("leaderboard", "runs", "--metric", "cut_recall", "--format", "markdown")
    assert "Mine: no value, since scores that came alone have no cut of their own" in done.out
    assert "incomplete row" not in done.out
    assert re.search(r"\| aum \| [01]\.\d\d\d", done.out)
    told = shell("leaderboard", "runs", "--truth", "memorization")
    assert (told.code, "'noisybench memorize VARIANT --out RUNS' measures it" in told.err) == (2, True)
    told = shell("leaderboard", "runs", "--metric", "spearman")
    assert "metric 'spearman' compares scores with memorization, which is not asked with 'mislabeled'" in told.err
