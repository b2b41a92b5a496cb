"""Exports in class folders and as csv, as a user makes them: images and a table, corrected by hand, built again."""

import csv
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from subprocess import run

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shell import shell

from noisybench.cards.plain_export import LISTING, export_csv, export_folders
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.ground.errors import BadData, BadUsage
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.location import Location
from noisybench.variants.variant import Variant, read_variant

HEADER = "sample,name,given,corrected,action"


def pictures(folder: Path) -> Path:
    """Photos of cats and dogs, four of each, one of them deeper; every one another file."""
    rng = np.random.default_rng(0)
    for name in (
        "cat/1.png",
        "cat/2.png",
        "cat/3.png",
        "cat/old/4.png",
        "dog/1.png",
        "dog/2.png",
        "dog/3.png",
        "dog/5.png",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(folder / name)
    return folder


def by_hand(path: Path, variant: Path, *rows: str) -> Path:
    """A corrections file as somebody types it, with the id that ``variant.json`` shows."""
    told = json.loads((variant / "variant.json").read_text(encoding="utf-8"))["variant_id"]
    path.write_text("\n".join([f"# noisybench corrections, variant_id={told}", HEADER, *rows]), encoding="utf-8")
    return path


def said(*words: object) -> str:
    done = shell(*words)
    assert done.code == 0, done.err
    return done.out.splitlines()[-1]


def test_photos_are_corrected_exported_and_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the shell: folder, corrections, corrected variant, class folders of the same files, the same labels."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "photos")
    built = Path(said("build", "photos"))
    fixes = by_hand(
        tmp_path / "fixes.csv", built, "0,cat/1.png,cat,dog,accept", "3,,cat,dog,accept", "6,,dog,,drop", "5,,dog,,keep"
    )
    command = [sys.executable, "-m", "noisybench", "build", "photos", "--corrections", str(fixes)]
    spawned = run(command, check=True, capture_output=True, text=True)
    corrected = Path(spawned.stdout.splitlines()[-1])
    assert corrected.name.endswith("-corrected")
    assert "corrections: 2 corrected, 1 confirmed, 1 dropped" in spawned.stdout
    assert said("build", built, "--corrections", fixes, "--out", "others") == f"others/{corrected.name}"
    for name in ("labels.parquet", "variant.json", "corrections.csv", "location.json", "samples.parquet", "README.md"):
        assert (tmp_path / "others" / corrected.name / name).read_bytes() == (corrected / name).read_bytes()
    said("verify", "others")

    assert said("export", corrected, "--format", "folders", "--to", "fixed", "--without-dropped") == "fixed"
    there = {file.relative_to("fixed").as_posix() for file in Path("fixed").rglob("*.png")}
    moved = {"dog/cat-1.png": "cat/1.png", "dog/old/4.png": "cat/old/4.png"}
    assert there == {"cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png", "dog/5.png", *moved}
    for name in there:
        assert not Path("fixed", name).is_symlink()
        assert Path("fixed", name).read_bytes() == Path("photos", moved.get(name, name)).read_bytes()
    again = read_variant(Path(said("build", "fixed")))
    variant = read_variant(corrected)
    assert Counter(again.labels.tolist()) == Counter(variant.labels[~variant.dropped].tolist())
    assert again.class_names == variant.class_names

    done = shell("export", corrected, "--format", "folders", "--to", "fixed")
    assert "1 dropped samples are in it; --without-dropped leaves them out" in done.err
    assert Path("fixed/dog/3.png").is_file()
    said("export", corrected, "--format", "csv", "--to", "photos/labels.csv", "--without-dropped")
    table = Path("photos/labels.csv").read_text(encoding="utf-8").splitlines()
    assert table[:2] == ["sample,path,label", "0,cat/1.png,dog"]
    assert len(table) == 8
    shutil.move("photos/labels.csv", "photos/metadata.csv")
    rebuilt = read_variant(Path(said("build", "photos")))
    assert rebuilt.labels.tolist() == variant.labels[~variant.dropped].tolist()


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_table_comes_back_with_its_own_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Every cell as it was written but for the labels that were corrected; the given one beside it where asked."""
    monkeypatch.chdir(tmp_path)
    rows = [
        ("1.50", "2.0", 'a "quoted"; note'),
        ("2.5", "1", "ü"),
        ("3.5", "2", "x"),
        ("4", "1.0", "y"),
        ("5", "2", "z"),
    ]
    header = ["size", "kind", "note"]
    if ending == "csv":
        with Path("mine.csv").open("w", encoding="cp1252", newline="") as file:
            csv.writer(file, delimiter=";").writerows([header, *rows])
    elif ending == "parquet":
        columns = list(zip(*rows, strict=True))
        pq.write_table(pa.table(dict(zip(header, columns, strict=True))), "mine.parquet")
    else:
        lines = (json.dumps(dict(zip(header, row, strict=True))) for row in rows)
        Path("mine.jsonl").write_text("\n".join(lines), encoding="utf-8")
    built = Path(said("build", f"mine.{ending}", "--source-set", "label=kind", "--source-set", "features=size"))
    fixes = by_hand(tmp_path / "fixes.csv", built, "0,,2,1,accept", "4,,2,,drop")
    corrected = said("build", built, "--corrections", fixes)
    separator = ";" if ending == "csv" else ","
    for options, expected in (
        ([], [["1", rows[0][2]], *([row[1], row[2]] for row in rows[1:])]),
        (
            ["--with-given", "--without-dropped"],
            [["1", rows[0][2], "2.0"], *([row[1], row[2], row[1]] for row in rows[1:4])],
        ),
    ):
        said("export", corrected, "--format", "csv", "--to", "out.csv", *options)
        with Path("out.csv").open(encoding="utf-8", newline="") as file:
            found = list(csv.reader(file, delimiter=separator))
        assert found[0] == [*header, *(["kind_given"] if options else [])]
        assert [row[1:] for row in found[1:]] == expected
        assert [row[0] for row in found[1:]] == [row[0] for row in rows][: len(expected)]
    rebuilt = read_variant(
        Path(said("build", "out.csv", "--source-set", "label=kind", "--source-set", "features=size"))
    )
    assert rebuilt.labels.tolist() == [0, 0, 1, 0]


def corrected_digits(limit: int = 30) -> tuple[Variant, object]:
    source = load_source("digits", limit=limit)
    noisy = build_variant(source, Symmetric(rate=0.2), seed=0)
    made = Corrections(noisy.variant_id, np.array([0]), noisy.labels[:1], np.array([-1]), ("drop",))
    return correct_variant(noisy, made), source


def test_images_that_are_no_files_become_png_files_by_number(tmp_path: Path) -> None:
    """Pixels as they were; each in the folder of its label."""
    source = load_source("digits", limit=30)
    variant = build_variant(source, Symmetric(rate=0.2), seed=0)
    export_folders(variant, source, tmp_path / "out")
    files = {file.stem: file for file in (tmp_path / "out").rglob("*.png")}
    assert sorted(files) == [f"{i:02}" for i in range(30)]
    for i in range(30):
        assert files[f"{i:02}"].parent.name == variant.class_names[variant.labels[i]]
        assert np.array_equal(np.asarray(Image.open(files[f"{i:02}"])), source.inputs[i, ..., 0])
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir() if entry.is_dir()) == sorted(variant.class_names)


def test_names_that_would_meet_are_told_apart(tmp_path: Path) -> None:
    """Whoever stays keeps its name, whatever system tells upper from lower case; nobody is lost."""
    photos = pictures(tmp_path / "photos")
    shutil.copy(photos / "cat/2.png", photos / "dog/cat-1.png")
    shutil.copy(photos / "cat/2.png", photos / "cat/CAT-2.PNG")
    source = load_source(photos)
    before = build_variant(source, AsFound())
    names = list(source.sample_names or ())
    cats = [i for i, name in enumerate(names) if name in ("cat/1.png", "cat/2.png", "cat/CAT-2.PNG")]
    made = Corrections(before.variant_id, np.array(cats), np.array([0, 0, 0]), np.array([1, 1, 1]), ("accept",) * 3)
    variant = correct_variant(before, made)
    export_folders(variant, source, tmp_path / "out", location=Location(data=str(photos), source_set={}))
    found = sorted(file.name for file in (tmp_path / "out" / "dog").iterdir())
    assert len({name.casefold() for name in found}) == len(found) == 8
    assert {"1.png", "2.png", "cat-1.png", "1-2.png", "cat-2.png", "cat-CAT-2.PNG"} <= {*found}
    assert len(list((tmp_path / "out").rglob("*.*"))) == len(names) + 1


def test_names_that_lead_elsewhere_stay_within(tmp_path: Path) -> None:
    """Whatever a source of one's own calls its images."""
    n = 8
    pixels = np.zeros((n, 2, 2, 1), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(n)
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    Image.fromarray(pixels[0, ..., 0]).save(tmp_path / "photos" / "1.png")
    names = ["cat/../1.png", "cat/../../photos/1.png", *["1.png"] * (n - 2)]
    classes = ["cat", "dog"]
    source = source_from_arrays("mine", pixels, np.arange(n) % 2, class_names=classes, sample_names=names)
    location = Location(data=str(tmp_path / "photos"), source_set={})
    export_folders(build_variant(source, AsFound()), source, tmp_path / "out", location=location)
    assert len(list((tmp_path / "out").glob("*/*.png"))) == n
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "photos"]


def test_long_texts_and_other_endings(tmp_path: Path) -> None:
    """A text of any length comes back as it was; a csv is not called what it is not."""
    rows = [["word other " * (20_000 if i == 3 else 3 + i % 2), "ab"[i % 2]] for i in range(12)]
    table = tmp_path / "long.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([["text", "label"], *rows])
    source, limit = load_source(table), csv.field_size_limit()
    variant, location = build_variant(source, AsFound()), Location(data=str(table), source_set={})
    written = export_csv(variant, source, tmp_path / "out.csv", location=location)
    assert written.read_text("utf-8") == table.read_text("utf-8")
    assert csv.field_size_limit() == limit
    with pytest.raises(BadUsage, match=r"out.csv.gz ends in '.gz'; name a file that ends in .csv or .tsv"):
        export_csv(variant, source, tmp_path / "out.csv.gz", location=location)


def test_an_export_takes_the_place_of_an_export_alone(tmp_path: Path) -> None:
    """A file that somebody put there keeps the folder; so does a folder that is none."""
    source = load_source("digits", limit=10)
    variant = build_variant(source, AsFound())
    export_folders(variant, source, tmp_path / "out")
    export_folders(variant, source, tmp_path / "out")
    (tmp_path / "out" / "0" / "mine.txt").write_text("mine")
    with pytest.raises(BadUsage, match="holds 0/mine.txt, which no export wrote"):
        export_folders(variant, source, tmp_path / "out")
    (tmp_path / "out" / LISTING).write_text('{"files": 3}')
    with pytest.raises(BadUsage, match="which no export wrote"):
        export_folders(variant, source, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadUsage, match="is a file; name a folder"):
        export_folders(variant, source, tmp_path / "file")
    with pytest.raises(BadUsage, match="is a folder; name a file, such as"):
        export_csv(variant, source, tmp_path)


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", " ", "a\\b", "Thumbs.db"])
def test_a_class_that_can_be_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    """And nothing is written, inside or outside."""
    images = np.zeros((4, 2, 2, 1), np.uint8)
    source = source_from_arrays("mine", images, [0, 1, 0, 1], class_names=[name, "b"])
    with pytest.raises(BadUsage, match="can be no folder that is read again .1 such classes.; say --format csv"):
        export_folders(build_variant(source, AsFound()), source, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_has_no_images_is_no_class_folders(tmp_path: Path) -> None:
    """A csv it can be: of numbers and of labels alone."""
    source = source_from_arrays("mine", None, ["a", "b", "a"], sample_names=["x", "y, z", "w"])
    variant = build_variant(source, AsFound())
    with pytest.raises(BadUsage, match="class folders are of images, and source 'mine' has none; say --format csv"):
        export_folders(variant, source, tmp_path / "out")
    export_csv(variant, source, tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text().splitlines() == [
        "sample\tname\tlabel",
        "0\tx\ta",
        "1\ty, z\tb",
        "2\tw\ta",
    ]


def test_a_table_that_has_other_rows_now_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its labels would be written beside other samples."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,label\n1,x\n2,y\n3,x\n4,y\n")
    source = load_source("t.csv")
    variant = build_variant(source, AsFound())
    place = Location(data="t.csv", source_set={})
    Path("t.csv").write_text("a,label\n1,x\n2,y\n3,x\n")
    with pytest.raises(BadData, match="the table has 3 rows, and the variant 4 samples"):
        export_csv(variant, source, "out.csv", location=place)
    Path("t.csv").write_text("a,kind\n1,x\n2,y\n3,x\n4,y\n")
    with pytest.raises(BadData, match="has no column 'label' any more"):
        export_csv(variant, source, "out.csv", location=place)
    assert not os.path.lexists("out.csv")


def test_options_of_another_format_are_refused(tmp_path: Path) -> None:
    """Each in a sentence."""
    for words, sentence in (
        (["--format", "folders", "--with-given"], "--with-given is for --format csv"),
        (["--format", "csv", "--push", "a/b"], "--push is for --format huggingface, and not for csv"),
    ):
        done = shell("export", tmp_path, "--to", tmp_path / "out", *words)
        assert done.code == 2
        assert sentence in done.err


def test_a_variant_takes_no_other_option_with_corrections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How it was made is in its record; without corrections it is refused as before."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,label\n1,x\n2,y\n3,x\n4,y\n")
    built = Path(said("build", "t.csv"))
    fixes = by_hand(tmp_path / "fixes.csv", built, "0,,x,y,accept")
    done = shell("build", built, "--corrections", fixes, "--noise", "symmetric")
    assert done.code == 2
    assert "is a variant, whose record says how it was made; leave --noise out" in done.err
    assert "--corrections FILE corrects its labels" in shell("build", built).err
    done = shell("build", "t.csv", "--corrections", fixes, "--json")
    assert json.loads(done.out)["corrections"]["accepted"] == 1


def test_a_data_set_without_dropped_samples_has_the_others(tmp_path: Path) -> None:
    """By the number of each in the source; the variant beside it is whole."""
    variant, source = corrected_digits()
    from noisybench.cards.export import export_variant

    export_variant(variant, source, tmp_path / "out", without_dropped=True)  # type: ignore[arg-type]
    table = pq.read_table(tmp_path / "out" / "data" / "train-00000.parquet")
    assert table["sample"].to_pylist() == list(range(1, 30))
    assert table["label"].to_pylist() == variant.labels[1:].tolist()
    assert read_variant(tmp_path / "out" / "noisybench").variant_id == variant.variant_id
    assert "1 of 30 samples were dropped by a person and are not here" in (tmp_path / "out" / "README.md").read_text()
