"""Records of plain values as one Parquet file, whose columns are all their fields; a field that a record lacks is empty."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noisybench.ground.claims import check_table
from noisybench.ground.files import opened_parquet, replacing


def write_records(
    records: Sequence[Mapping[str, Any]], path: Path, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write records, with a column for each field that one of them has.

    Args:
        records: Of texts, numbers, booleans and None; a field has values of one kind in all, whole numbers among numbers.
        path: The file, which takes the place of what was there.
        metadata: Texts beside them.
    """
    fields = list(dict.fromkeys(name for record in records for name in record))
    columns: dict[str, Any] = {}
    for name in fields:
        values = [record.get(name) for record in records]
        real = any(isinstance(value, float) for value in values)
        columns[name] = pa.array(
            [float(value) if real and value is not None else value for value in values],
            type=pa.float64() if real else None,
        )
    columns = {
        name: values.cast(pa.string()) if pa.types.is_null(values.type) else values for name, values in columns.items()
    }
    table = pa.table(columns).replace_schema_metadata(dict(metadata or {}))
    with replacing(path) as part:
        pq.write_table(table, part, compression="zstd", write_page_checksum=True)


def read_records(path: Path) -> tuple[tuple[dict[str, Any], ...], dict[str, str]]:
    """Records, each with the fields that it has, and what stands beside them.

    Raises:
        BadData: The file is missing, is no Parquet, or claims far more than it can hold.
    """
    with opened_parquet(path) as (file, schema):
        check_table(path, file.metadata.num_rows, schema, None)
        table = file.read()
        metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        rows = table.to_pylist()
    return tuple({name: value for name, value in row.items() if value is not None} for row in rows), metadata
