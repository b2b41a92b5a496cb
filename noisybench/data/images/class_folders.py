"""What is in a folder of class folders: which part is for training and which for testing, by any usual name."""

import os
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, NoReturn

from noisybench.data.splits import named_split, split_role
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, UnknownName

IGNORED = ("Thumbs.db", "desktop.ini", "__MACOSX")  # and what begins with a dot
HERE = "."
NONE = "none"
_SHOWN = 4  # names in a message


class Parts(NamedTuple):
    """Folders of training and of test samples, and what was chosen, a sentence each."""

    train: Path
    test: Path | None
    notes: tuple[str, ...]


def find_parts(data: Path, train: str | None, test: str | None) -> Parts:
    """The parts of a folder.

    Args:
        data: Folder of class folders, or of a training folder of them and others beside it.
        train: Name of the training folder, ``.`` for the folder itself; None finds it.
        test: Name of the test folder, ``none`` for no test set; None finds it beside a training folder.

    Raises:
        UnknownName: A name that is not there.
        BadData: It is no folder, or its parts cannot be told.
    """
    if not data.is_dir():
        msg = f"{data} is no folder; expected one with a folder of images for each class"
        raise BadData(msg)
    there = [entry.name for entry in children(data) if is_folder(entry)]
    parted = [name for name in there if split_role(name) is not None and _folders(data / name)]
    if train is None:
        trained = named_split(parted, "train")
        if trained is None:
            _check_classes(data, there, parted)
    else:
        trained = None if train == HERE else _named(train, there, data, "train")
    notes = [] if train is not None or trained in (None, "train") else [f"folder '{trained}' is the training set"]
    if test is not None:
        tested = None if test == NONE and NONE not in there else _named(test, there, data, "test")
    elif trained is None:
        tested = None
    else:
        tested, told = _test(data, [name for name in there if name != trained], parted)
        notes += told
        unread = [name for name in there if name not in (trained, tested)]
        notes += [f"not read, beside '{trained}': {_shown(unread)}"] if unread else []
    if trained is None and tested is not None:
        msg = f"{data}: test={tested} lies among the class folders; move these into a folder 'train' beside it"
        raise BadData(msg)
    return Parts(data / (trained or ""), None if tested is None else data / tested, tuple(notes))


def _named(name: str, there: Sequence[str], data: Path, option: str) -> str:
    if name not in there:
        msg = f"{option}: {unknown(name, tuple(there), f'folder in {data}')}"
        raise UnknownName(msg)
    return name


def _test(data: Path, there: Sequence[str], parted: Sequence[str]) -> tuple[str | None, list[str]]:
    """The test part, else the validation part, of those that are in class folders; and what is to be told."""
    notes = []
    flat = [name for name in there if split_role(name) == "test" and name not in parted]
    if flat:
        notes.append(f"{_shown(flat)} holds no class folders, so its images have no labels, and is left out")
    for role in ("test", "val"):
        found = [name for name in parted if name in there and split_role(name) == split_role(role)]
        tested = named_split(found, role)
        if tested is None and found:
            msg = f"{data} holds several folders of test samples: {_shown(found)}; say --source-set test=NAME, or test=none"
            raise BadData(msg)
        if tested is not None:
            if tested != "test":
                notes.append(f"folder '{tested}' is the test set; --source-set test=none says that there is none")
            return tested, notes
    return None, notes


def _check_classes(data: Path, there: Sequence[str], parted: Sequence[str]) -> None:
    """Raise ``BadData`` where the folders of a folder without a training part are parts or groups and no classes."""

    def refuse(found: str, mend: str) -> NoReturn:
        msg = f"{data} {found}; {mend}, or say --source-set train=. if these are the classes"
        raise BadData(msg)

    trains = [name for name in parted if split_role(name) == "train"]
    if trains:
        refuse(f"holds several folders of training samples, {_shown(trains)}", "say --source-set train=NAME")
    if there and all(map(split_role, there)):
        if parted:
            refuse(f"holds {_shown(there)}, and no training folder of class folders", "name that folder 'train'")
        refuse(
            f"holds {_shown(there)}, in which no folder says what the class of an image is",
            "put the images of each class into a folder of its name, or give a table of files and labels (source 'table')",
        )
    for name in parted:
        if set(_folders(data / name)) <= set(there):
            refuse(
                f"holds class folders and the folder '{name}' of the same classes",
                f"move {_shown([other for other in there if other not in parted])} into a folder 'train'",
            )
    below = {name: _folders(data / name) for name in there if not _any(data / name, lambda entry: not is_folder(entry))}
    if len(below) == len(there) and any(below.values()):
        within = _shown(list(dict.fromkeys(chain.from_iterable(below.values()))))
        refuse(
            f"holds {_shown(there)}, in which there are only folders again ({within})",
            f"give the folder of the classes, such as {data / there[0]}, or name its parts 'train' and 'test'",
        )


def children(folder: Path) -> list["os.DirEntry[str]"]:
    """What is in a folder and meant to be there, sorted by name.

    Raises:
        BadData: It cannot be read, or has a name that is no text.
    """
    try:
        with os.scandir(folder) as found:
            there = [entry for entry in found if _meant(entry.name)]
    except OSError as error:
        msg = f"{folder} cannot be read: {error.strerror}"
        raise BadData(msg) from None
    for entry in there:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            msg = f"{str(folder / entry.name)!a} is no name in UTF-8; rename it"
            raise BadData(msg) from None
    return sorted(there, key=lambda entry: entry.name)


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder.

    Raises:
        BadData: It cannot be told.
    """
    try:
        return entry.is_dir()
    except OSError as error:  # such as a link to a folder around it, followed until the system gives up
        msg = f"{entry.path} cannot be read: {error.strerror}"
        raise BadData(msg) from None


def _meant(name: str) -> bool:
    return not name.startswith(".") and name not in IGNORED


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in children(folder) if is_folder(entry)]


def _any(folder: Path, fits: Callable[["os.DirEntry[str]"], bool]) -> bool:
    """Whether anything in a folder fits; stops at the first, as there may be a million."""
    try:
        with os.scandir(folder) as found:
            return any(fits(entry) for entry in found if _meant(entry.name))
    except OSError as error:
        msg = f"{folder} cannot be read: {error.strerror}"
        raise BadData(msg) from None


def _shown(names: Sequence[str]) -> str:
    """Some of several names."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more
