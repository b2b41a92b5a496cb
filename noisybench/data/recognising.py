"""Which source reads what a user names: a source, a file, a folder or a data set of the hub.

Only names, first bytes and the columns of a Parquet file are looked at. What is ambiguous is refused, in one sentence
that says what was found.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from noisybench.data.splits import split_role
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.lookup import find, names
from noisybench.ground.packing import ENDINGS as PACKED
from noisybench.ground.packing import ending_of

OWN = ("npz", "table", "huggingface", "folder")
"""Sources of the user's own data, of files in this order: the first that reads such an ending."""
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".jp2", ".avif")
METADATA = ("metadata.csv", "metadata.parquet", "metadata.jsonl")
"""Tables that name image files in the column ``file_name``, as ``datasets`` knows them."""
_HUB = re.compile(r"(?:https?://huggingface\.co/datasets/|hf://datasets/)?([\w.-]+/[\w.-]+)/?", re.ASCII)
_ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".zst", *PACKED)
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib")
_DEPTH = 4  # folders below one another that are looked into
_SHOWN = 4  # names in a message


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was meant, and which source reads it.

    Attributes:
        source: Name of the source.
        data: Where its files are; None where it needs none.
        options: Options of the source that follow from what was found.
        note: What it was taken for and why, in a sentence; empty for the name of a source.
    """

    source: str
    data: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def arguments(self) -> tuple[str, ...]:
        """The same in full: the source's name, ``--data`` and ``--source-set``."""
        data = () if self.data is None else ("--data", str(self.data))
        return (self.source, *data, *(f"--source-set={key}={value}" for key, value in self.options.items()))


def recognise_source(what: str | Path) -> Recognised:
    """The source that reads ``what``.

    Args:
        what: Name of a source, which goes before a file or folder of that name, or ``package.module:Class``; a file; a
            folder of class folders, of tables or of what ``datasets`` saved; ``owner/name`` on the hub.

    Raises:
        UnknownName: There is nothing of that name.
        BadData: Something is there, and no source reads it, or several could.
    """
    text = str(what)
    there = _is_there(text)
    if isinstance(what, str) and text in names("sources"):
        note = f"'{text}' is taken for the source of that name, not for what is here; .{os.sep}{text} names that"
        return Recognised(text, note=note if there else "")
    if there:
        path = Path(text).expanduser()
        return _folder(path) if path.is_dir() else _file(path)
    hub = _HUB.fullmatch(text)
    if hub and isinstance(what, str) and not _meant_as_path(text):
        note = f"{hub[1]} is no file or folder here and taken for a data set of the hub, read by source 'huggingface'"
        return Recognised("huggingface", options={"id": hub[1]}, note=note)
    if isinstance(what, str) and ":" in text and "/" not in text:
        return Recognised(text)  # package.module:Class
    raise UnknownName(_nothing_there(text))


def _is_there(text: str) -> bool:
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # no such name can be, or no such home
        return False


def _meant_as_path(text: str) -> bool:
    """Whether a name that looks like one of the hub is rather that of a file that is not there."""
    owner, _, name = text.partition("/")
    return owner in (".", "..", "~") or _is_there(owner) or ending_of(name) in (*_endings(), *_ARCHIVES, *IMAGES)


def _nothing_there(text: str) -> str:
    """The sentence for a name of nothing, with the nearest that is something."""
    if re.match(r"[a-z0-9+]+://", text):
        return f"'{text}' is an address; download what is there and give its path"
    if "/" in text or os.sep in text or os.path.splitext(text)[1]:  # noqa: PTH122 - of any text
        folder, name = os.path.split(text.rstrip("/"))
        near = get_close_matches(name, _names_in(folder or "."), n=1)
        hint = f"did you mean '{os.path.join(folder, near[0])}'?" if near else "give the path of what is there"  # noqa: PTH118
        return f"there is no file or folder '{text}'; {hint}"
    near = get_close_matches(text, names("sources"), n=1)
    if near:
        return f"no source is called '{text}'; did you mean '{near[0]}'?"
    near = get_close_matches(text, _names_in("."), n=1)
    others = "'noisybench list sources' shows the sources, and a data set of the hub is OWNER/NAME"
    hint = f"did you mean '{near[0]}'?" if near else others
    return f"no source, file or folder is called '{text}'; {hint}"


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names alone
    except OSError:
        return []


# --- files -------------------------------------------------------------------------------------------------------------


def _endings(source: str | None = None) -> tuple[str, ...]:
    """Endings of the files that a source reads, or any of them."""
    if source is not None:
        return tuple(getattr(find("sources", source), "endings", ()))
    return tuple(ending for source in OWN for ending in _endings(source))


