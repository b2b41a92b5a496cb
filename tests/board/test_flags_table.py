"""The table of both truths, on runs written here, against a loop over their files."""

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from shell import shell

from noisybench.board.captions import caption
from noisybench.board.flags_table import BothRow, both_rows
from noisybench.board.latex import to_latex
from noisybench.board.records import to_csv, to_json, to_records
from noisybench.board.rendering import to_markdown, to_table
from noisybench.board.row_words import span
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import Kind, Scores, read_scores, write_scores
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import file_name, write_columns, write_json
from noisybench.ground.lookup import find
from noisybench.memorization.estimate import Memorization, read_memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import read_runs
from noisybench.runs.record import RunRecord, about_labels
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant, variant_id, write_variant

NAN = float("nan")
N = 120
KINDS: dict[str, Kind] = {"aum": "detector", "my|own_[b]": "detector", "entropy": "control"}
OWN, OTHER = (Learner("mlp", "overfit", epochs, "abc123", fraction=0.7) for epochs in (30, 45))
QUARTERS = ("wrong_memorized", "wrong_not", "clean_memorized", "clean_not")


def made(draw: int) -> Variant:
    """A fifth of the labels are wrong, and of a few nobody knows it."""
    given = np.random.default_rng(draw).integers(0, 3, N)
    clean = np.where(np.arange(N) % 5 == 0, (given + 1) % 3, given)
    clean[N - 10 :] = UNKNOWN
    inputs = np.zeros((N, 1), dtype=np.float32)
    return build_variant(
        source_from_arrays("made", inputs, given, clean=clean, class_names=["a", "b", "c"]),
        find("noises", "as_found")(),
    )


def measure(home: Path, variant: Variant, learner: Learner, seed: int) -> None:
    """Memorization that is high of most wrong and of some clean samples, and unknown of the first two."""
    rng = np.random.default_rng(seed)
    p_out = rng.integers(0, 101, N) / 100
    p_out[variant.mislabeled] **= 3
    empty = np.arange(N) < 2
    p_out[empty] = NAN
    p_in = np.where(empty, NAN, 1.0)
    n_out = np.where(empty, 0, 30)
    damage = np.where(variant.known, 0 * p_in, NAN)
    truth = Memorization(
        p_in - p_out,
        0 * p_in,
        p_in,
        p_out,
        p_in,
        damage,
        100 - n_out,
        n_out,
        100,
        learner,
        variant.provenance.variant_id,
    )
    write_memorization(truth, home / "memorization" / file_name(learner.name) / "memorization.parquet")


def record_of(variant: Variant, seed: int) -> RunRecord:
    return RunRecord(
        regime="training",
        features="input",
        **about_labels(variant),
        model="mlp",
        recipe="overfit",
        setup="digest",
        trained="abc123",
        epochs=30,
        observe="after",
        seed=seed,
        detectors={name: name for name in KINDS},
        controls=["entropy"],
    )


