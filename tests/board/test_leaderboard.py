"""The leaderboard from run folders whose scores are judged when it is made, and the forms that it takes."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from noisybench.board import latex, records, rendering
from noisybench.board.captions import caption
from noisybench.board.detector_table import Row
from noisybench.board.information import made_with
from noisybench.board.leaderboard import Leaderboard, flags_board, leaderboard, models_board
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import Scores, scores_path, write_scores
from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadData, Mismatch, UnknownName
from noisybench.ground.files import write_columns, write_json
from noisybench.ground.version import __version__
from noisybench.memorization.estimate import Memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.noise.noises.as_found import AsFound
from noisybench.runs.reading import Run
from noisybench.runs.record import RunRecord, about_labels
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

N = 90
SCRIPT = "<script>"
LEARNER = Learner("mlp", "overfit", 45, "abc123", fraction=0.7)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty at first."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made() -> Variant:
    """A third of the labels are wrong."""
    given = np.arange(N) % 3
    clean = np.where(np.random.default_rng(0).random(N) < 1 / 3, (given + 1) % 3, given)
    source = source_from_arrays(
        "made", np.zeros((N, 1), dtype=np.float32), given, clean=clean, class_names=["a", "b", "c"]
    )
    return build_variant(source, AsFound())


def scores_of(variant: Variant, seed: int) -> dict[str, Floats]:
    """Name of each detector → its scores."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.random(N) + part * variant.mislabeled
        for name, part in (("aum", 0.5), (SCRIPT, 0.2), ("entropy", 0.1))
    }


def write_run(home: Path, variant: Variant, scores: Mapping[str, Floats], seed: int) -> Path:
    """A finished training beside its variant."""
    folder = home / "mlp-standard" / f"seed-{seed}"
    record = RunRecord(
        regime="training",
        features="input",
        **about_labels(variant),
        model="mlp",
        recipe="standard",
        setup="digest",
        trained="abc123",
        epochs=30,
        observe="after",
        seed=seed,
        detectors={name: name for name in scores},
        controls=["entropy"],
        versions={"noisybench": "0.2.0"},
    )
    write_json(record.as_json(), folder / "run.json")
    for name, values in scores.items():
        write_scores(Scores(name, values, variant.provenance.variant_id), scores_path(folder, name))
    write_columns({"epoch": np.array([30]), "test_accuracy": np.array([0.9])}, folder / "history.parquet")
    return folder


