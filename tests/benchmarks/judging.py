"""How long it takes to hold scores against wrong labels: ``OMP_NUM_THREADS=1 python tests/benchmarks/judging.py``.

All nine metrics of detection, by one sort, of 200, 1,437, 100,000 and 1,000,000 samples, of which a fifth is wrong. The
baseline, in the same run and in turns, sorts for each metric anew, as before version 0.5.0: DeLong's placements by two
sorts and four searches, the same in each class, and average precision by scikit-learn, twice. Then average precision
alone against scikit-learn's, and the agreement that lies beside a finished run of 23 detectors.
"""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measuring import Row, faster, medians, report
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from noisybench.board.agreement_file import write_agreement
from noisybench.board.truths import read_truths
from noisybench.data.loading import load_source
from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.reading import read_run
from noisybench.statistics.detection_metrics import average_precision
from noisybench.statistics.metric import estimates, metrics_of
from noisybench.statistics.ranking import rank
from noisybench.variants.building import build_variant

CLASSES = 10
COUNTS = (200, 1_437, 100_000, 1_000_000)


def drawn(n: int) -> tuple[Floats, Bools, Labels]:
    """Scores that know a little, a mask, and given labels."""
    rng = np.random.default_rng(0)
    wrong = rng.random(n) < 0.2
    return wrong + rng.normal(size=n), wrong, rng.integers(0, CLASSES, n)


def placements(values: Floats, others: Floats) -> Floats:
    """Others below each value, a tie counting one half."""
    ordered = np.sort(others)
    found: Floats = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    return found


def delong(high: Floats, low: Floats) -> float:
    """Area, once its variance is computed too."""
    of_high, of_low = placements(high, low) / len(low), 1 - placements(low, high) / len(high)
    if min(len(high), len(low)) > 1:
        _ = of_high.var(ddof=1) / len(high) + of_low.var(ddof=1) / len(low)
    return float(of_high.mean())


def hits(values: Floats, wrong: Bools, count: int) -> float:
    """Wrong labels expected among the highest scores."""
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    above, tied = values > threshold, values == threshold
    return float(wrong[above].sum() + (count - above.sum()) * wrong[tied].mean())


def each_anew(values: Floats, wrong: Bools, given: Labels) -> NDArray[np.float64]:
    """The nine values, each from the arrays."""
    order = np.argsort(given, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(given[order])) + 1)
    classes = [of for of in parts if wrong[of].any() and not wrong[of].all()]
    n, m = len(values), int(wrong.sum())
    return np.array(
        [
            delong(values[wrong], values[~wrong]),
            np.mean([delong(values[of[wrong[of]]], values[of[~wrong[of]]]) for of in classes]),
            average_precision_score(wrong, values),
            (average_precision_score(wrong, values) - m / n) / (1 - m / n),
            1 - hits(values, wrong, m) / m,
            *(hits(values, wrong, max(1, round(n * percent / 100))) for percent in (1, 5, 10)),
            hits(values, wrong, m) / m,
        ]
    )


def measure() -> list[Row]:
    """A row for each number of samples, and one for a run."""
    metrics, rows = metrics_of("mislabeled"), []
    for n in COUNTS:
        values, wrong, given = drawn(n)
        times = 200 if n < 10_000 else 1

        def often(task: Callable[[], object], times: int = times) -> Callable[[], object]:
            return lambda: [task() for _ in range(times)]

        tasks = {
            "one sort": often(lambda: estimates(metrics, values, wrong, given)),  # noqa: B023 - called within this turn
            "anew": often(lambda: each_anew(values, wrong, given)),  # noqa: B023
            "average precision": often(lambda: average_precision(rank(values, wrong))),  # noqa: B023
            "scikit-learn": often(lambda: average_precision_score(wrong, values)),  # noqa: B023
        }
        found = {name: seconds / times for name, seconds in medians(tasks).items()}
        rows.append(faster(f"nine metrics, n = {n:,}", found["one sort"], found["anew"], 3))
        rows.append(faster(f"average precision, n = {n:,}", found["average precision"], found["scikit-learn"], 3))
    return [*rows, of_a_run()]


def of_a_run() -> Row:
    """Agreement of one run of 200 samples with its wrong labels, AUROC and average precision, as it is left beside it."""
    from noisybench import evaluate

    source = load_source("digits", limit=200)
    variant = build_variant(source, Symmetric(0.2))
    with TemporaryDirectory() as out:
        evaluate(variant, source, epochs=2, seeds=[0], out=out)
        (home,) = Path(out).iterdir()
        run, truths = read_run(next(home.glob("mlp-*/seed-0"))), read_truths(home)
        scores = [run.scores(name).values for name in run.kinds]
        wrong, given = variant.mislabeled, variant.labels

        def from_files() -> None:
            (run.path / "agreement.parquet").unlink(missing_ok=True)
            with TemporaryDirectory() as cache:
                os.environ["NOISYBENCH_CACHE"] = cache
                write_agreement(run, truths)

        found = medians({"files": from_files, "anew": lambda: [each_anew(values, wrong, given) for values in scores]})
    return faster(f"agreement of a run of {len(scores)} detectors, from and to files", found["files"], found["anew"], 3)


if __name__ == "__main__":
    report(measure)
