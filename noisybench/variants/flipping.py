"""Drawing wrong labels: who is flipped, and to what. Every noise that has a law draws through these functions.

A law has two parts, kept apart: the chance that sample i is *selected*, and the law of its new label once selected.
Three modes decide how the selection is drawn:

- ``exact``: the number of selected samples is the nearest integer to its expectation. Where rates are of a class, the
  number in each class is one of the two integers next to its expectation as well.
- ``exact_per_class``: the same in every class, and with a transition matrix in every cell of it.
- ``bernoulli``: each sample for itself. Label i depends on the seed, i and the sample alone; only where a law needs
  moments of all samples, as ``instance`` does on features, does it depend on them too.
"""

from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import UNKNOWN, Floats, Labels, check_array
from noisybench.ground.checks import check_kind
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import bits, permutation, pick, uniforms
from noisybench.variants.transitions import AnyTransition, SparseTransition

Mode = Literal["exact", "exact_per_class", "bernoulli"]


def check_mode(mode: str) -> None:
    """Raise ``BadUsage`` for a mode that does not exist."""
    if not isinstance(mode, str) or mode not in get_args(Mode):
        msg = f"no mode '{mode}'; there are: {', '.join(get_args(Mode))}"
        raise BadUsage(msg)


def nearest_counts(expected: Floats, ties: Floats) -> NDArray[np.int64]:
    """Integers next to ``expected`` whose sum is the nearest integer to its sum (largest remainder), shape (k,).

    Args:
        expected: Expected counts, shape (k,).
        ties: Uniforms that decide between equal remainders, shape (k,).
    """
    # Products such as 50 * 0.1 miss the integer by one rounding: that is no remainder.
    expected = np.where(np.isclose(expected, np.rint(expected), rtol=0, atol=1e-9), np.rint(expected), expected)
    counts = np.floor(expected).astype(np.int64)
    missing = _nearest(expected.sum()) - int(counts.sum())
    counts[np.lexsort((ties, -(expected - counts)))[:missing]] += 1
    return counts


def systematic(expected: Floats, start: float) -> NDArray[np.int64]:
    """Integers of a given sum, each one of the two next to its expectation and right on average, shape (m,).

    With expectations up to one this is sampling with probability proportional to size (Madow 1949): each sample is
    taken with exactly the chance asked for. ``expected`` must sum to an integer; ``start`` is a uniform.
    """
    total = _nearest(expected.sum())
    edges = np.minimum(np.floor(np.cumsum(expected) + start), total)
    edges[-1:] = total
    return np.diff(edges, prepend=0).astype(np.int64)


def sum_to(weights: Floats, total: float) -> Floats:
    """Chances of at most one, proportional to ``weights`` where below it, that sum to ``total``, shape (m,)."""
    chances = np.zeros_like(weights)
    free = weights > 0
    sure = np.zeros_like(free)
    while free.any():
        chances[free] = weights[free] * ((total - sure.sum()) / weights[free].sum())
        over = free & (chances >= 1)
        if not over.any():
            break
        chances[over] = 1.0
        sure |= over
        free &= ~over
    return chances


def select(probability: Floats, clean: Labels, *, by_class: bool, seed: int, mode: Mode) -> NDArray[np.bool_]:
    """Which samples get a new label, shape (n,).

    Args:
        probability: Chance of each sample, shape (n,); zero where the clean label is unknown.
        clean: Clean labels, shape (n,).
        by_class: Whether mode ``exact`` meets the count in every class, not only overall.
        seed: Of the noise.
        mode: See the module.
    """
    check_mode(mode)
    n = len(probability)
    if mode == "bernoulli":
        return uniforms(seed, "select", n) < probability
    shuffled = permutation(seed, "select-order", n)
    if by_class or mode == "exact_per_class":
        shuffled = shuffled[np.argsort(clean[shuffled], kind="stable")]
        groups = np.split(shuffled, np.flatnonzero(np.diff(clean[shuffled])) + 1)
    else:
        groups = [shuffled]
    totals = nearest_counts(
        np.array([probability[group].sum() for group in groups]), uniforms(seed, "select-ties", len(groups))
    )
    starts = uniforms(seed, "select-start", len(groups))
    selected = np.zeros(n, dtype=bool)
    for group, total, start in zip(groups, totals, starts, strict=True):
        # The count is the nearest integer; who is wrong for certain stays so, the others make up for the rounding.
        certain = probability[group] >= 1
        chances = sum_to(np.where(certain, 0.0, probability[group]), int(total) - int(certain.sum()))
        selected[group] = systematic(np.where(certain, 1.0, chances), start) > 0
    return selected


