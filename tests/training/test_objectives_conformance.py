"""Every objective of the drawer keeps the contract of ``noisybench.training.objective``; a new one without a change here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from objective_steps import step_of, task_of
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.lookup import find, names
from noisybench.ground.options import parse_options, plain_options
from noisybench.training.checkpoint import CHECKPOINT
from noisybench.training.machine import Machine
from noisybench.training.objective import BY_PRODUCTS, Knowledge, Objective, State, Task, choose_objective
from noisybench.training.recipe import Recipe
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

OBJECTIVES = names("objectives")
N, K, FEATURES, EPOCHS = 18, 3, 5, 20
INPUTS = torch.randn(N, FEATURES, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(N) % K
LAST_DROPPED = torch.arange(N - 1)
"""Samples that are trained on: a person dropped the last."""


def made(name: str, **options: Any) -> Objective:  # noqa: ANN401 - of any objective
    objective = find("objectives", name)(**options)
    assert isinstance(objective, Objective)
    return objective


def task_for(objective: Objective) -> Task:
    """What it is told: of the truth no more than it says that it knows."""
    transition = torch.full((K, K), 0.1) + 0.7 * torch.eye(K) if objective.knows == "transition" else None
    rate = 0.2 if objective.knows == "rate" else None
    return task_of(LABELS, K, epochs=EPOCHS, rows=LAST_DROPPED, transition=transition, rate=rate)


class Trained:
    """A linear model that an objective trains, by hand, on two batches an epoch."""

    def __init__(self, objective: Objective) -> None:
        torch.manual_seed(0)
        self.objective, self.task = objective, task_for(objective)
        self.model, self.branch = nn.Linear(FEATURES, K), objective.branch(FEATURES)
        self.state = objective.start(self.task)
        self.losses: list[Tensor] = []

    def parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *(self.branch.parameters() if self.branch else ())]

    def batch(self, chosen: Tensor, epoch: int, *, logits: Tensor | None = None, state: State | None = None) -> Any:  # noqa: ANN401 - a ``Step``
        """The step of some samples; its generator begins anew."""
        return step_of(
            self.model(INPUTS[chosen]) if logits is None else logits,
            LABELS[chosen],
            self.task,
            self.state if state is None else state,
            epoch=epoch,
            chosen=chosen,
            branch=self.branch(INPUTS[chosen]) if self.branch else None,
            seed=epoch,
            ask=lambda numbers: self.model(INPUTS[numbers]),
        )

    def epoch(self, epoch: int) -> None:
        order = torch.randperm(N - 1, generator=torch.Generator().manual_seed(epoch))
        for chosen in order.split(9):
            loss = self.objective.loss(self.batch(chosen, epoch))
            for parameter in self.parameters():
                parameter.grad = None
            loss.backward()
            self.objective.after_backward(self.parameters(), self.task, epoch)
            with torch.no_grad():
                for parameter in self.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(0.1 * parameter.grad)
            self.losses.append(loss.detach())
        self.objective.end_epoch(self.state, self.task, epoch, lambda: self.model(INPUTS).detach().softmax(1))

    def until(self, epoch: int) -> "Trained":
        """Trained from its first epoch up to this one."""
        for each in range(1, epoch + 1):
            self.epoch(each)
        return self


@cache
def trained_once(name: str, epoch: int = EPOCHS) -> Trained:
    """What several tests look at, and none goes on with."""
    return Trained(made(name)).until(epoch)


def copied(state: Mapping[str, Tensor]) -> State:
    return {name: tensor.clone() for name, tensor in state.items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_drawer_holds_those_of_the_papers() -> None:
    """Each name is that of a file."""
    expected = {"cross_entropy", "label_smoothing", "generalised_cross_entropy", "nce_rce", "forward_correction"}
    expected |= {"backward_correction", "peer_loss", "cores", "bootstrapping"}
    assert expected <= {*OBJECTIVES}


@pytest.mark.parametrize("name", OBJECTIVES)
class TestObjective:
    def test_it_is_cited_and_says_what_it_knows_and_leaves(self, name: str) -> None:
        """Authors, year and place, in words that a table can show."""
        kind = find("objectives", name)
        assert issubclass(kind, Objective)
        assert is_dataclass(made(name))
        assert re.search(r"\w+ .*\b(19|20)\d\d, .+", kind.source) or name == "cross_entropy"
        assert made(name).knows in get_args(Knowledge)
        assert {*kind.leaves} <= BY_PRODUCTS.keys()
        assert choose_objective(name).name == choose_objective(made(name)).name == name

    def test_it_is_frozen_and_equal_by_its_options(self, name: str) -> None:
        """So that it can be compared, hashed and recorded."""
        objective = made(name)
        assert objective == made(name)
        assert hash(objective) == hash(made(name))
        for field in fields(objective):  # type: ignore[arg-type]  # a dataclass
            with pytest.raises(FrozenInstanceError):
                setattr(objective, field.name, 0)

    def test_its_options_are_read_from_text(self, name: str) -> None:
        """Each at its default, as a record tells it; another name is refused with those that there are."""
        kind = find("objectives", name)
        told = {key: str(value) for key, value in plain_options(made(name)).items()}
        assert told.keys() == {field.name for field in fields(kind)}
        for options in ({}, told, *({key: text} for key, text in told.items())):
            assert parse_options(kind, options, what=name) == made(name)
        with pytest.raises(UnknownName, match="no option of .* is called 'colour'"):
            choose_objective(name, {"colour": "1"})

    def test_values_that_cannot_be_meant_are_refused(self, name: str) -> None:
        """As they are made, in one sentence that names the option: not as a number, nor where it is out of range."""
        kind = find("objectives", name)
        for key, hint in get_type_hints(kind).items():
            if key not in {field.name for field in fields(kind)} or hint is bool:
                continue
            wrong: list[Any] = ["nothing", None, float("nan")] if get_origin(hint) is Literal else [
                "x", None, float("nan"), float("inf"), [1.0],
            ]  # fmt: skip
            for value in wrong:
                with pytest.raises(BadUsage, match=key) as caught:
                    made(name, **{key: value})
                assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(("epoch", "trained"), [(1, 0), (10, 9), (20, 20)])
    def test_its_loss_is_finite_and_reaches_the_logits(self, name: str, epoch: int, trained: int) -> None:
        """Also where the model is as sure as float32 lets it be, of the given label and of another."""
        run = trained_once(name, trained)
        chosen = torch.arange(8)
        sure = 90 * F.one_hot(torch.arange(8) % K + torch.tensor([0, 1] * 4) % K, 2 * K)[:, :K].float()
        for logits in (run.model(INPUTS[chosen]), sure, -sure):
            leaf = logits.detach().requires_grad_()
            loss = run.objective.loss(run.batch(chosen, epoch, logits=leaf, state=copied(run.state)))
            assert loss.shape == ()
            assert loss.isfinite()
            loss.backward()
            assert leaf.grad is not None
            assert leaf.grad.isfinite().all()
            if logits is not sure and logits is not -sure:
                assert leaf.grad.any()

    def test_nothing_but_the_samples_and_the_generator_decides(self, name: str) -> None:
        """The same bits again, whatever torch's own generator is; which is left as it was."""
        one, other = trained_once(name), Trained(made(name))
        torch.manual_seed(5)
        before = torch.get_rng_state()
        other.until(EPOCHS)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(torch.stack(one.losses), torch.stack(other.losses))
        assert same(one.model.state_dict(), other.model.state_dict())
        assert same(one.state, other.state)

    def test_the_order_within_a_batch_changes_only_the_order(self, name: str) -> None:
        """Loss, gradients and state are those of the samples."""
        run = trained_once(name, 9)
        chosen, order = torch.arange(3, 11), torch.tensor([3, 1, 0, 7, 5, 2, 6, 4])
        results = []
        for samples in (chosen, chosen[order]):
            leaf, state = run.model(INPUTS[samples]).detach().requires_grad_(), copied(run.state)
            loss = run.objective.loss(run.batch(samples, 10, logits=leaf, state=state))
            loss.backward()
            assert leaf.grad is not None
            results.append((loss.detach(), leaf.grad, state))
        (loss, gradient, state), (other, permuted, after) = results
        torch.testing.assert_close(other, loss)
        torch.testing.assert_close(permuted, gradient[order])
        for key, values in state.items():
            torch.testing.assert_close(after[key], values)

    def test_its_state_is_all_that_it_keeps(self, name: str) -> None:
        """Tensors of one shape and type from the start on, with which another instance goes on to the same bits."""
        whole, first = trained_once(name), trained_once(name, 9)
        second = Trained(made(name))
        assert all(type(tensor) is Tensor and not tensor.requires_grad for tensor in second.state.values())
        shapes = {key: (tensor.shape, tensor.dtype) for key, tensor in second.state.items()}
        assert {key: (tensor.shape, tensor.dtype) for key, tensor in whole.state.items()} == shapes
        second.model.load_state_dict(first.model.state_dict())
        if second.branch and first.branch:
            second.branch.load_state_dict(first.branch.state_dict())
        for key, tensor in first.state.items():
            second.state[key].copy_(tensor)
        for epoch in range(10, EPOCHS + 1):
            second.epoch(epoch)
        assert same(whole.state, second.state)
        assert same(whole.model.state_dict(), second.model.state_dict())

    def test_it_leaves_what_it_says(self, name: str) -> None:
        """For all samples, also of one that a person dropped: a target (n, k), a trust (n,) from 0 to 1."""
        run = trained_once(name)
        columns = run.objective.by_products(run.state, run.task)
        assert {*columns} == {*run.objective.leaves}
        for column, values in columns.items():
            assert values.shape == ((N, K) if column == "objective.target" else (N,))
            assert values.isfinite().all()
            assert ((values >= 0) & (values <= 1)).all()


