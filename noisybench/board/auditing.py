"""Auditing suspects: an audit is begun with a page or a sheet, and ended with what the answers tell."""

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from noisybench.board.agreement import settled
from noisybench.board.audit import (
    KIND,
    Audit,
    audit_report,
    check_audit,
    make_audit,
    read_audit,
    read_audit_answers,
    write_audit,
    write_audit_sheet,
)
from noisybench.board.page_items import page_items
from noisybench.board.suspects import Suspects
from noisybench.board.suspects_page import suspects_page
from noisybench.ground.arrays import Bools
from noisybench.ground.download import cache_folder
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.html.page import write_page
from noisybench.variants.decision_files import read_decisions


class Begun(NamedTuple):
    """Files of an audit that was begun.

    Attributes:
        shown: The page, or the sheet that a spreadsheet opens.
        audit: The draw, without which answers mean nothing.
    """

    shown: Path
    audit: Path


def begin_audit(suspects: Suspects, m: int, page: Path | None, *, seed: int) -> Begun:
    """Draw ``m`` labels, and write the page on which a person answers, or a sheet where no page is asked for.

    The draw is written beside it and kept in the cache, where the answers find it again.

    Raises:
        BadUsage: Scores came alone and say no cut, there are fewer labels, or the sheet is there already.
    """
    there = int((~settled(suspects.variant)).sum())
    if m > there:
        msg = f"an audit of {m:,} labels needs as many, and there are {there:,} that nobody decided about; draw fewer"
        raise BadUsage(msg)
    drawn = make_audit(
        suspects.variant_id,
        suspects.detector,
        suspects.suspicion,
        _flags(suspects),
        m,
        seed=seed,
        leave_out=settled(suspects.variant),
    )
    name = f"audit-{drawn.digest[:8]}"
    folder = Path() if page is None else page.parent
    shown = folder / f"{name}.csv" if page is None else page
    kept = folder / f"{name}.json"
    if page is None and shown.exists():
        msg = f"{shown} is there already, perhaps with answers; fill it in, or move it away and draw again"
        raise BadUsage(msg)
    for path in (kept, _kept(drawn.digest)):
        write_audit(drawn, path)
    if page is None:
        given = [suspects.class_names[k] for k in suspects.given]
        write_audit_sheet(drawn, shown, names=suspects.names, given=given)
    else:
        write_page(_page(suspects, drawn), page)
    return Begun(shown, kept)


def end_audit(suspects: Suspects, answers: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the answers to an audit tell: as JSON holds it, and in words.

    Raises:
        BadData: The answers, or the draw that they name, cannot be read or found.
        Mismatch: The draw was of other labels or of another suspicion.
    """
    audit = _find(read_decisions(answers, KIND).digests, answers)
    check_audit(audit, suspects.variant_id, suspects.suspicion, _flags(suspects), settled(suspects.variant))
    found, sentences = audit_report(audit, read_audit_answers(answers, audit))
    estimates: dict[str, Any] = {"answered": found.right + found.wrong, "wrong": found.wrong}
    for key in ("rate", "precision", "recall"):
        values = getattr(found, key)._asdict()
        estimates[key] = {end: value if isfinite(value) else None for end, value in values.items()}
    return estimates, sentences


def _page(suspects: Suspects, drawn: Audit) -> str:
    """The page of an audit: the samples in their random order, without what the evidence says of them."""
    samples = drawn.sample.samples
    return suspects_page(
        title=f"{len(samples):,} labels of {suspects.title}, drawn at random",
        variant_id=suspects.variant_id,
        source_name=f"{suspects.title}, {len(suspects):,} samples",
        class_names=suspects.class_names,
        items=page_items(samples, suspects.given, suspects.inputs, suspects.names),
        lead="Is the label right? Answer in this order; you may stop at any time.",
        rows=suspects.inputs is not None and suspects.inputs.rows is not None,
        audit=drawn.digest,
    )


def _flags(suspects: Suspects) -> Bools:
    if suspects.flagged is None:
        msg = (
            f"scores of '{suspects.detector}' came alone and say no cut, which an audit needs; bring probabilities, or "
            f"look for suspects in the data themselves"
        )
        raise BadUsage(msg)
    return suspects.flagged


def _kept(digest: str) -> Path:
    return cache_folder() / "audits" / f"{digest}.json"


def _find(told: Mapping[str, str], answers: Path) -> Audit:
    """The audit that a file of answers names: from the cache, or beside the answers."""
    digest = told.get("audit", "")
    for path in _places(digest, answers):
        if path.is_file():
            audit = read_audit(path)
            if audit.digest == digest:
                return audit
    msg = f"the audit that {answers} answers is not here; put audit-{digest[:8]}.json, which was written with its page, beside it"
    raise BadData(msg)


def _places(digest: str, answers: Path) -> Iterator[Path]:
    if digest.isalnum():
        yield _kept(digest)
        yield from (folder / f"audit-{digest[:8]}.json" for folder in (answers.parent, Path()))
