"""The data of the leaderboard's page against the board and against loops over samples, and what stands in its file."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import make_runs, source_of
from scipy.stats import rankdata, spearmanr
from shell import shell
from sklearn.metrics import roc_auc_score

from noisybench.board.leaderboard import leaderboard
from noisybench.board.page_data import page_data
from noisybench.board.page_details import BINS, CELLS
from noisybench.detection.scoring import read_scores, scores_path
from noisybench.ground.errors import UnknownName
from noisybench.memorization.estimate import read_memorization
from noisybench.runs.folder import read_run_record
from noisybench.variants.variant import Variant, read_variant

STRANGE = "</script><img src=x onerror=alert(1)>"
SKILLS = {"aum": 2.0, "learning_time": 0.7, "entropy": 0.2, STRANGE: 1.0}
N = 90


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 runs: two noises at three settings, with two draws and two recipes; a detector of a strange name."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOISYBENCH_CACHE", str(folder / "cache"))
        make_runs(folder / "runs", source_of(N, name=f"made {STRANGE}"), skills=SKILLS, seeds=1)
    return folder / "runs"


@pytest.fixture(scope="module")
def data(runs: Path) -> dict[str, Any]:
    """As a page reads it: through JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOISYBENCH_CACHE", str(runs.parent / "cache"))
        return dict(json.loads(json.dumps(page_data(runs), allow_nan=False)))


def lengths(columns: dict[str, list[Any]]) -> int:
    """The one length of columns."""
    found = {len(values) for values in columns.values()}
    assert len(found) == 1
    return found.pop()


def test_the_first_table_is_the_leaderboard(runs: Path, data: dict[str, Any]) -> None:
    """Each truth's rows are those of ``leaderboard``, in its order and rounded; columns are of one length."""
    assert [view["key"] for view in data["views"]] == [
        "mislabeled-auroc",
        "memorization-spearman",
        "mislabeled-suggestion_accuracy",
    ]
    for view in data["views"][:2]:
        rows = view["tables"][0]["rows"]
        board = [
            row for row in leaderboard(runs, truth=view["truth"]) if row.kind != "reference" or row.mean == row.mean
        ]
        assert lengths(rows) == len(board)
        for at, row in enumerate(board):
            entry = rows["entry"][at]
            assert data["entries"]["detector"][entry] == row.detector
            assert (rows["rank"][at], rows["seeds"][at], rows["n"][at]) == (row.rank, row.seeds, row.n)
            assert rows["mean"][at] == pytest.approx(row.mean, abs=6e-5)
            ends = [np.nan if rows[end][at] is None else rows[end][at] for end in ("low", "high")]
            assert ends == pytest.approx([row.low, row.high], abs=6e-5, nan_ok=True)
            assert (rows["interval"][at], rows["rank_low"][at]) == (row.interval, row.rank_low)
            assert rows["equivalent"][at] == row.equivalent
    assert [kind != "reference" for kind in data["entries"]["kind"]].count(True) == 8
    assert lengths(data["runs"]) == 12
    assert lengths(data["learners"]) == 2
    assert lengths(data["curves"]) == 12
    assert data["curves"]["mislabeled_fit"][0] == [round(1000 * (one / 8) ** 3) for one in range(1, 9)]
    assert data["views"][0]["tables"][0]["chance"] == 0.5
    assert data["views"][1]["tables"][0]["chance"] == 0


