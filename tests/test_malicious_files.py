"""Files that a stranger wrote: none of them runs anything, and none takes more memory than it should.

Each file would touch ``marker`` if it were unpickled, imported or evaluated. Every reader of the package is given one, in
every form that it could take; the last test reads the package's source, so that a new reader cannot slip in.
"""

import ast
import gzip
import io
import json
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import noisybench
from noisybench.data.images.decoding import decode_images
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import read_scores
from noisybench.ground.errors import BadData, NoisybenchError
from noisybench.ground.files import read_columns, read_json
from noisybench.ground.npy import read_array
from noisybench.memorization.estimate import read_memorization
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.matrix_files import read_matrix
from noisybench.noise.noises.asymmetric import Asymmetric
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.reading import read_runs
from noisybench.training.checkpoint import read_checkpoint
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.sample_files.values import read_given
from noisybench.variants.variant import read_variant, write_variant


class Attack:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """The file that no reader may bring about; that the attack works is shown first."""
    file = tmp_path / "marker"
    pickle.loads(pickle.dumps(Attack(file)))  # noqa: S301 - our own
    assert file.exists()
    file.unlink()
    yield file
    assert not file.exists()
    assert not list(tmp_path.parent.glob("marker*"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``datasets`` keeps stays in this test's folder."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def refused(read: Callable[[], object], *, match: str | None = None) -> None:
    """One sentence, which does not advise to trust the file."""
    with pytest.raises(NoisybenchError, match=match) as caught:
        read()
    words = str(caught.value)
    assert "\n" not in words
    assert "trust" not in words
    assert "\x1b" not in words


def huggingface(path: Path, **options: str) -> Callable[[], object]:
    return lambda: load_source("huggingface", path, limit=None, **options)


def given(path: Path) -> Callable[[], object]:
    """Reads a stranger's scores of four samples."""
    variant = build_variant(source_from_arrays("x", np.zeros((4, 1)), [0, 1, 0, 1]), Symmetric(rate=0.5))
    return lambda: read_given(path, variant, "scores")


# --- pickles -----------------------------------------------------------------------------------------------------------


def test_a_pickle_under_any_name_is_not_loaded(tmp_path: Path, marker: Path) -> None:
    """A raw pickle under the name of every kind of file that is read, given to each reader of that kind."""
    raw = pickle.dumps(Attack(marker))
    for name in ("npz", "npy", "pt", "safetensors", "parquet", "json", "jsonl", "csv", "arrow"):
        (tmp_path / f"x.{name}").write_bytes(raw)
    for folder in ("trace", "run", "variant"):
        (tmp_path / folder).mkdir()
    (tmp_path / "trace" / "epoch-0001.parquet").write_bytes(raw)
    (tmp_path / "run" / "run.json").write_bytes(raw)
    (tmp_path / "variant" / "variant.json").write_bytes(raw)
    source = source_from_arrays("x", np.zeros((4, 1)), [0, 1, 0, 1])
    readers: tuple[Callable[[], object], ...] = (
        lambda: load_source("npz", tmp_path / "x.npz"),
        lambda: load_source("mnist", tmp_path / "x.npz"),
        lambda: read_array(tmp_path / "x.npy"),
        lambda: read_matrix(tmp_path / "x.npy"),
        lambda: read_matrix(tmp_path / "x.csv"),
        lambda: read_matrix(tmp_path / "x.json"),
        lambda: build_variant(source, Asymmetric(rate=0.5, map=tmp_path / "x.json")),
        lambda: read_annotations(tmp_path / "x.pt"),
        lambda: read_checkpoint(tmp_path / "x.safetensors"),
        lambda: read_columns(tmp_path / "x.parquet"),
        lambda: read_scores(tmp_path / "x.parquet"),
        lambda: read_memorization(tmp_path / "x.parquet"),
        lambda: read_json(tmp_path / "x.json"),
        lambda: read_trace(tmp_path / "trace"),
        lambda: read_runs(tmp_path / "run"),
        lambda: read_variant(tmp_path / "variant"),
        lambda: decode_images([raw], what="x"),
        *(given(tmp_path / f"x.{name}") for name in ("npz", "npy", "csv", "parquet")),
        *(huggingface(tmp_path / f"x.{name}") for name in ("parquet", "json", "jsonl", "csv", "arrow")),
    )
    for read in readers:
        refused(read)
        assert not marker.exists()


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path, marker: Path) -> None:
    """In a .npz, a .npy, and the transition matrix of a variant."""
    objects = np.array([[Attack(marker)]], dtype=object)
    np.savez(tmp_path / "x.npz", inputs=np.zeros((1, 2)), labels=objects[0])
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    source = source_from_arrays("x", np.zeros((4, 1)), [0, 1, 0, 1])
    write_variant(build_variant(source, Symmetric(rate=0.5)), tmp_path / "variant")
    np.save(tmp_path / "variant" / "transition.npy", objects, allow_pickle=True)
    never = "holds Python objects, which are never unpickled"
    refused(lambda: load_source("npz", tmp_path / "x.npz"), match=never)
    refused(lambda: read_array(tmp_path / "x.npy"), match=never)
    refused(given(tmp_path / "x.npy"), match=never)
    np.savez(tmp_path / "y.npz", scores=objects[0])
    refused(given(tmp_path / "y.npz"), match=never)
    refused(lambda: read_matrix(tmp_path / "x.npy"), match=never)
    refused(lambda: read_variant(tmp_path / "variant"), match=never)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_are_not_unpickled(zipped: bool, tmp_path: Path, marker: Path) -> None:  # noqa: FBT001 - a parameter
    """Both forms of torch's files, as a checkpoint, as CIFAR-N and as the old processed files of MNIST."""
    file = tmp_path / "x.pt"
    torch.save({"plain": "{}", "weights": Attack(marker)}, file, _use_new_zipfile_serialization=zipped)
    refused(lambda: read_checkpoint(file), match="cannot be read as a checkpoint: it is damaged")
    refused(lambda: read_annotations(file), match="is not a file of CIFAR-N as published")
    processed = tmp_path / "MNIST" / "processed"
    processed.mkdir(parents=True)
    (tmp_path / "MNIST" / "raw").mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((Attack(marker), 0), processed / name, _use_new_zipfile_serialization=zipped)
    refused(lambda: load_source("mnist", tmp_path), match="it holds more than tensors")


@pytest.mark.parametrize(
    ("source", "folder", "files"),
    [
        ("cifar10", "cifar-10-batches-py", (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta")),
        ("cifar100", "cifar-100-python", ("train", "test", "meta")),
    ],
)
def test_python_batches_of_cifar_are_known_by_their_digest(
    source: str, folder: str, files: tuple[str, ...], tmp_path: Path, marker: Path
) -> None:
    """They are pickles, which torchvision loads: only the published ones, so a stranger's is never opened."""
    (tmp_path / folder).mkdir()
    for name in files:
        (tmp_path / folder / name).write_bytes(pickle.dumps(Attack(marker)))
    refused(lambda: load_source(source, tmp_path), match="unpack the official files again")


# --- the restricted reader ---------------------------------------------------------------------------------------------

REBUILD = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
DTYPE = b"cnumpy\ndtype\n"


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


@pytest.mark.parametrize(
    "program",
    [
        # The four names that are allowed, put to another use.
        REBUILD + b"(" + NDARRAY + b"(" + number(10**15) + b"t" + text("d") + b"tR",
        NDARRAY + b"((" + number(10**15) + b"t" + text("d") + b"tR",
        NDARRAY + b"((" + number(4) + b"t" + text("O") + b"tR",
        DTYPE + b"(" + text("V999999999") + b"tR",
        DTYPE + b"(" + text("O") + b"tR",
        # The state of a type: with NumPy's own this ends the process (measured: NumPy 2.4, a type M8 without its unit).
        DTYPE + b"(" + text("M8") + b"tR(" + number(3) + text(">") + b"NNN" + number(-1) * 2 + number(0) + b"tb",
        NDARRAY + b"(N}" + text("__setstate__") + b"Ns\x86b",
        # A place in the memory of the machine: 4 GB for 2**28.
        b"}r" + struct.pack("<I", 2**28),
        b"}p268435456\n",
        # Depth, and lengths that are not there.
        b"(" * 100_000,
        b"]" * 100_000 + b"a" * 99_999,
        text("x")[:1] + struct.pack("<I", 2**32 - 1),
        b"\x8e" + struct.pack("<Q", 2**62),
        # One list many times over: 2**60 numbers.
        b"}" + text("clean_label") + b"]K\x01a" + b"".join(b"q%c](h%ch%ce" % (k, k, k) for k in range(60)) + b"s",
    ],
)
def test_pickles_of_cifar_n_are_not_trusted_with_what_they_may_name(program: bytes, tmp_path: Path) -> None:
    """Sizes, types and states that NumPy would believe, and what a pickle machine would take memory for."""
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + program + b".")
    refused(lambda: read_annotations(tmp_path / "x.pt"), match="is not a file of CIFAR-N as published")


def test_forged_types_in_arrays_of_cifar_n_are_refused(tmp_path: Path) -> None:
    """A type of objects over raw bytes, and fields beyond its elements, which would be read from foreign memory."""
    parts: Any = np.arange(4).__reduce__()
    rebuild, arguments = parts[:2]

    class Array:
        def __init__(self, *state: object) -> None:
            self.state = state

        def __reduce__(self) -> Any:  # noqa: ANN401 - as in its parent
            return rebuild, arguments, self.state

    class Type:
        def __init__(self, code: str, *state: object) -> None:
            self.code, self.state = code, state

        def __reduce__(self) -> Any:  # noqa: ANN401
            return np.dtype, (self.code, False, True), self.state

    far = {"a": (np.dtype("i8"), 10**6)}
    for shape, kind in (
        ((10,), Type("O8", 3, "|", None, None, None, -1, -1, 0)),
        ((10,), Type("V8", 3, "|", None, ("a",), far, 8, 8, 0)),
        ((10,), Type("V8", 3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 8, 0)),
        ((10**12,), np.dtype("i8")),
        ((-1, 3), np.dtype("i8")),
        (("a",), np.dtype("i8")),
        ((10,), Type("i8", 3, "junk", None, None, None, -1, -1, 0)),
        ((10,), "i8"),
    ):
        state = (1, shape, kind, False, b"A" * 80)
        content = pickle.dumps({"clean_label": Array(*state)}, protocol=2)
        with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
            file.writestr("archive/data.pkl", content.replace(b"numpy._core.", b"numpy.core."))
        refused(lambda: read_annotations(tmp_path / "x.pt"), match="is not a file of CIFAR-N as published")


# --- Hugging Face ------------------------------------------------------------------------------------------------------


def test_code_in_a_data_folder_does_not_run(tmp_path: Path, marker: Path) -> None:
    """A loading script, alone or beside data, a conftest, and objects in the YAML of the README."""
    folder = tmp_path / "mine"
    folder.mkdir()
    script = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    (folder / "mine.py").write_text(script, encoding="utf-8")
    refused(huggingface(folder), match="datasets cannot load")
    (folder / "train.csv").write_text("a,label\n1,0\n2,1\n", encoding="utf-8")
    refused(huggingface(folder, input="a"), match="datasets cannot load")
    (folder / "mine.py").rename(folder / "other.py")
    for name in ("__init__.py", "conftest.py", "sitecustomize.py"):
        (folder / name).write_text(script, encoding="utf-8")
    assert load_source("huggingface", folder, input="a").labels.tolist() == [0, 1]
    tag = f'!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ["{marker}"]]'
    (folder / "README.md").write_text(f"---\nx: {tag}\n---\n", encoding="utf-8")
    refused(huggingface(folder, input="a"), match="datasets cannot load")


def test_pickles_in_a_data_folder_are_not_loaded(tmp_path: Path, marker: Path) -> None:
    """A pickled table, named as such by the README, and the pickles of a WebDataset."""
    raw = pickle.dumps(Attack(marker))
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "train.pkl").write_bytes(raw)
    refused(huggingface(folder), match="datasets cannot load")
    config = "---\nconfigs:\n- config_name: default\n  data_files: train.pkl\n  builder_name: pandas\n---\n"
    (folder / "README.md").write_text(config, encoding="utf-8")
    refused(huggingface(folder), match="datasets cannot load")
    web = tmp_path / "web"
    web.mkdir()
    stream = io.BytesIO()
    torch.save(Attack(marker), stream)
    for inner in ("pyd", "pickle", "pkl", "pth", "npy", "npz"):
        content = stream.getvalue() if inner == "pth" else raw
        with tarfile.open(web / "train.tar", "w") as archive:
            for name, part in ((f"a.{inner}", content), ("a.cls", b"1")):
                about = tarfile.TarInfo(name)
                about.size = len(part)
                archive.addfile(about, io.BytesIO(part))
        refused(huggingface(web))


def test_archives_do_not_write_outside(tmp_path: Path, marker: Path) -> None:
    """Members called ``../`` or with a whole path, in a zip and in a tar, leave nothing beside the cache."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    names = ("../../marker", str(marker), "../marker")
    with zipfile.ZipFile(folder / "train.zip", "w") as zipped:
        for name in names:
            zipped.writestr(name, "x")
        zipped.writestr("train.csv", "a,label\n1,0\n2,1\n")
    with tarfile.open(folder / "test.tar", "w") as tar:
        for name in names:
            about = tarfile.TarInfo(name)
            about.size = 1
            tar.addfile(about, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
    refused(huggingface(folder, input="a"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "test.tar", "train.zip"]


def test_foreign_metadata_is_not_believed(tmp_path: Path, marker: Path) -> None:
    """Pickles as pandas metadata and as an extension type, and features of no known kind, in Parquet and on disk."""
    raw = pickle.dumps(Attack(marker))
    table = pa.table({"a": [1.0, 2.0], "label": [0, 1]})
    file = tmp_path / "x.parquet"
    pq.write_table(table.replace_schema_metadata({b"pandas": raw, b"huggingface": raw}), file)
    refused(lambda: read_columns(file), match="cannot be read as Parquet")
    refused(huggingface(file, input="a"), match="datasets cannot load")
    pickled = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": raw}
    schema = pa.schema([pa.field("a", pa.float64(), metadata=pickled), pa.field("label", pa.int64())])
    pq.write_table(pa.table([table["a"], table["label"]], schema=schema), file)
    assert read_columns(file)[0]["a"].tolist() == [1, 2]  # as the numbers that they are
    assert load_source("huggingface", file, input="a").inputs.tolist() == [[1], [2]]
    for features in (5, {"a": 5}, {"a": {"_type": "Attack"}}, {"a": {"_type": "Value", "dtype": "eval"}}):
        told = json.dumps({"info": {"features": features}}).encode()
        pq.write_table(table.replace_schema_metadata({b"huggingface": told}), file)
        refused(huggingface(file, input="a"), match="datasets cannot load")


def test_a_saved_data_set_is_not_believed(tmp_path: Path, marker: Path) -> None:
    """What ``save_to_disk`` wrote, with one of its records exchanged for another kind or a pickle."""
    import datasets

    folder = tmp_path / "saved"
    datasets.Dataset.from_dict({"a": [1.0, 2.0], "label": [0, 1]}).save_to_disk(folder)
    assert load_source("huggingface", folder, input="a").labels.tolist() == [0, 1]
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    state = json.loads(whole["state.json"])
    bad: list[tuple[str, bytes]] = [(name, pickle.dumps(Attack(marker))) for name in whole]
    states: list[Any] = [[], {}, "x", state | {"_data_files": 5}, state | {"_data_files": [{"filename": "../marker"}]}]
    infos: list[Any] = [[], {"features": 5}, "x"]
    bad += [("state.json", json.dumps(part).encode()) for part in states]
    bad += [("dataset_info.json", json.dumps(part).encode()) for part in infos]
    for name, content in bad:
        (folder / name).write_bytes(content)
        refused(huggingface(folder, input="a"))
        (folder / name).write_bytes(whole[name])


# --- bombs -------------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def npy(shape: str, kind: str = "<f8") -> bytes:
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(80)


def varint(value: int) -> bytes:
    parts = []
    while value >= 128:
        parts.append(value % 128 + 128)
        value //= 128
    return bytes([*parts, value])


def test_images_of_absurd_size_are_refused() -> None:
    """A hundred bytes that claim four quintillion pixels, ten billion, or none."""
    for side in (2**31 - 1, 100_000, 0):
        refused(partial(decode_images, [png(side, side)], what="x"), match="image 0 of x")


@pytest.mark.parametrize(
    "shape",
    ["(1000000000000000,)", "(99999999999999999999999,)", "(-1,)", "(3, -2)", "(1.5,)", "('a',)", "(True,)", "(("],
)
def test_arrays_of_absurd_shape_are_refused(shape: str, tmp_path: Path) -> None:
    """Eighty bytes that claim a petabyte, less than nothing, or no number; in a .npz and in a .npy."""
    (tmp_path / "x.npy").write_bytes(npy(shape))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("inputs.npy", npy(shape))
        archive.writestr("labels.npy", npy(shape))
    refused(lambda: read_array(tmp_path / "x.npy"), match="cannot be read as a NumPy array|and claims .* values")
    refused(lambda: read_matrix(tmp_path / "x.npy"), match="cannot be read as a NumPy array|and claims .* values")
    refused(lambda: load_source("npz", tmp_path / "x.npz"), match="is broken")
    refused(given(tmp_path / "x.npy"), match="cannot be read as a NumPy array|and claims .* values")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("scores.npy", npy(shape))
    refused(given(tmp_path / "x.npz"), match="'scores' of .* is broken")


def test_given_scores_are_as_many_as_there_are_samples(tmp_path: Path) -> None:
    """A million numbers for four samples, which compress to nothing, in every form; a text that stands in every row."""
    many = np.zeros(1_000_000)
    np.savez_compressed(tmp_path / "x.npz", scores=many)
    np.save(tmp_path / "x.npy", many)
    (tmp_path / "x.csv").write_text("sample,score\n" + "0,1\n" * 1_000_000, encoding="utf-8")
    pq.write_table(pa.table({"sample": np.arange(1_000_000), "score": many}), tmp_path / "x.parquet")
    refused(
        given(tmp_path / "x.npz"), match="is too large: 'scores' takes 8000128 bytes, 4 samples of 2 classes at most"
    )
    refused(given(tmp_path / "x.npy"), match="is too large: it takes 8000128 bytes, 4 samples of 2 classes at most")
    refused(given(tmp_path / "x.csv"), match="sample 0 stands there more than once")
    refused(given(tmp_path / "x.parquet"), match="has 1000000 rows .*, the variant has 4 samples")
    rows = {"sample": range(4), "score": [many, [], [], []]}
    pq.write_table(pa.table(rows), tmp_path / "x.parquet")
    refused(given(tmp_path / "x.parquet"), match="up to 1000003 numbers a column, the variant has 4 samples")
    pq.write_table(
        pa.table({"sample": range(4), "score": range(4), "variant_id": ["\x1b" * 9] * 4}), tmp_path / "x.parquet"
    )
    refused(given(tmp_path / "x.parquet"), match="is of variant")
    (tmp_path / "x.csv").write_text('sample,"a\x1b",b\n0,1,1\n', encoding="utf-8")
    refused(given(tmp_path / "x.csv"), match="has nothing called")


def test_members_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    """NumPy hands out the bytes of such a member, whatever its name."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name in ("inputs", "labels", "class_names"):
            archive.writestr(f"{name}.npy", b"no array")
    refused(lambda: load_source("npz", tmp_path / "x.npz"), match="is no array")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("scores.npy", b"no array")
    refused(given(tmp_path / "x.npz"), match="is no array")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "9" * 100_000])
