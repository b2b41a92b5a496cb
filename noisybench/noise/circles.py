"""Circles around random centres: which samples of a class lie in one, with what chance, and how large a rate makes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Indices, Labels
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import permutation

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

_NARROW = 1e-4  # relative width at which the search for a radius ends; chance between its two ends meets the rate
_ROUNDING = 1e-12


class Radius(NamedTuple):
    """The radius of a draw: chance takes one of two that are nearly alike, so that the mean chance can be any number.

    Attributes:
        inner: The smaller one.
        outer: The larger one.
        share: Chance of the larger one.
    """

    inner: float
    outer: float
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Classes of samples in space, and how many of each are centres.

    Attributes:
        places: Where the samples are, shape (n, d).
        members: The samples of each class that has any, in the order of the classes.
        centres: Of each class, shape (classes,).
        trees: For looking for neighbours in each class.
    """

    places: Floats
    members: Sequence[Indices]
    centres: NDArray[np.int64]
    trees: "Sequence[cKDTree]"


def members_of(clean: Labels) -> list[Indices]:
    """The samples of each class that has any, in the order of the classes."""
    order = np.argsort(clean, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(clean[order])) + 1) if len(order) else []


def classes_at(places: Floats, members: Sequence[Indices], centres: NDArray[np.int64]) -> Classes:
    """Classes in space, ready for looking for neighbours; see ``Classes``."""
    from scipy.spatial import cKDTree

    return Classes(places, members, centres, [cKDTree(places[mine]) for mine in members])


def chance_within(classes: Classes, radius: float) -> Floats:
    """Chance that a sample lies within a radius of a centre of its class, itself among them, shape (n,).

    Of N samples of a class, c are centres, drawn without replacement; k of the N lie within the radius. None of these is a
    centre with chance C(N - k, c) / C(N, c).
    """
    chance = np.zeros(len(classes.places))
    for mine, count, tree in zip(classes.members, classes.centres, classes.trees, strict=True):
        near = np.asarray(tree.query_ball_point(tree.data, radius, return_length=True))
        sizes, which = np.unique(near, return_inverse=True)
        drawn = np.arange(count)
        missed = np.maximum(len(mine) - sizes[:, None] - drawn, 0) / (len(mine) - drawn)
        chance[mine] = (1 - missed.prod(1))[which]
    return chance


def radius_of_rate(classes: Classes, rate: float) -> tuple[Radius, Floats]:
    """The radius for which the mean of ``chance_within`` is ``rate``, and the chances, shape (n,).

    Args:
        classes: In space.
        rate: Share of the samples, above zero.

    Raises:
        BadUsage: The centres alone are more.
    """
    inner, low = 0.0, chance_within(classes, 0.0)
    if low.mean() > rate + _ROUNDING:
        msg = (
            f"rate {rate:g} is out of reach: {int(classes.centres.sum())} centres, and what lies where they do, are "
            f"{low.mean():.2%} of the samples; ask for fewer, --set centres=1, or a higher rate"
        )
        raise BadUsage(msg)
    widest = float(np.linalg.norm(np.ptp(classes.places, axis=0))) * (1 + _NARROW)
    outer = widest / 1024
    high = chance_within(classes, outer)
    while high.mean() < rate and outer < widest:
        inner, low, outer = outer, high, 2 * outer
        high = chance_within(classes, outer)
    while outer - inner > _NARROW * outer and high.mean() > low.mean():
        middle = (inner + outer) / 2
        chance = chance_within(classes, middle)
        if chance.mean() < rate:
            inner, low = middle, chance
        else:
            outer, high = middle, chance
    step = float(high.mean() - low.mean())
    share = min(max((rate - float(low.mean())) / step, 0.0), 1.0) if step > 0 else 0.0
    return Radius(inner, outer, share), (1 - share) * low + share * high


def distance_to_centres(classes: Classes, *, seed: int) -> Floats:
    """Distance of each sample to the nearest centre of its class, shape (n,); centres are drawn without replacement."""
    from scipy.spatial import cKDTree

    n = len(classes.places)
    distance = np.full(n, np.inf)
    turn = np.empty(n, dtype=np.int64)
    turn[permutation(seed, "centres", n)] = np.arange(n)
    for mine, count in zip(classes.members, classes.centres, strict=True):
        chosen = mine[np.argsort(turn[mine], kind="stable")[:count]]
        distance[mine] = cKDTree(classes.places[chosen]).query(classes.places[mine])[0]
    return distance


def nearest_other_class(places: Floats, members: Sequence[Indices], clean: Labels) -> Labels:
    """The class, but for its own, whose mean is nearest to each sample, shape (n,); of equally near ones the first."""
    from scipy.spatial.distance import cdist

    means = np.stack([places[mine].mean(0) for mine in members])
    names = np.array([clean[mine[0]] for mine in members], dtype=np.int64)
    goals = np.empty(len(places), dtype=np.int64)
    for own, mine in enumerate(members):
        apart = cdist(places[mine], means)
        apart[:, own] = np.inf
        goals[mine] = names[apart.argmin(1)]
    return goals
