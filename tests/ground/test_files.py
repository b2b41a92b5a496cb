"""Files written whole or not at all, and read against what is expected."""

import json
import os
import platform
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from noisybench.ground.arrow_columns import column_of
from noisybench.ground.errors import BadData
from noisybench.ground.files import (
    column_names,
    read_array,
    read_columns,
    read_json,
    replacing,
    replacing_folder,
    write_columns,
    write_json,
)
from noisybench.ground.records import read_json_as
from noisybench.ground.sealed_arrays import write_array

RNG = np.random.default_rng(0)
COLUMNS: dict[str, Any] = {
    "float32": RNG.random(1000).astype(np.float32),
    "float64": np.array([np.nan, -np.inf, 5e-324, *RNG.random(997)]),
    "int64": RNG.integers(-(2**62), 2**62, 1000),
    "bool": RNG.random(1000) < 0.5,
    "rows": RNG.random((1000, 7)).astype(np.float32),
    "counts": RNG.integers(0, 9, (1000, 2)),
    "strided": RNG.random((1000, 6))[:, ::2],
}


@pytest.mark.parametrize(
    "values",
    [
        *(np.array([0, 1, 3, 100], kind) for kind in "bBhHiIlLqQefd"),
        np.array([True, False, True, True]), np.array([[1.5, 2], [3, 4]]), np.array([[True], [False]]), np.zeros(0),
        np.zeros(0, np.bool_), np.array(["a", "é", "a"], dtype=object), np.arange(8) % 3 == 0,
    ],
)  # fmt: skip
def test_numbers_are_those_that_arrow_holds(values: NDArray[Any]) -> None:
    """Of every kind, whole and from a place on: as pyarrow's own way gives them, which takes pandas along."""
    held = (
        pa.array(values)
        if values.ndim == 1
        else pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    )
    for first in range(min(3, len(values) + 1)):
        part = held[first:]
        found = column_of(part.dictionary_encode() if values.dtype == object else part)
        assert np.array_equal(found, values[first:])
        assert found.dtype == values.dtype
        assert found.shape == values[first:].shape


def test_columns_come_back_bit_by_bit(tmp_path: Path) -> None:
    """Of one or two dimensions, with their types and the file's metadata."""
    write_columns(COLUMNS, tmp_path / "deep" / "x.parquet", metadata={"variant_id": "é"})
    columns, metadata = read_columns(tmp_path / "deep" / "x.parquet")
    assert metadata == {"variant_id": "é"}
    assert list(columns) == list(COLUMNS) == column_names(tmp_path / "deep" / "x.parquet")
    for name, values in COLUMNS.items():
        assert columns[name].dtype == values.dtype
        assert columns[name].tobytes() == np.ascontiguousarray(values).tobytes()
        assert columns[name].shape == values.shape


def test_some_columns_are_read_alone(tmp_path: Path) -> None:
    """In the order asked for; none at all gives the metadata."""
    write_columns(COLUMNS, tmp_path / "x.parquet", metadata={"a": "b"})
    assert list(read_columns(tmp_path / "x.parquet", ["rows", "bool"])[0]) == ["rows", "bool"]
    assert read_columns(tmp_path / "x.parquet", []) == ({}, {"a": "b"})


def test_an_empty_table_is_one_too(tmp_path: Path) -> None:
    """No rows, whatever the number of dimensions."""
    write_columns({"x": np.empty(0), "y": np.empty((0, 3), dtype=np.float32)}, tmp_path / "x.parquet")
    columns, _ = read_columns(tmp_path / "x.parquet")
    assert (columns["x"].shape, columns["y"].shape) == ((0,), (0, 3))


