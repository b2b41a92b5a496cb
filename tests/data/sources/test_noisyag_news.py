"""NoisyAG-News from small files as published, against what was written to them and scikit-learn's own TF-IDF."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from official_layouts import noisyag_news
from sklearn.feature_extraction.text import TfidfVectorizer

from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData, MissingPackage

TRAIN = "samples80trainMed.csv"


def test_labels_of_people_and_frequencies_of_words_are_read(tmp_path: Path) -> None:
    """Quotes, commas and backslashes stay in the texts; where all words fit, the columns are scikit-learn's."""
    rows = noisyag_news(tmp_path)
    source = load_source("noisyag_news", tmp_path, columns="1000")
    assert source.labels.tolist() == [label for label, _, _ in rows]
    assert source.clean.tolist() == [gt for _, gt, _ in rows]
    assert (source.labels != source.clean).sum() == 16
    oracle = TfidfVectorizer(sublinear_tf=True, stop_words="english").fit([text for _, _, text in rows])
    np.testing.assert_allclose(source.inputs[:], oracle.transform([text for _, _, text in rows]).toarray(), atol=1e-6)
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [0, 1, 2, 3] * 3
    assert source.class_names == ("World", "Sports", "Business", "Sci/Tech")
    few = load_source("noisyag_news", tmp_path, columns="5", limit=10)
    assert few.inputs.shape == (10, 5)
    assert few.order == f"of {TRAIN}"


def test_the_largest_of_several_files_is_read(tmp_path: Path) -> None:
    """In the folders of the authors' repository; what is not there is told with what is."""
    noisyag_news(tmp_path / "dataset" / "numGroup")
    noisyag_news(tmp_path / "dataset", n=60)
    assert len(load_source("noisyag_news", tmp_path).labels) == 80
    expected = (
        r"has no samples<number>valWorst.csv; there are samples60trainMed.csv, samples80trainMed.csv: choose with"
    )
    with pytest.raises(BadData, match=expected):
        load_source("noisyag_news", tmp_path, split="val", labels="worst")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b"label,gt,text,group",
            b"label,text,group",
            "samples80trainMed.csv has no column gt; it has: label, text, group",
        ),
        (b"1,0,", b"4,0,", r"the row that ends in line 2 of .*Med.csv has label '4', gt '0' and text 'minister talks"),
        (b"1,0,", b",0,", r"has label '', gt '0' and text 'minister talks peace'; expected classes 0..3 and a text"),
        (b"minister talks peace word0", b" ", r"has label '1', gt '0' and text ' '; expected classes 0..3 and a text"),
        (b"word0,5", b"word0,5,6", r"the row that ends in line 2 of .*Med.csv has label '1', gt '0'"),
        (
            b"minister",
            b"\xff\xfe",
            r"samples80trainMed.csv is damaged or cut \(it is no text in UTF-8\); copy it again",
        ),
        (b"1,0,minister", b'1,0,"minister', r"samples80trainMed.csv is damaged or cut \(.+\); copy it again"),
    ],
)
def test_damaged_files_are_refused(old: bytes, new: bytes, message: str, tmp_path: Path) -> None:
    """One sentence: the file, what it has, what it should have."""
    noisyag_news(tmp_path)
    content = (tmp_path / TRAIN).read_bytes()
    assert old in content
    (tmp_path / TRAIN).write_bytes(content.replace(old, new, 1))
    with pytest.raises(BadData, match=message) as caught:
        load_source("noisyag_news", tmp_path)
    assert "\n" not in str(caught.value)


def test_cut_files_are_refused(tmp_path: Path) -> None:
    """Between two rows too, since the name tells how many there are; without a row; without the test file."""
    noisyag_news(tmp_path)
    rows = (tmp_path / TRAIN).read_bytes().splitlines(keepends=True)
    (tmp_path / TRAIN).write_bytes(b"".join(rows[:50]))
    with pytest.raises(BadData, match="Med.csv has 49 samples, expected 80, as its name tells; copy it again"):
        load_source("noisyag_news", tmp_path)
    (tmp_path / TRAIN).write_bytes(rows[0])
    with pytest.raises(BadData, match="Med.csv has 0 samples, expected some; copy it again"):
        load_source("noisyag_news", tmp_path)
    (tmp_path / TRAIN).write_bytes(b"".join(rows))
    (tmp_path / "samplesTest.csv").unlink()
    with pytest.raises(BadData, match="samplesTest.csv is missing, and so is .*; expected"):
        load_source("noisyag_news", tmp_path)


class Encoder:
    """In the place of sentence-transformers' class: lengths of texts."""

    def __init__(self, name: str) -> None:
        if name != "lengths":
            msg = f"{name} is not a local folder\nand is not a valid model"
            raise OSError(msg)

    def encode(self, texts: list[str], *, show_progress_bar: bool) -> NDArray[np.float64]:
        assert not show_progress_bar
        return np.array([[len(text), text.count(" ")] for text in texts], dtype=np.float64)


def test_an_encoder_is_used_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the limit keeps is embedded; a missing package or model is one sentence."""
    rows = noisyag_news(tmp_path)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(
        MissingPackage, match=r"encoder 'lengths' needs the package .*: pip install 'noisybench\[text\]'"
    ):
        load_source("noisyag_news", tmp_path, encoder="lengths")
    package = ModuleType("sentence_transformers")
    monkeypatch.setattr(package, "SentenceTransformer", Encoder, raising=False)
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    source = load_source("noisyag_news", tmp_path, encoder="lengths", limit=30)
    assert source.inputs[:].tolist() == [[len(text), text.count(" ")] for _, _, text in rows[:30]]
    assert (source.options["encoder"], source.limit) == ("lengths", 30)
    with pytest.raises(
        BadData, match=r"encoder 'other' cannot be loaded \(other is not a local folder\); leave it out"
    ):
        load_source("noisyag_news", tmp_path, encoder="other")


@pytest.mark.integration("sentence_transformers")
def test_an_encoder_of_sentence_transformers_is_read_from_its_folder(tmp_path: Path) -> None:
    """A saved model of the real package that counts words, against counting by hand."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import BoW

    rows = noisyag_news(tmp_path)
    vocabulary = ["minister", "team", "word0", "word3"]
    SentenceTransformer(modules=[BoW(vocabulary)], device="cpu").save(str(tmp_path / "encoder"))
    source = load_source("noisyag_news", tmp_path, encoder=str(tmp_path / "encoder"))
    expected = [[re.findall(r"\w+", text).count(word) for word in vocabulary] for _, _, text in rows]
    assert np.any(expected)
    assert source.inputs.dtype == np.float32
    assert source.inputs[:].tolist() == expected
