"""Pools of models: memorization, measured once and found by every run of the variant, and detectors of held-out answers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.metrics import roc_auc_score

from noisybench.board.agreement import against_labels, read_agreements
from noisybench.board.flags_table import both_rows
from noisybench.board.leaderboard import leaderboard
from noisybench.board.rendering import to_markdown
from noisybench.board.results import detect, evaluate, memorize
from noisybench.cli.app import app
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import read_scores, score
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName
from noisybench.ground.files import read_columns, read_record, write_columns
from noisybench.items import find
from noisybench.memorization.estimate import estimate_memorization, read_memorization, write_memorization
from noisybench.memorization.held_out import held_out_answers
from noisybench.memorization.pool import read_pool
from noisybench.memorization.subset_plan import SubsetPlan, plan_learner
from noisybench.runs.pool_run import check_purpose
from noisybench.runs.verify import verify_runs
from noisybench.training.batches import Inputs
from noisybench.training.observing import Recorder
from noisybench.training.plan import plan_run
from noisybench.training.training import train
from noisybench.variants.building import build_variant
from noisybench.variants.location import write_location
from noisybench.variants.variant import Variant, write_variant


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=150)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


def recipe_digest(source: Source, epochs: int) -> str:
    return plan_run(source, recipe="overfit", epochs=epochs).trained


def measured(source: Source, variant: Variant, out: Path, models: int, epochs: int = 3) -> Path:
    plan = plan_run(source, recipe="overfit", epochs=epochs)
    return memorize(source, variant, SubsetPlan(plan), out, models=models)[0]


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
        (f"mlp, overfit, 3 epochs ({recipe_digest(small, 3)}), fraction 0.7, on input", True),
        (f"mlp, overfit, 4 epochs ({recipe_digest(small, 4)}), fraction 0.7, on input", False),
    }
    assert {row.metric for row in rows} == {"spearman"}
    assert {(row.truth_learner, row.matched) for row in both_rows(tmp_path) if row.detector == "aum"} == {
        (row.truth_learner, row.matched) for row in rows
    }
    page = to_markdown(leaderboard(tmp_path, truth="memorization", metric="overlap_5", stratum="clean"))
    assert "of clean samples" in page
    assert "fraction 0.7, on input | transferred |" in page
    references = {row.detector for row in leaderboard(tmp_path) if row.kind == "reference"}
    assert f"memorization by mlp, overfit, 3 epochs ({recipe_digest(small, 3)}), fraction 0.7, on input" in references
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


def detected(source: Source, variant: Variant, out: Path, **how: Any) -> Path:  # noqa: ANN401 - of detect
    plan = plan_run(source, recipe="overfit", epochs=3)
    return detect(source, variant, SubsetPlan(plan), out, **{"models": 20, **how}).folder


def test_held_out_answers_are_those_of_models_that_did_not_see_the_sample(
    small: Source, variant: Variant, tmp_path: Path
) -> None:
    """Votes, consistency over fractions and scores, by a loop over models and samples; kept models are not mixed in."""
    folder = detected(small, variant, tmp_path, fractions=(0.5, 0.7))
    pools = {share: read_pool(folder / f"fraction-{share}", variant) for share in (0.5, 0.7)}
    given = {share: np.zeros(len(variant.labels)) for share in pools}
    votes = np.zeros((len(variant.labels), variant.num_classes))
    for share, pool in pools.items():
        for i in range(len(variant.labels)):
            unseen = [m for m in range(20) if not pool.included[m, i]]
            given[share][i] = np.mean([pool.predictions[m, i] == variant.labels[i] for m in unseen])
            if share == 0.7:
                for m in unseen:
                    votes[i, pool.predictions[m, i]] += 1 / len(unseen)
    scores = {path.stem: read_scores(path).values for path in (folder / "scores").iterdir()}
    assert np.allclose(scores["held_out_error"], 1 - given[0.7], atol=1e-6)
    assert np.allclose(scores["c_score"], 1 - (given[0.5] + given[0.7]) / 2, atol=1e-6)
    assert np.allclose(scores["ensemble_disagreement"], 1 - (votes**2).sum(1), atol=1e-6)
    assert np.allclose(scores["self_confidence"], self_confidence_score(variant, pools[0.7].held_out), atol=1e-6)
    assert {"knn", "confident_learning", "normalized_margin"} < set(scores)
    assert any("answers follow from the pool's models" in sentence for sentence in verify_runs(tmp_path))
    history = read_columns(folder / "history.parquet")[0]
    seen = [pools[0.7].included[:, i] for i in range(len(variant.labels))]
    fits = [
        np.mean(pools[0.7].predictions[seen[i], i] == variant.labels[i]) for i in np.flatnonzero(variant.mislabeled)
    ]
    assert history["mislabeled_fit"][0] == pytest.approx(np.mean(fits))


def self_confidence_score(variant: Variant, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.array(
        [1 - row[label] for row, label in zip(probabilities, variant.labels, strict=True)], dtype=np.float64
    )


def test_a_pool_is_a_truth_or_a_detector(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Neither serves as the other, and no model of one has its subset in the other."""
    place = measured(small, variant, tmp_path, models=20)
    folder = detected(small, variant, tmp_path)
    truth, detector = read_pool(place, variant), read_pool(folder / "fraction-0.7", variant)
    with pytest.raises(BadUsage, match="judged by; scores made of its own models would agree with it for the wrong"):
        held_out_answers([truth], variant, epoch=3)
    with pytest.raises(BadUsage, match="gives detectors, and no memorization to judge them by"):
        estimate_memorization(detector, variant)
    assert not {row.tobytes() for row in truth.included} & {row.tobytes() for row in detector.included}
    starved = replace(detector, included=np.ones_like(detector.included))
    with pytest.raises(BadData, match="sample 0 was in the subset of each of the 20 models .150 such samples."):
        held_out_answers([starved], variant, epoch=3)


