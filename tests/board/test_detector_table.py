"""The rows of the leaderboard from agreements that are given.

How scores are judged is tested in test_leaderboard, the statistics themselves in test_column_means.
"""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from noisybench.board.agreement import Agreement
from noisybench.board.captions import caption
from noisybench.board.detector_table import Row, rows_of_agreements
from noisybench.board.latex import to_latex
from noisybench.board.model_table import model_rows
from noisybench.board.records import to_csv, to_json, to_records
from noisybench.board.rendering import cells_for_people, to_markdown, to_table
from noisybench.board.row_words import Rows
from noisybench.board.truths import Asked
from noisybench.detection.scoring import Kind, Scores, scores_path, write_scores
from noisybench.ground.errors import BadData
from noisybench.ground.files import write_columns, write_json
from noisybench.runs.fit_words import SUSCEPTIBILITY
from noisybench.runs.reading import Paths, Run, finished_and_begun, read_runs
from noisybench.runs.record import RunRecord

KINDS: dict[str, Kind] = {"entropy": "control", "perfect": "reference"}
NAN = float("nan")


def write_run(
    root: Path,
    values: Mapping[str, float],
    *,
    noise: str = "symmetric",
    rate: float = 0.2,
    draw: int = 0,
    seed: int = 0,
    recipe: str = "standard",
    finished: bool = True,
    **record: Any,  # noqa: ANN401 - fields of run.json
) -> Path:
    """One run folder, and beside its scores the agreements that ``rows_of_runs`` shall give it: detector → value."""
    variant_id = f"{noise}-{rate}-{draw}".encode().hex()
    folder = root / f"digits-{noise}-{variant_id}" / f"mlp-{recipe}" / f"seed-{seed}"
    about = RunRecord(
        regime="training",
        features="input",
        variant_id=variant_id,
        source="digits",
        source_sha256="5" * 64,
        source_options={},
        limit=None,
        noise=noise,
        params={"rate": rate},
        mode="exact",
        noise_seed=draw,
        n=1000,
        known=900,
        classes=10,
        model="mlp",
        recipe=recipe,
        setup=f"{recipe}-digest",
        trained="abc123",
        epochs=30,
        observe="after",
        seed=seed,
        detectors={name: name for name in values if KINDS.get(name) != "reference"},
        controls=[name for name in values if KINDS.get(name) == "control"],
    )
    write_json(replace(about, **record).as_json(), folder / "run.json")
    if not finished:
        return folder
    for name in about.detectors:  # which nothing here looks into
        write_scores(Scores(name, np.zeros(1), variant_id), scores_path(folder, name))
    wanted = {name: None if np.isnan(value) else value for name, value in values.items()}
    write_json(wanted, folder / "wanted.json")
    history = {
        "epoch": np.array([1, 2], dtype=np.int64),
        "test_accuracy": np.array([0.5, 0.9 + seed / 100]),
        "mislabeled_fit": np.array([0.1, 0.3 + seed / 10]),
        "clean_fit": np.array([0.5, 0.95]),
        "susceptibility": np.array([NAN, NAN]),
    }
    write_columns(history, folder / "history.parquet")
    costs = {name: {"seconds": 0.5 + seed, "passes": 20} for name in values if name not in KINDS}
    write_json({"seconds": 12.0, "detectors": costs}, folder / "timing.json")
    return folder


def rows_of_runs(paths: Sequence[Run] | Paths, metric: str = "auroc") -> list[Row]:
    """The rows of run folders, from the agreements that ``write_run`` was given in place of those of their scores."""
    ended, begun = finished_and_begun(paths)
    judged = {}
    for run in ended:
        wanted = json.loads((run.path / "wanted.json").read_text(encoding="utf-8"))
        values = {name: NAN if value is None else value for name, value in wanted.items()}
        judged[run.path] = [
            Agreement(name, KINDS.get(name, "detector"), "mislabeled", metric, value, value, value, 900)
            for name, value in values.items()
        ]
    return rows_of_agreements(judged, ended, begun, Asked(metric=metric))


