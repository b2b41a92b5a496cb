"""Tables of the phase study. Means and spreads are over draws of the labels: the least and the greatest, no standard error."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from noisybench.statistics.score_parts import LEAST
from noisybench.studies.phase_maps import (
    PhaseMaps,
    change_along,
    decimals,
    in_every_row,
    leads,
    mean_or_nan,
    nearest_target,
    with_spread,
)
from noisybench.studies.phase_points import MAIN
from noisybench.studies.study import StudyTable, pivoted, plain

PARTS = ("given_label", "held_out_answers", "rest")
"""The parts of an AUROC, which sum to it less one half."""


def map_summary_table(maps: PhaseMaps) -> StudyTable:
    """What each detector, and each control, does over the main map."""
    records = [plain(one) for one in _over_the_map(maps)]
    header = ("detector", "kind", "AUROC at the origin", "within given label", "mean over the map", "within given label",
              "least", "share below .5", "with coherence", "with difficulty")  # fmt: skip
    lines = tuple(
        (one["detector"], one["kind"], *(decimals(one[name]) for name in _NUMBERS[:4]),
         f"{decimals(one['least'])} at {one['least_at']}", decimals(one["below_half"], 2), *(decimals(one[name]) for name in _NUMBERS[-2:]))
        for one in records
    )  # fmt: skip
    caption = (
        f"Detectors over the {len(_reached(maps))} reached targets of the main map, each target the mean over its draws. Origin: "
        f"class-conditional noise of the same counts. Below .5: right labels are more suspicious than wrong ones. With coherence "
        f"(with difficulty): AUROC at the highest reached target less that at the lowest, the other target being equal."
    )
    return StudyTable("detectors", caption, tuple(records), header, lines)


_NUMBERS = ("origin", "origin_within_given", "mean", "mean_within_given", "with_coherence", "with_difficulty")


def _over_the_map(maps: PhaseMaps) -> Iterator[dict[str, Any]]:
    values, within = (maps.at_targets(field, by="features") for field in ("auroc", "auroc_within_given"))
    origin, origin_within = (maps.at(field, role="named", where=MAIN) for field in ("auroc", "auroc_within_given"))
    for kind in ("detector", "control"):
        for name in maps.detectors(kind):
            of_targets = {target: mean_or_nan(draws.values()) for target, draws in values.get(name, {}).items()}
            least = min(of_targets, key=lambda target: of_targets[target], default=None)
            yield {
                "detector": name, "kind": kind, "origin": mean_or_nan(origin.get(name, [])),
                "origin_within_given": mean_or_nan(origin_within.get(name, [])), "mean": mean_or_nan(of_targets.values()),
                "mean_within_given": mean_or_nan(mean_or_nan(draws.values()) for draws in within.get(name, {}).values()),
                "least": np.nan if least is None else of_targets[least],
                "least_at": "–" if least is None else f"{least.difficulty:g}, {least.coherence:g}",
                "below_half": mean_or_nan(value < 0.5 for value in of_targets.values()),  # noqa: PLR2004 - chance
                "targets": len(of_targets),
                **{f"with_{axis}": mean_or_nan(change_along(values.get(name, {}), axis, draw) for draw in maps.grid.draws)
                   for axis in ("coherence", "difficulty")},
            }  # fmt: skip


def _reached(maps: PhaseMaps) -> set[tuple[float, float]]:
    return {(one["target_difficulty"], one["target_coherence"]) for one in maps.placed(role="target", where=MAIN)}


def map_table(maps: PhaseMaps) -> StudyTable:
    """Which detector leads at each target of the main map, and by how much."""
    found = {one.target: one for one in leads(maps)}
    records, cells = [], []
    for coherence in maps.grid.coherence[::-1]:
        for difficulty in maps.grid.difficulty:
            lead = next((one for one in found.values() if tuple(one.target) == (difficulty, coherence)), None)
            record: dict[str, Any] = {
                "target_difficulty": difficulty,
                "target_coherence": coherence,
                "reached": lead is not None,
            }
            text = "–"
            if lead is not None:
                record |= {
                    "best": lead.best, "auroc": mean_or_nan(lead.of_draws), "least": min(lead.of_draws), "most": max(lead.of_draws),
                    "second": lead.second, "ahead": mean_or_nan(lead.ahead), "least_ahead": min(lead.ahead),
                    "most_ahead": max(lead.ahead), "draws": len(lead.of_draws),
                }  # fmt: skip
                text = f"{lead.best} {mean_or_nan(lead.of_draws):.3f} (+{mean_or_nan(lead.ahead):.3f}{'' if min(lead.ahead) > 0 else '?'})"
            records.append(record)
            cells.append({"coherence": coherence, "difficulty": difficulty, "cell": text})
    header, lines = pivoted(cells, ["coherence"], "difficulty", "cell", prefix="difficulty ")
    caption = (
        "The detector of the highest mean AUROC at each target of the main map, that AUROC, and by how much it is ahead of the "
        "next, means over draws; '?' where in some draw it is not. '–': the target was not reached. Lines are targets of "
        "coherence, columns of difficulty."
    )
    return StudyTable("map", caption, tuple(records), header, lines)


def parts_table(maps: PhaseMaps) -> StudyTable:
    """The three parts of each detector's AUROC, by the target of coherence."""
    values = {field: maps.at_targets(field, by="features") for field in ("auroc", *PARTS)}
    records: list[dict[str, Any]] = []
    for name in maps.detectors():
        targets = in_every_row(values["auroc"].get(name, {}))
        for coherence in maps.grid.coherence:
            own = {
                field: [
                    mean_or_nan(of[name][target].values())
                    for target in targets
                    if target.coherence == coherence and target in of.get(name, {})
                ]
                for field, of in values.items()
            }
            if own["auroc"]:
                records.append(
                    {"detector": name, "target_coherence": coherence, "targets": len(own["auroc"])}
                    | {field: mean_or_nan(each) for field, each in own.items()}
                )
    header = ("detector", "coherence", "AUROC − .5", "given label", "held-out answers", "rest", "targets")
    lines = tuple(
        (one["detector"], f"{one['target_coherence']:g}", decimals(one["auroc"] - 0.5), *(decimals(one[part]) for part in PARTS),
         str(one["targets"]))
        for one in records
    )  # fmt: skip
    caption = (
        "What each detector's AUROC comes from, by coherence: what stays of it where scores are permuted within the given label, "
        "what stays beyond that where they are permuted within the given label and a bin of held-out answers of a linear model, and "
        "the rest: what a detector orders among samples of one label and like answers. Means over the targets of difficulty that were "
        "reached in every row, so that rows differ in coherence alone; where there is none, over all that were reached in a row. They sum to AUROC − .5. A given label of fewer than "
        f"{2 * LEAST} samples has one bin, so that answers tell nothing there and all beyond the label is rest."
    )
    return StudyTable("parts", caption, tuple(map(plain, records)), header, lines)


