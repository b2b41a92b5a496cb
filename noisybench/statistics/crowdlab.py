"""CROWDLAB: a classifier's held-out probabilities and several people's answers, weighted by how far each can be trusted."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels, as_probabilities
from noisybench.ground.errors import BadData
from noisybench.statistics.annotators import Table, Triples, check_triples, vote_counts

LEAST = 1e-6
"""Weight of whoever is no better than the commonest class, and the least error that is divided by."""


@dataclass(frozen=True, slots=True, eq=False)
class Crowdlab:
    """What CROWDLAB says.

    Attributes:
        posterior: Probability of each class, shape (n, k).
        consensus: The class that the answers and the classifier agree on best, shape (n,).
        model_weight: Of the classifier.
        annotator_weights: Of the annotators who gave an answer, in the order of their numbers, shape (a,).
        agreement: Chance that an annotator answers the consensus.
    """

    posterior: Floats
    consensus: Labels
    model_weight: float
    annotator_weights: Floats
    agreement: float


class _Crowd(NamedTuple):
    """Answers and what follows from them alone: counts (n, k) and sizes (n,), and whom several answered (n,)."""

    table: Table
    counts: Floats
    sizes: Floats
    several: Bools


def crowdlab(answers: Triples, probabilities: NDArray[Any], num_classes: int) -> Crowdlab:
    """Probability of each class by answers and a classifier that did not see the sample: (m,) and (n, k) → (n, k).

    p_i ∝ w_M p̂_M(· | x_i) + Σ_a w_a p̂_a(· | l_ia). p̂_a gives the answer of an annotator the chance P that an annotator
    answers the consensus, and each other class (1 - P) / (k - 1). The weight of an annotator is 1 - (share of others'
    answers to the same samples that are another) / E, of the classifier (1 - (its share of errors against the consensus)
    / E) times the root of the mean number of answers to a sample; E is the error of saying the commonest class always,
    and no weight is below ``LEAST``. P, E and the classifier's error are over samples that several people answered. The
    consensus is first the majority (ties to the class that the classifier finds likelier, then to that which was answered
    less often, then to that of annotators who agree more with the majority, then to the smallest), and then the class of
    the greatest p_i, by which p_i is computed once more.

    A sample that nobody answered has the classifier's probabilities. An annotator who shares no sample with another has
    the mean agreement of those who do.

    Args:
        answers: Of people, in any order.
        probabilities: Of each class, by models that did not see the sample, shape (n, k).
        num_classes: k, at least 2.

    Raises:
        BadUsage: Fewer than two classes.
        BadData: No answers, answers that are no classes, rows that are no probabilities, or no sample that several
            people answered, so that nobody knows how far they agree.

    Source: Goh, Tkachenko and Mueller 2022, arXiv:2210.06812, section 3, with details as in their code, cleanlab's
    ``get_label_quality_multiannotator``, which draws where a tie is left and refuses samples without answers.
    """
    n, k = len(probabilities), num_classes
    model = as_probabilities(probabilities, n)
    table = check_triples(answers, n, k)
    counts = vote_counts(answers, n, k)
    sizes = counts.sum(1)
    crowd = _Crowd(table, counts, sizes, sizes > 1)
    if not crowd.several.any():
        msg = "no sample has answers of two people, so that nobody knows how far they agree; CROWDLAB needs some"
        raise BadData(msg)
    agreement = _agreement_with_others(crowd)
    majority = _majority(crowd, model)
    first = _combine(crowd, model, majority, agreement)
    best = first.posterior.max(1)
    alone = (first.posterior == best[:, None]).sum(1) == 1
    return _combine(crowd, model, np.where(alone, first.posterior.argmax(1), majority), agreement)


def _combine(crowd: _Crowd, model: Floats, consensus: Labels, agreement: Floats) -> Crowdlab:
    """The weighted mean of answers and classifier, where both are judged by a consensus, shape (n,).

    Args:
        crowd: The answers.
        model: Probabilities by the classifier, shape (n, k).
        consensus: A class for each sample, shape (n,).
        agreement: Of each annotator with the others, shape (a,).
    """
    n, k = model.shape
    table, counts, sizes, several = crowd
    agreeing = counts[np.arange(n), consensus][several] / sizes[several]
    chance = float(agreeing.mean())
    told = consensus[several]
    commonest = np.bincount(told, minlength=k).argmax()
    worst = max(float((told != commonest).mean()), LEAST)
    weights = np.maximum(1 - (1 - agreement) / worst, LEAST)
    error = float((model[several].argmax(1) != told).mean())
    weight = max(1 - error / worst, LEAST) * float(np.sqrt(sizes[sizes > 0].mean()))
    of_answer = weights[table.annotator]
    voted = np.bincount(table.sample * k + table.label, weights=of_answer, minlength=n * k).reshape(n, k)
    total = voted.sum(1, keepdims=True)
    others = (1 - chance) / (k - 1)
    posterior = (weight * model + voted * chance + (total - voted) * others) / (weight + total)
    return Crowdlab(posterior, consensus, weight, weights, chance)


def _agreement_with_others(crowd: _Crowd) -> Floats:
    """Share of the others' answers to the same samples that are an annotator's own, shape (a,); else the mean of those."""
    table, counts, sizes, _ = crowd
    same = np.bincount(table.annotator, counts[table.sample, table.label] - 1, minlength=table.annotators)
    asked = np.bincount(table.annotator, sizes[table.sample] - 1, minlength=table.annotators)
    shares = same / np.maximum(asked, 1)
    return np.where(asked > 0, shares, shares[asked > 0].mean())


def _majority(crowd: _Crowd, model: Floats) -> Labels:
    """The commonest answer, shape (n,); of several, and where nobody answered, see ``crowdlab``."""
    table, counts, _, _ = crowd
    open_ = counts == counts.max(1, keepdims=True)
    open_ = _likeliest(open_, model)
    open_ = _likeliest(open_, np.broadcast_to(-counts.sum(0), counts.shape))
    tied = (counts == counts.max(1, keepdims=True)).sum(1) > 1
    with_majority = ~tied[table.sample]
    right = (table.label == counts.argmax(1)[table.sample]) & with_majority
    asked = np.bincount(table.annotator, with_majority, minlength=table.annotators)
    quality = np.bincount(table.annotator, right, minlength=table.annotators) / np.maximum(asked, 1)
    if (asked > 0).any():
        quality = np.where(asked > 0, quality, quality[asked > 0].mean())
    n, k = counts.shape
    cells = table.sample * k + table.label
    total = np.bincount(cells, weights=quality[table.annotator], minlength=n * k).reshape(n, k)
    return _likeliest(open_, total / np.maximum(counts, 1)).argmax(1)


def _likeliest(among: Bools, values: Floats) -> Bools:
    """Of the classes that are left of a sample, those of the greatest value: (n, k) and (n, k) → (n, k)."""
    held = np.where(among, values, -np.inf)
    return among & (held == held.max(1, keepdims=True))
