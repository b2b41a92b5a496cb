"""JSON lines and Excel workbooks against the same table as CSV."""

import gzip
import json
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from noisybench.data.loading import load_source
from noisybench.data.tables import record_files
from noisybench.ground.errors import BadData, MissingPackage, NoisybenchError, UnknownName

ROWS: list[dict[str, Any]] = [
    {"a": 0.1, "k": "u", "ok": True, "label": 3, "when": "2020-01-02"},
    {"a": None, "k": "v, w", "ok": False, "label": 10, "when": "2020-01-03"},
    {"a": 2, "k": "u", "ok": True, "label": 3, "when": None},
]
CSV = 'a,k,ok,label,when\n0.1,u,true,3,2020-01-02\n,"v, w",false,10,2020-01-03\n2,u,true,3,\n'


@pytest.fixture
def digest(tmp_path: Path) -> str:
    (tmp_path / "x.csv").write_text(CSV, encoding="utf-8")
    return load_source("table", tmp_path / "x.csv").sha256


@pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson", "x.json", "x.jsonl.gz", "list.json"])
def test_json_lines_are_the_table_that_csv_is(tmp_path: Path, digest: str, name: str) -> None:
    """Also packed, with a byte order mark, empty lines, keys in another order or left out, and as one list."""
    lines = [json.dumps(row) for row in ROWS]
    lines[2] = '{"label": 3, "ok": true, "k": "u", "a": 2}'
    text = f"[{','.join(lines)}]" if name == "list.json" else "\ufeff" + "\r\n\r\n".join(lines)
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    source = load_source("table", tmp_path / name)
    assert source.sha256 == digest
    assert source.class_names == ("3", "10")
    part = load_source("table", tmp_path / name, features="a", limit=1, scale="false")
    assert part.inputs.tolist() == [[np.float32(0.1), 0]]


def test_lists_in_json_are_left_out(tmp_path: Path) -> None:
    """And told, where the first rows have none, too."""
    (tmp_path / "x.jsonl").write_text('{"a": 1, "label": 0}\n{"a": 2, "v": [1], "label": 1}\n', encoding="utf-8")
    source = load_source("table", tmp_path / "x.jsonl", scale="false")
    assert source.inputs.tolist() == [[1], [2]]
    reader = "source 'huggingface' reads lists of numbers"
    assert source.notes == (f"left out, because they hold lists or objects: v; {reader}",)
    (tmp_path / "x.json").write_text('{"data": [{"a": 1, "label": 0}]}', encoding="utf-8")
    with pytest.raises(
        BadData, match="one object that holds lists or objects alone, such as 'data'; expected an object"
    ):
        load_source("table", tmp_path / "x.json")


def test_images_are_named_in_json_lines(tmp_path: Path) -> None:
    """As the metadata.jsonl of an image folder does."""
    for i in range(2):
        Image.new("RGB", (2, 2), (i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "1.png", "label": "x"}\n{"file_name": "0.png", "label": "y"}\n', encoding="utf-8"
    )
    source = load_source("table", tmp_path / "metadata.jsonl")
    assert source.inputs[:, 0, 0, 0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "label": 0}\n{"a": 1,\n', r"line 2 of .*x.jsonl is no JSON object such as .*; expected one a line"),
        ('{"a": 1, "label": 0}\n[1]\n', "line 2 of .*x.jsonl is no JSON object"),
        ("[" * 100_000, "x.jsonl begins as a JSON list and is none"),
        ('{"a": ' + "[" * 100_000, "line 1 of .* is no JSON object"),
        ('[{"a": 1}, 2]', r"entry 1 of .* is no JSON object \(1 such entries\)"),
        ("", "no column of .*x.jsonl is called 'label'"),
        ('{"a": 1, "label": [0]}\n', "no column of .*x.jsonl is called 'label'"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """With the line."""
    (tmp_path / "x.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(NoisybenchError, match=message):
        load_source("table", tmp_path / "x.jsonl")


def workbook(file: Path, *sheets: tuple[str, list[list[Any]]]) -> Path:
    """An Excel file."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
    book.save(file)
    return file


def test_a_workbook_is_the_table_that_csv_is(tmp_path: Path, digest: str) -> None:
    """Whole numbers, truths and dates in cells; empty rows and columns are none; the first sheet, or the one that is named."""
    cells: list[list[Any]] = [[], list(ROWS[0]), *(list(row.values()) for row in ROWS), [None, None]]
    cells[2][4], cells[3][4] = datetime(2020, 1, 2), date(2020, 1, 3)  # noqa: DTZ001 - Excel knows no zones
    file = workbook(tmp_path / "x.xlsx", ("data", cells), ("notes", [["a", "label"], [1, "p"], [2, "q"]]))
    source = load_source("table", file)
    assert source.sha256 == digest
    assert source.notes[0] == "the table is sheet 'data' of data, notes; sheet=… names another"
    other = load_source("table", file, sheet="notes", scale="false")
    assert (other.inputs.tolist(), other.class_names, other.notes) == ([[1], [2]], ("p", "q"), ())
    with pytest.raises(UnknownName, match="no sheet of .*x.xlsx is called 'datas'; did you mean 'data'"):
        load_source("table", file, sheet="datas")
    odd = workbook(
        tmp_path / "y.xlsx", ("s", [["t", "d", 7, "label"], [time(12), timedelta(1.5), 1, 0], [None, None, 2, 1]])
    )
    assert load_source("table", odd, features="d,7", scale="false").inputs.tolist() == [[1.5, 1, 0], [1.5, 2, 1]]
    empty = workbook(tmp_path / "z.xlsx", ("s", []))
    with pytest.raises(UnknownName, match="is called 'label'; there are: none"):
        load_source("table", empty)


def test_a_workbook_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut, another archive, larger than any table; and where openpyxl is missing, how to get it."""
    file = workbook(tmp_path / "x.xlsx", ("s", [["a", "label"], [1, 0], [2, 1]]))
    content = file.read_bytes()
    for cut in (content[: len(content) // 2], content[:100] + b"\0" * 100 + content[200:]):
        (tmp_path / "y.xlsx").write_bytes(cut)
        with pytest.raises(BadData, match=r"y.xlsx is no Excel workbook \(.xlsx\), or a damaged one; save it again"):
            load_source("table", tmp_path / "y.xlsx")
    with zipfile.ZipFile(tmp_path / "y.xlsx", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(BadData, match="is no Excel workbook"):
        load_source("table", tmp_path / "y.xlsx")
    with monkeypatch.context() as patch:
        patch.setattr(record_files, "_LARGEST", 1_000)
        with pytest.raises(BadData, match=r"x.xlsx would be [\d,]+ bytes once unpacked, more than 1,000; save"):
            load_source("table", file)
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(
        MissingPackage, match=r"needs the package 'openpyxl': pip install 'noisybench\[excel\]'; or save it"
    ):
        load_source("table", file)
