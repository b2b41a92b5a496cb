"""CSV and Parquet tables against what was written, and features of texts against scikit-learn's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer

from noisybench.data.loading import load_source
from noisybench.data.sources._text import text_features
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError, UnknownName

PIXELS = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)
TEXTS = ["The cat, the dog.", "A dog\nand a bird", "bird bird bird 2nd", "Ein Vogel: äöü", "cat dog bird", "a"]


def write(folder: Path, text: str, name: str = "x.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_numbers_and_classes_are_read_alike_from_both_formats(tmp_path: Path) -> None:
    """Every other column is a number, in the order of the file; classes are sorted as numbers where all are."""
    text = "a,label,right,b,key\n1,10,10,0.5,p\n2,9,,1e-3,q\n-3,9,2,true,r\n"
    file = write(tmp_path, text.replace("true", "1"))
    options: dict[str, Any] = {"clean": "right", "id": "key"}
    source = load_source("table", file, **options)
    assert np.array_equal(source.inputs, np.array([[1, 0.5], [2, 1e-3], [-3, 1]], np.float32))
    assert source.class_names == ("2", "9", "10")
    assert source.labels.tolist() == [2, 1, 1]
    assert source.clean.tolist() == [2, UNKNOWN, 0]
    assert source.sample_names == ["p", "q", "r"]
    table = pa.table({
        "a": pa.array([1, 2, -3], pa.int16()),
        "label": pa.array([10, 9, 9]),
        "right": pa.array([10, None, 2]),
        "b": pa.array([0.5, 1e-3, 1.0]),
        "key": pa.array(["p", "q", "r"]).dictionary_encode(),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    again = load_source("table", tmp_path / "x.parquet", **options)
    assert again.sha256 == source.sha256
    assert np.array_equal(again.clean, source.clean)
    part = load_source("table", file, features="b", limit=2)
    assert np.array_equal(part.inputs, np.array([[0.5], [1e-3]], np.float32))
    assert (part.limit, part.class_names) == (2, ("9", "10"))
    words = load_source("table", write(tmp_path, "x,label\n1,NA\n2,null\n3,true\n"))
    assert words.class_names == ("NA", "null", "true")


def test_texts_become_features_of_their_words(tmp_path: Path) -> None:
    """As scikit-learn has it for the same words; test texts change nothing, nor does a limit; commas and lines may be in."""
    rows = [f'"{text}",{"no" if i % 2 else "yes"}' for i, text in enumerate(TEXTS)]
    file = write(tmp_path, "\n".join(["text,label", *rows]))
    write(tmp_path, 'text,label\n"unseen words, dog",no\n', "test.csv")
    source = load_source("table", file, test="test.csv")
    reference = TfidfVectorizer(sublinear_tf=True)
    np.testing.assert_allclose(source.inputs, reference.fit_transform(TEXTS).toarray(), atol=1e-7)
    tested: Any = source.test_inputs
    np.testing.assert_allclose(tested, reference.transform(["unseen words, dog"]).toarray(), atol=1e-7)
    assert source.class_names == ("no", "yes")
    assert source.sample_names is None
    part = load_source("table", file, limit=2)
    assert np.array_equal(part.inputs, source.inputs[:2])
    few = load_source("table", file, words="3", text="text").inputs
    np.testing.assert_allclose(
        few,
        TfidfVectorizer(sublinear_tf=True, vocabulary=["bird", "cat", "dog"]).fit_transform(TEXTS).toarray(),
        atol=1e-7,
    )


def test_a_text_may_be_long(tmp_path: Path) -> None:
    """Longer than the megabyte of a row that Arrow reads unless it is told more."""
    source = load_source("table", write(tmp_path, f"text,label\n{'many words ' * 300_000},0\nfew words,1\n"))
    assert source.inputs.shape == (2, 3)


def test_equally_common_words_are_chosen_by_the_alphabet() -> None:
    """And stop words are left out where it is said so; texts without a word at all are refused."""
    features, none = text_features(["zebra yak the", "yak xerus the", "the"], columns=2, stop_words="english")
    assert none.shape == (0, 2)
    assert (features[:, 0] > 0).tolist() == [False, True, False]  # xerus, before zebra
    assert np.linalg.norm(features, axis=1) == pytest.approx([1, 1, 0])
    with pytest.raises(BadData, match="mine hold no word of two letters or digits; expected texts"):
        text_features(["a", "!"], what="mine")


def test_images_are_found_below_the_table(tmp_path: Path) -> None:
    """Names with commas, deeper folders, and whole paths that lead below the folder; the path is the sample's name."""
    (tmp_path / "images" / "deep").mkdir(parents=True)
    names = ["a, b.png", "deep/c.png", "d.png"]
    for name, pixels in zip(names, PIXELS, strict=True):
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    rows = [f'"{name}",{i}' for i, name in enumerate(names[:2])]
    whole = tmp_path / "images" / "d.png"
    file = write(tmp_path, "\n".join(["path,label", *rows, f"{whole},0"]))
    source = load_source("table", file, root="images")
    assert np.array_equal(source.inputs, PIXELS)
    assert source.sample_names == names
    assert source.options == {"label": "label", "root": "images", "words": 1024}
    tested = load_source("table", file, root="images", test="x.csv", side="2", limit=1)
    assert np.array_equal(tested.test_inputs, PIXELS)
    with pytest.raises(
        BadData, match=r"row 0: 'a, b.png' is no file below .* \(2 such rows\); name files relative to it"
    ):
        load_source("table", file)
    outside = write(tmp_path / "images", "path,label\n../x.csv,0\n")
    with pytest.raises(
        BadData, match=r"column 'path' of .*, row 0: '../x.csv' is no file below .*images \(1 such rows"
    ):
        load_source("table", outside)
    outside.write_text("path,label\ndeep/../../x.csv,0\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"'deep/../../x.csv' is no file below"):
        load_source("table", outside)


@pytest.mark.parametrize(
    ("text", "options", "kind", "message"),
    [
        ("a,lable\n1,0\n", {}, UnknownName, "no column of .*x.csv is called 'label'; did you mean 'lable'"),
        ("a,label\n1,0\n", {"clean": "right"}, UnknownName, "no column of .*x.csv is called 'right'"),
        ("a,label\n1,0\n", {"features": "a, c"}, UnknownName, "is called 'c'"),
        ("a,label\n1,0\n", {"features": "a", "text": "a"}, BadUsage, "are one of image=…, .*, got text and features"),
        ("label\n0\n", {}, BadData, "x.csv has no column beside label; expected image files, texts or numbers"),
        (
            "a,label\n1,0\n2,\n",
            {},
            BadData,
            r"column 'label' of .*x.csv is empty in row 1 \(1 such rows\); fill or drop",
        ),
        ("a,label\n1,0\n,1\nnan,1\n", {}, BadData, r"column 'a' of .* has no finite number in row 1 \(2 such rows\)"),
        ("a,label\n1,0\nx,1\n", {}, BadData, "x.csv cannot be read as csv: .*invalid value 'x'"),
        ("text,label\nx,0\n,1\n", {}, BadData, "column 'text' of .*x.csv is empty in row 1"),
        ("path,label\n,0\n", {}, BadData, "column 'path' of .*x.csv is empty in row 0"),
        ("a,a,label\n1,2,0\n", {}, BadData, "x.csv has 2 columns called 'a'; expected one of each name"),
        ("a,label\n", {}, BadData, "x.csv has no rows; expected a row for each sample"),
        ("a,label\n1,0,7\n", {}, BadData, "x.csv cannot be read as csv: .*Expected 2 columns"),
        ("", {}, BadData, "x.csv cannot be read as csv: Empty CSV file"),
        ("a,label\n1,0\n", {"test": "t.csv"}, BadData, "test=t.csv must be the name of a file or folder in"),
        ("a,label\n1,0\n", {"words": "0", "text": "a"}, BadUsage, "columns must be at least 1, got 0"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(
    tmp_path: Path, text: str, options: dict[str, Any], kind: type[NoisybenchError], message: str
) -> None:
    """One sentence: which column and row, what it holds, what is expected."""
    with pytest.raises(kind, match=message) as caught:
        load_source("table", write(tmp_path, text), **options)
    assert "\n" not in str(caught.value)


def test_other_files_and_other_types_are_refused(tmp_path: Path) -> None:
    """No file, one of another kind, a damaged one, a class that only the test set has, and columns of the wrong type."""
    with pytest.raises(BadUsage, match="source 'table' needs a file: say --data FILE, a .csv or .parquet"):
        load_source("table")
    with pytest.raises(BadData, match="x.txt is no .csv or .parquet file; save the table as one of these"):
        load_source("table", tmp_path / "x.txt")
    with pytest.raises(BadData, match="x.csv cannot be read as csv: No such file"):
        load_source("table", tmp_path / "x.csv")
    with pytest.raises(BadData, match="x.parquet cannot be read as parquet: "):
        load_source("table", write(tmp_path, "a,label\n1,0\n", "x.parquet"))
    file = write(tmp_path, "a,label\n1,cat\n2,dog\n")
    write(tmp_path, "a,label\n1,cat\n2,bird\n", "t.csv")
    with pytest.raises(
        BadData, match=r"column 'label' of .*t.csv, row 1: no class is called 'bird'; there are: cat, dog"
    ):
        load_source("table", file, test="t.csv")
    for label, a, message in (
        ([0.5], [1.0], "column 'label' of .* holds double, expected texts or whole numbers"),
        ([0], [["x"]], "column 'a' of .* holds list.*, expected numbers"),
    ):
        pq.write_table(pa.table({"a": a, "label": label}), tmp_path / "y.parquet")
        with pytest.raises(BadData, match=message):
            load_source("table", tmp_path / "y.parquet")
