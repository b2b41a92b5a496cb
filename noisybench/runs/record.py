"""The record of a run."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from noisybench.data.source import Option
from noisybench.variants.variant import Variant

Regime = Literal["training", "pool", "given"]
"""Where a run's scores come from: one observed training, many models on random subsets, or someone else's code."""


def about_labels(variant: Variant) -> dict[str, Any]:
    """What the run.json of every run says of its labels and how they came to be."""
    provenance = variant.provenance
    return {
        "variant_id": provenance.variant_id,
        "source": provenance.source,
        "source_sha256": provenance.source_sha256,
        "source_options": dict(provenance.source_options),
        "limit": provenance.limit,
        "noise": provenance.noise,
        "params": dict(provenance.params),
        "mode": provenance.mode,
        "noise_seed": provenance.seed,
        "n": len(variant.labels),
        "known": int(variant.known.sum()),
        "classes": variant.num_classes,
    }


HOW_LABELS_CAME = ("source_options", "limit", "noise", "params", "mode", "noise_seed")
"""Told in the record; which labels they are, the variant id says."""

# Fields of run.json that are read here, beside those of a learner.
RECORDED: dict[str, Any] = {
    "source": str,
    "noise": str,
    "variant_id": str,
    "source_sha256": str,
    "source_options": Mapping[str, Option],
    "limit": int | None,
    "params": Mapping[str, Option],
    "mode": str,
    "seed": int,
    "n": int,
}


class Learner(NamedTuple):
    """What was trained, and how.

    ``setup`` is the digest of every option, ``trained`` of those that decide the training; ``features`` is what the model
    saw.
    """

    model: str
    recipe: str
    setup: str
    epochs: int
    observe: str
    features: str = "input"
    regime: Regime = "training"
    trained: str = ""


NOBODY = Learner("", "", "", 0, "", "", "given")
"""Of references, which are the same whatever was trained."""
