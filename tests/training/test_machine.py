"""How runs are run: what cannot be meant is refused when it is said."""

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
import torch

from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.training.machine import Machine, deterministic_torch


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"threads": 0}, BadUsage, "threads must be at least 1, got 0"),
        ({"workers": -1}, BadUsage, "workers must be at least 1, got -1"),
        ({"workers": True}, BadUsage, "workers must be a whole number, got True"),
        ({"checkpoint_every": 2.0}, BadUsage, "checkpoint_every must be a whole number, got 2.0"),
        ({"loader_workers": -1}, BadUsage, "loader_workers must not be negative, got -1"),
        ({"device": "gpu"}, UnknownName, "no device is called 'gpu'"),
        ({"device": "cpu:1"}, UnknownName, "no device is called 'cpu:1'"),
        ({"device": "cuda:99"}, BadUsage, "device 'cuda:99' is asked for, and torch finds"),
    ],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    """Each field says what it must be."""
    with pytest.raises(error, match=message):
        Machine(**change)


def test_values_are_plain_and_stay() -> None:
    """Whole numbers of NumPy become Python's, and none can be changed afterwards."""
    machine = Machine(threads=np.int64(2))  # type: ignore[arg-type]
    assert type(machine.threads) is int
    with pytest.raises(FrozenInstanceError):
        machine.threads = 3  # type: ignore[misc]


def test_tasks_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two GPUs ``auto`` is both, taken in turn; one that is named, and the CPU, is taken by all."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [Machine("auto").device_of(task) for task in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [Machine("cuda:1").device_of(task) for task in range(2)] == ["cuda:1"] * 2
    with pytest.raises(BadUsage, match="torch finds cuda:0 to cuda:1; say --device cuda"):
        Machine("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Machine("auto") == Machine()
    assert Machine().device_of(5) == "cpu"
    with pytest.raises(BadUsage, match="torch finds no GPU; say --device cpu"):
        Machine("cuda")


def test_torch_is_left_as_it_was() -> None:
    """Threads, kernels and generators are put back, also when something fails within."""
    torch.manual_seed(7)
    threads, flags, state = torch.get_num_threads(), torch.backends.cudnn.deterministic, torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), deterministic_torch(torch.device("cpu"), threads + 1):
        assert torch.get_num_threads() == threads + 1
        assert torch.backends.cudnn.deterministic
        torch.manual_seed(0)
        _ = 1 / 0
    assert (torch.get_num_threads(), torch.backends.cudnn.deterministic) == (threads, flags)
    assert torch.equal(torch.get_rng_state(), state)
