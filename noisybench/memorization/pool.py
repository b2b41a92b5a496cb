"""Pools: what many models, each trained on a random subset of a variant, said of every sample, in blocks of 50.

No torch here: ``retraining`` trains the models; ``memorization`` and the detectors of held-out answers reduce them.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, read_only
from noisybench.ground.claims import LONGEST_TEXT, check_regular, claimed_arrays
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import NO_ARRAY, file_name, replacing
from noisybench.ground.records import check_fields
from noisybench.memorization.learner import Learner, learner_of_setup
from noisybench.variants.variant import Variant

Purpose = Literal["truth", "detector"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

BLOCK = 50
"""Models in one file: the unit of work that is distributed, and the most that a killed run loses in each process."""
BLOCK_NAME = re.compile(r"block-([0-9]{4,9})(?:-of-([0-9]{1,2}))?\.npz")
"""Names of files of blocks: the number, and how many models where they are fewer than ``BLOCK``; see ``block_path``."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What many subset models said of every sample.

    Attributes:
        included: Whether the model was trained on the sample, shape (m, n).
        predictions: Predicted class, shape (m, n), uint8 or, for more than 256 classes, uint16.
        margins: Logit of the given label minus the best other, shape (m, n), float16; of what scikit-learn fits the
            log-probabilities in their place.
        held_out: Mean softmax over the models that did not see the sample, shape (n, k), float32; NaN where all did. Of
            ridge regression, which has no softmax, its mean answers.
        groups: Number of the balanced group of each model, shape (m,), int64; plain random subsets are a group each.
        learner: What was trained, on subsets: memorization belongs to it.
        purpose: ``truth``, or ``detector``; never both, since no model may judge itself.
        seed: Decides, with the purpose, every subset and every model.
        variant_id: The labels that the models were trained on.
    """

    included: Bools
    predictions: NDArray[np.uint8] | NDArray[np.uint16]
    margins: NDArray[np.float16]
    held_out: NDArray[np.float32]
    groups: NDArray[np.int64]
    learner: Learner
    purpose: Purpose
    seed: int
    variant_id: str

    def __post_init__(self) -> None:
        for name in ("predictions", "margins"):
            if getattr(self, name).shape != self.included.shape:
                msg = f"'{name}' has shape {getattr(self, name).shape}, 'included' has {self.included.shape}"
                raise BadData(msg)
        if self.groups.shape != self.included.shape[:1] or self.held_out.shape[:1] != self.included.shape[1:]:
            msg = f"groups {self.groups.shape} and held_out {self.held_out.shape} do not fit {self.included.shape}"
            raise BadData(msg)

    def __repr__(self) -> str:
        m, n = self.included.shape
        size = f"{n} samples, {m} models for {self.purpose}, seed {self.seed}"
        return f"Pool({size}: {self.learner.name}; variant {self.variant_id[:8]})"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What up to ``BLOCK`` consecutive models of a pool left: one file.

    Attributes:
        included: Shape (b, n).
        predictions: Shape (b, n), uint8 or uint16.
        margins: Shape (b, n), float16.
        held_out: Sum of the softmax over the models that did not see the sample, shape (n, k), float32; of how many,
            ``included`` says.
        record: What decides the block: ``RECORD`` and more. JSON.
    """

    included: Bools
    predictions: NDArray[np.uint8] | NDArray[np.uint16]
    margins: NDArray[np.float16]
    held_out: NDArray[np.float32]
    record: Mapping[str, Any]


RECORD = {
    "variant_id": str,
    "learner": str,
    "purpose": Purpose,
    "seed": int,
    "first": int,  # number of the first model
    "models": int,
    "group_size": int,
    "setup": dict,
}
"""Fields that the record of every block has. ``setup`` is everything else that decides the models."""


def folder_of_pool(setup: Mapping[str, Any], *, purpose: Purpose, seed: int) -> str:
    """Name of the folder of a pool, from everything else that decides it: see ``SubsetPlan.setup``."""
    what = json.dumps({**setup, "purpose": purpose, "seed": seed}, sort_keys=True)
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    return f"{file_name(setup['model'])}-{setup['recipe']}-{file_name(setup['features'])}-{purpose}-{digest}"


