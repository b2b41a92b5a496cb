"""Locks of folders: who may be in at once, from two descriptors of one process and from another one."""

import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from noisybench.ground.durability import temporary
from noisybench.ground.errors import BadData
from noisybench.ground.locks import locked, made_once, patient

HOLDS = """
import sys
from pathlib import Path
from noisybench.ground.locks import locked
with locked(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("other", ["shared", "alone"])
def test_shares_are_in_together_and_whoever_wants_it_alone_is_not(tmp_path: Path, other: str) -> None:
    """Another process holds the folder; when it is killed, the lock goes with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path), other], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        with pytest.raises(BadData, match="another process works on"), locked(tmp_path):
            pass
        if other == "shared":
            with locked(tmp_path, shared=True):
                pass
        else:
            with pytest.raises(BadData, match="another process works on"), locked(tmp_path, shared=True):
                pass
        threading.Timer(0.2, process.kill).start()
        with patient(60), locked(tmp_path):
            pass


def test_a_share_leaves_what_others_write(tmp_path: Path) -> None:
    """A temporary file there may be another shard's; who has the folder alone knows that it is nobody's."""
    part = tmp_path / "labels.parquet.1-1@elsewhere.part"
    part.touch()
    with locked(tmp_path, shared=True):
        assert part.exists()
    with locked(tmp_path):
        assert not part.exists()


def test_what_some_process_still_writes_stays(tmp_path: Path) -> None:
    """A file that is written without the lock, by a thread here; what a killed process and another machine left goes."""
    left = [tmp_path / f"agreement.parquet.{key}.part" for key in (f"999999999-1@{platform.node()}", "1-1@elsewhere")]
    for path in left:
        path.touch()
    with temporary(tmp_path / "agreement.parquet") as part:
        part.touch()
        with locked(tmp_path):
            assert part.exists()
        assert not any(path.exists() for path in left)
    assert not part.exists()


def test_one_makes_it_and_the_others_find_it(tmp_path: Path) -> None:
    """Eight threads want a file that takes a moment to make: it is made once, and nothing else is left."""
    path, makers = tmp_path / "new" / "file", []

    def want() -> None:
        with made_once(path):
            if not path.exists():
                makers.append(1)
                time.sleep(0.1)
                path.touch()

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert makers == [1]
    assert [each.name for each in path.parent.iterdir()] == ["file"]
