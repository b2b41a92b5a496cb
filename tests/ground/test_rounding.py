"""What decides last digits, as a record holds it."""

import subprocess
import sys

from threadpoolctl import threadpool_limits

from noisybench.ground.rounding import rounding_here, rounding_words


def test_threads_are_part_of_it() -> None:
    """They share sums: labels of ``cluster_based`` on digits are others by two threads than by one."""
    with threadpool_limits(1):
        one = rounding_here()
    with threadpool_limits(2):
        two = rounding_here()
    assert {name for name in one if one[name] != two[name]} == {"threads"}
    assert rounding_words(one).startswith(f"{one['machine']}, threads 1, numpy ")


def test_it_is_the_same_whatever_was_imported_before() -> None:
    """First of all, before NumPy is there, and after SciPy has brought linear algebra of its own."""
    code = (
        "from noisybench.ground.rounding import rounding_here; first = rounding_here(); import scipy.linalg; "
        "assert first == rounding_here(), (first, rounding_here())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
