"""Shards: every task in exactly one of them, for any number of tasks and shards; counted by hand."""

import pytest

from noisybench.ground.engines.shards import Shard, each_share, read_shard, unfinished
from noisybench.ground.errors import BadUsage, Unfinished


@pytest.mark.parametrize("of", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("count", [0, 1, 5, 19])
def test_each_task_is_in_one_shard(of: int, count: int) -> None:
    """And no shard has more than one task more than another."""
    shares = [Shard(number, of).share(range(count)) for number in range(1, of + 1)]
    assert sorted(task for share in shares for task in share) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_shard_is_read_from_its_text() -> None:
    """As it is written, and with the spaces that a script may leave."""
    assert read_shard("2/8") == Shard(2, 8) == read_shard(" 2 / 8 ")
    assert str(read_shard("2/8")) == "2/8"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5/4", "no shard 5 of 4; shards are numbered from 1 to 4"),
        ("0/4", "no shard 0 of 4"),
        ("1/0", "of must be at least 1, got 0"),
        *((text, f"as in 1/8 to 8/8, got '{text}'") for text in ("a/b", "3", "1/2/3", "-1/4", "1.0/2", "")),
    ],
)
def test_a_text_that_is_no_shard_is_refused(text: str, words: str) -> None:
    """In one sentence."""
    with pytest.raises(BadUsage, match=words):
        read_shard(text)


def test_every_step_has_its_share_before_the_first_says_that_others_lack_theirs() -> None:
    """And where none lacks anything, each step's result comes back."""
    done = []

    def step(number: int) -> int:
        done.append(number)
        if number % 2:
            raise unfinished(Shard(1, 2), done=1, of=2, left=1, what=f"things of {number}", result="a sum")
        return number

    assert each_share(lambda number=number: step(number) for number in (0, 2)) == [0, 2]  # type: ignore[misc]
    with pytest.raises(Unfinished, match="shard 1/2 has its 1 of 2 things of 1; still missing of other shards: 1"):
        each_share(lambda number=number: step(number) for number in (0, 1, 2, 3))  # type: ignore[misc]
    assert done == [0, 2, 0, 1, 2, 3]
