"""Runs from frozen features: their columns, that nothing is done twice, what mends them, groups and what a table says."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from noisybench.board.finding import find_suspects
from noisybench.board.finished import Result
from noisybench.board.leaderboard import leaderboard
from noisybench.board.neighbourhoods import share_of_true_neighbours
from noisybench.board.results import evaluate, score_features
from noisybench.board.verification import verify
from noisybench.cli.app import app
from noisybench.data.extraction import choose_features, features_of
from noisybench.data.given_values import source_from_values
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import score
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError, UnknownName
from noisybench.items import find
from noisybench.runs import features_columns, features_run
from noisybench.runs.features_checks import check_columns
from noisybench.runs.features_run import group_numbers, score_frozen
from noisybench.runs.folder import finish, kinds_of
from noisybench.runs.reading import read_run
from noisybench.runs.record import Pretrained
from noisybench.statistics.alignment import class_alignment
from noisybench.statistics.consensus import consensus
from noisybench.statistics.gaussian import class_distances
from noisybench.statistics.hoc import estimate_consensus, ranks_above_right
from noisybench.statistics.linear_probe import held_out_probabilities
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.ridge import leave_one_out_ridge
from noisybench.statistics.shapley import knn_shapley
from noisybench.statistics.vicinity import vicinity
from noisybench.training.trace import Observation, read_trace, write_observation
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

FAST = (
    "confident_learning", "cooks_distance", "feature_consensus", "knn", "normalized_margin", "ridge", "ridge_chosen",
    "ridge_leverage", "self_confidence",
)  # fmt: skip
STANDARD = tuple(sorted((*FAST, "fine", "gaussian_likelihood_ratio", "self_clean", "simifeat_rank", "simifeat_vote")))


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=150)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


@pytest.fixture(scope="module")
def run(small: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return score_features(small, variant, "pca", tmp_path_factory.mktemp("runs"), options={"components": "20"})


def test_other_texts_with_the_same_inputs_are_looked_at_anew(tmp_path: Path) -> None:
    """Texts decide features and no variant's id: words in another order have the same words, and other pairs of them."""
    labels = np.arange(40) % 2
    texts = [f"{'red cat runs' if k else 'cat red sleeps'} {'a b' if i % 3 else 'c d'}" for i, k in enumerate(labels)]
    digests = []
    for said in (texts, [" ".join(text.split()[::-1]) for text in texts], texts):
        source = source_from_values(labels, said)
        variant = build_variant(source, find("noises", "as_found")())
        folder = score_frozen(source, variant, "words", tmp_path, options={"longest": "2"})
        digests.append(read_run(folder).record.features_sha256)
    assert digests[0] == digests[2] != digests[1]


@pytest.fixture
def copy(run: Result, tmp_path: Path) -> Path:
    """The folder of runs with the run in it."""
    shutil.copytree(run.path.parents[2], tmp_path / "runs")
    return tmp_path / "runs"


def again(small: Source, variant: Variant, out: Path, **options: Any) -> Path:  # noqa: ANN401
    return score_features(small, variant, "pca", out, options={"components": "20"}, **options).path