def test_json_of_absurd_depth_is_refused(content: str, tmp_path: Path) -> None:
    """A hundred thousand brackets, or digits, in every file of JSON that is read."""
    for name in ("x.json", "run.json", "variant.json"):
        (tmp_path / name).write_text(content, encoding="utf-8")
    source = source_from_arrays("x", np.zeros((4, 1)), [0, 1, 0, 1])
    refused(lambda: read_json(tmp_path / "x.json"), match="is not JSON")
    refused(lambda: read_matrix(tmp_path / "x.json"), match="is not JSON")
    refused(lambda: build_variant(source, Asymmetric(rate=0.5, map=tmp_path / "x.json")), match="is not JSON")
    refused(lambda: read_runs(tmp_path), match="is not JSON")
    refused(lambda: read_variant(tmp_path), match="is not JSON")
    refused(huggingface(tmp_path / "x.json"), match="datasets cannot load")


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def safetensors(header: object, content: bytes = bytes(8)) -> bytes:
    """A file of safetensors of a header and what follows it; text is taken as it stands."""
    text = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(text)) + text.encode() + content


def about(plain: object) -> dict[str, Any]:
    """A header whose text is another's, with the right checksum: it is only against damage."""
    words = plain if isinstance(plain, str) else json.dumps(plain)
    return {"__metadata__": {"noisybench": json.dumps({"plain": words, "crc32": zlib.crc32(words.encode())})}}


