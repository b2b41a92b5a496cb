"""Coherent noise: whole sub-clusters of a class are mislabeled alike, the rest of the wrong labels is scattered."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.data.extraction import features_of
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import UNKNOWN, Bools, Floats, Indices, Labels
from noisybench.ground.checks import check_choice, check_rate, whole
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import pick, uniforms
from noisybench.noise.class_structure import ClassStructure, Structure, check_structure, class_structure, wrong_labels
from noisybench.noise.clusters import choose_whole, sub_clusters
from noisybench.noise.difficulty_law import (
    Within,
    check_auroc,
    check_one_origin,
    difficulty_of,
    follow,
    rank_samples,
    read_numbers,
)
from noisybench.variants.flipping import Mode, nearest_counts, select, sum_to
from noisybench.variants.noise import LABELS_ALONE, Draw, Noise, require_mode
from noisybench.variants.transitions import AnyTransition, SparseTransition

_SIZE = 25  # samples of a cluster
_BLOCK = 4096  # clusters whose laws are given at a time
_LEAST = 1e-12  # chance of a scattered flip where rounding leaves none


@dataclass(frozen=True, slots=True)
class Coherent:
    """Give whole sub-clusters one wrong class each, until a share ``rate`` of all labels is wrong.

    Of the wrong labels the share ``coherence`` comes in whole clusters, the rest one by one. Each chosen cluster takes one
    wrong class, drawn from the class structure; each scattered one its own. Clusters are chosen such that every sample has
    the chance it is meant to have and the count is exact: at most one cluster is cut, in mode ``exact_per_class`` one in
    each class, and members of it are taken at random.

    Seen one at a time the labels follow the class structure whatever the coherence; what differs is that neighbours are
    wrong together. With an ``auroc``, the chance of a cluster follows the mean rank of its members' difficulty and that of
    a scattered sample its own rank, as in ``difficulty``, by one strength for which the expected AUROC of all wrong labels
    is the one asked for. So coherence and difficulty can be swept apart.

    The flip probability is over the choice of clusters, which are the same for every seed, and of scattered samples.

    Attributes:
        rate: Share of wrong labels, to the nearest number.
        coherence: Share of the wrong labels that come in whole clusters.
        cluster_size: Mean number of samples of a cluster; None takes 25, or what ``clusters`` asks for.
        clusters: About how many clusters shall be mislabeled, in place of their size.
        features: In which clusters are near: ``input``, or the name of frozen features, such as ``pca``.
        sub_labels: A file of one number a sample, in place of features: samples of a class with one number are a cluster.
        structure: ``symmetric``, ``pair_flip``, or ``asymmetric`` with the map of the source.
        matrix: A transition matrix in place of it, whose rates are multiplied by one number; a file as of ``transition``.
        auroc: Expected AUROC of the wrong labels against difficulty; None asks for no difficulty.
        within: Where ranks and pairs are taken: in each ``class``, or over ``all`` samples.
        difficulty: A file of difficulties, or None, as in ``difficulty``.
        lower_is_harder: The numbers of the file have the other sign, as C-scores do.

    Source: none; defined here. Clusters are chosen by the pivotal method of Deville and Tillé 1998, Unequal probability
    sampling without replacement through a splitting method, Biometrika 85.
    """

    rate: float
    coherence: float = 1.0
    cluster_size: int | None = None
    clusters: int | None = None
    features: str = "input"
    sub_labels: Path | None = None
    structure: Structure = "symmetric"
    matrix: Path | None = None
    auroc: float | None = None
    within: Within = "class"
    difficulty: Path | None = None
    lower_is_harder: bool = False
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = ("exact", "exact_per_class")

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        if not 0 <= self.coherence <= 1:
            msg = f"coherence must lie in [0, 1] (1: all wrong labels come in whole clusters), got {self.coherence:g}"
            raise BadUsage(msg)
        for name in ("cluster_size", "clusters"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole(getattr(self, name), name, least=1))
        if self.auroc is not None:
            object.__setattr__(self, "auroc", check_auroc(self.auroc))
        elif self.difficulty is not None:
            msg = "a difficulty is given and no auroc that the wrong labels shall have against it: say --set auroc=0.65"
            raise BadUsage(msg)
        told = [name for name in ("sub_labels", "cluster_size", "clusters") if getattr(self, name) is not None]
        if len(told) > 1:
            msg = f"{told[0]} and {told[1]} both decide how large clusters are; leave out one of the two"
            raise BadUsage(msg)
        check_choice(self.structure, "structure", get_args(Structure))
        check_choice(self.within, "within", get_args(Within))
        check_structure(self.structure, self.matrix)
        check_one_origin(self.difficulty, None, None, lower_is_harder=self.lower_is_harder)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("coherent", mode, self.modes)
        clean, known = source.clean, np.flatnonzero(source.clean != UNKNOWN)
        classes = class_structure(source, self.rate, self.structure, self.matrix)
        cluster = self._clusters(source, known)
        together, alone = self._chances(source, known, classes, cluster)
        by_class = mode == "exact_per_class" or not classes.alike or (self.auroc is not None and self.within == "class")
        whole_ones, scattered = np.zeros(len(clean), dtype=bool), np.zeros(len(clean), dtype=bool)
        whole_ones[known], scattered[known] = draw_together(
            together, alone, cluster, clean[known] if by_class else np.zeros_like(known), self.coherence, seed=seed
        )
        labels = wrong_labels(source.labels, clean, scattered, classes.targets, seed=seed, mode=mode)
        goals = cluster_targets(cluster, clean[known], classes.targets, seed=seed)
        chance = np.full(len(clean), np.nan)
        chance[known] = together + alone
        labels[whole_ones] = goals[whole_ones[known]]
        return Draw(
            labels=labels,
            flip_probability=chance,
            selected=whole_ones | scattered,
            rate_definition="effective",
        )

    def _clusters(self, source: Source, known: Indices) -> NDArray[np.int64]:
        """Number of the cluster of each sample of known class."""
        clean, together = source.clean[known], self.coherence * self.rate * len(known)
        if together == 0:
            return np.unique(clean, return_inverse=True)[1].astype(np.int64)
        if self.sub_labels is not None:
            pairs = np.stack([clean, read_numbers(source, self.sub_labels)[known]])
            return np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
        size = float(self.cluster_size or _SIZE) if self.clusters is None else together / self.clusters
        if size < 1:
            msg = f"clusters={self.clusters} is more than the {together:g} samples that are mislabeled together; ask for fewer"
            raise BadUsage(msg)
        inputs_of(source, "noise 'coherent'", f"give the clusters in a file, --set sub_labels=FILE, or {LABELS_ALONE}")
        return sub_clusters(features_of(source, self.features)[known], clean, size)

    def _chances(
        self, source: Source, known: Indices, classes: ClassStructure, cluster: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Chance of each sample of known class to be wrong with its cluster, and to be wrong alone, both (n,)."""
        clean = source.clean[known]
        shares = self.coherence, 1 - self.coherence
        if self.auroc is None or self.rate == 0:
            return shares[0] * classes.rates[clean], shares[1] * classes.rates[clean]
        difficulty = difficulty_of(source, file=self.difficulty, lower_is_harder=self.lower_is_harder)[known]
        ranking = rank_samples(difficulty, clean, classes.rates, within=self.within, alike=classes.alike)
        positions = ranking.positions
        middle = (np.bincount(cluster, positions) / np.bincount(cluster))[cluster]
        together, alone = follow(ranking, self.auroc, [(shares[0], middle), (shares[1], positions)])
        return shares[0] * together, shares[1] * alone


