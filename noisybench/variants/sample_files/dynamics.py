"""Training dynamics that dataset cartography wrote: the logits of every epoch, matched by sample. No torch here."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData
from noisybench.variants.sample_files.column_names import LABELS
from noisybench.variants.sample_files.ids import order_of
from noisybench.variants.sample_files.labels import check_labels_of
from noisybench.variants.sample_files.text_readers import Chosen, read_json_lines
from noisybench.variants.sample_files.values import Tell, doubt, whose_rows
from noisybench.variants.variant import Variant

WITHIN = "training_dynamics"
"""Folder of a model in which they lie."""
GOLD = ("gold", *LABELS)
"""Names of the label that a sample was trained with, the first that is there."""


def epochs_of_dynamics(folder: str | Path) -> dict[int, Path]:
    """Number of each epoch, from 0, → its file ``dynamics_epoch_<number>.jsonl`` in a folder, or below one of a model.

    Raises:
        BadData: No such file is there, or one between two others is missing.
    """
    folder = Path(folder)
    folder = folder / WITHIN if (folder / WITHIN).is_dir() else folder
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("dynamics_epoch_*")):
        match = re.fullmatch(r"dynamics_epoch_(\d{1,8})\.(jsonl|json|ndjson)(\.gz|\.bz2|\.xz)?", path.name)
        if match is None or int(match[1]) in found:
            msg = f"{path} is no file of one epoch, such as dynamics_epoch_0.jsonl, or there twice; take it away"
            raise BadData(msg)
        found[int(match[1])] = path
    if not found:
        msg = f"{folder} holds no training dynamics; expected dynamics_epoch_0.jsonl and so on, as cartography writes them"
        raise BadData(msg)
    missing = [number for number in range(max(found)) if number not in found]
    if missing:
        msg = (
            f"{folder} has no dynamics_epoch_{missing[0]}.jsonl ({len(missing)} of {max(found) + 1} epochs are missing)"
        )
        raise BadData(msg)
    return dict(sorted(found.items()))


def digest_of_dynamics(folder: str | Path) -> str:
    """SHA-256 of the files of all epochs, in their order."""
    digest = hashlib.sha256()
    for number, path in epochs_of_dynamics(folder).items():
        digest.update(f"{number} {file_digest(path)}\n".encode())
    return digest.hexdigest()


def read_dynamics(
    folder: str | Path, variant: Variant, *, sample_names: Sequence[str] | None = None, tell: Tell = lambda _: None
) -> Iterator[tuple[int, Floats]]:
    """Epochs trained so far, from 1, and the logits (n, k) of each epoch, in sample order.

    Each line of a file has a ``guid`` (0..n-1, or what the sample is called), its logits ``logits_epoch_<number>`` and the
    label ``gold`` that it was trained with. The columns of logits are in the order of the classes.

    Args:
        folder: Of the files, or that of the model around it.
        variant: The labels that the model was trained on.
        sample_names: What people call each sample, shape (n,), as ``Source.sample_names``.
        tell: Called with a sentence for what is hard to believe.

    Raises:
        BadData: A file is missing, cannot be read, has not each sample once, or no logit for each class.
        Mismatch: The labels are others.
    """
    epochs = epochs_of_dynamics(folder)
    for number, path in epochs.items():
        yield number + 1, _logits(path, number, variant, sample_names, tell if number + 1 == len(epochs) else None)


def _logits(path: Path, number: int, variant: Variant, sample_names: Sequence[str] | None, tell: Tell | None) -> Floats:
    """The logits of one epoch, shape (n, k)."""
    n, k = len(variant.labels), variant.num_classes

    def choose(there: Sequence[str]) -> Chosen:
        ids = whose_rows(there, variant, sample_names)
        values, gold = f"logits_epoch_{number}", next((name for name in GOLD if name in there), None)
        for name, wanted in ((values if values in there else None, values), (ids, "guid"), (gold, "gold")):
            if name is None:
                msg = f"{path} has no {wanted!r}; it has: {', '.join(there) or 'nothing'}"
                raise BadData(msg)
        return Chosen((values, str(ids), str(gold)), frozenset((str(ids), str(gold))))

    columns = read_json_lines(path, choose, variant)
    logits, ids, gold = columns.values()
    order = order_of(ids, list(columns)[1], n, path, sample_names)
    check_labels_of(gold[order], variant, path, of_clean=False)
    if logits.shape != (n, k):
        msg = f"logits in {path} have shape {logits.shape}, expected ({n}, {k}): one for each class of the variant"
        raise BadData(msg)
    found = logits[order].astype(np.float64)
    bad = np.argwhere(~np.isfinite(found))
    if bad.size:
        msg = f"logits in {path} must be finite, sample {bad[0, 0]} has {found[tuple(bad[0])]} ({len(bad)} such logits)"
        raise BadData(msg)
    if tell is not None:
        tell(f"the rows of {path.parent} are matched by their {list(columns)[1]!r}")
        doubt(found, variant, path, tell)
    return found
