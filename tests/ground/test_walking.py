"""What lies below a folder, through links."""

from pathlib import Path

import pytest

from noisybench.ground.walking import find_below, reached


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``a/run`` and, elsewhere, ``b/run``."""
    for name in ("root/a", "elsewhere/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run").write_text("", encoding="utf-8")
    return tmp_path / "root"


def test_a_linked_folder_is_found_where_it_is_linked_and_once(folder: Path) -> None:
    """Two links to one folder are looked into once, and what is there itself wins."""
    for name in ("link", "second"):
        (folder / name).symlink_to(folder.parent / "elsewhere")
    (folder / "0-again").symlink_to(folder / "a")
    assert find_below(folder, {"run"}).paths == [folder / "a" / "run", folder / "link" / "b" / "run"]


def test_loops_end(folder: Path) -> None:
    """A link to a folder above, and two that link to each other."""
    (folder / "a" / "up").symlink_to(folder)
    (folder / "one").symlink_to(folder / "other")
    (folder / "other").symlink_to(folder / "one")
    (folder.parent / "elsewhere" / "back").symlink_to(folder)
    (folder / "away").symlink_to(folder.parent / "elsewhere")
    found = find_below(folder, {"run"})
    assert found.paths == [folder / "a" / "run", folder / "away" / "b" / "run"]
    assert [told.partition(" is")[0] for told in found.left_out] == [str(folder / "one"), str(folder / "other")]


def test_many_links_to_each_other_end(folder: Path) -> None:
    """Twenty folders, each of which links to all: as many ways as 20!, each folder once."""
    rooms = [folder / f"room-{number}" for number in range(20)]
    for room in rooms:
        room.mkdir()
        for other in rooms:
            (room / other.name).symlink_to(other)
    assert find_below(folder, {"run"}).paths == [folder / "a" / "run"]


def test_what_is_left_out_is_named(folder: Path) -> None:
    """A link that leads nowhere, and a folder that is none."""
    (folder / "gone").symlink_to(folder / "nowhere")
    assert find_below(folder, {"run"}).left_out == [f"{folder / 'gone'} is a link that leads nowhere"]
    assert find_below(folder / "nowhere", {"run"}).left_out[0].startswith(f"{folder / 'nowhere'} cannot be looked into")


def test_a_folder_is_reached_by_its_own_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links stay, dots do not: what lies above a linked folder is above the link."""
    (folder / "link").symlink_to(folder.parent / "elsewhere" / "b")
    monkeypatch.chdir(folder)
    assert reached(Path("link")) == folder / "link"
    assert reached(Path("a") / ".." / "a") == folder / "a"
