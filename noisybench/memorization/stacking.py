"""Perceptrons trained many at a time, as batched matrix products."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.sgd import sgd

from noisybench.data.source import Source
from noisybench.training.batches import Inputs
from noisybench.training.loop import batches_of
from noisybench.training.machine import generator_of
from noisybench.training.plan import Plan
from noisybench.training.recipe import Recipe, learning_rate

STACK_BYTES = 1 << 21
"""Bytes of the weights that are trained together on a CPU. One step a model took 0.106 ms alone and 0.027 ms among 50 with 64
inputs, 0.16 and 0.075 ms (among 16) with 256, and with 2,048 more than 4 at once were slower than one."""
STACKED_BATCH = 1024
"""Samples that a perceptron is asked at a time."""
PADDING = 16
"""Multiple to which columns are padded: a matrix product with 10 columns took as long as one with 16, or longer."""
NEVER = -1e9
"""Bias of a padded class: its softmax is exactly zero, and so is every gradient through it."""


def linear_layers(model: nn.Module) -> list[nn.Linear] | None:
    """The linear layers of a perceptron with ReLU between them, which may begin with Flatten; None for another model."""
    if type(model) is not nn.Sequential:
        return None
    parts = list(model)
    if parts and type(parts[0]) is nn.Flatten and (parts[0].start_dim, parts[0].end_dim) == (1, -1):
        parts = parts[1:]
    layers = [part for part in parts[::2] if type(part) is nn.Linear and part.bias is not None]
    whole = len(parts) % 2 == 1 and len(layers) == len(parts[::2])
    whole = whole and all(type(part) is nn.ReLU for part in parts[1::2])
    whole = whole and all(parameter.requires_grad for parameter in model.parameters())
    return layers if whole else None


def can_stack(model: nn.Module, recipe: Recipe) -> bool:
    """Whether such models can be trained together: perceptrons with ReLU, by SGD, on any schedule; augmentation apart.

    What cannot is trained one by one, by the loop of ``training``, to what it gives.
    """
    return recipe.optimizer == "sgd" and linear_layers(model) is not None


def stacks_perceptrons(source: Source, plan: Plan) -> bool:
    """Whether the models of a plan are perceptrons that ``train_together`` trains as the plan says."""
    augmented = len(source.input_shape) > 1 and plan.recipe.augmentation != "none"
    if augmented or not plan.chosen.is_default:
        return False
    with torch.random.fork_rng(devices=[]):
        return can_stack(untrained(source, plan, torch.device("cpu"), 0), plan.recipe)


def untrained(source: Source, plan: Plan, device: torch.device, seed: int) -> nn.Module:
    """A fresh model of a plan, its weights drawn from torch's generator, which is left on its way from the seed."""
    # torch.manual_seed would seed the GPUs too, and where none is in use keep a list of every time that it was asked to.
    torch.default_generator.manual_seed(seed)
    return plan.build(num_classes=source.num_classes, input_shape=source.input_shape).to(device)


@torch.no_grad()
def train_together(
    models: Sequence[nn.Module],
    inputs: Tensor | Inputs,
    labels: Tensor,
    chosen: Tensor,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
) -> None:
    """Train perceptrons of one shape in place, each on its subset, as ``training`` would train it alone, in float32.

    Every product is one of K matrices, every gradient is written out, and nothing is allocated within an epoch. On a CPU
    a model's bits depend on itself alone: not on K, and not on which models it is trained with. A GPU may choose another
    kernel for another K.

    Args:
        models: K models of which ``linear_layers`` finds the layers, on the device of the inputs.
        inputs: Normalised, shape (n, d); or such as are read a batch at a time, to the same weights.
        labels: Given labels, shape (n,).
        chosen: Samples of each subset, shape (K, s), ascending.
        recipe: How to train, by SGD; its augmentation is not done.
        seeds: Of each model; the order of each epoch follows from it.
    """
    stack = _Stack(models, inputs, labels, recipe)
    sizes = [len(batch) for batch in batches_of(torch.arange(chosen.shape[1]), recipe.batch_size)]
    for epoch in range(1, recipe.epochs + 1):
        orders = [torch.randperm(chosen.shape[1], generator=generator_of(seed, "order", epoch)) for seed in seeds]
        order = chosen.gather(1, torch.stack(orders).to(chosen.device))
        for step, batch in enumerate(order.split(sizes, dim=1), start=(epoch - 1) * len(sizes)):
            stack.step(batch.flatten(), learning_rate(recipe, step, recipe.epochs * len(sizes)))
    stack.give_back()


