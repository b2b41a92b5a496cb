"""How tables are written against what wrote them: every way gives the same source, or one sentence."""

import bz2
import codecs
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError

NUMBERS = np.array([[0.5, -1.25], [2e-3, 4.0], [1.0, 0.75]], np.float32)
CLASSES = ("Käse", "Öl", "Brot")


def written(separator: str = ",", decimal: str = ".") -> str:
    rows = [
        separator.join([*(f"{x:g}".replace(".", decimal) for x in row), CLASSES[i]]) for i, row in enumerate(NUMBERS)
    ]
    return "\n".join([separator.join(["a", "b", "label"]), *rows, ""])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", written().encode(), ()),
        ("x.CSV", written().replace("\n", "\r\n").encode("utf-8-sig"), ()),
        ("x.csv", written(";").encode(), ("the columns of x.csv are separated by semicolons",)),
        ("x.csv", written(";", ",").encode(), ("separated by semicolons", "the numbers of x.csv have decimal commas")),
        ("x.csv", written("\t").encode(), ("separated by tabs",)),
        ("x.csv", written("|").encode(), ("separated by bars",)),
        ("x.tsv", written("\t").encode(), ()),
        ("x.tsv", written("\t", ",").encode(), ("decimal commas",)),
        ("x.tsv", written().encode(), ("separated by commas",)),
        ("x.csv", written().encode("utf-16"), ()),
        ("x.csv", codecs.BOM_UTF16_BE + written().encode("utf-16-be"), ()),
        ("x.csv", written().encode("utf-32"), ()),
        ("x.csv", written().encode("latin-1"), ("x.csv is no UTF-8 and read as Windows-1252",)),
        ("x.csv.gz", gzip.compress(written().encode(), mtime=0), ()),
        ("x.csv", gzip.compress(written().encode(), mtime=0), ()),
        ("x.tsv.bz2", bz2.compress(written("\t").encode()), ()),
        ("x.csv.xz", lzma.compress(written(";").encode("utf-16")), ("separated by semicolons",)),
    ],
)
def test_every_way_of_writing_gives_the_same_source(
    tmp_path: Path, name: str, content: bytes, said: tuple[str, ...]
) -> None:
    """And what is not usual is said in one sentence each."""
    (tmp_path / name).write_bytes(content)
    source = load_source("table", tmp_path / name, scale="false")
    assert np.array_equal(source.inputs, NUMBERS)
    assert source.class_names == ("Brot", "Käse", "Öl")
    assert len(source.notes) == len(said)
    assert all(part in note for part, note in zip(said, source.notes, strict=True))


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (written(" ").encode(), {"separator": "space"}),
        (written(":").encode(), {"separator": ":"}),
        (written(";", ",").encode("utf-16-le"), {"separator": "semicolon", "encoding": "utf-16-le", "decimal": ","}),
        (written().encode("cp850"), {"encoding": "cp850"}),
    ],
)
def test_what_is_said_is_not_looked_for(tmp_path: Path, content: bytes, options: dict[str, Any]) -> None:
    """Nor noted."""
    (tmp_path / "x.csv").write_bytes(content)
    source = load_source("table", tmp_path / "x.csv", scale="false", **options)
    assert np.array_equal(source.inputs, NUMBERS)
    assert source.class_names == ("Brot", "Käse", "Öl")
    assert source.notes == ()


def test_a_long_file_is_read_beyond_what_is_looked_at(tmp_path: Path) -> None:
    """Texts with every separator in them do not mislead, nor where the look at the file ends within a row."""
    texts = [f"word{i}; a, b | c\td\nsecond line é" for i in range(9_000)]
    body = "text,label\n" + "".join(f'"{text}",{i % 3}\n' for i, text in enumerate(texts))
    for encoding in ("utf-8", "utf-16", "cp1252"):
        (tmp_path / "x.csv").write_bytes(body.encode(encoding))
        source = load_source("table", tmp_path / "x.csv", words="50")
        assert source.labels.tolist() == [i % 3 for i in range(9_000)]


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("name", "content", "options", "kind", "message"),
    [
        (
            "x.csv",
            "a,label\n1,кошка\n2,собака\n".encode("cp1251"),
            {},
            BadData,
            "is no text in UTF-8; say .*encoding=…",
        ),
        (
            "x.csv",
            written().encode("utf-16-le"),
            {},
            BadData,
            "zero bytes, as UTF-16 .*say --source-set encoding=utf-16-le",
        ),
        ("x.csv", written().encode("latin-1"), {"encoding": "utf-8"}, BadData, "is no text in utf-8; say --source-set"),
        ("x.csv", written().encode("latin-1"), {"encoding": "ascii"}, BadData, "is no text in ascii; say --source-set"),
        ("x.csv", b"PK\x03\x04rest", {}, BadData, "is a zip archive or an Excel workbook, expected .*; unpack it"),
        (
            "x.csv.gz",
            _cut(gzip.compress(written().encode(), mtime=0)),
            {},
            BadData,
            "x.csv.gz cannot be read as csv: .*ended before",
        ),
        (
            "x.csv.xz",
            _cut(lzma.compress(written().encode())),
            {},
            BadData,
            "x.csv.xz cannot be read as csv: .*ended before",
        ),
        ("x.csv.gz", b"\x1f\x8bnot", {}, BadData, "x.csv.gz cannot be read as csv: "),
        ("x.xlsx", b"PK\x03\x04", {}, BadData, "x.xlsx is no Excel workbook .*, or a damaged one; save it again"),
        ("x.xls", b"\xd0\xcf", {}, BadData, "x.xls is no .csv, .tsv, .jsonl, .ndjson, .json, .xlsx or .parquet file"),
        ("x.csv", written(" ").encode(), {}, NoisybenchError, "no column of .*x.csv is called 'label'.*a b label"),
        (
            "x.csv",
            b"a;b;label\n0,5;1.5;x\n",
            {},
            BadData,
            "column 'a' of .* has invalid value '0,5' in row 0.*decimal '.'",
        ),
        ("x.csv", b"a;b;label\n0,5;1.234,5;x\n", {}, BadData, "column 'b' of .* has invalid value '1.234,5' in row 0"),
        ("x.csv", b'a,label\n"1,234",x\n', {}, BadData, "column 'a' of .* has invalid value '1,234' in row 0"),
        ("x.csv", written().encode(), {"encoding": "rot13"}, BadUsage, "encoding=rot13 is none that Python knows"),
    ],
)
def test_what_is_not_recognised_is_said_in_plain_words(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any], kind: type[NoisybenchError], message: str
) -> None:
    """With what to do about it, in one sentence."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kind, match=message) as caught:
        load_source("table", tmp_path / name, **options)
    assert "\n" not in str(caught.value)
    assert "write it again" not in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Packed or not."""
    (tmp_path / "x.csv").write_bytes(pack(b""))
    with pytest.raises(BadData, match="x.csv cannot be read as csv: Empty CSV file"):
        load_source("table", tmp_path / "x.csv")
