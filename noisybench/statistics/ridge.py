"""Ridge regression of one-hot labels on features, each sample answered by the others: exact, from one decomposition.

No network is trained and no truth is used. Ridge regression has its leave-one-out answers in closed form: with the hat
matrix H = X (XᵀX + λI)⁻¹ Xᵀ and answers F = H Y, a sample that is left out is answered (f_i - h_ii y_i) / (1 - h_ii), and
a group of samples (I - H_gg)⁻¹ (F_g - H_gg Y_g).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, as_array, check_groups, check_labels
from noisybench.ground.checks import check_room, whole
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.grouping import group_batches
from noisybench.statistics.margins import margin_against, mean_rank
from noisybench.statistics.spectrum import BLOCK, PrincipalAxes, centred_units, check_several_rows, spectrum

PENALTIES = (1.0, 3.0, 10.0)
"""Penalties λ of the grid, features being of length one; chosen on ``consensus.TUNING_SETS``, where smaller ones are
misled by errors that lie together, and larger ones by the sizes of classes."""


@dataclass(frozen=True, slots=True, eq=False)
class RidgeAnswers:
    """What ridge regression says of each sample from all others, or from all other groups.

    Attributes:
        suspicion: Mean over the penalties of the rank of a sample's margin, scaled to [0, 1], shape (n,); higher is more
            likely mislabeled.
        answers: Mean over the penalties of the answers, near 1 for the class and near 0 for others, shape (n, k).
        margin_at_chosen: Best other class's answer minus the given label's at ``chosen``, shape (n,).
        chosen: Penalty with the most answers that are the given label.
        leverage: Weight of a sample's own label in its fitted answer at ``chosen``, in [0, 1), shape (n,).
        cooks_distance: Leverage times the squared error of the answers to the one-hot label at ``chosen``, shape (n,).
    """

    suspicion: Floats
    answers: Floats
    margin_at_chosen: Floats
    chosen: float
    leverage: Floats
    cooks_distance: Floats


def leave_one_out_ridge(
    features: NDArray[Any],
    labels: Labels,
    num_classes: int,
    *,
    groups: NDArray[Any] | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> RidgeAnswers:
    """Leave-one-out answers of ridge regression with a bias: (n, d) and (n,) → suspicion (n,), answers (n, k) and more.

    Features lose their mean and get length one first, which uses no label. The bias is penalised like a weight.

    The suspicion is a mean over the penalties, not that of ``chosen``. The penalty that answers most *given* labels is
    a good one where wrong labels look like their class's others (noise that depends on the class alone, with the right
    label the commonest of each class); where wrong labels lie together in feature space it is one that predicts them, and
    its margins hide them.

    A class with one sample has nobody left to speak for it, so that its sample is always suspicious.

    Cook's distance is h_ii ‖f_i - y_i‖² / (1 - h_ii)² of one sample that is left out: how far the weights move without it,
    in the metric of XᵀX + λI, times a constant. Of a group it is the same of the sample's answers without the group.

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,), of at least two classes.
        num_classes: Columns of the answers.
        groups: Number of each sample's group, shape (n,): a sample is answered without its whole group. None leaves out
            each sample alone.
        penalties: λ, each above 0.

    Raises:
        BadData: Features or groups that are none, or labels of one class.
        BadUsage: A penalty that is no number above 0, a number of classes that is none, or more than fits in memory:
            samples × classes, or more than ``spectrum.MOST_SIDE`` samples with as many features.

    Source: Allen 1974, doi:10.1080/00401706.1974.10489157 (one left out); the same by the Woodbury identity for a group;
        Cook 1977, doi:10.1080/00401706.1977.10489493 (his distance).
    """
    num_classes = whole(num_classes, "num_classes", least=1)
    labels = check_labels(labels, num_classes)
    n = len(labels)
    strengths = as_array(penalties, what="penalties")
    kind = strengths.dtype.kind in "iuf" and strengths.ndim == 1 and strengths.size
    if not kind or not (np.isfinite(strengths) & (strengths > 0)).all():
        msg = f"penalties must be numbers above 0, at least one, got {penalties!r}"
        raise BadUsage(msg)
    check_room(n, num_classes, "an answer of ridge regression for each class", "leave out what asks for ridge")
    check_several_rows(features, n)
    check_several(labels)
    if groups is not None:
        groups = check_groups(groups, n)
    return ridge_answers(ridge_spectrum(features, n), labels, num_classes, groups, strengths.astype(np.float64))


def ridge_spectrum(features: NDArray[Any], n: int) -> PrincipalAxes:
    """What no label decides: features of length one and the bias along their principal axes, (n, d) → (n, r) and (r,)."""
    units = centred_units(features, n)
    values = np.empty((n, units.shape[1] + 1))
    values[:, :-1], values[:, -1] = units, 1
    del units
    return spectrum(values)


def check_several(labels: Labels) -> None:
    """Raise ``BadData`` unless there are labels of two classes."""
    if (labels == labels[0]).all():
        msg = (
            f"all {len(labels)} labels are class {labels[0]}; expected at least two classes, one of which may be wrong"
        )
        raise BadData(msg)


def ridge_answers(
    along: PrincipalAxes, labels: Labels, k: int, groups: Labels | None, penalties: Floats
) -> RidgeAnswers:
    """What labels decide, of ``ridge_spectrum``; see ``leave_one_out_ridge``, which checks what it is given."""
    (coordinates, squares), n = along, len(labels)
    sums = class_sums(coordinates, labels, k)
    margins, leverage, errors = (np.empty((len(penalties), n)) for _ in range(3))
    hits = np.zeros(len(penalties), dtype=np.int64)
    mean = np.zeros((n, k))
    for members in group_batches(groups, n, most=BLOCK // (coordinates.shape[1] + k)):
        own, given = coordinates[members], labels[members]
        for i, penalty in enumerate(penalties):
            answers, leverage[i, members] = answers_left_out(own, given, squares + penalty, sums)
            mean[members] += answers / len(penalties)
            answers, flat = answers.reshape(-1, k), given.reshape(-1)
            margins[i, members] = margin_against(answers, flat).reshape(members.shape)
            hits[i] += np.count_nonzero(answers.argmax(1) == flat)
            of_given = np.take_along_axis(answers, flat[:, None], axis=1)[:, 0]
            squares_of_errors = np.einsum("ij,ij->i", answers, answers) - 2 * of_given + 1
            errors[i, members] = np.maximum(squares_of_errors, 0).reshape(members.shape)
    best = int(np.flatnonzero(hits == hits.max())[np.argmax(penalties[hits == hits.max()])])
    return RidgeAnswers(
        mean_rank(margins), mean, margins[best], float(penalties[best]), leverage[best], leverage[best] * errors[best]
    )


def class_sums(coordinates: Floats, labels: Labels, k: int) -> Floats:
    """ZᵀY of one-hot Y: (n, r) → (r, k)."""
    from scipy.sparse import csr_array

    n = len(labels)
    one_hot = csr_array((np.ones(n), labels, np.arange(n + 1)), shape=(n, k))
    sums: Floats = np.ascontiguousarray((one_hot.T @ coordinates).T)
    return sums


def answers_left_out(own: Floats, given: Labels, ridged: Floats, sums: Floats) -> tuple[Floats, Floats]:
    """Answers without the own group (b, m, k), and leverages (b, m), of groups with coordinates (b, m, r)."""
    b, m, r = own.shape
    k = sums.shape[1]
    weighted: Floats = own / ridged
    leverage: Floats = np.einsum("bmr,bmr->bm", weighted, own)
    one_hot = np.zeros((b, m, k))
    np.put_along_axis(one_hot, given[..., None], 1.0, axis=2)
    turned: Floats = own.transpose(0, 2, 1)
    if m <= r:
        hat: Floats = weighted @ turned
        fitted = (weighted.reshape(b * m, r) @ sums).reshape(b, m, k)
        answers: NDArray[Any] = np.linalg.solve(np.eye(m) - hat, fitted - hat @ one_hot)
        return answers, leverage
    # A group larger than the number of coordinates: the regression without it is the smaller system.
    others = np.diag(ridged) - turned @ own
    weights: NDArray[Any] = np.linalg.solve(others, sums - turned @ one_hot)
    return own @ weights, leverage
