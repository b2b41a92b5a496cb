"""Any model trained many at a time: its weights are those of a plain loop of nn.Module, autograd and torch.optim, alone."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage, TrainingFailed
from noisybench.ground.random_streams import derive
from noisybench.memorization import vectorised
from noisybench.memorization.pool import BLOCK, block_path, read_block
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.vectorised import models_that_pay, refusal, seconds_of_step, train_vectorised
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.batches import Inputs
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.training.recipe import Recipe, learning_rate
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

CPU = torch.device("cpu")


class Wide(nn.Module):
    """Inputs in float64, as the weights are."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.double()


class Counting(nn.Module):
    """A buffer that is replaced at every step, and no in-place operation tells so."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.mean: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * inputs.mean((0, 2, 3))
        return inputs - self.mean.detach()[:, None, None]


class Reading(nn.Module):
    """A model that looks at its numbers, which no stacked pass can."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.linear(inputs.flatten(1))
        return logits if logits.mean().item() < 1e9 else -logits


def build_reading(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    del num_classes
    return Reading(int(np.prod(input_shape)))


def build_dropping(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(int(np.prod(input_shape)), num_classes))


@pytest.fixture(scope="module")
def images(digits: Source) -> Source:
    shown = np.repeat(digits.inputs[:61], 2, axis=1).repeat(2, axis=2)  # the least that small_cnn takes, and some crops
    return source_from_arrays("digits", shown, digits.labels[:61], clean=digits.clean[:61], augmentation="crop_flip")


@pytest.fixture(scope="module")
def variant(images: Source) -> Variant:
    return build_variant(images, Symmetric(0.2), seed=0)


def learner_of(source: Source, model: object = "small_cnn(width=2)", **options: str) -> SubsetPlan:
    given = {"batch_size": "16", "augmentation": "none", **options}
    return SubsetPlan(plan_run(source, model=model, recipe="overfit", epochs=2, options=given, device="cpu"))  # type: ignore[arg-type]


def convolutional(seed: int) -> nn.Module:
    """Batch norm, a bias, pooling, a buffer of its own, and a frozen weight."""
    torch.manual_seed(seed)
    frozen = nn.Conv2d(4, 4, 1).requires_grad_(requires_grad=False)
    parts: list[nn.Module] = [
        Wide(), nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), Counting(), frozen,
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10),
    ]  # fmt: skip
    return nn.Sequential(*parts).double()


