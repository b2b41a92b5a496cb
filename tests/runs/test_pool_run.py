"""Pools of models: memorization, measured once and found by every run of the variant, and detectors of held-out answers."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.metrics import roc_auc_score

from noisybench.board.agreement import STRATA, against_labels
from noisybench.board.finished import Result, score_given
from noisybench.board.flags_table import both_rows
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import Detected, MeasuredMemorization, detect, evaluate, memorize
from noisybench.cli.app import app
from noisybench.cli.closed_form import report_measured
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import read_scores, score
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName
from noisybench.ground.files import read_columns, read_record, write_columns
from noisybench.items import find, names
from noisybench.memorization.estimate import estimate_memorization, read_memorization, write_memorization
from noisybench.memorization.held_out import held_out_answers
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import read_pool
from noisybench.memorization.reliability import Summary
from noisybench.memorization.subset_plan import SubsetPlan, plan_learner
from noisybench.runs.pool_run import check_purpose
from noisybench.runs.verify import verify_runs
from noisybench.training.batches import Inputs
from noisybench.training.machine import limited_threads
from noisybench.training.plan import plan_run
from noisybench.training.recorder import Recorder
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


def learner(source: Source, epochs: int) -> Learner:
    return Learner("mlp", "overfit", epochs, recipe_digest(source, epochs), fraction=0.7)


def measured(source: Source, variant: Variant, out: Path, models: int = 20, epochs: int = 3) -> MeasuredMemorization:
    plan = plan_run(source, recipe="overfit", epochs=epochs)
    return memorize(source, variant, SubsetPlan(plan), out, models=models)


def evaluated(source: Source, variant: Variant, out: Path) -> Result:
    (result,) = evaluate(variant, source, seeds=(0,), epochs=3, recipe="overfit", detectors=("aum", "entropy"), out=out)
    return result


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_run_is_held_against_it(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Measured after a run has ended, it is what the run is asked about at once; the values are scipy's."""
    result = evaluated(small, variant, tmp_path)
    assert result.truths() == ("mislabeled",)
    before = contents(result.path)
    truth = measured(small, variant, tmp_path).memorization
    assert result.truths() == ("mislabeled", "memorization")
    strata = {"all": variant.known, "clean": ~variant.mislabeled, "mislabeled": variant.mislabeled}
    for stratum, members in strata.items():
        found = {a.detector: a for a in result.agreement(truth="memorization", stratum=stratum)}
        assert {(a.metric, a.stratum, a.learner) for a in found.values()} == {
            ("spearman", stratum, learner(small, 3)),
        }
        for name in ("aum", "entropy"):
            scores = read_scores(result.path / "scores" / f"{name}.parquet")
            expected = spearmanr(scores.values[members], truth.values[members]).statistic
            assert found[name].value == pytest.approx(expected, abs=1e-12)
            (mean,) = (
                row.mean for row in leaderboard(tmp_path, truth="memorization", stratum=stratum) if row.detector == name
            )
            assert mean == pytest.approx(expected, abs=1e-12)
    assert contents(result.path) == before
    told = list(verify_runs(tmp_path))
    assert any("memorization follows from its 20 models" in sentence for sentence in told)
    assert any("history and 2 detectors follow from the trace" in sentence for sentence in told)


