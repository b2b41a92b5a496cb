"""Ranks: what two gloo processes record is what one records.

The reference is one process: a loop over the same global batches, repeats of the sampler included, and one that asks
about every sample alone. Values of the same weights are bit-equal; those of a training are equal up to the order of the
sums of gradients, within 1e-5.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rank_tasks import BATCH, EPOCHS, PROBES, RUNS, K, N, columns_of, do_all, one_run, perceptron, samples
from started_ranks import run_on_two_ranks
from torch import nn

from noisybench.ground.errors import BadUsage
from noisybench.training.machine import Machine
from noisybench.training.ranks import ALONE, Ranks, check_repeats, first_in_batch, ranks_here, training_ranks
from noisybench.training.recorder import Recorder
from noisybench.training.shared_batch import SharedBatches


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes have done every task."""
    folder = tmp_path_factory.mktemp("ranks")
    run_on_two_ranks(do_all, folder)
    return folder


def left(folder: Path, task: str, rank: int) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Columns and errors of a rank."""
    with np.load(folder / task / f"{rank}.npz") as values:
        return dict(values), json.loads((folder / task / f"{rank}.json").read_text())


def assert_alike(one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float = 0) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_a_loop_of_two_processes_records_what_one_process_does(both: Path) -> None:
    inputs, labels = samples()
    recorder = Recorder(labels.tolist(), PROBES[:3], num_classes=K)
    model = perceptron(norm=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for epoch in range(1, EPOCHS + 1):
        order = torch.randperm(N, generator=torch.Generator().manual_seed(1 + epoch)).tolist()
        order += order[:1]  # as DistributedSampler gives each rank as many
        for start in range(0, len(order), 2 * BATCH):
            chosen = torch.tensor(order[start : start + 2 * BATCH])
            logits = model(inputs[chosen])
            fresh = slice(0, N - start)  # the repeat is the last of all
            recorder.update(logits[fresh], chosen[fresh])
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, labels[chosen]).backward()
            optimizer.step()
        recorder.end_epoch(epoch=epoch)
    found = left(both, "train_in_parts", 0)[0]
    assert_alike(found, columns_of(recorder.trace()), 1e-5)
    assert_alike(found, left(both, "train_in_parts", 1)[0])


def test_what_each_observes_a_part_of_is_what_one_observes(both: Path) -> None:
    """Bit for bit, with the statistics of the first rank; the other gets its own back, and the file is of one writer."""
    inputs, labels = samples()
    model = perceptron(norm=True)
    model.load_state_dict(torch.load(both / "observe_in_parts" / "weights.pt", weights_only=True))
    recorder = Recorder(labels.tolist(), PROBES, num_classes=K)
    for epoch in (1, 2):
        parts = inputs.split(4) if epoch == 1 else [inputs]
        recorder.observe(model.train(), parts, epoch=epoch, learning_rate=0.1)
    written, told = left(both, "observe_in_parts", 0)
    kept = columns_of(recorder.trace())  # of what remembers, the newest epoch alone
    assert_alike({name: written[name][-len(values) :] for name, values in kept.items()}, kept)
    assert written.keys() == kept.keys()
    assert_alike(written, left(both, "observe_in_parts", 1)[0])
    assert told["kept"] == left(both, "observe_in_parts", 1)[1]["kept"] == "True"
    assert len([*(both / "observe_in_parts" / "trace").iterdir()]) == EPOCHS


@pytest.mark.parametrize("name", [*RUNS])
def test_a_run_of_two_ranks_is_that_of_one(both: Path, name: str) -> None:
    """Trace, history and weights, batch norm included, within 1e-5; and bit for bit alike on both ranks.

    Of 101 samples one is dropped, so that the last batch has 4. The run that was stopped after an epoch is one of them.
    """
    found, told = left(both, "train_together", 0)
    run = one_run(None, ranks=1, **RUNS[name])
    whole: dict[str, Any] = {column: run.trace[column] for column in run.trace.columns}
    whole |= {f"history.{column}": run.history[column] for column in run.history}
    whole |= {f"weights.{key}": value.numpy() for key, value in run.model.state_dict().items()}
    assert_alike({f"{name}.{key}": values for key, values in whole.items()}, of(found, name), 1e-5)
    assert_alike(of(found, name), of(left(both, "train_together", 1)[0], name))
    assert told["trace"] == "['epoch-0001.parquet']"


def of(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What is of one run."""
    return {key: value for key, value in values.items() if key.startswith(f"{name}.")}


