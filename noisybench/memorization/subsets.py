"""Random subsets of the samples, each sample left out equally often."""

import math

import numpy as np

from noisybench.ground.arrays import Bools, Labels
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import bits, permutation

LARGEST_GROUP = 50


def subsets(
    models: range,
    n: int,
    fraction: float,
    *,
    seed: int,
    balanced: bool = True,
    dropped: Bools | None = None,
    groups: Labels | None = None,
) -> Bools:
    """Who is in the subset of each model, shape (len(models), n).

    A subset depends on the seed and the number of its model alone, not on how many models are asked for. Plain random
    subsets hold ``floor(fraction * n)`` samples each (Feldman and Zhang). Balanced ones come in groups of
    ``group_size(fraction)`` models, of which each sample is left out of equally many, so that no sample has fewer
    models in an arm than another; the sizes of a group's subsets differ by at most one. Each of them by itself is a
    uniformly random subset of its size, and who is left out together is drawn anew in each group.

    Where samples go together, such as copies of each other, all of this is true of these groups in place of samples: a
    subset holds a fraction of them, and those of like size are dealt together, so that the samples in a balanced subset
    differ little in number.

    Args:
        models: Numbers of the models, consecutive.
        n: Samples.
        fraction: Of the samples in a subset, strictly between 0 and 1.
        seed: Decides every subset.
        balanced: Leave each sample out equally often.
        dropped: Who is in no subset, shape (n,); the others are drawn as if there were no more. None: nobody.
        groups: Who goes with whom, a number each, shape (n,). None: everybody goes alone.

    Raises:
        BadUsage: A fraction that cannot be meant, leaves subsets empty, or is no whole number of models in a group.
    """
    if dropped is not None and dropped.any():
        included = np.zeros((len(models), n), dtype=np.bool_)
        left = n - int(dropped.sum())
        together = None if groups is None else groups[~dropped]
        included[:, ~dropped] = subsets(models, left, fraction, seed=seed, balanced=balanced, groups=together)
        return included
    if groups is None:
        return _drawn(models, np.ones(n, dtype=np.int64), fraction, seed, balanced=balanced)
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return _drawn(models, sizes, fraction, seed, balanced=balanced)[:, member]


def _drawn(models: range, sizes: Labels, fraction: float, seed: int, *, balanced: bool) -> Bools:
    """Which groups, of so many samples each (g,), are in the subset of each model, shape (len(models), g)."""
    n = len(sizes)
    size = check_fraction(fraction, n, "samples" if (sizes == 1).all() else "groups of copies")
    included = np.ones((len(models), n), dtype=np.bool_)
    if not balanced:
        for row, model in enumerate(models):
            included[row, permutation(seed, f"subset/{model}", n)[size:]] = False
        return included
    group = group_size(fraction)
    out = group - round(fraction * group)
    for number in sorted({model // group for model in models}):
        first = number * group
        rows = slice(max(first, models.start) - first, min(first + group, models.stop) - first)
        at = max(first, models.start) - models.start
        included[at : at + rows.stop - rows.start] = ~_left_out(seed, number, sizes, group, out)[rows]
    return included


def check_fraction(fraction: float, n: int, what: str = "samples") -> int:
    """``floor(fraction * n)``: samples in a plain random subset, or of whatever else ``what`` says that there are n.

    Raises:
        BadUsage: The fraction does not lie strictly between 0 and 1, or a subset would have fewer than two samples.
    """
    if not 0 < fraction < 1:
        msg = f"fraction must lie strictly between 0 and 1 (0.7 is 70 % of the samples), got {fraction:g}"
        raise BadUsage(msg)
    size = math.floor(fraction * n + 1e-9)  # 0.29 * 100 is a little less than 29
    if size < 2 or size >= n:  # noqa: PLR2004 - a step needs two samples
        msg = f"a fraction of {fraction:g} of {n} {what} leaves {size} in a subset; expected at least 2, and not all"
        raise BadUsage(msg)
    return size


def group_size(fraction: float) -> int:
    """Models in a balanced group: the least number of which the fraction is a whole one.

    >>> [group_size(fraction) for fraction in (0.5, 0.7, 0.75)]
    [2, 10, 4]

    Raises:
        BadUsage: There is none up to 50.
    """
    for size in range(2, LARGEST_GROUP + 1):
        if abs(fraction * size - round(fraction * size)) < 1e-9:  # noqa: PLR2004 - rounding of a product
            return size
    msg = (
        f"no group of up to {LARGEST_GROUP} models can leave each sample out of exactly a fraction of {1 - fraction:g} "
        f"of them; take a rounder fraction such as 0.7, or plain random subsets"
    )
    raise BadUsage(msg)


def _left_out(seed: int, number: int, sizes: Labels, group: int, out: int) -> Bools:
    """Who is left out by each model of a group, shape (group, n), largest first: each by ``out`` of them."""
    n = len(sizes)
    order = permutation(seed, f"group/{number}", n)
    order = order[np.argsort(-sizes[order], kind="stable")]  # as it was where all are single samples
    # Samples are dealt like cards, so many at a time as there are models, in an order of the models drawn for each deal:
    # then two samples are left out together no more often than chance has it.
    deals = -(-n // group)
    models = np.argsort(bits(seed, f"deals/{number}", deals * group).reshape(deals, group), axis=1, kind="stable")
    position = np.arange(n)
    left_out = np.zeros((group, n), dtype=np.bool_)
    for turn in range(out):
        left_out[models[position // group, (position % group * out + turn) % group], order] = True
    return left_out
