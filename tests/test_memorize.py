"""From memorization to the leaderboard: measured once, found by every run of the variant."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from noisybench.agreement import read_agreements
from noisybench.catalog import find, load_source
from noisybench.cli import app
from noisybench.errors import BadData, UnknownName
from noisybench.evaluation import evaluate
from noisybench.leaderboard import leaderboard
from noisybench.location import write_location
from noisybench.memorization import read_memorization
from noisybench.planning import plan_run
from noisybench.rendering import to_markdown
from noisybench.retraining import Learner, memorize
from noisybench.scoring import read_scores
from noisybench.source import Source
from noisybench.tables import read_columns, write_columns
from noisybench.variant import Variant, build_variant, write_variant
from noisybench.verifying import verify_runs


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=150)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))  # type: ignore[call-arg]


def measured(source: Source, variant: Variant, out: Path, models: int, epochs: int = 3) -> Path:
    plan = plan_run(source, recipe="overfit", epochs=epochs)
    return memorize(source, variant, Learner(plan), out, models=models)[0]


def evaluated(source: Source, variant: Variant, out: Path) -> Path:
    (folder,) = evaluate(variant, source, seeds=(0,), epochs=3, recipe="overfit", detectors=("aum", "entropy"), out=out)
    return folder


def test_every_run_is_held_against_it(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured after a run has ended, it is taken up without a step of training; the values are scipy's."""
    folder = evaluated(small, variant, tmp_path)
    assert {a.truth for a in read_agreements(folder / "agreement.parquet")} == {"mislabeled"}
    place = measured(small, variant, tmp_path, models=20)
    told = list(verify_runs(tmp_path))
    assert any("not yet held against" in sentence for sentence in told)
    monkeypatch.setattr(torch.optim.SGD, "step", None)
    assert evaluated(small, variant, tmp_path) == folder
    truth = read_memorization(place / "memorization.parquet", variant.provenance.variant_id)
    found = {
        (a.detector, a.metric, str(a.stratum)): a for a in read_agreements(folder / "agreement.parquet") if a.learner
    }
    strata = {"all": variant.known, "clean": ~variant.mislabeled, "mislabeled": variant.mislabeled}
    for name in ("aum", "entropy"):
        scores = read_scores(folder / "scores" / f"{name}.parquet")
        for stratum, members in strata.items():
            expected = spearmanr(scores.values[members], truth.values[members]).statistic
            assert found[name, "spearman", stratum].value == pytest.approx(expected, abs=1e-12)
    assert any("their agreement from the scores" in sentence for sentence in verify_runs(tmp_path))


def test_the_leaderboard_names_whose_memorization_it_is(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A row says whether the truth's learner is its own or another; memorization itself stands among the references."""
    measured(small, variant, tmp_path, models=20, epochs=3)
    measured(small, variant, tmp_path, models=20, epochs=4)
    evaluated(small, variant, tmp_path)
    rows = [row for row in leaderboard(tmp_path, truth="memorization") if row.detector == "aum"]
    assert {(row.truth_learner, row.matched) for row in rows} == {
        ("mlp, overfit, 3 epochs, fraction 0.7, on input", True),
        ("mlp, overfit, 4 epochs, fraction 0.7, on input", False),
    }
    assert {row.metric for row in rows} == {"spearman"}
    page = to_markdown(leaderboard(tmp_path, truth="memorization", metric="overlap_5", stratum="clean"))
    assert "of clean samples" in page
    assert "fraction 0.7, on input (transferred)" in page
    references = {row.detector for row in leaderboard(tmp_path) if row.kind == "reference"}
    assert "memorization by mlp, overfit, 3 epochs, fraction 0.7, on input" in references
    for asked, sentence in (
        ({"stratum": "cleen"}, "no stratum of 'memorization' is called 'cleen'; did you mean 'clean'"),
        ({"metric": "spearmann"}, "no metric is called 'spearmann'; did you mean 'spearman'"),
    ):
        with pytest.raises(UnknownName, match=sentence):
            leaderboard(tmp_path, truth="memorization", **asked)
    with pytest.raises(UnknownName, match="no stratum of 'mislabeled' is called 'clean'"):
        leaderboard(tmp_path, stratum="clean")


def test_another_measurement_is_another_truth(small: Source, variant: Variant, tmp_path: Path) -> None:
    """More models, or a changed file: agreements with the old one do not stand for the new one."""
    place = measured(small, variant, tmp_path, models=20)
    folder = evaluated(small, variant, tmp_path)
    before = [a for a in read_agreements(folder / "agreement.parquet") if a.learner]
    assert measured(small, variant, tmp_path, models=40) == place
    evaluated(small, variant, tmp_path)
    after = [a for a in read_agreements(folder / "agreement.parquet") if a.learner]
    assert [a.metric for a in before] == [a.metric for a in after]
    assert [a.value for a in before] != [a.value for a in after]
    path = place / "memorization.parquet"
    columns, metadata = read_columns(path)
    write_columns({**columns, "p_in": columns["p_in"] + 0.1}, path, metadata=metadata)
    with pytest.raises(BadData, match="no share; estimate again|was changed after it was written"):
        evaluated(small, variant, tmp_path)


def test_the_command_prints_how_good_the_estimate_is(
    variant: Variant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors, reliability and what the learner fits, as text and as JSON; one that fits little is said to."""
    write_variant(variant, tmp_path / "variant")
    write_location(tmp_path / "variant", data=None, source_set={})
    how = ["memorize", str(tmp_path / "variant"), "--models", "20", "--epochs", "2", "--out", str(tmp_path / "runs")]
    app(how, standalone_mode=False)
    out = capsys.readouterr().out
    assert "largest stderr" in out
    assert "this learner memorizes little" in out
    app([*how, "--json"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert record["models"] == 20
    assert record["learner"] == "mlp, overfit, 2 epochs, fraction 0.7, on input"
    truth = read_memorization(Path(record["path"]) / "memorization.parquet")
    assert record["largest_stderr"] == pytest.approx(np.max(truth.stderr))
    assert record["mislabeled_fit"] == pytest.approx(truth.p_in[variant.mislabeled].mean())