def block_path(folder: Path, number: int, models: int = BLOCK) -> Path:
    """File of a block; a last one of fewer models has their number in its name.

    >>> block_path(Path("pool"), 7).as_posix(), block_path(Path("pool"), 7, 20).as_posix()
    ('pool/block-0007.npz', 'pool/block-0007-of-20.npz')
    """
    return folder / (f"block-{number:04d}.npz" if models == BLOCK else f"block-{number:04d}-of-{models}.npz")


def blocks(models: int) -> Iterator[tuple[int, int]]:
    """Number and size of every block of a pool.

    >>> list(blocks(120))
    [(0, 50), (1, 50), (2, 20)]
    """
    for first in range(0, models, BLOCK):
        yield first // BLOCK, min(BLOCK, models - first)


def write_block(block: Block, path: Path) -> None:
    """Write a block; the same block gives the same bytes."""
    with replacing(path) as part, part.open("wb") as stream:
        np.savez(
            stream,
            allow_pickle=False,
            record=np.array(json.dumps(block.record, sort_keys=True, ensure_ascii=False)),
            included=np.packbits(block.included, axis=1),
            predictions=block.predictions,
            margins=block.margins,
            held_out=block.held_out,
        )


def read_block(path: Path, variant: Variant) -> Block:
    """Read what ``write_block`` wrote, never unpickling.

    Raises:
        BadData: The file is missing, damaged, or holds something else.
        Mismatch: It is of another variant.
    """
    mend = "delete it to train its models again"
    n, k = len(variant.labels), variant.num_classes
    check_regular(path)
    try:
        if path.is_file() and not is_zipfile(path):
            raise BadZipFile  # which NumPy would take for a pickle
        with path.open("rb") as stream:
            claimed = claimed_arrays(stream)
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                record = record_in(file, claimed["record"], path, mend)
                if record["variant_id"] != variant.provenance.variant_id:
                    msg = (
                        f"{path} is of variant '{record['variant_id'][:12]}', expected "
                        f"{variant.provenance.variant_id[:12]}; give another --out"
                    )
                    raise Mismatch(msg)
                _check_claims(path, claimed, record["models"], variant)
                arrays = {name: file[name] for name in ("included", "predictions", "margins", "held_out")}
    except BadData:
        raise
    except (*NO_ARRAY, AttributeError, RuntimeError) as error:
        pickled = "it holds Python objects, which are never unpickled" if "pickle" in str(error) else None
        reason = pickled or getattr(error, "strerror", None) or "it is damaged, or no block"
        msg = f"{path} cannot be read as a block of models: {reason}; {mend}"
        raise BadData(msg) from None
    finite = np.isfinite(arrays["margins"]).all() and np.isfinite(arrays["held_out"]).all()
    if not finite or arrays["predictions"].max(initial=0) >= k or record["group_size"] < 1:
        msg = f"{path} holds values that no model gives; {mend}"
        raise BadData(msg)
    included = np.unpackbits(arrays["included"], axis=1, count=n).astype(np.bool_)
    return Block(included, arrays["predictions"], arrays["margins"], arrays["held_out"], record)


