"""Suggestions beside runs: which runs leave them, when they are made again, and what stands in for lost ones."""

import json
import shutil
import sys
from importlib import invalidate_caches
from pathlib import Path

import numpy as np
import pytest

from noisybench.board.finished import Result, score_given
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import detect, evaluate
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.detection.suggesting import best_other, commonest_other, read_suggestion, suggestion_path
from noisybench.ground.errors import BadData
from noisybench.memorization.subset_plan import plan_learner
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

OWN = """
import numpy as np
from noisybench import Detector
def wish(trace):
    return np.where(trace["prediction"][-1] == 3, 4, 3)
DETECTOR = Detector("mine", ("correct", "prediction"), lambda trace: 1.0 - trace["correct"].mean(0), "me", suggest=wish)
"""


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source("digits", limit=120)


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, Symmetric(0.3))


@pytest.fixture(scope="module")
def made(source: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a training of three epochs, of a pool, and of given probabilities, in one folder."""
    out = tmp_path_factory.mktemp("made") / "runs"
    evaluated(source, variant, out)
    detect(source, variant, plan_learner(source, epochs=1)[0], out, models=10)
    answers = np.random.default_rng(0).dirichlet(np.ones(10), 120)
    score_given(variant, out, name="mine", pred_probs=answers)
    return out


def evaluated(source: Source, variant: Variant, out: Path, detectors: str = "aum,entropy") -> Result:
    options = {"susceptibility": "off"}
    (found,) = evaluate(variant, source, epochs=3, seeds=(0,), detectors=detectors.split(","), options=options, out=out)
    return found


def test_every_regime_suggests(made: Path, variant: Variant) -> None:
    """A training the commonest other class of its epochs; pools and probabilities the best other class of their answers."""
    (home,) = made.iterdir()
    for path in home.glob("*/seed-*"):
        trace, result = read_trace(path / "trace"), Result(path)
        if "held_out.probabilities" in trace.columns:
            wanted = best_other([trace["held_out.probabilities"][-1]], variant.labels)
        else:
            wanted = commonest_other(trace["prediction"], variant.labels, 10)
        assert set(result.suggestions) == set(result.scores)
        for name, suggestion in result.suggestions.items():
            assert suggestion.labels.tolist() == wanted.tolist()
            assert suggestion.labels.tolist() == read_suggestion(suggestion_path(path, name)).labels.tolist()
            assert not (suggestion.labels == variant.labels).any()
    assert verify(made)[-1].endswith("is whole")


def test_given_scores_suggest_nothing(variant: Variant, tmp_path: Path) -> None:
    """They came without answers; their row says so."""
    result = score_given(variant, tmp_path, name="mine", scores=np.random.default_rng(0).random(120))
    assert result.suggestions == {}
    assert not (result.path / "suggestions").exists()
    (row,) = result.agreement("suggestion_accuracy")
    assert np.isnan(row.value)
    assert row.n == int(variant.mislabeled.sum())
    assert {row.detector: row.rank for row in leaderboard(tmp_path, metric="suggestion_accuracy")}["mine"] is None


def test_a_run_without_files_suggests_the_same(made: Path, tmp_path: Path) -> None:
    """As runs of earlier versions: their tables show the same, they are whole, and the same command leaves them alone."""
    shutil.copytree(made, tmp_path / "runs")
    before = {row.detector: row.mean for row in leaderboard(made, metric="suggestion_accuracy")}
    assert 0 < before["aum"] < 1
    for path in (tmp_path / "runs").glob("*/*/seed-*"):
        shutil.rmtree(path / "suggestions")
        record = json.loads((path / "run.json").read_text("utf-8"))
        kept = {k: v for k, v in record["files_sha256"].items() if not k.startswith("suggestions/")}
        (path / "run.json").write_text(json.dumps({**record, "files_sha256": kept}, indent=2) + "\n", "utf-8")
    assert {row.detector: row.mean for row in leaderboard(tmp_path / "runs", metric="suggestion_accuracy")} == before
    assert verify(tmp_path / "runs")[-1].endswith("is whole")


def test_an_older_run_is_finished_and_takes_suggestions_with_a_detector_more(
    source: Source, variant: Variant, tmp_path: Path
) -> None:
    """What is finished is not done again; a further detector brings those of the others."""
    result = evaluated(source, variant, tmp_path)
    shutil.rmtree(result.path / "suggestions")
    record = json.loads((result.path / "run.json").read_text("utf-8"))
    record["files_sha256"] = {k: v for k, v in record["files_sha256"].items() if not k.startswith("suggestions/")}
    (result.path / "run.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    before = (result.path / "run.json").read_bytes()
    evaluated(source, variant, tmp_path)
    assert (result.path / "run.json").read_bytes() == before
    assert not (result.path / "suggestions").exists()
    evaluated(source, variant, tmp_path, "aum,final_loss")
    assert {path.stem for path in (result.path / "suggestions").iterdir()} == {"aum", "entropy", "final_loss"}


def test_a_file_that_no_record_names_is_never_read(made: Path, tmp_path: Path) -> None:
    """``verify`` says so; one that was changed is refused by whoever asks for it."""
    shutil.copytree(made, tmp_path / "runs")
    (path,) = (tmp_path / "runs").glob("*/mlp-standard-*/seed-0")
    shutil.copy(suggestion_path(path, "aum"), suggestion_path(path, "supernova"))
    assert any("no table shows suggestions/supernova.parquet" in line for line in verify(tmp_path / "runs"))
    shutil.copy(suggestion_path(path, "entropy"), suggestion_path(path, "aum"))
    with pytest.raises(BadData, match=r"aum.parquet was changed after it was written; run the command that made it"):
        _ = Result(path).suggestions


def test_a_users_own_suggestion_is_kept_as_its_scores_are(
    source: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its code is not imported on the word of a record, and belongs to what made the detector."""
    (tmp_path / "own_wish.py").write_text(OWN, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    odd = variant.labels == 3
    with pytest.raises(BadData, match=rf"'mine' suggests class 3 for sample {odd.argmax()}, which is the given label"):
        evaluated(source, variant, tmp_path / "x", "own_wish:DETECTOR")
    (tmp_path / "own_wish.py").write_text(
        OWN.replace('["prediction"][-1] == 3, 4, 3', '["correct"][-1] < 9, -1, 3'), "utf-8"
    )
    sys.modules.pop("own_wish")
    invalidate_caches()
    result = evaluated(source, variant, tmp_path / "x", "own_wish:DETECTOR")
    sys.modules.pop("own_wish")
    assert (result.suggestions["mine"].labels == -1).all()
    told = verify(tmp_path / "x")
    assert any("the suggestions of 'mine' were not computed again: own_wish:DETECTOR is not" in line for line in told)
    assert "own_wish" not in sys.modules
