"""Syncing: what is on the disk before what, by the order of the calls that the operating system gets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from noisybench.ground.durability import synced_together
from noisybench.ground.files import adding_folder, write_columns, write_json


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every sync and rename in order, by the path as it was called last; temporary names without their number."""
    told: list[tuple[str, str]] = []
    replace: Callable[[Path, Path], Path] = Path.replace

    def fsync(descriptor: int) -> None:
        told.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name.partition(".")[0]))

    def renamed(self: Path, target: Path) -> Path:
        told.append(("rename", target.name.partition(".")[0]))
        return replace(self, target)

    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    return told


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to know what is synced")


def test_a_file_is_synced_before_it_has_its_name_and_its_folder_after(
    calls: list[tuple[str, str]], tmp_path: Path
) -> None:
    """SQLite's order: the content, the name, the folder that holds the name."""
    folder = tmp_path / "place"
    folder.mkdir()
    write_json({"a": 1}, folder / "x.json")
    assert calls == [("sync", "x"), ("rename", "x"), ("sync", "place")]


def test_files_of_one_group_are_synced_at_its_end(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    """Each file and each folder once, all of them before what is written after the group."""
    folder = tmp_path / "place"
    folder.mkdir()
    with synced_together():
        write_columns({"a": np.arange(3)}, folder / "one.parquet")
        write_columns({"a": np.arange(3)}, folder / "two.parquet")
        assert [what for what, _ in calls] == ["rename", "rename"]
    write_json({}, folder / "last.json")
    assert calls[2:5] == [("sync", "one"), ("sync", "two"), ("sync", "place")]
    assert calls[5:] == [("sync", "last"), ("rename", "last"), ("sync", "place")]


def test_what_nothing_depends_on_waits_for_no_disk(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    """Such as the seconds that a run took."""
    write_json({}, tmp_path / "timing.json", sync=False)
    assert calls == [("rename", "timing")]


def test_a_new_folder_is_synced_whole(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    """Every file in it, before the folder has its name."""
    with adding_folder(tmp_path / "variant") as part:
        write_json({}, part / "x.json")
    synced = [name for what, name in calls if what == "sync"]
    assert synced.index("x") < len(synced) - 1
    assert synced[-1] == tmp_path.name.partition(".")[0]
    assert (tmp_path / "variant" / "x.json").is_file()
