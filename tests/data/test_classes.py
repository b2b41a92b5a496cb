"""Names of classes against the rules in words: one class a number, one order."""

import pytest

from noisybench.data.classes import class_order, class_spelling


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["2", "10", "-1", "0"], ("-1", "0", "2", "10")),
        (["02", "10", "1"], ("02", "1", "10")),
        (["1.0", "10", "9"], ("1.0", "10", "9")),
        (["b", "B", "ä", "a"], ("B", "a", "b", "ä")),
        (["٣", "2", "10"], ("10", "2", "٣")),
        (["9" * 5_000, "10", "9"], ("10", "9", "9" * 5_000)),
        (["-0", "0", "00"], ("-0", "0", "00")),
        ([], ()),
    ],
)
def test_classes_have_one_order(names: list[str], ordered: tuple[str, ...]) -> None:
    """By value where all are whole numbers in canonical form, else by code points, however they came."""
    assert class_order(names) == class_order(reversed(names * 2)) == ordered


def test_declared_classes_come_first() -> None:
    """In their own order, also those that no sample has; the others follow in theirs."""
    assert class_order(["10", "9", "1"], declared=("1", "0")) == ("1", "0", "9", "10")


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        (["1", "1.0", "-2.00", "0.0"], ["1", "1", "-2", "0"]),
        (["1.0", "1.1"], ["1.0", "1.1"]),
        (["01", "1.0"], ["01", "1.0"]),
        (["1.0", "cat"], ["1.0", "cat"]),
        (["1.", "2"], ["1.", "2"]),
        (["-0.0", "2"], ["-0.0", "2"]),
    ],
)
def test_a_number_is_one_class_however_it_is_written(texts: list[str], meant: list[str]) -> None:
    """Where all are whole numbers; a text among them leaves all as they are."""
    assert [class_spelling(texts)[text] for text in texts] == meant