def as_cell(name: str, value: object) -> str:
    """What a cell of CSV holds of a value of a record: nothing for None, several values in one."""
    if isinstance(value, list):
        return (", " if name == "aliases" else "; ").join(as_cell(name, one) for one in value)
    return "" if value is None else str(value)


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.detector: row for row in rows}


def test_row_says_what_it_stands_on(tmp_path: Path) -> None:
    """A row counts seeds, label columns, families and samples, and averages fits and costs like its metric."""
    for seed in (0, 1, 2):
        for draw in (0, 1):
            write_run(tmp_path, {"aum": 0.9, "entropy": 0.4, "perfect": 1.0}, draw=draw, seed=seed)
        write_run(tmp_path, {"aum": 0.6, "entropy": 0.4, "perfect": 1.0}, noise="instance", seed=seed)
    rows = rows_of_runs(tmp_path)
    aum, entropy, perfect = rows
    assert [row.kind for row in rows] == ["detector", "control", "reference"]
    assert (aum.seeds, aum.variants, aum.families, aum.n, aum.complete) == (3, 3, 2, 2700, True)
    assert aum.mean == pytest.approx((0.9 + 0.6) / 2)
    assert aum.interval == "seeds"
    assert [aum.low, aum.high] == pytest.approx([0.75, 0.75])
    assert [aum.mislabeled_fit, aum.clean_fit, aum.seconds, aum.passes] == pytest.approx([0.4, 0.95, 1.5, 20])
    assert (aum.rank, aum.rank_low, aum.rank_high) == (1, 1, 1)
    assert (entropy.rank, entropy.rank_low, perfect.rank) == (None, None, None)
    assert np.isnan(perfect.seconds)


def test_many_variants_of_one_family_do_not_outvote(tmp_path: Path) -> None:
    """Six symmetric label columns and one of instance noise: the mean is that of two families, by hand."""
    for rate in (0.1, 0.2, 0.4):
        for draw in (0, 1):
            write_run(tmp_path, {"aum": rate + draw / 10, "forgetting": 0.45}, rate=rate, draw=draw)
    write_run(tmp_path, {"aum": 0.9, "forgetting": 0.45}, noise="instance")
    symmetric = np.mean([rate + draw / 10 for rate in (0.1, 0.2, 0.4) for draw in (0, 1)])
    rows = by_name(rows_of_runs(tmp_path))
    assert rows["aum"].mean == pytest.approx((symmetric + 0.9) / 2)
    assert rows["aum"].interval == "none"  # instance noise has a single run
    assert np.isnan([rows["aum"].low, rows["aum"].high]).all()
    assert [(row.rank, row.rank_low, row.rank_high) for row in rows.values()] == [(1, 1, 2), (2, 1, 2)]


def test_many_seeds_do_not_narrow_the_interval(tmp_path: Path) -> None:
    """Ten equal seeds of each of three draws leave the interval of one seed each."""
    for draw, value in enumerate((0.7, 0.75, 0.9)):
        write_run(tmp_path / "few", {"aum": value}, draw=draw)
        for seed in range(10):
            write_run(tmp_path / "many", {"aum": value}, draw=draw, seed=seed)
    few, many = rows_of_runs(tmp_path / "few")[0], rows_of_runs(tmp_path / "many")[0]
    assert few.interval == many.interval == "draws"
    assert (few.low, few.high) == pytest.approx((many.low, many.high))
    assert few.high - few.low > 0.2


