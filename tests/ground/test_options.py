"""Options from text, and back into JSON."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional

import numpy as np
import pytest

from noisybench.ground.checks import unknown, whole
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.options import parse_options, parse_value, plain_options, split_pairs


@dataclass(frozen=True)
class Every:
    """One option of each type."""

    rate: float
    count: int = 3
    inclusive: bool = False
    name: str = "x"
    kind: Literal["low", "high"] = "low"
    file: Path | None = None
    temperature: Optional[float] = None  # noqa: UP045 - the older spelling works too
    seeds: list[int] = field(default_factory=list)
    found: ClassVar[bool] = True


def test_text_becomes_the_type_of_its_field() -> None:
    """Everything that is not given keeps its default."""
    texts = {"rate": "2e-1", "count": "-4", "inclusive": "Yes", "name": "a=b", "kind": "high", "file": "a/b.npy"}
    assert parse_options(Every, texts, what="noise 'x'") == Every(0.2, -4, True, "a=b", "high", Path("a/b.npy"))  # noqa: FBT003 - as in the text
    assert parse_options(Every, {"rate": "1", "temperature": "0.5"}, what="x") == Every(1.0, temperature=0.5)


@pytest.mark.parametrize("text", ["none", "None", ""])
def test_none_is_said_in_words(text: str) -> None:
    """Only where a field may be absent."""
    assert parse_value(float | None, text, "x") is None
    with pytest.raises(BadUsage, match="x must be a number, got"):
        parse_value(float, text, "x")


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("no", False)]
)
def test_truth_has_six_names(text: str, value: bool) -> None:  # noqa: FBT001 - the value itself
    """Python's own ``bool("false")`` would be true."""
    assert parse_value(bool, text, "x") is value


@pytest.mark.parametrize(
    ("texts", "kind", "message"),
    [
        ({"rate": "20%"}, BadUsage, "^option 'rate' of noise 'x' must be a number, got '20%'$"),
        ({"rate": "1", "count": "1.5"}, BadUsage, "^option 'count' of noise 'x' must be a whole number, got '1.5'$"),
        (
            {"rate": "1", "inclusive": "on"},
            BadUsage,
            "^option 'inclusive' of noise 'x' must be true or false, got 'on'$",
        ),
        ({"rate": "1", "kind": "mid"}, BadUsage, "^option 'kind' of noise 'x' must be one of low, high, got 'mid'$"),
        (
            {"rate": "1", "inclusiv": "1"},
            UnknownName,
            "^no option of noise 'x' is called 'inclusiv'; did you mean 'incl",
        ),
        (
            {"zzz": "1"},
            UnknownName,
            "is called 'zzz'; there are: rate, count, inclusive, name, kind, file, temperature",
        ),
        ({"rate": "1", "found": "0"}, UnknownName, "no option of noise 'x' is called 'found'"),
        ({}, BadUsage, "^noise 'x' needs 'rate': say --rate 0.2$"),
    ],
)
def test_what_cannot_be_meant_is_named(texts: dict[str, str], kind: type[Exception], message: str) -> None:
    """The message says whose option, what was expected and what was given."""
    with pytest.raises(kind, match=message):
        parse_options(Every, texts, what="noise 'x'")


def test_a_missing_option_is_asked_for() -> None:
    """The rate has a flag of its own, other options do not; a default factory is a default."""

    @dataclass(frozen=True)
    class Needs:
        labels: str
        others: list[str] = field(default_factory=list)

    with pytest.raises(BadUsage, match="^noise 'y' needs 'labels': say --set labels=…$"):
        parse_options(Needs, {}, what="noise 'y'")


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    """A value may hold further ones, or nothing."""
    assert split_pairs(["a=1", "b=c=d", "e="], flag="--set") == {"a": "1", "b": "c=d", "e": ""}
    for pair in ("a", "=1"):
        with pytest.raises(BadUsage, match=f"--set takes key=value, got '{pair}'"):
            split_pairs([pair], flag="--set")
    with pytest.raises(BadUsage, match="--set a=… is given twice"):
        split_pairs(["a=1", "a=2"], flag="--set")


def test_plain_options_tell_a_file_by_its_content(tmp_path: Path) -> None:
    """Neither its folder nor what is absent is written; the same file elsewhere is the same option."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.npy").write_bytes(b"matrix")
    digest = hashlib.sha256(b"matrix").hexdigest()
    plain: list[dict[str, Any]] = [plain_options(Every(0.1, file=tmp_path / at / "t.npy")) for at in ("one", "two")]
    assert plain[0] == plain[1]
    assert plain[0]["file"] == f"t.npy sha256:{digest}"
    assert "temperature" not in plain[0]
    assert str(tmp_path) not in json.dumps(plain)
    assert plain_options(Every(0.1, file=tmp_path / "gone"))["file"] == "gone"
    assert json.dumps(plain_options(Every(np.float32(0.5))))  # type: ignore[arg-type]


def test_whole_numbers_of_any_type_are_ints() -> None:
    """NumPy's too; floats, booleans and texts are refused, and so is what is too small."""
    for number in (3, np.int64(3), np.uint8(3)):
        assert type(whole(number, "seed")) is int
        assert whole(number, "seed", least=3) == 3
    for nonsense in (3.0, True, np.True_, "3", None, np.arange(2), np.float64(3)):
        with pytest.raises(BadUsage, match="^seed must be a whole number, got "):
            whole(nonsense, "seed")
    with pytest.raises(BadUsage, match="^epochs must be at least 1, got 0$"):
        whole(0, "epochs", least=1)
    with pytest.raises(BadUsage, match="^seed must not be negative, got -1$"):
        whole(np.int64(-1), "seed", least=0)


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    """The message says why."""
    with pytest.raises(BadData, match="gone cannot be read: No such file or directory"):
        file_digest(tmp_path / "gone")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """Or with all there are, where none is near."""
    assert unknown("amu", ("aum", "el2n"), "detector") == "no detector is called 'amu'; did you mean 'aum'?"
    assert unknown("zzz", ("aum", "el2n"), "detector") == "no detector is called 'zzz'; there are: aum, el2n"
    assert unknown("zzz", (), "split") == "no split is called 'zzz'; there are: none"
