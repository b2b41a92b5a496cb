"""Columns of one's own tables as features: against scikit-learn's own, for every kind, and the same on test rows."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shell import shell
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData, BadUsage, NoisybenchError, UnknownName

PASSENGERS = """PassengerId,Survived,Pclass,Name,Sex,Age,Fare,Cabin,Embarked,Alone,Born,Ship
1,0,3,"Braund, Mr. Owen Harris",male,22,7.25,,S,True,1890-03-01,Titanic
2,1,1,"Cumings, Mrs. John Bradley",female,38,71.2833,C85,C,False,1874-01-11,Titanic
3,1,3,"Heikkinen, Miss. Laina",female,?,7.925,,S,True,,Titanic
4,1,1,"Futrelle, Mrs. Jacques Heath",female,35,53.1,C123,,False,1877-05-20,Titanic
5,0,3,"Allen, Mr. William Henry",male,,8.05,C85,S,,1877-12-01,Titanic
"""


def write(folder: Path, text: str, name: str = "x.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def scaled(*values: float) -> list[float]:
    """As scikit-learn standardises one column."""
    found: list[float] = StandardScaler().fit_transform(np.array(values)[:, None])[:, 0].tolist()
    return found


def days(*texts: str) -> list[int]:
    return [(date.fromisoformat(text) - date(1970, 1, 1)).days for text in texts]


def test_every_kind_of_column_becomes_what_scikit_learn_makes_of_it(tmp_path: Path) -> None:
    """Standardised numbers and dates with the median in gaps, 1 and 0, a column for each class, and where gaps were."""
    source = load_source("table", write(tmp_path, PASSENGERS), label="Survived")
    born = days("1890-03-01", "1874-01-11", "1877-05-20", "1877-12-01")
    expected = {
        "Pclass": scaled(3, 1, 3, 1, 3),
        "Age": scaled(22, 38, 35, 35, 35),
        "Fare": scaled(7.25, 71.2833, 7.925, 53.1, 8.05),
        "Born": scaled(born[0], born[1], float(np.median(born)), born[2], born[3]),
        "Alone": [1, 0, 1, 0, 0.5],
        "female, male": [[0, 1], [1, 0], [1, 0], [1, 0], [0, 1]],
        "Cabin: gap, C123, C85": [[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "Embarked: gap, C, S": [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]],
        "gaps of Age, Alone, Born": [[0, 0, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]],
    }
    np.testing.assert_allclose(source.inputs, np.column_stack([*map(np.array, expected.values())]), atol=1e-6)
    assert source.options == {"label": "Survived", "words": 1024}
    left_out, numbers, dates, truths, categories, gaps = source.notes
    assert "'PassengerId' (ids), 'Name' (texts in nearly every row), 'Ship' (the same in every row)" in left_out
    assert "leave" not in left_out
    assert numbers.startswith("numbers, standardised by the training rows: 'Pclass', 'Age', 'Fare'; scale=false")
    assert dates.startswith("dates, in days since 1970: 'Born' (ISO 8601); date_format=")
    assert truths.startswith("true or false, as 1 and 0: 'Alone'; categories=A,B")
    assert categories.startswith("categories, a 0/1 column for each class: 'Sex' (2), 'Cabin' (2), 'Embarked' (2); num")
    assert gaps.startswith("gaps in 'Age' (2), 'Cabin' (2), 'Embarked' (1), 'Alone' (1), 'Born' (1): numbers, dates")


def test_each_choice_is_overridden(tmp_path: Path) -> None:
    """By an option, which the record keeps."""
    file = write(tmp_path, PASSENGERS)
    options: dict[str, Any] = {
        "scale": "false",
        "categories": "Pclass, Name",
        "leave_out": "Cabin,Embarked,Born",
        "numbers": "PassengerId",
    }
    source = load_source("table", file, label="Survived", **options)
    # Numbers, then the one truth, then classes: of Pclass, of the five names, of the sexes.
    assert source.inputs[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert source.inputs[:, 1].tolist() == [22, 38, 35, 35, 35]
    assert source.inputs.shape == (5, 3 + 1 + 2 + 5 + 2 + 2)
    assert source.options == {"label": "Survived", "words": 1024, **options, "scale": False}
    assert not any("standardised" in note for note in source.notes)
    ship = load_source("table", file, label="Survived", categories="Ship", leave_out="Name", limit=2)
    assert (ship.inputs[:, 5:] == 1).all(axis=0).any()  # the one class of a column that was named
    with pytest.raises(
        BadData, match=r"column 'Pclass' of .* has no entry in row 1 \(1 such rows\); fill or drop them, or"
    ):
        load_source("table", write(tmp_path, "Pclass,label\n1,0\n,1\n2,1\n", "y.csv"), gaps="refuse")
    with pytest.raises(BadData, match=r"column 'a' of .* has no entry in row 2 \(1 such rows\)"):
        load_source("table", write(tmp_path, "a,label\nu,0\nv,1\n,1\n", "y.csv"), gaps="refuse")


def test_test_rows_are_treated_as_training_rows_and_teach_nothing(tmp_path: Path) -> None:
    """The training rows' mean, median and classes; an unseen class is none; gaps that no training row had are filled."""
    train = "a,b,c,d,label\n1,u,1.0,2020-01-01,0\n3,v,2.0,2020-01-03,1\n5,u,2.0,2020-01-05,1\n"
    write(tmp_path, "d,c,b,a,label\n2020-01-09,1,w,9,0\n,2,,,1\n", "t.csv")
    alone = load_source("table", write(tmp_path, train), categories="c", scale="false")
    source = load_source("table", tmp_path / "x.csv", test="t.csv", categories="c", scale="false")
    assert np.array_equal(alone.inputs, source.inputs)
    assert alone.sha256 == source.sha256
    first = days("2020-01-01")[0]
    assert source.inputs.tolist()[0] == [1, first, 1, 0, 1, 0]
    tested: Any = source.test_inputs
    assert tested.tolist() == [[9, first + 8, 0, 0, 1, 0], [3, first + 2, 0, 0, 0, 1]]
    assert "test rows have classes of 'b' (1 rows) that no training row has" in source.notes[-1]
    for text, message in (
        (
            "a,b,c,d,label\nx,u,1,2020-01-01,0\n",
            r"column 'a' of .*t.csv has invalid value 'x' in row 0, expected numbers",
        ),
        (
            "a,b,c,d,label\n1,u,1,2.1.2020,0\n",
            r"column 'd' of .*t.csv has invalid value '2.1.2020' in row 0, expected dates",
        ),
    ):
        write(tmp_path, text, "t.csv")
        with pytest.raises(BadData, match=message):
            load_source("table", tmp_path / "x.csv", test="t.csv", categories="c")
    with pytest.raises(UnknownName, match="no column of .*u.csv is called 'b'"):
        write(tmp_path, "a,c,d,label\n1,1,2020-01-01,0\n", "u.csv")
        load_source("table", tmp_path / "x.csv", test="u.csv")


