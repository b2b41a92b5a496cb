"""Columns of what the package datasets loaded: what each holds, which are inputs and label, and the labels as arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.label_columns import SIGNS
from noisybench.data.tables.column_roles import NOTHING, TEXT_COLUMNS, bookkeeping
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, BadUsage, UnknownName

LABEL_COLUMNS = ("label", "labels", "fine_label")


def label_column(features: Mapping[str, Any], wanted: str | None) -> str:
    """The column of labels: the one that is wanted, else one of ``LABEL_COLUMNS``, else the only one typed as classes.

    Raises:
        UnknownName: The wanted one is not there.
        BadUsage: It must be named.
    """
    from datasets import ClassLabel

    if wanted is not None:
        return _known_column(features, wanted)
    typed = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    names = [name for name in LABEL_COLUMNS if name in features] or typed
    if not names or (names is typed and len(typed) > 1):
        msg = f"which column is the label? say --source-set label=NAME; there are: {', '.join(features)}"
        raise BadUsage(msg)
    return names[0]


def input_columns(features: Mapping[str, Any], wanted: str | None, *, exclude: set[str | None]) -> list[str]:
    """The columns of inputs: those that are wanted, else the only one that can be meant; none of labels alone.

    There are labels alone where ``nothing`` is wanted, or where no other column is there than row numbers, ids, file names
    and the like.

    Raises:
        UnknownName: A wanted one is not there.
        BadUsage: They must be named.
        BadData: No column can be an input.
    """
    if wanted is not None:
        alone = wanted == NOTHING and wanted not in features
        return [] if alone else [_known_column(features, name.strip()) for name in wanted.split(",")]
    others = {name: feature for name, feature in features.items() if name not in exclude}
    if not {*others} - {*no_inputs(others)}:
        return []
    images, lists, numbers, texts = (
        [name for name, feature in others.items() if fits(feature)] for fits in (is_image, is_list, is_number, is_text)
    )
    usual = [name for name in TEXT_COLUMNS if name in texts]
    chosen = images or lists or usual[:1] or (texts if list(others) == texts else [])
    if len(chosen) == 1:
        return chosen
    usable = chosen or numbers or texts
    if not usable:
        msg = f"no column beside the label can be an input, there are: {', '.join(others) or 'none'}; expected images, "
        msg += "lists of numbers, numbers or texts"
        raise BadData(msg)
    # Of images and of lists one column is all that can be; numbers are put side by side, texts one after the other.
    more = f"input={usable[0]}" if chosen and not is_text(others[usable[0]]) else f"input={','.join(usable)}"
    msg = f"which columns are the input? say --source-set input=NAME or {more}"
    raise BadUsage(msg)


def no_inputs(features: Mapping[str, Any]) -> dict[str, str]:
    """Columns that are row numbers, ids, further classes and the like by their names or types, and why; an address is a text."""
    plain = [name for name, feature in features.items() if is_number(feature) or is_text(feature)]
    named = {name: why for name, why in bookkeeping(plain).items() if not name.lower().endswith(("url", "uri"))}
    typed = {name: "labels" for name, feature in features.items() if declared_classes(feature) is not None}
    return {name: {**named, **typed}[name] for name in features if name in {*named, *typed}}


def check_same_kind(features: Mapping[str, Any], label: str, others: Mapping[str, Any], name: str) -> None:
    """Raise ``BadData`` unless two columns are both of the same classes, both of numbers or both of texts."""
    ours, theirs = features[label], others[_known_column(others, name)]
    if _label_kind(theirs) not in (_label_kind(ours), "null"):
        msg = f"column '{name}' is {theirs}, the training column '{label}' is {ours}; expected the same kind"
        raise BadData(msg)


def declared_classes(feature: Any) -> list[str] | None:  # noqa: ANN401 - one of datasets' feature types
    """Names of the classes that a column is typed with; None where it is not."""
    from datasets import ClassLabel

    feature = _item(feature)
    return list(feature.names) if isinstance(feature, ClassLabel) else None


def label_values(part: Any, name: str, *, required: bool = False) -> NDArray[Any]:  # noqa: ANN401 - datasets.Dataset
    """Whole numbers, fractions or texts of a column as they are, shape (n,); what is missing is NaN or empty.

    Raises:
        BadData: The column holds something else, several labels a sample, or, where all are required, misses some.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column(part, name).combine_chunks()
    if pa.types.is_nested(values.type) and not pa.types.is_struct(values.type):
        lengths = pc.list_value_length(values).unique().to_pylist()
        if lengths != [1]:
            msg = (
                f"column '{name}' holds lists of {sorted(lengths, key=str)[:3]} labels; expected one class for each sample: "
                f"name a column of classes"
            )
            raise BadData(msg)
        values = values.flatten()
    kind = values.type
    if pa.types.is_null(kind):
        found: NDArray[Any] = np.full(len(values), UNKNOWN, dtype=np.int64)
    elif pa.types.is_integer(kind):
        found = values.to_numpy(zero_copy_only=False)  # of floats where some are missing
    elif pa.types.is_floating(kind):
        found = values.fill_null(np.nan).to_numpy(zero_copy_only=False)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        found = values.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False).astype(np.str_)
    else:
        msg = f"column '{name}' is {kind}, expected whole numbers, classes or texts; name a column of classes"
        raise BadData(msg)
    rows = np.flatnonzero(absent(found))
    if required and rows.size and not np.array_equal(np.unique(found), SIGNS):
        hint = "" if values.null_count else ", -1 stands for none; drop them, or number the classes from 0"
        msg = f"column '{name}' has no label in row {rows[0]} ({rows.size} such rows){hint or '; drop them first'}"
        raise BadData(msg)
    return found


