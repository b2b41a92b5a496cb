"""Agreement of scores with the truth: what is measured, with which interval, and the rows that are no detectors.

Everything is computed from the realised flips, over the samples whose clean label is known; ties count at their
expectation under a random tie-break, but for average precision, where scikit-learn takes tied samples as one step; what
cannot be computed is NaN, never 0.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels, read_only
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import check_fields, read_columns, write_columns
from noisybench.ground.random_streams import uniforms
from noisybench.scoring import Scores
from noisybench.variant import Variant

Kind = Literal["detector", "control", "reference"]
Stratum = Literal["all", "clean", "mislabeled"]
Regime = Literal["training", "pool", "given"]
"""Where a run's scores come from: one observed training, many models on random subsets, or someone else's code."""
Z95 = 1.959963984540054  # 97.5 % point of the standard normal law


class Estimate(NamedTuple):
    """A value and its 95 % interval over samples, for these labels and this one model."""

    value: float
    low: float
    high: float


NOTHING = Estimate(np.nan, np.nan, np.nan)


class Metric(NamedTuple):
    """One way to compare scores with the truth.

    Attributes:
        title: For people.
        compute: (scores (n,), mislabeled (n,), given labels (n,)) → estimate; both kinds of sample are present.
        higher_is_better: Whether a better detector has the higher value.
        bounds: Least and greatest value there can be.
    """

    title: str
    compute: Callable[[Floats, Bools, Labels], Estimate]
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)


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


def auroc(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001 - every metric takes these
    """Chance that a mislabeled sample scores above a clean one, a tie counting one half.

    The interval is DeLong's on the logit scale. Measured with 50 mislabeled of 500 and an AUROC of .97: it covers
    91 %, the untransformed one 88 %; with 20 of 100, 93 % and 84 %. Complete separation has no spread and a width of 0.

    Source: DeLong et al. 1988, doi:10.2307/2531595; Sun and Xu 2014, doi:10.1109/LSP.2014.2337313 (by midranks); Qin
    and Hotilovac 2008, doi:10.1177/0962280207087173 (logit).
    """
    area, variance = _delong(values[mislabeled], values[~mislabeled])
    return _logit_interval(area, variance)


def auroc_within_class(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:
    """Mean AUROC over the given classes that hold both kinds: what is left when the class alone no longer helps.

    The classes are independent, so the variance of the mean is that of DeLong summed over them.
    """
    order = np.argsort(given, kind="stable")
    areas, variances = [], []
    for members in np.split(order, np.flatnonzero(np.diff(given[order])) + 1):
        wrong = mislabeled[members]
        if wrong.any() and not wrong.all():
            area, variance = _delong(values[members[wrong]], values[members[~wrong]])
            areas.append(area)
            variances.append(variance)
    if not areas:
        return NOTHING
    return _logit_interval(float(np.mean(areas)), sum(variances) / len(areas) ** 2)


def average_precision(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Mean precision over the recall steps, without interpolation; chance is the share of mislabeled samples.

    Source: Boyd et al. 2013, doi:10.1007/978-3-642-40994-3_29 (logit interval).
    """
    from sklearn.metrics import average_precision_score

    area = float(average_precision_score(mislabeled, values))
    return _logit_interval(area, area * (1 - area) / int(mislabeled.sum()))


def average_precision_normalised(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:
    """Average precision with chance at 0 and perfection at 1: (AP − π) / (1 − π) for a share π of mislabeled."""
    chance = mislabeled.mean()
    return Estimate(*(float((end - chance) / (1 - chance)) for end in average_precision(values, mislabeled, given)))


def false_negative_rate(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Share of mislabeled samples that are missed when exactly as many samples are flagged as are mislabeled.

    One minus precision and one minus recall at that count, which are one number. Interval: Wilson.
    """
    count = int(mislabeled.sum())
    return wilson(1 - _hits(values, mislabeled, count) / count, count)


def precision_at(percent: float, values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Share of mislabeled samples among the ``percent`` % most suspicious, at least one sample. Interval: Wilson."""
    count = max(1, round(len(values) * percent / 100))
    return wilson(_hits(values, mislabeled, count) / count, count)


METRICS: dict[str, Metric] = {
    "auroc": Metric("AUROC", auroc),
    "auroc_within_class": Metric("AUROC within given class", auroc_within_class),
    "average_precision": Metric("average precision", average_precision),
    "average_precision_normalised": Metric(
        "average precision above chance", average_precision_normalised, bounds=(-np.inf, 1.0)
    ),
    "false_negative_rate": Metric("false-negative rate", false_negative_rate, higher_is_better=False),
    "precision_at_1": Metric("precision at 1 %", partial(precision_at, 1)),
    "precision_at_5": Metric("precision at 5 %", partial(precision_at, 5)),
    "precision_at_10": Metric("precision at 10 %", partial(precision_at, 10)),
}
"""The metrics against the mislabeled mask, by name."""


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


def _delong(high: Floats, low: Floats) -> tuple[float, float]:
    """P(high > low) + P(tie) / 2 and DeLong's variance of it, by midranks in O(n log n)."""
    from scipy.stats import rankdata

    m = len(high)
    ranks = rankdata(np.concatenate([high, low]))
    of_high = (ranks[:m] - rankdata(high)) / len(low)
    of_low = 1 - (ranks[m:] - rankdata(low)) / m
    area = float(of_high.mean())
    return area, sum(_variance_of_mean(part, area) for part in (of_high, of_low))


def _variance_of_mean(parts: Floats, mean: float) -> float:
    # One sample shows no spread; the largest that a variable in [0, 1] of this mean can have stands in for it.
    return float(parts.var(ddof=1)) / len(parts) if len(parts) > 1 else mean * (1 - mean)


def _logit_interval(value: float, variance: float) -> Estimate:
    """A 95 % interval that is symmetric on the logit scale and so stays within [0, 1]."""
    if not 0 < value < 1:
        return Estimate(value, value, value)
    centre = np.log(value / (1 - value))
    reach = Z95 * np.sqrt(variance) / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-np.clip([centre - reach, centre + reach], -700, 700)))
    return Estimate(value, float(low), float(high))


def wilson(share: float, n: int) -> Estimate:
    """Wilson's 95 % interval of a share of ``n``, which may be an expectation over ties.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    reach = Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    # A share of 0 or 1 is an end of its interval, which rounding may miss.
    return Estimate(share, float(max(min(centre - reach, share), 0)), float(min(max(centre + reach, share), 1)))


def _hits(values: Floats, mislabeled: Bools, count: int) -> float:
    """Mislabeled samples expected among the ``count`` highest scores when ties are broken at random."""
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    above, tied = values > threshold, values == threshold
    return float(mislabeled[above].sum() + (count - above.sum()) * mislabeled[tied].mean())
