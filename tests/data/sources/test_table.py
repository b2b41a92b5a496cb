"""CSV and Parquet tables against what was written, and features of texts against scikit-learn's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shell import shell
from sklearn.feature_extraction.text import TfidfVectorizer

from noisybench.data.alteration import changed
from noisybench.data.loading import load_source
from noisybench.data.tables.text_features import text_features
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
    options: dict[str, Any] = {"clean": "right", "id": "key", "scale": "false"}
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
    part = load_source("table", file, features="b", limit=2, scale="false")
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
        (
            "a,label\n1,0\n2,\n",
            {},
            BadData,
            r"column 'label' of .*x.csv is empty in row 1 \(1 such rows\); fill or drop",
        ),
        ("a,label\n1,0\ninf,1\n", {}, BadData, r"column 'a' of .* has no finite number in row 1 \(1 such rows\)"),
        (
            "a,label\n1,0\n,1\nnan,1\n",
            {"gaps": "refuse"},
            BadData,
            r"'a' of .* has no entry in row 1 \(2 such rows\); fill or",
        ),
        (
            "a,label\n1,0\nx,1\n",
            {"numbers": "a"},
            BadData,
            "column 'a' of .*x.csv has invalid value 'x' in row 1, expected numbers .*; leave it empty where .*categories=a",
        ),
        (
            "a,b,c,label\n1,2,x,0\n2,y,z,1\n",
            {"numbers": "a,b, c"},
            BadData,
            r"column 'b' of .* has invalid value 'y' in row 1, .*\(1 such rows\); such columns are: b, c; leave it empty",
        ),
        ("a,label\n1,0.5\n2,1.0\n", {}, BadData, "column 'label' of .* holds fractions, such as 0.5, expected classes"),
        (
            "a,label\n" + "".join(f"{i}.5,k{i}\n" for i in range(20)),
            {},
            BadData,
            "labels in column 'label' of .*x.csv hold 20 different values among 20 samples: those are ids or a quantity",
        ),
        (
            "a,label\n1,0\n",
            {"separator": "::"},
            BadUsage,
            "separator must be one character, or one of comma, .*got '::'",
        ),
        ("a,label\n1,0\n", {"decimal": ";"}, BadUsage, "decimal must be a point or a comma, got ';'"),
        ("a,label\n1,0\n", {"decimal": ",", "separator": "comma"}, BadUsage, "separator and decimal are both ','"),
        ("a,label\n1,0\n", {"encoding": "utf-9"}, BadUsage, "encoding=utf-9 is none that Python knows; such are utf-8"),
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
    with pytest.raises(
        BadUsage, match="source 'table' needs a file: say --data FILE, a .csv, .tsv, .jsonl, .xlsx or .parquet"
    ):
        load_source("table")
    with pytest.raises(
        BadData,
        match="x.txt is no .csv, .tsv, .jsonl, .ndjson, .json, .xlsx or .parquet file; save the table as one of these",
    ):
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
        ([0.5], [1.0], "column 'label' of .* holds double, such as 0.5 in row 0, expected texts or whole numbers"),
        ([0], [["x"]], "column 'a' of .* holds list.*, expected numbers"),
    ):
        pq.write_table(pa.table({"a": a, "label": label}), tmp_path / "y.parquet")
        with pytest.raises(BadData, match=message):
            load_source("table", tmp_path / "y.parquet")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_number_is_one_class_in_all_columns(tmp_path: Path, form: str) -> None:
    """As pandas writes whole numbers with gaps; empty, -1 and NaN are nobody's knowledge; the test set too."""
    right = ["0.0", "", "10.0", "-1", "nan", "NULL", "-1.0"]
    text = "a,label,right\n" + "".join(
        f"{i}.5,{label},{one}\n" for i, (label, one) in enumerate(zip("0122222", right, strict=True))
    )
    write(tmp_path, "a,label\n1,2.0\n2,10.0\n", "t.csv")
    file = write(tmp_path, text)
    if form == "parquet":
        values = [0.0, None, 10.0, -1.0, float("nan"), None, -1.0]
        columns = {"a": np.arange(7) + 0.5, "label": [*"0122222"], "right": values}
        file = tmp_path / "x.parquet"
        pq.write_table(pa.table(columns), file)
    source = load_source("table", file, clean="right", test="t.csv")
    assert source.class_names == ("0", "1", "2", "10")
    assert source.clean.tolist() == [0, UNKNOWN, 3, *[UNKNOWN] * 4]
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [2, 3]


