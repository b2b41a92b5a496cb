"""The condition number of a transition matrix, also of one whose entries are never all written out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.random_streams import uniforms
from noisybench.variants.transitions import AnyTransition, SparseTransition

SINGULAR = 1e12
"""Condition number above which a matrix of shares has no inverse to speak of."""
MOST_SOLVED = 3000
"""Classes up to which counts of any kind are decomposed: in 2 seconds there, in a minute for 9,000."""
FEW = 4
"""Entries a class, off the diagonal, up to which a matrix of any size is decomposed at once."""


def condition_number(matrix: AnyTransition) -> float:
    """Greatest over least singular value of a matrix (k, k); infinite where it is singular.

    NaN where a row is unknown, and where finding out would take minutes: counts of more than 3,000 classes in which
    each is mistaken for more than four others. Of more than 1,000 classes it is right to four digits.
    """
    if not isinstance(matrix, SparseTransition):
        number = float("nan") if np.isnan(matrix).any() else float(np.linalg.cond(matrix))
    else:
        number = _of_sparse(matrix)
    return float("inf") if number >= SINGULAR else number


def _of_sparse(matrix: SparseTransition) -> float:
    """By the largest eigenvalues of AᵀA and of its inverse, from a sparse decomposition and the identity of Woodbury."""
    from scipy.sparse.linalg import ArpackNoConvergence, splu

    k, off = matrix.size, int((matrix.rows != matrix.columns).sum())
    if np.isnan(matrix.left).any() or (k > MOST_SOLVED and off > FEW * k):
        return float("nan")
    extra, left, right = matrix.additive().tocsc(), matrix.left, matrix.right
    if k - len(np.unique(matrix.rows[matrix.additive().tocoo().data != 0])) > len(right):
        return float("inf")  # more rows of zeros than the thin product can fill
    try:
        solve: Any = splu(extra).solve
        core = np.linalg.inv(np.eye(len(right)) + right @ solve(left)) if right.size else np.zeros((0, 0))
    except (RuntimeError, np.linalg.LinAlgError):  # exactly singular
        return float("inf")

    def apply(x: Floats) -> Floats:
        y: Floats = extra @ x + left @ (right @ x)
        return np.asarray(extra.T @ y + right.T @ (left.T @ y))

    def invert(x: Floats) -> Floats:
        half = solve(x, "T")
        half -= solve(right.T @ (core.T @ (left.T @ half)), "T")
        found = solve(half)
        return np.asarray(found - solve(left @ (core @ (right @ found))))

    try:
        return float(np.sqrt(_largest(apply, k)) * np.sqrt(_largest(invert, k)))
    except ArpackNoConvergence:
        return float("nan")


def _largest(apply: Callable[[Floats], Floats], k: int) -> float:
    """Largest eigenvalue of a symmetric operator on vectors (k,)."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator = LinearOperator((k, k), matvec=apply, dtype=np.float64)
    start = uniforms(0, "condition", k)
    return float(eigsh(operator, 1, which="LM", v0=start, tol=1e-4, return_eigenvectors=False)[0])
