"""Sources through the package datasets, against the tables and images that were written. No network."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Array2D, ClassLabel, Dataset, DatasetDict, Features, Image, Value
from PIL import Image as Pillow

from noisybench.data.lazy_inputs import ArrowRows
from noisybench.data.loading import load_source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, UnknownName

PIXELS = np.arange(6 * 2 * 2 * 3, dtype=np.uint8).reshape(6, 2, 2, 3)
IMAGES = [Pillow.fromarray(image) for image in PIXELS]
PETS = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What datasets keeps of a file goes away with the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write_csv(folder: Path, text: str) -> Path:
    file = folder / "table.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_images_and_class_names_come_from_parquet(tmp_path: Path) -> None:
    """A folder with a training and a test file, as on the hub: image, label and test split are found."""
    for split in ("train", "test"):
        pets = Dataset.from_dict({"image": IMAGES, "label": [0, 1, 1, 0, 1, 0]}, features=PETS)
        pets.to_parquet(tmp_path / "pets" / f"{split}-00000-of-00001.parquet")
    source = load_source("huggingface", tmp_path / "pets", limit=4)
    assert np.array_equal(source.inputs, PIXELS[:4])
    assert source.labels.tolist() == [0, 1, 1, 0]
    assert source.class_names == ("cat", "dog")
    assert (source.clean == UNKNOWN).all()
    assert source.test_inputs is not None
    assert np.array_equal(source.test_inputs, PIXELS)
    again = load_source("huggingface", limit=4, path=str(tmp_path / "pets"))
    assert again.sha256 == source.sha256
    assert again.options == source.options == {"split": "train"}
    other = load_source("huggingface", tmp_path / "pets", split="test")
    assert other.test_inputs is None
    with pytest.raises(UnknownName, match="no split is called 'tests'; did you mean 'test'"):
        load_source("huggingface", tmp_path / "pets", test_split="tests")


def test_an_image_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    """Folders are classes; the images stay where they are until they are asked for. Grey ones have one channel."""
    for i, image in enumerate(IMAGES):
        place = tmp_path / "pets" / "train" / ("cat" if i < 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        image.convert("L").save(place / f"{i}.png")
    source = load_source("huggingface", tmp_path / "pets")
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert np.array_equal(source.inputs[..., 0], [np.asarray(image.convert("L")) for image in IMAGES])


def test_a_saved_data_set_is_read(tmp_path: Path) -> None:
    """With splits of any name, or without any; clean labels are the column that is named."""
    features = Features(PETS | {"right": ClassLabel(names=["cat", "dog"])})
    columns = {"image": IMAGES, "label": [0, 1, 1, 0, 1, 0], "right": [0, 1, 0, 0, None, 0]}
    pets = Dataset.from_dict(columns, features=features)
    pets.save_to_disk(tmp_path / "one")
    DatasetDict({"half": pets.select([5, 0]), "rest": pets.select([1, 2])}).save_to_disk(tmp_path / "two")
    one = load_source("huggingface", tmp_path / "one", clean="right")
    assert one.clean.tolist() == [0, 1, 0, 0, -1, 0]
    two = load_source("huggingface", tmp_path / "two", split="half", test_split="rest")
    assert np.array_equal(two.inputs, PIXELS[[5, 0]])
    assert two.test_inputs is not None
    assert np.array_equal(two.test_inputs, PIXELS[[1, 2]])
    assert two.options == {"split": "half", "test_split": "rest"}


def test_numeric_columns_and_string_labels_come_from_csv(tmp_path: Path) -> None:
    """Classes are the sorted strings of all samples, whatever the limit; an absent clean label is unknown."""
    file = write_csv(tmp_path, "id,width,height,label,checked\n7,1,0.5,pear,pear\n8,2,1.5,fig,\n9,3,2.5,apple,fig\n")
    source = load_source("huggingface", file, limit=2, input="width, height", clean="checked")
    assert source.inputs.tolist() == [[1, 0.5], [2, 1.5]]
    assert source.inputs.dtype == np.float32
    assert source.class_names == ("apple", "fig", "pear")
    assert source.labels.tolist() == [2, 1]
    assert source.clean.tolist() == [2, -1]
    named = load_source("huggingface", file, input="width", label="id")
    assert named.class_names == ("7", "8", "9")
    assert named.labels.tolist() == [0, 1, 2]


def test_lists_of_one_length_are_features_and_arrays_of_bytes_are_images(tmp_path: Path) -> None:
    """Both are found without being named."""
    features = np.arange(12, dtype=np.float64).reshape(3, 4)
    pq.write_table(pa.table({"embedding": features.tolist(), "labels": [1, 0, 1]}), tmp_path / "x.parquet")
    source = load_source("huggingface", tmp_path / "x.parquet", limit=2)
    assert np.array_equal(source.inputs, features[:2])
    assert source.labels.tolist() == [1, 0]
    grey = PIXELS[..., 0]
    typed = Features({"pixels": Array2D((2, 2), "uint8"), "kind": ClassLabel(num_classes=2), "row": Value("int32")})
    saved = Dataset.from_dict({"pixels": grey.tolist(), "kind": [0, 1] * 3, "row": list(range(6))}, features=typed)
    saved.save_to_disk(tmp_path / "arrays")
    images = load_source("huggingface", tmp_path / "arrays", limit=5)
    assert np.array_equal(images.inputs[..., 0], grey[:5])
    assert images.class_names == ("0", "1")


def test_parquet_without_its_types_is_read(tmp_path: Path) -> None:
    """Other writers drop the metadata that says that a column holds images."""
    Dataset.from_dict({"image": IMAGES, "label": [0, 1, 1, 0, 1, 0]}, features=PETS).to_parquet(tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet").replace_schema_metadata(None)
    pq.write_table(table, tmp_path / "plain.parquet")
    assert np.array_equal(load_source("huggingface", tmp_path / "plain.parquet").inputs, PIXELS)


@pytest.mark.parametrize(
    ("text", "options", "kind", "message"),
    [
        ("a,b,label\n1,2,0\n", {}, BadUsage, "which columns are the input.*input=NAME or input=a,b$"),
        ("a,kind\n1,2\n", {"input": "a"}, BadUsage, "which column is the label.*label=NAME; there are: a, kind"),
        ("a,label\n1,0\n", {"input": "b"}, UnknownName, "no column is called 'b'; there are: a, label"),
        ("width,label\n1,0\n", {"input": "widht"}, UnknownName, "no column is called 'widht'; did you mean 'width'"),
        (
            "a,b,label\nx,1,0\n",
            {"input": "a,b"},
            BadData,
            "column 'a' is Value.*string.*expected numbers, or one column",
        ),
        ("a,b,label\nx,y,0\n", {}, BadUsage, "which columns are the input.*input=NAME or input=a,b$"),
        ("text,label\n?,0\n", {}, BadData, "column 'text' hold no word of two letters"),
        ("text,label\nhello,0\n,1\n", {}, BadData, "column 'text' has no text in row 1 .1 such rows.; fill or drop"),
        ("text,label\nhello,0\n", {"side": "8"}, BadUsage, "side=8 is not of texts, and column 'text' holds texts"),
        ("a,label\n1,0\n2,\n", {"input": "a"}, BadData, "column 'label' has no label in row 1 .1 such rows.; drop"),
        ("a,label\n1,0.5\n", {"input": "a"}, BadData, r"labels\[0\] = 0.5 is no whole number .*that is a quantity"),
        (
            "a,label\n1,-1\n2,0\n",
            {"input": "a"},
            BadData,
            "column 'label' has no label in row 0 .1 such rows., -1 stands",
        ),
        ("a,label\n1,0\n,1\n", {"input": "a"}, BadData, "must be finite, row 1 is not .1 such rows.; drop or impute"),
        (
            "a,label,right\n1,0,x\n",
            {"input": "a", "clean": "right"},
            BadData,
            "column 'right' is .*the training column",
        ),
        ("", {}, BadData, "datasets cannot load '.*table.csv': "),
    ],
)
def test_tables_that_cannot_be_used_are_refused(
    tmp_path: Path, text: str, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """One sentence: which column, what it holds, what is expected."""
    with pytest.raises(kind, match=message) as caught:
        load_source("huggingface", write_csv(tmp_path, text), **options)
    assert "\n" not in str(caught.value)


def test_large_sets_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 1 GiB, or when asked to; images and numbers are those in memory, and numbers the same variant."""
    pets = Dataset.from_dict({"image": IMAGES, "label": [0, 1, 1, 0, 1, 0]}, features=PETS)
    numbers = pets.remove_columns("image").add_column("a", np.arange(6.0)).add_column("b", np.arange(6))
    for name, table in (("pets", pets), ("numbers", numbers)):
        DatasetDict({"train": table, "test": table.select([4, 2])}).save_to_disk(tmp_path / name)
    held = load_source("huggingface", tmp_path / "numbers", input="a,b")
    assert isinstance(held.inputs, np.ndarray)
    lazy = load_source("huggingface", tmp_path / "numbers", input="a,b", lazy="true")
    assert isinstance(lazy.inputs, ArrowRows)
    assert isinstance(lazy.test_inputs, ArrowRows)
    assert lazy.sha256 == held.sha256
    assert np.array_equal(lazy.inputs[2:5], held.inputs[2:5])
    assert np.array_equal(lazy.test_inputs[:], held.test_inputs)
    for option in ({"lazy": "true"}, {}):
        images = load_source("huggingface", tmp_path / "pets", limit=5, **option)
        assert isinstance(images.inputs, ArrowRows if option else np.ndarray)
        assert np.array_equal(images.inputs[:], PIXELS[:5])
        assert np.array_equal(images.test_inputs[:], PIXELS[[4, 2]])
    monkeypatch.setattr("noisybench.data.sources.huggingface.IN_MEMORY", 5 * 12 - 1)
    assert isinstance(load_source("huggingface", tmp_path / "pets", limit=4).inputs, np.ndarray)
    assert isinstance(load_source("huggingface", tmp_path / "pets", limit=5).inputs, ArrowRows)
    small = load_source("huggingface", tmp_path / "pets", side="1")
    assert isinstance(small.inputs, np.ndarray)
    assert small.inputs.shape == (6, 1, 1, 3)
    with pytest.raises(BadUsage, match="side=1 is of images, and column 'a' holds none; leave it out"):
        load_source("huggingface", tmp_path / "numbers", input="a", side="1")


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    """The package datasets writes one and fails to read it."""
    Dataset.from_dict({"x": [[1.0]], "label": [0]}).select([]).save_to_disk(tmp_path / "x")
    with pytest.raises(BadData, match="datasets cannot load '.*x': "):
        load_source("huggingface", tmp_path / "x")


