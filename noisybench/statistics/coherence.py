"""Coordinates of a label column: how hard its wrong labels are, and how often neighbours are wrong alike. No torch here.

Both are of *flips*, samples whose given label differs from the clean one, and both are zero knowledge of a detector: the
difficulty and the features in which samples are near must be ones that no detector uses. Samples of unknown clean label
are nobody's flips; as neighbours they count as no flip. Who leaves samples out gives ``UNKNOWN`` for their clean label.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import (
    Bools,
    Floats,
    Indices,
    Labels,
    check_array,
    check_features,
    check_groups,
    read_only,
)
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.expected_auroc import expected_auroc_in_groups, mid_ranks
from noisybench.statistics.neighbour_index import neighbours_by
from noisybench.statistics.similarity import TIED, points_of

NOBODY = -1
"""Stands for a neighbour where a sample has fewer than k, and for the bin of a sample of unknown class."""


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The geometry in which label columns are placed. No given label decides anything of it.

    Attributes:
        difficulty: Higher is harder, shape (n,).
        bins: Of difficulty within the clean class, see ``difficulty_bins``, shape (n,).
        neighbours: Numbers of the nearest others, ``NOBODY`` where there are fewer, shape (n, k).
    """

    difficulty: Floats
    bins: Labels
    neighbours: Indices

    def __post_init__(self) -> None:
        for name, dimensions in (("difficulty", 1), ("bins", 1), ("neighbours", 2)):
            check_array(getattr(self, name), name, dimensions=dimensions)
        n = len(self.difficulty)
        if self.difficulty.shape != (n,) or self.bins.shape != (n,) or self.neighbours.shape[:1] != (n,):
            shapes = ", ".join(str(part.shape) for part in (self.difficulty, self.bins, self.neighbours))
            msg = f"coordinates need a difficulty (n,), bins (n,) and neighbours (n, k) of one n, got {shapes}"
            raise BadData(msg)
        for name in ("difficulty", "bins", "neighbours"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Realised:
    """Coordinates of one label column; NaN where no label, or every one, is wrong.

    Attributes:
        difficulty: AUROC of the difficulty for the flips over pairs of one clean class; 0.5 is no relation, higher: flips
            are the hard samples.
        coherence: ``agreement - expected``; 0 is no more agreement than class, target and difficulty alone make.
        agreement: Mean over the flips of the share of their k neighbours that are flips to the same class.
        expected: Its mean over all permutations of the given labels within (clean class, difficulty bin).
    """

    difficulty: float
    coherence: float
    agreement: float
    expected: float


def neighbour_numbers(features: NDArray[Any], k: int, *, groups: NDArray[Any] | None = None) -> Indices:
    """Numbers of the k nearest others of each sample by cosine, nearest first: (n, d) → (n, k).

    Of those equally near, within 1e-6, the next in the order of the samples come first, around the end, so that among
    copies nobody is everyone's neighbour.

    Args:
        features: Shape (n, d), finite.
        k: Neighbours, from 1 to n - 1.
        groups: Number of each sample's group, shape (n,): nobody of it is a neighbour. A sample with fewer than k others
            has ``NOBODY`` in the places that are left. None puts each sample into its own.

    Raises:
        BadData: Features of another shape or that are not finite, or one group alone.
        BadUsage: Fewer than k other samples, or k below 1.
    """
    check_array(features, "features", dimensions=2)
    n, k = len(features), whole(k, "k")
    check_features(features, n)
    if not 0 < k < n:
        msg = f"k = {k} neighbours of {n} samples: expected 1 to {n - 1}, since a sample is not its own neighbour"
        raise BadUsage(msg)
    members = np.arange(n) if groups is None else check_groups(groups, n)
    near = np.minimum(k, n - np.bincount(members)[members])
    numbers = np.full((n, k), NOBODY, dtype=np.intp)
    for part in neighbours_by(points_of(features, members), near, None):
        own = part.samples[part.row]
        level = np.rint(part.similarity.astype(np.float64) / TIED)
        order = np.lexsort(((part.column - own) % n, -level, part.row))
        row = part.row[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        kept = place < near[part.samples[row]]
        numbers[part.samples[row[kept]], place[kept]] = part.column[order][kept]
    return numbers


def difficulty_bins(difficulty: Floats, clean: Labels, bins: int = 10) -> Labels:
    """Bin of each sample by the rank of its difficulty in its clean class, 0 the easiest, shape (n,).

    Equal difficulties share a bin. Samples of unknown class have ``NOBODY``.

    Args:
        difficulty: Higher is harder, shape (n,).
        clean: Clean labels, shape (n,), negative where unknown.
        bins: How many, at least 1.

    Raises:
        BadData: A sample of known class has no finite difficulty.
        BadUsage: Fewer bins than one.
    """
    whole(bins, "bins", least=1)
    check_array(difficulty, "difficulty", dimensions=1)
    check_array(clean, "clean", dimensions=1, kinds="iu")
    if len(difficulty) != len(clean):
        msg = f"there are {len(difficulty)} difficulties and {len(clean)} clean labels; expected one each"
        raise BadData(msg)
    known = clean >= 0
    missing = np.flatnonzero(known & ~np.isfinite(difficulty))
    if missing.size:
        msg = f"difficulty[{missing[0]}] = {difficulty[missing[0]]} is not finite ({missing.size} such samples)"
        raise BadData(msg)
    result = np.full(len(clean), NOBODY, dtype=np.int64)
    ranks, sizes = mid_ranks(difficulty[known], clean[known]), np.bincount(clean[known])
    result[known] = ((ranks - 0.5) * bins / sizes[clean[known]]).astype(np.int64)
    return result


def realised(coordinates: Coordinates, given: Labels, clean: Labels) -> Realised:
    """Where a label column lies: given and clean labels, (n,) each, unknown clean ones negative.

    The expected agreement has a closed form. With n_g samples in a group g of one clean class and bin, n_gt of them flips
    to t, each sample of g is such a flip with chance n_gt / n_g; a neighbour in g is one too with chance
    (n_gt - 1) / (n_g - 1), one in another group h with n_ht / n_h.

    Raises:
        BadData: Arrays of other lengths than the coordinates.
    """
    check_kind(coordinates, Coordinates, "coordinates", "coordinates_of(source) makes them")
    for name, labels in (("given", given), ("clean", clean)):
        check_array(labels, name, dimensions=1, kinds="iu")
    n = len(coordinates.difficulty)
    if given.shape != (n,) or clean.shape != (n,):
        msg = f"given and clean labels must have shape ({n},) as the coordinates, got {given.shape} and {clean.shape}"
        raise BadData(msg)
    flipped, total = flips(given, clean), coordinates.neighbours.shape[1]
    wrong = flipped >= 0
    m = int(wrong.sum())
    if not m:
        return Realised(*[float("nan")] * 4)
    known = clean >= 0
    auroc = expected_auroc_in_groups(
        wrong[known].astype(np.float64), mid_ranks(coordinates.difficulty[known], clean[known]), clean[known]
    )
    neighbours = coordinates.neighbours[wrong]
    alike = (flipped[neighbours] == flipped[wrong, None]) & (neighbours != NOBODY)
    agreement = float(alike.sum()) / (m * total)
    expected = expected_alike(edge_groups(coordinates, clean), flipped) / (m * total)
    return Realised(auroc, agreement - expected, agreement, expected)


def flips(given: Labels, clean: Labels) -> Labels:
    """The wrong class that each flip was given, ``NOBODY`` where the label is right or nobody knows, shape (n,)."""
    return np.where((clean >= 0) & (given != clean), given, NOBODY)


@dataclass(frozen=True, slots=True, eq=False)
class EdgeGroups:
    """Groups of one clean class and bin, and how many neighbours of each are in each other.

    Attributes:
        group: Of each sample, from 0, ``NOBODY`` of unknown class, shape (n,).
        sizes: Samples of each group, shape (g,).
        first: Group of the one, for each pair of groups that are neighbours, shape (p,).
        second: Group of its neighbour, shape (p,).
        edges: How often, shape (p,).
    """

    group: Labels
    sizes: Labels
    first: Labels
    second: Labels
    edges: Floats

    @property
    def chances(self) -> Floats:
        """What a pair of flips to one class counts, with the counts of both groups: the chance of such a pair, (p,)."""
        one, other = self.sizes[self.first], self.sizes[self.second] - (self.first == self.second)
        return self.edges / (one * np.maximum(other, 1))


def edge_groups(coordinates: Coordinates, clean: Labels) -> EdgeGroups:
    """Groups by clean class and difficulty bin; samples of unknown class, and those without a neighbour, are in none."""
    known: Bools = clean >= 0
    group = np.full(len(clean), NOBODY, dtype=np.int64)
    width = int(coordinates.bins.max(initial=0)) + 1
    group[known] = np.unique(clean[known] * width + coordinates.bins[known], return_inverse=True)[1]
    sizes = np.bincount(group[known])
    one = np.repeat(group, coordinates.neighbours.shape[1])
    there = coordinates.neighbours.ravel() != NOBODY
    other = np.where(there, group[coordinates.neighbours.ravel()], NOBODY)
    both = (one >= 0) & (other >= 0)
    pairs, edges = np.unique(one[both] * len(sizes) + other[both], return_counts=True)
    first, second = np.divmod(pairs, max(1, len(sizes)))
    return EdgeGroups(group, sizes, first, second, edges.astype(np.float64))


def expected_alike(groups: EdgeGroups, flipped: Labels) -> float:
    """Expected number of (flip, neighbour) pairs that are flips to one class, under permuting labels in each group."""
    counts = flip_counts(groups, flipped, int(flipped.max(initial=0)) + 1)
    total, chances = 0.0, groups.chances
    step = max(1, (1 << 22) // counts.shape[1])
    for start in range(0, len(chances), step):
        part = slice(start, start + step)
        one, other = groups.first[part], groups.second[part]
        together = counts[other] - (one == other)[:, None]
        total += float(np.einsum("p,pt,pt->", chances[part], counts[one], together))
    return total


def flip_counts(groups: EdgeGroups, flipped: Labels, num_classes: int) -> Floats:
    """How many flips to each class each group has, shape (g, k)."""
    wrong = flipped >= 0
    cells = groups.group[wrong] * num_classes + flipped[wrong]
    counts = np.bincount(cells, minlength=len(groups.sizes) * num_classes)
    return counts.reshape(len(groups.sizes), num_classes).astype(np.float64)
