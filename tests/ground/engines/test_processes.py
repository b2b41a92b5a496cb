"""Engines: tasks in this process and in others."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from noisybench.ground.engines.processes import Processes
from noisybench.ground.errors import BadData, BadUsage


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process must be able to import the tasks."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def tasks(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module("engine_tasks"), name)
    return function


def test_processes_give_what_one_process_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results come in the order of the tasks, each step is told, and each process has one thread."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    steps: list[int] = []
    many = Processes(2).run(tasks("square"), [3, 1, 2], {"plus": 1}, progress=lambda: steps.append(1))
    here = Processes(1).run(tasks("square"), [3, 1, 2], {"plus": 1})
    assert [result[0] for result in many] == [result[0] for result in here] == [10, 2, 5]
    assert len(steps) == 3
    assert {result[1] for result in many} == {"1"}
    assert all(result[2] != os.getpid() for result in many)
    assert "OMP_NUM_THREADS" not in os.environ


def test_an_error_of_a_task_reaches_the_caller() -> None:
    """With its own type and sentence."""
    with pytest.raises(BadData, match="task 1 has bad data; mend it"):
        Processes(2).run(tasks("fail"), [0, 1, 2], None)


def test_a_process_that_dies_is_said() -> None:
    """A killed worker is no hang and no traceback of the pool."""
    with pytest.raises(BadData, match="a worker process died"):
        Processes(2).run(tasks("die"), [0, 1], None)


def test_a_process_that_is_ended_while_it_tells_of_a_step_holds_up_nobody() -> None:
    """It may hold no lock that the others wait for: floods of steps end when a task fails. Apart, as it might hang."""
    code = (
        "from engine_tasks import flood\nfrom noisybench.ground.engines.processes import Processes\n"
        "if __name__ == '__main__':\n    Processes(3).run(flood, [0, 1, 2], None)\n"
    )
    folder, command = Path(__file__).parents[2], [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr.rstrip().endswith("BadData: task 0 has bad data; mend it")


def test_workers_are_at_least_one() -> None:
    """Zero workers do nothing, so they are refused."""
    with pytest.raises(BadUsage, match="at least 1, got 0"):
        Processes(0).run(tasks("square"), [1], {"plus": 0})


def test_workers_of_all_calls_are_forked_from_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which imports libraries once; what this process's environment holds by then, they hold nevertheless."""
    servers = set()
    for value in ("first", "second"):
        monkeypatch.setenv("NOISYBENCH_OF_A_TEST", value)
        found = Processes(2).run(tasks("surroundings"), ["NOISYBENCH_OF_A_TEST"] * 2, None)
        assert {variable for variable, _ in found} == {value}
        servers |= {parent for _, parent in found}
    assert len(servers) == 1
    assert servers != {os.getpid()}


def test_the_server_has_one_thread_and_has_imported_what_this_process_has() -> None:
    """So that its forks inherit no lock, and import nothing again. Jemalloc's thread, of Arrow, stops for a fork."""
    ((_, server), _) = Processes(2).run(tasks("surroundings"), ["HOME"] * 2, None)
    threads = [path.read_text().strip() for path in Path(f"/proc/{server}/task").glob("*/comm")]
    assert len([name for name in threads if name != "jemalloc_bg_thd"]) == 1
    assert "libtorch_cpu" in Path(f"/proc/{server}/maps").read_text()
