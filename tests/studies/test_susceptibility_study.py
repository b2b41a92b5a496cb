"""The susceptibility study: a small one from end to end, and its tables from made-up results."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from shell import shell

from noisybench.data.source import Source
from noisybench.ground.errors import Mismatch, NoisybenchError
from noisybench.statistics.regions import upper_half
from noisybench.studies.claims import hypotheses_of
from noisybench.studies.grids import choose_grid, grid_of_results
from noisybench.studies.hypotheses import Effect
from noisybench.studies.results import RESULTS, read_results, results_of, write_results
from noisybench.studies.susceptibility import TABLES, measure_susceptibility, susceptibility_findings
from noisybench.studies.susceptibility_grid import PRESETS, SusceptibilityGrid
from noisybench.studies.susceptibility_pools import trained_of
from noisybench.studies.susceptibility_regions import CHOICES
from noisybench.training.model import find_model

GRID = SusceptibilityGrid(
    models=("mlp(width=4)", "mlp(width=8)"), learning_rates=(0.02, 0.05, 0.1), schedules=("constant",),
    recipes=("overfit",), objectives=("cross_entropy",), half=False, seeds=(0,), epochs=4, rivals=("noisy_validation",),
)  # fmt: skip
JSON = {
    "models": ["mlp(width=4)", "mlp(width=8)"], "learning_rates": [0.02, 0.05, 0.1], "schedules": ["constant"],
    "recipes": ["overfit"], "objectives": ["cross_entropy"], "half": False, "seeds": [0], "epochs": 4,
    "rivals": ["noisy_validation"],
}  # fmt: skip


def made(*, seeds: int = 2, fitted: float = 1.0, tested: bool = True, variants: int = 2) -> Any:  # noqa: ANN401
    """Results of trainings that never were: susceptibility is what is fitted, and noise; tests fall with it."""
    grid = SusceptibilityGrid(seeds=tuple(range(seeds)), epochs=4)
    random = np.random.default_rng(0)
    records: list[dict[str, Any]] = []
    for number in range(variants):
        name = f"made {number}"
        about = {"classes": 10, "wrong": 300, "wrong_share": 0.3, "samples": 1000, "tested": 100 if tested else 0}
        records.append({"record": "variant", "variant": name, "variant_id": str(number), **about})
        for setting in grid.settings:
            fit = random.random()
            for seed in grid.seeds:
                key = {"variant": name, "setting": setting.name, "seed": seed}
                fit_here = float(np.clip(fit + 0.05 * random.normal(), 0, 1))
                told = {
                    "train_accuracy": 0.6 + 0.4 * random.random(), "mislabeled_fit": fitted * fit_here, "clean_fit": 0.9,
                    "zeta.authors.training": fit_here + 0.2 * random.normal(), "zeta.authors.noise": random.normal(),
                    "test_accuracy": 0.9 - 0.3 * fit_here if tested else np.nan, "train_loss": random.random(),
                }  # fmt: skip
                rest = {"sum_of_losses": random.random(), "wave_changes": 0.1, "wave_test": 0.5, "wave_epoch": 3.0}
                records.append({"record": "run", **key, **told, **rest, "rival.ratt": random.random()})
                for epoch in range(1, 5):
                    line = {name: float(value * epoch / 4) for name, value in told.items()}
                    records.append({"record": "epoch", **key, "epoch": epoch, **line})
    return results_of("susceptibility", grid, records)


def test_correlations_are_over_settings_with_seeds_averaged() -> None:
    """SciPy's on the means, within each variant and their mean; what says nothing is not said to track."""
    results = made()
    findings = susceptibility_findings(results)
    expected = []
    for one in trained_of(results):
        means: dict[str, list[float]] = {"zeta.authors.training": [], "mislabeled_fit": []}
        for setting in one.settings:
            own = [run for run in results.of("run") if (run["variant"], run["setting"]) == (one.variant, setting.name)]
            for field, into in means.items():
                into.append(float(np.mean([run[field] for run in own])))
        expected.append(float(spearmanr(means["zeta.authors.training"], means["mislabeled_fit"]).statistic))
    rows = {(row["variant"], row["reading"]): row for row in findings.to_records("correlations")}
    for one, value in zip(trained_of(results), expected, strict=True):
        assert rows[one.variant, "authors.training"]["spearman"] == pytest.approx(value)
        assert rows[one.variant, "authors.training"]["settings"] == 24
    mean = rows["mean within variants", "authors.training"]
    assert mean["spearman"] == pytest.approx(np.mean(expected))
    assert mean["spearman_low"] < mean["spearman"] < mean["spearman_high"]
    assert rows["across variants (not comparable)", "authors.noise"]["settings"] == 48
    effects = measure_susceptibility(results)
    assert {*effects} == {one.name for one in hypotheses_of("susceptibility")}
    tracks, noise = effects["susceptibility_tracks_fit"], effects["tracks_fit_by_noise"]
    assert isinstance(tracks, Effect)
    assert isinstance(noise, Effect)
    assert tracks.value == pytest.approx(np.mean(expected))
    words = {row["name"]: row["verdict"] for row in findings.to_records("claims")}
    assert words["susceptibility_tracks_fit"] == "reproduced"
    assert words["tracks_fit_by_noise"] != "reproduced"