def write_runs(root: Path, noise: str, draw: int, *, measured: Sequence[Learner] = (OWN,)) -> Path:
    """A variant, what was measured of it, and runs of two seeds."""
    variant, home = made(draw), root / f"made-{noise}-{draw}"
    one = "5" * 64  # another family, of one data set
    ours = variant_id(one, variant.labels)
    about = replace(variant.provenance, noise=noise, source_sha256=one, variant_id=ours)
    variant = replace(variant, provenance=about)
    write_variant(variant, home / "variant")
    for learner in measured:
        measure(home, variant, learner, draw)
    for seed in (0, 1):
        folder = home / "mlp-overfit" / f"seed-{seed}"
        write_json(record_of(variant, seed).as_json(), folder / "run.json")
        rng = np.random.default_rng([draw, seed])
        for i, name in enumerate(KINDS):
            values = rng.random(N) + (1 - i / 2) * variant.mislabeled
            write_scores(Scores(name, values, ours), folder / "scores" / f"{file_name(name)}.parquet")
        # What no record names is not shown: a stopped call has left it.
        write_scores(Scores("stopped", rng.random(N), ours), folder / "scores" / "stopped.parquet")
        write_columns({"epoch": np.array([30])}, folder / "history.parquet")
    return home


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two label columns of one family and one of another, two seeds each; of one, a second memorization."""
    root = tmp_path_factory.mktemp("runs")
    write_runs(root, "symmetric", 0)
    write_runs(root, "symmetric", 1)
    write_runs(root, "instance", 2, measured=(OWN, OTHER))
    return root


def by_name(rows: Sequence[BothRow], learner: Learner = OWN) -> dict[str, BothRow]:
    return {row.detector: row for row in rows if row.truth_learner == learner}


def counted(home: Path, seed: int, name: str) -> dict[str, float]:
    """What one run has of one detector, sample by sample."""
    variant = read_variant(home / "variant")
    truth = read_memorization(home / "memorization" / file_name(OWN.name) / "memorization.parquet").values
    scores = read_scores(home / "mlp-overfit" / f"seed-{seed}" / "scores" / f"{file_name(name)}.parquet").values
    samples = [i for i in range(N) if variant.clean[i] != UNKNOWN and truth[i] == truth[i]]
    wrong = {i for i in samples if variant.labels[i] != variant.clean[i]}
    flagged = set(sorted(samples, key=lambda i: -scores[i])[: len(wrong)])
    found: dict[str, float] = {}
    for quarter in QUARTERS:
        cell = {
            i
            for i in samples
            if (i in wrong) == quarter.startswith("wrong") and (truth[i] >= 0.25) == quarter.endswith("memorized")
        }
        found[f"caught_{quarter}"] = len(flagged & cell) / len(cell) if cell else NAN
        found[f"flags_{quarter}"] = len(flagged & cell) / len(flagged)
        found[f"samples_{quarter}"] = len(cell)
    clean = sorted((i for i in samples if i not in wrong), key=lambda i: -truth[i])
    line = truth[clean[round(len(clean) / 20) - 1]]
    above, tied = [i for i in clean if truth[i] > line], [i for i in clean if truth[i] == line]
    take = (round(len(clean) / 20) - len(above)) / len(tied)
    hits = len(flagged & set(above)) + take * len(flagged & set(tied))
    return {**found, "false_alarms": hits / round(len(clean) / 20)}


@pytest.mark.parametrize("name", list(KINDS))
def test_shares_are_those_of_a_loop(runs: Path, name: str) -> None:
    """Each share is the mean over two families of what a loop over the samples counts in each run, where it can."""
    row = by_name(both_rows(runs))[name]
    homes = {
        draw: runs / f"made-{noise}-{draw}" for draw, noise in ((0, "symmetric"), (1, "symmetric"), (2, "instance"))
    }
    one = {draw: [counted(home, seed, name) for seed in (0, 1)] for draw, home in homes.items()}
    for field in one[0][0]:
        columns = [np.mean([run[field] for run in of_draw]) for of_draw in one.values()]
        families = [[value for value in family if value == value] for family in (columns[:2], columns[2:])]  # noqa: PLR0124
        mean = np.mean([np.mean(family) for family in families if family])
        expected = np.sum(columns) if field.startswith("samples") else mean
        assert getattr(row, field) == pytest.approx(expected), field
    assert sum(getattr(row, f"samples_{quarter}") for quarter in QUARTERS) == row.n == 3 * (N - 12)
    assert sum(getattr(row, f"flags_{quarter}") for quarter in QUARTERS) == pytest.approx(1)
    assert (row.seeds, row.variants, row.families, row.complete, row.threshold) == (2, 3, 2, True, 0.25)
    assert row.interval == "seeds"  # instance noise has one draw
    assert row.low <= row.false_alarms <= row.high


def test_references_and_order(runs: Path) -> None:
    """Detectors, controls, references, each by false alarms; the truths flag themselves, chance flags as samples lie."""
    rows = both_rows(runs)
    assert [row.kind for row in rows] == sorted(
        (row.kind for row in rows), key=("detector", "control", "reference").index
    )
    for kind in ("detector", "reference"):
        alarms = [row.false_alarms for row in rows if row.kind == kind and row.complete]
        assert alarms == sorted(alarms)
    found = by_name(rows)
    assert list(found)[:3] == ["aum", "my|own_[b]", "entropy"]
    assert set(found) - set(KINDS) == {"chance", "perfect", "given_label_only", "memorization"}
    chance, perfect, itself = (found[name] for name in ("chance", "perfect", "memorization"))
    wrong = [np.mean(made(draw).mislabeled[2 : N - 10]) for draw in (0, 1, 2)]
    expected = (np.mean(wrong[:2]) + wrong[2]) / 2
    assert [chance.false_alarms, chance.caught_clean_not] == pytest.approx([expected, expected])
    shares = [getattr(chance, f"flags_{quarter}") for quarter in QUARTERS]
    assert shares == pytest.approx([getattr(chance, f"samples_{quarter}") / chance.n for quarter in QUARTERS], abs=0.03)
    assert (perfect.caught_wrong_memorized, perfect.caught_wrong_not, perfect.false_alarms) == (1, 1, 0)
    assert itself.false_alarms == 1
    assert (itself.caught_wrong_not, itself.caught_clean_not) == (0, 0)


def test_each_memorization_has_rows_of_its_own(runs: Path) -> None:
    """A row says whose memorization it is, and whether it is the learner's own; fewer label columns are incomplete."""
    rows = both_rows(runs)
    assert {(row.truth_learner, row.matched, row.complete) for row in rows if row.kind != "reference"} == {
        (OWN, True, True),
        (OTHER, False, False),
    }
    assert {row.matched for row in rows if row.kind == "reference"} == {None}
    page = to_markdown(rows)
    assert "(at least 0.25, by the learner under 'truth of') or not: share" in page
    assert f"| {OTHER.name} | transferred | 1 × 2, incomplete |" in page
    assert (
        by_name(both_rows(read_runs(runs), threshold=0.9))["aum"].samples_clean_memorized
        < by_name(rows)["aum"].samples_clean_memorized
    )


