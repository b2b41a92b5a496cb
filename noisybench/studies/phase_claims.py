"""What the phase study claims, and by which number each claim is judged; it stood here before anything was measured.

Effects are turned so that the claim says that they are above zero. Units are draws of the labels, but where it says otherwise;
where something is chosen because it is the largest, it is chosen on the other draws, and measured on the one that is left.
"""

from collections.abc import Callable, Mapping

import numpy as np

from noisybench.studies.draw_means import measured_over, without_value
from noisybench.studies.hypotheses import Effect, Hypothesis
from noisybench.studies.phase_maps import MapTarget, PhaseMaps, change_along, mean_or_nan, nearest_target

SMALLEST = 0.05
"""Difference of AUROC that matters: half of the least step between kinds of noise at one rate that was known before (kNN on
CIFAR-10 at .35: .940 under symmetric, .817 under polynomial-margin and .710 under cluster-based noise)."""
AHEAD = 0.02
"""Lead of a detector that matters: less than ``SMALLEST``, since detectors are compared on the same labels."""

NOBODY = "stated here; of no paper"
CLAIMS = (
    Hypothesis(
        "coherent_errors_are_hidden",
        NOBODY,
        "phase",
        "Where wrong labels are the most coherent and easy, no detector of (input, given label) finds them beyond what the "
        "given label tells",
        f"{SMALLEST:g} minus what the best detector's AUROC within the given label exceeds .5 by, at the highest reached target of "
        "coherence and there the lowest of difficulty; the best by the other draws",
        smallest=0.0,
        primary=True,
    ),
    Hypothesis(
        "neighbours_fail_with_coherence",
        NOBODY,
        "phase",
        "kNN finds fewer of the wrong labels the more coherent they are, at equal difficulty and counts",
        "AUROC of knn at the lowest reached target of coherence minus that at the highest, mean over targets of difficulty",
        smallest=SMALLEST,
        primary=True,
    ),
    Hypothesis(
        "leader_changes",
        NOBODY,
        "phase",
        "Which detector leads depends on where wrong labels lie, at one rate and the same counts",
        "AUROC of another detector minus that of the leader of the whole map, at the target where it is most ahead; leader, rival "
        "and target by the other draws",
        smallest=AHEAD,
        primary=True,
    ),
    Hypothesis(
        "neighbours_fail_with_difficulty",
        NOBODY,
        "phase",
        "kNN finds fewer of the wrong labels the harder their samples are, at equal coherence and counts",
        "AUROC of knn at the lowest reached target of difficulty minus that at the highest, mean over targets of coherence",
        smallest=SMALLEST,
    ),
    Hypothesis(
        "memorization_falls_with_coherence",
        NOBODY,
        "phase",
        "Coherent wrong labels are memorized less than scattered ones, against right labels",
        "AUROC of memorization in closed form at the lowest reached target of coherence minus that at the highest",
        smallest=SMALLEST,
    ),
    Hypothesis(
        "coordinates_tell_more_than_counts",
        NOBODY,
        "phase",
        "Difficulty and coherence tell more of how well the errors of named label sets are found than rate and cells do",
        "distance of a detector's AUROC on the named variant from that on its counterpart, minus that from the nearest target of "
        "its own map; mean over detectors, units are named variants",
        smallest=AHEAD,
    ),
)
"""Every claim, in the order in which they are told."""


def measured_phase(maps: PhaseMaps) -> dict[str, Effect | str]:
    """Name of each claim → what was measured, or in words why it was not."""
    asked: Mapping[str, Callable[[PhaseMaps], Effect | str]] = {
        "coherent_errors_are_hidden": _hidden,
        "neighbours_fail_with_coherence": lambda found: _falls(found, "knn", "features", "coherence"),
        "leader_changes": _leader_changes,
        "neighbours_fail_with_difficulty": lambda found: _falls(found, "knn", "features", "difficulty"),
        "memorization_falls_with_coherence": lambda found: _falls(found, "memorization", "closed_form", "coherence"),
        "coordinates_tell_more_than_counts": _coordinates_tell,
    }
    return {name: measure(maps) for name, measure in asked.items()}


