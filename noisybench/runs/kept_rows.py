"""Rows of the samples that stay: one that a person dropped takes no part in a fit, and keeps a row that says nothing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Features, Floats32, Labels
from noisybench.ground.errors import BadData
from noisybench.statistics.grouping import find_groups, united
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.variants.variant import Variant


def kept_rows(variant: Variant) -> slice | Bools:
    """What takes the rows of the kept samples from an array, without a copy where all are kept."""
    return ~variant.dropped if variant.dropped.any() else slice(None)


def with_dropped(values: NDArray[Any], variant: Variant, neutral: float) -> NDArray[Any]:
    """Values of the kept samples, shape (m, …), with rows of ``neutral`` for those that were dropped, shape (n, …)."""
    if not variant.dropped.any():
        return values
    whole = np.full((len(variant.labels), *values.shape[1:]), neutral, dtype=values.dtype)
    whole[~variant.dropped] = values
    return whole


def groups_of_kept(features: Features, variant: Variant, given: Labels | None) -> Labels:
    """Number of each sample's group, see ``find_groups``; a dropped sample is a group of its own: (n, d) → (n,).

    Copies of which the variant knows are together, however many they are.

    Raises:
        BadData: All samples have the same features, which tell nothing apart.
    """
    return groups_among(features, ~variant.dropped, [links for links in (given, variant.copies) if links is not None])


def groups_among(features: Features, kept: Bools, told: Sequence[Labels]) -> Labels:
    """The same of samples of which some are kept, (n,), and of several groupings that are told, (n,) each."""
    values = features if kept.all() else features[kept]
    if (values == values[0]).all():
        msg = f"all {len(values)} samples have the same features, so that nothing tells them apart; choose others"
        raise BadData(msg)
    found = find_groups(values, united([links[kept] for links in told]) if told else None)
    groups = np.full(len(kept), -1)
    groups[kept] = found
    alone = groups < 0
    groups[alone] = found.max() + 1 + np.arange(int(alone.sum()))
    return groups


def neighbour_labels_of_kept(
    features: Features, variant: Variant, neighbours: int, groups: Labels | None = None
) -> Floats32:
    """Share of each label among a sample's nearest kept others, the same of every class for a dropped one: (n, k)."""
    kept, k = kept_rows(variant), variant.num_classes
    labels = variant.labels[kept]
    own = None if groups is None else groups[kept]
    shares = neighbour_labels(features[kept], labels, k, min(neighbours, len(labels) - 1), groups=own)
    return with_dropped(shares, variant, 1 / k)