def named_table(maps: PhaseMaps) -> StudyTable:
    """Each named variant beside class-conditional noise of the same counts, by detector."""
    records = [plain(one) for name in maps.named for one in _named(maps, name)]
    header = ("point", "difficulty, coherence", "counterpart's", "detector", "AUROC", "counterpart", "difference",
              "nearest target of its map")  # fmt: skip
    lines = tuple(
        (one["named"], _place(one, ""), _place(one, "counterpart_"), one["detector"], decimals(one["auroc"]),
         with_spread([one[f"counterpart_{end}"] for end in ("least", "auroc", "most")] if one["counterparts"] > 1 else [one["counterpart_auroc"]]),
         decimals(one["difference"]), decimals(one["nearest_auroc"]))
        for one in records
    )  # fmt: skip
    caption = (
        "Named variants, each beside its counterparts: class-conditional noise with the same number of labels in every cell of "
        "clean and given class. Mean over the counterparts with the least and the greatest; the nearest target is that of the "
        "variant's own map, of the same counts, whose realised coordinates are nearest to the variant's."
    )
    return StudyTable("named", caption, tuple(records), header, lines)


def _named(maps: PhaseMaps, name: str) -> Iterator[dict[str, Any]]:
    """A record for each detector, and for memorization."""
    own = maps.placed(role="named", where=name)
    twins = maps.placed(role="counterpart", where=name)
    near = nearest_target(maps, name)
    if not own:
        return
    about: dict[str, Any] = {"named": name, "rate": own[0]["rate"], "counterparts": len(twins)}
    about |= {field: own[0][field] for field in ("difficulty", "coherence")}
    about |= {f"counterpart_{field}": mean_or_nan(one[field] for one in twins) for field in ("difficulty", "coherence")}
    about |= {f"nearest_{field}": None if near is None else near[field] for field in ("difficulty", "coherence")}
    for by in ("features", "closed_form"):
        found = {role: maps.at("auroc", role=role, where=name, by=by) for role in ("named", "counterpart")}
        nearest = {
            one["detector"]: one["auroc"]
            for one in maps.scores
            if near is not None and (one["point"], one["by"]) == (near["point"], by)
        }
        for detector, (auroc, *_) in found["named"].items():
            twin = found["counterpart"].get(detector, [])
            yield about | {
                "detector": detector, "auroc": auroc, "counterpart_auroc": mean_or_nan(twin), "counterpart_least": min(twin, default=None),
                "counterpart_most": max(twin, default=None), "difference": auroc - mean_or_nan(twin),
                "nearest_auroc": nearest.get(detector),
            }  # fmt: skip


