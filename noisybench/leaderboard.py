"""The leaderboard: rows, ranks and their uncertainty, from any number of run folders; as text, CSV, JSON, LaTeX.

How runs are averaged, and how sure a mean and a rank are, is said in ``noisybench.resampling``.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from noisybench.agreement import METRICS, Agreement, Kind, Metric, read_agreements
from noisybench.errors import BadData, UnknownName
from noisybench.options import unknown
from noisybench.resampling import Cells, Column, Interval, estimate, mean, rank_sets, weakest
from noisybench.tables import read_columns, read_json

if TYPE_CHECKING:
    from rich.table import Table

FITS = ("test_accuracy", "mislabeled_fit", "clean_fit", "susceptibility")


class Learner(NamedTuple):
    """What was trained, and how; ``setup`` is the digest of every option."""

    model: str
    recipe: str
    setup: str
    epochs: int
    observe: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder.

    Attributes:
        path: The folder.
        column: The labels it was trained on.
        learner: The model, the recipe and their options.
        seed: Of the training.
        n: Training samples.
        finished: Whether its agreements are written; what follows is empty otherwise.
        agreements: Of every detector, control and reference.
        history: Name → value at the end of training, NaN where unknown.
        costs: Detector → (seconds, extra passes over the training set).
    """

    path: Path
    column: Column
    learner: Learner
    seed: int
    n: int
    finished: bool
    agreements: tuple[Agreement, ...]
    history: Mapping[str, float]
    costs: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One detector under one learner. What cannot be computed is NaN, or None where it is a rank.

    Attributes:
        detector: Name of the detector, control or reference.
        kind: Only a ``detector`` has a rank.
        truth: What the scores were held against.
        metric: A key of ``METRICS``.
        mean: Over families, settings, label columns and seeds, in this order.
        low: Lower end of the 95 % interval.
        high: Upper end.
        interval: What was resampled: noise draws, or, where a setting has one draw only, its training seeds; ``none``
            where a setting has a single run.
        rank: 1 is the best of the complete detectors; equal means share a rank.
        rank_low: Best rank in the 95 % confidence set.
        rank_high: Worst rank in it.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        n: Samples of known truth, summed over the label columns.
        complete: Whether there is a value for every label column of any row, in as many seeds as any row has there.
        unfinished: Runs, of all that were given, that have begun and not ended.
        model: Name of the model.
        recipe: Name of the recipe.
        setup: Digest of model, recipe and options.
        observe: When the samples were observed.
        epochs: Of training.
        mislabeled_fit: Share of the mislabeled samples fitted to their given label at the end.
        clean_fit: Share of the other samples fitted at the end.
        seconds: Mean time of the detector a run.
        passes: Mean extra passes over the training set a run.
    """

    detector: str
    kind: Kind
    truth: str
    metric: str
    mean: float
    low: float
    high: float
    interval: Interval
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    seeds: int
    variants: int
    families: int
    n: int
    complete: bool
    unfinished: int
    model: str
    recipe: str
    setup: str
    observe: str
    epochs: int
    mislabeled_fit: float
    clean_fit: float
    seconds: float
    passes: float


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One learner: what its runs are like at the end of training, each as mean and 95 % interval.

    Attributes:
        model: Name of the model.
        recipe: Name of the recipe.
        setup: Digest of model, recipe and options.
        observe: When the samples were observed.
        epochs: Of training.
        test_accuracy: On the clean test set.
        test_accuracy_low: Lower end of the interval, as in each of the next.
        test_accuracy_high: Upper end.
        mislabeled_fit: Memorized share: mislabeled samples fitted to their given label.
        mislabeled_fit_low: Lower end.
        mislabeled_fit_high: Upper end.
        clean_fit: Share of the other samples fitted.
        clean_fit_low: Lower end.
        clean_fit_high: Upper end.
        susceptibility: To random labels.
        susceptibility_low: Lower end.
        susceptibility_high: Upper end.
        interval: As in ``Row``, of what could be computed.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        n: Training samples, summed over the label columns.
        complete: Whether it was run on every label column of any row, with as many seeds.
        unfinished: Runs, of all that were given, that have begun and not ended.
    """

    model: str
    recipe: str
    setup: str
    observe: str
    epochs: int
    test_accuracy: float
    test_accuracy_low: float
    test_accuracy_high: float
    mislabeled_fit: float
    mislabeled_fit_low: float
    mislabeled_fit_high: float
    clean_fit: float
    clean_fit_low: float
    clean_fit_high: float
    susceptibility: float
    susceptibility_low: float
    susceptibility_high: float
    interval: Interval
    seeds: int
    variants: int
    families: int
    n: int
    complete: bool
    unfinished: int


