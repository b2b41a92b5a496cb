"""Commands that a launcher starts in several processes; a real launch is in ``tests/integrations/test_accelerate.py``."""

import pytest
from typer.testing import CliRunner

from noisybench.cli.app import app
from noisybench.cli.launched import TOLD, Launched, launched, own_device
from noisybench.ground.errors import BadUsage


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that torchrun makes."""
    for name, value in zip(TOLD, ("1", "1", "2", "127.0.0.1", "29500"), strict=True):
        monkeypatch.setenv(name, value)


def test_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable alone, as of a scheduler, starts nothing."""
    for name in TOLD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert launched() == Launched() == (0, 1, 0)
    assert own_device("cpu", 3) == "cpu"


@pytest.mark.usefixtures("second_of_two")
def test_what_several_processes_cannot_do_is_refused() -> None:
    assert launched() == (1, 2, 1)
    done = CliRunner().invoke(app, ["build", "digits", "--noise", "symmetric", "--rate", "0.2"])
    assert isinstance(done.exception, BadUsage)
    assert "has started 2 processes, of which each would do all of 'build'; of the commands 'evaluate'" in str(
        done.exception
    )
    with pytest.raises(BadUsage, match="2 processes train one model together, got --workers 2; leave it out"):
        own_device("cpu", 2)
    assert own_device("cpu", None) == "cpu"
