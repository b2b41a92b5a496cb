"""Any labelled data set of the Hugging Face hub, or your own Parquet, CSV, image folder or saved data set."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import AnyInputs
from noisybench.data.lazy_inputs import ArrowRows
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._images import decode_images
from noisybench.ground.arrays import UNKNOWN, Labels, as_labels
from noisybench.ground.checks import unknown, whole
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.options import plain_options

IN_MEMORY = 1 << 30
"""Bytes of inputs up to which they are kept in memory."""
LABEL_COLUMNS = ("label", "labels", "fine_label")


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """Images or features and their labels, through the package ``datasets``; class names as the data set has them.

    Where the labels are strings, the classes are the strings in sorted order. Inputs that would take more than 1 GiB as an
    array stay on disk, as ``datasets`` keeps them, and are read when they are asked for; a test set likewise.

    Attributes:
        id: Name on the hub, such as ``ylecun/mnist``; or say ``path``.
        path: A folder, a Parquet, CSV or JSON file, or what ``save_to_disk`` wrote; the same as ``--data``.
        config: Name of a configuration on the hub, where the data set has several.
        split: Training samples.
        test_split: Test samples; by default the split ``test`` where there is one.
        input: Column of images, one column of lists of one length, or several numeric columns ``a,b,c``; by default the
            only column of images, else the only column of lists.
        label: Column of classes; by default ``label``, ``labels`` or ``fine_label``, else the only one typed as classes.
        clean: Column of right labels of the same type as ``label``, absent (-1 for numbers) where nobody knows.
        lazy: Whether inputs stay on disk; by default by their size. The digest of numbers is the same either way, that of
            images is then one of their files, not of their pixels.
        side: Height and width that images are brought to, in colour, as ``noisybench.data.lazy_inputs.ImageFiles`` does it; by default
            they stay as they are, all of one size.

    Raises:
        BadUsage: Neither or both of ``id`` and ``path``, a name that does not exist, or a column that must be chosen.
        BadData: The data set cannot be loaded, or a column cannot be used as what it was named for.
    """

    id: str | None = None
    path: Path | None = None
    config: str | None = None
    split: str = "train"
    test_split: str | None = None
    input: str | None = None
    label: str | None = None
    clean: str | None = None
    lazy: bool | None = None
    side: int | None = None

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        given = [one for one in (self.id, self.path, data) if one is not None]
        if len(given) != 1:
            msg = (
                "source 'huggingface' needs one of: --source-set id=OWNER/NAME, --source-set path=PATH, --data PATH; "
                f"got {len(given)} of them"
            )
            raise BadUsage(msg)
        splits = _load(given[0], self.config, self.split)
        train = _named_split(splits, self.split)
        tested = self.test_split or ("test" if "test" in splits and self.split != "test" else None)
        test = None if tested is None else _named_split(splits, tested)
        label = _label_column(train.features, self.label)
        if self.clean is not None:
            _check_same_type(train.features, label, train.features, self.clean)
        if test is not None:
            _check_same_type(train.features, label, test.features, label)
        inputs = _input_columns(train.features, self.input, exclude={label, self.clean})
        class_names = _class_names(train, test, label, self.clean)
        # All labels, so that the classes do not depend on the limit; a limit below one is refused with the arrays.
        kept = train if limit is None else train.select(range(min(max(limit, 1), len(train))))
        return source_from_arrays(
            "huggingface",
            self._inputs(kept, inputs),
            _labels(train, label, class_names),
            clean=None if self.clean is None else _labels(train, self.clean, class_names, allow_unknown=True),
            test_inputs=None if test is None else self._inputs(test, inputs),
            test_labels=None if test is None else _labels(test, label, class_names),
            class_names=class_names,
            options=plain_options(replace(self, path=None)),
            limit=limit,
        )

    def _inputs(self, part: Any, names: list[str]) -> AnyInputs:  # noqa: ANN401 - datasets.Dataset
        """The input columns, in memory or on disk."""
        side = None if self.side is None else whole(self.side, "side", least=1)
        if side is not None and not _is_image(part.features[names[0]]):
            msg = f"side={side} is of images, and column '{names[0]}' holds none; leave it out"
            raise BadUsage(msg)
        lazy = _bytes(part, names, side) > IN_MEMORY if self.lazy is None else self.lazy
        if not lazy and side is None:
            return _inputs(part, names)
        rows = ArrowRows(part, tuple(names), side)
        return rows if lazy else rows[:]


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


def _named_split(splits: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - datasets.Dataset
    if name not in splits:
        raise UnknownName(unknown(name, tuple(splits), "split"))
    return splits[name]


def _label_column(features: Mapping[str, Any], wanted: str | None) -> str:
    from datasets import ClassLabel

    if wanted is not None:
        return _known_column(features, wanted)
    typed = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    names = [name for name in LABEL_COLUMNS if name in features] or typed
    if not names or (names is typed and len(typed) > 1):
        msg = f"which column is the label? say --source-set label=NAME; there are: {', '.join(features)}"
        raise BadUsage(msg)
    return names[0]


def _input_columns(features: Mapping[str, Any], wanted: str | None, *, exclude: set[str | None]) -> list[str]:
    if wanted is not None:
        return [_known_column(features, name.strip()) for name in wanted.split(",")]
    others = {name: feature for name, feature in features.items() if name not in exclude}
    images = [name for name, feature in others.items() if _is_image(feature)]
    lists = [name for name, feature in others.items() if _is_list(feature)]
    chosen = images or lists
    if len(chosen) != 1:
        usable = chosen or [name for name, feature in others.items() if _is_number(feature)] or list(others)
        msg = f"which columns are the input? say --source-set input=NAME or input={','.join(usable) or 'A,B'}"
        raise BadUsage(msg)
    return chosen


def _known_column(features: Mapping[str, Any], name: str) -> str:
    if name not in features:
        raise UnknownName(unknown(name, tuple(features), "column"))
    return name


def _check_same_type(features: Mapping[str, Any], label: str, others: Mapping[str, Any], name: str) -> None:
    ours, theirs = features[label], others[_known_column(others, name)]
    if ours != theirs:
        msg = f"column '{name}' is {theirs}, the training column '{label}' is {ours}; expected the same type"
        raise BadData(msg)


def _is_image(feature: Any) -> bool:  # noqa: ANN401 - one of datasets' feature types
    """Images, typed as such or as the bytes and path that a Parquet file without Hugging Face's metadata holds."""
    from datasets import Image

    return isinstance(feature, Image) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"})


