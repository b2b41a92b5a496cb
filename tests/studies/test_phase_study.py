"""The phase study: its tables and verdicts from made-up results, held against loops over the records; and a small one from end to end."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shell import Result, shell
from sklearn.metrics import roc_auc_score

from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData
from noisybench.ground.files import write_json
from noisybench.items import find
from noisybench.memorization.difficulty_files import read_difficulty
from noisybench.runs.reading import read_run
from noisybench.statistics.score_parts import split_auroc
from noisybench.studies.phase import TABLES, measure_phase, phase, phase_findings
from noisybench.studies.phase_claims import AHEAD, CLAIMS, SMALLEST
from noisybench.studies.phase_grid import PRESETS, PhaseGrid
from noisybench.studies.phase_maps import MapTarget, in_every_row
from noisybench.studies.results import StudyResults, read_results, results_of
from noisybench.training.machine import Machine
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.variant import read_variant, write_variant

DIFFICULTY, COHERENCE = (0.4, 0.5, 0.6), (0.0, 0.2)


def known(detector: str, difficulty: float, coherence: float) -> float:
    """AUROC of made-up detectors: kNN falls along both axes, ridge along none; memorization falls with coherence."""
    at = {"knn": 1.2 - difficulty - 2 * coherence, "ridge": 0.6, "memorization": 0.9 - coherence, "random": 0.5}
    return at[detector]


KINDS = {"knn": "detector", "ridge": "detector", "random": "control", "memorization": "memorization"}


def made(
    *, draws: int = 3, spread: float = 0.002, skipped: tuple[float, float] = (0.6, 0.2), named: int = 2
) -> StudyResults:
    """Results of points that never were, one target out of reach."""
    grid = PhaseGrid(difficulty=DIFFICULTY, coherence=COHERENCE, draws=tuple(range(draws)), networks=0)
    random = np.random.default_rng(0)
    records: list[dict[str, Any]] = [{"record": "setting", "samples": 10_000, "classes": 10, "hardness": "models"}]

    def add(
        where: str,
        role: str,
        draw: int,
        place: tuple[float, float],
        target: tuple[float, float] | None,
        shift: float = 0.0,
    ) -> None:
        at = {"map": where, "role": role, "point": f"{where}-{role}-{target}-{draw}", "draw": draw}
        asked = {} if target is None else {"target_difficulty": target[0], "target_coherence": target[1]}
        at_place = {"difficulty": place[0], "coherence": place[1]}
        if target == skipped and where == "main":
            records.append({"record": "point", **at, **asked, "reached": False, **at_place})
            return
        told = {"reached": True, **at_place, "rate": 0.35, "cells": where, "variant_id": f"{len(records):064x}"}
        records.append({"record": "point", **at, **asked, **told})
        for detector, kind in KINDS.items():
            value = known(detector, *place) + spread * random.normal() + shift
            by = {"memorization": "closed_form"}.get(kind, "features")
            parts = {"given_label": 0.1, "held_out_answers": value - 0.65, "rest": 0.05}
            records.append(
                {"record": "score", **at, **at_place, "detector": detector, "kind": kind, "by": by, "auroc": value,
                 "auroc_within_given": value - 0.1, **parts}
            )  # fmt: skip

    for draw in grid.draws:
        add("main", "named", draw, (0.5, 0.0), None)
        for target in [(one, other) for one in DIFFICULTY for other in COHERENCE]:
            add("main", "target", draw, target, target)
    for number in range(named):
        place = (0.45 + 0.01 * number, 0.15)
        add(f"own {number}", "named", 0, place, None)
        for draw in grid.draws:
            add(f"own {number}", "counterpart", draw, (0.5, 0.0), None)
        for target in ((0.45, 0.15), (0.5, 0.0)):
            add(f"own {number}", "target", 0, target, target)
    return results_of("phase", grid, records)


def test_detectors_are_told_over_the_reached_targets() -> None:
    """Means, the least, the share below one half and changes along the axes, each from a loop over the records."""
    results = made()
    rows = {row["detector"]: row for row in phase_findings(results).to_records("detectors")}
    assert [*rows] == ["knn", "ridge", "random"]
    places = [(one, other) for one in DIFFICULTY for other in COHERENCE if (one, other) != (0.6, 0.2)]
    for name, row in rows.items():
        means = {
            place: np.mean([r["auroc"] for r in results.of("score") if r["detector"] == name and r["map"] == "main"
                            and r["role"] == "target" and (r["difficulty"], r["coherence"]) == place])
            for place in places
        }  # fmt: skip
        assert row["targets"] == 5
        assert row["mean"] == pytest.approx(np.mean([*means.values()]))
        assert row["least"] == pytest.approx(min(means.values()))
        assert row["below_half"] == np.mean([value < 0.5 for value in means.values()])
        falls = [means[one, 0.2] - means[one, 0.0] for one in (0.4, 0.5)]
        assert row["with_coherence"] == pytest.approx(np.mean(falls))
        falls = [means[0.6, 0.0] - means[0.4, 0.0], means[0.5, 0.2] - means[0.4, 0.2]]
        assert row["with_difficulty"] == pytest.approx(np.mean(falls))
        origin = [
            r["auroc"]
            for r in results.of("score")
            if r["detector"] == name and (r["map"], r["role"]) == ("main", "named")
        ]
        assert row["origin"] == pytest.approx(np.mean(origin))
    assert rows["ridge"]["origin_within_given"] == pytest.approx(rows["ridge"]["origin"] - 0.1)


def test_the_map_says_who_leads_and_stays_blank_where_nothing_was_reached() -> None:
    """The leader by its mean, with the spread of its lead; a control never leads."""
    findings = phase_findings(made())
    rows = {(row["target_difficulty"], row["target_coherence"]): row for row in findings.to_records("map")}
    assert len(rows) == 6
    assert rows[0.6, 0.2] == {"target_difficulty": 0.6, "target_coherence": 0.2, "reached": False}
    for place, row in rows.items():
        if row["reached"]:
            best = max(("knn", "ridge"), key=lambda name: known(name, *place))
            assert row["best"] == best or place == (0.6, 0.0)  # a tie by construction
            assert row["least_ahead"] <= row["ahead"] <= row["most_ahead"]
            assert row["draws"] == 3
    table = findings.table("map")
    assert table.header == ("coherence", "difficulty 0.4", "difficulty 0.5", "difficulty 0.6")
    assert [line[0] for line in table.lines] == ["0.2", "0"]
    assert table.lines[0][3] == "–"
    assert table.lines[1][1].startswith("knn 0.")


def test_parts_compare_rows_over_the_same_difficulties() -> None:
    """A row lacks the hardest target, so no row counts it: where coherence changes nothing, the rows are alike."""
    rows = {
        (row["detector"], row["target_coherence"]): row for row in phase_findings(made(spread=0.0)).to_records("parts")
    }
    for coherence in COHERENCE:
        told = rows["knn", coherence]
        assert told["targets"] == 2
        assert told["auroc"] == pytest.approx(np.mean([known("knn", one, coherence) for one in (0.4, 0.5)]))
        assert told["given_label"] + told["held_out_answers"] + told["rest"] == pytest.approx(told["auroc"] - 0.5)
    targets = [MapTarget(0.4, 0.0), MapTarget(0.5, 0.2)]
    assert in_every_row(targets) == targets  # no difficulty is in both rows
    assert in_every_row([]) == []


def test_named_variants_stand_beside_their_counterparts() -> None:
    """The difference is to the mean of the counterparts, and the nearest target is one of the same map."""
    results = made(spread=0.0)
    rows = [row for row in phase_findings(results).to_records("named") if row["detector"] == "knn"]
    assert [row["named"] for row in rows] == ["own 0", "own 1"]
    for number, row in enumerate(rows):
        own = known("knn", 0.45 + 0.01 * number, 0.15)
        assert row["difference"] == pytest.approx(own - known("knn", 0.5, 0.0))
        assert row["nearest_auroc"] == pytest.approx(known("knn", 0.45, 0.15))
        assert (row["counterparts"], row["counterpart_least"]) == (3, pytest.approx(known("knn", 0.5, 0.0)))


def test_verdicts_follow_from_what_was_made() -> None:
    """All that was made so: kNN and memorization fall, the leader changes, and nothing is found within the label at the end."""
    results = made()
    assert [*measure_phase(results)] == [one.name for one in CLAIMS]
    words = {one.claim: one.word for one in phase_findings(results).verdicts}
    found = {one.name: words[one.claim] for one in CLAIMS}
    assert found == {
        "coherent_errors_are_hidden": "holds",
        "neighbours_fail_with_coherence": "holds",
        "leader_changes": "holds",
        "neighbours_fail_with_difficulty": "holds",
        "memorization_falls_with_coherence": "holds",
        "coordinates_tell_more_than_counts": "holds",
    }
    (hidden, leader) = (measure_phase(results)[name] for name in ("coherent_errors_are_hidden", "leader_changes"))
    assert not isinstance(hidden, str)
    assert not isinstance(leader, str)
    # At (.4, .2) ridge is the best, .6 of which the label tells .1: nothing is left, so .05 minus 0.
    assert hidden.value == pytest.approx(SMALLEST, abs=0.01)
    # Ridge leads over the map, and kNN is most ahead of it at (.4, 0): .8 against .6.
    assert leader.value == pytest.approx(0.2, abs=0.01)
    assert leader.value > AHEAD


GRID: dict[str, Any] = {
    "source": "digits", "limit": 160, "features": "pca", "coordinates": "input", "neighbours": 5, "bins": 4,
    "difficulty": [0.5], "coherence": [0.0, 0.9], "draws": [0], "detectors": ["knn", "ridge"],
    "named_difficulty": [0.5], "named_coherence": [0.0], "networks": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid, a file of difficulties, and two variants of the grid's samples: one with another count in each class."""
    home = tmp_path_factory.mktemp("phase")
    (home / "grid.json").write_text(json.dumps(GRID))
    np.save(home / "hard.npy", np.random.default_rng(0).random(160))
    source = load_source("digits", limit=160)
    write_variant(build_variant(source, find("noises", "asymmetric")(rate=0.3), seed=1), home / "own")
    write_variant(build_variant(load_source("digits", limit=150), find("noises", "symmetric")(rate=0.3)), home / "few")
    assert study(home, home / "whole").code == 0
    return home


