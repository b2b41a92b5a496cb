"""Which part of a data set is for what, by the many names that parts go by."""

import re
from collections.abc import Iterable
from typing import Literal

Role = Literal["train", "validation", "test"]

_WORDS: dict[Role, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "trainval"),
    "validation": ("validation", "validate", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"),
}
_ROLES: dict[str, Role] = {word: role for role, words in _WORDS.items() for word in words}
_ENDING = re.compile(r"(?<=.)(set|split|data|images)$")


def split_role(name: str) -> Role | None:
    """What the part of a data set is for, by its name in any case; None where it says nothing, or several things.

    >>> [split_role(name) for name in ("Training", "VAL", "test_set", "TestSet", "train-00000-of-00001", "all")]
    ['train', 'validation', 'test', 'test', 'train', None]
    >>> split_role("train_test") is split_role("latest") is None
    True
    """
    words = re.findall(r"[^\W\d_]+", name.casefold())
    roles = {_ROLES.get(word) or _ROLES.get(_ENDING.sub("", word)) for word in words} - {None}
    return roles.pop() if len(roles) == 1 else None


def named_split(names: Iterable[str], wanted: str) -> str | None:
    """The name that is ``wanted``, else the only one of the same role; None where there is none, or more than one."""
    there = tuple(names)
    role = split_role(wanted)
    if wanted in there or role is None:
        return wanted if wanted in there else None
    alike = [name for name in there if split_role(name) == role]
    return alike[0] if len(alike) == 1 else None
