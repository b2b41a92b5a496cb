"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest

from noisybench.catalog import load_source
from noisybench.source import Source


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
