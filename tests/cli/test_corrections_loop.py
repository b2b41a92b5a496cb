"""The way of a person: a page of suspects, decisions, labels corrected, looked at again, exported, and built again."""

import csv
import json
from pathlib import Path

import pytest
from browser import WIDE, Browser
from photographs import write_photographs
from shell import Result, shell

LOOK = ("suspects", "photos", "--features", "pca")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_photographs(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def said(*arguments: object) -> Result:
    found = shell(*arguments)
    assert found.code == 0, found.err
    return found


def classes(folder: Path) -> dict[str, str]:
    """Class of each image of class folders, by the name of its file."""
    return {path.name.split("-")[-1]: path.parent.name for path in folder.rglob("*.png")}


def go_round(place: Path, corrections: Path, one: str, two: str, out: Path) -> None:
    """Build, look again, export and build again with decisions that accept for ``one`` and drop ``two``."""
    before = classes(place / "photos")
    built = said("build", "photos", "--corrections", corrections, "--out", out / "variants")
    variant = Path(built.out.strip().splitlines()[-1])
    record = json.loads((variant / "variant.json").read_text("utf-8"))
    assert (record["corrections"]["accepted"], record["corrections"]["dropped"]) == (1, 1)
    again = json.loads(said(*LOOK, "--corrections", corrections, "--top", 40, "--json").out)
    assert again["variant_id"] == record["variant_id"]
    assert not {row["name"] for row in again["suspects"]} & {one, two}
    assert json.loads(said("suspects", variant, "--features", "pca", "--top", 40, "--json").out) == again
    said("export", variant, "--to", out / "clean", "--format", "folders", "--without-dropped")
    after = classes(out / "clean")
    assert {*before} - {*after} == {Path(two).name}
    changed = {name for name, k in after.items() if before[name] != k}
    assert changed == {Path(one).name}
    rebuilt = said("build", out / "clean", "--source-set", "side=32", "--out", out / "rebuilt")
    assert f"{len(before) - 1} samples" in rebuilt.out


def test_from_a_file_to_corrected_folders(place: Path) -> None:
    """Decided by hand in the csv, as a spreadsheet would."""
    told = json.loads(said(*LOOK, "--json").out)
    one, two = told["suspects"][:2]
    path = place / "corrections.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# noisybench corrections, variant_id={told['variant_id']}\n")
        writer = csv.writer(stream)
        writer.writerow(["sample", "name", "given", "corrected", "action"])
        writer.writerow([one["sample"], one["name"], one["given"], one["suggested"], "accept"])
        writer.writerow([two["sample"], two["name"], two["given"], "", "drop"])
    go_round(place, path, one["name"], two["name"], place / "out")


@pytest.mark.browser
def test_from_the_page_to_corrected_folders(browser: Browser, place: Path) -> None:
    """Accepted, dropped and kept by keys on the page of a real folder; the file that it saves comes back through build."""
    told = json.loads(said(*LOOK, "--html", place / "s.html", "--top", 6, "--json").out)
    one, two, three = told["suspects"][:3]
    browser.show(place / "s.html", WIDE)
    assert browser.run("return document.querySelectorAll('.item img').length") == 6
    loaded = "return [...document.querySelectorAll('.item img')].slice(0, 3).every((one) => one.naturalWidth > 0)"
    assert browser.wait(loaded)
    browser.press("adr")
    browser.run("document.getElementById('save').click()")
    content = browser.saved(f"corrections-{told['variant_id'][:8]}.csv")
    assert browser.faults() == []
    path = place / "saved.csv"
    path.write_bytes(content)
    rows = list(csv.reader(content.decode().splitlines()[2:]))
    expected = [
        [str(row["sample"]), row["name"], row["given"], new, action]
        for row, new, action in ((one, one["suggested"], "accept"), (two, "", "drop"), (three, "", "keep"))
    ]
    assert rows == sorted(expected, key=lambda row: int(row[0]))
    go_round(place, path, one["name"], two["name"], place / "out")
