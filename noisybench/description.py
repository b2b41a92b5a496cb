"""What there is to say of a variant in numbers: rates, matrices, and what a reviewer would ask."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.arrays import Labels
from noisybench.variant import Variant


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """A variant in numbers. Rates are fractions of wrong labels among the samples whose clean label is known.

    Attributes:
        n: Samples.
        known: Samples whose clean label is known.
        nominal_rate: The rate that was asked for, by its own definition; None for a noise that has none.
        expected_rate: Mean flip probability; None for a noise without a law.
        realised_rate: Share of wrong labels; NaN where nothing is known.
        class_counts: Known samples of each clean class, shape (k,).
        class_rates: Realised rate of each clean class, shape (k,); NaN for an empty class.
        nominal_class_rates: From the nominal matrix, shape (k,); None without one.
        transition: Realised T[i, j] = P(given j | clean i), shape (k, k); NaN in the row of an empty class.
        nominal_transition: Shape (k, k), or None.
        warnings: Sentences about what makes the variant hard to use or to interpret.
    """

    n: int
    known: int
    nominal_rate: float | None
    expected_rate: float | None
    realised_rate: float
    class_counts: NDArray[np.int64]
    class_rates: NDArray[np.float64]
    nominal_class_rates: NDArray[np.float64] | None
    transition: NDArray[np.float64]
    nominal_transition: NDArray[np.float64] | None
    warnings: tuple[str, ...]


def describe(variant: Variant) -> Description:
    """Rates, per-class rates and transition matrices of a variant, nominal and realised."""
    known = variant.known
    counts = count_transitions(variant.labels[known], variant.clean[known], variant.num_classes)
    sizes = counts.sum(1)
    with np.errstate(invalid="ignore"):
        transition = counts / sizes[:, None]
        realised = float(np.divide(sizes.sum() - counts.trace(), sizes.sum()))
    law = variant.flip_probability
    nominal = variant.transition
    rate = variant.provenance.params.get("rate")
    return Description(
        n=len(known),
        known=int(known.sum()),
        nominal_rate=float(rate) if isinstance(rate, int | float) else None,
        expected_rate=float(law[known].mean()) if law is not None and known.any() else None,
        realised_rate=realised,
        class_counts=sizes,
        class_rates=1 - transition.diagonal(),
        nominal_class_rates=None if nominal is None else 1 - nominal.diagonal(),
        transition=transition,
        nominal_transition=nominal,
        warnings=tuple(_warnings(variant, transition)),
    )


def count_transitions(labels: Labels, clean: Labels, num_classes: int) -> NDArray[np.int64]:
    """How many samples of clean class i are given class j, shape (k, k)."""
    counts = np.bincount(clean * num_classes + labels, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def _warnings(variant: Variant, transition: NDArray[np.float64]) -> list[str]:
    sentences = []
    law, which = (variant.transition, "nominal") if variant.transition is not None else (transition, "realised")
    others = law.copy()
    np.fill_diagonal(others, -np.inf)
    with np.errstate(invalid="ignore"):  # NaN rows of empty classes compare as False
        lost = np.flatnonzero(others.max(1) >= law.diagonal()) if len(law) > 1 else np.array([], dtype=np.intp)
    if lost.size:
        worst = int(lost[0])
        name = variant.class_names[worst]
        sentences.append(
            f"not identifiable: in {lost.size} of {len(law)} classes the right class is not the most likely label "
            f"({which} matrix; first: {worst} '{name}', given as '{variant.class_names[int(others[worst].argmax())]}' "
            f"at least as often), so even unlimited data teaches the wrong class"
        )
    flip = variant.flip_probability
    if variant.transition is None and flip is not None and (flip > 0.5).any():  # noqa: PLR2004 - more wrong than right
        share = float((flip[variant.known] > 0.5).mean())  # noqa: PLR2004
        sentences.append(f"{share:.1%} of the samples are more likely wrong than right (flip probability above 0.5)")
    if variant.provenance.reference == "labels":
        sentences.append(
            f"source '{variant.provenance.source}' knows no clean label: its labels as they came are the reference, "
            f"so errors they already hold count as right"
        )
    unknown = int((~variant.known).sum())
    if unknown:
        sentences.append(f"the clean label of {unknown} of {len(variant.labels)} samples is unknown: left out of rates")
    empty = np.flatnonzero(np.bincount(variant.labels, minlength=variant.num_classes) == 0)
    if empty.size:
        sentences.append(f"no sample is given class {int(empty[0])} ({empty.size} such classes)")
    return sentences


def to_record(variant: Variant, description: Description, *, matrices: bool = False) -> dict[str, Any]:
    """A description for JSON, NaN as None; ``matrices`` adds the classes' rates and the transition matrices."""
    provenance = variant.provenance
    record: dict[str, Any] = {
        "source": provenance.source,
        "noise": provenance.noise,
        "params": dict(provenance.params),
        "seed": provenance.seed,
        "mode": provenance.mode,
        "n": description.n,
        "known": description.known,
        "classes": variant.num_classes,
        "order": provenance.source_order,
        "rate": description.nominal_rate,
        "rate_definition": provenance.rate_definition,
        "expected_rate": description.expected_rate,
        "realised_rate": _plain(description.realised_rate),
        "variant_id": provenance.variant_id,
        "warnings": list(description.warnings),
    }
    if matrices:
        for name in ("class_counts", "class_rates", "nominal_class_rates", "transition", "nominal_transition"):
            values = getattr(description, name)
            record[name] = None if values is None else _plain(values.tolist())
    return record


def to_text(variant: Variant, description: Description) -> str:
    """A description for people; matrices of more than 20 classes are left to ``to_record``."""
    provenance = variant.provenance
    params = ", ".join(f"{key}={value}" for key, value in provenance.params.items())
    lines = [f"noise {provenance.noise} ({params}), mode {provenance.mode}, seed {provenance.seed}"]
    if description.nominal_rate is not None:
        lines.append(f"nominal rate  {description.nominal_rate:.4%} {RATE_WORDS[provenance.rate_definition]}")
    if description.expected_rate is not None:
        lines.append(f"expected rate {description.expected_rate:.4%} of the labels wrong")
    if description.known:
        lines.append(f"realised rate {description.realised_rate:.4%} of {description.known} samples of known class")
    if not description.known or variant.num_classes > PRINTED_CLASSES:
        return "\n".join([*lines, f"{variant.num_classes} classes; 'noisybench describe --json' has their matrices"])
    shown = [("realised", description.transition, description.class_rates)]
    if description.nominal_transition is not None and description.nominal_class_rates is not None:
        shown.append(("nominal", description.nominal_transition, description.nominal_class_rates))
    for title, matrix, rates in shown:
        lines.append(f"{title} transition matrix, P(given | clean) in %, and rate of each class")
        lines.append(" " * 14 + "".join(f"{k:>6}" for k in range(len(rates))) + "   rate")
        for k, name in enumerate(variant.class_names):
            cells = "".join(f"{100 * value:6.1f}" for value in matrix[k])
            lines.append(f"{k:>3} {name[:10]:<10}{cells} {100 * rates[k]:6.1f}")
    return "\n".join(lines)


RATE_WORDS = {
    "effective": "of all labels wrong",
    "inclusive": "of all labels redrawn, the own class included",
    "per_source_class": "of the labels of the mapped classes wrong",
    "none": "",
}
PRINTED_CLASSES = 20


def _plain(value: Any) -> Any:  # noqa: ANN401 - numbers in lists of any depth
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value
