"""Noises by which whole clusters are wrong together, what that means for whoever looks for wrong labels, and copies."""

import re
from collections.abc import Mapping
from typing import Any

NOISES = ("cluster_based", "coherent")
"""Names of such noises."""
CANNOT_BE_TOLD = (
    "whole clusters of a class were given one wrong class: inputs and labels alone cannot tell such a cluster from one that "
    "truly is of that class, so no detector without outside information can know; what is found of it is betrayed by "
    "neighbours that kept their label"
)
"""What a reader of figures must know."""


def in_clusters(noise: str, params: Mapping[str, Any]) -> bool:
    """Whether a noise with these parameters gives whole clusters one wrong class, also as a step of ``composed``.

    >>> in_clusters("coherent", {"rate": 0.2, "coherence": 0.5}), in_clusters("symmetric", {"rate": 0.2})
    (True, False)
    """
    if noise == "composed":
        steps = re.findall(r"(?:^|;)\s*(\w+)", str(params.get("steps", "")))
        return any(step in NOISES for step in steps)
    return noise in NOISES and (noise != "coherent" or params.get("coherence") != 0)


TOGETHER = (
    "neighbours were given one wrong class together, as often as the coherence says: where a whole neighbourhood was, inputs "
    "and labels alone cannot tell it from one that truly is of that class, and no detector without outside information can"
)
"""What a reader of figures must know of exchanged noise that is coherent."""


def wrong_together(noise: str, params: Mapping[str, Any]) -> bool:
    """Whether neighbours are wrong alike by design, in whole clusters or in part, so that errors are no independent ones.

    >>> wrong_together("exchanged", {"coherence": 0.2}), wrong_together("exchanged", {"coherence": 0.0})
    (True, False)
    """
    return in_clusters(noise, params) or (noise == "exchanged" and params.get("coherence", 0) > 0)


def in_copies(source_options: Mapping[str, Any]) -> bool:
    """Whether a source with these options has units of copies, see ``Variant.copies``.

    >>> in_copies({"steps": "frequency_spectrum(how=near, units=4)"}), in_copies({"steps": "frequency_spectrum(how=fine)"})
    (True, False)
    """
    found = re.search(r"(?:^|;)\s*frequency_spectrum\b(.*)", str(source_options.get("steps", "")))
    return found is not None and re.search(r"\bhow\s*=\s*(fine|clusters)\b", found[1]) is None
