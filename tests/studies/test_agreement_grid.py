"""The agreement grid: every cell against a loop over samples and epochs from the logits that the traces came from."""

import csv
import io
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from noisybench.cli.app import app
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import Scores, scores_path, write_scores
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, Mismatch, UnknownName
from noisybench.ground.files import write_columns, write_json
from noisybench.memorization.learner import Learner
from noisybench.noise.noises.as_found import AsFound
from noisybench.runs.record import RunRecord, about_labels
from noisybench.studies.agreement_grid import CELLS, SHOWN, AgreementGrid, GridRow, agreement_grid
from noisybench.training.recorder import Recorder
from noisybench.training.trace import Observation, epoch_path, write_observation
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

N, K, EPOCHS = 60, 4, 5
PROBES = ["correct", "loss", "margin", "mean_probabilities", "prediction"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))


def made(known: int = N) -> Variant:
    """A quarter of the labels are wrong; of the samples from ``known`` on nobody knows the truth."""
    rng = np.random.default_rng(0)
    given = np.arange(N) % K
    clean = np.where(rng.random(N) < 0.25, (given + 1) % K, given)
    clean[known:] = UNKNOWN
    source = source_from_arrays(
        "made", np.zeros((N, 1), dtype=np.float32), given, clean=clean, class_names=list("abcd")
    )
    return build_variant(source, AsFound())


def logits_of(variant: Variant, seed: int) -> list[torch.Tensor]:
    """Logits of each epoch, which lean to the true class."""
    generator = torch.Generator().manual_seed(seed)
    lean = torch.nn.functional.one_hot(torch.tensor(np.where(variant.clean < 0, 0, variant.clean)), K)
    return [2 * torch.randn(N, K, generator=generator) + epoch * lean for epoch in range(EPOCHS)]


def write_record(folder: Path, variant: Variant, **about: Any) -> None:  # noqa: ANN401
    """A finished run with scores that no test looks at."""
    told: dict[str, Any] = {
        "regime": "training",
        "features": "input",
        "model": "mlp",
        "recipe": "standard",
        "setup": "digest",
    }
    told |= {"trained": "abc123", "epochs": EPOCHS, "observe": "after", "seed": 0, "detectors": {"aum": "aum"}, **about}
    write_json(RunRecord(**about_labels(variant), **told).as_json(), folder / "run.json")
    write_scores(Scores("aum", np.arange(N, dtype=float), variant.provenance.variant_id), scores_path(folder, "aum"))
    write_columns({"epoch": np.array([EPOCHS]), "test_accuracy": np.array([0.9])}, folder / "history.parquet")


def write_training(home: Path, variant: Variant, seed: int, probes: list[str] = PROBES) -> Path:
    folder = home / "mlp-standard" / f"seed-{seed}"
    recorder = Recorder(variant, probes, folder=folder / "trace", epochs=EPOCHS)
    for epoch, logits in enumerate(logits_of(variant, seed), start=1):
        recorder.observe(nn.Identity(), logits, epoch=epoch)
    write_record(folder, variant, seed=seed)
    return folder


def write_pool(home: Path, variant: Variant) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A detector pool; mean probabilities and votes, shape (n, k) each."""
    each = np.stack([logits.double().softmax(1).numpy() for logits in logits_of(variant, 9)])
    means, votes = each.mean(0), np.eye(K)[each.argmax(2)].mean(0)
    values = {"given": variant.labels, "held_out.probabilities": means, "held_out.votes": votes}
    values |= {"prediction": votes.argmax(1)}
    folder = home / "mlp-overfit-pool" / "seed-0"
    seen = Observation(EPOCHS, {name: column.astype(np.float32) for name, column in values.items()})
    write_observation(seen, folder / "trace", variant_id=variant.provenance.variant_id)
    write_record(folder, variant, regime="pool", recipe="overfit", setup="of the pool", fractions=[0.7], models=EPOCHS)
    return means, votes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A variant with trainings of two seeds."""
    variant, home = made(), tmp_path / "runs" / "made"
    write_variant(variant, home / "variant")
    for seed in (0, 1):
        write_training(home, variant, seed)
    return home


def agreements(p: list[float], y: int) -> dict[str, float]:
    """Each agreement of one answer and a label, by its definition."""
    other = max(value for k, value in enumerate(p) if k != y)
    return {
        "0/1": float(p.index(max(p)) == y),
        "probability": p[y],
        "probability margin": p[y] - other,
        "log margin": math.log(p[y]) - math.log(other),
        "cross-entropy": math.log(p[y]),
    }


