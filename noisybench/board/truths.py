"""Truths: what scores are held against. The mislabeled mask, the source's marks and measured memorization. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from noisybench.board.agreement import STRATA, Stratum, marks_of
from noisybench.detection.scoring import read_scores, scores_path
from noisybench.ground.arrays import Floats
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, Mismatch, UnknownName
from noisybench.ground.kept_digests import kept_digest
from noisybench.ground.lookup import find, is_ours
from noisybench.memorization.estimate import Memorization, read_memorizations
from noisybench.memorization.learner import CLOSED_FORM, Learner
from noisybench.runs.folder import read_run_record
from noisybench.runs.reading import Run
from noisybench.statistics.metric import COMPARED, Compares, Metric, metrics_of
from noisybench.variants.variant import Variant, read_variant

MISLABELED, MEMORIZATION = "mislabeled", "memorization"
"""Names of the two truths that any variant may have; the others are marks of its source."""
READ_RIDGE = ("cooks_distance", "feature_consensus", "ridge", "ridge_chosen", "ridge_leverage")
"""Detectors that are made, alone or with others, of the leverages and of the answers without the sample that ridge
regression has, which memorization in closed form is made of as well."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A measured memorization, beside the mislabeled mask the second truth.

    Attributes:
        memorization: What was measured.
        held_out_error: 1 − p_out of a pool of the same learner that shares no model with it, shape (n,); None where
            there is none.
        digests: File → SHA-256 of what it was read from.
    """

    memorization: Memorization
    held_out_error: Floats | None
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """Every truth that there is of one label column.

    Attributes:
        variant: The labels, with the mislabeled mask and the marks.
        measured: Memorization, by each learner that it was measured of.
        digests: File → SHA-256 of what the variant was read from.
    """

    variant: Variant
    measured: tuple[Measured, ...]
    digests: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """What scores can be held against."""
        return (MISLABELED, *marks_of(self.variant), *([MEMORIZATION] if self.measured else []))


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to the board.

    Attributes:
        truth: Against what.
        metric: By which metric.
        stratum: Over which samples.
        given_class: The class whose samples alone are compared, by their given labels; None takes all.
    """

    truth: str = MISLABELED
    metric: str = "auroc"
    stratum: Stratum = "all"
    given_class: int | None = None


def read_truths(home: Path, *, measured_too: bool = True) -> Truths:
    """Every truth of the labels whose runs lie in a folder, in the order of the folders' names.

    Args:
        home: Folder of a variant's runs.
        measured_too: Whether memorization is among them.

    Raises:
        BadData: A file is missing or broken.
        Mismatch: A measurement is of another variant.
    """
    variant = read_variant(home / "variant")
    found = read_memorizations(home, variant) if measured_too else {}
    pools = _held_out_errors(home) if found else {}
    measured = []
    for path, memorization in found.values():
        digests = {"memorization": kept_digest(path)}
        held_out = None
        if memorization.learner in pools:
            file = pools[memorization.learner]
            scores = read_scores(file)
            if scores.variant_id != variant.provenance.variant_id:
                msg = f"{file} is of another variant than {home}; delete that folder"
                raise Mismatch(msg)
            held_out = scores.values
            digests["held-out error"] = kept_digest(file)
        measured.append(Measured(memorization, held_out, digests))
    files = (file for file in sorted((home / "variant").iterdir()) if file.suffix in (".json", ".parquet", ".npy"))
    return Truths(variant, tuple(measured), {file.name: kept_digest(file) for file in files})


def _held_out_errors(home: Path) -> dict[Learner, Path]:
    """Learner → held-out errors of its detector pool, the first where there are several."""
    found: dict[Learner, Path] = {}
    for path in sorted(home.glob("*/seed-*/run.json")):
        file = scores_path(path.parent, "held_out_error")
        if file.is_file():
            try:
                record = read_run_record(path.parent)
            except BadData:  # it is left out where runs are read
                continue
            if record.regime == "pool" and "held_out_error" in record.detectors:
                found.setdefault(record.learner, file)
    return found


def check_asked(truth: str, metric: str | None, stratum: str, there: list[Truths]) -> Asked:
    """The question, with the truth's first metric where none is named.

    Args:
        truth: What scores shall be held against.
        metric: Name of a metric of that truth; None takes the AUROC, or Spearman's correlation.
        stratum: Which samples.
        there: The truths of every label column.

    Raises:
        UnknownName: None of them has that truth, or it has no such metric or stratum.
    """
    truths = sorted({name for truths in there for name in truths.names})
    if truth == MEMORIZATION and truth not in truths:
        msg = (
            "memorization was not measured of the labels of these runs; 'noisybench memorize VARIANT --out RUNS' measures "
            "it, with the folder that the runs were written to"
        )
        raise UnknownName(msg)
    if truth not in truths:
        raise UnknownName(unknown(truth, tuple(truths), "truth"))
    metric = metric or ("spearman" if truth == MEMORIZATION else "auroc")
    _check_metric(metric, truth, there)
    strata = STRATA if truth == MEMORIZATION else STRATA[:1]
    if stratum not in strata:
        raise UnknownName(unknown(stratum, tuple(sorted(strata)), f"stratum of '{truth}'"))
    return Asked(truth, metric, stratum)


def _check_metric(name: str, truth: str, there: list[Truths]) -> None:
    """Raise ``UnknownName`` for a metric that nobody knows, of another truth, or of what was not measured."""
    metric: Metric = find("metrics", name)
    fits = _compared_with(truth)
    if metric.compares not in fits:
        which = "with a mask" if truth not in (MISLABELED, MEMORIZATION) else f"with '{truth}'"
        msg = (
            f"metric '{name}' compares {COMPARED[metric.compares]}, which is not asked {which}; there are: "
            f"{', '.join(metrics_of(*fits))}"
        )
        raise UnknownName(msg)
    held_out = any(one.held_out_error is not None for truths in there for one in truths.measured)
    if metric.needs_held_out_error and not held_out:
        msg = (
            f"metric '{name}' needs held-out errors of the learner whose memorization was measured; 'noisybench memorize "
            f"VARIANT --pool detector' measures them"
        )
        raise UnknownName(msg)


def _compared_with(truth: str) -> tuple[Compares, ...]:
    """What can be compared with a truth; a mark says nothing of right classes, nor of what a detector should flag."""
    if truth == MEMORIZATION:
        return ("memorization",)
    return ("mislabeled", "suggestion", "cut") if truth == MISLABELED else ("mislabeled",)


def is_of_own_kind(run: Run, detector: str, learner: Learner | None) -> bool:
    """Whether a detector of a run would be held against a memorization that is made as it is itself; it is not judged."""
    if learner is None:
        return False
    if learner.is_released and run.record.regime == "given":  # the same numbers, given as scores
        return (run.record.file_sha256 or "").startswith(learner.trained)
    spec = run.record.detectors.get(detector, "")
    return learner.recipe == CLOSED_FORM and spec in READ_RIDGE and is_ours("detectors", spec)
