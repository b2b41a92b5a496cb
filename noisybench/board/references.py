"""What detectors are read against: chance, no opinion, the truth itself, and what the given label alone tells."""

import numpy as np

from noisybench.detection.scoring import LIKELIEST_OTHER_CLASS, REFERENCES, Scores, Suggestion
from noisybench.ground.arrays import UNKNOWN, Labels, read_only
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


def reference_suggestions(variant: Variant, *, seed: int) -> list[Suggestion]:
    """What detectors' suggestions are read against: chance, the likeliest other class, the given label alone, the truth.

    ``likeliest_other_class`` suggests the class that is given most often, and of samples of that class the next; it
    knows no truth. ``given_label_only`` suggests the commonest right class among the wrong labels of the same given class;
    with few of them it is optimistic, since the sample itself is one. Of equally common classes it is the first.

    Args:
        variant: The labels, with their truth.
        seed: Decides ``random``.
    """
    n, k, given = len(variant.labels), variant.num_classes, variant.labels
    drawn = given + 1 + (uniforms(seed, "reference/random suggestion", n) * (k - 1)).astype(np.int64)
    told = variant.mislabeled & variant.class_known
    columns = {
        "random": drawn % k if k > 1 else np.full(n, UNKNOWN),
        LIKELIEST_OTHER_CLASS: _most_given(given, k),
        "given_label_only": _commonest_right(given[told], variant.clean[told], k)[given],
        "perfect": np.where(told, variant.clean, UNKNOWN),
    }
    return [Suggestion(name, read_only(labels), variant.provenance.variant_id) for name, labels in columns.items()]


def _most_given(given: Labels, k: int) -> Labels:
    """The most frequent of the other classes for each sample, shape (n,); ``UNKNOWN`` where there is one class."""
    counts = np.bincount(given, minlength=k)
    first, second = [*np.argsort(-counts, kind="stable")[:2], UNKNOWN][:2]
    return np.where(given == first, second, first).astype(np.int64)


def _commonest_right(given: Labels, right: Labels, k: int) -> Labels:
    """Given class → commonest right class of wrong labels, shape (k,); ``UNKNOWN`` of classes without any.

    Pairs that occur are counted, so that many classes need no matrix.
    """
    pairs, counts = np.unique(given * k + right, return_counts=True)
    order = np.lexsort((-pairs, counts))  # the last one written is the most frequent, of equal ones the first class
    commonest = np.full(k, UNKNOWN, dtype=np.int64)
    for pair in pairs[order]:
        commonest[pair // k] = pair % k
    return commonest
