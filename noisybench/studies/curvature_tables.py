"""The tables of the curvature study, from its records alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from noisybench.studies.curvature_cells import MEMORIZES, SHARES, ByRun, Readings, Spread, by_run, minus, spread
from noisybench.studies.curvature_records import MEMORIZATION
from noisybench.studies.curvature_runs import AUTHORS_STEP, CURVATURE, OWN_STEP, CurvatureCell
from noisybench.studies.study import StudyTable, pivoted, plain

TARGETS = ("flips", "pairs", "copies", "twins")
"""What is told from right labels that are in no pair, see ``curvature_records.targets_of``."""
WORDS = {CURVATURE: "curvature, mean over epochs"}
"""Measures in words, where their names are none."""
STRATA = ("all", "right labels", "wrong labels")
BETWEEN = ("seeds", "weight decays and seeds", "weight decays")
"""What two trainings differ in whose most curved samples are compared; the first two are compared with each other."""
KINDS = {
    "flips": "flips",
    "copies": "conflicting copies",
    "twins": "their twins",
    "right_memorized": "right labels that are memorized",
    "right": "right labels in all",
}
"""Field of a record of the top → the kind of sample in words."""


def said(of: Spread) -> dict[str, Any]:
    """A spread as the fields of a record."""
    return {"value": of.value, "low": of.low, "high": of.high, "over": of.over or None, "cell": str(of)}


def named(measure: str) -> str:
    """A measure in words."""
    return WORDS.get(measure, measure)


def _table(name: str, caption: str, rows: Iterable[Mapping[str, Any]], by: Sequence[str], across: str) -> StudyTable:
    """A table with a line for each combination of some fields, and a column for each value of another."""
    records = [plain(one) for one in rows]
    header, lines = pivoted([{**one, "measure": named(one.get("measure", ""))} for one in records], by, across, "cell")
    kept = tuple({key: value for key, value in one.items() if key != "cell"} for one in records)
    header = tuple(name.replace("_", " ") for name in header)
    return StudyTable(name, caption, kept, header, tuple(tuple(_blank(cell) for cell in line) for line in lines))


def _blank(cell: str) -> str:
    return "–" if cell in ("None", "") else cell


def fit_table(found: Readings) -> StudyTable:
    """Whether the trainings interpolate: shares of wrong and of right labels fitted, by cell."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            for setting in found.settings(source):
                for field, word in (("mislabeled_fit", "wrong labels fitted"), ("clean_fit", "right labels fitted")):
                    cells = found.cells("run", setting, field)
                    yield {**setting._asdict(), "what": word, **said(spread(cells, bounds=SHARES))}

    caption = (
        "Whether the trainings interpolate: shares of the wrong and of the right labels that are fitted after the last epoch. "
        "Conflicting copies count as neither."
    )
    return _table("fit", caption, rows(), ("source", "rate", "activation", "weight_decay", "step"), "what")


def flips_table(found: Readings) -> StudyTable:
    """AUROC of each measure for planted flips, by rate, at the authors' step and our own."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            for step in sorted(
                {found.centre(source).step, AUTHORS_STEP, OWN_STEP}, key=_first(found.centre(source).step)
            ):
                centre = found.centre(source)._replace(step=step)
                for measure in found.measures(centre):
                    if measure == MEMORIZATION:
                        continue  # it was measured at one rate
                    for rate in found.rates(source):
                        setting = centre._replace(rate=rate)
                        tuned = found.sources[source].get("tuned_on") if step == OWN_STEP else None
                        yield {
                            "source": source, "step": step, "measure": measure, "rate": rate, "tuned_on": tuned,
                            **said(found.auroc(setting, measure, "flips")),
                        }  # fmt: skip

    return _table(
        "flips",
        f"AUROC for flipped labels against right ones that are in no pair of duplicates, by rate. {_over(found)}",
        rows(),
        ("source", "step", "measure"),
        "rate",
    )


def epochs_table(found: Readings) -> StudyTable:
    """AUROC of curvature and of loss at single epochs, and of their means over epochs."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            centre = found.centre(source)
            for target in ("flips", "pairs"):
                for measure, mean in (("curvature", CURVATURE), ("loss", "cumulative_loss")):
                    own = [
                        one for one in found.of("epoch", centre) if (one["measure"], one["target"]) == (measure, target)
                    ]
                    about = {"source": source, "target": target, "measure": measure}
                    for epoch in sorted({int(one["epoch"]) for one in own}):
                        yield {**about, "epoch": epoch, **said(_at(own, epoch))}
                    yield {**about, "epoch": "mean", **said(found.auroc(centre, mean, target))}

    caption = (
        f"AUROC by epoch, and of the mean over epochs (of the loss, over all epochs), at the rate and step that all else is "
        f"compared at. {_over(found)}"
    )
    return _table(
        "epochs",
        caption,
        ({**one, "epoch": str(one["epoch"])} for one in rows()),
        ("source", "target", "measure"),
        "epoch",
    )


