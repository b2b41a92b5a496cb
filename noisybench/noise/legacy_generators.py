"""The stream of published generators: one ``RandomState(seed).multinomial`` for each label, in the order of the labels.

NumPy promises never to change ``RandomState`` (NEP 19), so the same seed gives the labels that were published. Label i
depends on the labels before it: a prefix of a source has the labels of the whole, a permutation of it has others.
"""

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.errors import BadUsage
from noisybench.variants.noise import Draw, RateDefinition


def draw_in_order(source: Source, rows: Floats, *, seed: int, rate_definition: RateDefinition) -> Draw:
    """A draw by ``rows`` of P(given | clean), shape (k, k): one multinomial for each label whose clean class is known.

    Raises:
        BadUsage: A seed that ``RandomState`` does not take.
    """
    if seed >= 1 << 32:
        msg = f"seed must be below 2**32, as the published generator takes no other, got {seed}"
        raise BadUsage(msg)
    known = source.clean != UNKNOWN
    generator = np.random.RandomState(seed)
    labels = source.labels.copy()
    labels[known] = [generator.multinomial(1, rows[k]).argmax() for k in source.clean[known].tolist()]
    return Draw(
        labels=labels,
        flip_probability=np.where(known, 1 - rows.diagonal()[source.clean], np.nan),
        transition=rows,
        selected=known & (labels != source.clean),
        rate_definition=rate_definition,
    )


def uniform_rows(num_classes: int, rate: float) -> Floats:
    """Rows that keep the class with 1 - ``rate`` and share the rest among the others, rounded as published, (k, k)."""
    rows = np.full((num_classes, num_classes), rate / max(num_classes - 1, 1))
    np.fill_diagonal(rows, 1.0 - rate)
    return rows


def mapped_rows(num_classes: int, rate: float, flips: dict[int, int]) -> Floats:
    """Rows that give a mapped class its other one with ``rate``, rounded as published, shape (k, k)."""
    rows = np.eye(num_classes)
    for origin, goal in flips.items():
        rows[origin, origin], rows[origin, goal] = 1.0 - rate, rate
    return rows
