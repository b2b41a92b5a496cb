"""Checkpoints: what a training run needs to go on after an epoch as if it had never stopped.

Every draw of training follows from (seed, purpose, epoch), so a checkpoint holds no state of a random generator. It is
a file of safetensors: tensors and one JSON text, neither of which can name code.
"""

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from noisybench.ground.errors import BadData, TrainingFailed
from noisybench.ground.files import replacing
from noisybench.training.optimizers import RecipeOptimizer, as_kept, fits_state, names_kept

CHECKPOINT = "checkpoint.safetensors"
"""Name of the file in a run's folder."""


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
        objective: Name → what the objective keeps.
        memory: Name of a probe → what it remembers of the epochs so far; an empty tensor is nothing.
    """

    epoch: int
    made_by: Mapping[str, Any]
    history: Mapping[str, list[float]]
    susceptibility: float
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    objective: Mapping[str, Tensor] = field(default_factory=dict)
    memory: Mapping[str, Tensor] = field(default_factory=dict)

    def check(self, made_by: Mapping[str, Any], path: Path) -> None:
        """Raise ``BadData`` unless the run was made by ``made_by``; the sentence names the first difference."""
        for key in sorted({*made_by, *self.made_by}):
            if self.made_by.get(key) != made_by.get(key):
                msg = (
                    f"{path} is of a run with {key} = {self.made_by.get(key)}, now it is {made_by.get(key)}; "
                    f"give another folder, or delete that one to train again"
                )
                raise BadData(msg)

    def restore(
        self,
        own: Mapping[str, Tensor],
        optimizer: RecipeOptimizer,
        path: Path,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Put weights, optimiser and what the objective keeps back, bit for bit.

        Args:
            own: Every parameter and buffer by name, which is written over; see ``weights_of``.
            optimizer: Of these.
            path: The file, for the message.
            state: Of the objective, which is written over; None of one that keeps nothing.

        Raises:
            BadData: They are those of another model.
        """
        parameters = optimizer.parameters
        keys = {key: (int(key.partition(".")[0]), key.partition(".")[2]) for key in self.optimizer}
        moments: dict[int, dict[str, Tensor]] = {}
        for key, (k, name) in keys.items():
            moments.setdefault(k, {})[name] = self.optimizer[key]
        kept = {} if state is None else state
        fits = (own.keys(), kept.keys()) == (self.weights.keys(), self.objective.keys())
        fits = fits and all(_alike(tensor, self.objective[name]) for name, tensor in kept.items())
        fits = fits and all(_alike(tensor, self.weights[name]) for name, tensor in own.items())
        fits = fits and all(
            k < len(parameters) and fits_state(name, self.optimizer[key], parameters[k])
            for key, (k, name) in keys.items()
        )
        fits = fits and all(tensors.keys() == names_kept(optimizer) for tensors in moments.values())
        if not fits:
            msg = f"{path} holds the weights of another model; delete it to train this run again"
            raise BadData(msg)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(self.weights[name])
            for name, tensor in kept.items():
                tensor.copy_(self.objective[name])
            for key, (k, name) in keys.items():
                moments[k][name] = as_kept(name, self.optimizer[key], parameters[k])
        optimizer.state = moments


def _alike(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.dtype) == (other.shape, other.dtype)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, also buffers that are not persistent."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def state_of(optimizer: RecipeOptimizer) -> dict[str, Tensor]:
    """Every tensor that an optimiser keeps, as ``Checkpoint.optimizer`` names them."""
    return {f"{k}.{name}": value for k, kept in optimizer.state.items() for name, value in kept.items()}


PLAIN = ("epoch", "made_by", "history", "susceptibility")
TENSORS = ("weights", "optimizer", "objective", "memory")
METADATA = "noisybench"
"""Key of the one text beside the tensors."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; it comes after all else of its epoch, so that what it speaks of is there.

    Raises:
        TrainingFailed: The model keeps a tensor of a kind that the file cannot hold.
    """
    plain = json.dumps({name: getattr(checkpoint, name) for name in PLAIN})
    named = {f"{part}.{key}": tensor for part in TENSORS for key, tensor in getattr(checkpoint, part).items()}
    try:
        tensors = _apart(named)
        # One text: of several, safetensors writes now the one first and now the other.
        about = json.dumps({"plain": plain, "crc32": _checksum(plain, tensors)})
        content = save(tensors, {METADATA: about})  # in memory, so that a full disk is an error of the system
    except (RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"the model keeps a tensor that a checkpoint cannot hold ({reason}); expected dense ones of plain numbers"
        raise TrainingFailed(msg) from None
    with replacing(path) as part:
        part.write_bytes(content)


def epochs_trained(path: Path, made_by: Mapping[str, Any] = MappingProxyType({})) -> int | None:
    """Epochs of the checkpoint there; None where there is none that can be read, or not one that was made by that."""
    try:
        found = read_checkpoint(path) if path.is_file() else None
    except BadData:
        return None
    return found.epoch if found is not None and made_by.items() <= found.made_by.items() else None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what ``write_checkpoint`` wrote. Its tensors stay on disk, mapped into memory.

    Raises:
        BadData: The file is broken, or holds anything else.
    """
    damaged = "it is damaged, or no file of safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    # What safetensors and torch say of a stranger's file may quote it, so it is not passed on.
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, LookupError, OverflowError) as error:
        msg = _unreadable(path, getattr(error, "strerror", None) or damaged)
        raise BadData(msg) from None
    try:
        about = json.loads(metadata[METADATA])
        intact = about["crc32"] == _checksum(about["plain"], tensors)
        content = _parts(json.loads(about["plain"]), tensors) if intact else None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError):
        msg = f"{path} does not hold the parts of a checkpoint; delete it to train this run again"
        raise BadData(msg) from None
    if content is None:
        raise BadData(_unreadable(path, damaged))
    return content


def _unreadable(path: Path, reason: str) -> str:
    return f"{path} cannot be read as a checkpoint: {reason}; delete it to train this run again"


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in the memory of the CPU, each whole and in its own: the format knows no two names of one tensor."""
    apart: dict[str, Tensor] = {}
    memories = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        if value.untyped_storage().data_ptr() in memories:
            value = value.clone()
        memories.add(value.untyped_storage().data_ptr())
        apart[name] = value
    return apart


def _checksum(plain: str, tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of all that a checkpoint holds: safetensors has none, and would not see a flipped bit of a weight."""
    total = zlib.crc32(plain.encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, total)
    return total


def _parts(plain: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Checkpoint:
    """The checkpoint that a text and tensors make.

    Raises:
        KeyError: A part is missing.
        ValueError: A part is something else.
    """
    groups: dict[str, dict[str, Tensor]] = {part: {} for part in TENSORS}
    for name, tensor in tensors.items():
        part, _, key = name.partition(".")
        groups[part][key] = tensor
    content = {name: plain[name] for name in PLAIN}
    whole = all(type(content[name]) is kind for name, kind in zip(PLAIN, (int, dict, dict, float), strict=True))
    whole = whole and content["epoch"] >= 1 and "epoch" in content["history"]
    whole = whole and all(_is_history(column, content["epoch"]) for column in content["history"].values())
    whole = whole and all(re.fullmatch(r"[0-9]{1,9}\..+", key) for key in groups["optimizer"])
    if not whole:
        msg = "no checkpoint"
        raise ValueError(msg)
    return Checkpoint(**content, **groups)  # type: ignore[arg-type]  # by the names of TENSORS


def _is_history(column: object, epochs: int) -> bool:
    """Whether that is a number for each epoch."""
    return isinstance(column, list) and len(column) == epochs and all(type(value) is float for value in column)
