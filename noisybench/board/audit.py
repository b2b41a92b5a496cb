"""An audit of suspects: what is drawn for a person to look at, its file, the answers, and what they tell, in words.

A person's way: an audit is drawn and kept (``make_audit``, ``write_audit``), the samples are shown in its order without
suspicion or flag, the answers come back as a csv (``read_audit_answers``), and ``audit_report`` says what they tell.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import read_only
from noisybench.ground.checks import a_path, check_kind
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import write_json
from noisybench.ground.records import read_json_as
from noisybench.statistics.audit import Answer, AuditEstimates, AuditSample, audit_estimates, draw_audit
from noisybench.statistics.intervals import Estimate
from noisybench.variants.decision_files import read_decisions, whole_number_of, write_decisions

KIND = "audit"
"""What the first line of a file of answers says that it is of."""
MEANT: dict[str, Answer] = {
    "accept": "wrong", "keep": "right", "drop": "cannot tell",
    "wrong": "wrong", "right": "right", "cannot tell": "cannot tell", "": "",
}  # fmt: skip
"""What an action says about the given label: that another is accepted in its place makes it a wrong one."""


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What was drawn for a person to look at, and of what.

    Attributes:
        variant_id: The labels that are asked about.
        detector: Whose suspicion parted the samples.
        scores_sha256: Digest of the suspicion, the flags and what was left out.
        sample: What was drawn.
    """

    variant_id: str
    detector: str
    scores_sha256: str
    sample: AuditSample

    def __repr__(self) -> str:
        return f"Audit({len(self.sample.samples)} samples by '{self.detector}', variant {self.variant_id[:8]})"

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, which ties answers to it."""
        return hashlib.sha256(json.dumps(asdict(_record(self)), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What ``audit.json`` holds; the chance to be drawn of a sample is those of its stratum that were, by its size."""

    variant_id: str
    detector: str
    scores_sha256: str
    seed: int
    samples: tuple[int, ...]
    strata: tuple[int, ...]
    sizes: tuple[int, ...]
    flagged: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAuditRecord(AuditRecord):
    """The record with its digest, so that it cannot be edited unnoticed."""

    digest: str


def make_audit(
    variant_id: str,
    detector: str,
    suspicion: NDArray[Any],
    flagged: NDArray[Any],
    m: int,
    *,
    seed: int = 0,
    leave_out: NDArray[Any] | None = None,
) -> Audit:
    """Draw samples of a variant for a person to look at; see ``draw_audit``.

    Args:
        variant_id: The labels that are asked about.
        detector: Whose suspicion it is.
        suspicion: Higher is more likely mislabeled, shape (n,).
        flagged: Whether a label disagrees with the evidence, shape (n,).
        m: Samples to draw.
        seed: Of the draw.
        leave_out: Samples that are neither drawn nor counted, shape (n,).
    """
    sample = draw_audit(suspicion, flagged, m, seed=seed, leave_out=leave_out)
    return Audit(variant_id, detector, scores_digest(suspicion, flagged, leave_out), sample)


def write_audit(audit: Audit, path: str | Path) -> None:
    """Keep an audit; the answers mean nothing without it."""
    check_kind(audit, Audit, "audit", "make_audit(…) draws one")
    write_json({**asdict(_record(audit)), "digest": audit.digest}, a_path(path))


def read_audit(path: str | Path) -> Audit:
    """Read what ``write_audit`` wrote.

    Raises:
        BadData: The file is missing or broken.
        Mismatch: It was changed after it was written.
    """
    path = a_path(path)
    record = read_json_as(path, SignedAuditRecord, mend="draw the audit again, and answer it again")
    strata, sizes = np.array(record.strata, np.int64), np.array(record.sizes, np.int64)
    audit = Audit(
        record.variant_id,
        record.detector,
        record.scores_sha256,
        AuditSample(
            samples=read_only(np.array(record.samples, np.int64)),
            strata=read_only(strata),
            sizes=read_only(sizes),
            flagged=read_only(np.array(record.flagged, bool)),
            seed=record.seed,
        ),
    )
    if audit.digest != record.digest:
        msg = f"{path} was changed after it was written, and the answers mean nothing without it; draw an audit again"
        raise Mismatch(msg)
    return audit


def check_audit(
    audit: Audit, variant_id: str, suspicion: NDArray[Any], flagged: NDArray[Any], leave_out: NDArray[Any] | None = None
) -> None:
    """Raise ``Mismatch`` unless an audit was drawn from these labels, this suspicion, these flags and what was left out."""
    if audit.variant_id != variant_id:
        msg = (
            f"the audit is of variant {audit.variant_id[:12]}, these labels are of {variant_id[:12]}: draw an audit of "
            f"them, or give the labels that were looked at"
        )
        raise Mismatch(msg)
    if audit.scores_sha256 != scores_digest(suspicion, flagged, leave_out):
        msg = (
            f"the suspicion, the flags or the samples left out are not those that the audit was drawn from "
            f"('{audit.detector}'): give the detector, features and seed of then, or draw an audit again"
        )
        raise Mismatch(msg)


