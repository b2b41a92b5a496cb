"""Curvature of the loss around a sample by products with its exact Hessian, without a step."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from noisybench.ground.errors import BadUsage
from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When
from noisybench.training.probes._directions import signs


@dataclass(frozen=True, slots=True)
class ExactCurvature:
    """Mean over random directions v of ‖Hv‖^power: (b, ...) → (b,).

    H is the Hessian, in the input, of the cross-entropy of one sample with its given label, whatever the batch; v has
    entries ±1. The directions are those of ``curvature``, which divides a difference of two gradients by a step: on a
    smooth model (SiLU, tanh) that tends to this value as its step tends to zero, and what is left between the two is the
    step's own part. In nats per squared unit of the model's input; with ``power=2`` the expectation is the trace of H².

    On ReLU and max-pooling models H is, wherever it exists, the Gauss-Newton matrix Jᵀ(diag p - ppᵀ)J: what is measured
    there is that part alone. It does not contain the label: at fixed weights every label has the same value, and what it
    finds, it finds through the weights. The share of the kinks, which a step crosses, is missing.

    One pass for the gradient, and for each direction a backward pass through both, which is priced as two and a
    half: it goes through the operations of a pass and through those of its backward half once more.

    Attributes:
        draws: Directions per sample.
        power: 1 averages norms, 2 squared norms, as for ``curvature``.

    Raises:
        BadUsage: No draw, or another power; or, when it is asked, a model that has no second derivative.

    Source: Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147 (exact products with the Hessian), of the quantity of Garg,
    Ravikumar and Roy 2024, arXiv:2307.05831.
    """

    draws: int = 3
    power: int = 1

    def __post_init__(self) -> None:
        if self.draws < 1 or self.power not in (1, 2):
            msg = f"curvature_exact needs a draw, and a power of 1 or 2, got draws={self.draws}, power={self.power}"
            raise BadUsage(msg)

    @property
    def name(self) -> str:
        return "curvature_exact"

    @property
    def when(self) -> When:
        return "with_curvature"

    @property
    def passes(self) -> float:
        return 1.0 + PASSES_A_DRAW * self.draws

    @property
    def gradient(self) -> bool:
        return True

    @property
    def may_refuse(self) -> bool:
        return True

    def __call__(self, batch: Batch) -> Tensor:
        directions = torch.stack([signs(batch, draw) for draw in range(self.draws)])
        done = 0

        def products(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
            nonlocal done
            ours = directions[:, done : done + len(inputs)]
            done += len(inputs)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            gradient = torch.autograd.grad(loss, inputs, create_graph=True)[0]
            total = gradient.new_zeros(len(inputs))
            for v in ours:
                product = torch.autograd.grad(gradient, inputs, grad_outputs=v, retain_graph=True)[0]
                total += product.flatten(1).norm(dim=1).pow(self.power)
            return total / self.draws

        try:
            with sdpa_kernel(SDPBackend.MATH):  # the faster kernels of attention have no second derivative
                return batch.differentiate(batch.inputs, products)
        except RuntimeError as error:
            if "derivative for" not in str(error):
                raise
            reason = str(error).splitlines()[0]
            msg = f"curvature_exact needs a model that can be differentiated twice ({reason}); leave it out"
            raise BadUsage(msg) from None


PASSES_A_DRAW = 2.5
"""Passes, forward and backward together, that one product takes."""

PROBE: Probe = ExactCurvature()
