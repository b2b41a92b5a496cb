"""What intervals and rank sets of simulated boards cover: ``PYTHONPATH=tests python tests/benchmarks/coverage.py [BOARDS]``.

Each line is one way in which 11 rows are drawn, equal ones or in steps from .80 to .90. Printed are, in %: rows whose
interval holds the truth; boards with a false difference in a rank set, by what 0.4.0 resampled (draws, or seeds of one draw) and as it is
now; and of the pairs that differ, those told by the rank sets and by a paired test of 5 % each; and of the rows that are
not the best, those surely worse, and boards of which the best row is called surely worse.
"""

import sys

import numpy as np
from scipy.special import ndtri, stdtr
from simulated_boards import Design, drawn_board

from noisybench.ground.arrays import Bools, Floats
from noisybench.statistics.comparisons import Comparison, compare, rank_sets, surely_worse
from noisybench.statistics.crossed import variance_parts
from noisybench.statistics.intervals import auroc_law
from noisybench.statistics.row_intervals import row_intervals

EQUAL = (1.5,) * 11
STEPS = tuple(float(ndtri(auroc)) * 1.41 for auroc in np.linspace(0.8, 0.9, 11))
DESIGNS = {
    "equal, 3 seeds": Design(EQUAL),
    "equal, 1 seed, which moves nothing": Design(EQUAL, seeds=1, of_seed=0.0),
    "equal, 1 seed, which moves rows": Design(EQUAL, seeds=1),
    "equal, 40 % invisible": Design(EQUAL, visible=0.6),
    "equal, ties": Design(EQUAL, ties=0),
    "equal, seeds move rows much": Design(EQUAL, of_seed=0.5),
    "equal, samples differ by row": Design(EQUAL, own=1.0, with_seed=0.2, of_seed=0.02),
    "equal, 14 wrong, near 1": Design((2.5,) * 11, wrong=14, right=300),
    "equal, 3 draws, 1 seed": Design(EQUAL, draws=3, seeds=1, of_draw=0.1),
    "equal, 3 draws, 3 seeds": Design(EQUAL, draws=3, of_draw=0.1),
    "steps, 3 seeds": Design(STEPS, wrong=200, right=800, of_seed=0.02),
    "steps, 3 seeds that move rows": Design(STEPS, wrong=200, right=800),
    "steps, 3 draws, 3 seeds": Design(STEPS, wrong=200, right=800, draws=3, of_draw=0.02, of_seed=0.02),
}


def sure_pairs(found: Comparison) -> Bools:
    """Whether each row is surely better than each other, (p, p), at the level of the first step of Holm's method."""
    p = len(found.gain)
    sure: Bools = stdtr(found.freedom, -found.gain / found.error) <= 0.05 / (p * (p - 1))
    return sure


def measured(design: Design, boards: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    truth = design.truth
    above = truth[:, None] - truth > 1e-9
    sums: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        sums.setdefault(name, []).append(100 * value)

    for _ in range(boards):
        rows, samples = drawn_board(design, rng)
        means: Floats = np.array([np.mean([np.mean([*seeds.values()]) for seeds in row.values()]) for row in rows])
        for name, given in (("before", None), ("now", samples)):
            parts = variance_parts(rows, given)
            found = compare(means, parts, higher_is_better=True)
            sure = sure_pairs(found)
            note(f"false, {name}", float((sure & ~above).any()))
            if given is not None:
                ends = np.array(row_intervals(means, parts, given, auroc_law, (0.0, 1.0)))
                note("covered", float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()))
                worse = surely_worse(found)
                note("best lost", float(worse[int(truth.argmax())]))
                if above.any():
                    alone = stdtr(found.freedom, -found.gain / found.error) <= 0.025
                    note("pairs, ranks", float(sure[above].mean()))
                    note("pairs, alone", float(alone[above].mean()))
                    note("surely worse", float(worse[truth < truth.max() - 1e-9].mean()))
                    note("behind a rank", float(np.mean([low > 1 for _, low, _ in rank_sets(found)])))
    return {name: float(np.mean(values)) for name, values in sums.items()}


HEADER = (
    "covered",
    "false, before",
    "false, now",
    "pairs, ranks",
    "pairs, alone",
    "behind a rank",
    "surely worse",
    "best lost",
)


def main() -> None:
    boards = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print(f"| board | {' | '.join(HEADER)} |\n| --- |{' ---: |' * len(HEADER)}")
    for name, design in DESIGNS.items():
        found = measured(design, boards)
        print(f"| {name} | {' | '.join(f'{found[key]:.0f}' if key in found else '–' for key in HEADER)} |", flush=True)


if __name__ == "__main__":
    main()