def scores_digest(suspicion: NDArray[Any], flagged: NDArray[Any], leave_out: NDArray[Any] | None = None) -> str:
    """SHA-256 of what an audit is drawn from, the same on every machine."""
    left = np.zeros(len(flagged), bool) if leave_out is None else leave_out
    digest = hashlib.sha256(np.asarray(suspicion).astype("<f8").tobytes())
    for mask in (flagged, left):
        digest.update(np.asarray(mask).astype(np.uint8).tobytes())
    return digest.hexdigest()


def write_audit_sheet(audit: Audit, path: str | Path, *, names: Sequence[str] | None, given: Sequence[str]) -> None:
    """Write the file of answers with none in it, for who fills it in a spreadsheet rather than in the page.

    Args:
        audit: What was drawn.
        path: The csv.
        names: What people call the samples of the data set, shape (n,).
        given: Name of the class of each sample of the data set, shape (n,).
    """
    rows = ((i, names[i] if names else "", given[i], "", "") for i in audit.sample.samples.tolist())
    write_decisions(a_path(path), KIND, {"variant_id": audit.variant_id, "audit": audit.digest}, rows)


def read_audit_answers(path: str | Path, audit: Audit) -> tuple[Answer, ...]:
    """What a person answered about each sample of an audit, shape (m,), in its order; empty where nothing.

    Raises:
        BadData: The file cannot be read, or has an action that nobody knows or a sample that was not drawn.
        Mismatch: It answers another audit.
    """
    path = a_path(path)
    file = read_decisions(path, KIND)
    if file.variant_id != audit.variant_id or file.digests.get("audit") != audit.digest:
        of = "another audit of these labels" if file.variant_id == audit.variant_id else "other labels"
        msg = f"{path} answers {of}, not the audit {audit.digest[:12]}; give the audit file that belongs to it"
        raise Mismatch(msg)
    place = {int(sample): i for i, sample in enumerate(audit.sample.samples)}
    answers: list[Answer] = [""] * len(place)
    seen: dict[int, int] = {}
    for line, cells in file.rows:
        sample, action = whole_number_of(cells["sample"]), cells["action"].strip().lower()
        if action not in MEANT:
            msg = f"{path}: the action in line {line} is {action[:40]!r}, expected one of accept, keep, drop"
            raise BadData(msg)
        if sample is None or sample not in place:
            msg = (
                f"{path}: sample {cells['sample'].strip()[:40]} in line {line} was not drawn: an audit takes no others"
            )
            raise BadData(msg)
        if sample in seen:
            msg = f"{path} has sample {sample} in lines {seen[sample]} and {line}; keep one of them"
            raise BadData(msg)
        seen[sample] = line
        answers[place[sample]] = MEANT[action]
    return tuple(answers)


def audit_report(audit: Audit, answers: Sequence[str]) -> tuple[AuditEstimates, tuple[str, ...]]:
    """What the answers tell, and that in plain words, a sentence each.

    Args:
        audit: What was drawn; ``check_audit`` says whether it still belongs to the scores.
        answers: About its samples, shape (m,), in its order.

    Raises:
        BadData: See ``audit_estimates``.
    """
    found = audit_estimates(audit.sample, answers)
    return found, tuple(_sentences(found))


def _sentences(found: AuditEstimates) -> list[str]:
    """An estimate in words."""
    seen = found.right + found.wrong
    rate = _percent(found.rate)
    lines = [f"{rate[0]} of the {found.population:,} labels are wrong, 95 % interval {rate[1]}: {seen} answers."]
    if not found.wrong:
        lines = [f"No wrong label among {seen} answers: at most {100 * found.rate.high:.2g} % of the labels are wrong."]
    if found.flagged and np.isfinite(found.precision.value):
        share, reach = _percent(found.precision)
        lines.append(f"Of the {found.flagged:,} flagged labels {share} are wrong, 95 % interval {reach}.")
    if found.flagged and np.isfinite(found.recall.value):
        share, reach = _percent(found.recall)
        lines.append(f"Of all wrong labels {share} are flagged, 95 % interval {reach}.")
    elif found.flagged:
        lines.append("How many of the wrong labels are flagged is not known: too few wrong ones were seen.")
    if found.unclear:
        least, most = (f"{100 * rate:.1f} %" for rate in found.rate_if_unclear)
        lines.append(
            f"{found.unclear} labels nobody could tell of are left out: with all of them right it would be {least}, with "
            f"all of them wrong {most}."
        )
    left = found.asked - seen - found.unclear
    if left:
        lines.append(f"{left} of {found.asked} samples are not answered yet; the order is random, so the rest stands.")
    return lines


def _percent(estimate: Estimate) -> tuple[str, str]:
    """A share and its interval, in per cent."""
    value, low, high = (100 * part for part in estimate)
    return f"{value:.1f} %", f"{low:.1f} to {high:.1f} %"


def _record(audit: Audit) -> AuditRecord:
    sample = audit.sample
    return AuditRecord(
        audit.variant_id,
        audit.detector,
        audit.scores_sha256,
        sample.seed,
        tuple(sample.samples.tolist()),
        tuple(sample.strata.tolist()),
        tuple(sample.sizes.tolist()),
        tuple(sample.flagged.tolist()),
    )
