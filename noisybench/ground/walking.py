"""Walking: what lies below a folder, through links to other folders too, each once."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple


class Found(NamedTuple):
    """What a walk found.

    Attributes:
        paths: Files and folders of the names that were looked for, sorted; where they were reached, not where links point.
        left_out: A sentence for everything that could not be looked into.
    """

    paths: list[Path]
    left_out: list[str]


def reached(folder: Path) -> Path:
    """A folder as an absolute path that keeps its links: what lies beside a linked folder is beside the link."""
    return folder.resolve() if ".." in folder.parts else folder.absolute()


def find_below(folder: Path, names: Collection[str]) -> Found:
    """Files and folders of some names below a folder.

    Links to folders are followed after all folders that are there themselves, and each folder is looked into once, so
    that loops end and what is there twice is found where it is no link.

    Args:
        folder: Where to begin.
        names: The names that are looked for.
    """
    paths: list[Path] = []
    left_out: list[str] = []
    links: list[str] = []
    waiting, seen = [str(folder)], {_identity(str(folder))}
    while waiting or links:
        here = waiting.pop() if waiting else links.pop(0)
        for entry in _entries(here, left_out):
            if entry.name in names:
                paths.append(Path(entry.path))
            if not entry.is_symlink():
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    seen.add(_identity(entry.path))
            elif os.path.isdir(entry.path):  # noqa: PTH112 - a link that is broken in any way is none
                links.append(entry.path)
            elif not os.path.exists(entry.path):  # noqa: PTH110 - as above
                left_out.append(f"{entry.path} is a link that leads nowhere")
        if not waiting:
            while links and _identity(links[0]) in seen:
                links.pop(0)
            seen |= {_identity(link) for link in links[:1]}
    return Found(sorted(paths), left_out)


def _entries(folder: str, left_out: list[str]) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing where it cannot be looked into, which is added to ``left_out``."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        left_out.append(f"{folder} cannot be looked into: {error.strerror}")
        return []


def _identity(path: str) -> tuple[int, int]:
    """What tells one folder from another, whatever it is called."""
    try:
        found = os.stat(path)  # noqa: PTH116 - twice as fast as a Path's
    except OSError:
        return -1, hash(path)
    return found.st_dev, found.st_ino
