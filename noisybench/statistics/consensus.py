"""The default suspicion from frozen features: what ridge regression, logistic regression and neighbours say together.

How the three are joined, and from where on a label disagrees with them, was decided by
``tests/benchmarks/feature_consensus.py`` on ``TUNING_SETS`` alone: sets of which no other figure is reported, with no,
uniform, confusable-class and clustered errors. Means of scaled margins find about as many errors there as mean ranks
(precision .620 and .615, AUROC .894 of both); the margins have a zero, so that one number orders the samples and cuts them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels, as_probabilities, check_array, check_labels
from noisybench.ground.errors import BadData
from noisybench.statistics.margins import margin_against

TUNING_SETS = {
    "breast_cancer": "569 tumours, scikit-learn",
    "iris": "150 flowers, scikit-learn",
    "diabetes": "442 patients by third of the progression of their disease, scikit-learn",
    "made-3": "600 of 3 classes, make_classification",
    "made-5": "1,000 of 5 classes in three clusters each, make_classification",
    "made-10": "1,000 of 10 classes, make_classification",
    "made-2": "400 of 2 overlapping classes, make_classification",
    "blobs": "1,000 of 10 classes, make_blobs",
    "fashion-pixels": "first 600 training images of Fashion-MNIST, pixels",
    "fashion-patches": "the same, features 'patches'",
    "fashion-lite0": "the same, features 'lite0'",
    "docstrings-words": "first lines of docstrings of scipy, matplotlib, sympy, PIL, pyarrow and networkx, features 'words'",
    "docstrings-minilm": "the same, features 'minilm'",
}
"""Sets that defaults of features were chosen on, and what each is; no figure of them stands anywhere else."""

FLOOR = 1e-3
"""Probability added to each before logarithms, so that one sure answer does not outweigh everything."""
CUT = 0.5
"""Suspicion above which a label disagrees with the evidence: the best mean F1 on the tuning sets, .573, which 0.4 has too
with a quarter more flags where nothing is wrong."""


def consensus(labels: Labels, ridge_answers: NDArray[Any], probabilities: NDArray[Any], shares: NDArray[Any]) -> Floats:
    """Mean of three scaled margins against the given label: (n,) and three of (n, k) → (n,).

    Of ridge answers and of shares of neighbours the margin is the best other class's less the given one's, of
    probabilities that of their logarithms. Each is divided by its root mean square, so that the three count alike: 0 is
    undecided, -1 as sure of the given label as evidence commonly is of one class or another, above 0 another class is
    likelier. Where all margins are 0 they stay 0.

    Args:
        labels: Given labels, shape (n,).
        ridge_answers: See ``ridge.RidgeAnswers.answers``, shape (n, k).
        probabilities: Held out, see ``linear_probe.HeldOut.probabilities``, shape (n, k).
        shares: Of each label among the neighbours, see ``neighbours.neighbour_labels``, shape (n, k).

    Raises:
        BadData: Arrays of other shapes, values that are not finite, or rows that are no probabilities.

    Source: none; defined here.
    """
    n = len(labels)
    values = as_probabilities(probabilities, n)
    labels = check_labels(labels, values.shape[1])
    answers = _checked(ridge_answers, values.shape, "ridge_answers")
    near = as_probabilities(shares, n, what="shares of neighbours")
    _checked(near, values.shape, "shares of neighbours")
    margins = [margin_against(evidence, labels) for evidence in (answers, np.log(values + FLOOR), near)]
    scales = [float(np.sqrt(np.mean(margin**2))) or 1.0 for margin in margins]
    mean: Floats = np.mean([margin / scale for margin, scale in zip(margins, scales, strict=True)], axis=0)
    return mean


def disagreeing(suspicion: Floats) -> Bools:
    """Whether each label disagrees with the evidence, by ``consensus`` above ``CUT``: (n,) → (n,).

    A count of such labels is no estimate of how many are wrong, which labels and features cannot tell: where classes
    overlap, right labels disagree too. Without a single error, 8 % of the labels of the tuning sets did on average.
    """
    flagged: Bools = suspicion > CUT
    return flagged


def _checked(values: NDArray[Any], shape: tuple[int, ...], what: str) -> Floats:
    check_array(values, what, dimensions=2)
    if values.shape != shape:
        msg = f"{what} have shape {values.shape}, expected {shape}, that of the probabilities"
        raise BadData(msg)
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if bad.size:
        msg = f"{what}[{bad[0]}] holds a value that is not finite ({bad.size} such rows); expected numbers"
        raise BadData(msg)
    return values.astype(np.float64)