def test_numbers_have_the_encodings_that_were_measured(tmp_path: Path) -> None:
    """Parquet's defaults are twice as large on traces."""
    write_columns(COLUMNS, tmp_path / "x.parquet")
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    found = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    for name, encoding in [
        ("float32", "BYTE_STREAM_SPLIT"),
        ("rows.list.element", "BYTE_STREAM_SPLIT"),
        ("int64", "DELTA_BINARY_PACKED"),
        ("counts.list.element", "DELTA_BINARY_PACKED"),
    ]:
        assert encoding in found[name].encodings
        assert found[name].compression == "ZSTD"


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    """And no temporary one beside it."""
    file = tmp_path / "x.json"
    write_json({"a": 1}, file)
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json({"a": float("nan")}, file)
    with pytest.raises(TypeError):
        write_json({"a": object()}, file)
    assert read_json(file) == {"a": 1}
    table = tmp_path / "x.parquet"
    write_columns({"x": np.arange(3)}, table)
    before = table.read_bytes()
    with pytest.raises(ValueError, match="Column 'y' has different length|expected length 3 but got length 4"):
        write_columns({"x": np.arange(3), "y": np.arange(4)}, table)
    reason = "power cut"
    with pytest.raises(RuntimeError, match=reason), replacing(table) as part:
        part.write_bytes(b"half")
        raise RuntimeError(reason)
    assert table.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.parquet"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While the new one is written, the old one is what its name gives."""
    file = tmp_path / "x"
    file.write_text("old", encoding="utf-8")
    with replacing(file) as part:
        part.write_text("new", encoding="utf-8")
        assert file.read_text(encoding="utf-8") == "old"
    assert file.read_text(encoding="utf-8") == "new"


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    """Missing, cut off at any length, of another format, or without the column."""
    file = tmp_path / "x.parquet"
    for read in (read_columns, column_names):
        with pytest.raises(BadData, match=r"x.parquet cannot be read as Parquet: .*No such file or directory"):
            read(file)
    write_columns(COLUMNS, file)
    with pytest.raises(BadData, match=r"x.parquet has no column 'margin'; it has: float32, float64, int64, bool, rows"):
        read_columns(file, ["rows", "margin"])
    whole = file.read_bytes()
    for size in (0, 3, 11, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        for read in (read_columns, column_names):
            with pytest.raises(BadData, match=r"x.parquet cannot be read as Parquet: ") as caught:
                read(file)
            assert "\n" not in str(caught.value)


def test_json_is_for_people(tmp_path: Path) -> None:
    """Indented, in the order given, with letters of any language; what is no JSON is refused."""
    file = tmp_path / "x.json"
    write_json({"b": [1, None], "a": "ü"}, file)
    text = file.read_text(encoding="utf-8")
    assert text == '{\n  "b": [\n    1,\n    null\n  ],\n  "a": "ü"\n}\n'
    assert read_json(file) == json.loads(text)
    with pytest.raises(BadData, match=r"gone.json cannot be read: No such file or directory"):
        read_json(tmp_path / "gone.json")
    for content in (b"{", b"", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(BadData, match=r"x.json is not JSON: "):
            read_json(file)


@dataclass(frozen=True)
class Part:
    models: int


@dataclass(frozen=True)
class Whole:
    seed: int
    seconds: float | None
    mode: Literal["exact", "bernoulli"]
    names: tuple[str, ...]
    part: Part
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)


WHOLE = Whole(3, 1.5, "exact", ("a", "ü"), Part(4), {"z": True, "a": 1, "b": 0.1, "c": "d"})


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    """A frozen dataclass written as JSON is read as the same one; a field with a default may be missing."""
    file = tmp_path / "x.json"
    write_json(asdict(WHOLE), file)
    found = read_json_as(file, Whole)
    assert found == WHOLE
    assert list(found.options.items()) == list(WHOLE.options.items())
    assert [type(value) for value in found.options.values()] == [bool, int, float, str]
    record = {key: value for key, value in asdict(WHOLE).items() if key != "options"}
    write_json(record | {"later": 1}, file)
    assert read_json_as(file, Whole, allow_unknown=True) == replace(WHOLE, options={})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "3"}, "x.json: 'seed' is '3', expected int; build again"),
        ({"seed": True}, "x.json: 'seed' is 'True', expected int; build again"),
        ({"seed": 3.0}, "x.json: 'seed' is '3.0', expected int; build again"),
        ({"seconds": "1"}, "x.json: 'seconds' is '1', expected float | None; build again"),
        ({"mode": "none"}, "x.json: 'mode' is 'none', expected Literal['exact', 'bernoulli']; build again"),
        ({"names": ["a", 1]}, "x.json: 'names[1]' is \"['a', 1]\", expected str; build again"),
        ({"part": {"models": None}}, "x.json: 'part.models' is \"{'models': None}\", expected int; build again"),
        ({"part": {}}, "x.json lacks 'part.models'; it is damaged, or of another version: build again"),
        (
            {"later": 1},
            "x.json has a field 'later', which is none of: seed, seconds, mode, names, part, options; build",
        ),
    ],
)
def test_records_with_another_field_are_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    """One sentence names the file, the field and what was expected of it, in parts of a record as well."""
    write_json(asdict(WHOLE) | change, tmp_path / "x.json")
    with pytest.raises(BadData, match=re.escape(words)):
        read_json_as(tmp_path / "x.json", Whole, mend="build again")


