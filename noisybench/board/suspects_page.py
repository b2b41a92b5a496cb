"""The page on which a person decides about suspects, or answers an audit: one file, opened from disk in any browser."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData
from noisybench.ground.html.page import asset, heading, page
from noisybench.ground.html.pictures import data_address
from noisybench.ground.version import __version__

_VARIANT_ID = re.compile(r"[0-9a-f]{64}")
_AUDIT = re.compile(r"[0-9A-Za-z._-]+")


@dataclass(frozen=True, slots=True)
class PageItem:
    """One sample of a page.

    Attributes:
        sample: Its number in the source.
        name: What people call it, such as its file; may be empty.
        given: The class that its label says.
        suggested: The class that the evidence says, or ``UNKNOWN``.
        suspicion: Higher is more suspicious; NaN is not shown.
        flagged: Whether its label disagrees with the evidence.
        picture: An encoded image (PNG, JPEG, GIF or WebP), such as a ``thumbnail``; None where there is none.
        text: Its text, or its row of a table in words; None where there is none.
    """

    sample: int
    name: str
    given: int
    suggested: int = UNKNOWN
    suspicion: float = math.nan
    flagged: bool = False
    picture: bytes | None = None
    text: str | None = None


def suspects_page(
    *,
    title: str,
    variant_id: str,
    source_name: str,
    class_names: Sequence[str],
    items: Iterable[PageItem],
    lead: str = "",
    summary: Mapping[str, str] | None = None,
    rows: bool = False,
    audit: str | None = None,
) -> str:
    """A self-contained HTML page that saves corrections, or the answers of an audit, as csv without a server.

    Decisions are kept by the browser under the id of the variant (of an audit: under its digest), so that a reload, or a
    later page of the same labels, has them. The csv is the file of corrections: its first line names the variant, then
    ``sample,name,given,corrected,action``; ``corrected`` is empty where none is accepted. A name that a spreadsheet would
    take for a formula stands behind an apostrophe, as in every csv of noisybench, and is read without it.

    In an audit ``keep`` says that the label is right, ``accept`` that it is wrong (``corrected`` may then be empty, as
    nobody must say which class is right), ``drop`` that a person cannot tell. Suspicion, rank, flag and suggestion are
    neither shown nor in the page.

    Args:
        title: Headline, and name of the browser's tab.
        variant_id: Id of the labels.
        source_name: Where the samples come from.
        class_names: Name of each class, shape (k,), no two alike.
        items: The samples in the order in which they are shown: the most suspicious first, or the order of an audit.
        lead: A sentence under the title.
        summary: Further facts of the head as term and words, such as the detector; before the variant and version.
        rows: Whether texts are rows of a table, ``name: value · name: value``, to be set in columns.
        audit: Digest of the audit; None makes a page of suspects.

    Raises:
        BadData: A class is no class of ``class_names``, a suggestion is the given label, a sample is there twice, two
            classes share a name, an id is none, or a picture is no image.
    """
    if not _VARIANT_ID.fullmatch(variant_id):
        msg = f"variant_id must be 64 digits of a SHA-256, not {variant_id!r}"
        raise BadData(msg)
    if audit is not None and not _AUDIT.fullmatch(audit):
        msg = f"audit must be a digest, not {audit!r}"
        raise BadData(msg)
    if twice := [name for name, count in Counter(class_names).items() if count > 1]:
        msg = f"{twice[0]!r} is the name of several classes; a file of corrections needs one name for each"
        raise BadData(msg)
    data = {
        "variant": variant_id,
        "audit": audit,
        "classes": list(class_names),
        "rows": rows,
        **_columns(list(items), len(class_names), with_evidence=audit is None),
    }
    facts = {"Source": source_name, **(summary or {}), "Variant": variant_id[:12], "noisybench": __version__}
    here = "noisybench.board"
    return page(
        title=title,
        body=heading(kind="Suspects" if audit is None else "Audit", title=title, lead=lead, facts=facts)
        + "\n"
        + asset(here, "suspects_page.html"),
        data=data,
        scripts=[asset(here, "decisions_file.js"), asset(here, "suspects_page.js")],
        styles=[asset(here, "suspects_page.css")],
    )


def _columns(items: Sequence[PageItem], k: int, *, with_evidence: bool) -> dict[str, list[object]]:
    """The items as columns, checked; without what gives the evidence away in an audit."""
    seen: set[int] = set()
    for position, item in enumerate(items):
        if not 0 <= item.given < k:
            msg = f"items[{position}].given = {item.given} is not a class of 0..{k - 1}"
            raise BadData(msg)
        if not (item.suggested == UNKNOWN or 0 <= item.suggested < k) or item.suggested == item.given:
            msg = f"items[{position}].suggested = {item.suggested} must be another class of 0..{k - 1}, or {UNKNOWN}"
            raise BadData(msg)
        if item.sample < 0 or item.sample in seen:
            msg = f"items[{position}].sample = {item.sample} must be the number of a sample that is there once"
            raise BadData(msg)
        seen.add(item.sample)
    columns: dict[str, list[object]] = {
        "sample": [int(item.sample) for item in items],
        "name": [item.name for item in items],
        "given": [int(item.given) for item in items],
        "picture": [None if item.picture is None else data_address(item.picture) for item in items],
        "text": [item.text for item in items],
    }
    if with_evidence:
        columns["suggested"] = [int(item.suggested) for item in items]
        columns["suspicion"] = [float(item.suspicion) if math.isfinite(item.suspicion) else None for item in items]
        columns["flagged"] = [bool(item.flagged) for item in items]
    return columns
