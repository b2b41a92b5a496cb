"""Neighbours by an index, against all pairs; what a search says beforehand."""

import logging
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.ground.errors import BadUsage, MissingPackage
from noisybench.noise.noises.neighbourhood import Neighbourhood
from noisybench.statistics import nearest
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.similarity import Distance
from noisybench.statistics.vicinity import vicinity


def overlapping(n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Samples of 16 numbers in four classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, n)
    return (rng.normal(size=(4, 16))[labels] + rng.normal(size=(n, 16))).astype(np.float32), labels


@pytest.mark.integration("faiss")
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_an_index_finds_nearly_all(distance: Distance, caplog: pytest.LogCaptureFixture) -> None:
    """It says how many, by samples that are compared with all; the same rows have the same neighbours; groups hold."""
    x, labels = overlapping(1500)
    groups = np.arange(1500) // 3
    exact = neighbour_labels(x, labels, 4, 10, groups=groups, distance=distance)
    found = neighbour_labels(x, labels, 4, 10, groups=groups, distance=distance, index="hnsw")
    assert np.abs(found - exact).sum() / 2 / 1500 < 0.005
    assert "of the 10 nearest (200 samples compared with all)" in caplog.text
    assert float(caplog.text.split("finds ")[1].split()[0]) > 99
    again = neighbour_labels(x, labels, 4, 10, groups=groups, distance=distance, index="hnsw")
    assert found.tobytes() == again.tobytes()


@pytest.mark.integration("faiss")
def test_who_has_few_others_in_reach_is_compared_with_all() -> None:
    """Where its group is all that the index finds of a sample."""
    x, labels = overlapping(400)
    x[:100] = x[0] + x[:100] / 100
    groups = np.maximum(np.arange(400), 99) - 99
    exact = neighbour_labels(x, labels, 4, 5, groups=groups)
    found = neighbour_labels(x, labels, 4, 5, groups=groups, index="hnsw")
    np.testing.assert_allclose(found[:100], exact[:100], atol=1e-6)
    assert np.abs(found - exact).sum() / 2 / 400 < 0.02


def test_an_index_that_is_none_or_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, and with what to install; a noise says the first as it is declared."""
    x, labels = overlapping(50)
    with pytest.raises(BadUsage, match="index must be one of hnsw, got 'ball'"):
        neighbour_labels(x, labels, 4, 5, index="ball")  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match="index must be one of hnsw, got 'ball'"):
        Neighbourhood(0.2, index="ball")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(
        MissingPackage, match=r"index 'hnsw' needs the package 'faiss-cpu': pip install 'noisybench\[index\]'"
    ):
        neighbour_labels(x, labels, 4, 5, index="hnsw")


def test_a_long_search_is_told_beforehand(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Only where it is expected to take more than a minute."""
    x, labels = overlapping(50)
    with caplog.at_level(logging.WARNING):
        neighbour_labels(x, labels, 4, 5)
        assert not caplog.text
        monkeypatch.setattr(nearest, "LONG", 1e-9)
        neighbour_labels(x, labels, 4, 5)
        vicinity(x, labels, 4)
    assert (
        "all pairs of 50 × 16 are compared for their neighbours, which takes about 1 minutes on one core; index hnsw "
        "(--index hnsw; of a noise, --set index=hnsw)" in caplog.text
    )
    assert "(--detectors fast)" in caplog.text
