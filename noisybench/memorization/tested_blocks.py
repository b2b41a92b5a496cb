"""Tested blocks: what the models of a block predict of the test set, in a file beside the block. No torch here.

Only pools that are asked for influences have them; the blocks themselves are the same with and without.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source, source_digest
from noisybench.ground.claims import check_regular, claimed_arrays
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import NO_ARRAY, replacing
from noisybench.ground.mending import take_away
from noisybench.memorization.pool import BLOCK, Claim, block_path, blocks, class_type, read_block, record_in
from noisybench.variants.variant import Variant

Predictions = NDArray[np.uint8] | NDArray[np.uint16]


def digest_of_tests(source: Source) -> str:
    """SHA-256 of the test set, inputs and labels.

    Raises:
        BadUsage: There is none.
    """
    if source.test_inputs is None or source.test_labels is None:
        msg = (
            f"influence on test samples needs a test set, and source '{source.name}' has none; build a variant of a source "
            f"that has one, or leave it out"
        )
        raise BadUsage(msg)
    return source_digest(source.test_inputs, source.test_labels)


def digest_of_asked(source: Source, features: str) -> str:
    """``digest_of_tests``, for models that see ``features``.

    Raises:
        BadUsage: There is no test set, or the models see features, which there are none of test samples.
    """
    if features != "input":
        msg = (
            f"influence on test samples is of models that see the inputs, and these see '{features}', which are features of "
            f"training samples alone; leave --features out"
        )
        raise BadUsage(msg)
    return digest_of_tests(source)


def count_of_asked(source: Source, features: str) -> int:
    """Test samples that models which see ``features`` are asked about; raises as ``digest_of_asked``."""
    digest_of_asked(source, features)
    return 0 if source.test_labels is None else len(source.test_labels)


def tested_beside(block: Path) -> Path:
    """File beside a block, of what its models predict of the test set.

    >>> tested_beside(Path("pool/block-0007-of-20.npz")).as_posix()
    'pool/tested-0007-of-20.npz'
    """
    return block.with_name(f"tested-{block.name.removeprefix('block-')}")


def write_tested(predictions: Predictions, record: Mapping[str, Any], path: Path) -> None:
    """Write predicted classes of test samples, shape (b, t), with the record of the block and ``test_sha256``."""
    with replacing(path) as part, part.open("wb") as stream:
        told = json.dumps(record, sort_keys=True, ensure_ascii=False)
        np.savez(stream, allow_pickle=False, record=np.array(told), predictions=predictions)


def read_tested(path: Path, variant: Variant) -> tuple[Predictions, dict[str, Any]]:
    """Read what ``write_tested`` wrote, never unpickling.

    Raises:
        BadData: The file is missing, damaged, or holds something else.
    """
    mend = "delete it and the block beside it to train the models again"
    check_regular(path)
    try:
        with path.open("rb") as stream:
            claimed = claimed_arrays(stream)
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                record = record_in(file, claimed["record"], path, mend)
                _check_claim(path, claimed["predictions"], record, variant, mend)
                predictions = file["predictions"]
    except BadData:
        raise
    except (*NO_ARRAY, AttributeError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or no such file"
        msg = f"{path} cannot be read as predictions of a test set: {reason}; {mend}"
        raise BadData(msg) from None
    if predictions.max(initial=0) >= variant.num_classes:
        msg = f"{path} holds classes that there are not; {mend}"
        raise BadData(msg)
    return predictions, record


def _check_claim(path: Path, claim: Claim, record: Mapping[str, Any], variant: Variant, mend: str) -> None:
    """Raise ``BadData`` unless the predictions claim to be those of the models of a block."""
    shape, kind = claim
    wanted, models = np.dtype(class_type(variant.num_classes)), min(record["models"], BLOCK)
    if kind != wanted or len(shape) != 2 or shape[0] != models or "test_sha256" not in record:  # noqa: PLR2004 - b, t
        msg = f"{path}: 'predictions' is {kind} of shape {shape}, expected {wanted} of {models} models; {mend}"
        raise BadData(msg)


def mend_tested(block: Path, variant: Variant) -> bool:
    """Whether the predictions beside a block can be read; damaged ones are taken away with the block, to be made again.

    Raises:
        BadData: There are none: the models of the block were not asked about the test set.
    """
    check_was_asked(block)
    path = tested_beside(block)
    try:
        read_tested(path, variant)
    except BadData:
        block.unlink()  # first: a block alone looks as if nobody had asked its models, and a call may be killed here
        take_away(path, "its models are trained again")
        return False
    return True


def check_was_asked(block: Path) -> None:
    """Raise ``BadData`` where the models of a block were not asked about the test set."""
    if not tested_beside(block).is_file():
        msg = (
            f"{block} holds answers of models that were not asked about the test set, and the models are not kept; give "
            f"another --out, or delete {block.parent} to train them again"
        )
        raise BadData(msg)


def check_tested(path: Path, digest: str, variant: Variant) -> None:
    """Raise ``Mismatch`` unless predictions are of the test set of that digest, and ``BadData`` where there are none."""
    check_was_asked(path.with_name(f"block-{path.name.removeprefix('tested-')}"))
    found = str(read_tested(path, variant)[1]["test_sha256"])
    if found != digest:
        msg = (
            f"{path} is of the test set {found[:12]}, now it is {digest[:12]}; give another --out, or delete {path.parent} "
            f"to train the models again"
        )
        raise Mismatch(msg)


def read_tests(folder: Path, variant: Variant, source: Source, *, models: int) -> Predictions:
    """What every model of a pool predicts of the test set, shape (m, t).

    Args:
        folder: Of the pool.
        variant: The labels that it is of.
        source: Whose test set it must be.
        models: Of the pool.

    Raises:
        BadUsage: The source has no test set.
        BadData: A file is missing, damaged, or not that of the block beside it.
        Mismatch: It is of another test set.
    """
    digest = digest_of_tests(source)
    parts = []
    for number, count in blocks(models):
        block = block_path(folder, number, count)
        check_tested(tested_beside(block), digest, variant)
        parts.append(read_whole(block, variant))
    found: NDArray[Any] = np.concatenate(parts)
    t = 0 if source.test_labels is None else len(source.test_labels)
    if found.shape[1] != t:
        msg = f"{folder} holds predictions of {found.shape[1]} test samples, expected {t}; delete it to train the models again"
        raise BadData(msg)
    return found


def read_whole(block: Path, variant: Variant) -> Predictions:
    """What the models of a block predict of the test set, shape (b, t), seen to be theirs.

    Raises:
        BadData: The file is missing, damaged, or of other models.
    """
    predictions, record = read_tested(tested_beside(block), variant)
    digest = record.pop("test_sha256")
    if record != dict(read_block(block, variant).record) or not isinstance(digest, str):
        msg = f"{tested_beside(block)} is not of the models of {block.name}; delete both to train them again"
        raise BadData(msg)
    return predictions
