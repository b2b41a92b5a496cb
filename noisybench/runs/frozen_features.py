"""Frozen features as the parts of a run see them: what no label decides, each computed once, when it is first asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from noisybench.ground.arrays import Bools, Features, Floats32, Labels, check_groups
from noisybench.memorization.closed_form import fit_kept
from noisybench.memorization.closed_form_plan import ClosedFormPlan, Ridge
from noisybench.statistics.gaussian import gaussian_spectrum
from noisybench.statistics.linear_probe import probe_inputs
from noisybench.statistics.nearest import Near
from noisybench.statistics.neighbour_index import IndexName, neighbours_by
from noisybench.statistics.refits import Fit
from noisybench.statistics.ridge import ridge_spectrum
from noisybench.statistics.shapley import Order, orders_of
from noisybench.statistics.similarity import Points, points_of
from noisybench.statistics.spectrum import PrincipalAxes
from noisybench.statistics.vicinity import Surroundings, around_points

NEIGHBOURS = 20
"""Neighbours of a sample that are asked."""
FEW = 16_000
"""Samples up to which the order of all to each is kept for further columns: 512 MB."""
REFITTED = ClosedFormPlan(Ridge(), estimand="leave_one_out_margin")
"""What is solved again without each sample."""


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Features of n samples, of which m are kept, and all that follows from them without a label.

    Attributes:
        features: Shape (n, d), float32.
        groups: Number of each sample's group, shape (n,), see ``find_groups``.
        kept: Whether a sample takes part, shape (n,).
        index: By which the labels of neighbours are found, see ``neighbours_by``; what else is near, by all pairs.
        classes: Of the labels that they are prepared for; None where that is one column alone.
        copies: Those that its variants know, shape (n,), or None.
    """

    features: Features
    groups: Labels
    kept: Bools
    index: IndexName | None = None
    classes: int | None = None
    copies: Labels | None = None

    def __repr__(self) -> str:
        n, d = self.features.shape
        return f"FrozenFeatures({n} × {d})"

    @property
    def values(self) -> Features:
        """Features of those that are kept, shape (m, d); without a copy where all are."""
        return self.features if self.kept.all() else self._of_kept

    @cached_property
    def _of_kept(self) -> Features:
        return self.features[self.kept]

    @cached_property
    def members(self) -> Labels:
        """Group of each kept sample, numbered from 0, shape (m,)."""
        return check_groups(self.groups[self.kept], int(self.kept.sum()))

    @cached_property
    def probe_inputs(self) -> Floats32:
        """What logistic regression sees, see ``linear_probe``."""
        return probe_inputs(self.values, len(self.values))

    @cached_property
    def ridge(self) -> PrincipalAxes:
        """Of ridge regression."""
        return ridge_spectrum(self.values, len(self.values))

    @cached_property
    def gaussian(self) -> PrincipalAxes:
        """Of the distances to classes."""
        return gaussian_spectrum(self.values, len(self.values))

    @cached_property
    def points(self) -> Points:
        """Samples by cosine."""
        return points_of(self.values, self.members)

    @cached_property
    def neighbours(self) -> tuple[Labels, tuple[Near, ...]]:
        """How many neighbours each sample has whose labels are counted, shape (m,), and who they are."""
        m = len(self.members)
        nearest = np.minimum(min(NEIGHBOURS, m - 1), m - np.bincount(self.members)[self.members])
        return nearest, tuple(neighbours_by(self.points, nearest, self.index))

    @cached_property
    def refit(self) -> Fit:
        """Of ridge regression that is solved again without each kept sample, as ``memorize`` does."""
        return fit_kept(REFITTED, self.features, self.kept)

    @cached_property
    def surroundings(self) -> Surroundings:
        """Who is near whom, for votes and for the nearest of each class."""
        return around_points(self.points)

    @property
    def orders(self) -> Iterable[Order]:
        """The order of all samples to each, kept where further columns will ask for it and it is not too large."""
        return orders_of(self.points) if self.classes is None or len(self.members) > FEW else self._kept_orders

    @cached_property
    def _kept_orders(self) -> tuple[Order, ...]:
        return tuple(orders_of(self.points))
