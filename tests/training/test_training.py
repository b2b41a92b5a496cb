"""Training: the one loop, which looking at it does not change."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadUsage, Mismatch, TrainingFailed
from noisybench.items import find, names
from noisybench.training.machine import Machine
from noisybench.training.recipe import Recipe
from noisybench.training.susceptibility import Susceptibility
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

RECIPE = Recipe(epochs=3, batch_size=32)


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    return source_from_arrays(
        "digits",
        digits.inputs[:257],  # 257 = 8 batches of 32 and one sample, which batch norm alone could not take
        digits.labels[:257],
        clean=digits.clean[:257],
        test_inputs=digits.test_inputs,
        test_labels=digits.test_labels,
        augmentation="crop",
    )


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2), seed=0)


def with_dropout(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(288, num_classes),
    )


def weights(training: Training) -> dict[str, torch.Tensor]:
    return dict(training.model.state_dict())


@pytest.mark.parametrize("kind", ["fixed", "authors"])
@pytest.mark.parametrize("observe", ["after", "during"])
def test_looking_changes_nothing(small: Source, variant: Variant, tmp_path: Path, kind: str, observe: str) -> None:
    """Weights, batch-norm statistics and losses are bit-identical with every probe, tracker and writer and without."""
    recipe = replace(RECIPE, augmentation="crop_flip")
    torch.manual_seed(1)
    state = torch.get_rng_state()
    plain = train(small, variant, with_dropout, recipe, [], seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    watched = train(
        small,
        variant,
        with_dropout,
        recipe,
        [find("probes", name) for name in names("probes")],
        seed=0,
        observe=observe,  # type: ignore[arg-type]
        susceptibility=Susceptibility(kind),  # type: ignore[arg-type]
        folder=tmp_path,
    )
    assert all(torch.equal(value, weights(watched)[name]) for name, value in weights(plain).items())
    for name in ("train_loss", "train_accuracy", "test_accuracy"):
        assert np.array_equal(plain.history[name], watched.history[name])
    assert set(watched.trace.columns) == {*names("probes"), "activation_change"}


def test_the_seed_decides_and_nothing_else(small: Source, variant: Variant) -> None:
    """Two runs of one seed are bit-equal, whatever torch drew before; another seed differs in weights."""
    first = train(small, variant, with_dropout, RECIPE, [find("probes", "margin")], seed=0)
    torch.manual_seed(99)
    second = train(small, variant, with_dropout, RECIPE, [find("probes", "margin")], seed=0)
    other = train(small, variant, with_dropout, RECIPE, [], seed=1)
    assert np.array_equal(first.trace["margin"], second.trace["margin"])
    assert not torch.equal(weights(first)["0.weight"], weights(other)["0.weight"])


def test_the_loop_is_plain_sgd(small: Source, variant: Variant) -> None:
    """One epoch of one full batch equals torch's own step written out: loss, gradient, momentum-free update."""
    recipe = Recipe(epochs=1, batch_size=300, lr=0.1, momentum=0.0, weight_decay=0.01, schedule="constant")
    built: list[nn.Module] = []

    def build(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
        built.append(nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)))
        built.append(nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)))
        built[1].load_state_dict(built[0].state_dict())
        return built[0]

    done = train(small, variant, build, recipe, [], seed=0)
    twin = built[1]
    images = small.inputs.astype(np.float64)
    inputs = torch.tensor((images - images.mean()) / images.std()).permute(0, 3, 1, 2).float()
    loss = nn.functional.cross_entropy(twin(inputs), torch.tensor(variant.labels))
    loss.backward()
    assert done.history["train_loss"][0] == pytest.approx(loss.item(), rel=1e-5)
    for trained, fresh in zip(done.model.parameters(), twin.parameters(), strict=True):
        assert fresh.grad is not None
        expected = fresh - 0.1 * (fresh.grad + 0.01 * fresh)
        torch.testing.assert_close(trained, expected, atol=1e-6, rtol=1e-5)


