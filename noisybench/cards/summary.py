"""What ``build`` prints of a variant: how many samples and classes, how many labels are wrong, and how large classes are."""

from collections.abc import Iterator

import numpy as np

from noisybench.cards.data_cards import as_call, correction_words, noise_card
from noisybench.cards.description import Description
from noisybench.cards.description_text import RATE_WORDS, known_words
from noisybench.data.source import Source
from noisybench.variants.variant import Variant

COUNTED_CLASSES = 10
"""Classes whose sizes are listed one by one."""


def summary_lines(source: Source, variant: Variant, description: Description) -> Iterator[str]:
    """A few lines; matrices, rates by class and ceilings are left to ``to_text``, which ``describe`` prints."""
    tested = "no test set" if source.test_labels is None else f"{len(source.test_labels)} test samples"
    shape = () if source.inputs is None else source.inputs.shape[1:]
    inputs = f" of shape {' × '.join(map(str, shape))}" if shape else " without inputs"
    yield (
        f"{source.name}: {len(source.labels)} samples{inputs}, {variant.num_classes} classes, {tested}, "
        f"order: {source.order}"
    )
    yield from label_lines(variant, description)


def label_lines(variant: Variant, description: Description) -> Iterator[str]:
    """The lines that are of the labels alone."""
    provenance = variant.provenance
    drawn = ", the labels as they are" if _found(variant) else f", mode {provenance.mode}, seed {provenance.seed}"
    yield f"noise: {as_call(provenance.noise, provenance.params)}{drawn}"
    if provenance.corrections is not None:
        yield f"corrections: {correction_words(variant)}"
    yield f"wrong labels: {_wrong_words(variant, description)}"
    yield f"samples a class: {_sizes(variant)}"


def _found(variant: Variant) -> bool:
    """Whether the labels were taken as they are, so that no seed decided them."""
    card = noise_card(variant)
    if variant.corrections is not None and card is not None:
        return bool(card.facts["found"])
    return variant.flip_probability is None and variant.selected is None and variant.transition is None


def _wrong_words(variant: Variant, description: Description) -> str:
    """How many labels are wrong, and how many were asked for."""
    if not description.known:
        return "not known, as the source knows no right class"
    realised = f"{description.wrong} of {known_words(description)} ({description.realised_rate:.2%})"
    if description.known == description.n and not description.wrong_alone:
        realised = f"{description.wrong} of {description.n} ({description.realised_rate:.2%})"
    if description.nominal_rate is None:
        return realised
    words = RATE_WORDS[variant.provenance.rate_definition] or "as its rate"
    before = "" if variant.corrections is None else ", before the corrections"
    return f"{realised}; asked for: {100 * description.nominal_rate:.4g}% {words}{before}"


def _sizes(variant: Variant) -> str:
    """Given labels of each class, or their spread where there are many."""
    counts = np.bincount(variant.labels, minlength=variant.num_classes)
    if len(counts) <= COUNTED_CLASSES:
        return ", ".join(f"{name}: {count}" for name, count in zip(variant.class_names, counts.tolist(), strict=True))
    low, high = int(counts.argmin()), int(counts.argmax())
    return (
        f"{counts[low]} ({variant.class_names[low]}) to {counts[high]} ({variant.class_names[high]}), "
        f"median {np.median(counts):g}"
    )