def _file(path: Path) -> Recognised:
    """The source that reads a file."""
    ending = ending_of(path.name)
    if ending == ".parquet":
        source, why = _of_parquet(path)
        return Recognised(source, path, note=f"{path} is a Parquet file {why}, read by source '{source}'")
    for source in OWN:
        if ending in _endings(source):
            return Recognised(source, path, note=f"{path} ends in {ending} and is read by source '{source}'")
    if ending in _ARCHIVES:
        found, mend = "an archive", "unpack it"
    elif ending in IMAGES:
        found, mend = "one image", "give the folder that holds a folder of images for each class"
    elif ending == ".npy":
        found, mend = "one array", "put inputs and labels into one .npz: numpy.savez('mine.npz', inputs=…, labels=…)"
    elif ending in _PICKLES:
        found = "a file of Python objects, which are never unpickled"
        mend = "save its arrays: numpy.savez('mine.npz', inputs=…, labels=…)"
    else:
        found = f"a file {f'ending in {ending}' if ending else 'without an ending'}, which no source reads"
        mend = _other_ending(path)
    msg = f"{path} is {found}; {mend}"
    raise BadData(msg)


def _other_ending(path: Path) -> str:
    """What to do with a file of an unknown ending, by its first bytes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        return f"and it cannot be read: {error.strerror}"
    expected = ", ".join(dict.fromkeys(_endings()))
    if head.startswith(b"PAR1"):
        return "by its first bytes it is a Parquet file: give it the ending .parquet"
    if head and b"\0" not in head:
        return "if it is a table, a row for each sample, give it the ending .csv"
    return f"expected one of {expected}"


def _of_parquet(path: Path) -> tuple[str, str]:
    """The source that reads a Parquet file: ``huggingface`` where a column holds more than one value a row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):  # which the source says better
        return "table", "by its name"
    if b"huggingface" in (schema.metadata or {}):
        return "huggingface", "that the package datasets wrote"
    nested = [column.name for column in schema if pa.types.is_nested(column.type)]
    return ("huggingface", f"with lists or images in column '{nested[0]}'") if nested else ("table", "of plain columns")


# --- folders -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Folder:
    """What is in a folder, by name.

    Attributes:
        path: Where it is.
        files: All of them.
        folders: All of them.
        tables: Files of rows, ``arrays``: of arrays, ``images``: of one image each.
        pictured: Folders with images in or below them.
    """

    path: Path
    files: Sequence[str]
    folders: Sequence[str]
    tables: Sequence[str]
    arrays: Sequence[str]
    images: Sequence[str]
    pictured: Sequence[str]

    def refusal(self, found: str, mend: str) -> BadData:
        """The error that says what was found."""
        return BadData(f"{self.path} {found}; {mend}")

    def read_by(self, source: str, why: str) -> Recognised:
        """The whole folder, read by a source."""
        return Recognised(source, self.path, note=f"{self.path} {why}, read by source '{source}'")


def _folder(path: Path) -> Recognised:
    """The source that reads a folder."""
    files, folders = _listing(path)
    tabular, arrays = (*_endings("table"), *_endings("huggingface")), _endings("npz")
    seen = _Folder(
        path,
        files,
        folders,
        tables=[name for name in files if ending_of(name) in tabular],
        arrays=[name for name in files if ending_of(name) in arrays],
        images=[name for name in files if ending_of(name) in IMAGES],
        pictured=[name for name in folders if _holds(path / name, IMAGES)],
    )
    if "variant.json" in files:
        msg = f"{path} is a variant, which is built already; 'noisybench evaluate {path}' trains on it, and --corrections FILE corrects its labels"
        raise BadUsage(msg)
    if {"dataset_dict.json", "state.json"} & {*files}:
        return seen.read_by("huggingface", "is a data set that save_to_disk wrote")
    found = _described(seen) or _classed(seen) or _tables(seen) or _arrays(seen)
    if found is not None:
        return found
    if seen.images or seen.pictured:
        where = "directly" if seen.images else f"in one folder, '{seen.pictured[0]}',"
        what = f"holds images {where} and nothing that says their classes"
        mend = "put those of each class into a folder of its name, or beside them a metadata.csv with columns file_name and label"
        raise seen.refusal(what, mend)
    if _holds(path, tabular):
        return seen.read_by("huggingface", "is a folder of data files")
    what = f"holds {_shown([*folders, *files])}, and neither images nor tables" if files or folders else "is empty"
    raise seen.refusal(what, "expected a folder of images for each class, tables, or what datasets saved")


