"""Margins of a label against the other classes, and ranks that put several kinds of evidence on one scale."""

import numpy as np

from noisybench.ground.arrays import Floats, Labels

DECIMALS = 9
"""Margins that agree to so many decimals are tied: equal samples differ in the last bits of a sum."""


def margin_against(answers: Floats, labels: Labels) -> Floats:
    """Best other class's answer minus the given label's: (n, k) and (n,) → (n,); above 0 says another class."""
    rows = np.arange(len(labels))
    others = answers.copy()
    others[rows, labels] = -np.inf
    margin: Floats = others.max(1) - answers[rows, labels]
    return margin


def mean_rank(evidence: Floats) -> Floats:
    """Mean over several kinds of evidence of a sample's rank from 0 to 1, ties sharing theirs: (m, n) → (n,)."""
    from scipy.stats import rankdata

    n = evidence.shape[1]
    ranks = rankdata(evidence.round(DECIMALS), axis=1) - 1
    mean: Floats = ranks.mean(0) / max(n - 1, 1)
    return mean