def test_labels_without_memorization_are_left_out(tmp_path: Path) -> None:
    """Runs of labels that were not measured are counted and left out; where none was, it is said how to measure."""
    home = write_runs(tmp_path, "symmetric", 0, measured=())
    with pytest.raises(BadData, match=r"none of 2 finished runs has memorization beside it; 'noisybench memorize"):
        both_rows(tmp_path)
    write_runs(tmp_path, "symmetric", 1)
    rows = both_rows(tmp_path)
    assert (rows[0].variants, rows[0].unmeasured, rows[0].interval) == (1, 2, "seeds")
    assert caption(rows).endswith(". 2 runs of labels whose memorization was not measured left out.")
    for threshold in (0.0, 1.1):
        with pytest.raises(BadUsage, match=f"above 0 and at most 1, got {threshold}"):
            both_rows(tmp_path, threshold=threshold)
    other = tmp_path / "made-symmetric-1" / "mlp-overfit" / "seed-0" / "scores" / "aum.parquet"
    shutil.copy(home / "mlp-overfit" / "seed-0" / "scores" / "aum.parquet", other)
    with pytest.raises(Mismatch, match=r"scores of 'aum' are of variant .*; all must be of the same labels"):
        both_rows(tmp_path)


def test_every_form_holds_the_same_rows(runs: Path) -> None:
    """JSON and CSV hold every field; Markdown, LaTeX and a terminal of 120 columns one line a row, under one caption."""
    rows = both_rows(runs / "made-symmetric-0")
    records = to_records(rows)
    assert json.loads(to_json(rows)) == records
    assert records[0].keys() >= {f"{what}_{quarter}" for what in ("caught", "flags", "samples") for quarter in QUARTERS}
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [{key: row[key] for key in ("detector", "low", "n")} for row in read] == [
        {key: str(record[key]) for key in ("detector", "low", "n")} for record in records
    ]
    first = rows[0]
    assert first.detector == "aum"
    cells = " / ".join(f"{value:.2f}" for value in (first.caught_wrong_memorized, first.flags_wrong_memorized))
    lines = to_markdown(rows).splitlines()
    sizes = " + ".join(str(getattr(first, f"samples_{quarter}")) for quarter in QUARTERS)
    assert (
        f"memorized (at least 0.25, by {OWN.name}) or not, {sizes} samples: share of such samples that it flags"
        in lines[0]
    )
    assert lines[2].startswith("| kind | detector | false alarms | wrong, memorized | wrong, not | clean, memorized |")
    assert lines[4].startswith(f"| detector | aum | {span(first.false_alarms, first.low, first.high)} | ")
    assert f"] | {cells} | " in lines[4]
    assert lines[4].endswith("| mlp | overfit, 30 epochs | in-sample | matched | 1 × 2 |")
    assert r"my\|own_[b]" in lines[5]
    latex = to_latex(rows)
    assert latex.count(r"\\") == 1 + len(rows)
    assert r"my|own\_[b]" in latex
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(to_table(rows))
    printed = console.export_text()
    for row in rows:
        (line,) = [line for line in printed.splitlines() if f" {row.detector} " in line and row.kind in line]
        assert line.count(" / ") == 4
    assert "In all rows: learner matched;" in " ".join(printed.split())


def test_the_command_takes_nothing_else(runs: Path) -> None:
    """``--both`` prints every form, and is refused with what chooses another table."""
    for style, start in (
        ("table", "\n"),
        ("markdown", "Every"),
        ("csv", "detector,"),
        ("json", "["),
        ("latex", "\\begin"),
    ):
        done = shell("leaderboard", runs, "--both", "--format", style)
        assert done.code == 0, done.err
        assert done.out.lstrip(" ").startswith(start)
        assert done.out.count("aum") == 2
    for others in (
        ["--models"],
        ["--truth", "memorization"],
        ["--metric", "auroc"],
        ["--stratum", "clean"],
        ["--by", "noise"],
    ):
        done = shell("leaderboard", runs, "--both", *others)
        assert done.code == 2
        assert f"--both is a table of its own and takes no {others[0]}; leave one of the two out" in done.err
        assert done.out == ""
    assert "did you mean 'json'" in shell("leaderboard", runs, "--both", "--format", "jsn").err
