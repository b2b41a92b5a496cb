"""Resuming: a run that was stopped, in whatever way, ends as one that was not, and does nothing twice."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout
from safetensors.torch import save
from torch import Tensor, nn

from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_columns, read_json, write_json
from noisybench.items import find
from noisybench.runs.verify import verify_runs
from noisybench.training.machine import Machine
from noisybench.training.recipe import Observe, Recipe
from noisybench.training.susceptibility import Susceptibility
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant
from noisybench.variants.location import write_location
from noisybench.variants.variant import Variant, write_variant


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=120)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


class Stopped(Exception):
    pass


def stop_after(epochs: int) -> Callable[[], None]:
    left = [epochs]

    def progress() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Stopped

    return progress


def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Killed at file writes, at seeded moments and by power cuts, it leaves what an undisturbed run leaves, file for file.

    That is built, evaluated, and evaluated once more for detectors that need a further probe. A power cut tears what was
    not synced. The optimiser's steps are counted: no epoch that has its checkpoint is trained again. By default a few of
    each; NOISYBENCH_KILLS and NOISYBENCH_CUTS say how many.
    """
    script = Path(__file__).parents[1] / "killed_runs.py"
    kills, cuts = (int(os.environ.get(f"NOISYBENCH_{name}", few)) for name, few in (("KILLS", "6"), ("CUTS", "6")))
    counts = [str(number) for number in (min(kills, 1000), max(2, kills // 4), cuts)]
    done = subprocess.run([sys.executable, script, tmp_path, *counts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    writes = [end for name, end in told["ends"].items() if name.startswith("write-")]
    assert len(writes) >= min(kills, told["whole"]["writes"])
    assert all(end["killed"] == -signal.SIGKILL for name, end in told["ends"].items() if not name.startswith("moment-"))
    assert len(told["ends"]) >= len(writes) + cuts
    # The later it is killed, the less is left to do: an epoch with a checkpoint is never trained again.
    steps = [end["steps"] for end in writes]
    assert steps == sorted(steps, reverse=True)
    assert {24, 0} <= {*steps} <= {24, 20, 16, 12, 8, 4, 0}


class WithEverything(nn.Module):
    """Convolutions, batch norm, dropout, and a buffer that ``state_dict`` leaves out and that decides the output."""

    seen: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3),  # whose weights lie in channels-last order
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(64, num_classes),
        )
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        logits: Tensor = self.layers(inputs)
        return logits * (1 + self.seen / 100)


def with_everything(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return WithEverything(num_classes)


@pytest.mark.parametrize(
    ("observe", "kind", "every"), [("after", "fixed", 1), ("during", "authors", 1), ("after", "authors", 3)]
)
def test_training_goes_on_bit_for_bit(
    small: Source, variant: Variant, tmp_path: Path, observe: Observe, kind: Literal["fixed", "authors"], every: int
) -> None:
    """Stopped after each epoch in turn, weights, trace, history and checkpoint are those of a run in one go."""

    def run(folder: Path | None, progress: Callable[[], None] = lambda: None) -> Training:
        return train(
            small,
            variant,
            with_everything,
            Recipe(epochs=5, batch_size=32),
            [find("probes", name) for name in ("margin", "correct", "curvature")],
            seed=3,
            observe=observe,
            every={"curvature": 2},
            susceptibility=Susceptibility(kind, samples=64),
            folder=folder,
            machine=Machine(checkpoint_every=every),
            progress=progress,
        )

    whole = run(tmp_path / "whole")
    for epochs in range(1, 5):
        with pytest.raises(Stopped):
            run(tmp_path / "stopped", stop_after(epochs))
    stopped = run(tmp_path / "stopped")
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    for (name, tensor), other in zip(
        whole.model.state_dict().items(), stopped.model.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, other), name
    in_memory = run(None)
    for name, values in whole.history.items():
        assert np.array_equal(values, stopped.history[name], equal_nan=True)
        assert np.array_equal(values, in_memory.history[name], equal_nan=True)
    for name in ("margin", "curvature"):
        assert np.array_equal(whole.trace[name], in_memory.trace[name])
    assert stopped.seconds["training"] > 0


def evaluated(source: Source, variant: Variant, out: Path, **changes: Any) -> Path:  # noqa: ANN401
    options = {"curvature_draws": "2", "curvature_every": "2"}
    how = {"seeds": (0,), "epochs": 4, "detectors": "aum", "options": options, **changes}
    (result,) = evaluate(variant, source, out=out, **how)
    return result.path


def unfinished(source: Source, variant: Variant, out: Path) -> Path:
    with pytest.raises(Stopped):
        evaluated(source, variant, out, progress=stop_after(2))
    return next(out.glob("*/*/seed-0"))


def test_a_run_made_differently_is_not_gone_on_with(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Other threads, recipe, labels or test set: refused with what differs, and nothing is changed."""
    folder = unfinished(small, variant, tmp_path)
    before = files(tmp_path)
    with pytest.raises(BadData, match=r"holds a run with threads = 1, now it is 2; give another --out, or delete"):
        evaluated(small, variant, tmp_path, machine=Machine(threads=2))
    assert small.test_labels is not None
    other = source_from_arrays(
        "digits",
        small.inputs,
        small.labels,
        clean=small.clean,
        test_inputs=small.test_inputs,
        test_labels=small.test_labels[::-1].copy(),
    )
    with pytest.raises(BadData, match="holds a run with test_sha256"):
        evaluated(other, build_variant(other, find("noises", "symmetric")(rate=0.2)), tmp_path)
    assert files(tmp_path) == before
    record = read_json(folder / "run.json")
    for key, value in (("device", "cuda"), ("lr", 0.2), ("seed", 7), ("model", "net"), ("variant_id", "0" * 64)):
        write_json({**record, key: value}, folder / "run.json")
        with pytest.raises(BadData, match=f"holds a run with {key} = "):
            evaluated(small, variant, tmp_path)
    write_json(record, folder / "run.json")
    assert evaluated(small, variant, tmp_path) == folder


@pytest.mark.parametrize(
    ("key", "value"), [("versions", {"torch": "1.0", "noisybench": "0.1.0"}), ("machine", "abacus")]
)
def test_an_unfinished_run_of_other_versions_is_begun_again(
    small: Source, variant: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, value: object
) -> None:
    """Or of another machine: its checkpoint would give neither one's bytes. One line says so, and the end is a whole run's."""
    folder = unfinished(small, variant, tmp_path / "a")
    write_json({**read_json(folder / "run.json"), key: value}, folder / "run.json")
    (folder / "scores").mkdir()
    ticks: list[None] = []
    assert evaluated(small, variant, tmp_path / "a", progress=lambda: ticks.append(None)) == folder
    (line,) = caplog.messages
    assert re.fullmatch(rf"{re.escape(str(folder))} was begun with {key} = .*, now it is .*: it is begun again", line)
    assert len(ticks) == 4
    assert files(folder) == files(evaluated(small, variant, tmp_path / "b"))


def test_a_checkpoint_of_another_run_is_refused(
    small: Source, variant: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That of another seed; one that is damaged, or none, is taken away with a sentence, and the run ends as any other."""
    folder = unfinished(small, variant, tmp_path / "a")
    with pytest.raises(Stopped):
        evaluated(small, variant, tmp_path / "b", seeds=(1,), progress=stop_after(2))
    own, foreign = folder / "checkpoint.safetensors", next((tmp_path / "b").rglob("checkpoint.safetensors"))
    whole = own.read_bytes()
    shutil.copy(foreign, own)
    with pytest.raises(BadData, match="checkpoint.safetensors is of a run with seed = 1, now it is 0"):
        evaluated(small, variant, tmp_path / "a")
    for content in (whole[:1000], b"", b"not a checkpoint", save({"weights": torch.ones(1)})):
        own.write_bytes(content)
        caplog.clear()
        with pytest.raises(Stopped):
            evaluated(small, variant, tmp_path / "a", progress=stop_after(1))
        assert caplog.messages == [f"{own} is damaged: it is made again"]
    reference = evaluated(small, variant, tmp_path / "c")
    assert files(evaluated(small, variant, tmp_path / "a")) == files(reference)


def test_a_further_probe_costs_a_finished_run_nothing(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Stopped while it is trained again for it, the old end stands; trained to the end, it is as if made in one go."""
    folder = evaluated(small, variant, tmp_path / "a")
    before, history = files(folder), read_columns(folder / "history.parquet")[0]
    for epochs in (1, 2, 3):
        with pytest.raises(Stopped):
            evaluated(small, variant, tmp_path / "a", detectors=("aum", "loss_curvature"), progress=stop_after(epochs))
        assert {**before, **files(folder)}.keys() == before.keys()
        for name, values in read_columns(folder / "history.parquet")[0].items():
            assert name == "activation_change" or np.array_equal(values, history[name], equal_nan=True)
        assert any("history and 1 detector" in told for told in verify_runs(folder))
        assert evaluated(small, variant, tmp_path / "a", progress=stop_after(9)) == folder
    evaluated(small, variant, tmp_path / "a", detectors="loss_curvature")
    reference = evaluated(small, variant, tmp_path / "b", detectors=("aum", "loss_curvature"))
    assert files(folder) == files(reference)


def test_two_processes_do_not_share_a_run(small: Source, variant: Variant, tmp_path: Path) -> None:
    """The second is refused while the first is at work, and served once it has ended."""
    folder = unfinished(small, variant, tmp_path)
    with (
        FileLock(folder / ".lock"),
        pytest.raises(BadData, match="another process works on .*seed-0; wait until it ends"),
    ):
        evaluated(small, variant, tmp_path)
    assert evaluated(small, variant, tmp_path) == folder


def test_counts_below_one_are_refused() -> None:
    """Threads and epochs between checkpoints."""
    with pytest.raises(BadUsage, match="threads must be at least 1, got 0"):
        Machine(threads=0)
    with pytest.raises(BadUsage, match="checkpoint_every must be at least 1, got 0"):
        Machine(checkpoint_every=0)


WAITING_NET = """
import time
from pathlib import Path
from torch import nn

GO = Path(__file__).with_name("go")
calls = 0

class Net(nn.Linear):
    def forward(self, inputs):
        global calls
        calls += self.training
        while calls > 6 and not GO.exists():
            time.sleep(0.02)
        return super().forward(inputs.flatten(1))

def net(*, num_classes, input_shape):
    return Net(64, num_classes)
"""
"""Waits in the second epoch of each process, once its first has a checkpoint, until a file ``go`` lies beside it."""


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_ctrl_c_and_a_dead_parent_end_all_workers(
    variant: Variant, small: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C says how to go on and leaves no process; nor does killing the main one; the third call finishes."""
    (tmp_path / "waiting_net.py").write_text(WAITING_NET)
    write_variant(variant, tmp_path / "variant")
    write_location(tmp_path / "variant", data=None, source_set={})
    words = "--model waiting_net:net --epochs 3 --seeds 0,1 --workers 2 --detectors aum --set susceptibility=off"
    command = [sys.executable, "-m", "noisybench", "evaluate", "variant", *words.split(), "--out", "runs"]

    def locked() -> Sequence[Path]:
        """The run folders that some process works on."""
        held = []
        for path in tmp_path.glob("runs/*/*/*/.lock"):
            try:
                with FileLock(path, timeout=0):
                    pass
            except Timeout:
                held.append(path)
        return held

    def checkpoints() -> dict[Path, int]:
        """When each checkpoint was written; runs alone are looked into, since the folder of the variant is renamed."""
        return {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*/seed-*/checkpoint.safetensors")}

    # A suite that runs in the background ignores Ctrl-C, and what it starts would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGINT, signal.SIGKILL):
        before = checkpoints()
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda before=before: len(checkpoints().items() - before.items()) == 2, process)  # type: ignore[misc]
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=60)
        assert out == ""
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert err.splitlines()[-1] == (
                "error: stopped; what was finished is kept, and the same command goes on from there"
            )
        wait_until(lambda: not locked())
        assert not any(read_json(path)["detectors"] for path in tmp_path.rglob("run.json"))
    (tmp_path / "go").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    how: dict[str, Any] = {
        "model": "waiting_net:net",
        "epochs": 3,
        "detectors": "aum",
        "options": {"susceptibility": "off"},
    }
    evaluate(variant, small, seeds=(0, 1), out=tmp_path / "runs", **how)
    (result,) = evaluate(variant, small, seeds=(1,), out=tmp_path / "reference", **how)
    (again,) = tmp_path.glob("runs/*/*/seed-1")
    assert files(again) == files(result.path)
