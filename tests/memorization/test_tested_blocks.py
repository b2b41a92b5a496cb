"""Influence on test samples: nearest neighbours by enumeration, networks against themselves, files that are no such files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shell import shell

from noisybench.board.influence_files import pair_records, write_pairs
from noisybench.board.influence_sheet import draw_pairs
from noisybench.board.results import memorize
from noisybench.data.source import Source, source_from_arrays, untested
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.memorization.closed_form_plan import plan_closed_form
from noisybench.memorization.estimators import find_estimator
from noisybench.memorization.fitted import fit_subsets
from noisybench.memorization.fitted_plan import FittedPlan
from noisybench.memorization.influence import influence_pairs
from noisybench.memorization.pool import read_pool
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.tested_blocks import mend_tested, read_tests
from noisybench.noise.noises.as_found import AsFound
from noisybench.runs.memorization_forecast import forecast_memorization
from noisybench.runs.verify import verify_runs
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

ONE = Machine(device="cpu")
NEAREST = FittedPlan(find_estimator("sklearn:KNeighborsClassifier(n_neighbors=1)"))
WRONG = 5
"""A training sample whose label is wrong, and beside which test sample 0 lies."""


@pytest.fixture(scope="module")
def source() -> Source:
    """A cloud of 90 images in three classes at random, and 20 test images, the first of them nearly training image 5."""
    generator = np.random.default_rng(0)
    inputs, tests = (generator.integers(0, 256, (n, 5, 5, 3), dtype=np.uint8) for n in (90, 20))
    labels, test_labels = np.arange(90) % 3, np.arange(20) % 3
    tests[0] = inputs[WRONG]
    tests[0, 0, 0, 0] ^= 1
    names = [f"image {i}.png" for i in range(90)]
    clean = labels.copy()
    clean[WRONG] = 0
    return source_from_arrays(
        "cloud", inputs, labels, clean=clean, test_inputs=tests, test_labels=test_labels, sample_names=names
    )


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, AsFound(), seed=0)


@pytest.fixture(scope="module")
def measured(source: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a measurement by one nearest neighbour, asked about the test set."""
    out = tmp_path_factory.mktemp("runs")
    return memorize(source, variant, NEAREST, out, models=60, ask_test=True, machine=ONE).path


def test_nearest_neighbours(source: Source, variant: Variant, measured: Path) -> None:
    """Each model gives a test sample the label of the nearest sample that it saw, and influences follow by enumeration."""
    pool = read_pool(measured, variant)
    rows, tests = (one.reshape(len(one), -1).astype(float) for one in (source.inputs, source.test_inputs))
    for channel in range(3):  # each has mean 0 and deviation 1 over the training images
        deviation = source.inputs[..., channel].std(dtype=np.float64)
        rows[:, channel::3] /= deviation
        tests[:, channel::3] /= deviation
    near = ((tests[:, None] - rows) ** 2).sum(-1)
    predictions = read_tests(measured, variant, source, models=60)
    for included, predicted in zip(pool.included, predictions, strict=True):
        nearest = np.flatnonzero(included)[near[:, included].argmin(1)]
        np.testing.assert_array_equal(predicted, variant.labels[nearest])
    pairs = influence_pairs(measured, source, variant, memorized=0.25, least=0.15, most_q=1)
    told = {(i, j): row for row, (i, j) in enumerate(zip(pairs.train.tolist(), pairs.test.tolist(), strict=True))}
    for i in range(90):
        saw = pool.included[:, i]
        memorization = (pool.predictions[saw, i] == i % 3).mean() - (pool.predictions[~saw, i] == i % 3).mean()
        for j in range(20):
            right = predictions[:, j] == j % 3
            influence = right[saw].mean() - right[~saw].mean()
            counts = memorization >= 0.25 and abs(influence) >= 0.15 - 1e-9
            assert ((i, j) in told) == counts
            if counts:
                assert pairs.influence[told[i, j]] == pytest.approx(influence)
                assert pairs.memorization[told[i, j]] == pytest.approx(memorization)
    sure = influence_pairs(measured, source, variant)
    [row] = np.flatnonzero((sure.train == WRONG) & (sure.test == 0))
    assert sure.influence[row] < -0.3  # the wrong label harms
    assert len(sure.train) < len(pairs.train)
    assert (sure.q_value <= 0.05).all()
    assert any("memorization follows from its 60 models" in one for one in verify_runs(measured.parents[1]))


def test_networks(source: Source, variant: Variant, tmp_path: Path) -> None:
    """Asked about a test set that is the training set, networks predict what the blocks say, whose bytes stay the same."""
    same = replace(source, test_inputs=source.inputs, test_labels=source.labels)
    for model in ("mlp", "mlp(activation=silu)"):  # trained together, and one by one
        plan = SubsetPlan(plan_run(source, model=model, recipe="overfit", epochs=2, device="cpu"))
        retrain(same, variant, plan, tmp_path / model / "asked", models=10, ask_test=True)
        retrain(same, variant, plan, tmp_path / model / "plain", models=10)
        name = "block-0000-of-10.npz"
        assert (tmp_path / model / "asked" / name).read_bytes() == (tmp_path / model / "plain" / name).read_bytes()
        predictions = read_tests(tmp_path / model / "asked", variant, same, models=10)
        np.testing.assert_array_equal(predictions, read_pool(tmp_path / model / "asked", variant).predictions)