def test_first_differences_are_over_epochs() -> None:
    """Curves that rise together in even steps say nothing: their differences do not vary."""
    changes = susceptibility_findings(made()).to_records("changes")
    assert {row["changes"] for row in changes} == {None}
    results = made(variants=1)
    random = np.random.default_rng(1)
    steps = {(r["setting"], r["seed"]): random.normal(size=(4, 2)).cumsum(0) for r in results.of("run")}
    for record in results.records:
        if record["record"] == "epoch":
            zeta, fit = steps[record["setting"], record["seed"]][record["epoch"] - 1]
            record.update({"zeta.authors.training": float(zeta), "mislabeled_fit": float(fit)})
    per_run = {
        key: float(spearmanr(np.diff(curve[:, 0]), np.diff(curve[:, 1])).statistic) for key, curve in steps.items()
    }
    found = susceptibility_findings(results).to_records("changes")[0]
    assert found["changes"] == pytest.approx(np.mean([*per_run.values()]))


def test_nothing_memorized_is_said_in_place_of_a_correlation() -> None:
    """No setting fits more of the wrong labels than random answers would."""
    results = made(fitted=0.05, variants=1)
    findings = susceptibility_findings(results)
    assert "made 0: memorized nothing. At most 4.8% of the wrong labels are fitted" in findings.about
    assert findings.to_records("correlations") == []
    effects = measure_susceptibility(results)
    assert "nothing was memorized" in str(effects["susceptibility_tracks_fit"])
    assert "nothing was memorized" in str(effects["regions_select"])
    unknown = [
        {**one, "wrong": 0, "wrong_share": None} if one["record"] == "variant" else one for one in results.records
    ]
    assert isinstance(measure_susceptibility(replace(results, records=tuple(unknown)))["regions_select"], Effect)
    assert {row["verdict"] for row in findings.to_records("claims") if "tracks" in row["name"]} == {"not measured"}


def test_without_a_test_set_nothing_is_chosen() -> None:
    results = made(tested=False, variants=1)
    findings = susceptibility_findings(results)
    assert "no test set, so no model is chosen on it" in findings.about
    assert {"regions", "thresholds", "selection"}.isdisjoint(findings.names)
    assert measure_susceptibility(results)["regions_select"] == "no variant has a test set of known labels"


@pytest.mark.parametrize("seeds", [1, 2])
def test_regret_is_that_of_a_loop_over_pools(seeds: int) -> None:
    """Training accuracy, the upper half, any setting, RATT and the oracle, by hand; thresholds come from other models."""
    results = made(seeds=seeds, variants=1)
    one = trained_of(results)[0]
    rows = {row["rule"]: row["regret"] for row in susceptibility_findings(results).to_records("selection")}
    assert [*rows] == [*CHOICES]
    expected: dict[str, list[float]] = {
        name: []
        for name in ("training accuracy", "upper half, any", "last epoch, any", "RATT", "sum of training losses")
    }
    for pool, places in zip(one.pools("authors.training"), one.judged(one.parts), strict=True):
        best = pool.test.max()
        expected["training accuracy"].append(best - pool.test[pool.accuracy.argmax()])
        expected["upper half, any"].append(best - pool.test[upper_half(pool.accuracy)].mean())
        expected["last epoch, any"].append(best - pool.test.mean())
        expected["RATT"].append(best - pool.test[one.mean("rival.ratt")[places].argmin()])
    losses = {(run["setting"], run["seed"]): run["sum_of_losses"] for run in results.of("run")}
    tests = {(run["setting"], run["seed"]): run["test_accuracy"] for run in results.of("run")}
    if seeds > 1:  # the losses of the very training whose test accuracy is asked for
        for seed in range(seeds):
            own = [key for key in losses if key[1] == seed]
            chosen = min(own, key=lambda key: losses[key])
            expected["sum of training losses"].append(max(tests[key] for key in own) - tests[chosen])
    else:
        del expected["sum of training losses"]
    for name, values in expected.items():
        assert rows[name] == pytest.approx(np.mean(values)), name
    assert rows["oracle"] == 0
    assert rows["noisy validation"] is None


