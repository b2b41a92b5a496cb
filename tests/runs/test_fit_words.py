"""One word for one thing: what a model has fitted, and susceptibility."""

from pathlib import Path

import noisybench
from noisybench.runs.fit_words import SUSCEPTIBILITY, on_susceptibility


def test_susceptibility_is_said_in_a_sentence_where_it_is_told() -> None:
    """Once for many values, with a word on those below zero; not at all where none is known."""
    assert on_susceptibility([0.1, float("nan"), 0.0]) == SUSCEPTIBILITY
    assert on_susceptibility([float("nan")]) == on_susceptibility([]) == ""
    assert on_susceptibility([0.1, -6267927.0]).endswith("Below zero: the steps went too far, and raised that loss.")


def test_former_words_are_gone() -> None:
    """Each thing has one name, in the package and its pages."""
    package = Path(noisybench.__file__).parent
    pages = [
        *package.rglob("*.py"),
        *(package.parent / "docs").glob("*.md"),
        *(package.parent / "data_cards").rglob("*.md"),
    ]
    former = ("memorized share", "clean share fitted", "memorized / clean", "mislabeled fit ", "memorizes little")
    for page in pages:
        text = page.read_text(encoding="utf-8").lower()
        assert not [words for words in former if words in text], page
