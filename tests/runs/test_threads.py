"""Threads of one process that evaluate: into different folders as one after the other does, into one folder in turn."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant

SOURCE = load_source("digits", limit=120)
VARIANT = build_variant(SOURCE, Symmetric(0.2))


def work(out: Path) -> list[Path]:
    """Two short runs with something that draws from torch's generator."""
    options = {"curvature_every": "2", "susceptibility": "off"}
    return [
        found.path
        for found in evaluate(
            VARIANT, SOURCE, epochs=2, seeds=(0, 1), detectors=["aum", "loss_curvature"], options=options, out=out
        )
    ]


def content(out: Path) -> dict[str, bytes]:
    """What decides anything below a folder."""
    passed = ("timing.json", ".lock")
    found = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in passed)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def test_threads_leave_what_one_after_the_other_leaves(tmp_path: Path) -> None:
    """The same bytes in each folder, whoever was first."""
    work(tmp_path / "alone")
    folders = [tmp_path / name for name in ("a", "b", "c", "c")]
    with ThreadPoolExecutor(len(folders)) as pool:
        found = list(pool.map(work, folders))
    assert all(len(paths) == 2 for paths in found)
    expected = content(tmp_path / "alone")
    assert [content(folder) == expected for folder in folders] == [True] * len(folders)
