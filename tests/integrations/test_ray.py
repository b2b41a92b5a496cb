"""Engine ray on a real Ray of two cores: the files of one process, byte for byte, also where workers or the driver are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.engines.ray import Ray
from noisybench.ground.errors import BadData, BadUsage
from noisybench.items import find
from noisybench.runs import training_run
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

pytestmark = [pytest.mark.integration("ray"), pytest.mark.filterwarnings("default")]
TESTS = Path(__file__).parents[1]
TOLD: dict[str, Any] = {"model": "mlp(width=8)", "epochs": 4, "seeds": (0, 1, 2), "detectors": "aum"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Ray for all tests; this process has joined it."""
    ray = import_module("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]))
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source("digits", limit=90)


@pytest.fixture(scope="module")
def labels(source: Source) -> Variant:
    return build_variant(source, find("noises", "symmetric")(rate=0.2))


@pytest.fixture(scope="module")
def reference(source: Source, labels: Variant, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every file of an evaluation in one process."""
    out = tmp_path_factory.mktemp("reference")
    evaluate(labels, source, **TOLD, out=out, machine=Machine())
    return files(out)


def files(out: Path) -> dict[str, str]:
    """Digest of every file but those of times."""
    return {
        str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("timing.json", "killed")
    }


def tasks(name: str) -> Any:  # noqa: ANN401
    return getattr(import_module("engine_tasks"), name)


def test_a_killed_task_is_begun_again(cluster: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each step is told once, and the caller of all this hears of the death."""
    steps: list[int] = []
    found = Ray(cpus=1).run(tasks("killed_once"), [0, 1, 2], tmp_path, progress=lambda: steps.append(1))
    assert found == [0, 1, 2]
    assert len(steps) == 12
    assert "a task died (WorkerCrashedError" in caplog.text
    assert "it is begun again, 1 of 3 times" in caplog.text


def test_errors_of_a_task_are_its_own(cluster: str) -> None:
    """Not retried; one that dies each time is told in a sentence; and one that fits nowhere is not waited for."""
    with pytest.raises(BadData, match=r"^task 1 has bad data; mend it$"):
        Ray(cpus=1).run(tasks("fail"), [0, 1, 2], None)
    with pytest.raises(BadData, match="a task died 4 times, the last time by WorkerCrashedError"):
        Ray(cpus=1).run(tasks("die"), [0], None)
    with pytest.raises(BadUsage, match=r"no machine of this Ray has what each task asks for \(64 CPU\); ask for less"):
        Ray(cpus=64).run(tasks("square"), [0], {"plus": 0})


def test_runs_whose_worker_is_killed_end_with_the_same_bytes(
    cluster: str,
    source: Source,
    labels: Variant,
    reference: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of three runs on two cores one is killed in mid-training, and goes on elsewhere from its last checkpoint."""
    monkeypatch.setattr(training_run, "_carry_out_task", tasks("carry_out_killed_once"))
    made = evaluate(labels, source, **TOLD, out=tmp_path, machine=Machine(engine=Ray()))
    assert [run.path.name for run in made] == ["seed-0", "seed-1", "seed-2"]
    assert (made[1].path / "killed").exists()
    assert files(tmp_path) == reference


DRIVER = """
import sys
from pathlib import Path

from engine_tasks import leave
from noisybench.ground.engines.ray import Ray

print(Ray(sys.argv[1], cpus=1).run(leave, [0, 1, 2], Path(sys.argv[2])))
"""


def test_a_driver_that_was_killed_goes_on(cluster: str, tmp_path: Path) -> None:
    """The same program does nothing again that was finished: tasks recognise their files, as runs and blocks do theirs."""
    command = [sys.executable, "-c", DRIVER, cluster, str(tmp_path)]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (finished := list(tmp_path.iterdir())) and time.monotonic() < until:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert finished
    before = finished[0].stat().st_mtime_ns
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == "[0, 1, 2]"
    assert finished[0].stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
