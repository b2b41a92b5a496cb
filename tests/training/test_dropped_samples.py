"""Samples that a person dropped: in no batch, no subset and no susceptibility, and observed like all others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from noisybench.board.results import evaluate
from noisybench.board.verification import verify
from noisybench.data.source import Source, source_from_arrays
from noisybench.items import find
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.pool import read_pool
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import plan_learner
from noisybench.memorization.subsets import subsets
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.reading import read_run
from noisybench.training.batches import Inputs
from noisybench.training.loop import RunInProgress
from noisybench.training.models.mlp import MODEL as MLP
from noisybench.training.recipe import Recipe
from noisybench.training.recorder import Recorder
from noisybench.training.susceptibility import Susceptibility, SusceptibilityTracker
from noisybench.training.training import train
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant

N, OUT = 41, [3, 17, 40]
KEPT = [i for i in range(N) if i not in OUT]
RECIPE = Recipe(epochs=3, batch_size=8, lr=0.1)


def own() -> Source:
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 3
    return source_from_arrays("mine", rng.normal(size=(N, 5)) + labels[:, None], labels, clean=labels)


@pytest.fixture(scope="module")
def source() -> Source:
    return own()


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    """Three samples are dropped, one is relabelled."""
    return dropped(build_variant(source, Symmetric(rate=0.2), seed=0), OUT)


def dropped(noisy: Variant, samples: list[int], *, relabelled: int = 5) -> Variant:
    given = noisy.labels[[relabelled, *samples]]
    new = np.array([(given[0] + 1) % 3, *[-1] * len(samples)])
    made = Corrections(
        noisy.variant_id,
        np.array([relabelled, *samples]),
        given,
        new,
        ("accept", *["drop"] * len(samples)),  # type: ignore[arg-type]
    )
    return correct_variant(noisy, made)


def weights(model: torch.nn.Module) -> list[list[float]]:
    return [values.flatten().tolist() for values in model.state_dict().values()]


def test_training_is_that_on_the_others_alone(source: Source, variant: Variant) -> None:
    """Bit for bit the weights of a run on the subset of inputs without the dropped ones."""
    device = torch.device("cpu")
    found = []
    for whole in (True, False):
        data = Inputs(source.inputs, device)
        torch.manual_seed(0)
        model = MLP(num_classes=3, input_shape=(5,))
        if whole:
            run = RunInProgress(source, variant, RECIPE, model, data, 7, torch.tensor(KEPT))
        else:
            run = RunInProgress(source, variant, RECIPE, model, data.subset(np.array(KEPT)), 7)
            run.labels = run.labels[KEPT]
        for epoch in (1, 2, 3):
            run.epoch(epoch, None)
        found.append(weights(model))
    assert found[0] == found[1]


@pytest.mark.parametrize("observe", ["after", "during"])
def test_every_sample_is_observed(source: Source, variant: Variant, observe: str) -> None:
    """Each probe has a finite value of every sample; what is told of fitted labels is of the others."""
    probes = [find("probes", name) for name in ("margin", "loss", "correct")]
    made = train(source, variant, MLP, RECIPE, probes, seed=0, observe=observe)  # type: ignore[arg-type]
    for name in ("margin", "loss", "correct"):
        assert made.trace[name].shape == (3, N)
        assert np.isfinite(made.trace[name]).all()
    correct, wrong = made.trace["correct"][-1], variant.mislabeled
    assert not wrong[OUT].any()
    assert made.history["mislabeled_fit"][-1] == pytest.approx(correct[wrong].mean())
    assert made.history["clean_fit"][-1] == pytest.approx(np.delete(correct, [*np.flatnonzero(wrong), *OUT]).mean())


def test_of_a_dropped_sample_the_logits_after_the_epoch_are_observed(source: Source, variant: Variant) -> None:
    """As ``observe="after"`` sees it, whose training is the same."""
    probes = [find("probes", "margin")]
    after, during = (
        train(source, variant, MLP, RECIPE, probes, seed=0, observe=how).trace["margin"] for how in ("after", "during")
    )
    assert np.allclose(after[:, OUT], during[:, OUT], rtol=0, atol=1e-6)
    assert not np.allclose(after[:, KEPT], during[:, KEPT], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["prediction_depth", "self_influence_kronecker"])
def test_who_compares_samples_sees_the_others_alone(source: Source, variant: Variant, name: str) -> None:
    """The values are those of a data set without the dropped ones, which are 0."""
    inputs = torch.tensor(np.asarray(source.inputs), dtype=torch.float32)
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    found = Recorder(variant, [name]).observe(model, inputs, epoch=1).values[name]
    alone = Recorder(variant.labels[KEPT], [name], num_classes=3).observe(model, inputs[KEPT], epoch=1).values[name]
    np.testing.assert_allclose(found[KEPT], alone, rtol=1e-5, atol=1e-6)
    assert not found[OUT].any()
    everyone = Recorder(variant.labels, [name], num_classes=3).observe(model, inputs, epoch=1).values[name]
    assert not np.allclose(everyone[KEPT], alone, rtol=1e-3)


def test_susceptibility_asks_for_the_others_alone(source: Source) -> None:
    """Whoever is drawn, of a few or of all."""
    data = Inputs(source.inputs, torch.device("cpu"))
    for most, count in ((7, 7), (500, len(KEPT))):
        how = Susceptibility(samples=most)
        tracker = SusceptibilityTracker(how, data, 3, "none", seed=0, rows=torch.tensor(KEPT))
        drawn = tracker._samples.tolist()
        assert len(drawn) == len(set(drawn)) == count
        assert not set(drawn) & set(OUT)


@pytest.mark.parametrize("balanced", [True, False])
def test_subsets_are_those_of_the_others(balanced: bool) -> None:  # noqa: FBT001 - a parameter
    """Drawn as if there were no more samples; nobody dropped changes nothing."""
    out = np.isin(np.arange(N), OUT)
    found = subsets(range(20), N, 0.7, seed=1, balanced=balanced, dropped=out)
    assert not found[:, OUT].any()
    assert np.array_equal(found[:, KEPT], subsets(range(20), N - 3, 0.7, seed=1, balanced=balanced))
    nobody = subsets(range(20), N, 0.7, seed=1, balanced=balanced, dropped=np.zeros(N, dtype=np.bool_))
    assert np.array_equal(nobody, subsets(range(20), N, 0.7, seed=1, balanced=balanced))


def test_of_a_dropped_sample_there_are_held_out_answers_and_no_memorization(
    source: Source, variant: Variant, tmp_path: Path
) -> None:
    """No model saw it: all of them say what it is, and none what it would be with it."""
    learner, _ = plan_learner(source, epochs=2)
    retrain(source, variant, learner, tmp_path, models=10)
    pool = read_pool(tmp_path, variant)
    assert not pool.included[:, OUT].any()
    assert np.isfinite(pool.held_out).all()
    truth = estimate_memorization(pool, variant)
    assert np.flatnonzero(np.isnan(truth.values)).tolist() == OUT
    assert (truth.n_out[OUT] == 10).all()


def test_a_run_of_a_corrected_variant_is_a_run_like_others(source: Source, variant: Variant, tmp_path: Path) -> None:
    """Scored for every sample, verified, ranked apart from the noise that it corrects, and not done twice."""
    one_batch = {"batch_size": str(len(KEPT))}  # of all samples there would be two, and other rates of learning
    (run,) = evaluate(variant, source, seeds=[0], epochs=2, detectors=["aum"], options=one_batch, out=tmp_path)
    assert run.scores["aum"].values.shape == (N,)
    assert variant.name in str(run.path)
    assert run.agreement("auroc")[0].n == len(KEPT)
    assert any("1 detector follow from the trace" in sentence for sentence in verify(tmp_path))
    assert read_run(Path(run.path)).column.noise == "symmetric, corrected"
