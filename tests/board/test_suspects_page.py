"""The page of suspects as a file: what it holds, what an audit hides, and what is refused. Its working is in a browser's."""

import json
import re
from typing import Any

import numpy as np
import pytest

from noisybench.board.suspects_page import PageItem, suspects_page
from noisybench.ground.errors import BadData
from noisybench.ground.html.pictures import thumbnail

VARIANT = "0f" * 32
ITEMS = [
    PageItem(7, '</script> "a", b\nשלום 🙂 \udc80', 0, 1, 0.5, flagged=True, text="<b>x</b>"),
    PageItem(3, "", 1, picture=thumbnail(np.zeros((4, 4, 3), np.uint8))),
]


def made(items: list[PageItem], **options: object) -> str:
    basis: dict[str, Any] = {"title": "t", "variant_id": VARIANT, "source_name": "s", "class_names": ["no", "yes"]}
    return suspects_page(**basis | options, items=items)


def data(text: str) -> dict[str, Any]:
    held = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert held is not None
    read: dict[str, Any] = json.loads(held[1])
    return read


def test_it_holds_the_items_in_their_order() -> None:
    """Names, texts and numbers come back as they were; what is unknown is null or -1."""
    held = data(made(ITEMS))
    assert held["variant"] == VARIANT
    assert held["sample"] == [7, 3]
    assert held["name"] == [item.name for item in ITEMS]
    assert held["text"] == ["<b>x</b>", None]
    assert held["suggested"] == [1, -1]
    assert held["suspicion"] == [0.5, None]
    assert held["flagged"] == [True, False]
    assert held["picture"][1].startswith("data:image/webp;base64,")


def test_its_head_says_what_it_is_of() -> None:
    """Source, the facts given, the variant's id and the version, in words that nothing can break."""
    text = made(ITEMS, title="<1>", lead="2 & 3", summary={"Detector": "knn"}, source_name="table:<x>")
    for words in ("&lt;1&gt;", "2 &amp; 3", '<dd dir="auto">knn</dd>', "table:&lt;x&gt;", VARIANT[:12]):
        assert words in text


def test_an_audit_gives_nothing_away() -> None:
    """Neither suspicion nor suggestion nor flag nor rank is in the file, whatever the items have."""
    held = data(made(ITEMS, audit="ab12"))
    assert set(held) == {"variant", "audit", "classes", "rows", "sample", "name", "given", "picture", "text"}
    bare = [PageItem(item.sample, item.name, item.given, picture=item.picture, text=item.text) for item in ITEMS]
    assert made(ITEMS, audit="ab12") == made(bare, audit="ab12")


def test_no_item_is_a_page_too() -> None:
    """Nothing suspicious was found."""
    assert data(made([]))["sample"] == []


@pytest.mark.parametrize(
    ("items", "options", "words"),
    [
        ([], {"variant_id": "abc"}, "variant_id must be 64 digits of a SHA-256, not 'abc'"),
        ([], {"audit": "a,b"}, "audit must be a digest, not 'a,b'"),
        ([], {"class_names": ["a", "b", "a"]}, "'a' is the name of several classes"),
        ([PageItem(0, "", 2)], {}, "items[0].given = 2 is not a class of 0..1"),
        ([PageItem(0, "", 1, 1)], {}, "items[0].suggested = 1 must be another class of 0..1, or -1"),
        ([PageItem(0, "", 1, 2)], {}, "items[0].suggested = 2 must be another class"),
        ([PageItem(5, "", 1), PageItem(5, "", 0)], {}, "items[1].sample = 5 must be the number of a sample that is there once"),
        ([PageItem(0, "", 1, picture=b"x")], {}, "a picture of a page must be PNG, JPEG, GIF or WebP"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_told(items: list[PageItem], options: dict[str, Any], words: str) -> None:
    """The value, where it is, and what would be right."""
    with pytest.raises(BadData, match=re.escape(words)):
        made(items, **options)
