"""Runs from the answers of several people: columns, what is recorded and verified, what is left out and refused."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from shell import shell

from noisybench.board.finished import Result
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import score_answers
from noisybench.board.run_suspects import suspects_of_runs
from noisybench.board.verification import verify
from noisybench.data.crowd.answers import Answers, answers_from_matrix, majority, one_each
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.cifar_n import CifarN
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.answers_columns import LookedAt, looked_at
from noisybench.runs.folder import read_run_record
from noisybench.statistics.annotators import dawid_skene, vote_shares
from noisybench.statistics.crowdlab import crowdlab
from noisybench.statistics.glad import glad
from noisybench.training.trace import Observation, read_trace, write_observation
from noisybench.variants.building import build_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant, write_variant

N, K, PEOPLE = 90, 3, 6


def crowd(**options: str) -> Source:
    """Points in three heaps, and what six people said of them; the labels are one answer each."""
    random = np.random.default_rng(0)
    right = random.integers(0, K, N)
    inputs = (np.eye(K)[right] * 3 + random.normal(0, 1, (N, K))).astype(np.float32)
    hit = random.random((N, PEOPLE)) < np.linspace(0.5, 0.95, PEOPLE)
    said = np.where(hit, right[:, None], random.integers(0, K, (N, PEOPLE)))
    said[random.random((N, PEOPLE)) > 0.6] = -1
    said[np.arange(N), random.integers(0, PEOPLE, N)] = right
    answers = answers_from_matrix(said)
    given = one_each(answers, N, seed=3)
    if options.get("aggregate") == "majority":
        given = majority(answers, N)[0]
    return source_from_arrays("crowd", inputs, given, clean=right, answers=answers, options=options)


def found_of(variant: Variant, *, without_given: bool = False) -> LookedAt:
    return looked_at(variant, without_given=without_given, seed=0)


@pytest.fixture(scope="module")
def source() -> Source:
    return crowd(aggregate="one:3")


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, AsFound())


@pytest.fixture(scope="module")
def runs(source: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    return score_answers(source, variant, tmp_path_factory.mktemp("runs"), features="input")


def column(run: Result, name: str) -> NDArray[np.float32]:
    values: NDArray[np.float32] = read_trace(run.path / "trace")[name][-1]
    return values


def test_columns_are_what_the_methods_give(runs: list[Result], variant: Variant) -> None:
    """Of the answers alone in one run, CROWDLAB and its classifier in another; a prediction by the one that knows most."""
    alone, joined = runs
    answers = variant.answers
    assert answers is not None
    expected = {
        "answers.vote_shares": vote_shares(answers, N, K),
        "answers.dawid_skene": dawid_skene(answers, N, K).posterior,
        "answers.glad": glad(answers, N, K).posterior,
    }
    assert {*read_trace(alone.path / "trace").columns} == {*expected, "given", "prediction"}
    for name, values in expected.items():
        np.testing.assert_array_equal(column(alone, name), values.astype(np.float32))
    np.testing.assert_array_equal(column(alone, "prediction"), column(alone, "answers.dawid_skene").argmax(1))
    classifier = column(joined, "answers.classifier")
    values = crowdlab(answers, classifier.astype(np.float64), K).posterior
    np.testing.assert_array_equal(column(joined, "answers.crowdlab"), values.astype(np.float32))
    assert (classifier.argmax(1) == variant.clean).mean() > 0.8
    assert [[*run.scores] for run in runs] == [["dawid_skene", "glad", "majority_vote"], ["crowdlab"]]
    for run in runs:
        for rows in run.agreement("auroc"):
            assert rows.value > 0.8


def test_a_record_says_what_was_asked(runs: list[Result], variant: Variant) -> None:
    alone, joined = (read_run_record(run.path) for run in runs)
    answers = variant.answers
    assert answers is not None
    for record in (alone, joined):
        assert (record.regime, record.model, record.observe) == ("answers", "answers", "with the given")
        assert (record.answers, record.annotators, record.given_from) == (len(answers), PEOPLE, "one:3")
        assert record.without_given is False
    assert (alone.features, alone.folds) == ("given", None)
    assert (joined.features, joined.folds) == ("input", 5)
    assert alone.setup != joined.setup


def test_nothing_is_done_twice(runs: list[Result], source: Source, variant: Variant) -> None:
    """The same folders, not one byte of which changes; what a hand damaged is made again."""
    out = runs[0].path.parents[2]
    before = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and "features" not in path.parts
    }
    assert score_answers(source, variant, out, features="input") == runs
    assert before == {path: path.stat().st_mtime_ns for path in before}
    place = runs[0].path / "scores" / "glad.parquet"
    whole = place.read_bytes()
    place.write_bytes(whole[:50])
    score_answers(None, variant, out)
    assert place.read_bytes() == whole


def test_verify_makes_the_columns_again(runs: list[Result], tmp_path: Path) -> None:
    """From the answers of the variant; a column, a record or answers of another kind are noticed."""
    out = runs[0].path.parents[2]
    said = [*verify(out)]
    assert sum(" from what the answers of the variant give" in sentence for sentence in said) == 2
    copy = tmp_path / "runs"
    shutil.copytree(out, copy)
    forged = copy / runs[0].path.relative_to(out)
    columns = {name: each.values[-1] for name, each in read_trace(forged / "trace").columns.items()}
    columns["answers.glad"] = columns["answers.vote_shares"]
    variant_id = read_run_record(forged).variant_id
    write_observation(Observation(0, columns), forged / "trace", variant_id=variant_id)
    with pytest.raises(BadData, match=r"'answers\.glad' does not follow from the answers|does not follow|was changed"):
        [*verify(copy)]


def test_suspects_of_such_runs(runs: list[Result]) -> None:
    """The detector that is named ranks, whatever other run it does not stand in."""
    home = runs[0].path.parents[1]
    for name, sentences in (("dawid_skene", 2), ("crowdlab", 3)):
        found = suspects_of_runs(home, name)
        assert found.detector == name
        assert len(found.evidence) == sentences
        assert found.count > 0
    with pytest.raises(BadData, match="holds runs of several setups"):
        suspects_of_runs(home)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": 7}, "says answers = 7, the variant's answers give|cannot be"),
        ({"given_from": "majority"}, "says given_from = majority, the variant's answers give one:3"),
        ({"without_given": True}, "says observe = with the given, expected 'without the given'"),
        ({"model": "oracle"}, "says model = oracle, expected answers or answer columns"),
        ({"smoothing": 2.0}, "says a setup that its features"),
        ({"folds": 5}, "without the others"),
        ({"fractions": [0.7]}, "has 'fractions', and regime 'answers' has none"),
    ],
)
def test_a_forged_record_is_noticed(
    change: dict[str, object], message: str, runs: list[Result], tmp_path: Path
) -> None:
    from noisybench.ground.files import read_record, write_json

    out = runs[0].path.parents[2]
    shutil.copytree(out, tmp_path / "runs")
    place = tmp_path / "runs" / runs[0].path.relative_to(out) / "run.json"
    write_json({**read_record(place), **change}, place)
    with pytest.raises(BadData, match=message):
        [*verify(tmp_path / "runs")]


def test_a_table_says_what_rows_are_of(runs: list[Result], source: Source, variant: Variant, tmp_path: Path) -> None:
    """People and their classifier are no data set alone; with and without the given label are rows of their own."""
    out = tmp_path / "runs"
    shutil.copytree(runs[0].path.parents[2], out)
    score_answers(source, variant, out, features="none", without_given=True)
    table = leaderboard(out).to_markdown()
    assert "| answers | no training, with the given | annotators |" in table
    assert "| answers | no training, without the given | annotators |" in table
    assert "| answers and frozen input | no training, with the given | held-out, annotators |" in table


def test_the_very_answer_is_left_out_where_it_is_known(variant: Variant) -> None:
    """Of labels that are one answer each, drawn with a seed; each sample loses that one."""
    answers, left = variant.answers, found_of(variant, without_given=True)
    assert answers is not None
    assert (left.removed, left.given_from) == (N, "one:3")
    every = {*zip(answers.sample.tolist(), answers.annotator.tolist(), answers.label.tolist(), strict=True)}
    kept = left.answers
    gone = every - {*zip(kept.sample.tolist(), kept.annotator.tolist(), kept.label.tolist(), strict=True)}
    number = one_each(Answers(answers.sample, answers.annotator, answers.annotator), N, seed=3)
    assert {(i, int(number[i]), int(variant.labels[i])) for i in range(N)} == gone


def test_else_one_that_is_equal_is_left_out() -> None:
    """Of a majority: a draw among the equal ones, which depends on the seed; samples without one lose none."""
    variant = build_variant(crowd(aggregate="majority"), AsFound())
    assert found_of(variant).given_from == "majority"
    draws = [looked_at(variant, without_given=True, seed=seed).answers for seed in (0, 0, 1)]
    assert np.array_equal(draws[0].annotator, draws[1].annotator)
    assert not np.array_equal(draws[0].annotator, draws[2].annotator)
    noisy = build_variant(crowd(aggregate="majority"), Symmetric(0.5), seed=0)
    left = found_of(noisy, without_given=True)
    answers = noisy.answers
    assert answers is not None
    assert left.given_from is None
    voted = np.zeros(N, dtype=bool)
    voted[answers.sample[answers.label == noisy.labels[answers.sample]]] = True
    assert left.removed == voted.sum() < N


def test_an_unnamed_rule_is_a_majority_where_it_is_one() -> None:
    source = crowd()
    assert found_of(build_variant(source, AsFound())).given_from is None
    assert source.answers is not None
    voted = source_from_arrays(
        "crowd", source.inputs, majority(source.answers, N)[0], clean=source.clean, answers=source.answers
    )
    assert found_of(build_variant(voted, AsFound())).given_from == "majority"


def test_who_was_dropped_takes_part_in_nothing(source: Source, variant: Variant, tmp_path: Path) -> None:
    """The others' columns are those of a data set without them; their own are undecided."""
    gone = np.array([4, 8])
    corrections = Corrections(variant.variant_id, gone, variant.labels[gone], np.array([-1, -1]), ("drop", "drop"))
    dropped = build_variant(source, AsFound(), corrections=corrections)
    run = score_answers(None, dropped, tmp_path)[0]
    assert variant.answers is not None
    kept = np.delete(np.arange(N), gone)
    expected = dawid_skene(variant.answers.taken(kept), N - 2, K).posterior.astype(np.float32)
    np.testing.assert_array_equal(column(run, "answers.dawid_skene")[kept], expected)
    np.testing.assert_allclose(column(run, "answers.dawid_skene")[gone], 1 / K, rtol=1e-6)
    assert len([*verify(tmp_path)]) == 3


