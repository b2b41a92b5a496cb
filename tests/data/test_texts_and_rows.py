"""Texts and rows of a source: what a person reads of a sample, whatever is done to the source, and no part of its digest."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from noisybench.data.alterations.duplicates import Duplicates
from noisybench.data.alterations.long_tail import LongTail
from noisybench.data.loading import load_source
from noisybench.data.source import PARENT, source_from_arrays
from noisybench.data.tables.row_words import MOST_COLUMNS, RowWords
from noisybench.ground.errors import BadData

SAID = [f"text number {i} of some words" for i in range(12)]


def test_a_table_of_texts_has_its_texts(tmp_path: Path) -> None:
    """In the order of the file, as many as the limit keeps; they change no digest."""
    rows = "".join(f"{text},{'ab'[i % 2]}\n" for i, text in enumerate(SAID))
    (tmp_path / "t.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    source = load_source(tmp_path / "t.csv")
    assert source.texts == SAID
    assert source.rows is None
    assert load_source(tmp_path / "t.csv", limit=3).texts == SAID[:3]
    same = source_from_arrays("table", source.inputs, source.labels, class_names=source.class_names)
    assert same.sha256 == source.sha256


def test_a_table_of_columns_has_its_rows(tmp_path: Path) -> None:
    """As they are written, without what is left out and without gaps; they go to other processes."""
    rows = "".join(f"{i},{13 + i / 7:.1f},{'red' if i % 3 else ''},{'ab'[i % 2]}\n" for i in range(12))
    (tmp_path / "t.csv").write_text(f"id,alcohol,colour,label\n{rows}", encoding="utf-8")
    source = load_source(tmp_path / "t.csv", limit=5)
    assert source.texts is None
    assert source.rows is not None
    assert list(source.rows)[:2] == ["alcohol: 13.0", "alcohol: 13.1 · colour: red"]
    assert len(source.rows) == 5
    assert pickle.loads(pickle.dumps(source.rows))[4] == source.rows[-1]  # noqa: S301 - made here


def test_a_data_set_of_the_hub_has_both(tmp_path: Path) -> None:
    """Texts of several columns are joined; numbers are a row."""
    labels = [i % 2 for i in range(12)]
    Dataset.from_dict({"text": SAID, "label": labels}).to_parquet(tmp_path / "t.parquet")
    Dataset.from_dict({"x": [i / 3 for i in range(12)], "y": labels, "label": labels}).to_parquet(
        tmp_path / "n.parquet"
    )
    assert load_source("huggingface", tmp_path / "t.parquet", limit=4).texts == SAID[:4]
    rows = load_source("huggingface", tmp_path / "n.parquet", input="x,y").rows
    assert rows is not None
    assert rows[1] == "x: 0.333333 · y: 1"


def test_altered_samples_keep_what_they_were_made_of() -> None:
    """Samples that go take their text along; a copy has that of its twin; a damaged input has none."""
    inputs = np.arange(24, dtype=np.float32).reshape(12, 2)
    labels = np.arange(12) % 2
    rows = RowWords({"x": pa.array(range(12))})
    source = source_from_arrays("sentences", inputs, labels, clean=labels, texts=SAID, rows=rows)
    tail = LongTail(factor=3)(source, seed=0, foreign=None)
    assert tail.texts == [SAID[i] for i in tail.marks[PARENT]]
    copied = Duplicates(rate=0.25)(tail, seed=0, foreign=None)
    assert copied.texts == [SAID[i] for i in copied.marks[PARENT]]
    assert copied.rows is not None
    assert list(copied.rows) == [f"x: {i}" for i in copied.marks[PARENT]]


def test_rows_are_short_and_checked() -> None:
    """Of many columns the number is said; rows that are not there are refused."""
    words = RowWords({f"c{i}": pa.array([i, None]) for i in range(MOST_COLUMNS + 2)})
    assert words[0].endswith("c39: 39 · 2 more columns")
    assert words.take(np.array([-1, 1]))[0] == ""
    with pytest.raises(IndexError, match=r"row 2 is none of 0\.\.1"):
        words[2]
    with pytest.raises(BadData, match=r"columns of one length, got \[1, 2\]"):
        RowWords({"a": pa.array([1]), "b": pa.array([1, 2])})


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["one"], "source 's': texts: there are 1 of 2 samples"),
        (["one", 2], r"source 's': texts\[1\] is int, expected a text"),
        ("two", "texts must be a list of texts, one a sample, got str"),
    ],
)
def test_texts_that_are_none_are_refused(texts: list[str], sentence: str) -> None:
    """One a sample, each a text."""
    with pytest.raises(BadData, match=sentence):
        source_from_arrays("s", np.eye(2, dtype=np.float32), [0, 1], texts=texts)