def test_truths_of_test_rows_must_be_such(tmp_path: Path) -> None:
    """In any usual spelling and case."""
    file = write(tmp_path, "a,b,label\nYes,T,0\nno,F,1\nno,T,0\n")
    write(tmp_path, "a,b,label\nNO,true,0\n", "t.csv")
    source = load_source("table", file, test="t.csv")
    assert (source.inputs.tolist(), source.test_inputs.tolist()) == ([[1, 1], [0, 0], [0, 1]], [[0, 1]])
    write(tmp_path, "a,b,label\nNO,maybe,0\n", "t.csv")
    with pytest.raises(BadData, match=r"column 'b' of .* has invalid value 'maybe' in row 0, expected true or false"):
        load_source("table", file, test="t.csv")


@pytest.mark.parametrize(
    ("texts", "written", "options"),
    [
        (("2020-02-01", "2019-12-31"), "ISO 8601", {}),
        (("2020-02-01T00:00:00Z", "2019-12-31 01:00:00+01:00"), "ISO 8601", {}),
        (("2020/02/01", "2019/12/31"), "%Y/%m/%d", {}),
        (("1.2.2020", "31.12.2019"), "%d.%m.%Y", {}),
        (("01/02/2020", "31/12/2019"), "%d/%m/%Y", {}),
        (("02/01/2020", "12/31/2019"), "%m/%d/%Y", {}),
        (("02/01/2020 00:00", "12/31/2019 12:00 AM"), "%m/%d/%y", {}),
        (("1 Feb 2020", "31 December 2019"), "%d %b %Y", {}),
        (("Feb 1, 2020", "December 31, 2019"), "%b %d, %Y", {}),
        (("01/02/20", "31/12/19"), "%d/%m/%y", {"date_format": "%d/%m/%y"}),
    ],
)
def test_dates_are_days(tmp_path: Path, texts: tuple[str, str], written: str, options: dict[str, Any]) -> None:
    """However they are usually written, and told how; the one that is written in two ways is no date."""
    rows = "".join(f'"{text}",{i}\n' for i, text in enumerate((*texts, *texts)))
    source = load_source("table", write(tmp_path, f"d,label\n{rows}"), scale="false", **options)
    if "12/31/2019 12:00 AM" in texts:
        assert source.inputs.shape == (4, 2)
        return
    assert source.inputs[:2, 0].tolist() == days("2020-02-01", "2019-12-31")
    assert f"dates, in days since 1970: 'd' ({written})" in source.notes[0]