PLAIN = {"epoch": 1, "made_by": {}, "history": {"epoch": [1.0]}, "susceptibility": 0.0}
NOT_PLAIN: tuple[Any, ...] = (None, [], "\x1b", 10**400, {})


@pytest.mark.parametrize(
    "file",
    [
        # Sizes that are not there, overflow, or are no numbers.
        safetensors({"weights.a": F32 | {"shape": [10**12], "data_offsets": [0, 4 * 10**12]}}),
        safetensors({"weights.a": F32 | {"shape": [2**62, 4]}}),
        safetensors({"weights.a": F32 | {"shape": [2**63, 0], "data_offsets": [0, 0]}}, b""),
        safetensors({"weights.a": F32 | {"shape": [-2]}}),
        safetensors({"weights.a": F32 | {"shape": [0] * 100_000, "data_offsets": [0, 0]}}, b""),
        safetensors({"weights.a": F32 | {"data_offsets": [8, 0]}}),
        safetensors({"weights.a": F32 | {"data_offsets": [-8, 0]}}),
        safetensors({"weights.a": F32 | {"data_offsets": [0, 2**64]}}),
        safetensors({"weights.a": F32 | {"dtype": "\x1b[2J"}}),
        safetensors({"weights.a": F32 | {"dtype": "F4", "shape": [16]}}),
        struct.pack("<Q", 2**64 - 1) + bytes(8),
        struct.pack("<Q", 90_000_000) + b"{}",
        # One place twice, a hole, and one name twice.
        safetensors({"weights.a": F32, "weights.b": F32}),
        safetensors({"weights.a": F32, "weights.b": F32 | {"data_offsets": [4, 12]}}, bytes(12)),
        safetensors({"weights.a": F32, "weights.b": F32 | {"data_offsets": [12, 20]}}, bytes(20)),
        safetensors('{"weights.a": %s, "weights.a": %s}' % ((json.dumps(F32),) * 2)),
        safetensors('{"__metadata__": {"noisybench": "1", "noisybench": "2"}, "__metadata__": {}}', b""),
        # Depth and length, in the header and in the text within it.
        safetensors("[" * 100_000),
        safetensors('{"a":' * 100_000),
        safetensors('{"__metadata__":' + "[" * 100_000),
        safetensors({"__metadata__": {"noisybench": "[" * 100_000}}, b""),
        safetensors({"__metadata__": {"noisybench": "9" * 100_000}}, b""),
        *(safetensors(about(text), b"") for text in ("[" * 100_000, '{"a":' * 100_000, "9" * 100_000, "", "5", "[]")),
        # Right in all but one thing.
        *(safetensors(about(PLAIN | {key: value}), b"") for key in PLAIN for value in NOT_PLAIN
          if (key, value) != ("made_by", {})),
        safetensors(about(PLAIN | {"history": {"epoch": ["1"]}}), b""),
        safetensors(about(PLAIN | {"history": {"epoch": [1.0] * 2}}), b""),
        safetensors(about(PLAIN) | {"weights.a": F32}),
        safetensors({"__metadata__": {"noisybench": 5}}, b""),
    ],
    ids=lambda file: f"{len(file)} bytes",
)  # fmt: skip
def test_checkpoints_that_lie_are_refused(file: bytes, tmp_path: Path) -> None:
    """Each claims what is not there, or holds what no checkpoint does; the same without the lie is read."""
    (tmp_path / "x.safetensors").write_bytes(file)
    refused(lambda: read_checkpoint(tmp_path / "x.safetensors"), match="; delete it to train this run again")
    (tmp_path / "x.safetensors").write_bytes(safetensors(about(PLAIN), b""))
    assert read_checkpoint(tmp_path / "x.safetensors").epoch == 1


