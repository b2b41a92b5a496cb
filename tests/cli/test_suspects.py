"""The command ``suspects`` as a person with a suspicious data set uses it, in this process.

A csv, folders of PNGs of several sizes, texts, an npz, a variant and a run; what it prints and writes; every misuse in one
sentence.
"""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from photographs import write_photographs
from shell import Result, shell
from sklearn.datasets import load_digits, load_wine

from noisybench.statistics.linear_probe import held_out_probabilities

WINE, DIGITS = load_wine(), load_digits()
CLASSES = [str(name) for name in WINE.target_names]
GENERATOR = np.random.default_rng(0)
WRONG = np.sort(GENERATOR.choice(len(WINE.target), 14, replace=False))
GIVEN = WINE.target.copy()
GIVEN[WRONG] = (GIVEN[WRONG] + GENERATOR.integers(1, 3, 14)) % 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data of a person."""
    folder = tmp_path_factory.mktemp("person")
    rows = [[*map(float, row), CLASSES[k]] for row, k in zip(WINE.data, GIVEN, strict=True)]
    write(folder / "wine.csv", [[*WINE.feature_names, "label"], *rows])
    texts = [
        [f"the {'cat purrs' if i % 2 else 'dog barks'} for {i} minutes in room {i % 3}", ["dog", "cat"][i % 2]]
        for i in range(60)
    ]
    texts[4][1] = "cat"
    write(folder / "texts.csv", [["text", "kind"], *texts])
    write_photographs(folder / "photos")
    np.savez(folder / "mine.npz", inputs=DIGITS.data[:120].astype(np.float32), labels=DIGITS.target[:120])
    return folder


@pytest.fixture(autouse=True)
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run beside the data; what they compute is kept beside them."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("NOISYBENCH_CACHE", str(place / "cache"))


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def suspects(*arguments: object) -> Result:
    """What the command says, which must succeed."""
    found = shell("suspects", *arguments)
    assert found.code == 0, found.err
    assert "Warning" not in found.err
    return found


def test_a_table_in_words(place: Path) -> None:
    """How many disagree, by what, the cut, by class and pair, and the first of them, without a dash for what is not known."""
    found = suspects("wine.csv", "--top", 14)
    lines = found.out.splitlines()
    assert re.fullmatch(r"\d+ of 178 labels of wine.csv disagree with the evidence \(\d+\.\d%\)", lines[0])
    assert [line.split()[0] for line in lines[1:6]] == ["evidence", "ranking", "note", "by", "by"]
    assert "truth" not in found.out
    assert " – " not in found.out
    samples = [int(line.split("│")[1]) for line in lines if line.startswith("│")]
    assert len(samples) == 14
    assert np.isin(samples, WRONG).mean() > 0.9
    told = json.loads(suspects("wine.csv", "--json").out)
    assert told["disagree_with_evidence"] == len(told["suspects"]) == int(lines[0].split()[0])
    assert [one["sample"] for one in told["suspects"]][:14] == samples[: told["disagree_with_evidence"]]
    assert (place / "cache").is_dir()


@pytest.mark.parametrize("style", ["csv", "markdown", "json"])
def test_other_forms_on_the_terminal(style: str) -> None:
    out = suspects("wine.csv", "--format", style, "--top", 3).out
    if style == "json":
        assert len(json.loads(out)) == 3
    else:
        assert len(out.splitlines()) == (4 if style == "csv" else 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("photos", "--features", "pca"), "35 labels of photos"),
        (("texts.csv", "--label", "kind", "--features", "words"), "60 labels of texts.csv"),
        (("mine.npz",), "120 labels of mine.npz"),
        (("digits", "--limit", 90, "--features", "pca", "--features-set", "components=8"), "90 labels of digits"),
        (("wine.csv", "--groups", "hue"), "by 'hue' and near duplicates; each group is held out as a whole"),
        (("wine.csv", "--detector", "ridge", "--seed", 3), "by ridge"),
        (("photos", "--features", "pca", "--skip-broken"), "on features 'pca'"),
    ],
)
def test_what_it_takes(arguments: tuple[object, ...], words: str) -> None:
    assert words in suspects(*arguments).out


def test_files_of_photographs(place: Path, tmp_path: Path) -> None:
    """Paths are there; csv, Parquet, json and tasks of Label Studio hold the same samples, with the page in one call."""
    import pyarrow.parquet as pq

    photos_by = ("photos", "--features", "pca", "--top", 5)
    paths = suspects(*photos_by, "--paths").out.splitlines()
    assert len(paths) == 5
    assert all(Path(path).is_file() for path in paths)
    names = [path.removeprefix("photos/") for path in paths]
    for name in ("a.csv", "a.parquet", "a.json"):
        suspects(*photos_by, "--to", tmp_path / "new" / name, "--html", tmp_path / "new" / "page.html")
    with (tmp_path / "new/a.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == names
    assert pq.read_table(tmp_path / "new/a.parquet")["name"].to_pylist() == names
    assert [one["name"] for one in json.loads((tmp_path / "new/a.json").read_text("utf-8"))["suspects"]] == names
    suspects(*photos_by, "--to", tmp_path / "tasks.json", "--format", "labelstudio")
    tasks = json.loads((tmp_path / "tasks.json").read_text("utf-8"))
    assert [task["data"]["name"] for task in tasks] == names
    assert (tmp_path / "new/page.html").read_text("utf-8").count("data:image/webp") == 5


def test_a_variant_and_its_runs(tmp_path: Path) -> None:
    """What is known of a variant's errors is told; of a training its answers are the evidence."""
    built = shell("build", "digits", "--noise", "symmetric", "--rate", ".2", "--limit", 120, "--out", tmp_path / "v")
    assert built.code == 0, built.err
    variant = next((tmp_path / "v").iterdir())
    out = suspects(variant, "--features", "pca").out
    assert re.search(r"truth +known of 120 labels: 24 are wrong, of which \d+ disagree; the others are right, of", out)
    runs = tmp_path / "runs"
    assert shell("evaluate", variant, "--epochs", 1, "--seeds", "0", "--detectors", "aum", "--out", runs).code == 0
    of_runs = suspects(runs)
    assert "answers of one training" in of_runs.out
    assert not of_runs.err
    above = suspects(tmp_path)
    assert above.out == of_runs.out
    assert f"{tmp_path} is looked at as a folder of runs; name a file or folder" in " ".join(above.err.split())
    scores = tmp_path / "scores.csv"
    write(scores, [["sample", "score"], *([i, i % 7] for i in range(120))])
    given = tmp_path / "given"
    assert shell("score", variant, "--scores", scores, "--name", "mine", "--out", given).code == 0
    assert "120 labels of digits by scores alone, which say no count" in suspects(given).out
    refused("come alone|came alone and say no cut", given, "--audit", 10, "--html", tmp_path / "a.html")


