"""The phase study: its tables and verdicts from made-up results, held against loops over the records; and a small one from end to end."""

from typing import Any

import numpy as np
import pytest

from noisybench.ground.errors import BadData, BadUsage
from noisybench.studies.phase import TABLES, measure_phase, phase_findings
from noisybench.studies.phase_claims import AHEAD, CLAIMS, SMALLEST
from noisybench.studies.phase_grid import PRESETS, PhaseGrid
from noisybench.studies.results import StudyResults, results_of

DIFFICULTY, COHERENCE = (0.4, 0.5, 0.6), (0.0, 0.2)


def known(detector: str, difficulty: float, coherence: float) -> float:
    """AUROC of made-up detectors: kNN falls along both axes, ridge along none; memorization falls with coherence."""
    at = {"knn": 1.2 - difficulty - 2 * coherence, "ridge": 0.6, "memorization": 0.9 - coherence, "random": 0.5}
    return at[detector]


KINDS = {"knn": "detector", "ridge": "detector", "random": "control", "memorization": "memorization"}


def made(*, draws: int = 3, spread: float = 0.002, skipped: tuple[float, float] = (0.6, 0.2), named: int = 2) -> StudyResults:
    """Results of points that never were, one target out of reach."""
    grid = PhaseGrid(difficulty=DIFFICULTY, coherence=COHERENCE, draws=tuple(range(draws)), networks=0)
    random = np.random.default_rng(0)
    records: list[dict[str, Any]] = [{"record": "setting", "samples": 10_000, "classes": 10, "hardness": "models"}]

    def add(where: str, role: str, draw: int, place: tuple[float, float], target: tuple[float, float] | None, shift: float = 0.0) -> None:
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
        origin = [r["auroc"] for r in results.of("score") if r["detector"] == name and (r["map"], r["role"]) == ("main", "named")]
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
    """kNN and memorization fall, the leader changes, named variants follow coordinates; nothing is found within the label where errors are coherent."""
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
    # kNN leads over the map, and ridge is most ahead of it at (.5, .2): .6 against .3.
    assert leader.value == pytest.approx(0.3, abs=0.01)
    assert leader.value > AHEAD