def test_an_ambiguous_date_can_be_said(tmp_path: Path) -> None:
    """Month before day with slashes, as told; and a format that no column has is refused."""
    file = write(tmp_path, "d,e,label\n01/02/2020,a,0\n03/04/2020,b,1\n")
    assert load_source("table", file, scale="false").inputs[0, 0] == days("2020-01-02")[0]
    said = load_source("table", file, scale="false", date_format="%d/%m/%Y")
    assert said.inputs[0, 0] == days("2020-02-01")[0]
    assert said.options["date_format"] == "%d/%m/%Y"
    with pytest.raises(BadUsage, match=r"no column of .* holds dates written as date_format=%d\.%m\.%Y"):
        load_source("table", file, date_format="%d.%m.%Y")


def test_typed_columns_are_what_parquet_says(tmp_path: Path) -> None:
    """Dates, instants, truths, decimals and dictionaries, each with a gap, as the same in text."""
    when = [date(2020, 1, 2), None, date(2020, 1, 6)]
    table = pa.table({
        "d": when,
        "t": pa.array([datetime(2020, 1, 2, 12, tzinfo=UTC), None, datetime(2020, 1, 3, tzinfo=UTC)]),
        "b": [True, False, None],
        "n": pa.array([Decimal(1), None, Decimal(3)], pa.decimal128(4, 2)),
        "k": pa.array(["u", None, "v"]).dictionary_encode(),
        "e": pa.nulls(3),
        "label": ["x", "y", "x"],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    source = load_source("table", tmp_path / "x.parquet")
    text = "d,t,b,n,k,e,label\n2020-01-02,2020-01-02 12:00:00,true,1.00,u,,x\n,,FALSE,,,,y\n2020-01-06,2020-01-03,NA,3.0,v,,x\n"
    assert load_source("table", write(tmp_path, text)).sha256 == source.sha256
    assert "'e' (empty)" in source.notes[0]
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.time32("ms")), "label": [0, 1]}), tmp_path / "y.parquet")
    with pytest.raises(BadData, match=r"column 'a' of .* holds time32\[ms\], expected numbers, .*leave_out=a"):
        load_source("table", tmp_path / "y.parquet")


def test_categories_with_many_classes_share_a_column(tmp_path: Path) -> None:
    """The commonest have one each; another text in nearly every row is an id, told, and refused where it is named."""
    names = [f"k{min(i % 300, 2 * (i % 140))}" for i in range(1_200)]
    rows = "".join(f"{name},u{i},{i % 7},{i % 2}\n" for i, name in enumerate(names))
    source = load_source("table", write(tmp_path, f"k,u,n,label\n{rows}"), leave_out="n")
    assert source.inputs.shape == (1_200, 100)
    assert (source.inputs.sum(1) == 1).all()
    assert "of more than 100 the rarest share one" in source.notes[1]
    assert "'u' (another text in nearly every row)" in source.notes[0]
    with pytest.raises(
        BadData, match=r"column 'u' of .* has another text in nearly every row, .*text=u makes features"
    ):
        load_source("table", tmp_path / "x.csv", features="u,n")
    assert load_source("table", tmp_path / "x.csv", features="n", categories="u").inputs.shape == (1_200, 101)


