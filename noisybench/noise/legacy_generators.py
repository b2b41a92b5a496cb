"""The stream of published generators: one ``RandomState(seed).multinomial`` for each label, in the order of the labels.

NumPy promises never to change ``RandomState`` (NEP 19), so the same seed gives the labels that were published. Label i
depends on the labels before it: a prefix of a source has the labels of the whole, a permutation of it has others.
"""

from dataclasses import replace

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadUsage
from noisybench.variants.flipping import transition_of
from noisybench.variants.noise import Draw, RateDefinition
from noisybench.variants.transitions import AnyTransition, SparseTransition, is_large, mapped_law, sparse

MOST_STEPS = 1 << 30
"""Labels × classes that a published generator goes through, of many classes: a minute of it."""


def draw_in_order(source: Source, rows: AnyTransition, *, seed: int, rate_definition: RateDefinition) -> Draw:
    """A draw by ``rows`` of P(given | clean), shape (k, k): one multinomial for each label whose clean class is known.

    Raises:
        BadUsage: A seed that ``RandomState`` does not take, or so many labels and classes that it would take minutes.
    """
    if seed >= 1 << 32:
        msg = f"seed must be below 2**32, as the published generator takes no other, got {seed}"
        raise BadUsage(msg)
    known = source.clean != UNKNOWN
    generator = np.random.RandomState(seed)
    labels = source.labels.copy()
    origins = source.clean[known].tolist()
    if isinstance(rows, SparseTransition):
        if len(origins) * rows.size > MOST_STEPS:
            msg = (
                f"the published generator goes through all {rows.size} classes for each of {len(origins)} labels, which "
                f"would take minutes; 'symmetric' and 'pair_flip' draw such laws at once"
            )
            raise BadUsage(msg)
        labels[known] = [generator.multinomial(1, rows.row(k)).argmax() for k in origins]
    else:
        labels[known] = [generator.multinomial(1, rows[k]).argmax() for k in origins]
    return Draw(
        labels=labels,
        flip_probability=np.where(known, 1 - rows.diagonal()[source.clean], np.nan),
        transition=rows,
        selected=known & (labels != source.clean),
        rate_definition=rate_definition,
    )


def uniform_rows(num_classes: int, rate: float) -> AnyTransition:
    """Rows that keep the class with 1 - ``rate`` and share the rest among the others, rounded as published, (k, k)."""
    if is_large(num_classes):
        every, others = np.arange(num_classes), np.full((num_classes, 1), rate / (num_classes - 1))
        return replace(
            sparse(every, every, np.full(num_classes, 1.0 - rate), num_classes),
            left=others,
            right=np.ones((1, num_classes)),
        )
    rows = np.full((num_classes, num_classes), rate / max(num_classes - 1, 1))
    np.fill_diagonal(rows, 1.0 - rate)
    return rows


def mapped_rows(num_classes: int, rate: float, flips: dict[int, int]) -> AnyTransition:
    """Rows that give a mapped class its other one with ``rate``, rounded as published, shape (k, k)."""
    if is_large(num_classes):
        chance, goals = np.zeros(num_classes), np.arange(num_classes)
        chance[list(flips)], goals[list(flips)] = rate, list(flips.values())
        return transition_of(chance, mapped_law(goals))
    rows = np.eye(num_classes)
    for origin, goal in flips.items():
        rows[origin, origin], rows[origin, goal] = 1.0 - rate, rate
    return rows