def _at(records: Sequence[Mapping[str, Any]], epoch: int) -> Spread:
    return spread(by_run(records, "auroc", epoch=epoch), bounds=SHARES)


def duplicates_table(found: Readings) -> StudyTable:
    """AUROC of each measure, memorization among them, for conflicting duplicates."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            centre = found.centre(source)
            for measure in found.measures(centre):
                for target in TARGETS:
                    yield {
                        "source": source,
                        "measure": measure,
                        "target": target,
                        **said(found.auroc(centre, measure, target)),
                    }

    caption = (
        f"AUROC for exact duplicates under conflicting labels, each against right labels that are in no pair: both of a pair, "
        f"its copy, whose label conflicts, and its twin, whose own label is right; and for flips. {_over(found)}"
    )
    return _table("duplicates", caption, rows(), ("source", "measure"), "target")


def rivals_table(found: Readings) -> StudyTable:
    """AUROC of averaged curvature less that of each other measure, by activation."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            for activation in found.grid.activations:
                setting = found.centre(source)._replace(activation=activation)
                for rival in found.measures(setting)[1:]:
                    for target in ("flips", "pairs", "copies"):
                        difference = minus(*(found.scores(setting, one, target) for one in (CURVATURE, rival)))
                        yield {
                            "source": source, "activation": activation, "measure": rival, "target": target,
                            **said(spread(difference)),
                        }  # fmt: skip

    caption = (
        f"AUROC of curvature averaged over epochs less that of each other measure: above zero where curvature is better. "
        f"{_over(found)}"
    )
    return _table("rivals", caption, rows(), ("source", "activation", "measure"), "target")


def steps_table(found: Readings) -> StudyTable:
    """Each step with each activation: AUROC, kinks crossed, and rank agreement with the authors' step."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            for activation in found.grid.activations:
                for step in found.grid.steps:
                    setting = found.centre(source)._replace(activation=activation, step=step)
                    about = {"source": source, "activation": activation, "step": step}
                    for target in ("flips", "pairs"):
                        yield {**about, "what": f"AUROC, {target}", **said(found.auroc(setting, CURVATURE, target))}
                    changed = found.cells("run", setting, "activation_change")
                    yield {**about, "what": "steps that cross a kink", **said(spread(changed, bounds=SHARES))}
                    yield {
                        **about,
                        "what": f"Spearman with step {AUTHORS_STEP:g}",
                        **said(spread(rank_of_steps(found, setting))),
                    }
                    again = found.cells("steps", setting, "spearman", other_step=step)
                    yield {
                        **about,
                        "what": "Spearman with another seed",
                        **said(spread(again)),
                    }

    caption = (
        f"Steps, with each activation: AUROC of averaged curvature, the share of steps along which some unit changes its state, "
        f"rank agreement over all samples with the authors' step in the same training, and with another training at the same "
        f"step. {_over(found)}"
    )
    return _table("steps", caption, rows(), ("source", "activation", "step"), "what")


def rank_of_steps(found: Readings, setting: CurvatureCell, step: float = AUTHORS_STEP) -> dict[tuple[int, int], float]:
    """Spearman's correlation of curvature at two steps in one training, by draw and seed."""
    first, second = sorted((step, setting.step))
    own = found.of("steps", setting._replace(step=first))
    same = [one for one in own if one["seed"] == one["other_seed"]]
    return by_run(same, "spearman", other_step=second)


