"""The objective of a training: what it may have, what it is told, and what it leaves. Its own draws change no other."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisybench.board.verification import verify
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, TrainingFailed, UnknownName
from noisybench.items import find
from noisybench.runs.folder import read_run_record
from noisybench.runs.training_run import plan_evaluation, train_and_score
from noisybench.training.asking import Batch
from noisybench.training.checkpoint import CHECKPOINT, read_checkpoint
from noisybench.training.machine import Machine
from noisybench.training.objective import (
    Knowledge,
    Objective,
    State,
    Step,
    Task,
    able_to_read,
    by_product,
    choose_objective,
)
from noisybench.training.objective_contract import begin_objective, check_kept, checked_loss, shapes_of
from noisybench.training.plan import plan_run
from noisybench.training.recipe import Recipe
from noisybench.training.susceptibility import Susceptibility
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

RECIPE = Recipe(epochs=4, batch_size=32)


@dataclass(frozen=True)
class Everything(Objective):
    """All that an objective may have: a state, a branch, draws of its own, further samples and changed gradients."""

    pull: float = 0.5
    source: ClassVar[str] = "this test"
    leaves: ClassVar[tuple[str, ...]] = ("objective.target", "objective.indicator")

    def branch(self, features: int) -> nn.Module:
        """One unit."""
        return nn.Linear(features, 1)

    def start(self, task: Task) -> State:
        """Targets, trusts, and how often the model was asked about everybody."""
        targets = F.one_hot(task.labels, task.num_classes).float()
        return {"target": targets, "trust": torch.zeros(len(task.labels)), "asked": torch.zeros(())}

    def loss(self, step: Step) -> Tensor:
        """Of the batch and of as many random samples."""
        assert step.branch is not None
        trust = step.branch[:, 0].sigmoid()
        step.state["trust"][step.chosen] = trust.detach()
        target = step.state["target"]
        target[step.chosen] = 0.9 * target[step.chosen] + 0.1 * step.logits.detach().softmax(1)
        others = torch.randint(len(step.task.labels), step.chosen.shape, generator=step.generator)
        further = F.cross_entropy(step.ask(others), step.task.labels[others])
        return F.cross_entropy(step.logits, step.labels) + self.pull * further - 0.1 * trust.log().mean()

    def after_backward(self, parameters: Sequence[nn.Parameter], task: Task, epoch: int) -> None:  # noqa: ARG002
        """Halve every gradient in the first epoch."""
        for parameter in parameters:
            if parameter.grad is not None and epoch == 1:
                parameter.grad.mul_(0.5)

    def end_epoch(self, state: State, task: Task, epoch: int, probabilities: Callable[[], Tensor]) -> None:
        """Ask about everybody, in the second epoch."""
        if epoch == 2:
            answers = probabilities()
            assert answers.shape == (len(task.labels), task.num_classes)
            assert torch.allclose(answers.sum(1), torch.ones(len(answers)), atol=1e-5)
            state["asked"] += answers.sum()

    def by_products(self, state: State, task: Task) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Both."""
        return {"objective.target": state["target"], "objective.indicator": state["trust"]}


@dataclass(frozen=True)
class Telling(Objective):
    """Keeps what it was told."""

    about: str = "rate"
    source: ClassVar[str] = "this test"

    @property
    def knows(self) -> Knowledge:
        """As it is told to."""
        return "rate" if self.about == "rate" else "transition"

    def start(self, task: Task) -> State:
        """What it was told of the truth."""
        return {
            "rate": torch.tensor(-1.0 if task.rate is None else task.rate),
            "transition": _or_empty(task.transition),
        }

    def loss(self, step: Step) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(step.logits, step.labels)


def _or_empty(values: Tensor | None) -> Tensor:
    return torch.empty(0) if values is None else values


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    chosen = {name: getattr(digits, name)[:150] for name in ("inputs", "labels", "clean")}
    inputs, labels, clean = chosen.values()
    told = {"test_inputs": digits.test_inputs, "test_labels": digits.test_labels}
    return source_from_arrays("digits", inputs, labels, clean=clean, augmentation="crop", **told)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2), seed=0)


