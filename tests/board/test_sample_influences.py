"""What samples do to the rows of a table, against loops over the scores of run folders, and how the table tells it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from noisybench.board import sample_influences
from noisybench.board.captions import caption
from noisybench.board.leaderboard import leaderboard
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.detection.scoring import Scores, read_scores, scores_path, write_scores
from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.errors import BadUsage
from noisybench.ground.files import write_columns
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.folder import finish, keep_variant
from noisybench.runs.record import Regime, RunRecord, about_labels
from noisybench.statistics.crossed import SampleParts
from noisybench.statistics.moderation import moderated_rank_sets
from noisybench.statistics.sample_clusters import in_whole_clusters
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant

NAMES = ("aum", "forgetting", "final_loss")
LIFTS = (1.0, 1.1, 2.5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of each test's own."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))


def write_runs(
    folder: Path,
    *,
    draws: Sequence[int] = (0,),
    seeds: int = 3,
    regime: Regime = "training",
    source: Source | None = None,
) -> Path:
    """Runs of three detectors whose scores share what a sample is like, and what copies of it are."""
    source = source or load_source("digits", limit=200)
    rng, n = np.random.default_rng(0), len(source.labels)
    alike = rng.normal(size=n)[source.marks["unit"] if "unit" in source.marks else np.arange(n)]
    for draw in draws:
        variant = build_variant(source, Symmetric(0.2), seed=draw)
        keep_variant(variant, folder / variant.name / "variant")
        for seed in range(seeds):
            home = folder / variant.name / f"{regime}-standard-00000000" / f"seed-{seed}"
            for name, lift in zip(NAMES, LIFTS, strict=True):
                values = np.round(alike + lift * variant.mislabeled + 0.3 * rng.normal(size=n), 1)
                write_scores(Scores(name, values, variant.provenance.variant_id), scores_path(home, name))
            write_columns({"epoch": np.array([3])}, home / "history.parquet")
            record = RunRecord(
                regime=regime, features="input", **about_labels(variant), model="mlp", recipe="standard",
                setup="0" * 64, trained="0" * 6, epochs=3, observe="after", seed=seed, detectors={},
            )  # fmt: skip
            finish(home, record, {name: name for name in NAMES}, dict.fromkeys(NAMES, "detector"))
    return folder


def placements(values: Floats, wrong: Bools) -> tuple[float, Floats]:
    """AUROC and influences by a loop over pairs of a wrong and a right label."""
    above = (values[wrong][:, None] > values[~wrong]) + 0.5 * (values[wrong][:, None] == values[~wrong])
    influence = np.zeros(len(values))
    for kind, share in ((wrong, above.mean(1)), (~wrong, above.mean(0))):
        influence[kind] = (share - share.mean()) / np.sqrt(len(share) * (len(share) - 1))
    return float(above.mean()), influence


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[SampleParts]:
    """The parts that are computed, in order; those of the league are of its three rows."""
    found: list[SampleParts] = []
    compute = sample_influences._computed

    def noted(*given: Any) -> SampleParts:  # noqa: ANN401 - as they are
        found.append(compute(*given))
        return found[-1]

    monkeypatch.setattr(sample_influences, "_computed", noted)
    return found


def read_all(folder: Path) -> list[tuple[Variant, list[Path]]]:
    """Each variant with its run folders."""
    homes = sorted(folder.iterdir())
    return [(read_variant(home / "variant"), sorted(home.glob("*-standard-*/seed-*"))) for home in homes]


def test_one_label_column_is_delong_of_averages_and_seeds(tmp_path: Path, computed: list[SampleParts]) -> None:
    """The interval follows from placements averaged over seeds and from the spread of seeds; it says what it covers."""
    board = leaderboard(write_runs(tmp_path / "runs"))
    ((variant, runs),) = read_all(tmp_path / "runs")
    for row in board:
        if row.kind == "detector":
            found = [placements(read_scores(scores_path(run, row.detector)).values, variant.mislabeled) for run in runs]
            values = np.array([value for value, _ in found])
            samples = (np.mean([influence for _, influence in found], axis=0) ** 2).sum()
            total = samples + values.var(ddof=1) / 3
            assert row.mean == pytest.approx(values.mean())
            league = next(parts for parts in computed if parts.measured.shape == (3, 3))
            assert np.abs(np.diagonal(league.measured) / samples - 1).min() < 1e-5
            assert row.high - row.low >= 2 * 1.96 * total**0.5 * 0.999
            assert row.interval == "samples, seeds"
    assert "cover other samples and training seeds, not another noise draw" in caption(board.rows)
    assert "cannot be told here (80 % power" in caption(board.rows)
    hopeless = [replace(row, floor=np.nan if row.rank is None else 9.5) for row in board]
    assert "even the largest differences cannot be told here" in caption(hopeless)


def test_draws_of_the_same_samples_share_what_samples_do(tmp_path: Path, computed: list[SampleParts]) -> None:
    """Of two draws the products of different ones count, by the formula in a loop, and the caption says so."""
    folder = write_runs(tmp_path / "runs", draws=(0, 1), seeds=2)
    board = leaderboard(folder)
    row = next(row for row in board if row.detector == "aum")
    assert row.interval == "samples, draws"
    assert "95 % intervals cover other samples, noise draws and training seeds" in caption(board.rows)
    means, averaged = [], []
    for variant, runs in read_all(folder):
        found = [placements(read_scores(scores_path(run, "aum")).values, variant.mislabeled) for run in runs]
        means.append(np.mean([value for value, _ in found]))
        averaged.append(np.mean([influence for _, influence in found], axis=0))
    between, common = np.var(means, ddof=1) / 2, float(averaged[0] @ averaged[1])
    league = next(parts for parts in computed if parts.measured.shape == (3, 3))
    assert np.abs(np.diagonal(league.measured - league.elsewhere) - common).min() < 1e-9
    areas = []
    for name in NAMES:
        of_draws = [
            [placements(read_scores(scores_path(run, name)).values, variant.mislabeled)[0] for run in runs]
            for variant, runs in read_all(folder)
        ]
        areas.append(np.mean(of_draws, axis=1))
    moderated = leaderboard(folder, moderated=True)
    found_ranks = {one.detector: (one.rank, one.rank_low, one.rank_high) for one in moderated if one.rank is not None}
    assert [found_ranks[name] for name in NAMES] == moderated_rank_sets(np.array(areas))
    assert "by moderated t over draws or seeds, other samples left out" in moderated.caption
    assert all(record["moderated"] for record in moderated.to_records() if record["rank"] is not None)
    assert "behind a rank its 95 % confidence set." in board.caption
    with pytest.raises(BadUsage, match="not of 'average_precision'; leave one of the two out"):
        leaderboard(folder, moderated=True, metric="average_precision")
    with pytest.raises(BadUsage, match="not of parts of a table; leave one of the two out"):
        leaderboard(folder, moderated=True, by="rate")
    gross = ((averaged[0] + averaged[1]) ** 2).sum() / 2
    total = between + max(common, 0)
    freedom = total**2 / (between**2 + gross**2 / 39)
    assert row.high - row.low >= 2 * t.ppf(0.975, freedom) * total**0.5 * 0.99 or row.high == 1


def test_a_table_that_was_made_reads_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second table has the same rows without an influence computed; a changed score is noticed."""
    folder = write_runs(tmp_path / "runs")
    first = leaderboard(folder)
    with monkeypatch.context() as patch:
        patch.setattr(sample_influences, "influence_of", lambda *_: pytest.fail("computed again"))
        assert leaderboard(folder).to_records() == first.to_records()
    ((variant, runs),) = read_all(folder)
    scores = read_scores(scores_path(runs[0], "aum"))
    write_scores(replace(scores, values=scores.values + 3.0 * variant.mislabeled), scores_path(runs[0], "aum"))
    again = {row.detector: row for row in leaderboard(folder)}
    assert again["aum"].floor != next(row.floor for row in first if row.detector == "aum")


