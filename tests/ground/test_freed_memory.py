"""Freed memory: page faults of a process against one that gives its memory back, and where nothing is arranged."""

import os
import subprocess
import sys

import pytest

from noisybench.ground.freed_memory import keep_freed_memory

CHILD = """
import resource, sys
from noisybench.ground.freed_memory import keep_freed_memory
told = keep_freed_memory() if sys.argv[1] == "kept" else None
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    block = bytearray(48 << 20)
    del block
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, **environment: str) -> tuple[str, int]:
    """What was said, and page faults of ten blocks of 48 MiB, each of 12,288 pages, that are freed again."""
    told = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", CHILD, how], check=True, capture_output=True, text=True, env=told)
    said, count = done.stdout.split()
    return said, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has the setting")
def test_a_block_that_is_freed_serves_the_next_one() -> None:
    """One block's faults instead of ten's; a user's own setting in the environment stays."""
    said, kept = faults("kept")
    assert said == str(keep_freed_memory())
    if said == "True":
        assert kept < 0.3 * faults("given back")[1]
    assert faults("kept", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"
