"""A description in words for people, and as a record for machines."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.cards.ceilings import Ceilings
from noisybench.cards.condition import MOST_SOLVED
from noisybench.cards.crowd import crowd_record, crowd_rows
from noisybench.cards.data_cards import correction_words
from noisybench.cards.dependence import Dependence
from noisybench.cards.description import Description
from noisybench.cards.estimated_transitions import estimates_record
from noisybench.cards.estimates_text import estimate_lines
from noisybench.statistics.intervals import Estimate
from noisybench.variants.transitions import SparseTransition, is_large
from noisybench.variants.variant import Variant

RATE_WORDS = {
    "effective": "of all labels wrong",
    "inclusive": "of all labels redrawn, the own class included",
    "per_source_class": "of the labels of the mapped classes wrong",
    "none": "",
}
PRINTED_CLASSES = 20
WORST_CLASSES = 5
NAMED_CLASSES = 8  # of those that are lost


def to_record(variant: Variant, description: Description, *, matrices: bool = False) -> dict[str, Any]:
    """A description for JSON, NaN and infinity as None; ``matrices`` adds classes, matrices, ceilings and dependence."""
    provenance = variant.provenance
    record: dict[str, Any] = {
        "source": provenance.source,
        "noise": provenance.noise,
        "params": dict(provenance.params),
        "seed": provenance.seed,
        "mode": provenance.mode,
        "n": description.n,
        "known": description.known,
        "wrong": description.wrong,
        "wrong_alone": description.wrong_alone,
        "classes": variant.num_classes,
        "order": provenance.source_order,
        "rate": description.nominal_rate,
        "rate_definition": provenance.rate_definition,
        "expected_rate": description.expected_rate,
        "realised_rate": description.realised_rate,
        "realised_interval": list(description.realised_interval),
        "crowd": crowd_record(description.crowd),
        **({} if provenance.corrections is None else {"corrections": asdict(provenance.corrections)}),
        "variant_id": provenance.variant_id,
        "warnings": list(description.warnings),
    }
    if matrices:
        record["class_names"] = list(variant.class_names)
        record |= {name: _listed(getattr(description, name)) for name in ARRAYS}
        record["ceilings"] = _ceilings_record(variant, description.ceilings)
        record["second_choice_share"] = _estimate_record(description.second_choice_share)
        record["difficulty"] = None if description.difficulty is None else _dependence_record(description.difficulty)
        record["transition_estimates"] = estimates_record(variant, description.transition_estimates)
    return {key: _plain(value) for key, value in record.items()}


ARRAYS = (
    "class_counts",
    "class_wrong",
    "class_rates",
    "class_intervals",
    "expected_class_rates",
    "nominal_class_rates",
    "modal_shares",
    "transition",
    "expected_transition",
    "nominal_transition",
)


def _ceilings_record(variant: Variant, ceilings: Ceilings) -> dict[str, Any]:
    names, condition = variant.class_names, ceilings.condition
    return {
        "basis": ceilings.basis,
        "oracle_accuracy": ceilings.oracle_accuracy,
        "bayes_accuracy": list(ceilings.bayes_accuracy),
        "identifiable": list(ceilings.identifiable),
        "matrix_basis": ceilings.matrix_basis,
        "lost": [{"class": i, "name": names[i], "given_as": j, "given_as_name": names[j]} for i, j in ceilings.lost],
        "lead": ceilings.lead,
        "condition": condition,
        "singular": bool(np.isinf(condition)),
        "flip_probability_auroc": ceilings.flip_probability_auroc,
        "given_label_auroc": ceilings.given_label_auroc,
    }


def _dependence_record(dependence: Dependence) -> dict[str, Any]:
    return {
        "n": dependence.n,
        "auroc": _estimate_record(dependence.auroc),
        "auroc_within_class": _estimate_record(dependence.auroc_within_class),
        "bins": [{**part._asdict(), "rate": _estimate_record(part.rate)} for part in dependence.bins],
    }


def _estimate_record(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else estimate._asdict()


def _listed(values: NDArray[Any] | SparseTransition | None) -> Any:  # noqa: ANN401 - numbers in lists of any depth
    """Numbers in lists; of a sparse matrix what it is made of, by name."""
    if isinstance(values, SparseTransition):
        return {"shape": list(values.shape), **{name: array.tolist() for name, array in values.arrays().items()}}
    return None if values is None else values.tolist()


def _plain(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def to_text(variant: Variant, description: Description, *, ceilings: bool = True) -> str:
    """A description for people; matrices of more than 20 classes are left to ``to_record``.

    Args:
        variant: What is described.
        description: Of it.
        ceilings: Whether to say the ceilings too, of which the condition number takes long where classes are many.
    """
    provenance = variant.provenance
    params = ", ".join(f"{key}={value}" for key, value in provenance.params.items())
    lines = [f"noise {provenance.noise} ({params}), mode {provenance.mode}, seed {provenance.seed}"]
    corrected = correction_words(variant)
    if corrected:
        lines.append(f"corrections   {corrected}")
    if description.nominal_rate is not None:
        before = ", before the corrections" if corrected else ""
        lines.append(f"nominal rate  {description.nominal_rate:.4%} {RATE_WORDS[provenance.rate_definition]}{before}")
    if description.expected_rate is not None:
        lines.append(f"expected rate {description.expected_rate:.4%} of the labels wrong")
    if description.known:
        low, high = description.realised_interval
        alone = f", {description.wrong_alone} of unknown right class" if description.wrong_alone else ""
        lines.append(
            f"realised rate {description.realised_rate:.4%} of {known_words(description)} "
            f"({description.wrong} wrong{alone}; interval {low:.2%} to {high:.2%})"
        )
    if description.crowd is not None:
        told = crowd_rows(description.crowd, description.n)
        lines += ["several annotators:", *(f"  {key:<34}{value}" for key, value in told.items())]
    if description.class_counts.any():
        lines += _class_span(variant, description)
        lines += ceiling_lines(variant, description.ceilings) if ceilings else []
    lines += _lines_of_files(variant, description)
    if not description.class_counts.any() or variant.num_classes > PRINTED_CLASSES:
        left = "" if ceilings else "'noisybench describe' has their ceilings, "
        where = f"{left}'noisybench describe --json' has their matrices"
        return "\n".join([*lines, f"{variant.num_classes} classes; {where}"])
    return "\n".join([*lines, *_class_table(variant, description), *_matrix_tables(variant, description)])


def _lines_of_files(variant: Variant, description: Description) -> list[str]:
    """What is told from probabilities and a difficulty, where they were given."""
    lines = []
    second, estimates = description.second_choice_share, description.transition_estimates
    if second is not None:
        lines.append(f"wrong labels that are the second most likely class: {_interval(second)}")
    if description.difficulty is not None:
        lines += _difficulty_lines(description.difficulty)
    if estimates is not None:
        lines += estimate_lines(variant, estimates, description.class_rates)
    return lines


def known_words(description: Description) -> str:
    """Words for the samples that the realised rate is of."""
    if not description.wrong_alone:
        return f"{description.known} samples of known class"
    return f"{description.known} samples known to be right or wrong"


def _class_span(variant: Variant, description: Description) -> list[str]:
    rates = description.class_rates
    low, high = int(np.nanargmin(rates)), int(np.nanargmax(rates))
    sentence = (
        f"by class      {rates[low]:.1%} ({low} {variant.class_names[low]}) to "
        f"{rates[high]:.1%} ({high} {variant.class_names[high]})"
    )
    if not description.class_wrong.any():
        return [sentence]
    sentence = f"{sentence}; {np.nanmean(description.modal_shares):.0%} of a class's wrong labels name its commonest wrong class"
    if not is_large(variant.num_classes):
        return [sentence]
    named = [
        f"{k} {variant.class_names[k]} {description.class_rates[k]:.0%} of {description.class_counts[k]}"
        for k in worst_classes(description)[:WORST_CLASSES]
    ]
    return [sentence, f"worst         {', '.join(named)}"]


def worst_classes(description: Description) -> list[int]:
    """The classes that have samples, those of the highest realised rate first, of equal ones the larger."""
    there = np.flatnonzero(description.class_counts)
    order = np.lexsort((there, -description.class_counts[there], -description.class_rates[there]))
    return [int(k) for k in there[order]]


def ceiling_lines(variant: Variant, ceilings: Ceilings) -> list[str]:
    """The ceilings, a line each."""
    k = variant.num_classes
    named = [f"{i} {variant.class_names[i]} → {j} {variant.class_names[j]}" for i, j in ceilings.lost[:NAMED_CLASSES]]
    more = f", and {len(ceilings.lost) - len(named)} more" if len(ceilings.lost) > len(named) else ""
    lost = f"; not {', '.join(named)}{more}" if named else ""
    number = ceilings.condition
    condition = "infinite: it is singular" if np.isinf(number) else _number(number)
    if np.isnan(number) and k > MOST_SOLVED:
        condition = f"not computed: it takes minutes for counts of {k} classes"
    return [
        f"ceilings, from the {ceilings.basis}:",
        f"  accuracy on these labels of a model that says the clean class     {ceilings.oracle_accuracy:.1%}",
        f"  best accuracy on these labels                                     {_range(ceilings.bayes_accuracy)}",
        f"  samples whose likeliest label is the clean class                  {_range(ceilings.identifiable)}",
        f"  AUROC for wrong labels of the flip probability, input alone       {_number(ceilings.flip_probability_auroc)}",
        f"of the classes, from the {ceilings.matrix_basis}:",
        f"  the clean class is the likeliest label in {k - len(ceilings.lost)} of {k} classes{lost}",
        f"  least lead over the next label {_number(ceilings.lead)}; condition number of the matrix {condition}",
        f"  AUROC for wrong labels of the given label alone                   {_number(ceilings.given_label_auroc)}",
    ]


def _difficulty_lines(dependence: Dependence) -> list[str]:
    lines = [
        f"difficulty of {dependence.n} samples against wrong labels:",
        f"  AUROC {_interval(dependence.auroc)}, within the clean classes {_interval(dependence.auroc_within_class)}",
    ]
    if dependence.bins:
        easiest, hardest = dependence.bins[0].rate.value, dependence.bins[-1].rate.value
        part = f"{100 / len(dependence.bins):.3g} %"
        lines.append(f"  wrong among the easiest {part}: {easiest:.1%}; among the hardest: {hardest:.1%}")
    return lines


def _class_table(variant: Variant, description: Description) -> list[str]:
    lines = [
        "class               known   wrong   rate (interval)          expected   nominal   to the commonest wrong class"
    ]
    expected, nominal = description.expected_class_rates, description.nominal_class_rates
    for k, name in enumerate(variant.class_names):
        low, high = description.class_intervals[k]
        cells = [_percent(None if column is None else column[k]) for column in (expected, nominal)]
        lines.append(
            f"{k:>3} {name[:12]:<12}{description.class_counts[k]:>9}{description.class_wrong[k]:>8}   "
            f"{_percent(description.class_rates[k]):<6} ({_percent(low)} to {_percent(high)})".ljust(61)
            + f"{cells[0]:>7}{cells[1]:>10}{_percent(description.modal_shares[k]):>10}"
        )
    return lines


def _matrix_tables(variant: Variant, description: Description) -> list[str]:
    lines = []
    for title, matrix in (("realised", description.transition), ("nominal", description.nominal_transition)):
        if matrix is None or isinstance(matrix, SparseTransition):  # which has more classes than are printed
            continue
        lines.append(f"{title} transition matrix, P(given | clean) in %")
        lines.append(" " * 14 + "".join(f"{k:>6}" for k in range(len(matrix))))
        for k, name in enumerate(variant.class_names):
            lines.append(f"{k:>3} {name[:10]:<10}" + "".join(f"{_cell(value):>6}" for value in matrix[k]))
    return lines


def _interval(estimate: Estimate) -> str:
    if np.isnan(estimate.value):
        return "unknown"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _range(ends: tuple[float, float]) -> str:
    low, high = (f"{end:.1%}" for end in ends)
    return low if low == high else f"{low} to {high}, by what is known"


def _number(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.1%}"


def _cell(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.1f}"
