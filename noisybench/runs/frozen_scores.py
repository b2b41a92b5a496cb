"""Many label columns on the same frozen features: what an ordinary run from features writes, in memory.

Spectra, principal components and neighbours, which no label decides, are computed once; each column then costs what its
labels decide alone. Nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Kind, score
from noisybench.ground.arrays import Features, Floats, Floats32, read_only
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.errors import Mismatch
from noisybench.memorization.closed_form import groups_of_copies
from noisybench.runs.column_scoring import detectors_of
from noisybench.runs.features_columns import columns_asked, frozen_columns
from noisybench.runs.features_run import given_features, group_numbers
from noisybench.runs.frozen_features import FrozenFeatures
from noisybench.runs.kept_rows import groups_among
from noisybench.statistics.refits import leave_out_each
from noisybench.statistics.spectrum import check_several_rows
from noisybench.training.machine import limited_threads
from noisybench.training.trace import Observation, stack
from noisybench.variants.variant import Variant, check_variant


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """What simple models on frozen features say of one column of labels.

    Attributes:
        scores: Detector or control → suspicion, higher is more likely mislabeled, shape (n,).
        kinds: The same names → ``detector`` or ``control``.
        held_out: Probabilities of each class by logistic regression that did not see the sample, shape (n, k).
        memorization: By exact ridge regression with and without each sample, see ``ClosedFormPlan``, estimand
            ``leave_one_out_margin``; NaN for samples that a person dropped, shape (n,).
    """

    scores: Mapping[str, Floats]
    kinds: Mapping[str, Kind]
    held_out: Floats32
    memorization: Floats

    def __repr__(self) -> str:
        return f"LabelScores({len(self.held_out)} samples: {', '.join(self.scores)})"


def prepare_features(
    features: NDArray[Any],
    *,
    classes: int,
    groups: Any = None,  # noqa: ANN401 - anything with one entry a sample
    like: Variant | None = None,
) -> FrozenFeatures:
    """Features of n samples, for ``score_labels``.

    Near duplicates are found now, and each other part when a column first asks for it. All of them take about three times
    the memory of the features as float64; ``knn_shapley`` keeps the order of all samples to each besides, of up to 16,000.

    Args:
        features: Shape (n, d), finite numbers, which must stay as they are.
        classes: Classes of the labels.
        groups: One entry a sample, shape (n,), see ``score_frozen``: samples of one group are left out together. Near
            duplicates are found in any case.
        like: Some variant with the dropped samples and the copies that all label columns have; None: they have none.

    Raises:
        BadData: Features or groups that are none.
        BadUsage: No class, or more features and samples than are taken, see ``find_groups``.
        Mismatch: ``like`` has another number of samples.
    """
    check_kind(features, np.ndarray, "features", "features_of(source, 'pca') gives some")
    n = len(features) if features.ndim else 0
    values: Features = given_features(features, n)
    check_several_rows(values, n)
    if like is not None:
        check_variant(like)
        _check_count(like, n)
    kept = np.ones(n, dtype=np.bool_) if like is None else ~like.dropped
    copies = None if like is None else like.copies
    given = None if groups is None else group_numbers(groups, n)
    with limited_threads(1):
        found = groups_among(values, kept, [links for links in (given, copies) if links is not None])
    return FrozenFeatures(values, found, kept, classes=whole(classes, "classes", least=2), copies=copies)


def score_labels(
    prepared: FrozenFeatures, variant: Variant, *, detectors: str | Sequence[str] = "standard", seed: int = 0
) -> LabelScores:
    """What an ordinary run from these features writes of one column of labels, and memorization in closed form.

    The values are those of ``score_frozen``, and of ``leave_out_exactly`` with ``Ridge()`` and the estimand
    ``leave_one_out_margin``, on the same features and one thread.

    Args:
        prepared: See ``prepare_features``.
        variant: The labels.
        detectors: Names, and sets: ``fast``, ``standard`` or ``all`` that frozen features feed, as of ``score_frozen``;
            every detector is scored that their columns feed.
        seed: Of the folds.

    Raises:
        Mismatch: The variant is of other samples or classes, or has other dropped samples or copies, than were prepared.
        UnknownName: No such detector.
        BadUsage: A detector that frozen features do not feed.
        BadData: Labels of one class.
    """
    check_kind(prepared, FrozenFeatures, "prepared", "prepare_features(features, classes=10) gives it")
    check_variant(variant)
    _check_variant(prepared, variant)
    seed, asked = whole(seed, "seed", least=0), columns_asked(detectors)
    with limited_threads(1):
        columns, _ = frozen_columns(prepared, variant, seed=seed, lacking=asked)
        memorization = _memorization(prepared, variant)
        trace = stack([Observation(0, columns)], variant_id=variant.variant_id)
        fed = dict(detectors_of(trace))
        scores = {name: score(trace, detector).values for name, detector in fed.items()}
    kinds: dict[str, Kind] = {name: "control" if detector.control else "detector" for name, detector in fed.items()}
    return LabelScores(scores, kinds, columns["held_out.probabilities"], memorization)


def _memorization(frozen: FrozenFeatures, variant: Variant) -> Floats:
    """Answer at the label with the sample, less that without it, (n,)."""
    labels = variant.labels[frozen.kept]
    left = leave_out_each(frozen.refit, labels, variant.num_classes, groups_of_copies(variant))
    rows, found = np.arange(len(labels)), np.full(len(variant.labels), np.nan)
    found[frozen.kept] = left.fitted[rows, labels] - left.answers[rows, labels]
    return read_only(found)


def _check_count(variant: Variant, n: int) -> None:
    """Raise ``Mismatch`` unless a variant has so many samples."""
    if len(variant.labels) != n:
        msg = f"there are features of {n} samples, and {len(variant.labels)} labels; give those of the same samples"
        raise Mismatch(msg)


def _check_variant(prepared: FrozenFeatures, variant: Variant) -> None:
    """Raise ``Mismatch`` unless what was prepared holds for a variant."""
    _check_count(variant, len(prepared.kept))
    if variant.num_classes != prepared.classes:
        msg = f"features were prepared for {prepared.classes} classes, and the labels have {variant.num_classes}"
        raise Mismatch(msg)
    same = np.array_equal(~variant.dropped, prepared.kept)
    one, other = variant.copies, prepared.copies
    if not same or (one is not other and (one is None or other is None or not np.array_equal(one, other))):
        msg = (
            "the variant has other dropped samples or copies than the features were prepared for; prepare them with "
            "like=variant"
        )
        raise Mismatch(msg)
