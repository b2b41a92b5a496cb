"""What the callbacks have in common, without the libraries that call them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from noisybench.ground.errors import BadData, BadUsage, MissingPackage
from noisybench.integrations import lightning, transformers
from noisybench.integrations.lightning import LightningObserver
from noisybench.integrations.sample_inputs import AskedModel, in_sample_order
from noisybench.integrations.transformers import TransformersObserver
from noisybench.training.recorder import Recorder


def test_without_the_package_a_callback_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is made: the modules can be imported without."""
    recorder = Recorder([0, 1], ["margin"])
    monkeypatch.setattr(lightning, "Callback", object)
    with pytest.raises(MissingPackage, match=r"needs the package 'lightning': pip install 'noisybench\[lightning\]'"):
        LightningObserver(recorder, torch.zeros(2, 3))
    monkeypatch.setattr(transformers, "TrainerCallback", object)
    with pytest.raises(MissingPackage, match=r"package 'transformers': pip install 'noisybench\[transformers\]'"):
        TransformersObserver(recorder)


def test_inputs_come_in_the_order_of_the_samples() -> None:
    """Of a data set by its own numbers, in batches; arrays and loaders as they are."""
    rows: Any = [torch.full((2,), float(i)) for i in range(300)]
    batches: Any = in_sample_order(rows, 300)
    assert torch.equal(torch.cat(list(batches))[:, 0], torch.arange(300.0))
    array: Any = in_sample_order(np.eye(3)[::-1], 3)
    assert torch.equal(array, torch.eye(3, dtype=torch.float64).flip(0))
    loader: Any = DataLoader(rows, batch_size=7)
    assert in_sample_order(loader, 300) is loader


@pytest.mark.parametrize(
    ("inputs", "kind", "message"),
    [
        (DataLoader([1, 2, 3], shuffle=True), BadUsage, "order of a RandomSampler.* with shuffle=False"),  # type: ignore[arg-type]
        ([1, 2], BadData, "the data set has 2 samples, and the recorder 3 labels; expected one each"),
        (np.zeros((2, 4)), BadData, "the inputs have 2 samples, and the recorder 3 labels"),
        ({"ids": torch.zeros(2, 4)}, BadData, "the inputs have 2 samples, and the recorder 3 labels"),
        (iter([1, 2, 3]), BadUsage, "inputs are a list_iterator; give the training set in the order of its samples"),
        (None, BadUsage, "to observe is to ask a model about inputs, and these are None"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_inputs_are_refused(inputs: object, kind: type[Exception], message: str) -> None:
    """Before anything is trained, with what was expected."""
    with pytest.raises(kind, match=message):
        in_sample_order(inputs, 3)


def test_a_model_is_asked_in_the_precision_of_its_weights() -> None:
    """Floats alone, of one input or of several by name; whole numbers stay what they are."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))

        def forward(self, ids: Tensor, weights: Tensor) -> Tensor:
            assert (ids.dtype, weights.dtype) == (torch.int64, torch.bfloat16)
            return self.scale * ids * weights

    asked = AskedModel(Words(), None)(ids=torch.ones(3, 4, dtype=torch.int64), weights=torch.ones(3, 4))
    assert asked.dtype == torch.bfloat16
    of_one = AskedModel(nn.Linear(4, 2), lambda model, x: -model(x))(torch.ones(3, 4, dtype=torch.float64))
    assert of_one.shape == (3, 2)
