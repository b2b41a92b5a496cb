"""What decides the last digits of what is computed here: other processors, threads and versions add in another order."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "faiss-cpu")
"""Distributions that compute, the last of them where it is installed."""


def rounding_here() -> Mapping[str, str]:
    """Machine, with the kind of processor that NumPy's linear algebra was chosen for, its threads, and versions: name → which.

    Threads are those of the linear algebra: they share sums among them.
    """
    import numpy as np
    from threadpoolctl import threadpool_info

    found = [info for info in threadpool_info() if info["user_api"] == "blas"]  # once NumPy has brought it
    # Beside NumPy, or in it, lies its own; SciPy brings one of another version.
    place = str(Path(np.__file__).resolve().parent)
    own = [info for info in found if str(info["filepath"]).startswith(place)] or found
    kinds = sorted({str(info["architecture"]) for info in own if "architecture" in info})
    threads = {"threads": str(max(int(info["num_threads"]) for info in own))} if own else {}
    machine = {"machine": " ".join((platform.machine(), *kinds))}
    versions = {name: told for name in LIBRARIES if (told := _version(name))}
    return {**machine, **threads, **versions}


def rounding_words(rounding: Mapping[str, str]) -> str:
    """The same in words: ``x86_64 Haswell, threads 1, numpy 2.4.6, …``."""
    return ", ".join(what if name == "machine" else f"{name} {what}" for name, what in rounding.items())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # installed in another way, or not at all
        return None
