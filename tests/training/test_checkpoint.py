"""Checkpoint files: what is read is bit for bit what was written, and of anything else one sentence says that it is not."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from noisybench.data.source import Source
from noisybench.ground.errors import BadData, TrainingFailed
from noisybench.ground.lookup import find
from noisybench.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    epochs_trained,
    read_checkpoint,
    state_of,
    weights_of,
    write_checkpoint,
)
from noisybench.training.optimizers import RecipeOptimizer, optimizer_of
from noisybench.training.recipe import Recipe
from noisybench.training.training import train
from noisybench.variants.building import build_variant

HISTORY = {"epoch": [1.0, 2.0], "test_accuracy": [float("nan"), 0.1 + 0.2]}


def checkpoint(weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor] | None = None) -> Checkpoint:
    return Checkpoint(2, {"seed": 0, "recipe": "ä\n"}, HISTORY, 0.1, weights, optimizer or {})


def bits(tensor: Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    """All that a tensor is: NaN and -0.0 are told apart as numbers are not."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return tensor.dtype, tuple(tensor.shape), flat.view(torch.uint8).numpy().tobytes()


def every_kind() -> dict[str, Tensor]:
    """Tensors of every type, and in every way in which they can lie in memory."""
    base = torch.randn(4, 6, 2, 2, generator=torch.Generator().manual_seed(0))
    types = [
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
    ]
    return {
        **{str(kind): (base * 10).to(kind) for kind in (*types, torch.bool)},
        "special": torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e-45]),
        "channels last": base.to(memory_format=torch.channels_last),
        "transposed": base.permute(3, 2, 1, 0),
        "expanded": torch.ones(1).expand(3),
        "strided": base[::2, ::3],
        "tied": base,
        "tied.too": base,
        "a part of it": base[1:3],
        "parameter": nn.Parameter(base.clone()),
        "number": torch.tensor(7),
        "nothing": torch.zeros(0, 3),
        "nothing more": torch.zeros(0),
        "__metadata__": torch.ones(2),
        "ünïcode \x1b": torch.ones(2),
    }


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """Bit for bit, for every type and layout; the text too, NaN and the last digit of its numbers included."""
    weights = every_kind()
    written = checkpoint(weights, {f"0.{name}": tensor for name, tensor in weights.items()})
    write_checkpoint(written, tmp_path / "x")
    read = read_checkpoint(tmp_path / "x")
    assert {name: bits(tensor) for name, tensor in read.weights.items()} == {n: bits(t) for n, t in weights.items()}
    assert {n: bits(t) for n, t in read.optimizer.items()} == {n: bits(t) for n, t in written.optimizer.items()}
    assert (read.epoch, read.made_by, read.susceptibility) == (2, written.made_by, 0.1)
    assert repr(read.history) == repr(HISTORY)
    assert epochs_trained(tmp_path / "x") == 2


def test_bytes_follow_from_content(tmp_path: Path) -> None:
    """The same content gives the same file, whatever the order of its names and however its tensors lie in memory."""
    weights = every_kind()
    turned = {name: tensor.detach().clone() for name, tensor in reversed(weights.items())}
    for number in range(20):  # what is drawn anew in each file, such as the order of a hash map, would show
        write_checkpoint(checkpoint(turned if number else weights), tmp_path / str(number))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_of_a_gpu_are_kept(tmp_path: Path) -> None:
    """They give the file that they would give on a CPU."""
    weights = every_kind()
    write_checkpoint(checkpoint(weights), tmp_path / "cpu")
    write_checkpoint(checkpoint({name: tensor.cuda() for name, tensor in weights.items()}), tmp_path / "gpu")
    assert (tmp_path / "cpu").read_bytes() == (tmp_path / "gpu").read_bytes()


