"""Suspects of arrays, of data of one's own, of variants and of runs.

Independent references: a rule on the printed columns by hand, scikit-learn's own probabilities, and the run from frozen
features that ``noisybench score --features`` makes.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import StandardScaler

from noisybench import find_suspects, load_source, source_from_arrays, write_suspects
from noisybench.board import run_suspects
from noisybench.board.finding import Wish, suspects_at
from noisybench.board.suspects import Suspects
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.statistics.confident_learning import find_issues
from noisybench.statistics.consensus import CUT
from noisybench.variants.corrections import Action, Corrections, write_corrections

WINE = load_wine()
CLASSES = [str(name) for name in WINE.target_names]
GENERATOR = np.random.default_rng(0)
WRONG = np.sort(GENERATOR.choice(len(WINE.target), 14, replace=False))
LABELS = WINE.target.astype(np.int64)
LABELS[WRONG] = (LABELS[WRONG] + GENERATOR.integers(1, 3, 14)) % 3
ROWS = StandardScaler().fit_transform(WINE.data)


@pytest.fixture(scope="module")
def found() -> Suspects:
    return find_suspects(labels=LABELS, features=ROWS, class_names=CLASSES)


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    """The wines as a table with wrong classes."""
    path = tmp_path / "wine.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*WINE.feature_names, "label"])
        writer.writerows([*map(float, row), CLASSES[k]] for row, k in zip(WINE.data, LABELS, strict=True))
    return path


def test_most_wrong_labels_are_flagged_and_their_class_is_suggested(found: Suspects) -> None:
    """Errors that were planted lead the list, and what is suggested for them is the right class."""
    assert np.isin(found.chosen(14), WRONG).mean() > 0.9
    assert found.flagged is not None
    assert found.flagged[WRONG].mean() > 0.9
    assert (found.suggested[WRONG] == WINE.target[WRONG]).mean() > 0.9
    assert found.cut is not None
    assert found.cut > CUT
    assert found.count == (found.suspicion > CUT).sum() == len(found.table()) == len(found.chosen())


def test_counts_by_class_and_pair_add_up(found: Suspects) -> None:
    assert sum(count.flagged for count in found.by_class()) == found.count
    assert sum(pair.flagged for pair in found.by_pair()) == found.count
    assert {(count.given, count.n) for count in found.by_class()} == {
        (CLASSES[k], (k == LABELS).sum()) for k in range(3)
    }
    assert all(one.suggested != one.given for one in found.table())
    assert found.record()["disagree_with_evidence"] == found.count
    assert found.record()["known_wrong"] is None, "nothing is known of one's own labels"


def test_the_same_from_a_table_a_frame_and_arrays(found: Suspects, wine: Path) -> None:
    """All roads end in the same columns, so in the same order, and classes by name are the classes by index."""
    import pandas as pd

    table = find_suspects(wine)
    frame = pd.read_csv(wine)
    by_frame = find_suspects(labels=frame["label"], inputs=frame.drop(columns="label"))
    for other in (table, by_frame):
        assert other.class_names == tuple(CLASSES)
        np.testing.assert_allclose(other.suspicion, found.suspicion, atol=1e-4)  # logistic regression ends a step apart
        assert other.chosen(14).tolist() == found.chosen(14).tolist()
    words = by_frame.inputs
    assert words is not None
    assert words.rows is not None
    assert words.rows[0].startswith("alcohol: 14.23 · malic_acid: 1.71")


def test_probabilities_of_ones_own(found: Suspects) -> None:
    """Ranked by self-confidence, as many flagged as confident learning has issues; labels need no inputs."""
    probabilities = cross_val_predict(LogisticRegression(), ROWS, LABELS, cv=5, method="predict_proba")
    own = find_suspects(labels=[CLASSES[k] for k in LABELS], pred_probs=probabilities)
    assert own.detector == "self_confidence"
    given = probabilities.astype(np.float32)[np.arange(len(LABELS)), LABELS]
    assert own.order.tolist() == np.argsort(given, kind="stable").tolist()
    assert own.count == find_issues(LABELS, probabilities.astype(np.float32)).sum()
    others = np.where(np.arange(3) == LABELS[:, None], -1, probabilities).argmax(1)
    assert own.suggested.tolist() == others.tolist()
    assert found.class_names == own.class_names


def test_groups_of_ones_own_say_nothing_of_each_other() -> None:
    """Every wrong wine has a copy with the same wrong label: alone each vouches for the other, as a group neither."""
    jitter = np.random.default_rng(1).normal(0, 0.3, ROWS[WRONG].shape)
    rows, labels = np.concatenate([ROWS, ROWS[WRONG] + jitter]), np.concatenate([LABELS, LABELS[WRONG]])
    groups = np.concatenate([np.arange(len(ROWS)), WRONG])
    wrong = np.concatenate([WRONG, np.arange(len(ROWS), len(rows))])
    apart = find_suspects(labels=labels, features=rows)
    together = find_suspects(labels=labels, features=rows, groups=groups)
    hits = [np.isin(one.chosen(len(wrong)), wrong).mean() for one in (apart, together)]
    assert hits[1] > hits[0]
    assert together.suspicion[wrong].mean() > apart.suspicion[wrong].mean()
    assert any("178 groups" in sentence for sentence in together.evidence)


def test_texts_and_pictures_in_lists(tmp_path: Path) -> None:
    texts = [
        f"the {'cat purrs' if k else 'dog barks'} for {i} minutes in room {i % 3}" for i, k in enumerate([0, 1] * 20)
    ]
    labels = ["cat" if k else "dog" for k in [0, 1] * 20]
    labels[4] = "cat"
    found = find_suspects(labels=labels, inputs=texts, features="words")
    assert found.table(1)[0].sample == 4
    assert found.table(1)[0].suggested == "dog"
    pixels = [np.full((8 + i % 2, 9, 3), 40 if name == "cat" else 200, np.uint8) for i, name in enumerate(labels)]
    noise = np.random.default_rng(0)
    pictures = [Image.fromarray(pixel + noise.integers(0, 9, pixel.shape, np.uint8)) for pixel in pixels]
    pictures[4] = pictures[6]
    assert find_suspects(labels=labels, inputs=iter(pictures), features="pca").table(1)[0].sample == 4
    page = find_suspects(labels=labels, inputs=pictures, features="pca").to_html(tmp_path / "page.html", top=5)
    assert page.count("data:image/webp") == 5
    assert (tmp_path / "page.html").read_text("utf-8") == page


def test_a_source_with_its_own_labels() -> None:
    source = source_from_arrays("mine", ROWS.astype(np.float32), LABELS, class_names=CLASSES)
    assert find_suspects(source, features="input").source == "mine"


def test_files_of_suspects(found: Suspects, tmp_path: Path) -> None:
    """Each format holds the same samples; tasks of Label Studio hold the given class and the suggested one."""
    import pyarrow.parquet as pq

    rows = list(csv.DictReader(write_suspects(found, tmp_path / "a.csv", top=5).read_text("utf-8").splitlines()))
    assert [int(row["sample"]) for row in rows] == found.chosen(5).tolist()
    assert "name" not in rows[0], "a column that would be empty is left out"
    assert pq.read_table(write_suspects(found, tmp_path / "a.parquet")).num_rows == found.count
    told = json.loads(write_suspects(found, tmp_path / "a.json", top=3).read_text("utf-8"))
    assert told["variant_id"] == found.variant_id
    tasks = json.loads(write_suspects(found, tmp_path / "tasks.json", style="labelstudio", top=2).read_text("utf-8"))
    first = found.table(1)[0]
    assert tasks[0]["annotations"][0]["result"][0]["value"]["choices"] == [first.given]
    assert tasks[0]["predictions"][0]["result"][0]["value"]["choices"] == [first.suggested]
    files = replace(found, folder=Path("a b"), names=[f"{i}&#+.jpg" for i in range(len(found))])
    tasks = json.loads(write_suspects(files, tmp_path / "tasks.json", style="labelstudio").read_text("utf-8"))
    assert tasks[0]["data"]["image"] == f"/data/local-files/?d=a%20b/{first.sample}%26%23%2B.jpg"
    frame = found.to_pandas(4)
    assert frame["sample"].tolist() == found.chosen(4).tolist()
    assert "<table>" in found._repr_html_()
    with pytest.raises(BadUsage, match="does not say its format; end it in .csv, .parquet or .json"):
        write_suspects(found, tmp_path / "a.txt")
    with pytest.raises(UnknownName, match="no format of suspects is called 'cvs'; did you mean 'csv'"):
        write_suspects(found, tmp_path / "a.csv", style="cvs")


def test_a_second_look_computes_nothing(wine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is kept; a corrected label is no suspect again, and a sample that was left out is none either."""
    first = suspects_at(wine, Wish(), out=tmp_path / "runs")
    monkeypatch.setattr("noisybench.runs.features_columns.ridge_answers", None)
    assert suspects_at(wine, Wish(), out=tmp_path / "runs").chosen().tolist() == first.chosen().tolist()


