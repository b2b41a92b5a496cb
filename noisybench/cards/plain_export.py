"""Exporting a variant as plain files, for training without noisybench: images in class folders, or a csv with its labels."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path, PurePosixPath

import numpy as np

from noisybench.data.images.class_folders import IGNORED
from noisybench.data.inputs import IMAGE_DIMENSIONS, rows_of
from noisybench.data.source import Source
from noisybench.data.tables.layout import Layout, layout_of
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError
from noisybench.ground.files import read_json, replacing, replacing_folder
from noisybench.ground.packing import ending_of, open_unpacked
from noisybench.variants.location import Location
from noisybench.variants.variant import Variant, check_source

LISTING = ".noisybench-export"
"""File of an export in class folders: which variant it is of, and every file that was written, so that it may be replaced."""
ENDINGS = ("", ".csv", ".tsv", ".txt")
"""Of the names of a csv; any other would say that the file holds something else."""
LONGEST = 1 << 28
"""Characters of a cell of one's own table; Python's reader stops at 131,072, and texts are longer."""


def export_folders(
    variant: Variant,
    source: Source,
    folder: str | Path,
    *,
    location: Location | None = None,
    without_dropped: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Path:
    """Write the training images of a variant into a folder for each of its classes; the folder.

    Where the images are files, they are copied as they are and keep their names, below the folder of another class where
    their label is another; of two that would then have one name, the moved one has that of its old folder before its own.
    Others become PNG files that are called by their numbers. The test set stays where it is.

    Args:
        variant: The labels.
        source: Their inputs.
        folder: Where; an export that is there, and nothing else, is replaced.
        location: Where the files of the source are; None writes PNG files.
        without_dropped: Whether samples that a person dropped are left out.
        progress: Called after each image.

    Raises:
        Mismatch: The variant was made from another source.
        BadUsage: There are no images, a class can be no folder, or ``folder`` holds something else.
        BadData: An image cannot be read.
    """
    folder = Path(folder)
    check_source(source, variant)
    if source.inputs is None or source.inputs.ndim != IMAGE_DIMENSIONS:
        msg = f"class folders are of images, and source '{source.name}' has none; say --format csv"
        raise BadUsage(msg)
    odd = [name for name in variant.class_names if _no_folder(name)]
    if odd:
        msg = f"class '{odd[0]}' can be no folder that is read again ({len(odd)} such classes); say --format csv"
        raise BadUsage(msg)
    _check_replaceable(folder)
    root = image_root(location, source)
    chosen = _chosen(variant, without_dropped=without_dropped)
    places = _places(variant, source, chosen, kept_names=root is not None)
    with replacing_folder(folder) as part:
        for name in variant.class_names:
            (part / name).mkdir()
        for i, place in zip(chosen, places, strict=True):
            target = part / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if root is None or source.sample_names is None:
                _write_png(source, i, target)
            else:
                _copy(root / source.sample_names[i], target)
            progress()
        listing = {"variant_id": variant.variant_id, "files": sorted(places)}
        (part / LISTING).write_text(json.dumps(listing, ensure_ascii=False, indent=0), encoding="utf-8")
    return folder


def export_csv(
    variant: Variant,
    source: Source,
    path: str | Path,
    *,
    location: Location | None = None,
    with_given: bool = False,
    without_dropped: bool = False,
) -> Path:
    """Write the labels of a variant as a csv, a row a training sample; its path.

    Of a table of one's own, all columns are there as they were, with the labels of the variant in the place of its own; a
    label that did not change is written as it was. Else the columns are ``sample``, ``path`` of an image or ``name``,
    ``text`` where the inputs are texts, and ``label``.

    Args:
        variant: The labels.
        source: Their inputs.
        path: The file; what is there is replaced.
        location: Where the files of the source are; None does without its table.
        with_given: Whether the labels before any correction are a column too, named like that of the labels with
            ``_given`` behind.
        without_dropped: Whether samples that a person dropped are left out.

    Raises:
        Mismatch: The variant was made from another source.
        BadUsage: ``path`` is a folder, or has the ending of another kind of file.
        BadData: The table cannot be read, or has other rows than the variant.
    """
    path = Path(path)
    check_source(source, variant)
    if path.is_dir():
        msg = f"{path} is a folder; name a file, such as {path / 'labels.csv'}"
        raise BadUsage(msg)
    if path.suffix.lower() not in ENDINGS:
        msg = f"a csv is written, and {path} ends in '{path.suffix}'; name a file that ends in .csv or .tsv"
        raise BadUsage(msg)
    with _long_cells():
        text = _labelled(variant, source, location, path, with_given=with_given, without_dropped=without_dropped)
    with replacing(path) as part:
        part.write_bytes(text.encode("utf-8", "replace"))
    return path


def _labelled(
    variant: Variant, source: Source, location: Location | None, path: Path, *, with_given: bool, without_dropped: bool
) -> str:
    """What the csv at ``path`` is to hold."""
    table = _own_rows(variant, source, location)
    label, separator, header, rows = table if table is not None else _new_rows(variant, source)
    at = header.index(label)
    before = variant.labels if variant.corrections is None else variant.corrections.labels_before(variant.labels)
    names = variant.class_names
    chosen = set(_chosen(variant, without_dropped=without_dropped))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t" if ending_of(path) == ".tsv" else separator, lineterminator="\n")
    writer.writerow([*header, *([f"{label}_given"] if with_given else [])])
    count = 0
    for i, row in enumerate(rows):
        count += 1
        if i not in chosen:
            continue
        given = row[at] if before[i] == source.labels[i] and table is not None else names[before[i]]
        written = list(row)
        if variant.labels[i] != source.labels[i] or table is None:
            written[at] = names[variant.labels[i]]
        writer.writerow([*written, *([given] if with_given else [])])
    if count != len(variant.labels):
        msg = f"the table has {count} rows, and the variant {len(variant.labels)} samples; it was changed since, or has rows without"
        raise BadData(msg)
    return text.getvalue()


@contextmanager
def _long_cells() -> Iterator[None]:
    """Cells of any length are read meanwhile."""
    usual = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def _chosen(variant: Variant, *, without_dropped: bool) -> list[int]:
    """Numbers of the samples that are written."""
    kept = ~variant.dropped if without_dropped else np.ones(len(variant.labels), dtype=np.bool_)
    numbers: list[int] = np.flatnonzero(kept).tolist()
    return numbers


# Class folders


def image_root(location: Location | None, source: Source) -> Path | None:
    """The folder below which the names of samples are files: that of the source, a part of it, or one of its options."""
    names = source.sample_names
    if location is None or location.data is None or names is None or not len(names):
        return None
    data = Path(location.data)
    tried = [data, data.parent]
    said = [location.source_set.get(key) for key in ("train", "root")]
    tried += [place / name for place in (data, data.parent) for name in said if name]
    if data.is_dir():
        tried += sorted(place for place in data.iterdir() if place.is_dir())
    return next((place for place in tried if all((place / name).is_file() for name in names)), None)


def _no_folder(name: str) -> bool:
    """Whether a class of this name is none where it is a folder."""
    return not name.strip() or name.startswith(".") or name in IGNORED or bool({*name} & {"/", "\\", "\0", os.sep})


def _places(variant: Variant, source: Source, chosen: Sequence[int], *, kept_names: bool) -> list[str]:
    """Where each image goes, below the folder of the export; those that stay in their class come first to a name."""
    width = len(str(len(variant.labels)))
    names = source.sample_names if kept_names else None
    places: dict[int, str] = {}
    taken: set[str] = set()
    moved = [i for i in chosen if variant.labels[i] != source.labels[i]]
    for i in [*(i for i in chosen if variant.labels[i] == source.labels[i]), *moved]:
        name = PurePosixPath(f"{i:0{width}}.png" if names is None else names[i])
        home, *within = name.parts
        below = within and home == variant.class_names[source.labels[i]] and ".." not in within
        inner = PurePosixPath(*within) if below else PurePosixPath(name.name)
        joined = inner.with_name("-".join(part for part in name.parts if part not in ("/", "..")))
        numbered = (f"{inner.stem}-{number}{inner.suffix}" for number in range(2, 2 + len(chosen)))
        tried = chain([inner, joined], map(inner.with_name, numbered))
        label = variant.class_names[variant.labels[i]]
        place = next(place for one in tried if (place := f"{label}/{one}").casefold() not in taken)
        taken.add(place.casefold())  # as some systems tell names
        places[i] = place
    return [places[i] for i in chosen]


def _write_png(source: Source, sample: int, target: Path) -> None:
    from PIL import Image

    (image,) = np.asarray(rows_of(source.inputs, np.array([sample]))[:])
    Image.fromarray(image if image.shape[2] > 1 else image[..., 0]).save(target, "PNG")


def _copy(file: Path, target: Path) -> None:
    """Copy the content of a file, of a link that of what it leads to."""
    try:
        shutil.copyfile(file, target)
    except OSError as error:
        msg = f"{file} cannot be copied: {error.strerror}"
        raise BadData(msg) from None


def _check_replaceable(folder: Path) -> None:
    """Raise ``BadUsage`` unless there is nothing at a folder, or an export in class folders and nothing else."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        msg = f"{folder} is a file; name a folder for the export"
        raise BadUsage(msg)
    if os.path.realpath(folder) == os.path.realpath("."):
        msg = "an export takes the place of its folder, and this one is the working directory; name another folder"
        raise BadUsage(msg)
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()}
    known: set[str] = set()
    if LISTING in files:
        try:
            record = read_json(folder / LISTING)
            known = {LISTING, *map(str, record["files"])}
        except (NoisybenchError, LookupError, TypeError):
            known = set()
    odd = sorted(files - known)
    if odd:
        msg = f"{folder} holds {odd[0]}, which no export wrote, so it is not overwritten; name another folder"
        raise BadUsage(msg)


