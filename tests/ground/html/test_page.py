"""The shell of a page: nothing in its title, head or data ends a tag, and its policy names what it holds."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from noisybench.ground.errors import BadUsage
from noisybench.ground.html.page import heading, in_script, page
from noisybench.ground.version import __version__

HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "]]>", "a\u2028b\x00c\r\n", "שלום 🙂", "\udc80", '"\\']


class Tags(HTMLParser):
    """The tags of a page, and the text in each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.held: dict[str, list[str]] = {"script": [], "style": []}
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in self.held and data.strip():
            self.held[self.tags[-1]].append(data)


def test_data_come_back_and_end_no_tag() -> None:
    """Whatever a text holds, a parser sees one tag of data, and JSON in it reads as what went in."""
    made = page(title=HOSTILE[0], body="<p>x</p>", data={"names": HOSTILE}, scripts=["const one = 1;"])
    made.encode()  # no lone surrogate is left
    seen = Tags(made)
    assert seen.tags.count("script") == 3  # data, the shell's, this page's
    assert json.loads(seen.held["script"][0]) == {"names": HOSTILE}
    assert "alert(1)</script>" not in made.replace("&lt;/script&gt;", "")


def test_the_policy_allows_what_the_page_holds_and_nothing_else() -> None:
    """Each script and style by its digest; no address but pictures within the file."""
    seen = Tags(page(title="x", body="", data=1, scripts=["const one = 1;"], styles=["p { color: red; }"]))
    for text in [*seen.held["script"][1:], *seen.held["style"]]:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in seen.policy
    assert seen.policy.startswith("default-src 'none'")
    assert "unsafe" not in seen.policy
    assert "http" not in seen.policy


def test_a_page_has_no_address_outside() -> None:
    """A page without data holds no tag for them, and names no other file."""
    made = page(title="x", body="<p>y</p>")
    assert 'id="data"' not in made
    assert not re.search(r"https?://|@import|url\(", made)
    assert f'content="noisybench {__version__}"' in made


def test_the_head_shows_any_text() -> None:
    """Every part is escaped; half of a pair of surrogates, which no file can hold, is the replacement sign."""
    made = heading(kind="<i>", title='a "b"\udc80', lead="1 < 2", facts={"<dt>": "&"})
    made.encode()
    assert Tags(made).tags == ["header", "p", "h1", "p", "dl", "div", "dt", "dd"]
    assert "a &quot;b&quot;\ufffd" in made
    assert "<dt>&lt;dt&gt;</dt>" in made


def test_what_would_break_a_page_is_refused() -> None:
    """A script that ends its tag, and numbers that JSON has not."""
    with pytest.raises(BadUsage, match="'</SCRIPT', which would end its tag"):
        page(title="x", body="", scripts=["const a = '</SCRIPT>';"])
    with pytest.raises(ValueError, match="not JSON compliant"):
        in_script([float("nan")])
