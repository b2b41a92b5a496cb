"""Forecast of ridge regression: what its algebra takes of all samples, from that of fewer."""

import time
import tracemalloc
from dataclasses import dataclass

import numpy as np

from noisybench.ground.arrays import Bools, Features, Labels
from noisybench.memorization.closed_form_plan import ClosedFormPlan, KernelRidge, KernelRidgeNystrom
from noisybench.statistics.refits import leave_out_each, refits
from noisybench.statistics.spectrum import centred_units
from noisybench.variants.variant import Variant

FIRST = 256
"""Samples of the first trial; they double until one takes long enough."""
REFITS = 3
"""Refits that are timed."""


@dataclass(frozen=True, slots=True)
class Solving:
    """What solving takes of all samples.

    Attributes:
        fit: Processor seconds of the fit on all of them.
        leaving_out: Processor seconds of leaving out each; 0 of random subsets.
        refit: Processor seconds of one refit on a random subset; 0 where each sample is left out.
        bytes: Of memory at the peak, beside the features.
    """

    fit: float
    leaving_out: float
    refit: float
    bytes: int


def try_solving(variant: Variant, plan: ClosedFormPlan, features: Features, budget: float) -> Solving:
    """Solve fewer and then more samples until one fit takes ``budget`` seconds, or all are solved; scaled up to all.

    Operations grow as the cube of the samples for an exact kernel, as samples × side² + side³ else, the side being that of
    the matrix that is decomposed; memory as the square of the samples, or as samples × side.

    Args:
        variant: Whose labels.
        plan: What would be solved.
        features: Shape (n, d).
        budget: Processor seconds.
    """
    n = len(variant.labels)
    order = np.random.default_rng(0).permutation(n)  # classes may be sorted
    size = min(FIRST, n)
    found = _solved(variant, plan, features, np.sort(order[:size]))
    while size < n and found.fit + found.leaving_out + found.refit < budget:
        size = min(2 * size, n)
        found = _solved(variant, plan, features, np.sort(order[:size]))
    d = features[:1].size
    more = _operations(plan, n, d) / _operations(plan, size, d)
    cells = _cells(plan, n, d) / _cells(plan, size, d)
    return Solving(found.fit * more, found.leaving_out * more, found.refit * more, int(found.bytes * cells))


def _solved(variant: Variant, plan: ClosedFormPlan, features: Features, rows: Labels) -> Solving:
    """The same of some samples, as they took it."""
    labels, k = variant.labels[rows], variant.num_classes
    everybody: Bools = np.ones(len(rows), dtype=np.bool_)
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        began = time.process_time()
        fit = plan.how.fit(centred_units(features[rows].reshape(len(rows), -1), len(rows)), everybody)
        fitted = time.process_time()
        leaving, refit = 0.0, 0.0
        if plan.learner.is_exact:
            leave_out_each(fit, labels, k)
            leaving = time.process_time() - fitted
        else:
            solve = refits(fit, labels, k)
            subset = np.random.default_rng(0).random((REFITS, len(rows))) < plan.fraction
            fitted = time.process_time()
            for chosen in subset:
                solve(chosen)
            refit = (time.process_time() - fitted) / REFITS
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        if not already:
            tracemalloc.stop()
    return Solving(fitted - began, leaving, refit, peak)


def _side(plan: ClosedFormPlan, n: int, d: int) -> int:
    """Side of the matrix that is decomposed."""
    return min(n, plan.how.landmarks if isinstance(plan.how, KernelRidgeNystrom) else d)


def _operations(plan: ClosedFormPlan, n: int, d: int) -> float:
    """To which the time of a fit, and of a refit, is proportional."""
    if isinstance(plan.how, KernelRidge):
        return float(n) ** 3
    side = _side(plan, n, d)
    return float(n) * side**2 + float(side) ** 3


def _cells(plan: ClosedFormPlan, n: int, d: int) -> float:
    """To which the memory is proportional."""
    return float(n) * (n if isinstance(plan.how, KernelRidge) else _side(plan, n, d) + d)
