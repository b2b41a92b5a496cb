"""Where a variant's source was found: remembered beside the variant, never hashed, and not published.

The one location that is published is that of an export, whose inputs lie beside its variant; see ``noisybench.cards.export``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.claims import check_regular
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import write_json
from noisybench.ground.lookup import find, names
from noisybench.ground.records import read_json_as
from noisybench.variants.variant import Variant, read_variant

LOCATION = "location.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """What ``location.json`` holds.

    Attributes:
        source: Name of a source other than the original, which has these inputs; None is the original.
        data: Where its files lie, absolute or from the variant's folder; None where it needs none.
        source_set: Its options as they were said.
    """

    source: str | None = None
    data: str | None
    source_set: Mapping[str, str]


def write_location(folder: Path, *, data: Path | None, source_set: Mapping[str, str]) -> None:
    """Remember, beside the variant in ``folder``, what its source was read with."""
    _write(Location(data=None if data is None else str(data.resolve()), source_set=source_set), folder)


def write_location_within(folder: Path, *, source: str, data: str, source_set: Mapping[str, str]) -> None:
    """Remember that the inputs lie at ``data``, relative to the variant's folder, for a source that is not the original."""
    _write(Location(source=source, data=data, source_set=source_set), folder)


def copy_location(origin: Path, folder: Path) -> None:
    """Remember, in ``folder``, what the variant in ``origin`` remembers of its source, wherever the two lie."""
    location = read_location(origin)
    if location is None:
        (folder / LOCATION).unlink(missing_ok=True)
    else:
        _write(location, folder)


def _write(location: Location, folder: Path) -> None:
    record = asdict(location)
    if location.source is None:
        del record["source"]
    write_json(record, folder / LOCATION)


def read_location(folder: Path) -> Location | None:
    """What was written, ``data`` as a path from here; None where nobody wrote.

    Raises:
        BadData: The file is damaged.
    """
    if not (folder / LOCATION).is_file():
        return None
    location = read_json_as(folder / LOCATION, Location, allow_unknown=True)
    return location if location.data is None else replace(location, data=str((folder / location.data).resolve()))


def location_of(folder: Path, data: Path | None = None) -> Location | None:
    """What a variant's folder remembers of its source, with the files at ``data`` where that is given.

    Raises:
        BadData: The file is damaged.
    """
    location = read_location(folder)
    if data is None:
        return location
    return Location(data=str(data), source_set={}) if location is None else replace(location, data=str(data))


def by_source(folders: Sequence[Path], data: Path | None) -> list[dict[Path, Variant]]:
    """The variants of some folders, those of one source together: its inputs are then read once.

    Raises:
        BadUsage: ``data`` is the folder of one source, and there are several.
        BadData: A folder is no variant.
    """
    groups: dict[tuple[str, str], dict[Path, Variant]] = {}
    for folder in folders:
        variant = read_variant(folder)
        location = read_location(folder)
        found = "" if location is None else json.dumps(asdict(location), sort_keys=True)
        groups.setdefault((variant.provenance.source_sha256, found), {})[folder] = variant
    if data is not None and len({source for source, _ in groups}) > 1:
        msg = f"--data {data} is the place of one source, and the variants are of {len(groups)}; evaluate them apart"
        raise BadUsage(msg)
    return list(groups.values())


def _moved(options: Mapping[str, str], paths: Sequence[str], data: Path, location: Location | None) -> dict[str, str]:
    """The options of a source whose files are now at ``data``: a file that goes with them may be beside it."""
    moved = dict(options)
    for key in paths:
        beside = data.parent / Path(re.sub(r" sha256:[0-9a-f]{64}$", "", options[key])).name
        with_data = location is None or location.data is not None  # else the option was the place that data is now
        if with_data and beside.is_file() and beside != data:
            moved[key] = str(beside)
        elif location is None or not with_data:
            del moved[key]
    return moved


def _holds_export(data: Path) -> bool:
    """Whether inputs lie at ``data`` as an export has them."""
    if re.fullmatch(r"train-\d{5}\.parquet", data.name):
        return True
    return any(next(place.glob("train-*.parquet"), None) is not None for place in (data, data / "data"))


def source_of(variant: Variant, folder: Path, data: Path | None = None, own: str | None = None) -> Source:
    """The source of a variant, from ``data`` or from where it was found when the variant was built.

    Args:
        variant: Whose source.
        folder: Where the variant lies.
        data: Where the source's files are now; None takes the path that is remembered.
        own: ``package.module:attribute`` of a source that is none of noisybench's. Only the user may name a module to
            import: a variant's folder may be a stranger's.

    Raises:
        BadData: The files are not there, or the source is none of noisybench's and ``own`` was not given.
    """
    provenance = variant.provenance
    location = read_location(folder)
    if location is not None and location.source is not None:
        elsewhere = data is not None and not _holds_export(data)
        location = None if elsewhere or own not in (None, location.source) else location  # None: the original is meant
    chosen = provenance.source_options if location is None else location.source_set
    options = {key: str(value) for key, value in chosen.items()}
    name = own or (location and location.source) or provenance.source
    if own is None and name not in names("sources"):
        msg = (
            f"the variant's source '{name}' is none of noisybench's; say --source package.module:attribute of your own"
        )
        raise BadData(msg)
    kinds = get_type_hints(find("sources", name))
    paths = [key for key in options if Path in (kinds.get(key), *get_args(kinds.get(key)))]
    if data is not None:
        options = _moved(options, paths, data, location)
    elif location is not None and location.data:
        data = Path(location.data)
    for path in [data] if data is not None else [Path(options[key]) for key in paths]:
        if not path.exists():
            msg = f"the files of '{provenance.source}' are not at {path}; say where they are with --data"
            raise BadData(msg)
        check_regular(path)  # a stranger may have written where they lie
    return load_source(name, data, limit=provenance.limit, **options)
