"""A source from what lies in memory: arrays, lists, columns and frames of pandas, pictures of Pillow."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import as_array
from noisybench.ground.checks import as_list
from noisybench.ground.errors import BadData

NAME = "arrays"
"""Name of such a source."""
SIDE = 160
"""Pictures of several sizes are brought to this side."""


def source_from_values(
    labels: Any,  # noqa: ANN401 - anything NumPy, pandas or datasets hold
    inputs: Any = None,  # noqa: ANN401
    *,
    class_names: Sequence[str] | None = None,
    sample_names: Sequence[str] | None = None,
) -> Source:
    """A source from labels and whatever the inputs are.

    Args:
        labels: Class indices or names, shape (n,).
        inputs: Images (n, h, w, c) uint8, numbers (n, d), n texts, n pictures of Pillow, or a frame of pandas, whose
            columns become features as those of a table do; None where there are labels alone.
        class_names: One a class, where labels are indices.
        sample_names: What people call each sample, shape (n,).

    Raises:
        BadUsage: What is given holds no values.
        BadData: They do not fit together, or inputs are of another kind.
    """
    if not isinstance(labels, np.ndarray):
        labels = as_list(labels, "labels", "give the class of each sample, as an array or a list")
    named = None
    if sample_names is not None:
        named = [str(name) for name in as_list(sample_names, "sample_names", "give what each sample is called")]
    more: dict[str, Any] = {"class_names": class_names, "sample_names": named}
    if isinstance(inputs, np.ndarray) and inputs.ndim == 1 and inputs.dtype.kind in "UO":
        return _of_texts(labels, inputs.tolist(), more)
    if inputs is None or isinstance(inputs, np.ndarray):
        return source_from_arrays(NAME, inputs, labels, **more)
    if hasattr(inputs, "columns") and hasattr(inputs, "dtypes"):
        return _of_frame(labels, inputs, more)
    if not isinstance(inputs, Iterable):
        as_list(inputs, "inputs", "give an array, a list of texts or pictures, or a frame")
    if isinstance(inputs, Iterator):  # which is read once
        inputs = list(inputs)
    first = next(iter(islice(inputs, 1)), None)
    if isinstance(first, str):
        return _of_texts(labels, list(inputs), more)
    if hasattr(first, "convert") and hasattr(first, "size"):
        return source_from_arrays(NAME, _pixels(inputs), labels, **more)
    return source_from_arrays(NAME, as_array(inputs, what="inputs"), labels, **more)


def _of_texts(labels: Any, texts: list[Any], more: dict[str, Any]) -> Source:  # noqa: ANN401
    """A source whose inputs are TF-IDF of the texts."""
    from noisybench.data.tables.text_features import text_features, text_units

    odd = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if odd is not None:
        msg = f"inputs[{odd}] is a {type(texts[odd]).__name__} and others are texts; expected a text for each sample"
        raise BadData(msg)
    values = text_features(texts, what="inputs", units=text_units(texts))[0]
    return source_from_arrays(NAME, values, labels, texts=texts, **more)


def _of_frame(labels: Any, frame: Any, more: dict[str, Any]) -> Source:  # noqa: ANN401 - pandas is imported by its owner
    """A source whose inputs are the columns of a frame, as source ``table`` takes them; a single column of texts is texts."""
    import pyarrow as pa

    from noisybench.data.tables.feature_columns import Choices, feature_columns, table_features
    from noisybench.data.tables.row_words import RowWords

    table = pa.Table.from_pandas(frame, preserve_index=False)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    if len(columns) == 1 and pa.types.is_string(next(iter(columns.values())).type):
        return _of_texts(labels, frame.iloc[:, 0].tolist(), more)
    place = Path("the frame")
    values, _, told = table_features(feature_columns(columns, place, Choices(), chosen=True), None, [place], Choices())
    source = source_from_arrays(NAME, values, labels, rows=RowWords(columns), **more)
    return replace(source, notes=(*told, *source.notes))


def _pixels(pictures: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:  # noqa: ANN401 - an iterable of PIL.Image.Image
    """Pictures as (n, h, w, 3) uint8, brought to one side where they have several sizes: the largest centred square."""
    from PIL import ImageOps

    several = len({picture.size for picture in pictures}) > 1
    fitted = (ImageOps.fit(picture, (SIDE, SIDE)) if several else picture for picture in pictures)
    return np.stack([np.asarray(picture.convert("RGB")) for picture in fitted])
