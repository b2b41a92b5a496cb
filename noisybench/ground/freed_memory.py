"""Freed memory: kept by the process for its next use, instead of given back to the system and asked for again."""

import ctypes
import os
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's two settings in ``malloc.h``."""
KEPT = 1 << 29
"""Bytes, half a GiB: so much free memory stays at the end of the heap, and blocks up to this size come from it."""
OLD_LIMIT = 1 << 25
"""Largest block that may come from the heap in versions of glibc that refuse more."""


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to half a GiB of freed memory, until it ends; whether that could be arranged.

    A training step frees what the next one asks for again. glibc gives blocks above 128 KiB (later, up to 32 MiB) back at
    once, and the system then clears each page anew: a page fault for every 4 KiB. Nothing is arranged where the C library
    is another one, nor where the environment has settings of its own. No result depends on it.
    """
    if sys.platform != "linux" or not _is_glibc() or _is_set_by_user():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    if not (mallopt(M_MMAP_THRESHOLD, KEPT) or mallopt(M_MMAP_THRESHOLD, OLD_LIMIT)):
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT))


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (OSError, ValueError):  # another library does not know the name
        return False


def _is_set_by_user() -> bool:
    return "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(
        name in os.environ for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    )