@pytest.mark.parametrize(
    "metric", ["average_precision", "false_negative_rate", "auroc_within_class", "precision_at_10"]
)
def test_other_metrics_cover_samples_too(metric: str, tmp_path: Path) -> None:
    """Every metric against wrong labels has an interval within its bounds that covers samples."""
    for row in leaderboard(write_runs(tmp_path / "runs", seeds=2), metric=metric):
        if row.kind == "detector":
            assert row.interval == "samples, seeds"
            assert 0 <= row.low <= row.mean <= row.high <= 1
            assert row.high > row.low


@pytest.mark.parametrize(("regime", "words"), [("training", "draw or training seed"), ("features", "noise draw;")])
def test_a_single_run_covers_samples_and_says_no_more(regime: Regime, words: str, tmp_path: Path) -> None:
    """One training has an interval that leaves out its seed, and says so; a row without a training has no seed to cover."""
    board = leaderboard(write_runs(tmp_path / "runs", seeds=1, regime=regime))
    best, *_ = [row for row in board if row.kind == "detector"]
    assert (best.detector, best.interval, best.surely_worse, best.equivalent) == ("final_loss", "samples", False, None)
    assert [row.surely_worse for row in board if row.kind == "detector"][1:] == [True, True]
    assert words in caption(board.rows)
    exact = {row.detector: (row.low, row.mean, row.high) for row in board if row.kind == "reference"}
    assert exact["perfect"] == pytest.approx((1, 1, 1), abs=0)
    assert exact["flag_nothing"] == pytest.approx((0.5, 0.5, 0.5), abs=0)
    assert exact["random"][0] < exact["random"][1] < exact["random"][2]
    with pytest.raises(BadUsage, match="several noise draws, or several training seeds"):
        leaderboard(tmp_path / "runs", moderated=True)


