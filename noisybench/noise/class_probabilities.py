"""What the noises that follow class probabilities share: the likeliest mistake, and chances that meet a rate."""

import numpy as np

from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.errors import BadUsage
from noisybench.variants.flipping import sum_to

_BLOCK = 1 << 16  # samples whose probabilities are copied at a time


def strongest_wrong(probabilities: Floats, clean: Labels) -> tuple[Labels, Floats, Floats]:
    """The likeliest wrong class, its probability, and that of the clean class, each (n,).

    Of several that are equally likely, the first. Where the clean label is unknown, nothing that may be used.
    """
    n = len(clean)
    target, strongest, own = np.zeros(n, dtype=np.int64), np.zeros(n), np.zeros(n)
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        others, classes = probabilities[block].copy(), np.maximum(clean[block], 0)
        rows = np.arange(len(others))
        own[block] = others[rows, classes]
        others[rows, classes] = -1
        target[block] = others.argmax(1)
        strongest[block] = others[rows, target[block]]
    return target, strongest, own


def rated(weights: Floats, clean: Labels, rate: float) -> Floats:
    """Chances min(1, c × weight), shape (n,), with the c for which their mean over samples of known class is ``rate``.

    Raises:
        BadUsage: Too few weights are above zero.
    """
    known = clean != UNKNOWN
    weights = np.where(known, weights, 0.0)
    wanted = rate * float(known.sum())
    if wanted > (weights > 0).sum() + 1e-6:
        raise out_of_reach(rate, weights, clean)
    return sum_to(weights, wanted)


def out_of_reach(rate: float, weights: Floats, clean: Labels) -> BadUsage:
    """The error of a rate that asks for samples that can not be mistaken, those of weight zero."""
    known = clean != UNKNOWN
    return BadUsage(
        f"rate {rate:g} is out of reach: by these probabilities {int((weights[known] > 0).sum())} of {known.sum()} "
        f"samples can be mistaken; lower the rate, or take softer probabilities, as of fewer epochs"
    )


def known_chances(chance: Floats, clean: Labels) -> Floats:
    """``chance`` as a variant tells it: NaN where the clean label is unknown."""
    return np.where(clean == UNKNOWN, np.nan, chance)
