"""How often the 95 % intervals of an audit hold the truth, and how wide they are: a Markdown table.

Run: ``python tests/benchmarks/audit_coverage.py [--data-sets 40] [--draws 300]`` (some minutes). For each setting many
data sets are made, and many audits are drawn of each by the design that ``draw_audit`` gives it. Good suspicion is 2.5
standard deviations higher for wrong labels, and flags 1.2 times as many labels as are wrong; useless suspicion is noise,
and flags a tenth. An interval holds the truth where the score test does not reject it; ``tests/statistics/test_score_intervals.py``
holds the two against each other.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisybench.statistics.audit import AuditSample, draw_audit
from noisybench.statistics.intervals import Z95, wilson
from noisybench.statistics.score_intervals import rate_interval, score_statistic

SHARES, ASKED, SIZES = (0.005, 0.02, 0.08, 0.4), (100, 200, 400), (600, 5_000, 50_000)
WIDTHS = 60  # audits of which the width is taken


@dataclass(frozen=True, slots=True)
class Drawn:
    """Many audits of one data set.

    Attributes:
        sample: The design.
        asked: Samples drawn of each stratum, shape (h,).
        truth: Wrong labels in each stratum, shape (h,).
        wrong: Wrong labels seen in each audit, shape (draws, h).
    """

    sample: AuditSample
    asked: NDArray[np.int64]
    truth: NDArray[np.int64]
    wrong: NDArray[np.int64]


def audits(rng: np.random.Generator, n: int, share: float, m: int, *, good: bool, draws: int) -> Drawn:
    """One data set, its design, and many draws by it."""
    count = max(1, round(n * share))
    mislabeled = np.zeros(n, bool)
    mislabeled[rng.choice(n, count, replace=False)] = True
    suspicion = rng.normal(size=n) + 2.5 * good * mislabeled
    flagged = np.zeros(n, bool)
    flagged[np.argsort(-suspicion)[: max(2, round(1.2 * count) if good else n // 10)]] = True
    sample = draw_audit(suspicion, flagged, m)
    strata = np.empty(n, np.int64)
    strata[np.lexsort((-suspicion, ~flagged))] = np.repeat(np.arange(len(sample.sizes)), sample.sizes)
    truth = np.bincount(strata[mislabeled], minlength=len(sample.sizes))
    asked = np.bincount(sample.strata)
    wrong = rng.hypergeometric(truth, sample.sizes - truth, asked, size=(draws, len(asked)))
    return Drawn(sample, asked, truth, wrong)


def covered(drawn: Drawn) -> NDArray[np.float64]:
    """Share of audits whose intervals hold the truth: of the rate, of the precision and of the recall."""
    flags, sizes, draws = drawn.sample.flagged, drawn.sample.sizes, len(drawn.wrong)
    recall = drawn.truth[flags].sum() / drawn.truth.sum()
    found = []
    for part, factors, value in (
        (np.ones_like(flags), sizes / sizes.sum(), drawn.truth.sum() / sizes.sum()),
        (flags, sizes / sizes[flags].sum(), drawn.truth[flags].sum() / sizes[flags].sum()),
        (np.ones_like(flags), sizes * (flags - recall), 0.0),
    ):
        of = np.broadcast_to(factors[part], (draws, part.sum()))
        wrong, asked = drawn.wrong[:, part], drawn.asked[part]
        above = (of * wrong / asked).sum(1) - value
        with np.errstate(invalid="ignore", divide="ignore"):
            statistic = score_statistic(wrong, asked, sizes[part], of, np.full(draws, value))
        rejected = (np.sign(above) * statistic > Z95) & (np.abs(above) > 1e-9)
        found.append(1 - rejected.mean())
    if recall in (0, 1):  # the end of its range, which every interval reaches that may
        found[2] = 1.0
    return np.array(found)


def coverage(
    rng: np.random.Generator, n: int, share: float, m: int, *, good: bool, sets: int, draws: int
) -> NDArray[np.float64]:
    """Share of intervals of the rate, the precision and the recall that hold the truth, by data set: (sets, 3)."""
    return np.array([covered(audits(rng, n, share, m, good=good, draws=draws)) for _ in range(sets)])


def width(rng: np.random.Generator, n: int, share: float, m: int, *, good: bool) -> tuple[float, float]:
    """Mean width of the rate's interval, and of Wilson's of as large a simple random sample."""
    ours, plain = [], []
    for _ in range(WIDTHS):
        drawn = audits(rng, n, share, m, good=good, draws=1)
        found = rate_interval(drawn.wrong[0], drawn.asked, drawn.sample.sizes)
        simple = wilson(rng.hypergeometric(drawn.truth.sum(), n - drawn.truth.sum(), m) / m, m)
        ours.append(found.high - found.low)
        plain.append(simple.high - simple.low)
    return float(np.mean(ours)), float(np.mean(plain))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-sets", type=int, default=40)
    parser.add_argument("--draws", type=int, default=300)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    print("| suspicion | wrong | asked |", " | ".join(f"n = {n:,}" for n in SIZES), "| lowest | width | simple |")
    print("|---|---|---|" + "---|" * len(SIZES) + "---|---|---|")
    for good in (True, False):
        for share in SHARES:
            for m in ASKED:
                cells, lowest = [], 1.0
                for n in SIZES:
                    by_set = coverage(rng, n, share, m, good=good, sets=given.data_sets, draws=given.draws)
                    cells.append(" ".join(f"{100 * value:.1f}" for value in by_set.mean(0)))
                    lowest = min(lowest, by_set.min())
                ours, plain = width(rng, 5_000, share, m, good=good)
                start = f"| {'good' if good else 'useless'} | {100 * share:g} % | {m} | {' | '.join(cells)}"
                print(f"{start} | {100 * lowest:.0f} | {100 * ours:.1f} | {100 * plain:.1f} |", flush=True)


if __name__ == "__main__":
    main()
