"""Schedules and optimisers: rates against torch's own schedulers, AdamW against its formula, and what a recipe refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.lookup import find
from noisybench.memorization.stacking import can_stack
from noisybench.training.checkpoint import CHECKPOINT, read_checkpoint, weights_of
from noisybench.training.optimizers import optimizer_of
from noisybench.training.plan import plan_run
from noisybench.training.recipe import LATER_OPTIONS, Recipe, learning_rate, recorded
from noisybench.training.susceptibility import Susceptibility
from noisybench.training.training import train
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

STEPS = 60
Torch = Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]
schedulers = torch.optim.lr_scheduler


@pytest.fixture(scope="module")
def small() -> Source:
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    inputs = (generator.normal(size=(90, 5)) + labels[:, None]).astype(np.float32)
    return source_from_arrays("small", inputs, labels, test_inputs=inputs[:30], test_labels=labels[:30])


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2), seed=0)


@pytest.mark.parametrize(
    ("recipe", "theirs"),
    [
        (Recipe(lr=0.3, schedule="cosine"), lambda o: schedulers.CosineAnnealingLR(o, STEPS)),
        (
            Recipe(lr=0.02, schedule="cosine", cosine_cycles=4, cosine_floor=0.05),
            lambda o: schedulers.CosineAnnealingWarmRestarts(o, STEPS // 4, eta_min=1e-3),
        ),
        (Recipe(schedule="multi_step"), lambda o: schedulers.MultiStepLR(o, [STEPS // 2, STEPS * 3 // 4])),
        (
            Recipe(schedule="multi_step", milestones=(0.2, 0.7, 0.9), milestone_factor=0.5),
            lambda o: schedulers.MultiStepLR(o, [12, 42, 54], gamma=0.5),
        ),
        (Recipe(schedule="constant"), lambda o: schedulers.ConstantLR(o, factor=1.0)),
        (
            Recipe(lr=0.2),
            # Straight lines up and down, read at the middle of each step: at half of a twice finer grid.
            lambda o: schedulers.LambdaLR(o, lambda s: float(np.interp(s + 0.5, [0, STEPS / 4, STEPS], [0, 1, 0]))),
        ),
    ],
    ids=["cosine", "warm restarts", "multi_step", "milestones", "constant", "one_cycle"],
)
def test_rates_are_those_of_torch(recipe: Recipe, theirs: Torch) -> None:
    """Step by step, over the whole training."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    scheduler = theirs(optimizer)
    for step in range(STEPS):
        assert learning_rate(recipe, step, STEPS) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), step
        optimizer.step()
        scheduler.step()


def test_cycles_are_as_long_as_can_be() -> None:
    """Where steps are no multiple of the cycles, each begins at most one step late, with nearly the whole rate."""
    recipe = Recipe(lr=1.0, schedule="cosine", cosine_cycles=3)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    rises = [step for step in range(1, 100) if rates[step] > rates[step - 1]]
    assert rises == [34, 67]
    assert all(rates[step] > 0.99 for step in (0, *rises))


