"""Readings of susceptibility: what else is measured in one training, which none of them changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from noisybench.data.source import Source
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.items import find
from noisybench.training.batches import Inputs
from noisybench.training.loop import RunInProgress
from noisybench.training.plan import Watch, plan_run
from noisybench.training.readings import brought_to, images_of
from noisybench.training.recipe import Recipe
from noisybench.training.susceptibility import READINGS, Susceptibility
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant

OWN = tuple(name for name in READINGS if not name.endswith(".source"))


def trained(source: Source, how: Susceptibility | None, folder: Path | None = None, epochs: int = 3) -> Training:
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)
    recipe = Recipe(epochs=epochs, schedule="constant")
    return train(source, variant, find("models", "mlp"), recipe, [], seed=0, susceptibility=how, folder=folder)


def test_readings_change_no_training_and_no_other_reading(digits: Source) -> None:
    """All at once: the weights are those of a training without any, and each reading is what it is where it is the only one."""
    alone, authors = (trained(digits, how) for how in (None, Susceptibility("authors")))
    every = (*READINGS,)
    done = trained(digits, Susceptibility("fixed", also=every, source="digits"))
    weights = alone.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in done.model.state_dict().items())
    for name in ("train_loss", "test_accuracy"):
        np.testing.assert_array_equal(done.history[name], alone.history[name])
    for column in ("susceptibility", "susceptibility_drop"):
        np.testing.assert_array_equal(done.history[f"{column}.authors.training"], authors.history[column])
        np.testing.assert_array_equal(done.history[f"{column}.fixed.training"], done.history[column])
    values = [done.history[f"susceptibility.{name}"][-1] for name in every]
    assert np.isfinite(values).all()
    assert len({*values}) == len(values), "each reading has images, labels or a step of its own"
    assert [*authors.history] == [*alone.history], "no column is there that was not asked for"


def test_a_stopped_run_ends_with_the_same_bytes(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in its third epoch and gone on with: the history is that of a run that was never stopped, to the last bit."""
    how, epoch = Susceptibility("authors", also=OWN), RunInProgress.epoch
    whole = trained(digits, how, tmp_path / "whole", epochs=4)

    def stopping(run: RunInProgress, number: int, recorder: None) -> None:
        if number == 3:
            raise KeyboardInterrupt
        epoch(run, number, recorder)

    monkeypatch.setattr(RunInProgress, "epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        trained(digits, how, tmp_path / "stopped", epochs=4)
    monkeypatch.setattr(RunInProgress, "epoch", epoch)
    trained(digits, how, tmp_path / "stopped", epochs=4)
    assert (tmp_path / "stopped/history.parquet").read_bytes() == (tmp_path / "whole/history.parquet").read_bytes()
    assert whole.history["susceptibility.authors.noise"][-1] != 0


def test_noise_has_the_moments_that_the_model_is_used_to(digits: Source) -> None:
    """Mean zero and deviation one as the model sees it, no image twice, and the same at every call; another seed, other noise."""
    data = Inputs(np.asarray(digits.inputs), torch.device("cpu"))
    first, again, other = (images_of("noise", Susceptibility(), digits, data, seed=seed) for seed in (0, 0, 1))
    seen = first.batch(slice(None))
    assert seen.shape[1:] == data.batch(slice(0, 1)).shape[1:]
    assert float(seen.mean()) == pytest.approx(0, abs=1e-3)
    assert float(seen.std()) == pytest.approx(1, abs=1e-3)
    assert torch.equal(seen, again.batch(slice(None)))
    assert not torch.equal(seen, other.batch(slice(None)))


def test_images_of_another_source_take_the_shape_of_these() -> None:
    """Grey from colour by the mean of channels, colour from grey by repeating, and resized; what fits is left as it is."""
    images = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    images[..., 0], images[1] = 30, 90
    assert brought_to(images, (8, 8, 3), "x") is not None
    np.testing.assert_array_equal(brought_to(images, (8, 8, 3), "x"), images)
    grey = brought_to(images, (4, 4, 1), "x")
    np.testing.assert_array_equal(grey[:, 0, 0, 0], [10, 90, 10])
    assert brought_to(grey, (28, 28, 3), "x").shape == (3, 28, 28, 3)
    features = np.zeros((3, 7), dtype=np.float32)
    for given, shape in ((features, (8, 8, 1)), (images, (7,)), (features, (8,))):
        with pytest.raises(BadUsage, match="only images can be brought to the shape of other images"):
            brought_to(given, shape, "x")


def test_readings_that_cannot_be_meant(digits: Source) -> None:
    """One sentence each, before anything is trained where that can be known."""
    with pytest.raises(UnknownName, match="no reading of susceptibility is called 'authors.noises'; did you mean"):
        Susceptibility(also=("authors.noises",))
    with pytest.raises(BadUsage, match="named once"):
        Susceptibility(also=("authors.noise", "authors.noise"))
    with pytest.raises(BadUsage, match="say susceptibility_source=NAME"):
        Susceptibility(also=("authors.source",))
    with pytest.raises(BadUsage, match="and the name of that source go together"):
        Susceptibility(source="digits")
    with pytest.raises(BadUsage, match="susceptibility is off, and further readings"):
        Watch(susceptibility="off", susceptibility_also=("fixed.noise",))
    without = replace(digits, test_inputs=None, test_labels=None)
    with pytest.raises(BadUsage, match="needs some, and source 'digits' has no test set"):
        trained(without, Susceptibility(also=("fixed.test",)))


def test_folders_of_before_keep_their_names(digits: Source) -> None:
    """No digest holds readings that are not asked for; those that are make another setup of the same training."""
    plain = plan_run(digits, device="cpu")
    assert plain.folder == "mlp-standard-6e415559"
    read = plan_run(digits, device="cpu", options={"susceptibility_also": "fixed.noise,authors.test"})
    assert read.setup != plain.setup
    assert read.trained == plain.trained
