"""Threshold samples: areas, cuts and who lies below all of them, against loops."""

import numpy as np

from noisybench.statistics.threshold_samples import margins_below_cuts


def test_areas_and_cuts_equal_a_loop() -> None:
    """Of random margins of three trainings; below 0 is who lies below the cut of each training that counts for him."""
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(5, 80, 3)).astype(np.float32)
    members = np.arange(80)[:, None] // 10 == np.arange(3)
    found = margins_below_cuts(margins, members)
    cuts = []
    for t in range(3):
        areas = sorted(margins[:, i, t].astype(float).sum() / 5 for i in range(80) if members[i, t])
        place = 0.99 * (len(areas) - 1)
        low = int(place)
        cuts.append(areas[low] + (place - low) * (areas[low + 1] - areas[low]))
    np.testing.assert_allclose(found.cuts, cuts, rtol=1e-12)
    for i in range(80):
        own = {t: margins[:, i, t].astype(float).mean() for t in range(3) if not members[i, t]}
        assert np.isclose(found.aum[i], sum(own.values()) / len(own), rtol=1e-12)
        assert (found.excess[i] < 0) == all(area < cuts[t] for t, area in own.items())
    assert 0 < (found.excess < 0).sum() < 80


def test_the_cut_is_the_authors_rule_but_for_one_threshold_sample() -> None:
    """They flag who lies below more than 1 % of them: the same samples but those between two of the highest."""
    rng = np.random.default_rng(1)
    for m in (20, 54, 450, 1_000):
        margins = rng.normal(size=(1, 3_000, 2)).astype(np.float32)
        members = np.arange(3_000)[:, None] // m == np.arange(2)
        areas = margins[0, :, 0].astype(np.float64)
        published = np.array([(area < areas[:m]).mean() > 0.01 for area in areas[m:]])
        ours = areas[m:] < margins_below_cuts(margins, members).cuts[0]
        highest = np.sort(areas[:m])
        between = (areas[m:] >= highest[-1 - int(np.ceil(0.01 * m))]) & (areas[m:] <= highest[-1 - int(0.01 * m)])
        assert not (published != ours)[~between].any()
