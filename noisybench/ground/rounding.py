"""What decides the last digits of what is computed here: other processors and versions add in another order."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("numpy", "scikit-learn", "torch")
"""Distributions that compute."""


def rounding_here() -> Mapping[str, str]:
    """Machine, with the kind of processor that NumPy's linear algebra was chosen for, and versions: name → what it is."""
    from threadpoolctl import threadpool_info

    found = [info for info in threadpool_info() if "architecture" in info]
    own = [info for info in found if "numpy" in info["filepath"]] or found  # SciPy brings one of another version
    kinds = sorted({str(info["architecture"]) for info in own})
    return {"machine": " ".join((platform.machine(), *kinds)), **{name: _version(name) for name in LIBRARIES}}


def rounding_words(rounding: Mapping[str, str]) -> str:
    """The same in words: ``x86_64 Haswell, numpy 2.4.6, …``."""
    return ", ".join(what if name == "machine" else f"{name} {what}" for name, what in rounding.items())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # installed in another way, or not at all
        return "unknown"
