"""Memorizations held against each other, and detectors that a truth of their own kind does not judge."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from shell import shell

from noisybench import Memorization, compare_memorizations, leaderboard, memorize, names
from noisybench.board.leaderboard import flags_board
from noisybench.board.results import score_features
from noisybench.board.truths import READ_RIDGE
from noisybench.data.loading import load_source
from noisybench.detection.scoring import Detector
from noisybench.ground.errors import BadUsage, Mismatch
from noisybench.items import find
from noisybench.memorization.closed_form_plan import plan_closed_form
from noisybench.memorization.learner import Learner
from noisybench.memorization.reliability import reliability
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

N = 200


@pytest.fixture(scope="module")
def variant() -> Variant:
    return build_variant(load_source("digits", limit=N), find("noises", "symmetric")(rate=0.2))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, variant: Variant) -> Path:
    """Two measurements in closed form and a run of detectors on frozen features."""
    folder, source = tmp_path_factory.mktemp("runs"), load_source("digits", limit=N)
    for model, estimand in (("ridge", "leave_one_out_margin"), ("kernel_ridge", "subsets")):
        plan, features = plan_closed_form(source, model=model, features="pca", estimand=estimand)  # type: ignore[arg-type]
        memorize(source, variant, plan, folder, models=20, features=features)
    score_features(source, variant, "pca", folder, detectors=("fast", "cooks_distance"))
    return folder


def made(variant: Variant, seed: int, models: int = 100) -> Memorization:
    """An estimate from counts, high where labels are wrong; two samples are unknown."""
    rng = np.random.default_rng(seed)
    n = len(variant.labels)
    n_out = np.full(n, models // 2)
    n_out[[3, 4]] = 0
    chance = np.clip(np.random.default_rng(7).beta(1, 4, n) + 0.6 * variant.mislabeled, 0, 1)
    p_out = np.where(n_out > 0, 1 - rng.binomial(models // 2, chance) / (models // 2), np.nan)
    p_in = np.where(n_out > 0, 1.0, np.nan)
    known = n_out > 0
    return Memorization(
        values=p_in - p_out,
        stderr=np.where(known, np.sqrt(chance * (1 - chance) / (models // 2)), np.nan),
        p_in=p_in,
        p_out=p_out,
        margin=p_in - p_out,
        clean_damage=np.where(known, 0.0, np.nan),
        n_in=models - n_out,
        n_out=n_out,
        models=models,
        learner=Learner("mlp", "overfit", 45, f"{seed:06}", fraction=0.7),
        variant_id=variant.provenance.variant_id,
    )


def test_correlations_are_scipys_and_the_null_is_the_mean_over_permutations(variant: Variant) -> None:
    """Within wrong and right labels one side is permuted; within a stratum nothing is left of it."""
    one, other = made(variant, 0), made(variant, 1)
    rows = {(row.stratum, row.metric): row for row in compare_memorizations([one, other], variant)}
    known = ~np.isnan(one.values)
    x, y, wrong = one.values[known], other.values[known], variant.mislabeled[known]
    rng = np.random.default_rng(0)
    for metric, reference in (("spearman", spearmanr), ("pearson", pearsonr)):
        row = rows["all", metric]
        assert row.value == pytest.approx(float(reference(x, y).statistic))
        assert row.low < row.value < row.high
        drawn = []
        for _ in range(100):
            permuted = y.copy()
            for part in (wrong, ~wrong):
                permuted[part] = rng.permutation(y[part])
            drawn.append(float(reference(x, permuted).statistic))
        assert row.null == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 100**0.5)
        assert row.n == N - 2
        trusted = reliability(one), reliability(other)
        assert (row.reliability_one, row.reliability_other) == trusted
        assert row.corrected == pytest.approx(row.value / (trusted[0] * trusted[1]) ** 0.5)
        assert rows["clean", metric].null == pytest.approx(0, abs=1e-12)
        assert rows["clean", metric].value == pytest.approx(float(reference(x[~wrong], y[~wrong]).statistic))
        assert rows["clean", metric].n + rows["mislabeled", metric].n == N - 2
    assert (rows["all", "pearson"].one, rows["all", "pearson"].other) == (one.learner, other.learner)


def test_what_cannot_be_computed_is_nan(variant: Variant) -> None:
    """Of a constant memorization, and where the error is larger than what samples differ by."""
    one = made(variant, 0)
    constant = replace(one, values=np.where(np.isnan(one.values), np.nan, 0.5), p_in=one.p_in)
    (row, *_) = compare_memorizations([one, constant], variant)
    assert np.isnan([row.value, row.null, row.corrected]).all()
    noisy = replace(one, stderr=one.stderr + 10)
    (row, *_) = compare_memorizations([one, noisy], variant)
    assert row.reliability_other < 0
    assert np.isnan(row.corrected)
    assert row.value == pytest.approx(1)
    assert compare_memorizations([one], variant) == []
    with pytest.raises(Mismatch, match="the memorization is of variant 'other'"):
        compare_memorizations([one, replace(one, variant_id="other")], variant)
    with pytest.raises(BadUsage, match="each of measured"):
        compare_memorizations([one, variant], variant)  # type: ignore[list-item]


def test_the_detectors_that_read_ridge_are_those_that_are_named() -> None:
    """Each detector that needs a column of ridge regression, by what the items declare."""
    reads = []
    for name in names("detectors"):
        detector: Detector = find("detectors", name)
        if any(need.startswith("features.ridge") or need == "features.cooks_distance" for need in detector.needs):
            reads.append(name)
    assert tuple(sorted(reads)) == READ_RIDGE


def test_a_truth_of_its_own_kind_judges_no_detector(runs: Path) -> None:
    """Neither is it ranked, nor are its flags counted; the caption says so, and against wrong labels nothing changes."""
    board = leaderboard(runs, truth="memorization")
    judged = {row.detector for row in board}
    assert "knn" in judged
    assert not judged & {*READ_RIDGE}
    assert len({row.truth_learner for row in board}) == 2
    sentence = f"Not judged by a truth of its own kind, memorization by ridge regression: {', '.join(READ_RIDGE)}."
    assert sentence in board.to_markdown().replace("\\_", "_")
    flags = flags_board(runs)
    assert not {row.detector for row in flags} & {*READ_RIDGE}
    assert {*READ_RIDGE} <= {row.detector for row in leaderboard(runs)}
    assert "own kind" not in leaderboard(runs).to_markdown()


def test_from_the_shell(runs: Path, variant: Variant, tmp_path: Path) -> None:
    """What a user says and reads; what cannot be meant is one sentence and exit code 2."""
    home = runs / variant.name
    done = shell("truths", runs)
    assert done.code == 0, done.err
    assert "1  kernel_ridge, squared_error(penalty=0.3,width=0.5), closed form" in done.out
    assert "2  ridge, squared_error(penalty=3), closed form" in done.out
    assert "leave-one-out margin, on pca: 1.000" in done.out
    rows = json.loads(shell("truths", home, "--json").out)
    assert [row["stratum"] for row in rows[::2]] == ["all", "clean", "mislabeled"]
    assert rows[0]["metric"] == "spearman"
    assert (rows[0]["estimand_one"], rows[0]["estimand_other"]) == ("subsets", "leave_one_out_margin")
    assert rows[0]["variant_id"] == variant.provenance.variant_id
    told = list(csv.DictReader(io.StringIO(shell("truths", home, "--format", "csv").out)))
    assert [{*row} for row in told] == [{*row} for row in rows]
    assert [(row["one"], float(row["value"])) for row in told] == [(row["one"], row["value"]) for row in rows]
    folder = home / "variant"
    common = ["memorize", folder, "--out", tmp_path, "--features", "pca"]
    done = shell(*common, "--model", "ridge", "--json")
    assert json.loads(done.out)["mislabeled_memorization"] is not None
    assert "penalty chosen on other sets (noisybench.statistics.consensus.TUNING_SETS)" in done.err
    alone = shell("truths", tmp_path)
    assert alone.code == 2
    assert "memorization was measured by one learner alone, and it takes two" in alone.err
    for options, message in {
        ("--model", "ridge", "--pool", "detector"): "'noisybench score VARIANT --features NAME', got --model ridge",
        ("--model", "ridge", "--epochs", "3"): "model 'ridge' is solved and not trained: leave out --epochs",
        ("--model", "ridge", "--recipe", "standard"): "is solved and not trained: leave out --recipe",
        (
            "--model",
            "ridge",
            "--models",
            "7",
            "--seed",
            "1",
        ): "--models and --seed are of --estimand subsets; else each",
        ("--model", "ridge(penalty=3)"): "options of model 'ridge' are said by --set, as --set penalty=3",
        ("--model", "rigde"): "no model is called 'rigde'; did you mean 'ridge'?",
        ("--model", "mlp", "--estimand", "leave_one_out"): "is of models in closed form (ridge, kernel_ridge",
        ("--model", "ridge", "--estimand", "loo"): "--estimand must be one of subsets, leave_one_out",
        ("--model", "kernel_ridge", "--set", "widht=1"): "did you mean 'width'",
        ("--model", "ridge", "--set", "penalty=0"): "penalty must be a number at least 1e-06 and finite, got 0.0",
    }.items():
        refused = shell(*common, *options)
        assert (refused.code, message in refused.err) == (2, True), refused.err
        assert refused.err.count("\n") == 1