def test_codes_that_begin_with_a_zero_are_categories(tmp_path: Path) -> None:
    """Postal codes and the like; but decimals are not."""
    source = load_source("table", write(tmp_path, "zip,x,label\n01067,0.5,0\n10115,0.25,1\n01067,1,1\n"), scale="false")
    assert source.inputs.tolist() == [[0.5, 1, 0], [0.25, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize(
    ("text", "options", "kind", "message"),
    [
        ("a,label\n1,0\n2,1\n", {"numbers": "a", "categories": "a"}, BadUsage, "column 'a' is named twice; expected it in one"),
        ("a,label\n1,0\n2,1\n", {"leave_out": "b"}, UnknownName, "no column of .* is called 'b'"),
        ("a,label\n1,0\n1,1\n", {}, BadData, r"no column of inputs: left out .* 'a' \(the same in every row\)"),
        ("a,label\n,0\n,1\n", {}, BadData, r"no column of inputs: left out .* 'a' \(empty\)"),
        ("a,b,label\n1,2,0\n1,3,1\n", {"text": "a", "numbers": "b"}, BadUsage, "inputs are one of .*, got text and features"),
        (
            "n,label\n" + "".join(f"{i}.5,{i % 2}\n" for i in range(40)) + "many,1\n",
            {},
            BadData,
            "column 'n' of .* has invalid value 'many' in row 40, expected numbers .*say --source-set categories=n",
        ),
        ("a,label\n1,0\n2,1\n", {"gaps": "drop"}, BadUsage, "must be one of fill, refuse, got 'drop'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, text: str, options: dict[str, Any], kind: type[NoisybenchError], message: str
) -> None:
    """In one sentence that says how to mend it."""
    with pytest.raises(kind, match=message) as caught:
        load_source("table", write(tmp_path, text), **options)
    assert "\n" not in str(caught.value)


def test_a_column_of_texts_is_the_input_where_no_other_is_left(tmp_path: Path) -> None:
    """Whatever it is called; beside a usual name all others are left out; of two, one must be named."""
    titles = [f"several words of the title number{i} here" for i in range(8)]
    rows = "".join(f"{i},{title},{i % 2}\n" for i, title in enumerate(titles))
    source = load_source("table", write(tmp_path, f"id,news_title,label\n{rows}"), words="5")
    assert source.inputs.shape == (8, 5)
    assert source.notes[0].startswith(
        "inputs are the texts of column 'news_title'; text=… or features=… says otherwise"
    )
    review = load_source("table", write(tmp_path, f"stars,review,label\n{rows}"), words="5")
    assert np.array_equal(review.inputs, source.inputs)
    assert "'stars' (not read beside texts)" in review.notes[1]
    names = ["Anna", "Berta", "Clara", "Dora", "Ella"]
    one = "".join(f"{a}{b.lower()},{i % 2}\n" for a in names for i, b in enumerate(names))
    assert "runs of one to three characters" in load_source("table", write(tmp_path, f"name,label\n{one}")).notes[1]
    with pytest.raises(BadData, match=r"no column of inputs: left out .* 'q' \(another text in nearly every row\)"):
        load_source("table", write(tmp_path, "q,label\n" + "".join(f"{i}_0,{i % 2}\n" for i in range(30))))
    both = "".join(f"{title},{title} too,{i % 2}\n" for i, title in enumerate(titles))
    with pytest.raises(
        BadUsage, match="which column of .* holds the texts. say --source-set text=p or --source-set text=q"
    ):
        load_source("table", write(tmp_path, f"p,q,label\n{both}"))


def test_texts_without_spaces_become_runs_of_characters(tmp_path: Path) -> None:
    """Told, and overridden; the same through datasets."""
    rows = ["猫が好きです", "犬が好きです", "猫は寝ています", "犬は走っています"]
    file = write(tmp_path, "text,label\n" + "".join(f"{text},{i % 2}\n" for i, text in enumerate(rows)))
    source = load_source("table", file)
    assert "features are runs of one to three characters" in source.notes[0]
    cat = np.array([math.isclose(a, b, rel_tol=1e-6) for a, b in zip(source.inputs[0], source.inputs[2], strict=True)])
    assert not cat.all()
    assert (source.inputs[0] @ source.inputs[1]) > 0.3  # they share が好きです
    words = load_source("table", file, units="words")
    assert words.inputs.shape == (4, 4)
    assert words.notes == ()
    same = load_source("huggingface", file)
    assert np.array_equal(same.inputs, source.inputs)
    assert any("runs of one to three characters" in note for note in same.notes)
    assert load_source("huggingface", file, units="words").inputs.shape == (4, 4)


def test_real_tables_as_pandas_writes_them(tmp_path: Path) -> None:
    """Wine and iris of scikit-learn with names of classes; the target of its diabetes table is a quantity."""
    pytest.importorskip("pandas")
    for load in (load_wine, load_iris):
        data = load(as_frame=True)
        frame = data.frame.assign(target=data.target_names[data.target])
        frame.to_csv(tmp_path / "x.csv")
        source = load_source("table", tmp_path / "x.csv", label="target")
        assert source.class_names == tuple(data.target_names)
        np.testing.assert_allclose(source.inputs, StandardScaler().fit_transform(data.data.to_numpy()), atol=1e-5)
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(tmp_path / "y.csv")
    with pytest.raises(
        BadData, match=r"column 'target' of .*y.csv hold 214 different values among 442 samples: those are ids or"
    ):
        load_source("table", tmp_path / "y.csv", label="target")
    frame.assign(target=frame.iloc[:, 0]).to_csv(tmp_path / "y.csv")
    with pytest.raises(BadData, match="column 'target' of .* holds fractions, such as"):
        load_source("table", tmp_path / "y.csv", label="target")


def test_published_tables_are_read_as_they_are(data: Path) -> None:
    """Songs, reviews and titles in Hausa, of which half of the distant labels are wrong, as the files' README says."""
    folder = data / "crowd"
    if not folder.is_dir():
        pytest.skip("the test data lack crowd")
    songs = load_source("table", folder / "music_genre.csv", label="class")
    assert (songs.inputs.shape, songs.num_classes) == ((700, 124), 10)
    reviews = load_source("table", folder / "isbook.csv", label="gold")
    assert (len(reviews.inputs), reviews.class_names) == (1_000, ("0", "1"))
    right, distant = (
        load_source("table", folder / f"hausa_train_clean{end}.tsv", test="hausa_test.tsv")
        for end in ("", "_noisy_labels")
    )
    assert np.array_equal(right.inputs, distant.inputs)
    assert right.class_names == distant.class_names
    assert (right.labels != distant.labels).mean() == pytest.approx(0.5037, abs=5e-5)


def test_a_table_with_gaps_and_categories_is_built_and_evaluated(tmp_path: Path) -> None:
    """Without preparation, with its own test rows in other classes; the variant is verified against the table."""
    rng = np.random.default_rng(0)
    header = "age,workclass,education-num,sex,hours,date,income\n"
    for name, n in (("adult.csv", 120), ("adult.test.csv", 40)):
        rich = rng.integers(0, 2, n)
        rows = [
            f"{'' if i % 9 == 4 else 30 + 10 * y + rng.integers(9)}, {rng.choice(['Private', '?', 'State-gov'])}, {9 + 4 * y}, "
            f"{rng.choice(['Male', 'Female'])}, 40, {rng.integers(1, 29):02}.0{rng.integers(1, 9)}.2020, {'>50K' if y else '<=50K'}\n"
            for i, y in enumerate(rich)
        ]
        write(tmp_path, header + "".join(rows) + ("50, Never-worked, 13, Male, 40, , >50K\n" if n == 40 else ""), name)
    options = ("--source-set", "label=income", "--source-set", "test=adult.test.csv")
    built = shell(
        "build",
        "table",
        "--data",
        tmp_path / "adult.csv",
        *options,
        "--noise",
        "symmetric",
        "--rate",
        "0.2",
        "--out",
        tmp_path / "v",
    )
    assert built.code == 0, built.err
    assert "'hours' (the same in every row)" in built.err
    assert "gaps in 'age' (" in built.err
    assert "dates, in days since 1970: 'date' (%d.%m.%Y)" in built.err
    assert "test rows have classes of 'workclass' (1 rows) that no training row has" in built.err
    variant = built.out.splitlines()[-1]
    assert shell("verify", variant).code == 0
    how = ("--epochs", 2, "--seeds", 0, "--workers", 1, "--device", "cpu", "--detectors", "aum")
    run = shell("evaluate", variant, *how, "--model", "mlp", "--out", tmp_path / "r")
    assert run.code == 0, run.err