Paths: TypeAlias = str | Path | Iterable[str | Path]
Rows: TypeAlias = Sequence[Row] | Sequence[ModelRow]


# Reading


def read_runs(paths: Paths) -> list[Run]:
    """Every run at or below the folders, each once, those that have begun and not ended included.

    Raises:
        BadData: A folder is missing, no run below them has ended, or a file of a run is broken.
        Mismatch: A run's agreements are of other labels than its own.
    """
    folders = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    for folder in folders:
        if not folder.is_dir():
            msg = f"{folder} is no folder; give folders that hold runs, such as 'runs'"
            raise BadData(msg)
    found = sorted({path.resolve().parent for folder in folders for path in folder.rglob("run.json")})
    runs: dict[tuple[Column, Learner, int], Run] = {}
    for path in found:
        run = _read_run(path)
        key = (run.column, run.learner, run.seed)
        # A copy of a run is no second run.
        if key not in runs or run.finished > runs[key].finished:
            runs[key] = run
    if not any(run.finished for run in runs.values()):
        begun = f" ({len(runs)} begun and not ended)" if runs else ""
        msg = f"no finished run below {', '.join(map(str, folders))}{begun}; 'noisybench evaluate' makes runs"
        raise BadData(msg)
    return list(runs.values())


def _read_run(path: Path) -> Run:
    record = read_json(path / "run.json")
    finished = (path / "agreement.parquet").is_file()
    try:
        setting = [record[key] for key in ("source_options", "limit", "params", "mode")]
        column = Column(
            record["source"], record["noise"], json.dumps(setting, sort_keys=True), str(record["variant_id"])
        )
        learner = Learner(*(record[key] for key in Learner._fields))
        seed, n = int(record["seed"]), int(record["n"])
    except KeyError as error:
        msg = f"{path / 'run.json'} is no record of a run: it lacks {error}; evaluate again"
        raise BadData(msg) from None
    if not finished:
        return Run(path, column, learner, seed, n, finished, (), {}, {})
    timing = read_json(path / "timing.json") if (path / "timing.json").is_file() else {}
    costs = {
        name: (_number(cost.get("seconds")), _number(cost.get("passes")))
        for name, cost in timing.get("detectors", {}).items()
    }
    columns, _ = read_columns(path / "history.parquet")
    history = {name: float(columns[name][-1]) for name in FITS if name in columns and len(columns[name])}
    agreements = tuple(read_agreements(path / "agreement.parquet", column.variant_id))
    return Run(path, column, learner, seed, n, finished, agreements, history, costs)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


# Rows


