"""Retraining: models on subsets are those of the plain loop, whoever trains them and however often it was stopped."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground import checks
from noisybench.ground.errors import BadData, BadUsage, Mismatch, TrainingFailed
from noisybench.ground.locks import locked
from noisybench.ground.random_streams import derive
from noisybench.memorization import retraining, stacking
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import BLOCK, Purpose, block_path, read_block, read_pool
from noisybench.memorization.reliability import summarise
from noisybench.memorization.retraining import retrain
from noisybench.memorization.stacking import linear_layers, train_together
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.subsets import subsets
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training import machine
from noisybench.training.batches import Inputs
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.training.recipe import Recipe, learning_rate
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    return source_from_arrays(
        "digits", digits.inputs[:121], digits.labels[:121], clean=digits.clean[:121], augmentation="crop"
    )


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, Symmetric(0.2), seed=0)


def learner_of(source: Source, epochs: int = 2, model: str = "mlp", **options: str) -> SubsetPlan:
    return SubsetPlan(plan_run(source, model=model, recipe="overfit", epochs=epochs, options=options, device="cpu"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("block-*"))}


def perceptron(widths: tuple[int, ...], seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    parts: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        parts += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def train_plainly(model: nn.Module, inputs: Tensor, labels: Tensor, chosen: Tensor, recipe: Recipe, seed: int) -> None:
    """The loop that everybody writes, in the order that the seed gives."""
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        order = chosen[torch.randperm(len(chosen), generator=generator)].tolist()
        batches = [order[start : start + recipe.batch_size] for start in range(0, len(order), recipe.batch_size)]
        if len(batches[-1]) == 1:
            batches[-2:] = [batches[-2] + batches[-1]]
        for batch in batches:
            optimizer.param_groups[0]["lr"] = learning_rate(recipe, step, recipe.epochs * len(batches))
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
            step += 1


@pytest.mark.parametrize("widths", [(64, 10), (64, 128, 10), (64, 20, 33, 10)])
@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        (Recipe(epochs=4, batch_size=32, weight_decay=0.0), 85),  # the last batch has 21
        (Recipe(epochs=4, batch_size=32, weight_decay=0.05), 97),  # a single sample is left over
        (Recipe(epochs=3, batch_size=32, momentum=0.0, weight_decay=1e-3, schedule="constant"), 96),
        (Recipe(epochs=3, batch_size=128, weight_decay=5e-4), 85),  # one batch, not full
    ],
)
def test_together_is_one_by_one(
    small: Source, variant: Variant, widths: tuple[int, ...], recipe: Recipe, size: int
) -> None:
    """In float64 every weight is that of nn.Module, autograd and torch.optim.SGD to 1e-12; in float32 bits are free of K."""
    inputs = Inputs(small.inputs, torch.device("cpu")).batch(slice(None)).flatten(1)
    labels = torch.tensor(variant.labels)
    chosen = torch.stack([torch.randperm(121, generator=torch.Generator().manual_seed(k))[:size] for k in range(5)])
    fast = [perceptron(widths, k).double() for k in range(5)]
    train_together(fast, inputs.double(), labels, chosen, recipe=recipe, seeds=range(5))
    for k, model in enumerate(fast):
        plain = perceptron(widths, k).double()
        before = [parameter.clone() for parameter in plain.parameters()]
        train_plainly(plain, inputs.double(), labels, chosen[k], recipe, k)
        for ours, theirs, start in zip(model.parameters(), plain.parameters(), before, strict=True):
            assert (ours - theirs).abs().max() <= 1e-12
            assert (ours - start).abs().max() > 1e-3
    together = [perceptron(widths, k) for k in range(5)]
    train_together(together, inputs, labels, chosen, recipe=recipe, seeds=range(5))
    for k, model in enumerate(together):
        single = perceptron(widths, k)
        train_together([single], inputs, labels, chosen[k : k + 1], recipe=recipe, seeds=[k])
        assert all(torch.equal(one, five) for one, five in zip(single.parameters(), model.parameters(), strict=True))


def test_which_models_are_perceptrons() -> None:
    """Linear layers with bias and ReLU between them, after Flatten or not; anything else is trained alone."""
    linear, relu = nn.Linear(8, 8), nn.ReLU()
    for yes in ([linear], [nn.Flatten(), linear], [linear, relu, nn.Linear(8, 3)]):
        assert linear_layers(nn.Sequential(*yes)) == [part for part in yes if isinstance(part, nn.Linear)]
    frozen = nn.Linear(8, 8).requires_grad_(requires_grad=False)
    odd: list[list[nn.Module]] = [
        [], [relu], [linear, relu], [linear, linear], [linear, nn.Tanh(), linear], [nn.Linear(8, 8, bias=False)],
        [nn.Flatten(2), linear], [linear, nn.Flatten(), linear], [linear, relu, frozen], [nn.Dropout(), linear],
    ]  # fmt: skip
    for no in odd:
        assert linear_layers(nn.Sequential(*no)) is None
    assert linear_layers(linear) is None


@pytest.mark.parametrize("balanced", [True, False])
def test_a_pool_is_its_models(small: Source, variant: Variant, tmp_path: Path, balanced: bool) -> None:  # noqa: FBT001
    """Subsets, predictions, margins and held-out softmax are those of models trained one at a time by a plain loop."""
    learner = replace(learner_of(small), balanced=balanced)
    done = retrain(small, variant, learner, tmp_path, models=7, seed=5)
    pool = read_pool(tmp_path, variant)
    assert (done.models, done.trained, len(pool.included)) == (7, 7, 7)
    expected = Learner("mlp", "overfit", 2, learner.plan.trained, "input", 0.7, balanced)
    assert (pool.learner, pool.purpose, pool.seed) == (expected, "truth", 5)
    words = "fraction 0.7" if balanced else "random fraction 0.7"
    assert pool.learner.name == f"mlp, overfit, 2 epochs ({learner.plan.trained}), {words}, on input"
    seed = derive(5, "truth")
    assert np.array_equal(pool.included, subsets(range(7), 121, 0.7, seed=seed, balanced=balanced))
    inputs = Inputs(small.inputs, torch.device("cpu")).batch(slice(None))
    labels = torch.tensor(variant.labels)
    held_out = torch.zeros(121, 10)
    for number in range(7):
        own = derive(seed, "model", number)
        model = perceptron((64, 128, 10), derive(own, "weights"))
        chosen = torch.tensor(np.flatnonzero(pool.included[number]))
        train_plainly(model, inputs, labels, chosen, learner.plan.recipe, own)
        logits = model(inputs).detach()
        given = logits[range(121), labels]
        logits_of_others = logits.clone()
        logits_of_others[range(121), labels] = -1e9
        margins = given - logits_of_others.amax(1)
        np.testing.assert_allclose(pool.margins[number], margins, rtol=2e-3, atol=2e-3)
        sure = margins.abs().numpy() > 1e-3
        np.testing.assert_array_equal(pool.predictions[number][sure], logits.argmax(1)[sure])
        held_out += logits.softmax(1) * torch.tensor(~pool.included[number])[:, None]
    with np.errstate(invalid="ignore"):  # all seven saw some samples
        means = held_out.numpy() / (~pool.included).sum(0)[:, None]
    assert np.isnan(pool.held_out).any()
    np.testing.assert_allclose(pool.held_out, means, rtol=1e-3, atol=1e-5)


def test_a_pool_of_another_activation_is_its_models(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Perceptrons with SiLU cannot be trained together, and answer as those of a plain loop do; with ReLU they would not."""
    learner = learner_of(small, model="mlp(width=32, activation=silu)")
    retrain(small, variant, learner, tmp_path, models=3, seed=5)
    pool = read_pool(tmp_path, variant)
    assert pool.learner.model == "mlp(width=32, activation=silu)"
    inputs = Inputs(small.inputs, torch.device("cpu")).batch(slice(None))
    labels = torch.tensor(variant.labels)
    apart = {}
    for kind in (nn.SiLU, nn.ReLU):
        found = []
        for number in range(3):
            own = derive(derive(5, "truth"), "model", number)
            model = perceptron((64, 32, 10), derive(own, "weights"))
            model[2] = kind()
            chosen = torch.tensor(np.flatnonzero(pool.included[number]))
            train_plainly(model, inputs, labels, chosen, learner.plan.recipe, own)
            logits = model(inputs).detach()
            others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
            found.append(logits[range(121), labels] - others)
        apart[kind] = np.abs(pool.margins - torch.stack(found).numpy()).max()
    assert apart[nn.SiLU] < 0.02 < apart[nn.ReLU]
    assert not files(tmp_path).keys() - {"block-0000-of-3.npz"}