def test_lists_of_several_lengths_are_refused(tmp_path: Path) -> None:
    """They are no matrix."""
    pq.write_table(pa.table({"x": [[1, 2], [3]], "label": [0, 1]}), tmp_path / "x.parquet")
    with pytest.raises(BadData, match=r"column 'x' must hold lists of one length, got lengths \[1, 2\]; pad them"):
        load_source("huggingface", tmp_path / "x.parquet")


def test_the_place_must_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly one of id, path and data; a place that is nothing, and a hub that cannot be reached, are said."""
    with pytest.raises(BadUsage, match=r"needs one of: --source-set id=OWNER/NAME, .*--data PATH; got 0 of them"):
        load_source("huggingface")
    with pytest.raises(BadUsage, match="got 2 of them"):
        load_source("huggingface", tmp_path, id="owner/name")
    with pytest.raises(BadData, match=r"x.txt is no folder and no file ending in .parquet, .csv"):
        load_source("huggingface", tmp_path / "x.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="datasets cannot load '.*empty': "):
        load_source("huggingface", tmp_path / "empty")

    def refuse(*_args: object, **_options: object) -> None:
        reason = "Couldn't reach 'owner/name' on the Hub (OfflineModeIsEnabled)"
        raise ConnectionError(reason)

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(BadData, match="datasets cannot load 'owner/name': Couldn't reach 'owner/name' on the Hub"):
        load_source("huggingface", id="owner/name")


def test_texts_are_features_as_in_a_table(tmp_path: Path) -> None:
    """The usual column, the only column, or those that are named; words are those of all training texts."""
    file = write_csv(tmp_path, "id,text,label\n1,a good film,1\n2,a bad film,0\n3,good,1\n")
    source = load_source("huggingface", file)
    same = load_source("table", file, text="text", label="label")
    assert np.array_equal(source.inputs, same.inputs)
    assert source.notes == ("inputs are the texts of column 'text'; others are named by --source-set input=NAME",)
    assert source.options == {"split": "train"}
    assert np.array_equal(load_source("huggingface", file, limit=2).inputs, source.inputs[:2])
    assert load_source("huggingface", file, words="1").inputs.shape == (3, 1)
    pairs = {"premise": ["one cat", "two dogs"], "hypothesis": ["red hen", "two cats"], "label": [0, 1]}
    Dataset.from_dict(pairs).to_parquet(tmp_path / "pairs.parquet")
    with pytest.raises(BadUsage, match="or input=premise,hypothesis$"):
        load_source("huggingface", tmp_path / "pairs.parquet")
    both = load_source("huggingface", tmp_path / "pairs.parquet", input="premise,hypothesis")
    assert both.inputs.shape == (2, 7)  # one cat two dogs red hen cats
    for name, test in (("train", False), ("test", True)):
        columns = {"headline": ["war", "ball game"], "label": ["world", "sport"]}
        Dataset.from_dict(columns).to_parquet(tmp_path / "news" / f"{name}.parquet")
        news = load_source("huggingface", tmp_path / "news")
        assert (news.test_inputs is not None) == test
    assert np.array_equal(news.test_inputs, news.inputs)
    assert news.class_names == ("sport", "world")


GLUE = Features({"x": datasets.List(Value("float32")), "label": ClassLabel(names=["no", "yes"])})


def rows(labels: list[int | None], *, first: float = 0.0, features: Features = GLUE) -> Dataset:
    """Samples with these labels."""
    numbers = [[first + i, 1.0] for i in range(len(labels))]
    return Dataset.from_dict({"x": numbers, "label": labels}, features=features)


def test_a_test_set_without_labels_is_left_out(tmp_path: Path) -> None:
    """-1 or nothing, in some or in all rows; the validation set stands in, which is told, and none can be said."""
    parts = {"train": rows([0, 1] * 4), "test": rows([-1, -1])}
    DatasetDict(parts).save_to_disk(tmp_path / "a")
    source = load_source("huggingface", tmp_path / "a")
    assert source.test_inputs is None
    assert source.notes == ("split 'test' has no labels in column 'label' and is left out",)
    DatasetDict({**parts, "validation": rows([1, -1, 0], first=5)}).save_to_disk(tmp_path / "b")
    source = load_source("huggingface", tmp_path / "b")
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [1, 0]
    assert source.test_inputs.tolist() == [[5, 1], [7, 1]]
    assert source.notes[0] == "split 'test' has no labels in column 'label' and is left out"
    assert source.notes[1].startswith("split 'validation' is the test set; say --source-set test_split=none")
    assert source.notes[2].startswith("the test set: 1 of 3 samples have no label")
    none = load_source("huggingface", tmp_path / "b", test_split="none")
    assert none.test_inputs is None
    assert none.notes == ()
    assert none.options == {"split": "train", "test_split": "none"}
    with pytest.raises(
        BadData, match="test_split=test has no labels in column 'label'; name another split, or say --s"
    ):
        load_source("huggingface", tmp_path / "b", test_split="test")
    with pytest.raises(BadData, match=r"column 'label' has no label in row 0 .2 such rows., -1 stands for none"):
        load_source("huggingface", tmp_path / "b", split="test")
    for name, test in (("null", rows([None, None])), ("gone", rows([0, 1]).remove_columns("label"))):
        DatasetDict({"train": parts["train"], "test": test}).save_to_disk(tmp_path / name)
        assert load_source("huggingface", tmp_path / name).test_inputs is None
    assert load_source("huggingface", tmp_path / "a").labels.tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("train", "test"),
    [("Train", "Test"), ("training", "testing"), ("TRAIN", "val"), ("train_set", "Valid"), ("trn", "Dev")],
)
def test_splits_are_found_in_any_usual_spelling(tmp_path: Path, train: str, test: str) -> None:
    """In a saved data set and in a folder of files; no test sample is ever taken for training."""
    DatasetDict({train: rows([0, 1]), test: rows([1], first=9)}).save_to_disk(tmp_path / "saved")
    source = load_source("huggingface", tmp_path / "saved")
    assert source.inputs.tolist() == [[0, 1], [1, 1]]
    assert source.test_inputs.tolist() == [[9, 1]]
    assert f"split '{train}' is taken for 'train'" in source.notes
    if train in ("trn", "train_set"):  # of files, datasets has its own words
        return
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / f"{train}.csv").write_text("text,label\nwar,0\nball,1\n", encoding="utf-8")
    (tmp_path / "files" / f"{test}.csv").write_text("text,label\nball,1\n", encoding="utf-8")
    files = load_source("huggingface", tmp_path / "files")
    assert files.labels.tolist() == [0, 1]
    assert files.test_labels is not None
    assert files.test_labels.tolist() == [1]
    for part, n in ((train, 2), (test, 1)):
        for name in ("cat", "dog"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for i in range(n):
                IMAGES[i].save(tmp_path / "images" / part / name / f"{i}.png")
    images = load_source("huggingface", tmp_path / "images")
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert len(images.test_inputs) == 2


def test_two_splits_that_could_be_meant_are_not_chosen_from(tmp_path: Path) -> None:
    """The training split must be named; a test split is none."""
    DatasetDict({"train_sft": rows([0, 1]), "train_gen": rows([0, 1])}).save_to_disk(tmp_path / "a")
    with pytest.raises(UnknownName, match="no split is called 'train'; did you mean .*; say --source-set split=NAME"):
        load_source("huggingface", tmp_path / "a")
    parts = {"train": rows([0, 1]), "test_a": rows([0]), "test_b": rows([0])}
    DatasetDict(parts).save_to_disk(tmp_path / "b")
    assert load_source("huggingface", tmp_path / "b").test_inputs is None


def test_labels_are_read_however_they_are_typed(tmp_path: Path) -> None:
    """Whole numbers as floats, texts or in lists of one, booleans, and nothing at all in a clean column."""
    columns: dict[str, Any] = {
        "x": [[0.0, 1.0]] * 4,
        "floats": [3.0, 1.0, 3.0, 10.0], "texts": ["3", "1", "3", "10"], "lists": [[3], [1], [3], [10]],
        "truths": [True, False, True, True], "nobody": [None] * 4, "some": [3.0, None, 1.0, 10.0],
        "several": [[1, 0], [1, 1], [0, 0], [0, 1]],
    }  # fmt: skip
    Dataset.from_dict(columns).to_parquet(tmp_path / "x.parquet")
    for name in ("floats", "texts", "lists"):
        source = load_source("huggingface", tmp_path / "x.parquet", label=name, input="x")
        assert source.class_names == ("1", "3", "10")
        assert source.labels.tolist() == [1, 0, 1, 2]
    truths = load_source("huggingface", tmp_path / "x.parquet", label="truths", clean="nobody", input="x")
    assert truths.class_names == ("false", "true")
    assert (truths.clean == UNKNOWN).all()
    some = load_source("huggingface", tmp_path / "x.parquet", label="lists", clean="some", input="x")
    assert some.clean.tolist() == [1, -1, 0, 2]
    with pytest.raises(BadData, match=r"column 'several' holds lists of \[2\] labels; expected one class for each sam"):
        load_source("huggingface", tmp_path / "x.parquet", label="several", input="x")


def test_a_data_set_may_have_labels_alone(tmp_path: Path) -> None:
    """Nothing beside the label, or ids, row numbers and further classes; or where the user says so. An address is a text."""
    alone = load_source("huggingface", write_csv(tmp_path, "label\n0\n1\n0\n"), limit=2)
    assert alone.inputs is None
    assert alone.labels.tolist() == [0, 1]
    assert alone.notes[-1].startswith("there are labels and no inputs: ")
    kinds = Features({"idx": Value("int32"), "uid": Value("string"), "label": PETS["label"], "coarse": PETS["label"]})
    rows = {"idx": [4, 3], "uid": ["a", "b"], "label": [1, 0], "coarse": [0, 0]}
    DatasetDict({name: Dataset.from_dict(rows, features=kinds) for name in ("train", "test")}).save_to_disk(
        tmp_path / "x"
    )
    saved = load_source("huggingface", tmp_path / "x", clean="coarse")
    assert saved.inputs is None
    assert saved.test_labels is None
    assert saved.class_names == ("cat", "dog")
    assert saved.sample_names == ["a", "b"]
    assert saved.notes[0].startswith(
        "left out of the features: 'idx' (row numbers), 'uid' (ids); --source-set input=A,B"
    )
    typed = load_source("huggingface", tmp_path / "x")
    assert "'coarse' (labels)" in typed.notes[0]
    numbers = write_csv(tmp_path, "a,id,label\n1,p,0\n2,q,1\n")
    said = load_source("huggingface", numbers, input="nothing")
    assert said.inputs is None
    assert said.sample_names == ["p", "q"]
    assert said.options["input"] == "nothing"
    addresses = write_csv(tmp_path, "url,label\nexample.org,0\nexample.com,1\n")
    assert load_source("huggingface", addresses).inputs is not None


def test_minus_one_and_plus_one_are_two_classes(tmp_path: Path) -> None:
    """In a column of numbers, the right ones beside it with a gap."""
    file = tmp_path / "x.csv"
    file.write_text("a,label,right\n1,-1,1\n2,1,\n3,1,-1\n", encoding="utf-8")
    source = load_source("huggingface", file, input="a", clean="right")
    assert source.class_names == ("-1", "1")
    assert (source.labels.tolist(), source.clean.tolist()) == ([0, 1, 1], [1, -1, 0])
