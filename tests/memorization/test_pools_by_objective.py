"""Pools of models that minimise another objective: against plain loops, cross-entropy, and what may play no part."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from shell import shell
from torch import Tensor, nn

from noisybench.board.leaderboard import leaderboard
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.ground.random_streams import derive
from noisybench.memorization import retraining
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.learner import learner_of_setup
from noisybench.memorization.pool import BLOCK, read_pool
from noisybench.memorization.reliability import summarise
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan, plan_learner
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.folder import read_run_record
from noisybench.runs.verify import verify_runs
from noisybench.training.batches import Inputs
from noisybench.training.objective import Objective, Step
from noisybench.training.plan import plan_run
from noisybench.training.recipe import learning_rate
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

N = 80


def some_digits(digits: Source, n: int = N) -> Source:
    return source_from_arrays("digits", digits.inputs[:n], digits.labels[:n], clean=digits.clean[:n])


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    return some_digits(digits)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, Symmetric(0.2), seed=0)


def learner_of(source: Source, objective: str | Objective, epochs: int = 2, **options: str) -> SubsetPlan:
    plan = plan_run(
        source,
        recipe="overfit",
        epochs=epochs,
        device="cpu",
        objective=objective,
        objective_options=options,
    )
    return SubsetPlan(plan)


def block_of(folder: Path) -> bytes:
    (path,) = folder.glob("block-*")
    return path.read_bytes()


@dataclass(frozen=True)
class Plain(Objective):
    """Cross-entropy under another name."""

    source: ClassVar[str] = "the test"

    def loss(self, step: Step) -> Tensor:
        return F.cross_entropy(step.logits, step.labels)


def test_what_equals_cross_entropy_gives_its_models(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own loss bit by bit, limits of others to rounding; of models trained one by one, with names of their own."""
    with monkeypatch.context() as apart:
        apart.setattr(retraining, "stacks_perceptrons", lambda *_: False)
        retrain(small, variant, learner_of(small, "cross_entropy"), tmp_path / "plain", models=3)
    expected, folders = read_pool(tmp_path / "plain", variant), set()
    for name, learner in {
        "own": learner_of(small, Plain()),
        "smoothing": learner_of(small, "label_smoothing", smoothing="0"),
        "generalised": learner_of(small, "generalised_cross_entropy", q="1e-5"),
        "elr": learner_of(small, "elr", strength="0"),
    }.items():
        retrain(small, variant, learner, tmp_path / name, models=3)
        pool = read_pool(tmp_path / name, variant)
        assert pool.learner == learner.learner
        assert pool.learner.objective == learner.plan.chosen.words != ""
        assert pool.learner.objective in pool.learner.name
        assert not pool.learner.is_same_training(expected.learner)
        assert np.array_equal(pool.included, expected.included)
        sure = np.abs(expected.margins.astype(np.float64)) > 0.02
        assert np.array_equal(pool.predictions[sure], expected.predictions[sure])
        np.testing.assert_allclose(pool.margins, expected.margins, atol=0.02)
        if name == "own":
            assert np.array_equal(pool.margins, expected.margins)
            assert np.array_equal(pool.held_out, expected.held_out, equal_nan=True)
        folders.add(learner.folder())
    assert len({*folders, learner_of(small, "cross_entropy").folder()}) == 5