def test_an_audit_from_draw_to_estimate(tmp_path: Path) -> None:
    """A sheet or a page, without what the evidence says; its answers give a rate, and are of these labels alone."""
    out = suspects("wine.csv", "--audit", 40, "--html", tmp_path / "a.html").out
    assert "in random order and without suspicion" in out
    (draw,) = tmp_path.glob("audit-*.json")
    record = json.loads(draw.read_text("utf-8"))
    answers = tmp_path / "answers.csv"
    with answers.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# noisybench audit, variant_id={record['variant_id']}, audit={record['digest']}\n")
        writer = csv.writer(stream)
        writer.writerow(["sample", "name", "given", "corrected", "action"])
        for i in record["samples"]:
            writer.writerow([i, "", CLASSES[GIVEN[i]], "", "accept" if i in WRONG else "keep"])
    told = json.loads(suspects("wine.csv", "--audit-answers", answers, "--json").out)
    assert told["answered"] == 40
    assert told["rate"]["low"] <= len(WRONG) / 178 <= told["rate"]["high"]
    assert "%" in suspects("wine.csv", "--audit-answers", answers).out
    refused("other labels|variant", "wine.csv", "--limit", 170, "--audit-answers", answers)
    sheet = next(iter(json.loads(suspects("wine.csv", "--audit", 9, "--json").out).values()))
    refused(f"{sheet} is there already, perhaps with answers", "wine.csv", "--audit", 9)
    refused("suspicion|scores|evidence", "wine.csv", "--detector", "ridge", "--audit-answers", answers)


