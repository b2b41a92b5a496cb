"""Fixtures that many tests share."""

import functools
import gc
import os
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import pytest
import typer.main
from browser import Browser, chromium

from noisybench.data.loading import load_source
from noisybench.data.source import Source


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of every test and of what it starts, empty at first: none reads a developer's, or leaves files in it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOISYBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def no_power_cut() -> Iterator[None]:
    """Tests wait for no disk: that files are synced, and when, tests of its own show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_command_line() -> Iterator[None]:
    """Typer makes the commands of their functions once, not anew for each of thousands of lines; a process of its own does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; tests that need it are skipped where there is none."""
    place = os.environ.get("NOISYBENCH_TEST_DATA")
    if not place:
        pytest.skip("NOISYBENCH_TEST_DATA is not set")
    return Path(place)


@pytest.fixture(scope="session")
def digits() -> Source:
    return load_source("digits")


@pytest.fixture(scope="session")
def started_browser() -> Iterator[Browser]:
    """One browser for every page: each start takes seconds."""
    with chromium() as started:
        yield started


@pytest.fixture
def browser(started_browser: Browser) -> Browser:
    """That browser, with nothing left to say of an earlier test's page."""
    started_browser.faults()
    return started_browser


@pytest.fixture
def warm_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are forked from one that has imported the libraries and nothing else, once for many tests.

    They get what a spawned one gets, by pickle, and start in a fraction of a second instead of the seconds that an import
    takes. Spawned as users have them, they are in tests/runs/test_resume.py and tests/ground/engines, and those that read
    ahead in tests/data/test_lazy_inputs.py.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "torchvision.models", "sklearn", "scipy.stats", "pyarrow.parquet"])
    monkeypatch.setattr("torch.multiprocessing.get_context", lambda _=None: context)


LONG = {
    ("test_ray.py",): 120,
    ("test_accelerate.py", "test_ranks.py", "test_training_run.py", "test_retraining.py", "test_lazy_inputs.py"): 90,
    ("test_readme.py",): 80,
    ("test_resume.py",): 50,
    ("test_contributing.py",): 30,
    ("test_transformers.py", "test_lightning.py"): 20,
}
"""Files whose tests take long, most of it waiting for processes, and about how many seconds.

Those of the second row fork from one process, which each worker that runs one of them has to start.
"""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Tests are gathered without looking, again and again, for what could be given back: that took a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, shared out: ``--dist worksteal`` gives each worker an equal part, of which others steal the end."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    loads, parts = [0] * workers, [list[pytest.Item]() for _ in range(workers)]
    short = [item for item in items if not any(item.path.name in files for files in LONG)]
    for files, seconds in LONG.items():
        least = loads.index(min(loads))
        loads[least] += seconds
        parts[least] += [item for item in items if item.path.name in files]
    ordered: list[pytest.Item] = []
    for given, part in enumerate(parts):
        size = (len(items) - len(ordered)) // (workers - given)
        filled = max(0, size - len(part))
        ordered += part + short[:filled]
        del short[:filled]
    items[:] = ordered + short


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked ``integration("package")`` are skipped where it is not installed, and ``gpu`` where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("torch finds no GPU")
    for marker in item.iter_markers("integration"):
        (package,) = marker.args
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed; tox -e frameworks installs every such package")
