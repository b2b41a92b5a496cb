"""Splits that a seed decides: halves alike in their classes, and sets that share no sample."""

import numpy as np

from noisybench.statistics.splitting import disjoint_sets, stratified_halves


def test_halves_are_even_in_every_class_and_in_all() -> None:
    """To one sample, whatever the sizes of the classes; who does not count is in half 0 and unbalances nothing."""
    rng = np.random.default_rng(0)
    for seed in range(20):
        labels = rng.choice(7, size=int(rng.integers(1, 90)), p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05, 0.0])
        but = rng.random(len(labels)) < 0.2
        for left_out in (None, but):
            counted = np.ones(len(labels), dtype=bool) if left_out is None else ~left_out
            halves = stratified_halves(labels, seed, but=left_out)
            sizes = np.stack([np.bincount(labels[counted & (halves == half)], minlength=7) for half in (0, 1)])
            assert np.abs(sizes[0] - sizes[1]).max() <= 1
            assert abs(int(sizes[0].sum() - sizes[1].sum())) <= 1
            assert not halves[~counted].any()


def test_halves_are_random_and_the_seeds_own() -> None:
    """The same of a seed; over seeds every pair of a class is parted about half of the time."""
    labels = np.zeros(10, dtype=np.int64)
    assert np.array_equal(stratified_halves(labels, 3), stratified_halves(labels, 3))
    drawn = np.stack([stratified_halves(labels, seed) for seed in range(2_000)])
    parted = (drawn[:, :, None] != drawn[:, None, :]).mean(0)[~np.eye(10, dtype=bool)]
    assert np.abs(parted - 5 / 9).max() < 0.05
    assert np.abs(drawn.mean(0) - 0.5).max() < 0.05


def test_disjoint_sets_share_no_sample() -> None:
    """Each has its size, ascending, from the candidates alone; each candidate is equally often in each."""
    candidates = np.array([1, 4, 6, 7, 9, 12, 15, 20])
    counts = np.zeros((2, 21))
    for seed in range(2_000):
        sets = disjoint_sets(candidates, 3, 2, seed, "test")
        assert [len(one) for one in sets] == [3, 3]
        assert len({*sets[0], *sets[1]}) == 6
        for number, one in enumerate(sets):
            assert (np.diff(one) > 0).all()
            counts[number, one] += 1
    assert counts[:, np.setdiff1d(np.arange(21), candidates)].sum() == 0
    assert np.abs(counts[:, candidates] / 2_000 - 3 / 8).max() < 0.05
