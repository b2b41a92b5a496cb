"""Tables and arrays with answers of several people: found by item, made into labels, or refused in a sentence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shell import shell

from noisybench.data.alteration import changed
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError
from noisybench.variants.location import source_of
from noisybench.variants.variant import read_variant

TABLE = "song,x,y,class\ns1,0.5,1,pop\ns2,1,2,rock\ns3,2,3,jazz\ns4,5,4,pop\n"
# s1: pop, rock (a tie); s2: rock, rock, jazz; s3: jazz; s4: pop
ANSWERS = [
    ("s1", "ann", "pop"), ("s1", "bob", "rock"), ("s2", "ann", "rock"), ("s2", "bob", "rock"), ("s2", "cat", "jazz"),
    ("s3", "cat", "jazz"), ("s4", "bob", "pop"),
]  # fmt: skip
MUSIC: dict[str, Any] = {"clean": "class", "scale": "false"}


def write(folder: Path, text: str, name: str = "x.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def rows(
    folder: Path, answers: Sequence[tuple[Any, ...]], header: str = "song,annotator,answer", name: str = "answers.csv"
) -> Path:
    return write(folder, "\n".join([header, *(",".join(map(str, row)) for row in answers)]) + "\n", name)


def answered(source: Source) -> list[list[int]]:
    assert source.answers is not None
    return np.column_stack([source.answers.sample, source.answers.annotator, source.answers.label]).tolist()


def test_answers_make_the_given_labels(tmp_path: Path) -> None:
    """Ties go to the smallest class; people are numbers in the order of their names; truth is the table's own column."""
    file = write(tmp_path, TABLE)
    place = rows(tmp_path, ANSWERS)
    source = load_source("table", file, answers="answers.csv", **MUSIC)
    assert source.class_names == ("jazz", "pop", "rock")
    assert source.labels.tolist() == [1, 2, 0, 1]
    assert source.clean.tolist() == [1, 2, 0, 1]
    assert answered(source) == [[0, 0, 1], [0, 1, 2], [1, 0, 2], [1, 1, 2], [1, 2, 0], [2, 2, 0], [3, 1, 1]]
    assert np.array_equal(source.inputs, np.array([[0.5, 1], [1, 2], [2, 3], [5, 4]], np.float32))
    assert source.sample_names == ["s1", "s2", "s3", "s4"]
    assert str(source.options["answers"]).startswith("answers.csv sha256:")
    assert source.notes[1].endswith(
        "'song' is what was asked about (found in column 'song'), 'annotator' who answered, 'answer' what"
    )
    assert source.notes[2].startswith(
        "given labels are the majority of the answers, ties (1 of 4 samples) go to the class of the smallest index; aggregate="
    )
    one = load_source("table", file, answers=str(place), aggregate="one:7", limit=3, **MUSIC)
    assert one.labels[2] == 0
    assert one.labels[0] in (1, 2)
    assert answered(one) == answered(source)[:6]
    assert "given labels are one answer a sample, drawn with seed 7" in one.notes


