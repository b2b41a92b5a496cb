"""Readings of susceptibility: whose images a model is asked to fit random labels of, and how a step is taken.

A reading is named ``kind.images``, as ``authors.noise``. Inputs of every kind reach the model with mean zero and deviation one.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from noisybench.data.inputs import IMAGE_DIMENSIONS, AnyInputs, read_rows
from noisybench.data.loading import load_source
from noisybench.data.source import Augmentation, Source, inputs_of
from noisybench.ground.errors import BadData, BadUsage
from noisybench.training.batches import Inputs
from noisybench.training.machine import generator_of
from noisybench.training.susceptibility import Susceptibility, SusceptibilityTracker

SOME = 1024
"""Images at most that noise and another source give."""


def track(
    how: Susceptibility,
    source: Source,
    data: Inputs,
    augmentation: Augmentation,
    *,
    seed: int,
    rows: Tensor | None = None,
) -> SusceptibilityTracker:
    """The tracker of a training, with one of each further reading that is wanted.

    A further reading from training images has the draws that it has where it is the only one.

    Args:
        how: What is measured.
        source: What is trained on.
        data: Its training inputs.
        augmentation: Of the training.
        seed: Decides labels, batches and noise, each reading by streams of its own.
        rows: Samples that are trained on; None: all.

    Raises:
        BadUsage: There are no such images, or those of the other source cannot be brought to the shape of these.
        BadData: The other source cannot be read.
    """
    further = {}
    for name in how.also:
        images = name.partition(".")[2]
        own = replace(how, kind="authors" if name.startswith("authors") else "fixed", also=(), source=None)
        if images == "training":
            asked = (data, augmentation, rows, "susceptibility")
        else:
            found = images_of(images, how, source, data, seed=seed)
            asked = (found, "none" if images == "noise" else augmentation, None, f"susceptibility.{images}")
        inputs, moved, chosen, purpose = asked
        classes = source.num_classes
        further[name] = SusceptibilityTracker(own, inputs, classes, moved, seed=seed, rows=chosen, purpose=purpose)
    return SusceptibilityTracker(how, data, source.num_classes, augmentation, seed=seed, rows=rows, further=further)


def images_of(images: str, how: Susceptibility, source: Source, data: Inputs, *, seed: int) -> Inputs:
    """Inputs that are not trained on, in the shape of those that are: ``test``, ``source`` or ``noise``.

    Test images are normalised by the moments of the training set; noise is Gaussian, independent in every dimension, with
    those moments; images of another source are normalised by their own.

    Raises:
        BadUsage: There are no such images, or they cannot be brought to that shape.
    """
    if images == "noise":
        shape = tuple(source.inputs.shape[1:])
        drawn = torch.randn(max(SOME, how.samples), *shape, generator=generator_of(seed, "susceptibility.noise", 0))
        return Inputs(drawn.numpy(), data.device)
    if images == "test":
        if source.test_inputs is None:
            msg = f"susceptibility of test images needs some, and source '{source.name}' has no test set"
            raise BadUsage(msg)
        return Inputs(source.test_inputs, data.device, like=data)
    other = load_source(how.source or "")
    return Inputs(
        brought_to(inputs_of(other, "susceptibility"), tuple(source.inputs.shape[1:]), other.name), data.device
    )


def brought_to(inputs: AnyInputs, shape: tuple[int, ...], name: str) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Inputs of another source in a shape (h, w, c) or (d,): resized, and grey or coloured as that is; at most ``SOME``.

    They are spread evenly over the source, whose order may be that of its classes.

    Raises:
        BadUsage: These are images and that is not, or the other way round, or they have another number of features.
    """
    rows = np.unique(np.linspace(0, len(inputs) - 1, SOME).round().astype(np.int64))
    given = read_rows(inputs, rows)
    if given.shape[1:] == shape:
        return given
    if len(shape) != IMAGE_DIMENSIONS - 1 or given.ndim != IMAGE_DIMENSIONS:
        msg = (
            f"susceptibility from source '{name}' needs inputs of shape {shape}, it has {given.shape[1:]}, and only images "
            f"can be brought to the shape of other images; name another source"
        )
        raise BadUsage(msg)
    height, width, channels = shape
    images = torch.tensor(given).permute(0, 3, 1, 2).float()
    if images.shape[1] != channels:
        images = images.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    images = F.interpolate(images, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
    resized: NDArray[np.uint8] = images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return resized


def recall(tracker: SusceptibilityTracker, total: float, history: Mapping[str, list[float]]) -> None:
    """Give a tracker and its further readings back what they had summed when a run was stopped, to the last bit.

    Args:
        tracker: Of the run that goes on.
        total: Sum of the drops of its own reading.
        history: Column → its value at each epoch so far.

    Raises:
        BadData: The history lacks a reading.
    """
    tracker.total = total
    for name, one in tracker.further.items():
        drops = history.get(f"susceptibility_drop.{name}")
        if drops is None:
            msg = f"the checkpoint holds no susceptibility '{name}'; delete the run to train it again"
            raise BadData(msg)
        one.total = sum_of_drops(one.kind, drops)


def sum_of_drops(kind: str, drops: list[float]) -> float:
    """Sum of the drops of all epochs, added in their order; ``authors`` leaves the first out."""
    total = 0.0
    for drop in drops[1:] if kind == "authors" else drops:
        total += drop
    return total