def test_what_is_left_out_is_said(
    source: Source, variant: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No source, labels alone, nobody who shares a sample: one line each, and a run of the rest."""
    told: list[str] = []
    bare = source_from_arrays("bare", None, source.labels, answers=source.answers, class_names=["a", "b", "c"])
    score_answers(bare, build_variant(bare, AsFound()), tmp_path / "bare", tell=told.append)
    assert told == ["crowdlab left out: its classifier needs inputs, and source 'bare' has labels alone"]
    single = source_from_arrays(
        "one", source.inputs, source.labels, answers=Answers(np.arange(N), np.arange(N) % 4, source.labels)
    )
    runs = score_answers(single, build_variant(single, AsFound()), tmp_path / "one", tell=told.append)
    assert told[1].startswith("crowdlab left out: no sample has answers of two people")
    assert len(runs) == 1
    with caplog.at_level(logging.INFO, logger="noisybench"):
        score_answers(None, variant, tmp_path / "none")
    assert "crowdlab left out: its classifier needs inputs, and no source was given" in caplog.text


def test_what_cannot_be_asked_is_refused(source: Source, variant: Variant, tmp_path: Path) -> None:
    plain = source_from_arrays("plain", source.inputs, source.labels)
    with pytest.raises(BadUsage, match="source 'plain' has no answers of several people; left out"):
        score_answers(plain, build_variant(plain, AsFound()), tmp_path)
    with pytest.raises(BadData, match="features must be numbers of shape"):
        score_answers(source, variant, tmp_path, features=np.zeros((3, 2)))
    with pytest.raises(BadUsage, match="features 'input' have no options"):
        score_answers(source, variant, tmp_path, features="input", options={"components": "3"})
    score_answers(None, variant, tmp_path)
    answers = source.answers
    assert answers is not None
    fewer = source_from_arrays(
        "crowd", source.inputs, source.labels, clean=source.clean, options={"aggregate": "one:3"},
        answers=Answers(answers.sample[1:], answers.annotator[1:], answers.label[1:]),
    )  # fmt: skip
    with pytest.raises(BadData, match="holds runs of the same labels with other answers"):
        score_answers(None, build_variant(fewer, AsFound()), tmp_path)


# --- columns that are no people ----------------------------------------------------------------------------------------


def cifar_n(data: Path, labels: str) -> tuple[Source, Variant]:
    """The first 2,000 labels of CIFAR-10N, without images."""
    file = data / "cifar_n" / "CIFAR-10_human.pt"
    clean = read_annotations(file)["clean_label"][:2000].astype(np.int64)
    source = source_from_arrays("cifar10", None, clean, clean=clean, class_names=list("abcdefghij"))
    return source, build_variant(source, CifarN(labels, file))  # type: ignore[arg-type]  # one of them


def test_columns_that_are_no_people_have_votes_alone(data: Path, tmp_path: Path) -> None:
    """CIFAR-N: the three answers as votes, with and without the one that is the label; a row says that they are columns."""
    source, variant = cifar_n(data, "random1")
    told: list[str] = []
    runs = [
        score_answers(source, variant, tmp_path / "runs", without_given=without, tell=told.append)[0]
        for without in (False, True)
    ]
    assert [*runs[0].scores] == [*runs[1].scores] == ["majority_vote"]
    assert told[0].startswith("crowdlab left out: the answers stand in columns that are no people")
    assert told[1] == "2000 of 2000 samples lose an answer, which is their given label"
    records = [read_run_record(run.path) for run in runs]
    assert [(each.model, each.annotators, each.given_from) for each in records] == [
        ("answer columns", 3, "random1"), ("answer columns", 2, "random1"),
    ]  # fmt: skip
    areas = [next(row.value for row in run.agreement("auroc")) for run in runs]
    assert areas == pytest.approx([0.93, 0.93], abs=0.04)
    assert "| answer columns | no training, without the given |" in leaderboard(tmp_path / "runs").to_markdown()
    assert len([*verify(tmp_path / "runs")]) == 4


@pytest.mark.parametrize(
    ("labels", "why"), [("aggre", "the majority of the three answers"), ("worse", "with the right label in hand")]
)
def test_labels_that_follow_from_all_columns_are_refused(labels: str, why: str, data: Path) -> None:
    with pytest.raises(BadUsage, match=f"labels={labels} of cifar_n are .*{why}.*; build labels=random1"):
        looked_at(cifar_n(data, labels)[1], without_given=False, seed=0)


# --- from the shell ----------------------------------------------------------------------------------------------------


def test_from_the_shell(source: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``score VARIANT --answers``: a line for each detector, what they are made of, and the folders."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "variants" / variant.name
    write_variant(variant, place)
    done = shell("score", place, "--answers", "--features", "none", "--answers-without-given")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[:-1]] == ["dawid_skene", "glad", "majority_vote"]
    assert done.err.splitlines() == [
        "90 of 90 samples lose an answer, which is their given label",
        "crowdlab left out: as was asked",
        f"{len(looked_at(variant, without_given=True, seed=0).answers)} answers of 6 people, to 90 samples",
        "one answer that is the given label was left out of each sample that has one",
    ]
    assert Path(done.out.splitlines()[-1]).is_dir()
    plain = source_from_arrays("plain", source.inputs, source.labels)
    write_variant(build_variant(plain, AsFound()), tmp_path / "plain")
    refused = shell("score", tmp_path / "plain", "--answers")
    assert (refused.code, "has no answers of several people; left out" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("--answers-without-given",), "--answers-without-given is for --answers"),
        (("--answers", "--name", "x"), "--name is not for --answers"),
        (("--answers", "--groups", "x"), "--groups is not for --answers"),
        (("--answers", "--detectors", "glad"), "--detectors is not for --answers"),
        ((), "or --answers to score by what several people answered"),
    ],
)
def test_options_that_do_not_go_together(said: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = shell("score", tmp_path, *said)
    assert (done.code, message in done.err) == (2, True), done.err
