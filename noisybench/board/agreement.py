"""Agreement of scores with a truth, by one or more metrics, each with its interval over samples.

Everything is computed from the realised flips, over the samples whose clean label is known; ties count at their
expectation under a random tie-break, but for average precision, where scikit-learn takes tied samples as one step.
Samples that a person dropped count nowhere. What cannot be computed is NaN, never 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Kind, Scores, Suggestion, check_scores
from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.checks import check_kind
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.lookup import find
from noisybench.memorization.estimate import Memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.reliability import reliability
from noisybench.statistics.intervals import NOTHING
from noisybench.statistics.memorization_metrics import Compared
from noisybench.statistics.metric import Compares, Metric, estimates, metrics_of
from noisybench.variants.corrections import CHECKED, DROPPED
from noisybench.variants.variant import Variant, check_variant

Stratum = Literal["all", "clean", "mislabeled"]
"""Which samples are compared: all, those known to be right, or those known to be wrong."""
STRATA: tuple[Stratum, ...] = get_args(Stratum)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one detector's scores agree with one truth, by one metric.

    Attributes:
        detector: Name of the detector, or of the reference.
        kind: Detectors compete; controls and references stand beside them.
        truth: What the scores are held against, such as ``"mislabeled"``.
        metric: Name of a metric, see ``noisybench list metrics``.
        value: NaN where it cannot be computed.
        low: Lower end of the 95 % interval over samples.
        high: Upper end.
        n: Samples whose truth is known; for suggestions those known to be mislabeled whose right class is known.
        stratum: Which of them were compared.
        learner: Whose memorization the truth is; None for the mislabeled mask and for marks.
        given_class: The class whose samples alone were compared, by their given labels; None where all were.
    """

    detector: str
    kind: Kind
    truth: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    stratum: Stratum = "all"
    learner: Learner | None = None
    given_class: int | None = None


def against_labels(
    scores: Scores,
    variant: Variant,
    *,
    kind: Kind = "detector",
    metrics: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
) -> list[Agreement]:
    """Scores against the mislabeled mask, by each metric.

    Args:
        scores: Shape (n,), higher is more likely mislabeled.
        variant: The labels that the model was trained on; samples without a clean label are left out.
        kind: What the scores are.
        metrics: Names of those that compare scores with a mask; None takes all.
        classes: Given classes whose samples are compared alone, in rows of their own; None compares all samples together.

    Raises:
        Mismatch: The scores are of another variant.
        BadData: They are not of as many samples.
    """
    check_variant(variant)
    positive, counted = variant.mislabeled, variant.known
    return _against(scores, variant, "mislabeled", counted, positive, kind=kind, metrics=metrics, classes=classes)


def against_right_classes(
    suggestion: Suggestion | None,
    variant: Variant,
    *,
    detector: str,
    kind: Kind = "detector",
    metrics: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
) -> list[Agreement]:
    """Suggested labels against the right classes of mislabeled samples, by each metric; NaN where nothing is suggested.

    Args:
        suggestion: Shape (n,); None where the detector has nothing to suggest.
        variant: The labels that the model was trained on; of the mislabeled samples, those without a right class are left
            out.
        detector: Name of the detector.
        kind: What it is.
        metrics: Names of those of suggestions; None takes all.
        classes: As in ``against_labels``.

    Raises:
        Mismatch: The suggestion is of another variant.
        BadData: It is not of as many samples.
    """
    check_variant(variant)
    counted = variant.mislabeled & variant.class_known
    if suggestion is not None:
        _check_same_samples(suggestion.variant_id, suggestion.labels.shape, variant, f"suggestions of '{detector}'")
    return [
        Agreement(
            detector,
            kind,
            "mislabeled",
            name,
            *(NOTHING if suggestion is None else metric.compute(suggestion.labels[part], variant.clean[part])),
            n=len(part),
            given_class=given_class,
        )
        for given_class, part in _parts(counted, variant.labels, classes)
        for name, metric in _chosen(metrics, "suggestion").items()
    ]


