"""Columns of Arrow as arrays of NumPy and back, without pandas, which pyarrow's own ways import where it is installed."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def column_of(values: Any) -> NDArray[Any]:  # noqa: ANN401 - pyarrow is untyped
    """A column as an array (n,), or (n, k) of lists of k; texts as objects.

    Raises:
        pa.ArrowInvalid: A value is missing.
    """
    if values.null_count:
        msg = f"{values.null_count} values are missing"
        raise pa.ArrowInvalid(msg)
    if pa.types.is_fixed_size_list(values.type):
        flat = _numbers(values.flatten())
        return flat.reshape(len(values), values.type.list_size)
    if pa.types.is_dictionary(values.type):  # each text once in memory
        texts: NDArray[Any] = np.array(values.dictionary.to_pylist(), dtype=object)
        return texts[_numbers(values.indices)]
    return _numbers(values)


def _numbers(values: Any) -> NDArray[Any]:  # noqa: ANN401 - pyarrow is untyped
    """An array of Arrow without missing values, shape (n,): where it lies, if it can be; pyarrow's way imports pandas."""
    first, n, buffer = values.offset, len(values), values.buffers()[-1] if len(values) else None
    if buffer is not None and pa.types.is_boolean(values.type):
        bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=first + n, bitorder="little")
        return bits[first:].view(np.bool_)
    kind = _KINDS.get(str(values.type))
    if buffer is None or kind is None:
        array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
        return array
    return np.frombuffer(buffer, kind, count=n, offset=first * kind.itemsize)


def arrow_of(values: NDArray[Any]) -> Any:  # noqa: ANN401 - pyarrow is untyped
    """An array (n,) as a column of Arrow, without missing values: of numbers, where it lies."""
    if values.dtype == np.bool_:
        return pa.Array.from_buffers(
            pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))]
        )
    if values.dtype.kind in "fiu" and values.dtype.isnative:
        kind = pa.from_numpy_dtype(values.dtype)
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
    return pa.array(values)


_KINDS = {
    **{name: np.dtype(name) for size in (8, 16, 32, 64) for name in (f"int{size}", f"uint{size}")},
    "halffloat": np.dtype(np.float16),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}
"""Name of a type of Arrow → NumPy's."""
