"""Influence of training samples on test samples, of the models that memorization was measured with. No torch here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import Floats, Labels, read_only
from noisybench.ground.checks import a_path, number, whole
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import read_pool
from noisybench.memorization.tested_blocks import read_tests
from noisybench.statistics.pair_influences import large_pairs
from noisybench.variants.variant import Variant, check_source

MEMORIZED, LEAST = 0.25, 0.15
"""Memorization and influence from which Feldman and Zhang call a pair one of high influence."""
MOST_PAIRS = 10_000
"""Pairs that are kept, so that a table of few models, where chance gives millions, fits into memory."""


MOST_Q = 0.05
"""Share of pairs without influence that is expected, at most, among those that are listed."""


@dataclass(frozen=True, slots=True, eq=False)
class InfluencePairs:
    """Memorized training samples and the test samples that they have a large influence on, the largest first.

    Attributes:
        train: Training samples, shape (p,).
        test: Test samples, shape (p,).
        influence: P(model right on the test sample | it saw the training sample) - P(… | it did not), shape (p,): above 0
            the training sample helps, below 0 it harms, as a wrong label may.
        stderr: Standard error of ``influence``, shape (p,).
        memorization: Of the training sample, shape (p,).
        p_value: Probability of so large an influence of this sign if there were none, shape (p,).
        q_value: Share of pairs without influence that is expected, at most, among those of this sign with as small a p-value;
            all pairs compared, shape (p,).
        helps: Pairs in all that help at least so much, of which ``train`` and the others hold those that chance hardly gives.
        harms: Pairs in all that harm at least so much, likewise.
        helps_by_chance: How many of ``helps`` are expected if no sample had influence.
        harms_by_chance: The same of ``harms``.
        compared: Pairs in all: samples memorized so much × test samples.
        memorized: Memorization from which training samples were looked at.
        least: Absolute influence from which pairs count.
        most_q: Largest q-value of the pairs that are listed.
        models: That were trained.
        learner: What was trained.
        variant_id: The labels that it was trained on.
    """

    train: Labels
    test: Labels
    influence: Floats
    stderr: Floats
    memorization: Floats
    p_value: Floats
    q_value: Floats
    helps: int
    harms: int
    helps_by_chance: float
    harms_by_chance: float
    compared: int
    memorized: float
    least: float
    most_q: float
    models: int
    learner: Learner
    variant_id: str

    def __repr__(self) -> str:
        told = f"{self.helps} help and {self.harms} harm of {self.compared} pairs, {self.models} models"
        return f"InfluencePairs({told}: {self.learner.name}; variant {self.variant_id[:8]})"


def influence_pairs(
    folder: str | Path,
    source: Source,
    variant: Variant,
    *,
    models: int | None = None,
    memorized: float = MEMORIZED,
    least: float = LEAST,
    most: int = MOST_PAIRS,
    most_q: float = MOST_Q,
) -> InfluencePairs:
    """High-influence pairs of a measurement of memorization whose models were asked about the test set.

    Source: Feldman and Zhang 2020, arXiv:2008.03703, equation 2 and section 4; that pairs also harm, and which of them
    chance may give, is ours.

    Args:
        folder: Of the measurement, as ``memorize(…, ask_test=True)`` gives it.
        source: Of the variant, with its test set.
        variant: The labels that the models were trained on.
        models: The first so many of the pool; None takes all.
        memorized: Memorization from which training samples are looked at.
        least: Absolute influence from which a pair counts.
        most: Pairs that are kept, the largest first; the others are counted alone.
        most_q: Largest q-value of a pair that is kept; 1 keeps those that chance gives as well.

    Raises:
        BadUsage: The source has no test set, a threshold cannot be meant, or the measurement is of no models.
        BadData: The models were not asked about the test set, or a file is damaged.
        Mismatch: They are of other labels, or of another test set.
    """
    folder = a_path(folder, "folder")
    check_source(source, variant)
    memorized = number(memorized, "memorized", least=-1, most=1)
    least, most = number(least, "least", least=0, most=1, without=0), whole(most, "most", least=1)
    most_q = number(most_q, "most_q", least=0, most=1)
    pool = read_pool(folder, variant, models=models)
    memorization = estimate_memorization(pool, variant)
    predictions = read_tests(folder, variant, source, models=len(pool.included))
    candidates = np.flatnonzero(memorization.values >= memorized).astype(np.int64)
    correct = predictions == source.test_labels
    found = large_pairs(pool.included, correct, candidates, least=least, most=most, most_q=most_q)
    return InfluencePairs(
        train=found.train,
        test=found.test,
        influence=found.influence,
        stderr=found.stderr,
        memorization=read_only(memorization.values[found.train]),
        p_value=found.p_value,
        q_value=found.q_value,
        helps=found.helps,
        harms=found.harms,
        helps_by_chance=found.helps_by_chance,
        harms_by_chance=found.harms_by_chance,
        compared=found.compared,
        memorized=memorized,
        least=least,
        most_q=most_q,
        models=len(pool.included),
        learner=pool.learner,
        variant_id=pool.variant_id,
    )
