"""Any model trained many at a time, by ``torch.func``: one forward pass of K models, each on its own batch.

Weights and buffers of K models are stacked, so that a layer of all is one operation; batch norm keeps the statistics of each
model apart. The loss is a sum over models of means over batches: the gradient of each model is its own.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from noisybench.data.source import Source, inputs_of
from noisybench.ground.errors import TrainingFailed
from noisybench.ground.random_streams import derive
from noisybench.memorization.stacking import stacks_perceptrons, untrained
from noisybench.training.asking import check_logits
from noisybench.training.batches import Inputs
from noisybench.training.loop import batches_of
from noisybench.training.machine import Machine, deterministic_torch, generator_of, wait_for
from noisybench.training.optimizers import optimizer_of
from noisybench.training.plan import Plan
from noisybench.training.recipe import Recipe, learning_rate

log = logging.getLogger("noisybench")

TRIED_SAMPLES = 4
"""Samples on which it is tried whether models of a kind can be stacked: batch norm needs more than one."""
CARD_SHARE = 0.5
"""Of a card's memory, whatever else is on it now: so that a number of models is the card's, and a call that goes on has it."""
GAIN = 1.2
"""How many times faster a model must be among others than alone for them to be stacked unasked."""


def train_vectorised(
    models: Sequence[nn.Module],
    data: Inputs,
    labels: Tensor,
    chosen: Tensor,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
) -> None:
    """Train models of one architecture in place by cross-entropy, each on its subset, as ``training`` would train it alone.

    Orders, crops and mirrorings are those of each model's seed. In float64 the weights are those of one by one to 1e-10
    after tens of steps; in float32 sums are taken in another order, so that they drift apart as those of two machines do.
    Layers that draw, such as dropout, draw for all models at once from a generator of the first one's seed: what they drop
    is independent between models, and not what it would be alone.

    Args:
        models: K models, on the device of the inputs.
        data: Inputs of the whole set.
        labels: Given labels, shape (n,).
        chosen: Samples of each subset, shape (K, s), ascending.
        recipe: How to train.
        seeds: Of each model.

    Raises:
        TrainingFailed: A loss is not finite.
    """
    stack = _Stack(models, data, labels, recipe)
    sizes = [len(batch) for batch in batches_of(torch.arange(chosen.shape[1]), recipe.batch_size)]
    for epoch in range(1, recipe.epochs + 1):
        orders = [torch.randperm(chosen.shape[1], generator=generator_of(seed, "order", epoch)) for seed in seeds]
        order = chosen.gather(1, torch.stack(orders).to(chosen.device))
        crops = [generator_of(seed, "augment", epoch) for seed in seeds]
        torch.manual_seed(derive(seeds[0], "layers", epoch))
        total = torch.zeros((), device=data.device)
        for step, batch in enumerate(order.split(sizes, dim=1), start=(epoch - 1) * len(sizes)):
            total += stack.step(batch, learning_rate(recipe, step, recipe.epochs * len(sizes)), crops)
        if not total.isfinite():
            msg = (
                f"the training loss of a model of the pool is not finite in epoch {epoch}; lower the learning rate "
                f"(now lr={recipe.lr:g})"
            )
            raise TrainingFailed(msg)
    stack.give_back()


class _Stack:
    """The weights and buffers of K models, each as one tensor (K, …), and their optimiser."""

    def __init__(self, models: Sequence[nn.Module], data: Inputs, labels: Tensor, recipe: Recipe) -> None:
        self._parts = [_WithBuffers(model.train()) for model in models]
        self._parameters, self._buffers = stack_module_state([*self._parts])
        self._optimizer = optimizer_of([one for one in self._parameters.values() if one.requires_grad], recipe)
        self._data, self._labels, self._recipe = data, labels, recipe
        # K models draw alike from one generator, each its own.
        self._ask = vmap(partial(_asked, self._parts[0]), randomness="different")

    def step(self, chosen: Tensor, lr: float, crops: Sequence[torch.Generator]) -> Tensor:
        """One step of every model, each on its batch of samples, shape (K, b); the sum of their losses."""
        count, b = chosen.shape
        flat = chosen.reshape(-1)
        # Of channels-last inputs, average pooling has no rule for a stack, and goes from one model to the next.
        inputs = self._data.augmented(flat, self._recipe.augmentation, crops).contiguous().unflatten(0, (count, b))
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        half = self._recipe.precision == "bfloat16"
        with torch.autocast(self._data.device.type, dtype=torch.bfloat16, enabled=half):
            logits, buffers = self._ask(self._parameters, self._buffers, inputs)
        self._buffers = {name: buffer.detach() for name, buffer in buffers.items()}
        logits = logits.flatten(0, 1)
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = F.cross_entropy(wide, self._labels[flat], reduction="sum") / b
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def give_back(self) -> None:
        """Put weights and buffers into the models that they came from."""
        state = {**self._parameters, **self._buffers}
        for k, part in enumerate(self._parts):
            for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
                tensor.copy_(state[name][k])


class _WithBuffers(nn.Module):
    """A model that also gives its buffers as they are after its pass, whether it wrote into them or replaced them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.model(inputs)
        return logits, {f"model.{name}": buffer for name, buffer in self.model.named_buffers()}