def with_batch_norm(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    shape = int(np.prod(input_shape))
    layers = (nn.Flatten(), nn.Linear(shape, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2))
    return nn.Sequential(*layers, nn.Linear(16, num_classes))


def same(one: Training, other: Training) -> bool:
    """Whether two trainings ended with the same weights and histories."""
    kept, again = one.model.state_dict(), other.model.state_dict()
    alike = all(torch.equal(tensor, again[name]) for name, tensor in kept.items())
    return alike and all(np.array_equal(one.history[n], other.history[n], equal_nan=True) for n in ("train_loss",))


def test_a_stopped_run_ends_with_the_same_bytes(small: Source, variant: Variant, tmp_path: Path) -> None:
    """State, branch and the branch's momentum come back from the checkpoint of the second epoch."""
    recipe = replace(RECIPE, augmentation="crop")
    probes = [plan_run(small).watch.probe(name) for name in ("loss", *Everything.leaves)]
    told = {"seed": 3, "objective": Everything(), "susceptibility": Susceptibility("authors")}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(small, variant, with_batch_norm, recipe, probes, folder=whole, **told)  # type: ignore[arg-type]
    done = 0

    def stop() -> None:
        nonlocal done
        done += 1
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small, variant, with_batch_norm, recipe, probes, folder=stopped, progress=stop, **told)  # type: ignore[arg-type]
    train(small, variant, with_batch_norm, recipe, probes, folder=stopped, **told)  # type: ignore[arg-type]
    files = sorted(
        path.relative_to(whole) for path in whole.rglob("*") if path.is_file() and path.name != "timing.json"
    )
    assert len(files) == 2 + RECIPE.epochs
    for name in files:
        assert (whole / name).read_bytes() == (stopped / name).read_bytes(), name


@pytest.mark.parametrize("observe", ["after", "during"])
def test_looking_changes_nothing(small: Source, variant: Variant, observe: str) -> None:
    """With every column of it watched, and with none."""
    plain = train(small, variant, with_batch_norm, RECIPE, [], seed=0, objective=Everything())
    watch = plan_run(small).watch
    probes = [watch.probe(name) for name in ("loss", *Everything.leaves)]
    watched = train(
        small,
        variant,
        with_batch_norm,
        RECIPE,
        probes,
        seed=0,
        objective=Everything(),
        every=watch.every(Everything.leaves),
        observe=observe,  # type: ignore[arg-type]
        susceptibility=Susceptibility("authors"),
    )
    assert same(plain, watched)
    target, trust = (watched.trace[name] for name in Everything.leaves)
    assert target.shape == (1, len(variant.labels), 10)
    assert np.allclose(target.sum(2), 1, atol=1e-5)
    assert trust.shape == (RECIPE.epochs, len(variant.labels))
    assert ((trust > 0) & (trust < 1)).all()
    assert not same(plain, train(small, variant, with_batch_norm, RECIPE, [], seed=0))


def test_it_is_told_what_it_says_that_it_knows(small: Source, variant: Variant, tmp_path: Path) -> None:
    """The realised rate of wrong labels, or the noise's matrix; and nothing else."""
    for about in ("rate", "transition"):
        folder = tmp_path / about
        train(small, variant, with_batch_norm, RECIPE, [], seed=0, objective=Telling(about), folder=folder)
        kept = read_checkpoint(folder / CHECKPOINT).objective
        assert float(kept["rate"]) == pytest.approx(variant.mislabeled.mean() if about == "rate" else -1)
        expected = np.full((10, 10), 0.2 / 9) + np.eye(10) * (0.8 - 0.2 / 9)
        assert np.allclose(kept["transition"], expected) if about == "transition" else not kept["transition"].numel()