def test_idx_files_that_lie_are_refused(tmp_path: Path) -> None:
    """Sizes that are not there, types that do not exist, fewer images than labels, and gzip files that swell to 256 MB."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    names = [f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    for magic, size in ((0x0803, 2**31 - 1), (0x0801, 2**32 - 1), (0x0A03, 1), (0x0E03, 1), (0x0800, 1), (0, 0)):
        for name in names:
            (raw / name).write_bytes(struct.pack(">4I", magic, size, size, size) + bytes(100))
        refused(lambda: load_source("mnist", tmp_path), match="unpack the official files again")
    for name in names:
        n = 60_000 if name.startswith("train") else 10_000
        few = struct.pack(">4I", 0x0803, 1, 28, 28) + bytes(784)
        (raw / name).write_bytes(few if "images" in name else struct.pack(">2I", 0x0801, n) + bytes(n))
    refused(lambda: load_source("mnist", tmp_path), match="training images of mnist are fewer than their labels")
    for name in names:
        (raw / name).unlink()
        (raw / f"{name}.gz").write_bytes(gzip.compress(bytes(1 << 20)) * 256)
    refused(lambda: load_source("mnist", tmp_path), match="unpack the official files again")


def test_parquet_that_claims_more_rows_than_it_has_is_refused(tmp_path: Path) -> None:
    """Two exbi-rows in the footer, wherever the twelve stand there: an error, or the twelve."""
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"sample": np.arange(12), "score": np.arange(12.0)}), file, use_dictionary=False)
    whole = file.read_bytes()
    (length,) = struct.unpack("<I", whole[-8:-4])
    body, footer = whole[: -8 - length], whole[-8 - length : -8]
    places = [at for at in range(len(footer)) if footer[at : at + 2] == b"\x16\x18"]  # an i64 of 12, zigzag
    assert places
    for at in places:
        forged = footer[: at + 1] + varint(2**62) + footer[at + 2 :]
        file.write_bytes(body + forged + struct.pack("<I", len(forged)) + b"PAR1")
        try:
            assert read_scores(file).values.tolist() == list(range(12))
        except BadData as error:
            assert "\n" not in str(error)  # noqa: PT017 - either will do


def test_bombs_stay_within_memory(tmp_path: Path) -> None:
    """In a process of at most 6 GB: 64 GB of zeros in four kinds of file give sentences, and no one is killed."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    bomb = block * 4096  # 4 GB
    (tmp_path / "x.npy").write_bytes(npy("(8000000000,)"))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name in ("inputs", "labels"):
            archive.writestr(f"{name}.npy", npy("(8000000000,)"))
    assert len(bomb) < 1 << 23
    write_deflated(tmp_path / "x.pt", "archive/data.pkl", bomb, 1 << 32)
    many = F32 | {"shape": [16 << 30], "data_offsets": [0, 64 << 30]}
    (tmp_path / "x.safetensors").write_bytes(safetensors({"weights.a": many}))
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from pathlib import Path
from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.ground.npy import read_array
from noisybench.training.checkpoint import read_checkpoint
def peak():  # of Linux; not ru_maxrss, which begins with that of the process that started this
    status = Path("/proc/self/status")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) if status.exists() else 0
