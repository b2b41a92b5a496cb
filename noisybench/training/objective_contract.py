"""What an objective is told before a training, and whether what it gives back is what its contract says.

One of the user's own may give anything: each fault is a sentence that names the objective.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from noisybench.ground.arrays import Floats, Indices, Labels
from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.training.model import errors_as_training_failed
from noisybench.training.objective import Objective, State, Task
from noisybench.variants.transitions import all_entries, count_transitions
from noisybench.variants.variant import Variant

Shapes = Mapping[str, tuple[torch.Size, torch.dtype]]
"""Name of each tensor of a state → its shape and kind of number, which stay as they are."""


def task_of(objective: Objective, variant: Variant, labels: Tensor, rows: Tensor, *, classes: int, epochs: int) -> Task:
    """What the objective is told, of the truth no more than it says that it knows.

    Args:
        objective: That is told it.
        variant: Whose truth it is.
        labels: That are trained on, shape (n,).
        rows: Samples that are trained on, shape (m,).
        classes: Of the model.
        epochs: Of the training.

    Raises:
        BadUsage: It must know what nobody does.
    """
    task = Task(labels, classes, epochs, rows)
    if objective.knows == "nothing":
        return task
    known = variant.known
    if objective.knows == "rate":
        if not known.any():
            msg = f"{objective!r} must know the rate of wrong labels, and no clean label of {variant.name} is known"
            raise BadUsage(msg)
        return replace(task, rate=float(variant.mislabeled[known].mean()))
    transition = true_transition(variant)
    if transition is None or transition.shape != (classes, classes):
        msg = (
            f"{objective!r} must know the transition matrix of {classes} classes, and {variant.name} has none that is "
            f"known; let it be estimated"
        )
        raise BadUsage(msg)
    return replace(task, transition=torch.tensor(transition, dtype=torch.float32, device=labels.device))


def true_transition(variant: Variant) -> Floats | None:
    """T[i, j] = P(given j | clean i), shape (k, k): of the noise where it tells it, else the shares that are realised.

    A class without samples keeps its label. None where no clean label is known.
    """
    if variant.transition is not None:
        return all_entries(variant.transition)
    known = variant.known
    if not known.any():
        return None
    counts = count_transitions(variant.labels[known], variant.clean[known], variant.num_classes).astype(np.float64)
    counts[counts.sum(1) == 0] = np.eye(variant.num_classes)[counts.sum(1) == 0]
    matrix: Floats = counts / counts.sum(1, keepdims=True)
    return matrix


def begin_objective(objective: Objective, task: Task) -> State:
    """What the objective keeps, before the first step.

    Raises:
        TrainingFailed: It is no state: tensors by their names, dense, none of which shares its memory.
    """
    with errors_as_training_failed(f"{objective!r} cannot begin"):
        state: Any = objective.start(task)
    if not isinstance(state, dict) or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in state.items()):
        msg = f"the state of {objective!r} is {str(state)[:60]}; expected a dict of names and tensors"
        raise TrainingFailed(msg)
    found: State = state
    _check_own(objective, found, task)
    return found


def check_begin(
    objective: Objective, variant: Variant, labels: Labels, rows: Indices, *, classes: int, epochs: int
) -> None:
    """Raise what a training would for an objective that is not told what it must know, or cannot begin.

    Args:
        objective: What would be minimised.
        variant: Whose truth it is told.
        labels: That would be trained on, shape (n,).
        rows: Samples that would be trained on, shape (m,).
        classes: Of the model.
        epochs: Of the training.
    """
    told = task_of(objective, variant, torch.tensor(labels), torch.tensor(rows), classes=classes, epochs=epochs)
    begin_objective(objective, told)


def shapes_of(state: State) -> Shapes:
    """What a state's tensors must stay."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def check_kept(objective: Objective, state: State, kept: Shapes, task: Task) -> None:
    """Raise ``TrainingFailed`` for a state that a stopped training could not go on from with the same bytes.

    Args:
        objective: Whose it is.
        state: As it is after an epoch.
        kept: What it was at the start.
        task: What the objective was told, which it may not write over.
    """
    odd = {name for name, tensor in state.items() if not isinstance(tensor, Tensor)} or {*state} ^ {*kept}
    odd = odd or {name for name, shape in shapes_of(state).items() if shape != kept[name]}
    if odd:
        msg = (
            f"{objective!r} changed '{min(odd, key=str)}' of its state to another shape or kind, or made or removed it; expected "
            f"the tensors that start gave, written over in place"
        )
        raise TrainingFailed(msg)
    _check_own(objective, state, task)


def _check_own(objective: Objective, state: State, task: Task) -> None:
    """Raise ``TrainingFailed`` for tensors that a checkpoint cannot give back as they are."""
    seen = {task.labels.untyped_storage().data_ptr(), task.rows.untyped_storage().data_ptr()}
    for name, tensor in state.items():
        if tensor.requires_grad or tensor.layout != torch.strided:
            what = "has a gradient; detach it" if tensor.requires_grad else "is not dense; expected plain numbers"
            msg = f"'{name}' of the state of {objective!r} {what}"
            raise TrainingFailed(msg)
        place = tensor.untyped_storage().data_ptr()
        if tensor.numel() and place in seen:
            msg = f"'{name}' of the state of {objective!r} shares its memory with another tensor or the task; clone it"
            raise TrainingFailed(msg)
        seen.add(place)


def checked_loss(objective: Objective, loss: Tensor) -> Tensor:
    """The loss, a scalar with a gradient.

    Raises:
        TrainingFailed: It is anything else.
    """
    if not isinstance(loss, Tensor) or loss.shape != () or not loss.requires_grad:
        given = f"a tensor of shape {(*loss.shape,)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        given = "a loss without gradient" if isinstance(loss, Tensor) and loss.shape == () else given
        msg = f"{objective!r} gave {given}; expected a scalar with a gradient, the mean over the batch"
        raise TrainingFailed(msg)
    return loss