@pytest.mark.usefixtures("warm_processes")
def test_bytes_depend_on_the_seed_alone(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers, models trained at once, models asked for and earlier calls change no byte of a block; the seed does."""
    learner = learner_of(small, epochs=1)
    ticks: list[None] = []
    retrain(small, variant, learner, tmp_path / "one", models=BLOCK + 20, progress=lambda: ticks.append(None))
    assert len(ticks) == BLOCK + 20
    retrain(small, variant, learner, tmp_path / "two", models=BLOCK + 20, machine=Machine(workers=2))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    monkeypatch.setattr(stacking, "STACK_BYTES", 1 << 17)
    retrain(small, variant, learner, tmp_path / "few", models=BLOCK)
    retrain(small, variant, learner, tmp_path / "few", models=BLOCK + 20)
    assert files(tmp_path / "one") == files(tmp_path / "few")
    retrain(small, variant, learner, tmp_path / "few", models=BLOCK + 3)  # another last block stands beside
    whole = read_pool(tmp_path / "few", variant)
    part = read_pool(tmp_path / "few", variant, models=BLOCK + 3)
    assert (len(whole.included), len(part.included)) == (BLOCK + 20, BLOCK + 3)
    assert np.array_equal(part.margins, whole.margins[: BLOCK + 3])
    retrain(small, variant, learner, tmp_path / "other", models=BLOCK, seed=1)
    assert files(tmp_path / "other")["block-0000.npz"] != files(tmp_path / "one")["block-0000.npz"]


def test_the_two_purposes_share_nothing(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Truth and detector of one seed have other subsets and other models, and other folders."""
    learner = learner_of(small, epochs=1)
    pools = {}
    purposes: tuple[Purpose, ...] = ("truth", "detector")
    for purpose in purposes:
        retrain(small, variant, learner, tmp_path / purpose, models=10, purpose=purpose)
        pools[purpose] = read_pool(tmp_path / purpose, variant)
    one, other = pools.values()
    assert not (one.included[:, None] == other.included).all(2).any()
    assert not np.array_equal(one.margins, other.margins)
    assert learner.folder(purpose="truth") != learner.folder(purpose="detector")
    assert learner.folder() == learner_of(small, epochs=1).folder() != learner_of(small, epochs=2).folder()
    assert learner.folder(seed=1).startswith("mlp-overfit-input-truth-")


class Stopped(Exception):
    pass


def test_a_stopped_call_goes_on(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was whole is not trained again, what was not is, and the bytes are those of a call never stopped."""
    learner = learner_of(small, epochs=1)
    retrain(small, variant, learner, tmp_path / "whole", models=3 * BLOCK)
    left = [BLOCK + 7]

    def stop() -> None:
        left[0] -= 1
        if not left[0]:
            raise Stopped

    with pytest.raises(Stopped):
        retrain(small, variant, learner, tmp_path / "stopped", models=3 * BLOCK, progress=stop)
    assert list(files(tmp_path / "stopped")) == ["block-0000.npz"]
    ticks: list[None] = []
    done = retrain(small, variant, learner, tmp_path / "stopped", models=3 * BLOCK, progress=lambda: ticks.append(None))
    assert (done.trained, len(ticks)) == (2 * BLOCK, 3 * BLOCK)
    assert done.models_per_second > 0
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    monkeypatch.setattr(retraining, "train_together", None)  # would fail if anything were trained
    again = retrain(small, variant, learner, tmp_path / "stopped", models=3 * BLOCK)
    assert (again.trained, again.models_per_second) == (0, done.models_per_second)


def test_another_setup_is_refused(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A folder of other models is left as it is, and the first difference is said; so is a second process."""
    learner = learner_of(small, epochs=1)
    retrain(small, variant, learner, tmp_path, models=4)
    kept = files(tmp_path)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: retrain(small, variant, learner, tmp_path, models=4, seed=1), "seed = 0, now it is 1; give another"),
        (lambda: retrain(small, variant, learner, tmp_path, models=4, purpose="detector"), "purpose = truth, now"),
        (lambda: retrain(small, variant, learner_of(small, 2), tmp_path, models=4), "epochs = 1, now it is 2"),
        (
            lambda: retrain(small, variant, learner_of(small, 1, lr="0.2"), tmp_path, models=4),
            "lr = 0.1, now it is 0.2",
        ),
        (
            lambda: retrain(small, variant, replace(learner, fraction=0.5), tmp_path, models=4),
            "fraction = 0.7, now it is 0.5",
        ),
    ]
    for call, message in cases:
        with pytest.raises(BadData, match=f"block-0000-of-4.npz holds models with .*{message}"):
            call()
    other = build_variant(small, Symmetric(0.3), seed=0)
    with pytest.raises(Mismatch, match="is of variant"):
        retrain(small, other, learner, tmp_path, models=4)
    with locked(tmp_path), pytest.raises(BadData, match="another process works on"):
        retrain(small, variant, learner, tmp_path, models=4)
    block_path(tmp_path, 0, 4).write_bytes(b"PK")
    assert retrain(small, variant, learner, tmp_path, models=4).trained == 4
    assert files(tmp_path) == kept
    assert retrain(small, variant, learner, tmp_path, models=4).trained == 0


