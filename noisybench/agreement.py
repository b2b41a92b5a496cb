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
from noisybench.ground.arrays import Bools, read_only
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import check_fields, read_columns, write_columns
from noisybench.ground.random_streams import uniforms
from noisybench.statistics.detection_metrics import METRICS
from noisybench.statistics.intervals import NOTHING
from noisybench.variants.variant import Variant

Stratum = Literal["all", "clean", "mislabeled"]
Regime = Literal["training", "pool", "given"]
"""Where a run's scores come from: one observed training, many models on random subsets, or someone else's code."""


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


def reference_scores(variant: Variant, *, seed: int) -> list[Scores]:
    """What detectors are read against: chance, no opinion, the truth itself, and what the given label alone tells.

    ``given_label_only`` scores a sample by the share of wrong labels among the known samples that are given its class;
    with few samples a class it is optimistic, since the sample itself is one of them.

    Args:
        variant: The labels, with their truth.
        seed: Decides ``random``.
    """
    n, k, wrong = len(variant.labels), variant.num_classes, variant.mislabeled
    sizes = np.bincount(variant.labels[variant.known], minlength=k)
    share = np.bincount(variant.labels[wrong], minlength=k) / np.maximum(sizes, 1)
    columns = {
        "random": uniforms(seed, "reference/random", n),
        "flag_nothing": np.zeros(n),
        "perfect": wrong.astype(np.float64),
        "given_label_only": share[variant.labels],
    }
    return [Scores(name, read_only(values), variant.provenance.variant_id) for name, values in columns.items()]


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
