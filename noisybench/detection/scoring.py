"""Scoring: a detector reduces a trace to one number per sample. No torch here."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Labels, check_array, read_only
from noisybench.ground.checks import check_choice, check_kind, unknown
from noisybench.ground.errors import BadData, Mismatch, UnknownName
from noisybench.ground.files import file_name, own_file_name, read_columns, write_columns
from noisybench.training.trace import Trace

Kind = Literal["detector", "control", "reference"]
Information = Literal[
    "in_sample",
    "held_out",
    "several_trainings",
    "pretrained",
    "annotators",
    "knows_rate",
    "knows_clean",
    "unknown",
]
"""What a score was made with: a model that was trained on the sample, or one that was not; many trainings; features that
were trained on other data; the answers of several people; the true rate of wrong labels or
their transition matrix, or clean labels; or nobody knows."""


REFERENCES = ("random", "flag_nothing", "perfect", "given_label_only")
"""Names of the scores that detectors are read against."""
LIKELIEST_OTHER_CLASS = "likeliest_other_class"
"""Name of the reference that suggestions alone are read against, beside some of those."""
RESERVED = (*REFERENCES, LIKELIEST_OTHER_CLASS)
"""Names of references: no detector may be called so."""
DetectorSet = Literal["fast", "standard", "all"]
"""Sets of detectors that can be asked for by one word, each in the next: ``fast`` reads what the model answers, so that
nothing but the looking itself is added to a training; ``standard`` adds what costs about as much as the training; ``all``
has no bound, and may train again."""
FedRegime = Literal["training", "pool", "features", "second_split", "threshold", "answers"]
"""Regimes whose runs leave columns for detectors."""
OF_EVALUATE: tuple[FedRegime, ...] = ("training", "second_split", "threshold")
"""Those whose runs ``evaluate`` makes, the observed training first."""

COLUMNS: Mapping[FedRegime, tuple[str, ...]] = {
    "pool": (
        "given", "prediction", "held_out.probabilities", "held_out.votes", "held_out.consistency", "neighbours.labels",
    ),
    "features": (
        "given", "prediction", "held_out.probabilities", "neighbours.labels", "features.ridge_suspicion",
        "features.ridge_answers", "features.ridge_chosen", "features.ridge_leverage", "features.cooks_distance",
        "features.gaussian_distances", "features.simifeat_votes", "features.two_nearest", "features.nearest_same",
        "features.nearest_other", "features.simifeat_ranks", "features.alignment", "features.shapley",
    ),
    "second_split": (
        "given", "prediction", "second_split.first", "second_split.second", "second_split.half",
    ),
    "threshold": (
        "given", "prediction", "threshold.margins", "threshold.members", "threshold.aum", "threshold.excess",
    ),
    "answers": (
        "given", "prediction", "answers.vote_shares", "answers.dawid_skene", "answers.glad", "answers.crowdlab",
        "answers.classifier",
    ),
}  # fmt: skip
"""Columns that runs leave which are no observed training."""
PREFIXES = (
    "held_out.", "neighbours.", "features.", "second_split.", "threshold.", "answers.", "noisy_validation.", "ratt.", "pmv.",
)  # fmt: skip
"""Prefixes of the columns that those runs leave, and no probe."""
BY_OBJECTIVE = "objective."
"""Prefix of the columns that a training leaves where its objective does."""


@dataclass(frozen=True, slots=True)
class Detector:
    """What a file of ``detectors/`` gives.

    Attributes:
        name: Name of the file.
        needs: Trace columns that ``score`` reads: names of probes, or what a pool of models gives.
        score: Trace → shape (n,), float64, finite. HIGHER IS MORE LIKELY MISLABELED.
        source: Where the definition stands: authors, year, identifier, equation.
        control: Whether it is there for comparison and need not beat chance.
        information: What it uses of the sample; what a run adds to it, such as pretrained features, the run knows.
        aliases: Other names under which the same ranking was published.
        smallest_set: Smallest of the sets ``fast``, ``standard`` and ``all`` that it is in.
        suggest: Trace → the class that its evidence would give each sample, shape (n,); None takes what every trace
            suggests, see ``suggest``.
    """

    name: str
    needs: tuple[str, ...]
    score: Callable[[Trace], NDArray[np.float64]]
    source: str
    control: bool = False
    information: Collection[Information] = frozenset({"unknown"})
    aliases: tuple[str, ...] = ()
    smallest_set: DetectorSet = "standard"
    suggest: Callable[[Trace], Labels] | None = None

    def __post_init__(self) -> None:
        check_kind(self.name, str, "name", "give a text")
        check_choice(self.smallest_set, f"smallest_set of detector '{self.name}'", get_args(DetectorSet))
        object.__setattr__(self, "information", frozenset(self.information))
        for word in self.information:
            if word not in get_args(Information):
                raise UnknownName(unknown(word, get_args(Information), f"information of detector '{self.name}'"))
        check_kind(self.source, str, "source", "give a text")
        if not self.source:
            msg = f"detector '{self.name}' names no source; say where its definition stands"
            raise BadData(msg)

    @property
    def left_by_objective(self) -> tuple[str, ...]:
        """Those of the columns it reads that a training leaves with some objectives alone, such as the target of one."""
        return tuple(name for name in self.needs if name.startswith(BY_OBJECTIVE))

    @property
    def fed_by(self) -> tuple[FedRegime, ...]:
        """The regimes whose runs leave the columns that it reads; an observed training has those of probes and objective."""
        fed = tuple(regime for regime, columns in COLUMNS.items() if {*self.needs} <= {*columns})
        of_probes = not any(name.startswith(PREFIXES) for name in self.needs)
        return ("training",) if of_probes and not (fed and "given" in self.needs) else fed


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """A detector's verdict on the labels of one variant.

    Attributes:
        detector: Name of the detector.
        values: Shape (n,), float64, finite; higher is more likely mislabeled.
        variant_id: The labels that the model was trained on.
    """

    detector: str
    values: NDArray[np.float64]
    variant_id: str

    def __post_init__(self) -> None:
        values: object = self.values  # whatever a caller gave
        if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "biuf":
            shown = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else repr(type(values))
            msg = f"scores of '{self.detector}' must be an array of one real number a sample, got {shown}"
            raise BadData(msg)
        if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
            msg = f"scores of '{self.detector}' are masked in places, and what stands below a mask is no score"
            raise BadData(msg)
        bad = np.flatnonzero(~np.isfinite(self.values))
        if bad.size:
            msg = (
                f"detector '{self.detector}' gave {self.values[bad[0]]} for sample {bad[0]} "
                f"({bad.size} such samples); a score must be finite"
            )
            raise BadData(msg)

    def __repr__(self) -> str:
        return f"Scores('{self.detector}', {len(self.values)} samples, variant {self.variant_id[:8]})"


@dataclass(frozen=True, slots=True, eq=False)
class Suggestion:
    """The class that a detector's evidence would give each sample in place of its label.

    Attributes:
        detector: Name of the detector.
        labels: Shape (n,), int64; never the given label, and ``UNKNOWN`` where nothing else was ever answered.
        variant_id: The labels that the model was trained on.
    """

    detector: str
    labels: Labels
    variant_id: str

    def __post_init__(self) -> None:
        check_array(self.labels, f"suggestions of '{self.detector}'", dimensions=1)
        if self.labels.dtype != np.int64:
            msg = f"suggestions of '{self.detector}' must be classes as int64, got {self.labels.dtype}"
            raise BadData(msg)

    def __repr__(self) -> str:
        return f"Suggestion('{self.detector}', {len(self.labels)} samples, variant {self.variant_id[:8]})"


def check_scores(scores: object) -> None:
    """Raise ``BadUsage`` for what are no scores, such as an array of numbers."""
    check_kind(scores, Scores, "scores", "score(trace, detector) or Scores(name, values, variant_id) gives some")


def score(trace: Trace, detector: Detector) -> Scores:
    """Apply one detector.

    Raises:
        MissingColumn: The trace lacks a column that the detector needs.
        BadData: A score is not finite, or there is not one number a sample.
    """
    check_kind(trace, Trace, "trace", "read_trace(folder) or a Recorder gives one")
    check_kind(detector, Detector, "detector", "find('detectors', name) gives one")
    for name in detector.needs:
        if name not in trace.columns:
            trace.column(name)
    values = np.asarray(detector.score(trace))
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        msg = f"detector '{detector.name}' gave {values.dtype} of shape {values.shape}, expected one number a sample"
        raise BadData(msg)
    return Scores(detector.name, read_only(values.astype(np.float64, copy=False)), trace.variant_id)


def scores_path(folder: Path, detector: str) -> Path:
    """Where a run keeps the scores of a detector: in a file that no other detector has."""
    own = own_file_name(detector)
    path = folder.joinpath("scores", f"{own}.parquet")
    if own == detector:
        return path
    as_in_0_1_0 = path.with_name(f"{file_name(detector)}.parquet")
    if path != as_in_0_1_0 and not path.is_file() and as_in_0_1_0.is_file():
        return as_in_0_1_0 if _is_of(as_in_0_1_0, detector) else path
    return path


def scores_file(folder: Path, detector: str) -> str:
    """``scores_path`` as a text, for a table, which asks for every detector of every run."""
    plain = own_file_name(detector) == detector
    return f"{folder}{os.sep}scores{os.sep}{detector}.parquet" if plain else str(scores_path(folder, detector))


def _is_of(path: Path, detector: str) -> bool:
    """Whether a file of scores says that it is of that detector; two names may have had one file."""
    try:
        return read_columns(path, ["sample"])[1].get("detector") == detector
    except BadData:
        return False


def write_scores(scores: Scores, path: Path, made_by: Mapping[str, str] | None = None) -> None:
    """Write scores in sample order, with the sample ids and the variant id.

    Args:
        scores: Of one detector.
        path: The file.
        made_by: ``origin`` and ``code`` of a detector that is none of noisybench's.
    """
    columns = {"sample": np.arange(len(scores.values), dtype=np.int64), "score": scores.values}
    told = {"variant_id": scores.variant_id, "detector": scores.detector}
    write_columns(columns, path, metadata={**told, **(made_by or {})})


def read_scores(path: Path) -> Scores:
    """Read what ``write_scores`` wrote.

    Raises:
        BadData: The file is broken or not in sample order.
        Mismatch: It does not say of which variant it is.
    """
    columns, metadata = read_columns(path, ["sample", "score"])
    if not np.array_equal(columns["sample"], np.arange(len(columns["sample"]))):
        msg = f"{path} is not in sample order; expected samples 0..{len(columns['sample']) - 1}"
        raise BadData(msg)
    if columns["score"].dtype != np.float64 or columns["score"].ndim != 1:
        msg = f"{path} holds {columns['score'].dtype} as scores, expected one number (float64) a sample; score again"
        raise BadData(msg)
    if "variant_id" not in metadata:
        msg = f"{path} does not say which variant it scores; write it with noisybench"
        raise Mismatch(msg)
    return Scores(metadata.get("detector", path.stem), read_only(columns["score"]), metadata["variant_id"])