def test_no_order_of_commands_matters(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Evaluated, scored and measured in any order: every run of the labels is held against all, in the same tables."""
    given = tmp_path / "given.npy"
    np.save(given, np.random.default_rng(0).normal(size=len(variant.labels)))
    steps: tuple[Callable[[Path], object], ...] = (
        lambda out: evaluate(variant, small, seeds=(0, 1), epochs=3, recipe="overfit", detectors="aum", out=out),
        lambda out: score_given(variant, out, name="mine", scores=given),
        lambda out: measured(small, variant, out, epochs=3),
        lambda out: measured(small, variant, out, epochs=4),
        lambda out: detected(small, variant, out),
    )
    pooled = {name for name in names("detectors") if "pool" in find("detectors", name).fed_by} - {"c_score"}
    tables = []
    for k, order in enumerate((steps, steps[::-1], (*steps[2:], *steps[:2]))):
        out = tmp_path / str(k)
        for step in order:
            step(out)
        rows = {
            (truth, stratum, metric): [
                # what a run cost is no part of a result
                {name: value for name, value in record.items() if name not in ("seconds", "passes")}
                for record in leaderboard(out, truth=truth, metric=metric, stratum=stratum).to_records()
            ]
            for truth, stratum, metric in (
                ("mislabeled", "all", "auroc"),
                ("memorization", "all", "spearman"),
                ("memorization", "clean", "partial_spearman"),
            )
        }
        tables.append(rows)
        judged = [row for row in leaderboard(out, truth="memorization") if row.kind != "reference"]
        for whose in (learner(small, 3), learner(small, 4)):
            found = {row.detector for row in judged if row.truth_learner == whose}
            assert {"aum", "mine"} | pooled == found
    assert tables[0] == tables[1] == tables[2]


def test_a_measurement_says_what_it_is(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A path, its estimate, and memorization as a detector of its own, whose area is scikit-learn's."""
    found = measured(small, variant, tmp_path)
    assert Path(found) == found.path
    truth = read_memorization(found.path / "memorization.parquet")
    assert np.array_equal(found.memorization.values, truth.values)
    assert (found.summary.models, found.memorization.learner) == (20, learner(small, 3))
    name = f"memorization by {learner(small, 3).name}"
    assert {who: scores.variant_id for who, scores in found.scores.items()} == {name: variant.provenance.variant_id}
    (row,) = found.agreement()
    assert (row.detector, row.metric, row.kind) == (name, "auroc", "reference")
    assert row.value == pytest.approx(roc_auc_score(variant.mislabeled, truth.values), abs=1e-12)
    evaluated(small, variant, tmp_path)
    assert [r.mean for r in leaderboard(tmp_path) if r.detector == name] == [pytest.approx(row.value, abs=1e-12)]


def test_the_leaderboard_names_whose_memorization_it_is(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A row says whether the truth's learner is its own or another; memorization itself stands among the references."""
    measured(small, variant, tmp_path, epochs=3)
    measured(small, variant, tmp_path, epochs=4)
    evaluated(small, variant, tmp_path)
    rows = [row for row in leaderboard(tmp_path, truth="memorization") if row.detector == "aum"]
    assert {(row.truth_learner, row.matched) for row in rows} == {
        (learner(small, 3), True),
        (learner(small, 4), False),
    }
    assert {row.metric for row in rows} == {"spearman"}
    assert {(row.truth_learner, row.matched) for row in both_rows(tmp_path) if row.detector == "aum"} == {
        (row.truth_learner, row.matched) for row in rows
    }
    page = leaderboard(tmp_path, truth="memorization", metric="overlap_5", stratum="clean").to_markdown()
    assert "of clean samples" in page
    assert "fraction 0.7, on input | transferred |" in page
    references = {row.detector for row in leaderboard(tmp_path) if row.kind == "reference"}
    assert f"memorization by mlp, overfit, 3 epochs ({recipe_digest(small, 3)}), fraction 0.7, on input" in references
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"stratum": "cleen"}, "no stratum of 'memorization' is called 'cleen'; did you mean 'clean'"),
        ({"metric": "spearmann"}, "no metric is called 'spearmann'; did you mean 'spearman'"),
    )
    for asked, sentence in wrong:
        with pytest.raises(UnknownName, match=sentence):
            leaderboard(tmp_path, truth="memorization", **asked)
    with pytest.raises(UnknownName, match="no stratum of 'mislabeled' is called 'clean'"):
        leaderboard(tmp_path, stratum="clean")


def test_another_measurement_is_another_truth(small: Source, variant: Variant, tmp_path: Path) -> None:
    """More models, or a changed file: agreements with the old one do not stand for the new one."""
    place = measured(small, variant, tmp_path).path
    result = evaluated(small, variant, tmp_path)

    def judged() -> list[float]:
        areas = [a.value for stratum in STRATA for a in result.agreement(truth="memorization", stratum=stratum)]
        assert areas == [
            row.mean
            for stratum in STRATA
            for name in ("aum", "entropy")
            for row in leaderboard(tmp_path, truth="memorization", stratum=stratum)
            if row.detector == name
        ]
        return areas

    before = judged()
    assert measured(small, variant, tmp_path, models=40).path == place
    after = judged()
    assert len(before) == len(after) == 6
    assert not set(before) & set(after)
    path = place / "memorization.parquet"
    columns, metadata = read_columns(path)
    write_columns({**columns, "p_in": columns["p_in"] + 0.1}, path, metadata=metadata)
    for ask in (lambda: result.agreement(truth="memorization"), lambda: leaderboard(tmp_path, truth="memorization")):
        with pytest.raises(BadData, match="no share; estimate again|was changed after it was written"):
            ask()


