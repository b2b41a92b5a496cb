"""Exports, opened by the package datasets, against the variants and the inputs that they were made of. No network."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard
from numpy.typing import NDArray
from PIL import Image
from shell import shell

from noisybench.board.verification import verify
from noisybench.cards import export as exporting
from noisybench.cards.data_cards import read_data_card
from noisybench.cards.export import check_export_folder, export_variant, licence_reasons, push_export
from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant
from noisybench.variants.location import source_of, write_location
from noisybench.variants.noise import Noise
from noisybench.variants.variant import read_variant, write_variant

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 3
PARTLY = np.where(np.arange(40) < 30, (LABELS + (np.arange(40) % 5 == 0)) % 3, UNKNOWN)
PARTLY[[1, 2]] = WRONG


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What datasets keeps of a file goes away with the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def made(*shape: int, clean: NDArray[np.int64] | None = None, tested: bool = True) -> Source:
    """40 training and 9 test samples: images of bytes, or features."""
    images = len(shape) > 1
    inputs, others = (
        RNG.integers(0, 256, (n, *shape)).astype(np.uint8) if images else RNG.normal(size=(n, *shape)) for n in (40, 9)
    )
    test: dict[str, Any] = {"test_inputs": others, "test_labels": np.arange(9) % 3} if tested else {}
    return source_from_arrays("npz", inputs, LABELS, clean=clean, class_names=["a: b", "ü", "no"], **test)


def opened(folder: Path) -> Any:  # noqa: ANN401 - datasets.DatasetDict
    return datasets.load_dataset(str(folder))


ROUND_TRIPS: dict[str, tuple[Callable[[], Source], Noise]] = {
    "digits": (lambda: load_source("digits", limit=200), Symmetric(0.3)),
    "colour": (lambda: made(6, 5, 3, clean=LABELS), Instance(0.2)),
    "features": (lambda: made(7), Symmetric(0.2)),
    "partial truth": (lambda: made(4, clean=PARTLY, tested=False), AsFound()),
    "two channels": (lambda: made(3, 4, 2, clean=PARTLY), Symmetric(0.5)),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_an_export_comes_back_with_the_same_variant_id(name: str, tmp_path: Path) -> None:
    """As a source of noisybench under the recorded noise, and as the inputs of the variant that is in it, wherever moved."""
    make, noise = ROUND_TRIPS[name]
    source = make()
    variant = build_variant(source, noise, seed=3)
    export_variant(variant, source, tmp_path / "first")
    shutil.move(tmp_path / "first", tmp_path / "x")
    again = load_source("huggingface", tmp_path / "x", label="source_label", clean="clean_label")
    assert again.sha256 == source.sha256
    assert again.class_names == source.class_names
    assert np.array_equal(again.inputs, source.inputs)
    assert (again.test_inputs is None) == (source.test_inputs is None)
    if source.test_inputs is not None:
        assert np.array_equal(again.test_inputs, source.test_inputs)
        assert np.array_equal(again.test_labels, source.test_labels)  # type: ignore[arg-type]  # both are there
    rebuilt = build_variant(again, noise, seed=3)
    assert rebuilt.provenance.variant_id == variant.provenance.variant_id
    within = read_variant(tmp_path / "x" / "noisybench")
    assert within.provenance == variant.provenance
    found = source_of(within, tmp_path / "x" / "noisybench")
    assert found.sha256 == source.sha256
    given = load_source("huggingface", tmp_path / "x", clean="clean_label")
    assert np.array_equal(given.labels, variant.labels)


def test_every_column_says_what_the_variant_knows(tmp_path: Path) -> None:
    """Types as the hub knows them; what is unknown is -1 or absent, of a test set too."""
    source = made(4, 4, 3, clean=PARTLY)
    variant = build_variant(source, Symmetric(0.5), seed=1)
    marked = replace(variant, marks={"odd": np.arange(40) % 2 == 1, "parent": np.arange(40)})
    export_variant(marked, source, tmp_path / "x")
    train, test = (opened(tmp_path / "x")[split] for split in ("train", "test"))
    names = "sample image label clean_label source_label mislabeled flip_probability selected mark_odd mark_parent"
    assert list(train.features) == list(test.features) == names.split()
    assert isinstance(train.features["image"], datasets.Image)
    for name in ("label", "clean_label", "source_label"):
        assert train.features[name] == datasets.ClassLabel(names=["a: b", "ü", "no"])
    assert np.array_equal([np.asarray(image) for image in train["image"]], source.inputs)
    assert train["sample"][:] == list(range(40))
    assert train["label"][:] == variant.labels.tolist()
    assert train["source_label"][:] == LABELS.tolist()
    assert train["clean_label"][:] == np.where(variant.clean == WRONG, UNKNOWN, variant.clean).tolist()
    wrong = [bool(w) if known else None for w, known in zip(variant.mislabeled, variant.known, strict=True)]
    assert train["mislabeled"][:] == wrong
    assert set(wrong) == {True, False, None}
    assert variant.flip_probability is not None
    assert np.array_equal(train["flip_probability"][:], variant.flip_probability, equal_nan=True)
    assert train["mark_odd"][:] == [False, True] * 20
    assert test["label"][:] == test["clean_label"][:] == (np.arange(9) % 3).tolist()
    for name in ("mislabeled", "flip_probability", "selected", "mark_odd", "mark_parent"):
        assert test[name][:] == [None] * 9


def test_the_card_is_one_of_the_hub(tmp_path: Path) -> None:
    """Front matter that names the files of both splits and the licence; the text says how to open them."""
    source = made(4)
    export_variant(build_variant(source, Symmetric(0.2)), source, tmp_path / "x")
    card = DatasetCard.load(tmp_path / "x" / "README.md")
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in ("train", "test")]
    assert card.data.configs == [{"config_name": "default", "data_files": files}]
    assert card.data.to_dict()["license"] == "unknown"
    assert "label-noise" in card.data.tags
    assert "The inputs are here: row i is training sample i" in card.text
    assert "noisybench evaluate FOLDER/noisybench" in card.text
    assert "## Rates" in card.text
    assert all(f"| `{name}` |" in card.text for name in pq.read_schema(tmp_path / "x/data/train-00000.parquet").names)


def test_it_is_written_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into several files that hold the rows in order; images that are read lazily are never asked for all at once."""
    asked: list[int] = []

    class Watched(ImageFiles):
        def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[np.uint8]:
            images = super().__getitem__(rows)
            asked.append(len(images))
            return images

    pixels = RNG.integers(0, 256, (40, 5, 5, 3)).astype(np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    lazy = Watched(tmp_path, [f"{i}.png" for i in range(40)], 5)
    source = source_from_arrays("npz", lazy, LABELS, clean=LABELS)
    variant = build_variant(source, Symmetric(0.2))
    monkeypatch.setattr(exporting, "BLOCK_ROWS", 6)
    monkeypatch.setattr(exporting, "SHARD_BYTES", 2000)
    steps: list[None] = []
    export_variant(variant, source, tmp_path / "x", progress=lambda: steps.append(None))
    assert len(steps) == 40
    assert max(asked) == 6
    files = sorted((tmp_path / "x" / "data").iterdir())
    assert len(files) > 2
    assert files[-1].name == f"train-{len(files) - 1:05}.parquet"
    train = opened(tmp_path / "x")["train"]
    assert train["sample"][:] == list(range(40))
    assert np.array_equal([np.asarray(image) for image in train["image"]], pixels)
    # The digest is one of file names, which nobody can have from here.
    assert not (tmp_path / "x" / "noisybench" / "location.json").exists()
    assert "builds a variant of another id" in (tmp_path / "x" / "README.md").read_text(encoding="utf-8")


def test_only_an_export_is_replaced_and_only_by_a_whole_one(tmp_path: Path) -> None:
    """Anything else in the folder is left alone; a failure on the way leaves what was there, and nothing besides."""
    source = made(4)
    variant, other = (build_variant(source, Symmetric(rate)) for rate in (0.2, 0.4))
    folder = tmp_path / "out" / "x"
    folder.mkdir(parents=True)
    export_variant(variant, source, folder)

    def fail() -> None:
        msg = "no space"
        raise OSError(msg)

    with pytest.raises(OSError, match="no space"):
        export_variant(other, source, folder, progress=fail)
    assert read_variant(folder / "noisybench").provenance == variant.provenance
    export_variant(other, source, folder)
    assert read_variant(folder / "noisybench").provenance == other.provenance
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
    with pytest.raises(Mismatch, match="the variant was made from 'npz' .*give the files that it was built from"):
        export_variant(variant, made(4), folder)
    (folder / "data" / "mine.txt").touch()
    for place, message in (
        (folder, r"x holds data/mine.txt and is no export, so it is not overwritten; name another folder"),
        (folder / "data", r"data holds mine.txt and is no export"),
        (folder / "README.md", r"README.md is a file; name a folder for the export"),
    ):
        with pytest.raises(BadUsage, match=message):
            check_export_folder(place)
    (folder / "data" / "mine.txt").unlink()
    (folder / "noisybench" / "variant.json").unlink()
    with pytest.raises(BadUsage, match="x holds README.md and is no export"):
        check_export_folder(folder)


def test_an_export_is_checked_against_its_original_where_that_is_named(tmp_path: Path) -> None:
    """A table's columns are not those of the export; the labels are then drawn again, too."""
    table = tmp_path / "t.csv"
    table.write_text(
        "a,b,colour,label\n" + "".join(f"{i % 7},{i * i % 11},{'rgb'[i % 3]},{i % 2}\n" for i in range(40))
    )
    source = load_source("table", table, features="a,b,colour")
    folder = export_variant(build_variant(source, Symmetric(0.2)), source, tmp_path / "x")
    for place in (table, folder, folder / "data", folder / "data" / "train-00000.parquet"):
        said = verify(folder / "noisybench", data=place)
        assert any("inputs and labels are those it was built from" in line for line in said)
        assert any("drawn again, gives these labels" in line for line in said) == (place == table)
    assert "drawn again, gives" in " ".join(verify(folder, data=table, own_source="table"))


def test_an_export_may_name_no_code(tmp_path: Path) -> None:
    """A stranger's location that names a module as the source is refused before it is imported."""
    source = made(4)
    folder = export_variant(build_variant(source, Symmetric(0.2)), source, tmp_path / "x") / "noisybench"
    record = json.loads((folder / "location.json").read_text(encoding="utf-8"))
    options = {"label": "source_label", "input": "features"}
    assert record == {"source": "huggingface", "data": "..", "source_set": options}
    for name, message in (
        ("this:that", "source 'this:that' is none of noisybench's; say --source"),
        (3, "'source' is '3'"),
    ):
        (folder / "location.json").write_text(json.dumps({**record, "source": name}), encoding="utf-8")
        with pytest.raises(BadData, match=message):
            source_of(read_variant(folder), folder)


def test_licences_that_may_forbid_it_are_named() -> None:
    """Unknown, not stated and non-commercial ones, of source and noise; where all are free, nothing is said."""
    facts = read_data_card("sources", "fashion_mnist").facts  # type: ignore[union-attr]  # it has one
    inputs, labels = np.zeros((20, 3)), np.arange(20) % 10

    def reasons(name: str, class_names: list[str], noise: str = "symmetric") -> list[str]:
        source = source_from_arrays(name, inputs, labels, class_names=class_names)
        variant = build_variant(source, Symmetric(0.2))
        params = {} if noise == "cifar_n" else variant.provenance.params
        return licence_reasons(replace(variant, provenance=replace(variant.provenance, noise=noise, params=params)))

    fashion, others = facts["class_names"], [*"abcdefghij"]
    assert reasons("fashion_mnist", fashion) == []
    unknown = "licence of {} (source): not known to noisybench"
    assert reasons("fashion_mnist", others) == [unknown.format("fashion_mnist")]  # another set of that name
    assert reasons("npz", others) == [unknown.format(".npz file")]
    cifar = list(read_data_card("sources", "cifar10").facts["class_names"])  # type: ignore[union-attr]
    assert reasons("cifar10", cifar) == ["licence of CIFAR-10 (source): none stated"]
    topics = ["World", "Sports", "Business", "Sci/Tech"]
    manual = source_from_arrays("noisyag_news", inputs, labels % 4, class_names=topics)
    assert licence_reasons(build_variant(manual, AsFound())) == [
        "licence of NoisyAG-News (source): mit, and others hand out its inputs, under terms of their own"
    ]
    noises = [
        "licence of CIFAR-N, labels that people gave (noise): cc-by-nc-4.0, which does not allow every use",
        "licence of my_own (noise): not known to noisybench",
    ]
    assert [reasons("fashion_mnist", fashion, name)[0] for name in ("cifar_n", "my_own")] == noises


class Hub:
    """Stands for the hub; remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]]
    public = False
    failure: Exception | None = None

    def create_repo(self, repository: str, **options: Any) -> str:  # noqa: ANN401
        self.asked.append(("create", {"id": repository, **options}))
        if self.failure is not None:
            raise self.failure
        return f"https://hub/{repository}"

    def repo_info(self, repository: str, **_: Any) -> Any:  # noqa: ANN401
        return type("Info", (), {"private": not self.public, "id": repository})

    def upload_folder(self, **options: Any) -> None:  # noqa: ANN401
        self.asked.append(("upload", options))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[Hub]:
    kind = type("Hub", (Hub,), {"asked": []})
    monkeypatch.setattr(huggingface_hub, "HfApi", kind)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "token")
    return kind


def test_an_export_is_uploaded_in_place_of_what_is_there(tmp_path: Path, hub: type[Hub]) -> None:
    """Old shards go; what the hub says is passed on in one sentence; nothing private goes to a public repository."""
    assert push_export(tmp_path, "me/it", private=True) == "https://hub/me/it"
    (_, created), (_, uploaded) = hub.asked
    assert (created["id"], created["repo_type"], created["private"]) == ("me/it", "dataset", True)
    assert (uploaded["repo_id"], uploaded["folder_path"]) == ("me/it", tmp_path)
    assert uploaded["delete_patterns"] == ["data/*", "noisybench/*"]
    hub.asked.clear()
    hub.public = True
    with pytest.raises(BadData, match="me/it is there already and public; make it private, or push to another name"):
        push_export(tmp_path, "me/it", private=True)
    assert [what for what, _ in hub.asked] == ["create"]
    for failure in (
        ConnectionError("offline\nand more"),
        huggingface_hub.errors.HfHubHTTPError.__bases__[0]("offline"),
    ):
        hub.failure = failure
        with pytest.raises(BadData, match=r"is whole and was not uploaded to me/it: offline$"):
            push_export(tmp_path, "me/it", private=False)


def test_the_command_says_what_it_refuses_in_one_line(
    tmp_path: Path, hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written; and what it did otherwise. An export below a folder is verified with it."""
    monkeypatch.chdir(tmp_path)
    source = made(4)
    np.savez("x.npz", inputs=source.inputs, labels=LABELS, class_names=source.class_names)
    loaded = load_source("npz", "x.npz")
    write_variant(build_variant(loaded, Symmetric(0.2)), "v")
    write_location(Path("v"), data=Path("x.npz"), source_set={})
    Path("taken").mkdir()
    Path("taken/mine.txt").touch()
    refused = [
        (["--to", "e", "--private"], 2, "--private is for --push, which is missing"),
        (["--to", "e", "--may-publish"], 2, "--may-publish is for --push, which is missing"),
        (["--to", "taken"], 2, "taken holds mine.txt and is no export"),
        (["--to", "e", "--push", "it"], 2, "'it' is no name of a repository of the Hugging Face hub, OWNER/NAME"),
        (
            ["--to", "e", "--push", "me/it"],
            2,
            "not known to noisybench; export without --push, or say --may-publish if",
        ),
        (["--to", "e", "--data", "y.npz"], 1, "the files of 'npz' are not at y.npz; say where they are with --data"),
    ]
    for words, code, message in refused:
        result = shell("export", "v", *words)
        assert (result.code, result.out) == (code, ""), result
        assert message in result.err
        assert len(result.err.splitlines()) == 1
        assert not Path("e").exists()
    result = shell("export", "v", "--to", "e", "--json")
    told = json.loads(result.out)
    assert (told["path"], told["samples"], told["address"]) == ("e", {"train": 40, "test": 0}, None)
    assert "share the export only if you know that you may" in result.err
    result = shell("export", "v", "--to", "e", "--push", "me/it", "--may-publish")
    assert (result.code, result.out.split()) == (0, ["https://hub/me/it", "e"])
    assert [what for what, _ in hub.asked] == ["create", "upload"]
    result = shell("verify", "e")
    assert result.code == 0, result.err
    assert "the labels were not drawn again: the source was read from its export" in result.out
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    result = shell("export", "v", "--to", "e", "--push", "me/it", "--may-publish")
    assert result.code == 2
    assert "--push needs a token of the Hugging Face hub: say 'hf auth login', or set HF_TOKEN" in result.err


def test_marks_of_a_test_set_are_exported(tmp_path: Path) -> None:
    """Those of siblings stand beside their labels; other marks are empty there, and a mark of tests alone is left out."""
    unit = np.arange(40) // 4
    source = replace(
        made(3),
        marks={"unit": unit, "odd": unit % 2 == 1},
        test_marks={"unit": np.arange(9), "seen": np.ones(9, dtype=bool)},
    )
    export_variant(build_variant(source, AsFound()), source, tmp_path / "export")
    found = opened(tmp_path / "export")
    assert found["train"]["mark_unit"] == unit.tolist()
    assert found["test"]["mark_unit"] == list(range(9))
    assert found["test"]["mark_odd"] == [None] * 9
    assert "mark_seen" not in found["test"].column_names
    assert "It is told of test samples too." in (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