def test_a_column_of_labels_stays_the_given_label(tmp_path: Path) -> None:
    """Answers come too; it is so without a word where there is such a column, and is said."""
    file = write(tmp_path, TABLE.replace("class", "label"))
    rows(tmp_path, ANSWERS)
    source = load_source("table", file, answers="answers.csv")
    assert source.labels.tolist() == [1, 2, 0, 1]
    assert (source.clean == UNKNOWN).all()
    assert len(answered(source)) == 7
    assert (
        "given labels are column 'label', and the answers come too; aggregate=majority takes the answers"
        in source.notes
    )
    assert source.sha256 == load_source("table", file, id="song").sha256
    made = load_source("table", file, answers="answers.csv", aggregate="majority", clean="label")
    assert made.clean.tolist() == [1, 2, 0, 1]
    named = load_source("table", write(tmp_path, TABLE), answers="answers.csv", aggregate="column", label="class")
    assert named.sha256 == source.sha256


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("annotator,answer,song", (1, 2, 0)),
        ("WorkerId,SONG,Answer.genre", (1, 0, 2)),
        ("task,worker,label", (0, 1, 2)),
        ("INPUT:song,OUTPUT:genre,ASSIGNMENT:worker_id", (0, 2, 1)),
        ("!amt_worker_ids,orig_id,response", (1, 0, 2)),
        ("song_id;rater;vote", (0, 1, 2)),
        ("question\tcoder\tannotation", (0, 1, 2)),
        ("item,user,genre", (0, 1, 2)),
    ],
)
def test_columns_are_found_by_their_usual_names(header: str, order: tuple[int, ...], tmp_path: Path) -> None:
    """In any order and case, with any separator; what the table calls its samples is found without a word."""
    mark = next(mark for mark in ",;\t" if mark in header)
    text = "\n".join([header, *(mark.join(row[j] for j in order) for row in ANSWERS)])
    write(tmp_path, text, "a.tsv" if mark == "\t" else "a.csv")
    file = write(tmp_path, TABLE.replace("song", "song_id"))
    source = load_source("table", file, answers="a.tsv" if mark == "\t" else "a.csv", id="song_id", **MUSIC)
    assert source.labels.tolist() == [1, 2, 0, 1]
    assert answered(source)[4] == [1, 2, 0]


def test_other_kinds_of_files_say_the_same(tmp_path: Path) -> None:
    """Parquet, a matrix with a row a sample, and items that are numbers of rows; whole numbers however they are written."""
    file = write(tmp_path, "a,b,class\n1,0.5,0\n2,0.1,1\n4,0.7,1\n8,0.9,0\n")
    matrix = np.array([[0, 0, 1], [1, -1, 1], [0, 1, -1], [-1, -1, 0]])
    np.save(tmp_path / "m.npy", matrix)
    np.savez(tmp_path / "m.npz", votes=matrix, about=np.arange(3))
    sample, annotator = np.nonzero(matrix >= 0)
    table = {"row": sample, "annotator": annotator, "label": matrix[matrix >= 0].astype(float)}
    pq.write_table(pa.table(table), tmp_path / "m.parquet")
    lines = [f"{i},{j},{matrix[i, j]}.0" for i, j in zip(sample, annotator, strict=True)]
    write(tmp_path, "\n".join(["item,worker,answer", *lines]), "m.csv")
    found = [load_source("table", file, answers=f"m.{end}", **MUSIC) for end in ("npy", "npz", "parquet", "csv")]
    for source in found:
        assert source.class_names == ("0", "1")
        assert source.labels.tolist() == [0, 1, 0, 0]
        assert answered(source) == answered(found[0])
    assert any("'item' is what was asked about (the number of the row, from 0)" in note for note in found[3].notes)


def test_images_and_texts_are_found_by_file_and_by_row(tmp_path: Path) -> None:
    """The samples are called by their file names as before."""
    for j in range(3):
        Image.fromarray(np.full((2, 2, 3), 50 * j, np.uint8)).save(tmp_path / f"{j}.png")
    file = write(tmp_path, "file_name,truth\n0.png,a\n1.png,b\n2.png,a\n")
    rows(
        tmp_path, [("1.png", 1, "a"), ("0.png", 1, "a"), ("2.png", 2, "b"), ("1.png", 2, "b")], "image,annotator,answer"
    )
    source = load_source("table", file, answers="answers.csv", clean="truth")
    assert source.labels.tolist() == [0, 0, 1]
    assert source.sample_names == ["0.png", "1.png", "2.png"]
    texts = write(tmp_path, "text,truth\ngood film,a\nbad film,b\nno film,b\n")
    rows(tmp_path, [(0, "x", "a"), (1, "x", "b"), (2, "y", "a")], "task,worker,label")
    assert load_source("table", texts, answers="answers.csv", clean="truth").labels.tolist() == [0, 1, 0]
    rows(tmp_path, [("no film", "x", "b"), ("bad film", "x", "b"), ("good film", "y", "a")], "text,worker,label")
    assert load_source("table", texts, answers="answers.csv", clean="truth").labels.tolist() == [0, 1, 1]


