"""The branch that an objective adds to a model: fed what the last linear layer is given, trained with the model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from noisybench.ground.errors import BadUsage
from noisybench.training.asking import head_of
from noisybench.training.observing import evaluating


@dataclass(slots=True, eq=False)
class Branch:
    """A module beside the last linear layer of a model.

    Attributes:
        module: What is added; its input has the features of ``head``.
        head: The last linear layer.
    """

    module: nn.Module
    head: nn.Linear
    _given: Tensor | None = field(init=False, default=None)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the model is trained: what the last linear layer is given is kept until ``answer`` takes it."""

        def keep(layer: nn.Module, given: tuple[Any, ...]) -> None:  # noqa: ARG001 - torch gives it
            self._given = given[0]

        handle = self.head.register_forward_pre_hook(keep)
        try:
            yield
        finally:
            handle.remove()
            self._given = None

    def answer(self) -> Tensor:
        """What the branch gives for the batch that the model was run on last, float32, with gradient.

        Raises:
            BadUsage: The model did not run its last linear layer.
        """
        given, self._given = self._given, None
        if given is None:
            msg = "the model did not run its last linear layer, to which the objective adds a branch; choose another objective"
            raise BadUsage(msg)
        answer: Tensor = self.module(given.flatten(1).float())
        return answer


def last_linear(model: nn.Module, inputs: Tensor, num_classes: int) -> nn.Linear:
    """The linear layer whose outputs are the logits of a model.

    Raises:
        BadUsage: They are not what an ``nn.Linear`` gives.
    """
    with torch.no_grad(), evaluating(model, seed=0, device=inputs.device):
        head = head_of(model, inputs, num_classes)
    if head is None:
        msg = (
            f"the logits of {type(model).__name__} are not what an nn.Linear of it gives, and the objective adds a branch to "
            f"the features of the last one; choose another objective, or let the model end in one"
        )
        raise BadUsage(msg)
    return head
