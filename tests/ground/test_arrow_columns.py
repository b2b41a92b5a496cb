"""Arrays of NumPy as columns of Arrow, and back."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from noisybench.ground.arrow_columns import arrow_of, column_of

ARRAYS: dict[str, NDArray[Any]] = {
    "numbers": np.array([1.5, np.nan, -np.inf]),
    "single": np.arange(5, dtype=np.float32),
    "every other": np.arange(9)[::2],
    "bytes": np.arange(3, dtype=np.uint8),
    "truths": np.arange(13) % 3 == 0,
    "every third truth": (np.arange(30) % 2 == 0)[::3],
    "none": np.zeros(0),
    "no truth": np.zeros(0, dtype=bool),
    "texts": np.array(["a", "b"]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_column_is_as_pyarrow_makes_it_and_comes_back(name: str) -> None:
    """Of the same type, whole, without missing values; texts by pyarrow itself."""
    values = ARRAYS[name]
    column = arrow_of(values)
    column.validate(full=True)
    assert column.type == pa.array(values).type
    assert column.null_count == 0
    np.testing.assert_array_equal(column_of(column), values)
