"""Blocks of one pool that several machines made: each once, and all made alike. No torch here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisybench.ground.claims import check_own_file
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import BLOCK, BLOCK_NAME, block_path, learner_of_record, read_block
from noisybench.variants.variant import Variant

TESTED = re.compile(r"tested-([0-9]{4,9}(?:-of-[0-9]{1,2})?\.npz)")
"""Files beside blocks: what the same models predict of the test set."""
OTHER = "delete one of the two, or merge into another --out"


@dataclass(frozen=True, slots=True)
class BlockUnion:
    """The blocks of one pool.

    Attributes:
        files: Name of a block → its file; also of what its models predict of the test set, where that was kept.
        record: What decides the models, as the first of the blocks says it; empty where there is no block.
        learner: Whose models they are; None where there is no block.
        models: Number after the last model that there is.
        missing: Names of blocks before it that are not there.
    """

    files: Mapping[str, Path]
    record: Mapping[str, Any]
    learner: Learner | None
    models: int
    missing: tuple[str, ...]

    @property
    def is_tested(self) -> bool:
        """Whether the models of every block were asked about the test set."""
        blocks = [name for name in self.files if name.startswith("block-")]
        return 2 * len(blocks) == len(self.files) > 0


def unite_blocks(folders: Sequence[Path], variant: Variant) -> BlockUnion:
    """The blocks of one pool, which lie in several folders.

    Args:
        folders: Of the pool; of blocks that are the same file in several, the first is taken.
        variant: The labels that they must be of.

    Raises:
        BadData: Two files of one block differ, two blocks were made differently, or one is damaged.
        Mismatch: A block is of another variant.
    """
    files: dict[str, Path] = {}
    first: tuple[Path, dict[str, Any]] | None = None
    for path in _blocks_in(folders):
        check_own_file(path)
        if path.name in files:
            _check_same_file(files[path.name], path)
            continue
        record = _record(path, variant)
        if first is None:
            first = path, record
        _check_alike(*first, path, record)
        files[path.name] = path
    sizes = [_place(name) for name in files]
    files |= _tested_in(folders, files)
    models = max((number * BLOCK + size for number, size in sizes), default=0)
    whole = {number for number, size in sizes if size == BLOCK}
    missing = [number for number in range(models // BLOCK) if number not in whole]
    return BlockUnion(
        files=dict(sorted(files.items())),
        record={} if first is None else first[1],
        learner=None if first is None else learner_of_record(first[1], first[0]),
        models=models,
        missing=tuple(block_path(Path(), number).name for number in missing),
    )


def _blocks_in(folders: Sequence[Path]) -> Iterable[Path]:
    for folder in folders:
        yield from sorted(path for path in folder.glob("block-*.npz") if BLOCK_NAME.fullmatch(path.name))


def _tested_in(folders: Sequence[Path], blocks: Mapping[str, Path]) -> dict[str, Path]:
    """What the models of some blocks predict of the test set: name → file."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("tested-*.npz")):
            name = TESTED.fullmatch(path.name)
            if name is None or f"block-{name[1]}" not in blocks:
                continue
            check_own_file(path)
            if path.name in found:
                _check_same_file(found[path.name], path)
            else:
                found[path.name] = path
    return found


def _place(name: str) -> tuple[int, int]:
    """Number and size of a block, by the name of its file."""
    found = BLOCK_NAME.fullmatch(name)
    return (int(found[1]), int(found[2] or BLOCK)) if found else (0, 0)


def _record(path: Path, variant: Variant) -> dict[str, Any]:
    """What decides the models of a block, flat; it must be the block that the name of its file says."""
    record = dict(read_block(path, variant).record)
    number, size = _place(path.name)
    told = record.pop("first"), record.pop("models")
    if told != (number * BLOCK, size):
        msg = f"{path} holds {told[1]} models from {told[0]} on, which its name does not say; delete it, or name it so"
        raise BadData(msg)
    return record


def _check_same_file(one: Path, other: Path) -> None:
    if file_digest(one) != file_digest(other):
        msg = (
            f"{one} and {other} are the same models and have other bytes: machines or versions that differ give other last "
            f"bits, and a pool is of one kind; {OTHER}"
        )
        raise BadData(msg)


def _check_alike(one: Path, wanted: Mapping[str, Any], other: Path, found: Mapping[str, Any]) -> None:
    """Raise ``BadData`` where two blocks were made differently, by the first field that says so."""
    ours, theirs = _flat(wanted), _flat(found)
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            msg = (
                f"{one} has {name} = {str(ours.get(name))[:60]}, {other} has {str(theirs.get(name))[:60]}: blocks of one pool "
                f"are made alike; {OTHER}"
            )
            raise BadData(msg)


def _flat(record: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Field → value, those of the setup and of its versions by names such as ``setup.versions.numpy``."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found