def test_incomplete_rows_are_shown_unranked(tmp_path: Path) -> None:
    """A detector that lacks a label column, a seed or a finite value keeps its row, below, without a rank."""
    for seed in (0, 1):
        for draw in (0, 1):
            values = {"aum": 0.8 + seed / 100, "best": 0.99, "forgetting": 0.7 + draw / 100}
            if (seed, draw) == (1, 1):
                values["best"] = NAN
            if draw == 0:
                values["half"] = 0.95
            write_run(tmp_path, values, draw=draw, seed=seed)
    rows = rows_of_runs(tmp_path)
    assert [(row.detector, row.rank, row.complete) for row in rows] == [
        ("aum", 1, True),
        ("forgetting", 2, True),
        ("best", None, False),
        ("half", None, False),
    ]
    assert rows[2].mean == 0.99
    assert "2 incomplete rows, unranked." in caption(rows)
    assert "| incomplete | best | 0.990" in to_markdown(rows)


def test_a_label_column_without_any_value_is_asked_of_nobody(tmp_path: Path) -> None:
    """Where no detector can be measured (no mislabeled sample), all are complete; with nothing else, all are NaN."""
    write_run(tmp_path / "clean", {"aum": NAN, "perfect": NAN}, rate=0.0)
    row = rows_of_runs(tmp_path / "clean")[0]
    assert np.isnan(row.mean)
    assert row.rank is None
    write_run(tmp_path / "noisy", {"aum": 0.8, "perfect": 1.0})
    row = rows_of_runs(tmp_path)[0]
    assert (row.mean, row.complete, row.rank) == (0.8, True, 1)


def test_lower_is_better_where_it_is(tmp_path: Path) -> None:
    """The lowest false-negative rate ranks first, and its confidence set is on that side."""
    for draw in range(4):
        shared = draw / 50
        write_run(
            tmp_path,
            {"aum": 0.2 + shared, "forgetting": 0.6 + shared + draw % 2 / 500},
            draw=draw,
        )
    rows = rows_of_runs(tmp_path, metric="false_negative_rate")
    assert [(row.detector, row.rank, row.rank_low, row.rank_high) for row in rows] == [
        ("aum", 1, 1, 1),
        ("forgetting", 2, 2, 2),
    ]


def test_recipes_have_rows_of_their_own(tmp_path: Path) -> None:
    """The same detector under two recipes is two rows that compete, each with its recipe and fits."""
    for draw in (0, 1):
        write_run(tmp_path, {"aum": 0.7 + draw / 10}, draw=draw)
        write_run(tmp_path, {"aum": 0.9 + draw / 50}, draw=draw, recipe="overfit")
    assert [(row.learner.recipe, row.rank) for row in rows_of_runs(tmp_path)] == [("overfit", 1), ("standard", 2)]


def test_runs_are_read_once(tmp_path: Path) -> None:
    """Overlapping folders, a run given twice and a copy of a run are one run; one that has not ended is counted."""
    first = write_run(tmp_path / "runs", {"aum": 0.8})
    write_run(tmp_path / "runs", {"aum": 0.9}, seed=1)
    write_run(tmp_path / "runs", {}, seed=2, finished=False)
    for place in ("copy", "unfinished copy"):
        shutil.copytree(first, tmp_path / place / "elsewhere")
    (tmp_path / "unfinished copy" / "elsewhere" / "scores" / "aum.parquet").unlink()
    runs = read_runs([tmp_path, tmp_path / "runs", first, str(first)])
    assert sorted((run.seed, run.finished) for run in runs) == [(0, True), (1, True), (2, False)]
    rows = rows_of_runs(runs)
    assert (rows[0].seeds, rows[0].unfinished) == (2, 1)
    assert (rows[0].complete, rows[0].rank) == (False, None)
    assert caption(rows).endswith("1 unfinished run left out; 1 incomplete row, unranked.")
    assert rows_of_runs([tmp_path]) == rows
    assert rows_of_runs(str(first))[0].seeds == 1


def test_two_data_sets_of_one_name_are_no_two_draws(tmp_path: Path) -> None:
    """Noise of the same name, rate and seed on other inputs is another setting: its spread is no noise of the draw."""
    write_run(tmp_path, {"aum": 0.9}, draw=0)
    write_run(tmp_path, {"aum": 0.5}, draw=1, source_sha256="6" * 64)
    assert rows_of_runs(tmp_path)[0].interval == "none"
    write_run(tmp_path, {"aum": 0.5}, draw=1)
    assert rows_of_runs(tmp_path)[0].interval == "draws"


