"""Members of sub-populations: coarse classes of classes, clusters of a class, near copies of a sample."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.cifar100_superclasses import SUPERCLASS_NAMES, SUPERCLASS_OF
from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.data.source import Source
from noisybench.ground.arrays import Floats, Indices, Labels, read_only
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import derive, normals, permutation, uniforms

DIMENSIONS = 32
"""Most principal components that clusters are looked for in."""
_BLOCK = 1024  # near copies that are made at a time


def coarsened(source: Source, coarse: int | None) -> Source:
    """The source with so many coarse classes in place of its own, of neighbours; None: the superclasses of CIFAR-100.

    Raises:
        BadUsage: The source has no superclasses, or not more classes than that.
    """
    k = source.num_classes
    names: tuple[str, ...]
    if coarse is None:
        if source.name != "cifar100" or k != len(SUPERCLASS_OF):
            msg = (
                f"source '{source.name}' of {k} classes has no superclasses that noisybench knows: say coarse=2 for two "
                f"coarse classes, or take base=cifar100 with its 100 classes"
            )
            raise BadUsage(msg)
        groups, names = np.array(SUPERCLASS_OF), SUPERCLASS_NAMES
    else:
        if coarse >= k:
            msg = f"coarse must be less than the {k} classes of source '{source.name}', got {coarse}"
            raise BadUsage(msg)
        groups = np.arange(k) * coarse // k
        names = tuple("+".join(np.array(source.class_names)[groups == group]) for group in range(coarse))

    def of(labels: Labels) -> Labels:
        return read_only(np.where(labels < 0, labels, groups[labels]))

    tests = None if source.test_labels is None else of(source.test_labels)
    return replace(
        source, labels=of(source.labels), clean=of(source.clean), test_labels=tests, class_names=names, answers=None
    )


def dealt(classes: Labels, sizes: Labels, needed: Sequence[int], *, seed: int) -> Indices | None:
    """Which candidate each unit is, shape (u,): classes take turns, and in its turn a class gives one that is large enough.

    None where too few are.

    Args:
        classes: Of each candidate, shape (c,).
        sizes: Members of each, shape (c,).
        needed: Members that each unit needs, shape (u,).
        seed: Decides the order of classes and of the candidates of each.
    """
    order = permutation(seed, "frequency/candidates", len(classes))
    free = {k: [c for c in order if classes[c] == k] for k in np.unique(classes).tolist()}
    turns = np.array(sorted(free))[permutation(seed, "frequency/classes", len(free))].tolist()
    chosen = np.empty(len(needed), dtype=np.intp)
    turn = 0
    for i, least in enumerate(needed):
        for step in range(len(turns)):
            mine = free[turns[(turn + step) % len(turns)]]
            at = next((at for at, c in enumerate(mine) if sizes[c] >= least), None)
            if at is not None:
                chosen[i] = mine.pop(at)
                turn += step + 1
                break
        else:
            return None
    return chosen


def cluster_features(inputs: NDArray[Any], *, seed: int) -> Floats:
    """What clusters are looked for in: inputs, columns brought to one scale, in at most 32 principal components, (n, d)."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    flat = inputs.reshape(len(inputs), -1).astype(np.float32)
    if inputs.ndim != IMAGE_DIMENSIONS:
        deviation = flat.std(0)
        flat /= np.where(deviation > 0, deviation, 1)
    if min(flat.shape) <= DIMENSIONS:
        return flat.astype(np.float64)
    reduce = PCA(DIMENSIONS, svd_solver="randomized", random_state=derive(seed, "frequency/pca") % 2**32)
    with threadpool_limits(1):  # other threads would give other last bits
        reduced: Floats = reduce.fit_transform(flat).astype(np.float64)
    return reduced


def class_clusters(features: Floats, classes: Labels, clusters: int, *, seed: int) -> Labels:
    """Number of each sample's cluster, shape (n,): k-means in each class, about ``clusters`` in all; -1 of no class.

    Args:
        features: Shape (n, d).
        classes: Shape (n,), -1 where unknown.
        clusters: Of all classes, each of which has as many, and no more than samples.
        seed: Decides where they begin.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    found, total = np.full(len(classes), -1, dtype=np.int64), 0
    present = np.unique(classes[classes >= 0])
    with threadpool_limits(1), warnings.catch_warnings():  # other threads would give other last bits
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different samples than clusters
        for k in present.tolist():
            members = np.flatnonzero(classes == k)
            wanted = min(-(-clusters // len(present)), len(members))
            means = KMeans(wanted, n_init=1, random_state=derive(seed, "frequency/clusters", k) % 2**32)
            number = np.unique(means.fit_predict(features[members]), return_inverse=True)[1]
            found[members] = total + number
            total += int(number.max()) + 1
    return found


def near_copies(inputs: NDArray[Any], rows: Indices, strength: float, *, seed: int) -> NDArray[Any]:
    """A near copy of each of some inputs, shape (m, ...), of their type: see ``FrequencySpectrum``.

    Args:
        inputs: Shape (n, ...).
        rows: Which, shape (m,); each entry has a copy of its own.
        strength: Above 0, up to 1.
        seed: Decides every copy.
    """
    images = inputs.ndim == IMAGE_DIMENSIONS
    low, high = inputs.min(), inputs.max()
    scale: float | Floats = strength * (float(high) - float(low)) if images else strength * inputs.std(0, dtype=float)
    drawn = uniforms(seed, "frequency/moves", 3 * len(rows)).reshape(-1, 3)
    result = np.empty((len(rows), *inputs.shape[1:]), dtype=inputs.dtype)
    for number, start in enumerate(range(0, len(rows), _BLOCK)):
        block = slice(start, start + _BLOCK)
        values = inputs[rows[block]].astype(np.float64)
        if images:
            values = _moved(values, drawn[block, :2], strength)
            values *= 1 + strength * (2 * drawn[block, 2] - 1)[:, None, None, None]
        values += normals(seed, f"frequency/noise/{number}", values.size).reshape(values.shape) * scale
        result[block] = np.rint(np.clip(values, low, high)) if images else values
    return result


def _moved(images: Floats, drawn: Floats, strength: float) -> Floats:
    """Images moved by up to ``strength`` of each side, over what stands at their edge; ``drawn`` in [0, 1), (m, 2)."""
    h, w = images.shape[1:3]
    down, right = (
        np.floor(part * (2 * most + 1)).astype(np.int64) - most
        for part, most in zip(drawn.T, (round(strength * h), round(strength * w)), strict=True)
    )
    row = np.clip(np.arange(h) - down[:, None], 0, h - 1)
    column = np.clip(np.arange(w) - right[:, None], 0, w - 1)
    moved: Floats = images[np.arange(len(images))[:, None, None], row[:, :, None], column[:, None, :]]
    return moved