def agreement_table(found: Readings) -> StudyTable:
    """Agreement of each measure with memorization, by rank and by angle, beside the nulls."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            centre = found.centre(source)
            if found.fitted(centre) < MEMORIZES:
                continue
            for measure in found.measures(centre):
                for stratum in STRATA:
                    for field, word in AGREEMENTS.items():
                        cells = found.cells("agreement", centre, field, measure=measure, stratum=stratum)
                        if cells:
                            yield {
                                "source": source,
                                "measure": measure,
                                "samples": stratum,
                                "what": word,
                                **said(spread(cells)),
                            }

    little = [name for name in found.sources if found.fitted(found.centre(name)) < MEMORIZES]
    words = f" Nothing was memorized on {', '.join(little)}, and so nothing is correlated there." if little else ""
    caption = (
        f"Agreement with memorization, measured with subset models that train alike, over samples that are in no pair: by rank "
        f"(null: 0) and as cosine, whose nulls are the cosine of a constant and the mean over shuffled scores. {_over(found)}{words}"
    )
    return _table("agreement", caption, rows(), ("source", "samples", "measure"), "what")


AGREEMENTS = {
    "spearman": "Spearman",
    "pearson": "Pearson",
    "cosine": "cosine",
    "cosine_constant": "cosine of a constant",
    "cosine_permuted": "cosine, shuffled",
}


def tops_table(found: Readings) -> StudyTable:
    """What two trainings have in common among the most curved samples."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            for between in BETWEEN:
                yield {
                    "source": source,
                    "between": between,
                    "what": "overlap",
                    **said(spread(overlaps(found, source, between), bounds=SHARES)),
                }

    decays = ", ".join(f"{one:g}" for one in found.grid.weight_decays)
    caption = (
        f"Share of the {found.grid.top:.0%} most curved samples that two trainings of one draw have in common, which differ in "
        f"their seed, in their weight decay ({decays}), or in both. Chance: {found.grid.top:g}. {_over(found)}"
    )
    return _table("tops", caption, rows(), ("source", "between"), "what")


def overlaps(found: Readings, source: str, between: str) -> ByRun:
    """Mean overlap of the tops of two trainings, by draw (and 0 for a seed)."""
    by_draw: dict[int, list[float]] = {}
    for one in found.of("top"):
        if one["source"] == source and one["between"] == between:
            by_draw.setdefault(int(one["draw"]), []).append(float(one["overlap"]))
    return {(draw, 0): sum(values) / len(values) for draw, values in by_draw.items()}


def top_kinds_table(found: Readings) -> StudyTable:
    """What the most curved samples are, by weight decay."""

    def rows() -> Iterator[dict[str, Any]]:
        for source in found.sources:
            for decay in found.grid.weight_decays:
                setting = found.centre(source)._replace(weight_decay=decay)
                for field, word in KINDS.items():
                    cells = found.cells("kind_of_top", setting, field)
                    yield {"source": source, "weight_decay": decay, "kind": word, **said(spread(cells, bounds=SHARES))}

    caption = (
        f"What the {found.grid.top:.0%} most curved samples are, by weight decay: shares of the top. Memorized: by subset models "
        f"without weight decay. A twin whose label was flipped is of no kind. {_over(found)}"
    )
    return _table("top_kinds", caption, rows(), ("source", "weight_decay"), "kind")


def _first(step: float) -> Any:  # noqa: ANN401 - a key of sorting
    return lambda one: (one != step, one)


def _over(found: Readings) -> str:
    """What intervals are over."""
    grid = found.grid
    if len(grid.draws) > 1 and all(one.get("rate") is not None for one in found.sources.values()):
        each = f", each the mean of {len(grid.seeds)} trainings" if len(grid.seeds) > 1 else ""
        return f"Means over {len(grid.draws)} draws{each}; 95 % intervals by Student's t over draws."
    if len(grid.seeds) > 1:
        return f"95 % intervals by Student's t over draws, or over {len(grid.seeds)} trainings where there is one draw."
    return "Of one training; intervals of an AUROC are over samples."