def leaderboard(runs: Sequence[Run] | Paths, *, truth: str = "mislabeled", metric: str = "auroc") -> list[Row]:
    """One row per detector and learner: ranked detectors, incomplete ones, controls, references, each best first.

    Args:
        runs: Runs, or folders above them.
        truth: What the scores were held against.
        metric: A key of ``METRICS``.

    Raises:
        UnknownName: No run was held against that truth, or by that metric.
        BadData: There is no finished run, or a file is broken.
    """
    ended, unfinished = _finished(runs)
    asked = [agreement for run in ended for agreement in run.agreements if agreement.truth == truth]
    if not asked:
        truths = sorted({agreement.truth for run in ended for agreement in run.agreements})
        raise UnknownName(unknown(truth, tuple(truths), "truth"))
    measures = {agreement.metric for agreement in asked}
    if metric not in measures:
        raise UnknownName(unknown(metric, tuple(sorted(measures)), "metric"))
    about = METRICS.get(metric, Metric(metric, METRICS["auroc"].compute))
    groups: dict[tuple[str, Kind, Learner], dict[tuple[Column, int], tuple[Run, Agreement]]] = {}
    for run in ended:
        for agreement in run.agreements:
            if (agreement.truth, agreement.metric) == (truth, metric):
                key = (agreement.detector, agreement.kind, run.learner)
                groups.setdefault(key, {})[run.column, run.seed] = (run, agreement)
    cells = [_cells((run, held.value) for run, held in group.values()) for group in groups.values()]
    complete = _complete(cells)
    contenders = [
        i for i, (_, kind, _) in enumerate(groups) if kind == "detector" and complete[i] and len(cells[i]) > 0
    ]
    ranks = dict(
        zip(contenders, rank_sets([cells[i] for i in contenders], higher_is_better=about.higher_is_better), strict=True)
    )
    rows = []
    for i, ((detector, kind, learner), group) in enumerate(groups.items()):
        middle, low, high, interval = estimate(cells[i], about.bounds)
        rank, rank_low, rank_high = ranks.get(i, (None, None, None))
        members = [run for run, _ in group.values()]
        costs = [run.costs.get(detector, (math.nan, math.nan)) for run in members]
        rows.append(
            Row(
                detector=detector,
                kind=kind,
                truth=truth,
                metric=metric,
                mean=middle,
                low=low,
                high=high,
                interval=interval,
                rank=rank,
                rank_low=rank_low,
                rank_high=rank_high,
                **_counts(members),
                n=sum({run.column: held.n for run, held in group.values()}.values()),
                complete=complete[i],
                unfinished=unfinished,
                **learner._asdict(),
                mislabeled_fit=mean(_history(members, "mislabeled_fit")),
                clean_fit=mean(_history(members, "clean_fit")),
                seconds=mean(_cells(zip(members, (seconds for seconds, _ in costs), strict=True))),
                passes=mean(_cells(zip(members, (passes for _, passes in costs), strict=True))),
            )
        )
    return sorted(rows, key=lambda row: _order(row, higher_is_better=about.higher_is_better))


def model_rows(runs: Sequence[Run] | Paths) -> list[ModelRow]:
    """One row per learner, in the order of model, recipe and setup.

    Args:
        runs: Runs, or folders above them.

    Raises:
        BadData: There is no finished run, or a file is broken.
    """
    ended, unfinished = _finished(runs)
    groups: dict[Learner, list[Run]] = {}
    for run in ended:
        groups.setdefault(run.learner, []).append(run)
    complete = _complete([_cells((run, 0.0) for run in members) for members in groups.values()])
    rows = []
    for whole, (learner, members) in zip(complete, groups.items(), strict=True):
        values: dict[str, Any] = {}
        intervals: set[Interval] = set()
        for name in FITS:
            bounds = (-math.inf, math.inf) if name == "susceptibility" else (0.0, 1.0)
            values[name], values[f"{name}_low"], values[f"{name}_high"], interval = estimate(
                _history(members, name), bounds
            )
            if not math.isnan(values[name]):
                intervals.add(interval)
        rows.append(
            ModelRow(
                **learner._asdict(),
                **values,
                interval=weakest(intervals),
                **_counts(members),
                n=sum({run.column: run.n for run in members}.values()),
                complete=whole,
                unfinished=unfinished,
            )
        )
    return sorted(rows, key=lambda row: (row.model, row.recipe, row.setup))


