"""Judging: every kind of run holds its scores against every truth that there is of its labels, in one way. No torch here.

A run is a folder with a run.json, scores and agreements: of a training (regime ``training``), of a pool of subset models
(``pool``) or of scores that were brought along (``given``). It stands at ``runs/<variant>/<what>/seed-<k>``, beside the
variant itself and the memorization that was measured of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from noisybench.board.agreement import Agreement, against_labels, against_marks, against_memorization, write_agreements
from noisybench.board.references import reference_scores
from noisybench.detection.scoring import Kind, Scores, read_scores
from noisybench.ground.arrays import Floats
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import Mismatch
from noisybench.ground.files import check_fields, read_record
from noisybench.memorization.estimate import Memorization, read_memorizations
from noisybench.variants.variant import Variant


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A measured memorization, beside the mislabeled mask the second truth.

    Attributes:
        path: Folder of the measurement.
        memorization: What was measured.
        held_out_error: 1 − p_out of a pool of the same learner that shares no model with it, shape (n,); None where
            there is none.
        digests: Name → SHA-256 of the files that it was read from.
    """

    path: Path
    memorization: Memorization
    held_out_error: Floats | None
    digests: Mapping[str, str]


def truths_beside(home: Path, variant: Variant) -> list[Truth]:
    """Every memorization that was measured of a variant, in the order of the folders' names.

    Args:
        home: Folder of the variant's runs.
        variant: Their labels.

    Raises:
        BadData: A file is broken.
        Mismatch: One is of another variant.
    """
    pools = _held_out_errors(home)
    found = []
    for name, (path, memorization) in read_memorizations(home, variant).items():
        digests = {name: file_digest(path)}
        held_out = None
        if memorization.learner in pools:
            place = pools[memorization.learner]
            scores = read_scores(place)
            if scores.variant_id != variant.provenance.variant_id:
                msg = f"{place} is of another variant than {home}; delete that folder"
                raise Mismatch(msg)
            held_out = scores.values
            digests[f"{name}, held-out error"] = file_digest(place)
        found.append(Truth(path.parent, memorization, held_out, digests))
    return found


def _held_out_errors(home: Path) -> dict[str, Path]:
    """Learner → held-out errors of its detector pool, the first where there are several."""
    found: dict[str, Path] = {}
    for path in sorted(home.glob("*/seed-*/scores/held_out_error.parquet")):
        record = read_record(path.parent.parent / "run.json")
        if record.get("regime") == "pool":
            check_fields(record, {"learner": str}, path.parent.parent / "run.json")
            found.setdefault(record["learner"], path)
    return found


def digests_of(truths: Sequence[Truth]) -> dict[str, str]:
    """Name → digest of every file that the truths were read from: agreements of other digests are out of date."""
    return {name: digest for truth in truths for name, digest in truth.digests.items()}


def against_all(scores: Scores, variant: Variant, truths: Sequence[Truth], *, kind: Kind) -> list[Agreement]:
    """Every metric of scores against the mislabeled mask, the source's marks and measured memorization."""
    agreements = against_labels(scores, variant, kind=kind) + against_marks(scores, variant, kind=kind)
    for truth in truths:
        agreements += against_memorization(
            scores, truth.memorization, variant, kind=kind, held_out_error=truth.held_out_error
        )
    return agreements


def agreements_of(
    scores: Mapping[str, tuple[Scores, Kind]], variant: Variant, truths: Sequence[Truth], *, seed: int
) -> list[Agreement]:
    """What a run's agreement.parquet holds: of its scores, of the references, and of memorization as a detector.

    Args:
        scores: Name → scores, and what they are.
        variant: The labels that they are of.
        truths: Memorizations of the same labels.
        seed: Of the random reference.
    """
    agreements: list[Agreement] = []
    for held, kind in scores.values():
        agreements += against_all(held, variant, truths, kind=kind)
    for reference in reference_scores(variant, seed=seed):
        shown = variant if reference.detector in KNOW_NOTHING else replace(variant, marks={})
        agreements += against_all(reference, shown, truths, kind="reference")
    for truth in truths:
        memorization = truth.memorization
        if np.isfinite(memorization.values).all():
            itself = Scores(f"memorization by {memorization.learner}", memorization.values, memorization.variant_id)
            agreements += against_labels(itself, variant, kind="reference")
    return agreements


KNOW_NOTHING = ("random", "flag_nothing")
"""The references that stand beside the marks of a source; the others know of mislabeled samples alone."""


def judge(folder: Path, variant: Variant, scores: Mapping[str, tuple[Scores, Kind]], *, seed: int) -> None:
    """Hold a run's scores against the mask and every memorization beside the run, and write agreement.parquet.

    It is written last of a run, because a folder that has it is a finished one.
    """
    truths = truths_beside(folder.parent.parent, variant)
    agreements = agreements_of(scores, variant, truths, seed=seed)
    write_agreements(agreements, folder / "agreement.parquet", variant.provenance.variant_id, digests_of(truths))