def test_rules_are_compared_in_the_pools_in_which_both_choose() -> None:
    """Where all models of the first seed are less resistant than those of the other, only the second has a region 1."""
    results = made(variants=1)
    moved = [
        {**one, "zeta.authors.training": one["zeta.authors.training"] + 10 * (one["seed"] == 0)} if one["record"] == "run" else one
        for one in results.records
    ]  # fmt: skip
    runs = [one for one in moved if one["record"] == "run"]
    first, second = ([one for one in runs if one["seed"] == seed] for seed in (0, 1))
    least = np.mean([one["train_accuracy"] for one in first])
    best = max((one for one in second if one["train_accuracy"] >= least), key=lambda one: one["train_accuracy"])
    rival = min(second, key=lambda one: one["sum_of_losses"])
    found = measure_susceptibility(replace(results, records=tuple(moved)))
    losses = found["region_beats_losses"]
    assert isinstance(losses, Effect)
    assert losses.value == pytest.approx(best["test_accuracy"] - rival["test_accuracy"])
    accuracy = found["region_beats_accuracy"]
    assert isinstance(accuracy, Effect)
    assert accuracy.value == 0
    assert found["region_beats_validation"] == "noisy validation was not measured"


def test_thresholds_come_from_models_that_are_not_judged() -> None:
    """Of two seeds the other one's means; of one seed the other half of the settings."""
    two, one = trained_of(made(seeds=2, variants=1))[0], trained_of(made(seeds=1, variants=1))[0]
    first, second = two.pools("authors.training")
    np.testing.assert_array_equal(first.other_accuracy, second.accuracy)
    np.testing.assert_array_equal(second.other_susceptibility, first.susceptibility)
    halves = one.judged(one.parts)
    assert sorted(np.concatenate(halves).tolist()) == [*range(24)]
    left, right = one.pools("authors.training")
    np.testing.assert_array_equal(left.other_accuracy, right.accuracy)


def test_a_small_study(tmp_path: Path) -> None:
    """Trained, told, remade without its runs, gone on with; the forecast counts; the picture is drawn."""
    built = shell("build", "digits", "--limit", "200", "--noise", "symmetric", "--rate", "0.4", "--out", tmp_path / "v")
    assert built.code == 0, built.err
    variant = next((tmp_path / "v").iterdir())
    (tmp_path / "grid.json").write_text(json.dumps(JSON))
    asked = (
        "study",
        "susceptibility",
        variant,
        "--grid",
        tmp_path / "grid.json",
        "--out",
        tmp_path / "s",
        "--workers",
        "1",
    )
    first = shell(*asked, "--json", "--plot", tmp_path / "s.png")
    assert first.code == 0, first.err
    assert (tmp_path / "s.png").stat().st_size > 10_000
    told = json.loads(first.out)
    assert {*told} >= {"study", "about", *TABLES} - {"verdicts"}
    assert [row["setting"] for row in told["settings"]] == [setting.name for setting in GRID.settings]
    results = read_results(tmp_path / "s", "susceptibility")
    assert grid_of_results(results, "susceptibility", SusceptibilityGrid) == GRID
    run = results.of("run")[0]
    assert {"zeta.authors.training", "zeta.fixed.noise", "rival.noisy_validation", "wave_changes"} <= {*run}
    assert "zeta.authors.source" not in run, "the other source is the variant's own"
    assert len(results.of("epoch")) == 6 * 4
    before = (tmp_path / "s" / RESULTS).read_bytes()
    planned = shell(*asked, "--dry-run")
    assert planned.out == "12 runs, 12 of them finished: nothing is trained\n"
    shutil.rmtree(next((tmp_path / "s").glob("*/mlp*overfit-????????")))
    assert "12 runs, 11 of them finished; the others take about" in shell(*asked, "--dry-run").out
    again = shell(*asked, "--json")
    assert again.out == first.out
    assert (tmp_path / "s" / RESULTS).read_bytes() == before
    shutil.move(tmp_path / "s" / RESULTS, tmp_path / "r.parquet")
    remade = shell("study", "susceptibility", variant, "--out", tmp_path / "r.parquet", "--remake", "--json")
    assert remade.out == first.out
    with pytest.raises(Mismatch):
        read_results(tmp_path / "r.parquet", "harm")
    lacking = [{name: value for name, value in one.items() if name != "variant"} for one in results.records]
    write_results(replace(results, records=tuple(lacking)), tmp_path / "old")
    refused = shell("study", "susceptibility", "--out", tmp_path / "old", "--remake")
    assert (refused.code, "are not what study 'susceptibility' leaves in" in refused.err) == (1, True)
    (tmp_path / "twice.json").write_text(json.dumps({**JSON, "models": ["mlp", "mlp(width=128)"]}))
    twice = shell("study", "susceptibility", variant, "--out", tmp_path / "t", "--grid", tmp_path / "twice.json")
    assert (twice.code, "are the same training; leave one out of the grid" in twice.err) == (2, True)
    assert not (tmp_path / "t").exists()