def test_other_ranks_than_the_machine_says_are_refused() -> None:
    with pytest.raises(BadUsage, match="the machine says ranks=2, and torch.distributed has 1"):
        training_ranks(Machine(ranks=2))
    with pytest.raises(BadUsage, match="2 ranks train one run together, here, got workers=3"):
        Machine(ranks=2, workers=3)
    with pytest.raises(BadUsage, match="a batch of 3 samples cannot be shared by 4 ranks"):
        SharedBatches(Ranks(0, 4)).check([torch.arange(8), torch.arange(3)])


def test_a_sample_that_is_there_again_counts_once(both: Path) -> None:
    """The earliest batch counts, and of batches of one turn that of the lowest rank."""
    labels = samples()[1]
    logits = torch.arange(N * K).view(N, K).float().sin()
    recorder = Recorder(labels.tolist(), PROBES[:2], num_classes=K)
    for epoch in (1, 2, 3):
        recorder.update(logits, torch.arange(N))
        recorder.end_epoch(epoch=epoch)
    for rank in range(2):
        assert_alike(left(both, "give_and_fail", rank)[0], columns_of(recorder.trace()))


@pytest.mark.parametrize(
    ("case", "messages"),
    [
        ("nothing", ("37 of 37 samples were in no batch of epoch 1; the first is sample 0",) * 2),
        ("missing", ("2 of 37 samples were in no batch of epoch 1; the first is sample 35",) * 2),
        ("twice", ("37 samples were given to update() again in one epoch, where",) * 2),
        ("alone", ("18 of 37 samples .* say across_ranks=True", "19 of 37 samples .* say across_ranks=True")),
        ("unwritable", ("NotADirectoryError: .*trace",) * 2),
        ("broken", ("TrainingFailed: rank 1 of 2 failed: RuntimeError: no memory left", "RuntimeError: no memory")),
        ("parts", ("the model is in parts under FSDPModule",) * 2),
    ],
)
def test_an_error_of_one_rank_is_raised_on_each(both: Path, case: str, messages: tuple[str, str]) -> None:
    for rank, message in enumerate(messages):
        found = left(both, "give_and_fail", rank)[1][case]
        with pytest.raises(BadUsage, match=message.replace("()", r"\(\)")):
            raise BadUsage(found)


def test_one_process_is_no_matter() -> None:
    """Where no processes train together, a recorder across ranks is one like any other, and refuses repeats."""
    assert ranks_here() == ALONE
    labels = samples()[1].tolist()
    recorder = Recorder(labels, ["loss"], num_classes=K, across_ranks=True)
    recorder.update(torch.zeros(N, K), torch.arange(N))
    with pytest.raises(BadUsage, match="more than once"):
        recorder.update(torch.zeros(1, K), torch.tensor([3]))
    recorder.update(torch.zeros(N, K), torch.arange(N))
    assert np.allclose(recorder.end_epoch(epoch=1).values["loss"], np.log(K))


def test_the_first_of_each_sample_in_a_batch() -> None:
    assert first_in_batch(torch.tensor([4, 2, 4, 4, 0, 2])).tolist() == [True, True, False, False, True, False]
    assert first_in_batch(torch.tensor([], dtype=torch.int64)).tolist() == []
    check_repeats(torch.tensor([1, 2, 0, 3]), largest=3)
    with pytest.raises(BadUsage, match="3 samples were given .* takes 2 at most"):
        check_repeats(torch.tensor([1, 2, 0, 3]), largest=2)