def train_plainly(model: nn.Module, data: Inputs, labels: Tensor, chosen: Tensor, recipe: Recipe, seed: int) -> None:
    """The loop that everybody writes, in the order and with the crops that the seed gives."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "adamw":
        optimizer = torch.optim.AdamW(trained, betas=(recipe.momentum, 0.999), weight_decay=recipe.weight_decay)
    else:
        decay = recipe.weight_decay
        optimizer = torch.optim.SGD(trained, momentum=recipe.momentum, weight_decay=decay, nesterov=True)
    model.train()
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        crops = torch.Generator().manual_seed(derive(seed, "augment", epoch))
        batches = chosen[torch.randperm(len(chosen), generator=generator)].split(recipe.batch_size)
        for batch in batches:
            optimizer.param_groups[0]["lr"] = learning_rate(recipe, step, recipe.epochs * len(batches))
            optimizer.zero_grad()
            F.cross_entropy(model(data.augmented(batch, recipe.augmentation, crops)), labels[batch]).backward()
            optimizer.step()
            step += 1


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=6, batch_size=16, lr=0.1, weight_decay=5e-3, augmentation="crop_flip"),
        Recipe(epochs=6, batch_size=16, lr=0.01, schedule="cosine", weight_decay=0.05, optimizer="adamw"),
    ],
)
def test_stacked_is_one_by_one(images: Source, variant: Variant, recipe: Recipe) -> None:
    """In float64 weights, batch-norm statistics and buffers are those of each model alone to 1e-10 after 18 steps."""
    data, labels = Inputs(images.inputs, CPU), torch.tensor(variant.labels)
    chosen = torch.stack([torch.randperm(61, generator=torch.Generator().manual_seed(k))[:42] for k in range(3)])
    stacked = [convolutional(k) for k in range(3)]
    train_vectorised(stacked, data, labels, chosen, recipe=recipe, seeds=range(3))
    for k, model in enumerate(stacked):
        plain, start = convolutional(k), convolutional(k).state_dict()
        train_plainly(plain, data, labels, chosen[k], recipe, k)
        theirs = plain.state_dict()
        assert set(theirs) == set(model.state_dict())
        for name, ours in model.state_dict().items():
            assert (ours - theirs[name]).abs().max() <= 1e-10, name
            assert name.startswith("5.") or (ours - start[name]).abs().max() > 1e-4, name  # the frozen one stays


def test_several_draw_as_each_alone(images: Source) -> None:
    """Crops and mirrorings of a batch by three generators are those of three batches by one each."""
    data = Inputs(images.inputs, CPU)
    chosen = torch.arange(12)
    several = data.augmented(chosen, "crop_flip", [torch.Generator().manual_seed(k) for k in range(3)])
    alone = [data.augmented(chosen[4 * k : 4 * k + 4], "crop_flip", torch.Generator().manual_seed(k)) for k in range(3)]
    assert torch.equal(several, torch.cat(alone))


def test_a_pool_trained_together(images: Source, variant: Variant, tmp_path: Path) -> None:
    """Float32 answers differ by less than 1e-3 from those of one by one; how many at a time is recorded and kept to."""
    learner = learner_of(images)
    retrain(images, variant, learner, tmp_path / "one", models=5)
    retrain(images, variant, learner, tmp_path / "some", models=5, machine=Machine(together=2))
    one, some = (read_block(block_path(tmp_path / name, 0, 5), variant) for name in ("one", "some"))
    assert "together" not in one.record["setup"]
    assert some.record["setup"] == {**one.record["setup"], "together": 2}
    np.testing.assert_allclose(some.margins.astype(float), one.margins.astype(float), atol=2e-3, rtol=2e-3)
    np.testing.assert_allclose(some.held_out, one.held_out, atol=1e-3)
    before = (tmp_path / "some" / "block-0000-of-5.npz").read_bytes()
    (tmp_path / "some" / "block-0000-of-5.npz").unlink()
    retrain(images, variant, learner, tmp_path / "some", models=5, machine=Machine(together=2))
    assert (tmp_path / "some" / "block-0000-of-5.npz").read_bytes() == before


def test_a_pool_goes_on_as_it_began(images: Source, variant: Variant, tmp_path: Path) -> None:
    """Without a number that of the blocks that are there is taken; another number is refused, in either direction."""
    learner = learner_of(images, build_dropping)
    retrain(images, variant, learner, tmp_path / "some", models=BLOCK, machine=Machine(together=4))
    assert retrain(images, variant, learner, tmp_path / "some", models=BLOCK + 2).trained == 2
    last = read_block(block_path(tmp_path / "some", 1, 2), variant)
    assert last.record["setup"]["together"] == 4
    with pytest.raises(BadData, match="together = 4, now it is 1; give another --out"):
        retrain(images, variant, learner, tmp_path / "some", models=BLOCK + 3, machine=Machine(together=1))
    retrain(images, variant, learner, tmp_path / "one", models=2)
    with pytest.raises(BadData, match="together = None, now it is 4; give another --out"):
        retrain(images, variant, learner, tmp_path / "one", models=2, machine=Machine(together=4))
    with pytest.raises(BadUsage, match="together must be at least 1, got 0"):
        Machine(together=0)


def test_dropout_draws_for_each_model(images: Source, variant: Variant) -> None:
    """Two models of the same weights, samples and order drop different inputs, and the same ones when trained again."""

    def trained() -> list[Tensor]:
        torch.manual_seed(0)
        model = build_dropping(num_classes=10, input_shape=(1, 16, 16))
        models = [model, build_dropping(num_classes=10, input_shape=(1, 16, 16))]
        models[1].load_state_dict(model.state_dict())
        chosen = torch.arange(40).expand(2, 40)
        recipe = Recipe(epochs=1, batch_size=16)
        data = Inputs(images.inputs, CPU)
        train_vectorised(models, data, torch.tensor(variant.labels), chosen, recipe=recipe, seeds=[7, 7])
        return [one.get_parameter("2.weight").detach() for one in models]

    first, second = trained()
    assert not torch.allclose(first, second)
    assert all(torch.equal(before, after) for before, after in zip((first, second), trained(), strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": build_reading}, "item"),
        ({"objective": "elr"}, "the objective is elr"),
    ],
)
def test_what_cannot_be_stacked_is_trained_alone(
    images: Source,
    variant: Variant,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, object],
    words: str,
) -> None:
    """A line says why, and the blocks are those of one by one to the byte; who did not ask reads nothing."""
    how = {"model": "small_cnn(width=2)", "recipe": "overfit", "epochs": 1, "options": {"augmentation": "none"}}
    learner = SubsetPlan(plan_run(images, device="cpu", **{**how, **change}))  # type: ignore[arg-type]
    retrain(images, variant, learner, tmp_path / "one", models=2)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "noisybench"):
        retrain(images, variant, learner, tmp_path / "some", models=2, machine=Machine(together=2))
    assert "is trained one by one: it cannot be trained together with others" in caplog.text
    assert words in caplog.text
    names = [tmp_path / name / "block-0000-of-2.npz" for name in ("one", "some")]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_perceptrons_keep_their_own_way(digits: Source, tmp_path: Path) -> None:
    """Perceptrons by SGD are trained by batched products whatever is asked, to the same bytes."""
    given = build_variant(digits, Symmetric(0.2), seed=0)
    learner = SubsetPlan(plan_run(digits, model="mlp(width=4)", recipe="overfit", epochs=1, device="cpu"))
    for name, machine in (("one", Machine()), ("some", Machine(together=2))):
        retrain(digits, given, learner, tmp_path / name, models=2, machine=machine)
    names = [tmp_path / name / "block-0000-of-2.npz" for name in ("one", "some")]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_a_loss_that_runs_away_is_told(images: Source, variant: Variant, tmp_path: Path) -> None:
    """As it is of one by one, and nothing is written."""
    learner = replace(learner_of(images, lr="1e30"))
    with pytest.raises(TrainingFailed, match="the training loss of a model of the pool is not finite in epoch"):
        retrain(images, variant, learner, tmp_path, models=2, machine=Machine(together=2))
    assert not list(tmp_path.glob("block-*"))


@pytest.mark.parametrize(
    ("per_model", "among", "expected"),
    [
        (1, 2.0, 32),  # memory for many: a power of two up to the block
        (1, 31.0, 1),  # no faster than alone
        (20, 2.0, 4),  # 50 of 100 bytes, the first of which takes 5 more
        (60, 2.0, 1),
    ],
)
def test_how_many_pay(
    images: Source, monkeypatch: pytest.MonkeyPatch, per_model: int, among: float, expected: int
) -> None:
    """Of a card of 200 bytes, with times that are made up: as many as fit in half of it, where they are faster."""
    card = SimpleNamespace(total_memory=200)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)

    def peak(_fresh: object, _data: object, _recipe: object, count: int) -> int:
        return 5 + per_model * count

    def seconds(_fresh: object, _data: object, _recipe: object, count: int) -> float:
        return among if count > 1 else 1.0

    monkeypatch.setattr(vectorised, "_peak", peak)
    monkeypatch.setattr(vectorised, "seconds_of_step", seconds)
    fresh: Callable[[int], nn.Module] = convolutional
    assert models_that_pay(fresh, Inputs(images.inputs, CPU), Recipe(), BLOCK) == expected


def test_a_step_is_timed(images: Source) -> None:
    """A number of seconds, of models that can be stacked."""
    data = Inputs(images.inputs, CPU)
    assert refusal(convolutional, data, Recipe(batch_size=8), 10) is None
    assert 0 < seconds_of_step(convolutional, data, Recipe(batch_size=8), 2, steps=1) < 60
