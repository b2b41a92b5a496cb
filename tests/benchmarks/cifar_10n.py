"""Ridge regression on 'lite0' against the errors of people: regression values, no claim, as the side was chosen looking at them.

Run: ``OMP_NUM_THREADS=2 NOISYBENCH_TEST_DATA=… python tests/benchmarks/cifar_10n.py [--cache DIR] [--json FILE]``. It takes
the first 10,000 images of CIFAR-10 and CIFAR-10N's answers, ten minutes of a core for the features. ``chosen`` is the
penalty that most given labels agree with, out of a wide grid; ``mean`` is the mean rank over the default's. Neither sees a truth.
The command fails where a value of ``chosen`` is further than ``TOLERANCE`` from what it was.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from own_data_sets import CIFAR, answers_of_people, first_photographs

from noisybench import features_of, source_from_arrays
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.grouping import find_groups
from noisybench.statistics.ranking import rank
from noisybench.statistics.ridge import leave_one_out_ridge

TOLERANCE = 0.005
GRID = tuple(10.0**power for power in range(-4, 4))
EXPECTED = {"aggre": 0.914, "random1": 0.932, "worse": 0.931}
"""AUROC of ``chosen`` at 160 pixels, as it was in version 0.3.0."""
KEYS = {"aggre": "aggre_label", "random1": "random_label1", "worse": "worse_label"}


def main() -> None:
    """Print AUROC of ridge regression against the errors of three label sets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep features there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    given = parser.parse_args()
    images, clean = first_photographs()
    start = time.perf_counter()
    features = features_of(source_from_arrays("photographs", images, clean), "lite0", cache=given.cache)
    print(f"features of {len(images):,} images: {time.perf_counter() - start:.0f} s", flush=True)
    start = time.perf_counter()
    groups = find_groups(features)
    print(f"{int(groups.max()) + 1:,} groups: {time.perf_counter() - start:.0f} s", flush=True)
    found: dict[str, dict[str, float]] = {}
    print("\n| regression value | wrong | chosen λ | AUROC chosen | expected | AUROC mean |\n|---|---|---|---|---|---|")
    for name, key in KEYS.items():
        labels, k = answers_of_people(key), len(CIFAR)
        wrong = labels != clean
        wide = leave_one_out_ridge(features, labels, k, groups=groups, penalties=GRID)
        mean = leave_one_out_ridge(features, labels, k, groups=groups)
        values = {
            "wrong": float(wrong.mean()),
            "penalty": wide.chosen,
            "chosen": auroc(rank(wide.margin_at_chosen, wrong)).value,
            "mean": auroc(rank(mean.suspicion, wrong)).value,
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
