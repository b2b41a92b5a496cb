"""Memorization: subsets, the estimate and its error, what is made of it, and its files."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.data.source import source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import read_columns, write_columns
from noisybench.memorization.estimate import Memorization, estimate_memorization, read_memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import BLOCK, Block, Pool, block_path, read_block, read_pool, write_block
from noisybench.memorization.reliability import reliability, split_half, summarise
from noisybench.memorization.subsets import group_size, subsets
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.recipe import Recipe, digest_of_training, recorded
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

SETUP = {
    "model": "net", "code": None, "recipe": "made_up", **recorded(Recipe(epochs=3)),
    "fraction": 0.7, "balanced": False, "features": "pca(components=20)",
}  # fmt: skip
TRAINED = digest_of_training("net", None, "made_up", recorded(Recipe(epochs=3)))
MADE_UP = Learner("net", "made_up", 3, TRAINED, "pca(components=20)", 0.7, balanced=False)


def variant_of(n: int, k: int = 4, unknown: int = 0) -> Variant:
    """Random labels, a quarter of the known ones wrong; the clean labels of the first few are unknown."""
    clean = np.arange(n) % k
    source = source_from_arrays("made", np.zeros((n, 1), dtype=np.float32), clean, clean=clean)
    variant = build_variant(source, Symmetric(0.25), seed=0)
    return replace(variant, clean=np.where(np.arange(n) < unknown, UNKNOWN, clean))


def pool_of(variant: Variant, included: NDArray[np.bool_], predictions: NDArray[Any], seed: int = 0) -> Pool:
    m, n = included.shape
    margins = np.random.default_rng(seed).normal(size=(m, n)).astype(np.float16)
    return Pool(
        included=included,
        predictions=predictions.astype(np.uint8),
        margins=margins,
        held_out=np.full((n, variant.num_classes), 0.25, dtype=np.float32),
        groups=np.arange(m) // 10,
        learner=MADE_UP,
        purpose="truth",
        seed=0,
        variant_id=variant.provenance.variant_id,
    )


def planted(
    variant: Variant, p_in: NDArray[np.float64], p_out: NDArray[np.float64], m: int, *, balanced: bool, seed: int
) -> Pool:
    """A pool whose models give the given label with the chances planted, and else the next class."""
    n = len(variant.labels)
    included = subsets(range(m), n, 0.7, seed=seed, balanced=balanced)
    hit = np.random.default_rng(seed).random((m, n)) < np.where(included, p_in, p_out)
    return pool_of(variant, included, np.where(hit, variant.labels, (variant.labels + 1) % variant.num_classes))


@pytest.mark.parametrize(("fraction", "group", "out"), [(0.7, 10, 3), (0.5, 2, 1), (0.75, 4, 1), (0.9, 10, 1)])
@pytest.mark.parametrize("n", [40, 203])
def test_balanced_groups(fraction: float, group: int, out: int, n: int) -> None:
    """In each group every sample is left out equally often, sizes differ by at most one, and no group is like another."""
    included = subsets(range(6 * group), n, fraction, seed=1)
    assert group_size(fraction) == group
    for first in range(0, 6 * group, group):
        members = included[first : first + group]
        assert ((~members).sum(0) == out).all()
        assert np.ptp(members.sum(1)) <= 1
        assert not np.array_equal(members, included[(first + group) % (6 * group) :][:group])


@pytest.mark.parametrize("balanced", [True, False])
def test_a_subset_depends_on_the_seed_and_its_number_alone(balanced: bool) -> None:  # noqa: FBT001
    """Any range of models gives the same subsets as the whole; another seed gives others; numbers have no period."""
    whole = subsets(range(60), 37, 0.7, seed=3, balanced=balanced)
    for start, stop in ((0, 10), (7, 8), (13, 41), (59, 60)):
        assert np.array_equal(subsets(range(start, stop), 37, 0.7, seed=3, balanced=balanced), whole[start:stop])
    assert not np.array_equal(subsets(range(60), 37, 0.7, seed=4, balanced=balanced), whole)
    assert len(np.unique(whole, axis=0)) == 60


@pytest.mark.parametrize("balanced", [True, False])
def test_pairs_are_left_out_together_as_chance_has_it(balanced: bool) -> None:  # noqa: FBT001
    """Over many groups each pair of samples is left out of the same model as often as random subsets would."""
    m, n = 3000, 20
    left_out = ~subsets(range(m), n, 0.7, seed=0, balanced=balanced)
    together = (left_out.T.astype(np.float64) @ left_out)[np.triu_indices(n, 1)]
    expected = 6 / 20 * 5 / 19  # both of two among 6 left out of 20
    sigma = math.sqrt(m * expected * (1 - expected))
    assert abs(together.mean() / m - expected) < 1e-12  # every subset has 14 samples
    assert np.abs(together - m * expected).max() < 4 * sigma
    assert together.std() > 0.3 * sigma


def test_plain_random_subsets_have_one_size() -> None:
    """Floor of fraction times n, also where the product in floating point is a little less than a whole number."""
    for n, fraction, size in ((100, 0.29, 29), (1437, 0.7, 1005)):
        assert (subsets(range(5), n, fraction, seed=0, balanced=False).sum(1) == size).all()


def test_estimate_against_loops() -> None:
    """Every field equals what plain loops over samples and models give."""
    variant = variant_of(30, unknown=4)
    rng = np.random.default_rng(0)
    included = rng.random((130, 30)) < 0.7
    included[:, 7], included[:, 9] = True, False  # empty arms
    pool = pool_of(variant, included, rng.integers(0, 4, (130, 30)))
    found = estimate_memorization(pool, variant)
    for i in range(30):
        hits: dict[bool, list[bool]] = {True: [], False: []}
        right: dict[bool, list[bool]] = {True: [], False: []}
        margins: dict[bool, list[float]] = {True: [], False: []}
        for j in range(130):
            arm = bool(included[j, i])
            hits[arm].append(bool(pool.predictions[j, i] == variant.labels[i]))
            right[arm].append(bool(pool.predictions[j, i] == variant.clean[i]))
            margins[arm].append(float(pool.margins[j, i]))
        assert (found.n_in[i], found.n_out[i]) == (len(hits[True]), len(hits[False]))
        if not hits[True] or not hits[False]:
            assert all(np.isnan(getattr(found, name)[i]) for name in ("values", "stderr", "p_in", "p_out", "margin"))
            assert np.isnan(found.clean_damage[i])
            continue
        share = {arm: sum(hits[arm]) / len(hits[arm]) for arm in hits}
        variance = 0.0
        for arm in (True, False):
            smooth = (sum(hits[arm]) + 0.5) / (len(hits[arm]) + 1)
            variance += smooth * (1 - smooth) / len(hits[arm])
        assert found.p_in[i] == share[True]
        assert found.p_out[i] == share[False]
        assert found.values[i] == share[True] - share[False]
        assert found.stderr[i] == pytest.approx(math.sqrt(variance), abs=1e-15)
        assert found.margin[i] == pytest.approx(np.mean(margins[True]) - np.mean(margins[False]), abs=1e-12)
        damage = sum(right[False]) / len(right[False]) - sum(right[True]) / len(right[True])
        assert np.isnan(found.clean_damage[i]) if i < 4 else found.clean_damage[i] == pytest.approx(damage, abs=1e-15)
    assert np.flatnonzero(np.isnan(found.values)).tolist() == [7, 9]
    truly = ~variant.mislabeled & variant.known & np.isfinite(found.values)
    assert np.allclose(found.clean_damage[truly], -found.values[truly])


@pytest.mark.parametrize("balanced", [True, False])
def test_planted_memorization_is_recovered(balanced: bool) -> None:  # noqa: FBT001
    """Over 60 simulations 93-97 % of the 95 % intervals cover what was planted, and the estimate has no bias."""
    variant = variant_of(400)
    rng = np.random.default_rng(0)
    p_in, p_out = rng.uniform(0.3, 1.0, 400), rng.uniform(0.0, 0.9, 400)
    errors, widths = [], []
    for seed in range(60):
        found = estimate_memorization(planted(variant, p_in, p_out, 200, balanced=balanced, seed=seed), variant)
        errors.append(found.values - (p_in - p_out))
        widths.append(found.stderr)
    covered = (np.abs(errors) <= 1.959964 * np.array(widths)).mean()
    assert 0.93 <= covered <= 0.97
    assert abs(np.mean(errors)) < 4 * np.mean(widths) / math.sqrt(60 * 400)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.sqrt(np.mean(np.square(widths))), rel=0.03)


def test_error_equals_the_spread_over_groups() -> None:
    """The standard error under balanced subsets is that seen between groups of models, to 5 % in the mean square."""
    variant = variant_of(500)
    rng = np.random.default_rng(1)
    pool = planted(variant, rng.uniform(0.5, 1.0, 500), rng.uniform(0.0, 0.8, 500), 600, balanced=True, seed=5)
    groups = []
    for number in range(60):
        rows = pool.groups == number
        some = replace(
            pool, **{name: getattr(pool, name)[rows] for name in ("included", "predictions", "margins", "groups")}
        )
        groups.append(estimate_memorization(some, variant).values)
    spread = np.var(groups, axis=0, ddof=1) / 60
    assert np.mean(spread) == pytest.approx(np.mean(estimate_memorization(pool, variant).stderr ** 2), rel=0.05)


def test_constant_pools() -> None:
    """Models that are always right memorize nothing with a small error; such a truth has no reliability and no halves."""
    variant = variant_of(40)
    for p in (0.0, 1.0):
        pool = planted(variant, np.full(40, p), np.full(40, p), 40, balanced=True, seed=0)
        found = estimate_memorization(pool, variant)
        assert (found.values == 0).all()
        assert (found.stderr > 0).all()
        assert np.isnan(reliability(found))
        assert np.isnan(split_half(pool, variant).correlation)
    everyone = replace(pool, included=np.ones_like(pool.included))
    summary = summarise(estimate_memorization(everyone, variant), everyone, variant)
    assert summary.undefined == 40
    assert np.isnan([summary.largest_stderr, summary.split_half, summary.reliability, summary.mislabeled_fit]).all()


def test_summary_by_hand() -> None:
    """Halves are odd and even groups, reliability is one minus the error's share, means are over the two kinds of labels."""
    variant = variant_of(200, unknown=20)
    rng = np.random.default_rng(0)
    pool = planted(variant, rng.uniform(0.5, 1.0, 200), rng.uniform(0.0, 0.5, 200), 110, balanced=True, seed=0)
    found = estimate_memorization(pool, variant)
    summary = summarise(found, pool, variant, models_per_second=7.0)
    halves = []
    for parity in (0, 1):
        rows = (np.arange(110) // 10) % 2 == parity
        hits, included = (pool.predictions == variant.labels)[rows], pool.included[rows]
        halves.append((hits & included).sum(0) / included.sum(0) - (hits & ~included).sum(0) / (~included).sum(0))
    r = np.corrcoef(*halves)[0, 1]
    assert summary.split_half == pytest.approx(r)
    assert summary.split_half_corrected == pytest.approx(2 * r / (1 + r))
    assert summary.reliability == pytest.approx(1 - np.mean(found.stderr**2) / np.var(found.values, ddof=1))
    assert summary.mislabeled_fit == pytest.approx(found.p_in[variant.mislabeled].mean())
    assert summary.clean_fit == pytest.approx(found.p_in[variant.known & ~variant.mislabeled].mean())
    assert summary.mislabeled_memorization == pytest.approx(found.values[variant.mislabeled].mean())
    assert summary.clean_damage == pytest.approx(found.clean_damage[variant.mislabeled].mean())
    assert (summary.models, summary.undefined, summary.models_per_second) == (110, 0, 7.0)
    assert summary.rms_stderr <= summary.largest_stderr == found.stderr.max()


def small_truth(*, empty: bool = True) -> tuple[Variant, Pool, Memorization]:
    variant = variant_of(12, unknown=2)
    pool = planted(variant, np.full(12, 0.9), np.full(12, 0.4), 20, balanced=True, seed=0)
    if empty:
        included = pool.included.copy()
        included[:, 5] = True
        pool = replace(pool, included=included)
    return variant, pool, estimate_memorization(pool, variant)


def test_file_of_an_estimate(tmp_path: Path) -> None:
    """What is read is what was written, NaN included, and the same estimate gives the same bytes."""
    _, _, truth = small_truth()
    for name in ("one.parquet", "two.parquet"):
        write_memorization(truth, tmp_path / name)
    found = read_memorization(tmp_path / "one.parquet", truth.variant_id)
    for name in Memorization.__slots__:
        np.testing.assert_array_equal(getattr(found, name), getattr(truth, name))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    with pytest.raises(Mismatch, match=r"one.parquet is of variant '[0-9a-f]{12}', expected 00"):
        read_memorization(tmp_path / "one.parquet", "0" * 64)


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("sample", lambda v: v[::-1].copy(), "not in sample order"),
        ("p_in", lambda v: v + 1, "is no share"),
        ("memorization", lambda v: v + 0.1, "memorization is not p_in - p_out"),
        ("stderr", lambda v: np.where(np.arange(12) == 3, np.nan, v), r"stderr\[3\] = nan with 14 models that saw"),
        ("margin", lambda v: np.where(np.arange(12) == 3, np.inf, v), r"margin\[3\] = inf"),
        ("clean_damage", np.zeros_like, r"clean_damage\[5\] = 0.0 with 20 models .* and 0 that did not"),
        ("n_in", lambda v: v + 1, "sample 0: 15 models in and 6 out are not all 20"),
        ("n_in", lambda v: v.astype(np.float64), "'n_in' is float64, expected one int64 a sample"),
    ],
)
def test_a_changed_estimate_is_refused(tmp_path: Path, column: str, change: Any, message: str) -> None:  # noqa: ANN401
    """Each inconsistency of the table is named, with the file."""
    path = tmp_path / "memorization.parquet"
    write_memorization(small_truth()[2], path)
    columns, metadata = read_columns(path)
    write_columns({**columns, column: change(columns[column])}, path, metadata=metadata)
    with pytest.raises(BadData, match=f"memorization.parquet.*{message}"):
        read_memorization(path)
    write_columns(columns, path, metadata={**metadata, "models": "many"})
    with pytest.raises(BadData, match="does not say of which learner"):
        read_memorization(path)


