"""Finding a source, alteration, noise, features, a model, probe, detector or metric by name.

A name is that of a file in the drawer, of an entry point of another package (group ``noisybench.<drawer>``), or
``package.module:attribute`` of the user's own. Models and features may also be ``torchvision:NAME`` and ``timm:NAME``.
This module knows no wing; ``noisybench.items`` gives the same to users, with the type of each drawer's items.
"""

import ast
import sys
from collections.abc import Collection
from dataclasses import is_dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from os.path import isfile
from pathlib import Path
from tokenize import STRING, generate_tokens
from typing import Any, Literal, get_args

from noisybench.ground.checks import check_kind, unknown
from noisybench.ground.errors import BadData, BadUsage, MissingPackage, UnknownName

Drawer = Literal[
    "sources", "alterations", "noises", "features", "models", "objectives", "probes", "detectors", "metrics"
]  # fmt: skip
HOMES: dict[Drawer, str] = {
    "sources": "noisybench.data.sources",
    "alterations": "noisybench.data.alterations",
    "noises": "noisybench.noise.noises",
    "features": "noisybench.data.features",
    "models": "noisybench.training.models",
    "objectives": "noisybench.training.objectives",
    "probes": "noisybench.training.probes",
    "detectors": "noisybench.detection.detectors",
    "metrics": "noisybench.statistics.metrics",
}
"""The package of each drawer."""
PACKAGE = Path(__file__).parents[1]


def _check_drawer(drawer: object) -> None:
    """Raise ``UnknownName`` for what is no drawer."""
    if not isinstance(drawer, str) or drawer not in get_args(Drawer):
        raise UnknownName(unknown(str(drawer)[:60], get_args(Drawer), "list"))


def names(drawer: Drawer) -> tuple[str, ...]:
    """Every name in a drawer, sorted. Imports nothing.

    >>> "aum" in names("detectors")
    True
    """
    _check_drawer(drawer)
    files = {path.stem for path in folder_of(drawer).glob("[!_]*.py")}
    return tuple(sorted(files | {entry.name for entry in _items_of_others(drawer)}))


def _items_of_others(drawer: Drawer) -> Any:  # noqa: ANN401 - EntryPoints, of which typeshed knows an older kind
    """What other packages add to a drawer, by entry points of its group."""
    return _entry_points(tuple(sys.path)).select(group=f"noisybench.{drawer}")


@lru_cache(maxsize=1)  # each look reads a file of every installed package
def _entry_points(path: tuple[str, ...]) -> Any:  # noqa: ANN401, ARG001 - what is installed depends on it
    return entry_points()


@cache
def folder_of(drawer: Drawer) -> Path:
    """Where the files of a drawer are."""
    return PACKAGE.joinpath(*HOMES[drawer].split(".")[1:])


def is_ours(drawer: Drawer, name: str) -> bool:
    """Whether a name is that of one of noisybench's own files, and not of another package's item."""
    if not name.isidentifier() or name.startswith("_"):
        return False
    return isfile(folder_of(drawer) / f"{name}.py")  # noqa: PTH113 - False, too, for a name that is too long for one


def origin(drawer: Drawer, name: str) -> str:
    """Where an item that is none of noisybench's comes from: as the user names it, or package, version and place in it."""
    if ":" in name:
        return name
    entry = next(iter(_items_of_others(drawer).select(name=name)))
    return f"{entry.dist.name} {entry.dist.version} {entry.value}" if entry.dist else str(entry.value)


def summary(drawer: Drawer, name: str) -> str:
    """First line of a drawer file's docstring, read without importing it; empty for other packages' items."""
    if not is_ours(drawer, name):
        return ""
    with (folder_of(drawer) / f"{name}.py").open(encoding="utf-8") as file:
        first = next(generate_tokens(file.readline))  # not the whole file: ``list`` asks for a hundred
    return str(ast.literal_eval(first.string)).partition("\n")[0] if first.type == STRING else ""


