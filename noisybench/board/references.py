"""What detectors are read against: chance, no opinion, the truth itself, and what the given label alone tells."""

import numpy as np

from noisybench.detection.scoring import REFERENCES, Scores
from noisybench.ground.arrays import read_only
from noisybench.ground.random_streams import uniforms
from noisybench.variants.variant import Variant


def reference_scores(variant: Variant, *, seed: int) -> list[Scores]:
    """What detectors are read against: chance, no opinion, the truth itself, and what the given label alone tells.

    ``given_label_only`` scores a sample by the share of wrong labels among the known samples that are given its class;
    with few samples a class it is optimistic, since the sample itself is one of them.

    Args:
        variant: The labels, with their truth.
        seed: Decides ``random``.
    """
    n, k, wrong = len(variant.labels), variant.num_classes, variant.mislabeled
    sizes = np.bincount(variant.labels[variant.known], minlength=k)
    share = np.bincount(variant.labels[wrong], minlength=k) / np.maximum(sizes, 1)
    columns = (uniforms(seed, "reference/random", n), np.zeros(n), wrong.astype(np.float64), share[variant.labels])
    return [
        Scores(name, read_only(values), variant.provenance.variant_id)
        for name, values in zip(REFERENCES, columns, strict=True)
    ]