def _is_list(feature: Any) -> bool:  # noqa: ANN401
    return isinstance(feature, list) or type(feature).__name__ in (
        "List",
        "LargeList",
        "Sequence",
        "Array2D",
        "Array3D",
    )


def _is_number(feature: Any) -> bool:  # noqa: ANN401
    from datasets import Value

    return isinstance(feature, Value) and feature.dtype.startswith(("int", "uint", "float", "bool"))


def _is_string(feature: Any) -> bool:  # noqa: ANN401
    from datasets import Value

    return isinstance(feature, Value) and "string" in feature.dtype


def _class_names(train: Any, test: Any, label: str, clean: str | None) -> list[str] | None:  # noqa: ANN401
    from datasets import ClassLabel

    feature = train.features[label]
    if isinstance(feature, ClassLabel):
        return list(feature.names)
    if not _is_string(feature):
        return None
    columns = [(train, label), (train, clean), (test, label)]
    found = {name for part, column in columns if part and column for name in _column(part, column).unique().to_pylist()}
    return sorted(found - {None})


def _labels(part: Any, name: str, class_names: list[str] | None, *, allow_unknown: bool = False) -> Labels:  # noqa: ANN401
    """A column of classes → (n,) int64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _column(part, name)
    if column.null_count and not allow_unknown:
        first = column.is_null().index(pa.scalar(value=True)).as_py()
        msg = f"column '{name}' has no label in row {first} ({column.null_count} such rows); drop them first"
        raise BadData(msg)
    if _is_string(part.features[name]):
        column = pc.index_in(column, value_set=pa.array(class_names, column.type))
    elif not pa.types.is_integer(column.type):
        msg = f"column '{name}' is {column.type}, expected whole numbers, classes or strings; number the classes 0..k-1"
        raise BadData(msg)
    return as_labels(column.fill_null(UNKNOWN).to_numpy(), what=f"column '{name}'")


def _inputs(part: Any, names: list[str]) -> NDArray[Any]:  # noqa: ANN401
    """The input columns → images (n, h, w, c) uint8 or numbers (n, …)."""
    feature = part.features[names[0]]
    if len(names) == 1 and _is_image(feature):
        return _images(part, names[0])
    if len(names) == 1 and _is_list(feature):
        return _nested(_column(part, names[0]), names[0])
    for name in names:
        if not _is_number(part.features[name]):
            msg = f"column '{name}' is {part.features[name]}, expected numbers, or one column of images or of lists"
            raise BadData(msg)
    # Absent values become NaN here, which every source refuses.
    return np.column_stack([_column(part, name).to_numpy().astype(np.float32) for name in names])


def _images(part: Any, name: str) -> NDArray[np.uint8]:  # noqa: ANN401
    from datasets import Image

    if isinstance(part.features[name], Image):
        part = part.cast_column(name, Image(decode=False))
    try:
        encoded = [
            image and (image["bytes"] or (Path(image["path"]).read_bytes() if image["path"] else None))
            for image in _column(part, name).to_pylist()
        ]
    except OSError as error:
        msg = f"column '{name}' names an image that cannot be read: {error.filename}: {error.strerror}"
        raise BadData(msg) from None
    return decode_images(encoded, what=f"column '{name}'")


def _nested(column: Any, name: str) -> NDArray[Any]:  # noqa: ANN401 - a pyarrow column
    """Lists of one length, of numbers or again of lists → (n, …)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column.combine_chunks()
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


def _column(part: Any, name: str) -> Any:  # noqa: ANN401 - datasets.Dataset → pyarrow.ChunkedArray
    return part.select_columns([name]).with_format("arrow")[:][name]


SOURCE: type[LoadSource] = HuggingFace
