"""Held-out answers: what a pool of subset models says of samples that it did not see, for detectors to read.

No torch here. A pool serves detectors or truths, never both: scores made of the truth's own models agree with it because
they share its luck (correlations of 0.994-1.000 where independent pools gave 0.875-0.944).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.memorization.pool import Pool
from noisybench.training.trace import Observation
from noisybench.variants.variant import Variant


def held_out_answers(
    pools: Sequence[Pool], variant: Variant, *, epoch: int, neighbours: NDArray[np.float32] | None = None
) -> Observation:
    """What detectors of held-out answers read, as the one epoch of a trace at which the models were asked.

    Columns: ``given`` (n,), the labels; ``held_out.probabilities`` (n, k), mean softmax over the models that did not see
    the sample; ``held_out.votes`` (n, k), share of them that predict each class; ``prediction`` (n,), the class of most
    votes; with pools of several subset fractions ``held_out.consistency`` (n,), mean over the pools of the share that
    gives the label; and, where they are given, ``neighbours.labels`` (n, k). Probabilities and votes are of the pool with
    the largest subsets.

    Args:
        pools: Detector pools of one learner, one for each subset fraction.
        variant: The labels that they were trained on.
        epoch: Epochs that the models were trained for.
        neighbours: Share of each label among the neighbours of a sample, see ``neighbours.neighbour_labels``.

    Raises:
        BadUsage: No pool, or a truth's.
        Mismatch: One is of another variant.
        BadData: A sample that every model of a pool saw.
    """
    if not pools:
        msg = "no pool is given; expected at least one"
        raise BadUsage(msg)
    for pool in pools:
        if pool.purpose != "detector":
            msg = (
                f"a pool of purpose '{pool.purpose}' is what detectors are judged by; scores made of its own models would "
                f"agree with it for the wrong reason: train another with --pool detector"
            )
            raise BadUsage(msg)
        if pool.variant_id != variant.provenance.variant_id:
            msg = f"the pool is of variant '{pool.variant_id[:12]}', expected {variant.provenance.variant_id[:12]}"
            raise Mismatch(msg)
        seen = np.flatnonzero(pool.included.all(0))
        if seen.size:
            msg = (
                f"sample {seen[0]} was in the subset of each of the {len(pool.included)} models ({seen.size} such samples), "
                f"so that none can say anything of it unseen; train more models, or balanced subsets"
            )
            raise BadData(msg)
    largest = max(pools, key=lambda pool: pool.included.mean())
    shares = votes(largest, variant.num_classes)
    columns: dict[str, NDArray[Any]] = {
        "given": variant.labels,
        "held_out.probabilities": largest.held_out,
        "held_out.votes": shares,
        "prediction": shares.argmax(1),
    }
    if len(pools) > 1:
        columns["held_out.consistency"] = np.mean([_given_unseen(pool, variant) for pool in pools], axis=0)
    if neighbours is not None:
        columns["neighbours.labels"] = neighbours
    return Observation(epoch, {name: values.astype(np.float32) for name, values in columns.items()})


def votes(pool: Pool, num_classes: int) -> NDArray[np.float64]:
    """Share of the models that did not see a sample which predict each class, shape (n, k); NaN where all saw it."""
    n = pool.included.shape[1]
    counts = np.zeros(n * num_classes)
    for included, predictions in zip(pool.included, pool.predictions, strict=True):
        unseen = np.flatnonzero(~included)
        counts[unseen * num_classes + predictions[unseen]] += 1
    left_out = (~pool.included).sum(0)
    shares: NDArray[np.float64] = counts.reshape(n, num_classes) / np.where(left_out > 0, left_out, np.nan)[:, None]
    return shares


def _given_unseen(pool: Pool, variant: Variant) -> NDArray[np.float64]:
    """p_out: share of the models that did not see a sample which give its label, shape (n,)."""
    unseen = ~pool.included
    shares: NDArray[np.float64] = ((pool.predictions == variant.labels) & unseen).sum(0) / unseen.sum(0)
    return shares


def shares_fitted(pool: Pool, variant: Variant) -> dict[str, float]:
    """Shares of wrong and of right labels that models give which were trained on them, NaN where there are none."""
    seen = pool.included.sum(0)
    fitted = ((pool.predictions == variant.labels) & pool.included).sum(0) / np.where(seen > 0, seen, np.nan)
    wrong = variant.mislabeled
    found = {}
    for name, members in (("mislabeled_fit", wrong), ("clean_fit", variant.known & ~wrong)):
        shares = fitted[members]
        found[name] = float(np.nanmean(shares)) if np.isfinite(shares).any() else float("nan")
    return found
