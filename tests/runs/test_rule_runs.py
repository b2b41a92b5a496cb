"""Rules of stopping on runs: what they read against loops, and the runs that some need: resumed, verified and forged."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shell import shell

from noisybench.board.leaderboard import leaderboard, models_board
from noisybench.board.results import evaluate
from noisybench.board.run_suspects import suspects_of_runs
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, UnknownName
from noisybench.ground.files import read_columns, write_columns
from noisybench.items import find
from noisybench.runs import further_task
from noisybench.runs.noisy_validation_run import held_out_samples
from noisybench.runs.pmv_run import RATES, perturbed_labels
from noisybench.runs.ratt_run import random_labels
from noisybench.runs.reading import read_run
from noisybench.runs.stopping import stopping_of
from noisybench.runs.training_run import choose_rules, plan_evaluation
from noisybench.statistics.stopping import Stop, label_wave, trainable_and_resistant
from noisybench.training.loop import RunInProgress
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant, write_variant

EPOCHS, N = 3, 150
RULES = ("noisy_validation", "ratt", "pmv")


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=N)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


def made(small: Source, variant: Variant, out: Path, **options: Any) -> list[Path]:  # noqa: ANN401
    options = {"epochs": EPOCHS, "seeds": (0,), "detectors": "final_loss", "rules": RULES, **options}
    return [result.path for result in evaluate(variant, small, out=out, **options)]


class Seen:
    """What each training of a call was given, and how accurate its model was on the test set, in plain torch."""

    def __init__(self) -> None:
        self.labels: list[Any] = []
        self.rows: list[Any] = []
        self.accuracies: list[list[float]] = []

    def watch(self, patch: pytest.MonkeyPatch, source: Source) -> None:
        train = RunInProgress.epoch

        def noted(run: RunInProgress, number: int, recorder: Any) -> None:  # noqa: ANN401
            train(run, number, recorder)
            if number == 1:
                self.labels.append(run.labels.numpy().copy())
                self.rows.append(np.arange(N) if run.rows is None else run.rows.numpy().copy())
                self.accuracies.append([])
            if run.test is not None:
                assert source.test_inputs is not None
                run.model.eval()
                with torch.no_grad():
                    inputs = run.test[0].batch(slice(0, len(source.test_inputs)))
                    right = run.model(inputs).argmax(1).numpy() == source.test_labels
                self.accuracies[-1].append(float(right.mean()))

        patch.setattr(RunInProgress, "epoch", noted)


@pytest.fixture(scope="module")
def honest(small: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    """An observed training and a run of each rule, and what their trainings were given."""
    out, seen = tmp_path_factory.mktemp("runs"), Seen()
    with pytest.MonkeyPatch.context() as patch:
        seen.watch(patch, small)
        made(small, variant, out)
    return out, seen


@pytest.fixture
def runs(honest: tuple[Path, Seen], tmp_path: Path) -> Path:
    """A copy of them, to be changed."""
    shutil.copytree(honest[0], tmp_path / "runs")
    return tmp_path / "runs"


def folder_of(runs: Path, rule: str) -> Path:
    (found,) = runs.glob(f"*/mlp-standard-{rule}-*/seed-0" if rule else "*/mlp-standard-????????/seed-0")
    return found


def history_of(runs: Path, rule: str) -> dict[str, Any]:
    return read_columns(folder_of(runs, rule) / "history.parquet")[0]


def test_each_rule_trains_on_the_labels_that_it_says(variant: Variant, honest: tuple[Path, Seen]) -> None:
    """The first training is the observed one, then a tenth is held out, a fifth is random, and more is perturbed."""
    out, seen = honest
    assert len(seen.labels) == 1 + 1 + 1 + len(RATES)
    held_out = held_out_samples(variant, 0)
    assert held_out.sum() == N // 10
    np.testing.assert_array_equal(seen.rows[1], np.flatnonzero(~held_out))
    np.testing.assert_array_equal(seen.labels[1], variant.labels)
    random, labels = random_labels(variant, 0)
    assert random.sum() == N // 5
    assert len(seen.rows[2]) == N
    np.testing.assert_array_equal(seen.labels[2], labels)
    np.testing.assert_array_equal(labels[~random], variant.labels[~random])
    for training, rate in enumerate(RATES):
        np.testing.assert_array_equal(seen.labels[3 + training], perturbed_labels(variant, 0)[:, training])
        assert (seen.labels[3 + training] != variant.labels).sum() == round(rate * N)
    changed = perturbed_labels(variant, 0) != variant.labels[:, None]
    assert (changed[:, 1:] >= changed[:, :-1]).all()  # those of one rate are among those of the next
    assert not {path.name for path in out.rglob("parts")}


def test_random_labels_are_uniform(digits: Source) -> None:
    """Over all classes, the given one among them; perturbed ones over all others."""
    clean = build_variant(digits, find("noises", "symmetric")(rate=0.0))
    random, labels = random_labels(clean, 1)
    counts, m = np.bincount(labels[random], minlength=10), int(random.sum())
    assert ((counts - m / 10) ** 2 / (m / 10)).sum() < 27.9  # .999 quantile of chi-squared, 9 degrees
    assert abs((labels == clean.labels)[random].mean() - 0.1) < 4 * np.sqrt(0.09 / m)
    perturbed = perturbed_labels(clean, 1)[:, -1]
    step = (perturbed - clean.labels)[perturbed != clean.labels] % 10
    assert {*step.tolist()} == {*range(1, 10)}


def test_curves_and_accuracies_are_those_of_a_loop(variant: Variant, honest: tuple[Path, Seen]) -> None:
    """Sample by sample from the recorded predictions; test accuracies are what plain torch finds of the models."""
    out, seen = honest
    for rule, training in (("", 0), ("noisy_validation", 1), ("ratt", 2), ("pmv", 3)):
        np.testing.assert_allclose(history_of(out, rule)["test_accuracy"], seen.accuracies[training], rtol=1e-12)
    assert [len(each) for each in seen.accuracies[4:]] == [0, 0, 0]
    predictions = {rule: read_trace(folder_of(out, rule) / "trace")["prediction"] for rule in RULES}
    held_out, (random, labels) = held_out_samples(variant, 0), random_labels(variant, 0)
    for epoch in range(EPOCHS):
        right = [
            p == y
            for p, y, h in zip(predictions["noisy_validation"][epoch], variant.labels, held_out, strict=True)
            if h
        ]
        assert history_of(out, "noisy_validation")["noisy_validation_accuracy"][epoch] == sum(right) / len(right)
        wrong: dict[bool, list[bool]] = {False: [], True: []}
        for p, y, drawn in zip(predictions["ratt"][epoch], labels, random, strict=True):
            wrong[bool(drawn)].append(p != y)
        first, second = (sum(wrong[part]) / len(wrong[part]) for part in (False, True))
        assert history_of(out, "ratt")["ratt_bound"][epoch] == pytest.approx(first + 9 - 10 * second)
        fits = read_trace(folder_of(out, "pmv") / "trace")["pmv.fits"][epoch]
        assert history_of(out, "pmv")["pmv_score"][epoch] == pytest.approx(-np.polyfit(RATES, fits.mean(0), 1)[0])
        fitted = [
            p == y
            for p, y, r, m in zip(predictions["ratt"][epoch], variant.labels, random, variant.mislabeled, strict=True)
            if m and not r
        ]
        assert history_of(out, "ratt")["mislabeled_fit"][epoch] == pytest.approx(sum(fitted) / len(fitted))


def test_each_rule_stops_where_its_curve_says(honest: tuple[Path, Seen]) -> None:
    """With the test accuracy and the regret there."""
    out, _ = honest
    history = history_of(out, "")
    predictions = read_trace(folder_of(out, "") / "trace")["prediction"]
    stops = {stop.rule: stop for stop in stopping_of(folder_of(out, ""))}
    expected = {
        "last_epoch": Stop(EPOCHS),
        "label_wave": label_wave(predictions),
        "training_loss": Stop(int(history["train_loss"].argmin()) + 1),
        "accuracy_and_susceptibility": trainable_and_resistant(history["train_accuracy"], history["susceptibility"]),
        "best_test_accuracy": Stop(int(history["test_accuracy"].argmax()) + 1),
    }
    assert [*stops] == [*expected]
    for rule, stop in expected.items():
        assert (stops[rule].epoch, stops[rule].found) == (stop.epoch, stop.found)
        if stop.epoch is not None:
            assert stops[rule].test_accuracy == history["test_accuracy"][stop.epoch - 1]
            assert stops[rule].regret == pytest.approx(history["test_accuracy"].max() - stops[rule].test_accuracy)
    for rule, curve, best in (
        ("noisy_validation", "noisy_validation_accuracy", np.argmax),
        ("ratt", "ratt_bound", np.argmin),
        ("pmv", "pmv_score", np.argmax),
    ):
        own, oracle = stopping_of(read_run(folder_of(out, rule)))
        assert (own.rule, oracle.rule, oracle.regret) == (rule, "best_test_accuracy", 0)
        assert own.epoch == best(history_of(out, rule)[curve]) + 1


def test_tables_stand_runs_that_feed_no_detector(runs: Path) -> None:
    """They are no row, no unfinished run, and no other learner; alone they are told to feed none."""
    with_them = leaderboard(runs).to_json(), models_board(runs).to_json()
    begun = folder_of(runs, "pmv") / "run.json"
    record = json.loads(begun.read_text("utf-8"))
    begun.write_text(json.dumps({name: value for name, value in record.items() if name != "files_sha256"}), "utf-8")
    assert not read_run(begun.parent).finished
    assert (leaderboard(runs).to_json(), models_board(runs).to_json()) == with_them
    assert suspects_of_runs(runs).detector == "final_loss"  # of one setup, the others having no scores
    alone = folder_of(runs, "ratt")
    with pytest.raises(BadData, match="is of a rule of stopping, and feeds no detector"):
        leaderboard(alone)
    with pytest.raises(BadData, match="holds no finished run: .* a run of a rule of stopping has no scores"):
        suspects_of_runs(alone)
    for rule in RULES:
        shutil.rmtree(folder_of(runs, rule).parent)
    assert (leaderboard(runs).to_json(), models_board(runs).to_json()) == with_them


class Stopped(Exception):
    """What ends a run in the middle."""


def stopping(after: int) -> Callable[[], None]:
    left = [after]

    def step() -> None:
        left[0] -= 1
        if not left[0]:
            raise Stopped

    return step


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("timing.json", ".lock")
    }


def test_a_stopped_run_ends_with_the_same_bytes(
    small: Source, variant: Variant, honest: tuple[Path, Seen], tmp_path: Path
) -> None:
    """In its first epoch, and in the second of several trainings; test accuracies of before included."""
    for after in (EPOCHS + 1, 4 * EPOCHS + 2):
        with pytest.raises(Stopped):
            made(small, variant, tmp_path, progress=stopping(after))
    made(small, variant, tmp_path)
    for rule in RULES:
        assert files_of(folder_of(tmp_path, rule)) == files_of(folder_of(honest[0], rule))


def test_a_run_that_dies_before_its_history_ends_with_the_same_bytes(
    small: Source, variant: Variant, honest: tuple[Path, Seen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained again: the trainings are there with their test accuracies."""
    with monkeypatch.context() as patch:
        patch.setattr(further_task, "write_columns", stopping(1))
        with pytest.raises(TypeError):
            made(small, variant, tmp_path, rules="ratt")
    monkeypatch.setattr(RunInProgress, "epoch", stopping(1))
    made(small, variant, tmp_path, rules="ratt")
    assert files_of(folder_of(tmp_path, "ratt")) == files_of(folder_of(honest[0], "ratt"))


