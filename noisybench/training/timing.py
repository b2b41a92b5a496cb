"""What a run took: the one file of a run that is no part of any comparison of bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noisybench.ground.errors import BadData
from noisybench.ground.files import read_record, write_json
from noisybench.ground.records import check_fields

TIMING = "timing.json"
"""Name of the file that says what a run took."""


def write_purposes(purposes: Mapping[str, float], folder: Path) -> None:
    """Write what was spent so far; the one file of a run that is no part of any comparison of bytes.

    A run that is trained again for a further probe keeps what its first training took until it has taken more.
    """
    before = spent_before(folder)
    most = {name: max(before.get(name, 0.0), purposes.get(name, 0.0)) for name in sorted({*before, *purposes})}
    write_json({**read_timing(folder), "purposes": most}, folder / TIMING, sync=False)


def spent_before(folder: Path) -> dict[str, float]:
    """Seconds by purpose of the training so far; nothing where their file was lost."""
    return dict(read_timing(folder).get("purposes", {}))


def read_timing(folder: Path) -> dict[str, Any]:
    """What a run took so far; empty where the file was lost, or is damaged: no result depends on it."""
    path = folder / TIMING
    kinds = {"purposes": Mapping[str, float], "detectors": Mapping[str, Mapping[str, float | int | None]]}
    try:
        record = read_record(path)
        check_fields(record, {name: kind for name, kind in kinds.items() if name in record}, path)
    except BadData:
        return {}
    return record