@pytest.mark.parametrize("name", ["seed", "seconds", "mode", "names", "part"])
def test_records_without_a_field_are_refused(name: str, tmp_path: Path) -> None:
    """Each field without a default must be there, and what is no record at all says so."""
    write_json({key: value for key, value in asdict(WHOLE).items() if key != name}, tmp_path / "x.json")
    with pytest.raises(BadData, match=f"x.json lacks '{name}'; it is damaged, or of another version: make it again"):
        read_json_as(tmp_path / "x.json", Whole)
    for content, words in (("[]", "holds a list"), ("{", "is not JSON"), ('{"seed": NaN}', "is not JSON")):
        (tmp_path / "x.json").write_text(content, encoding="utf-8")
        with pytest.raises(BadData, match=words):
            read_json_as(tmp_path / "x.json", Whole)


@pytest.mark.parametrize("field", ["mode", "seed", "names", "options"])
def test_half_a_surrogate_pair_is_refused(field: str, tmp_path: Path) -> None:
    """JSON can spell it, in a value of any type and in a name, and no file could hold it again."""
    value = {"names": ["\ud800"], "options": {"\ud800": 1}}.get(field, "\ud800")
    (tmp_path / "x.json").write_text(json.dumps(asdict(WHOLE) | {field: value}), encoding="utf-8")
    with pytest.raises(BadData, match=r"x.json holds text that is no Unicode; build again"):
        read_json_as(tmp_path / "x.json", Whole, mend="build again")


def test_arrays_are_never_unpickled(tmp_path: Path) -> None:
    """An array comes back as it was; a pickled one, a cut one and an archive of several are refused."""
    file = tmp_path / "x.npy"
    write_array(np.eye(3), file)
    assert np.array_equal(read_array(file), np.eye(3))
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array(np.array([object()]), file)
    assert np.array_equal(read_array(file), np.eye(3))
    whole = file.read_bytes()
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    for content in ((tmp_path / "pickled.npy").read_bytes(), whole[:-1], whole[:9], b"", b"1,2\n"):
        file.write_bytes(content)
        with pytest.raises(BadData, match=r"x.npy cannot be read as a NumPy array: "):
            read_array(file)
    np.savez(tmp_path / "x.npz", a=np.eye(2))
    with pytest.raises(BadData, match=r"x.npz holds several arrays, expected one \(.npy\)"):
        read_array(tmp_path / "x.npz")


def test_a_folder_takes_the_place_of_another_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there is there until the new one is; where the last rename fails, it is put back."""
    place = tmp_path / "export"
    for text in ("one", "two"):
        with replacing_folder(place) as part:
            (part / "file").write_text(text)
        assert (place / "file").read_text() == text
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".part") and not self.name.endswith(".old.part"):
            msg = "no space left"
            raise OSError(msg)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space left"), replacing_folder(place) as part:
        (part / "file").write_text("three")
    assert (place / "file").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_what_killed_processes_left_is_cleared(tmp_path: Path) -> None:
    """Half a file, half a folder, and a folder that was put aside, which comes back where nothing took its place."""
    gone, here = 2**22 + 1, platform.node()  # no process has that number
    place = tmp_path / "export"
    for name in (
        f"export.{gone}@{here}.part",
        f"export.{gone}-3@{here}.old.part",
        f"export.{os.getpid()}-x@{here}.part",
    ):
        (tmp_path / name).mkdir()
    (tmp_path / f"export.{os.getpid()}-999999@{here}.part").mkdir()  # of an earlier process that had our number
    (tmp_path / f"export.{gone}-3@{here}.old.part" / "file").write_text("old")
    with replacing_folder(place) as part:
        assert (place / "file").read_text() == "old"
        (part / "file").write_text("new")
    assert (place / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", f"export.{os.getpid()}-x@{here}.part"]


def test_threads_write_the_same_file_in_turn(tmp_path: Path) -> None:
    """Each write is whole, and nothing is left beside the file."""

    def write(number: int) -> None:
        for _ in range(20):
            write_json([number] * 100, tmp_path / "x.json")
            assert len(set(read_json(tmp_path / "x.json"))) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
