"""The agreement grid: how the answers of a model and a label are compared, and when they are averaged.

Many detectors are one choice each of an agreement of answer and label, of a way to aggregate it over epochs or models, and
of who is asked: the model that was trained on the sample, or models that were not. Every combination that finished runs
leave enough for is held against the mislabeled mask.

Source: Pickler, Kamassury and Silva 2025, arXiv:2510.16211.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.board.admission import admit
from noisybench.board.averages import cells_of, counts_of
from noisybench.board.rendering import markdown
from noisybench.ground.arrays import Floats, Labels
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.lookup import find
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Paths, Run, finished_and_begun, leave_out
from noisybench.runs.record import Setup
from noisybench.statistics.column_means import Interval, estimate, weakest
from noisybench.statistics.metric import Metric, estimates
from noisybench.studies.study import csv_of, json_of, plain
from noisybench.training.trace import Trace, read_trace
from noisybench.variants.variant import Variant

WhoAnswers = Literal["in-sample", "held-out"]
Aggregation = Literal["mean of agreements", "agreement of the mean", "last"]
LabelAgreement = Literal["0/1", "probability", "probability margin", "log margin", "cross-entropy"]
CELLS: tuple[tuple[Aggregation, LabelAgreement], ...] = tuple(
    (aggregation, agreement) for aggregation in get_args(Aggregation) for agreement in get_args(LabelAgreement)
)
"""Every combination of aggregation and agreement."""
SHOWN = {"auroc": "AUROC", "false_negative_rate": "FNR at the noise rate"}
"""Metrics of the table → their titles."""
LEAST = float(np.finfo(np.float32).smallest_subnormal)
"""Least probability above 0 that a trace can hold: its logarithm stands for that of 0."""
HEADER = ("model", "recipe", "asked", "aggregation", "agreement", *SHOWN.values(), "runs")

Suspicions = Mapping[tuple[Aggregation, LabelAgreement], "Floats | str"]
"""Cell → suspicion of each sample, shape (n,), or why it cannot be computed."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One cell of the grid, of one learner: mean and 95 % interval over its runs.

    Attributes:
        learner: What was trained, and how.
        setup: Digest of model, recipe and every option.
        asked: Whether the model that answers was trained on the sample.
        aggregation: What is averaged over epochs (in-sample) or models (held-out); ``last`` is the last epoch alone.
        agreement: How an answer and the label are compared.
        auroc: Chance that a wrong label stands above a right one.
        auroc_low: Lower end of the interval.
        auroc_high: Upper end.
        false_negative_rate: Share of the wrong labels that are not flagged when as many are flagged as are wrong.
        false_negative_rate_low: Lower end.
        false_negative_rate_high: Upper end.
        interval: What was resampled for the intervals, see ``Row``.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        runs: Runs that could be asked.
        reason: Why there is no value; empty where there is one.
    """

    learner: Learner
    setup: str
    asked: WhoAnswers
    aggregation: Aggregation
    agreement: LabelAgreement
    auroc: float
    auroc_low: float
    auroc_high: float
    false_negative_rate: float
    false_negative_rate_low: float
    false_negative_rate_high: float
    interval: Interval
    seeds: int
    variants: int
    families: int
    runs: int
    reason: str


@dataclass(frozen=True, repr=False)
class AgreementGrid:
    """The grid of every learner, in the order of the grid.

    Attributes:
        rows: One a cell.
    """

    rows: tuple[GridRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[GridRow]:
        return iter(self.rows)

    def __getitem__(self, line: int) -> GridRow:
        return self.rows[line]

    def __repr__(self) -> str:
        return f"<AgreementGrid: {len(self.rows)} cells>"

    @property
    def caption(self) -> str:
        """What the table holds, and why cells are empty."""
        told = {row.interval for row in self.rows if not row.reason} - {"none"}
        over = {"draws": "noise draws", "seeds": "training seeds"}.get(weakest(told))
        words = f"Means over runs, with 95 % intervals over {over}." if over else "Means over runs, without intervals."
        words += (
            " FNR: share of the wrong labels that are missed when as many are flagged as are wrong. In-sample answers are "
            "aggregated over epochs, held-out ones over models."
        )
        reasons: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            if row.reason:
                reasons.setdefault((row.asked, row.reason), []).append(f"{row.aggregation}, {row.agreement}")
        for (asked, reason), cells in reasons.items():
            words += f" –, {asked}: {reason} ({len(dict.fromkeys(cells))} cells)."
        learners = [row.learner for row in self.rows]
        both = {row.asked for row in self.rows} == {*get_args(WhoAnswers)}
        if both and not all(learner.is_same_training(learners[0]) for learner in learners):
            words += " Not all were trained alike: rows of other recipes or epochs differ by more than who is asked."
        missing = {*get_args(WhoAnswers)} - {row.asked for row in self.rows}
        for asked in sorted(missing):
            how = "'noisybench memorize VARIANT --pool detector'" if asked == "held-out" else "'noisybench evaluate'"
            words += f" No {asked} answers: none of the runs left any; {how} makes such a run."
        return words

    def lines(self) -> list[tuple[str, ...]]:
        """Cells for people, under ``HEADER``; a recipe with its digest, where others of its name stand beside it."""
        setups: dict[tuple[str, str, str], set[str]] = {}
        recipes = [", ".join(filter(None, (row.learner.recipe, row.learner.objective))) for row in self.rows]
        for row, recipe in zip(self.rows, recipes, strict=True):
            setups.setdefault((row.learner.model, recipe, row.asked), set()).add(row.setup)
        return [
            (
                row.learner.model,
                f"{recipe}, {row.setup[:8]}" if len(setups[row.learner.model, recipe, row.asked]) > 1 else recipe,
                row.asked,
                row.aggregation,
                row.agreement,
                *(_span(row, metric) for metric in SHOWN),
                str(row.runs),
            )
            for row, recipe in zip(self.rows, recipes, strict=True)
        ]

    def to_records(self) -> list[dict[str, Any]]:
        """Every field of every row, NaN as None."""
        records = []
        for row in self.rows:
            learner = row.learner
            told = {"model": learner.model, "recipe": learner.recipe, "epochs": learner.epochs}
            told |= {"objective": learner.objective or "cross_entropy"}
            told |= {name: value for name, value in asdict(row).items() if name != "learner"}
            records.append(plain(told))
        return records

    def to_markdown(self) -> str:
        """A Markdown table for people, under its caption."""
        return f"{self.caption}\n\n{markdown(HEADER, self.lines())}"

    def to_csv(self) -> str:
        """CSV with every field; None is empty."""
        return csv_of(self.to_records())

    def to_json(self) -> str:
        """A JSON list of ``to_records``."""
        return json_of(self.to_records())


def agreement_grid(runs: Sequence[Run] | Paths) -> AgreementGrid:
    """Every agreement and aggregation, in-sample from trainings and held-out from detector pools, against wrong labels.

    Samples of unknown truth are left out, and so are runs whose labels hold no wrong or no right one.

    Args:
        runs: Runs, or folders above them.

    Raises:
        BadData: No finished training or pool has labels whose truth is known, or a file is broken.
        Mismatch: A trace is of other labels than its run.
    """
    ended = [run for run in finished_and_begun(runs)[0] if run.setup.regime in READERS]
    admitted, truths = admit(ended) if ended else ([], {})
    groups: dict[Setup, list[Run]] = {}
    judged: dict[tuple[Setup, Aggregation, LabelAgreement], list[tuple[Run, Mapping[str, float] | str]]] = {}
    for run in admitted:
        variant = truths[run.home].variant
        if not (variant.known & variant.mislabeled).any() or not (variant.known & ~variant.mislabeled).any():
            leave_out(f"{run.path}: its labels have no truth that tells wrong from right ones")
            continue
        groups.setdefault(run.setup, []).append(run)
        for (aggregation, agreement), found in _answers(run, variant).items():
            cell = judged.setdefault((run.setup, aggregation, agreement), [])
            cell.append((run, found if isinstance(found, str) else _judge(found, variant)))
    if not groups:
        msg = (
            "no finished training or detector pool below these folders has labels whose truth is known; the grid needs a "
            "variant whose wrong labels are known, such as 'noisybench build digits symmetric' makes"
        )
        raise BadData(msg)
    order = sorted(groups, key=lambda setup: list(READERS).index(setup.regime))
    return AgreementGrid(tuple(_row(setup, cell, judged[(setup, *cell)]) for setup in order for cell in CELLS))


def _answers(run: Run, variant: Variant) -> Suspicions:
    """Suspicions of a run by every cell.

    Raises:
        Mismatch: Its trace is of other labels.
    """
    trace = read_trace(run.path / "trace")
    if trace.variant_id != variant.provenance.variant_id:
        msg = f"{run.path / 'trace'} is of other labels than the variant beside it; evaluate again"
        raise Mismatch(msg)
    return READERS[run.setup.regime][1](trace, variant.labels)


def in_sample(trace: Trace, labels: Labels) -> Suspicions:
    """Suspicions by the model that was trained on the samples: columns of (e, n) and (1, n, k) → cells of (n,)."""
    found: dict[tuple[Aggregation, LabelAgreement], Floats | str] = {}
    lacking = [name for name in ("loss", "margin", "correct") if name not in trace.columns]
    if lacking:
        reason = f"the trace has no '{lacking[0]}', which 'evaluate --detectors fast' observes"
        found |= {cell: reason for cell in CELLS if cell[0] != "agreement of the mean"}
    else:
        loss, margin, correct = (trace[name] for name in ("loss", "margin", "correct"))
        sums = {agreement: np.zeros(len(labels)) for agreement in get_args(LabelAgreement)}
        last: Mapping[LabelAgreement, Floats] = {}
        for losses, margins, right in zip(loss, margin, correct, strict=True):
            last = _suspicions(-losses.astype(np.float64), -(losses.astype(np.float64) + margins), right > 0)
            for agreement, values in last.items():
                sums[agreement] += values
        found |= {("mean of agreements", agreement): values / len(loss) for agreement, values in sums.items()}
        found |= {("last", agreement): values for agreement, values in last.items()}
    means = trace["mean_probabilities"][-1] if "mean_probabilities" in trace.columns else None
    if means is None:
        reason = "the trace has no 'mean_probabilities', which 'evaluate --detectors mean_probability_margin' observes"
        found |= {cell: reason for cell in CELLS if cell[0] == "agreement of the mean"}
    else:
        found |= _of_mean(means, labels)
    return {cell: found[cell] for cell in CELLS}


def held_out(trace: Trace, labels: Labels) -> Suspicions:
    """Suspicions by models that did not see the sample: columns of (1, n, k) → cells of (n,)."""
    found: dict[tuple[Aggregation, LabelAgreement], Floats | str] = {}
    for cell in CELLS:
        alone = "a pool keeps the mean of its models' probabilities, not those of each"
        found[cell] = "models of a pool are asked once, after their last epoch" if cell[0] == "last" else alone
    here = np.arange(len(labels))
    means = trace["held_out.probabilities"][-1]
    found |= _of_mean(means, labels)
    found["mean of agreements", "0/1"] = 1 - trace["held_out.votes"][-1][here, labels].astype(np.float64)
    found["mean of agreements", "probability"] = found["agreement of the mean", "probability"]  # a mean of either
    return found


READERS: Mapping[str, tuple[WhoAnswers, Callable[[Trace, Labels], Suspicions]]] = {
    "training": ("in-sample", in_sample),
    "pool": ("held-out", held_out),
}
"""Regime of a run → who is asked there, and how its answers are read."""


def _of_mean(means: NDArray[np.float32], labels: Labels) -> Mapping[tuple[Aggregation, LabelAgreement], Floats]:
    """Suspicions by probabilities that are means already, shape (n, k)."""
    here = np.arange(len(labels))
    own = means[here, labels].astype(np.float64)
    right = means.argmax(1) == labels
    others = means.copy()
    others[here, labels] = 0
    other = others.max(1).astype(np.float64)
    suspicions = _suspicions(np.log(own.clip(LEAST)), np.log(other.clip(LEAST)), right)
    return {("agreement of the mean", agreement): values for agreement, values in suspicions.items()}


def _suspicions(own: Floats, other: Floats, right: NDArray[np.bool_]) -> Mapping[LabelAgreement, Floats]:
    """Minus each agreement of log probabilities of the label, of the best other class, and whether the label leads."""
    return {
        "0/1": 1 - right.astype(np.float64),
        "probability": -np.exp(own),
        "probability margin": np.exp(other) - np.exp(own),
        "log margin": other - own,
        "cross-entropy": -own,
    }


def _judge(suspicion: Floats, variant: Variant) -> Mapping[str, float]:
    """Value of each metric over the samples whose truth is known."""
    known = variant.known
    values, wrong, given = suspicion[known], variant.mislabeled[known], variant.labels[known]
    return {name: found.value for name, found in estimates(_metrics(), values, wrong, given).items()}


def _metrics() -> dict[str, Metric]:
    return {name: find("metrics", name) for name in SHOWN}


def _row(
    setup: Setup,
    cell: tuple[Aggregation, LabelAgreement],
    judged: Sequence[tuple[Run, Mapping[str, float] | str]],
) -> GridRow:
    """One cell of one learner."""
    values = [(run, found) for run, found in judged if not isinstance(found, str)]
    told: dict[str, Any] = {}
    intervals: set[Interval] = set()
    for name, metric in _metrics().items():
        cells = cells_of((run, found[name]) for run, found in values)
        told[name], told[f"{name}_low"], told[f"{name}_high"], interval = estimate(cells, metric.bounds)
        intervals.add(interval)
    return GridRow(
        learner=setup.learner,
        setup=setup.setup,
        asked=READERS[setup.regime][0],
        aggregation=cell[0],
        agreement=cell[1],
        **told,
        interval=weakest(intervals),
        **counts_of([run for run, _ in values]),
        runs=len(values),
        reason="" if values else next(found for _, found in judged if isinstance(found, str)),
    )


def _span(row: GridRow, metric: str) -> str:
    mean, *ends = (getattr(row, f"{metric}{end}") for end in ("", "_low", "_high"))
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f}" if any(map(math.isnan, ends)) else f"{mean:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"
