"""Steps of a training by hand, for the tests of objectives."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from noisybench.training.objective import Objective, State, Step, Task


def task_of(labels: Tensor, num_classes: int, **further: Any) -> Task:  # noqa: ANN401 - fields of ``Task``
    """A training on all samples for 20 epochs, unless said otherwise."""
    known: dict[str, Any] = {"epochs": 20, "rows": torch.arange(len(labels)), "transition": None, "rate": None}
    return Task(labels=labels, num_classes=num_classes, **known | further)


def step_of(
    logits: Tensor,
    labels: Tensor,
    task: Task,
    state: State,
    *,
    epoch: int = 20,
    chosen: Tensor | None = None,
    branch: Tensor | None = None,
    seed: int = 0,
    ask: Callable[[Tensor], Tensor] | None = None,
) -> Step:
    """One batch, by default of the first samples and in the last epoch."""

    def refuse(numbers: Tensor) -> Tensor:
        msg = f"{len(numbers)} samples are asked"
        raise AssertionError(msg)

    return Step(
        logits=logits,
        labels=labels,
        chosen=torch.arange(len(labels)) if chosen is None else chosen,
        epoch=epoch,
        state=state,
        task=task,
        branch=branch,
        generator=torch.Generator().manual_seed(seed),
        ask=ask or refuse,
    )


def loss_and_gradient(
    objective: Objective,
    logits: Tensor,
    labels: Tensor,
    task: Task | None = None,
    **further: Any,  # noqa: ANN401 - of ``step_of``
) -> tuple[Tensor, Tensor]:
    """The loss of one batch from a fresh state, a scalar, and its gradient for the logits, (b, k)."""
    task = task_of(labels, logits.shape[1]) if task is None else task
    leaf = logits.detach().clone().requires_grad_()
    loss = objective.loss(step_of(leaf, labels, task, further.pop("state", None) or objective.start(task), **further))
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad
