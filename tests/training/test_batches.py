"""Inputs on a device: normalised, cropped and mirrored as a loop would."""

import numpy as np
import pytest
import torch

from noisybench.training.batches import Inputs

CPU = torch.device("cpu")


@pytest.fixture
def images() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)


def test_batches_are_standardised_per_channel(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Mean zero and deviation one per channel, against NumPy; the test set takes the training set's moments."""
    data = Inputs(images, CPU)
    floats = images.astype(np.float64)
    expected = (floats - floats.mean((0, 1, 2))) / floats.std((0, 1, 2))
    np.testing.assert_allclose(data.batch(slice(None)).permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)
    assert data.batch(slice(0, 8)).is_contiguous(memory_format=torch.channels_last)
    other = Inputs(images[:5] // 2, CPU, like=data)
    expected = (images[:5] // 2 - floats.mean((0, 1, 2))) / floats.std((0, 1, 2))
    np.testing.assert_allclose(other.batch(slice(None)).permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_constant_features_become_zero() -> None:
    """A feature that never varies is no division by zero."""
    features = np.stack([np.full(6, 7.0), np.arange(6.0)], axis=1).astype(np.float32)
    batch = Inputs(features, CPU).batch(slice(None))
    assert torch.equal(batch[:, 0], torch.zeros(6))
    assert float(batch[:, 1].std(correction=0)) == pytest.approx(1)


def test_crops_are_shifts_of_the_padded_image(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Every augmented image is one of the 81 crops, mirrored or not, found by trying them all; all occur."""
    data = Inputs(images, CPU)
    generator = torch.Generator().manual_seed(0)
    chosen = torch.arange(40)
    batch = data.augmented(chosen, "crop_flip", generator)
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    mean, deviation = images.mean((0, 1, 2), dtype=np.float64), images.std((0, 1, 2), dtype=np.float64)
    shifts, mirrored = set(), 0
    for i in range(40):
        got = batch[i].permute(1, 2, 0).numpy() * deviation + mean
        crops = {
            (y, x, f): padded[i, y : y + 32, x : x + 32][:, :: 1 - 2 * f]
            for y in range(9)
            for x in range(9)
            for f in (0, 1)
        }
        found = [key for key, crop in crops.items() if np.abs(crop - got).max() < 0.01]
        assert len(found) == 1
        shifts.add(found[0][:2])
        mirrored += found[0][2]
    assert len(shifts) > 20
    assert 8 <= mirrored <= 32
    again = data.augmented(chosen, "crop_flip", torch.Generator().manual_seed(0))
    assert torch.equal(batch, again)
    assert torch.equal(data.augmented(chosen, "none", generator), data.batch(chosen))