def test_what_nobody_answered_is_left_out(tmp_path: Path) -> None:
    """Where answers make the label: the other rows keep what they are called; answers of nothing count for none."""
    file = write(tmp_path, TABLE)
    rows(tmp_path, [*ANSWERS[2:5], ("s4", "bob", ""), ("s4", "ann", "pop"), ("s3", "ann", "-1"), ("s9", "ann", "pop")])
    source = load_source("table", file, answers="answers.csv", **MUSIC)
    assert (source.labels.tolist(), source.clean.tolist()) == ([2, 1], [2, 1])
    assert source.sample_names == ["s2", "s4"]
    assert source.inputs.tolist() == [[1, 2], [5, 4]]
    assert answered(source)[-1] == [1, 0, 1]
    notes = "; ".join(source.notes)
    assert "rows that nobody answered are left out (2 of 4, such as row 0 ('s1'))" in notes
    assert "about items that no sample is called, such as 's9', are left out (1 such answers)" in notes
    assert "without an answer (empty, -1 or the like) are left out (2 such rows)" in notes
    whole = load_source("table", file, answers="answers.csv", aggregate="column", label="class")
    assert len(whole.labels) == 4
    assert whole.sample_names == ["s1", "s2", "s3", "s4"]


def test_odd_answers_are_told(tmp_path: Path) -> None:
    """The same answer twice is one; a class that no sample has is one; -1 is a class beside 1."""
    file = write(tmp_path, TABLE)
    rows(tmp_path, [*ANSWERS, ANSWERS[0], ("s3", "dan", "polka")])
    source = load_source("table", file, answers="answers.csv", **MUSIC)
    assert len(answered(source)) == 8
    assert source.class_names == ("jazz", "polka", "pop", "rock")
    assert "answers of answers.csv that are there twice count once (1 such answers)" in source.notes
    assert any("name classes that no sample has ('polka'; 1 such answers)" in note for note in source.notes)
    signs = write(tmp_path, "a,class\n0.5,1\n0.1,-1\n0.7,1\n")
    rows(tmp_path, [(0, 0, 1), (1, 0, -1), (2, 0, -1)], "item,worker,answer")
    source = load_source("table", signs, answers="answers.csv", **MUSIC)
    assert source.class_names == ("-1", "1")
    assert source.labels.tolist() == [1, 0, 0]
    assert source.clean.tolist() == [1, 0, 1]
    many = write(tmp_path, "a,class\n" + "".join(f"{i}.5,{i % 2}\n" for i in range(200)))
    rows(tmp_path, [(i, 0, i // 2 % 2) for i in range(200)], "item,worker,answer")
    source = load_source("table", many, answers="answers.csv", **MUSIC)
    assert any("right class in 50.0% of 200 cases, no more than by chance" in note for note in source.notes)


def test_a_test_set_has_labels_or_the_right_classes(tmp_path: Path) -> None:
    """Of the column of right classes where answers make the given labels."""
    file = write(tmp_path, TABLE)
    write(tmp_path, "x,y,class\n1,1,rock\n2,2,jazz\n", "test.csv")
    rows(tmp_path, ANSWERS)
    source = load_source("table", file, answers="answers.csv", test="test.csv", **MUSIC)
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("answers", "options", "kind", "message"),
    [
        ([*ANSWERS, ("s1", "bob", "jazz")], MUSIC, BadData,
         r"annotator 'bob' of .*answers.csv answers sample 0 both '(rock|jazz)' and '(rock|jazz)' \(1 such pairs\); keep one"),
        ([("q1", "ann", "pop")], MUSIC, BadData,
         "no sample is called as column 'song' of .* says, such as 'q1': the table has column 'song', .*; say --source-set id="),
        ([("s1", "ann", "0"), ("s2", "ann", "1")], MUSIC, BadData, "answers '0', '1', the classes of the samples are 'pop', 'rock'; write"),
        ([("s1", "ann", "0.5"), ("s2", "ann", "1.5")], MUSIC, BadData, "column 'answer' of .* holds fractions, such as 0.5"),
        ([("s1", "ann", "")], MUSIC, BadData, "column 'answer' of .*answers.csv holds no answer to any sample; expected classes"),
        ([("s1", "", "pop")], MUSIC, BadData, "column 'annotator' of .*answers.csv is empty in row 0"),
        (ANSWERS, {**MUSIC, "aggregate": "mean"}, BadUsage, "aggregate must be majority, one:SEED .* or column, got 'mean'"),
        (ANSWERS, {**MUSIC, "aggregate": "one"}, BadUsage, r"such as one:0\) or column, got 'one'"),
        (ANSWERS, {**MUSIC, "aggregate": "column"}, NoisybenchError, "no column of .*x.csv is called 'label'"),
        (ANSWERS, {"aggregate": "majority", "label": "class"}, BadUsage, "label=class is read with aggregate=column alone"),
        (ANSWERS, {**MUSIC, "answers": "none.csv"}, BadData, "no file of answers at none.csv, nor one called none.csv beside"),
        (ANSWERS, {**MUSIC, "answers": "none", "aggregate": "majority"}, BadUsage, "there are none: say --source-set answers="),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused(
    answers: Any, options: dict[str, Any], kind: type[NoisybenchError], message: str, tmp_path: Path  # noqa: ANN401
) -> None:  # fmt: skip
    file = write(tmp_path, TABLE)
    rows(tmp_path, answers)
    with pytest.raises(kind, match=message) as caught:
        load_source("table", file, **{"answers": "answers.csv", **options})
    assert "\n" not in str(caught.value)


def test_files_that_are_no_answers_are_refused(tmp_path: Path) -> None:
    """Columns that are not recognised, a column an annotator, items that several samples are called, other matrices."""
    file = write(tmp_path, TABLE)
    rows(tmp_path, [(1, 2, 3)], "a,b,c")
    with pytest.raises(
        BadData, match="no column that is called like item or annotator or answer; it has: a, b, c; expected"
    ):
        load_source("table", file, answers="answers.csv", **MUSIC)
    rows(tmp_path, [("s1", "pop", "rock")], "song,ann1,ann2")
    with pytest.raises(BadData, match="like annotator or answer; it has: song, ann1, ann2; expected a row an answer"):
        load_source("table", file, answers="answers.csv", **MUSIC)
    rows(tmp_path, ANSWERS)
    with pytest.raises(
        BadData, match=r"2 rows have 's1' in column 'song', .* \(1 such items\); expected each item in one row"
    ):
        load_source("table", write(tmp_path, TABLE.replace("s2", "s1")), answers="answers.csv", **MUSIC)
    np.save(tmp_path / "m.npy", np.zeros((5, 2), int))
    with pytest.raises(BadData, match="the array of .*m.npy has 5 rows, the samples are 4; expected a row for each"):
        load_source("table", file, answers="m.npy", id="song", **MUSIC)
    np.save(tmp_path / "m.npy", np.full((4, 2), 0.5))
    with pytest.raises(
        BadData, match=r"must be classes of shape \(n, annotators\), -1 where nobody answered, got float64"
    ):
        load_source("table", file, answers="m.npy", id="song", **MUSIC)


def test_answers_move_with_their_table(tmp_path: Path) -> None:
    """Beside what ``--data`` says, with and without a note of where they were; else a sentence."""
    (tmp_path / "old").mkdir()
    rows(tmp_path / "old", ANSWERS)
    words = [
        "--source-set",
        "answers=answers.csv",
        "--source-set",
        "clean=class",
        "--noise",
        "as_found",
        "--out",
        tmp_path / "v",
    ]
    built = shell("build", "table", "--data", write(tmp_path / "old", TABLE), *words)
    folder = Path(built.out.splitlines()[-1])
    (tmp_path / "old").rename(tmp_path / "new")
    variant = read_variant(folder)
    assert source_of(variant, folder, tmp_path / "new" / "x.csv").answers is not None
    (folder / "location.json").unlink()
    again = source_of(variant, folder, tmp_path / "new" / "x.csv")
    assert again.sha256 == variant.provenance.source_sha256
    assert again.answers is not None


# --- arrays ------------------------------------------------------------------------------------------------------------

MATRIX = np.array([[0, 2, 2], [1, -1, 1], [-1, -1, -1], [2, 0, -1]])
INPUTS = np.arange(8.0).reshape(4, 2)


def test_an_array_of_answers_makes_the_labels(tmp_path: Path) -> None:
    """Or comes beside them; rows that nobody answered are left out, the others are called by their numbers."""
    np.savez(tmp_path / "x.npz", inputs=INPUTS, clean=[2, 1, 0, 0], answers=MATRIX)
    source = load_source("npz", tmp_path / "x.npz")
    assert (source.labels.tolist(), source.clean.tolist()) == ([2, 1, 0], [2, 1, 0])
    assert source.sample_names == ["0", "1", "3"]
    assert np.array_equal(source.inputs, INPUTS[[0, 1, 3]])
    assert answered(source)[-1] == [2, 1, 0]
    assert source.options == {}
    assert "rows that nobody answered are left out (1 of 4, such as row 2)" in source.notes
    np.savez(
        tmp_path / "y.npz", x_train=INPUTS, y_train=[[0], [1], [2], [0]], votes=np.where(MATRIX < 0, np.nan, MATRIX)
    )
    assert load_source("npz", tmp_path / "y.npz").answers is None
    source = load_source("npz", tmp_path / "y.npz", answers="votes")
    assert source.labels.tolist() == [0, 1, 2, 0]
    assert len(answered(source)) == 7
    assert source.options == {"answers": "votes"}
    one = load_source("npz", tmp_path / "y.npz", answers="votes", aggregate="one:1", limit=2)
    assert one.labels[1] == 1
    assert len(one.labels) == 2


def test_classes_of_arrays_and_answers_are_one_set(tmp_path: Path) -> None:
    """Numbers that leave gaps, declared names, texts; and a table of answers by row."""
    np.savez(
        tmp_path / "x.npz", inputs=INPUTS, labels=[10, 20, 20, 10], answers=np.where(MATRIX < 0, -1, 10 * MATRIX + 10)
    )
    source = load_source("npz", tmp_path / "x.npz")
    assert source.class_names == ("10", "20", "30")
    assert source.labels.tolist() == [0, 1, 1, 0]
    assert answered(source)[:3] == [[0, 0, 0], [0, 1, 2], [0, 2, 2]]
    assert any("name classes that no sample has ('30'; 3 such answers)" in note for note in source.notes)
    rows(tmp_path, [(0, "u", "cat"), (1, "u", "dog"), (3, "v", "cat")], "row,worker,answer")
    np.savez(tmp_path / "x.npz", inputs=INPUTS, labels=[0, 1, 1, 0], class_names=["cat", "dog", "eel"])
    named = load_source("npz", tmp_path / "x.npz", answers="answers.csv")
    assert named.class_names == ("cat", "dog", "eel")
    assert [row[2] for row in answered(named)] == [0, 1, 0]
    np.savez(
        tmp_path / "x.npz",
        inputs=INPUTS,
        labels=["a", "b", "b", "a"],
        answers=[["a", ""], ["b", "a"], ["", ""], ["a", "b"]],
    )
    assert answered(load_source("npz", tmp_path / "x.npz")) == [[0, 0, 0], [1, 0, 1], [1, 1, 0], [3, 0, 0], [3, 1, 1]]


def test_arrays_that_are_no_answers_stay_unread_or_are_refused(tmp_path: Path) -> None:
    """An array that only has the name is told and left; what is said to be one must be."""
    np.savez(tmp_path / "x.npz", inputs=INPUTS, labels=[0, 1, 1, 0], answers=["a", "b", "c", "d"], few=MATRIX[:3])
    source = load_source("npz", tmp_path / "x.npz")
    assert source.answers is None
    assert "array 'answers' of shape (4,) is no matrix of classes (n, annotators), and is not read" in source.notes
    refused: list[tuple[dict[str, Any], str]] = [
        ({"answers": "answers"}, r"array 'answers' of .* must be classes of shape \(n, annotators\)"),
        ({"answers": "few"}, "array 'few' of .* has 3 rows, the samples are 4"),
        ({"aggregate": "majority"}, "there are none: say --source-set answers=FILE"),
    ]
    for options, message in refused:
        with pytest.raises(NoisybenchError, match=message):
            load_source("npz", tmp_path / "x.npz", **options)
    np.savez(tmp_path / "x.npz", inputs=INPUTS, answers=MATRIX)
    with pytest.raises(BadData, match="has no array 'labels'"):
        load_source("npz", tmp_path / "x.npz", aggregate="column")


def test_an_altered_source_has_no_answers(tmp_path: Path) -> None:
    """They are of the samples before, which is told."""
    np.savez(tmp_path / "x.npz", inputs=INPUTS, labels=[0, 1, 1, 0], answers=MATRIX)
    altered = changed(load_source("npz", tmp_path / "x.npz"), kept=np.array([0, 1]), marks={})
    assert altered.answers is None
    assert altered.notes[-1].startswith("answers of annotators are left out")


# --- real files, without preparation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "clean", "answers", "wrong", "drawn"),
    [("music_genre", "class", 2945, 0.4397, 0.443), ("isbook", "gold", 4907, 0.0538, 0.055)],
)
def test_crowds_are_built_and_evaluated(
    name: str, clean: str, answers: int, wrong: float, drawn: float, data: Path, tmp_path: Path
) -> None:
    """One answer a sample is wrong about as often as a shuffle has it (seed 0), within four standard errors."""
    place = data / "crowd" / f"{name}.csv"
    settings = [f"answers={name}_answers.csv", f"clean={clean}", "aggregate=one:0"]
    words = [word for setting in settings for word in ("--source-set", setting)]
    built = shell("build", "table", "--data", place, *words, "--noise", "as_found", "--out", tmp_path / "variants")
    assert built.code == 0, built.err
    variant = read_variant(built.out.splitlines()[-1])
    n = len(variant.labels)
    assert variant.answers is not None
    assert len(variant.answers) == answers
    assert (variant.answers.label != variant.clean[variant.answers.sample]).mean() == pytest.approx(wrong, abs=5e-5)
    assert abs(variant.mislabeled.mean() - drawn) < 4 * np.sqrt(drawn * (1 - drawn) / n)
    folder = tmp_path / "variants" / variant.name
    run = shell("evaluate", folder, "--epochs", "1", "--seeds", "0", "--out", tmp_path / "runs")
    assert run.code == 0, run.err
    assert shell("verify", tmp_path / "variants").out.splitlines()[-2].endswith("drawn again, gives these labels")


def test_distant_labels_in_rows_are_built_and_evaluated(data: Path, tmp_path: Path) -> None:
    """News in Hausa: rule labels in a table of its own, whose rows are those of the right ones; 50.37 % are wrong."""
    crowd = data / "crowd"
    table = ["build", "table", "--data", crowd / "hausa_train_clean.tsv", "--source-set", "text=news_title"]
    table += ["--source-set", "clean=label", "--source-set", "test=hausa_test.tsv", "--noise", "published"]
    noisy = crowd / "hausa_train_clean_noisy_labels.tsv"
    built = shell(*table, "--set", f"file={noisy}", "--out", tmp_path / "variants")
    assert built.code == 0, built.err
    variant = read_variant(built.out.splitlines()[-1])
    assert (len(variant.labels), int(variant.mislabeled.sum())) == (2045, 1030)
    assert variant.mislabeled.mean() == pytest.approx(0.5037, abs=5e-5)
    folder = tmp_path / "variants" / variant.name
    run = shell("evaluate", folder, "--epochs", "1", "--seeds", "0", "--out", tmp_path / "runs")
    assert run.code == 0, run.err
