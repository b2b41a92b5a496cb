"""Transition matrices: checked, counted, and of many classes held as few numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Indices, Labels, check_array
from noisybench.ground.checks import check_room, whole
from noisybench.ground.errors import BadData

MOST_DENSE = 1000
"""Classes up to which a matrix is an array of all its entries; of more it is a ``SparseTransition``."""
_BLOCK = 1 << 22
"""Entries of the rows that are written out at a time."""
_ROUNDING = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class SparseTransition:
    """A (k, k) matrix of many classes: some entries one by one, and all others from the product of two thin matrices.

    Symmetric noise is its diagonal and one number for the rest, pair-flip noise two entries a row, and counts are those
    that occur. No method but ``toarray`` holds all k × k entries.

    Attributes:
        size: Classes, k.
        rows: Row of each entry, in increasing order of row and column, shape (m,).
        columns: Its column, shape (m,).
        values: The entry itself, shape (m,).
        left: Shape (k, r), see ``right``; NaN in a row of which nothing is known.
        right: Shape (r, k): every entry that is not among ``values`` is that of ``left @ right``.
    """

    size: int
    rows: Indices
    columns: Indices
    values: Floats
    left: Floats
    right: Floats

    def __repr__(self) -> str:
        rest = "0 elsewhere" if not self.left.any() else f"rank {len(self.right)} elsewhere"
        return f"SparseTransition({self.size} classes, {len(self.values)} entries, {rest})"

    @property
    def shape(self) -> tuple[int, int]:
        """As of an array: (k, k)."""
        return (self.size, self.size)

    @property
    def even(self) -> bool:
        """Whether the entries of a row that are not among ``values`` are all the same."""
        return not self.right.size or not np.ptp(self.right, axis=1).any()

    def diagonal(self) -> Floats:
        """Its diagonal, shape (k,)."""
        found = np.einsum("ir,ri->i", self.left, self.right)
        own = self.rows == self.columns
        found[self.rows[own]] = self.values[own]
        return found

    def row(self, index: int) -> Floats:
        """One row, shape (k,)."""
        start, stop = np.searchsorted(self.rows, (index, index + 1))
        found: Floats = self.left[index] @ self.right
        found[self.columns[start:stop]] = self.values[start:stop]
        return found

    def block(self, indices: Indices) -> Floats:
        """Some rows, shape (m, k)."""
        found: Floats = self.left[indices] @ self.right
        starts, stops = (np.searchsorted(self.rows, indices, side) for side in ("left", "right"))
        sizes = stops - starts
        at = np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        found[np.repeat(np.arange(len(indices)), sizes), self.columns[at]] = self.values[at]
        return found

    def blocks(self, indices: Indices | None = None) -> Iterator[tuple[Indices, Floats]]:
        """Rows (all, where none are named) in parts that fit in memory: their indices (m,) and entries (m, k)."""
        indices = np.arange(self.size) if indices is None else indices
        step = max(1, _BLOCK // self.size)
        for start in range(0, len(indices), step):
            part = indices[start : start + step]
            yield part, self.block(part)

    def at(self, rows: Indices, columns: Indices) -> Floats:
        """The entries at some places, shape (m,)."""
        found: Floats = np.einsum("mr,rm->m", self.left[rows], self.right[:, columns])
        if len(self.values):
            keys, wanted = self.rows * self.size + self.columns, rows * self.size + columns
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            there = keys[place] == wanted
            found[there] = self.values[place[there]]
        return found

    def toarray(self) -> Floats:
        """All entries, shape (k, k).

        Raises:
            BadUsage: They do not fit in memory.
        """
        check_room(self.size, self.size, "the matrix", "read its rows: .row(i), .blocks()")
        return self.block(np.arange(self.size))

    def weighted_sum(self, weights: Floats) -> Floats:
        """Sum of the rows, each times its weight, shape (k,); a row of weight zero counts for nothing."""
        left = np.where(weights[:, None] > 0, weights[:, None] * self.left, 0.0)
        extra = np.where(weights[self.rows] > 0, weights[self.rows] * self._extra(), 0.0)
        found: Floats = left.sum(0) @ self.right + np.bincount(self.columns, extra, minlength=self.size)
        return found

    def row_sums(self) -> Floats:
        """Sum of each row, shape (k,)."""
        found: Floats = self.left @ self.right.sum(1) + np.bincount(self.rows, self._extra(), minlength=self.size)
        return found

    def greatest_others(self) -> Floats:
        """Greatest entry of each row off the diagonal, shape (k,)."""
        if not self.even:
            parts = [_without_diagonal(part, block).max(1) for part, block in self.blocks()]
            return np.concatenate(parts)
        off = self.rows != self.columns
        found = np.full(self.size, -np.inf)
        np.maximum.at(found, self.rows[off], self.values[off])
        rest = self.left @ self.right[:, 0]
        full = np.bincount(self.rows[off], minlength=self.size) == self.size - 1
        return np.where(full, found, np.maximum(found, rest))

    def likeliest_others(self, indices: Indices) -> Indices:
        """The column of that entry, the first of several, for some rows, shape (m,)."""
        parts = [_without_diagonal(part, block).argmax(1) for part, block in self.blocks(indices)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.intp)

    def with_diagonal(self, values: Floats) -> "SparseTransition":
        """The same with another diagonal, shape (k,)."""
        off, every = self.rows != self.columns, np.arange(self.size)
        rows, columns = np.append(self.rows[off], every), np.append(self.columns[off], every)
        order = np.lexsort((columns, rows))
        entries = np.append(self.values[off], values)[order]
        return SparseTransition(self.size, rows[order], columns[order], entries, self.left, self.right)

    def scaled(self, weights: Floats) -> "SparseTransition":
        """Each row times its weight, shape (k,)."""
        values, left = weights[self.rows] * self.values, weights[:, None] * self.left
        return SparseTransition(self.size, self.rows, self.columns, values, left, self.right)

    def divided(self, sizes: Floats) -> "SparseTransition":
        """Each row by its size, shape (k,); a row of size NaN is unknown."""
        known = ~np.isnan(sizes)
        kept = known[self.rows]
        rows, columns, values = self.rows[kept], self.columns[kept], self.values[kept]
        left, right = self.left, self.right
        if not known.all() and not right.size:
            left, right = np.zeros((self.size, 1)), np.ones((1, self.size))
        return SparseTransition(self.size, rows, columns, values / sizes[rows], left / sizes[:, None], right)

    def __matmul__(self, other: "SparseTransition") -> "SparseTransition":
        """The product, again of few numbers.

        Raises:
            BadUsage: It has too many entries that are not zero.
        """
        needed = int(np.bincount(other.rows, minlength=self.size)[self.columns].sum())
        check_room(needed, 1, "the product of two transition matrices", "use steps that mistake fewer classes")
        first, second = self.additive(), other.additive()
        product = (first @ second).tocoo()
        left = np.hstack([first @ other.left + self.left @ (self.right @ other.left), self.left])
        right = np.vstack([other.right, (second.T @ self.right.T).T])
        # What is constant but for rounding is one row.
        constant = np.ptp(right, axis=1) <= 1e-12 * right.max(axis=1) if right.size else np.zeros(0, dtype=bool)
        if constant.any():
            even = (left[:, constant] @ right[constant, :1])[:, 0]
            left = np.column_stack([left[:, ~constant], even])
            right = np.vstack([right[~constant], np.ones(self.size)])
        order = np.lexsort((product.col, product.row))
        rows, columns = product.row[order].astype(np.int64), product.col[order].astype(np.int64)
        empty = SparseTransition(self.size, rows[:0], rows[:0], np.zeros(0), left, right)
        values = product.data[order] + empty.at(rows, columns)
        values[np.abs(values) < 1e-15] = 0.0  # noqa: PLR2004 - rounding
        return SparseTransition(self.size, rows, columns, values, left, right)

    def additive(self) -> Any:  # noqa: ANN401 - scipy is untyped
        """The entries as a sparse array (k, k) of scipy, less those of ``left @ right``: the matrix is their sum."""
        from scipy.sparse import csr_array

        return csr_array((self._extra(), (self.rows, self.columns)), shape=self.shape)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it is made of, by name: what is written, digested and compared."""
        return {name: getattr(self, name) for name in ("rows", "columns", "values", "left", "right")}

    def _extra(self) -> Floats:
        thin: Floats = np.einsum("mr,rm->m", self.left[self.rows], self.right[:, self.columns])
        return self.values - thin