def test_other_seeds_are_another_set_of_runs(tmp_path: Path) -> None:
    """As many seeds, but not the same ones, cannot be compared in pairs: no row is complete."""
    for seed in (0, 1):
        write_run(tmp_path, {"aum": 0.9}, seed=seed)
        write_run(tmp_path, {"aum": 0.8}, seed=seed + 2, recipe="overfit")
    assert [row.complete for row in rows_of_runs(tmp_path)] == [False, False]


def test_nothing_to_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    """A folder that is missing, empty or holds only unfinished or broken runs is refused by name."""
    with pytest.raises(BadData, match=r"absent is no folder; give folders that hold runs"):
        read_runs(tmp_path / "absent")
    with pytest.raises(BadData, match=r"no finished run below .*; 'noisybench evaluate' makes runs"):
        read_runs(tmp_path)
    folder = write_run(tmp_path, {}, finished=False)
    with pytest.raises(BadData, match=r"no finished run below .* \(1 begun and not ended\)"):
        rows_of_runs(tmp_path)
    write_json({"variant_id": "aa"}, folder / "run.json")
    with pytest.raises(BadData, match=r"run\.json lacks 'regime'; it is damaged, .*: delete that folder and"):
        rows_of_runs(tmp_path)


def test_model_rows_sum_up_the_runs(tmp_path: Path) -> None:
    """A learner's test accuracy, wrong and right labels fitted are means of the last epoch, with the same intervals."""
    for draw in (0, 1):
        for seed in (0, 1):
            write_run(tmp_path, {"aum": 0.9}, draw=draw, seed=seed)
    write_run(tmp_path, {"aum": 0.9}, recipe="overfit")
    overfit, standard = model_rows(tmp_path)
    assert (overfit.learner.recipe, overfit.complete, overfit.interval) == ("overfit", False, "none")
    assert (standard.learner.recipe, standard.complete, standard.interval) == ("standard", True, "draws")
    assert [standard.test_accuracy, standard.mislabeled_fit] == pytest.approx([0.905, 0.35])
    assert standard.test_accuracy_low == pytest.approx(0.905)  # both draws have the same mean
    assert (standard.seeds, standard.variants, standard.n) == (2, 2, 2000)
    assert np.isnan(standard.susceptibility)
    assert "1 incomplete row." in caption([overfit, standard])
    header = cells_for_people([standard])[0]
    assert header[2:6] == ["test accuracy", "wrong labels fitted", "right labels fitted", "susceptibility"]
    assert "usceptibility" not in caption([standard])  # what none of them has is not explained
    assert caption([replace(standard, susceptibility=0.1)]).endswith(SUSCEPTIBILITY)


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Rows]:
    """Both kinds of table, with NaN, a control, and names that a format would trip over."""
    for seed, model in ((0, "torchvision:resnet18"), (1, "torchvision:resnet18")):
        write_run(tmp_path, {"aum": 0.8 + seed / 10, "my|own_[b]": 0.7, "entropy": NAN}, seed=seed, model=model)
    return {"detectors": rows_of_runs(tmp_path), "models": model_rows(tmp_path)}


@pytest.mark.parametrize("kind", ["detectors", "models"])
def test_csv_and_json_parse_back(tables: dict[str, Rows], kind: str) -> None:
    """Every field comes back from JSON with NaN as null, and from CSV with NaN as nothing."""
    rows = tables[kind]
    records = to_records(rows)
    assert json.loads(to_json(rows)) == records
    assert any(value is None for record in records for value in record.values())
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert read == [{key: as_cell(key, value) for key, value in record.items()} for record in records]
    needed = {
        "detector",
        "kind",
        "truth",
        "metric",
        "mean",
        "low",
        "high",
        "seeds",
        "variants",
        "n",
        "complete",
        "rank",
    }
    assert kind == "models" or needed <= set(records[0])


