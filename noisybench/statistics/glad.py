"""GLAD: each annotator's ability and each sample's difficulty, from several people's answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats
from noisybench.statistics.annotators import MOST_ROUNDS, Table, Triples, check_triples, vote_counts

PRIOR_MEAN = 1.0
"""Mean of the Gaussian prior of each ability α and of each b = log β, whose standard deviation is 1; the start, too."""
STEPS = 25
"""Steps of L-BFGS at most in each maximisation."""
SHARE = 1e-6
"""Change of the log posterior, as a share of it, below which the iteration ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Glad:
    """What GLAD says.

    Attributes:
        posterior: Probability of each class given all answers, shape (n, k).
        ability: α of each annotator who gave an answer, in the order of their numbers; below 0 of one who is against the
            right class, shape (a,).
        ease: β of each sample: 0 where nobody can tell, shape (n,).
        rounds: Rounds of expectation and maximisation.
    """

    posterior: Floats
    ability: Floats
    ease: Floats
    rounds: int


def glad(answers: Triples, n: int, num_classes: int) -> Glad:
    """Probability of each class by ability and difficulty, found by expectation maximisation.

    An annotator of ability α answers the right class of a sample with chance σ(α β), β = exp(b), and each other one with
    (1 - σ(α β)) / (k - 1). E: T_ij ∝ exp Σ_{a: l_ia = j} (α_a β_i + log(k - 1)), all classes being alike before any
    answer. M: some steps of L-BFGS on the expected log-likelihood with the priors α ~ N(1, 1) and b ~ N(1, 1). It starts
    from the means of the priors and ends where the log posterior changes by less than a millionth. A sample that nobody
    answered has every class alike.

    Args:
        answers: Of people, in any order.
        n: Samples are 0 .. n - 1.
        num_classes: k, at least 2.

    Raises:
        BadUsage: Fewer than two classes.
        BadData: No answers, or answers that are no classes.

    Source: Whitehill, Ruvolo, Wu, Bergsma and Movellan 2009, NeurIPS 22, equations 1 to 6, of two classes there; priors,
    start and the 25 steps as in the authors' program, whose steps are of conjugate gradients.
    """
    from scipy.optimize import minimize

    table, k = check_triples(answers, n, num_classes), num_classes
    counts = vote_counts(answers, n, k)
    parameters = np.full(table.annotators + n, PRIOR_MEAN)
    posterior, before = _expect(parameters, table, counts)
    for rounds in range(1, MOST_ROUNDS + 1):  # noqa: B007 - it is told
        agreeing = posterior[table.sample, table.label]
        found = minimize(
            _loss, parameters, args=(table, agreeing), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
        )
        parameters = found.x
        posterior, now = _expect(parameters, table, counts)
        if abs(now - before) < SHARE * abs(before):
            break
        before = now
    return Glad(posterior, parameters[: table.annotators], np.exp(parameters[table.annotators :]), rounds)


def _logits(parameters: Floats, table: Table) -> tuple[Floats, Floats]:
    """β of what each answer is to, and α β, shape (m,) each."""
    ease = np.exp(parameters[table.annotators :][table.sample])
    return ease, parameters[: table.annotators][table.annotator] * ease


def _expect(parameters: Floats, table: Table, counts: Floats) -> tuple[Floats, float]:
    """Probability of each class (n, k), and the logarithm of the posterior of the parameters but for a constant."""
    from scipy.special import log_expit, softmax

    n, k = counts.shape
    logit = _logits(parameters, table)[1]
    told = np.bincount(table.sample * k + table.label, weights=logit, minlength=n * k).reshape(n, k)
    told += counts * np.log(k - 1)
    against = np.bincount(table.sample, weights=log_expit(-logit) - np.log(k - 1), minlength=n)
    most = told.max(1)
    evidence = most + np.log(np.exp(told - most[:, None]).sum(1)) + against - np.log(k)
    return softmax(told, axis=1), float(evidence.sum()) - _penalty(parameters)


def _loss(parameters: Floats, table: Table, agreeing: NDArray[np.float64]) -> tuple[float, Floats]:
    """Minus the expected log-likelihood and the priors, but for constants, and its gradient (a + n,).

    Args:
        parameters: α of each annotator, then b of each sample, shape (a + n,).
        table: The answers.
        agreeing: Probability that each answer is the right class, shape (m,).
    """
    from scipy.special import expit, log_expit

    ease, logit = _logits(parameters, table)
    value = float((agreeing * log_expit(logit) + (1 - agreeing) * log_expit(-logit)).sum())
    slope = agreeing - expit(logit)
    gradient = PRIOR_MEAN - parameters
    gradient[: table.annotators] += np.bincount(table.annotator, slope * ease, minlength=table.annotators)
    gradient[table.annotators :] += np.bincount(table.sample, slope * logit, minlength=len(gradient) - table.annotators)
    return _penalty(parameters) - value, -gradient


def _penalty(parameters: Floats) -> float:
    """Minus the logarithm of the priors, but for a constant."""
    return 0.5 * float(((parameters - PRIOR_MEAN) ** 2).sum())
