"""The command ``plan``: stated or measured correlations, and what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from shell import shell

from noisybench.board.comparison import measure_runs
from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.ground.lookup import find
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.statistics.planning import MEASURED, plan_comparison
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two draws of a noise with two seeds each, and a variant of another noise."""
    folder = tmp_path_factory.mktemp("plan")
    source = load_source("digits", limit=200)
    variants = [build_variant(source, Symmetric(0.2), seed=seed) for seed in (0, 1)]
    evaluate(variants, source, epochs=1, seeds=(0, 1), detectors=("aum", "final_loss", "el2n"), out=folder / "runs")
    for name, variant in zip("ab", variants, strict=True):
        write_variant(variant, folder / name)
    write_variant(build_variant(source, Symmetric(0.3)), folder / "other")
    return folder


def test_a_plan_says_its_numbers_and_where_they_come_from(folder: Path) -> None:
    """Text and JSON are the plan that Python makes of the stated correlations, which name the data they are of."""
    made = plan_comparison(0.95, 40, 160, draws=3, seeds=2, detectors=5, difference=0.02)
    arguments = (
        "plan",
        folder / "a",
        "--auroc",
        0.95,
        "--draws",
        3,
        "--seeds",
        2,
        "--detectors",
        5,
        "--difference",
        0.02,
    )
    text = shell(*arguments).out
    assert "40 wrong of 200 labels, 5 detectors at an AUROC of about 0.950, draws: 3, seeds of each: 2" in text
    assert f"standard error of {made.standard_error:.4f}" in text
    assert f"a difference of {made.smallest:.4f} (level 5%, shared by 10 pairs)" in text
    assert f"{made.samples_needed:,} samples of the same share" in text
    assert f"measured on {MEASURED.measured_on}" in text
    record = json.loads(shell(*arguments, "--json").out)
    assert record["smallest"] == made.smallest
    assert record["correlations"]["measured_on"] == MEASURED.measured_on


def test_runs_tell_their_correlations(folder: Path) -> None:
    """AUROC, detectors and correlations are those of the runs, of each draw of the same noise, whichever is named."""
    varied = measure_runs(folder / "runs", build_variant(load_source("digits", limit=200), Symmetric(0.2), seed=1))
    assert (varied.draws, varied.seeds, varied.detectors) == (2, 2, 3)
    assert 0 <= varied.correlations.draws <= varied.correlations.seeds <= 1
    found = [json.loads(shell("plan", folder / name, "--runs", folder / "runs", "--json").out) for name in "ab"]
    for record in found:
        assert (record["area"], record["detectors"]) == (varied.area, 3)
        assert record["correlations"]["detectors"] == varied.correlations.detectors
        assert record["correlations"]["measured_on"] == "these runs (mlp, 3 detectors, draws: 2, seeds: 2)"


def test_a_description_holds_it_when_asked(folder: Path) -> None:
    """The same lines, and the same record."""
    alone, beside = shell("plan", folder / "a"), shell("describe", folder / "a", "--plan")
    assert beside.out.endswith(alone.out)
    record = json.loads(shell("plan", folder / "a", "--json").out)
    del record["path"]
    assert json.loads(shell("describe", folder / "a", "--plan", "--json").out)["plan"] == record
    assert "plan" not in json.loads(shell("describe", folder / "a", "--json").out)


def test_one_seed_takes_what_is_stated(folder: Path, tmp_path: Path) -> None:
    """Of one draw and one seed, the correlations of both are the stated ones, and the words say so."""
    source = load_source("digits", limit=200)
    variant = build_variant(source, Symmetric(0.2))
    evaluate(variant, source, epochs=1, seeds=(0,), detectors=("aum", "final_loss"), out=tmp_path)
    found = measure_runs(tmp_path, variant).correlations
    assert (found.seeds, found.draws) == (MEASURED.seeds, MEASURED.draws)
    assert f"those of draws and seeds on {MEASURED.measured_on}" in found.measured_on
    assert shell("plan", folder / "a", "--runs", tmp_path).code == 0


def test_what_no_plan_can_be_made_of_is_refused(folder: Path, tmp_path: Path) -> None:
    """Runs of another noise, labels without a known error and numbers out of range are bad usage, in one sentence."""
    done = shell("plan", folder / "other", "--runs", folder / "runs")
    assert done.code == 2
    assert re.search(r"no finished run there is of 'digits-symmetric-\w+' or of another draw", done.err)
    inputs, labels = np.zeros((20, 2), dtype=np.float32), np.arange(20) % 2
    source = source_from_arrays("mine", inputs, labels)
    write_variant(build_variant(source, find("noises", "as_found")()), tmp_path / "mine")
    done = shell("plan", tmp_path / "mine")
    assert (done.code, "0 wrong labels of 0 that are known" in done.err) == (2, True)
    done = shell("plan", folder / "a", "--auroc", 1.5)
    assert (done.code, "area = 1.5, expected a number between 0 and 1" in done.err) == (2, True)
    assert len(done.err.splitlines()) == 1