def study(home: Path, out: Path, *more: str) -> Result:
    """The command, of the small grid."""
    asked = (
        "--grid",
        str(home / "grid.json"),
        "--difficulty",
        str(home / "hard.npy"),
        "--workers",
        "1",
        "--device",
        "cpu",
    )
    return shell("study", "phase", str(home / "own"), *asked, "--out", str(out), *more)


def test_every_point_of_a_map_has_the_same_counts_and_can_be_scored_again(folder: Path) -> None:
    """Cells are counted in the variants that lie there; an ordinary run from features gives the same AUROC."""
    results = read_results(folder / "whole", "phase")
    points = {one["point"]: one for one in results.of("point")}
    assert len(points) == 1 + 2 + 1 + 1 + 1
    reached = {
        one["target_coherence"]: one["reached"]
        for one in points.values()
        if one["map"] == "main" and one["role"] == "target"
    }
    assert reached == {0.0: True, 0.9: False}
    counts: dict[str, list[Any]] = {}
    for name, one in points.items():
        place = folder / "whole" / "points" / name
        assert (place / "variant").is_dir() is one["reached"]
        if one["reached"]:
            variant = read_variant(place / "variant")
            assert one["variant_id"] == variant.variant_id
            counts.setdefault(one["map"], []).append(np.histogram2d(variant.clean, variant.labels, bins=10)[0])
    assert {where: len(tables) for where, tables in counts.items()} == {"main": 2, "asymmetric": 3}
    for tables in counts.values():
        assert all((table == tables[0]).all() for table in tables)
    chosen = next(one for one in points.values() if one["role"] == "target" and one["reached"])
    again = folder / "whole" / "points" / chosen["point"] / "variant"
    assert (
        shell("score", str(again), "--features", "pca", "--detectors", "knn,ridge", "--out", str(folder / "again")).code
        == 0
    )
    run = read_run(next((folder / "again").glob("*/pca-features-*/seed-0")))
    told = {one["detector"]: one for one in results.of("score") if one["point"] == chosen["point"]}
    variant = read_variant(again)
    wrong, given = variant.mislabeled, variant.labels
    confidence = read_trace(run.path / "trace")["held_out.probabilities"][-1][np.arange(len(given)), given]
    for name in ("knn", "ridge"):
        values = run.scores(name).values
        assert told[name]["auroc"] == pytest.approx(roc_auc_score(wrong, values), abs=1e-12)
        parts = split_auroc(values, wrong, given, 1 - confidence.astype(np.float64))
        for part in ("given_label", "held_out_answers", "rest"):
            assert told[name][part] == getattr(parts, part)
    assert "memorization" in told


