"""Lightning's own loop: observed, and trained to the same bits as without."""
# ruff: noqa: ANN401 - Lightning is not installed where types are checked

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from noisybench.detection.scoring import score
from noisybench.ground.errors import BadData, BadUsage
from noisybench.integrations.lightning import LightningObserver
from noisybench.items import find
from noisybench.training.observing import observe
from noisybench.training.recorder import Recorder

pytestmark = [
    pytest.mark.integration("lightning"),
    pytest.mark.filterwarnings("ignore:.*(does not have many workers|log_every_n_steps|GPU available|ModelCheckpoint)"),
    pytest.mark.filterwarnings("ignore:.*(Checkpoint directory|`isinstance|LeafSpec|pin_memory|multi-threaded)"),
]
N, K = 50, 3
INPUTS = torch.randn(N, 6, generator=torch.Generator().manual_seed(1))
LABELS = torch.randint(K, (N,), generator=torch.Generator().manual_seed(2))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, K))


def module(*, forward: bool = True) -> Any:
    from lightning.pytorch import LightningModule

    class Own(LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: Any, _: int) -> Tensor:
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    class Forward(Own):
        def forward(self, inputs: Tensor) -> Tensor:
            return self.net(inputs)

    return Forward() if forward else Own()


def fit(
    folder: Path,
    *callbacks: Any,
    workers: int = 0,
    resume: str | None = None,
    forward: bool = True,
    **options: Any,
) -> Any:
    """The module after three epochs of batches of 8 that are shuffled."""
    from lightning.pytorch import Trainer

    torch.manual_seed(0)
    trained = module(forward=forward)
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    options = {"accelerator": "cpu", "devices": 1, "max_epochs": 3, "default_root_dir": folder, **quiet, **options}
    loader = DataLoader(TensorDataset(INPUTS, LABELS), batch_size=8, shuffle=True, num_workers=workers)
    trainer = Trainer(callbacks=list(callbacks), **options)
    trainer.fit(trained, loader, ckpt_path=resume)
    return trained


def reference(columns: list[np.ndarray[Any, Any]]) -> Any:
    """A callback that computes margins in a loop over samples, of a copy of the network."""
    import copy

    from lightning.pytorch import Callback

    class Loop(Callback):  # type: ignore[misc]
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            del trainer
            net = copy.deepcopy(pl_module.net).eval().float()
            margins = []
            with torch.no_grad():
                for x, y in zip(INPUTS, LABELS.tolist(), strict=True):
                    row = net(x[None])[0].tolist()
                    margins.append(row[y] - max(row[:y] + row[y + 1 :]))
            columns.append(np.array(margins))

    return Loop()


def stopping() -> Any:
    from lightning.pytorch.callbacks import EarlyStopping

    return EarlyStopping("loss", patience=1, min_delta=10.0, check_on_train_epoch_end=True)


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({}, 3),
        ({"accumulate_grad_batches": 3}, 3),
        ({"precision": "bf16-mixed"}, 3),
        ({"workers": 2}, 3),
        ({"stop": True}, 2),
        ({"max_steps": 9}, 2),
    ],
    ids=lambda value: "-".join(value) or "plain" if isinstance(value, dict) else str(value),
)
def test_every_epoch_is_observed_and_nothing_changes(options: dict[str, Any], epochs: int, tmp_path: Path) -> None:
    """Margins are those of a loop over samples, in single precision; weights and statistics are bit-equal without."""
    stop = options.pop("stop", False)
    plain = fit(tmp_path, *([stopping()] if stop else []), **options).state_dict()
    recorder, expected = Recorder(LABELS.tolist(), ["margin", "loss"]), list[Any]()
    seen = LightningObserver(recorder, TensorDataset(INPUTS, LABELS))
    watched = fit(tmp_path, seen, reference(expected), *([stopping()] if stop else []), **options)
    assert all(torch.equal(value, plain[name]) for name, value in watched.state_dict().items())
    column = recorder.trace().column("margin")
    assert column.epochs.tolist() == list(range(1, epochs + 1))
    np.testing.assert_allclose(column.values, np.stack(expected), rtol=1e-4, atol=1e-5)
    assert score(recorder.trace(), find("detectors", "aum")).values.shape == (N,)
    assert all(each.training for each in watched.net)  # as a user may go on