def _finished(runs: Sequence[Run] | Paths) -> tuple[list[Run], int]:
    given: list[Any] = [runs] if isinstance(runs, str | Path) else list(runs)
    known = given if given and all(isinstance(run, Run) for run in given) else read_runs(given)
    ended = sorted((run for run in known if run.finished), key=lambda run: (run.learner, run.column, run.seed))
    return ended, len(known) - len(ended)


def _counts(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "seeds": len({run.seed for run in runs}),
        "variants": len({run.column.variant_id for run in runs}),
        "families": len({run.column[:2] for run in runs}),
    }


def _order(row: Row, *, higher_is_better: bool) -> tuple[int, bool, bool, float, str, str]:
    worse = -row.mean if higher_is_better else row.mean
    kind = ("detector", "control", "reference").index(row.kind)
    missing = math.isnan(row.mean)
    return (kind, not row.complete, missing, 0.0 if missing else worse, row.detector, row.setup)


def _cells(values: Iterable[tuple[Run, float]]) -> Cells:
    cells: dict[Column, list[float]] = {}
    for run, value in values:
        if math.isfinite(value):
            cells.setdefault(run.column, []).append(value)
    return cells


def _history(runs: Iterable[Run], name: str) -> Cells:
    return _cells((run, run.history.get(name, math.nan)) for run in runs)


def _complete(rows: Sequence[Cells]) -> list[bool]:
    needed: dict[Column, int] = {}
    for cells in rows:
        for column, values in cells.items():
            needed[column] = max(needed.get(column, 0), len(values))
    return [{column: len(values) for column, values in cells.items()} == needed for cells in rows]


# Forms


def caption(rows: Rows) -> str:
    """One or two sentences: what the table holds, what its intervals cover, and what is missing."""
    if not rows:
        return "No rows."
    first = rows[0]
    ranked = [row for row in rows if not isinstance(row, Row) or row.rank is not None] or list(rows)
    covers = {
        "draws": "95 % intervals cover new noise draws and training seeds",
        "seeds": "95 % intervals cover new training seeds only, as some setting has one noise draw",
        "none": "no intervals, as some setting has a single run",
    }[weakest({row.interval for row in ranked})]
    if isinstance(first, Row):
        what = f"{_title(first)} against '{first.truth}', mean over noise families"
        covers += "; behind a rank stands its 95 % confidence set"
    else:
        what = "Runs at the end of training, mean over noise families"
    incomplete = sum(not row.complete for row in rows)
    missing = [f"{first.unfinished} unfinished run{'s' * (first.unfinished != 1)} left out"] if first.unfinished else []
    if incomplete:
        rest = ", unranked" if isinstance(first, Row) else ""
        missing.append(f"{incomplete} incomplete row{'s' * (incomplete != 1)}{rest}")
    return f"{what}; {covers}." + (f" {'; '.join(missing).capitalize()}." if missing else "")


def to_records(rows: Rows) -> list[dict[str, Any]]:
    """Every field of every row, NaN as None: for JSON, pandas and others."""
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(row).items()}
        for row in rows
    ]


def to_json(rows: Rows) -> str:
    """A JSON list of ``to_records``."""
    return json.dumps(to_records(rows), indent=2, ensure_ascii=False, allow_nan=False)


def to_csv(rows: Rows) -> str:
    """CSV with every field; NaN and None are empty."""
    text = io.StringIO()
    names = [field.name for field in fields(rows[0])] if rows else []
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(to_records(rows))
    return text.getvalue()


def to_markdown(rows: Rows) -> str:
    """A Markdown table for people, under its caption."""
    header, body = _cells_of(rows)
    lines = [header, ["---"] * len(header), *body]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"{caption(rows)}\n\n{table}\n"