folder, before, after = Path({str(tmp_path)!r}), peak(), []
for read in (lambda: load_source("npz", folder / "x.npz"), lambda: read_array(folder / "x.npy"),
             lambda: read_annotations(folder / "x.pt"), lambda: read_checkpoint(folder / "x.safetensors")):
    try:
        read()
    except BadData as error:
        print(error)
    after.append(peak())
print(*(value - before for value in after))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *sentences, peaks = done.stdout.splitlines()
    names = [sentence.split(f"{tmp_path}/")[1].split()[0].rstrip(":") for sentence in sentences]
    assert names == ["x.npz", "x.npy", "x.pt", "x.safetensors"]
    assert all(int(peak) < 1 << 18 for peak in peaks.split()), peaks  # kilobytes


def write_deflated(path: Path, name: str, content: bytes, size: int) -> None:
    """A zip file of one member whose deflated bytes are given; ``size`` is what it says to unpack to."""
    about = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0, 0, len(content), min(size, 2**32 - 2))
    encoded = name.encode()
    local = b"PK\x03\x04" + about + struct.pack("<HH", len(encoded), 0) + encoded
    central = b"PK\x01\x02" + struct.pack("<H", 20) + about + struct.pack("<HHHHHII", len(encoded), 0, 0, 0, 0, 0, 0)
    central += encoded
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(content), 0)
    path.write_bytes(local + content + central + b"PK\x05\x06" + end)


