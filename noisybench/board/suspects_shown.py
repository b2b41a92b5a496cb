"""What people see of suspects: a page to decide on, a page of an audit, and a table in a notebook."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.board.suspects import ON_PAGE, UNCERTAIN, Suspects
from noisybench.board.suspects_page import PageItem, suspects_page
from noisybench.data.images.files import images_at
from noisybench.data.inputs import IMAGE_DIMENSIONS, read_rows
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import a_path
from noisybench.ground.files import replacing
from noisybench.ground.html.pictures import data_address, thumbnail
from noisybench.runs.reading import AnyPath

SIDE = 128
"""Longer side of a thumbnail on a page, in pixels."""
_AT_A_TIME = 64  # images that are read at a time


def page_of(suspects: Suspects, top: int | None = None) -> str:
    """The page of the chosen suspects; None takes those that are flagged, at most ``ON_PAGE``."""
    chosen = suspects.chosen(top)
    chosen = chosen if top is not None else chosen[:ON_PAGE]
    lead = f"{suspects.headline()}."
    if len(chosen) < suspects.count:
        lead += f" Here are the first {len(chosen):,}."
    facts = {"Ranked by": suspects.detector, "Evidence": "; ".join(suspects.evidence)}
    if suspects.flagged is not None:
        lead += f" {UNCERTAIN[0].upper()}{UNCERTAIN[1:]}."
    return suspects_page(
        title=f"Labels of {suspects.title} to look at",
        variant_id=suspects.variant_id,
        source_name=f"{suspects.title}, {len(suspects):,} samples",
        class_names=suspects.class_names,
        items=_items(suspects, chosen, with_evidence=True),
        lead=lead,
        summary=facts,
        rows=_has_rows(suspects),
    )


def audit_page_of(suspects: Suspects, samples: NDArray[np.int64], digest: str) -> str:
    """The page of an audit: drawn samples in their random order, without what the evidence says of them.

    Args:
        suspects: Of which they were drawn.
        samples: Shape (m,).
        digest: Of the audit, which the answers name.
    """
    return suspects_page(
        title=f"{len(samples):,} labels of {suspects.title}, drawn at random",
        variant_id=suspects.variant_id,
        source_name=f"{suspects.title}, {len(suspects):,} samples",
        class_names=suspects.class_names,
        items=_items(suspects, samples, with_evidence=False),
        lead="Is the label right? Answer in this order; you may stop at any time.",
        rows=_has_rows(suspects),
        audit=digest,
    )


def fragment_of(suspects: Suspects, top: int) -> str:
    """The first ``top`` chosen suspects as an HTML table for a notebook."""
    rows = []
    for item in _items(suspects, suspects.chosen(None)[:top], with_evidence=True):
        shown = item.text or ""
        cell = escape(shown[:200] + ("…" if len(shown) > 200 else ""))  # noqa: PLR2004 - a glance; the page has all
        if item.picture is not None:
            cell = f'<img src="{data_address(item.picture)}" alt="" style="max-height:64px">'
        name = item.name or str(item.sample)
        words = [
            escape(name),
            escape(suspects.class_names[item.given]),
            escape(suspects.suggestion(item.sample) or "–"),
        ]
        rows.append("".join(f"<td>{word}</td>" for word in (cell, *words, f"{item.suspicion:.4f}")))
    head = "".join(f"<th>{name}</th>" for name in ("", "sample", "given", "suggested", "suspicion"))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<p>{escape(suspects.headline())}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def write_page(page: str, path: AnyPath) -> Path:
    """Write a page whole, in place of one that is there."""
    path = a_path(path, "path")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


def _has_rows(suspects: Suspects) -> bool:
    return suspects.inputs is not None and suspects.inputs.rows is not None


def _items(
    suspects: Suspects, samples: Sequence[int] | NDArray[np.int64], *, with_evidence: bool
) -> Iterator[PageItem]:
    """Samples as a page shows them, in the order given; images are read a block at a time."""
    samples = np.asarray(samples)
    for start in range(0, len(samples), _AT_A_TIME):
        some = samples[start : start + _AT_A_TIME]
        for sample, picture in zip(some.tolist(), _pictures(suspects, some), strict=True):
            yield PageItem(
                sample=sample,
                name="" if suspects.names is None else suspects.names[sample],
                given=int(suspects.given[sample]),
                suggested=int(suspects.suggested[sample]) if with_evidence else UNKNOWN,
                suspicion=float(suspects.suspicion[sample]) if with_evidence else float("nan"),
                flagged=with_evidence and suspects.flagged is not None and bool(suspects.flagged[sample]),
                picture=picture,
                text=_words(suspects, sample),
            )


def _pictures(suspects: Suspects, samples: NDArray[np.int64]) -> list[bytes | None]:
    """Thumbnails of some samples; None where inputs are no images, or were not read."""
    source = suspects.inputs
    if source is None or source.inputs is None or source.inputs.ndim != IMAGE_DIMENSIONS:
        return [None] * len(samples)
    images: Any = read_rows(images_at(source, SIDE), samples)
    return [thumbnail(image, side=SIDE) for image in images]


def _words(suspects: Suspects, sample: int) -> str | None:
    """The text of a sample, or its row of a table; None where it has neither."""
    source = suspects.inputs
    words = None if source is None else source.texts if source.texts is not None else source.rows
    return None if words is None else words[sample]