def test_minus_one_and_na_may_be_classes(tmp_path: Path) -> None:
    """Where a given label is called so; texts such as 01 stay what they are, and what has no class in common is said."""
    signs = load_source("table", write(tmp_path, "a,label,clean\n1,-1,1\n2,1,-1\n3,1,\n"), clean="clean")
    assert signs.class_names == ("-1", "1")
    assert signs.clean.tolist() == [1, 0, UNKNOWN]
    assert any("-1 in column 'clean' is the class -1" in note for note in signs.notes)
    assert not any("is a class;" in note for note in signs.notes)
    more = load_source("table", write(tmp_path, "a,label\n1,-1\n2,0\n3,1\n"))
    assert more.notes[-1].startswith("-1 in column 'label' is a class; drop its rows where it means that nobody knows")
    words = load_source("table", write(tmp_path, "a,label,clean\n1,NA,x\n2,x,NA\n3,x,null\n"), clean="clean")
    assert words.clean.tolist() == [1, 0, UNKNOWN]
    codes = load_source("table", write(tmp_path, "a,label,clean\n1,01,1\n2,02,2\n"), clean="clean")
    assert codes.class_names == ("01", "02", "1", "2")
    assert "columns 'label' and 'clean' have no class in common, such as '01' and '1'" in codes.notes[-1]


BOOKKEEPING = ["", "Unnamed: 0", "__index_level_0__", "index", "ID", "sampleId", "image_id", "row number", "Split", "fold",
               "is_valid", "file_name", "Path_url", "noisy_label", "clean", "target"]  # fmt: skip


@pytest.mark.parametrize("name", BOOKKEEPING)
def test_bookkeeping_is_no_feature(tmp_path: Path, name: str) -> None:
    """By its usual names, whatever is in it; said in one line, and taken where it is named."""
    text = f"{name},a,label,b\n7,1,x,3\n7,2,y,4\n"
    source = load_source("table", write(tmp_path, text), scale="false")
    assert np.array_equal(source.inputs, np.array([[1, 3], [2, 4]], np.float32))
    (note,) = source.notes
    called = f"'{name}'" if name else "a column without a name"
    assert f"left out of the features: {called} (" in note
    assert ("test=FILE" in note) == (name in ("Split", "fold", "is_valid"))
    if name:
        named = load_source("table", file := tmp_path / "x.csv", features=f"a,{name}", scale="false")
        assert (named.inputs[:, 1] == 7).all()
        assert named.notes == ()
        assert load_source("table", file, features="*").inputs.shape == (2, 3)


@pytest.mark.parametrize(
    "name", ["a", "valid_votes", "indexed", "refractive_index", "width", "labelled", "train", "key"]
)
def test_other_columns_are_features(tmp_path: Path, name: str) -> None:
    """Names that only resemble, and whole numbers in few rows, or that do not rise."""
    rows = "".join(f"{i // 2},{i % 2}\n" for i in range(40))
    source = load_source("table", write(tmp_path, f"{name},label\n{rows}"), scale="false")
    assert source.inputs.shape == (40, 1)
    assert source.notes == ()


