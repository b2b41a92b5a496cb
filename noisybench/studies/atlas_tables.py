"""Tables of the atlas: where people's labels lie within their twins, by coordinates, detectors and heads."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from noisybench.studies.atlas_grid import HUMAN, KINDS, PUBLISHED, UNCONTESTED
from noisybench.studies.atlas_places import (
    BELOW,
    DETECTOR,
    FOUND,
    PLACED,
    QUANTITIES,
    TEST_VERSIONS,
    AtlasReadings,
    Placement,
    twins_needed,
)
from noisybench.studies.atlas_records import ESTIMANDS
from noisybench.studies.study import StudyTable, plain


def placement_table(found: AtlasReadings) -> StudyTable:
    """People's value of each quantity, and its place within the twins of both kinds."""
    records = []
    for name in found.sets:
        by_kind = {kind: {one.quantity: one for one in found.places(name, PUBLISHED, kind)} for kind in KINDS}
        for quantity in QUANTITIES:
            own = {kind: places[quantity] for kind, places in by_kind.items() if quantity in places}
            if own:
                first = next(iter(own.values()))
                told: dict[str, Any] = {
                    "set": name, "quantity": quantity, "family": quantity if quantity in FOUND else "places",
                    "human": first.human,
                }  # fmt: skip
                for kind, place in own.items():
                    told |= {f"{kind}_{field}": value for field, value in _within(place).items()}
                records.append(plain(told))
    header = ("labels", "quantity", "people", *(f"{word} twins" for word in KINDS.values()))
    lines = tuple(
        (one["set"], QUANTITIES[one["quantity"]], _number(one["human"]), *(_place_words(one, kind) for kind in KINDS))
        for one in records
    )
    caption = (
        "People's labels within their twins: mean of the twins [their range], permutation p by rank, and in brackets p after "
        f"Holm's correction over the quantities of one set, one kind of twins and one family. One-sided: less of "
        f"{', '.join(QUANTITIES[name] for name in BELOW)}, and more of all others, as was expected before. Of twins matched on "
        f"difficulty its own coordinate says how near the match is, which is to a bin. {_families(found)}"
    )
    return StudyTable("placement", caption, tuple(records), header, lines)


def coordinates_table(found: AtlasReadings) -> StudyTable:
    """The coordinates of people's labels and of their twins, with what coherence is made of."""
    records = []
    counts = {(one["set"], one["truth"]): one for one in found.columns if one["kind"] == HUMAN}
    for name in found.sets:
        for truth in found.truths(name):
            own = counts[name, truth]
            told: dict[str, Any] = {"set": name, "truth": truth, "wrong": own["wrong"], "known": own["known"]}
            for field in ("difficulty", "agreement", "expected", "coherence"):
                told[field] = found.human(name, truth, field)
                told |= {f"{kind}_{field}": _mean(found.values(name, truth, kind, field)) for kind in KINDS}
            records.append(plain(told))
    header = (
        "labels", "truth", "wrong", "difficulty", *(f"{word} twins" for word in KINDS.values()), "neighbours alike", "expected",
        "coherence", *(f"{word} twins" for word in KINDS.values()),
    )  # fmt: skip
    lines = tuple(
        (
            one["set"], one["truth"], f"{one['wrong']:,} of {one['known']:,}", _number(one.get("difficulty")),
            *(_number(one.get(f"{kind}_difficulty")) for kind in KINDS), _number(one.get("agreement")),
            _number(one.get("expected")), _number(one.get("coherence")),
            *(_number(one.get(f"{kind}_coherence")) for kind in KINDS),
        )
        for one in records
    )  # fmt: skip
    caption = (
        "Coordinates. Difficulty: AUROC of a difficulty for the wrong labels within clean class, .5 where it has no relation, "
        "higher where wrong labels are on hard samples. Coherence: the share of the nearest neighbours that are wrong in the "
        "same way, less what is expected when labels are permuted within clean class and difficulty."
    )
    return StudyTable("coordinates", caption, tuple(records), header, lines)