def _asked(
    part: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """What one model gives with these weights for one batch, (b, …) → (b, k), and its buffers afterwards."""
    found: tuple[Tensor, dict[str, Tensor]] = functional_call(part, (parameters, buffers), (inputs,))
    return found


def refusal(fresh: Callable[[int], nn.Module], data: Inputs, recipe: Recipe, num_classes: int) -> str | None:
    """Why models of a kind cannot be stacked, in the words of torch, seen in one step of two; None where they can.

    Args:
        fresh: Number of a model → the model, untrained.
        data: Inputs of the whole set.
        recipe: How to train.
        num_classes: Logits that the model must give.
    """
    b = min(TRIED_SAMPLES, len(data))
    chosen = torch.arange(b, device=data.device).expand(2, b)
    try:
        with torch.no_grad():
            check_logits(fresh(0).eval()(data.batch(slice(0, b))), b, num_classes)
        stack = _Stack(
            [fresh(0), fresh(1)], data, torch.zeros(len(data), dtype=torch.int64, device=data.device), recipe
        )
        stack.step(chosen, recipe.lr, [torch.Generator(), torch.Generator()])
        stack.give_back()
    except Exception as error:  # noqa: BLE001 - whatever a user's model, or torch for want of a rule, raises
        return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
    return None


def models_together(source: Source, plan: Plan, machine: Machine, kept: int | None, most: int) -> int | None:
    """How many models of a pool are trained at a time; None of a pool whose record says nothing of it, which is one.

    What cannot be stacked is trained one by one, and a line says why where another number was asked for.

    Args:
        source: As the models see it.
        plan: How to train.
        machine: What was asked for. Without a number it is that of the blocks that are there, else what pays.
        kept: Of the blocks that are there; None without any.
        most: Models of a block.
    """
    asked = machine.together if machine.together is not None else kept
    device, count = torch.device(machine.device_of(0)), 1
    is_open = (asked or 0) > 1 or (asked is None and device.type == "cuda")
    if is_open and not stacks_perceptrons(source, plan):
        with deterministic_torch(device, 1):
            count = _that_can(source, plan, device, asked, most)
    return None if count == (kept or 1) == 1 else count


def _that_can(source: Source, plan: Plan, device: torch.device, asked: int | None, most: int) -> int:
    """So many as were asked for, or what pays on a GPU; 1 of what cannot be stacked."""
    if plan.chosen.is_default:
        data = Inputs(inputs_of(source, "a model")[: max(TRIED_SAMPLES, plan.recipe.batch_size)], device)
        fresh = partial(untrained, source, plan, device)
        refused = refusal(fresh, data, plan.recipe, source.num_classes)
        if refused is None:
            return min(asked, most) if asked is not None else models_that_pay(fresh, data, plan.recipe, most)
    else:
        refused = f"the objective is {plan.chosen.words}, and cross-entropy alone is summed over models"
    if asked is not None:  # who did not ask misses nothing
        log.warning(
            "model '%s' is trained one by one: it cannot be trained together with others (%s)", plan.model, refused
        )
    return 1


def models_that_pay(fresh: Callable[[int], nn.Module], data: Inputs, recipe: Recipe, most: int) -> int:
    """How many models a GPU should train at a time, a power of two up to ``most``; 1 where that is no faster.

    Memory is that of a step of one and of two models, and grows in a straight line; time is that of steps of as many as
    fit in half the card, against as many steps of one.

    Args:
        fresh: Number of a model → the model, untrained.
        data: Inputs of the whole set, on a GPU.
        recipe: How to train.
        most: Models.
    """
    one, two = (_peak(fresh, data, recipe, count) for count in (1, 2))
    each = max(two - one, 1)
    fitting = int(CARD_SHARE * torch.cuda.get_device_properties(data.device).total_memory - one) // each + 1
    count = 1 << (max(1, min(most, fitting)).bit_length() - 1)
    if count == 1:
        return 1
    alone, among = (seconds_of_step(fresh, data, recipe, number) for number in (1, count))
    return count if alone * count >= GAIN * among else 1


def seconds_of_step(
    fresh: Callable[[int], nn.Module], data: Inputs, recipe: Recipe, count: int, *, steps: int = 4
) -> float:
    """Seconds by the clock of one step of so many stacked models on whole batches, the mean of some after two others."""
    stack, chosen, crops = _tried(fresh, data, recipe, count)
    for number in range(steps + 2):
        if number == 2:  # noqa: PLR2004 - the first choose kernels and fill the allocator
            wait_for(data.device)
            began = time.perf_counter()
        stack.step(chosen, recipe.lr, crops)
    wait_for(data.device)
    return (time.perf_counter() - began) / steps


def _peak(fresh: Callable[[int], nn.Module], data: Inputs, recipe: Recipe, count: int) -> int:
    """Bytes that a step of so many models takes on a GPU beyond what lay there."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(data.device)
    before = torch.cuda.memory_allocated(data.device)
    stack, chosen, crops = _tried(fresh, data, recipe, count)
    stack.step(chosen, recipe.lr, crops)
    stack.step(chosen, recipe.lr, crops)  # the optimiser has its state then
    wait_for(data.device)
    return torch.cuda.max_memory_allocated(data.device) - before


def _tried(
    fresh: Callable[[int], nn.Module], data: Inputs, recipe: Recipe, count: int
) -> tuple[_Stack, Tensor, list[torch.Generator]]:
    """A stack that is thrown away, a batch of each of its models, and what draws their crops."""
    labels = torch.zeros(len(data), dtype=torch.int64, device=data.device)
    stack = _Stack([fresh(number) for number in range(count)], data, labels, recipe)
    b = min(recipe.batch_size, len(data))
    chosen = torch.arange(b, device=data.device).expand(count, b)
    return stack, chosen, [torch.Generator() for _ in range(count)]
