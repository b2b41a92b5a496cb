"""What there is to say of a variant in numbers: rates, matrices, and what a reviewer would ask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisybench.cards.ceilings import Ceilings, ceilings_of
from noisybench.cards.crowd import Crowd, crowd_of
from noisybench.cards.dependence import Dependence, against_difficulty, second_choice_share
from noisybench.cards.estimated_transitions import TransitionEstimates, estimate_transitions, estimate_warnings
from noisybench.ground.arrays import Floats, Labels
from noisybench.statistics.intervals import NOTHING, Estimate, wilson
from noisybench.variants.clustered import CANNOT_BE_TOLD, TOGETHER, in_clusters, wrong_together
from noisybench.variants.transitions import AnyTransition, SparseTransition, count_pairs, count_transitions, is_large
from noisybench.variants.variant import Variant, check_variant


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """A variant in numbers. Rates are fractions of wrong labels among the samples known to be right or wrong.

    What is said of clean classes is of the samples whose right class is known.

    Attributes:
        n: Samples.
        known: Samples of which it is known whether their label is wrong.
        wrong: Of these, how many have a wrong label.
        wrong_alone: Of the wrong, how many have a right class that is unknown.
        nominal_rate: The rate that was asked for, by its own definition; None for a noise that has none.
        expected_rate: Mean flip probability; None for a noise without a law.
        realised_rate: Share of wrong labels; NaN where nothing is known.
        realised_interval: Its 95 % interval by Wilson, as (low, high): of a further draw of labels like these.
        class_counts: Samples of each clean class, shape (k,).
        class_wrong: How many of them have a wrong label, shape (k,).
        class_rates: Realised rate of each clean class, shape (k,); NaN for an empty class.
        class_intervals: Their intervals by Wilson, shape (k, 2).
        expected_class_rates: Mean flip probability of each clean class, shape (k,); None without a law.
        nominal_class_rates: From the nominal matrix, shape (k,); None without one.
        modal_shares: Share of the wrong labels of a clean class that name its commonest wrong class, shape (k,); NaN for
            a class without any.
        transition: Realised T[i, j] = P(given j | clean i), shape (k, k); NaN in the row of an empty class. This and the
            two below are a ``SparseTransition`` where there are more than 1,000 classes.
        expected_transition: Mean law of the labels of a clean class, shape (k, k): the nominal matrix where there is
            one, with the diagonal that the flip probabilities give; NaN where neither tells. None without both, and
            of more than 1,000 classes without a nominal one.
        nominal_transition: Shape (k, k), or None.
        ceilings: What no model and no detector can exceed on these labels.
        second_choice_share: Share of the wrong labels that name the second most likely class of the probabilities that
            were given; None where none were.
        difficulty: How the wrong labels are spread over the difficulty that was given; None where none was.
        crowd: What several annotators answered; None where that is not known.
        transition_estimates: Matrices estimated from the probabilities that were given; None where none were.
        warnings: Sentences about what makes the variant hard to use or to interpret.
    """

    n: int
    known: int
    wrong: int
    wrong_alone: int
    nominal_rate: float | None
    expected_rate: float | None
    realised_rate: float
    realised_interval: tuple[float, float]
    class_counts: NDArray[np.int64]
    class_wrong: NDArray[np.int64]
    class_rates: NDArray[np.float64]
    class_intervals: NDArray[np.float64]
    expected_class_rates: NDArray[np.float64] | None
    nominal_class_rates: NDArray[np.float64] | None
    modal_shares: NDArray[np.float64]
    transition: AnyTransition
    expected_transition: AnyTransition | None
    nominal_transition: AnyTransition | None
    ceilings: Ceilings
    second_choice_share: Estimate | None
    difficulty: Dependence | None
    crowd: Crowd | None
    transition_estimates: TransitionEstimates | None
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        rate = f"realised rate {self.realised_rate:.2%}"
        return f"Description({self.n} samples, {self.wrong} mislabeled of {self.known} known, {rate})"


def describe(variant: Variant, *, pred_probs: Floats | None = None, difficulty: Floats | None = None) -> Description:
    """Rates, transition matrices and ceilings of a variant, nominal, expected and realised.

    Args:
        variant: The labels.
        pred_probs: Class probabilities, out of sample, shape (n, k), for ``second_choice_share`` and
            ``transition_estimates``.
        difficulty: Higher is harder, shape (n,), NaN where it is unknown, for ``difficulty``.

    Raises:
        BadData: Probabilities or difficulties of another shape.
    """
    check_variant(variant)
    known, classed = variant.known, variant.class_known
    sizes, wrong, modal_shares, transition = _realised(
        variant.labels[classed], variant.clean[classed], variant.num_classes
    )
    law = variant.flip_probability
    nominal = variant.transition
    rate = variant.provenance.params.get("rate")
    expected = _expected_class_rates(variant, sizes)
    ceilings = ceilings_of(variant, transition)
    second = None if pred_probs is None else second_choice_share(variant, pred_probs)
    estimates = None if pred_probs is None else estimate_transitions(variant, pred_probs, transition, nominal)
    return Description(
        n=len(known),
        known=int(known.sum()),
        wrong=int(variant.mislabeled.sum()),
        wrong_alone=int((known & ~classed).sum()),
        nominal_rate=float(rate) if isinstance(rate, int | float) else None,
        expected_rate=float(law[classed].mean()) if law is not None and classed.any() else None,
        realised_rate=_share(variant.mislabeled.sum(), known.sum()).value,
        realised_interval=_share(variant.mislabeled.sum(), known.sum())[1:],
        class_counts=sizes,
        class_wrong=wrong,
        class_rates=1 - transition.diagonal(),
        class_intervals=np.array([_share(*pair)[1:] for pair in zip(wrong, sizes, strict=True)]),
        expected_class_rates=expected,
        nominal_class_rates=None if nominal is None else 1 - nominal.diagonal(),
        modal_shares=modal_shares,
        transition=transition,
        expected_transition=_expected_transition(nominal, expected),
        nominal_transition=nominal,
        ceilings=ceilings,
        second_choice_share=second,
        difficulty=None if difficulty is None else against_difficulty(variant, difficulty),
        crowd=crowd_of(variant),
        transition_estimates=estimates,
        warnings=(*_warnings(variant, ceilings), *(() if estimates is None else estimate_warnings(estimates))),
    )


def _realised(
    labels: Labels, clean: Labels, num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, AnyTransition]:
    """Sizes, wrong labels and modal shares of the clean classes, each (k,), and the realised transition matrix (k, k)."""
    if is_large(num_classes):
        sizes = np.bincount(clean, minlength=num_classes)
        wrong = np.bincount(clean[labels != clean], minlength=num_classes)
        pairs = count_pairs(labels, clean, num_classes)
        off, most = pairs.rows != pairs.columns, np.zeros(num_classes)
        np.maximum.at(most, pairs.rows[off], pairs.values[off])
        modal_shares = np.divide(most, wrong, out=np.full(num_classes, np.nan), where=wrong > 0)
        return sizes, wrong, modal_shares, pairs.divided(np.where(sizes > 0, sizes, np.nan))
    counts = count_transitions(labels, clean, num_classes)
    sizes = counts.sum(1)
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    wrong = errors.sum(1)
    with np.errstate(invalid="ignore"):  # an empty class has no share
        return sizes, wrong, errors.max(1) / wrong, counts / sizes[:, None]


def _share(wrong: np.int64, size: np.int64) -> Estimate:
    return wilson(float(wrong / size), int(size)) if size else NOTHING


def _expected_class_rates(variant: Variant, sizes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    law, known = variant.flip_probability, variant.class_known
    if law is None:
        return None
    with np.errstate(invalid="ignore"):
        return np.bincount(variant.clean[known], law[known], minlength=len(sizes)) / sizes


def _expected_transition(nominal: AnyTransition | None, rates: NDArray[np.float64] | None) -> AnyTransition | None:
    if rates is None:
        return nominal
    if isinstance(nominal, SparseTransition):
        return nominal.with_diagonal(np.where(np.isnan(rates), nominal.diagonal(), 1 - rates))
    if nominal is None and is_large(len(rates)):
        return None
    expected = np.full((len(rates), len(rates)), np.nan) if nominal is None else nominal.copy()
    np.fill_diagonal(expected, np.where(np.isnan(rates), expected.diagonal(), 1 - rates))
    return expected


def _warnings(variant: Variant, ceilings: Ceilings) -> list[str]:
    """What whoever trains on the variant must know, a sentence each."""
    sentences = []
    if ceilings.lost:
        worst, rival = ceilings.lost[0]
        sentences.append(
            f"not identifiable: in {len(ceilings.lost)} of {variant.num_classes} classes the right class is not the most "
            f"likely label ({ceilings.matrix_basis}; first: {worst} '{variant.class_names[worst]}', given as "
            f"'{variant.class_names[rival]}' at least as often), so even unlimited data teaches the wrong class"
        )
    flip = variant.flip_probability
    if variant.transition is None and flip is not None and (flip > 0.5).any():  # noqa: PLR2004 - more wrong than right
        share = float((flip[variant.class_known] > 0.5).mean())  # noqa: PLR2004
        sentences.append(f"{share:.1%} of the samples are more likely wrong than right (flip probability above 0.5)")
    made = variant.provenance.noise, variant.provenance.params
    if variant.mislabeled.any() and wrong_together(*made):
        sentences.append(CANNOT_BE_TOLD if in_clusters(*made) else TOGETHER)
    if variant.provenance.reference == "labels":
        sentences.append(
            f"source '{variant.provenance.source}' knows no clean label: its labels as they came are the reference, "
            f"so errors they already hold count as right"
        )
    alone = int((variant.known & ~variant.class_known).sum())
    if alone:
        sentences.append(
            f"of {alone} of {len(variant.labels)} samples no more is known than that their label is wrong: counted in the "
            f"realised rate, left out of classes, matrices and ceilings, which therefore look better than they are"
        )
    dropped = int(variant.dropped.sum())
    unknown = int((~variant.known).sum()) - dropped
    if dropped:
        sentences.append(f"{dropped} of {len(variant.labels)} samples are dropped: left out of training and of rates")
    if unknown:
        sentences.append(f"the clean label of {unknown} of {len(variant.labels)} samples is unknown: left out of rates")
    empty = np.flatnonzero(np.bincount(variant.labels[~variant.dropped], minlength=variant.num_classes) == 0)
    if empty.size:
        sentences.append(f"no sample is given class {int(empty[0])} ({empty.size} such classes)")
    return sentences
