"""Random convolutional features: whitened patches of the images themselves as filters, no training."""

from dataclasses import dataclass

import numpy as np

from noisybench.data.extraction import ExtractFeatures, check_image_source
from noisybench.data.features._components import principal
from noisybench.data.inputs import in_memory
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import uniforms

_SAMPLE = 100_000  # patches from which their mean and covariance are taken
_BATCH = 4  # images whose activations stay in a CPU's cache


@dataclass(frozen=True, slots=True)
class Patches:
    """Responses of an image to patches of other images, summed over its quarters, and their principal components.

    Each patch loses its mean and is divided by its deviation; patches are whitened (ZCA); a response is the rectified
    product with a whitened patch of unit length, less a threshold, in both signs.

    Attributes:
        filters: Random patches.
        size: Side of a patch, in pixels.
        components: Principal components that are kept.
        threshold: Of a response.
        seed: Decides the patches.

    Source: Coates, Lee and Ng 2011 (AISTATS), section 3, and Coates and Ng 2011 (ICML) on random patches as filters with
    the soft threshold.
    """

    filters: int = 512
    size: int = 6
    components: int = 256
    threshold: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("filters", "size", "components"):
            whole(getattr(self, name), name, least=1)
        whole(self.seed, "seed", least=0)
        if not 0 <= self.threshold < np.inf:
            msg = f"threshold must be a number of at least 0, got {self.threshold:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, device: str) -> Features:
        import torch

        check_image_source(source, "patches")
        in_memory(source.inputs, "features 'patches'")
        n, h, w, c = source.inputs.shape
        if min(h, w) < self.size:
            msg = f"patches of {self.size} × {self.size} do not fit into images of {h} × {w}; say --features-set size=…"
            raise BadUsage(msg)
        patches = _normalised(self._random_patches(source))
        mean, whitening = _zca(patches)
        filters = (patches[: self.filters] - mean) @ whitening
        filters /= np.maximum(np.linalg.norm(filters, axis=1, keepdims=True), 1e-8)
        # (p - mean) @ whitening @ f is p @ (whitening @ f) less a constant of the filter
        folded = torch.tensor(whitening @ filters.T, device=device)
        constants = torch.tensor(-mean @ whitening @ filters.T, device=device)
        corners = (h - self.size + 1, w - self.size + 1)
        quarters = torch.tensor(_quarters(*corners), device=device)
        responses = np.empty((n, 8 * self.filters), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, n, _BATCH):
                images = torch.tensor(source.inputs[start : start + _BATCH], device=device).float()
                windows = images.unfold(1, self.size, 1).unfold(2, self.size, 1).permute(0, 1, 2, 4, 5, 3)
                seen = windows.reshape(-1, self.size * self.size * c)
                seen -= seen.mean(1, keepdim=True)
                seen /= (seen.square().mean(1, keepdim=True) + _NOISE).sqrt()
                products = torch.addmm(constants, seen, folded).view(len(images), -1, self.filters)
                pooled = [quarters @ (sign * products - self.threshold).relu_() for sign in (1, -1)]
                responses[start : start + _BATCH] = torch.cat(pooled, 1).flatten(1).cpu().numpy()
        return principal(responses, self.components)

    def _random_patches(self, source: Source) -> Features:
        """Patches at random positions in random images, shape (p, size * size * c)."""
        n, h, w, c = source.inputs.shape
        count = max(self.filters, _SAMPLE)
        which = (uniforms(self.seed, "patches/image", count) * n).astype(np.int64)
        rows = (uniforms(self.seed, "patches/row", count) * (h - self.size + 1)).astype(np.int64)
        columns = (uniforms(self.seed, "patches/column", count) * (w - self.size + 1)).astype(np.int64)
        steps = np.arange(self.size)
        taken = in_memory(source.inputs, "features 'patches'")[
            which[:, None, None], (rows[:, None] + steps)[:, :, None], (columns[:, None] + steps)[:, None, :]
        ]
        return taken.reshape(count, self.size * self.size * c).astype(np.float32)


_NOISE = 10.0
"""Added to the variance of a patch of pixels in 0..255, and _SMALL to the eigenvalues: flat patches stay flat."""
_SMALL = 0.1


def _quarters(rows: int, columns: int) -> Features:
    """The matrix that averages a map of ``rows`` × ``columns`` over each of its quarters, shape (4, rows * columns).

    Quarters of an odd side share its middle.
    """
    sides = []
    for side in (rows, columns):
        half = np.zeros((2, side), dtype=np.float32)
        half[0, : (side + 1) // 2] = half[1, side // 2 :] = 1 / ((side + 1) // 2)
        sides.append(half)
    return np.kron(*sides)


def _normalised(patches: Features) -> Features:
    centred = patches - patches.mean(1, keepdims=True)
    return centred / np.sqrt(centred.var(1, keepdims=True) + _NOISE)


def _zca(patches: Features) -> tuple[Features, Features]:
    """Mean (d,) and symmetric whitening matrix (d, d) of patches."""
    mean = patches.mean(0)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    return mean, ((vectors / np.sqrt(np.maximum(values, 0) + _SMALL)) @ vectors.T).astype(np.float32)


FEATURE: type[ExtractFeatures] = Patches