def test_tables_for_people(tables: dict[str, Rows]) -> None:
    """Markdown, LaTeX and terminal hold the same cells, escaped each in its way, with a dash for NaN."""
    rows = tables["detectors"]
    lines = to_markdown(rows).splitlines()
    assert lines[0].startswith(
        "AUROC against 'mislabeled', mean over noise families; 95 % intervals cover new training"
    )
    assert lines[2].startswith(
        "| rank | detector | AUROC | model | recipe | information | wrong / right labels fitted |"
    )
    assert lines[4].startswith("| 1 [1, 2] | aum | 0.85 [")
    assert r"my\|own_[b]" in lines[5]
    assert "standard, 30 epochs | unknown | 0.35 / 0.95 | 1.00 | 20 | 1 × 2 |" in lines[5]
    assert lines[6].startswith("| control | entropy | – |")
    assert to_markdown(tables["models"]).splitlines()[4].count("[") == 4
    latex = to_latex(rows)
    assert r"my|own\_[b]" in latex
    assert r"95 \% intervals" in latex
    assert latex.count(r"\\") == 4
    assert "–" not in latex
    console = Console(width=300, file=io.StringIO(), record=True)
    console.print(to_table(rows))
    printed = " ".join(console.export_text().split())
    for cell in ("my|own_[b]", "0.85 [", "–", "confidence set"):
        assert cell in printed
    # What is alike in all rows is said once.
    assert "Scores by torchvision:resnet18, standard, 30 epochs." in printed
    assert "In all rows: wrong / right labels fitted 0.35 / 0.95;" in printed
    assert printed.count("torchvision:resnet18") == 1


def test_no_rows_are_no_error() -> None:
    """A table of nothing is an empty table."""
    assert (to_records([]), json.loads(to_json([])), caption([])) == ([], [], "No rows.")
    assert to_markdown([]).startswith("No rows.")


def test_same_recipe_with_other_options_is_told_apart(tmp_path: Path) -> None:
    """Two setups of one recipe name show their digests, since nothing else tells them apart."""
    write_run(tmp_path / "a", {"aum": 0.8}, setup="a" * 64)
    write_run(tmp_path / "b", {"aum": 0.9}, setup="b" * 64)
    table = to_markdown(rows_of_runs([tmp_path / "a", tmp_path / "b"]))
    assert "standard, 30 epochs, aaaaaaaa |" in table
    assert "standard, 30 epochs, bbbbbbbb |" in table


def test_other_versions_are_told_apart_in_a_column(tmp_path: Path) -> None:
    """Rows trained by different versions say so, each by which; of one version there is no such column."""
    write_run(tmp_path / "old", {"aum": 0.8}, versions={"noisybench": "0.1.0", "torch": "2"})
    write_run(tmp_path / "new", {"aum": 0.9}, recipe="overfit", versions={"noisybench": "0.2.0", "torch": "2"})
    rows = rows_of_runs(tmp_path)
    assert [(row.learner.recipe, row.version) for row in rows] == [("overfit", "0.2.0"), ("standard", "0.1.0")]
    assert caption(rows).endswith(" Rows were trained by different versions of noisybench.")
    lines = to_markdown(rows).splitlines()
    assert lines[2].endswith("| variants × seeds | trained by |")
    assert [line.split(" | ")[-1] for line in lines[4:]] == ["0.2.0 |", "0.1.0 |"]
    for one in (rows_of_runs(tmp_path / "old"), model_rows(tmp_path / "old")):
        assert "trained by" not in to_markdown(one)
    assert [line.rsplit(" | ", 1)[1] for line in to_markdown(model_rows(tmp_path)).splitlines()[4:]] == [
        "0.2.0 |",
        "0.1.0 |",
    ]
    write_run(tmp_path / "unsaid", {"aum": 0.9}, recipe="third")
    assert [row.version for row in rows_of_runs(tmp_path / "unsaid")] == [""]
