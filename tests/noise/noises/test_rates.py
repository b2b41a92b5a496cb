"""Rates: three of them, with 10, 100 and 1,000 classes, in every mode, for the noises whose own tests do not do it."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.lookup import find
from noisybench.variants.flipping import Mode

EACH = 12
NOISES: dict[str, dict[str, Any]] = {
    "symmetric": {},
    "pair_flip": {},
    "instance": {},
    "transition": {},
    "coteaching": {},
    "dividemix_symmetric": {},
    "loss_correction": {},
}


def classes(k: int) -> Source:
    """Twelve samples of each of k classes, in a drawn order, with four columns."""
    rng = np.random.default_rng(k)
    clean = rng.permutation(np.repeat(np.arange(k), EACH))
    return source_from_arrays("made", rng.normal(size=(EACH * k, 4)), clean, clean=clean)


@pytest.mark.parametrize("rate", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("k", [10, 100, 1000])
@pytest.mark.parametrize("name", NOISES)
def test_the_rate_is_met(name: str, k: int, rate: float, tmp_path: Path) -> None:
    """Exactly: the nearest count, overall or within one of it in each class; in bernoulli, within 4.5 sigma.

    The counts are taken by comparing labels; the expectation is the rate itself, and for inclusive noise (DivideMix)
    the rate less the share that draws its own class again.
    """
    source = classes(k)
    n = len(source.clean)
    kind = find("noises", name)
    options: dict[str, Any] = {"rate": rate}
    if name == "transition":
        np.save(tmp_path / "matrix.npy", (1 - rate) * np.eye(k) + rate * np.roll(np.eye(k), 2, axis=1))
        options = {"matrix": tmp_path / "matrix.npy"}
    noise = kind(**options)
    share = rate * (k - 1) / k if name == "dividemix_symmetric" else rate
    modes: tuple[Mode, ...] = getattr(kind, "modes", get_args(Mode))
    for mode in modes:
        labels = noise(source, seed=3, mode=mode).labels
        wrong = labels != source.clean
        if mode == "bernoulli" or name == "dividemix_symmetric":
            assert abs(wrong.sum() - share * n) <= 4.5 * np.sqrt(n * share * (1 - share))
        else:
            assert abs(wrong.sum() - rate * n) <= 0.5
        if mode == "exact_per_class":
            assert np.abs(np.bincount(source.clean[wrong], minlength=k) - rate * EACH).max() < 1
    assert np.array_equal(source.labels, classes(k).labels)