def against_flags(
    flagged: Bools | None,
    variant: Variant,
    *,
    detector: str,
    kind: Kind = "detector",
    metrics: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
) -> list[Agreement]:
    """The flags at a detector's own cut against the mislabeled mask, by each metric; NaN where it has no cut.

    Samples that a person decided about are left out: they are never flagged.

    Args:
        flagged: Shape (n,); None where the detector has no cut.
        variant: The labels that the model was trained on; samples without a clean label are left out.
        detector: Name of the detector.
        kind: What it is.
        metrics: Names of those of a cut; None takes all.
        classes: As in ``against_labels``.

    Raises:
        BadData: The flags are not of as many samples.
    """
    check_variant(variant)
    if flagged is not None:
        _check_same_samples(variant.provenance.variant_id, flagged.shape, variant, f"flags of '{detector}'")
    rows = []
    for given_class, part in _parts(variant.known & ~settled(variant), variant.labels, classes):
        wrong, given = variant.mislabeled[part], variant.labels[part]
        known = flagged is not None and wrong.any() and not wrong.all()
        for name, metric in _chosen(metrics, "cut").items():
            found = metric.compute(flagged[part], wrong, given) if flagged is not None and known else NOTHING
            rows.append(Agreement(detector, kind, "mislabeled", name, *found, n=len(part), given_class=given_class))
    return rows


def settled(variant: Variant) -> Bools:
    """Samples that a person decided about: labels that were chosen or confirmed, and samples left out; shape (n,)."""
    decided = np.zeros(len(variant.labels), dtype=bool)
    if variant.corrections is not None:
        for mark in (CHECKED, DROPPED):
            decided |= variant.marks[mark]
    return decided


def against_mark(
    scores: Scores,
    variant: Variant,
    mark: str,
    *,
    kind: Kind = "detector",
    metrics: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
) -> list[Agreement]:
    """Scores against a mark of the variant that is true or false, such as ``open_set`` or ``duplicate``, by each metric.

    What bears the mark is told from samples that bear it not and are not known to be mislabeled: to find a flip is no
    error here, and no merit.

    Args:
        scores: Shape (n,), higher is more suspicious.
        variant: The labels that the model was trained on.
        mark: One of ``marks_of(variant)``.
        kind: What the scores are.
        metrics: Names of those that compare scores with a mask; None takes all.
        classes: As in ``against_labels``.

    Raises:
        Mismatch: The scores are of another variant.
        BadData: They are not of as many samples.
    """
    bears = variant.marks[mark]
    counted = (bears | ~variant.mislabeled) & ~variant.dropped
    return _against(scores, variant, mark, counted, bears, kind=kind, metrics=metrics, classes=classes)


def marks_of(variant: Variant) -> tuple[str, ...]:
    """Names of the marks of a variant that are true or false: each is a truth of its own, but for those of corrections."""
    decided = () if variant.corrections is None else (CHECKED, DROPPED)
    return tuple(name for name, mark in variant.marks.items() if mark.dtype == np.bool_ and name not in decided)


def _against(
    scores: Scores,
    variant: Variant,
    truth: str,
    counted: Bools,
    positive: Bools,
    *,
    kind: Kind,
    metrics: Sequence[str] | None,
    classes: Sequence[int] | None,
) -> list[Agreement]:
    """Scores against the positive ones of the counted samples, by each metric."""
    check_scores(scores)
    _check_same_samples(scores.variant_id, scores.values.shape, variant, f"scores of '{scores.detector}'")
    chosen = _chosen(metrics, "mislabeled")
    rows: list[Agreement] = []
    for given_class, part in _parts(counted, variant.labels, classes):
        values, wanted, given = scores.values[part], positive[part], variant.labels[part]
        both = bool(wanted.any()) and not wanted.all()
        found = estimates(chosen, values, wanted, given) if both else dict.fromkeys(chosen, NOTHING)
        rows += [
            Agreement(scores.detector, kind, truth, name, *one, n=len(part), given_class=given_class)
            for name, one in found.items()
        ]
    return rows


def _chosen(metrics: Sequence[str] | None, compares: Compares) -> dict[str, Metric]:
    """The metrics of these names; None takes all that compare this."""
    return metrics_of(compares) if metrics is None else {name: find("metrics", name) for name in metrics}


def _mask(part: NDArray[np.intp], n: int) -> Bools:
    mask = np.zeros(n, dtype=bool)
    mask[part] = True
    return mask


def _parts(
    counted: Bools, given: Labels, classes: Sequence[int] | None
) -> Iterator[tuple[int | None, NDArray[np.intp]]]:
    """The counted samples, all together, or of each of these given classes."""
    there = np.flatnonzero(counted)
    if classes is None:
        yield None, there
        return
    there = there[np.argsort(given[there], kind="stable")]
    ends = np.searchsorted(given[there], np.asarray(classes, dtype=np.int64)[:, None] + [0, 1])
    for given_class, (start, end) in zip(classes, ends, strict=True):
        yield given_class, there[start:end]