# --- code --------------------------------------------------------------------------------------------------------------


def test_files_beside_the_data_do_not_stand_in_for_modules(tmp_path: Path, marker: Path) -> None:
    """In a folder with a stranger's csv.py, numpy.py and rich.py, noisybench still takes the real ones."""
    for name in ("csv", "numpy", "rich", "pyarrow", "sitecustomize"):
        script = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
        (tmp_path / f"{name}.py").write_text(script, encoding="utf-8")
    # As the installed program starts: without the current folder on Python's path.
    start = [sys.executable, "-P", "-m", "noisybench", "build", "digits", "--noise", "symmetric", "--rate", "0.2"]
    done = subprocess.run([*start, "--limit", "50"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


FORBIDDEN = ("eval", "exec", "compile", "__import__")


def _loads_foreign(call: ast.Call) -> str | None:
    """Why a call could run what a stranger wrote; None where it could not."""
    name = ast.unparse(call.func)
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    last = name.rpartition(".")[2]
    reasons = {
        "unpickles": last in ("load", "loads", "Unpickler", "read_pickle") and name.split(".")[0] in PICKLES,
        "torch.load without weights_only=True": name == "torch.load" and options.get("weights_only") != "True",
        "np.load without allow_pickle=False": name in ("np.load", "numpy.load")
        and options.get("allow_pickle") != "False",
        "allow_pickle": options.get("allow_pickle", "False") != "False",
        "trust_remote_code": "trust_remote_code" in options,
        "yaml without safe_load": name.startswith("yaml.") and last in ("load", "load_all", "unsafe_load", "full_load"),
        "evaluates text": name in FORBIDDEN,
        "unpacks an archive": last in ("extractall", "extract", "unpack_archive"),
        "a shell": name in ("os.system", "os.popen") or options.get("shell", "False") != "False",
        "torch.hub or jit": name.startswith(("torch.hub.", "torch.jit.load", "torch.package")),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


PICKLES = ("pickle", "cPickle", "dill", "joblib", "cloudpickle", "pd", "pandas", "shelve", "marshal")


OF_OUR_OWN = {("processes.py", "pickle.loads(shared)"), ("ray.py", "pickle.loads(sent)")}
"""What a worker is sent by the process that started it, and no file."""


def test_no_reader_of_the_package_runs_what_it_reads() -> None:
    """Every call in the package's source: no unpickling but by the restricted reader, no eval, no archive unpacked."""
    root = Path(noisybench.__file__).parent
    found, restricted, seen = [], 0, set()
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLES:
                found.append(f"{path.name}:{node.lineno}: from {node.module} import, which hides what is called")
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Unpickler") for base in node.bases):
                restricted += 1
                assert (path.name, node.name) == ("pickled_arrays.py", "_ArrayUnpickler")
                assert any(isinstance(part, ast.FunctionDef) and part.name == "find_class" for part in node.body)
            if isinstance(node, ast.Call):
                seen.add(ast.unparse(node.func))
                reason = None if (path.name, ast.unparse(node)) in OF_OUR_OWN else _loads_foreign(node)
                found += [f"{path.name}:{node.lineno}: {ast.unparse(node)[:60]} {reason}"] if reason else []
    assert found == []
    assert restricted == 1
    assert {"np.load", "torch.load", "safe_open", "json.loads", "pq.ParquetFile"} <= seen  # the walk sees the readers


@pytest.mark.parametrize(
    "call",
    [
        "pickle.load(f)",
        "pickle.loads(b)",
        "pickle.Unpickler(f)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=flag)",
        "joblib.load(f)",
        "pd.read_pickle(f)",
        "yaml.load(f)",
        "eval(text)",
        "exec(text)",
        "archive.extractall(d)",
        "load_dataset(d, trust_remote_code=True)",
        "os.system(c)",
    ],
)
def test_the_watch_over_readers_sees(call: str) -> None:
    """Each of these calls would be found."""
    node = ast.parse(call).body[0]
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    assert _loads_foreign(node.value)
