"""Time, disk and memory of a large trace: 1,000,000 samples, 14 classes, 50 epochs, written and scored.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/trace_memory.py [--json FILE]``. Synthetic logits go through ``Recorder``
(``update`` in batches of 8,192, then ``end_epoch``) into one file an epoch in a temporary folder; then every detector
whose probes are of the logits is scored from the files. The process exits with 1 where its peak memory (``ru_maxrss``)
reached 4 GB. ``--epochs`` and ``--samples`` make it smaller.
"""

import argparse
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from measuring import Row, processor_seconds, write

from noisybench import Recorder, build_variant, find, names, score
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import Detector
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.probe import Probe

K, BATCH, LIMIT_GB = 14, 8_192, 4.0


def dynamics() -> tuple[list[Detector], list[Probe]]:
    """Detectors that need nothing but probes of the logits, and those probes."""
    detectors = [find("detectors", name) for name in names("detectors")]
    needed = {
        name: find("probes", name) for detector in detectors for name in detector.needs if name in names("probes")
    }
    kept = [d for d in detectors if all(name in needed and not needed[name].gradient for name in d.needs)]
    return kept, [needed[name] for name in sorted({name for detector in kept for name in detector.needs})]


def record(folder: Path, n: int, epochs: int, probes: list[Probe]) -> Recorder:
    """A recorder that has seen ``epochs`` epochs of logits which come to favour the label."""
    clean = np.random.default_rng(0).integers(0, K, n)
    source = source_from_arrays("synthetic", np.zeros((n, 1), dtype=np.float32), clean, clean=clean)
    variant = build_variant(source, Symmetric(0.2))
    labels = torch.tensor(variant.labels)
    recorder = Recorder(variant, probes, folder=folder)
    generator = torch.Generator().manual_seed(0)
    difficulty = torch.rand(n, 1, generator=generator)
    for epoch in range(1, epochs + 1):
        for chosen in torch.randperm(n, generator=generator).split(BATCH):
            logits = torch.randn(len(chosen), K, generator=generator)
            strength = 8 * difficulty[chosen] * epoch / epochs
            recorder.update(logits.scatter_add(1, labels[chosen][:, None], strength), chosen)
        recorder.end_epoch(epoch=epoch)
    return recorder


def main() -> None:
    """Print seconds and sizes; exit with 1 above the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=50)
    given = parser.parse_args()
    torch.set_num_threads(1)
    detectors, probes = dynamics()
    size = f"{given.samples:,} × {K} × {given.epochs} epochs"
    rows = []
    with tempfile.TemporaryDirectory() as name:
        began, spent = perf_counter(), processor_seconds()
        trace = record(Path(name), given.samples, given.epochs, probes).trace()
        rows.append(Row(f"record {len(probes)} probes, {size}", processor_seconds() - spent, None, None, "", 1))
        print(
            f"{rows[-1].name}: {rows[-1].seconds:.1f} s of the processor, {perf_counter() - began:.1f} s of the clock"
        )
        disk = sum(path.stat().st_size for path in Path(name).iterdir()) / 1e9
        written = peak_gb()
        print(f"on disk: {disk:.2f} GB ({disk * 1e9 / given.samples / given.epochs:.1f} bytes a sample and epoch)")
        for detector in detectors:
            spent = processor_seconds()
            score(trace, detector)
            rows.append(Row(f"score {detector.name}, {size}", processor_seconds() - spent, None, None, "", 1))
            print(
                f"  score {detector.name:18s} {rows[-1].seconds:6.1f} s of the processor, peak {peak_gb():.2f} GB so far"
            )
    peak = peak_gb()
    print(f"peak memory: {written:.2f} GB after recording, {peak:.2f} GB at the end; limit {LIMIT_GB:.0f} GB")
    if given.json is not None:
        write(given.json, rows, {"disk_gb": disk, "peak_memory_gb": peak, "limit_gb": LIMIT_GB})
    sys.exit(1 if peak >= LIMIT_GB else 0)


def peak_gb() -> float:
    """Highest resident memory of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