def test_what_is_trained_in_half_precision_is_observed(tmp_path: Path) -> None:
    """Inputs take the precision of the weights."""
    recorder = Recorder(LABELS.tolist(), ["margin"])
    fit(tmp_path, LightningObserver(recorder, INPUTS), max_epochs=1, precision="bf16-true")
    assert recorder.trace()["margin"].shape == (1, N)


def test_a_resumed_training_goes_on_with_its_trace(tmp_path: Path) -> None:
    """From Lightning's own checkpoint, into the folder of the first part."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    saving = ModelCheckpoint(tmp_path, filename="saved")
    first = Recorder(LABELS.tolist(), ["margin"], folder=tmp_path / "trace")
    fit(tmp_path, LightningObserver(first, INPUTS), saving, max_epochs=2, enable_checkpointing=True)
    before = first.trace()["margin"]
    second = Recorder(LABELS.tolist(), ["margin"], folder=tmp_path / "trace", resume=True)
    done = fit(tmp_path, LightningObserver(second, INPUTS), max_epochs=3, resume=str(tmp_path / "saved.ckpt"))
    column = second.trace().column("margin")
    assert column.epochs.tolist() == [1, 2, 3]
    last = observe(done, INPUTS, LABELS, [find("probes", "margin")], epoch=3).values["margin"]
    assert np.array_equal(column.values, [*before, last])


def test_any_way_to_give_the_inputs_gives_the_same(tmp_path: Path) -> None:
    """An array, a tensor, a data set, a loader in order; a function where ``forward`` is none; gradients as well."""
    rows = TensorDataset(INPUTS, LABELS)
    names = ["margin", "curvature"]
    recorders = [Recorder(LABELS.tolist(), names) for _ in range(5)]
    ways: list[Any] = [INPUTS.double().numpy(), INPUTS, rows, DataLoader(rows, batch_size=7)]
    seen = [LightningObserver(one, way) for one, way in zip(recorders, ways, strict=False)]
    named = {"x": INPUTS}
    margins = Recorder(LABELS.tolist(), ["margin"])
    seen.append(LightningObserver(recorders[4], INPUTS, logits=lambda own, x: own.net(x)))
    seen.append(LightningObserver(margins, named, logits=lambda own, x: own.net(x["x"])))
    fit(tmp_path, *seen[:4], max_epochs=1)
    fit(tmp_path, *seen[4:], max_epochs=1, forward=False)
    for other in recorders[1:]:
        for name in names:
            np.testing.assert_allclose(other.trace()[name], recorders[0].trace()[name], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(margins.trace()["margin"], recorders[0].trace()["margin"], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_observed_is_refused_before_training(tmp_path: Path) -> None:
    """A shuffled loader, other samples, a stream, no forward."""
    recorder = Recorder(LABELS.tolist(), ["margin"])
    rows = TensorDataset(INPUTS, LABELS)
    with pytest.raises(BadUsage, match="order of a RandomSampler.* with shuffle=False"):
        LightningObserver(recorder, DataLoader(rows, shuffle=True))
    with pytest.raises(BadData, match="data set has 49 samples, and the recorder 50 labels"):
        LightningObserver(recorder, TensorDataset(INPUTS[1:], LABELS[1:]))
    with pytest.raises(BadData, match="the inputs have 49 samples, and the recorder 50 labels"):
        LightningObserver(recorder, INPUTS[1:])
    with pytest.raises(BadUsage, match="inputs are a generator; give the training set in the order of its samples"):
        LightningObserver(recorder, (row for row in INPUTS))
    with pytest.raises(BadUsage, match="Own has no forward; say logits=lambda module, inputs"):
        fit(tmp_path, LightningObserver(recorder, INPUTS), forward=False)