def _place(record: Mapping[str, Any], prefix: str) -> str:
    return ", ".join(decimals(record[f"{prefix}{field}"]) for field in ("difficulty", "coherence"))


def memorization_table(maps: PhaseMaps) -> StudyTable:
    """AUROC of memorization at each target: in closed form, and of networks where there are any."""
    records = []
    closed, pools = (maps.at_targets("auroc", by=by).get("memorization", {}) for by in ("closed_form", "pool"))
    within = maps.at_targets("auroc_within_given", by="closed_form").get("memorization", {})
    for target, draws in closed.items():
        records.append(
            {"target_difficulty": target.difficulty, "target_coherence": target.coherence, "closed_form": mean_or_nan(draws.values()),
             "least": min(draws.values()), "most": max(draws.values()),
             "closed_form_within_given": mean_or_nan(within.get(target, {}).values()), "networks": mean_or_nan(pools.get(target, {}).values())}
        )  # fmt: skip
    records = [
        plain(one) for one in sorted(records, key=lambda one: (one["target_coherence"], one["target_difficulty"]))
    ]
    header = ("coherence", "difficulty", "closed form", "within given label", "subset networks")
    lines = tuple(
        (f"{one['target_coherence']:g}", f"{one['target_difficulty']:g}", decimals(one["closed_form"]),
         decimals(one["closed_form_within_given"]), decimals(one["networks"]))
        for one in records
    )  # fmt: skip
    caption = (
        "AUROC of memorization of the given label for the wrong ones, as a reference: how much the answer for it falls when the "
        "sample is left out of ridge regression, exactly; and by subset networks at some targets."
    )
    return StudyTable("memorization", caption, tuple(records), header, lines)


def networks_table(maps: PhaseMaps) -> StudyTable:
    """What detectors of trainings, and memorization of networks, say at the points at which networks were trained."""
    fields = ("difficulty", "coherence", "auroc", "auroc_within_given", *PARTS)
    records = [
        plain({"point": one["point"], "by": one["by"], "model": one.get("model"), "detector": one["detector"], "kind": one["kind"]}
              | {field: one.get(field) for field in fields})
        for one in maps.scores
        if one["by"] in ("training", "pool")
    ]  # fmt: skip
    header = ("point", "difficulty", "coherence", "by", "detector", "AUROC", "within given label", "given label",
              "held-out answers", "rest")  # fmt: skip
    lines = tuple(
        (one["point"], *(decimals(one[field]) for field in fields[:2]), f"{one['by']} of {one['model'] or '–'}", one["detector"],
         *(decimals(one[field]) for field in fields[2:]))
        for one in records
    )  # fmt: skip
    caption = (
        "Networks trained on the labels of some points: detectors of the training, and memorization by subset networks."
    )
    return StudyTable("networks", caption, tuple(records), header, lines)


def points_table(maps: PhaseMaps) -> StudyTable:
    """Every label column: what was asked, and where it lies."""
    fields = ("map", "role", "point", "draw", "target_difficulty", "target_coherence", "reached", "difficulty", "coherence",
              "rate", "variant_id", "name")  # fmt: skip
    records = [{field: one.get(field) for field in fields} for one in maps.points]
    header = ("map", "role", "point", "draw", "targets", "reached", "difficulty", "coherence", "rate")
    lines = tuple(
        (str(one["map"]), str(one["role"]), str(one["point"]), str(one["draw"]),
         "–" if one["target_difficulty"] is None else f"{one['target_difficulty']:g}, {one['target_coherence']:g}",
         "yes" if one["reached"] else "no", *(decimals(one[field]) for field in ("difficulty", "coherence", "rate")))
        for one in records
    )  # fmt: skip
    caption = (
        "Every label column. Difficulty: AUROC of difficulty for the flips within clean class. Coherence: share of a flip's "
        "neighbours that are flips to the same class, less its expectation under permutation within cell and difficulty bin. Of a "
        "target that was not reached: where the search ended."
    )
    return StudyTable("points", caption, tuple(records), header, lines)


def scores_table(maps: PhaseMaps) -> StudyTable:
    """Every score at every point, as it is."""
    fields = ("map", "role", "point", "draw", "difficulty", "coherence", "detector", "kind", "by", "model", "auroc",
              "auroc_within_given", *PARTS)  # fmt: skip
    records = [{field: one.get(field) for field in fields} for one in maps.scores]
    header = ("point", "detector", "by", "AUROC", "within given label", "given label", "held-out answers", "rest")
    lines = tuple(
        (
            *(str(one[field]) for field in ("point", "detector", "by")),
            *(decimals(one[field]) for field in ("auroc", "auroc_within_given", *PARTS)),
        )
        for one in records
    )
    return StudyTable("scores", "Every score at every point.", tuple(records), header, lines)
