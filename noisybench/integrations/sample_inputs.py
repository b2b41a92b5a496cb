"""What the callbacks have in common: a training set in the order of its samples, and a model that is asked about it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from noisybench.ground.errors import BadData, BadUsage
from noisybench.training.asking import ask
from noisybench.training.sample_order import SampleInputs, check_loader, count

Logits = Callable[[Any, Any], Tensor]
"""A model and a batch of inputs, as the data set gives them and without the labels → logits (b, k)."""


def in_sample_order(inputs: Any, n: int, *, collate: Callable[[Any], Any] | None = None) -> SampleInputs:  # noqa: ANN401 - whatever a library reads
    """Inputs of n samples as ``observe`` takes them.

    Args:
        inputs: A tensor or an array (n, ...), tensors by name, a data set of inputs, of pairs (inputs, labels) or of
            inputs by name; or a loader that does not shuffle.
        n: Samples with a label.
        collate: Makes a batch of rows of a data set; None takes torch's own way.

    Raises:
        BadUsage: A loader that gives the samples in another order, or something else.
        BadData: A data set of more or fewer samples.
    """
    check_loader(inputs)
    if isinstance(inputs, np.ndarray):
        inputs = torch.from_numpy(np.ascontiguousarray(inputs))
    if isinstance(inputs, DataLoader):
        return inputs
    if isinstance(inputs, Tensor | Mapping):
        _check_number("inputs have", count(inputs), n)
        return inputs
    if not hasattr(inputs, "__getitem__") or not hasattr(inputs, "__len__"):
        msg = (
            f"inputs are a {type(inputs).__name__}; give the training set in the order of its samples: an array, a data "
            f"set with a length, or a loader with shuffle=False"
        )
        raise BadUsage(msg)
    _check_number("data set has", len(inputs), n)
    return DataLoader(inputs, batch_size=256, collate_fn=collate)


def _check_number(who: str, found: int, n: int) -> None:
    if found != n:
        msg = f"the {who} {found} samples, and the recorder {n} labels; expected one each"
        raise BadData(msg)


class AskedModel(nn.Module):
    """A model that gives logits for inputs from anywhere: on its own device, in the precision of its weights."""

    def __init__(self, model: nn.Module, logits: Logits | None) -> None:
        super().__init__()
        self.model = model
        self.logits = logits
        self.precision = next((each.dtype for each in model.parameters() if each.is_floating_point()), torch.float32)

    def forward(self, *one: Tensor, **named: Tensor) -> Any:  # noqa: ANN401 - whatever a model gives
        """What the model says of one tensor, or of several by name."""
        inputs = self._cast(one[0]) if one else {name: self._cast(value) for name, value in named.items()}
        return ask(self.model, inputs) if self.logits is None else self.logits(self.model, inputs)

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self.precision) if value.is_floating_point() else value


def device_of(model: nn.Module) -> torch.device:
    """Where the weights of a model are."""
    return next((each.device for each in model.parameters()), torch.device("cpu"))


def rate_of(optimizer: Any) -> float | None:  # noqa: ANN401 - of any library
    """Learning rate of the first parameters of an optimizer; None where there is none."""
    groups = getattr(optimizer, "param_groups", None)
    return float(groups[0]["lr"]) if groups else None