def test_a_finished_run_is_recognised_and_a_lost_history_is_made_again(
    small: Source, variant: Variant, runs: Path, honest: tuple[Path, Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its test accuracies stand nowhere else, so the rule is trained again; the others are not."""
    epoch, trained = RunInProgress.epoch, []

    def counted(run: RunInProgress, number: int, recorder: Any) -> None:  # noqa: ANN401
        trained.append(number)
        epoch(run, number, recorder)

    monkeypatch.setattr(RunInProgress, "epoch", counted)
    made(small, variant, runs)
    assert not trained
    (folder_of(runs, "ratt") / "history.parquet").unlink()
    with pytest.raises(BadData, match="has lost files"):
        [*verify(runs)]
    made(small, variant, runs)
    assert trained == [1, 2, 3]
    assert files_of(folder_of(runs, "ratt")) == files_of(folder_of(honest[0], "ratt"))


def test_the_honest_runs_are_whole(honest: tuple[Path, Seen]) -> None:
    said = "\n".join(verify(honest[0]))
    for words in ("labels held out", "some labels random", "labels perturbed"):
        assert f"{words}, history follow from the trace" in said


def changed(rule: str, file: str, name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A column of a run, by who writes its digest again."""

    def forge(runs: Path) -> None:
        folder = folder_of(runs, rule)
        columns, metadata = read_columns(folder / file)
        write_columns({**columns, name: change(columns.get(name))}, folder / file, metadata=metadata)
        record = json.loads((folder / "run.json").read_text("utf-8"))
        record["files_sha256"][file] = file_digest(folder / file)
        (folder / "run.json").write_text(json.dumps(record), "utf-8")

    return forge


def told(rule: str, **changes: Any) -> Callable[[Path], None]:  # noqa: ANN401 - JSON
    def forge(runs: Path) -> None:
        path = folder_of(runs, rule) / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")

    return forge


LAST = f"trace/epoch-{EPOCHS:04d}.parquet"
FORGERIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "held out": (changed("noisy_validation", LAST, "noisy_validation.held_out", lambda v: 1 - v), "that its seed does"),
    "random": (changed("ratt", LAST, "ratt.random", lambda v: 1 - v), "'ratt.random' that its seed does not give"),
    "labels": (changed("ratt", LAST, "ratt.labels", lambda v: (v + 1) % 10), "'ratt.labels' that its seed does not"),
    "perturbed": (changed("pmv", LAST, "pmv.labels", lambda v: (v + 1) % 10), "'pmv.labels' that its seed does not"),
    "fits": (changed("pmv", LAST, "pmv.fits", lambda v: 1 - v), "'pmv.fits' that 'prediction' contradicts"),
    "halves": (
        changed("pmv", LAST, "pmv.fits", lambda v: v * np.array([1, 1, 1, 0.5], np.float32)),
        "neither yes nor no",
    ),
    "curve": (changed("ratt", "history.parquet", "ratt_bound", lambda v: v - 1), "ratt_bound of epoch 1 is"),
    "share": (changed("pmv", "history.parquet", "test_accuracy", lambda v: v + 1), "no test_accuracy that is a share"),
    "further": (changed("ratt", "history.parquet", "pmv_score", lambda _: np.ones(EPOCHS)), "a column 'pmv_score'"),
    "rule": (told("ratt", regime="pmv", observe="labels perturbed"), "a setup that its regime and training"),
    "default": (told("ratt", optimizer="sgd"), "says optimizer = sgd, which stands in no record"),
    "optimizer": (told("ratt", optimizer="adamw"), "says trained = "),
    "milestones": (told("ratt", schedule="multi_step", milestones=[0.7, 0.2]), "says what cannot be: .*ascend"),
}


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_a_forged_run_is_noticed(forgery: str, runs: Path) -> None:
    forge, message = FORGERIES[forgery]
    forge(runs)
    with pytest.raises(BadData, match=message):
        [*verify(runs)]


def test_a_dropped_sample_is_in_no_rule(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Neither held out, nor random, nor perturbed, nor in a curve; and it has a prediction like everybody."""
    out = np.array([0, 3, 8, 9])
    decided = Corrections(variant.variant_id, out, variant.labels[out], np.full(4, -1), ("drop",) * 4)
    dropped = correct_variant(variant, decided)
    for seed in range(5):
        assert not held_out_samples(dropped, seed)[out].any()
        assert not random_labels(dropped, seed)[0][out].any()
        assert (perturbed_labels(dropped, seed)[out] == dropped.labels[out, None]).all()
    made(small, dropped, tmp_path, epochs=1)
    assert "labels perturbed, history follow from the trace" in "\n".join(verify(tmp_path))
    trace = read_trace(folder_of(tmp_path, "pmv") / "trace")
    assert trace["prediction"].shape == (1, N)
    fits = np.delete(trace["pmv.fits"][0], out, axis=0)
    assert history_of(tmp_path, "pmv")["pmv_score"][0] == pytest.approx(-np.polyfit(RATES, fits.mean(0), 1)[0])


def test_the_command_says_where_each_rule_stops(variant: Variant, small: Source, tmp_path: Path) -> None:
    """A line below each run, and a list in JSON; a rule that does not exist is refused before anything is read."""
    write_variant(variant, tmp_path / "v")
    asked = ("evaluate", tmp_path / "v", "--epochs", 1, "--seeds", 0, "--detectors", "final_loss", "--workers", 1)
    refused = shell(*asked, "--rules", "rat", "--out", tmp_path / "runs")
    assert refused.code == 2
    assert (
        "no rule of stopping that needs trainings of its own is called 'rat'" in refused.err.replace("\n", " ")
        or "did you mean" in refused.err
    )
    said = shell(*asked, "--rules", "ratt", "--out", tmp_path / "runs")
    assert said.code == 0, said.err
    assert "rule ratt: some labels random, a run of 1 times the training of each seed, beside the sum" in said.err
    first, stops, _, of_ratt, *_ = said.out.splitlines()
    assert "test accuracy" in first
    assert stops.startswith("  stopped by last epoch at epoch 1 (test accuracy")
    assert "Label Wave at epoch 1, where the training ended first (test accuracy" in stops
    assert of_ratt.startswith("  stopped by RATT at epoch 1 (test accuracy")
    rows = json.loads(shell(*asked, "--rules", "ratt", "--out", tmp_path / "runs", "--json").out)
    assert [stop["rule"] for stop in rows[1]["stopping"]] == ["ratt", "best_test_accuracy"]
    assert rows[0]["stopping"][0] == {
        "rule": "last_epoch",
        "epoch": 1,
        "found": True,
        "test_accuracy": rows[0]["test_accuracy"],
        "regret": 0.0,
    }


def test_rules_are_planned_once_each(small: Source, variant: Variant, tmp_path: Path) -> None:
    """In one order, with their epochs in the progress; what is no rule is refused."""
    assert choose_rules(["pmv", "ratt", "pmv"]) == ("ratt", "pmv")
    with pytest.raises(UnknownName, match="did you mean 'ratt'"):
        choose_rules("rattt")
    plan = plan_run(small, epochs=EPOCHS)
    planned = plan_evaluation(
        variant, small, plan, machine=Machine(), seeds=(0, 1), detectors="aum", out=tmp_path, rules=["pmv", "ratt"]
    )
    assert planned.epochs == 2 * (1 + 1 + 4) * EPOCHS


def test_too_few_samples_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    few = load_source("digits", limit=4)
    variant = build_variant(few, find("noises", "symmetric")(rate=0.2))
    for rule in RULES:
        with pytest.raises(BadData, match=f"4 samples are too few .*; leave {rule} out of the rules"):
            made(few, variant, tmp_path / "runs", rules=rule)
    assert not (tmp_path / "runs").exists()
