"""What a GPU does: it trains to what a CPU does, within the tolerance of float32, alone, in a stack and in bfloat16.

Skipped where torch finds no GPU; ``tests/benchmarks/gpu.py`` measures there.
"""

from pathlib import Path

import numpy as np
import pytest

from noisybench.board.results import evaluate
from noisybench.data.source import Source, source_from_arrays
from noisybench.memorization.pool import read_pool
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.vectorised import models_together
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def images(digits: Source) -> Source:
    shown = np.repeat(digits.inputs[:400], 2, axis=1).repeat(2, axis=2)
    return source_from_arrays("digits", shown, digits.labels[:400], clean=digits.clean[:400], augmentation="crop")


@pytest.fixture(scope="module")
def variant(images: Source) -> Variant:
    return build_variant(images, Symmetric(0.2), seed=0)


def margins(source: Source, variant: Variant, folder: Path, machine: Machine, model: str) -> np.ndarray:  # type: ignore[type-arg]
    plan = plan_run(source, model=model, recipe="overfit", epochs=2, options={"augmentation": "none"}, device="cpu")
    retrain(source, variant, SubsetPlan(plan), folder, models=4, machine=machine)
    return read_pool(folder, variant).margins.astype(np.float64)


@pytest.mark.parametrize("model", ["mlp", "small_cnn"])
def test_a_pool_is_that_of_a_cpu(images: Source, variant: Variant, tmp_path: Path, model: str) -> None:
    """Margins correlate by more than 0.999 and differ by less than 0.2 logits."""
    here = margins(images, variant, tmp_path / "gpu", Machine("cuda", together=1), model)
    there = margins(images, variant, tmp_path / "cpu", Machine("cpu"), model)
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.999
    assert np.abs(here - there).max() < 0.2


def test_stacked_is_one_by_one_there(images: Source, variant: Variant, tmp_path: Path) -> None:
    """Four models at a time answer as each alone does, within the same tolerance."""
    stacked = margins(images, variant, tmp_path / "some", Machine("cuda", together=4), "small_cnn")
    alone = margins(images, variant, tmp_path / "one", Machine("cuda", together=1), "small_cnn")
    assert np.corrcoef(stacked.ravel(), alone.ravel())[0, 1] > 0.999
    assert np.abs(stacked - alone).max() < 0.2


def test_how_many_at_a_time_is_found(images: Source) -> None:
    """A small network fits many times into any card: a power of two up to a block, or one where that is faster."""
    plan = plan_run(images, model="small_cnn", options={"augmentation": "none"}, device="cpu")
    found = models_together(images, plan, Machine("cuda"), None, 50) or 1
    assert found in {1, 2, 4, 8, 16, 32}


def test_bfloat16_fits_as_float32_does(images: Source, variant: Variant, tmp_path: Path) -> None:
    """A run in bfloat16 is finite, and its training accuracy is within 0.1 of that in float32."""
    reached = []
    for precision in ("float32", "bfloat16"):
        [found] = evaluate(
            variant,
            images,
            model="small_cnn",
            epochs=10,
            seeds=(0,),
            detectors="fast",
            options={"precision": precision},
            out=tmp_path / precision,
            machine=Machine("cuda"),
        )
        accuracy = found.history["train_accuracy"]
        assert np.isfinite(accuracy)
        reached.append(accuracy)
    assert abs(reached[0] - reached[1]) < 0.1