class _Stack:
    """The weights of K perceptrons, layer by layer as one tensor (K, inputs, outputs), and what a step needs.

    Weights and biases of all layers are parts of one tensor, and so are their gradients: the optimiser passes over one.
    """

    def __init__(self, models: Sequence[nn.Module], inputs: Tensor | Inputs, labels: Tensor, recipe: Recipe) -> None:
        self._layers = [layers for model in models if (layers := linear_layers(model)) is not None]
        depth, kind = len(self._layers[0]), self._layers[0][0].weight.dtype
        self._inputs = inputs.to(kind) if isinstance(inputs, Tensor) else inputs
        width = self._layers[0][0].in_features
        shapes = []
        for layer in self._layers[0]:
            padded = -(-layer.out_features // PADDING) * PADDING
            shapes.append((len(models), width, padded))
            width = padded
        shapes += [(count, 1, outputs) for count, _, outputs in shapes]
        sizes = [math.prod(shape) for shape in shapes]
        self._values = torch.zeros(sum(sizes), dtype=kind, device=labels.device)
        self._gradient = torch.zeros_like(self._values)
        self._momentum = torch.zeros_like(self._values)
        parts = [part.view(shape) for part, shape in zip(self._values.split(sizes), shapes, strict=True)]
        self.weights, self.biases = parts[:depth], parts[depth:]
        self._gradients = [part.view(shape) for part, shape in zip(self._gradient.split(sizes), shapes, strict=True)]
        for weight, bias, depths in zip(self.weights, self.biases, zip(*self._layers, strict=True), strict=True):
            for k, layer in enumerate(depths):
                weight[k, : layer.in_features, : layer.out_features] = layer.weight.T
                bias[k, 0, : layer.out_features] = layer.bias
        self._padding = self.biases[-1][:, :, self._layers[0][-1].out_features :]
        self._padding.fill_(NEVER)
        self._targets = F.one_hot(labels, width).to(kind)
        self._recipe = recipe
        self._buffers: dict[int, _Buffers] = {}
        self._depth = depth

    def step(self, flat: Tensor, lr: float) -> None:
        """One step of every model, each on its batch of samples, those of the first model first, shape (K * b,)."""
        count = len(self._layers)
        b = len(flat) // count
        if b not in self._buffers:
            self._buffers[b] = _Buffers.of(self.weights, b)
        own = self._buffers[b]
        if isinstance(self._inputs, Tensor):
            torch.index_select(self._inputs, 0, flat, out=own.inputs)
        else:
            own.inputs.copy_(self._inputs.batch(flat).flatten(1))
        torch.index_select(self._targets, 0, flat, out=own.targets)
        for layer in range(self._depth):
            torch.baddbmm(self.biases[layer], own.values[layer], self.weights[layer], out=own.values[layer + 1])
            if layer < self._depth - 1:
                own.values[layer + 1].relu_()
        torch.softmax(own.values[-1], -1, out=own.gradients[-1])
        own.answers.sub_(own.targets).mul_(1 / b)
        for layer in reversed(range(self._depth)):
            above = own.gradients[layer]
            torch.bmm(own.turned[layer], above, out=self._gradients[layer])
            torch.sum(above, 1, keepdim=True, out=self._gradients[self._depth + layer])
            if layer > 0:
                below = own.gradients[layer - 1]
                torch.bmm(above, own.turned_weights[layer], out=below)
                torch.ops.aten.threshold_backward.grad_input(below, own.values[layer], 0, grad_input=below)
        # What torch.optim.SGD calls, without what it does around it: one pass over weights, gradients and momenta.
        sgd(
            [self._values],
            [self._gradient],
            [self._momentum],
            lr=lr,
            momentum=self._recipe.momentum,
            weight_decay=self._recipe.weight_decay,
            nesterov=self._recipe.momentum > 0,
            dampening=0.0,
            maximize=False,
            foreach=False,
            fused=True,
        )
        if self._recipe.weight_decay:
            self._padding.fill_(NEVER)  # which decay would bring nearer

    def give_back(self) -> None:
        """Put the weights into the models that they came from."""
        for k, layers in enumerate(self._layers):
            for layer, weight, bias in zip(layers, self.weights, self.biases, strict=True):
                outputs, fan_in = layer.weight.shape
                layer.weight.copy_(weight[k, :fan_in, :outputs].T)
                layer.bias.copy_(bias[k, 0, :outputs])


@dataclass(frozen=True, slots=True, eq=False)
class _Buffers:
    """What a step on batches of one size writes into, and the views of it that are needed in every step.

    Attributes:
        values: Activations of each layer, inputs first, shape (K, b, width).
        gradients: Of the loss by the outputs of each layer, those of the first one first.
        inputs: The inputs of all models one after the other, shape (K * b, width).
        answers: The last of the gradients, in the same shape.
        targets: One-hot labels, in the same shape.
        turned: Activations with their last two axes exchanged.
        turned_weights: Weights likewise.
    """

    values: list[Tensor]
    gradients: list[Tensor]
    inputs: Tensor
    answers: Tensor
    targets: Tensor
    turned: list[Tensor]
    turned_weights: list[Tensor]

    @staticmethod
    def of(weights: Sequence[Tensor], b: int) -> "_Buffers":
        """For models of these weights and batches of b."""
        widths = [weights[0].shape[1], *(weight.shape[2] for weight in weights)]
        values = [weights[0].new_empty(len(weights[0]), b, width) for width in widths]
        gradients = [torch.empty_like(value) for value in values[1:]]
        answers = gradients[-1].flatten(0, 1)
        turned, turned_weights = ([part.transpose(1, 2) for part in parts] for parts in (values, weights))
        inputs = values[0].flatten(0, 1)
        return _Buffers(values, gradients, inputs, answers, torch.empty_like(answers), turned, turned_weights)