def detected(source: Source, variant: Variant, out: Path, **how: Any) -> Detected:  # noqa: ANN401 - of detect
    plan = plan_run(source, recipe="overfit", epochs=3)
    return detect(source, variant, SubsetPlan(plan), out, **{"models": 20, **how})


def test_held_out_answers_are_those_of_models_that_did_not_see_the_sample(
    small: Source, variant: Variant, tmp_path: Path
) -> None:
    """Votes, consistency over fractions and scores, by a loop over models and samples; kept models are not mixed in."""
    folder = detected(small, variant, tmp_path, fractions=(0.5, 0.7)).path
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
    place = measured(small, variant, tmp_path).path
    folder = detected(small, variant, tmp_path).path
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
    """The same command trains nothing, rescores nothing and changes nothing; its scores are held against what there is."""
    result = detected(small, variant, tmp_path)
    folder, before = result.path, contents(result.path)
    truth = measured(small, variant, tmp_path).memorization.values
    monkeypatch.setattr("noisybench.memorization.retraining._train_block", None)
    monkeypatch.setattr("noisybench.runs.pool_run.neighbour_labels_of_kept", None)
    again = detected(small, variant, tmp_path)
    assert (again.path, again.noise.rate) == (folder, result.noise.rate)
    assert contents(folder) == before
    found = {a.detector: a.value for a in result.agreement("partial_spearman", truth="memorization")}
    error = read_scores(folder / "scores" / "held_out_error.parquet").values
    margin = read_scores(folder / "scores" / "normalized_margin.parquet").values
    ranks = [rankdata(column) for column in (margin, truth, error)]
    left = [ranks[j] - np.polyval(np.polyfit(ranks[2], ranks[j], 1), ranks[2]) for j in (0, 1)]
    assert found["normalized_margin"] == pytest.approx(pearsonr(*left).statistic, abs=1e-9)
    assert np.isnan(found["held_out_error"])


@pytest.mark.parametrize("lost", ["trace", "history.parquet", "scores/knn.parquet", "run.json"])
def test_what_a_pool_run_lost_is_made_again(small: Source, variant: Variant, tmp_path: Path, lost: str) -> None:
    """From its models, none of which is trained again: to the same bytes, of whatever a killed call left."""
    folder = detected(small, variant, tmp_path).path
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "timing.json"}
    for path in (folder / lost).iterdir() if lost == "trace" else [folder / lost]:
        path.unlink()
    detected(small, variant, tmp_path)
    assert before == {path: path.read_bytes() for path in before}