# --- in a real training ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> tuple[Source, Variant]:
    """A few digits, a fifth of them with a wrong label."""
    source = load_source("digits", limit=64)
    return source, build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)


def trained(
    digits: tuple[Source, Variant],
    objective: str,
    *,
    epochs: int = EPOCHS,
    folder: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Training:
    recipe = Recipe(epochs=epochs, batch_size=32, lr=0.05)
    return train(
        *digits, find("models", "mlp"), recipe, [find("probes", "loss")], seed=0, machine=Machine(checkpoint_every=2),
        objective=objective, folder=folder, progress=progress,
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(digits: tuple[Source, Variant]) -> Training:
    return trained(digits, "cross_entropy")


WAITS = {"cores": 3, "forward_correction": 4, "backward_correction": 4}
"""Epochs of twenty in which an objective is cross-entropy yet; of others nothing is said here."""


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "cross_entropy"])
def test_it_has_begun_in_twenty_epochs(name: str, digits: tuple[Source, Variant], plain: Training) -> None:
    """By half of the training, the losses of samples differ from those that cross-entropy leaves."""
    waits = WAITS.get(name, 0)
    apart = abs(trained(digits, name).trace["loss"] - plain.trace["loss"]).mean(1)
    assert (apart[:waits] < 1e-5).all()
    assert (apart[10:] > 0.01).all()


class Stopped(Exception):
    """The training was stopped."""


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if made(name).start(task_for(made(name)))])
def test_one_that_keeps_something_goes_on_after_a_stop(
    name: str, digits: tuple[Source, Variant], tmp_path: Path
) -> None:
    """In the fifth epoch of six, back to the fourth: to the bytes of a training that was never stopped."""
    left = iter(range(5))

    def stop() -> None:
        if next(left) == 4:
            raise Stopped

    trained(digits, name, epochs=6, folder=tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(digits, name, epochs=6, folder=tmp_path / "stopped", progress=stop)
    trained(digits, name, epochs=6, folder=tmp_path / "stopped")
    files = [CHECKPOINT, "history.parquet", *(f"trace/epoch-{epoch:04}.parquet" for epoch in (1, 4, 5, 6))]
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "stopped" / file).read_bytes(), file