def detectors_table(found: AtlasReadings) -> StudyTable:
    """Each detector on people's labels and on their twins: what difficulty explains, and what is left."""
    records = []
    for name in found.sets:
        adjusted = {(kind, one.quantity): one for kind in KINDS for one in found.detector_places(name, PUBLISHED, kind)}
        for detector, role in found.detectors.items():
            told: dict[str, Any] = {"set": name, "detector": detector, "role": role}
            for field in FOUND:
                quantity = f"{detector}.{field}"
                told[field] = found.human(name, PUBLISHED, quantity)
                told |= {f"{field}_{kind}": _mean(found.values(name, PUBLISHED, kind, quantity)) for kind in KINDS}
            told["explained"] = told["auroc_class"] - told["auroc_difficulty"]
            told["left"] = told["auroc_difficulty"] - told["auroc"]
            for kind in KINDS:
                place = adjusted.get((kind, f"{detector}.auroc"))
                told |= {f"p_{kind}": place.p, f"holm_{kind}": place.adjusted} if place else {}
            records.append(plain(told))
    header = (
        "labels", "detector", "AUROC", *(f"{word} twins" for word in KINDS.values()), "by difficulty", "left",
        "p (Holm) of what is left", "within given label",
    )  # fmt: skip
    lines = tuple(
        (
            one["set"], one["detector"] + ("" if one["role"] == DETECTOR else f" ({one['role']})"), _number(one.get("auroc")),
            *(_number(one.get(f"auroc_{kind}")) for kind in KINDS), _number(one.get("explained"), sign=True),
            _number(one.get("left"), sign=True), _p_words(one.get("p_difficulty"), one.get("holm_difficulty")),
            _number(one.get("auroc_within_given")),
        )
        for one in records
    )  # fmt: skip
    count = sum(role == DETECTOR for role in found.detectors.values())
    needed = twins_needed(count)
    reach = "" if found.grid.scored >= needed else (
        f" With {found.grid.scored} twins no single one of {count} detectors can be significant after correction, which would "
        f"take {needed} ('scored' of the grid)."
    )  # fmt: skip
    caption = (
        "Detectors: AUROC for people's wrong labels and its mean over twins. By difficulty: how much less where the wrong "
        "labels of twins are as hard as people's; left: how much less than that for people's own, with its permutation p by rank, "
        "one-sided: less AUROC for people, as was expected before. Holm's correction is over the detectors of one set and "
        f"kind.{reach}"
    )
    return StudyTable("detectors", caption, tuple(records), header, lines)


def estimands_table(found: AtlasReadings) -> StudyTable:
    """The estimands of heads on features, with their errors over subsets."""
    records = []
    for name in found.sets:
        for truth in found.truths(name):
            for estimand in ESTIMANDS:
                told: dict[str, Any] = {
                    "set": name, "truth": truth, "estimand": estimand, "human": found.human(name, truth, estimand),
                    "human_se": found.human(name, truth, f"{estimand}_se"),
                }  # fmt: skip
                told |= {f"{kind}_mean": _mean(found.values(name, truth, kind, estimand)) for kind in KINDS}
                records.append(plain(told))
    header = ("labels", "truth", "estimand", "people ± SE", *(f"{word} twins" for word in KINDS.values()))
    lines = tuple(
        (
            one["set"], one["truth"], ESTIMANDS[one["estimand"]],
            f"{_number(one.get('human'), sign=True)} ± {_number(one.get('human_se'))}",
            *(_number(one.get(f"{kind}_mean"), sign=True) for kind in KINDS),
        )
        for one in records
    )  # fmt: skip
    grid = found.grid
    caption = (
        f"Heads on features: ridge regressions on {grid.features}"
        f"{'' if grid.components is None else f' ({grid.components} principal components)'}, {grid.models} random subsets of "
        f"{grid.fraction:.0%}; means over the wrong labels, standard errors over the subsets "
        "alone, of labels as they are: how far columns differ by chance is what twins say. "
        "Memorization: P_in[given] - P_out[given]; clean damage: P_out[right] - P_in[right]; label swap: how many more of the "
        "heads that saw the sample say the right class when this label alone is put right."
    )
    return StudyTable("estimands", caption, tuple(records), header, lines)


def extremes_table(found: AtlasReadings) -> StudyTable:
    """People's wrong labels of the largest value of each estimand."""
    records = []
    for name in found.sets:
        own = [one for one in found.samples if one["set"] == name]
        for estimand in ESTIMANDS:
            order = sorted(own, key=lambda one, by=estimand: (-one[by], one[f"{by}_se"], one["sample"]))  # type: ignore[misc]
            records += [
                {
                    "set": name, "estimand": estimand, "place": place, "sample": one["sample"], "given": one["given"],
                    "clean": one["clean"], "contested": one["contested"], "value": one[estimand],
                    "error": one[f"{estimand}_se"],
                }
                for place, one in enumerate(order[: found.grid.shown])
            ]  # fmt: skip
    header = ("labels", "estimand", "sample", "given → clean", "value ± SE", "contested")
    lines = tuple(
        (
            one["set"], ESTIMANDS[one["estimand"]], str(one["sample"]), f"{one['given']} → {one['clean']}",
            f"{one['value']:+.2f} ± {one['error']:.2f}", "yes" if one["contested"] else "",
        )
        for one in records
    )  # fmt: skip
    caption = (
        "Extremes: people's wrong labels of the largest value of each estimand, errors binomial over the heads of one sample; "
        "the largest of many estimates is rather too large."
    )
    return StudyTable("extremes", caption, tuple(records), header, lines)


