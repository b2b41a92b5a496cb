"""What a user names is read by the right source, or refused with what was found."""

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from noisybench import build_variant, find, load_source
from noisybench.data.recognising import IMAGES, OWN, Recognised, recognise_source
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError, UnknownName

ROWS = "width,height,label\n" + "".join(f"{i / 7:.3f},{1 + i % 5 / 3:.3f},{'abc'[i % 3]}\n" for i in range(30))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, where ``datasets`` keeps its cache too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / ".cache")
    return tmp_path


def images(*names: str) -> None:
    for i, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 2 * i, 3 * i)).save(name)


def texts(*names: str, rows: str = ROWS) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(rows, encoding="utf-8")


def lists() -> dict[str, list[object]]:
    return {"x": [[float(i), 1.0] for i in range(20)], "label": [i % 2 for i in range(20)]}


def classed(folder: str) -> None:
    images(*(f"{folder}/{kind}/{i}.png" for kind in ("cat", "dog") for i in range(3)))


def saved(*splits: str) -> None:
    part = datasets.Dataset.from_dict(lists())
    (datasets.DatasetDict(dict.fromkeys(splits, part)) if splits else part).save_to_disk("mine")


def shards(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(lists()), name)


def described(metadata: str) -> None:
    images("mine/1.png", "mine/2.png", "mine/3.png")
    if metadata.endswith(".csv"):
        texts(metadata, rows="file_name,label\n1.png,a\n2.png,b\n3.png,a\n")


