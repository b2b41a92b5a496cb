"""Shards: of all tasks every n-th, for job arrays whose jobs share nothing but a folder, or not even that."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from noisybench.ground.checks import whole
from noisybench.ground.errors import BadUsage, Unfinished

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Shard:
    """Of the list of all tasks, finished or not, those that one job of an array carries out.

    All shards of the same command divide the same list, so no two carry out the same task, and none is left over.

    Attributes:
        number: Which shard, from 1.
        of: How many there are.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        of = whole(self.of, "of", least=1)
        number = whole(self.number, "number")
        if not 1 <= number <= of:
            msg = f"there is no shard {number} of {of}; shards are numbered from 1 to {of}"
            raise BadUsage(msg)
        object.__setattr__(self, "number", number)
        object.__setattr__(self, "of", of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def is_whole(self) -> bool:
        """Whether it is the only one."""
        return self.of == 1

    def share(self, tasks: Sequence[Item]) -> list[Item]:
        """Its tasks, of all there are: (n,) → about n / of.

        >>> Shard(2, 3).share("abcdefgh")
        ['b', 'e', 'h']
        """
        return list(tasks[self.number - 1 :: self.of])


WHOLE = Shard()
"""The shard that has every task."""


def read_shard(text: str) -> Shard:
    """The shard that a text names, such as ``2/8``.

    Raises:
        BadUsage: It names none.
    """
    number, slash, of = text.partition("/")
    if not (slash and number.strip().isdecimal() and of.strip().isdecimal()):
        msg = f"a shard is its number and how many there are, as in 1/8 to 8/8, got '{text}'"
        raise BadUsage(msg)
    return Shard(int(number), int(of))


MERGED = "'noisybench merge' joins them first"
"""How runs in folders of their own come together, for messages."""
COPIED = "copy them into one first, as by 'cp -rn ONE/. OTHER/'"
"""The same of what is neither a run nor a pool."""


def unfinished(
    shard: Shard, *, done: int, of: int, left: int, what: str, result: str, joined: str = MERGED
) -> Unfinished:
    """What a shard ends with when others have not carried out their tasks.

    Args:
        shard: Which.
        done: Its own tasks, all of them there.
        of: All tasks.
        left: Those that are not there.
        what: They are, in the plural.
        result: What is made of all of them.
        joined: How they come together where each shard has a folder of its own.
    """
    return Unfinished(
        f"shard {shard} has its {done} of {of} {what}; still missing of other shards: {left}. When none is, the same command "
        f"without --shard makes {result} (where shards have folders of their own, {joined})"
    )


def each_share(steps: Iterable[Callable[[], Found]]) -> list[Found]:
    """What every step gives. The shares of all are carried out before the first ``Unfinished`` of them is raised."""
    found: list[Found] = []
    first: Unfinished | None = None
    for step in steps:
        try:
            found.append(step())
        except Unfinished as error:
            first = first or error
    if first is not None:
        raise first
    return found