def test_a_slice_is_the_leaderboard_of_its_runs(runs: Path, data: dict[str, Any]) -> None:
    """What the filters choose is ranked as if its runs had been given alone; equal choices share a table."""
    slices = data["slices"]
    assert (slices["source"][0], slices["noise"][0], slices["rate"][0], slices["table"][0]) == (-1, -1, -1, 0)
    noise, rate = data["noises"].index("symmetric"), data["rates"].index("0.4")
    at = [i for i in range(lengths(slices)) if (slices["noise"][i], slices["rate"][i]) in {(noise, rate), (-1, rate)}]
    assert len({slices["table"][i] for i in at}) == 1
    table = data["views"][0]["tables"][slices["table"][at[0]]]
    own = [
        path.parent
        for path in runs.rglob("run.json")
        if (record := read_run_record(path.parent)).noise == "symmetric" and record.params["rate"] == 0.4
    ]
    board = leaderboard(own)
    assert table["runs"] == len(own) == 4
    assert [data["entries"]["detector"][one] for one in table["rows"]["entry"]] == [row.detector for row in board]
    lows = [np.nan if low is None else low for low in table["rows"]["low"]]
    assert lows == pytest.approx([row.low for row in board], abs=6e-5, nan_ok=True)


def one_detail(runs: Path, data: dict[str, Any], kind: str) -> tuple[int, Variant, np.ndarray[Any, Any], Path]:
    """The first detail of ``aum``, its labels, its scores and the folder of its labels."""
    entry = data["entries"]["detector"].index("aum")
    at = data[kind]["entry"].index(entry)
    folder = runs / data["runs"]["path"][data[kind]["run"][at]]
    variant = read_variant(folder.parent.parent / "variant")
    return at, variant, read_scores(scores_path(folder, "aum")).values, folder.parent.parent


def test_details_are_what_loops_find(runs: Path, data: dict[str, Any]) -> None:
    """Histogram, ROC, precision and AUROC within classes, sample by sample."""
    details, grids = data["details"], data["grids"]
    assert lengths(details) == 24  # eight contestants in three settings
    at, variant, scores, _ = one_detail(runs, data, "details")
    wrong = variant.mislabeled
    assert details["auroc"][at] == pytest.approx(roc_auc_score(wrong, scores), abs=6e-5)
    assert (sum(details["wrong"][at]), sum(details["right"][at])) == (wrong.sum(), (~wrong).sum())
    low, high = details["low"][at], details["high"][at]
    for one in (3, BINS - 4):
        left, right = (low + (high - low) * i / BINS for i in (one, one + 1))
        inside = (scores >= left) & (scores < right)
        assert abs(details["wrong"][at][one] - int((inside & wrong).sum())) <= 1  # the ends are rounded
    cuts = [np.inf, *np.sort(scores)[::-1]]
    rates = [((scores[~wrong] >= cut).mean(), (scores[wrong] >= cut).mean()) for cut in cuts]
    for grid, found in zip(grids["false_alarms"], details["roc"][at], strict=True):
        best = max(recall for alarms, recall in rates if alarms <= grid + 1e-4)
        after = min(recall for alarms, recall in rates if alarms >= grid - 1e-4)
        assert min(best, after) - 2e-3 <= found / 1000 <= max(best, after) + 2e-3
    for grid, found in zip(grids["recall"], details["precision"][at], strict=True):
        cut = next(cut for cut in cuts[1:] if (scores[wrong] >= cut).mean() >= grid - 1e-4)
        assert found / 1000 == pytest.approx(wrong[scores >= cut].mean(), abs=2e-3)
    for one, area in zip(details["classes"][at], details["class_auroc"][at], strict=True):
        given = variant.labels == one
        assert area / 1000 == pytest.approx(roc_auc_score(wrong[given], scores[given]), abs=6e-4)
    assert details["class_auroc"][at] == sorted(details["class_auroc"][at])