def to_latex(rows: Rows) -> str:
    r"""A LaTeX table for people; needs ``\usepackage{booktabs}``."""
    header, body = _cells_of(rows)
    lines = [" & ".join(_latex(cell) for cell in line) + r" \\" for line in (header, *body)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex(caption(rows))}}}",
            rf"\begin{{tabular}}{{{'l' * len(header)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_table(rows: Rows) -> "Table":
    """A table for the terminal, with its caption, where what is alike in all rows is said once to save width."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    header, body = _cells_of(rows)
    own = ("rank", "detector", header[2])
    alike = [
        name
        for name, *cells in zip(header, *body, strict=True)
        if len(rows) > 1 and len(set(cells)) == 1 and name not in own and isinstance(rows[0], Row)
    ]
    said = "; ".join(f"{name} {body[0][header.index(name)]}" for name in alike)
    words = f"{caption(rows)} In all rows: {said}." if alike else caption(rows)
    # Text, since a name may look like rich's markup
    table = Table(caption=Text(words), caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = [position for position, name in enumerate(header) if name not in alike]
    for position in shown:
        table.add_column(Text(header[position]), no_wrap=header[position] in own, overflow="fold")
    for line in body:
        table.add_row(*(Text(line[position]) for position in shown))
    return table


def _cells_of(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the columns for people, alike in every form."""
    setups = {(row.model, row.recipe, row.epochs, row.observe): row.setup for row in rows}
    same = all(setups[row.model, row.recipe, row.epochs, row.observe] == row.setup for row in rows)

    def recipe(row: Row | ModelRow) -> str:
        words = f"{row.recipe}, {row.epochs} epochs" + ("" if row.observe == "after" else f", observed {row.observe}")
        return words if same else f"{words}, {row.setup[:8]}"

    def runs(row: Row | ModelRow) -> str:
        return f"{row.variants} × {row.seeds}" + ("" if row.complete else ", incomplete")

    shape: dict[str, Callable[[Any], str]]
    first = rows[0] if rows else None
    if isinstance(first, ModelRow):
        shape = {
            "model": lambda row: row.model,
            "recipe": recipe,
            "test accuracy": lambda row: _span(row, "test_accuracy"),
            "memorized share": lambda row: _span(row, "mislabeled_fit"),
            "clean share fitted": lambda row: _span(row, "clean_fit"),
            "susceptibility": lambda row: _span(row, "susceptibility"),
            "variants × seeds": runs,
        }
    else:
        title = "agreement" if first is None else _title(first)
        shape = {
            "rank": _rank,
            "detector": lambda row: row.detector,
            title: lambda row: _span(row, "mean", "low", "high"),
            "model": lambda row: row.model,
            "recipe": recipe,
            "memorized / clean fitted": lambda row: f"{_short(row.mislabeled_fit)} / {_short(row.clean_fit)}",
            "seconds": lambda row: _short(row.seconds),
            "extra passes": lambda row: "–" if math.isnan(row.passes) else f"{row.passes:g}",
            "variants × seeds": runs,
        }
    return list(shape), [[cell(row) for cell in shape.values()] for row in rows]


def _title(row: Row) -> str:
    return METRICS[row.metric].title if row.metric in METRICS else row.metric


def _rank(row: Row) -> str:
    if row.rank is None:
        return row.kind if row.kind != "detector" else "incomplete" if not row.complete else "–"
    return f"{row.rank} [{row.rank_low}, {row.rank_high}]"


def _span(row: Row | ModelRow, name: str, low: str = "", high: str = "") -> str:
    mean, *ends = (getattr(row, field) for field in (name, low or f"{name}_low", high or f"{name}_high"))
    return _digits(mean) if any(map(math.isnan, ends)) else f"{_digits(mean)} [{', '.join(map(_digits, ends))}]"


def _digits(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"  # noqa: PLR2004 - else 0.000


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _latex(text: str) -> str:
    special: dict[str, str | int | None] = {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "×": r"$\times$",
        "–": "--",
    }
    return text.translate(str.maketrans(special))