def test_an_extension_that_was_stopped_leaves_no_mixture(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after its answers and before its scores: asked for fewer models again, the run is theirs throughout."""
    folder = detected(small, variant, tmp_path, models=10).path
    error = (folder / "scores" / "held_out_error.parquet").read_bytes()
    with monkeypatch.context() as stopped:
        stopped.setattr("noisybench.runs.pool_run._score_all", None)
        with pytest.raises(TypeError):
            detected(small, variant, tmp_path, models=20)
    detected(small, variant, tmp_path, models=10)
    assert (folder / "scores" / "held_out_error.parquet").read_bytes() == error
    assert any("answers follow from the pool's models" in sentence for sentence in verify_runs(tmp_path))


@pytest.mark.parametrize("features", ["pca", "patches"])
def test_features_do_not_depend_on_the_threads_around_them(features: str) -> None:
    """Nor do those that are kept in a folder stand in for others: more threads are asked for, and kept apart."""
    digits = load_source("digits", limit=300)
    found = []
    for around in (1, 2):
        with limited_threads(around):
            _, seen = plan_learner(digits, features=features)
        assert seen is not None
        found.append(seen.tobytes())
    assert found[0] == found[1]


def test_two_measurements_of_one_name_are_refused(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Another seed would stand in the tables under the same words: nothing is trained."""
    place = measured(small, variant, tmp_path).path
    plan, _ = plan_learner(small, epochs=3)
    with pytest.raises(BadData, match="is of 'mlp, overfit, 3 epochs.* which no table could tell apart"):
        memorize(small, variant, plan, tmp_path, models=20, seed=1)
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    truth = read_memorization(place / "memorization.parquet")
    write_memorization(truth, place.parent / "copy" / "memorization.parquet")
    result = evaluated(small, variant, tmp_path)
    for ask in (result.agreement, lambda: leaderboard(tmp_path)):
        with pytest.raises(BadData, match="which no table could tell apart"):
            ask()


def test_more_models_are_added_to_those_there(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A pool of 60 after one of 50 trains ten, and is the pool that 60 at once are."""
    first = detected(small, variant, tmp_path / "grown", models=50).path
    stamp = (first / "fraction-0.7" / "block-0000.npz").stat().st_mtime_ns
    grown = detected(small, variant, tmp_path / "grown", models=60).path
    assert grown == first
    assert (first / "fraction-0.7" / "block-0000.npz").stat().st_mtime_ns == stamp
    whole = detected(small, variant, tmp_path / "whole", models=60).path
    for name in ("held_out_error", "confident_learning", "knn"):
        ours, theirs = (read_scores(place / "scores" / f"{name}.parquet").values for place in (grown, whole))
        assert np.array_equal(ours, theirs)


def test_pools_and_trainings_share_a_table(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Rows of a pool say so, and are ranked beside trainings with more seeds, sure of nothing."""
    evaluate(variant, small, seeds=(0, 1), epochs=3, recipe="overfit", detectors=("aum",), out=tmp_path)
    detected(small, variant, tmp_path)
    rows = {row.detector: row for row in leaderboard(tmp_path)}
    assert rows["knn"].complete
    ranked = {name for name, row in rows.items() if row.kind == "detector"}
    assert {name for name in ranked if rows[name].regime == "training"} == {"aum"}
    assert (rows["knn"].rank_low, rows["knn"].rank_high) == (1, len(ranked))
    assert rows["knn"].regime == "pool"
    assert rows["knn"].mislabeled_fit == rows["held_out_error"].mislabeled_fit > 0
    assert {row.learner.model for row in leaderboard(tmp_path) if row.kind == "reference"} == {""}
    page = leaderboard(tmp_path).to_markdown()
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
    """Another recipe is another learner by its fields, not matched, and its rows have ranks of their own."""
    measured(small, variant, tmp_path)
    plan, _ = plan_learner(small, epochs=3, options={"lr": "0.01"})
    memorize(small, variant, plan, tmp_path, models=20)
    evaluated(small, variant, tmp_path)
    rows = [row for row in leaderboard(tmp_path, truth="memorization") if row.kind == "detector"]
    assert {(row.detector, row.rank, row.matched) for row in rows} == {("aum", 1, True), ("aum", 1, False)}


def test_tables_do_not_mix_states_of_one_measurement(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Measured again after one run was judged and before another was made: both are held against the new state."""
    result = evaluated(small, variant, tmp_path)
    measured(small, variant, tmp_path, models=20)
    assert leaderboard(tmp_path, truth="memorization")
    truth = measured(small, variant, tmp_path, models=30).memorization.values
    pool = detected(small, variant, tmp_path)
    rows = {row.detector: row for row in leaderboard(tmp_path, truth="memorization")}
    for run, name in ((result, "aum"), (pool, "held_out_error")):
        expected = spearmanr(run.scores[name].values, truth).statistic
        assert rows[name].mean == pytest.approx(expected, abs=1e-12)


def test_memorization_is_verified_against_its_models(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Also where no run stands beside it; values that its models do not give are found."""
    path = measured(small, variant, tmp_path).path / "memorization.parquet"
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
        scores.append(detected(source, told, tmp_path).scores["knn"].values)
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
    assert "wrong labels fitted by the models that are trained on them" in out
    assert "right labels fitted" in out
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


@pytest.mark.parametrize(("fitted", "little"), [(0.49, True), (0.5, False), (0.93, False), (float("nan"), False)])
def test_low_memorization_is_explained_where_less_than_half_is_fitted(
    fitted: float, *, little: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The note is about a learner that fits few of the wrong labels; where none is known there is nothing to say."""
    numbers = dict.fromkeys((field.name for field in fields(Summary)), 1.0)
    summary = Summary(**{**numbers, "models": 20, "undefined": 0, "mislabeled_fit": fitted})  # type: ignore[arg-type]
    report_measured(MeasuredMemorization(Path("somewhere"), summary), "mlp", as_json=False)
    assert ("memorization is low as it should be" in capsys.readouterr().out) == little
