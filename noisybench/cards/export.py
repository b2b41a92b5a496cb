"""Exporting a variant with its inputs, if it has any: a data set of Hugging Face in Parquet, which opens without noisybench.

The folder of an export::

    README.md                   the data card, with the front matter by which the package datasets finds the files
    data/train-00000.parquet …  inputs, given, clean and source label, and what else is known of each sample
    data/test-00000.parquet …   test set, where there is one
    noisybench/                 the variant itself; its inputs are found in the folder above it
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisybench.cards.data_cards import columns_of, licence_words, name_of, noise_card, source_card
from noisybench.cards.variant_card import README, Exported, card_of, encoded, write_cards
from noisybench.data.inputs import IMAGE_DIMENSIONS, AnyInputs, bytes_of, read_rows, rows_of
from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import replacing_folder
from noisybench.variants.location import write_location_within
from noisybench.variants.variant import MARK, Variant, write_variant

SHARD_BYTES = 1 << 28
"""Bytes of a Parquet file, after which another begins."""
BLOCK_BYTES = 1 << 24
"""Bytes of inputs that are in memory at a time, and of a group of rows in a file."""
BLOCK_ROWS = 1000
PNG_CHANNELS = (1, 3)  # what a PNG file keeps of any pixel, and every reader of images takes
PARTS = re.compile(
    r"README\.md|data/(train|test)-\d{5}\.parquet"
    r"|noisybench/(variant\.json|labels\.parquet|transition\.np[yz]|answers\.parquet|corrections\.csv|README\.md|croissant\.json|location\.json)"
)
"""Files of an export."""

ExportedColumns = Mapping[str, NDArray[Any] | None]


def check_export_folder(folder: Path) -> None:
    """Raise ``BadUsage`` unless an export may be written to ``folder``: there is nothing, or an export and nothing else."""
    if folder.is_symlink() and not folder.exists():
        msg = f"{folder} is a link that leads nowhere, or to itself; name another folder for the export"
        raise BadUsage(msg)
    if not folder.exists():
        return
    if not folder.is_dir():
        msg = f"{folder} is a file; name a folder for the export"
        raise BadUsage(msg)
    if os.path.realpath(folder) == os.path.realpath("."):
        msg = "an export takes the place of its folder, and this one is the working directory; name another folder"
        raise BadUsage(msg)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    odd = [file for file in files if not PARTS.fullmatch(file)]
    if odd or (files and "noisybench/variant.json" not in files):
        msg = f"{folder} holds {(odd or files)[0]} and is no export, so it is not overwritten; name another folder"
        raise BadUsage(msg)


def licence_reasons(variant: Variant) -> list[str]:
    """Why a variant with its inputs may not be anybody's to publish, as far as is known here; empty where it may be."""
    reasons = []
    cards = (
        ("source", variant.provenance.source, source_card(variant)),
        ("noise", variant.provenance.noise, noise_card(variant)),
    )
    for what, name, card in cards:
        if card is not None and card.facts.get("licence") is None and what == "noise":
            continue  # adds nothing to the licence of the source
        licence = "unknown" if card is None else str(card.facts["licence"])
        if licence in ("unknown", "other"):
            told = "not known to noisybench" if licence == "unknown" else licence_words(card, licence)
            reasons.append(f"licence of {name_of(card, name)} ({what}): {told}")
        elif re.search(r"-(nc|nd)\b", licence):
            reasons.append(f"licence of {name_of(card, name)} ({what}): {licence}, which does not allow every use")
        elif card is not None and what == "source" and card.facts["access"] == "manual":
            told = f"{licence}, and others hand out its inputs, under terms of their own"
            reasons.append(f"licence of {name_of(card, name)} (source): {told}")
    return reasons