def flip_by_class(
    labels: Labels, clean: Labels, chance: Floats, targets: AnyTransition, *, by_class: bool, seed: int, mode: Mode
) -> tuple[Labels, NDArray[np.bool_]]:
    """Class-conditional noise: new labels and who was selected, both (n,).

    Args:
        labels: Labels kept where the clean one is unknown, shape (n,).
        clean: Clean labels, shape (n,), ``UNKNOWN`` allowed.
        chance: Chance of selection of each class, shape (k,).
        targets: Law of the new label of a selected sample, rows summing to one, shape (k, k).
        by_class: Whether rates are of a class, so that mode ``exact`` meets the count in each, not only overall.
        seed: Of the noise.
        mode: See the module.
    """
    _check_law(chance, targets)
    for what, values in (("labels", labels), ("clean", clean)):
        check_array(values, what, dimensions=1, kinds="iu")
    known = clean != UNKNOWN
    probability = np.where(known, chance[clean], 0.0)
    selected = select(probability, clean, by_class=by_class, seed=seed, mode=mode)
    result = np.where(known, clean, labels)
    sizes = np.bincount(clean[known], minlength=len(chance))
    chosen = np.flatnonzero(selected)
    # One stable sort by class, then a slice per class: 1.3 million labels of 1,000 classes in a fraction of a second.
    # In the smallest type, because numpy sorts integers of up to 16 bits by radix.
    classes = clean[chosen].astype(np.min_scalar_type(len(chance)))
    chosen = chosen[np.argsort(classes, kind="stable")]
    uniform = uniforms(seed, "target", len(clean))
    keys = bits(seed, "target-order", len(clean)) if mode == "exact_per_class" else None
    for members in np.split(chosen, np.flatnonzero(np.diff(clean[chosen])) + 1):
        if not members.size:
            continue
        origin = int(clean[members[0]])
        law = targets.row(origin) if isinstance(targets, SparseTransition) else targets[origin]
        if keys is None:
            result[members] = _pick_one_law(law, uniform[members])
        else:
            cells = permutation(seed, f"cell-order-{origin}", len(chance))
            start = uniforms(seed, f"cell-start-{origin}", 1)[0]
            expected = law[cells] * (chance[origin] * sizes[origin])
            whole = np.floor(expected)
            rest = systematic(sum_to(expected - whole, len(members) - int(whole.sum())), start)
            counts = whole.astype(np.int64) + rest
            result[members[np.argsort(keys[members], kind="stable")]] = np.repeat(cells, counts)
    return result, selected


def flip_by_law(labels: Labels, clean: Labels, laws: Iterable[tuple[NDArray[np.intp], Floats]], *, seed: int) -> Labels:
    """Instance-dependent noise: new labels, shape (n,).

    Args:
        labels: Labels kept where the clean one is unknown, shape (n,).
        clean: Clean labels, shape (n,), ``UNKNOWN`` allowed.
        laws: Blocks of selected samples (m,) with the weights of their new labels (m, k), so that no (n, k) is held.
        seed: Of the noise.
    """
    for what, values in (("labels", labels), ("clean", clean)):
        check_array(values, what, dimensions=1, kinds="iu")
    check_kind(laws, Iterable, "laws", "give pairs of samples and the weights of their labels")
    result = np.where(clean != UNKNOWN, clean, labels)
    uniform = uniforms(seed, "target", len(clean))
    for members, law in laws:
        result[members] = pick(law, uniform[members])
    return result


def law_of_labels(counts: NDArray[Any] | SparseTransition) -> AnyTransition:
    """Counts or chances of each label by class → rows that sum to one, shape (k, k).

    The row of a class without any is never used; it only must be a law, and is that of its own label. So it is, where
    wrong labels alone are counted, of a class that is never wrong.
    """
    if isinstance(counts, SparseTransition):
        sums = counts.row_sums()
        law = counts.divided(np.where(sums > 0, sums, 1.0))
        return law.with_diagonal(np.where(sums > 0, law.diagonal(), 1.0))
    sums = counts.sum(1)
    return np.where(sums[:, None] > 0, counts / np.where(sums > 0, sums, 1.0)[:, None], np.eye(len(counts)))


def _check_law(chance: object, targets: object) -> None:
    """Raise ``BadData`` for what is no law of k classes: chances (k,) and targets (k, k)."""
    check_array(chance, "chance", dimensions=1)
    if not isinstance(targets, SparseTransition):
        check_array(targets, "targets", dimensions=2)


def transition_of(chance: Floats, targets: AnyTransition) -> AnyTransition:
    """The transition matrix T[i, j] = P(given j | clean i) of a class-conditional law, shape (k, k)."""
    _check_law(chance, targets)
    if isinstance(targets, SparseTransition):
        law = targets.scaled(chance)
        return law.with_diagonal(law.diagonal() + (1 - chance))
    transition: Floats = chance[:, None] * targets
    transition[np.diag_indices_from(transition)] += 1 - chance
    return transition


def _pick_one_law(law: Floats, uniform: Floats) -> NDArray[np.int64]:
    """Classes drawn from one law, shape (m,): a binary search instead of a row of k sums for each sample."""
    edges = np.cumsum(law)
    threshold = np.minimum(uniform * edges[-1], np.nextafter(edges[-1], 0))
    return np.searchsorted(edges, threshold, side="right").astype(np.int64)


def _nearest(value: float) -> int:
    """The nearest integer, half to even as ``round`` does; rounding errors do not turn a half into more or less."""
    return round(round(value, 6))
