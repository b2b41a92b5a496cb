"""Trace of the Gauss-Newton matrix of the loss in the input, which at given weights does not contain the label."""

from dataclasses import dataclass

import torch
from torch import Tensor

from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When


@dataclass(frozen=True, slots=True)
class GaussNewtonTrace:
    """tr(Jᵀ(diag p - ppᵀ)J) = Σ_k p_k ‖∇z_k‖² - ‖Σ_k p_k ∇z_k‖², exact: (b, ...) → (b,).

    z are the logits at the input, J their Jacobian, p the probabilities. It is the part of the Hessian of the
    cross-entropy that the softmax makes, and on a ReLU model all of it wherever that exists. It contains no label: at
    given weights it is the same whatever the sample is called, and only the weights have seen the label. One forward
    pass, and a backward pass for each class.

    Source: Schraudolph 2002, doi:10.1162/08997660260028683, section 3 (matching loss of softmax and cross-entropy).
    """

    name: str = "gauss_newton_trace"
    passes: float = 1.0
    passes_a_further_class: float = 1.0
    gradient: bool = True

    @property
    def when(self) -> When:
        return "with_curvature"

    def __call__(self, batch: Batch) -> Tensor:
        return batch.differentiate(batch.inputs, _trace)


def _trace(inputs: Tensor, logits: Tensor, _labels: Tensor) -> Tensor:
    """The trace at some samples, shape (b,).

    Gradients are taken from the likeliest class on and less its own: where the model is sure, a difference of two nearly
    equal numbers would have no digits left.
    """
    k = logits.shape[1]
    order = logits.detach().argsort(dim=1, descending=True, stable=True)
    shares = logits.detach().softmax(1).gather(1, order)
    first = squares = mean = torch.zeros(())
    for place in range(k):
        chosen = logits.gather(1, order[:, place : place + 1]).sum()
        gradient = torch.autograd.grad(chosen, inputs, retain_graph=place + 1 < k)[0].flatten(1)
        if place == 0:
            first, squares, mean = gradient, gradient.new_zeros(len(gradient)), torch.zeros_like(gradient)
            continue
        beyond, share = gradient - first, shares[:, place]
        squares = squares + share * beyond.square().sum(1)
        mean = mean + share[:, None] * beyond
    return (squares - mean.square().sum(1)).clamp_min(0)


PROBE: Probe = GaussNewtonTrace()