def export_variant(
    variant: Variant,
    source: Source,
    folder: str | Path,
    *,
    without_dropped: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Path:
    """Write a variant and its inputs as a data set of Hugging Face, a block of rows at a time; the folder.

    A variant of labels alone is written without inputs. Images of one or three channels become PNG files, which lose nothing; other inputs become lists of numbers. Names of
    samples, such as their paths, are not exported.

    Args:
        variant: The labels.
        source: Their inputs.
        folder: Of the export; what is there is replaced at the end, if it is an export.
        without_dropped: Whether samples that a person dropped are left out; the variant beside the others has them still.
        progress: Called after each sample.

    Raises:
        Mismatch: The variant was made from another source.
        BadUsage: ``folder`` holds something else than an export.
        BadData: Inputs that are read lazily cannot be read.
    """
    from noisybench.variants.variant import check_source

    folder = Path(folder)
    check_source(source, variant)
    check_export_folder(folder)
    files = {"train": "data/train-*.parquet"}
    with replacing_folder(folder) as part:
        data = part / "data"
        data.mkdir()
        schema = _features(variant, source).arrow_schema
        inputs, columns = source.inputs, _training_columns(variant, source)
        if without_dropped and variant.dropped.any():
            kept = np.flatnonzero(~variant.dropped)
            inputs = None if inputs is None else rows_of(inputs, kept)
            columns = {name: None if values is None else values[kept] for name, values in columns.items()}
        _write_split(data / "train", schema, inputs, columns, progress=progress)
        if source.test_inputs is not None and source.test_labels is not None:
            files["test"] = "data/test-*.parquet"
            columns = _test_columns(source.test_labels, source.test_marks, variant)
            _write_split(data / "test", schema, source.test_inputs, columns, progress=progress)
        home = part / "noisybench"
        write_variant(variant, home)
        write_cards(variant, home)
        exact = source.inputs is None or isinstance(source.inputs, np.ndarray) or source.inputs.digest is None
        whole = not (without_dropped and variant.dropped.any())
        if exact and whole:
            options = {"label": "source_label"}
            if source.inputs is None:
                options["input"] = "nothing"
            elif source.inputs.ndim == IMAGE_DIMENSIONS:
                options |= {"input": "image", "lazy": "false"}  # the digest is one of pixels
            else:
                options["input"] = "features"  # whatever else holds numbers or lists
            write_location_within(home, source="huggingface", data="..", source_set=options)
        use = _use(variant, exact=exact, whole=whole, inputs=source.inputs is not None)
        card = card_of(variant, Exported(files, use, list(_columns(variant, source))))
        (part / README).write_bytes(encoded(card))
    return folder


def push_export(folder: Path, repository: str, *, private: bool) -> str:
    """Upload an export to the Hugging Face hub as a data set, in place of what is there; its address.

    Raises:
        BadData: The hub cannot be reached or refuses, or a repository that must be private is there and public.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # What carries HTTP for the hub has errors of its own; which package that is depends on the hub's version.
    failures: tuple[type[Exception], ...] = (OSError, RuntimeError, *HfHubHTTPError.__bases__)
    api = HfApi()
    try:
        address = api.create_repo(repository, repo_type="dataset", private=private or None, exist_ok=True)
        if private and not api.repo_info(repository, repo_type="dataset").private:
            msg = f"{repository} is there already and public; make it private, or push to another name"
            raise BadData(msg)
        api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            delete_patterns=["data/*", "noisybench/*"],
            commit_message="Export of noisybench",
        )
    except failures as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{folder} is whole and was not uploaded to {repository}: {reason}"
        raise BadData(msg) from None
    return str(address)


def check_push(repository: str, variant: Variant, *, may_publish: bool) -> None:
    """Raise, before anything is written, what an upload would be refused for.

    Raises:
        BadUsage: A name that no repository can have, no token of the hub, or a licence that may forbid it.
    """
    import huggingface_hub

    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", repository, re.ASCII):
        msg = f"'{repository}' is no name of a repository of the Hugging Face hub, OWNER/NAME"
        raise BadUsage(msg)
    reasons = licence_reasons(variant)
    if reasons and not may_publish:
        msg = f"{'; '.join(reasons)}; export without --push, or say --may-publish if you know that you may"
        raise BadUsage(msg)
    if huggingface_hub.get_token() is None:
        msg = "--push needs a token of the Hugging Face hub: say 'hf auth login', or set HF_TOKEN"
        raise BadUsage(msg)


# Columns


def _columns(variant: Variant, source: Source) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each column, in their order."""
    inputs = source.inputs
    told = {name: (kind, meaning) for name, kind, meaning in columns_of(variant)}
    yield "sample", "int64", "Number of the sample: in training, its place in the source."
    if inputs is not None and inputs.ndim == IMAGE_DIMENSIONS:
        h, w, c = inputs.shape[1:]
        held = "PNG, lossless" if c in PNG_CHANNELS else "numbers"
        yield "image", "image" if c in PNG_CHANNELS else "uint8", f"Input, {h} × {w} pixels of {c} channels; {held}."
    elif inputs is not None:
        yield "features", "list of float32", f"Input, {inputs.shape[1]} numbers."
    yield "label", "class", "Given label, to train on; in the test set, its label."
    yield (
        "clean_label",
        "class",
        f"Reference label; {UNKNOWN} where the right class is unknown. Of a test set, its label.",
    )
    yield "source_label", "class", "Label that the source came with, before any noise."
    yield "mislabeled", "bool", "Whether the given label is wrong; empty where nobody knows, and in the test set."
    for name in ("flip_probability", "selected", *(f"{MARK}{mark}" for mark in variant.marks)):
        if name in told:
            both = name.removeprefix(MARK) in source.test_marks
            tested = "It is told of test samples too." if both else "Empty in the test set."
            yield name, told[name][0], f"{told[name][1]} {tested}"


def _features(variant: Variant, source: Source) -> Any:  # noqa: ANN401 - datasets.Features
    """The types of the columns, as the package datasets names them."""
    from datasets import Array3D, ClassLabel, Features, Image, List, Value

    inputs: AnyInputs | None = source.inputs
    shape = () if inputs is None else inputs.shape[1:]
    kinds: dict[str, Callable[[], Any]] = {
        "class": lambda: ClassLabel(names=list(variant.class_names)),
        "image": Image,
        "uint8": lambda: Array3D(shape, "uint8"),
        "list of float32": lambda: List(Value("float32"), length=shape[0]),
    }
    told = _columns(variant, source)
    return Features({name: kinds[kind]() if kind in kinds else Value(kind) for name, kind, _ in told})


def _training_columns(variant: Variant, source: Source) -> ExportedColumns:
    """All columns but the inputs, shape (n,) each; masked where nothing is known."""
    return {
        "sample": np.arange(len(variant.labels)),
        "label": variant.labels,
        "clean_label": np.where(variant.clean >= 0, variant.clean, UNKNOWN),
        "source_label": source.labels,
        "mislabeled": np.ma.masked_array(variant.mislabeled, ~variant.known),
        "flip_probability": variant.flip_probability,
        "selected": variant.selected,
        **{f"{MARK}{name}": mark for name, mark in variant.marks.items()},
    }


def _test_columns(labels: Labels, marks: Mapping[str, NDArray[Any]], variant: Variant) -> ExportedColumns:
    given = {"sample": np.arange(len(labels)), "label": labels, "clean_label": labels, "source_label": labels}
    return {**given, **{f"{MARK}{name}": mark for name, mark in marks.items() if name in variant.marks}}


# Files


def _write_split(
    path: Path,
    schema: Any,  # noqa: ANN401 - of pyarrow
    inputs: AnyInputs | None,
    columns: ExportedColumns,
    *,
    progress: Callable[[], None],
) -> None:
    """Write ``path``-00000.parquet and further files, each of groups of rows that are read and encoded together."""
    labels = columns["label"]
    n = 0 if labels is None else len(labels)
    row = 1 if inputs is None else bytes_of(inputs) // n
    step = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, row)))
    start = number = 0
    while start < n:
        with (
            path.with_name(f"{path.name}-{number:05}.parquet").open("wb") as stream,
            pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            while start < n and stream.tell() < SHARD_BYTES:
                rows = slice(start, min(start + step, n))
                writer.write_table(_block(schema, inputs, columns, rows))
                start = rows.stop
                for _ in range(rows.stop - rows.start):
                    progress()
        number += 1


def _block(schema: Any, inputs: AnyInputs | None, columns: ExportedColumns, rows: slice) -> Any:  # noqa: ANN401 - of pyarrow
    """Some rows as a table."""
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if inputs is not None and field.name in ("image", "features"):
            arrays.append(_encoded(read_rows(inputs, rows), field.type))
        elif values is None:
            arrays.append(pa.nulls(rows.stop - rows.start, field.type))
        else:
            part = values[rows]
            unknown = np.ma.getmaskarray(part) if isinstance(part, np.ma.MaskedArray) else None
            arrays.append(pa.array(np.asarray(part), field.type, mask=unknown))
    return pa.Table.from_arrays(arrays, schema=schema)


def _encoded(values: NDArray[Any], kind: Any) -> Any:  # noqa: ANN401 - of pyarrow
    """Inputs (b, ...) as a column: PNG files of images, lists of other numbers."""
    if pa.types.is_struct(kind):
        return pa.array([{"bytes": _png(image), "path": None} for image in values], kind)
    if values.ndim == IMAGE_DIMENSIONS:
        return pa.ExtensionArray.from_storage(kind, pa.array(values.tolist(), kind.storage_type))
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=kind)