# Tables

_Rows = tuple[str, str, list[str], Iterator[Sequence[str]]]
"""Column of the label, separator, header and rows."""


def _own_rows(variant: Variant, source: Source, location: Location | None) -> _Rows | None:
    """The table that a variant was built from, as it is written; None where it is none, or has other rows by design."""
    if source.name != "table" or location is None or location.data is None or location.source not in (None, "table"):
        return None
    options = location.source_set
    label = options.get("label", "label")
    if {"answers", "skip_broken"} & {*options}:  # whose rows are not all samples
        return None
    layout = layout_of(
        Path(location.data),
        separator=options.get("separator"),
        encoding=options.get("encoding"),
        decimal=options.get("decimal"),
        sheet=options.get("sheet"),
    )
    rows = _rows_of(layout)
    header = next(rows, [])
    if label not in header:
        msg = f"{layout.file} has no column '{label}' any more; give the table that the variant was built from"
        raise BadData(msg)
    n = len(variant.labels)
    return label, layout.separator or ",", list(header), islice(rows, n) if variant.provenance.limit else rows


def _rows_of(layout: Layout) -> Iterator[Sequence[str]]:
    """Header and rows of a table, every entry as a text."""
    if layout.form == "csv":
        with open_unpacked(layout.file) as stream:
            text = io.TextIOWrapper(stream, encoding=layout.encoding, newline="")
            rows = (row for row in csv.reader(text, delimiter=layout.separator) if row)
            header = next(rows, [])
            yield [name.removeprefix("\ufeff") for name in header]
            yield from rows
        return
    table = layout.table
    if layout.form == "parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(layout.file)
    yield list(table.schema.names)
    for batch in table.to_batches():
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield ["" if value is None else str(value) for value in row]


def _new_rows(variant: Variant, source: Source) -> _Rows:
    """A table of numbers, names, texts and labels."""
    image = source.inputs is not None and source.inputs.ndim == IMAGE_DIMENSIONS
    columns: dict[str, Sequence[str]] = {"sample": [str(i) for i in range(len(variant.labels))]}
    if source.sample_names is not None:
        columns["path" if image else "name"] = source.sample_names
    texts: Sequence[str] | None = getattr(source, "texts", None)
    if texts is not None:
        columns["text"] = texts
    columns["label"] = [""] * len(variant.labels)
    return "label", ",", list(columns), iter(zip(*columns.values(), strict=True))