def sensitivity_table(found: AtlasReadings) -> StudyTable:
    """Every quantity again without contested samples, and test accuracy without the confirmed errors of the test set."""
    records: list[dict[str, Any]] = []
    for name in found.sets:
        if UNCONTESTED in found.truths(name):
            for kind in KINDS:
                again = {one.quantity: one for one in found.places(name, UNCONTESTED, kind)}
                records += [
                    _compared(one, again[one.quantity], "contested samples left out")
                    for one in found.places(name, PUBLISHED, kind)
                    if one.quantity in again
                ]
        for quantity, words in TEST_VERSIONS.items():
            if quantity != "test_accuracy" and math.isfinite(found.human(name, PUBLISHED, quantity)):
                for kind in KINDS:
                    one, other = (_accuracy(found, name, kind, field) for field in ("test_accuracy", quantity))
                    records.append(_compared(one, other, words))
    header = ("labels", "without", "quantity", "twins", "people", "people again", "less twins", "less twins again")
    lines = tuple(
        (
            one["set"], one["changed"], QUANTITIES[one["quantity"]], KINDS[one["kind"]], _number(one["human"]),
            _number(one["human_again"]), _number(one.get("difference"), sign=True),
            _number(one.get("difference_again"), sign=True),
        )
        for one in records
    )  # fmt: skip
    caption = (
        "Sensitivity to errors of the clean labels themselves: each quantity, and people's less the mean of their twins, as it "
        "is and again. Contested: all annotators agreed, and not with the clean label; left out, they are nobody's errors, "
        "and twins are drawn anew without them; but those that detectors were asked about are only judged without them, and "
        "may have more wrong labels left than people's. Detectors and heads still see them. Test errors are those that people "
        "confirmed. Of p-values, in the records alone, the side and the families are those of table 'placement'."
    )
    return StudyTable("sensitivity", caption, tuple(records), header, lines)


def columns_table(found: AtlasReadings) -> StudyTable:
    """Every column as it was measured."""
    records = tuple({name: value for name, value in one.items() if name != "record"} for one in found.columns)
    fields = ("difficulty", "coherence", "memorization", "clean_damage", "label_swap", "test_accuracy")
    header = ("labels", "truth", "kind", "draw", "wrong", *fields)
    lines = tuple(
        (
            one["set"], one["truth"], one["kind"], str(one["draw"]), f"{one['wrong']:,}",
            *(_number(one.get(name)) for name in fields),
        )
        for one in records
    )  # fmt: skip
    return StudyTable("columns", "Every column, people's and twins.", records, header, lines)


def _families(found: AtlasReadings) -> str:
    """Which families there are, and whether one of their quantities can be significant."""
    known = {one.quantity for one in found.every_place()}
    families = [("places", [name for name in PLACED if name in known], found.grid.twins)]
    families += [(QUANTITIES[name], [name], found.grid.scored) for name in FOUND if name in known]
    said = []
    for what, quantities, twins in families:
        needed = twins_needed(len(quantities))
        short = "" if twins >= needed else f", so that none can be significant after correction: that takes {needed}"
        quantity = "quantity" if len(quantities) == 1 else "quantities"
        said.append(
            f"family '{what}': {len(quantities)} {quantity}, {twins} twins, least p {1 / (1 + twins):.3f}{short}"
        )
    return "; ".join(said).capitalize() + "."


def _within(place: Placement) -> Mapping[str, float | int]:
    """Where a value lies within twins, for programs."""
    return {
        "mean": float(place.twins.mean()), "least": float(place.twins.min()), "greatest": float(place.twins.max()),
        "twins": len(place.twins), "p": place.p, "holm": place.adjusted,
    }  # fmt: skip


def _place_words(record: Mapping[str, Any], kind: str) -> str:
    if f"{kind}_mean" not in record:
        return "–"
    least, greatest = (_number(record[f"{kind}_{end}"]) for end in ("least", "greatest"))
    return f"{_number(record[f'{kind}_mean'])} [{least}, {greatest}], p {_p_words(record[f'{kind}_p'], record[f'{kind}_holm'])}"


def _p_words(p: float | None, adjusted: float | None) -> str:
    return "–" if p is None or adjusted is None else f"{p:.3f} ({adjusted:.3f})"


def _compared(one: Placement, other: Placement, changed: str) -> dict[str, Any]:
    """A quantity as it is and again."""
    return plain({
        "set": one.set, "changed": changed, "quantity": one.quantity, "kind": one.kind, "human": one.human,
        "human_again": other.human, "twins": _mean(one.twins), "twins_again": _mean(other.twins),
        "difference": one.human - _mean(one.twins), "difference_again": other.human - _mean(other.twins),
        "holm": one.adjusted, "holm_again": other.adjusted,
    })  # fmt: skip


def _accuracy(found: AtlasReadings, name: str, kind: str, field: str) -> Placement:
    """Test accuracy by one version of the test labels, as a quantity; without a test of its own."""
    human, twins = found.human(name, PUBLISHED, field), found.values(name, PUBLISHED, kind, field)
    return Placement(name, PUBLISHED, kind, "test_accuracy", human, twins, math.nan, math.nan, math.nan)


def _mean(values: Sequence[float] | Any) -> float:  # noqa: ANN401 - an array
    return float(np.mean(values)) if len(values) else math.nan


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:+.3f}" if sign else f"{value:.3f}"
