"""Runs of several trainings: two halves, and threshold samples; against loops, killed, added to, mended and forged."""

import json
import pickle
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import evaluate
from noisybench.board.run_suspects import suspects_of_runs
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import Detector, score
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_columns, write_columns
from noisybench.ground.random_streams import derive
from noisybench.items import find
from noisybench.runs import further_task
from noisybench.runs.detector_choice import choose_detectors, regimes_of
from noisybench.runs.folder import keep_variant
from noisybench.runs.further_task import FurtherTask, carry_out_further
from noisybench.runs.reading import read_run
from noisybench.runs.second_split_run import halves_of
from noisybench.runs.threshold_run import threshold_samples
from noisybench.runs.training_run import plan_evaluation
from noisybench.training import phases
from noisybench.training.loop import RunInProgress
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.training.recipe import learning_rate
from noisybench.training.trace import Trace, read_trace
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant

EPOCHS = 3
BOTH = ("second_split_forgetting", "first_split", "aum_threshold")


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=150)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


def made(small: Source, variant: Variant, out: Path, detectors: object = BOTH, **options: Any) -> list[Path]:  # noqa: ANN401
    options = {"epochs": EPOCHS, "seeds": (0,), "options": {"susceptibility": "off"}, **options}
    return [result.path for result in evaluate(variant, small, detectors=detectors, out=out, **options)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def honest(small: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each regime, and an observed training, of one variant."""
    out = tmp_path_factory.mktemp("runs")
    made(small, variant, out, (*BOTH, "aum"))
    return out


@pytest.fixture
def runs(honest: Path, tmp_path: Path) -> Path:
    """A copy of them, to be changed."""
    shutil.copytree(honest, tmp_path / "runs")
    return tmp_path / "runs"


def folder_of(runs: Path, regime: str) -> Path:
    (found,) = runs.glob(f"*/mlp-standard-{regime}-*/seed-0")
    return found


def files_of(folder: Path) -> dict[str, str]:
    """Digest of every file that two makings of a run must have alike."""
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("timing.json", ".lock")
    }


# --- against loops -----------------------------------------------------------------------------------------------------


class Loop:
    """Training and asking written down once more, with nothing of noisybench but its seeds and its order of samples."""

    def __init__(self, source: Source, classes: int, seed: int) -> None:
        self.recipe = plan_run(source, epochs=EPOCHS).recipe
        pixels = source.inputs.astype(np.float64)
        deviation = pixels.std()
        values = ((pixels - pixels.mean()) / deviation).astype(np.float32)
        self.inputs = torch.tensor(values).permute(0, 3, 1, 2)
        self.seed = seed
        torch.manual_seed(derive(seed, "weights"))
        self.model: nn.Module = find("models", "mlp")(num_classes=classes, input_shape=source.input_shape)

    def phase(self, number: int, rows: NDArray[np.intp], labels: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """Train on some rows by the whole recipe; the logits of all samples after each epoch."""
        seed, recipe = derive(self.seed, "phase", number), self.recipe
        optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=recipe.weight_decay, nesterov=True
        )
        seen, step = [], 0
        batches = -(-len(rows) // recipe.batch_size)
        for epoch in range(1, EPOCHS + 1):
            generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
            order = torch.tensor(rows)[torch.randperm(len(rows), generator=generator)]
            self.model.train()
            for chosen in order.split(recipe.batch_size):
                optimizer.param_groups[0]["lr"] = learning_rate(recipe, step, EPOCHS * batches)
                loss = nn.functional.cross_entropy(self.model(self.inputs[chosen]), torch.tensor(labels)[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
            self.model.eval()
            with torch.no_grad():
                seen.append(self.model(self.inputs).numpy())
        return seen


def test_two_halves_equal_a_plain_loop(small: Source, variant: Variant, honest: Path) -> None:
    """Each sample's forgetting and learning are those of a model that was trained on its half first, sample by sample."""
    trace = read_trace(folder_of(honest, "second_split") / "trace")
    halves = halves_of(variant, 0)
    forgotten, learnt = np.zeros(150), np.zeros(150)
    predicted: NDArray[np.int64] = np.zeros((2 * EPOCHS, 150), dtype=np.int64)
    for half in (0, 1):
        loop = Loop(small, 10, derive(0, "second_split", half))
        order = (np.flatnonzero(halves == half), np.flatnonzero(halves != half))
        answers = [
            logits.argmax(1) for number, rows in enumerate(order) for logits in loop.phase(number, rows, variant.labels)
        ]
        for i in order[0]:
            right = [int(classes[i]) == variant.labels[i] for classes in answers]
            first, second = right[:EPOCHS], right[EPOCHS:]
            learnt[i] = next((e for e in range(1, EPOCHS + 1) if all(first[e - 1 :])), EPOCHS + 1)
            forgotten[i] = next((e for e in range(1, EPOCHS + 1) if not any(second[e - 1 :])), EPOCHS + 1)
            predicted[:, i] = [classes[i] for classes in answers]
    assert np.array_equal(trace["prediction"], predicted)
    assert np.array_equal(-np.ceil(score(trace, find("detectors", "second_split_forgetting")).values), forgotten)
    assert np.array_equal(np.floor(score(trace, find("detectors", "first_split")).values), learnt)
    assert {1.0, EPOCHS + 1.0} < set(forgotten)


def test_threshold_samples_equal_a_plain_loop(small: Source, variant: Variant, honest: Path) -> None:
    """Areas, cuts and flags are those of loops over trainings and samples; a flag needs every training that counts."""
    trace = read_trace(folder_of(honest, "threshold") / "trace")
    members = threshold_samples(variant, 0)
    areas, cuts = np.zeros((150, 2)), []
    for t in (0, 1):
        loop = Loop(small, 11, derive(0, "threshold", t))
        labels = np.where(members[:, t], 10, variant.labels)
        margins = np.zeros((EPOCHS, 150))
        for epoch, logits in enumerate(loop.phase(0, np.arange(150), labels)):
            for i in range(150):
                margins[epoch, i] = logits[i, labels[i]] - max(np.delete(logits[i], labels[i]))
        areas[:, t] = margins.mean(0)
        cuts.append(np.quantile(areas[members[:, t], t], 0.99))
    flagged = [all(areas[i, t] < cuts[t] for t in (0, 1) if not members[i, t]) for i in range(150)]
    mean = [np.mean([areas[i, t] for t in (0, 1) if not members[i, t]]) for i in range(150)]
    np.testing.assert_allclose(
        score(trace, find("detectors", "aum_threshold")).values, -np.array(mean), rtol=1e-5, atol=1e-5
    )
    assert np.array_equal(trace["threshold.excess"][-1] < 0, flagged)
    assert not np.array_equal(flagged, (areas < cuts).any(1))
    assert 0 < sum(flagged) < 150


def test_the_halves_are_alike_and_the_threshold_samples_disjoint(variant: Variant) -> None:
    """Every class is split evenly, and so is the whole; 150 / 11 samples are in each set, and none is in two."""
    for seed in range(5):
        halves, members = halves_of(variant, seed), threshold_samples(variant, seed)
        counts = np.stack([np.bincount(variant.labels[halves == half], minlength=10) for half in (0, 1)])
        assert np.abs(counts[0] - counts[1]).max() <= 1
        assert counts.sum(1).tolist() == [75, 75]
        assert members.sum(0).tolist() == [13, 13]
        assert members.sum(1).max() == 1
    assert not np.array_equal(halves_of(variant, 0), halves_of(variant, 1))
    assert not np.array_equal(threshold_samples(variant, 0), threshold_samples(variant, 1))


def test_a_dropped_sample_is_asked_and_in_no_training(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no threshold sample, unbalances no half, and has scores like everybody."""
    out = np.array([0, 3, 8, 9])
    drop: tuple[Any, ...] = ("drop",) * 4
    decided = Corrections(variant.variant_id, out, variant.labels[out], np.full(4, -1), drop)
    dropped = correct_variant(variant, decided)
    trained: list[int] = []
    epoch = RunInProgress.epoch

    def noted(self: RunInProgress, number: int, recorder: Any) -> None:  # noqa: ANN401
        trained.extend([] if self.rows is None else self.rows.tolist())
        epoch(self, number, recorder)

    monkeypatch.setattr(RunInProgress, "epoch", noted)
    folders = made(small, dropped, tmp_path)
    assert set(trained) == set(range(150)) - set(out.tolist())
    assert not threshold_samples(dropped, 0)[out].any()
    assert (halves_of(dropped, 0)[~dropped.dropped] == 1).sum() == 73
    assert all(len(read_run(path).scores(name).values) == 150 for path in folders for name in read_run(path).kinds)
    assert any("whole" in line or "follow" in line for line in verify(tmp_path))


# --- planned, told, not done twice -------------------------------------------------------------------------------------


def test_each_regime_is_planned_once_for_each_variant_and_seed(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Three detectors of two regimes and one of a training are three runs a seed; progress counts the epochs of all."""
    plan = plan_run(small, epochs=EPOCHS)
    other = build_variant(small, find("noises", "symmetric")(rate=0.2), seed=1)
    planned = plan_evaluation(
        [variant, other], small, plan, seeds=(0, 1), detectors=(*BOTH, "aum"), machine=Machine(), out=tmp_path
    )
    assert planned.regimes == ("training", "second_split", "threshold")
    assert planned.epochs == 2 * 2 * EPOCHS * (1 + 4 + 2)
    assert planned.further == (
        "second_split_forgetting, first_split: two halves, a run of 2 times the training of each seed, which is in the sum",
        "aum_threshold: threshold samples, a run of 2 times the training of each seed, which is in the sum",
    )
    alone = plan_evaluation(variant, small, plan, detectors=("aum",), machine=Machine(), out=tmp_path)
    assert (alone.regimes, alone.further) == (("training",), ())
    assert regimes_of(choose_detectors("all")) == ("training", "second_split", "threshold")
    assert regimes_of(choose_detectors("standard")) == ("training",)
    assert not any(tmp_path.iterdir())


def test_progress_is_as_long_as_was_planned(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Each epoch of each training is one step, also where a run is there already."""
    for _ in range(2):
        steps: list[None] = []
        made(small, variant, tmp_path, progress=lambda steps=steps: steps.append(None))
        assert len(steps) == EPOCHS * (4 + 2)


def test_a_finished_run_is_not_trained_again(
    small: Source, variant: Variant, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that only lacks scores, history or a record's end; a table has what it had."""
    monkeypatch.setattr(further_task, "train_in_phases", lambda *_, **__: pytest.fail("trained again"))
    before = files_of(runs)
    made(small, variant, runs)
    assert files_of(runs) == before
    for regime, names in (("second_split", BOTH[:2]), ("threshold", BOTH[2:])):
        folder = folder_of(runs, regime)
        (folder / "history.parquet").unlink()
        (folder / "scores" / f"{names[0]}.parquet").unlink()
    made(small, variant, runs)
    assert files_of(runs) == before


def test_a_lost_epoch_is_trained_again(small: Source, variant: Variant, runs: Path) -> None:
    """To the same bytes, all of them."""
    before = files_of(runs)
    (folder_of(runs, "threshold") / "trace" / "epoch-0002.parquet").unlink()
    made(small, variant, runs)
    assert files_of(runs) == before


def test_a_task_travels_to_another_process(small: Source, variant: Variant, honest: Path, tmp_path: Path) -> None:
    """As the other tasks of ``evaluate`` do; what comes of it has the same bytes."""
    plan = plan_run(small, epochs=EPOCHS, options={"susceptibility": "off"})
    keep_variant(variant, tmp_path / variant.name / "variant")
    task = FurtherTask("threshold", variant, plan, 0, Machine(), tmp_path / variant.name)
    folder = carry_out_further(pickle.loads(pickle.dumps(task)), small, lambda: None)  # noqa: S301 - our own
    assert folder.parent.name == folder_of(honest, "threshold").parent.name
    ours, theirs = files_of(folder), files_of(folder_of(honest, "threshold"))
    assert ours == {name: digest for name, digest in theirs.items() if name != "agreement.parquet"}


def count_epochs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list to which every epoch that is trained adds its number."""
    trained: list[int] = []
    epoch = RunInProgress.epoch

    def counted(self: RunInProgress, number: int, recorder: Any) -> None:  # noqa: ANN401
        trained.append(number)
        epoch(self, number, recorder)

    monkeypatch.setattr(RunInProgress, "epoch", counted)
    return trained


class Stopped(Exception):
    """What ends a run in the middle."""


def stopping(after: int) -> Callable[[], None]:
    left = [after]

    def step() -> None:
        left[0] -= 1
        if not left[0]:
            raise Stopped

    return step


@pytest.mark.parametrize("after", [1, EPOCHS, EPOCHS + 1, 2 * EPOCHS, 4 * EPOCHS, 5 * EPOCHS + 2])
def test_a_stopped_run_ends_with_the_same_bytes(
    after: int, small: Source, variant: Variant, honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any epoch of any phase; epochs that were finished are not trained again."""
    with pytest.raises(Stopped):
        made(small, variant, tmp_path, progress=stopping(after))
    trained = count_epochs(monkeypatch)
    made(small, variant, tmp_path)
    assert len(trained) == 6 * EPOCHS - after
    for regime in ("second_split", "threshold"):
        assert files_of(folder_of(tmp_path, regime)) == files_of(folder_of(honest, regime))


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (phases, "write_checkpoint"),
        (further_task, "write_observation"),
        (further_task, "score_columns"),
        (further_task, "finish"),
        (shutil, "rmtree"),
    ],
)
def test_a_run_that_dies_between_two_files_ends_with_the_same_bytes(
    where: Any,  # noqa: ANN401 - a module
    name: str,
    small: Source,
    variant: Variant,
    honest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before a checkpoint that its epoch was written for, in the middle of the trace, before scores, record or clearing up."""
    calls, as_it_is = [0], getattr(where, name)

    def dying(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        calls[0] += 1
        if calls[0] == (5 if name in ("write_checkpoint", "write_observation") else 1):
            raise Stopped
        return as_it_is(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, dying)
        with pytest.raises(Stopped):
            made(small, variant, tmp_path, BOTH[:2])
    made(small, variant, tmp_path, BOTH[:2])
    assert files_of(folder_of(tmp_path, "second_split")) == files_of(folder_of(honest, "second_split"))


@pytest.mark.parametrize("damaged", ["half-0/checkpoint.safetensors", "half-0/epoch-0002.parquet", "run.json"])
def test_what_is_damaged_of_an_unfinished_run_is_made_again(
    damaged: str, small: Source, variant: Variant, honest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says so; a record of another version is of a run that is begun again."""
    with pytest.raises(Stopped):
        made(small, variant, tmp_path, BOTH[:2], progress=stopping(EPOCHS + 1))
    folder = folder_of(tmp_path, "second_split")
    if damaged == "run.json":
        record = json.loads((folder / damaged).read_text("utf-8"))
        record["versions"]["noisybench"] = "0.0.9"
        (folder / damaged).write_text(json.dumps(record) + "\n", encoding="utf-8")
    else:
        path = folder / "parts" / damaged
        path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    made(small, variant, tmp_path, BOTH[:2])
    assert "begun again" in caplog.text if damaged == "run.json" else damaged.partition("/")[2] in caplog.text
    assert files_of(folder) == files_of(folder_of(honest, "second_split"))


def test_a_finished_run_of_another_version_is_scored_and_not_trained(
    small: Source, variant: Variant, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps the version that trained it; where an epoch is lost, nothing could give its bytes."""
    folder = folder_of(runs, "threshold")
    record = json.loads((folder / "run.json").read_text("utf-8"))
    record["versions"]["noisybench"] = "0.0.9"
    (folder / "run.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    (folder / "scores" / "aum_threshold.parquet").unlink()
    (folder / "timing.json").unlink()
    trained = count_epochs(monkeypatch)
    made(small, variant, runs, BOTH[2:])
    run = read_run(folder)
    assert (trained, run.version, run.finished) == ([], "0.0.9", True)
    assert np.isnan(run.costs["aum_threshold"][0])
    (folder / "trace" / "epoch-0001.parquet").unlink()
    with pytest.raises(BadData, match="holds a run with versions"):
        made(small, variant, runs, BOTH[2:])


def test_other_recipes_are_other_runs(small: Source, variant: Variant, runs: Path) -> None:
    """Epochs, recipe and regime stand in the folder's digest; how a training is watched does not."""
    (same,) = made(small, variant, runs, BOTH[2:], options={"curvature_draws": "2"})
    assert same == folder_of(runs, "threshold")
    (other,) = made(small, variant, runs, BOTH[2:], epochs=2)
    assert other.parent.name != same.parent.name
    assert read_run(other).record.epochs == 2


# --- what is refused ---------------------------------------------------------------------------------------------------


def nothing(trace: Trace) -> NDArray[np.float64]:
    return trace["threshold.aum"][-1].astype(np.float64)


OWN = Detector("own", ("threshold.aum",), nothing, "nobody 2026, here")
NEVER = Detector("never", ("threshold.aum", "held_out.votes"), nothing, "nobody 2026, here")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            "knn",
            "needs a pool of models or frozen features; 'noisybench memorize VARIANT --pool detector' or 'noisybench score",
        ),
        ("ridge", "needs frozen features; 'noisybench score VARIANT --features NAME' scores it"),
        ("held_out_error", "needs a pool of models; 'noisybench memorize VARIANT --pool detector' scores it"),
        (f"{__name__}:OWN", "'own' is your own and reads columns of several trainings; expected columns of probes"),
        (f"{__name__}:NEVER", "'never' needs threshold.aum, held_out.votes, which no run leaves together"),
    ],
)
def test_detectors_that_evaluate_does_not_feed_name_what_does(asked: str, message: str) -> None:
    """One sentence, with the right command for each."""
    with pytest.raises(BadUsage) as error:
        choose_detectors(asked)
    assert message in str(error.value)


def test_too_few_samples_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    """Three samples have no two halves with a batch each; with two threshold samples, one of two trainings has none left."""
    source = source_from_arrays("mine", np.eye(3), np.array([0, 1, 0]))
    labels = build_variant(source, find("noises", "as_found")())
    for detector, message in (("first_split", "3 samples are too few for two halves; leave second_split_forgetting"),):
        with pytest.raises(BadUsage, match=message):
            made(source, labels, tmp_path, detector)
    source = source_from_arrays("mine", np.eye(2), np.array([0, 1]))
    with pytest.raises(BadUsage, match="2 samples are too few for threshold samples of 2 trainings"):
        made(source, build_variant(source, find("noises", "as_found")()), tmp_path, "aum_threshold")
    assert not any(tmp_path.iterdir())


# --- what tables and suspects say --------------------------------------------------------------------------------------


def test_rows_tell_their_regime_beside_the_same_learner(honest: Path) -> None:
    """In the same table as the training, with shares fitted, cost and what they were made with."""
    board = leaderboard(honest)
    rows = {row.detector: row for row in board.rows if row.kind == "detector"}
    assert {*rows} == {*BOTH, "aum"}
    assert len({row.learner for row in rows.values()}) == 1
    assert all(row.complete for row in rows.values())
    for name in BOTH:
        assert set(rows[name].information) == {"in_sample", "several_trainings"}
        assert rows[name].passes == 4 * EPOCHS
        assert 0 <= rows[name].mislabeled_fit <= rows[name].clean_fit <= 1
    text = board.to_markdown()
    assert f"standard, {EPOCHS} epochs, two halves" in text
    assert f"standard, {EPOCHS} epochs, threshold samples" in text
    assert board.to_records()


def test_suspects_of_threshold_samples_are_cut_by_them(honest: Path, variant: Variant) -> None:
    """As many are flagged as lie below every cut, and the evidence says what the cut is."""
    folder = folder_of(honest, "threshold")
    found = suspects_of_runs(folder, "aum_threshold")
    below = read_trace(folder / "trace")["threshold.excess"][-1] < 0
    assert found.flagged is not None
    assert found.count == below.sum()
    assert (found.flagged == below).mean() > 0.9
    assert found.evidence[0].startswith(
        "answers of 2 trainings, each with threshold samples of its own (mlp, standard)"
    )
    assert "99th percentile" in found.evidence[1]
    assert (found.suggested != variant.labels).all()
    halves = suspects_of_runs(folder_of(honest, "second_split"))
    assert halves.detector == "second_split_forgetting"
    assert halves.evidence[0].startswith("answers of 2 trainings on one half and then on the other (mlp, standard)")


def test_an_observed_training_of_enough_epochs_finds_the_wrong_labels(tmp_path: Path) -> None:
    """AUROC above .85 of each on 300 digits with 20 % wrong labels, after eight epochs."""
    source = load_source("digits", limit=300)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2))
    folders = made(source, variant, tmp_path, epochs=8)
    for folder in folders:
        run = read_run(folder)
        for name in run.kinds:
            assert roc_auc_score(variant.mislabeled, run.scores(name).values) > 0.85, name


