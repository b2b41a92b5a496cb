"""How AUROCs vary together in finished runs, for planning a comparison; see ``noisybench.statistics.planning``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from noisybench.board.truths import read_truths
from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.errors import BadUsage
from noisybench.runs.reading import Paths, Run, finished_and_begun
from noisybench.runs.record import BY_SEED, RunRecord, Setup
from noisybench.statistics.moderation import one_ranking
from noisybench.statistics.planning import MEASURED, Correlations, areas_of, measure_correlations
from noisybench.variants.variant import Provenance, Variant

PAIR = 2


class Varied(NamedTuple):
    """What finished runs of one setup tell of their AUROCs.

    Attributes:
        correlations: Measured; what one draw or one seed cannot tell is that of ``MEASURED``.
        area: Mean AUROC.
        detectors: How many there are, those that are one ranking counted once.
        draws: Draws of the noise.
        seeds: Seeds of each.
    """

    correlations: Correlations
    area: float
    detectors: int
    draws: int
    seeds: int


def measure_runs(paths: Sequence[Run] | Paths, variant: Variant) -> Varied:
    """How AUROCs vary together in the finished runs of a variant and of other draws of its noise.

    Of several setups the one with most runs is taken, with the seeds that all of its draws have.

    Raises:
        BadUsage: No finished run is of these draws, or fewer than two of its detectors rank differently.
    """
    ended, _ = finished_and_begun(paths)
    setups: dict[Setup, list[Run]] = {}
    for run in ended:
        if _setting(run.record) == _setting(variant.provenance):
            setups.setdefault(run.setup, []).append(run)
    if not setups:
        msg = (
            f"no finished run there is of '{variant.name}' or of another draw of its noise; leave the runs out for the "
            f"correlations that noisybench states"
        )
        raise BadUsage(msg)
    setup, runs = max(setups.items(), key=lambda item: len(item[1]))
    names, scores, mislabeled = _grid(runs)
    if len(names) < PAIR:
        msg = (
            f"the runs of '{setup.setup}' have {len(names)} detectors that rank differently, and a difference needs two"
        )
        raise BadUsage(msg)
    _, d, s, _ = scores.shape
    by_seed = setup.regime in BY_SEED
    words = f"these runs ({setup.learner.model}, {len(names)} detectors, draws: {d}, seeds: {s})"
    missing = [word for word, count in (("draws", d), ("seeds", s if by_seed else PAIR)) if count == 1]
    if missing:
        words += f"; those of {' and '.join(missing)} on {MEASURED.measured_on}"
    default = MEASURED if by_seed else replace(MEASURED, seeds=1.0)
    found = measure_correlations(scores, mislabeled, words=words, default=default)
    return Varied(found, float(areas_of(scores, mislabeled).mean()), len(names), d, s)


def _setting(record: RunRecord | Provenance) -> tuple[object, ...]:
    """What runs have in common whose label columns are draws of one noise on the same samples."""
    corrections = None if record.corrections is None else record.corrections
    return (
        record.source_sha256, record.noise, dict(record.params), record.mode, record.limit, corrections,
        dict(record.source_options),
    )  # fmt: skip


def _grid(runs: Sequence[Run]) -> tuple[list[str], Floats, Bools]:
    """Detectors that rank differently, scores (p, d, s, n) and wrong labels (d, n), of samples known in every draw."""
    cells = {(run.record.variant_id, run.seed): run for run in runs}
    draws = sorted({draw for draw, _ in cells})
    seeds = sorted(set.intersection(*({seed for one, seed in cells if one == draw} for draw in draws)))
    if not seeds:  # no seed that all have: one draw with all of its own
        draws = draws[:1]
        seeds = sorted(seed for draw, seed in cells if draw == draws[0])
    chosen = [cells[draw, seed] for draw in draws for seed in seeds]
    names = [name for name, kind in chosen[0].kinds.items() if kind == "detector"]
    names = [name for name in names if all(name in run.kinds for run in chosen)]
    variants = [read_truths(cells[draw, seeds[0]].home, measured_too=False).variant for draw in draws]
    kept = np.all([one.known & ~one.dropped for one in variants], axis=0)
    mislabeled = np.array([one.mislabeled[kept] for one in variants])
    scores = np.array(
        [[[cells[draw, seed].scores(name).values[kept] for seed in seeds] for draw in draws] for name in names]
    )
    if not names or not mislabeled.any(1).all() or mislabeled.all(1).any():
        return [], scores, mislabeled
    areas = areas_of(scores, mislabeled).reshape(len(names), -1)
    first = np.unique(one_ranking(areas))
    return [names[i] for i in first], scores[first], mislabeled
