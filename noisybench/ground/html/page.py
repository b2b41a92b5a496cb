"""The shell of every page: one self-contained HTML file, its style and script, and data that no name can break out of."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from noisybench.ground.errors import BadUsage
from noisybench.ground.files import replacing
from noisybench.ground.version import __version__

_ENDS_A_TAG = re.compile(r"</(?:script|style)|<!--", re.IGNORECASE)
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def page(*, title: str, body: str, data: object = None, scripts: Sequence[str] = (), styles: Sequence[str] = ()) -> str:
    """A whole page: ``body`` between the shell's style and script, in one file that needs no network.

    The page's own policy allows the scripts and styles given here, by their digests, and pictures within the file; nothing
    else runs or loads, whatever stands in the data.

    Args:
        title: Name of the page in the browser's tab, any text.
        body: HTML of the page. What strangers named must be escaped in it, or stand in ``data``.
        data: What scripts read as ``page.data``; anything that JSON can hold.
        scripts: JavaScript of this page, after the shell's own.
        styles: CSS of this page, after the shell's own.

    Raises:
        BadUsage: A script or style would end its own tag.
        ValueError: ``data`` holds NaN or an infinity.
    """
    css = "\n".join([asset("noisybench.ground.html", "shell.css"), *styles])
    javascript = [asset("noisybench.ground.html", "shell.js"), *scripts]
    for text in (css, *javascript):
        if found := _ENDS_A_TAG.search(text):
            msg = f"a script or style of a page holds {found[0]!r}, which would end its tag; write it in two parts"
            raise BadUsage(msg)
    policy = "; ".join(
        [
            "default-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "img-src data:",
            f"style-src {_digest(css)}",
            f"script-src {' '.join(map(_digest, javascript))}",
        ]
    )
    held = "" if data is None else f'<script type="application/json" id="data">{in_script(data)}</script>\n'
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta name="generator" content="noisybench {html.escape(__version__)}">\n'
        f'<title>{html.escape(_whole(title))}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{css}</style>\n</head>\n<body>\n{body}\n"
        f'<p id="status" role="status" aria-live="polite"></p>\n{held}'
        f"{''.join(f'<script>{text}</script>{chr(10)}' for text in javascript)}</body>\n</html>\n"
    )


def heading(*, kind: str, title: str, lead: str = "", facts: Mapping[str, str] | None = None) -> str:
    r"""The head of a page: what kind it is, its title, a sentence, and facts as term and words; all of them any text.

    >>> heading(kind="Card", title="a <b>")
    '<header class="heading">\n<p class="kind">Card</p>\n<h1 dir="auto">a &lt;b&gt;</h1>\n</header>'
    """
    parts = [f'<p class="kind">{_escaped(kind)}</p>', f'<h1 dir="auto">{_escaped(title)}</h1>']
    if lead:
        parts.append(f'<p class="lead">{_escaped(lead)}</p>')
    if facts:
        pairs = (
            f'<div><dt>{_escaped(term)}</dt><dd dir="auto">{_escaped(said)}</dd></div>' for term, said in facts.items()
        )
        parts.append(f'<dl class="facts">{"".join(pairs)}</dl>')
    return "\n".join(['<header class="heading">', *parts, "</header>"])


def asset(package: str, name: str) -> str:
    """The text of a file that lies in a package, such as the script of a page."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def in_script(data: object) -> str:
    r"""JSON that no text in it can end the script tag of; a half of a pair of surrogates is written out.

    >>> print(in_script(["</script>", "ρ", "\udc80"]))
    ["\u003c/script>","ρ","\udc80"]
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("<", "\\u003c"))


def _escaped(text: str) -> str:
    return html.escape(_whole(text))


def _whole(text: str) -> str:
    """Text that UTF-8 can hold: a half of a pair of surrogates, as in odd file names, becomes the replacement sign."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _digest(text: str) -> str:
    """How a policy names a script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def write_page(text: str, path: Path) -> None:
    """Write a page whole, in place of one that is there; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
