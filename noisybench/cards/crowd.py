"""What there is to say of several annotators: how many, how much they answered, agreed and were right."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats
from noisybench.variants.variant import Variant


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """The answers of a variant in numbers; NaN where a number cannot be had.

    Attributes:
        answers: How many.
        annotators: How many people gave some.
        covered: Samples that somebody answered.
        fewest: Answers to one of these, at least.
        most: At most.
        mean: On average.
        by_annotator: Answers of an annotator: fewest, median, most.
        agreement: Share of the pairs of answers to one sample that are the same.
        alpha: Agreement beyond chance, Krippendorff's alpha for classes: 1 is perfect, 0 chance.
        given: Share of answers that are the given label.
        known: Answers to samples of known right class.
        accuracy: Share of these that are right.
        annotator_accuracy: The same of an annotator who has some such answers: lowest, median, highest.
    """

    answers: int
    annotators: int
    covered: int
    fewest: int
    most: int
    mean: float
    by_annotator: tuple[int, float, int]
    agreement: float
    alpha: float
    given: float
    known: int
    accuracy: float
    annotator_accuracy: tuple[float, float, float]


def crowd_of(variant: Variant) -> Crowd | None:
    """The answers of a variant in numbers; None where it has none.

    Source: Krippendorff 2004, Human Communication Research 30(3), 411-433, for alpha.
    """
    answers = variant.answers
    if answers is None or not len(answers):
        return None
    per_sample = np.bincount(answers.sample, minlength=len(variant.labels))
    per_annotator = np.bincount(answers.annotator)
    per_annotator = per_annotator[per_annotator > 0]
    some = per_sample[per_sample > 0]
    agreement, alpha = _agreement(answers.sample, answers.label)
    clean = variant.clean[answers.sample]
    known = clean >= 0
    right = (answers.label == clean)[known]
    asked = np.bincount(answers.annotator[known])
    shares = (
        (np.bincount(answers.annotator[known], right)[asked > 0] / asked[asked > 0]) if known.any() else np.array([])
    )
    return Crowd(
        answers=len(answers),
        annotators=len(per_annotator),
        covered=len(some),
        fewest=int(some.min()),
        most=int(some.max()),
        mean=float(some.mean()),
        by_annotator=(int(per_annotator.min()), float(np.median(per_annotator)), int(per_annotator.max())),
        agreement=agreement,
        alpha=alpha,
        given=float((answers.label == variant.labels[answers.sample]).mean()),
        known=int(known.sum()),
        accuracy=float(right.mean()) if len(right) else np.nan,
        annotator_accuracy=_span(shares),
    )


def _agreement(sample: NDArray[np.int64], label: NDArray[np.int64]) -> tuple[float, float]:
    """Share of equal pairs within samples, and Krippendorff's alpha, of answers (m,)."""
    _, rows, sizes = np.unique(sample, return_inverse=True, return_counts=True)
    k = int(label.max()) + 1
    cells, votes = np.unique(rows * k + label, return_counts=True)
    pairs = float((sizes * (sizes - 1.0)).sum())
    if not pairs:
        return np.nan, np.nan
    equal = votes * (votes - 1.0)
    # Alpha weighs a sample by its answers, each held against the others of the sample; samples with one do not count.
    several = sizes > 1
    weight = sizes[cells // k] - 1.0
    n = float(sizes[several].sum())
    observed = 1 - float((equal[weight > 0] / weight[weight > 0]).sum()) / n
    totals = np.bincount(label[several[rows]], minlength=k).astype(np.float64)
    expected = 1 - float((totals * (totals - 1)).sum()) / (n * (n - 1))
    return float(equal.sum()) / pairs, 1 - observed / expected if expected else np.nan


def _span(shares: Floats) -> tuple[float, float, float]:
    """Lowest, median, highest."""
    return (float(shares.min()), float(np.median(shares)), float(shares.max())) if len(shares) else (np.nan,) * 3


def crowd_record(crowd: Crowd | None) -> dict[str, Any] | None:
    """For JSON."""
    return None if crowd is None else {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(crowd).items()}


def crowd_rows(crowd: Crowd, n: int) -> dict[str, str]:
    """What is said of the answers of n samples, name → words; rounded twice, so that no machine's last bit decides."""
    spread = f"{crowd.fewest} to {crowd.most} a sample, {_plain(crowd.mean)} on average"
    low, median, high = crowd.by_annotator
    rows = {
        "answers": f"{crowd.answers}, {spread}; of {crowd.covered} of {n} samples",
        "annotators": f"{crowd.annotators}, of {low} to {high} answers (median {median:g})",
        "agreement": (
            f"{_share(crowd.agreement)} of the pairs of answers to a sample; Krippendorff's alpha {_plain(crowd.alpha)}"
        ),
        "answers that are the given label": _share(crowd.given),
    }
    if crowd.known:
        rows["answers that are right"] = f"{_share(crowd.accuracy)} of {crowd.known} whose right class is known"
        least, middle, best = map(_share, crowd.annotator_accuracy)
        rows["right answers of an annotator"] = f"{least} to {best} (median {middle})"
    return rows


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{round(value, 9):.2%}"


def _plain(value: float) -> str:
    return "–" if np.isnan(value) else f"{round(value, 9):.3g}"
