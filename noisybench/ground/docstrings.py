"""Docstrings in Google style, read for what they say of an item and of each of its options."""

import inspect
import re
from collections.abc import Mapping
from typing import NamedTuple

SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields", "Examples")
_HEADING = re.compile(rf"({'|'.join(SECTIONS)}):")
_ENTRY = re.compile(r"    (\w+): (.*)")


class Docstring(NamedTuple):
    """What a docstring says.

    Attributes:
        text: Paragraphs without sections and examples, a line each.
        meanings: Field or argument → what it means, from the sections ``Args`` and ``Attributes``; of a name that these
            lack, the sentence of the text that has it in double backquotes.
    """

    text: tuple[str, ...]
    meanings: Mapping[str, str]


def read_docstring(text: str | None, *, names: tuple[str, ...] = ()) -> Docstring:
    r"""A docstring's text, and the meaning of each of some names, where it says one.

    >>> told = read_docstring("Flip labels.\n\nAttributes:\n    rate: Share\n        of labels.\n\nSource: Li 2020.")
    >>> told.text, told.meanings
    (('Flip labels.', 'Source: Li 2020.'), {'rate': 'Share of labels.'})
    """
    paragraphs: list[list[str]] = [[]]
    entries: dict[str, list[str]] = {}
    section = entry = ""
    for line in inspect.cleandoc(text or "").splitlines():
        heading = _HEADING.fullmatch(line)
        if heading:
            section, entry = heading[1], ""
        elif section and (not line or line.startswith(" ")):
            begun = _ENTRY.match(line)
            if begun:
                entry = begun[1] if section in ("Args", "Attributes") else ""
                entries |= {entry: []} if entry else {}
            if entry and line:
                entries[entry].append((begun[2] if begun else line).strip())
        elif line:
            section = ""
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    plain = tuple(" ".join(lines) for lines in paragraphs if lines and not lines[0].startswith(">>>"))
    meanings = {name: " ".join(lines) for name, lines in entries.items()}
    for name in names:
        sentence = re.search(rf"[^.]*``{re.escape(name)}``[^.]*\.", " ".join(plain))
        if name not in meanings and sentence:
            meanings[name] = sentence[0].strip()
    return Docstring(plain, meanings)