def absent(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where ``label_values`` has no label, shape (n,)."""
    if values.dtype.kind == "U":
        return values == ""
    return np.isnan(values) | (values == UNKNOWN) if values.dtype.kind == "f" else values == UNKNOWN


def column(part: Any, name: str) -> Any:  # noqa: ANN401 - datasets.Dataset → pyarrow.ChunkedArray
    """A column as Arrow holds it."""
    return part.select_columns([name]).with_format("arrow")[:][name]


def is_image(feature: Any) -> bool:  # noqa: ANN401
    """Images, typed as such or as the bytes and path that a Parquet file without Hugging Face's metadata holds."""
    from datasets import Image

    return isinstance(feature, Image) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"})


def is_list(feature: Any) -> bool:  # noqa: ANN401
    """Lists of numbers, or of such lists."""
    if type(feature).__name__ in ("Array2D", "Array3D"):
        return True
    inner = _item(feature)
    return inner is not feature and (is_number(inner) or is_list(inner))


def is_number(feature: Any) -> bool:  # noqa: ANN401
    """Numbers, true and false among them."""
    from datasets import Value

    return isinstance(feature, Value) and feature.dtype.startswith(("int", "uint", "float", "bool"))


def is_text(feature: Any) -> bool:  # noqa: ANN401
    """Texts."""
    from datasets import Value

    return isinstance(feature, Value) and "string" in feature.dtype


def _item(feature: Any) -> Any:  # noqa: ANN401
    """What a column of lists holds; of another column, what it is itself."""
    if isinstance(feature, list):
        return feature[0]
    return feature.feature if type(feature).__name__ in ("List", "LargeList", "Sequence") else feature


def _label_kind(feature: Any) -> str:  # noqa: ANN401
    """What two columns of labels must have in common."""
    feature = _item(feature)
    names = declared_classes(feature)
    if names is not None:
        return f"classes {names}"
    if getattr(feature, "dtype", None) in ("null", "bool"):
        return str(feature.dtype)
    return "numbers" if is_number(feature) else "texts" if is_text(feature) else str(feature)


def _known_column(features: Mapping[str, Any], name: str) -> str:
    if name not in features:
        raise UnknownName(unknown(name, tuple(features), "column"))
    return name