def _described(seen: _Folder) -> Recognised | None:
    """Images that a metadata file beside them describes."""
    metadata = [name for name in METADATA if name in seen.files]
    if metadata and (seen.pictured or seen.images):
        found = _file(seen.path / metadata[0])
        return replace(found, note=f"{seen.path} holds images and a table of them; {found.note}")
    if any((seen.path / name / table).is_file() for name in seen.pictured for table in METADATA):
        return seen.read_by("huggingface", "holds images and a metadata file of each part")
    return None


def _classed(seen: _Folder) -> Recognised | None:
    """Class folders, of one or several parts; a table beside them could say the classes too."""
    deep = any(_listing(seen.path / name)[1] for name in seen.pictured)
    if not seen.tables:
        several = len(seen.pictured) > 1 or deep or any(map(split_role, seen.pictured))
        return seen.read_by("folder", "is a folder of class folders") if seen.pictured and several else None
    if deep or (len(seen.pictured) > 1 and not all(map(split_role, seen.pictured))):
        what = (
            f"holds folders of images ({_shown(seen.pictured)}) and tables ({_shown(seen.tables)}), so it is not clear "
            f"which of them say the classes"
        )
        mend = f"say 'noisybench build {seen.path / seen.tables[0]}', or 'noisybench build folder --data {seen.path}'"
        raise seen.refusal(what, mend)
    return None


def _tables(seen: _Folder) -> Recognised | None:
    """One table, one of training samples with one of test samples, or the files of one data set."""
    tables = seen.tables
    if not tables:
        return None
    by_role = {role: [name for name in tables if _role(name) == role] for role in ("train", "test")}
    train = tables if len(tables) == 1 else by_role["train"]
    found = _file(seen.path / train[0]) if len(train) == 1 else None
    if found is not None and (found.source == "table" or len(tables) == 1):
        head = _head(seen.path / train[0])
        tests = [name for name in by_role["test"] if name not in train and _head(seen.path / name) == head][:1]
        unread = [name for name in tables if name not in (*train, *tests)]
        told = [found.note, *(f"{name}, of the same columns, is the test set" for name in tests)]
        told += [f"not read: {_shown(unread)}"] if unread else []
        return replace(found, options={**found.options, **({"test": tests[0]} if tests else {})}, note="; ".join(told))
    files = [ending_of(name) for name in tables]
    whole = {*files} <= {".parquet", ".arrow"} or (all(map(_role, tables)) and {*files} <= {*_endings("huggingface")})
    if whole:
        return seen.read_by("huggingface", f"is a folder of data files ({_shown(tables)})")
    what = f"holds {len(tables)} tables ({_shown(tables)})"
    raise seen.refusal(what, f"name one: noisybench build {seen.path / tables[0]}")


def _arrays(seen: _Folder) -> Recognised | None:
    """One file of arrays."""
    if not seen.arrays:
        return None
    if len(seen.arrays) > 1 or seen.images or seen.pictured:
        found = f"holds {_shown([*seen.arrays, *seen.pictured, *seen.images])}"
        raise seen.refusal(found, f"name the file: noisybench build {seen.path / seen.arrays[0]}")
    return _file(seen.path / seen.arrays[0])


def _role(name: str) -> str | None:
    return split_role(name.partition(".")[0])


def _head(path: Path) -> bytes:
    """The first line of a file, where its columns are named; the columns of a Parquet file."""
    try:
        if ending_of(path.name) == ".parquet":
            import pyarrow.parquet as pq

            return "\n".join(pq.read_schema(path).names).encode()
        with path.open("rb") as stream:
            return stream.readline(1 << 16).strip()
    except (OSError, ValueError) as error:  # Arrow's errors are one or the other
        return str(error).encode()


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, sorted, without what systems leave behind."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if not entry.name.startswith((".", "__MACOSX")):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError as error:
        msg = f"{folder} cannot be read: {error.strerror}"
        raise BadData(msg) from None
    return sorted(files), sorted(folders)


def _holds(folder: Path, endings: Sequence[str]) -> bool:
    """Whether a file with one of these endings is in a folder or a few folders below it; stops at the first."""
    return any(ending_of(name) in endings for name in _names_below(folder))


def _names_below(folder: Path) -> Iterator[str]:
    depth = len(folder.parts)
    for place, folders, files in os.walk(folder):
        deep = len(Path(place).parts) - depth >= _DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        yield from (name for name in files if not name.startswith("."))


def _shown(some: Sequence[str]) -> str:
    """Some of several names."""
    return ", ".join(some[:_SHOWN]) + (f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else "")