def test_columns_that_count_the_rows_are_left_out(tmp_path: Path) -> None:
    """Rising, or all of a range in any order, also beyond what float32 tells apart; but not a number with a fraction."""
    order = np.random.default_rng(0).permutation(30)
    columns = {
        "tweet": 2**60 + 1000 * np.arange(30),
        "sorted": np.sort(order * 3),
        "shuffled": order + 5,
        "time": np.arange(30) + 0.5,
        "count": order // 2,
        "label": ["u", "v"] * 15,
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    source = load_source("table", tmp_path / "x.parquet", scale="false")
    assert np.array_equal(source.inputs, np.stack([np.arange(30) + 0.5, order // 2], 1).astype(np.float32))
    assert "'tweet' (row numbers), 'sorted' (row numbers), 'shuffled' (row numbers)" in source.notes[0]


def test_the_index_that_pandas_writes_to_parquet_is_left_out(tmp_path: Path) -> None:
    """Its name stands in the metadata, whatever it is."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "label": ["x", "y"]}, index=pandas.Index([9, 4], name="patient"))
    frame.to_parquet(tmp_path / "x.parquet")
    source = load_source("table", tmp_path / "x.parquet", scale="false")
    assert source.inputs.tolist() == [[1], [2]]
    assert "'patient' (row numbers)" in source.notes[0]
    table = pq.read_table(tmp_path / "x.parquet")
    for told in (b"{", b"\xff", b"[]", b"7", b'{"index_columns": 7}', b'{"index_columns": [{}, []]}', b"[" * 100_000):
        pq.write_table(table.replace_schema_metadata({b"pandas": told}), tmp_path / "z.parquet")
        assert load_source("table", tmp_path / "z.parquet").inputs.shape == (2, 2)
    frame.reset_index(drop=True).to_parquet(tmp_path / "y.parquet")
    assert load_source("table", tmp_path / "y.parquet", scale="false").notes == ()


def test_images_are_found_by_usual_names(tmp_path: Path) -> None:
    """Where the entries end as image files do; Windows writes paths its own way; a split beside them is said."""
    (tmp_path / "deep").mkdir()
    for i, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / "deep" / f"{i}.png")
    rows = "".join(f"deep\\{i}.png,{i % 2},train\n" for i in range(3))
    for name in ("file_name", "Image", "img_path"):
        source = load_source("table", write(tmp_path, f"{name},label,split\n{rows}"))
        assert np.array_equal(source.inputs, PIXELS)
        assert source.sample_names == ["deep/0.png", "deep/1.png", "deep/2.png"]
        assert f"images are the files of column '{name}'" in source.notes[0]
        assert "'split' (which part a row is in); all rows are training samples" in source.notes[1]
    numbers = load_source("table", write(tmp_path, "image,label\n3,0\n4,1\n"), scale="false")
    assert numbers.inputs.tolist() == [[3], [4]]


def test_what_is_there_twice_is_marked(tmp_path: Path) -> None:
    """The same pixels under two names or one, the same text, the same id; nothing is marked where nothing is."""
    for i in range(3):
        Image.fromarray(PIXELS[min(i, 1)]).save(tmp_path / f"{i}.png")
    source = load_source("table", write(tmp_path, "path,label\n0.png,a\n1.png,a\n2.png,b\n"))
    assert source.marks["duplicate"].tolist() == [False, True, True]
    (note,) = source.notes
    assert "1 image is there more than once, in 2 rows, such as row 1 ('1.png') and row 2 ('2.png'); 1 of them" in note
    text = "text,label,id\none word,0,k\ntwo words,1,l\none word,0,m\nthree words,1,m\n"
    source = load_source("table", write(tmp_path, text), id="id")
    assert source.marks["duplicate"].tolist() == [True, False, True, True]
    assert (
        "1 id is there more than once, in 2 rows, such as row 2 and row 3; 1 of them under several" in source.notes[0]
    )
    assert "1 text is there more than once, in 2 rows, such as row 0 and row 2; the mark" in source.notes[1]
    part = load_source("table", tmp_path / "x.csv", id="id", limit=2)
    assert (part.marks, part.notes) == ({}, ())


def test_a_table_without_features_has_labels_alone(tmp_path: Path) -> None:
    """With nothing beside the label, or with ids, row numbers and file names; Parquet too; or where the user says so."""
    labels = "".join(f"{'ab'[i % 2]}\n" for i in range(4))
    source = load_source("table", write(tmp_path, "label\n" + labels))
    assert source.inputs is None
    assert source.labels.tolist() == [0, 1, 0, 1]
    assert source.notes[0].startswith("there are labels and no inputs: ")
    assert source.sample_names is None
    rows = [f"{i},p{i // 2},x/{i}.dat,{i * 2},{'ab'[i % 2]}\n" for i in range(20)]
    named = load_source("table", write(tmp_path, ",patient_id,file,n,label\n" + "".join(rows)), limit=3)
    assert named.inputs is None
    assert named.sample_names == ["x/0.dat", "x/1.dat", "x/2.dat"]
    assert (named.limit, len(named.labels)) == (3, 3)
    assert "a column without a name (row numbers), 'patient_id' (ids), 'file' (file names), 'n' (row" in named.notes[0]
    assert named.notes[1] == "samples are called as in column 'file'"
    index = write(tmp_path, ",label\n" + "".join(f"{i * 3},{i % 2}\n" for i in range(4)))
    assert load_source("table", index).sample_names == ["0", "3", "6", "9"]  # rows of a frame that was filtered
    parquet = tmp_path / "x.parquet"
    pq.write_table(pa.table({"label": [1, 0, 1], "id": [0.5, 0.6, 0.7]}), parquet)  # of which nobody is called so
    assert load_source("table", parquet).sample_names is None


def test_inputs_can_be_said_to_be_nothing(tmp_path: Path) -> None:
    """Columns of numbers are then none, and files that are not here are not looked for; a column of that name is one."""
    file = write(tmp_path, "id,path,p0,label\nA,x.png,.5,1\nB,y.png,.25,0\n")
    with pytest.raises(BadData, match="say --source-set root=FOLDER, or features=nothing for labels alone"):
        load_source("table", file)
    source = load_source("table", file, features="nothing")
    assert source.inputs is None
    assert source.sample_names == ["A", "B"]
    assert source.options["features"] == "nothing"
    assert source.sha256 == load_source("table", write(tmp_path, "label\n1\n0\n")).sha256
    column = load_source("table", write(tmp_path, "nothing,label\n2,1\n3,0\n"), features="nothing")
    assert column.inputs.tolist() == [[-1], [1]]


def test_test_labels_without_inputs_are_left_out(tmp_path: Path) -> None:
    """There is no model to be tested."""
    (tmp_path / "test.csv").write_text("label\n1\n", encoding="utf-8")
    source = load_source("table", write(tmp_path, "label\n1\n0\n"), test="test.csv")
    assert source.test_labels is None
    assert "the test set has no inputs and is left out" in source.notes


def test_build_says_what_was_chosen(tmp_path: Path) -> None:
    """On stderr, a line each, before the warnings; a name cannot steer the terminal."""
    file = write(tmp_path, "Unnamed: 0;a;label;\x1b[2J_id\n1;2;x;5\n2;3;y;6\n")
    result = shell("build", "table", "--data", file, "--noise", "as_found", "--out", tmp_path / "v")
    assert result.code == 0
    notes = [line for line in result.err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3
    assert "numbers, standardised by the training rows: 'a'; scale=false leaves" in notes[2]
    assert "the columns of x.csv are separated by semicolons" in notes[0]
    assert r"left out of the features: 'Unnamed: 0' (row numbers), '\u001b[2J_id' (ids)" in notes[1]
    assert "\x1b" not in result.err
    again = shell("verify", result.out.splitlines()[-1])
    assert (again.code, again.err) == (0, "")


def test_an_alteration_keeps_the_mark_and_knows_the_parents(tmp_path: Path) -> None:
    """A source that came with a mark is altered as any other."""
    text = "text,label\n" + "".join(f"word{i // 2} more,{i % 3}\n" for i in range(30))
    source = load_source("table", write(tmp_path, text))
    altered = changed(source, kept=np.arange(0, 30, 2), marks={"tail": np.arange(30) > 20})
    assert altered.marks["parent"].tolist() == list(range(0, 30, 2))
    assert altered.marks["duplicate"].all()


def test_columns_of_parts_are_no_features_whatever_they_are_called(tmp_path: Path) -> None:
    """By their entries, as FER2013 writes them, where there is more than one part; folds by their names."""
    for entries, kept in (
        (("Training", "PublicTest", "PrivateTest"), False),
        (("train", "val", "test"), False),
        (("train", "bus", "car"), True),
        (("stress test", "blood test"), True),
    ):
        rows = "".join(f"{i * i % 7},{entries[i % len(entries)]},{i % 5},{i % 2}\n" for i in range(30))
        (tmp_path / "x.csv").write_text("a,Usage,kfold,label\n" + rows)
        source = load_source("table", tmp_path / "x.csv")
        assert source.inputs.shape[1] == (1 + len(entries) if kept else 1)
        assert any("'kfold' (which part a row is in)" in note for note in source.notes)
        assert any("'Usage' (which part a row is in)" in note for note in source.notes) != kept


def test_what_may_be_one_class_and_what_no_label_is_are_told(tmp_path: Path) -> None:
    """Capitals and spaces make other classes; a right class such as ``?`` is one, unless nobody should know."""
    (tmp_path / "x.csv").write_text("a,label,clean\n1,cat,cat\n2,cat ,?\n4,Cat,cat\n3,dog,?\n")
    notes = load_source("table", tmp_path / "x.csv", clean="clean").notes
    assert any(note.startswith("classes 'Cat', 'cat', 'cat ' differ in capitals or spaces alone") for note in notes)
    assert any("'clean' has classes that no label is ('?'; 2 samples)" in note for note in notes)


def test_a_header_among_the_rows_is_refused(tmp_path: Path) -> None:
    """As where files were put together: it would be a class of its own; a class may be called as its column."""
    (tmp_path / "x.csv").write_text("text,label\nx y z,a\ntext,label\nu v w,b\n")
    with pytest.raises(BadData, match=r"row 1 of .*x.csv holds the names of the columns again \(1 such rows\)"):
        load_source("table", tmp_path / "x.csv", text="text")
    (tmp_path / "x.csv").write_text("text,label\naa bb cc,label\ndd ee ff,b\n")
    assert load_source("table", tmp_path / "x.csv", text="text").class_names == ("b", "label")


def test_a_missing_column_of_labels_says_which_option_names_it(tmp_path: Path) -> None:
    """Whatever it is called."""
    (tmp_path / "x.csv").write_text("a,target\n1,a\n2,b\n")
    with pytest.raises(UnknownName, match="there are: a, target; --source-set label=NAME names the column of classes"):
        load_source("table", tmp_path / "x.csv")


def test_test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    """Empty, -1 or NaN, which is told; of -1 and 1, -1 is a class."""
    (tmp_path / "x.csv").write_text("a,label\n1,0\n2,1\n3,1\n")
    (tmp_path / "t.csv").write_text("a,label\n5,-1\n6,1.0\n7,\n8,0\n9,NaN\n")
    source = load_source("table", tmp_path / "x.csv", test="t.csv", scale="false")
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [1, 0]
    assert source.test_inputs.tolist() == [[6], [8]]
    assert "the test set: 3 of 5 samples have no label (-1 or missing) and are left out" in source.notes
    (tmp_path / "x.csv").write_text("a,label\n1,-1\n2,1\n3,1\n")
    (tmp_path / "t.csv").write_text("a,label\n5,-1\n6,1\n")
    signs = load_source("table", tmp_path / "x.csv", test="t.csv")
    assert signs.test_labels is not None
    assert signs.test_labels.tolist() == [0, 1]
