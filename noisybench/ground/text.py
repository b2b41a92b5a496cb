"""Text of strangers' files as it may be shown: on a terminal, in a spreadsheet, in Markdown."""

import json
import re

_UNUSUAL = re.compile(r"[^\n\x20-\x7e]")
_FORMULA = re.compile(r"\s*[=+\-@]")


def visible(text: str) -> str:
    r"""``text`` in which what would steer a terminal, or turn its direction, is written out as JSON does; lines stay.

    >>> print(visible("a\x1b[2J ρ\n"), end="")
    a\u001b[2J ρ
    """
    return _UNUSUAL.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """``visible`` text in one line, with single spaces: a message."""
    return visible(" ".join(text.split()))


def cell(text: str) -> str:
    """``visible`` text in one line, with the spaces that it has: a name in a table."""
    return visible(" ".join(text.splitlines()))


def spreadsheet_cell(text: str) -> str:
    """One line of a csv that no spreadsheet takes for a formula: behind an apostrophe where it would.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("aum")
    ("'=1+1", 'aum')
    """
    line = cell(text)
    return f"'{line}" if _FORMULA.match(text) else line


def markdown_cell(text: str) -> str:
    r"""One line of a table in Markdown, in which no name is a tag, a link, an image or the end of its cell.

    >>> markdown_cell("<img src=x>|![a](b) 1 [2, 3]")
    '&lt;img src=x>\\|![a]\\(b) 1 [2, 3]'
    """
    line = cell(text).replace("\\", "\\\\").replace("|", "\\|")
    return line.replace("<", "&lt;").replace("](", "]\\(")
