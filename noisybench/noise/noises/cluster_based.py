"""Cluster-based noise: who lies near random samples of its class is given the class whose middle is nearest."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.data.extraction import features_of
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import UNKNOWN, Features, Floats, Indices, read_only
from noisybench.ground.checks import check_choice, check_rate, whole
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.npy import read_array
from noisybench.ground.random_streams import permutation, uniforms
from noisybench.noise.circles import (
    Classes,
    Radius,
    chance_within,
    classes_at,
    distance_to_centres,
    members_of,
    nearest_other_class,
    radius_of_rate,
)
from noisybench.variants.flipping import Mode, nearest_counts
from noisybench.variants.noise import LABELS_ALONE, Draw, Noise, require_mode

Embedding = Literal["tsne", "pca", "none"]
log = logging.getLogger("noisybench")

_CENTRES, _RADIUS = 23, 1.2  # of each class, and their reach: the defaults of the authors' code
_SIZE = 25  # samples of a cluster, at least, before there are fewer clusters than that
_LONG = 5000  # samples of which t-SNE takes more than half a minute
_MINUTES = 3e-4  # of t-SNE for each sample: 145 s of one core for 10,000 of MNIST in 50 dimensions, scikit-learn 1.9
_PLANE: dict[str, Floats] = {}
_FOUND: dict[str, tuple[Radius, Floats]] = {}


@dataclass(frozen=True, slots=True)
class ClusterBased:
    """Give the samples near random centres of their class the class, but for their own, whose mean is nearest to them.

    Samples are placed in the plane by t-SNE of their features. Of each class some random samples are centres; whoever of
    the class lies within a radius of one of them is mislabeled. Neighbours are so wrong together, and mostly alike: a
    cluster with one wrong class looks like a cluster of that class, and from inputs and labels alone nobody can tell.

    Either the radius is given, and how many labels become wrong falls out: this is the noise as published, in mode
    ``bernoulli``. Or the rate is given, and a radius is found for it. In mode ``bernoulli`` it is the one for which the
    expected share is the rate; in mode ``exact`` each draw has its own radius, for which the count is.

    The flip probability is over the choice of centres: of a class of N samples, of which c are centres and k lie within
    the radius of a sample (itself among them), it is 1 - C(N - k, c) / C(N, c). Given that it is wrong, the wrong label
    of a sample is certain.

    Attributes:
        rate: Share of wrong labels; None takes what the radius gives.
        radius: Of the circles, in units of the plane; None takes 1.2, or, with a rate, the one that the rate needs.
        centres: Of each class. None takes 23, or, with a rate, fewer where a circle would hold less than 25 samples.
        features: Of which the plane is made: ``input``, or the name of frozen features, such as ``pca`` or ``lite0``.
        embedding: What makes it of them: ``tsne`` by scikit-learn, their two first principal components (``pca``), or
            ``none``, which takes the features as they are, in as many dimensions as they have.
        coordinates: A file of two or more numbers a sample, ``.npy`` of shape (n, d), in place of features and embedding.

    Source: Lim, Larson and Leach 2024, arXiv:2412.00244. The rate is ours. In the authors' code t-SNE has no seed, here it
    has one, which is the same for every draw.
    """

    rate: float | None = None
    radius: float | None = None
    centres: int | None = None
    features: str = "input"
    embedding: Embedding = "tsne"
    coordinates: Path | None = None
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = ("exact", "bernoulli")

    def __post_init__(self) -> None:
        if self.rate is not None:
            object.__setattr__(self, "rate", check_rate(self.rate))
        if self.rate is not None and self.radius is not None:
            msg = "rate and radius both decide how many labels are wrong; leave out one of the two"
            raise BadUsage(msg)
        if self.radius is not None and not 0 < self.radius < np.inf:
            msg = f"radius must be a number above 0, in units of the plane, got {self.radius:g}"
            raise BadUsage(msg)
        if self.centres is not None:
            object.__setattr__(self, "centres", whole(self.centres, "centres", least=1))
        check_choice(self.embedding, "embedding", get_args(Embedding))
        if self.coordinates is not None and (self.features, self.embedding) != ("input", "tsne"):
            msg = "coordinates take the place of features and embedding; leave these out"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("cluster_based", mode, self.modes)
        if self.rate is None and mode == "exact":
            msg = (
                "noise 'cluster_based' with a radius leaves to chance how many labels are wrong: say --mode bernoulli, or a "
                "rate in place of the radius"
            )
            raise BadUsage(msg)
        clean, known = source.clean, np.flatnonzero(source.clean != UNKNOWN)
        members = members_of(clean[known])
        labels, chance, wrong = source.labels.copy(), np.full(len(clean), np.nan), np.zeros(len(clean), dtype=bool)
        labels[known], chance[known] = clean[known], 0.0
        definition: Literal["effective", "none"] = "none" if self.rate is None else "effective"
        if self.rate == 0 or not len(known):
            return Draw(labels=labels, flip_probability=chance, selected=wrong, rate_definition=definition)
        if len(members) < 2:  # noqa: PLR2004 - nothing else to be given
            msg = "noise 'cluster_based' gives samples the nearest other class, and all of these are of one class"
            raise BadUsage(msg)
        places = self._places(source, known)
        chance[known], near = self._near(places, members, seed=seed, mode=mode)
        wrong[known] = near
        labels[known[near]] = nearest_other_class(places, members, clean[known])[near]
        return Draw(labels=labels, flip_probability=chance, selected=wrong, rate_definition=definition)

    def _near(
        self, places: Floats, members: list[Indices], *, seed: int, mode: Mode
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Chance of each sample to lie near a centre, and whether it does, both (n,)."""
        n, sizes = len(places), np.array([len(mine) for mine in members])
        classes = classes_at(places, members, np.minimum(self._centres(sizes), sizes))
        distance = distance_to_centres(classes, seed=seed)
        if self.rate is None:
            radius = _RADIUS if self.radius is None else self.radius
            return chance_within(classes, radius), distance <= radius
        found, chance = _radius_of_rate(classes, self.rate)
        if mode == "bernoulli":
            larger = uniforms(seed, "radius", 1)[0] < found.share
            return chance, distance <= (found.outer if larger else found.inner)
        count = int(nearest_counts(np.array([self.rate * n]), uniforms(seed, "select-ties", 1))[0])
        near = np.zeros(n, dtype=bool)
        near[np.lexsort((permutation(seed, "select-order", n), distance))[:count]] = True
        return chance, near

    def _centres(self, sizes: NDArray[np.int64]) -> int:
        """How many centres a class has, if it has as many samples."""
        if self.centres is None:
            most = _CENTRES if self.rate is None else int(self.rate * sizes.sum() / (_SIZE * len(sizes)))
            return min(_CENTRES, max(1, most))
        if self.centres > sizes.min():
            msg = f"a class has {sizes.min()} samples, fewer than centres={self.centres}; ask for fewer"
            raise BadUsage(msg)
        return self.centres

    def _places(self, source: Source, known: Indices) -> Floats:
        """Where the samples of known class are, shape (m, d)."""
        if self.coordinates is not None:
            places = read_array(self.coordinates)
            if places.ndim != 2 or len(places) != len(source.labels) or places.dtype.kind not in "iuf":  # noqa: PLR2004
                msg = (
                    f"{self.coordinates} has {places.dtype} of shape {places.shape}, expected the numbers of each of "
                    f"{len(source.labels)} samples, shape ({len(source.labels)}, 2)"
                )
                raise BadData(msg)
            if not np.isfinite(places[known]).all():
                msg = f"{self.coordinates} has a number that is not finite"
                raise BadData(msg)
            return places[known].astype(np.float64)
        inputs_of(source, "noise 'cluster_based'", f"give places in a file, --set coordinates=FILE, or {LABELS_ALONE}")
        return embed(features_of(source, self.features), self.embedding)[known]


