"""Blocks of a pool that are there already: recognised, mended, and the pace at which they were made. No torch here."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.ground.durability import rename_durably, temporary
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import read_record, write_json
from noisybench.ground.mending import take_away
from noisybench.ground.records import check_fields
from noisybench.memorization.pool import read_block, write_block
from noisybench.variants.variant import Variant

log = logging.getLogger("noisybench")


def mend_block(path: Path, variant: Variant) -> bool:
    """Whether a block that is there can be read; a damaged one is taken away and one line says so, to be trained again.

    One whose content is whole, as its checksums say, and whose other bytes are not, is written again.
    """
    try:
        block = read_block(path, variant)
    except Mismatch:
        raise
    except BadData:
        take_away(path, "its models are trained again")
        return False
    with temporary(path) as fresh:
        write_block(block, fresh)
        same_versions = block.record["setup"].get("versions", {}).get("numpy") == np.__version__
        if same_versions and fresh.read_bytes() != path.read_bytes():
            log.warning("%s is damaged where no model is: it is written again", path)
            rename_durably(fresh, path)
    return True


TOGETHER = "together"
"""Field of a pool's setup: how many models ``torch.func`` trained at a time; not there where each was trained by itself."""


def kept_together(folder: Path, variant: Variant) -> int | None:
    """How many models at a time made the blocks of a folder, as the first that can be read says; None where none can."""
    for path in sorted(folder.glob("block-*.npz")):
        try:
            count = read_block(path, variant).record["setup"].get(TOGETHER, 1)
        except (BadData, Mismatch):  # told when the blocks are looked at
            continue
        return count if isinstance(count, int) and count > 0 else 1
    return None


GUARDS_OF_TRAINING = ("versions", "device")
"""Fields of a pool's setup that decide last bits: they matter where some models are still to be trained, and only there."""


def first_readable(paths: Iterable[Path], variant: Variant) -> Path | None:
    """The first block that is there and whole; None where none is."""
    for path in paths:
        if not path.is_file():
            continue
        try:
            read_block(path, variant)
        except Mismatch:
            raise
        except BadData:  # told by whoever makes that block
            continue
        return path
    return None


def check_block(path: Path, record: Mapping[str, Any], variant: Variant, *, ignore: Sequence[str]) -> None:
    """Raise ``BadData`` unless a block that is there is the one that the record describes, but for some of its setup."""
    found, wanted = dict(read_block(path, variant).record), dict(record)
    setup, ours = found.pop("setup"), wanted.pop("setup")
    differs = [(name, found.get(name), value) for name, value in wanted.items() if found.get(name) != value]
    differs += [
        (name, setup.get(name), value)
        for name, value in ours.items()
        if setup.get(name) != value and name not in ignore
    ]
    if differs:
        name, there, here = differs[-1]
        msg = (
            f"{path} holds models with {name} = {there}, now it is {here}; "
            f"give another --out, or delete {path.parent} to train them again"
        )
        raise BadData(msg)


def pace(folder: Path, trained: int, seconds: float) -> float:
    """Models per second over every call that trained some in this folder; kept apart from what bytes are compared of."""
    path = folder / "timing.json"
    total: dict[str, Any] = {"models": 0, "seconds": 0.0}
    try:
        found = read_record(path)
        check_fields(found, {"models": int, "seconds": float}, path)
        total = found
    except BadData:  # lost or damaged: no result depends on it
        if path.is_file():
            take_away(path, "nobody knows any more what these models took")
    if trained:
        total = {"models": total["models"] + trained, "seconds": total["seconds"] + seconds}
        write_json(total, path, sync=False)
    return total["models"] / total["seconds"] if total["models"] else float("nan")
