"""Perceptrons trained many at a time, as batched matrix products."""

from collections.abc import Sequence

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
            stack.step(batch, learning_rate(recipe, step, recipe.epochs * len(sizes)))
    stack.give_back()


class _Stack:
    """The weights of K perceptrons, layer by layer as one tensor (K, inputs, outputs), and what a step needs."""

    def __init__(self, models: Sequence[nn.Module], inputs: Tensor | Inputs, labels: Tensor, recipe: Recipe) -> None:
        self._layers = [layers for model in models if (layers := linear_layers(model)) is not None]
        depth, kind = len(self._layers[0]), self._layers[0][0].weight.dtype
        self._inputs = inputs.to(kind) if isinstance(inputs, Tensor) else inputs
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        width = self._layers[0][0].in_features
        for depths in zip(*self._layers, strict=True):
            outputs, fan_in = depths[0].weight.shape
            padded = -(-outputs // PADDING) * PADDING
            weight = torch.zeros(len(models), width, padded, dtype=kind, device=labels.device)
            bias = torch.zeros(len(models), 1, padded, dtype=kind, device=labels.device)
            for k, layer in enumerate(depths):
                weight[k, :fan_in, :outputs] = layer.weight.T
                bias[k, 0, :outputs] = layer.bias
            self.weights.append(weight)
            self.biases.append(bias)
            width = padded
        self._classes = self._layers[0][-1].out_features
        self.biases[-1][:, :, self._classes :] = NEVER
        self._targets = F.one_hot(labels, width).to(kind)
        self._parameters = [*self.weights, *self.biases]
        self._gradients = [torch.empty_like(parameter) for parameter in self._parameters]
        self._momenta: list[Tensor | None] = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._recipe = recipe
        self._buffers: dict[int, tuple[list[Tensor], list[Tensor], Tensor]] = {}
        self._depth = depth

    def step(self, chosen: Tensor, lr: float) -> None:
        """One step of every model, each on its batch of samples, shape (K, b)."""
        values, gradients, targets = self._buffers_for(chosen.shape[1])
        flat = chosen.reshape(-1)
        if isinstance(self._inputs, Tensor):
            torch.index_select(self._inputs, 0, flat, out=values[0].view(len(flat), -1))
        else:
            values[0].view(len(flat), -1).copy_(self._inputs.batch(flat).flatten(1))
        torch.index_select(self._targets, 0, flat, out=targets.view(len(flat), -1))
        for layer in range(self._depth):
            torch.baddbmm(self.biases[layer], values[layer], self.weights[layer], out=values[layer + 1])
            if layer < self._depth - 1:
                values[layer + 1].relu_()
        torch.softmax(values[-1], -1, out=gradients[-1])
        gradients[-1].sub_(targets).mul_(1 / chosen.shape[1])
        for layer in reversed(range(self._depth)):
            above = gradients[layer]
            torch.bmm(values[layer].transpose(1, 2), above, out=self._gradients[layer])
            torch.sum(above, 1, keepdim=True, out=self._gradients[self._depth + layer])
            if layer > 0:
                below = gradients[layer - 1]
                torch.bmm(above, self.weights[layer].transpose(1, 2), out=below)
                torch.ops.aten.threshold_backward.grad_input(below, values[layer], 0, grad_input=below)
        # What torch.optim.SGD calls, without what it does around it: one pass over weights, gradients and momenta.
        sgd(
            self._parameters,
            self._gradients,
            self._momenta,
            lr=lr,
            momentum=self._recipe.momentum,
            weight_decay=self._recipe.weight_decay,
            nesterov=self._recipe.momentum > 0,
            dampening=0.0,
            maximize=False,
            foreach=False,
            fused=True,
        )
        self.biases[-1][:, :, self._classes :] = NEVER  # weight decay would bring it nearer

    def give_back(self) -> None:
        """Put the weights into the models that they came from."""
        for k, layers in enumerate(self._layers):
            for layer, weight, bias in zip(layers, self.weights, self.biases, strict=True):
                outputs, fan_in = layer.weight.shape
                layer.weight.copy_(weight[k, :fan_in, :outputs].T)
                layer.bias.copy_(bias[k, 0, :outputs])

    def _buffers_for(self, b: int) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Activations (inputs first), gradients (of the first layer's outputs first) and targets of batches of b."""
        if b not in self._buffers:
            widths = [self.weights[0].shape[1], *(weight.shape[2] for weight in self.weights)]
            values = [self.weights[0].new_empty(len(self._layers), b, width) for width in widths]
            gradients = [torch.empty_like(value) for value in values[1:]]
            self._buffers[b] = values, gradients, torch.empty_like(values[-1])
        return self._buffers[b]