AnyTransition: TypeAlias = NDArray[np.float64] | SparseTransition
"""A matrix over the classes: all its entries up to ``MOST_DENSE`` classes, few numbers for more."""


def is_large(num_classes: int) -> bool:
    """Whether a matrix of so many classes is kept as few numbers."""
    return num_classes > MOST_DENSE


def uniform_law(num_classes: int, *, own: bool) -> AnyTransition:
    """Rows that give all classes alike, or all ``own`` ones left out, shape (k, k)."""
    k = whole(num_classes, "num_classes", least=1)
    if not is_large(k):
        return np.full((k, k), 1 / k) if own else (1 - np.eye(k)) / max(k - 1, 1)
    none = np.zeros(0, dtype=np.int64)
    share = np.full((k, 1), 1 / k if own else 1 / (k - 1))
    law = SparseTransition(k, none, none, np.zeros(0), share, np.ones((1, k)))
    return law if own else law.with_diagonal(np.zeros(k))


def mapped_law(goals: Labels) -> AnyTransition:
    """Rows that give class i its one goal, from the goals (k,): shape (k, k)."""
    check_array(goals, "goals", dimensions=1, kinds="iu")
    k = len(goals)
    if not is_large(k):
        law: Floats = np.eye(k)[goals]
        return law
    return sparse(np.arange(k), goals, np.ones(k), k)


def sparse(rows: Indices, columns: Indices, values: Floats, num_classes: int) -> SparseTransition:
    """A matrix of some entries, each of the shape (m,) and in any order, and zero elsewhere."""
    order = np.lexsort((columns, rows))
    rows, columns = rows[order].astype(np.int64), columns[order].astype(np.int64)
    thin = np.zeros((num_classes, 0))
    return SparseTransition(num_classes, rows, columns, values[order].astype(np.float64), thin, thin.T)


