"""Any labelled data set of the Hugging Face hub, or your own Parquet, CSV, image folder or saved data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from noisybench.data.images.broken import all_pixels, without_broken
from noisybench.data.images.decoding import decode_images
from noisybench.data.inputs import AnyInputs
from noisybench.data.lazy_inputs import ArrowRows
from noisybench.data.source import LoadSource, Option, Source, source_from_arrays
from noisybench.data.sources._dataset_columns import (
    absent,
    check_same_kind,
    column,
    declared_classes,
    input_columns,
    is_image,
    is_list,
    is_number,
    is_text,
    label_column,
    label_values,
    no_inputs,
)
from noisybench.data.sources._dataset_files import BUILDERS, load_splits
from noisybench.data.splits import named_split, split_role
from noisybench.data.tables.column_roles import left_out as columns_left_out
from noisybench.data.tables.column_roles import naming
from noisybench.data.tables.row_words import RowWords
from noisybench.data.tables.text_features import CHARACTERS, COLUMNS, Units, text_features, text_units
from noisybench.ground.checks import unknown, whole
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.options import plain_options

AUTO = "auto"
IN_MEMORY = 1 << 30
"""Bytes of inputs up to which they are kept in memory."""


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """Images or features and their labels, through the package ``datasets``; class names as the data set has them.

    Where no names are declared, the classes are the labels that occur, in the order of ``class_order``. Splits are found by
    their usual names in any case. Inputs that would take more than 1 GiB as an array stay on disk, as ``datasets`` keeps
    them, and are read when they are asked for; a test set likewise. Texts become TF-IDF features, as in source ``table``.

    Attributes:
        id: Name on the hub, such as ``ylecun/mnist``; or say ``path``.
        path: A folder, a Parquet, CSV or JSON file, or what ``save_to_disk`` wrote; the same as ``--data``.
        config: Name of a configuration on the hub, where the data set has several.
        split: Training samples; another spelling is found too, such as ``Training``.
        test_split: Test samples, or ``none``; ``auto`` is the split ``test``, in any spelling, else the validation split. A
            split without labels is passed over, and samples without one are left out.
        input: Column of images, one column of lists of one length, several numeric columns ``a,b,c``, or texts, of which
            several columns are joined; by default the only column of images, else the only column of lists, else the
            column ``text`` or what else texts are often called, else the only column, if it is of texts. ``nothing`` is labels
            alone, and so is a data set that has beside them row numbers, ids, file names and further labels.
        label: Column of classes; by default ``label``, ``labels`` or ``fine_label``, else the only one typed as classes.
        clean: Column of right labels of the same kind as ``label``, absent (or -1) where nobody knows.
        lazy: Whether inputs stay on disk; by default by their size. The digest of numbers is the same either way, that of
            images is then one of their files, not of their pixels.
        side: Height and width that images are brought to, in colour, as ``noisybench.data.lazy_inputs.ImageFiles`` does it; by default
            they stay as they are, all of one size.
        words: How many words of texts, or runs of characters, are features, at most; by default 1,024.
        units: What of texts is counted, ``words`` or ``characters``; None: words, if most texts hold spaces.
        skip_broken: Whether images that cannot be decoded are left out, and named; else they are refused, all at once.

    Raises:
        BadUsage: Neither or both of ``id`` and ``path``, a name that does not exist, or a column that must be chosen.
        BadData: The data set cannot be loaded, or a column cannot be used as what it was named for.
    """

    id: str | None = None
    path: Path | None = None
    config: str | None = None
    split: str = "train"
    test_split: str = AUTO
    input: str | None = None
    label: str | None = None
    clean: str | None = None
    lazy: bool | None = None
    side: int | None = None
    words: int | None = None
    units: Units | None = None
    skip_broken: bool = False
    endings: ClassVar[tuple[str, ...]] = tuple(BUILDERS)

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        given = [one for one in (self.id, self.path, data) if one is not None]
        if len(given) != 1:
            msg = (
                "source 'huggingface' needs one of: --source-set id=OWNER/NAME, --source-set path=PATH, --data PATH; "
                f"got {len(given)} of them"
            )
            raise BadUsage(msg)
        splits = load_splits(given[0], self.config, self.split)
        train = _split(splits, self.split, "split")
        label = label_column(train.features, self.label)
        if self.clean is not None:
            check_same_kind(train.features, label, train.features, self.clean)
        test, notes = self._test(splits, train, label)
        called = named_split(splits, self.split)
        if called != self.split:
            notes.append(f"split '{called}' is taken for '{self.split}'")
        inputs = input_columns(train.features, self.input, exclude={label, self.clean})
        declared = declared_classes(train.features[label])
        left_out: tuple[str, ...] = ()
        if self.skip_broken and inputs and is_image(train.features[inputs[0]]):
            train, left_out, said = _without_broken(train, inputs[0], "", limit)
            notes += said
            if test is not None:
                test, more, said = _without_broken(test, inputs[0], "test ", None)
                left_out += more
                notes += said
        # All labels, so that the classes do not depend on the limit; a limit below one is refused with the arrays.
        kept = train if limit is None else train.select(range(min(max(limit, 1), len(train))))
        names = texts = rows = originals = None
        if not inputs:
            read = tested = None
            names, told = self._labels_alone(train, label)
        elif all(is_text(train.features[name]) for name in inputs):
            read, tested, told = self._texts(train, test, inputs)
            texts = _joined(kept, inputs)
        else:
            read, tested, told = self._inputs(kept, inputs), None if test is None else self._inputs(test, inputs), []
            if all(is_number(train.features[name]) for name in inputs):
                rows = RowWords({name: column(kept, name) for name in inputs})
            if is_image(train.features[inputs[0]]) and self.side is not None:
                originals = ArrowRows(kept, (inputs[0],), self.side)
        notes += told
        return source_from_arrays(
            "huggingface",
            read,
            label_values(train, label, required=True),
            clean=None if self.clean is None else label_values(train, self.clean),
            test_inputs=tested,
            test_labels=None if test is None else label_values(test, label),
            class_names=declared,
            options=self._options(),
            limit=limit,
            sample_names=names,
            notes=notes,
            left_out=left_out,
            texts=texts,
            rows=rows,
            originals=originals,
        )

    def _options(self) -> dict[str, Option]:
        """Those that are recorded: all that are no default of 0.1.0, and the split."""
        options = plain_options(replace(self, path=None))
        default = (("test_split", AUTO), ("skip_broken", False))
        return {name: value for name, value in options.items() if (name, value) not in default}

    def _test(self, splits: Mapping[str, Any], train: Any, label: str) -> tuple[Any, list[str]]:  # noqa: ANN401
        """The test samples, None where there are none with labels, and what is to be told of the choice."""
        if self.test_split not in splits and self.test_split.casefold() == "none":
            return None, []
        if self.test_split != AUTO or AUTO in splits:
            part = _split(splits, self.test_split, "test_split")
            if _labelled(part, label):
                check_same_kind(train.features, label, part.features, label)
                return part, []
            msg = (
                f"test_split={self.test_split} has no labels in column '{label}'; name another split, or say "
                f"--source-set test_split=none"
            )
            raise BadData(msg)
        notes = []
        for role in ("test", "validation"):
            name = named_split(splits, role)
            if name is None or splits[name] is train or (role == "validation" and split_role(self.split) == "test"):
                continue
            if not _labelled(splits[name], label):
                notes.append(f"split '{name}' has no labels in column '{label}' and is left out")
                continue
            check_same_kind(train.features, label, splits[name].features, label)
            if role != "test":
                notes.append(f"split '{name}' is the test set; say --source-set test_split=none for no test set")
            return splits[name], notes
        return None, notes

    def _labels_alone(self, train: Any, label: str) -> tuple[list[str] | None, list[str]]:  # noqa: ANN401
        """What samples without inputs are called, None where no column says so, and what is to be told."""
        out = no_inputs({name: each for name, each in train.features.items() if name not in (label, self.clean)})
        names, called_so = naming(out, lambda name: column(train, name).cast("string").fill_null("").to_pylist())
        unread = [columns_left_out(out, "input=A,B takes what you name")] if out and self.input is None else []
        return names, [*unread, *called_so]

    def _texts(self, train: Any, test: Any, names: list[str]) -> tuple[AnyInputs, AnyInputs | None, list[str]]:  # noqa: ANN401
        """Features of the texts, of all training texts, so that they do not depend on the limit, and what is to be told."""
        for name, value in (("side", self.side), ("lazy", self.lazy)):
            if value is not None:
                msg = f"{name}={value} is not of texts, and column '{names[0]}' holds texts; leave it out"
                raise BadUsage(msg)
        texts, others = ([] if part is None else _joined(part, names) for part in (train, test))
        words = COLUMNS if self.words is None else self.words
        units = self.units or text_units(texts)
        told = [CHARACTERS] if units == "characters" and self.units is None else []
        if self.input is None:
            told.append(f"inputs are the texts of column '{names[0]}'; others are named by --source-set input=NAME")
        read, tested = text_features(texts, others, columns=words, what=f"column '{names[0]}'", units=units)
        return read, None if test is None else tested, told

    def _inputs(self, part: Any, names: list[str]) -> AnyInputs:  # noqa: ANN401 - datasets.Dataset
        """The input columns, in memory or on disk."""
        side = None if self.side is None else whole(self.side, "side", least=1)
        if side is not None and not is_image(part.features[names[0]]):
            msg = f"side={side} is of images, and column '{names[0]}' holds none; leave it out"
            raise BadUsage(msg)
        lazy = _bytes(part, names, side) > IN_MEMORY if self.lazy is None else self.lazy
        if not lazy and side is None:
            return _inputs(part, names)
        rows = ArrowRows(part, tuple(names), side)
        if lazy or not is_image(part.features[names[0]]):
            return rows if lazy else rows[:]
        content = _contents(part, names[0])
        return all_pixels(rows, [str(i) for i in range(len(part))], content, f"column '{names[0]}'")


def _split(splits: Mapping[str, Any], wanted: str, option: str) -> Any:  # noqa: ANN401 - datasets.Dataset
    """The split of that name, or the only one that is of the same use by its name."""
    name = named_split(splits, wanted)
    if name is None:
        msg = f"{unknown(wanted, tuple(splits), 'split')}; say --source-set {option}=NAME"
        raise UnknownName(msg)
    return splits[name]


def _bytes(part: Any, names: list[str], side: int | None) -> int:  # noqa: ANN401
    """What the input columns would take as an array; of images, if all are like the first."""
    if not len(part):
        return 0
    if side is not None:
        return len(part) * side * side * 3
    try:
        return len(part) * _inputs(part.select(range(1)), names).nbytes
    except BadData:  # which will be said when it is read
        return 0


def _labelled(part: Any, label: str) -> bool:  # noqa: ANN401 - datasets.Dataset
    """Whether any sample has a label; a column that is not there, or is of no classes, has none."""
    return label in part.features and bool((~absent(label_values(part, label))).any())


def _joined(part: Any, names: list[str]) -> list[str]:  # noqa: ANN401
    """The text of each sample, of several columns one after the other."""
    columns = []
    for name in names:
        texts = column(part, name)
        if texts.null_count:
            row = int(np.flatnonzero(texts.is_null().to_numpy())[0])
            msg = f"column '{name}' has no text in row {row} ({texts.null_count} such rows); fill or drop them"
            raise BadData(msg)
        columns.append(texts.to_pylist())
    return ["\n".join(row) for row in zip(*columns, strict=True)]


def _inputs(part: Any, names: list[str]) -> NDArray[Any]:  # noqa: ANN401
    """The input columns → images (n, h, w, c) uint8 or numbers (n, …)."""
    feature = part.features[names[0]]
    if len(names) == 1 and is_image(feature):
        return _images(part, names[0])
    if len(names) == 1 and is_list(feature):
        return _nested(column(part, names[0]), names[0])
    for name in names:
        if not is_number(part.features[name]):
            msg = f"column '{name}' is {part.features[name]}, expected numbers, or one column of images or of lists"
            raise BadData(msg)
    # Absent values become NaN here, which every source refuses.
    return np.column_stack([column(part, name).to_numpy().astype(np.float32) for name in names])


def _images(part: Any, name: str) -> NDArray[np.uint8]:  # noqa: ANN401
    from datasets import Image

    if isinstance(part.features[name], Image):
        part = part.cast_column(name, Image(decode=False))
    try:
        encoded = [
            image and (image["bytes"] or (Path(image["path"]).read_bytes() if image["path"] else None))
            for image in column(part, name).to_pylist()
        ]
    except OSError as error:
        msg = f"column '{name}' names an image that cannot be read: {error.filename}: {error.strerror}"
        raise BadData(msg) from None
    return decode_images(encoded, what=f"column '{name}'", skip=True)


def _without_broken(
    part: Any,  # noqa: ANN401
    name: str,
    prefix: str,
    limit: int | None,
) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """The rows whose image can be decoded, the names of the others, and what is told of them."""
    names = [f"{prefix}row {i}" for i in range(len(part))]
    rows, left_out, notes = without_broken(names, _contents(part, name), f"column '{name}'", limit=limit)
    return (part.select(rows) if left_out else part), left_out, notes


def _contents(part: Any, name: str) -> Callable[[int], bytes | None]:  # noqa: ANN401
    """Row number → the encoded image; none where there is no image, or no such file."""
    from datasets import Image

    alone = part.select_columns([name])
    if isinstance(part.features[name], Image):
        alone = alone.cast_column(name, Image(decode=False))

    def content(row: int) -> bytes | None:
        image = alone[row][name] or {}
        if image.get("bytes") or not image.get("path"):
            found: bytes | None = image.get("bytes")
            return found
        try:
            return Path(image["path"]).read_bytes()
        except OSError:
            return None

    return content


def _nested(lists: Any, name: str) -> NDArray[Any]:  # noqa: ANN401 - a pyarrow column
    """Lists of one length, of numbers or again of lists → (n, …)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = lists.combine_chunks()
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    shape = [len(values)]
    while pa.types.is_nested(values.type) and not pa.types.is_struct(values.type):
        lengths = pc.list_value_length(values).unique().to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            msg = f"column '{name}' must hold lists of one length, got lengths {sorted(lengths, key=str)[:3]}; pad them"
            raise BadData(msg)
        shape.append(lengths[0])
        values = values.flatten()
    flat: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return flat.reshape(shape)


SOURCE: type[LoadSource] = HuggingFace
