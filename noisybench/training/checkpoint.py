"""Checkpoints: what a training run needs to go on after an epoch as if it had never stopped.

Every draw of training follows from (seed, purpose, epoch), so a checkpoint holds no state of a random generator. It is
tensors and one JSON text, and nothing else is ever loaded from it.
"""

import io
import json
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noisybench.ground.errors import BadData
from noisybench.ground.files import replacing


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A run at the end of an epoch.

    Attributes:
        epoch: Epochs trained.
        made_by: Everything that decides the bytes of the run, as JSON; a run made by anything else is another.
        history: Column → its value at each epoch so far.
        susceptibility: Sum of the drops so far, in nats.
        weights: Every parameter and buffer of the model by name, those that ``state_dict`` leaves out as well.
        optimizer: ``"{parameter}.{name}"`` → the optimiser's tensor of that name for that parameter.
    """

    epoch: int
    made_by: Mapping[str, Any]
    history: Mapping[str, list[float]]
    susceptibility: float
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]

    def check(self, made_by: Mapping[str, Any], path: Path) -> None:
        """Raise ``BadData`` unless the run was made by ``made_by``; the sentence names the first difference."""
        for key in sorted({*made_by, *self.made_by}):
            if self.made_by.get(key) != made_by.get(key):
                msg = (
                    f"{path} is of a run with {key} = {self.made_by.get(key)}, now it is {made_by.get(key)}; "
                    f"give another folder, or delete that one to train again"
                )
                raise BadData(msg)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, path: Path) -> None:
        """Put weights and optimiser back, bit for bit.

        Raises:
            BadData: They are those of another model.
        """
        own = weights_of(model)
        if {name: tensor.shape for name, tensor in own.items()} != {k: v.shape for k, v in self.weights.items()}:
            msg = f"{path} holds the weights of another model; delete it to train this run again"
            raise BadData(msg)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(self.weights[name])
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in self.optimizer.items():
            parameter, _, name = key.partition(".")
            state.setdefault(int(parameter), {})[name] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, also buffers that are not persistent."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor that an optimiser keeps, as ``Checkpoint.optimizer`` names them."""
    state = optimizer.state_dict()["state"]
    return {f"{k}.{name}": value for k, kept in state.items() for name, value in kept.items() if torch.is_tensor(value)}


PLAIN = ("epoch", "made_by", "history", "susceptibility")
TENSORS = ("weights", "optimizer")


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; it comes after all else of its epoch, so that what it speaks of is there."""
    # One text, not objects: a pickle of the same values differs with which of them are the same object.
    content: dict[str, Any] = {"plain": json.dumps({name: getattr(checkpoint, name) for name in PLAIN})}
    for name in TENSORS:
        content[name] = {key: tensor.detach() for key, tensor in getattr(checkpoint, name).items()}
    buffer = io.BytesIO()  # so that a full disk is an error of the system, not one of torch's archive
    torch.save(content, buffer)
    with replacing(path) as part:
        part.write_bytes(buffer.getbuffer())


def epochs_trained(path: Path) -> int | None:
    """Epochs of the checkpoint there, its tensors left on disk; None where there is none that can be read."""
    try:
        return read_checkpoint(path, mmap=True).epoch if path.is_file() else None
    except BadData:
        return None


def read_checkpoint(path: Path, *, mmap: bool = False) -> Checkpoint:
    """Read what ``write_checkpoint`` wrote. Tensors and a text are all that is ever loaded.

    Args:
        path: The file.
        mmap: Leave the tensors on disk until they are looked at.

    Raises:
        BadData: The file is broken, or holds anything else.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # torch wonders aloud about pickles that are not its own
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (
        OSError, RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError,
        OverflowError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError,
    ) as error:  # fmt: skip
        foreign = isinstance(error, pickle.UnpicklingError)  # torch then advises to trust the file
        reason = "it holds more than tensors and text" if foreign else (str(error).splitlines() or ["broken"])[0]
        msg = f"{path} cannot be read as a checkpoint: {reason}; delete it to train this run again"
        raise BadData(msg) from None
    try:
        text = json.loads(content["plain"])
        plain = {name: text[name] for name in PLAIN}
        weights, optimizer = (dict(content[name]) for name in TENSORS)
        whole = all(type(plain[name]) is kind for name, kind in zip(PLAIN, (int, dict, dict, float), strict=True))
        whole = whole and all(torch.is_tensor(value) for value in (*weights.values(), *optimizer.values()))
        whole = whole and plain["epoch"] >= 1 and "epoch" in plain["history"]
        whole = whole and all(_is_history(column, plain["epoch"]) for column in plain["history"].values())
        whole = whole and all(re.fullmatch(r"[0-9]{1,9}\..+", key) for key in optimizer)
    except (KeyError, TypeError, ValueError, RecursionError):
        whole = False
    if not whole:
        msg = f"{path} does not hold the parts of a checkpoint; delete it to train this run again"
        raise BadData(msg)
    return Checkpoint(**plain, weights=weights, optimizer=optimizer)


def _is_history(column: object, epochs: int) -> bool:
    """Whether that is a number for each epoch."""
    return isinstance(column, list) and len(column) == epochs and all(type(value) is float for value in column)
