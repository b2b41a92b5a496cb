"""The phase study with planted detectors, whose map is known beforehand: what it finds is that map, within sampling error.

A planted detector knows which labels are wrong and where their column lies, and draws scores N(μ, 1) for wrong labels and
N(0, 1) for right ones, so that its AUROC is Φ(μ / √2): one falls with coherence and with difficulty, unlike in both, one is the
same everywhere. Neither the study nor its tables know of that.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from noisybench.ground.npy import write_array
from noisybench.noise.exchange import coordinates_of
from noisybench.studies.phase import phase, phase_findings
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.studies.phase_maps import phase_maps_of
from noisybench.studies.results import StudyResults, read_results
from noisybench.training.machine import Machine

N, RATE = 300, 0.35
WRONG = 105
PLANTED = """
import numpy as np
from scipy.stats import norm
from noisybench import Detector
from noisybench.statistics.coherence import Coordinates, realised

def planted(name, seed, known):
    def score(trace):
        given = trace["given"][-1].astype(np.int64)
        with np.load(__file__ + ".npz") as truth:
            wrong = given != truth["clean"]
            place = realised(Coordinates(truth["difficulty"], truth["bins"], truth["neighbours"]), given, truth["clean"])
        shift = np.sqrt(2) * norm.ppf(known(place.difficulty, place.coherence))
        return np.random.default_rng([seed, *given]).normal(size=len(given)) + shift * wrong
    return Detector(name, ("given", "held_out.probabilities"), score, "here", information={"knows_clean"})

FALLING = planted("falling", 0, lambda difficulty, coherence: 0.9 - 7.5 * coherence - (difficulty - 0.4))
FLAT = planted("flat", 1, lambda difficulty, coherence: 0.7)
"""
ENTRIES = "[noisybench.detectors]\nfalling = planted_pair:FALLING\nflat = planted_pair:FLAT\n"


def falling(difficulty: float, coherence: float) -> float:
    """AUROC of the first planted detector."""
    return 0.9 - 7.5 * coherence - (difficulty - 0.4)


FLAT = 0.7
"""AUROC of the second, everywhere."""


@pytest.fixture(scope="module")
def path_of_packages() -> Iterator[pytest.MonkeyPatch]:
    """For a package of detectors that is found as any installed one is."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, path_of_packages: pytest.MonkeyPatch) -> StudyResults:
    """What ``phase`` leaves of both, on digits."""
    folder = tmp_path_factory.mktemp("planted")
    path_of_packages.syspath_prepend(folder)
    about = folder / "planted_pair-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: planted_pair\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    (folder / "planted_pair.py").write_text(PLANTED)
    grid = PhaseGrid(
        "digits", limit=N, rate=RATE, features="pca", coordinates="patches", difficulty=(0.4, 0.6), coherence=(0.0, 0.06),
        draws=(0,), detectors=("falling", "flat"), networks=0,
    )  # fmt: skip
    source = grid.load(None)
    difficulty = folder / "difficulty.npy"
    write_array(np.random.default_rng(0).random(len(source.labels)), difficulty)
    place = coordinates_of(
        source,
        features="patches",
        neighbours=grid.neighbours,
        bins=grid.bins,
        difficulty=difficulty,
        lower_is_harder=False,
    )
    arrays: Any = {"difficulty": place.difficulty, "bins": place.bins, "neighbours": place.neighbours}
    np.savez(folder / "planted_pair.py.npz", clean=source.clean, **arrays)
    phase(grid, folder / "study", difficulty=difficulty, machine=Machine())
    return read_results(folder / "study", "phase")


def error_of(auroc: float, wrong: int, right: int) -> float:
    """Standard error of an AUROC by Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747, equation 2."""
    one, two = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    spread = auroc * (1 - auroc) + (wrong - 1) * (one - auroc**2) + (right - 1) * (two - auroc**2)
    return float(np.sqrt(spread / (wrong * right)))


def test_each_point_has_the_auroc_that_was_planted(results: StudyResults) -> None:
    """Within 4 standard errors each, and over all points the mean of z² is near 1, and of z near 0."""
    z = []
    for one in results.of("score"):
        if one["detector"] in ("falling", "flat"):
            known = falling(one["difficulty"], one["coherence"]) if one["detector"] == "falling" else FLAT
            z.append((one["auroc"] - known) / error_of(known, WRONG, N - WRONG))
            parts = one["given_label"] + one["held_out_answers"] + one["rest"]
            assert parts == pytest.approx(one["auroc"] - 0.5, abs=1e-12)
    assert len(z) == 2 * 5
    assert np.abs(z).max() < 4
    assert abs(np.mean(z)) < 4 / np.sqrt(len(z))
    assert abs(np.mean(np.square(z)) - 1) < 4 * np.sqrt(2 / len(z))


def test_the_map_is_the_one_that_was_planted(results: StudyResults) -> None:
    """Who leads of the two at each target, by the map of the study: as planted, wherever they differ by 4 standard errors."""
    pair = tuple(one for one in results.records if one.get("detector", "flat") in ("falling", "flat"))
    maps, table = phase_maps_of(replace(results, records=pair)), phase_findings(replace(results, records=pair))
    places = {one["point"]: one for one in maps.placed(role="target", where="main")}
    ahead = {
        (one["target_difficulty"], one["target_coherence"]): falling(one["difficulty"], one["coherence"]) - FLAT
        for one in places.values()
    }
    told = [row for row in table.to_records("map") if row["reached"]]
    assert {(row["target_difficulty"], row["target_coherence"]) for row in told} == {*ahead}
    clear = 4 * error_of(FLAT, WRONG, N - WRONG)
    leaders = {}
    for row in told:
        known = ahead[row["target_difficulty"], row["target_coherence"]]
        if abs(known) > clear:
            assert row["best"] == ("falling" if known > 0 else "flat")
            leaders[row["best"]] = row["auroc"]
    assert {*leaders} == {"falling", "flat"}


@pytest.mark.parametrize("detector", ["falling", "flat"])
def test_changes_along_the_axes_are_those_that_were_planted(results: StudyResults, detector: str) -> None:
    """Within 4 standard errors of a mean of two differences, each axis by itself: of neither the other's, nor its sign."""
    (row,) = (one for one in phase_findings(results).to_records("detectors") if one["detector"] == detector)
    places = [one for one in results.of("point") if one["role"] == "target"]
    known = falling if detector == "falling" else lambda *_: FLAT
    for axis, other in (("difficulty", "coherence"), ("coherence", "difficulty")):
        ends = {
            level: np.mean(
                [known(one["difficulty"], one["coherence"]) for one in places if one[f"target_{axis}"] == level]
            )
            for level in {one[f"target_{axis}"] for one in places}
        }
        assert len({one[f"target_{other}"] for one in places}) == len(ends) == 2
        expected = ends[max(ends)] - ends[min(ends)]
        assert abs(row[f"with_{axis}"] - expected) < 4 * error_of(FLAT, WRONG, N - WRONG)
        assert abs(expected) > 0.15 or detector == "flat"
