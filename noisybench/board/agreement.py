"""Agreement of scores with the truth: what is measured, with which interval, and the rows that are no detectors.

Everything is computed from the realised flips, over the samples whose clean label is known; ties count at their
expectation under a random tie-break, but for average precision, where scikit-learn takes tied samples as one step; what
cannot be computed is NaN, never 0.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Kind, Scores
from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import check_fields, read_columns, write_columns
from noisybench.memorization.estimate import Memorization
from noisybench.memorization.reliability import reliability
from noisybench.statistics.detection_metrics import METRICS
from noisybench.statistics.intervals import NOTHING
from noisybench.statistics.memorization_metrics import MEMORIZATION_METRICS, Compared
from noisybench.variants.variant import Variant

Stratum = Literal["all", "clean", "mislabeled"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one detector's scores agree with one truth, by one metric.

    Attributes:
        detector: Name of the detector, or of the reference.
        kind: Detectors compete; controls and references stand beside them.
        truth: What the scores are held against, such as ``"mislabeled"``.
        metric: A key of ``METRICS``.
        value: NaN where it cannot be computed.
        low: Lower end of the 95 % interval over samples.
        high: Upper end.
        n: Samples whose truth is known.
        stratum: Which of them were compared.
        learner: Whose memorization the truth is; empty for the mislabeled mask.
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
    learner: str = ""


def against_labels(scores: Scores, variant: Variant, *, kind: Kind = "detector") -> list[Agreement]:
    """Every metric of scores against the mislabeled mask, in the order of ``METRICS``.

    Args:
        scores: Shape (n,), higher is more likely mislabeled.
        variant: The labels that the model was trained on; samples without a clean label are left out.
        kind: What the scores are.

    Raises:
        Mismatch: The scores are of another variant.
        BadData: They are not of as many samples.
    """
    return _against(scores, variant, "mislabeled", counted=variant.known, positive=variant.mislabeled, kind=kind)


def against_marks(scores: Scores, variant: Variant, *, kind: Kind = "detector") -> list[Agreement]:
    """Every metric of scores against each mark of the variant that is true or false: open set, duplicates and so on.

    What bears the mark is told from samples that bear it not and are not known to be mislabeled: to find a flip is no
    error here, and no merit.

    Args:
        scores: Shape (n,), higher is more suspicious.
        variant: The labels that the model was trained on.
        kind: What the scores are.

    Raises:
        Mismatch: The scores are of another variant.
        BadData: They are not of as many samples.
    """
    rows = []
    for name, mark in variant.marks.items():
        if mark.dtype == np.bool_:
            rows += _against(scores, variant, name, counted=mark | ~variant.mislabeled, positive=mark, kind=kind)
    return rows


def _against(
    scores: Scores, variant: Variant, truth: str, *, counted: Bools, positive: Bools, kind: Kind
) -> list[Agreement]:
    """Every metric of scores against the positive ones of the counted samples."""
    if scores.variant_id != variant.provenance.variant_id:
        msg = (
            f"scores of '{scores.detector}' are of variant {scores.variant_id[:12]}, the truth is of "
            f"{variant.provenance.variant_id[:12]}; score a trace of the same variant"
        )
        raise Mismatch(msg)
    if scores.values.shape != variant.labels.shape:
        msg = (
            f"scores of '{scores.detector}' have shape {scores.values.shape}, the variant has "
            f"{len(variant.labels)} samples; expected one score per sample, in sample order"
        )
        raise BadData(msg)
    values, wanted, given = scores.values[counted], positive[counted], variant.labels[counted]
    both = bool(wanted.any()) and not wanted.all()
    return [
        Agreement(
            scores.detector,
            kind,
            truth,
            name,
            *(metric.compute(values, wanted, given) if both else NOTHING),
            n=len(values),
        )
        for name, metric in METRICS.items()
    ]


def write_agreements(
    agreements: Iterable[Agreement], path: Path, variant_id: str, truths: Mapping[str, str] | None = None
) -> None:
    """Write agreements, NaN as NaN, with the id of their variant and, by name, the digests of further truths."""
    rows = list(agreements)
    kinds = {"n": np.int64, "value": np.float64, "low": np.float64, "high": np.float64}
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(row, name) for row in rows], dtype=kinds.get(name, np.str_))
        for name in Agreement.__slots__
    }
    metadata = {"variant_id": variant_id, "truths": json.dumps(dict(sorted((truths or {}).items())))}
    write_columns(columns, path, metadata=metadata)


def read_truths(path: Path) -> dict[str, str]:
    """Name → digest of the truths, beside the mislabeled mask, that a file of ``write_agreements`` was made with.

    Raises:
        BadData: The file is broken.
    """
    text = read_columns(path, [])[1].get("truths", "")
    try:
        truths = json.loads(text)
        check_fields({"truths": truths}, {"truths": Mapping[str, str]}, path)
    except ValueError:
        msg = f"{path} does not say which truths it was made with; delete it and evaluate again"
        raise BadData(msg) from None
    return dict(truths)


def read_agreements(path: Path, variant_id: str | None = None) -> list[Agreement]:
    """Read what ``write_agreements`` wrote.

    Args:
        path: The file.
        variant_id: The variant that they must be of; None asks nothing.

    Raises:
        BadData: The file is missing, is no Parquet, or lacks a column.
        Mismatch: They are of another variant.
    """
    columns, metadata = read_columns(path, list(Agreement.__slots__))
    found = metadata.get("variant_id", "")
    if variant_id is not None and found != variant_id:
        msg = f"{path} is of variant '{found[:12]}', its run is of {variant_id[:12]}; evaluate again"
        raise Mismatch(msg)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
    for row in rows:
        check_fields(row, get_type_hints(Agreement), path)
    return [Agreement(**row) for row in rows]


def against_memorization(
    scores: Scores,
    truth: Memorization,
    variant: Variant,
    *,
    kind: Kind = "detector",
    held_out_error: Floats | None = None,
) -> list[Agreement]:
    """Every metric of scores against memorization, in each stratum, in the order of ``MEMORIZATION_METRICS``.

    ``clean`` and ``mislabeled`` hold the samples whose clean label is known, ``all`` the others too.

    Args:
        scores: Shape (n,), higher is more likely mislabeled.
        truth: Of the same labels.
        variant: Tells the strata apart.
        kind: What the scores are.
        held_out_error: Shape (n,), 1 − p_out of a pool that shares no model with the truth's, NaN where unknown. None
            leaves out what needs it.

    Raises:
        Mismatch: Scores, memorization and variant are not of the same labels.
        BadData: They are not of as many samples.
    """
    _check(scores, truth, variant)
    if held_out_error is not None and held_out_error.shape != variant.labels.shape:
        msg = (
            f"the held-out error has shape {held_out_error.shape}, the variant has {len(variant.labels)} samples; "
            f"expected one value per sample, in sample order"
        )
        raise BadData(msg)
    rows = []
    for stratum, members in _strata(variant).items():
        for name, metric in MEMORIZATION_METRICS.items():
            counted = members & ~np.isnan(truth.values)
            held_out = np.zeros(0)
            if metric.needs_held_out_error:
                if held_out_error is None:
                    continue
                counted &= ~np.isnan(held_out_error)
                held_out = held_out_error[counted]
            compared = Compared(scores.values[counted], truth.values[counted], reliability(truth, counted), held_out)
            rows.append(
                Agreement(
                    scores.detector,
                    kind,
                    "memorization",
                    name,
                    *metric.compute(compared),
                    n=len(compared.scores),
                    stratum=stratum,
                    learner=truth.learner,
                )
            )
    return rows


def _check(scores: Scores, truth: Memorization, variant: Variant) -> None:
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


def _strata(variant: Variant) -> dict[Stratum, Bools]:
    wrong = variant.mislabeled
    return {"all": np.ones_like(wrong), "clean": variant.known & ~wrong, "mislabeled": wrong}