def test_what_was_not_asked(source: Source, variant: Variant, tmp_path: Path) -> None:
    """A pool that was not asked says how to ask; a damaged answer is made again; another test set is refused."""
    fit_subsets(source, variant, NEAREST, tmp_path, models=10, machine=ONE)
    with pytest.raises(BadData, match=f"not asked about the test set.*delete {tmp_path} to train them again"):
        fit_subsets(source, variant, NEAREST, tmp_path, models=10, ask_test=True, machine=ONE)
    with pytest.raises(BadData, match="not asked about the test set"):
        influence_pairs(tmp_path, source, variant)
    (tmp_path / "block-0000-of-10.npz").unlink()
    assert fit_subsets(source, variant, NEAREST, tmp_path, models=10, ask_test=True, machine=ONE).trained == 10
    tested = tmp_path / "tested-0000-of-10.npz"
    whole = tested.read_bytes()
    tested.write_bytes(whole[:100])
    with pytest.raises(BadData, match="cannot be read as predictions of a test set"):
        influence_pairs(tmp_path, source, variant)
    assert not mend_tested(tmp_path / "block-0000-of-10.npz", variant)
    assert not list(tmp_path.glob("*.npz"))  # killed here, a call would go on
    assert fit_subsets(source, variant, NEAREST, tmp_path, models=10, ask_test=True, machine=ONE).trained == 10
    assert tested.read_bytes() == whole
    assert fit_subsets(source, variant, NEAREST, tmp_path, models=10, ask_test=True, machine=ONE).trained == 0
    other = replace(source, test_labels=(np.arange(20) + 1) % 3)
    with pytest.raises(Mismatch, match="is of the test set"):
        influence_pairs(tmp_path, other, variant)
    with pytest.raises(BadUsage, match="needs a test set, and source 'cloud' has none"):
        influence_pairs(tmp_path, untested(source), variant)
    with pytest.raises(BadUsage, match="'least' must be|least must be"):
        influence_pairs(tmp_path, source, variant, least=0)
    fit_subsets(source, variant, NEAREST, tmp_path / "b", models=10, seed=1, ask_test=True, machine=ONE)
    tested.write_bytes((tmp_path / "b" / tested.name).read_bytes())
    with pytest.raises(BadData, match="is not of the models of block-0000-of-10.npz"):
        influence_pairs(tmp_path, source, variant)
    plan, features = plan_closed_form(source)
    with pytest.raises(BadUsage, match="closed form are not asked about a test set"):
        memorize(source, variant, plan, tmp_path / "c", features=features, ask_test=True)


def test_forecast(source: Source, variant: Variant, tmp_path: Path) -> None:
    """What is asked of test samples is counted; what the measurement would refuse, its forecast refuses."""
    plain, told = (
        forecast_memorization(source, variant, NEAREST, tmp_path, models=10, ask_test=asked, machine=ONE)
        for asked in (False, True)
    )
    assert told.disk_bytes == plain.disk_bytes + 10 * 20
    assert told.estimate_bytes > plain.estimate_bytes
    with pytest.raises(BadUsage, match="only models that are trained or fitted to measure memorization"):
        forecast_memorization(source, variant, NEAREST, tmp_path, purpose="detector", ask_test=True, machine=ONE)
    with pytest.raises(BadUsage, match="needs a test set"):
        forecast_memorization(untested(source), variant, NEAREST, tmp_path, ask_test=True, machine=ONE)
    memorize(source, variant, NEAREST, tmp_path, models=10, machine=ONE)
    with pytest.raises(BadData, match="not asked about the test set"):
        forecast_memorization(source, variant, NEAREST, tmp_path, models=10, ask_test=True, machine=ONE)


def test_files(source: Source, variant: Variant, measured: Path, tmp_path: Path) -> None:
    """Every format holds the same pairs, with names and labels of both samples; a sheet is of images."""
    pairs = influence_pairs(measured, source, variant, most=6)
    records = pair_records(pairs, source, variant)
    first = next(record for record in records if (record["train"], record["test"]) == (WRONG, 0))
    assert (first["name"], first["given"], first["clean"], first["label"]) == ("image 5.png", "2", "0", "0")
    for ending in ("csv", "json", "md", "parquet"):
        write_pairs(pairs, source, variant, tmp_path / f"pairs.{ending}")
    told = json.loads((tmp_path / "pairs.json").read_text())
    assert (told["pairs"], told["compared"], told["models"]) == (records, pairs.compared, 60)
    lines = (tmp_path / "pairs.csv").read_text().splitlines()
    assert (len(lines), lines[0].split(",")) == (len(records) + 1, list(records[0]))
    assert f"{pairs.helps} pairs help" in (tmp_path / "pairs.md").read_text()
    draw_pairs(pairs, source, variant, tmp_path / "sheet.svg")
    svg = (tmp_path / "sheet.svg").read_text()
    assert "5: 2" in svg
    assert "(wrong, is 0)" in svg
    rows = source_from_arrays("rows", np.zeros((3, 2)), [0, 1, 0])
    with pytest.raises(BadUsage, match="a contact sheet is of images"):
        draw_pairs(pairs, rows, variant, tmp_path / "sheet.png")
    with pytest.raises(BadUsage, match=r"end it in \.csv, \.json, \.md, \.parquet"):
        write_pairs(pairs, source, variant, tmp_path / "pairs.xlsx")


def test_from_the_shell(source: Source, tmp_path: Path) -> None:
    """Pairs are refused of detectors, closed form and files of no known kind before anything is read."""
    write_variant(build_variant(source, AsFound(), seed=0), tmp_path / "v")
    for options, words in (
        (["--pool", "detector"], "leave --pool detector out"),
        (["--model", "ridge"], "got --model ridge"),
        (["--sheet", "x.xls"], "x.xls is no .png, .svg, .pdf file"),
    ):
        told = shell("memorize", tmp_path / "v", "--pairs", tmp_path / "p.csv", *options)
        assert (told.code, words in told.err) == (2, True)