@pytest.mark.parametrize("bad", [torch.ones(2, dtype=torch.complex128), torch.eye(2).to_sparse()])
def test_what_cannot_be_kept_is_said(bad: Tensor, tmp_path: Path) -> None:
    """One sentence, and the checkpoint before it stays."""
    write_checkpoint(checkpoint({"a": torch.ones(1)}), tmp_path / "x")
    with pytest.raises(
        TrainingFailed, match=r"keeps a tensor that a checkpoint cannot hold \(.*\); expected dense ones"
    ):
        write_checkpoint(checkpoint({"a": bad}), tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert read_checkpoint(tmp_path / "x").weights["a"].item() == 1


def trained_model() -> tuple[nn.Module, RecipeOptimizer]:
    """A convolutional network in channels-last order after two steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(64, 5))
    model = model.to(memory_format=torch.channels_last)
    optimizer = optimizer_of(model.parameters(), Recipe(lr=0.1, momentum=0.9))
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(2, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def test_weights_and_momenta_are_put_back_as_they_lay(tmp_path: Path) -> None:
    """Values and strides are those before: another order in memory would take another kernel, and round otherwise."""
    model, optimizer = trained_model()
    write_checkpoint(checkpoint(weights_of(model), state_of(optimizer)), tmp_path / "x")
    fresh = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(64, 5))
    fresh = fresh.to(memory_format=torch.channels_last)
    other = optimizer_of(fresh.parameters(), Recipe(lr=0.1, momentum=0.9))
    read_checkpoint(tmp_path / "x").restore(weights_of(fresh), other, tmp_path / "x")
    for before, after in ((weights_of(model), weights_of(fresh)), (state_of(optimizer), state_of(other))):
        assert {name: bits(tensor) for name, tensor in before.items()} == {n: bits(t) for n, t in after.items()}
        assert {name: tensor.stride() for name, tensor in before.items()} == {n: t.stride() for n, t in after.items()}
    (tmp_path / "x").write_bytes(b"")  # nothing of the model lies in the file any more
    assert bits(state_of(other)["0.momentum_buffer"]) == bits(state_of(optimizer)["0.momentum_buffer"])


@pytest.mark.parametrize(
    ("part", "name", "tensor"),
    [
        ("weights", "0.bias", None),
        ("weights", "9.bias", torch.ones(4)),
        ("weights", "0.bias", torch.ones(4)),
        ("weights", "0.bias", torch.ones(8, dtype=torch.float64)),
        ("optimizer", "0.momentum_buffer", torch.ones(1)),
        ("optimizer", "99.momentum_buffer", torch.ones(1)),
    ],
)
def test_weights_of_another_model_are_refused(part: str, name: str, tensor: Tensor | None, tmp_path: Path) -> None:
    """One too few, one too many, another shape, another type, and such momenta: the model stays as it was."""
    model, optimizer = trained_model()
    parts = {"weights": weights_of(model), "optimizer": state_of(optimizer)}
    before = {key: bits(value) for key, value in parts["weights"].items()}
    parts["weights"] = {key: value * 2 for key, value in parts["weights"].items()}
    parts[part].pop(name, None)
    parts[part] |= {} if tensor is None else {name: tensor}
    write_checkpoint(checkpoint(**parts), tmp_path / "x")
    with pytest.raises(BadData, match="x holds the weights of another model; delete it to train this run again"):
        read_checkpoint(tmp_path / "x").restore(weights_of(model), optimizer, tmp_path / "x")
    assert {key: bits(value) for key, value in weights_of(model).items()} == before


def damaged(whole: bytes, number: int) -> bytes:
    """One of 400 damaged files: truncated, with one bit turned, with the header's length forged, or another's."""
    rng = np.random.default_rng(number)
    if number % 4 == 0:
        return whole[: rng.integers(len(whole))]
    if number % 4 == 1:
        place = int(rng.integers(len(whole) * 8))
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        return bytes(flipped)
    if number % 4 == 2:
        header = int.from_bytes(whole[:8], "little")
        return int(header + rng.integers(1, 2 ** int(rng.integers(1, 63)) + 1)).to_bytes(8, "little") + whole[8:]
    return foreign(rng)[number // 4 % 7]


def foreign(rng: np.random.Generator) -> list[bytes]:
    """Files of other kinds, and of safetensors by others."""
    pickled, array, archive = (io.BytesIO() for _ in range(3))
    torch.save({"plain": "{}", "weights": {"a": torch.ones(2)}}, pickled)
    np.save(array, rng.random(9))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a", rng.bytes(9))
    return [
        *(stream.getvalue() for stream in (pickled, array, archive)),
        json.dumps({"epoch": int(rng.integers(9))}).encode(),
        save({"a": torch.ones(int(rng.integers(1, 9)))}, {"epoch": "1"}),
        save({"a": torch.ones(2)}),
        rng.bytes(int(rng.integers(2000))),
    ]


def test_400_damaged_files_are_refused(tmp_path: Path) -> None:
    """Each raises BadData with one sentence, and nothing else; none is read as anything."""
    model, optimizer = trained_model()
    path = tmp_path / CHECKPOINT
    write_checkpoint(checkpoint(weights_of(model), state_of(optimizer)), path)
    whole = path.read_bytes()
    assert epochs_trained(path) == 2
    for number in range(400):
        path.write_bytes(damaged(whole, number))
        with pytest.raises(BadData) as caught:
            read_checkpoint(path)
        assert type(caught.value) is BadData
        sentence = str(caught.value)
        assert sentence.startswith(f"{path} "), number
        assert sentence.endswith("; delete it to train this run again"), number
        assert sentence.isprintable(), number
        assert epochs_trained(path) is None
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(BadData, match=r"cannot be read as a checkpoint: .*; delete it"):
            read_checkpoint(missing)
        assert epochs_trained(missing) is None


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 0}, {"epoch": True}, {"epoch": "2"}, {"made_by": []}, {"susceptibility": 1}, {"history": {}},
        {"history": {"epoch": [1.0]}}, {"history": {"epoch": [1.0, 2]}}, {"history": {"epoch": 5}},
        {"optimizer": {"x.momentum_buffer": torch.ones(1)}}, {"optimizer": {"0": torch.ones(1)}},
    ],
)  # fmt: skip
def test_a_checkpoint_without_its_parts_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    """Whole as a file, and no checkpoint."""
    parts = {"epoch": 2, "made_by": {}, "history": HISTORY, "susceptibility": 0.0, "optimizer": {}}
    write_checkpoint(Checkpoint(weights={"a": torch.ones(1)}, **{**parts, **change}), tmp_path / "x")
    with pytest.raises(BadData, match="x does not hold the parts of a checkpoint; delete it to train this run again"):
        read_checkpoint(tmp_path / "x")


def test_a_checkpoint_of_version_0_1_0_is_never_read(digits: Source, tmp_path: Path) -> None:
    """It is no reason to stop, decides nothing, and is gone when there is a new one."""
    variant = build_variant(digits, find("noises", "symmetric")(rate=0.2))
    recipe = Recipe(epochs=1)
    for folder in (tmp_path / "fresh", tmp_path / "old"):
        folder.mkdir()
        if folder.name == "old":
            (folder / "checkpoint.pt").write_bytes(b"whatever")
        train(digits, variant, find("models", "mlp"), recipe, [], seed=0, folder=folder)
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("fresh", "old")]
    assert files[0] == files[1] == [CHECKPOINT, "history.parquet", "timing.json", "trace"]
    assert (tmp_path / "fresh" / CHECKPOINT).read_bytes() == (tmp_path / "old" / CHECKPOINT).read_bytes()