def test_during_records_the_training_batches_own_answers(small: Source, variant: Variant) -> None:
    """With a constant rate of zero and no augmentation the model never moves, so both ways of observing agree."""
    still = Recipe(epochs=2, batch_size=32, lr=0.0, weight_decay=0.0)
    mlp = find("models", "mlp")
    after = train(small, variant, mlp, still, [find("probes", "margin")], seed=0)
    during = train(small, variant, mlp, still, [find("probes", "margin")], seed=0, observe="during")
    np.testing.assert_allclose(after.trace["margin"], during.trace["margin"], atol=1e-5)
    moving = replace(still, lr=0.5)
    after = train(small, variant, mlp, moving, [find("probes", "margin")], seed=0)
    during = train(small, variant, mlp, moving, [find("probes", "margin")], seed=0, observe="during")
    assert not np.allclose(after.trace["margin"], during.trace["margin"], atol=1e-2)


def test_history_counts_fits_against_the_given_labels(small: Source, variant: Variant) -> None:
    """Memorized and clean shares follow from the observed predictions, recomputed by hand."""
    probes = [find("probes", name) for name in ("correct", "prediction")]
    done = train(small, variant, find("models", "mlp"), RECIPE, probes, seed=0)
    predicted = done.trace["prediction"][-1].astype(np.int64)
    hits = predicted == variant.labels
    assert done.history["mislabeled_fit"][-1] == pytest.approx(hits[variant.mislabeled].mean())
    assert done.history["clean_fit"][-1] == pytest.approx(hits[~variant.mislabeled].mean())
    assert list(done.history["epoch"]) == [1, 2, 3]


def test_sparse_probes_observe_the_last_epoch(small: Source, variant: Variant) -> None:
    """A probe of every second epoch is asked in epoch 2 and, being last, 3."""
    done = train(small, variant, find("models", "mlp"), RECIPE, [find("probes", "loss")], seed=0, every={"loss": 2})
    assert done.trace.column("loss").epochs.tolist() == [2, 3]


def nothing(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return "no model"  # type: ignore[return-value]


def narrow(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes - 1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (nothing, "gave str, expected a torch.nn.Module"),
        (narrow, r"shape \(1, 9\) .* expected a tensor of shape \(1, 10\)"),
    ],
)
def test_models_that_do_not_fit_are_refused(
    small: Source, variant: Variant, build: Callable[..., nn.Module], message: str
) -> None:
    """What is no model, and a model of the wrong width, are named before training begins."""
    with pytest.raises(TrainingFailed, match=message):
        train(small, variant, build, RECIPE, [], seed=0)


def test_divergence_is_said(small: Source, variant: Variant) -> None:
    """A loss that is not finite stops the run with the epoch and the rate."""
    with pytest.raises(TrainingFailed, match="training loss is .* in epoch .*lr=1e"):
        train(small, variant, find("models", "mlp"), replace(RECIPE, lr=1e30), [], seed=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_in_bfloat16_and_is_observed_in_float32(small: Source, variant: Variant) -> None:
    """Every probe, both ways of observing and both trackers run there, and two runs of one seed are bit-equal."""
    recipe = replace(RECIPE, precision="bfloat16", augmentation="crop_flip")
    probes = [find("probes", name) for name in names("probes")]
    for observe, kind in (("after", "fixed"), ("during", "authors")):
        done = [
            train(
                small,
                variant,
                with_dropout,
                recipe,
                probes,
                seed=0,
                machine=Machine(device="cuda"),
                observe=observe,  # type: ignore[arg-type]
                susceptibility=Susceptibility(kind),  # type: ignore[arg-type]
            )
            for _ in range(2)
        ]
        assert np.array_equal(done[0].trace["margin"], done[1].trace["margin"])
        assert np.isfinite(done[0].history["susceptibility"]).all()
        assert done[0].trace["loss"].dtype == np.float32


def test_a_variant_of_other_inputs_is_refused(digits: Source, variant: Variant) -> None:
    """Other pixels under the same labels are another source."""
    with pytest.raises(Mismatch, match="give the files that it was built from"):
        train(digits, variant, find("models", "mlp"), RECIPE, [], seed=0)


@pytest.mark.parametrize(("field", "value"), [("epochs", 0), ("batch_size", 1), ("lr", float("nan")), ("lr", -1.0)])
def test_recipes_out_of_range_are_refused(field: str, value: float) -> None:
    """Each field says its least value."""
    with pytest.raises(BadUsage, match=f"{field} must be at least"):
        Recipe(**{field: value})  # type: ignore[arg-type]