def by_loop(probabilities: NDArray[np.float64], labels: list[int]) -> dict[tuple[str, str], list[float]]:
    """Suspicion of each sample by each cell, from (e, n, k)."""
    found: dict[tuple[str, str], list[float]] = {cell: [] for cell in CELLS}
    for sample, y in enumerate(labels):
        each = [agreements(probabilities[epoch, sample].tolist(), y) for epoch in range(len(probabilities))]
        mean = agreements(probabilities[:, sample].mean(0).tolist(), y)
        for name in mean:
            found["mean of agreements", name].append(-statistics.fmean(seen[name] for seen in each))
            found["agreement of the mean", name].append(-mean[name])
            found["last", name].append(-each[-1][name])
    return found


def missed(suspicion: list[float], wrong: list[bool]) -> float:
    """False-negative rate where as many are flagged as are wrong; ties at their expectation."""
    cut = sorted(suspicion, reverse=True)[sum(wrong) - 1]
    above = [bad for value, bad in zip(suspicion, wrong, strict=True) if value > cut + 1e-9]
    at = [bad for value, bad in zip(suspicion, wrong, strict=True) if abs(value - cut) <= 1e-9]
    hits = sum(above) + (sum(wrong) - len(above)) * sum(at) / len(at)
    return 1 - hits / sum(wrong)


@pytest.mark.parametrize("known", [N, 40])
def test_every_cell_equals_a_loop(tmp_path: Path, known: int) -> None:
    """In-sample, over two seeds and the samples whose truth is known: AUROC by scikit-learn, misses by counting."""
    variant, home = made(known), tmp_path / "made"
    write_variant(variant, home / "variant")
    expected: dict[tuple[str, str], list[tuple[float, float]]] = {cell: [] for cell in CELLS}
    for seed in (0, 1):
        write_training(home, variant, seed)
        each = np.stack([logits.double().softmax(1).numpy() for logits in logits_of(variant, seed)])
        wrong = variant.mislabeled[:known].tolist()
        for cell, values in by_loop(each, variant.labels.tolist()).items():
            seen = values[:known]
            expected[cell].append((roc_auc_score(wrong, np.round(seen, 9)), missed(seen, wrong)))
    grid = agreement_grid(home)
    assert [(row.aggregation, row.agreement) for row in grid] == list(CELLS)
    for row in grid:
        areas, misses = zip(*expected[row.aggregation, row.agreement], strict=True)
        assert row.auroc == pytest.approx(statistics.fmean(areas), abs=2e-3)
        assert row.false_negative_rate == pytest.approx(statistics.fmean(misses), abs=1e-6)
        assert (row.asked, row.runs, row.seeds, row.interval, row.reason) == ("in-sample", 2, 2, "seeds", "")
        assert row.auroc_low <= row.auroc <= row.auroc_high


def test_a_pool_fills_what_it_can(home: Path) -> None:
    """Held-out cells of the mean of its models; the others say why they are empty, and stand as – in the table."""
    variant = made()
    means, votes = write_pool(home, variant)
    grid = agreement_grid(home)
    assert [row.asked for row in grid] == ["in-sample"] * 15 + ["held-out"] * 15
    found = {(row.aggregation, row.agreement): row for row in grid if row.asked == "held-out"}
    assert {cell for cell, row in found.items() if not row.reason} == {
        *(cell for cell in CELLS if cell[0] == "agreement of the mean"),
        ("mean of agreements", "0/1"),
        ("mean of agreements", "probability"),
    }
    suspicion = by_loop(means[None], variant.labels.tolist())
    for name in ("probability", "probability margin", "log margin", "cross-entropy", "0/1"):
        expected = roc_auc_score(variant.mislabeled, suspicion["last", name])
        assert found["agreement of the mean", name].auroc == pytest.approx(expected, abs=2e-3)
    voted = votes[np.arange(N), variant.labels]
    expected = roc_auc_score(variant.mislabeled, -voted)
    assert found["mean of agreements", "0/1"].auroc == pytest.approx(expected, abs=1e-9)
    assert math.isnan(found["last", "probability"].auroc)
    assert found["mean of agreements", "log margin"].reason.startswith("a pool keeps the mean")
    assert "models of a pool are asked once, after their last epoch (5 cells)" in grid.caption
    assert "Not all were trained alike" in grid.caption
    assert grid.lines()[-1][5:] == ("–", "–", "0")


