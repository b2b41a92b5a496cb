"""The board computes what it is asked for, from scores and truths; the order of commands and of versions decides nothing."""

import inspect
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from shell import shell
from sklearn.metrics import f1_score

from noisybench.board.agreement import Agreement
from noisybench.board.finding import find_suspects
from noisybench.board.finished import Result, score_given
from noisybench.board.judging import judge, judge_all, judge_all_by_class
from noisybench.board.kept_answers import DIGEST
from noisybench.board.leaderboard import leaderboard
from noisybench.board.own_cut import own_flags
from noisybench.board.results import MeasuredMemorization, evaluate, memorize
from noisybench.board.truths import Asked, read_truths
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.detection.scoring import read_scores, scores_path, write_scores
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.lookup import find
from noisybench.memorization.subset_plan import plan_learner
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.reading import read_run
from noisybench.runs.verify import verify_runs
from noisybench.statistics.metric import estimates
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source("digits", limit=150)


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, Symmetric(0.2))


@pytest.fixture(scope="module")
def out(source: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs, made before anything that is asked of them."""
    folder = tmp_path_factory.mktemp("runs")
    evaluate(variant, source, epochs=2, seeds=(0, 1), detectors=["aum", "final_loss"], out=folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


OWN = """
from functools import partial

import numpy as np

from noisybench import Metric
from noisybench.statistics.detection_metrics import precision_at
from noisybench.statistics.intervals import Estimate


def mean_of_the_wrong(values, mislabeled, given):
    return Estimate(FACTOR * float(values[mislabeled].mean()), np.nan, np.nan)


FACTOR = 1
METRIC = Metric("mean of the wrong", "Mean score of wrong labels.", mean_of_the_wrong, bounds=(-np.inf, np.inf))
FIFTH = Metric("precision", "Of a fifth.", partial(precision_at, 20), ranked=True)
ALL = Metric("precision", "Of all.", partial(precision_at, 100), ranked=True)
"""
"""A module of metrics of one's own."""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with ``judged_metrics.py``, which Python imports from."""
    (tmp_path / "judged_metrics.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("judged_metrics", None)


@pytest.mark.usefixtures("own")
def test_a_metric_of_ones_own_is_had_for_older_runs(out: Path) -> None:
    """By ``package.module:attribute``: the table has it, with numpy's own values, and the runs are still whole."""
    with pytest.raises(UnknownName, match="no metric is called 'mean_of_the_wrong'"):
        leaderboard(out, metric="mean_of_the_wrong")
    board = leaderboard(out, metric="judged_metrics:METRIC")
    assert "Mean of the wrong" in board.caption
    rows = {row.detector: row.mean for row in board}
    (home,) = out.iterdir()
    runs = sorted(home.glob("mlp-*/seed-*"))
    mask = build_variant(load_source("digits", limit=150), Symmetric(0.2)).mislabeled
    for name in ("aum", "final_loss"):
        means = [read_scores(scores_path(run, name)).values[mask].mean() for run in runs]
        assert rows[name] == pytest.approx(np.mean(means), abs=1e-12)
    assert sum("follow from the trace" in sentence for sentence in verify_runs(out)) == 2
    told = shell("leaderboard", out, "--metric", "judged_metrics:METRIC", "--format", "csv").out
    assert "judged_metrics:METRIC" in told
    assert "mean of the wrong" in shell("list", "metrics", "judged_metrics:METRIC").out
    done = shell("leaderboard", out, "--metric", "judged_metrics:FACTOR")
    told = "error: 'judged_metrics:FACTOR' is a int, which is no metric; docs/metrics.md shows one"
    assert (done.code, done.err.strip().splitlines()[-1]) == (2, told)


@pytest.mark.usefixtures("own")
def test_a_metric_of_ones_own_is_never_kept(out: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code is no part of what answers are kept by, so that another of the same name would find the first one's."""
    first = {row.detector: row.mean for row in leaderboard(out, metric="judged_metrics:METRIC")}
    assert not list(cache.rglob("*.msgpack"))
    monkeypatch.setattr("judged_metrics.FACTOR", 2)
    second = {row.detector: row.mean for row in leaderboard(out, metric="judged_metrics:METRIC")}
    assert second["aum"] == pytest.approx(2 * first["aum"])


@pytest.mark.usefixtures("own")
def test_a_metric_of_another_argument_is_another(out: Path, cache: Path) -> None:
    """Of one function of noisybench: what it is called with is part of what answers are kept by."""
    found = [
        {row.detector: row.mean for row in leaderboard(out, metric=f"judged_metrics:{name}")}
        for name in ("FIFTH", "ALL")
    ]
    assert found[0]["aum"] > 0.5
    assert found[1]["aum"] == pytest.approx(0.2)  # the share of wrong labels among all
    assert list(cache.rglob("*.msgpack"))


@pytest.mark.parametrize("metric", ["auroc", "suggestion_accuracy", "cut_recall", "precision_at_10"])
def test_a_class_is_judged_over_its_samples_alone(out: Path, variant: Variant, metric: str, cache: Path) -> None:
    """Every class in one pass, kept in one file: as the metric says of the samples of that given class."""
    (home,) = out.iterdir()
    truths = read_truths(home)
    runs = [read_run(path) for path in sorted(home.glob("mlp-*/seed-*"))]
    by_class, faults = judge_all_by_class(runs, {home: truths}, Asked(metric=metric))
    assert (list(by_class), faults) == (list(range(10)), [])
    kept = len(list(cache.rglob("*.msgpack")))
    run, about = runs[0], find("metrics", metric)
    for label, judged in by_class.items():
        asked = Asked(metric=metric, given_class=label)
        assert repr(judged[run.path][: len(run.kinds)]) == repr(judge(run, truths, asked))
        assert repr(judge_all(runs, {home: truths}, asked)[0]) == repr(judged)
        of = variant.labels == label
        for row in judged[run.path][: len(run.kinds)]:
            wrong, given = variant.mislabeled[of], variant.labels[of]
            if metric == "suggestion_accuracy":
                suggestion = run.suggestion(row.detector, variant)
                assert suggestion is not None
                hits = (suggestion.labels == variant.clean)[variant.mislabeled & of]
                expected, n = hits.mean() if len(hits) else np.nan, len(hits)
            else:
                values = run.scores(row.detector).values
                said = own_flags(run, variant)[row.detector] if metric == "cut_recall" else values
                assert said is not None
                one_kind = not wrong.any() or wrong.all()
                expected, n = (
                    np.nan if one_kind else estimates({metric: about}, said[of], wrong, given)[metric].value,
                    of.sum(),
                )
            assert (row.given_class, row.n) == (label, n)
            assert row.value == pytest.approx(expected, nan_ok=True, abs=1e-12)
    assert len(list(cache.rglob("*.msgpack"))) == kept


def test_the_flags_of_a_cut_are_those_of_suspects(out: Path, variant: Variant) -> None:
    """Precision, recall, F1 and calibration are of what ``suspects`` flags in the run, detector by detector."""
    (home,) = out.iterdir()
    truths = read_truths(home)
    for path in sorted(home.glob("mlp-*/seed-*")):
        run = read_run(path)
        found = {
            metric: {row.detector: row.value for row in judge(run, truths, Asked(metric=metric))}
            for metric in ("cut_precision", "cut_recall", "cut_f1", "cut_calibration_error")
        }
        for name in run.kinds:
            flagged = find_suspects(path, detector=name).flagged
            assert flagged is not None
            wrong = variant.mislabeled
            assert found["cut_precision"][name] == pytest.approx(wrong[flagged].mean())
            assert found["cut_recall"][name] == pytest.approx(flagged[wrong].mean())
            assert found["cut_f1"][name] == pytest.approx(f1_score(wrong, flagged))
            assert found["cut_calibration_error"][name] == pytest.approx(abs(flagged.mean() - wrong.mean()))


def test_what_makes_runs_shows_what_it_returns_and_can_be_sent() -> None:
    """The names of ``inspect`` and of ``pickle``, which a process pool asks."""
    for function, returned in ((evaluate, list[Result]), (memorize, MeasuredMemorization), (score_given, Result)):
        assert inspect.signature(function).return_annotation == returned
        assert pickle.loads(pickle.dumps(function)) is function  # noqa: S301 - our own, a line ago


def test_a_result_is_a_folder_for_every_table(out: Path) -> None:
    """Its records are those of the path; no folder at all is bad usage."""
    (run,) = (Result(path) for path in out.glob("*/mlp-*/seed-0"))
    assert leaderboard(run).to_records() == leaderboard(run.path).to_records()
    assert find_suspects(run).table() == find_suspects(run.path).table()
    with pytest.raises(BadUsage, match="no folder was given; give folders that hold runs"):
        leaderboard([])


def test_no_order_of_commands_matters(source: Source, variant: Variant, tmp_path: Path) -> None:
    """Evaluate, then memorize; memorize, then evaluate: the same table of memorization, to the last field but times."""
    learner, _ = plan_learner(source, epochs=2)

    def measure(folder: Path) -> None:
        memorize(source, variant, learner, folder, models=10)

    def run(folder: Path) -> None:
        evaluate(variant, source, epochs=2, seeds=(0,), detectors=["aum"], out=folder)

    tables = []
    for name, commands in (("one", (run, measure)), ("other", (measure, run))):
        for command in commands:
            command(tmp_path / name)
        records = leaderboard(tmp_path / name, truth="memorization").to_records()
        tables.append([{**record, "seconds": None} for record in records])
    assert tables[0] == tables[1]
    assert {"aum", "random"} <= {record["detector"] for record in tables[0]}


def test_what_is_kept_is_believed_only_for_its_own_files(out: Path, cache: Path) -> None:
    """Scores that change, or a kept answer that was changed, are computed again."""
    (home,) = out.iterdir()
    run = next(home.glob("mlp-*/seed-0"))
    result = Result(run)
    (before,) = (row for row in result.agreement() if row.detector == "aum")
    kept = list(cache.rglob("*.msgpack"))
    assert kept
    for path in kept:  # as a cache file would be that somebody edited
        content = path.read_bytes()
        lies = [replace(row, value=1.0) for row in msgspec.msgpack.decode(content[DIGEST:], type=list[Agreement])]
        path.write_bytes(content[:DIGEST] + msgspec.msgpack.encode(lies))
    assert next(row for row in result.agreement() if row.detector == "aum") == before
    scores = read_scores(scores_path(run, "aum"))
    try:
        write_scores(replace(scores, values=-scores.values), scores_path(run, "aum"))
        (after,) = (row for row in result.agreement() if row.detector == "aum")
        assert after.value == pytest.approx(1 - before.value)
    finally:
        write_scores(scores, scores_path(run, "aum"))


def test_an_agreement_file_beside_a_run_is_never_read(out: Path) -> None:
    """Whatever it holds: version 0.1.0 wrote one, and so may a stranger."""
    (home,) = out.iterdir()
    run = next(home.glob("mlp-*/seed-0"))
    before = Result(run).agreement()
    (run / "agreement.parquet").write_bytes(b"perfect")
    try:
        assert Result(run).agreement() == before
        assert leaderboard(out).rows
    finally:
        (run / "agreement.parquet").unlink()


def test_a_cache_that_cannot_be_written_harms_nothing(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is a file: the table is the same."""
    expected = leaderboard(out).to_records()
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "file"))
    assert leaderboard(out).to_records() == expected


def test_results_stand_for_their_folders(out: Path, source: Source, variant: Variant) -> None:
    """What ``evaluate`` gives is taken by everything that takes the folder of a run."""
    results = evaluate(variant, source, epochs=2, seeds=(0, 1), detectors=["aum", "final_loss"], out=out)
    assert leaderboard(results).to_records() == leaderboard(out).to_records()
    assert leaderboard(results[0]).to_records() == leaderboard(results[0].path).to_records()
    assert find_suspects(results[0]).table() == find_suspects(results[0].path).table()
    assert set(results[0].scores) == {"aum", "final_loss"}
    assert results[0].history["clean_fit"] > 0
