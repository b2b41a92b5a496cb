"""Verifying any folder from Python."""

from pathlib import Path

import pytest

from noisybench import BadData, build_variant, find, load_source, verify, write_cards, write_variant


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two variants of the digits, with their cards."""
    for seed in range(2):
        variant = build_variant(load_source("digits", limit=60), find("noises", "symmetric")(rate=0.2), seed=seed)
        write_variant(variant, tmp_path / variant.name)
        write_cards(variant, tmp_path / variant.name)
    return tmp_path


def test_it_tells_what_was_checked_of_each_variant(folder: Path) -> None:
    """Below a folder each sentence names the variant; of one variant alone it does not. Text and paths are alike."""
    one, other = sorted(folder.iterdir())
    told = verify(str(one))
    assert told[0].startswith("labels match their digest and variant id ")
    assert any("drawn again, gives these labels" in sentence for sentence in told)
    assert told[-1] == f"{one} is whole"
    both = verify(folder)
    assert both[-1] == f"{folder} is whole"
    assert both[:-1] == [f"{path}: {text}" for path in (one, other) for text in verify(path)[:-1]]


def test_what_is_not_whole_is_an_error_at_once(folder: Path) -> None:
    """Nobody has to look at the result: a call that checks nothing until it is iterated would pass a broken folder."""
    broken = sorted(folder.iterdir())[1]
    (broken / "README.md").write_text("other words\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"README\.md, line 1, has 'other words' where the variant gives "):
        verify(folder)
    with pytest.raises(BadData, match="neither|no variant|no finished run|is no"):
        verify(folder / "absent")


def test_a_source_that_was_named_must_be_there(folder: Path) -> None:
    """A place or module that the caller gives is not passed over in silence, as a remembered one is."""
    with pytest.raises(BadData, match=r"^the files of 'digits' are not at gone; say where they are with --data$"):
        verify(min(folder.iterdir()), data="gone")
