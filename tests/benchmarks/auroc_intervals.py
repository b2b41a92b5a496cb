"""How often the 95 % interval of one AUROC holds the truth: python tests/benchmarks/auroc_intervals.py.

Scores of right labels are standard normal; those of wrong labels are so too where the error is invisible, and moved up where
it is visible. The counts are of draws of new samples; "ties" rounds the scores to whole numbers. Each cell says the share
of intervals that hold the true AUROC, in %, and their mean width.
"""

import numpy as np
from scipy.stats import norm

from noisybench.ground.arrays import Floats
from noisybench.statistics.intervals import Z95, auroc_ends

DRAWS = 10_000
CASES = [  # wrong labels, right labels, share of invisible errors, AUROC of visible ones, ties
    (8, 1000, 0.0, 0.60, False),
    (8, 1000, 0.0, 0.99, False),
    (8, 1000, 0.4, 0.95, False),
    (14, 100, 0.0, 0.99, False),
    (14, 1000, 0.0, 0.95, False),
    (14, 1000, 0.0, 0.99, False),
    (14, 1000, 0.1, 0.95, False),
    (14, 1000, 0.1, 0.99, False),
    (14, 1000, 0.4, 0.95, False),
    (14, 1000, 0.4, 0.99, False),
    (14, 1000, 0.4, 0.95, True),
    (50, 1000, 0.0, 0.95, False),
    (50, 1000, 0.0, 0.99, True),
    (50, 1000, 0.1, 0.99, False),
    (50, 1000, 0.4, 0.95, False),
    (50, 1000, 0.4, 0.99, True),
    (200, 1000, 0.0, 0.80, False),
    (200, 1000, 0.1, 0.95, False),
    (200, 1000, 0.4, 0.99, False),
]


def drawn(case: tuple[int, int, float, float, bool], rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
    """Scores of wrong (draws, m) and right labels (draws, n)."""
    wrong, right, invisible, area, ties = case
    high, low = rng.standard_normal((draws, wrong)), rng.standard_normal((draws, right))
    high += norm.ppf(area) * np.sqrt(2) * (rng.random(high.shape) >= invisible)
    return (np.round(high), np.round(low)) if ties else (high, low)


def true_area(case: tuple[int, int, float, float, bool]) -> float:
    """The AUROC of the law."""
    _, _, invisible, area, ties = case
    if not ties:
        return invisible / 2 + (1 - invisible) * area
    grid, shift = np.arange(-9.0, 14.0), norm.ppf(area) * np.sqrt(2)
    clean, moved = (norm.cdf(grid + 0.5 - by) - norm.cdf(grid - 0.5 - by) for by in (0, shift))
    return float((invisible * clean + (1 - invisible) * moved) @ (np.cumsum(clean) - clean / 2))


def delong(high: Floats, low: Floats) -> tuple[Floats, Floats]:
    """AUROCs and DeLong's variances of each draw, shape (draws,)."""
    areas, variances = [], []
    for wrong, right in zip(high, low, strict=True):
        placed = []
        for values, others in ((wrong, np.sort(right)), (right, np.sort(wrong))):
            both = np.searchsorted(others, values) + np.searchsorted(others, values, "right")
            placed.append(both / 2 / len(others))
        areas.append(placed[0].mean())
        variances.append(sum(part.var(ddof=1) / len(part) for part in placed))
    return np.array(areas), np.array(variances)


def logit(values: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """DeLong's interval on the logit scale, as up to version 0.4.0."""
    inner = np.clip(values, 1e-12, 1 - 1e-12)
    centre, reach = np.log(inner / (1 - inner)), Z95 * np.sqrt(variances) / (inner * (1 - inner))
    low, high = (1 / (1 + np.exp(-np.clip(centre + side * reach, -700, 700))) for side in (-1, 1))
    flat = (values <= 0) | (values >= 1)
    return np.where(flat, values, low), np.where(flat, values, high)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    print("| wrong | right | invisible | AUROC | ties | DeLong, logit | Newcombe's method 5 | larger of both |")
    print("| ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for case in CASES:
        wrong, right, invisible, _, ties = case
        truth = true_area(case)
        parts = [delong(*drawn(case, rng, 1000)) for _ in range(DRAWS // 1000)]
        values, variances = (np.concatenate(part) for part in zip(*parts, strict=True))
        cells = []
        for low, high in (
            logit(values, variances),
            auroc_ends(values, np.zeros_like(values), wrong, right),
            auroc_ends(values, variances, wrong, right),
        ):
            covered = np.mean((low <= truth) & (truth <= high))
            cells.append(f"{100 * covered:.1f} ({np.mean(high - low):.3f})")
        said = f"{wrong} | {right} | {100 * invisible:.0f} % | {truth:.3f} | {'yes' if ties else ''}"
        print(f"| {said} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