def test_a_map_holds_every_sample(runs: Path, data: dict[str, Any]) -> None:
    """Cells of memorization × rank of suspicion count each sample once, wrong and right ones apart."""
    at, variant, scores, home = one_detail(runs, data, "memorization")
    truth = read_memorization(home / "memorization" / "one" / "memorization.parquet")
    held = np.array(data["memorization"]["cells"][at]).reshape(-1, 4)
    assert (held[:, 1].sum(), held[:, 2].sum(), held[:, 3].sum()) == (
        N - variant.mislabeled.sum(),
        variant.mislabeled.sum(),
        0,
    )
    wanted: dict[int, int] = {}
    for value, rank in zip(truth.values, (rankdata(scores) - 0.5) / N, strict=True):
        cell = int(rank * CELLS) * CELLS + min(int(value * CELLS), CELLS - 1)
        wanted[cell] = wanted.get(cell, 0) + 1
    assert {int(cell): int(sum(counts)) for cell, *counts in held.tolist()} == wanted
    assert data["memorization"]["spearman"][at] == pytest.approx(spearmanr(scores, truth.values)[0], abs=6e-5)


def test_a_command_makes_its_row(data: dict[str, Any]) -> None:
    """It names the model, the recipe, the epochs, the detector and the seeds, quoted for a shell."""
    entries, learners = data["entries"], data["learners"]
    for name, quoted in (("aum", "aum"), (STRANGE, f"'{STRANGE}'")):
        entry = entries["detector"].index(name)
        command = learners["command"][entries["learner"][entry]] + entries["asked"][entry]
        assert re.fullmatch(
            rf"noisybench evaluate VARIANT --model mlp --recipe \w+ --epochs 8 --detectors {re.escape(quoted)} --seeds 0",
            command,
        )


def test_the_command_writes_a_page(runs: Path, tmp_path: Path) -> None:
    """To the file that is named. Nothing in a name ends the script of the data, and none stands in the page as a tag."""
    path = tmp_path / "pages" / "board.html"
    done = shell("leaderboard", runs, "--to", path)
    assert (done.code, done.out) == (0, "")
    assert f"note: {path} shows them" in done.err
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert len(text.encode()) < 400_000
    assert "<img" not in text
    held = text.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert f"made {STRANGE}" in json.loads(held)["sources"]["name"]
    assert re.findall(r"https?://(?!www\.w3\.org/)", text) == []


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    """In a sentence, before any run is read."""
    path = tmp_path / "board.html"
    for given, words in (
        ([], "a page goes to a file; say --to FILE"),
        (["--to", tmp_path], "is a folder"),
        (["--to", path, "--models"], "takes no --models"),
        (["--to", path, "--truth", "memorization"], "takes no --truth"),
    ):
        refused = shell("leaderboard", tmp_path, "--format", "html", *given)
        assert refused.code == 2
        assert words in refused.err
    assert "takes no --by" in shell("leaderboard", tmp_path, "--to", path, "--by", "noise").err


def test_data_sets_stand_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has rows and ranks of its own, a filter, and details of its own runs; a metric of the caller's is taken."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    for source in (source_of(30, name="a"), source_of(40, name="b")):
        make_runs(
            tmp_path,
            source,
            noises=[("symmetric", 0.2)],
            draws=1,
            recipes=["standard"],
            skills={"aum": 1.0},
            measured=False,
        )
    data = page_data(tmp_path, metric="average_precision")
    assert data["sources"] == {"name": ["a", "b"], "samples": [30, 40]}
    table = data["views"][0]["tables"][0]
    assert data["views"][0]["metric_title"] == "average precision"
    assert table["chance"] == pytest.approx(0.2, abs=0.01)
    rows = table["rows"]
    ranked = [at for at, rank in enumerate(rows["rank"]) if rank is not None]
    assert [(rows["source"][at], rows["rank"][at], rows["n"][at]) for at in ranked] == [(0, 1, 30), (1, 1, 40)]
    assert len({rows["entry"][at] for at in ranked}) == 1
    assert {data["runs"]["source"][run] for run in data["details"]["run"]} == {0, 1}
    assert data["slices"]["source"] == [-1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1]


def test_an_unknown_metric_is_named(runs: Path) -> None:
    """With those that there are."""
    with pytest.raises(UnknownName, match="auroc"):
        page_data(runs, metric="auroq")