@pytest.mark.parametrize(("about", "what"), [("rate", "rate of wrong labels"), ("transition", "transition matrix")])
def test_what_nobody_knows_cannot_be_told(small: Source, tmp_path: Path, about: str, what: str) -> None:
    """One sentence, before anything is written."""
    unknown = source_from_arrays("x", small.inputs, small.labels, clean=np.full(len(small.labels), UNKNOWN))
    found = build_variant(unknown, find("noises", "as_found")())
    with pytest.raises(BadUsage, match=f"must know the {what}"):
        train(unknown, found, with_batch_norm, RECIPE, [], seed=0, objective=Telling(about))
    with pytest.raises(BadUsage, match=f"must know the {what}"):
        train_and_score(found, unknown, objective=Telling(about), detectors="fast", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_matrix_of_other_classes_is_no_threshold_samples(small: Source, variant: Variant) -> None:
    """Their further class has no row in the true matrix: left out of a set, refused by name, before anything is written."""
    plan, machine = plan_run(small, objective=Telling("transition")), Machine()
    planned = plan_evaluation(variant, small, plan, machine=machine, detectors="all")
    assert "aum_threshold" not in planned.detectors
    assert "second_split_forgetting" in planned.detectors
    with pytest.raises(BadUsage, match=r"'aum_threshold': .* transition matrix of 11 classes"):
        plan_evaluation(variant, small, plan, machine=machine, detectors=["aum_threshold"])


def told(classes: int = 3) -> Task:
    return Task(torch.tensor([0, 1, 2, 0]), classes, 2, torch.arange(4))


def test_a_state_is_tensors_of_its_own() -> None:
    """What a checkpoint could not give back as it was is refused in a sentence that names the objective."""

    class Odd(Telling):
        kept: ClassVar[object] = None

        def start(self, task: Task) -> Any:  # noqa: ANN401, ARG002 - what a user may give
            return self.kept() if callable(self.kept) else self.kept

    task, one = told(), torch.zeros(2)
    with_gradient = torch.zeros(1, requires_grad=True)
    for kept, fault in (
        (None, "expected a dict of names and tensors"),
        ({"a": 3}, "expected a dict of names and tensors"),
        ({3: one}, "expected a dict of names and tensors"),
        ({"a": one, "b": one[:1]}, "'b' of the state of .* shares its memory"),
        ({"a": task.labels}, "shares its memory"),
        ({"a": torch.eye(2).to_sparse()}, "is not dense"),
        ({"a": with_gradient}, "has a gradient"),
        (lambda: 1 / 0, "cannot begin: ZeroDivisionError"),
    ):
        Odd.kept = staticmethod(kept) if callable(kept) else kept
        with pytest.raises(TrainingFailed, match=fault):
            begin_objective(Odd(), task)
    shapes = shapes_of({"a": one})
    check_kept(Odd(), {"a": one + 1}, shapes, task)
    for state in ({}, {"a": one, "b": torch.ones(1)}, {"a": torch.zeros(3)}, {"a": one.double()}, {"a": 3}):
        with pytest.raises(TrainingFailed, match="of its state to another shape or kind"):
            check_kept(Odd(), state, shapes, task)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loss", "given"),
    [
        (1.5, "a float"),
        (None, "a NoneType"),
        (torch.ones(3), r"shape \(3,\)"),
        (torch.ones(()), "a loss without gradient"),
    ],
)
def test_a_loss_is_a_scalar_with_a_gradient(loss: Any, given: str) -> None:  # noqa: ANN401 - what a user may give
    """Else one sentence says what it is."""
    with pytest.raises(TrainingFailed, match=f"gave .*{given}.* expected a scalar"):
        checked_loss(Telling(), loss)
    fine = torch.ones((), requires_grad=True)
    assert checked_loss(Telling(), fine) is fine


@pytest.mark.parametrize("left", [{}, None, {"objective.target": torch.zeros(4)}, {"objective.target": [0.5]}])
def test_a_column_has_its_shape(left: Any) -> None:  # noqa: ANN401 - what a user may give
    """A target has a row of classes for each sample."""

    class Leaving(Telling):
        leaves: ClassVar[tuple[str, ...]] = ("objective.target",)

        def by_products(self, state: State, task: Task) -> Mapping[str, Tensor]:  # noqa: ARG002
            return left

    (probe,) = able_to_read([by_product("objective.target")], Leaving(), {}, told())
    with pytest.raises(TrainingFailed, match=r"as 'objective.target', expected a tensor of shape \(4, 3\)"):
        probe(Batch(nn.Identity(), torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64), num_classes=3))


