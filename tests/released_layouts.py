"""Small files of released memorization, with the arrays, types and shapes of the published ones, and made-up contents."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def feldman_zhang(path: Path, labels: NDArray[Any], *, names: Sequence[str] = (), seed: int = 0) -> NDArray[np.float64]:
    """As ``cifar100_infl_matrix.npz``, or with names as ``imagenet_index.npz``; its memorization, shape (n,)."""
    memorization = np.random.default_rng(seed).beta(0.4, 0.8, len(labels)) - 0.02
    arrays: dict[str, Any] = {"tr_mem": memorization, "tr_labels": labels, "tt_labels": labels[:7]}
    if names:
        arrays |= {"tr_filenames": np.array(names).astype("S"), "tt_filenames": np.array(["a.JPEG"]).astype("S")}
    else:
        for k in range(int(labels.max()) + 1):
            rows = np.flatnonzero(labels == k)
            arrays |= {f"infl_matrix_class{k}": np.zeros((len(rows), 3)), f"tr_classidx_{k}": rows}
    np.savez(path, **arrays)
    return memorization


def cscores(path: Path, labels: NDArray[Any], *, seed: int = 0) -> NDArray[np.float64]:
    """As ``cifar10-cscores-orig-order.npz``; its scores, shape (n,)."""
    scores = np.random.default_rng(seed).random(len(labels))
    np.savez(path, labels=labels, scores=scores)
    return scores


def infl_mem(
    path: Path, labels: NDArray[Any], *, k: int, models: int = 90, left_in: int = 0, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """As ``cifar-rand1-human-infl-mem.npz``: the first ``left_in`` samples are seen by all models. Its arrays."""
    random = np.random.default_rng(seed)
    n = len(labels)
    mask = random.random((models, n)) < 0.7
    mask[:, :left_in] = True
    hit = random.random((models, n)) < np.where(mask, 0.9, random.random(n))
    predictions = np.where(hit, labels, (labels + random.integers(1, k, (models, n))) % k)
    correct = predictions == labels

    def share(seen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Of the models that are chosen for each sample, those that are right; 0 where none is chosen, as in the original."""
        shares: NDArray[np.float32] = ((correct * seen).sum(0) / np.maximum(seen.sum(0), 1e-10)).astype(np.float32)
        return shares

    arrays: dict[str, NDArray[Any]] = {
        "total_runs": np.array(models),
        "trainset_mask": mask,
        "trainset_correctness": correct,
        "trainset_predictions": predictions,
        "testset_correctness": np.zeros((models, 4), dtype=bool),
        "testset_predictions": np.zeros((models, 4), dtype=np.int64),
        "memorization": share(mask) - share(~mask),
        "influence": np.zeros((4, n), dtype=np.float32),
        "memorization_inclusion_prob": share(mask),
        "memorization_exclusion_prob": share(~mask),
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]  # names of arrays
    return arrays
