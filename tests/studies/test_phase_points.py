"""Points of the phase study: folders of their own, and targets that stay blank."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from noisybench.data.loading import load_source
from noisybench.ground.errors import BadUsage
from noisybench.items import find
from noisybench.studies.phase import phase
from noisybench.studies.phase_grid import PRESETS, PhaseGrid
from noisybench.studies.phase_points import points_in, read_named
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant


def test_named_variants_have_folders_of_their_own(tmp_path: Path) -> None:
    """Names that differ in a space, a hyphen or capitals give one folder: there one variant's numbers would be another's."""
    source = load_source("digits", limit=60)
    for number, name in enumerate(("x y", "x-y", "X Y")):
        labels = source.clean.copy()
        labels[number : number + 5] = (labels[number : number + 5] + 1) % 10
        np.save(tmp_path / f"{name}.npy", labels)
        noise = find("noises", "published")(file=tmp_path / f"{name}.npy")
        write_variant(build_variant(source, noise), tmp_path / name)
    named = read_named([tmp_path / "x y", tmp_path / "x-y", tmp_path / "X Y"], source)
    points = points_in(PRESETS["quick"], named)
    assert len({point.name.casefold() for point in points}) == len(points)


def test_a_difficulty_that_ties_put_out_of_reach_stays_blank(tmp_path: Path) -> None:
    """And the others are made: of two grades of difficulty, the hard one holds half of all samples."""
    np.save(tmp_path / "grades.npy", np.random.default_rng(0).permutation(np.arange(160) % 2))
    grid = PhaseGrid(
        "digits", limit=160, features="pca", coordinates="input", neighbours=5, bins=4, difficulty=(0.5, 0.95), coherence=(0.0,),
        draws=(0,), detectors=("knn",), networks=0,
    )  # fmt: skip
    found = phase(grid, tmp_path / "out", difficulty=tmp_path / "grades.npy", machine=Machine("cpu"))
    blank, there = (
        next(one for one in found.to_records("points") if one["target_difficulty"] == target) for target in (0.95, 0.5)
    )
    assert (there["reached"], blank["reached"]) == (True, False)
    assert 0.8 < blank["difficulty"] < 0.9  # the most that there is


def test_a_grid_with_more_neighbours_than_samples_is_refused(tmp_path: Path) -> None:
    """Where all others are neighbours there is no coherence to tell; so is a draw that no stream of numbers has."""
    grid = replace(PRESETS["quick"], limit=60, neighbours=60)
    with pytest.raises(BadUsage, match="neighbours of the grid must be fewer than its 60 samples, got 60"):
        phase(grid, tmp_path / "out")
    with pytest.raises(BadUsage, match="each of the draws must be below"):
        replace(grid, draws=(2**63,))


@pytest.mark.parametrize("name", ["variant.json", "labels.parquet"])
def test_a_point_whose_variant_is_damaged_is_made_again(tmp_path: Path, name: str) -> None:
    """To the same results; the others stay as they are."""
    grid = PhaseGrid(
        "digits", limit=120, features="pca", coordinates="input", neighbours=5, difficulty=(0.5,), coherence=(0.0,), draws=(0,),
        detectors=("knn",), networks=0,
    )  # fmt: skip
    phase(grid, tmp_path, machine=Machine("cpu"))
    results, folder = (tmp_path / "results.parquet").read_bytes(), tmp_path / "points" / "main-d0.5-c0-0" / "variant"
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(b"damaged")
    phase(grid, tmp_path, machine=Machine("cpu"))
    assert (folder / name).read_bytes() == before
    assert (tmp_path / "results.parquet").read_bytes() == results
