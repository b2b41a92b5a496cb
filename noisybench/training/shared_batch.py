"""One batch on several ranks: each runs the model on a part of it, and all minimise the loss of the whole.

Every rank has the logits of all samples of a batch, and gradients flow back through its own rows alone; so an objective sees
what it sees in one process, whatever it makes of a batch. Gradients of a part are multiplied by the number of ranks and
then averaged over them, which leaves alone what every rank computes alike, such as a penalty of the weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from noisybench.ground.errors import BadUsage
from noisybench.training.ranks import BLOCK, Ranks


@dataclass(frozen=True, slots=True)
class SharedBatches:
    """How ranks share the batches of a training. Every method is called by all of them alike, in the same order."""

    ranks: Ranks

    def check(self, batches: Sequence[Tensor]) -> None:
        """Refuse batches of which some rank would have nothing.

        Raises:
            BadUsage: A batch has fewer samples than there are ranks.
        """
        smallest = min(map(len, batches), default=self.ranks.world)
        if smallest < self.ranks.world:
            msg = (
                f"a batch of {smallest} samples cannot be shared by {self.ranks.world} ranks; start fewer, or take another "
                f"batch_size, whose last batch is larger"
            )
            raise BadUsage(msg)

    def part(self, b: int) -> slice:
        """This rank's rows of a batch of ``b``."""
        rank, world = self.ranks.rank, self.ranks.world
        return slice(b * rank // world, b * (rank + 1) // world)

    def whole(self, rows: Tensor, b: int) -> Tensor:
        """What all ranks have of a batch, shape (b, ...), of this rank's ``rows``."""
        if self.ranks.world == 1:
            return rows
        whole: Tensor = _Whole.apply(rows, self.part(b), b, self.ranks)
        return whole

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Have each rank hold the mean of the gradients of all, some at a time."""
        if self.ranks.world == 1:
            return
        for gradients in _in_blocks([each.grad for each in parameters if each.grad is not None]):
            together = torch.cat([each.reshape(-1) for each in gradients])
            self.ranks.add(together)
            together /= self.ranks.world
            for each, mean in zip(gradients, together.split([each.numel() for each in gradients]), strict=True):
                each.copy_(mean.view_as(each))

    @contextmanager
    def sharing_statistics(self) -> Iterator[None]:
        """While a model runs on a part: batch norm takes mean and variance of the whole batch, as in one process.

        So the recipe is the same on any number of ranks; ``torch.nn.SyncBatchNorm`` does that on a GPU alone.
        """
        if self.ranks.world == 1:
            yield
            return
        with _SharedNorm(self.ranks):
            yield


class _Whole(torch.autograd.Function):
    """The rows of all ranks; the gradient of this rank's own, times the ranks, see above."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, part: slice, b: int, ranks: Ranks) -> Tensor:  # noqa: ANN401 - of torch
        ctx.part, ctx.times = part, ranks.world
        whole = rows.new_zeros(b, *rows.shape[1:])
        whole[part] = rows
        ranks.combine(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: ANN401
        return gradients[0][ctx.part] * ctx.times, None, None, None


class _Total(torch.autograd.Function):
    """The sum over the ranks, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks) -> Tensor:  # noqa: ANN401
        ctx.ranks = ranks
        return ranks.summed(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: ANN401
        return ctx.ranks.summed(gradients[0].contiguous()), None


class _SharedNorm(TorchFunctionMode):
    """Batch norm of a whole batch in place of that of a part, whatever module calls it."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        if func is not F.batch_norm:
            return func(*args, **kwargs)
        return _batch_norm(self._ranks, *args, **kwargs)


def _batch_norm(  # noqa: PLR0917 - the signature of torch
    ranks: Ranks,
    inputs: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,  # noqa: FBT001, FBT002
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``torch.nn.functional.batch_norm`` of a part (b, c, ...), by mean and variance of the batches of all ranks."""
    if not training:
        return F.batch_norm(inputs, running_mean, running_var, weight, bias, training, momentum, eps)
    values = inputs.float()
    others = [dimension for dimension in range(values.ndim) if dimension != 1]
    shape = [-1 if dimension == 1 else 1 for dimension in range(values.ndim)]
    own_count = values.new_tensor([values.numel() / values.shape[1]])
    sums = _Total.apply(torch.cat([values.sum(others), own_count]), ranks)
    mean, count = sums[:-1] / sums[-1], sums[-1].detach()
    centred = values - mean.view(shape)
    variance = _Total.apply(centred.square().sum(others), ranks) / count
    with torch.no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        if running_var is not None:
            running_var.lerp_((variance * (count / (count - 1))).to(running_var.dtype), momentum)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight.float()
    normed = centred * scale.view(shape)
    return (normed if bias is None else normed + bias.float().view(shape)).to(inputs.dtype)


def _in_blocks(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in order, of one type and of about so many bytes at a time as are sent."""
    block: list[Tensor] = []
    for tensor in tensors:
        full = sum(each.nbytes for each in block) + tensor.nbytes > BLOCK
        if block and (full or block[0].dtype != tensor.dtype):
            yield block
            block = []
        block.append(tensor)
    if block:
        yield block
