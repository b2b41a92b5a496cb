"""Accelerate with two processes: a loop by hand, and the Trainer of transformers; a real ``torchrun`` of a command.

The references are one process that trains on the same batches, in which a sample's first answer counts, and a loop that
asks about every sample alone.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerated import EPOCHS, N, perceptron, samples, train_both
from started_ranks import run_on_two_ranks
from torch import nn

from noisybench.board.results import evaluate
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.detection.scoring import read_scores, scores_path
from noisybench.items import find
from noisybench.runs.reading import read_run
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant

pytestmark = pytest.mark.integration("accelerate")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes left."""
    folder = tmp_path_factory.mktemp("accelerated")
    # As ``accelerate launch --multi_gpu`` tells them where ACCELERATE_USE_CPU is set: else it starts one without a GPU.
    run_on_two_ranks(train_both, folder, ACCELERATE_USE_CPU="true", CUDA_VISIBLE_DEVICES="")
    found = []
    for rank in range(2):
        with np.load(folder / f"{rank}.npz") as values:
            found.append(dict(values))
    return found


def test_a_loop_by_hand_records_what_one_process_does(both: list[dict[str, Any]]) -> None:
    """Accelerate fills the last batches with samples of the first ones, which one process counts once as well."""
    inputs, labels = samples()
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses, repeats = [], 0
    steps = len(both[0]["batches"]) // EPOCHS
    for epoch in range(EPOCHS):
        first: dict[int, float] = {}
        for step in range(epoch * steps, (epoch + 1) * steps):
            optimizer.zero_grad()
            for own in both:
                chosen = torch.tensor(own["batches"][step])
                each = nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen], reduction="none")
                (each.mean() / 2).backward()
                for sample, loss in zip(chosen.tolist(), each.tolist(), strict=True):
                    repeats += sample in first
                    first.setdefault(sample, loss)
            optimizer.step()
        losses.append([first[sample] for sample in range(N)])
    assert repeats
    np.testing.assert_allclose(both[0]["loss"], losses, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(both[0]["loss"], both[1]["loss"])
    np.testing.assert_array_equal(both[0]["margin"], both[1]["margin"])


@pytest.mark.integration("transformers")
def test_the_trainer_is_observed_in_parts(both: list[dict[str, Any]]) -> None:
    for own in both:
        np.testing.assert_allclose(own["observed"], own["plain"], rtol=1e-5, atol=1e-6)


def test_evaluate_under_torchrun(tmp_path: Path) -> None:
    """Two processes leave the run that one leaves; its record says that they were two, and the first alone speaks."""
    source = load_source("digits", limit=101)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)
    write_variant(variant, tmp_path / "v")
    detectors = ["aum", "loss_curvature"]
    [alone] = evaluate(
        variant, source, epochs=2, seeds=(0,), detectors=detectors, machine=Machine(), out=tmp_path / "one"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "noisybench", "evaluate", str(tmp_path / "v"), "--epochs", "2", "--seeds", "0", "--device", "cpu"]
    command += ["--detectors", ",".join(detectors), "--out", str(tmp_path / "two"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    found = {"one": alone.path, "two": Path(told["path"])}
    assert [read_run(path).record.ranks for path in found.values()] == [None, 2]
    for detector in detectors:
        one, two = (read_scores(scores_path(path, detector)).values for path in found.values())
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-5)
    assert verify(found["two"])
