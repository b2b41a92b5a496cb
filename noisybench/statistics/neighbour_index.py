"""Nearly all of the nearest others by an index, where all pairs would take too long: only for who asks for it by name.

HNSW of faiss-cpu, whose wheels are there for every Python that this package takes; hnswlib is compiled at installation.
With one thread the same rows give the same graph. What is found is compared again by similarities in float32 and the tie
rule of ``nearest_others``, but that of many more than ``SPARE`` who tie, as copies do, some are not found. Other instruction
sets may round otherwise, as they may in every product.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats32, Indices, Labels
from noisybench.ground.checks import check_choice
from noisybench.ground.errors import MissingPackage
from noisybench.statistics.nearest import Near, by_rows, nearest_others, tell_of_time
from noisybench.statistics.similarity import Points, shared_places

IndexName = Literal["hnsw"]
"""Names of the indexes that there are."""
LINKS, BUILT_FROM, LOOKED_AT = 32, 80, 128
"""M, efConstruction and the least efSearch of HNSW: see ``tests/benchmarks/neighbours.py`` for what is found."""
SPARE = 16
"""Others beyond k that are asked for, since the sample itself, its group and ties are among them."""
ASKED_AT_ONCE = 4096
CHECKED = 200
"""Samples whose neighbours are also looked for among all, to say how many the index finds."""

Search = Callable[[Floats32, int], tuple[Floats32, Labels]]
log = logging.getLogger("noisybench")


def as_index(index: str | None) -> IndexName | None:
    """``index``, or ``BadUsage`` unless it is None or the name of one; whether its package is there, is not looked at."""
    if index is None:
        return None
    check_choice(index, "index", get_args(IndexName))
    return "hnsw"


def index_versions(index: IndexName | None) -> dict[str, str]:
    """Package and version of an index, for a record; ``MissingPackage`` where it is not there."""
    return {} if index is None else {"faiss": str(_faiss(index).__version__)}


def neighbours_by(points: Points, near: Labels, index: IndexName | None) -> Iterator[Near]:
    """Neighbours of all samples, as ``nearest_others`` yields them: exact, or by an index.

    A search of all pairs that takes long says so first, and an index how many neighbours it finds.

    Args:
        points: The samples; nobody of a group is a neighbour within it.
        near: Neighbours of each sample, at least 1 and no more than samples outside its group, shape (n,).
        index: ``hnsw``, or None for all pairs.

    Raises:
        MissingPackage: That of the index is not there.

    Source: Malkov and Yashunin 2018, arXiv:1603.09320.
    """
    if index is None:
        tell_of_time(
            points,
            "index hnsw (--index hnsw; of a noise, --set index=hnsw) finds nearly all of them sooner from some 100,000 on",
        )
        yield from nearest_others(points, near)
        return
    search, some = _hnsw(points, index), np.unique(np.linspace(0, len(near) - 1, CHECKED).astype(np.int64))
    share = _share_found(_looked_up(points, near, search, some), by_rows(points, near, some))
    log.warning(
        "index '%s' finds %.2f %% of the %d nearest (%d samples compared with all)",
        index,
        100 * share,
        near.max(),
        len(some),
    )
    yield from _looked_up(points, near, search, np.arange(len(near)))


def _faiss(index: str) -> Any:  # noqa: ANN401 - a package without types
    try:
        import faiss
    except ModuleNotFoundError:
        msg = f"index '{index}' needs the package 'faiss-cpu': pip install 'noisybench[index]'"
        raise MissingPackage(msg) from None
    return faiss


def _hnsw(points: Points, index: str) -> Search:
    """What asks the index for so many of the nearest samples: (b, d) → similarities, largest first, and numbers, (b, m) each."""
    faiss = _faiss(index)
    metric = faiss.METRIC_INNER_PRODUCT if points.halves is None else faiss.METRIC_L2
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # several would insert in another order every time
    try:
        graph = faiss.IndexHNSWFlat(points.rows.shape[1], LINKS, metric)
        graph.hnsw.efConstruction = BUILT_FROM
        graph.add(points.rows)
    finally:
        faiss.omp_set_num_threads(before)

    def search(rows: Floats32, count: int) -> tuple[Floats32, Labels]:
        graph.hnsw.efSearch = max(LOOKED_AT, 2 * count)
        found, numbers = graph.search(rows, count)
        return found, numbers

    return search


def _looked_up(points: Points, near: Labels, search: Search, some: Indices) -> Iterator[Near]:
    """Neighbours of some samples by the index; of whom it finds too few, by comparing with all."""
    count = min(int(near.max()) + 1 + SPARE, len(near))
    for start in range(0, len(some), ASKED_AT_ONCE):
        samples = some[start : start + ASKED_AT_ONCE]
        _, numbers = search(points.rows[samples], count)
        similar = _similar(points, samples, numbers)
        short = np.isfinite(similar).sum(1) < near[samples]
        if short.any():
            yield from by_rows(points, near, samples[short])
            samples, numbers, similar = samples[~short], numbers[~short], similar[~short]
        if len(samples):
            row, place, weight = shared_places(similar, near[samples])
            yield Near(samples, row, numbers[row, place], similar[row, place], weight)


def _similar(points: Points, samples: Indices, numbers: Labels) -> Floats32:
    """Similarity of samples (b,) to those found (b, m), minus infinity where nobody was, or one of the group."""
    rows, halves, members = points
    similar: NDArray[np.float32] = np.einsum("ij,imj->im", rows[samples], rows[numbers])
    if halves is not None:
        similar -= halves[numbers]
    similar[(numbers < 0) | (members[numbers] == members[samples, None])] = -np.inf
    return similar


def _share_found(found: Iterator[Near], exact: Iterator[Near]) -> float:
    """Mean share of the exact neighbours, by their weights, that were found."""
    weights = [
        {
            (int(part.samples[row]), int(column)): float(weight)
            for row, column, weight in zip(part.row, part.column, part.weight, strict=True)
        }
        for part in found
    ]
    there = {pair: weight for part in weights for pair, weight in part.items()}
    total = shared = 0.0
    for part in exact:
        for row, column, weight in zip(part.row, part.column, part.weight, strict=True):
            total += weight
            shared += min(weight, there.get((int(part.samples[row]), int(column)), 0.0))
    return shared / total
