"""What no model and no detector can exceed on the labels of a variant, as far as the variant tells it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from noisybench.cards.condition import condition_number
from noisybench.ground.arrays import Floats, Indices
from noisybench.statistics.expected_auroc import expected_auroc
from noisybench.variants.transitions import AnyTransition, SparseTransition
from noisybench.variants.variant import Variant

Basis = Literal["nominal matrix", "flip probabilities", "realised matrix"]
"""Where the law of a sample's label was taken from.

The nominal matrix or the chance of a flip a sample, where the noise told them; else the shares that are realised, as if
the label followed from the clean class alone. Those are estimates, and flatter a noise that depends on the input.
"""
TIE = 1e-12  # two chances that differ by less, by rounding, are the same


@dataclass(frozen=True, slots=True, eq=False)
class Ceilings:
    """Limits of the labels themselves, over the samples whose clean label is known; NaN where nothing tells them.

    Where only the chance of a flip is known, and not to which class, a number lies between the two ends of a pair; where
    the whole law is known the ends are the same.

    Attributes:
        basis: What the first three and ``flip_probability_auroc`` are computed from.
        oracle_accuracy: Expected accuracy, on the given labels, of a model that always says the clean class.
        bayes_accuracy: Least and greatest mean probability of the likeliest label: the best accuracy on given labels.
        identifiable: Least and greatest share of samples whose likeliest label is the clean class; a tie counts half.
            Of the others even unlimited data teaches the wrong class.
        matrix_basis: What the fields below are computed from.
        matrix: T[i, j] = P(given j | clean i), shape (k, k); NaN in the row of an empty class.
        lost: (class, the label it is given at least as often as its own) for each class that is not dominant in T.
        lead: Least T[i, i] minus the greatest other share of its row: negative where a class is lost.
        flip_probability_auroc: Of ranking by P(wrong | input, clean class): what a difficulty score can reach that does
            not look at the given label.
        given_label_auroc: Of ranking by P(wrong | given label): what the given label tells without the input.
            Who knows the clean class of every input finds all errors; a detector beats these two by recognising it.
    """

    basis: Basis
    oracle_accuracy: float
    bayes_accuracy: tuple[float, float]
    identifiable: tuple[float, float]
    matrix_basis: Basis
    matrix: AnyTransition
    lost: tuple[tuple[int, int], ...]
    lead: float
    flip_probability_auroc: float
    given_label_auroc: float

    @property
    def condition(self) -> float:
        """How much inverting the matrix amplifies errors, see ``condition_number``; computed when it is asked for."""
        return condition_number(self.matrix)


@np.errstate(invalid="ignore", over="ignore")  # a stranger's chances may be none, which 'verify' says
def ceilings_of(variant: Variant, realised: AnyTransition) -> Ceilings:
    """The ceilings of a variant whose realised transition matrix is ``realised``, shape (k, k)."""
    clean, nominal = variant.clean[variant.class_known], variant.transition
    law = None if variant.flip_probability is None else variant.flip_probability[variant.class_known]
    shares = np.bincount(clean, minlength=variant.num_classes) / max(len(clean), 1)
    present = shares > 0
    table = realised if nominal is None else nominal
    source: Basis = "realised matrix" if nominal is None else "nominal matrix"
    others = _greatest_others(table)
    if law is None or (nominal is not None and np.allclose(law, 1 - nominal.diagonal()[clean], rtol=0, atol=1e-9)):
        basis = source
        weights, correct = shares[present], table.diagonal()[present]
        best, likeliest = np.maximum(correct, others[present]), _leads(correct, others[present])
        bounds = (best, best), (likeliest, likeliest)
    else:
        basis = "flip probabilities"
        weights, correct = np.full(len(law), 1 / max(len(law), 1)), 1 - law
        bounds = _bounds(law, len(shares))
    bayes, identifiable = ((_mean(low, weights), _mean(high, weights)) for low, high in bounds)
    lead = table.diagonal() - others
    return Ceilings(
        basis=basis,
        oracle_accuracy=_mean(correct, weights),
        bayes_accuracy=bayes,
        identifiable=identifiable,
        matrix_basis=source,
        matrix=table,
        lost=_lost(table, np.flatnonzero(lead <= TIE)),
        lead=float(np.nanmin(lead)) if len(shares) > 1 and not np.isnan(lead).all() else float("nan"),
        flip_probability_auroc=expected_auroc(1 - correct, weights * (1 - correct), weights * correct),
        given_label_auroc=_given_label_auroc(shares, table),
    )


def _given_label_auroc(shares: Floats, table: AnyTransition) -> float:
    """AUROC of ranking by P(wrong | given), from the shares of the clean classes and T; an empty class has no row."""
    if isinstance(table, SparseTransition):
        given = table.weighted_sum(shares)
        right = np.where(shares > 0, shares * table.diagonal(), 0.0)
        wrong = np.where(given - right > TIE * given, given - right, 0.0)
    else:
        joint = np.where(shares[:, None] > 0, shares[:, None] * table, 0.0)
        given, right = joint.sum(0), joint.diagonal()
        wrong = given - right
    return expected_auroc(np.divide(wrong, given, out=np.zeros_like(given), where=given > 0), wrong, right)


def _bounds(law: Floats, num_classes: int) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Least and greatest chance of the likeliest label, and whether that is the clean class, from chances of a flip.

    The flips of a sample may all go to one class, or be spread evenly over the k - 1 others.
    """
    own, even = 1 - law, law / max(num_classes - 1, 1)
    return (np.maximum(own, even), np.maximum(own, law)), (_leads(own, law), _leads(own, even))


def _leads(own: Floats, other: Floats) -> Floats:
    """1 where the own class leads, 0 where another does, and a half in a tie."""
    return np.where(np.abs(own - other) <= TIE, 0.5, (own > other).astype(np.float64))


def _greatest_others(matrix: AnyTransition) -> Floats:
    """Greatest share of each row off the diagonal, shape (k,)."""
    if isinstance(matrix, SparseTransition):
        return matrix.greatest_others()
    others = matrix.copy()
    np.fill_diagonal(others, -np.inf)
    greatest: Floats = others.max(1)
    return greatest


def _lost(matrix: AnyTransition, classes: Indices) -> tuple[tuple[int, int], ...]:
    """Some classes, each with the first of those that its label is most often mistaken for."""
    if isinstance(matrix, SparseTransition):
        rivals = matrix.likeliest_others(classes)
    else:
        rows = matrix[classes]
        rows[np.arange(len(classes)), classes] = -np.inf
        rivals = rows.argmax(1)
    return tuple(zip(classes.tolist(), rivals.tolist(), strict=True))


def _mean(values: Floats, weights: Floats) -> float:
    return float(weights @ values) if values.size else float("nan")