def test_clusters_of_wrong_labels_count_as_one(tmp_path: Path) -> None:
    """Where whole clusters are wrong, the wrong labels' part is the variance of means of cells of two classes, by a loop."""
    source = load_source("digits", limit=400)
    variant = build_variant(source, Symmetric(0.2))
    variant = replace(variant, provenance=replace(variant.provenance, noise="coherent", params={"rate": 0.2}))
    rng = np.random.default_rng(0)
    values = rng.normal(size=400) + variant.mislabeled
    wrong = variant.mislabeled
    cells = sample_influences.clusters_of(variant, wrong)
    assert cells is not None
    pairs = list(zip(variant.clean[wrong].tolist(), variant.labels[wrong].tolist(), strict=True))
    assert len(set(zip(cells.tolist(), pairs, strict=True))) == len(set(pairs)) == cells.max() + 1
    _, influence = placements(values, wrong)
    found, (count, right) = in_whole_clusters(influence, wrong, cells, 320.0)
    assert right == 320.0
    np.testing.assert_array_equal(found[~wrong], influence[~wrong])
    sums = [influence[wrong][cells == cell].sum() for cell in range(cells.max() + 1)]
    sizes = np.bincount(cells)
    assert count == pytest.approx(sizes.sum() ** 2 / (sizes**2).sum())
    scale = count / (count - 1) * (wrong.sum() - 1) / wrong.sum()
    assert (found[wrong] ** 2).sum() == pytest.approx(scale * np.square(sums).sum())
    assert sample_influences.clusters_of(build_variant(source, Symmetric(0.2)), wrong) is None


def test_copies_count_as_one(tmp_path: Path, computed: list[SampleParts]) -> None:
    """What copies do is added up before it is squared, by a loop, and the caption says so; members of a class are no copies."""
    spectrum = "frequency_spectrum(frequencies=1,4,8, units=8, others=0)"
    copied = load_source("altered", base="digits", steps=spectrum)
    board = leaderboard(write_runs(tmp_path / "runs", source=copied))
    assert "Copies of one sample count as one in intervals and ranks." in board.caption
    ((variant, runs),) = read_all(tmp_path / "runs")
    of_seeds = [placements(read_scores(scores_path(run, "aum")).values, variant.mislabeled)[1] for run in runs]
    influence, units = np.mean(of_seeds, axis=0), variant.marks["unit"].tolist()
    groups = [[i for i, unit in enumerate(units) if unit == one] for one in range(24)]
    count = len(units) ** 2 / sum(len(group) ** 2 for group in groups)
    scale = count / (count - 1) * (len(units) - 1) / len(units)
    league = next(parts for parts in computed if parts.measured.shape == (3, 3))
    together = scale * sum(influence[group].sum() ** 2 for group in groups)
    assert np.abs(np.diagonal(league.measured) / together - 1).min() < 1e-5
    assert abs(together / (influence**2).sum() - 1) > 0.02
    assert league.wrong.tolist() == [variant.mislabeled.sum()]
    assert league.freedom == pytest.approx(min(count, variant.mislabeled.sum()) - 1)
    fine = load_source("altered", base="digits", steps="frequency_spectrum(how=fine, coarse=2, frequencies=20)")
    assert "Copies of one" not in leaderboard(write_runs(tmp_path / "fine", seeds=1, source=fine)).caption


def test_equal_clusters_give_the_variance_of_their_means() -> None:
    """Of clusters of one size the sum of squares is the variance of a mean of cluster means, as if each were one sample."""
    placed = np.random.default_rng(0).normal(size=40)
    influence = (placed - placed.mean()) / np.sqrt(40 * 39)
    found, (count, _) = in_whole_clusters(influence, np.ones(40, dtype=bool), np.arange(40) // 5, 9.0)
    assert count == 8
    assert (found**2).sum() == pytest.approx(placed.reshape(8, 5).mean(1).var(ddof=1) / 8)
