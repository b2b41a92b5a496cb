"""Random numbers by counter: each purpose has its own stream, and entry i of a stream depends on the seed and i alone.

Only raw Philox bits are used, whose values NumPy promises never to change, so a variant drawn today is drawn alike in
ten years, on any machine, in any order and by any number of workers.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats
from noisybench.ground.checks import whole


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, for generators that are not ours (torch, scikit-learn).

    >>> derive(0, "shuffle", 1) == derive(0, "shuffle", 2)
    False
    """
    return int.from_bytes(_key(seed, purpose)[:8], "little") >> 1


def bits(seed: int, purpose: str, n: int) -> NDArray[np.uint64]:
    """The first ``n`` 64-bit words of a stream, shape (n,)."""
    n = whole(n, "n", least=0)
    key = np.frombuffer(_key(seed, (purpose,))[:16], dtype="<u8").astype(np.uint64)
    words: NDArray[np.uint64] = np.random.Philox(key=key).random_raw(n)
    return words


def uniforms(seed: int, purpose: str, n: int) -> Floats:
    """The first ``n`` uniforms of a stream, in [0, 1), shape (n,)."""
    words = bits(seed, purpose, n)
    words >>= np.uint64(11)
    values = words.astype(np.float64)
    values *= 2.0**-53
    return values


def normals(seed: int, purpose: str, n: int) -> Floats:
    """The first ``n`` standard normals of a stream, shape (n,), by the inverse distribution function."""
    from scipy.special import ndtri

    # The middles of 2**52 cells: neither zero nor one, whose normals would be infinite.
    values: Floats = ndtri(((bits(seed, purpose, n) >> np.uint64(12)) + 0.5) * 2.0**-52)
    return values


def permutation(seed: int, purpose: str, n: int) -> NDArray[np.intp]:
    """A random order of ``0 .. n - 1``, shape (n,)."""
    n = whole(n, "n", least=0)
    words = bits(seed, purpose, n)
    # The order of a stable argsort of the words, 16 bits at a time, which numpy sorts by radix: half the time at n = 50,000.
    order = np.argsort(words.astype(np.uint16), kind="stable")
    for shift in (16, 32, 48):
        digits = (words >> np.uint64(shift)).astype(np.uint16)
        order = order[np.argsort(digits[order], kind="stable")]
    return order


def pick(law: NDArray[Any], uniform: Floats) -> NDArray[np.int64]:
    """One class a row by the inverse distribution function: (m, k) weights and (m,) uniforms → (m,).

    Rows need not sum to one. A class of weight zero is never picked.
    """
    edges = np.cumsum(law, axis=1, dtype=np.float64)
    # Rounding may bring u * total up to the total: the last class of positive weight is then meant.
    threshold = np.minimum(uniform * edges[:, -1], np.nextafter(edges[:, -1], 0))
    chosen: NDArray[np.int64] = (edges <= threshold[:, None]).sum(1)
    return chosen


def _key(seed: int, purpose: tuple[str | int, ...]) -> bytes:
    return hashlib.sha256("/".join(str(part) for part in (seed, *purpose)).encode()).digest()