def test_the_learner_is_stored_as_fields(tmp_path: Path) -> None:
    """Fields come back whatever a name holds, the sentences of 0.1.0 are still read, and anything else is refused."""
    path, truth = tmp_path / "memorization.parquet", small_truth()[2]
    odd = Learner("a, b, 3 epochs (c), fraction 0.5, on x", "d (e), f", 3, "", 'say "hi"', 0.123456789, balanced=True)
    write_memorization(replace(truth, learner=odd), path)
    assert read_memorization(path).learner == odd
    columns, metadata = read_columns(path)
    for words, learner in (
        (MADE_UP.name, MADE_UP),
        (
            "mlp, overfit, 45 epochs (558730), fraction 0.7, on input",
            Learner("mlp", "overfit", 45, "558730", fraction=0.7),
        ),
    ):
        write_columns(columns, path, metadata={**metadata, "learner": words})
        assert read_memorization(path).learner == learner
    fields = json.loads(metadata["learner"])
    for text, message in (
        ("someone", "does not say of which learner it is, but 'someone'"),
        ("[1]", "does not say of which learner"),
        ("[" * 100_000, "does not say of which learner"),
        (json.dumps({**fields, "epochs": "3"}), "'epochs' is '3', expected int"),
        (json.dumps({**fields, "momentum": 1}), "has a field 'momentum', which is none of"),
        (json.dumps({"model": "mlp"}), "lacks 'recipe'"),
    ):
        write_columns(columns, path, metadata={**metadata, "learner": text})
        with pytest.raises(BadData, match=message):
            read_memorization(path)


