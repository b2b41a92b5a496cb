"""The default suspicion from frozen features: what ridge regression, logistic regression and neighbours say together."""

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Labels, check_labels
from noisybench.statistics.margins import margin_against, mean_rank

LEAST = 1e-12


def consensus(labels: Labels, ridge_suspicion: Floats, probabilities: Floats, shares: Floats) -> Floats:
    """Suspicion of each label, mean rank of three kinds of evidence: (n,), (n,), (n, k) and (n, k) → (n,), in [0, 1].

    Args:
        labels: Given labels, shape (n,).
        ridge_suspicion: See ``ridge.RidgeAnswers.suspicion``, shape (n,).
        probabilities: Held out, shape (n, k).
        shares: Of each label among the neighbours, shape (n, k).
    """
    labels = check_labels(labels, probabilities.shape[1])
    logs = np.log(np.maximum(probabilities.astype(np.float64), LEAST))
    rows = np.arange(len(labels))
    return mean_rank(np.stack([ridge_suspicion, margin_against(logs, labels), 1 - shares[rows, labels]]))


def disagreeing(labels: Labels, ridge_answers: Floats, probabilities: Floats, shares: Floats) -> Bools:
    """Whether a label disagrees with the evidence: two of the three kinds say another class: → (n,)."""
    votes = [
        margin_against(answers.astype(np.float64), labels) > 0 for answers in (ridge_answers, probabilities, shares)
    ]
    return np.sum(votes, axis=0) > len(votes) / 2
