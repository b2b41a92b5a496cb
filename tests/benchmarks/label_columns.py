"""Many label columns on the same frozen features: an ordinary run for each, against what is prepared once.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/label_columns.py [--json FILE]``, some minutes; ``--samples``,
``--dimensions``, ``--classes``, ``--rate`` and ``--repeats`` change the sizes, ``--features FILE.npy --labels FILE.npy`` takes
real ones. Processor seconds, in turns, of the detectors of the set ``standard`` and of memorization in closed form for one
column of labels. The baseline is ``score --features`` into an empty folder, with ``memorize --model ridge``; then each part
alone, the baseline being the same part with nothing prepared. That all scores are the same is checked.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from measuring import Row, faster, medians, processor_seconds, write

from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import read_scores
from noisybench.ground.arrays import Features, Labels
from noisybench.items import find
from noisybench.memorization.closed_form import leave_out_exactly
from noisybench.memorization.closed_form_plan import ClosedFormPlan, Ridge
from noisybench.runs.features_columns import PARTS, columns_from, frozen_columns
from noisybench.runs.features_run import score_frozen
from noisybench.runs.frozen_scores import prepare_features, score_labels
from noisybench.variants.building import build_variant


def drawn(n: int, d: int, k: int) -> tuple[Features, Labels]:
    """Features around a mean for each class, fewer of them far, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, k, n)
    features = rng.standard_normal((n, d), dtype=np.float32) / np.sqrt(1 + np.arange(d, dtype=np.float32))
    features[:, :64] += 0.3 * rng.standard_normal((k, min(d, 64)), dtype=np.float32)[labels]
    return features.astype(np.float32), labels


def measure(features: Features, labels: Labels, rate: float, repeats: int) -> list[Row]:
    """Seconds of whole columns, and of their parts."""
    k = int(labels.max()) + 1
    source = source_from_arrays("columns", features, labels, clean=labels)
    variant = build_variant(source, find("noises", "symmetric")(rate=rate))
    plan = ClosedFormPlan(Ridge(), "given", "leave_one_out_margin")
    began = processor_seconds()
    prepared = prepare_features(features, classes=k)
    found = score_labels(prepared, variant)
    first = processor_seconds() - began
    out = Path(tempfile.mkdtemp())
    folders: list[Path] = []

    def ordinary() -> None:
        shutil.rmtree(out)
        folders.append(score_frozen(source, variant, features, out))
        leave_out_exactly(variant, plan, features)

    tasks: dict[str, Callable[[], object]] = {"ordinary": ordinary, "prepared": lambda: score_labels(prepared, variant)}
    times = medians(tasks, repeats)
    for name, values in found.scores.items():
        assert np.array_equal(values, read_scores(folders[-1] / "scores" / f"{name}.parquet").values), name
    shutil.rmtree(out)
    size = f"{features.shape[0]:,} × {features.shape[1]:,}, {k} classes"
    rows = [
        Row(f"the first column, with what is prepared, {size}", first, None, None, "", 1),
        faster(f"each further column, {size}", times["prepared"], times["ordinary"], repeats),
    ]
    for name, part in PARTS.items():
        columns = part.columns
        pair: dict[str, Callable[[], object]] = {
            "plain": partial(columns_from, features, variant, prepared.groups, seed=0, lacking=columns),
            "prepared": partial(frozen_columns, prepared, variant, seed=0, lacking=columns),
        }
        times = medians(pair, 1)
        rows.append(faster(f"part {name}", times["prepared"], times["plain"], 1))
    return rows


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=1_280)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--features", type=Path, metavar="FILE", help="an array of shape (n, d) in place of drawn ones")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="right labels of these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    asked = parser.parse_args()
    if asked.features is None:
        features, labels = drawn(asked.samples, asked.dimensions, asked.classes)
    else:
        features, labels = np.load(asked.features), np.load(asked.labels)
    rows = measure(features, labels, asked.rate, asked.repeats)
    width = max(len(row.name) for row in rows)
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.baseline_seconds:9.4g} s  {row.ratio:8.2f} {row.unit}"
        print(f"{row.name:{width}}  {row.seconds:9.4g} s  {ratio}")
    if asked.json is not None:
        write(asked.json, rows)


if __name__ == "__main__":
    main()