def test_what_was_decided_is_no_suspect_again(wine: Path, tmp_path: Path) -> None:
    first = suspects_at(wine, Wish(), out=tmp_path / "runs")
    top = first.table(3)
    path = tmp_path / "corrections.csv"
    with path.open("w", newline="") as stream:
        stream.write(f"# noisybench corrections, variant_id={first.variant_id}\n")
        writer = csv.writer(stream)
        writer.writerow(["sample", "name", "given", "corrected", "action"])
        for one, action in zip(top, ("accept", "keep", "drop"), strict=True):
            writer.writerow([one.sample, "", one.given, one.suggested if action == "accept" else "", action])
    second = suspects_at(wine, Wish(), out=tmp_path / "runs", corrections=[path])
    assert second.given[top[0].sample] == CLASSES.index(top[0].suggested)
    assert not {one.sample for one in top} & {*second.order.tolist()}
    assert second.variant_id != first.variant_id


def test_what_was_found_right_since_is_no_suspect_either(wine: Path, tmp_path: Path) -> None:
    """Labels that are kept change no id, so that the run of fewer of them is there already."""
    first = suspects_at(wine, Wish(), out=tmp_path / "runs")
    for count in (1, 3, 2):
        path, top = tmp_path / f"{count}.csv", first.chosen(count)
        labels, none = first.given[top], np.full(count, -1)
        actions: list[Action] = ["keep"] * count
        write_corrections(Corrections(first.variant_id, top, labels, none, tuple(actions)), path, CLASSES)
        again = suspects_at(wine, Wish(), out=tmp_path / "runs", corrections=[path])
        assert again.order.tolist() == first.order[count:].tolist()
        assert again.variant.corrections is not None
        assert again.variant.corrections.samples.tolist() == sorted(top.tolist())