def measure(home: Path, variant: Variant, learner: Learner = LEARNER) -> Floats:
    """Memorization of a learner beside the runs."""
    values = np.round(np.random.default_rng(7).random(N) * 0.6 + 0.4 * variant.mislabeled, 2)
    p_in = np.ones(N)
    p_out = p_in - values
    damage = np.where(variant.known, 0.0, np.nan)
    counts = np.full(N, 50)
    truth = Memorization(
        p_in - p_out, 0 * p_in, p_in, p_out, p_in, damage, counts, counts, 100, learner, variant.provenance.variant_id
    )
    write_memorization(truth, home / "memorization" / "one" / "memorization.parquet")
    return truth.values


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A variant with runs of two seeds."""
    variant, home = made(), tmp_path / "runs" / "made"
    write_variant(variant, home / "variant")
    for seed in (0, 1):
        write_run(home, variant, scores_of(variant, seed), seed)
    return home


def test_rows_are_what_the_scores_say(home: Path) -> None:
    """A row's mean is that of scikit-learn's AUROC over the seeds; the references of the variant stand at the end."""
    board = leaderboard(home)
    variant = made()
    found = {row.detector: row for row in board}
    for name in ("aum", SCRIPT, "entropy"):
        areas = [roc_auc_score(variant.mislabeled, scores_of(variant, seed)[name]) for seed in (0, 1)]
        assert found[name].mean == pytest.approx(np.mean(areas), abs=1e-12)
        assert (found[name].seeds, found[name].variants, found[name].n, found[name].version) == (2, 1, N, "0.2.0")
    assert {row.detector: row.kind for row in board if row.kind != "detector"} == {
        "entropy": "control",
        "perfect": "reference",
        "given_label_only": "reference",
        "flag_nothing": "reference",
        "random": "reference",
    }
    assert (found["perfect"].mean, found["flag_nothing"].mean) == (1, 0.5)
    assert found["perfect"].version == ""
    assert [board[i] for i in range(len(board))] == list(board) == list(board.rows)


def test_a_truth_that_comes_later_needs_no_other_run(home: Path) -> None:
    """Memorization measured after a table was made, and scores that were written again, are in the next table."""
    with pytest.raises(
        UnknownName, match="memorization was not measured .* 'noisybench memorize VARIANT --out RUNS' measures it"
    ):
        leaderboard(home, truth="memorization")
    before = leaderboard(home)
    values = measure(home, made())
    after = {row.detector: row for row in leaderboard(home)}
    itself = after[f"memorization by {LEARNER.name}"]
    assert itself.mean == pytest.approx(roc_auc_score(made().mislabeled, values), abs=1e-12)
    assert set(after) - {row.detector for row in before} == {itself.detector}
    board = leaderboard(home, truth="memorization", metric="pearson", stratum="all")
    aum = next(row for row in board if row.detector == "aum")
    areas = [np.corrcoef(scores_of(made(), seed)["aum"], values)[0, 1] for seed in (0, 1)]
    assert aum.mean == pytest.approx(np.mean(areas), abs=1e-12)
    assert (aum.truth_learner, aum.matched) == (LEARNER, False)
    write_run(home, made(), {**scores_of(made(), 0), "aum": made().mislabeled.astype(np.float64)}, 0)
    again = next(row for row in leaderboard(home) if row.detector == "aum")
    assert again.mean > after["aum"].mean


def test_an_answer_from_the_cache_is_the_one_that_was_computed(home: Path, cache: Path) -> None:
    """The second table has every row of the first, learner and NaN included; a damaged cache is computed again."""
    measure(home, made())
    questions: list[dict[str, Any]] = [{}, {"truth": "memorization", "stratum": "clean"}, {"metric": "precision_at_5"}]
    first = [leaderboard(home, **asked).to_records() for asked in questions]
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.msgpack")}
    assert kept
    assert [leaderboard(home, **asked).to_records() for asked in questions] == first
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.msgpack")} == kept
    for path, damage in zip(kept, [b"", b"\xc1", b"\x91\x80"] * len(kept), strict=False):
        path.write_bytes(damage)
    assert [leaderboard(home, **asked).to_records() for asked in questions] == first
    assert not list(home.rglob("*agreement*"))  # nothing is written beside the runs


def test_unknown_names_are_answered_with_the_nearest(home: Path) -> None:
    """A metric, truth or stratum that no run has is refused with the nearest that one has."""
    with pytest.raises(UnknownName, match=r"no metric is called 'aurocc'; did you mean 'auroc'\?"):
        leaderboard(home, metric="aurocc")
    with pytest.raises(UnknownName, match=r"no truth is called 'mislabelled'; did you mean 'mislabeled'\?"):
        leaderboard(home, truth="mislabelled")
    with pytest.raises(UnknownName, match=r"no stratum of 'mislabeled' is called 'clean'"):
        leaderboard(home, stratum="clean")
    measure(home, made())
    with pytest.raises(
        UnknownName, match="'partial_spearman' needs held-out errors .* 'noisybench memorize VARIANT --pool detector'"
    ):
        leaderboard(home, truth="memorization", metric="partial_spearman")  # no held-out error is there
    with pytest.raises(BadData, match="is no folder"):
        leaderboard(home / "absent")


def test_scores_of_other_labels_are_refused(home: Path) -> None:
    """Scores that carry another variant id are in no table: their run is left out, and the last one an error."""
    paths = sorted(home.glob("*/seed-*/scores/aum.parquet"))
    for path in paths:
        write_scores(Scores("aum", np.arange(N, dtype=float), "cd" * 32), path)
    with pytest.raises(Mismatch, match=r"scores of 'aum' are of variant cdcdcdcdcdcd, the truth is of "):
        leaderboard(home)


def test_a_copy_of_a_run_without_its_variant_is_passed_over(home: Path) -> None:
    """Of two copies the one that lies beside its variant is read, though the other comes first."""
    shutil.copytree(home / "mlp-standard" / "seed-0", home.parent / "a copy" / "one" / "seed-0")
    assert leaderboard(home.parent).to_records() == leaderboard(home).to_records()


OF_A_SUBJECT = {
    "samples": N,
    "noise": ["as_found"],
    "rate": [None],
    "wrong_share": [made().mislabeled.mean()],
    "draws": [1],
    "variant_ids": [made().provenance.variant_id],
    "noisybench": __version__,
}


def test_records_are_the_rows(home: Path) -> None:
    """Every field of every row, a learner's among them by its own names, NaN as None, and plain values alone."""
    board = leaderboard(home)
    records = board.to_records()
    assert len(records) == len(board) == 7
    for record, row in zip(records, board.rows, strict=True):
        assert set(record) == {f.name for f in fields(Row)} - {"learner", "subject", "parts", "ablation"} | {
            "model", "recipe", "features", "trained", "epochs", "pretrained_supervised", "pretrained_overlap",
            "samples", "noise", "rate", "wrong_share", "draws", "variant_ids", "noisybench",
            "objective",
        }  # fmt: skip
        for name, value in record.items():
            learnt = name in ("model", "recipe", "features", "trained", "epochs")
            if name in OF_A_SUBJECT:
                assert value == OF_A_SUBJECT[name]
                continue
            expected = getattr(row.learner if learnt else row, name, None)  # of what no row is pretrained on
            if name == "truth_learner":
                assert value == ""
            elif name == "information":
                assert value == ", ".join(row.information)
            elif name == "aliases":
                assert value == list(row.aliases)
            elif name == "objective":
                assert value == ("" if row.kind == "reference" else "cross_entropy")
            elif isinstance(expected, float) and np.isnan(expected):
                assert value is None
            else:
                assert value == expected
            assert type(value) in (str, int, float, bool, list, type(None))
    assert json.loads(board.to_json()) == records


