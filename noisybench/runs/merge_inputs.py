"""What lies below the folders that are merged: variants beside runs, names, runs, measurements, features.

Files and folders are taken that lie there themselves. A link may lead anywhere on a machine that a stranger's folder knows
nothing of, so none is followed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from noisybench.ground.claims import check_own_file
from noisybench.ground.durability import is_temporary
from noisybench.ground.errors import BadData
from noisybench.ground.walking import reached
from noisybench.memorization.pool import BLOCK_NAME
from noisybench.runs.folder import LEFT_BY_A_RUN, RECORD
from noisybench.variants.sample_names import NAMES

PieceKind = Literal["variant", "names", "features", "run", "memorization"]
"""What is merged, in the order in which it is written: what counts on another comes after it."""

PICKLED = "checkpoint.pt"
"""Checkpoint of version 0.1.0, which is a pickle and takes no part in a merge."""
PARTS_OF_A_RUN = {RECORD, *LEFT_BY_A_RUN} - {PICKLED}
"""Files and folders of a run; what stands beside them is a cache, a lock or somebody's own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One folder or file that is merged.

    Attributes:
        kind: What it is.
        name: Where it stands in a folder of runs, as ``digits-symmetric-67dd218e/mlp-standard-51fd8c63/seed-0``.
        path: Where it was found.
    """

    kind: PieceKind
    name: str
    path: Path

    @property
    def home(self) -> str:
        """Name of the folder of all that is known of its labels."""
        return self.name.partition("/")[0]


def pieces_below(folder: Path, *, but: Path | None = None) -> tuple[list[Piece], list[str]]:
    """What is to be merged below a folder, and a sentence for each link, which is left out.

    Args:
        folder: Of runs, or any above some.
        but: A folder that is not looked into, resolved.

    Raises:
        BadData: A folder cannot be read.
    """
    found: list[Piece] = []
    left_out: list[str] = []
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        is_left = but is not None and here.resolve() == but
        if is_left or is_temporary(Path(here.name)):
            continue
        entries = _entries(here)
        names = {entry.name for entry in entries}
        piece = _piece(here, names)
        if piece is not None:
            found.append(piece)
            continue
        for entry in entries:
            path = here / entry.name
            if entry.is_symlink():
                left_out.append(f"{path} is a link, and none is followed; give the folder that it leads to")
            elif entry.is_dir():
                waiting.append(path)
            elif entry.name == NAMES and "variant" in names:
                found.append(Piece("names", f"{reached(here).name}/{NAMES}", path))
            elif path.suffix == ".npy" and not is_temporary(Path(entry.name)):
                inside = path.relative_to(folder).parts
                if "features" in inside[-3:-1]:  # or in a folder of it, for a number of threads
                    name = "/".join(inside[len(inside) - 1 - inside[::-1].index("features") :])
                    found.append(Piece("features", name, path))
    return sorted(found, key=lambda piece: piece.name), left_out


def _piece(folder: Path, names: set[str]) -> Piece | None:
    """The piece that a folder is, by its place and by the names in it; None where it is none."""
    here = reached(folder)  # whose name is told however it was said, as in '.'
    if RECORD in names and here.name.startswith("seed-"):
        return Piece("run", "/".join(here.parts[-3:]), folder)
    if here.name == "variant" and "variant.json" in names:
        return Piece("variant", "/".join(here.parts[-2:]), folder)
    blocks = "memorization.parquet" in names or any(BLOCK_NAME.fullmatch(name) for name in names)
    if here.parent.name == "memorization" and blocks:
        return Piece("memorization", "/".join(here.parts[-3:]), folder)
    return None


def files_of_run(folder: Path) -> dict[str, Path]:
    """Name in the run → file, of everything that a run leaves, in the order of the names.

    Raises:
        BadData: There is a link, or something else than a file.
    """
    found = {}
    for path in _files_below(folder):
        name = path.relative_to(folder).as_posix()
        first = name.partition("/")[0]
        if first in PARTS_OF_A_RUN or first.startswith("fraction-"):
            found[name] = path
    return dict(sorted(found.items()))


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder but temporary ones and locks, without following a link."""
    for entry in _entries(folder):
        path = folder / entry.name
        if is_temporary(Path(entry.name)) or entry.name == ".lock":
            continue
        check_own_file(path)
        if entry.is_dir():
            yield from _files_below(path)
        else:
            yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        msg = f"{folder} cannot be looked into: {error.strerror}; give folders that can be read"
        raise BadData(msg) from None