def test_decisions_come_back(tmp_path: Path) -> None:
    """What was decided is no suspect again, and a second file of decisions is of the labels that the first made."""
    first = json.loads(suspects("wine.csv", "--json").out)
    one, two = first["suspects"][:2]
    path = tmp_path / "corrections.csv"
    write(
        path,
        [
            [f"# noisybench corrections, variant_id={first['variant_id']}"],
            ["sample", "name", "given", "corrected", "action"],
            [one["sample"], "", one["given"], one["suggested"], "accept"],
            [two["sample"], "", two["given"], "", "drop"],
        ],
    )
    path.write_text(path.read_text("utf-8").replace('"', ""), encoding="utf-8")
    second = json.loads(suspects("wine.csv", "--corrections", path, "--top", 178, "--json").out)
    assert len(second["suspects"]) == 176
    refused("are of variant", "wine.csv", "--limit", 170, "--corrections", path)


def test_names_of_any_kind(tmp_path: Path) -> None:
    """Quotes, emoji, right to left, a formula and 300 letters: whole on the terminal, in files and on the page."""
    names = ['a "quoted", one', "🙂 smile", "שלום", "x" * 300, "=1+1", "<b>bold</b>"]
    rng = np.random.default_rng(0)
    rows: list[list[object]] = [[*(rng.normal(size=6) + 9 * np.eye(6)[i % 6]), names[i % 6]] for i in range(60)]
    for i in range(6):
        rows[i][-1] = names[(i + 1) % 6]
    write(tmp_path / "odd.csv", [[*"abcdef", "label"], *rows])
    files = [tmp_path / "out" / name for name in ("s.csv", "s.html")]
    out = suspects(tmp_path / "odd.csv", "--to", files[0], "--html", files[1]).out
    assert all(
        name in out.replace(" ", "").replace("│", "").replace("\n", "") for name in ("שלום", "🙂smile", "x" * 300)
    )
    with files[0].open(encoding="utf-8", newline="") as stream:
        given = {row["given"] for row in csv.DictReader(stream)}
    assert given == {*names[:4], "'=1+1", names[5]}
    assert "<b>bold</b>" not in files[1].read_text("utf-8")


def test_many_classes_and_one_sample(tmp_path: Path) -> None:
    """A class of one sample is named on stderr; more classes than half the samples warn of nothing else."""
    rng = np.random.default_rng(0)
    rows = [[*rng.normal(size=3), f"class {max(i, 1) % 120}"] for i in range(240)]
    write(tmp_path / "many.csv", [[*"abc", "label"], *rows])
    found = suspects(tmp_path / "many.csv")
    assert "classes of one sample, for which nobody else can speak, so that it disagrees: class 0" in found.err
    assert re.search(r"by class .*, \d+ more", found.out)


def test_columns_that_say_next_to_nothing(tmp_path: Path) -> None:
    """Nearly constant columns, and equal rows: nothing is made up, and nothing breaks."""
    rng = np.random.default_rng(0)
    near = [[1 + 1e-12 * rng.normal(), 2 + i % 2 * 1e-9, "ab"[i % 2]] for i in range(30)]
    write(tmp_path / "near.csv", [["x", "y", "label"], *near])
    assert suspects(tmp_path / "near.csv").out.startswith("0 of 30 labels")
    for n in (30, 40):
        np.savez(tmp_path / "same.npz", inputs=np.ones((n, 3), np.float32), labels=np.arange(n) % 2)
        refused(f"all {n} samples have the same features", tmp_path / "same.npz")