def _check_same_samples(variant_id: str, shape: tuple[int, ...], variant: Variant, what: str) -> None:
    """Raise ``Mismatch`` or ``BadData`` unless scores or suggestions are of the variant's samples."""
    if variant_id != variant.provenance.variant_id:
        msg = (
            f"{what} are of variant {variant_id[:12]}, the truth is of {variant.provenance.variant_id[:12]}; score a "
            f"trace of the same variant"
        )
        raise Mismatch(msg)
    if shape != variant.labels.shape:
        msg = (
            f"{what} have shape {shape}, the variant has {len(variant.labels)} samples; expected one {what.split(maxsplit=1)[0][:-1]} "
            f"per sample, in sample order"
        )
        raise BadData(msg)


def against_memorization(
    scores: Scores,
    truth: Memorization,
    variant: Variant,
    *,
    kind: Kind = "detector",
    held_out_error: Floats | None = None,
    metrics: Sequence[str] | None = None,
    strata: Sequence[Stratum] = STRATA,
    classes: Sequence[int] | None = None,
) -> list[Agreement]:
    """Scores against memorization, in each stratum by each metric.

    ``clean`` and ``mislabeled`` hold the samples whose clean label is known, ``all`` the others too.

    Args:
        scores: Shape (n,), higher is more likely mislabeled.
        truth: Of the same labels.
        variant: Tells the strata apart.
        kind: What the scores are.
        held_out_error: Shape (n,), 1 − p_out of a pool that shares no model with the truth's, NaN where unknown. None
            leaves out what needs it.
        metrics: Names of those of memorization; None takes all.
        strata: Which samples are compared.
        classes: As in ``against_labels``.

    Raises:
        Mismatch: Scores, memorization and variant are not of the same labels.
        BadData: They are not of as many samples.
    """
    check_same_labels(scores, truth, variant)
    if held_out_error is not None and held_out_error.shape != variant.labels.shape:
        msg = (
            f"the held-out error has shape {held_out_error.shape}, the variant has {len(variant.labels)} samples; "
            f"expected one value per sample, in sample order"
        )
        raise BadData(msg)
    rows = []
    for stratum in strata:
        members = stratum_members(variant, stratum)
        for name, metric in _chosen(metrics, "memorization").items():
            counted, held_out = members & ~np.isnan(truth.values), np.zeros(0)
            if metric.needs_held_out_error:
                if held_out_error is None:
                    continue
                counted, held_out = counted & ~np.isnan(held_out_error), held_out_error
            for given_class, part in _parts(counted, variant.labels, classes):
                beside = held_out[part] if metric.needs_held_out_error else held_out
                reliable = reliability(truth, _mask(part, len(counted)))
                compared = Compared(scores.values[part], truth.values[part], reliable, beside)
                rows.append(
                    Agreement(
                        scores.detector,
                        kind,
                        "memorization",
                        name,
                        *metric.compute(compared),
                        n=len(part),
                        stratum=stratum,
                        learner=truth.learner,
                        given_class=given_class,
                    )
                )
    return rows


def check_same_labels(scores: Scores, truth: Memorization, variant: Variant) -> None:
    """Raise ``Mismatch`` or ``BadData`` unless scores and memorization are of the variant's labels, sample by sample."""
    check_scores(scores)
    check_kind(truth, Memorization, "truth", "memorize(…).memorization or read_memorization(path) gives one")
    check_variant(variant)
    ours = variant.provenance.variant_id
    for what, theirs in (
        (f"scores of '{scores.detector}' are", scores.variant_id),
        ("memorization is", truth.variant_id),
    ):
        if theirs != ours:
            msg = f"{what} of variant {theirs[:12]}, the labels are of {ours[:12]}; all must be of the same labels"
            raise Mismatch(msg)
    for what, values in ((f"scores of '{scores.detector}' have", scores.values), ("memorization has", truth.values)):
        if values.shape != variant.labels.shape:
            msg = (
                f"{what} shape {values.shape}, the variant has {len(variant.labels)} samples; expected one value per "
                f"sample, in sample order"
            )
            raise BadData(msg)


def stratum_members(variant: Variant, stratum: Stratum) -> Bools:
    """The samples of a stratum, shape (n,)."""
    wrong = variant.mislabeled
    return {"all": np.ones_like(wrong), "clean": variant.known & ~wrong, "mislabeled": wrong}[stratum]
