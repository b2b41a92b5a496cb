"""Records of plain values in one Parquet file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisybench.ground.errors import BadData
from noisybench.ground.record_tables import read_records, write_records

RECORDS = (
    {"record": "setting", "name": 'a, "b" ünï', "count": 3, "share": 1, "on": True},
    {"record": "epoch", "share": 0.25, "never": None},
    {"record": "setting", "count": -1, "share": 2.0, "on": False},
)


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_records(RECORDS, tmp_path / "a.parquet", metadata={"study": "x"})
    found, metadata = read_records(tmp_path / "a.parquet")
    assert found == tuple({key: value for key, value in one.items() if value is not None} for one in RECORDS)
    assert metadata["study"] == "x"
    assert pq.read_table(tmp_path / "a.parquet").schema.field("share").type == pa.float64()
    write_records((), tmp_path / "none.parquet")
    assert read_records(tmp_path / "none.parquet")[0] == ()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be read as Parquet"):
        read_records(tmp_path / "missing.parquet")
    path = tmp_path / "a.parquet"
    write_records([{"record": "a", "value": float(k)} for k in range(500)], path)
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + b"\0\0\0\0" + whole[204:])
    with pytest.raises(BadData, match="make it again"):
        read_records(path)
    pq.write_table(pa.table({"value": pa.array([b"x"]).cast(pa.large_binary())}), path)
    with pytest.raises(BadData, match="expected numbers or texts"):
        read_records(path)