# --- forged ------------------------------------------------------------------------------------------------------------


def test_the_honest_runs_are_whole(honest: Path) -> None:
    """``verify`` says of each run what follows."""
    said = "\n".join(verify(honest))
    assert "two halves, history and 2 detectors follow from the trace" in said
    assert "threshold samples, history and 1 detector follow from the trace" in said


class Forger:
    """One run, and what can be done to it by who writes every digest again."""

    def __init__(self, runs: Path, regime: str) -> None:
        self.folder = folder_of(runs, regime)

    def record(self, **changes: Any) -> None:  # noqa: ANN401 - JSON
        path = self.folder / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), encoding="utf-8")

    def column(self, file: str, name: str, change: Callable[[Any], Any]) -> None:
        path = self.folder / file
        columns, metadata = read_columns(path)
        write_columns({**columns, name: change(columns.get(name))}, path, metadata=metadata)
        told = json.loads((self.folder / "run.json").read_text("utf-8"))["files_sha256"]
        self.record(files_sha256={**told, file: file_digest(path)})


LAST = {"second_split": f"trace/epoch-{2 * EPOCHS:04d}.parquet", "threshold": f"trace/epoch-{EPOCHS:04d}.parquet"}


def forged(regime: str, name: str, change: Callable[[Any], Any], file: str | None = None) -> Callable[[Path], None]:
    return lambda runs: Forger(runs, regime).column(file or LAST[regime], name, change)