def test_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    """Of runs of an earlier version, or with few detectors, the other cells are there."""
    variant, home = made(), tmp_path / "made"
    write_variant(variant, home / "variant")
    write_training(home, variant, 0, PROBES[:3])
    grid = agreement_grid(home)
    assert {row.aggregation for row in grid if row.reason} == {"agreement of the mean"}
    assert "has no 'mean_probabilities', which 'evaluate --detectors mean_probability_margin' observes" in grid.caption
    assert "No held-out answers: none of the runs left any" in grid.caption
    write_training(home, variant, 1, ["mean_probabilities"])
    grid = agreement_grid(home)
    assert all(row.runs == 1 for row in grid)
    assert not any(row.reason for row in grid)


def test_runs_without_truth_are_left_out(home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a line each, and one sentence where there is none with it."""
    blind, other = made(0), tmp_path / "runs" / "blind"
    write_variant(blind, other / "variant")
    write_training(other, blind, 0)
    assert len(agreement_grid(tmp_path / "runs")) == 15
    assert "its labels have no truth that tells wrong from right ones" in caplog.text
    with pytest.raises(
        BadData, match=r"labels whose truth is known; the grid needs a variant whose wrong labels are known"
    ):
        agreement_grid(other)
    with pytest.raises(BadData, match="is no folder"):
        agreement_grid(tmp_path / "nowhere")


def test_a_trace_of_other_labels_is_refused(home: Path) -> None:
    """It would be held against the wrong truth."""
    folder = home / "mlp-standard" / "seed-0" / "trace"
    for epoch in range(1, EPOCHS + 1):
        epoch_path(folder, epoch).unlink()
    Recorder(np.roll(made().labels, 1), PROBES, folder=folder, num_classes=K).observe(
        nn.Identity(), logits_of(made(), 0)[0], epoch=1
    )
    with pytest.raises(Mismatch, match="is of other labels than the variant beside it; evaluate again"):
        agreement_grid(home)


def test_every_form_holds_every_cell(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Table, Markdown, CSV and JSON, from the command as from Python."""
    grid = agreement_grid(home)
    records = json.loads(grid.to_json())
    assert records == grid.to_records()
    assert [row["agreement"] for row in csv.DictReader(io.StringIO(grid.to_csv()))] == [row.agreement for row in grid]
    assert grid.to_markdown().count("\n|") == 16 + 1
    assert repr(grid) == "<AgreementGrid: 15 cells>"
    assert (len(grid), grid[0]) == (15, grid.rows[0])
    for how, expected in (
        (["--json"], grid.to_json()),
        (["--format", "json"], grid.to_json()),
        (["--format", "csv"], grid.to_csv()),
        (["--format", "md"], grid.to_markdown()),
    ):
        app(["study", "agreement-grid", str(home), *how], standalone_mode=False)
        assert capsys.readouterr().out.rstrip("\n") == expected.rstrip("\n")
    app(["study", "agreement-grid", str(home)], standalone_mode=False)
    out = capsys.readouterr().out
    assert out.count("in-sample") >= 15
    assert "FNR: share of the wrong labels that are missed" in " ".join(out.split())
    with pytest.raises(UnknownName, match="no format is called 'pdf'"):
        app(["study", "agreement-grid", str(home), "--format", "pdf"], standalone_mode=False)


def test_an_empty_value_is_null() -> None:
    """NaN is None in records, empty in CSV and a dash for people."""
    row = replace(agreement_row(), auroc=math.nan, reason="none")
    grid = AgreementGrid((row,))
    assert grid.to_records()[0]["auroc"] is None
    assert grid.lines()[0][5] == "–"


def test_rows_of_other_options_are_told_apart() -> None:
    """A recipe has the digest of its setup where another one of the same name stands in the table."""
    row = agreement_row()
    grid = AgreementGrid(
        (row, replace(row, setup="0123456789"), replace(row, learner=Learner("cnn", "standard", 5, "d")))
    )
    assert [line[1] for line in grid.lines()] == ["standard, digest", "standard, 01234567", "standard"]


def agreement_row() -> GridRow:
    """A cell of one run."""
    numbers: dict[str, Any] = dict.fromkeys(
        (f"{metric}{end}" for metric in SHOWN for end in ("", "_low", "_high")), 0.5
    )
    numbers |= dict.fromkeys(("seeds", "variants", "families", "runs"), 1)
    words: dict[str, Any] = {"asked": "in-sample", "aggregation": "last", "agreement": "0/1", "interval": "none"}
    return GridRow(learner=Learner("mlp", "standard", 5, "abc"), setup="digest", reason="", **words, **numbers)