def refused(words: str, *arguments: object) -> None:
    """The command says one sentence that holds these words, and nothing else."""
    found = shell("suspects", *arguments)
    said = [line for line in found.err.splitlines() if not line.startswith("note: ")]
    assert found.code in (1, 2), found
    assert len(said) == 1, found.err
    assert said[0].startswith("error: "), said
    assert re.search(words, said[0]), said[0]
    assert found.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("wine.csv --features pcaa", "no feature is called 'pcaa'; did you mean 'pca'"),
        ("wine.csv --features minilm", "are of texts"),
        ("wine.csv --features patches", "are of images"),
        ("wine.csv --features-set a=b", "features 'input' have no options; leave --features-set out"),
        ("wine.csv --detector rigde", "did you mean 'ridge'"),
        ("wine.csv --label clas", "no column of wine.csv is called 'clas'"),
        ("wine.csv --label label --source-set label=hue", "given twice"),
        ("wine.csv --groups nope", "--groups nope is neither a file nor a column"),
        ("photos --groups nope", "give a file with a group for each sample"),
        ("wine.csv --paths", "are no files; leave --paths out"),
        ("wine.csv --format labelstudio", "'labelstudio' is the format of a file; say --to FILE as well"),
        ("wine.csv --format cvs", "did you mean 'csv'"),
        ("wine.csv --to a.csv --format cvs", "did you mean 'csv'"),
        ("wine.csv --to a.txt", "does not say its format"),
        ("wine.csv --top 0", "--top must be at least 1, got 0"),
        ("wine.csv --top x", "'x' is no whole number"),
        ("wine.csv --audit 0", "--audit must be at least 4, got 0"),
        ("wine.csv --audit 179", "an audit of 179 labels needs as many, and there are 178"),
        ("wine.csv --audit 9 --to a.csv", "an audit shows what was drawn, and no list of suspects; leave --to out"),
        ("wine.csv --audit 9 --audit-answers a.csv", "say one of the two"),
        ("wine.csv --audit-answers wine.csv", "wine.csv is no file of audit: .* expected '# noisybench audit"),
        ("wine.csv --corrections wine.csv", "is no file of corrections"),
        ("wine.csv --corrections nope.csv", "nope.csv cannot be read: No such file"),
        ("wine.csv --paths --json", "two forms of what is printed"),
        ("wine.csv --format csv --json", "two forms of what is printed"),
        ("wine.csv --html wine.csv", "would be written over wine.csv; name another file"),
        ("wine.csv --html a.csv --to a.csv", "would be written over the file of --html"),
        ("photos --to photos/a.csv", "into photos, which is read, so that it would be taken for data"),
        ("wine.csv --html photos", "photos: Is a directory"),
        ("wine.csv --html wine.csv/a.html", "wine.csv"),
        ("wine.csv --out wine.csv", "Not a directory"),
        ("wine.csv --limit 0", "limit must be at least 1"),
        ("wine.csv --limit 1", "no class has two samples"),
        ("wine.csv --seed -1", "seed must not be negative"),
        ("wine.csv --device gpu", "no device is called 'gpu'"),
        ("nope.csv", "nope.csv"),
        ("nope", "no source, file or folder is called 'nope'"),
    ],
)  # fmt: skip
def test_misuse_says_one_sentence(arguments: str, words: str) -> None:
    refused(words, *arguments.split())


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["id", "label"], *([i, "ab"[i % 2]] for i in range(20))], "has labels alone"),
        ([["x", "label"], *([i**0.5, "a"] for i in range(20))], "expected at least two classes"),
        ([["x", "label"], [0.1, "a"], [0.7, "b"], [0.3, "c"]], "no class has two samples"),
        (
            [["x", "label"], *([i, "ab"[i % 2] if i % 7 else ""] for i in range(20))],
            "column 'label' .* is empty in row 0",
        ),
        (
            [["x", "label"], *(["inf" if i == 3 else i, "ab"[i % 2]] for i in range(20))],
            "has no finite number in row 3",
        ),
        ([["x", "label"], *([1, "ab"[i % 2]] for i in range(20))], "the same in every row"),
        ([["x", "label"], *([i, "a\nb"[i % 2 :]] for i in range(20))], "is no text of whole, printable characters"),
        ([["x", "label"]], "has no rows"),
    ],
)
def test_tables_that_cannot_be_looked_at(tmp_path: Path, rows: list[list[object]], words: str) -> None:
    write(tmp_path / "t.csv", rows)
    refused(words, tmp_path / "t.csv")


def test_folders_that_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused("is empty; expected a folder of images for each class", tmp_path / "empty")
    write_photographs(tmp_path / "photos")
    (tmp_path / "photos/digit 1/broken.png").write_bytes(b"no image")
    refused("broken.png", tmp_path / "photos")
    found = suspects(tmp_path / "photos", "--features", "pca", "--skip-broken")
    assert "broken.png" in found.err
    assert "of 35 labels" in found.out


def test_numbers_of_features_are_finite(tmp_path: Path) -> None:
    inputs = np.where(np.arange(40)[:, None] == 3, np.inf, 1.0).astype(np.float32)
    np.savez(tmp_path / "inf.npz", inputs=inputs, labels=np.arange(40) % 2)
    refused("must be finite, row 3 is not", tmp_path / "inf.npz")
    with np.errstate(all="raise"):
        found = held_out_probabilities(np.ones((30, 2), np.float32), np.arange(30) % 2, 2)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
