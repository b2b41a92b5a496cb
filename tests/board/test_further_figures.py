"""Further figures of a row, against loops over the scores, scikit-learn's AUROC and what ``suspects`` flags."""

import json
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from shell import shell
from sklearn.metrics import roc_auc_score

from noisybench.board.detector_table import Row
from noisybench.board.finding import find_suspects
from noisybench.board.further_figures import FEWEST_OF_A_CLASS
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.detection.scoring import read_scores, scores_path
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two draws of noise and a clean set, two seeds each."""
    folder, source = tmp_path_factory.mktemp("runs"), load_source("digits", limit=200)
    variants = [build_variant(source, Symmetric(0.4), seed=0), build_variant(source, Symmetric(0.4), seed=1)]
    variants.append(build_variant(source, AsFound()))
    for variant in variants:
        evaluate(variant, source, epochs=2, seeds=(0, 1), detectors=["aum", "entropy"], out=folder)
    return folder


@pytest.fixture(scope="module")
def rows(out: Path) -> dict[str, Row]:
    return {row.detector: row for row in leaderboard(out, more=True)}


def homes(out: Path) -> dict[Path, Variant]:
    return {home: read_variant(home / "variant") for home in sorted(out.iterdir())}


def values(home: Path, detector: str) -> list[np.ndarray]:
    return [read_scores(scores_path(run, detector)).values for run in sorted(home.glob("mlp-*/seed-*"))]


@pytest.mark.parametrize("detector", ["aum", "entropy"])
def test_the_worst_class_is_that_of_a_loop(out: Path, rows: dict[str, Row], detector: str) -> None:
    """scikit-learn's AUROC over the samples of each given class, mean over seeds and draws, of classes that are large."""
    by_class: dict[int, list[float]] = {}
    for home, variant in homes(out).items():
        for label in range(10):
            of = variant.labels == label
            wrong = variant.mislabeled[of]
            if min(wrong.sum(), (~wrong).sum()) >= FEWEST_OF_A_CLASS:
                areas = [float(roc_auc_score(wrong, found[of])) for found in values(home, detector)]
                by_class.setdefault(label, []).append(float(np.mean(areas)))
    means = {label: np.mean(found) for label, found in by_class.items()}
    worst = min(means, key=lambda label: means[label])
    assert len(means) > 5
    assert rows[detector].worst_class == str(worst)
    assert rows[detector].worst_class_value == pytest.approx(means[worst], abs=1e-12)


def overlap(several: Sequence[np.ndarray], count: int) -> float:
    """Mean Jaccard index over all pairs."""
    tops = [set(np.argsort(-one, kind="stable")[:count]) for one in several]
    return float(np.mean([len(a & b) / len(a | b) for a, b in combinations(tops, 2)]))


def test_the_overlap_of_the_top_is_that_of_sets(out: Path, rows: dict[str, Row]) -> None:
    """Over the draws that have wrong labels, as many samples as these; references have none."""
    found = [
        overlap(values(home, "aum"), int(v.mislabeled.sum())) for home, v in homes(out).items() if v.mislabeled.any()
    ]
    assert len(found) == 2
    assert rows["aum"].top_overlap == pytest.approx(np.mean(found), abs=1e-12)
    assert math.isnan(rows["random"].top_overlap)


def test_false_flags_are_what_suspects_flags_on_the_clean_set(out: Path, rows: dict[str, Row]) -> None:
    """In each of its runs, mean over seeds; where all sets are clean the top is as many samples as are flagged."""
    ((home, variant),) = [(home, one) for home, one in homes(out).items() if not one.mislabeled.any()]
    assert variant.known.all()
    flags = [find_suspects(run, detector="aum").flagged for run in sorted(home.glob("mlp-*/seed-*"))]
    assert rows["aum"].false_flags == pytest.approx(np.mean([one.mean() for one in flags if one is not None]))
    assert rows["aum"].false_flags > 0
    alone = {row.detector: row for row in leaderboard(home, more=True)}
    count = round(np.mean([one.sum() for one in flags if one is not None]))
    assert alone["aum"].top_overlap == pytest.approx(overlap(values(home, "aum"), count))
    assert alone["aum"].worst_class == ""


def test_they_are_computed_where_they_are_asked_for_and_kept(
    out: Path, rows: dict[str, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table without them has none, and no column for them; a second one with them computes nothing."""
    plain = leaderboard(out)
    assert all(row.worst_class == "" and math.isnan(row.top_overlap + row.false_flags) for row in plain)
    assert "worst class" not in plain.to_markdown()

    def never(*_: object) -> None:
        pytest.fail("computed again")

    monkeypatch.setattr("noisybench.board.further_figures.own_flags", never)
    monkeypatch.setattr("noisybench.board.further_figures.top_overlap", never)
    again = leaderboard(out, more=True)
    assert {row.detector: row.top_overlap for row in again}["aum"] == rows["aum"].top_overlap
    shown = again.to_markdown()
    for words in (
        "| worst class |",
        "| same top between seeds |",
        "| flagged of a clean set |",
        "Worst class: the given",
    ):
        assert words in shown
    told = json.loads(shell("leaderboard", out, "--more", "--format", "json").out)
    found = next(row for row in told if row["detector"] == "aum")
    for name in ("worst_class", "worst_class_value", "top_overlap", "false_flags"):
        assert found[name] == getattr(rows["aum"], name)
    assert "takes no --more" in shell("leaderboard", out, "--more", "--models").err