def test_versions_guard_what_is_trained(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models of another version are taken up when all are there, and never mixed with models of this one."""
    learner = learner_of(small, epochs=1)
    retrain(small, variant, learner, tmp_path, models=BLOCK)
    monkeypatch.setattr(machine, "__version__", "99.0")
    before = files(tmp_path)
    assert retrain(small, variant, learner, tmp_path, models=BLOCK).trained == 0
    with pytest.raises(BadData, match=r"holds models with versions = .*, now it is .*99\.0.*; give another --out"):
        retrain(small, variant, learner, tmp_path, models=BLOCK + 2)
    assert files(tmp_path) == before


def test_bad_numbers(small: Source, variant: Variant, tmp_path: Path, digits: Source) -> None:
    """What cannot be meant is refused before anything is written."""
    learner = learner_of(small, epochs=1)
    cases: list[tuple[dict[str, object], str]] = [
        ({"models": 1}, "models must be at least 2, got 1"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"purpose": "both"}, "no purpose of a pool is called 'both'; there are: truth, detector"),
        ({"learner": replace(learner, fraction=1.5)}, "fraction must lie strictly between"),
        ({"learner": replace(learner, features="pca")}, "the learner is one on 'pca'; give features"),
        ({"features": np.zeros((121, 3), dtype=np.float32)}, "the learner is one on 'input'; give features"),
        (
            {"learner": replace(learner, features="pca"), "features": np.zeros((120, 3), dtype=np.float32)},
            "120 rows of features for 121 samples",
        ),
    ]
    for change, message in cases:
        with pytest.raises((BadUsage, BadData), match=message):
            retrain(small, variant, change.pop("learner", learner), tmp_path / "new", **change)  # type: ignore[arg-type]
    with pytest.raises(Mismatch, match="the variant was made from 'digits'"):
        retrain(digits, variant, learner, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_answers_beyond_memory_are_refused(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of samples × classes, before anything is trained or written."""
    monkeypatch.setattr(checks, "MOST_CELLS", 1209)
    with pytest.raises(BadUsage, match=r"an answer for each class would hold 121 × 10 numbers .*: take fewer samples"):
        retrain(small, variant, learner_of(small, epochs=1), tmp_path / "new", models=2)
    assert not (tmp_path / "new").exists()


def test_a_model_that_breaks_is_named(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Weights that ran away are no answers, on the fast path or the plain one."""
    with pytest.raises(
        TrainingFailed, match="a model of the pool gives outputs that are not finite; lower the learning rate"
    ):
        retrain(small, variant, learner_of(small, epochs=3, lr="1e30"), tmp_path, models=4)
    with pytest.raises(TrainingFailed, match="the training loss is nan in epoch"):
        retrain(small, variant, learner_of(small, 3, lr="1e30", augmentation="crop"), tmp_path, models=4)
    assert not files(tmp_path)


def test_features_take_the_place_of_inputs(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A learner on features sees them and them alone, its name says so, and other features are another setup."""
    learner = replace(learner_of(small, epochs=20), features="answers")
    features = np.eye(10, dtype=np.float32)[variant.labels]
    retrain(small, variant, learner, tmp_path, models=10, features=features)
    pool = read_pool(tmp_path, variant)
    assert pool.learner.features == "answers"
    assert pool.learner.name.endswith("on answers")
    assert (estimate_memorization(pool, variant).p_out > 0.9).all()  # the label can be read off the features
    with pytest.raises(BadData, match="features_sha256 = "):
        retrain(small, variant, learner, tmp_path, models=10, features=features + 1)


def test_convolutions_and_augmentation_take_the_plain_loop(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A model with batch norm and crops trains alike here and in other processes, and its last batch is never one."""
    images = np.repeat(np.repeat(small.inputs, 2, 1), 2, 2)
    source = source_from_arrays("big", images, variant.labels, clean=small.clean, augmentation="crop")
    given = build_variant(source, Symmetric(0.2), seed=0)
    learner = learner_of(source, 1, "small_cnn", augmentation="crop", batch_size="21")  # 84 or 85 samples
    retrain(source, given, learner, tmp_path / "one", models=5)
    torch.manual_seed(9)
    retrain(source, given, learner, tmp_path / "two", models=5)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    block = read_block(block_path(tmp_path / "one", 0, 5), given)
    assert len(np.unique(block.margins, axis=0)) == 5


def test_digits_are_memorized(digits: Source, tmp_path: Path) -> None:
    """A learner that fits 20 % wrong labels memorizes them; the error is that of theory, and halves agree."""
    variant = build_variant(digits, Symmetric(0.2), seed=0)
    learner = learner_of(digits, epochs=40, batch_size="64", momentum="0.95")
    retrain(digits, variant, learner, tmp_path, models=50)
    pool = read_pool(tmp_path, variant)
    truth = estimate_memorization(pool, variant)
    summary = summarise(truth, pool, variant)
    assert (truth.n_out == 15).all()
    assert summary.mislabeled_fit > 0.97
    assert summary.mislabeled_memorization > 0.9
    assert summary.clean_memorization < 0.3
    assert summary.clean_damage > 0.6
    assert summary.split_half > 0.9
    assert summary.largest_stderr < 1.1 * np.sqrt(0.25 / 35 + 0.25 / 15)
