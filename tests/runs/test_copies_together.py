"""Copies of one sample are together in all that is held out; without them, everything is drawn as it always was."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from noisybench.board.results import detect, memorize, score_features
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadUsage
from noisybench.items import find
from noisybench.memorization.pool import read_pool
from noisybench.memorization.subset_plan import plan_learner
from noisybench.memorization.subsets import subsets
from noisybench.runs.features_run import group_numbers
from noisybench.runs.kept_rows import groups_of_kept, neighbour_labels_of_kept
from noisybench.runs.noisy_validation_run import held_out_samples
from noisybench.runs.second_split_run import halves_of
from noisybench.runs.verify import verify_runs
from noisybench.statistics.splitting import stratified_halves
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.sample_files.groups import read_groups
from noisybench.variants.variant import Variant

SIZES = np.repeat([40, 4, 1], [10, 10, 80])
GROUPS = np.random.default_rng(0).permutation(np.repeat(np.arange(100) * 7, SIZES))
N = len(GROUPS)


@pytest.fixture(scope="module")
def source() -> Source:
    """Ten units of each of 1, 4 and 40 exact copies, and 60 other digits."""
    spectrum = find("alterations", "frequency_spectrum")(frequencies="1,4,40", others=60)
    found: Source = spectrum(load_source("digits", limit=150), seed=0, foreign=None)
    return found


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, find("noises", "symmetric")(rate=0.2))


def digest(drawn: np.ndarray) -> str:
    return hashlib.sha256(np.packbits(drawn.astype(bool)).tobytes()).hexdigest()[:16]


def test_without_copies_everything_is_drawn_as_before() -> None:
    """Golden digests of version 0.4; groups of one sample each change nothing."""
    for balanced, golden in ((True, "c1075e1631310792"), (False, "88d8c4c47ebda534")):
        plain = subsets(range(25), 137, 0.7, seed=3, balanced=balanced)
        alone = subsets(range(25), 137, 0.7, seed=3, balanced=balanced, groups=np.arange(137))
        assert digest(plain) == digest(alone) == golden
    assert hashlib.sha256(stratified_halves(np.arange(137) % 5, 4).tobytes()).hexdigest()[:16] == "3f3feb8d031a2c84"


@pytest.mark.parametrize("balanced", [True, False])
def test_a_group_is_in_a_subset_or_out_of_it(balanced: bool) -> None:  # noqa: FBT001
    """As a whole, each equally often, whatever is asked for; balanced subsets have about the same number of samples."""
    included = subsets(range(60), N, 0.7, seed=1, balanced=balanced, groups=GROUPS)
    first = np.unique(GROUPS, return_index=True)[1]
    members = included[:, first]
    assert np.array_equal(included, members[:, np.searchsorted(np.unique(GROUPS), GROUPS)])
    assert (members.sum(1) == 70).all()
    sizes = included.sum(1)
    if balanced:
        assert (members.reshape(6, 10, 100).sum(1) == 7).all()
        assert sizes.max() - sizes.min() <= 40
        assert sizes.mean() == pytest.approx(0.7 * N)
        both = (~members[:, :, None] & ~members[:, None, :]).mean(
            0
        )  # of those of one size: no more often than by chance
        assert both[:10, :10][~np.eye(10, dtype=bool)].mean() <= 0.09
    else:
        assert 0.6 * N < sizes.mean() < 0.8 * N
    later = subsets(range(13, 37), N, 0.7, seed=1, balanced=balanced, groups=GROUPS)
    assert np.array_equal(later, included[13:37])
    dropped = np.isin(GROUPS, [0, 77])
    left = subsets(range(10), N, 0.7, seed=1, balanced=balanced, groups=GROUPS, dropped=dropped)
    assert not left[:, dropped].any()
    kept = GROUPS[~dropped]
    assert np.array_equal(left[:, ~dropped], subsets(range(10), len(kept), 0.7, seed=1, balanced=balanced, groups=kept))


def test_too_few_groups_are_refused() -> None:
    """Two samples a hundred times over leave no subset."""
    with pytest.raises(
        BadUsage, match="a fraction of 0.7 of 2 groups of copies leaves 1 in a subset; expected at least 2"
    ):
        subsets(range(10), 200, 0.7, seed=0, groups=np.arange(200) % 2)


def test_halves_part_no_group() -> None:
    """Groups of one size and commonest label are split evenly, and so are all; who does not count is in half 0."""
    labels = np.random.default_rng(1).integers(0, 3, N)
    out = np.isin(GROUPS, [0, 77])
    for seed in range(5):
        for but in (None, out):
            halves = stratified_halves(labels, seed, but=but, groups=GROUPS)
            counted = np.ones(N, dtype=bool) if but is None else ~but
            for group in np.unique(GROUPS[counted]):
                assert len(set(halves[group == GROUPS])) == 1
            first = np.unique(GROUPS[counted], return_index=True)[1]
            sizes = np.unique(GROUPS[counted], return_counts=True)[1]
            for size in (40, 4, 1):
                sides = halves[counted][first][sizes == size]
                assert abs(2 * sides.sum() - len(sides)) <= 2
            assert not halves[~counted].any()
        assert not np.array_equal(halves, stratified_halves(labels, seed + 5, but=out, groups=GROUPS))


def test_noisy_validation_holds_out_whole_groups(variant: Variant) -> None:
    """No copy of a sample that is held out is trained on, with any seed; a tenth is held out, to the size of a group."""
    copies, n = variant.copies, len(variant.labels)
    assert copies is not None
    drawn = [held_out_samples(variant, seed) for seed in range(8)]
    for members in drawn:
        assert not {*copies[members].tolist()} & {*copies[~members].tolist()}
        assert 1 <= members.sum() <= max(40, round(0.1 * n))
    assert len({members.tobytes() for members in drawn}) == len(drawn)


def test_which_samples_of_a_variant_are_copies(variant: Variant) -> None:
    """Those of one parent in a spectrum; members of a class or a cluster are none, nor are duplicates, as before."""
    copies = variant.copies
    assert copies is not None
    parent = variant.marks["parent"]
    assert np.array_equal(copies[:, None] == copies, parent[:, None] == parent)
    steps = {
        "frequency_spectrum(how=fine, coarse=2, frequencies=8,4)": None,
        "frequency_spectrum(how=clusters, frequencies=4,1)": None,
        "duplicates(rate=0.1)": None,
        "frequency_spectrum(how=near, frequencies=4)": 10,
    }
    for text, several in steps.items():
        base = load_source("altered", base="digits", steps=text)
        found = build_variant(base, find("noises", "as_found")()).copies
        assert (None if found is None else np.sum(np.bincount(found) > 1)) == several
    assert build_variant(load_source("digits", limit=50), find("noises", "as_found")()).copies is None


def test_folds_and_neighbours_know_copies_however_many(source: Source, variant: Variant) -> None:
    """Forty equal rows are one group, where equality alone groups thirty; nobody has a copy for neighbour."""
    features = source.inputs.reshape(len(source.labels), -1).astype(np.float32)
    copies = variant.copies
    assert copies is not None
    groups = groups_of_kept(features, variant, None)
    for number in np.unique(copies):
        assert len(set(groups[copies == number])) == 1
    rng = np.random.default_rng(0)
    given = rng.integers(0, 300, len(copies))
    joined = groups_of_kept(features, variant, given)
    for number in np.unique(copies):
        assert len(set(joined[np.isin(given, given[copies == number])])) == 1
    for number in np.unique(given):
        assert len(set(joined[given == number])) == 1
    shares = neighbour_labels_of_kept(features, variant, 5, copies)
    unit = variant.marks["unit"] == variant.marks["unit"].max()
    alone = neighbour_labels_of_kept(features, variant, 5)
    assert (alone[unit].max(1) < 1).any()  # a vote of copies with labels of their own
    assert len(np.unique(shares[unit].round(6), axis=0)) == 1  # all ask the same others
    for seed in range(3):
        halves = halves_of(variant, seed)
        assert all(len(set(halves[copies == number])) == 1 for number in np.unique(copies))


def test_who_is_in_no_unit_shares_no_group_with_others(source: Source, variant: Variant) -> None:
    """``score --groups unit`` leaves units out as a whole, and each other sample alone."""
    groups = group_numbers(read_groups("unit", variant, source, None), len(variant.labels))
    unit = variant.marks["unit"]
    assert np.array_equal(groups[unit >= 0][:, None] == groups, unit[unit >= 0][:, None] == unit)
    assert len(np.unique(groups)) == 30 + 60


def test_pools_and_features_of_a_spectrum_are_made_and_verified(
    source: Source, variant: Variant, tmp_path: Path
) -> None:
    """A truth, detectors of a pool and of features: copies were together, and verify draws the same subsets again."""
    learner, _ = plan_learner(source, epochs=1)
    told = memorize(source, variant, learner, tmp_path, models=10)
    pool = read_pool(told.path, variant)
    copies = variant.copies
    assert copies is not None
    for number in np.unique(copies):
        rows = pool.included[:, copies == number]
        assert (rows.all(1) | ~rows.any(1)).all()
    assert (pool.included.sum(0) == 7).all()
    detect(source, variant, learner, tmp_path, models=10)
    score_features(source, variant, "input", tmp_path)
    assert any("memorization follows from its 10 models" in sentence for sentence in verify_runs(tmp_path))
    samples = np.array([0, 5])
    dropped = Corrections(variant.variant_id, samples, variant.labels[samples], np.full(2, -1), ("drop", "drop"))
    corrected = correct_variant(variant, dropped)
    again = memorize(source, corrected, learner, tmp_path, models=10)
    included = read_pool(again.path, corrected).included
    assert not included[:, samples].any()