def files(folder: Path) -> dict[str, bytes]:
    kept = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (".lock", "timing.json"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def test_its_columns_are_those_of_the_estimators(run: Result, small: Source, variant: Variant) -> None:
    """Each column is what its function gives of the features; each detector is a reduction of them."""
    values = features_of(small, "pca", {"components": "20"})
    trace = read_trace(run.path / "trace")
    around = vicinity(values, variant.labels, 10)
    right = estimate_consensus(variant.labels, around.two_nearest, 10).right
    held_out = held_out_probabilities(values, variant.labels, 10).probabilities
    ridge = leave_one_out_ridge(values, variant.labels, 10)
    expected = {
        "given": variant.labels,
        "held_out.probabilities": held_out,
        "prediction": held_out.argmax(1),
        "neighbours.labels": neighbour_labels(values, variant.labels, 10),
        "features.ridge_suspicion": ridge.suspicion,
        "features.ridge_answers": ridge.answers,
        "features.ridge_chosen": ridge.margin_at_chosen,
        "features.ridge_leverage": ridge.leverage,
        "features.cooks_distance": ridge.cooks_distance,
        "features.gaussian_distances": class_distances(values, variant.labels, 10),
        "features.simifeat_votes": around.votes,
        "features.simifeat_ranks": ranks_above_right(around.votes, variant.labels, right),
        "features.two_nearest": around.two_nearest,
        "features.nearest_same": around.nearest_same,
        "features.nearest_other": around.nearest_other,
        "features.alignment": class_alignment(values, variant.labels, 10),
    }
    assert {*trace.columns} == {*expected}
    for name, column in expected.items():
        assert trace.column(name).epochs.tolist() == [0]
        np.testing.assert_allclose(trace[name][0], column, rtol=1e-5, atol=1e-6)
    scores = run.scores
    assert tuple(scores) == STANDARD
    together = consensus(
        variant.labels, *(trace[name][0].astype(np.float64) for name in ("features.ridge_answers", "held_out.probabilities", "neighbours.labels"))
    )  # fmt: skip
    assert np.array_equal(scores["feature_consensus"].values, together)
    assert roc_auc_score(variant.mislabeled, together) > 0.9
    suggest = find("detectors", "ridge").suggest
    assert suggest is not None
    best = suggest(trace)
    others = np.where(np.eye(10, dtype=bool)[variant.labels], -np.inf, trace["features.ridge_answers"][0])
    assert np.array_equal(best, others.argmax(1))


def test_its_record_says_what_decided_it(run: Result, small: Source) -> None:
    """Features, folds, neighbours, penalties, groups and versions; the folder is called by them."""
    record = read_run(run.path).record
    assert (record.regime, record.features, record.observe) == ("features", "pca(components=20)", "held out")
    assert (record.folds, record.neighbours, record.groups) == (5, 20, len(small.labels))
    assert (record.pretrained, record.grouped_by) == (None, None)
    assert {"noisybench", "numpy", "scipy", "scikit-learn"} == {*(record.versions or {})}
    assert run.path.parent.name == f"pca-features-{record.setup[:8]}"
    costs = json.loads((run.path / "timing.json").read_text("utf-8"))["detectors"]
    assert costs["feature_consensus"]["seconds"] > costs["ridge"]["seconds"] > 0


def test_nothing_finished_is_done_twice(
    copy: Path, small: Source, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither features nor columns are computed again, and no file changes; another seed is another run."""
    before = files(copy)
    with monkeypatch.context() as patch:
        patch.setattr(features_run, "columns_from", None)
        patch.setattr(features_run, "features_of", None)
        again(small, variant, copy)
    assert files(copy) == before
    cached = [*copy.glob("features/*.npy")]
    other = again(small, variant, copy, seed=1)
    assert other.name == "seed-1"
    assert [*copy.glob("features/*.npy")] == cached
    assert (other / "scores/ridge.parquet").read_bytes() == (other.parent / "seed-0/scores/ridge.parquet").read_bytes()


@pytest.mark.parametrize("name", ["trace/epoch-0000.parquet", "scores/ridge.parquet", "run.json", "timing.json"])
@pytest.mark.parametrize("lost", [True, False])
def test_what_is_damaged_is_made_again(
    copy: Path, small: Source, variant: Variant, name: str, *, lost: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The same command gives the same bytes, and says in a line what was damaged."""
    before = files(copy)
    (folder,) = copy.glob("*/pca-features-*/seed-0")
    if lost:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
    again(small, variant, copy)
    assert files(copy) == before
    assert any(name.rpartition("/")[2] in line for line in caplog.messages)
    assert verify(copy)[-1] == f"{copy} is whole"


def test_a_detector_that_comes_later_is_scored_from_the_columns(
    copy: Path, small: Source, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a finished run lacks is scored; nothing is computed again."""
    before = files(copy)
    (folder,) = copy.glob("*/pca-features-*/seed-0")
    record = json.loads((folder / "run.json").read_text("utf-8"))
    for part in ("detectors", "files_sha256"):
        record[part].pop("ridge" if part == "detectors" else "scores/ridge.parquet")
    (folder / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "scores/ridge.parquet").unlink()
    monkeypatch.setattr(features_run, "columns_from", None)
    again(small, variant, copy)
    assert files(copy) == before


def test_a_run_gets_only_the_columns_that_it_lacks(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of version 0.3.0, then fast, standard and all: columns and scores that are there keep their bytes."""
    folder = again(small, variant, tmp_path, detectors="fast")
    record, first = read_run(folder).record, read_trace(folder / "trace")
    assert tuple(record.detectors) == FAST
    old = {name: first[name][0] for name in features_columns.BASE}
    write_observation(Observation(0, old), folder / "trace", variant_id=record.variant_id)
    (folder / "scores/cooks_distance.parquet").unlink()
    (folder / "suggestions/cooks_distance.parquet").unlink()
    kept = {name: spec for name, spec in record.detectors.items() if name != "cooks_distance"}
    finish(folder, record, kept, kinds_of(folder, replace(record, detectors=kept)))
    (folder / "agreement.parquet").unlink()  # a cache
    before = files(folder)
    again(small, variant, tmp_path, detectors="fast")
    assert {name: content for name, content in files(folder).items() if name != "agreement.parquet"} == before
    base = [part for part, made in features_columns.PARTS.items() if {*made.columns} <= {*features_columns.BASE}]
    assert base == ["held_out", "neighbours"]
    parts = {name: features_columns.PARTS[name] for name in features_columns.PARTS if name not in base}
    monkeypatch.setattr(features_columns, "PARTS", parts)
    monkeypatch.setattr(features_run, "_observe", None)
    again(small, variant, tmp_path, detectors=["self_clean"])
    assert {*read_run(folder).kinds} == {*kept, "self_clean", "simifeat_vote"}, "what its columns feed"
    assert verify(tmp_path)[-1] == f"{tmp_path} is whole"
    again(small, variant, tmp_path)
    again(small, variant, tmp_path, detectors="all")
    after, trace = files(folder), read_trace(folder / "trace")
    assert tuple(read_run(folder).kinds) == tuple(sorted((*STANDARD, "knn_shapley")))
    for name, values in old.items():
        assert np.array_equal(trace[name][0], values), name
    for name, content in before.items():
        assert after[name] == content or name in ("run.json", "trace/epoch-0000.parquet"), name
    values = features_of(small, "pca", {"components": "20"})
    np.testing.assert_allclose(trace["features.shapley"][0], knn_shapley(values, variant.labels, 10), rtol=1e-6)
    costs = json.loads((folder / "timing.json").read_text("utf-8"))
    assert {*costs["detectors"]} == {*read_run(folder).kinds}
    assert costs["seconds"] > costs["detectors"]["knn_shapley"]["seconds"] > 0
    assert costs["detectors"]["simifeat_rank"]["seconds"] > 0
    assert verify(tmp_path)[-1] == f"{tmp_path} is whole"


def test_columns_that_are_added_are_of_the_same_features(
    copy: Path, small: Source, variant: Variant, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the features have become others, all columns are computed again, and a line says so."""
    (folder,) = copy.glob("*/pca-features-*/seed-0")
    record = json.loads((folder / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps({**record, "features_sha256": "0" * 64}) + "\n", encoding="utf-8")
    again(small, variant, copy, detectors="all")
    assert any("of other features of that name: all its columns are computed again" in line for line in caplog.messages)
    assert "knn_shapley" in read_run(folder).kinds
    assert verify(copy)[-1] == f"{copy} is whole"


def test_only_what_frozen_features_feed_is_scored(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Names of others, or of none, are refused before anything is computed."""
    for wrong, reason in {
        "aum": "detector 'aum' is not scored from frozen features; 'noisybench list detectors aum' says from what",
        "fin": "did you mean 'fine'",
    }.items():
        with pytest.raises(NoisybenchError, match=reason):
            again(small, variant, tmp_path, detectors=["fast", wrong])
    assert not [*tmp_path.iterdir()]


def test_suspects_compute_what_they_use(small: Source, variant: Variant) -> None:
    """The columns of version 0.3.0, and those of the detector that is asked for."""
    values = features_of(small, "pca", {"components": "20"})
    found = find_suspects(labels=variant.labels, features=values, detector="self_clean")
    same, other = (np.square(getattr(vicinity(values, variant.labels, 10), f"nearest_{what}")) for what in ("same", "other"))  # fmt: skip
    np.testing.assert_allclose(found.suspicion, same / (same + other), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("features.two_nearest", 0.5, "expected the number of another of 150 samples, or -1"),
        ("features.simifeat_votes", 0.9, "that do not have length 1"),
        ("features.alignment", 1.5, "expected a number from 0 to 1"),
        ("features.gaussian_distances", -1.0, "expected a number"),
        ("features.shapley", np.nan, "expected a number from -1 to 1"),
    ],
)
def test_a_column_that_cannot_be_is_told(run: Result, name: str, value: float, reason: str, tmp_path: Path) -> None:
    record, trace = read_run(run.path).record, read_trace(run.path / "trace")
    check_columns(tmp_path, trace, record)
    there = trace.columns.get(name, trace.columns["features.alignment"])
    odd = there.values.copy()
    odd[0, 0] = value
    with pytest.raises(BadData, match=f"'{name}'.*{reason}"):
        check_columns(tmp_path, replace(trace, columns={**trace.columns, name: replace(there, values=odd)}), record)


def test_it_says_how_often_neighbours_share_their_class(
    small: Source, variant: Variant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, in JSON and under a leaderboard; a warning below .9, and nothing where no truth is known."""
    write_variant(variant, tmp_path / "v")
    app(["score", f"{tmp_path}/v", "--features", "pca", "--features-set", "components=4", "--detectors", "simifeat_vote", "--json",
         "--out", f"{tmp_path}/runs"], standalone_mode=False)  # fmt: skip
    told = capsys.readouterr()
    near = vicinity(features_of(small, "pca", {"components": "4"}), variant.labels, 10).two_nearest
    clean = variant.clean
    share = np.mean((clean[near[:, 0]] == clean) & (clean[near[:, 1]] == clean))
    assert json.loads(told.out)["two_nearest_share_class"] == pytest.approx(share)
    assert 0.5 < share < 0.9
    assert f"warning: the two nearest others share the true class of {share:.1%} of the samples; SimiFeat" in told.err
    board = leaderboard(tmp_path / "runs")
    expected = f" The two nearest others share the true class of {share:.0%} of samples, which simifeat_vote takes to be nearly all."
    assert expected in board.caption
    of_row = {record["detector"]: record["neighbours_alike"] for record in board.to_records()}
    assert of_row["simifeat_vote"] == pytest.approx(share)
    assert of_row["knn"] is None
    unknown = build_variant(source_from_arrays("unknown", small.inputs, variant.labels, clean=np.full(150, -1)), find("noises", "as_found")())  # fmt: skip
    found = score_features(small_as(unknown, small), unknown, "input", tmp_path / "others")
    assert share_of_true_neighbours(read_run(found.path)) is None


def small_as(variant: Variant, small: Source) -> Source:
    return source_from_arrays("unknown", small.inputs, variant.labels, clean=np.full(150, -1))


def test_copies_do_not_vouch_for_each_other(small: Source, tmp_path: Path) -> None:
    """Two copies of each sample with one label are one group each: their scores are those without the copies."""
    n = len(small.labels)
    twice = source_from_arrays(
        "twice", np.concatenate([small.inputs, small.inputs]), np.tile(small.labels, 2), class_names=small.class_names
    )
    doubled = build_variant(twice, find("noises", "symmetric")(rate=0.2))
    labels = np.tile(doubled.labels[:n], 2)
    kept = source_from_arrays("kept", twice.inputs, labels, clean=twice.labels, class_names=small.class_names)
    noisy = build_variant(kept, find("noises", "as_found")())
    found = score_features(kept, noisy, "input", tmp_path)
    assert read_run(found.path).record.groups == len(np.unique(small.inputs.reshape(n, -1), axis=0))
    values = found.scores["ridge"].values
    assert np.allclose(values[:n], values[n:])
    assert roc_auc_score(noisy.mislabeled, values) > 0.85


def test_groups_are_left_out_together(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Given groups are in the record by number, name and digest; other groups of that name are refused."""
    groups = [f"patient {i // 3}" for i in range(150)]
    found = score_features(small, variant, "input", tmp_path, groups=groups, grouped_by="patient")
    record = read_run(found.path).record
    assert (record.groups, record.grouped_by) == (50, "patient")
    assert record.groups_sha256 is not None
    apart = score_features(small, variant, "input", tmp_path)
    assert apart.path != found.path
    assert not np.array_equal(apart.scores["ridge"].values, found.scores["ridge"].values)
    others = score_features(small, variant, "input", tmp_path, groups=groups[1:] + groups[:1], grouped_by="patient")
    assert others.path != found.path, "other groups of one name are another setup"
    with pytest.raises(BadData, match="there are 149 groups and 150 samples; expected one for each sample"):
        score_features(small, variant, "input", tmp_path, groups=groups[1:])
    with pytest.raises(BadData, match="all 150 samples into one"):
        score_features(small, variant, "input", tmp_path, groups=[1] * 150)
    assert verify(tmp_path)[-1] == f"{tmp_path} is whole"


def test_who_has_no_group_is_alone() -> None:
    """None, NaN and the empty text are groups of their own; numbers and texts keep theirs."""
    assert group_numbers(["a", None, "a", None, "", ""], 6).tolist() == [0, 1, 0, 2, 3, 4]
    assert group_numbers(np.array([2.0, np.nan, 2.0, np.nan]), 4).tolist() == [0, 1, 0, 2]
    with pytest.raises(BadData, match=r"groups\[1\] is a list; expected a number or a text"):
        group_numbers([1, [2]], 2)
    with pytest.raises(BadData, match=r"groups\[0\] is a set; expected a number or a text"):
        group_numbers([{1}, {2}], 2)


def test_an_array_of_features(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Named by its digest; nobody knows what it was learnt from, so it ranks apart, and says so."""
    values = features_of(small, "pca", {"components": "20"})
    found = score_features(small, variant, values, tmp_path)
    named = again(small, variant, tmp_path)
    assert np.array_equal(found.scores["ridge"].values, Result(named).scores["ridge"].values)
    word = read_run(found.path).record.features
    assert word.startswith("given(")
    rows = [row for row in leaderboard(tmp_path) if row.kind == "detector"]
    brought = [row for row in rows if row.learner.features == word]
    assert {row.information for row in brought} == {("held_out", "unknown")}
    assert {row.block for row in brought} == {"pretrained"}
    assert [row.rank for row in rows if row not in brought] == sorted(
        row.rank or 0 for row in rows if row not in brought
    )
    assert brought[0].rank == rows[0].rank == 1
    for wrong in (values[:-1], values[0], values.astype(str)):
        with pytest.raises(BadData, match="features must be numbers of shape"):
            score_features(small, variant, wrong, tmp_path)
    with pytest.raises(UnknownName, match="nope"):
        score_features(small, variant, "nope", tmp_path)
    for odd, what in ((values, "that are given"), ("input", "'input'")):
        with pytest.raises(BadUsage, match=f"features {what} have no options; leave options out"):
            score_features(small, variant, odd, tmp_path, options={"components": "20"})


OWN = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Own:
    def __call__(self, source, *, device):
        return source.inputs.reshape(len(source.labels), -1)[:, ::{step}].astype("float32")
"""


def test_features_of_ones_own_whose_code_was_changed_are_others(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that the code before left is not taken for one of the code that is there now."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "features_of_mine.py"
    file.write_text(OWN.format(step=1), encoding="utf-8")
    found = score_features(small, variant, "features_of_mine:Own", tmp_path / "runs")
    before = files(found.path)
    assert files(score_features(small, variant, "features_of_mine:Own", tmp_path / "runs").path) == before
    file.write_text(OWN.format(step=22), encoding="utf-8")
    monkeypatch.delitem(sys.modules, "features_of_mine")
    with pytest.raises(
        BadData, match="holds a run with features_sha256 = .* give another --out, or delete that folder"
    ):
        score_features(small, variant, "features_of_mine:Own", tmp_path / "runs")
    assert files(found.path) == before


@pytest.mark.parametrize("n", [2, 4])
def test_fewer_samples_than_folds(n: int, tmp_path: Path) -> None:
    """Each sample is a fold, and the run is whole."""
    inputs = np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32)
    source = source_from_arrays("few", inputs, np.arange(n) % 2)
    score_features(source, build_variant(source, find("noises", "as_found")()), "input", tmp_path)
    assert verify(tmp_path)[-1] == f"{tmp_path} is whole"


def test_it_stands_beside_every_other_run(small: Source, variant: Variant, tmp_path: Path) -> None:
    """In one leaderboard with a training, with what each was made with; ``suspects`` reads it."""
    evaluate(variant, small, seeds=(0, 1), epochs=1, detectors=("aum",), out=tmp_path)
    found = score_features(small, variant, choose_features("pca"), tmp_path)
    rows = {(row.detector, row.learner.features): row for row in leaderboard(tmp_path)}
    assert rows["aum", "input"].information == ("in_sample",)
    assert rows["ridge", "pca"].information == ("held_out",)
    assert rows["ridge", "pca"].complete
    assert {row.information for (name, _), row in rows.items() if name == "perfect"} == {("knows_clean",)}
    first = find_suspects(found.path).table(1)[0]
    assert first.sample == int(np.argmax(found.scores["feature_consensus"].values))
    assert first.suggested != first.given


def test_the_command(small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """``score --features`` says how many groups there are and each detector's agreement; options of other roads are refused."""
    monkeypatch.chdir(tmp_path)
    write_variant(variant, tmp_path / "v")
    (tmp_path / "groups.csv").write_text("\n".join(["group", *(f"p{i // 2}" for i in range(150))]), encoding="utf-8")
    np.save(tmp_path / "mine.npy", features_of(small, "pca", {"components": "20"}))

    def said(words: str) -> tuple[str, str]:
        app(["score", "v", *words.split()], standalone_mode=False)
        told = capsys.readouterr()
        return told.out, told.err

    out, err = said("--features pca --features-set components=20 --groups groups.csv")
    assert "features pca(components=20): 150 samples in 75 groups" in err
    assert out.splitlines()[-1].endswith("seed-0")
    assert any(line.startswith("feature_consensus") for line in out.splitlines())
    told = json.loads(said("--features mine.npy --json")[0])
    assert told["groups"] == 150
    assert {*told["detectors"]} == {*STANDARD}
    for words, reason in {
        "--features pca --name x": "--name is for scores that are given",
        "--features pca --scores mine.npy": "--scores is for scores that are given",
        "--name x --groups groups.csv": "--groups is for --features NAME",
        "": "say --name of the scores or probabilities that you give, or --features NAME",
        "--features pca --groups nope": "--groups nope is neither a file nor a column",
        "--features mine.npy --features-set a=b": "--features-set is for features by name",
    }.items():
        with pytest.raises(BadUsage, match=reason):
            said(words)


def test_scores_are_as_deterministic_as_their_columns(run: Result) -> None:
    """The same trace scored again gives the stored scores to the last bit."""
    trace = read_trace(run.path / "trace")
    for name, scores in run.scores.items():
        assert np.array_equal(score(trace, find("detectors", name)).values, scores.values)


def test_who_is_pretrained_ranks_apart(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Features of other data: their rows say of which, whether labels and classes were known, in a block with ranks of its own."""
    path = again(small, variant, tmp_path)
    other = path.parents[1] / "lite0-features-00000000" / "seed-0"
    shutil.copytree(path, other)
    record = json.loads((other / "run.json").read_text("utf-8"))
    record |= {"features": "lite0", "pretrained": {"data": "ImageNet-1k", "supervised": True, "overlap": "no"}}
    (other / "run.json").write_text(json.dumps({**record, "setup": "0" * 64}) + "\n", encoding="utf-8")
    board = leaderboard(tmp_path)
    rows = [row for row in board if row.kind == "detector"]
    half = len(rows) // 2
    assert [row.block for row in rows] == [""] * half + ["pretrained"] * half
    assert [row.rank for row in rows[:half]] == [row.rank for row in rows[half:]]
    assert {row.information for row in rows[half:]} == {("held_out", "pretrained")}
    assert {row.pretrained for row in rows[half:]} == {Pretrained("ImageNet-1k", supervised=True, overlap="no")}
    last = next(record for record in board.to_records() if record["block"] == "pretrained")
    told = tuple(last[name] for name in ("information", "pretrained", "pretrained_supervised", "pretrained_overlap"))
    assert told == ("held_out, pretrained", "ImageNet-1k", True, "no")
    assert "held-out, ImageNet-1k (supervised, other classes)" in board.to_markdown()
    assert "stand in a block of their own" in board.caption
    assert board.to_latex().count(r"\midrule") == 4
    with pytest.raises(BadData, match="belongs into a folder called lite0-features|says a setup that its features"):
        verify(other)