def test_adamw_follows_its_formula() -> None:
    """Three steps on a quadratic, in float64, against algorithm 2 written out."""
    recipe = Recipe(optimizer="adamw", lr=0.1, momentum=0.8, weight_decay=0.3)
    start = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    parameter = nn.Parameter(start.clone())
    optimizer = optimizer_of([parameter], recipe)
    value, first, second = start.numpy().copy(), np.zeros(3), np.zeros(3)
    for step in range(1, 4):
        gradient = 2 * value
        optimizer.zero_grad()
        (parameter**2).sum().backward()
        optimizer.step()
        first, second = 0.8 * first + 0.2 * gradient, 0.999 * second + 0.001 * gradient**2
        change = (first / (1 - 0.8**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        value = value - 0.1 * (change + 0.3 * value)
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-12)


def stopping(after: int) -> Callable[[], None]:
    """A progress that stops the training after so many epochs."""
    left = [after]

    def step() -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return step


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=4, batch_size=30, optimizer="adamw", lr=0.01, schedule="cosine", cosine_cycles=2),
        Recipe(epochs=4, batch_size=30, schedule="multi_step", milestones=(0.4,)),
    ],
    ids=["adamw, cosine", "sgd, multi_step"],
)
def test_a_stopped_training_ends_with_the_same_bytes(
    recipe: Recipe, small: Source, variant: Variant, tmp_path: Path
) -> None:
    """After any epoch, with the optimiser's own step watched by the authors' susceptibility, which changes nothing."""
    build, probes = find("models", "mlp"), [find("probes", "correct"), find("probes", "loss")]
    authors = Susceptibility("authors")
    whole = train(small, variant, build, recipe, probes, seed=1, susceptibility=authors, folder=tmp_path / "whole")
    unseen = train(small, variant, build, recipe, [], seed=1)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), unseen.model.parameters(), strict=True))
    for last in (1, 3):
        folder = tmp_path / f"stopped-{last}"
        with pytest.raises(KeyboardInterrupt):
            train(
                small,
                variant,
                build,
                recipe,
                probes,
                seed=1,
                susceptibility=authors,
                folder=folder,
                progress=stopping(last),
            )
        train(small, variant, build, recipe, probes, seed=1, susceptibility=authors, folder=folder)
        for name in (CHECKPOINT, "history.parquet", "trace/epoch-0004.parquet"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize("lost", ["0.step", "1.exp_avg_sq"])
def test_a_checkpoint_that_lacks_some_of_adamw_is_refused(
    lost: str, small: Source, variant: Variant, tmp_path: Path
) -> None:
    """In one sentence; so is one whose count of steps has another shape."""
    recipe = Recipe(epochs=1, batch_size=30, optimizer="adamw", lr=0.01)
    trained = train(small, variant, find("models", "mlp"), recipe, [], seed=0, folder=tmp_path)
    found = read_checkpoint(tmp_path / CHECKPOINT)
    optimizer = optimizer_of(trained.model.parameters(), recipe)
    found.restore(weights_of(trained.model), optimizer, tmp_path)
    assert {key.partition(".")[2] for key in found.optimizer} == {"step", "exp_avg", "exp_avg_sq"}
    for changed in (
        {key: value for key, value in found.optimizer.items() if key != lost},
        {**found.optimizer, "0.step": torch.ones(2)},
        {**found.optimizer, "0.momentum_buffer": found.optimizer["0.exp_avg"]},
    ):
        object.__setattr__(found, "optimizer", changed)
        with pytest.raises(BadData, match="weights of another model"):
            found.restore(weights_of(trained.model), optimizer, tmp_path)


def test_what_is_at_its_default_stands_in_no_record(small: Source) -> None:
    """So that nothing is renamed; what differs is in digest and record."""
    plain = plan_run(small)
    assert not {*recorded(plain.recipe)} & {*LATER_OPTIONS}
    options = {"optimizer": "adamw", "schedule": "multi_step", "milestones": "0.5, 0.8"}
    other = plan_run(small, options=options)
    assert {*recorded(other.recipe)} & {*LATER_OPTIONS} == {"optimizer", "milestones"}
    assert recorded(other.recipe)["milestones"] == [0.5, 0.8]
    assert (other.recipe.lr, other.recipe.weight_decay) == (1e-3, 1e-2)
    assert other.trained != plain.trained
    assert other.folder != plain.folder
    assert plan_run(small, recipe="overfit", options={"optimizer": "adamw", "lr": "0.01"}).recipe.lr == 0.01


def test_adamw_is_not_trained_many_at_a_time(small: Source) -> None:
    """The batched products know SGD alone; every schedule is the recipe's own there."""
    model = find("models", "mlp")(num_classes=3, input_shape=small.input_shape)
    assert can_stack(model, Recipe(schedule="cosine"))
    assert not can_stack(model, Recipe(optimizer="adamw"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "adam"}, "must be one of sgd, adamw, got 'adam'"),
        ({"schedule": "cosine", "cosine_cycles": "0"}, "cosine_cycles must be at least 1"),
        ({"schedule": "cosine", "cosine_floor": "2"}, "cosine_floor must be a share from 0 to 1, got 2"),
        ({"schedule": "multi_step", "milestones": "0.8,0.5"}, "shares between 0 and 1 that ascend, such as 0.5,0.75"),
        ({"schedule": "multi_step", "milestones": "soon"}, "'milestones' of the recipe must be a number, got 'soon'"),
        ({"cosine_cycles": "2"}, "cosine_cycles is an option of schedule=cosine, and the schedule is one_cycle"),
        ({"milestones": "0.3"}, "milestones is an option of schedule=multi_step"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, str], words: str, small: Source) -> None:
    with pytest.raises(BadUsage, match=words):
        plan_run(small, options=options)
