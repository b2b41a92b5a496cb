"""What several people's answers say of each sample's class: shares of votes, and Dawid and Skene's model of each annotator."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, check_labels
from noisybench.ground.checks import check_room, whole
from noisybench.ground.errors import BadData, BadUsage

SMOOTHING = 1.0
"""Pseudo-answers that are added to each row of each annotator's confusion matrix, spread evenly over the classes: one, as
in Perks's prior, whatever the number of classes."""
SMALL = 1e-6
"""Change of the log-likelihood, in nats, below which Dawid and Skene's iteration ends."""
MOST_ROUNDS = 10_000


class Triples(Protocol):
    """Answers as columns of one length, a row an answer, at most one of an annotator to a sample."""

    @property
    def sample(self) -> NDArray[np.int64]:
        """Which sample was asked about, shape (m,)."""

    @property
    def annotator(self) -> NDArray[np.int64]:
        """Who answered, as a number from 0, shape (m,)."""

    @property
    def label(self) -> Labels:
        """The class that was answered, shape (m,)."""


class Table(NamedTuple):
    """Checked answers, with annotators numbered 0, 1, … without gaps."""

    sample: NDArray[np.int64]
    annotator: NDArray[np.int64]
    label: Labels
    annotators: int


@dataclass(frozen=True, slots=True, eq=False)
class DawidSkene:
    """What Dawid and Skene's model says.

    Attributes:
        posterior: Probability of each class given all answers, shape (n, k).
        prior: Of each class, ρ, shape (k,).
        confusion: Chance that an annotator answers l where the class is j, entry (annotator, j, l), of annotators who
            gave an answer in the order of their numbers, shape (a, k, k).
        log_likelihood: Of the answers, in nats.
        rounds: Rounds of expectation and maximisation.
    """

    posterior: Floats
    prior: Floats
    confusion: Floats
    log_likelihood: float
    rounds: int


def check_triples(answers: Triples, n: int, num_classes: int) -> Table:
    """The answers as a table.

    Raises:
        BadUsage: Fewer than two classes, or more samples and classes than fit into memory.
        BadData: No answer at all, one that is no class, or to no sample.
    """
    n, k = whole(n, "n", least=1), whole(num_classes, "num_classes")
    if k < 2:  # noqa: PLR2004 - one class is certain
        msg = f"answers tell {k} class apart; expected at least two classes"
        raise BadUsage(msg)
    check_room(n, k, "a probability of each class for each sample", "look at fewer samples")
    if not len(answers.label):
        msg = "there are no answers; expected at least one"
        raise BadData(msg)
    check_labels(answers.label, k, what="labels of answers")
    outside = (answers.sample < 0) | (answers.sample >= n)
    if outside.any():
        msg = f"an answer is to sample {answers.sample[outside][0]}, the samples are 0..{n - 1} ({outside.sum()} such answers)"
        raise BadData(msg)
    who, annotator = np.unique(answers.annotator, return_inverse=True)
    return Table(answers.sample, annotator.astype(np.int64), answers.label, len(who))


def vote_counts(answers: Triples, n: int, num_classes: int) -> Floats:
    """How often each class was answered: (m,) → (n, k)."""
    counts = np.bincount(answers.sample * num_classes + answers.label, minlength=n * num_classes)
    return counts.reshape(n, num_classes).astype(np.float64)


def vote_shares(answers: Triples, n: int, num_classes: int) -> Floats:
    """Share of each class among the answers to a sample: (m,) → (n, k); 1/k of each where nobody answered.

    Raises:
        BadUsage: See ``check_triples``.
        BadData: See ``check_triples``.
    """
    check_triples(answers, n, num_classes)
    counts = vote_counts(answers, n, num_classes)
    counts[counts.sum(1) == 0] = 1.0
    shares: Floats = counts / counts.sum(1, keepdims=True)
    return shares


