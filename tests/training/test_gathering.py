"""Probes that see all samples at once and remember earlier epochs: in a training, after a kill, and in anyone's loop."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.items import find
from noisybench.training.asking import Batch
from noisybench.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from noisybench.training.gathering import Values, due_columns
from noisybench.training.machine import Machine
from noisybench.training.observing import observe
from noisybench.training.optimizers import RecipeOptimizer
from noisybench.training.probe import Gathering, Probe
from noisybench.training.recipe import Recipe
from noisybench.training.recorder import Recorder
from noisybench.training.trace import read_trace
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

RECIPE = Recipe(epochs=5, batch_size=32)
N = 65


@dataclass(frozen=True, slots=True)
class Sum:
    """Sum of the logits over the epochs so far, less the mean of all samples in this epoch."""

    name: str = "sum"
    passes: float = 0.0
    gradient: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        return batch.logits

    def gather(self, values: Tensor, labels: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        assert len(values) == len(labels)
        total = values - values.mean(0) if memory is None else memory + values - values.mean(0)
        return total, total


@dataclass(frozen=True, slots=True)
class Rank:
    """Rank of the loss among all samples in this epoch."""

    name: str = "rank"
    passes: float = 0.0
    gradient: bool = False
    remembers: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        return find("probes", "loss")(batch)

    def gather(
        self,
        values: Tensor,
        labels: Tensor,  # noqa: ARG002 - the protocol
        memory: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        assert memory is None
        return values.argsort().argsort(), None


PROBES: list[Probe] = [find("probes", "correct"), Sum(), Rank()]


@pytest.fixture(scope="module")
def source(digits: Source) -> Source:
    return source_from_arrays("digits", digits.inputs[:N], digits.labels[:N], clean=digits.clean[:N])


@pytest.fixture(scope="module")
def variant(source: Source) -> Variant:
    return build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)


class Killed(Exception):
    """Stands for a process that ends."""


def run(
    source: Source,
    variant: Variant,
    folder: Path | None,
    *,
    kill: int | None = None,
    checkpoint_every: int = 1,
    probes: list[Probe] = PROBES,
    observe: str = "after",
) -> Training:
    """A training that is killed after the epoch ``kill``, or not at all."""

    def epochs() -> Iterator[None]:
        for epoch in range(1, RECIPE.epochs + 1):
            if epoch == kill:
                raise Killed
            yield

    steps = epochs()
    return train(
        source,
        variant,
        find("models", "mlp"),
        RECIPE,
        probes,
        seed=0,
        machine=Machine(checkpoint_every=checkpoint_every),
        observe="during" if observe == "during" else "after",
        folder=folder,
        made_by={"of": "a test"},
        progress=lambda: next(steps),
    )


def content(folder: Path) -> dict[str, bytes]:
    """Bytes of all files but the one that tells times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".json"
    }


@pytest.mark.parametrize("observe", ["after", "during"])
def test_the_column_is_of_all_epochs(source: Source, variant: Variant, observe: str) -> None:
    """It equals a loop over what a probe of each epoch's logits saw, and stands at the last epoch alone."""

    @dataclass(frozen=True)
    class Logits:
        name: str = "logits"
        passes: float = 0.0
        gradient: bool = False

        def __call__(self, batch: Batch) -> Tensor:
            return batch.logits

    trace = run(source, variant, None, probes=[*PROBES, Logits(), find("probes", "loss")], observe=observe).trace
    expected = np.zeros((N, 10), dtype=np.float32)
    for logits in trace["logits"]:
        expected += logits - logits.mean(0)
    np.testing.assert_allclose(trace["sum"][0], expected, rtol=1e-4, atol=1e-5)
    assert trace.column("sum").epochs.tolist() == [5]
    assert trace.column("rank").epochs.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(trace["rank"].argsort(1), trace["loss"].argsort(1))


@pytest.mark.parametrize(("kill", "checkpoint_every"), [(1, 1), (4, 1), (4, 3), (2, 3)])
def test_a_killed_training_goes_on_with_the_same_bytes(
    source: Source, variant: Variant, tmp_path: Path, kill: int, checkpoint_every: int
) -> None:
    """Trace, history and checkpoint, however many epochs stand between two checkpoints."""
    run(source, variant, tmp_path / "whole", checkpoint_every=checkpoint_every)
    with pytest.raises(Killed):
        run(source, variant, tmp_path / "killed", kill=kill, checkpoint_every=checkpoint_every)
    run(source, variant, tmp_path / "killed", checkpoint_every=checkpoint_every)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert read_trace(tmp_path / "whole" / "trace").column("sum").epochs.tolist() == [5]


