"""Small files that claim to be large, and what is no file at all: refused by the header, with little memory."""

import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisybench.data.loading import load_source
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData
from noisybench.ground.files import column_names, count_rows, read_columns, read_json
from noisybench.ground.npy import read_array
from noisybench.ground.records import read_json_as
from noisybench.memorization.pool import read_block
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.record import RunRecord
from noisybench.variants.building import build_variant


def refused(read: Callable[[], object], match: str) -> None:
    """One sentence, for less than 32 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(BadData, match=match) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_a_small_table_of_very_many_rows(tmp_path: Path) -> None:
    """Of one value, which is written once; and of lists that are wide."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": pa.repeat(0.5, 12_000_000)}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    refused(lambda: read_columns(path), r"claims 12000000 rows of 8 bytes, far more than a file of that size holds")
    wide = pa.FixedSizeListArray.from_arrays(pa.repeat(0.5, 12_000_000), 12_000_000)
    pq.write_table(pa.table({"x": wide}), path, compression="zstd")
    refused(lambda: read_columns(path), r"claims 1 rows of 96000000 bytes")


def test_a_long_text_many_times_is_one_in_memory(tmp_path: Path) -> None:
    """A megabyte a thousand times would be a gigabyte."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": pa.repeat("x" * 1_000_000, 1000)}), path, compression="zstd")
    texts = read_columns(path)[0]["x"]
    assert len({id(text) for text in texts}) == 1
    assert (len(texts), len(texts[0])) == (1000, 1_000_000)


def test_an_array_of_more_values_than_the_file_has_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    refused(lambda: read_array(path), r"claims \(1000000000000,\) values")


def test_a_block_of_models_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Margins of a thousand million samples, packed."""
    variant = build_variant(load_source("digits", limit=60), Symmetric(0.2))
    record = {
        "variant_id": variant.provenance.variant_id, "learner": "x", "purpose": "truth", "seed": 0, "first": 0,
        "models": 50, "group_size": 10, "setup": {},
    }  # fmt: skip
    path = tmp_path / "block-0000.npz"
    included, predictions = np.zeros((50, 8), np.uint8), np.zeros((50, 60), np.uint8)
    np.savez_compressed(path, record=np.array(json.dumps(record)), included=included, predictions=predictions)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("margins", (50, 10**7)), ("held_out", (60, 10))):
            with archive.open(f"{name}.npy", "w") as stream:
                kind = "<f2" if name == "margins" else "<f4"
                np.lib.format.write_array_header_1_0(stream, {"descr": kind, "fortran_order": False, "shape": shape})
                stream.write(bytes(1_000_000))
    refused(lambda: read_block(path, variant), r"'margins' is float16 of shape \(50, 10000000\), expected float16")


def test_a_record_of_many_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("[" * 9_000_000, encoding="utf-8")
    refused(lambda: read_json_as(path, RunRecord), "has 9000000 bytes, and no record more than 8388608")


READERS: tuple[Callable[[Path], object], ...] = (
    read_columns, column_names, count_rows, read_array, read_json, file_digest, lambda path: read_json_as(path, RunRecord),
)  # fmt: skip


@pytest.mark.parametrize("read", READERS)
def test_pipes_and_devices_are_no_files(read: Callable[[Path], object], tmp_path: Path) -> None:
    """Neither waited for nor read without end; nor by a link to one."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    refused(lambda: read(tmp_path / "pipe"), "pipe is a pipe, expected a file")
    refused(lambda: read(tmp_path / "zeros"), "zeros is a device, expected a file")