def test_what_is_refused(found: Suspects, wine: Path, tmp_path: Path) -> None:
    """One sentence each: nothing or two things to look at, evidence of two kinds or of none, labels alone."""
    for arguments, message in (
        ({}, "give what to look at, such as 'photos/', or labels=…"),
        ({"what": wine, "labels": LABELS}, "give what to look at"),
        ({"labels": LABELS}, "labels=… need evidence"),
        ({"labels": LABELS, "pred_probs": np.eye(3)[LABELS], "features": ROWS}, "and not both"),
        ({"what": wine, "pred_probs": ROWS}, "go with labels=…; leave them out"),
        ({"what": wine, "features": ROWS}, "an array of features goes with labels"),
    ):
        with pytest.raises(BadUsage, match=message):
            find_suspects(**arguments)
    with pytest.raises(BadData, match="must be numbers of shape .* with n = 178, got float64 of shape"):
        find_suspects(labels=LABELS, features=ROWS[:5])
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(20)))
    with pytest.raises(BadUsage, match="has labels alone"):
        find_suspects(labels)
    with pytest.raises(BadData, match="all 178 labels are class 0; expected at least two classes"):
        find_suspects(labels=np.zeros(178, int), features=ROWS)
    with pytest.raises(UnknownName, match="did you mean 'ridge'"):
        find_suspects(labels=LABELS, features=ROWS, detector="rigde")


def test_digits_of_the_package_and_a_variant_of_them(tmp_path: Path) -> None:
    """A source by name is looked at as it is; of a variant what is known of its errors is told."""
    from noisybench import build_variant, find, write_variant
    from noisybench.variants.location import write_location

    source = load_source("digits", limit=300)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.1))
    write_variant(variant, tmp_path / "v")
    write_location(tmp_path / "v", data=None, source_set={})
    told: list[str] = []
    found = suspects_at(tmp_path / "v", Wish(features="input", tell=told.append), out=tmp_path / "runs")
    truth = found.truth()
    assert truth["known"] == 300
    assert truth["known_wrong"] == variant.mislabeled.sum()
    assert found.flagged is not None
    assert truth["flagged_known_wrong"] == (variant.mislabeled & found.flagged).sum() > 20
    again = suspects_at(next((tmp_path / "runs").glob("*/input-*")), Wish())
    np.testing.assert_array_equal(again.suspicion, found.suspicion)
    with pytest.raises(BadUsage, match="holds runs, whose evidence is there already; leave --features out"):
        suspects_at(tmp_path / "runs", Wish(features="pca"))
    with pytest.raises(BadUsage, match="is a variant, whose source is read as it was built; leave --limit out"):
        suspects_at(tmp_path / "v", Wish(), limit=3)
    assert run_suspects.DEFAULTS[0] == found.detector == "feature_consensus"
