"""Choosing detectors: by names and sets, those that a run of ``evaluate`` feeds, and the regimes that feed them."""

from collections.abc import Collection, Mapping, Sequence
from typing import get_args

from noisybench.detection.scoring import OF_EVALUATE, RESERVED, Detector, DetectorSet, FedRegime
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find, names, objectives_leaving

COMMANDS: Mapping[FedRegime, str] = {
    "pool": "memorize VARIANT --pool detector",
    "features": "score VARIANT --features NAME",
    "answers": "score VARIANT --answers",
}
"""Regime of other commands → the command whose runs feed its detectors."""
NEEDS: Mapping[FedRegime, str] = {
    "pool": "a pool of models", "features": "frozen features", "answers": "answers of several people",
}  # fmt: skip


def fed_by(spec: str) -> tuple[FedRegime, ...]:
    """The regimes that feed a detector, by what the catalog finds it by."""
    detector: Detector = find("detectors", spec)
    return detector.fed_by


def regimes_of(detectors: Mapping[str, str]) -> tuple[FedRegime, ...]:
    """The regimes of ``evaluate`` that feed some detectors, the observed training first.

    Args:
        detectors: Name of each → what the catalog finds it by.
    """
    fed = [fed_by(spec) for spec in detectors.values()]
    return tuple(regime for regime in OF_EVALUATE if any(regime in one for one in fed))


def choose_detectors(detectors: str | Sequence[str], leaves: Collection[str] = ()) -> dict[str, str]:
    """Name of each detector → what the catalog finds it by.

    Args:
        detectors: Names, and sets: ``fast``, ``standard`` or ``all`` that trainings feed, see ``DetectorSet``; those that
            read what an objective leaves are in a set where it does.
        leaves: Columns that the objective of the training leaves.

    Raises:
        BadUsage: A name that does not exist or is taken, a detector that no training feeds, or none with this objective,
            two detectors of one name, or one of the user's own that reads columns of several trainings.
    """
    asked = [detectors] if isinstance(detectors, str) else [*detectors]
    sets = [spec for spec in asked if spec in get_args(DetectorSet)]
    alone = [spec for spec in asked if spec not in sets]
    found: dict[str, Detector] = {
        spec: find("detectors", spec) for spec in (*alone, *(names("detectors") if sets else ()))
    }
    for spec in alone:
        _check_fed(found[spec], spec)
        _check_left(found[spec], leaves)
    within = {smallest for one in sets for smallest in get_args(DetectorSet)[: get_args(DetectorSet).index(one) + 1]}
    listed = [
        spec
        for spec, detector in found.items()
        if spec not in alone
        and {*OF_EVALUATE} & {*detector.fed_by}
        and {*detector.left_by_objective} <= {*leaves}
        and detector.smallest_set in within
    ]
    wanted = [*alone, *listed]
    chosen = {found[spec].name: spec for spec in wanted}
    if len(chosen) < len(wanted):
        mend = "rename your own" if len(set(wanted)) == len(wanted) else "name each once"
        msg = f"two of the detectors {', '.join(wanted)} have one name; {mend}"
        raise BadUsage(msg)
    listed_names = names("detectors")
    for name, spec in chosen.items():
        ours = name in listed_names and find("detectors", name) != found[spec]
        if ours or name in RESERVED or name.startswith("memorization by "):
            msg = f"detector {spec} is called '{name}', as one of noisybench's detectors or references; rename your own"
            raise BadUsage(msg)
    return chosen


def _check_fed(detector: Detector, spec: str) -> None:
    """Raise ``BadUsage`` for a detector that no run of ``evaluate`` feeds; the sentence names the command that does."""
    fed = detector.fed_by
    if "training" in fed or ({*OF_EVALUATE} & {*fed} and spec in names("detectors")):
        return
    if {*OF_EVALUATE} & {*fed}:
        msg = (
            f"detector '{detector.name}' is your own and reads columns of several trainings; expected columns of probes"
        )
        raise BadUsage(msg)
    if not fed:
        msg = f"detector '{detector.name}' needs {', '.join(detector.needs)}, which no run leaves together"
        raise BadUsage(msg)
    what = " or ".join(NEEDS[regime] for regime in fed)
    commands = " or ".join(f"'noisybench {COMMANDS[regime]}'" for regime in fed)
    msg = f"detector '{detector.name}' needs {what}; {commands} scores it"
    raise BadUsage(msg)


def _check_left(detector: Detector, leaves: Collection[str]) -> None:
    """Raise ``BadUsage`` for a detector that reads what the objective does not leave; the sentence names those that do."""
    lacking = [name for name in detector.left_by_objective if name not in leaves]
    if not lacking:
        return
    able = objectives_leaving(lacking)
    mend = f"objective {' or '.join(able)} leaves it" if able else "none of noisybench's does"
    msg = f"detector '{detector.name}' reads {' and '.join(lacking)}, which this objective does not leave; {mend}"
    raise BadUsage(msg)
