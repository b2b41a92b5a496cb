"""Digests that a table keeps: a file that stands unchanged is read once, and any other is read again."""

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from noisybench.ground import kept_digests
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData
from noisybench.ground.kept_digests import is_unchanged, keeping_digests, kept_digest, stands_whole
from noisybench.ground.mending import looks_whole as has_both_ends

WHOLE = b"PAR1 of one content PAR1"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and files that count as old at once."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_digests, "YOUNG", -(10**12))
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read, as they are."""
    seen: list[Path] = []

    def digest(path: Path) -> str:
        seen.append(path)
        return file_digest(path)

    def ends(path: Path | str) -> bool:
        seen.append(Path(path))
        return has_both_ends(path)

    monkeypatch.setattr(kept_digests, "file_digest", digest)
    monkeypatch.setattr(kept_digests, "has_both_ends", ends)
    return seen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "scores.parquet"
    path.parent.mkdir()
    path.write_bytes(WHOLE)
    return path


def looked_at(file: Path) -> tuple[str, bool]:
    with keeping_digests([file.parent]):
        return kept_digest(file), stands_whole(file)


def test_what_stands_unchanged_is_read_once(file: Path, read: list[Path]) -> None:
    """Within a table, and for the next one; outside of tables it is read each time."""
    expected = sha256(WHOLE).hexdigest(), True
    with keeping_digests([file.parent]):
        assert (kept_digest(file), stands_whole(str(file))) == expected
        assert (kept_digest(str(file)), stands_whole(file)) == expected
    assert read == [file, file]
    assert looked_at(file) == expected
    assert len(read) == 2
    assert (kept_digest(file), kept_digest(file)) == (expected[0],) * 2
    assert len(read) == 4


def test_a_change_of_the_same_size_and_date_is_noticed(file: Path, read: list[Path]) -> None:
    """Its date can be set back; that of the change of its entry cannot."""
    assert looked_at(file)[1]
    before = file.stat()
    time.sleep(0.02)  # the clock of the file system is that coarse
    file.write_bytes(WHOLE.replace(b"one", b"two")[:-1] + b"2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert looked_at(file) == (sha256(file.read_bytes()).hexdigest(), False)


def test_another_file_in_its_place_is_noticed(file: Path) -> None:
    """Of the same size and date, moved there."""
    assert looked_at(file)[1]
    other = file.with_name("other")
    other.write_bytes(WHOLE.replace(b"one", b"two"))
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert looked_at(file)[0] == sha256(WHOLE.replace(b"one", b"two")).hexdigest()


def test_a_file_that_was_just_written_is_not_kept(
    file: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second write may get the same time; nor is anything kept where changes have no time of their own."""
    monkeypatch.setattr(kept_digests, "YOUNG", 60 * 10**9)
    assert looked_at(file) == looked_at(file)
    assert len(read) == 4
    monkeypatch.setattr(kept_digests, "YOUNG", -(10**12))
    assert looked_at(file) == looked_at(file)
    assert len(read) == 6
    monkeypatch.setattr(kept_digests, "CHANGES_ARE_DATED", False)
    looked_at(file)
    assert len(read) == 8


@pytest.mark.parametrize("damage", [b"", b"nothing of ours", b"\0" * 400])
def test_a_damaged_cache_is_not_believed(file: Path, cache: Path, read: list[Path], damage: bytes) -> None:
    """Everything is read again; what cannot be read says so, and a missing file is not whole."""
    expected = looked_at(file)
    (kept,) = cache.rglob("*.kept")
    kept.write_bytes(damage or kept.read_bytes()[:-1] + b"?")
    assert looked_at(file) == expected
    assert len(read) == 4
    file.unlink()
    with keeping_digests([file.parent]):
        assert not stands_whole(file)
        with pytest.raises(BadData, match="cannot be read"):
            kept_digest(file)


def test_a_file_that_changes_meanwhile_is_told(file: Path) -> None:
    """So that no answer about its new content is kept by the digest of the old one."""
    with keeping_digests([file.parent]):
        kept_digest(file)
        assert is_unchanged(file)
        time.sleep(0.02)
        file.write_bytes(WHOLE * 2)
        assert not is_unchanged(file)
    assert is_unchanged(file)
