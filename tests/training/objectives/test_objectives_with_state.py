"""ELR, SELC, CAR and CDR: by formulas written out here in float64, sample by sample, and by what a training does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadUsage
from noisybench.items import find
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.asking import Batch
from noisybench.training.batches import Inputs
from noisybench.training.loop import RunInProgress
from noisybench.training.models.mlp import build as mlp
from noisybench.training.objective import BY_PRODUCTS, Objective, State, Step, Task, by_product, choose_objective
from noisybench.training.objectives.car import ConfidenceAdaptiveRegularization as Car
from noisybench.training.objectives.cdr import RobustEarlyLearning as Cdr
from noisybench.training.objectives.cross_entropy import CrossEntropy
from noisybench.training.objectives.elr import EarlyLearningRegularization as Elr
from noisybench.training.objectives.selc import SelfEnsembleLabelCorrection as Selc
from noisybench.training.recipe import Recipe
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant

N, K, B = 12, 4, 7
LABELS = torch.arange(N) % K
STATEFUL: tuple[Objective, ...] = (Elr(), Selc(), Car(), Car(form="code", auxiliary=0.1), Cdr(), Cdr(gradual=1.0))


def task_of(epochs: int = 10, rate: float | None = None) -> Task:
    return Task(LABELS, K, epochs, torch.arange(N), rate=rate)


def step_of(state: State, epoch: int, seed: int, task: Task, *, spread: float = 4.0) -> Step:
    """A batch of random logits, so far apart that some are cut off, all in float64."""
    random = torch.Generator().manual_seed(seed)
    logits = (torch.randn(B, K, generator=random, dtype=torch.float64) * spread).requires_grad_()
    branch = (torch.randn(B, 1, generator=random, dtype=torch.float64) * 2).requires_grad_()
    chosen = torch.randperm(N, generator=random)[:B]
    return Step(logits, LABELS[chosen], chosen, epoch, state, task, random, lambda _: torch.empty(0), branch)


def begun(objective: Objective, task: Task) -> State:
    return {name: tensor.double() for name, tensor in objective.start(task).items()}


# --- the formulas, one sample at a time ----------------------------------------------------------------------------------


def softmax(row: Tensor) -> Tensor:
    powers = (row - row.max().detach()).exp()
    return powers / powers.sum()


def by_hand_elr(one: Elr, step: Step, targets: dict[int, Tensor]) -> Tensor:
    losses = []
    for row, label, i in zip(step.logits, step.labels.tolist(), step.chosen.tolist(), strict=True):
        p = softmax(row)
        cut = torch.where(
            p < 1e-4, torch.tensor(1e-4).double(), torch.where(p > 0.9999, torch.tensor(0.9999).double(), p)
        )
        old = targets.get(i, torch.zeros(K).double())
        targets[i] = one.momentum * old + (1 - one.momentum) * (cut / cut.sum()).detach()
        losses.append(-p[label].log() + one.strength * (1 - (targets[i] * cut).sum()).log())
    return torch.stack(losses).mean()


def by_hand_selc(one: Selc, step: Step, targets: dict[int, Tensor]) -> Tensor:
    losses = []
    for row, label, i in zip(step.logits, step.labels.tolist(), step.chosen.tolist(), strict=True):
        p = softmax(row)
        own = torch.eye(K).double()[label]
        if (step.epoch - 1) / step.task.epochs >= one.begin:
            targets[i] = one.momentum * targets.get(i, own) + (1 - one.momentum) * p.detach()
        losses.append(-(targets.get(i, own) * p.log()).sum())
    return torch.stack(losses).mean()


def by_hand_car(one: Car, step: Step, targets: dict[int, Tensor]) -> Tensor:
    assert step.branch is not None
    code, done = one.form == "code", (step.epoch - 1) / step.task.epochs
    losses = []
    rows = zip(step.logits, step.branch[:, 0], step.labels.tolist(), step.chosen.tolist(), strict=True)
    for row, answer, label, i in rows:
        p, trust = softmax(row), 1 / (1 + (-answer).exp())
        target = targets.get(i, torch.eye(K).double()[label])
        target = target.clamp(min=1e-4) if code else target
        if done >= one.begin and trust >= one.least_trust:
            target = one.momentum * target + (1 - one.momentum) * p.detach()
        target = targets[i] = target.clamp(min=1e-4) if code else target
        mixed = trust * p + (1 - trust) * target
        mixed = mixed.clamp(1e-7, 1) if code else mixed
        fit = -sum(t * q.log() for t, q in zip(target, mixed, strict=True) if t > 0)
        reverse = -((mixed if code else p) * target.clamp(min=1e-4).log()).sum()
        losses.append(fit - one.penalty * trust.log() + one.auxiliary * reverse)
    return torch.stack(losses).mean()


CASES: list[tuple[Any, Callable[[Any, Step, dict[int, Tensor]], Tensor]]] = [
    (Elr(), by_hand_elr),
    (Elr(strength=7, momentum=0.9), by_hand_elr),
    (Selc(), by_hand_selc),
    (Selc(begin=0.0, momentum=0.5), by_hand_selc),
    (Car(), by_hand_car),
    (Car(penalty=0.5, auxiliary=0.3, least_trust=0.4, momentum=0.7), by_hand_car),
    (Car(form="code"), by_hand_car),
    (Car(penalty=50, auxiliary=0.1, form="code", begin=0.3), by_hand_car),
]


@pytest.mark.parametrize(("objective", "by_hand"), CASES, ids=lambda case: getattr(case, "__name__", repr(case)[:60]))
def test_losses_gradients_and_targets_are_those_of_the_formula(
    objective: Objective, by_hand: Callable[[Any, Step, dict[int, Tensor]], Tensor]
) -> None:
    """In float64, over epochs in which samples come again: each loss, its gradients, and every target in the end."""
    task = task_of()
    state, targets = begun(objective, task), dict[int, Tensor]()
    for epoch in range(1, 6):
        step = step_of(state, epoch, epoch, task)
        given = [step.logits] if not isinstance(objective, Car) else [step.logits, step.branch]
        expected = by_hand(objective, step, targets)
        wanted = torch.autograd.grad(expected, given)  # type: ignore[arg-type]
        found = objective.loss(step)
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
        for own, formula in zip(torch.autograd.grad(found, given), wanted, strict=True):  # type: ignore[arg-type]
            torch.testing.assert_close(own, formula, rtol=1e-8, atol=1e-10)
    kept = objective.by_products(state, task)["objective.target"]
    for i, target in targets.items():
        torch.testing.assert_close(kept[i], target, rtol=1e-7, atol=1e-9)  # 1e-4 in float32 at first
    untouched = [i for i in range(N) if i not in targets]
    assert torch.equal(kept[untouched], begun(objective, task)["target"][untouched])


def test_the_indicator_is_what_the_branch_said_last() -> None:
    """After two batches: the sigmoid of its answer for each sample in the batch that it was in last, 1 of one in none."""
    car, task = Car(), task_of()
    state, expected = begun(car, task), torch.ones(N).double()
    for epoch in (1, 2):
        step = step_of(state, epoch, epoch + 20, task)
        car.loss(step)
        assert step.branch is not None
        expected[step.chosen] = 1 / (1 + torch.exp(-step.branch.detach()[:, 0]))
    torch.testing.assert_close(car.by_products(state, task)["objective.indicator"], expected)


def test_a_target_moves_once_in_each_share() -> None:
    """Of 100 epochs from .12 on, every .05: epochs 13, 18, …; of 20, from epoch 4 on in each."""

    def moved(car: Car, epochs: int) -> list[int]:
        task = task_of(epochs)
        found = []
        for epoch in range(1, epochs + 1):
            state = begun(car, task)
            car.loss(step_of(state, epoch, 0, task))
            found += [epoch] if not torch.equal(state["target"], begun(car, task)["target"]) else []
        return found

    assert moved(Car(every=0.05), 100) == [*range(13, 101, 5)]
    assert moved(Car(), 20) == [*range(4, 21)]
    assert moved(Car(begin=1.0), 20) == []
    assert moved(Car(begin=0.07, every=0.02), 100) == [*range(8, 101, 2)]


# --- CDR ---------------------------------------------------------------------------------------------------------------


def parameters(seed: int) -> list[nn.Parameter]:
    """Weights of 4, 2, 1 and 3 dimensions with gradients, small whole numbers, so that many scores are equal."""
    random = torch.Generator().manual_seed(seed)
    made = []
    for shape in ((3, 2, 2, 2), (4, 5), (4,), (2, 3, 2), (5, 3)):
        one = nn.Parameter(torch.randint(-4, 5, shape, generator=random).float())
        one.grad = torch.randint(-4, 5, shape, generator=random).float()
        made.append(one)
    return [*made, nn.Parameter(torch.ones(2, 2))]  # one that is in no loss


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.85, 1.0])
@pytest.mark.parametrize("decay", [0.0, 1e-3])
def test_cdr_masks_as_a_sort_of_all_weights_does(rate: float, decay: float) -> None:
    """All weights of 2 or 4 dimensions in one list: the greatest keep (1 − τ) of their gradient, the rest none of it."""
    for seed in range(5):
        changed, before = parameters(seed), parameters(seed)
        Cdr(decay=decay).after_backward(changed, task_of(rate=rate), 1)
        every = [
            abs(w * g)
            for one in before
            if one.dim() in (2, 4) and one.grad is not None
            for w, g in zip(one.flatten().tolist(), one.grad.flatten().tolist(), strict=True)
        ]
        every.sort(reverse=True)
        count = len(every) - int(rate * len(every))
        least = every[count - 1] if count else float("inf")
        for old, new in zip(before, changed, strict=True):
            assert torch.equal(old, new)
            if old.grad is None or new.grad is None:
                assert new.grad is old.grad is None
                continue
            expected = old.grad.clone()
            if old.dim() in (2, 4):
                for place in np.ndindex(*old.shape):
                    w, g = old[place].item(), old.grad[place].item()
                    kept = g * (1 - rate) if abs(w * g) >= least else 0.0
                    expected[place] = kept + decay * float(np.sign(w))
            torch.testing.assert_close(new.grad, expected)


def test_cdr_may_come_gradually() -> None:
    """Over half of ten epochs the factor of a critical gradient falls from 1 in equal steps, and stays at 1 − τ."""
    factors = []
    for epoch in range(1, 11):
        one = nn.Parameter(torch.tensor([[100.0, 0.1], [0.2, 0.3]]))
        one.grad = torch.ones(2, 2)
        Cdr(decay=0, gradual=0.5).after_backward([one], task_of(10, rate=0.5), epoch)
        factors.append(one.grad[0, 0].item())
    assert factors == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5])


# --- identities --------------------------------------------------------------------------------------------------------


def test_full_trust_is_cross_entropy() -> None:
    """CAR with τ = 1: loss and gradient of cross-entropy, and no penalty, however unlikely the label."""
    for spread in (1.0, 30.0):
        step = step_of(begun(Car(), task_of()), 1, 3, task_of(), spread=spread)
        full = replace(step, branch=torch.full((B, 1), 1e4).double().requires_grad_())
        found, expected = Car().loss(full), nn.functional.cross_entropy(step.logits, step.labels)
        torch.testing.assert_close(found, expected)
        gradients = [torch.autograd.grad(loss, step.logits)[0] for loss in (found, expected)]
        torch.testing.assert_close(*gradients)


SMALL = Recipe(epochs=4, batch_size=32)


@pytest.fixture(scope="module")
def few() -> Source:
    return load_source("digits", limit=120)


@pytest.fixture(scope="module")
def noisy(few: Source) -> Variant:
    return build_variant(few, Symmetric(rate=0.4), seed=0)


def trained(
    source: Source,
    variant: Variant,
    objective: Objective,
    *,
    recipe: Recipe = SMALL,
    look: bool = False,
    folder: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Training:
    """A training, with what the objective leaves and two further probes if it is looked at."""
    probes = [find("probes", "correct"), find("probes", "given"), *(by_product(name) for name in objective.leaves)]
    return train(
        source,
        variant,
        mlp,
        recipe,
        probes if look else [],
        seed=0,
        objective=objective,
        every={"objective.target": recipe.epochs, "given": recipe.epochs},
        folder=folder,
        progress=progress,
    )


def weights(training: Training) -> Mapping[str, Tensor]:
    return training.model.state_dict()


@pytest.mark.parametrize("objective", [Elr(strength=0), Selc(begin=1.0), Cdr(decay=0)], ids=repr)
def test_what_does_nothing_is_cross_entropy(objective: Objective, few: Source, noisy: Variant) -> None:
    """Of no strength, of a correction that never begins, with no wrong label: the weights of cross-entropy, bit for bit."""
    labels = build_variant(few, Symmetric(rate=0.0)) if isinstance(objective, Cdr) else noisy
    plain, found = (weights(trained(few, labels, one)) for one in (CrossEntropy(), objective))
    assert all(torch.equal(tensor, found[name]) for name, tensor in plain.items())
    other = weights(trained(few, noisy, type(objective)()))
    assert not all(torch.equal(tensor, other[name]) for name, tensor in plain.items())


# --- trainings ---------------------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


@dataclass
class StopAfter:
    epochs: int

    def __call__(self) -> None:
        self.epochs -= 1
        if not self.epochs:
            raise Stopped


def with_dropped(variant: Variant) -> Variant:
    """Two samples are dropped, and one relabelled."""
    samples = np.array([3, 40, 77])
    new = np.array([-1, (variant.labels[40] + 1) % 10, -1])
    made = Corrections(variant.variant_id, samples, variant.labels[samples], new, ("drop", "accept", "drop"))
    return correct_variant(variant, made)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "timing.json"
    }


@pytest.mark.parametrize("objective", STATEFUL, ids=repr)
def test_a_stopped_training_ends_with_the_same_bytes(
    objective: Objective, few: Source, noisy: Variant, tmp_path: Path
) -> None:
    """Stopped after three of five epochs, its correction begun: trace, history and checkpoint are as if it never was.

    And looking changes nothing: the weights are those of a training that nobody looks at. Two samples are in no batch.
    """
    labels, recipe = with_dropped(noisy), Recipe(epochs=5, batch_size=32, augmentation="none")
    unwatched = weights(trained(few, labels, objective, recipe=recipe))
    whole = trained(few, labels, objective, recipe=recipe, look=True, folder=tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(few, labels, objective, recipe=recipe, look=True, folder=tmp_path / "part", progress=StopAfter(3))
    halfway = files(tmp_path / "part")
    again = trained(few, labels, objective, recipe=recipe, look=True, folder=tmp_path / "part")
    expected = files(tmp_path / "whole")
    assert halfway["checkpoint.safetensors"] != expected["checkpoint.safetensors"]
    assert files(tmp_path / "part") == expected
    for training in (whole, again):
        assert all(torch.equal(tensor, weights(training)[name]) for name, tensor in unwatched.items())
    for name in objective.leaves:
        assert whole.trace.columns[name].epochs.tolist() == (
            [5] if BY_PRODUCTS[name] == "last_epoch" else [1, 2, 3, 4, 5]
        )


@dataclass(frozen=True)
class Answers:
    """A probe of all probabilities, shape (b, k)."""

    name: str = "answers"
    passes: float = 0.0
    gradient: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        return batch.logits.softmax(1)


@pytest.mark.parametrize("objective", [Elr(), Selc(begin=0.0), Car()], ids=repr)
def test_samples_in_no_batch_follow_the_model(objective: Elr | Selc | Car, few: Source, noisy: Variant) -> None:
    """Their target is a running mean of un-augmented answers after each epoch, their trust the mean of the others."""
    labels, recipe = with_dropped(noisy), Recipe(epochs=5, batch_size=32)
    probes = [Answers(), *(by_product(name) for name in objective.leaves)]
    seen = train(few, labels, mlp, recipe, probes, seed=0, objective=objective).trace
    for sample in np.flatnonzero(labels.dropped):
        target = np.zeros(10) if isinstance(objective, Elr) else np.eye(10)[labels.labels[sample]]
        for epoch, p in enumerate(seen["answers"][:, sample]):
            if not isinstance(objective, Car) or epoch / 5 >= objective.begin:
                target = objective.momentum * target + (1 - objective.momentum) * p
        np.testing.assert_allclose(seen["objective.target"][-1][sample], target, atol=1e-5)
        if isinstance(objective, Car):
            trust = seen["objective.indicator"]
            np.testing.assert_allclose(trust[:, sample], trust[:, ~labels.dropped].mean(1), rtol=1e-5)


@pytest.mark.parametrize("objective", [Elr(), Selc(), Car(), Car(form="code")], ids=repr)
def test_labels_are_corrected_within_twenty_epochs(objective: Objective) -> None:
    """With 40 % wrong labels: targets name the right class of many samples whose label is wrong, and keep right ones."""
    source = load_source("digits", limit=300)
    variant = build_variant(source, Symmetric(rate=0.4), seed=0)
    seen = trained(source, variant, objective, recipe=Recipe(epochs=20, batch_size=32), look=True).trace
    corrected = seen["objective.target"][-1].argmax(1)
    assert (corrected == variant.clean)[variant.mislabeled].mean() > 0.25
    assert (corrected == variant.clean)[~variant.mislabeled].mean() > 0.9


# --- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("elr", {"momentum": "1.5"}, r"momentum must be a number in \[0, 1\], got 1.5"),
        ("elr", {"strength": "-1"}, "strength must be a number at least 0 and finite"),
        ("selc", {"begin": "nan"}, r"begin .* \[0, 1\]"),
        ("selc", {"momentum": "-0.1"}, "momentum"),
        ("cdr", {"decay": "inf"}, "decay"),
        ("cdr", {"gradual": "2"}, "gradual"),
        ("car", {"penalty": "-1"}, "penalty"),
        ("car", {"form": "codes"}, "form.* must be one of paper, code"),
        ("car", {"every": "7"}, "every"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: Mapping[str, str], words: str) -> None:
    """In one sentence that names the option, its range and what was given."""
    with pytest.raises(BadUsage, match=words):
        choose_objective(name, options)


def test_car_needs_its_branch() -> None:
    """A step that somebody made without it is refused."""
    step = step_of(begun(Car(), task_of()), 1, 0, task_of())
    with pytest.raises(BadUsage, match="branch"):
        Car().loss(replace(step, branch=None))


def test_cdr_is_told_the_true_rate_and_the_others_nothing(few: Source, noisy: Variant) -> None:
    """The share of wrong labels that there are, 40 %, and no matrix."""
    for objective in (Cdr(), Elr(), Selc(), Car()):
        data = Inputs(few.inputs, torch.device("cpu"))
        model = mlp(num_classes=10, input_shape=(1, 8, 8))
        task = RunInProgress(few, noisy, SMALL, model, data, 0, objective=objective).task
        assert task.rate == (noisy.mislabeled.mean() if isinstance(objective, Cdr) else None)
        assert task.transition is None