def test_other_names_are_said_once(home: Path) -> None:
    """Below a table in Markdown, of noisybench's own detectors alone; in records with each row."""
    rows = [replace(row, aliases=("kDN", "deep kNN")) if row.detector == "aum" else row for row in leaderboard(home)]
    sentence = "Also known as: aum (kDN, deep kNN)."
    assert Leaderboard(tuple(rows)).to_markdown().endswith(f"|\n\n{sentence}\n")
    assert "Also known" not in str(rendering.to_table(rows).caption)  # short, and 'list detectors' has them
    assert "deep kNN" in Leaderboard(tuple(rows)).to_csv()
    assert "Also known" not in leaderboard(home).to_markdown()


def test_clusters_of_wrong_labels_are_told_below_the_table(home: Path) -> None:
    """Where the noise gives whole clusters one wrong class, also as a step of others; not where it scatters them."""
    place = home / "mlp-standard/seed-0/run.json"
    record = json.loads(place.read_text("utf-8"))
    rows = leaderboard(home).rows
    assert {row.clustered for row in rows} == {0}
    for noise, params, expected in (
        ("cluster_based", {"rate": 0.2}, 1),
        ("coherent", {"rate": 0.2, "coherence": 1.0}, 1),
        ("coherent", {"rate": 0.2, "coherence": 0.0}, 0),
        ("composed", {"steps": "symmetric(rate=0.1); coherent(rate=0.1)"}, 1),
        ("composed", {"steps": "symmetric(rate=0.1)"}, 0),
    ):
        run = SimpleNamespace(
            record=SimpleNamespace(**{**asdict_of_none(), **record, "noise": noise, "params": params})
        )
        assert made_with("aum", "detector", [(cast("Run", run), "aum")], {}).clustered == expected
    told = caption([replace(row, clustered=1) for row in rows])
    assert (
        "In 1 of 1 label columns whole clusters of a class were given one wrong class: inputs and labels alone" in told
    )
    assert "whole clusters" not in caption(rows)


def asdict_of_none() -> dict[str, None]:
    """Every field of a record that need not be there."""
    return {field.name: None for field in fields(RunRecord) if field.default is None}


def test_records_need_no_pandas(home: Path) -> None:
    """A process that cannot import pandas makes a table and its records."""
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from noisybench.board.leaderboard import leaderboard\n"
        "print(len(leaderboard(sys.argv[1]).to_records()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, home], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert (done.stdout.strip(), done.returncode) == ("7", 0), done.stderr


def test_csv_parses_back(home: Path) -> None:
    """The standard library reads the fields of ``to_records``, with nothing for None."""
    board = leaderboard(home)
    read = list(csv.DictReader(io.StringIO(board.to_csv())))
    joined = {"aliases", *OF_A_SUBJECT}
    for line, record in zip(read, board.to_records(), strict=True):
        assert list(line) == list(record)
        assert {k: v for k, v in line.items() if k not in joined} == {
            k: "" if v is None else str(v) for k, v in record.items() if k not in joined
        }
        assert (line["noise"], line["rate"], line["draws"]) == ("as_found", "", "1")


def test_text_forms_are_those_of_rendering(home: Path) -> None:
    """Every kind of table is written as its rows are, which test_detector_table and test_flags_table look into."""
    measure(home, made())
    boards: list[Leaderboard[Any]] = [leaderboard(home), models_board(home), flags_board(home)]
    for board in boards:
        assert len(board) > 0
        for form in ("to_markdown", "to_latex", "to_csv", "to_json", "to_records", "caption"):
            got = getattr(board, form)
            of = latex if form == "to_latex" else rendering if form in ("to_markdown", "caption") else records
            expected = getattr(of, form)(board.rows)
            assert (got if form == "caption" else got()) == expected


class Cells(HTMLParser):
    """Tags that open, and the text of each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_html_is_escaped(home: Path) -> None:
    """A detector called ``<script>`` is text in the notebook's table, whose cells are those of Markdown."""
    board = leaderboard(home)
    page = Cells()
    page.feed(board._repr_html_())
    assert page.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    header, body = rendering.cells_for_people(board.rows)
    assert page.cells == [*header, *(cell for line in body for cell in line)]
    assert SCRIPT in page.cells
    assert SCRIPT not in board._repr_html_()


def test_repr_is_one_line(home: Path) -> None:
    """What the interpreter shows is how many rows there are, and the caption, in one line."""
    measure(home, made())
    boards: list[Leaderboard[Any]] = [leaderboard(home), models_board(home), flags_board(home)]
    for board in boards:
        assert repr(board) == f"<Leaderboard: {len(board)} rows. {board.caption}>"
        assert len(repr(board).splitlines()) == 1
    shutil.rmtree(home / "memorization")
    measure(home, made(), replace(LEARNER, model="a\nb"))
    assert len(repr(flags_board(home)).splitlines()) == 1
    assert repr(Leaderboard[Row](())) == "<Leaderboard: 0 rows. No rows.>"
