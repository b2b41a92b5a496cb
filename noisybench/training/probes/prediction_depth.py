"""Whether a sample's nearest neighbours have its label, layer by layer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.ground.random_streams import derive
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.training.asking import Batch, ask
from noisybench.training.probe import Probe, When

GRID = 4
"""Side of the grid over which maps are averaged."""
WIDTH = 256
"""Numbers that are kept of each layer at most."""
MATRIX = 2  # dimensions of a weight that mixes what it is given, unlike that of a normalisation


@dataclass(frozen=True, slots=True)
class LayerNeighbours:
    """Lead of the label among the k nearest other training samples in each layer: (b, layers).

    The lead is the share of the neighbours that have the sample's label minus the largest share of another label, so it is
    positive where they agree with it; distances are Euclidean. The layers are what each block of the model is given,
    floating-point inputs of the model included, in the order in which the blocks run, and the logits. A block is a module
    with a weight matrix or a kernel; one that is a sequence or a list of modules, or that holds more than half of the
    model's parameters, is opened into its parts. Maps (b, c, h, w) are averaged over a grid of 4 × 4, tokens (b, t, d)
    over t, those of padding that an ``attention_mask`` tells left out; what is then wider than 256 is projected onto 256 random directions, always the same, which keeps distances
    up to some percent.

    Attributes:
        neighbours: k; all other samples where there are fewer.

    Source: Baldock, Maennel and Neyshabur 2021, arXiv:2106.09647, section 2 (k = 30, whole embeddings).
    """

    neighbours: int = 30
    name: str = "prediction_depth"
    when: When = "last_epoch"
    passes: float = 1.0
    forward_only: bool = True
    gradient: bool = True
    remembers: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        """What is kept of each layer, shape (b, layers, width), narrower layers filled up with zeros."""
        with torch.no_grad(), _given_to(blocks_of(batch.model)) as given:
            logits = ask(batch.model, batch.given)
        mask = batch.given.get("attention_mask") if isinstance(batch.given, Mapping) else None
        kept = [_narrow(layer, each, mask) for layer, each in enumerate(given) if len(each) == len(batch.labels)]
        kept.append(_narrow(len(given), logits))
        width = max(each.shape[1] for each in kept)
        return torch.stack([F.pad(each, (0, width - each.shape[1])) for each in kept], dim=1)

    def gather(self, values: Tensor, labels: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002 - the signature
        """Shape (n, layers, width) → the leads (n, layers); nothing is remembered."""
        given = labels.cpu().numpy()
        n, k = len(given), int(given.max()) + 2  # a class that nobody has, so that there is another one
        leads = np.zeros((n, values.shape[1]), dtype=np.float32)
        for layer in range(values.shape[1] if n > 1 else 0):
            nearest = min(self.neighbours, n - 1)
            shares = neighbour_labels(values[:, layer].cpu().numpy(), given, k, nearest, distance="euclidean")
            own = shares[np.arange(n), given]
            shares[np.arange(n), given] = -1
            leads[:, layer] = own - shares.max(1)
        return torch.from_numpy(leads).to(values.device), None


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """Successive parts of a model that have a weight matrix or a kernel, see ``LayerNeighbours``."""
    half = sum(each.numel() for each in model.parameters()) / 2

    def opened(module: nn.Module) -> Iterator[nn.Module]:
        parts = list(module.children())
        listed = isinstance(module, nn.Sequential | nn.ModuleList)
        if parts and (module is model or listed or sum(each.numel() for each in module.parameters()) > half):
            for part in parts:
                yield from opened(part)
        elif any(each.ndim >= MATRIX for each in module.parameters()):
            yield module

    return list(opened(model))


@contextmanager
def _given_to(blocks: list[nn.Module]) -> Iterator[list[Tensor]]:
    """The first floating-point tensor that each block is given, in the order in which they run."""
    seen: list[Tensor] = []

    def look(_block: nn.Module, unnamed: tuple[Any, ...], named: dict[str, Any]) -> None:
        tensors = (
            each for each in (*unnamed, *named.values()) if isinstance(each, Tensor) and each.is_floating_point()
        )
        given = next(tensors, None)
        if given is not None and given.ndim > 1:
            seen.append(given.detach().clone())  # an activation in place may follow

    handles = [block.register_forward_pre_hook(look, with_kwargs=True) for block in blocks]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _narrow(layer: int, given: Tensor, mask: Tensor | None = None) -> Tensor:
    """At most ``WIDTH`` numbers a sample: (b, ...) → (b, w), float32. ``mask`` (b, t) is 0 where a token is padding."""
    tokens, maps = 3, 4
    given = given.float()
    if given.ndim == tokens:
        weights = torch.ones_like(given[:, :, 0])
        if mask is not None and mask.shape == weights.shape:
            weights = mask.to(weights)
        given = (given * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)
    elif given.ndim == maps and max(given.shape[2:]) > GRID:
        given = F.adaptive_avg_pool2d(given, (min(GRID, given.shape[2]), min(GRID, given.shape[3])))
    given = given.flatten(1)
    return given if given.shape[1] <= WIDTH else given @ _directions(layer, given.shape[1]).to(given.device)


@lru_cache(maxsize=64)
def _directions(layer: int, width: int) -> Tensor:
    """Random directions, shape (width, WIDTH): normal entries, of such size that lengths are kept on average."""
    generator = torch.Generator().manual_seed(derive(0, "prediction_depth", layer, width))
    return torch.randn(width, WIDTH, generator=generator) / WIDTH**0.5


PROBE: Probe = LayerNeighbours()