def told(of: str, **changes: Any) -> Callable[[Path], None]:  # noqa: ANN401 - JSON
    return lambda runs: Forger(runs, of).record(**changes)


FIRST_EPOCH = "trace/epoch-0001.parquet"
FORGERIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "halves": (
        forged("second_split", "second_split.half", lambda v: 1 - v),
        "halves in 'second_split.half' that its seed",
    ),
    "forgotten": (
        forged("second_split", "second_split.second", lambda v: 1 - v),
        "'second_split.second' that does not follow",
    ),
    "learnt": (
        forged("second_split", "second_split.first", lambda v: 1 - v, FIRST_EPOCH),
        "'second_split.first' that does",
    ),
    "predicted": (forged("second_split", "prediction", lambda v: v + 20), "a 'prediction' that is no class of 0..9"),
    "labels": (forged("second_split", "given", lambda v: (v + 1) % 10), "other given labels than the variant"),
    "more": (forged("second_split", "correct", lambda _: np.ones(150, np.float32)), "other columns than such a run"),
    "members": (forged("threshold", "threshold.members", lambda v: 1 - v), "threshold samples in 'threshold.members'"),
    "cut": (forged("threshold", "threshold.excess", lambda v: v - 1), "'threshold.excess' that does not follow"),
    "area": (forged("threshold", "threshold.aum", lambda v: v * 2), "'threshold.aum' that does not follow"),
    "margins": (
        forged("threshold", "threshold.margins", lambda v: v + 1, FIRST_EPOCH),
        "'threshold.aum' that does not",
    ),
    "best": (
        forged("threshold", "prediction", lambda v: (v + 1) % 10),
        "'prediction' that 'threshold.margins' contradicts",
    ),
    "shape": (forged("threshold", "threshold.aum", lambda v: np.stack([v, v], 1)), "'threshold.aum' of shape"),
    "fitted": (
        forged("threshold", "mislabeled_fit", lambda v: v + 0.1, "history.parquet"),
        "mislabeled_fit of epoch 1",
    ),
    "epochs": (told("second_split", epochs=10**9), "says trained|says a setup|of shape"),
    "recipe": (told("threshold", lr=0.2), "says trained = "),
    "training": (told("threshold", trained="abcdef"), "says trained = abcdef"),
    "setup": (told("second_split", setup="0" * 64), "says a setup that its regime and training do not give"),
    "words": (told("second_split", observe="after"), "which is no run of two halves"),
    "regime": (told("second_split", regime="threshold", observe="threshold samples"), "a setup that its regime"),
    "seed": (told("second_split", seed=1), "holds the run of seed 1"),
    "watched": (told("threshold", curvature_draws=3), "has 'curvature_draws', and regime 'threshold' has none"),
    "detector": (told("threshold", detectors={"aum": "aum"}), "names detectors, and has lost files that they need"),
}


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_a_forged_run_is_noticed(forgery: str, runs: Path) -> None:
    """Whatever follows from something else is made again, and the sentence says what does not."""
    forge, message = FORGERIES[forgery]
    forge(runs)
    with pytest.raises(BadData, match=message):
        list(verify(runs))