def test_presets_can_be_trained_and_have_their_size() -> None:
    """At least 24 settings but for the quick one; every model is found."""
    for name, grid in PRESETS.items():
        assert name == "quick" or len(grid.settings) >= 24
        for model in grid.models:
            find_model(model)
        assert choose_grid(name, PRESETS) == grid
        assert grid.trainings >= len(grid.settings)
    halved = PRESETS["standard"].settings
    for axis in range(5):  # each two axes are crossed in a half fraction
        for other in range(axis):
            pairs = {(one[axis], one[other]) for one in halved}
            assert len(pairs) == len({one[axis] for one in halved}) * len({one[other] for one in halved})


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"model": ["mlp"]}, "has a field 'model', which is none of: models, learning_rates"),
        ({"models": "mlp"}, "'models' is 'mlp', expected array; give the fields of a Suscept"),
        ({"models": ["mlp", "mlp"]}, "models of the grid must be different ones"),
        ({"schedules": ["slow"]}, "no schedule is called 'slow'"),
        ({"rivals": ["label_wave"]}, "no rival is called 'label_wave'"),
        ({"objectives": ["cross"]}, "no objective is called 'cross'"),
        ({"options": {"susceptibility": "fixed"}}, "hold 'susceptibility', which is decided by the study"),
        ({"epochs": 2}, "epochs of the grid must be at least 4, got 2"),
        ({"models": ["mlp"], "learning_rates": [0.1]}, "the grid has 4 settings, expected at least 6"),
        ([1], "grid.json"),
        ("{", "grid.json"),
    ],
)
def test_bad_grids_are_refused_in_a_sentence(tmp_path: Path, told: object, words: str) -> None:
    """By Python and by the shell, before anything is trained."""
    path = tmp_path / "grid.json"
    path.write_text("{" if told == "{" else json.dumps(told))
    with pytest.raises(NoisybenchError, match=words):
        choose_grid(path, PRESETS)


def test_bad_commands(tmp_path: Path) -> None:
    """One line each, exit code 2 or 1, no traceback."""
    cases = [
        (("--grid", "quik"), "no preset is called 'quik'; did you mean 'quick'?"),
        (("--grid", "quick", "--preset", "quick"), "--preset and --grid both choose the grid"),
        (("--table", "correlation"), "did you mean 'correlations'"),
        (("--remake",), "carry out 'noisybench study susceptibility' first"),
        ((), "is no variant"),
    ]
    alone = shell("study")
    assert (alone.code, alone.err[:27]) == (2, "error: a command is missing")
    for options, words in cases:
        result = shell("study", "susceptibility", tmp_path / "none", "--out", tmp_path / "s", *options)
        assert result.code in (1, 2)
        assert words in result.err
        assert "Traceback" not in result.err


def test_fewer_test_samples_are_spread_over_the_test_set(digits: Source) -> None:
    """Every fourth or so, whose order may be that of classes; as many as there are where more are asked for."""
    few = replace(GRID, tests=90).seen(digits)
    assert digits.test_labels is not None
    assert few.test_labels is not None
    assert few.test_labels.tolist() == [int(digits.test_labels[round(k * 359 / 89)]) for k in range(90)]
    assert few.sha256 == digits.sha256
    assert replace(GRID, tests=None).seen(digits) is digits
    assert GRID.seen(digits) is digits


def test_pmv_is_trained_on_small_variants_alone() -> None:
    """Four trainings of each setting are too many for a large one; the grid says up to where."""
    assert PRESETS["standard"].rivals_on(1_500) == ("noisy_validation", "ratt", "pmv")
    assert PRESETS["standard"].rivals_on(1_501) == ("noisy_validation", "ratt")
    assert "pmv" in PRESETS["full"].rivals_on(50_000)
