"""The data of the leaderboard's page: columns of plain JSON, from which its table and its charts are drawn.

What the page reads as ``page.data``. *Columns* is an object of lists of one length; a position in one list is a position
in the others, and a number that is called ``entry``, ``learner``, ``run``, ``source``, ``noise``, ``rate``, ``class`` or
``truth_learner`` is such a position in the columns or list of that name (-1: none). What cannot be computed is null.
Values, shares and correlations are rounded to four digits, whole *thousandths* stand for shares where it says so. Names
are text of strangers: a page sets them as text alone.

``format``
    1, raised with every change that older scripts cannot read.
``version``, ``about``
    Version of noisybench that made the page. Columns ``term``, ``words``: what the page is of.
``words``
    Key → one sentence: ``mislabeled_fit``, ``clean_fit``, ``susceptibility``, ``memorization``, ``intervals``, ``ranks``.
``sources``, ``noises``, ``rates``
    Names for the filters. Columns ``name``, ``samples``; list of families of noise; list of rates in words, in order.
``slices``
    Columns ``source``, ``noise``, ``rate`` (-1: all of them), ``table``: what the filters choose, every combination that
    holds a label column. Combinations of the same label columns have the same table. The first is of everything.
``learners``
    Columns ``model``, ``recipe``, ``epochs``, ``objective`` (in words; empty where all minimised cross-entropy),
    ``features``, ``regime``, ``observe``, ``setup`` (digest), ``words``, ``options`` (a text), ``command``, ``versions``.
    What was trained, and how.
``entries``
    Columns ``detector``, ``kind`` (detector, control, reference), ``learner`` (-1 of references), ``family`` (what its
    scores come from, in words), ``information`` (list of keys), ``made_with`` (the same in words), ``block`` (empty,
    ``pretrained``, ``knows_truth``), ``set`` (fast, standard, all, or empty), ``aliases`` (a text), ``origin``, ``code``
    (digest), ``asked`` (what follows the learner's command). A contestant, which has a row in some tables.
``runs``
    Columns ``learner``, ``source``, ``noise``, ``rate``, ``seed``, ``draw`` (seed of the noise), ``variant`` (12 digits),
    ``path`` (below the folders given), ``samples``, ``test_accuracy``, ``train_accuracy``, ``mislabeled_fit``,
    ``clean_fit``, ``susceptibility``: at the end of training, null where a run trains nothing.
``views``
    List of objects, one for each truth that there is and metric: ``key`` (text for the address), ``truth``, ``metric``,
    ``stratum``, ``title`` (of the truth), ``metric_title``, ``words`` (a sentence),
    ``bounds`` (two numbers, null where there is none), ``higher`` (whether higher is better), ``truth_learners`` (names),
    ``tables`` (list, as ``slices.table`` counts).
``views[].tables[]``
    ``caption`` (a text), ``draws`` (label columns), ``seeds``, ``runs`` (counts), ``chance`` (a number or null), and
    ``rows``: columns ``entry``, ``source``
    (-1 where all are pooled), ``mean``, ``low``, ``high``, ``interval`` (what it covers), ``rank``, ``rank_low``,
    ``rank_high``, ``surely_worse`` and ``equivalent`` (to the best), ``truth_learner``, ``matched`` (true, false, null), ``seeds``, ``variants``, ``n``, ``complete``,
    ``mislabeled_fit``, ``clean_fit``, ``susceptibility``, ``seconds``, ``passes``. Best first, references last.
``curves``
    Columns ``run``, ``epoch`` (list of at most 64), ``mislabeled_fit``, ``clean_fit``, ``test_accuracy``,
    ``train_accuracy`` (lists of thousandths as long), ``susceptibility`` (list of numbers). Of at most 1,000 runs.
``grids``
    ``false_alarms``, ``recall``: where ROC and PR curves are read, 64 numbers each, the first denser near 0. ``bins``:
    bars of a histogram. ``cells``: cells along each axis of a map.
``details``
    Columns, one position for each scored run that was looked at (at most 2,000; ``words.details`` says which): ``entry``,
    ``run``, ``low``, ``high`` (ends of the histogram; the outermost bars hold what lies beyond), ``wrong``, ``right``
    (bars: counts of wrong and of right labels), ``roc`` (share of wrong labels found, thousandths, at each of
    ``grids.false_alarms``), ``precision`` (thousandths at each of ``grids.recall``), ``auroc``, ``classes`` (list of
    positions in ``class_names[variant]``), ``class_auroc`` (thousandths), ``class_wrong``, ``class_samples``.
``memorization``
    Columns ``entry``, ``run``, ``truth_learner`` (a name), ``spearman``, ``low``, ``high`` (of memorization, ends of the
    horizontal axis), ``cells``: flat list of (cell, right labels, wrong labels, labels of unknown truth); a cell is
    ``row * grids.cells + column``, the column counts memorization from low to high, the row the rank of suspicion from
    least to most. Of the runs of ``details`` whose labels' memorization was measured, at most
    500.
``class_names``
    Variant (12 digits) → names of its classes, of those in ``details``.

Charts are drawn by functions of ``charts_*.js``, which puts them in ``page.charts`` by name: ``page.charts.intervals =
(figure, data, state) => …``. A figure holds an empty ``<div class="plot">`` below its ``figcaption``, and is hidden where
the function returns false: there is nothing to draw. A function is called again with every change of ``state``, of the
colours and of the width, and draws what it drew before anew. ``state`` holds

``view``, ``table``
    Positions in ``views`` and in its ``tables``: what is chosen.
``rows``, ``shown``
    ``views[view].tables[table].rows``, and the positions in it that the filters leave, in the order of the table.
``source``, ``noise``, ``rate``, ``learner``
    What the filters choose; -1 is all.
``entry``, ``detail``, ``map``
    The row that is open, or in a figure of a row's details its own: positions in ``entries``, ``details`` and
    ``memorization``; -1 is none.
``open(entry)``
    A function that opens the details of a contestant, as a click on a mark does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.board.admission import admit, tell_left_out
from noisybench.board.agreement import Agreement
from noisybench.board.averages import history_of
from noisybench.board.captions import caption
from noisybench.board.detector_table import KnownOfLabels, Row, about_metric, rows_of_agreements
from noisybench.board.judging import judge_all
from noisybench.board.page_details import GRIDS, chosen, class_names_of, curves_of, details_of, histories_of, maps_of
from noisybench.board.page_entries import NONE, Book, PageColumns, rounded
from noisybench.board.page_words import WORDS, about_page, truth_title, view_words
from noisybench.board.sample_influences import sample_evidence
from noisybench.board.subject import wrong_shares_of
from noisybench.board.truths import MEMORIZATION, MISLABELED, Asked, Truths, check_asked
from noisybench.ground.text import cell
from noisybench.ground.version import __version__
from noisybench.runs.reading import Paths, Run, finished_and_begun, leave_out_all
from noisybench.statistics.column_means import mean
from noisybench.statistics.metric import metrics_of

FORMAT = 1
"""Number of the schema above."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Agreement of runs with one truth, by one metric: a view."""

    asked: Asked
    agreements: Mapping[Path, Sequence[Agreement]]


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What is the same in all views.

    Attributes:
        book: Names and positions.
        members: Positions of the runs of each table.
        begun: Runs that have begun and not ended.
        truths: Folder of a variant's runs → its truths.
    """

    book: Book
    members: Sequence[Sequence[int]]
    begun: Sequence[Run]
    truths: Mapping[Path, Truths]


def page_data(runs: Sequence[Run] | Paths, *, metric: str | None = None) -> dict[str, Any]:
    """The data of the page of some runs, see above.

    Args:
        runs: Runs, or folders above them.
        metric: By what wrong labels and marks are ranked, one that compares with a mask; None takes the AUROC.

    Raises:
        UnknownName: There is no such metric.
        BadData: There is no finished run, or a file is broken.
        Mismatch: Scores or a memorization are of other labels than their run.
    """
    ended, begun = finished_and_begun(runs)
    ended, truths = admit(ended, memorization=True)
    judged = _judge(ended, truths, metric)
    histories = histories_of(ended)
    book = Book(ended, {path: one["train_accuracy"] for path, one in histories.items() if "train_accuracy" in one})
    slices, members = book.slices()
    shown = _Shown(book, members, begun, truths)
    views = [_view(one, shown) for one in judged]
    some, which = chosen(book)
    return {
        "format": FORMAT,
        "version": __version__,
        "about": about_page(ended, begun, wrong_shares_of(one.variant for one in truths.values())),
        "words": {**WORDS, "details": which},
        "sources": book.sources,
        "noises": book.noises,
        "rates": book.rates,
        "slices": slices,
        "learners": book.learners(),
        "entries": book.entries(),
        "runs": book.run_columns(),
        "views": views,
        "curves": curves_of(book, histories),
        "grids": GRIDS,
        "details": details_of(book, truths, some),
        "memorization": maps_of(book, truths, some),
        "class_names": class_names_of(truths, some),
    }


def _judge(runs: Sequence[Run], truths: Mapping[Path, Truths], metric: str | None) -> list[_Judged]:
    """Agreement of every run with every truth that there is, in the order of the views."""
    there = list(truths.values())
    names = dict.fromkeys(name for one in there for name in one.names)
    order = [
        MISLABELED,
        *([MEMORIZATION] if MEMORIZATION in names else []),
        *sorted({*names} - {MISLABELED, MEMORIZATION}),
    ]
    of_marks = metric if metric in metrics_of("mislabeled") else None
    own = {truth: metric if truth == MISLABELED else None if truth == MEMORIZATION else of_marks for truth in order}
    wanted = [check_asked(truth, own[truth], "all", there) for truth in order]
    suggested = check_asked(MISLABELED, "suggestion_accuracy", "all", there)
    wanted += [suggested] if suggested not in wanted else []
    judged: list[_Judged] = []
    for asked in wanted:
        found, faults = judge_all(runs, truths, asked)
        if not judged:
            tell_left_out(faults, any_left=bool(found))
        else:  # the page is no worse for a further view that some runs, or all, are not in
            leave_out_all(map(str, faults))
        if any(one.n for agreements in found.values() for one in agreements) or not judged:
            judged.append(_Judged(asked, found))
    return judged


def _view(judged: _Judged, shown: _Shown) -> dict[str, Any]:
    """One truth and metric: a table for each choice of the filters."""
    book, truths = shown.book, shown.truths
    variants = [one.variant for one in truths.values()]
    labels = KnownOfLabels(
        {variant.provenance.variant_id: variant.class_names for variant in variants}, wrong_shares_of(variants)
    )
    asked = judged.asked
    about, evidence = about_metric(asked.metric), sample_evidence(truths, asked)
    whose: dict[str, int] = {}
    tables = []
    for some in shown.members:
        runs = [book.runs[at] for at in some]
        runs = [run for run in runs if run.path in judged.agreements]
        rows = rows_of_agreements(judged.agreements, runs, shown.begun, asked, labels=labels, evidence=evidence)
        rows = [row for row in rows if math.isfinite(row.mean) or row.kind != "reference"]
        share = _share(runs, truths, asked.truth)
        tables.append(
            {
                "caption": caption(rows),
                "runs": len(runs),
                "draws": len({run.column for run in runs}),
                "seeds": len({run.seed for run in runs}),
                "chance": rounded(about.chance_at(share)),
                "rows": _row_columns(rows, runs, book, whose),
            }
        )
    return {
        "key": "-".join([asked.truth, asked.metric, *([] if asked.stratum == "all" else [asked.stratum])]),
        "truth": cell(asked.truth),
        "metric": asked.metric,
        "stratum": asked.stratum,
        "title": cell(truth_title(asked.truth, asked.metric, asked.stratum)),
        "metric_title": about.title,
        "words": cell(view_words(asked.truth, asked.metric)),
        "bounds": [rounded(end) for end in about.bounds],
        "higher": about.higher_is_better,
        "truth_learners": [cell(name) for name in whose],
        "tables": tables,
    }


def _row_columns(rows: Sequence[Row], runs: Sequence[Run], book: Book, whose: dict[str, int]) -> PageColumns:
    """The columns of a table's rows; ``whose`` gathers the learners of truths."""
    by_setup: dict[str, list[Run]] = {}
    for run in runs:
        by_setup.setdefault(run.setup.setup, []).append(run)
    columns: PageColumns = {name: [] for name in _ROW_COLUMNS}
    for row in rows:
        learner = row.truth_learner
        said = {
            **{name: getattr(row, name) for name in _AS_THEY_ARE},
            **{name: rounded(getattr(row, name)) for name in _NUMBERS},
            "entry": book.entry(row),
            "source": book.source_of(row),
            "truth_learner": NONE if learner is None else whose.setdefault(learner.name, len(whose)),
            "susceptibility": rounded(mean(history_of(by_setup.get(row.setup, ()), "susceptibility"))),
        }
        for name in _ROW_COLUMNS:
            columns[name].append(said[name])
    return columns