def _said(maps: PhaseMaps) -> str:
    grid = maps.grid
    limit = "all samples" if grid.limit is None else f"the first {grid.limit:,} samples"
    return f"'{grid.source}', {limit}, rate {grid.rate:g}, features '{grid.features}'; units are draws"


def _falls(maps: PhaseMaps, detector: str, by: str, axis: str) -> Effect | str:
    """How much a detector's AUROC falls along an axis of the main map."""
    values = maps.at_targets("auroc", by=by).get(detector)
    if values is None:
        return f"'{detector}' was not scored at any reached target"
    changes = [-change_along(values, axis, draw) for draw in maps.grid.draws]
    known = [value for value in changes if not np.isnan(value)]
    if not known:
        return f"no two targets of {axis} were reached at one target of the other axis"
    return measured_over(known, _said(maps) + without_value(len(known), len(changes)))


def _whole(maps: PhaseMaps, field: str) -> dict[str, dict[MapTarget, dict[int, float]]]:
    """Values of each detector at the targets that every draw reached."""
    draws = {*maps.grid.draws}
    found = {}
    for name, of_targets in maps.at_targets(field, by="features").items():
        whole = {target: values for target, values in of_targets.items() if draws <= {*values}}
        if name in maps.detectors() and whole:
            found[name] = whole
    return found


SEVERAL = "of one draw: what is the largest must be chosen on other labels than it is measured on"


def _hidden(maps: PhaseMaps) -> Effect | str:
    """What the best detector finds within the given label where errors are the most coherent and easy."""
    values = _whole(maps, "auroc_within_given")
    if not values:
        return "no target was reached in every draw"
    if len(maps.grid.draws) < 2:  # noqa: PLR2004
        return SEVERAL
    place = max({target for one in values.values() for target in one}, key=lambda one: (one.coherence, -one.difficulty))
    there = {name: one[place] for name, one in values.items() if place in one}
    found = []
    for draw in maps.grid.draws:
        best = max(there, key=lambda name: _others(there[name], draw))
        found.append(SMALLEST - (there[best][draw] - 0.5))
    at = f", at targets {place.difficulty:g} of difficulty and {place.coherence:g} of coherence"
    return measured_over(found, _said(maps) + at)


def _others(values: Mapping[int, float], draw: int) -> float:
    """Mean over all draws but one."""
    return mean_or_nan(value for other, value in values.items() if other != draw)


def _leader_changes(maps: PhaseMaps) -> Effect | str:
    """How far another detector is ahead of the leader of the whole map, where it is most."""
    values = _whole(maps, "auroc")
    if len(values) < 2:  # noqa: PLR2004
        return "no two detectors were scored at a target that every draw reached"
    if len(maps.grid.draws) < 2:  # noqa: PLR2004
        return SEVERAL
    found = []
    for draw in maps.grid.draws:
        without = {name: {target: _others(of, draw) for target, of in one.items()} for name, one in values.items()}
        leader = max(without, key=lambda name: mean_or_nan(without[name].values()))
        ahead = {
            (name, target): value - without[leader][target]
            for name, one in without.items()
            for target, value in one.items()
            if name != leader and target in without[leader]
        }
        rival, target = max(ahead, key=lambda place: ahead[place])
        found.append(values[rival][target][draw] - values[leader][target][draw])
    return measured_over(found, _said(maps))


def _coordinates_tell(maps: PhaseMaps) -> Effect | str:
    """Whether the nearest target of its own map is nearer to a named variant than its counterpart is."""
    found = []
    for name in maps.named:
        near = nearest_target(maps, name)
        if near is None:
            continue
        own, twin = (maps.at("auroc", role=role, where=name) for role in ("named", "counterpart"))
        there = {one["detector"]: one["auroc"] for one in maps.scores if one["point"] == near["point"]}
        found.append(
            mean_or_nan(
                abs(own[detector][0] - mean_or_nan(twin[detector])) - abs(own[detector][0] - there[detector])
                for detector in maps.detectors()
                if detector in own and detector in twin and detector in there
            )
        )
    known = [value for value in found if not np.isnan(value)]
    if not known:
        return "there is no named variant with a counterpart and a reached target in its own map"
    return measured_over(known, f"{_said(maps).rpartition(';')[0]}; units are named variants")
