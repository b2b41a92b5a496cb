"""Boards whose truth is known: scores of detectors on the same samples, with several seeds and draws, and their parts."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import rankdata

from noisybench.ground.arrays import Bools, Floats
from noisybench.statistics.column_means import LabelColumn
from noisybench.statistics.crossed import RowValues, SampleParts


@dataclass(frozen=True)
class Design:
    """How a board is drawn.

    A score is normal: what the sample is like for every detector, for this one, and for this one with this seed; wrong
    labels that are visible stand higher by what the detector makes of them, which differs from seed to seed and from draw
    to draw.

    Attributes:
        strengths: By how much each detector lifts a visible error, shape (p,).
        wrong: Wrong labels of each draw.
        right: Right ones.
        visible: Share of the wrong labels that are visible.
        draws: Label columns.
        seeds: Training seeds.
        common: Standard deviation of what is alike for every detector, as the next two.
        own: Of the detector's own.
        with_seed: Of a detector with a seed.
        of_seed: Of the strength over seeds.
        of_draw: Of the strength over draws.
        ties: Digits that are left of a score; None leaves all.
    """

    strengths: tuple[float, ...]
    wrong: int = 40
    right: int = 160
    visible: float = 1.0
    draws: int = 1
    seeds: int = 3
    common: float = 0.7
    own: float = 0.5
    with_seed: float = 0.5
    of_seed: float = 0.1
    of_draw: float = 0.0
    ties: int | None = None

    @property
    def truth(self) -> Floats:
        """AUROC of each detector over samples, seeds and draws, shape (p,); exact but for ties."""
        spread = 2 * (self.common**2 + self.own**2 + self.with_seed**2) + self.of_seed**2 + self.of_draw**2
        found: Floats = self.visible * ndtr(np.array(self.strengths) / np.sqrt(spread)) + (1 - self.visible) / 2
        return found


def drawn_board(design: Design, rng: np.random.Generator) -> tuple[list[RowValues], SampleParts]:
    """The values of each row, and what samples do to them, by the definitions and with one loop over columns and seeds."""
    n, p = design.wrong + design.right, len(design.strengths)
    alike, own = rng.normal(0, design.common, (n, 1)), rng.normal(0, design.own, (n, p))
    rows: list[dict[LabelColumn, dict[int, float]]] = [{} for _ in range(p)]
    averaged = np.zeros((design.draws, n, p))
    for d in range(design.draws):
        column = LabelColumn("made up", "symmetric", "rate=0.2", f"draw {d}")
        wrong = np.zeros(n, dtype=bool)
        wrong[rng.permutation(n)[: design.wrong]] = True
        visible = wrong & (rng.uniform(size=n) < design.visible)
        of_draw = rng.normal(0, design.of_draw, p)
        for s in range(design.seeds):
            lift = np.array(design.strengths) + of_draw + rng.normal(0, design.of_seed, p)
            scores = alike + own + rng.normal(0, design.with_seed, (n, p)) + visible[:, None] * lift
            if design.ties is not None:
                scores = np.round(scores, design.ties)
            values, influences = _placed(scores, wrong)
            averaged[d] += influences / design.seeds
            for i in range(p):
                rows[i].setdefault(column, {})[s] = float(values[i])
    whole = averaged.mean(0)
    measured, elsewhere = whole.T @ whole, np.zeros((p, p))
    if design.draws > 1:
        measured = measured * design.draws / (design.draws - 1)
        elsewhere = np.sum([one.T @ one for one in averaged], axis=0) / (design.draws * (design.draws - 1))
    sizes = np.full(design.draws, float(design.wrong)), np.full(design.draws, float(design.right))
    weights = np.full(design.draws, 1 / design.draws)
    freedom = min(design.wrong, design.right) - 1.0
    return list(rows), SampleParts(measured, elsewhere, freedom, weights, *sizes)


def _placed(scores: Floats, wrong: Bools) -> tuple[Floats, Floats]:
    """AUROC of each detector, (p,), and the influences of samples on it, (n, p), by differences of midranks."""
    ranks = rankdata(scores, axis=0)
    values, influences = np.zeros(scores.shape[1]), np.empty_like(scores)
    for kind in (~wrong, wrong):
        m, n = kind.sum(), (~kind).sum()
        share = (ranks[kind] - rankdata(scores[kind], axis=0)) / n
        values = share.mean(0)
        influences[kind] = (share - values) / np.sqrt(m * (m - 1))
    influences[~wrong] *= -1  # their share below is one less what they do to the AUROC
    return values, influences
