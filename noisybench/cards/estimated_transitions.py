"""What class probabilities tell of a variant's noise: estimated transition matrices, their errors, and doubts about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.statistics.transition_estimation import METHODS, TransitionError, estimate_transition, transition_error
from noisybench.variants.transitions import AnyTransition, SparseTransition, is_large
from noisybench.variants.variant import Variant

MOST_COMPARED = 100_000
"""Samples up to which ``hoc`` compares each with all others: a minute."""
MOST_EXPLAINED = 50
"""Classes up to which ``hoc`` looks for the matrix that explains its counts: half a minute."""
FITTED = 0.5
"""Share of the wrong labels that are the likeliest class above which the model looks as if it had seen them."""
AGREED = 0.99
"""Share of all labels that are the likeliest class above which it does where no truth is known."""
UNSURE = 0.1
"""Difference of mean confidence and agreement with the given labels from which the probabilities are miscalibrated."""
NAMED = 3
"""Largest confusions that are named of each estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedTransition:
    """A transition matrix estimated from class probabilities, and how far it is from what is known.

    Attributes:
        method: One of ``METHODS``.
        transition: T[i, j] = P(given j | clean i), shape (k, k); NaN in the row of a class that it cannot tell of.
        from_realised: Its error against the matrix counted from the labels; None where no clean label is known.
        from_nominal: Its error against the matrix of the noise's law; None without one.
    """

    method: str
    transition: Floats
    from_realised: TransitionError | None
    from_nominal: TransitionError | None

    @property
    def class_rates(self) -> Floats:
        """Share of wrong labels of each clean class, shape (k,)."""
        rates: Floats = 1 - self.transition.diagonal()
        return rates

    @property
    def mean_rate(self) -> float:
        """Mean of ``class_rates`` over the classes that it tells of; NaN where there is none."""
        known = self.class_rates[~np.isnan(self.class_rates)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def unknown(self) -> tuple[int, ...]:
        """Classes that it cannot tell of."""
        return tuple(int(i) for i in np.flatnonzero(np.isnan(self.class_rates)))

    def confusions(self) -> list[tuple[int, int, float]]:
        """The largest entries off the diagonal: clean class, given class and share, the largest first."""
        shares = np.nan_to_num(self.transition, nan=0.0)
        np.fill_diagonal(shares, 0)
        best = np.argsort(-shares, axis=None, kind="stable")[:NAMED]
        pairs = [(int(at) // len(shares), int(at) % len(shares)) for at in best]
        return [(i, j, float(shares[i, j])) for i, j in pairs if shares[i, j] > 0]


@dataclass(frozen=True, slots=True, eq=False)
class TransitionEstimates:
    """What probabilities tell of the noise. Dropped samples are left out.

    Attributes:
        estimates: A matrix for each method, in the order of ``METHODS``.
        left_out: Methods without one, each with the reason.
        confidence: Mean probability of the likeliest class.
        agreement: Share of the samples whose likeliest class is the given label.
        wrong_agreement: The same of the labels known to be wrong; NaN where none is.
        right_agreement: The same of those known to be right.
    """

    estimates: tuple[EstimatedTransition, ...]
    left_out: tuple[tuple[str, str], ...]
    confidence: float
    agreement: float
    wrong_agreement: float
    right_agreement: float


def estimate_transitions(
    variant: Variant, probabilities: Floats, realised: AnyTransition, nominal: AnyTransition | None
) -> TransitionEstimates:
    """Every estimate that probabilities (n, k) give in reasonable time.

    Args:
        variant: The labels.
        probabilities: Shape (n, k).
        realised: The matrix counted from the labels, with NaN in the row of a class of which none is known.
        nominal: The matrix of the noise's law, if it has one.

    Raises:
        BadData: They are no probabilities.
    """
    kept = ~variant.dropped
    values, labels = probabilities[kept], variant.labels[kept]
    left_out = dict(_left_out(len(labels), variant.num_classes))
    estimates = []
    for method in METHODS:
        if method in left_out:
            continue
        found = estimate_transition(values, labels, method=method)
        estimates.append(EstimatedTransition(method, found, _error(found, realised), _error(found, nominal)))
    agree = probabilities.argmax(1) == variant.labels
    wrong, right = variant.mislabeled & kept, variant.known & ~variant.mislabeled & kept
    return TransitionEstimates(
        tuple(estimates),
        tuple(left_out.items()),
        confidence=float(values.max(1).mean(dtype=np.float64)),
        agreement=float(agree[kept].mean()),
        wrong_agreement=float(agree[wrong].mean()) if wrong.any() else float("nan"),
        right_agreement=float(agree[right].mean()) if right.any() else float("nan"),
    )


def estimate_warnings(found: TransitionEstimates) -> Iterator[str]:
    """Sentences about why the estimates may be wrong: a model that saw the labels, or probabilities that are no chances."""
    advice = "give held-out probabilities, or those of a training that was stopped before it fitted wrong labels"
    if found.wrong_agreement > FITTED:
        yield (
            f"the probabilities look as if their model had seen these labels: the likeliest class is the given label of "
            f"{found.wrong_agreement:.1%} of the wrong labels, and of {found.right_agreement:.1%} of the right ones; the "
            f"estimated matrices then see too little noise: {advice}"
        )
    elif np.isnan(found.right_agreement) and found.agreement > AGREED:
        yield (
            f"the likeliest class is the given label of {found.agreement:.1%} of the samples: either nearly all labels are "
            f"right, or the model has seen them, and the estimated matrices see too little noise: {advice}"
        )
    if abs(found.confidence - found.agreement) > UNSURE:
        more, less = ("sure", "little") if found.confidence > found.agreement else ("unsure", "much")
        yield (
            f"the probabilities are too {more}: on average {found.confidence:.1%} for the likeliest class, which is the "
            f"given label of {found.agreement:.1%} of the samples; anchor points take them for chances of the given label, "
            f"and see too {less} noise"
        )


def estimates_record(variant: Variant, found: TransitionEstimates | None) -> dict[str, Any] | None:
    """For JSON."""
    if found is None:
        return None
    return {
        "confidence": found.confidence,
        "agreement": found.agreement,
        "wrong_agreement": found.wrong_agreement,
        "right_agreement": found.right_agreement,
        "left_out": dict(found.left_out),
        "methods": [
            {
                "method": one.method,
                "transition": one.transition.tolist(),
                "class_rates": one.class_rates.tolist(),
                "mean_rate": one.mean_rate,
                "unknown_classes": list(one.unknown),
                "confusions": [
                    {"clean": i, "clean_name": variant.class_names[i], "given": j, "given_name": variant.class_names[j], "share": share}
                    for i, j, share in one.confusions()
                ],
                "from_realised": _error_record(one.from_realised),
                "from_nominal": _error_record(one.from_nominal),
            }
            for one in found.estimates
        ],
    }  # fmt: skip


def _error_record(error: TransitionError | None) -> dict[str, Any] | None:
    return None if error is None else {**error._asdict(), "rows": error.rows.tolist()}


def _left_out(n: int, k: int) -> Iterator[tuple[str, str]]:
    """Methods that would take too long or cannot be asked, with the reason."""
    if k == 1 or is_large(k):
        reason = "of one class there is nothing to tell" if k == 1 else f"a matrix of {k} classes is too large"
        yield from ((method, reason) for method in METHODS)
    elif n < 3:  # noqa: PLR2004 - a sample and its two nearest
        yield "hoc", "it needs three samples"
    elif n > MOST_COMPARED or k > MOST_EXPLAINED:
        yield "hoc", f"it takes long for {n} samples of {k} classes; estimate_transition(…, method='hoc') waits for it"


def _error(found: Floats, truth: AnyTransition | None) -> TransitionError | None:
    """None where nothing is known to compare with."""
    if truth is None or isinstance(truth, SparseTransition) or np.isnan(truth).any(1).all():
        return None
    return transition_error(found, truth)