Claim: TypeAlias = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and type that an array claims to have."""


def record_in(file: Mapping[str, Any], claim: Claim, path: Path, mend: str) -> dict[str, Any]:
    """The record in the file of a block, read once it is known to be one text of a moderate length."""
    shape, kind = claim
    if not kind.hasobject and (shape or kind.kind != "U" or kind.itemsize > LONGEST_TEXT):
        msg = f"{path}: its record is {kind} of shape {shape}, expected a text of up to {LONGEST_TEXT} bytes; {mend}"
        raise BadData(msg)
    record = json.loads(str(file["record"][()]))
    if not isinstance(record, dict):
        msg = f"{path}: its record is a {type(record).__name__}, expected a JSON object; {mend}"
        raise BadData(msg)
    check_fields(record, RECORD, path)
    return record


def _check_claims(path: Path, claimed: Mapping[str, Claim], b: int, variant: Variant) -> None:
    """Raise ``BadData`` unless the arrays of a block claim to be what b models leave of the variant's samples."""
    n, k, mend = len(variant.labels), variant.num_classes, "delete it to train its models again"
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {
        "included": ((b, -(-n // 8)), np.uint8),
        "predictions": ((b, n), class_type(k)),
        "margins": ((b, n), np.float16),
        "held_out": ((n, k), np.float32),
    }
    for name, (shape, kind) in wanted.items():
        if claimed[name] != (shape, np.dtype(kind)):
            found = f"{claimed[name][1]} of shape {claimed[name][0]}"
            msg = f"{path}: '{name}' is {found}, expected {np.dtype(kind)} of shape {shape}; {mend}"
            raise BadData(msg)
    if b > BLOCK:
        msg = f"{path} says that it holds {b} models, and no block more than {BLOCK}; {mend}"
        raise BadData(msg)


def read_pool(folder: Path, variant: Variant, *, models: int | None = None) -> Pool:
    """The pool that a folder of blocks holds.

    Args:
        folder: Of one pool.
        variant: The labels that it must be of.
        models: As many as ``retrain`` was asked for; None takes every block.

    Raises:
        BadUsage: Less than one model.
        BadData: A block is missing, damaged, or was made differently from the first.
        Mismatch: A block is of another variant.
    """
    if models is not None and models < 1:
        msg = f"models must be at least 1, got {models}"
        raise BadUsage(msg)
    if models is None:
        paths = _block_paths(folder)
    else:
        there = sum(1 for _ in folder.glob("block-*.npz"))
        if models > BLOCK * there:  # before as many names are listed: the number may be a stranger's
            lacks = block_path(folder, there, min(BLOCK, models - there * BLOCK))
            msg = f"{folder} lacks {lacks.name} of {models} models; say the same command again to train its models"
            raise BadData(msg)
        paths = [block_path(folder, *block) for block in blocks(models)]
    parts: list[Block] = []
    for path in paths:
        part = read_block(path, variant)
        record = dict(part.record)
        expected = {**(parts[0].record if parts else record), "first": sum(len(p.included) for p in parts)}
        expected["models"] = BLOCK if path != paths[-1] else record["models"]
        differs = [name for name in expected if record.get(name) != expected[name]]
        if differs or not 1 <= record["models"] <= BLOCK:
            name = differs[0] if differs else "models"
            msg = (
                f"{path} has {name} = {record.get(name)}, expected {expected[name]}; a pool's blocks follow each other and "
                f"are made alike: delete it to train its models again"
            )
            raise BadData(msg)
        parts.append(part)
    record = dict(parts[0].record)
    included = np.concatenate([part.included for part in parts])
    held_out = np.sum([part.held_out for part in parts], axis=0, dtype=np.float64)
    left_out = (~included).sum(0)
    with np.errstate(invalid="ignore"):
        means = (held_out / left_out[:, None]).astype(np.float32)  # 0 / 0 is the NaN that is meant
    return Pool(
        included=read_only(included),
        predictions=read_only(np.concatenate([part.predictions for part in parts])),
        margins=read_only(np.concatenate([part.margins for part in parts])),
        held_out=read_only(means),
        groups=read_only(np.arange(len(included), dtype=np.int64) // record["group_size"]),
        learner=learner_of_record(record, paths[0]),
        purpose=record["purpose"],
        seed=record["seed"],
        variant_id=record["variant_id"],
    )


def learner_of_record(record: Mapping[str, Any], path: Path) -> Learner:
    """Whose models a block holds, by the fields of the setup in its record.

    Raises:
        BadData: They do not say.
    """
    try:
        return learner_of_setup(record["setup"])
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path} does not say in its setup what was trained ({error}); delete it to train its models again"
        raise BadData(msg) from None


def _block_paths(folder: Path) -> list[Path]:
    """Every whole block, and the largest of those that go on after them with fewer models.

    Raises:
        BadData: There is none, or one is missing in between.
    """
    found: dict[int, list[tuple[int, Path]]] = {}
    for path in folder.glob("block-*.npz"):
        name = BLOCK_NAME.fullmatch(path.name)
        if name:
            found.setdefault(int(name[1]), []).append((int(name[2] or BLOCK), path))
    if not found:
        msg = f"{folder} holds no pool of models; 'noisybench memorize' trains one"
        raise BadData(msg)
    missing = sorted(set(range(max(found))) - {number for number, of in found.items() if max(of)[0] == BLOCK})
    if missing:
        msg = f"{folder} lacks {block_path(folder, missing[0]).name}; say the same command again to train its models"
        raise BadData(msg)
    return [max(found[number])[1] for number in sorted(found)]


def class_type(num_classes: int) -> type[np.uint8 | np.uint16]:
    """The smallest type that holds every class."""
    return np.uint8 if num_classes <= 256 else np.uint16  # noqa: PLR2004 - what a byte holds
