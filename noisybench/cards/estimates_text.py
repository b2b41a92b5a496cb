"""Estimated transition matrices in words for people: a table of rates and errors, and the largest confusions."""

from collections.abc import Iterator

import numpy as np

from noisybench.cards.estimated_transitions import EstimatedTransition, TransitionEstimates
from noisybench.ground.arrays import Floats
from noisybench.ground.text import cell
from noisybench.variants.variant import Variant

PRINTED_CLASSES = 20
"""Classes up to which the rate of each is printed."""
ERRORS = (
    ("from_realised", "total_variation", "total variation from the realised matrix"),
    ("from_realised", "relative_l1", "relative l1 from the realised matrix"),
    ("from_nominal", "total_variation", "total variation from the nominal matrix"),
    ("from_nominal", "relative_l1", "relative l1 from the nominal matrix"),
)
"""Errors of an estimate, by attribute, with the words for them."""
UNKNOWN = "unknown"


def estimate_lines(variant: Variant, found: TransitionEstimates, realised_rates: Floats) -> list[str]:
    """The estimates, a line for each class and each error.

    Args:
        variant: The labels.
        found: What probabilities tell of them.
        realised_rates: Share of wrong labels of each clean class, NaN where it is not known, shape (k,).
    """
    said = f"whose likeliest class is the given label of {found.agreement:.1%} of the samples"
    lines = [f"noise estimated from the probabilities, {said}, with a mean confidence of {found.confidence:.1%}:"]
    names = [one.method for one in found.estimates]
    columns = [one.class_rates for one in found.estimates]
    if names and not np.isnan(realised_rates).all():
        names, columns = [*names, "realised"], [*columns, realised_rates]
    if names:
        lines.append(_row("  wrong labels of each class, in %", names, names))
        shown = variant.class_names if variant.num_classes <= PRINTED_CLASSES else ()
        for k, name in enumerate(shown):
            lines.append(_row(f"  {k:>3} {cell(name)[:20]}", [_rate(column[k]) for column in columns], names))
        lines.append(_row("  mean of the classes", [_rate(_mean(column)) for column in columns], names))
        lines += [_row(f"  {words}", cells, names) for words, cells in error_rows(found)]
    lines += [f"  {one.method}: {confusion_words(variant, one)}" for one in found.estimates]
    return [*lines, *(f"  {method}: not estimated, {reason}" for method, reason in found.left_out)]


def error_rows(found: TransitionEstimates) -> Iterator[tuple[str, list[str]]]:
    """Words for each error against what is known, and its value for each estimate."""
    for truth, measure, words in ERRORS:
        errors = [getattr(one, truth) for one in found.estimates]
        if any(error is not None for error in errors):
            yield words, [UNKNOWN if np.isnan(value := getattr(error, measure)) else f"{value:.4f}" for error in errors]


def confusion_words(variant: Variant, one: EstimatedTransition) -> str:
    """The largest confusions by name, and how many classes an estimate cannot tell of."""
    names = [cell(name) for name in variant.class_names]
    said = [f"{names[i]} → {names[j]} {share:.1%}" for i, j, share in one.confusions()]
    words = [f"largest confusions {', '.join(said)}"] if said else ["no confusion"]
    if one.unknown:
        k, first = len(names), one.unknown[0]
        if len(one.unknown) == k:
            return f"unknown for all {k} classes"
        words.append(f"unknown for {len(one.unknown)} of {k} classes (first: {first} {names[first]})")
    return "; ".join(words)


def _row(title: str, cells: list[str], names: list[str]) -> str:
    """A line, with a cell below each name; there may be fewer cells than names."""
    return f"{title:<42}" + "".join(f"{one:>{max(len(name), 7) + 2}}" for one, name in zip(cells, names, strict=False))


def _mean(rates: Floats) -> float:
    known = rates[~np.isnan(rates)]
    return float(known.mean()) if known.size else float("nan")


def _rate(rate: float) -> str:
    return UNKNOWN if np.isnan(rate) else f"{100 * rate:.1f}"