def draw_together(
    together: Floats,
    alone: Floats,
    cluster: NDArray[np.int64],
    group: NDArray[np.int64],
    coherence: float,
    *,
    seed: int,
) -> tuple[Bools, Bools]:
    """Who is wrong with its cluster, and who alone, both (n,), with exact counts in each group.

    Args:
        together: Chance of the one, the same throughout a cluster, shape (n,).
        alone: Chance of the other, shape (n,).
        cluster: Of each sample, shape (n,).
        group: In which counts are met, shape (n,); clusters lie within one.
        coherence: Share of the counts that is wrong with its cluster.
        seed: Of the noise.
    """
    chosen, chance = np.zeros(len(group), dtype=bool), np.zeros(len(group))
    names, member = np.unique(group, return_inverse=True)
    counts = nearest_counts(
        np.bincount(member, together + alone).astype(np.float64), uniforms(seed, "select-ties", len(names))
    )
    in_clusters = nearest_counts(counts * np.float64(coherence), uniforms(seed, "cluster-ties", len(names)))
    groups = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    for name, members, count, of_clusters in zip(names, groups, counts, in_clusters, strict=True):
        able = together[members] + alone[members] > 0
        if of_clusters:
            weights = np.where(able, np.maximum(together[members], _LEAST), 0.0)
            chosen[members] = choose_whole(
                sum_to(weights, int(of_clusters)), cluster[members], seed=seed, purpose=f"cluster-{name}"
            )
        rest = members[able & ~chosen[members]]
        # Given that its cluster was not chosen. The chance of both together stays what it was.
        weights = np.maximum(alone[rest], _LEAST) / np.maximum(1 - together[rest], _LEAST)
        chance[rest] = sum_to(weights, int(count - of_clusters))
    return chosen, select(chance, group, by_class=True, seed=seed, mode="exact")


def cluster_targets(cluster: NDArray[np.int64], clean: Labels, targets: AnyTransition, *, seed: int) -> Labels:
    """The wrong class that each sample's cluster takes if it is chosen, shape (n,)."""
    names, first, member = np.unique(cluster, return_index=True, return_inverse=True)
    goals = np.empty(len(names), dtype=np.int64)
    uniform = uniforms(seed, "cluster-target", len(names))
    step = max(1, min(_BLOCK, (1 << 24) // targets.shape[0]))
    for start in range(0, len(names), step):
        block = slice(start, start + step)
        origins = clean[first[block]]
        laws = targets.block(origins) if isinstance(targets, SparseTransition) else targets[origins]
        goals[block] = pick(laws, uniform[block])
    return goals[member]


NOISE: type[Noise] = Coherent