def arrays(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(name, inputs=np.random.default_rng(0).random((20, 3)), labels=np.arange(20) % 2)


def classed_beside_a_table() -> None:
    classed("mine")
    texts("mine/l.csv")


def shard_without_an_ending() -> None:
    shards("m.parquet")
    Path("m.parquet").rename("m")


READ: list[tuple[Callable[[], object], str, str, str]] = [
    (lambda: classed("mine"), "mine", "folder", "mine is a folder of class folders, read by source 'folder'"),
    (lambda: classed("mine"), "mine/", "folder", "mine is a folder of class folders"),
    (lambda: classed("mine/Training"), "mine", "folder", "mine is a folder of class folders"),
    (lambda: arrays("my data.npz"), "my data.npz", "npz", "my data.npz ends in .npz and is read by source 'npz'"),
    (lambda: arrays("mine/a.npz"), "mine", "npz", "mine/a.npz ends in .npz"),
    (lambda: texts("mine.csv"), "mine.csv", "table", "mine.csv ends in .csv and is read by source 'table'"),
    (lambda: texts("MINE.CSV"), "MINE.CSV", "table", "MINE.CSV ends in .csv"),
    (lambda: texts("mine/labels.csv"), "mine", "table", "mine/labels.csv ends in .csv"),
    (lambda: texts("m/train.csv", "m/test.csv"), "m", "table", "test.csv, of the same columns, is the test set"),
    (lambda: texts("m/train.csv", "m/sample_submission.csv"), "m", "table", "not read: sample_submission.csv"),
    (
        lambda: pq.write_table(pa.table({"a": [1.5, 2, 3] * 3, "label": [1, 0, 1] * 3}), "m.parquet"),
        "m.parquet",
        "table",
        "plain",
    ),
    (lambda: shards("m.parquet"), "m.parquet", "huggingface", "with lists or images in column 'x'"),
    (
        lambda: shards("mine/train-00000-of-00002.parquet", "mine/train-00001-of-00002.parquet"),
        "mine",
        "huggingface",
        "data",
    ),
    (
        lambda: shards("mine/data/train-0.parquet", "mine/data/test-0.parquet"),
        "mine",
        "huggingface",
        "a folder of data files",
    ),
    (saved, "mine", "huggingface", "mine is a data set that save_to_disk wrote, read by source 'huggingface'"),
    (lambda: saved("train", "test"), "mine", "huggingface", "mine is a data set that save_to_disk wrote"),
    (
        lambda: described("mine/metadata.csv"),
        "mine",
        "table",
        "mine holds images and a table of them; mine/metadata.csv",
    ),
]


@pytest.mark.parametrize(("lay", "what", "source", "note"), READ)
def test_ones_own_data_are_recognised_and_read(lay: Callable[[], object], what: str, source: str, note: str) -> None:
    """The source is the one that its long name gives, and the first note says what it was taken for."""
    lay()
    found = recognise_source(what)
    assert found.source == source
    assert note in found.note
    assert found.data is not None
    read = load_source(what)
    assert read.notes[0] == found.note
    in_full = load_source(source, found.data, limit=None, **found.options)
    assert (read.sha256, read.name, read.notes[1:]) == (in_full.sha256, source, in_full.notes)
    assert found.arguments()[:3] == (source, "--data", str(found.data))
    assert len(build_variant(read, find("noises", "as_found")()).labels) == len(read.labels)
    assert recognise_source(Path(what)) == found


def test_a_source_is_known_by_its_name_whatever_lies_here() -> None:
    """The name goes before a file or folder of that name, which is told and can still be named."""
    assert recognise_source("digits") == Recognised("digits")
    classed("digits")
    found = recognise_source("digits")
    assert (found.source, found.data) == ("digits", None)
    assert found.note == "'digits' is taken for the source of that name, not for what is here; ./digits names that"
    for other in ("./digits", "digits/", Path("digits")):
        assert recognise_source(other).source == "folder"
    assert load_source("digits", limit=5).notes[0] == found.note
    assert recognise_source("my_module:Mine") == Recognised("my_module:Mine")


@pytest.mark.parametrize(
    "name",
    ["ylecun/mnist", "https://huggingface.co/datasets/ylecun/mnist", "hf://datasets/ylecun/mnist"],
)
def test_what_is_not_here_may_be_on_the_hub(name: str) -> None:
    """By owner and name, or its address."""
    found = recognise_source(name)
    assert (found.source, found.data, found.options) == ("huggingface", None, {"id": "ylecun/mnist"})
    assert found.arguments() == ("huggingface", "--source-set=id=ylecun/mnist")
    assert "taken for a data set of the hub" in found.note


NOTHING = [
    ("digitz", "no source is called 'digitz'; did you mean 'digits'?"),
    ("phots", "no source, file or folder is called 'phots'; did you mean 'photos'?"),
    ("qqqq", "no source, file or folder is called 'qqqq'; 'noisybench list sources' shows"),
    ("photos/cta", "there is no file or folder 'photos/cta'; did you mean 'photos/cat'?"),
    ("lables.csv", "there is no file or folder 'lables.csv'; did you mean 'labels.csv'?"),
    ("nowhere/mine.npz", "there is no file or folder 'nowhere/mine.npz'; give the path of what is there"),
    ("../nowhere", "there is no file or folder '../nowhere'"),
    ("/nowhere/at/all", "there is no file or folder '/nowhere/at/all'"),
    ("a\0b", "no source, file or folder"),
    ("x" * 5000, "no source, file or folder"),
]


@pytest.mark.parametrize(("what", "message"), NOTHING)
def test_names_of_nothing_are_told_from_names_of_the_hub(what: str, message: str) -> None:
    """The nearest name is told, of sources as of files."""
    classed("photos")
    texts("labels.csv")
    with pytest.raises(UnknownName) as refused:
        recognise_source(what)
    assert message in str(refused.value)


REFUSED: list[tuple[Callable[[], object], str, str]] = [
    (
        lambda: images("mine/1.png", "mine/2.png"),
        "mine",
        r"holds images directly .*metadata.csv with columns file_name and lab",
    ),
    (
        lambda: images("mine/all/1.png"),
        "mine",
        "holds images in one folder, 'all', and nothing that says their classes",
    ),
    (
        classed_beside_a_table,
        "mine",
        r"folders of images \(cat, dog\) and tables \(l.csv\), so it is",
    ),
    (
        lambda: texts("mine/a.csv", "mine/b.csv"),
        "mine",
        r"holds 2 tables \(a.csv, b.csv\); name one: noisybench build mine/a",
    ),
    (
        lambda: arrays("mine/a.npz", "mine/b.npz"),
        "mine",
        "holds a.npz, b.npz; name the file: noisybench build min",
    ),
    (
        lambda: Path("mine").mkdir(),
        "mine",
        "mine is empty; expected a folder of images for each class, tables, or what da",
    ),
    (lambda: texts("mine/README.md"), "mine", "holds README.md, and neither images nor tables"),
    (
        lambda: texts("mine/variant.json"),
        "mine",
        "mine is a variant, which is built already; 'noisybench evaluate mine'",
    ),
    (lambda: texts("m.zip"), "m.zip", "m.zip is an archive; unpack it"),
    (lambda: texts("m.tar.gz"), "m.tar.gz", "m.tar.gz is an archive; unpack it"),
    (
        lambda: images("m.png"),
        "m.png",
        "m.png is one image; give the folder that holds a folder of images for each class",
    ),
    (lambda: texts("m.npy"), "m.npy", r"m.npy is one array; put inputs and labels into one .npz"),
    (lambda: texts("m.pkl"), "m.pkl", "is a file of Python objects, which are never unpickled; save its arrays"),
    (
        lambda: texts("m.dat"),
        "m.dat",
        "m.dat is a file ending in .dat, which no source reads; if it is a table, .*ending .csv",
    ),
    (
        lambda: Path("m").write_bytes(b"\0\1"),
        "m",
        "m is a file without an ending, which no source reads; expected one of .npz",
    ),
    (
        shard_without_an_ending,
        "m",
        "it is a Parquet file: give it the ending .parquet",
    ),
]


@pytest.mark.parametrize(("lay", "what", "message"), REFUSED)
def test_what_is_ambiguous_or_unknown_is_refused_with_what_was_found(
    lay: Callable[[], object], what: str, message: str
) -> None:
    """In one sentence."""
    lay()
    with pytest.raises((BadData, BadUsage), match=message) as refused:
        recognise_source(what)
    assert "\n" not in str(refused.value)


def test_flat_images_beside_one_table_are_the_tables() -> None:
    """As contests hand them out: files of one folder, or of a training and a test folder, and their labels in a table."""
    images("a/1.png", "b/images/1.png", "c/train/1.png", "c/test/2.png")
    texts("a/labels.csv", "b/labels.csv", "c/train.csv")
    assert [recognise_source(name).data for name in "abc"] == [
        Path("a/labels.csv"),
        Path("b/labels.csv"),
        Path("c/train.csv"),
    ]


def test_each_source_reads_what_it_says_it_reads() -> None:
    """No file whose ending a source claims is refused for its ending; nothing that claims an ending is missing here."""
    claims = {source: getattr(find("sources", source), "endings", ()) for source in OWN}
    assert all(claims[source] for source in OWN if source != "folder")
    for source, endings in claims.items():
        for ending in endings:
            texts(f"some{ending}", rows="")
            with pytest.raises(NoisybenchError) as refused:
                load_source(source, f"some{ending}")
            assert "save the table as one of these" not in str(refused.value)
            assert "no file ending in" not in str(refused.value)
    assert set(IMAGES) <= set(Image.registered_extensions())


def test_folders_of_one_name_are_told_apart() -> None:
    """Also where a card names the files, as in an export: ``datasets`` would give the samples of the first for both."""
    card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/*.parquet\n---\n"
    for parent, label in (("a", 0), ("b", 1)):
        Path(parent, "mine", "data").mkdir(parents=True)
        Path(parent, "mine", "README.md").write_text(card, encoding="utf-8")
        table = {"x": [[float(i), 1.0] for i in range(9)], "label": [label, 2] * 4 + [label]}
        pq.write_table(pa.table(table), Path(parent, "mine", "data", "train.parquet"))
    assert [load_source(f"{parent}/mine").class_names for parent in "ab"] == [("0", "2"), ("1", "2")]
    pq.write_table(pa.table({**table, "label": [5, 6] * 4 + [5]}), "b/mine/data/train.parquet")
    assert load_source("b/mine").class_names == ("5", "6")


def test_said_options_go_before_recognised_ones() -> None:
    """The test set that was found can be another."""
    texts("m/train.csv", "m/test.csv", "m/other.csv")
    assert str(load_source("m").options["test"]).startswith("test.csv")
    assert str(load_source("m", test="other.csv").options["test"]).startswith("other.csv")


def test_an_address_is_no_path() -> None:
    """But for one of the hub, what is there must be here."""
    with pytest.raises(
        UnknownName, match="'https://x.org/a.csv' is an address; download what is there and give its path"
    ):
        recognise_source("https://x.org/a.csv")
