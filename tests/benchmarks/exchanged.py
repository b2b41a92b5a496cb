"""How often samples are wrong in noise ``exchanged``, by how many others have them as a neighbour.

    python tests/benchmarks/exchanged.py [--samples 800] [--draws 60] [--rate 0.35]

The card of the noise has its figures: where coherence is asked for, the chance of a sample depends on where it lies.
"""

import argparse

import numpy as np

from noisybench.data.loading import load_source
from noisybench.ground.lookup import find
from noisybench.noise.exchange import coordinates_of
from noisybench.statistics.coherence import NOBODY
from noisybench.variants.building import build_variant

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--samples", type=int, default=800)
parser.add_argument("--draws", type=int, default=60)
parser.add_argument("--rate", type=float, default=0.35)
asked = parser.parse_args()
source = load_source("digits", limit=asked.samples)
near = coordinates_of(source).neighbours
known = np.bincount(near[near != NOBODY], minlength=asked.samples)
thirds = np.array_split(np.argsort(known, kind="stable"), 3)
for coherence in (0.0, 0.1):
    noise = find("noises", "exchanged")(rate=asked.rate, coherence=coherence)
    wrong = np.mean([build_variant(source, noise, seed=seed).mislabeled for seed in range(asked.draws)], axis=0)
    shares = ", ".join(f"{wrong[third].mean():.1%}" for third in thirds)
    print(f"coherence {coherence:g}: wrong in {shares} of the draws, from the fewest others' neighbours to the most")