def test_what_is_declared_is_what_there_is() -> None:
    """Columns, what it knows and its options, before anything is read."""

    @dataclass(frozen=True)
    class Odd(Telling):
        pair: tuple[int, ...] = (1, 2)

    with pytest.raises(BadUsage, match=r"option 'pair' .* is \(1, 2\)"):
        choose_objective(Odd())
    for declared, fault in (
        ({"leaves": ("objective.what",)}, "leaves .*expected a tuple of some of objective.target"),
        ({"leaves": "objective.target"}, "leaves 'objective.target'; expected a tuple"),
        ({"knows": "everything"}, "knows of objective .* must be one of nothing, rate, transition"),
    ):
        with pytest.raises(BadUsage, match=fault):
            choose_objective(type("Odd", (Telling,), declared)())


def test_what_is_not_left_cannot_be_asked(small: Source, variant: Variant) -> None:
    """A column of another objective, and a model without a last linear layer."""
    probe = plan_run(small).watch.probe("objective.indicator")
    with pytest.raises(BadUsage, match="not left by CrossEntropy"):
        train(small, variant, with_batch_norm, RECIPE, [probe], seed=0)

    def scaled(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(with_batch_norm(num_classes=num_classes, input_shape=input_shape), nn.Tanh())

    with pytest.raises(BadUsage, match="not what an nn.Linear of it gives"):
        train(small, variant, scaled, RECIPE, [], seed=0, objective=Everything())


def test_its_options_stay_as_they_are() -> None:
    """Else what is minimised could become another thing than the record says."""

    @dataclass
    class Loose(Objective):
        pull: float = 1.0

    with pytest.raises(BadUsage, match=r"must be a frozen dataclass, .* say @dataclass\(frozen=True\)"):
        choose_objective(Loose())


def test_it_is_found_by_name_and_named_in_words() -> None:
    """Options as text; cross-entropy has no words, and no part in a digest."""
    plain = choose_objective("cross_entropy")
    assert (plain.words, plain.digested, plain.recorded) == ("", {}, {})
    own = choose_objective(Everything(pull=0.25))
    assert own.words.endswith(":Everything(pull=0.25)")
    assert own.code is not None
    with pytest.raises(UnknownName, match="did you mean 'cross_entropy'"):
        choose_objective("crossentropy")
    with pytest.raises(BadUsage, match="options are for an objective by name"):
        choose_objective(Everything(), {"pull": "1"})


def test_a_run_says_its_objective(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Its record, its learner and its folder differ from those of cross-entropy; ``verify`` notices what was changed."""
    told = {"epochs": 2, "seeds": (0,), "detectors": ["aum"], "options": {"susceptibility": "off"}, "out": tmp_path}
    (plain,) = train_and_score(variant, small, **told)  # type: ignore[arg-type]
    (other,) = train_and_score(variant, small, objective=Everything(pull=0.25), **told)  # type: ignore[arg-type]
    assert plain.parent.name == f"mlp-standard-{plan_run(small, epochs=2, options=told['options']).setup[:8]}"  # type: ignore[arg-type]
    assert plain != other
    assert "objective" not in json.loads((plain / "run.json").read_text())
    record = read_run_record(other)
    assert record.learner.objective == record.objective
    assert record.objective_options == {"pull": 0.25}
    assert record.objective_knows == "nothing"
    assert "Everything(pull=0.25)" in record.learner.name
    assert not record.learner.is_same_training(read_run_record(plain).learner)
    told_of = json.loads((plain / "run.json").read_text())
    for change in (
        {"objective": "cross_entropy"},
        {"objective": "elr", "objective_options": {}, "objective_knows": "nothing"},
    ):
        forged = tmp_path / "forged"
        shutil.copytree(plain.parents[1], forged / plain.parents[1].name)
        (forged / plain.relative_to(tmp_path) / "run.json").write_text(json.dumps({**told_of, **change}))
        with pytest.raises(BadData, match="run.json"):
            verify(forged)
        shutil.rmtree(forged)