def compact(matrix: AnyTransition) -> AnyTransition:
    """The same matrix, of many classes as few numbers."""
    if isinstance(matrix, SparseTransition) or matrix.ndim != 2 or not is_large(len(matrix)):  # noqa: PLR2004
        return matrix
    rows, columns = np.nonzero(matrix)
    return sparse(rows, columns, matrix[rows, columns], len(matrix))


def all_entries(matrix: AnyTransition) -> Floats:
    """A matrix as an array (k, k), however it is kept.

    Raises:
        BadUsage: It does not fit in memory.
    """
    return matrix.toarray() if isinstance(matrix, SparseTransition) else matrix


def off_diagonal(matrix: AnyTransition) -> AnyTransition:
    """The same with nothing on the diagonal, shape (k, k)."""
    if isinstance(matrix, SparseTransition):
        return matrix.with_diagonal(np.zeros(matrix.size))
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    return wrong


def row_sums(matrix: AnyTransition) -> Floats:
    """Sum of each row, shape (k,)."""
    sums: Floats = matrix.row_sums() if isinstance(matrix, SparseTransition) else matrix.sum(1)
    return sums


def count_transitions(labels: Labels, clean: Labels, num_classes: int) -> NDArray[np.int64]:
    """How many samples of clean class i are given class j, shape (k, k)."""
    counts = np.bincount(clean * num_classes + labels, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def count_pairs(labels: Labels, clean: Labels, num_classes: int) -> SparseTransition:
    """The counts of ``count_transitions`` that are not zero, as a sparse matrix of numbers."""
    keys, counts = np.unique(clean * num_classes + labels, return_counts=True)
    return sparse(keys // num_classes, keys % num_classes, counts, num_classes)


def check_transition(matrix: AnyTransition, num_classes: int) -> None:
    """Raise ``BadData`` unless ``matrix`` is (k, k), not negative, with rows P(given | clean) that sum to one."""
    if matrix.shape != (num_classes, num_classes):
        msg = (
            f"a transition matrix of {num_classes} classes has shape ({num_classes}, {num_classes}), got {matrix.shape}"
        )
        raise BadData(msg)
    if isinstance(matrix, SparseTransition):
        _check_entries(matrix)
        sums = matrix.row_sums()
    elif not (matrix >= 0).all():  # NaN is not >= 0 either
        row, column = np.argwhere(~(matrix >= 0))[0]
        msg = f"transition[{row}, {column}] = {matrix[row, column]} is not a probability"
        raise BadData(msg)
    else:
        sums = matrix.sum(1)
    wrong = np.flatnonzero(np.abs(sums - 1) > _ROUNDING)
    if wrong.size:
        transposed = not isinstance(matrix, SparseTransition) and np.allclose(matrix.sum(0), 1, atol=_ROUNDING)
        hint = "; its columns do: give the transpose" if transposed else ""
        msg = f"row {wrong[0]} of the transition matrix sums to {sums[wrong[0]]:.6g}, expected 1{hint}"
        raise BadData(msg)


def _check_entries(matrix: SparseTransition) -> None:
    """Raise ``BadData`` unless its arrays fit together and no entry is negative or unknown."""
    k, m, r = matrix.size, len(matrix.values), len(matrix.right)
    shapes = {"rows": (m,), "columns": (m,), "values": (m,), "left": (k, r), "right": (r, k)}
    kinds = {"rows": "i", "columns": "i", "values": "f", "left": "f", "right": "f"}
    for name, array in matrix.arrays().items():
        if array.shape != shapes[name] or array.dtype.kind != kinds[name]:
            msg = f"'{name}' of the transition matrix is {array.dtype} of shape {array.shape}, expected {shapes[name]}"
            raise BadData(msg)
    inside = ((matrix.rows >= 0) & (matrix.rows < k) & (matrix.columns >= 0) & (matrix.columns < k)).all()
    if not inside or (np.diff(matrix.rows * k + matrix.columns) <= 0).any():
        msg = f"the entries of the transition matrix are not of classes 0..{k - 1}, each once and in order"
        raise BadData(msg)
    bad = np.flatnonzero(~(matrix.values >= 0))
    if bad.size:
        i, j = matrix.rows[bad[0]], matrix.columns[bad[0]]
        msg = f"transition[{i}, {j}] = {matrix.values[bad[0]]} is not a probability"
        raise BadData(msg)
    if (matrix.left >= 0).all() and (matrix.right >= 0).all():
        return
    for part, block in matrix.blocks():  # a product of probabilities may be of thin ones that are not
        odd = np.argwhere(~(block >= -_ROUNDING))
        if odd.size:
            row, column = odd[0]
            msg = f"transition[{part[row]}, {column}] = {block[row, column]} is not a probability"
            raise BadData(msg)


def _without_diagonal(indices: Indices, block: Floats) -> Floats:
    block[np.arange(len(indices)), indices] = -np.inf
    return block