def test_a_pool_takes_up_what_was_measured_since(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command trains nothing, rescores nothing, and holds the scores against a new measurement."""
    folder = detected(small, variant, tmp_path)
    place = measured(small, variant, tmp_path, models=20)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("noisybench.memorization.retraining._train_block", None)
    monkeypatch.setattr("noisybench.runs.pool_run.neighbour_labels", None)
    assert detected(small, variant, tmp_path) == folder
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in after if after[path] != before[path]} == {"agreement.parquet"}
    truth = read_memorization(place / "memorization.parquet").values
    found = {
        (a.detector, a.metric): a.value
        for a in read_agreements(folder / "agreement.parquet")
        if (a.truth, a.stratum) == ("memorization", "all")
    }
    error = read_scores(folder / "scores" / "held_out_error.parquet").values
    margin = read_scores(folder / "scores" / "normalized_margin.parquet").values
    ranks = [rankdata(column) for column in (margin, truth, error)]
    left = [ranks[j] - np.polyval(np.polyfit(ranks[2], ranks[j], 1), ranks[2]) for j in (0, 1)]
    assert found["normalized_margin", "partial_spearman"] == pytest.approx(pearsonr(*left).statistic, abs=1e-9)
    assert np.isnan(found["held_out_error", "partial_spearman"])


@pytest.mark.parametrize("lost", ["trace", "history.parquet", "scores/knn.parquet", "agreement.parquet", "run.json"])
def test_what_a_pool_run_lost_is_made_again(small: Source, variant: Variant, tmp_path: Path, lost: str) -> None:
    """From its models, none of which is trained again: to the same bytes, of whatever a killed call left."""
    folder = detected(small, variant, tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "timing.json"}
    for path in (folder / lost).iterdir() if lost == "trace" else [folder / lost]:
        path.unlink()
    detected(small, variant, tmp_path)
    assert before == {path: path.read_bytes() for path in before}


def test_an_extension_that_was_stopped_leaves_no_mixture(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after its answers and before its scores: asked for fewer models again, the run is theirs throughout."""
    folder = detected(small, variant, tmp_path, models=10)
    error = (folder / "scores" / "held_out_error.parquet").read_bytes()
    with monkeypatch.context() as stopped:
        stopped.setattr("noisybench.runs.pool_run._score", None)
        with pytest.raises(TypeError):
            detected(small, variant, tmp_path, models=20)
    detected(small, variant, tmp_path, models=10)
    assert (folder / "scores" / "held_out_error.parquet").read_bytes() == error
    assert any("answers follow from the pool's models" in sentence for sentence in verify_runs(tmp_path))


def test_two_measurements_of_one_name_are_refused(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Another seed would stand in the tables under the same words: nothing is trained."""
    place = measured(small, variant, tmp_path, models=20)
    learner, _ = plan_learner(small, epochs=3)
    with pytest.raises(BadData, match="is of 'mlp, overfit, 3 epochs.* which no table could tell apart"):
        memorize(small, variant, learner, tmp_path, models=20, seed=1)
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    truth = read_memorization(place / "memorization.parquet")
    write_memorization(truth, place.parent / "copy" / "memorization.parquet")
    with pytest.raises(BadData, match="which no table could tell apart"):
        evaluated(small, variant, tmp_path)


def test_more_models_are_added_to_those_there(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A pool of 60 after one of 50 trains ten, and is the pool that 60 at once are."""
    first = detected(small, variant, tmp_path / "grown", models=50)
    stamp = (first / "fraction-0.7" / "block-0000.npz").stat().st_mtime_ns
    grown = detected(small, variant, tmp_path / "grown", models=60)
    assert grown == first
    assert (first / "fraction-0.7" / "block-0000.npz").stat().st_mtime_ns == stamp
    whole = detected(small, variant, tmp_path / "whole", models=60)
    for name in ("held_out_error", "confident_learning", "knn"):
        ours, theirs = (read_scores(place / "scores" / f"{name}.parquet").values for place in (grown, whole))
        assert np.array_equal(ours, theirs)


def test_pools_and_trainings_share_a_table(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Rows of a pool say so, and are ranked beside trainings with more seeds, sure of nothing."""
    evaluate(variant, small, seeds=(0, 1), epochs=3, recipe="overfit", detectors=("aum",), out=tmp_path)
    detected(small, variant, tmp_path)
    rows = {row.detector: row for row in leaderboard(tmp_path)}
    assert rows["knn"].complete
    assert (rows["knn"].rank_low, rows["knn"].rank_high) == (1, 6)  # five of the pool, and aum
    assert rows["knn"].regime == "pool"
    assert rows["knn"].mislabeled_fit == rows["held_out_error"].mislabeled_fit > 0
    assert [row.model for row in leaderboard(tmp_path) if row.kind == "reference"] == [""] * 4
    page = to_markdown(leaderboard(tmp_path))
    assert "overfit, 3 epochs, pool" in page


def test_what_a_pool_refuses(small: Source, variant: Variant, tmp_path: Path) -> None:
    """One sentence each, and nothing is written."""
    with pytest.raises(BadUsage, match="a fraction is given twice in 0.5, 0.5"):
        detected(small, variant, tmp_path, fractions=(0.5, 0.5))
    with pytest.raises(BadUsage, match="fraction must lie strictly between 0 and 1"):
        detected(small, variant, tmp_path, fractions=(0.5, 1.5))
    with pytest.raises(BadUsage, match="no group of up to 50 models"):
        detected(small, variant, tmp_path, fractions=(0.123,))
    with pytest.raises(BadUsage, match="models must be at least 2, got 1"):
        detected(small, variant, tmp_path, models=1)
    with pytest.raises(
        BadUsage, match="[0-9]+ of 150 samples would be in the subset of each of 2 models.* train at least 10"
    ):
        detected(small, variant, tmp_path, models=2)
    with pytest.raises(BadUsage, match="'curvature_every' is about how a training is watched"):
        plan_learner(small, options={"curvature_every": "3"})
    assert not list(tmp_path.iterdir())
    with pytest.raises(UnknownName, match="no purpose of a pool is called 'detectors'; did you mean 'detector'"):
        check_purpose("detectors", (0.7,))
    with pytest.raises(BadUsage, match="memorization is of one subset fraction; several are for --pool detector"):
        check_purpose("truth", (0.5, 0.7))


def test_scores_of_other_labels_are_worthless_and_refused(small: Source, variant: Variant, tmp_path: Path) -> None:
    """The leak of published benchmarks: loss on the clean labels finds the flips, since the truth is in it; refused."""
    recipe = replace(plan_run(small, recipe="overfit", epochs=25).recipe, epochs=25)
    told = build_variant(small, find("noises", "as_found")())
    trained = train(small, variant, find("models", "mlp"), recipe, [], seed=0)
    inputs = Inputs(small.inputs, torch.device("cpu")).batch(slice(None))
    found = {}
    for name, labels in (("trained", variant), ("clean", told)):
        recorder = Recorder(labels, probes=[find("probes", "loss")])
        recorder.observe(trained.model, inputs, epoch=25)
        found[name] = score(recorder.trace(), find("detectors", "final_loss"))
    area = {name: roc_auc_score(variant.mislabeled, scores.values) for name, scores in found.items()}
    assert area["clean"] > 0.99
    assert area["trained"] < 0.95
    with pytest.raises(Mismatch, match="are of variant .*, the truth is of"):
        against_labels(found["clean"], variant)


def test_each_truth_is_ranked_by_itself(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Another recipe is another learner by its words, not matched, and its rows have ranks of their own."""
    measured(small, variant, tmp_path, models=20)
    learner, _ = plan_learner(small, epochs=3, options={"lr": "0.01"})
    memorize(small, variant, learner, tmp_path, models=20)
    evaluated(small, variant, tmp_path)
    rows = [row for row in leaderboard(tmp_path, truth="memorization") if row.kind == "detector"]
    assert {(row.detector, row.rank, row.matched) for row in rows} == {("aum", 1, True), ("aum", 1, False)}


def test_tables_refuse_to_mix_states_of_one_measurement(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Measured again after one run and before another was judged: a sentence, until both have been."""
    evaluated(small, variant, tmp_path)
    measured(small, variant, tmp_path, models=20)
    evaluated(small, variant, tmp_path)
    measured(small, variant, tmp_path, models=30)
    detected(small, variant, tmp_path)
    with pytest.raises(BadData, match="were held against different states of 'mlp-overfit-input-truth-"):
        leaderboard(tmp_path, truth="memorization")
    evaluated(small, variant, tmp_path)
    assert leaderboard(tmp_path, truth="memorization")


def test_memorization_is_verified_against_its_models(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Also where no run stands beside it; values that its models do not give are found."""
    path = measured(small, variant, tmp_path, models=20) / "memorization.parquet"
    assert any("memorization follows from its 20 models" in sentence for sentence in verify_runs(tmp_path))
    columns, metadata = read_columns(path)
    write_columns({**columns, "margin": columns["margin"] + 1}, path, metadata=metadata)
    with pytest.raises(BadData, match="'margin' does not follow from the models beside it"):
        list(verify_runs(tmp_path))


def test_neighbours_of_columns_do_not_hang_on_their_units(tmp_path: Path) -> None:
    """A column in other units changes no neighbour."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    columns = (rng.normal(size=(60, 4)) + labels[:, None]).astype(np.float32)
    scores = []
    for scale in (1, 1000):
        source = source_from_arrays("columns", columns * np.array([scale, 1, 1, 1]), labels, clean=labels)
        told = build_variant(source, find("noises", "symmetric")(rate=0.2))
        scores.append(read_scores(detected(source, told, tmp_path) / "scores" / "knn.parquet").values)
    assert np.array_equal(scores[0], scores[1])


def test_the_command_prints_how_good_the_estimate_is(
    small: Source, variant: Variant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    words = f"mlp, overfit, 2 epochs ({recipe_digest(small, 2)}), fraction 0.7, on input"
    assert record["learner"] == words
    truth = read_memorization(Path(record["path"]) / "memorization.parquet")
    assert record["largest_stderr"] == pytest.approx(np.max(truth.stderr))
    assert record["mislabeled_fit"] == pytest.approx(truth.p_in[variant.mislabeled].mean())
    how += ["--pool", "detector", "--features", "pca", "--features-set", "components=8"]
    app(how, standalone_mode=False)
    out = capsys.readouterr().out
    assert "estimated noise rate" in out
    assert "realised 20.0%" in out
    app([*how, "--json"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert read_record(Path(record["path"]) / "run.json")["features"] == "pca(components=8)"
    assert record["detectors"]["knn"]["auroc"]["value"] > 0.9
    assert np.shape(record["transition"]) == (10, 10)
    assert [path.name[:4] for path in (tmp_path / "runs" / "features").iterdir()] == ["pca-"]
