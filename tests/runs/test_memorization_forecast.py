"""The forecast of memorization: the reference is the thing itself, small: its processor time, its files, its memory.

Times are held to a factor of four, since the machine of a test is busy with others.
"""

import time
import tracemalloc
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadUsage
from noisybench.memorization.closed_form_plan import plan_closed_form
from noisybench.memorization.pool import read_pool
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs import memorization_forecast, memorization_trial
from noisybench.runs.closed_form_forecast import try_solving
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.memorization_forecast import MemorizationForecast, forecast_memorization
from noisybench.runs.pool_run import score_pool
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

pytestmark = pytest.mark.usefixtures("short_trials")


@pytest.fixture
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memorization_trial, memorization_forecast):
        monkeypatch.setattr(module, "BUDGET", 0.04)


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    return source_from_arrays("digits", digits.inputs[:300], digits.labels[:300], clean=digits.clean[:300])


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, Symmetric(0.2), seed=0)


def learner_of(source: Source, model: str, epochs: int) -> SubsetPlan:
    return SubsetPlan(plan_run(source, model=model, recipe="overfit", epochs=epochs, device="cpu"))


@pytest.mark.parametrize(
    ("model", "epochs", "models", "machine"),
    [
        ("mlp", 10, 20, Machine()),
        ("small_cnn(width=2)", 4, 4, Machine()),
        ("small_cnn(width=2)", 4, 4, Machine(together=2)),
    ],
)
def test_a_pool_takes_what_was_said(
    small: Source, variant: Variant, tmp_path: Path, model: str, epochs: int, models: int, machine: Machine
) -> None:
    """Of time, files and models of a real one; nothing is written beforehand, and nothing is left to do afterwards."""
    learner = learner_of(small, model, epochs)
    forecast = forecast_memorization(small, variant, learner, tmp_path, models=models, machine=machine)
    assert not list(tmp_path.iterdir())
    began = time.process_time()
    folder, _ = measure_memorization(small, variant, learner, tmp_path, models=models, machine=machine)
    spent = time.process_time() - began
    assert spent / 4 < forecast.processor_seconds < spent * 4
    assert forecast.seconds == pytest.approx(forecast.processor_seconds)
    stacked = model == "mlp" or machine.together is not None
    assert isnan(forecast.alone_seconds) != stacked
    assert (forecast.models, forecast.finished, forecast.together) == (models, 0, machine.together or 1)
    blocks = sum(path.stat().st_size for path in folder.glob("block-*"))
    assert forecast.disk_bytes == pytest.approx(blocks + 300 * 40, rel=0.1)
    after = forecast_memorization(small, variant, learner, tmp_path, models=models, machine=machine)
    assert after.finished == models
    assert after.processor_seconds < forecast.processor_seconds
    assert isnan(after.model_seconds)
    tracemalloc.start()
    read_pool(folder, variant, models=models)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert forecast.estimate_bytes / 3 < peak < 3 * forecast.estimate_bytes + 200_000  # which reading any file takes