def test_epochs_are_not_trained_again_for_a_probe_that_remembers(
    source: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that was killed begins at its checkpoint; a finished one trains no epoch."""
    with pytest.raises(Killed):
        run(source, variant, tmp_path, kill=3)
    trained: list[int] = []
    real = RecipeOptimizer.step

    def counting(*given: Any) -> Any:  # noqa: ANN401
        trained.append(1)
        return real(*given)

    monkeypatch.setattr(RecipeOptimizer, "step", counting)
    run(source, variant, tmp_path)
    assert len(trained) == 2 * 2  # two epochs, each of two batches
    trained.clear()
    run(source, variant, tmp_path)
    assert not trained
    assert not read_checkpoint(tmp_path / CHECKPOINT).memory


def test_a_further_probe_is_observed_from_the_first_epoch_on(source: Source, variant: Variant, tmp_path: Path) -> None:
    """Of a finished training and of one that was killed: the files are those of a training with all probes."""
    run(source, variant, tmp_path / "whole")
    run(source, variant, tmp_path / "finished", probes=PROBES[:1])
    with pytest.raises(Killed):
        run(source, variant, tmp_path / "killed", probes=PROBES[:1], kill=3)
    with pytest.raises(Killed):  # and killed in that training as well
        run(source, variant, tmp_path / "finished", kill=3)
    for name in ("finished", "killed"):
        run(source, variant, tmp_path / name)
        assert content(tmp_path / name) == content(tmp_path / "whole")


def test_a_checkpoint_without_memory_begins_anew(source: Source, variant: Variant, tmp_path: Path) -> None:
    """As an earlier version wrote it: nothing is made of a part of the epochs."""
    run(source, variant, tmp_path / "whole")
    with pytest.raises(Killed):
        run(source, variant, tmp_path / "old", kill=3)
    path = tmp_path / "old" / CHECKPOINT
    before = read_checkpoint(path)
    assert {*before.memory} == {"sum"}
    write_checkpoint(replace(before, memory={}), path)
    run(source, variant, tmp_path / "old")
    assert content(tmp_path / "old") == content(tmp_path / "whole")


def test_only_the_last_epoch_is_due() -> None:
    """A probe that remembers is asked in each of its epochs and leaves a column after the last."""
    assert [sorted(names) for names in due_columns(PROBES, 2, {}).values()] == [
        ["correct", "rank"],
        ["correct", "rank", "sum"],
    ]
    assert isinstance(Sum(), Gathering)
    assert not isinstance(find("probes", "loss"), Gathering)


def test_anyones_loop_keeps_the_newest_column(variant: Variant, tmp_path: Path) -> None:
    """In memory that of the newest epoch, in a folder each, and with the epochs told the last alone; alike in value."""
    recorders = [
        Recorder(variant, PROBES),
        Recorder(variant, PROBES, folder=tmp_path / "each"),
        Recorder(variant, PROBES, folder=tmp_path / "last", epochs=3),
    ]
    expected, inputs = np.zeros((N, 10), dtype=np.float32), torch.randn(N, 10)
    for epoch in (1, 2, 3):
        for recorder in recorders:
            seen = recorder.observe(nn.Identity(), inputs * epoch, epoch=epoch)
        expected += (inputs * epoch - (inputs * epoch).mean(0)).numpy()
        np.testing.assert_allclose(seen.values["sum"], expected, rtol=1e-4, atol=1e-5)
    columns = [recorder.trace().column("sum") for recorder in recorders]
    assert [column.epochs.tolist() for column in columns] == [[3], [1, 2, 3], [3]]
    for column in columns:
        np.testing.assert_allclose(column.values[-1], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(BadUsage, match="epoch 3 was given when epoch 3 had been observed"):
        recorders[0].observe(nn.Identity(), inputs, epoch=3)


def test_a_failed_epoch_is_not_remembered(variant: Variant) -> None:
    """Asked again after a probe has failed, the epoch counts once."""
    recorder, inputs = Recorder(variant, [Sum(), find("probes", "loss")]), torch.randn(N, 10)
    with pytest.raises(TrainingFailed, match="not finite"):
        recorder.observe(nn.Identity(), inputs * torch.nan, epoch=1)
    assert not recorder.memory
    recorder.observe(nn.Identity(), inputs, epoch=1)
    np.testing.assert_allclose(recorder.trace()["sum"][0], (inputs - inputs.mean(0)).numpy(), atol=1e-5)


def test_a_trace_without_memory_is_not_gone_on_with(variant: Variant, tmp_path: Path) -> None:
    """What a probe remembered is in no trace; put back, it goes on."""
    first = Recorder(variant, [Sum()], folder=tmp_path)
    inputs = torch.randn(N, 10)
    first.observe(nn.Identity(), inputs, epoch=1)
    second = Recorder(variant, [Sum()], folder=tmp_path, resume=True)
    with pytest.raises(
        BadUsage, match=r"'sum' remembers earlier epochs, and .* does not hold what it remembered; give"
    ):
        second.observe(nn.Identity(), inputs, epoch=2)
    second.memory = first.memory
    second.observe(nn.Identity(), inputs, epoch=2)
    values = second.trace()["sum"]
    np.testing.assert_allclose(values[1], 2 * values[0], rtol=1e-5)
    with pytest.raises(BadUsage, match="had been observed"):
        second.observe(nn.Identity(), inputs, epoch=2)


def test_observing_once_remembers_nothing(variant: Variant) -> None:
    """Without a memory, what a probe gathers is of one epoch."""
    labels, inputs = torch.tensor(variant.labels), torch.randn(N, 10)
    for _ in range(2):
        seen = observe(nn.Identity(), inputs, labels, [Sum()], epoch=1, batch_size=8)
        np.testing.assert_allclose(seen.values["sum"], (inputs - inputs.mean(0)).numpy(), atol=1e-5)


def test_what_a_probe_gives_must_be_a_row_a_sample() -> None:
    """Neither one number of a batch nor rows of another length; and nothing is remembered that was not announced."""
    values = Values(Sum(), 4)
    with pytest.raises(TrainingFailed, match=r"probe 'sum' gave values of shape \(\) for 2 samples"):
        values.put(0, 2, torch.tensor(1.0))
    values.put(0, 2, torch.ones(2, 3))
    with pytest.raises(TrainingFailed, match=r"shape \(2, 4\) for 2 samples; expected one row a sample, alike"):
        values.put(2, 2, torch.ones(2, 4))

    class Forgetful(Sum):
        remembers = False

    values = Values(Forgetful(), 1)
    values.put(0, 1, torch.ones(1, 3))
    with pytest.raises(BadUsage, match="says remembers = False, and its gather gave a memory"):
        values.column(torch.zeros(1, dtype=torch.int64), {})