_AS_THEY_ARE = (
    "interval", "rank", "rank_low", "rank_high", "surely_worse", "equivalent", "matched", "seeds", "variants", "n",
    "complete",
)  # fmt: skip
_NUMBERS = ("mean", "low", "high", "mislabeled_fit", "clean_fit", "seconds", "passes")
_ROW_COLUMNS = (
    "entry", "source", "mean", "low", "high", "interval", "rank", "rank_low", "rank_high", "surely_worse", "equivalent",
    "truth_learner", "matched", "seeds", "variants", "n", "complete", "mislabeled_fit", "clean_fit", "susceptibility", "seconds", "passes",
)  # fmt: skip


def _share(runs: Sequence[Run], truths: Mapping[Path, Truths], truth: str) -> float:
    """Mean share of the samples that are to be found, over label columns."""
    shares = []
    for home in {run.home for run in runs}:
        variant = truths[home].variant
        wrong = variant.mislabeled
        bears = variant.marks.get(truth, np.zeros(0, dtype=np.bool_)) if truth != MISLABELED else wrong
        counted = variant.known if truth == MISLABELED else (bears | ~wrong) & ~variant.dropped if bears.size else bears
        if counted.any():
            shares.append(float(bears[counted].mean()))
    return float(np.mean(shares)) if shares else math.nan