def _radius_of_rate(classes: Classes, rate: float) -> tuple[Radius, Floats]:
    """The radius for a rate, and the chances (n,); the last ones are kept, since every seed has the same."""
    parts = (classes.places, classes.centres, *classes.members)
    key = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest() + str(rate)
    if key not in _FOUND:
        radius, chance = radius_of_rate(classes, rate)
        _FOUND.clear()
        _FOUND[key] = radius, read_only(chance)
    return _FOUND[key]


def embed(features: Features, how: Embedding) -> Floats:
    """Samples in the plane, shape (n, 2), by t-SNE or principal components; ``none``: as they are, shape (n, d).

    What t-SNE gave last is kept, so that other seeds and rates wait for it once.
    """
    if how == "none" or len(features) < 3:  # noqa: PLR2004 - too few to be anywhere
        return features.astype(np.float64)
    if how == "pca":
        from sklearn.decomposition import PCA

        plane: Floats = PCA(min(2, features.shape[1]), random_state=0).fit_transform(features.astype(np.float64))
        return plane
    key = hashlib.sha256(np.ascontiguousarray(features).tobytes()).hexdigest()
    if key not in _PLANE:
        from sklearn.manifold import TSNE

        n = len(features)
        if n > _LONG:
            log.warning(
                "t-SNE of %d samples takes about %.0f minutes on one core; --set embedding=pca takes seconds",
                n,
                np.ceil(_MINUTES * n),
            )
        start = "pca" if features.shape[1] > 1 else "random"
        found = TSNE(2, init=start, perplexity=min(30.0, (n - 1) / 3), random_state=0).fit_transform(features)
        _PLANE.clear()
        _PLANE[key] = read_only(np.asarray(found, dtype=np.float64))
    return _PLANE[key]


NOISE: type[Noise] = ClusterBased