def dawid_skene(answers: Triples, n: int, num_classes: int, *, smoothing: float = SMOOTHING) -> DawidSkene:
    """Probability of each class by a confusion matrix for each annotator, found by expectation maximisation.

    E: T_ij ∝ ρ_j Π_a π^a_{j, l_ia}. M: ρ_j = mean_i T_ij, over samples that somebody answered, and
    π^a_jl = (Σ_i T_ij [l_ia = l] + s) / (Σ_i T_ij [a answered i] + k s), s = ``smoothing`` / k. It starts from the shares
    of votes and ends where the log-likelihood, with the logarithm of the smoothing's prior (which makes it rise in every
    round), changes by less than ``SMALL``. A sample that nobody answered has the prior ρ.

    Only pairs of an annotator and an answer that occur are held, so that neither time nor memory grows with annotators
    times classes squared, but for ``confusion``, which is made at the end.

    Args:
        answers: Of people, in any order.
        n: Samples are 0 .. n - 1.
        num_classes: k, at least 2.
        smoothing: Pseudo-answers for each row of a confusion matrix; 0 is maximum likelihood, in which whoever answered
            once is held to be always right or always wrong.

    Raises:
        BadUsage: Fewer than two classes, or a smoothing that is none.
        BadData: No answers, or answers that are no classes.

    Source: Dawid and Skene 1979, doi:10.2307/2346806, equations 2.3 to 2.5; the smoothing is ours.
    """
    from scipy import sparse
    from scipy.special import logsumexp

    if not 0 <= smoothing < np.inf:
        msg = f"smoothing must be a number of pseudo-answers, 0 or more, got {smoothing}"
        raise BadUsage(msg)
    table, k = check_triples(answers, n, num_classes), num_classes
    s = smoothing / k
    pairs, of_answer = np.unique(table.annotator * k + table.label, return_inverse=True)
    who, m, a = pairs // k, len(table.sample), table.annotators
    ones = np.ones(m)
    to_pairs = sparse.csr_array((ones, (of_answer, table.sample)), shape=(len(pairs), n))
    to_people = sparse.csr_array((np.ones(len(pairs)), (who, np.arange(len(pairs)))), shape=(a, len(pairs)))
    to_samples = to_pairs.T.tocsr()
    unseen = (k - np.bincount(who, minlength=a))[:, None]  # answers that an annotator never gave
    answered = np.bincount(table.sample, minlength=n) > 0
    posterior = vote_shares(answers, n, k)
    before, rounds = -np.inf, 0
    while True:
        rounds += 1
        prior = posterior[answered].mean(0)
        given = to_pairs @ posterior  # (pairs, k): how often, where the class is j
        seen = to_people @ given
        with np.errstate(divide="ignore"):  # a class that nobody has, or an answer that was never given for one
            log_law = np.log(given + s) - np.log(seen + k * s)[who] if s else _log_ratio(given, seen[who])
            joint = np.log(prior) + to_samples @ log_law
            never = (unseen * (np.log(s) - np.log(seen + k * s))).sum() if s else 0.0
        evidence = logsumexp(joint, axis=1, keepdims=True)
        posterior = np.exp(joint - evidence)
        likelihood = float(evidence[answered].sum())
        now = likelihood + (s * (float(log_law.sum()) + float(never)) if s else 0.0)
        if abs(now - before) < SMALL or rounds >= MOST_ROUNDS:
            break
        before = now
    return DawidSkene(posterior, prior, _confusion(pairs, log_law, seen, s, k), likelihood, rounds)


def _log_ratio(given: Floats, seen: Floats) -> Floats:
    """Logarithm of given / seen, where 0 / 0 says nothing: a class that no sample of an annotator may have."""
    return np.where(seen > 0, np.log(given) - np.log(np.where(seen > 0, seen, 1.0)), 0.0)


def _confusion(pairs: NDArray[np.int64], log_law: Floats, seen: Floats, s: float, k: int) -> Floats:
    """Confusion matrix of each annotator, shape (a, k, k), from the pairs of annotator and answer that occur."""
    check_room(len(seen), k * k, "a confusion matrix for each annotator", "take 'glad', which has a number for each")
    with np.errstate(divide="ignore", invalid="ignore"):
        row = np.where(seen + k * s > 0, s / (seen + k * s), 0.0)
    matrices = np.repeat(row[:, :, None], k, axis=2)
    matrices[pairs // k, :, pairs % k] = np.exp(log_law)
    return matrices
