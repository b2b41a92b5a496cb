"""Ridge regression on 'lite0' against the errors of people: regression values, no claim, as the side was chosen looking at them.

Run: ``OMP_NUM_THREADS=2 NOISYBENCH_TEST_DATA=… python tests/benchmarks/cifar_10n.py [--cache DIR] [--json FILE]``. It takes
the first 10,000 images of CIFAR-10 and CIFAR-10N's answers, five minutes of two cores for the features. ``chosen`` is the
penalty that most given labels agree with, out of a wide grid; ``mean`` is the mean rank over the default's. Neither sees a truth.
The command fails where a value of ``chosen`` is further than ``TOLERANCE`` from what it was.
"""

import argparse
import io
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from noisybench import features_of, source_from_arrays
from noisybench.noise.cifar_n_files import read_annotations, read_column
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.grouping import find_groups
from noisybench.statistics.ridge import leave_one_out_ridge

N, CLASSES, TOLERANCE = 10_000, 10, 0.005
GRID = tuple(10.0**power for power in range(-4, 4))
EXPECTED = {"aggre": 0.906, "random1": 0.922, "worse": 0.922}
"""AUROC of 1 - truth at 160 pixels."""
KEYS = {"aggre": "aggre_label", "random1": "random_label1", "worse": "worse_label"}


def main() -> None:
    """Print AUROC of ridge regression against the errors of three label sets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep features there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    given = parser.parse_args()
    data = Path(os.environ["NOISYBENCH_TEST_DATA"])
    table = pq.read_table(data / "cifar10" / "train.parquet", columns=["image", "label"]).slice(0, N)
    images = np.stack(
        [np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB")) for cell in table["image"].to_pylist()]
    )
    clean = np.asarray(table["label"]).astype(np.int64)
    start = time.perf_counter()
    features = features_of(source_from_arrays("photographs", images, clean), "lite0", cache=given.cache)
    print(f"features of {N:,} images: {time.perf_counter() - start:.0f} s", flush=True)
    start = time.perf_counter()
    groups = find_groups(features)
    print(f"{int(groups.max()) + 1:,} groups: {time.perf_counter() - start:.0f} s", flush=True)
    file = data / "cifar_n" / "CIFAR-10_human.pt"
    answers = read_annotations(file)
    assert np.array_equal(read_column(answers, "clean_label", CLASSES, file)[:N], clean)
    found: dict[str, dict[str, float]] = {}
    print("\n| regression value | wrong | chosen λ | AUROC chosen | expected | AUROC mean |\n|---|---|---|---|---|---|")
    for name, key in KEYS.items():
        labels = read_column(answers, key, CLASSES, file)[:N]
        wrong = labels != clean
        wide = leave_one_out_ridge(features, labels, CLASSES, groups=groups, penalties=GRID)
        mean = leave_one_out_ridge(features, labels, CLASSES, groups=groups)
        values = {
            "wrong": float(wrong.mean()),
            "penalty": wide.chosen,
            "chosen": auroc(wide.margin_at_chosen, wrong, labels).value,
            "mean": auroc(mean.suspicion, wrong, labels).value,
        }
        found[name] = values
        print(
            f"| {name} | {values['wrong']:.4f} | {values['penalty']:g} | {values['chosen']:.4f} | {EXPECTED[name]:.3f} "
            f"| {values['mean']:.4f} |",
            flush=True,
        )
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    moved = [name for name in found if abs(found[name]["chosen"] - EXPECTED[name]) > TOLERANCE]
    if moved:
        sys.exit(f"{', '.join(moved)}: further than {TOLERANCE} from what it was")


if __name__ == "__main__":
    main()