def _png(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(image if image.shape[2] > 1 else image[..., 0]).save(file, "PNG")
    return file.getvalue()


def _use(variant: Variant, *, exact: bool, whole: bool, inputs: bool) -> list[str]:
    """Lines of the card: how to open the data set, with and without noisybench."""
    lines = [
        "```python",
        "from datasets import load_dataset",
        "",
        'train = load_dataset("FOLDER, or OWNER/NAME of the hub")["train"]',
        "```",
        "",
        "`label` is what a model is trained on. The test set, where there is one, has the labels of the source.",
        "",
        "`noisybench/` is the variant as noisybench reads it: provenance, digests, nominal matrix and its own card.",
    ]
    if not whole:
        dropped = f"{int(variant.dropped.sum())} of {len(variant.labels)} samples were dropped by a person"
        lines.append(f"{dropped} and are not here; `sample` is the number of a row in the source.")
    elif not inputs:
        lines += [
            "There are labels and no inputs. Probabilities or scores of your own are held against them, under the same variant id:",
            "",
            "```sh",
            "noisybench score FOLDER/noisybench --pred-probs FILE --name NAME",
            "```",
        ]
    elif exact:
        lines += [
            "Inputs and labels of the source are here bit by bit, so that runs on this folder have the same variant id:",
            "",
            "```sh",
            "noisybench evaluate FOLDER/noisybench",
            "```",
        ]
    else:
        lines += [
            f"The id {variant.provenance.variant_id[:8]} is of image files by their names and sizes, not of their pixels:",
            "who trains on the images that are here builds a variant of another id.",
        ]
    return lines