def test_cross_entropy_by_its_name_changes_nothing(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Not a byte, not the folder, not the record of a block."""
    said, unsaid = plan_learner(small, objective="cross_entropy", epochs=1)[0], plan_learner(small, epochs=1)[0]
    assert said.setup == unsaid.setup
    assert "objective" not in said.setup
    assert (said.folder(), said.learner) == (unsaid.folder(), unsaid.learner)
    for name, learner in (("said", said), ("unsaid", unsaid)):
        retrain(small, variant, learner, tmp_path / name, models=2)
    assert block_of(tmp_path / "said") == block_of(tmp_path / "unsaid")


def elr_by_hand(
    small: Source, labels: NDArray[np.int64], chosen: NDArray[np.intp], seed: int, plan: SubsetPlan
) -> Tensor:
    """Logits of every sample, of one model by a plain loop over the formula: CE + 3 log(1 - ⟨p, t⟩), t ← .7 t + .3 p."""
    recipe, data = plan.plan.recipe, Inputs(small.inputs, torch.device("cpu")).batch(slice(None))
    torch.manual_seed(derive(seed, "weights"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
    running, given = torch.zeros(len(labels), 10), torch.tensor(labels)
    steps = -(-len(chosen) // recipe.batch_size)
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(derive(seed, "order", epoch)))
        for at, part in enumerate(torch.tensor(chosen)[order].split(recipe.batch_size)):
            optimizer.param_groups[0]["lr"] = learning_rate(recipe, (epoch - 1) * steps + at, recipe.epochs * steps)
            logits = model(data[part])
            p = logits.softmax(1).clamp(1e-4, 1 - 1e-4)
            share = (p / p.sum(1, keepdim=True)).detach()
            running[part] = 0.7 * running[part] + 0.3 * share
            loss = F.cross_entropy(logits, given[part]) + 3 * (1 - (running[part] * p).sum(1)).log().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found: Tensor = model(data).detach()
    return found


def test_each_model_begins_the_objective_anew(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Three models by ELR are those of a loop over its formula, each with targets of its own."""
    learner = learner_of(small, "elr", epochs=3)
    retrain(small, variant, learner, tmp_path, models=3, seed=5)
    pool = read_pool(tmp_path, variant)
    for number in range(3):
        own = derive(derive(5, "truth"), "model", number)
        logits = elr_by_hand(small, variant.labels, np.flatnonzero(pool.included[number]), own, learner)
        given = torch.tensor(variant.labels)[:, None]
        margins = logits.gather(1, given)[:, 0] - logits.scatter(1, given, -torch.inf).amax(1)
        np.testing.assert_allclose(pool.margins[number], margins, rtol=5e-3, atol=5e-3)
        sure = margins.abs().numpy() > 0.02
        assert np.array_equal(pool.predictions[number][sure], logits.argmax(1)[sure])


OBJECTIVES = ("elr", "selc", "car", "peer_loss", "cores", "bootstrapping", "forward_correction", "nce_rce")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_labels_that_a_model_did_not_see_play_no_part(digits: Source, tmp_path: Path, name: str) -> None:
    """All of them changed, the model answers bit by bit as before; one that it saw changed, it does not."""
    inputs, labels = digits.inputs[:N], digits.labels[:N].copy()
    included = None
    answers = {}
    for case in ("as they are", "unseen", "seen"):
        changed = labels.copy()
        if included is not None:
            which = np.flatnonzero(included[0] == (case == "seen"))[: None if case == "unseen" else 1]
            changed[which] = (changed[which] + 1) % 10
        source = source_from_arrays("digits", inputs, changed, clean=labels)
        variant = build_variant(source, AsFound(), seed=0)
        retrain(source, variant, learner_of(source, name, epochs=6), tmp_path / case, models=2)
        pool = read_pool(tmp_path / case, variant)
        included = pool.included
        # Margins and predictions are of given labels that differ; of the first model alone some were left out.
        alone = included[1] & ~included[0]
        answers[case] = pool.held_out[alone], pool.predictions[0]
    before, unseen, seen = answers.values()
    assert np.array_equal(before[0], unseen[0])
    assert np.array_equal(before[1], unseen[1])
    assert not np.array_equal(before[0], seen[0])


def test_elr_memorizes_fewer_wrong_labels(digits: Source, tmp_path: Path) -> None:
    """Of 40 % wrong labels: a third less, and more, on average, where right labels are fitted all the same."""
    source = some_digits(digits, 120)
    variant = build_variant(source, Symmetric(0.4), seed=1)
    found = {}
    for name in ("cross_entropy", "elr"):
        retrain(source, variant, learner_of(source, name, epochs=15), tmp_path / name, models=7)
        pool = read_pool(tmp_path / name, variant)
        found[name] = summarise(estimate_memorization(pool, variant), pool, variant)
    plain, elr = found.values()
    assert plain.mislabeled_memorization > 0.7
    assert elr.mislabeled_memorization < plain.mislabeled_memorization * 2 / 3
    assert min(plain.clean_fit, elr.clean_fit) > 0.95
    assert elr.clean_damage < plain.clean_damage


class Stopped(Exception):
    pass


def test_a_stopped_call_goes_on(digits: Source, tmp_path: Path) -> None:
    """After its last whole block, to the bytes of one that was not stopped."""
    source = some_digits(digits, 30)
    variant = build_variant(source, Symmetric(0.2), seed=0)
    learner = learner_of(source, "elr", epochs=1)
    retrain(source, variant, learner, tmp_path / "whole", models=BLOCK + 4)
    left = [BLOCK + 2]

    def stop() -> None:
        left[0] -= 1
        if not left[0]:
            raise Stopped

    with pytest.raises(Stopped):
        retrain(source, variant, learner, tmp_path / "stopped", models=BLOCK + 4, progress=stop)
    assert [path.name for path in (tmp_path / "stopped").glob("block-*")] == ["block-0000.npz"]
    assert retrain(source, variant, learner, tmp_path / "stopped", models=BLOCK + 4).trained == 4
    whole, stopped = (sorted((tmp_path / name).glob("block-*")) for name in ("whole", "stopped"))
    assert [path.read_bytes() for path in whole] == [path.read_bytes() for path in stopped]
    assert retrain(source, variant, learner, tmp_path / "stopped", models=BLOCK + 4).trained == 0


@dataclass(frozen=True)
class Telling(Objective):
    """It fails, and its sentence holds what it was told."""

    source: ClassVar[str] = "the test"
    knows: ClassVar[str] = "rate"  # type: ignore[assignment]  # a constant in place of a property

    def loss(self, step: Step) -> Tensor:
        msg = f"told {step.task.rate:.4f} of {len(step.task.rows)} rows"
        raise ValueError(msg)


def test_what_an_objective_knows_it_is_told(small: Source, variant: Variant, digits: Source, tmp_path: Path) -> None:
    """The rate of the variant; where nobody knows it, one sentence before anything is written."""
    rate = float(variant.mislabeled.mean())
    with pytest.raises(
        TrainingFailed, match=rf"a model of the pool cannot be trained: ValueError: told {rate:.4f} of 56 rows"
    ):
        retrain(small, variant, learner_of(small, Telling()), tmp_path / "told", models=2)
    unknown = source_from_arrays("digits", digits.inputs[:N], digits.labels[:N])
    column = build_variant(unknown, AsFound(), seed=0)
    with pytest.raises(BadUsage, match="must know the rate of wrong labels, and no clean label of"):
        retrain(unknown, column, learner_of(unknown, "cdr"), tmp_path / "unknown", models=2)
    assert not (tmp_path / "unknown").exists()


def test_from_the_shell(small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A truth and detectors by objectives stand under their words, are verified, and know what these were told."""
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", inputs=small.inputs, labels=small.labels, clean=small.clean)
    built = shell("build", "own.npz", "--noise", "symmetric", "--rate", "0.2")
    assert built.code == 0, built.err
    folder = next((tmp_path / "variants").iterdir())
    how = ("--models", "8", "--epochs", "1", "--workers", "1")
    done = shell("memorize", folder, *how, "--objective", "elr", "--objective-set", "strength=1")
    assert done.code == 0, done.err
    assert "8 models of mlp, overfit, elr(strength=1), 1 epochs" in done.err
    done = shell("memorize", folder, *how, "--objective", "cdr", "--pool", "detector")
    assert done.code == 0, done.err
    assert ", told the rate, seed 0, detector" in done.err
    record = read_run_record(next(tmp_path.glob("runs/*/*/seed-0")))
    assert (record.objective, record.objective_knows) == ("cdr", "rate")
    assert record.learner.objective == "cdr"
    sentences = [*verify_runs(tmp_path / "runs")]
    assert any("memorization follows from its 8 models" in sentence for sentence in sentences)
    assert any("answers follow from the pool's models" in sentence for sentence in sentences)
    rows = [row for row in leaderboard(tmp_path / "runs", truth="memorization") if row.kind == "detector"]
    assert rows
    assert all(row.truth_learner and row.truth_learner.objective == "elr(strength=1)" for row in rows)
    assert all("knows_rate" in row.information and row.learner.objective == "cdr" for row in rows)
    for words, message in (
        (("--objective", "el"), "no objective is called 'el'; did you mean 'elr'?"),
        (("--objective", "elr", "--objective-set", "foo=1"), "no option of objective 'elr' is called 'foo'"),
    ):
        refused = shell("memorize", folder, *how, *words)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert message in refused.err


def test_the_learner_of_a_block_is_that_of_its_plan(small: Source) -> None:
    """From the record of a block alone, also of an objective of the user's own, whose code is in the digest."""
    for objective in ("elr", Plain()):
        learner = learner_of(small, objective)
        assert learner_of_setup(json.loads(json.dumps(learner.setup))) == learner.learner
    assert learner_of(small, Plain()).setup["objective_code"]
