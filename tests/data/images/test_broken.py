"""Broken images of one's own data: all named at once, or left out and written down; and test sets that nobody wants."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shell import shell

from noisybench.data.images import files as image_files
from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData, BadUsage
from noisybench.items import find
from noisybench.variants.building import build_variant
from noisybench.variants.variant import read_variant, write_variant

PIXELS = np.random.default_rng(0).integers(256, size=(8, 9, 9, 3), dtype=np.uint8)
NAMES = [f"{'ab'[i // 4]}/{i}.png" for i in range(8)]


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(stream, "TIFF" if mode == "CMYK" else "PNG")
    return stream.getvalue()


WHOLE = [0, 3, 4, 5, 7]
ENCODED = [png(pixels) for pixels in PIXELS]
ENCODED[1], ENCODED[2], ENCODED[6] = b"", b"<html>", ENCODED[6][:-40]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of four images, three of them broken, a test set with one of two broken, and a table of all."""
    for name, content in zip(NAMES, ENCODED, strict=True):
        path = tmp_path / "pets" / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for i, content in enumerate((ENCODED[0], b"x")):
        path = tmp_path / "pets" / "test" / "a" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    rows = "".join(f"{name},{name[0]},{'ba'[i % 2]}\n" for i, name in enumerate(NAMES))
    (tmp_path / "all.csv").write_text("path,label,clean\n" + rows, encoding="utf-8")
    return tmp_path / "pets"


SENTENCE = (
    r"^3 images of .* cannot be decoded: a/1.png \(it is empty\), a/2.png \(UnidentifiedImageError\), b/6.png \(OSError\); "
    r"expected PNG, JPEG or another common format, or say --skip-broken to leave them out$"
)


@pytest.mark.parametrize("side", [None, "4"])
def test_all_broken_images_are_named_at_once(folder: Path, side: str | None) -> None:
    """In one sentence, with what is wrong and how to go on without them; also where all are brought to one size."""
    options: dict[str, Any] = {} if side is None else {"side": side}
    with pytest.raises(BadData, match=SENTENCE):
        load_source("folder", folder, **options)
    with pytest.raises(BadData, match=SENTENCE):
        load_source("table", folder.parent / "all.csv", root="pets/train", **options)
    (folder / "train/a/3.png").write_bytes(b"")
    (folder / "train/a/0.png").write_bytes(b"")
    (folder / "train/b/7.png").write_bytes(b"")
    with pytest.raises(BadData, match=r"^6 images of .*: a/0.png \(it is empty\), a/1.png .* and 1 more; expected PNG"):
        load_source("folder", folder, **options)


def test_images_of_another_kind_are_not_broken(folder: Path) -> None:
    """What is read without loss in no way is said beside them, and not left out."""
    (folder / "train/b/7.tiff").write_bytes(png(PIXELS[7], "CMYK"))
    with pytest.raises(BadData, match=r"to leave them out; image b/7.tiff of .* has mode CMYK, expected grey or RGB"):
        load_source("folder", folder)
    with pytest.raises(
        BadData, match=r"^image b/7.tiff of .* has mode CMYK, expected grey or RGB with 8 bits; convert"
    ):
        load_source("folder", folder, skip_broken="true")


