"""Options of engines and shards in the shell: what cannot be meant is one sentence, before anything is read."""

import sys
from pathlib import Path

import pytest
from shell import shell

from noisybench.ground.engines.ray import Ray
from noisybench.ground.errors import BadData, BadUsage, MissingPackage

COMMANDS = (("evaluate", "nowhere"), ("memorize", "nowhere"), ("study", "harm"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--shard", "5/4"), "there is no shard 5 of 4; shards are numbered from 1 to 4"),
        (("--shard", "0/4"), "there is no shard 0 of 4"),
        (("--shard", "a/b"), "a shard is its number and how many there are, as in 1/8 to 8/8, got 'a/b'"),
        (("--address", "10.0.0.1:6379"), "--address is of --engine ray"),
        (("--task-gpus", "0.5"), "--task-gpus is of --engine ray"),
        (("--engine", "slurm"), "no engine is called 'slurm'; there are: processes, ray"),
        (("--engine", "ray", "--workers", "2"), "--workers is of --engine processes"),
        (("--engine", "ray", "--task-cpus", "-1"), "cpus of a task"),
        (
            ("--engine", "ray", "--task-gpus", "1.5"),
            "gpus of a task must be a share of one, or a whole number, got 1.5",
        ),
        (("--workers", "0"), "workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(command: tuple[str, ...], options: tuple[str, ...], words: str) -> None:
    """With the exit code of bad usage."""
    result = shell(*command, *options, "--device", "cpu")
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1


def test_a_closed_form_has_no_parts(tmp_path: Path) -> None:
    """It is solved at once, here."""
    result = shell("memorize", tmp_path, "--model", "ridge", "--shard", "1/2")
    assert result.code == 2
    assert "is solved here and at once: leave out --shard" in result.err


def test_ray_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage, match=r"pip install 'noisybench\[ray\]'"):
        Ray().run(print, [1], None)


@pytest.mark.parametrize("address", ["10.0.0.1", "ray://10.0.0.1:10001", "host:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Before Ray is looked for, or a data set is read."""
    with pytest.raises(BadUsage, match=f"is as .*, got '{address}'"):
        Ray(address)


@pytest.mark.integration("ray")
def test_where_no_cluster_answers_is_said_at_once() -> None:
    """Ray itself asks for minutes."""
    with pytest.raises(BadData, match=r"no Ray answers at 127\.0\.0\.1:9"):
        Ray("127.0.0.1:9").run(print, [1], None)