def find(drawer: Drawer, name: str) -> Any:  # noqa: ANN401 - any drawer's item; noisybench.items has the types
    """What the item of that name gives: its ``SOURCE``, ``NOISE``, ``DETECTOR``, ``METRIC``, or as its drawer is called.

    Raises:
        UnknownName: Nothing of that name; the message names the nearest.
        MissingPackage: It needs a package that is not installed.
        BadData: The user's own module cannot be imported.
    """
    _check_drawer(drawer)
    check_kind(name, str, "name", f"names('{drawer}') lists them")
    if ":" in name:
        return _named_elsewhere(drawer, name)
    if is_ours(drawer, name):
        return getattr(import_module(f"{HOMES[drawer]}.{name}"), drawer.removesuffix("s").upper())
    if name not in names(drawer):
        raise UnknownName(_also_known(drawer, name) or unknown(name, names(drawer), drawer.removesuffix("s")))
    return next(iter(_items_of_others(drawer).select(name=name))).load()


def objectives_leaving(columns: Collection[str]) -> list[str]:
    """Names of noisybench's objectives whose trainings leave all of some columns; none where no column is asked for."""
    ours = [name for name in names("objectives") if columns and is_ours("objectives", name)]
    return [name for name in ours if {*columns} <= {*find("objectives", name).leaves}]


def _also_known(drawer: Drawer, name: str) -> str:
    """The message for a name under which an item of noisybench's was published too; empty where none was."""
    if drawer != "detectors":
        return ""
    for own in (own for own in names(drawer) if is_ours(drawer, own)):
        for alias in find(drawer, own).aliases:
            if letters_of(alias) == letters_of(name):
                return f"no detector is called '{name}': '{own}' is the same ranking, also known as {alias}; use {own}"
    return ""


def letters_of(name: str) -> str:
    """A name without what spellings differ in: ``Data-OOB`` and ``data_oob`` are one.

    >>> letters_of("Data-OOB")
    'dataoob'
    """
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _named_elsewhere(drawer: Drawer, name: str) -> Any:  # noqa: ANN401 - any drawer's item
    module, _, attribute = name.partition(":")
    if drawer == "models" and module in ("torchvision", "timm"):
        return import_module(f"{HOMES['models']}._{module}").build_named(attribute)
    if not module or module.startswith(".") or not attribute:
        msg = f"{drawer.removesuffix('s')} '{name}' is no package.module:attribute"
        raise BadUsage(msg)
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            msg = f"{drawer.removesuffix('s')} '{name}' needs the package '{error.name}': pip install {error.name}"
            raise MissingPackage(msg) from None
        msg = (
            f"there is no module '{module}' for {drawer.removesuffix('s')} '{name}'; run from the folder that holds it"
        )
        raise BadUsage(msg) from None
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises
        raise _broken(drawer, name, error) from error
    try:
        item = getattr(found, attribute)
    except AttributeError:
        msg = f"module '{module}' has no '{attribute}' for {drawer.removesuffix('s')} '{name}'"
        raise UnknownName(msg) from None
    except (Exception, SystemExit) as error:
        raise _broken(drawer, name, error) from error
    fits = {
        "sources": isinstance(item, type) and is_dataclass(item),
        "alterations": isinstance(item, type) and is_dataclass(item),
        "noises": isinstance(item, type) and is_dataclass(item) and hasattr(item, "found"),
        "features": isinstance(item, type) and is_dataclass(item),
        "models": callable(item),
        "objectives": isinstance(item, type) and is_dataclass(item) and hasattr(item, "loss"),
        "probes": callable(item) and all(hasattr(item, part) for part in ("name", "passes", "gradient")),
        "detectors": is_dataclass(item) and all(hasattr(item, part) for part in ("name", "needs", "score")),
        "metrics": is_dataclass(item) and all(hasattr(item, part) for part in ("compute", "compares", "bounds")),
    }
    if not fits[drawer]:
        page = {"metrics": "docs/metrics.md", "objectives": "docs/objectives.md"}.get(drawer, "README.md")
        msg = f"'{name}' is a {type(item).__name__}, which is no {drawer.removesuffix('s')}; {page} shows one"
        raise BadUsage(msg)
    return item


def _broken(drawer: Drawer, name: str, error: BaseException) -> BadData:
    """The error for a module of the user's own that raises one."""
    reason = f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
    return BadData(
        f"module '{name.partition(':')[0]}' of {drawer.removesuffix('s')} '{name}' cannot be imported: {reason}"
    )