def test_broken_images_are_left_out_and_written_down(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their rows, names and right classes too; the record and the card name them; built again, the bytes are the same."""
    monkeypatch.chdir(tmp_path)
    source = load_source("folder", folder, skip_broken="true")
    np.testing.assert_array_equal(source.inputs, PIXELS[WHOLE])
    assert source.labels.tolist() == [0, 0, 1, 1, 1]
    assert list(source.sample_names or ()) == [NAMES[i] for i in WHOLE]
    np.testing.assert_array_equal(source.test_inputs, PIXELS[:1])
    assert source.left_out == ("a/1.png", "a/2.png", "b/6.png", "test/a/1.png")
    assert source.notes[0].endswith(
        "train: 3 broken images are left out of 8: a/1.png (it is empty), a/2.png (UnidentifiedImageError), b/6.png (OSError)"
    )
    command = ("build", "folder", "--data", "pets", "--noise", "as_found", "--skip-broken")
    code, out, err = shell(*command, "--out", "v")
    assert code == 0
    assert "note: " in err
    assert "3 broken images are left out of 8" in err
    place = Path(out.splitlines()[-1])
    assert read_variant(place).provenance.left_out == source.left_out
    assert json.loads((place / "variant.json").read_text(encoding="utf-8"))["left_out"] == list(source.left_out)
    assert (
        "| left out | 4 broken images: a/1.png, a/2.png, b/6.png, test/a/1.png |" in (place / "README.md").read_text()
    )
    assert shell("verify", str(place)).code == 0
    again = Path(shell(*command, "--out", "w").out.splitlines()[-1])
    for path in place.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_a_limit_counts_whole_images(folder: Path) -> None:
    """As if broken ones were not there; what comes after the last that is needed is not looked at."""
    source = load_source("folder", folder, limit=3, skip_broken="true", test="none")
    np.testing.assert_array_equal(source.inputs, PIXELS[[0, 3, 4]])
    assert (source.limit, source.left_out) == (3, ("a/1.png", "a/2.png"))
    assert source.sha256 == load_source("folder", folder, limit=3, skip_broken="yes", test="none").sha256
    assert load_source("folder", folder, limit=7, skip_broken="true").limit is None


def test_tables_and_lazy_images_leave_them_out_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With right classes and a test table; and where images stay on disk."""
    file = folder.parent / "all.csv"
    options: dict[str, Any] = {"root": "pets/train", "clean": "clean", "skip_broken": "true"}
    source = load_source("table", file, **options, test="all.csv")
    np.testing.assert_array_equal(source.inputs, PIXELS[WHOLE])
    np.testing.assert_array_equal(source.test_inputs, PIXELS[WHOLE])
    assert source.clean.tolist() == [1 - i % 2 for i in WHOLE]
    assert source.left_out == ("a/1.png", "a/2.png", "b/6.png") * 2
    monkeypatch.setattr(image_files, "IN_MEMORY", 10)
    lazy = load_source("table", file, **options, side="9")
    assert not isinstance(lazy.inputs, np.ndarray)
    np.testing.assert_array_equal(lazy.inputs[:], PIXELS[WHOLE])


@pytest.mark.parametrize("lazy", ["false", "true"])
def test_image_columns_leave_them_out_too(tmp_path: Path, lazy: str) -> None:
    """By their row, in memory or on disk; all are named where they are not."""
    column = pa.array([{"bytes": content, "path": None} for content in ENCODED])
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": column, "label": np.arange(8) // 4}), file)
    source = load_source("huggingface", file, lazy=lazy, skip_broken="true")
    np.testing.assert_array_equal(source.inputs[:], PIXELS[WHOLE])
    assert source.labels.tolist() == [0, 0, 1, 1, 1]
    assert source.left_out == ("row 1", "row 2", "row 6")
    assert source.options["skip_broken"] is True
    if lazy == "false":
        tried: list[dict[str, Any]] = [{}, {"side": "4"}]
        for options in tried:
            with pytest.raises(
                BadData, match=r"^3 images of column 'image' cannot be decoded: 1 \(it is empty\), 2 \("
            ):
                load_source("huggingface", file, lazy=lazy, **options)


def test_nothing_is_left_or_nothing_is_broken(folder: Path, tmp_path: Path) -> None:
    """Only broken images are refused; none leave no trace in the record but the option; other sources have none."""
    for name in NAMES:
        (folder / "train" / name).write_bytes(b"")
    with pytest.raises(
        BadData, match=r"^8 images of .*train cannot be decoded: .* and 3 more; expected PNG, JPEG or an"
    ):
        load_source("folder", folder, skip_broken="true")
    for name, pixels in zip(NAMES, PIXELS, strict=True):
        (folder / "train" / name).write_bytes(png(pixels))
    plain = build_variant(load_source("folder", folder, test="none"), find("noises", "as_found")())
    skipped = build_variant(
        load_source("folder", folder, test="none", skip_broken="true"), find("noises", "as_found")()
    )
    assert plain.provenance.variant_id == skipped.provenance.variant_id
    assert dict(plain.provenance.source_options) == {"test": "none"}
    write_variant(plain, tmp_path / "v")
    assert "left_out" not in (tmp_path / "v" / "variant.json").read_text(encoding="utf-8")
    code, _, err = shell("build", "digits", "--noise", "as_found", "--skip-broken")
    assert code == 2
    assert "--skip-broken is for images of your own, and source 'digits' has no such option; leave it out" in err


def test_no_test_set_can_be_said(folder: Path, tmp_path: Path) -> None:
    """Of folders and of arrays that would be taken for one, whatever is wrong with it; the labels are the same."""
    (folder / "test" / "cow").mkdir()
    with pytest.raises(BadData, match="is of no class of the training folder"):
        load_source("folder", folder, skip_broken="true")
    assert load_source("folder", folder, skip_broken="true", test="none").test_inputs is None
    arrays = {"x_train": PIXELS, "y_train": np.arange(8) % 2, "x_test": PIXELS[:, :3], "y_test": np.arange(8)}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]  # of a mapping
    with pytest.raises(BadData, match="is no class of the training samples"):
        load_source("npz", tmp_path / "x.npz")
    source = load_source("npz", tmp_path / "x.npz", test="none")
    assert (source.test_inputs, source.num_classes, dict(source.options)) == (None, 2, {"test": "none"})
    with pytest.raises(BadUsage, match="option 'test' of source 'npz' must be one of auto, none, got 'no'"):
        load_source("npz", tmp_path / "x.npz", test="no")