def test_the_parts_sum_and_the_origin_lies_where_it_should(folder: Path) -> None:
    """Three parts of each score; a target of no coherence has none."""
    results = read_results(folder / "whole", "phase")
    for one in results.of("score"):
        assert one["given_label"] + one["held_out_answers"] + one["rest"] == pytest.approx(one["auroc"] - 0.5)
    for one in results.of("point"):
        if one["role"] == "target" and one["reached"]:
            assert one["difficulty"] == pytest.approx(one["target_difficulty"], abs=0.03)
            assert one["coherence"] == pytest.approx(one["target_coherence"], abs=0.011)


def test_a_study_that_was_stopped_goes_on_to_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends where a point has its labels and no records; others were not begun, or their records are cut off."""
    stopped, points = folder / "stopped", folder / "stopped" / "points"
    shutil.copytree(folder / "whole", stopped)
    (stopped / "results.parquet").unlink()
    shutil.rmtree(points / "main-d0.5-c0-0")
    shutil.rmtree(points / "asymmetric-counterpart-0")
    torn = points / "main-pair_flip-0" / "records.json"
    torn.write_bytes(torn.read_bytes()[:100])

    def no_record(value: object, path: Path, **how: bool) -> None:
        if path.name == "records.json" and path.parent.name != "main-pair_flip-0":
            raise KeyboardInterrupt
        write_json(value, path, **how)

    with monkeypatch.context() as patched:
        patched.setattr("noisybench.studies.phase_runs.write_json", no_record)
        with pytest.raises(KeyboardInterrupt):
            phase(
                folder / "grid.json", stopped, [folder / "own"], difficulty=folder / "hard.npy", machine=Machine("cpu")
            )
    assert {path.name for path in (points / "main-d0.5-c0-0").iterdir()} == {"variant", "answers.npy", "timing.json"}
    assert "6 runs, 4 of them finished; the others take about" in study(folder, stopped, "--dry-run").out
    assert study(folder, stopped).code == 0
    assert (stopped / "results.parquet").read_bytes() == (folder / "whole" / "results.parquet").read_bytes()
    assert "6 runs, 6 of them finished: nothing is trained" in study(folder, stopped, "--dry-run").out


def test_tables_are_made_again_of_the_results_alone(folder: Path) -> None:
    """Nothing else is there; every table is in the JSON."""
    (folder / "alone").mkdir()
    (folder / "alone" / "results.parquet").write_bytes((folder / "whole" / "results.parquet").read_bytes())
    say = ("study", "phase", "--out", str(folder / "alone"), "--remake")
    told = json.loads(shell(*say, "--format", "json").out)
    assert {*TABLES} <= {*told}
    assert len(told["points"]) == 6
    for table in ("points", "verdicts"):
        lines = shell(*say, "--table", table, "--format", "csv").out.splitlines()
        assert len(lines) == len(told[table]) + 1
    text = shell(*say).out
    assert "rate" in text
    assert "main-d0.5-c0-0" not in text  # raw tables are for who asks


def test_what_cannot_be_meant_is_refused_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    """Before anything is made."""
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"coordinates": "pca"}, 2, "a detector must not see what coherence is measured in"),
        ({"difficulty": [0.6, 0.5]}, 2, "must be ascending"),
        ({"difficulty": [0.5, 0.5000001]}, 2, "must differ in six digits, got 0.5, 0.5"),
        ({"coherence": [1.5]}, 2, "must lie between -1 and 1"),
        ({"rate": 0.0}, 2, "must lie between 0 and 1"),
        ({"detectors": ["knnn"]}, 2, "did you mean 'knn'"),
        ({"structure": "any"}, 2, "structure of the grid must be one of"),
    ]
    for change, code, sentence in cases:
        (tmp_path / "grid.json").write_text(json.dumps(GRID | change))
        done = shell("study", "phase", "--grid", str(tmp_path / "grid.json"), "--out", str(tmp_path / "out"))
        assert sentence in done.err
        assert done.code in (1, code)
        assert "Traceback" not in done.err
    few = shell(
        "study", "phase", str(folder / "few"), "--grid", str(folder / "grid.json"), "--out", str(tmp_path / "out")
    )
    assert (few.code, "the study is of the first 160 samples of 'digits'" in few.err) == (1, True)
    twice = shell(
        "study",
        "phase",
        *2 * [str(folder / "own")],
        "--grid",
        str(folder / "grid.json"),
        "--out",
        str(tmp_path / "out"),
    )
    assert (twice.code, "name each variant once" in twice.err) == (2, True)
    assert not (tmp_path / "out" / "points").exists()


def test_the_presets_are_as_large_as_was_promised() -> None:
    """At least 6 × 6 targets and three draws in standard; networks at twelve points."""
    standard, quick = PRESETS["standard"], PRESETS["quick"]
    assert min(len(standard.difficulty), len(standard.coherence)) >= 6
    assert (len(standard.draws), standard.networks, quick.networks) == (3, 12, 0)
    assert quick.points(0) == 10
    assert PhaseGrid(matrix="own.npy").structure == "symmetric"
    assert standard.points(2) == (42 + 1) * 3 + 2 * (1 + 3 + 6)


def test_difficulties_of_the_whole_source_serve_its_first_samples(tmp_path: Path) -> None:
    """Where labels in the file tell that these are its first; a file without them is refused, as one of other labels is."""
    whole, few = load_source("digits"), load_source("digits", limit=50)
    hard, variant = np.random.default_rng(0).random(len(whole.labels)), build_variant(few, find("noises", "as_found")())
    np.savez(tmp_path / "told.npz", labels=whole.labels, scores=hard)
    np.testing.assert_array_equal(read_difficulty(tmp_path / "told.npz", variant), hard[:50])
    np.save(tmp_path / "silent.npy", hard)
    np.savez(tmp_path / "others.npz", labels=whole.labels[::-1], scores=hard)
    for name in ("silent.npy", "others.npz"):
        with pytest.raises(BadData):
            read_difficulty(tmp_path / name, variant)


def test_shards_with_folders_of_their_own_are_copied_together(folder: Path) -> None:
    """Which is what they say: ``merge`` knows runs, and no points."""
    parts = [folder / "shard-1", folder / "shard-2"]
    for number, part in enumerate(parts, 1):
        ended = study(folder, part, "--shard", f"{number}/2")
        assert (ended.code, "copy them into one first, as by 'cp -rn ONE/. OTHER/'" in ended.err) == (0, True)
    shutil.copytree(parts[1], parts[0], dirs_exist_ok=True)
    assert "6 runs, 6 of them finished: nothing is trained" in study(folder, parts[0], "--dry-run").out
    told = json.loads(study(folder, parts[0], "--dry-run", "--json").out)
    assert (told["runs"], told["finished"]) == (6, 6)
    assert study(folder, parts[0]).code == 0
    assert (parts[0] / "results.parquet").read_bytes() == (folder / "whole" / "results.parquet").read_bytes()