def test_a_pool_that_does_not_say_what_was_trained_is_refused(tmp_path: Path) -> None:
    """Whose memorization it is must follow from the setup of its blocks, by fields."""
    variant = variant_of(13)
    write_pool(tmp_path, variant, models=10)
    block = read_block(block_path(tmp_path, 0, 10), variant)
    for name in SETUP:
        setup = {key: value for key, value in SETUP.items() if key != name}
        write_block(replace(block, record={**block.record, "setup": setup}), block_path(tmp_path, 0, 10))
        with pytest.raises(BadData, match=f"does not say in its setup what was trained .*{name}"):
            read_pool(tmp_path, variant)


def write_pool(folder: Path, variant: Variant, models: int = 2 * BLOCK + 20) -> Pool:
    """A folder of blocks of random answers, and the pool that they are."""
    rng = np.random.default_rng(0)
    n, k = len(variant.labels), variant.num_classes
    included = subsets(range(models), n, 0.7, seed=0)
    predictions = rng.integers(0, k, (models, n)).astype(np.uint8)
    margins = rng.normal(size=(models, n)).astype(np.float16)
    softmax = rng.dirichlet(np.ones(k), (models, n))
    for number in range(-(-models // BLOCK)):
        rows = slice(number * BLOCK, (number + 1) * BLOCK)
        count = len(included[rows])
        record = {
            "variant_id": variant.provenance.variant_id,
            "learner": MADE_UP.name,
            "purpose": "detector",
            "seed": 3,
            "first": number * BLOCK,
            "models": count,
            "group_size": 10,
            "setup": SETUP,
        }
        held_out = (softmax[rows] * ~included[rows, :, None]).sum(0).astype(np.float32)
        block = Block(included[rows], predictions[rows], margins[rows], held_out, record)
        write_block(block, block_path(folder, number, count))
    held_out = (softmax * ~included[:, :, None]).sum(0) / (~included).sum(0)[:, None]
    identity = variant.provenance.variant_id
    return Pool(
        included, predictions, margins, held_out.astype(np.float32), np.arange(models) // 10,
        MADE_UP, "detector", 3, identity,
    )  # fmt: skip


def test_a_pool_from_its_blocks(tmp_path: Path) -> None:
    """Blocks of 50 models and a shorter last one give every model back, and the mean softmax of those that did not see."""
    variant = variant_of(13)
    written = write_pool(tmp_path, variant)
    found = read_pool(tmp_path, variant)
    for name in Pool.__slots__:
        if name != "held_out":
            np.testing.assert_array_equal(getattr(found, name), getattr(written, name))
    np.testing.assert_allclose(found.held_out, written.held_out, rtol=1e-5)
    first = read_pool(tmp_path, variant, models=BLOCK)
    np.testing.assert_array_equal(first.margins, written.margins[:BLOCK])
    assert read_pool(tmp_path, variant, models=2 * BLOCK).included.shape == (2 * BLOCK, 13)
    before = block_path(tmp_path, 1).read_bytes()
    write_block(read_block(block_path(tmp_path, 1), variant), block_path(tmp_path, 1))
    assert block_path(tmp_path, 1).read_bytes() == before


def test_a_broken_pool_is_refused(tmp_path: Path) -> None:
    """A missing block, one of another place, setup or variant, damage and pickles are each answered in a sentence."""
    variant = variant_of(13)
    with pytest.raises(BadData, match="holds no pool of models; 'noisybench memorize' trains one"):
        read_pool(tmp_path, variant)
    write_pool(tmp_path, variant)
    paths = [block_path(tmp_path, 0), block_path(tmp_path, 1), block_path(tmp_path, 2, 20)]
    kept = [path.read_bytes() for path in paths]
    with pytest.raises(Mismatch, match="block-0000.npz is of variant '[0-9a-f]{12}', expected"):
        read_pool(tmp_path, variant_of(14))
    with pytest.raises(BadData, match=r"block-0002-of-30.npz cannot be read as a block of models: No such file"):
        read_pool(tmp_path, variant, models=130)
    paths[1].write_bytes(kept[0])
    with pytest.raises(BadData, match="block-0001.npz has first = 0, expected 50"):
        read_pool(tmp_path, variant)
    paths[1].write_bytes(kept[1][:-200])
    with pytest.raises(BadData, match="block-0001.npz cannot be read .* damaged, or no block; delete it to train"):
        read_pool(tmp_path, variant)
    paths[1].unlink()
    with pytest.raises(BadData, match="lacks block-0001.npz; say the same command again"):
        read_pool(tmp_path, variant)
    paths[1].write_bytes(kept[1])
    block = read_block(paths[1], variant)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"record": {**block.record, "setup": {"fraction": 0.5}}}, r"has setup = {'fraction': 0.5}, expected"),
        ({"record": {**block.record, "seed": "three"}}, "'seed' is 'three', expected int"),
        ({"predictions": block.predictions + np.uint8(4)}, "holds values that no model gives"),
        ({"margins": np.full_like(block.margins, np.nan)}, "holds values that no model gives"),
        ({"margins": block.margins[:, :5]}, r"'margins' is float16 of shape \(50, 5\), expected float16 of shape"),
    ]
    for change, message in changes:
        write_block(replace(block, **change), paths[1])
        with pytest.raises(BadData, match=f"block-0001.npz.*{message}"):
            read_pool(tmp_path, variant)

    class Malice:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "hacked"),)

    arrays = {name: getattr(block, name) for name in ("included", "predictions", "margins", "held_out")}
    np.savez(paths[1], record=np.array([Malice()]), **arrays)
    with pytest.raises(BadData, match="it holds Python objects, which are never unpickled"):
        read_pool(tmp_path, variant)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("fraction", "n", "message"),
    [
        (0.0, 40, "fraction must lie strictly between 0 and 1"),
        (float("nan"), 40, "fraction must lie strictly between 0 and 1"),
        (0.7, 2, "a fraction of 0.7 of 2 samples leaves 1 in a subset"),
        (0.333, 40, "no group of up to 50 models can leave each sample out of exactly a fraction of 0.667"),
    ],
)
def test_bad_fractions(fraction: float, n: int, message: str) -> None:
    """A fraction that gives no subsets is refused with what would do."""
    with pytest.raises(BadUsage, match=message):
        subsets(range(3), n, fraction, seed=0)


def test_another_variant_is_refused() -> None:
    """A pool or an estimate is never read against labels that are not its own."""
    _, pool, truth = small_truth(empty=False)
    other = variant_of(12, k=3)
    with pytest.raises(Mismatch, match="the pool is of variant"):
        estimate_memorization(pool, other)
    with pytest.raises(Mismatch, match="the memorization is of variant"):
        summarise(truth, pool, other)
    with pytest.raises(BadData, match=r"'margins' has shape \(20, 3\), 'included' has \(20, 12\)"):
        replace(pool, margins=pool.margins[:, :3])