def test_detector_pools_are_each_counted(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Of several fractions the larger takes longer; what is finished of them is found where it lies."""
    learner = learner_of(small, "mlp", 5)
    fractions = (0.3, 0.7)
    asked = {"purpose": "detector", "models": 10, "machine": Machine()}
    both = forecast_memorization(small, variant, learner, tmp_path, fractions=fractions, **asked)  # type: ignore[arg-type]
    assert (both.models, both.finished) == (20, 0)
    began = time.process_time()
    score_pool(small, variant, learner, tmp_path, fractions=fractions, models=10, machine=Machine())
    spent = time.process_time() - began
    assert spent / 5 < both.processor_seconds < spent * 4  # detectors are scored besides
    after = forecast_memorization(small, variant, learner, tmp_path, fractions=fractions, **asked)  # type: ignore[arg-type]
    assert after.finished == 20


def test_workers_share_what_there_is() -> None:
    """Blocks go to whoever is free; two processes hold their memory twice, and this one holds it too."""
    assert memorization_forecast.longest([3.0, 3.0, 1.0], 2) == 4.0
    assert memorization_forecast.longest([3.0], 1) == 3.0
    assert memorization_forecast.longest([], 2) == 0.0


def test_workers_are_counted(small: Source, variant: Variant, tmp_path: Path) -> None:
    """No more than there are blocks, and each takes its time to start."""
    learner = learner_of(small, "mlp", 2)
    one = forecast_memorization(small, variant, learner, tmp_path, models=100, machine=Machine())
    four = forecast_memorization(small, variant, learner, tmp_path, models=100, machine=Machine(workers=4))
    assert (one.workers, four.workers) == (1, 2)
    assert four.memory_bytes == pytest.approx(3 * four.worker_bytes)
    assert one.memory_bytes == pytest.approx(one.worker_bytes, rel=0.01)
    assert four.processor_seconds > one.processor_seconds + 2


@pytest.mark.parametrize(("model", "estimand"), [("ridge", "leave_one_out"), ("kernel_ridge", "subsets")])
def test_closed_forms_take_what_was_said(
    small: Source, variant: Variant, tmp_path: Path, model: str, estimand: str
) -> None:
    """Of the same algebra nothing is scaled where all samples are few; models are told of random subsets alone."""
    plan, features = plan_closed_form(small, model=model, estimand=estimand)  # type: ignore[arg-type]
    asked = {"features": features, "models": 20, "machine": Machine()}
    forecast = forecast_memorization(small, variant, plan, tmp_path, **asked)  # type: ignore[arg-type]
    began = time.process_time()
    measure_memorization(small, variant, plan, tmp_path, **asked)  # type: ignore[arg-type]
    spent = time.process_time() - began
    assert spent / 20 < forecast.processor_seconds < spent * 4  # of some milliseconds most are those of files
    assert forecast.models == (0 if estimand == "leave_one_out" else 20)
    after = forecast_memorization(small, variant, plan, tmp_path, **asked)  # type: ignore[arg-type]
    assert after.processor_seconds == 0.0


def test_an_exact_kernel_grows_with_the_cube(digits: Source) -> None:
    """Of a part of the samples, time is scaled by the cube and memory by the square: within a factor of that of all."""
    variant = build_variant(digits, Symmetric(0.2), seed=0)
    plan, features = plan_closed_form(digits, model="kernel_ridge")
    few, all_of_them = (try_solving(variant, plan, features, budget) for budget in (0.0, 100.0))
    assert few.bytes == pytest.approx(all_of_them.bytes, rel=0.4)
    assert 0.1 < few.fit / all_of_them.fit < 10


def test_it_is_said_in_words() -> None:
    """Hours, memory and disk in the units of people."""
    nan = float("nan")
    forecast = MemorizationForecast(
        2000, 50, 2, 8, 3.2, 9.0, 7200.0, 3660.0, 400_000_000, 80_000_000, 1_200_000_000, 5_000_000_000, 52_000_000
    )
    assert forecast.in_words() == [
        "2000 models, 50 of them finished; one takes 3.2 s, and 9 s if trained alone; 8 are trained at a time",
        "about 61 min with 2 workers, 2.0 h of processor time",
        "memory up to 1.2 GB: 400 MB a process, the estimate 80 MB",
        "disk 52 MB",
        "memory of the GPU up to 5.0 GB",
    ]
    exact = replace(forecast, models=0, workers=1, model_seconds=nan, alone_seconds=nan, gpu_bytes=0)
    assert exact.in_words()[0] == "about 61 min with 1 worker, 2.0 h of processor time"


def test_what_cannot_be_meant_is_refused(small: Source, variant: Variant) -> None:
    """As the thing itself refuses it, before anything is trained."""
    plan, features = plan_closed_form(small)
    with pytest.raises(BadUsage, match="models must be at least 2, got 1"):
        forecast_memorization(small, variant, learner_of(small, "mlp", 2), models=1)
    with pytest.raises(BadUsage, match="ridge regression needs features; plan_closed_form"):
        forecast_memorization(small, variant, plan)
    with pytest.raises(BadUsage, match="a detector pool is of models that are trained"):
        forecast_memorization(small, variant, plan, features=features, purpose="detector")
    with pytest.raises(BadUsage, match="give features with any learner"):
        forecast_memorization(
            small, variant, learner_of(small, "mlp", 2), features=np.zeros((300, 2), dtype=np.float32)
        )
