"""The leaderboard: a table of detectors, of models, or of where flags fall, ready to be shown or written."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from noisybench.board.captions import caption, without_truth
from noisybench.board.detector_table import Row, detector_rows
from noisybench.board.flags_table import HIGH_MEMORIZATION, BothRow, both_rows
from noisybench.board.latex import to_latex
from noisybench.board.model_table import ModelRow, model_rows
from noisybench.board.records import to_csv, to_json, to_records
from noisybench.board.rendering import cells_for_people, headings_of, to_markdown
from noisybench.board.table_files import write_table
from noisybench.board.truths import MISLABELED
from noisybench.runs.reading import Paths, Run, reads_runs

AnyRow = TypeVar("AnyRow", Row, ModelRow, BothRow)


@dataclass(frozen=True, repr=False)  # no slots: typing sets an attribute of what ``Leaderboard[Row](rows)`` makes
class Leaderboard(Generic[AnyRow]):
    """A table, best rows first.

    Attributes:
        rows: One a line.
    """

    rows: tuple[AnyRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[AnyRow]:
        return iter(self.rows)

    def __getitem__(self, line: int) -> AnyRow:
        return self.rows[line]

    def __repr__(self) -> str:
        return f"<Leaderboard: {len(self.rows)} rows. {caption(self.rows)}>"

    @property
    def caption(self) -> str:
        """A few sentences: what the table holds, what its intervals cover, and what is missing."""
        return caption(self.rows)

    def to_records(self) -> list[dict[str, Any]]:
        """Every field of every row, NaN as None, several values as a list.

        Behind the fields of a row stands what it is of (``source``, ``samples``, and by noise ``noise``, ``rate``,
        ``wrong_share`` and ``draws``), options that tell rows apart (``lr``), and for each part of a table ``mean[NAME]``,
        ``low[NAME]``, ``high[NAME]``, ``rank[NAME]`` and ``rank_low[NAME]``: ``filter(like="mean[")`` of pandas takes the
        values.
        """
        return to_records(self.rows)

    def to_markdown(self) -> str:
        """A Markdown table for people, under its caption."""
        return to_markdown(self.rows)

    def to_latex(self) -> str:
        r"""A LaTeX table for people; needs ``\usepackage{booktabs}``."""
        return to_latex(self.rows)

    def to_csv(self) -> str:
        """CSV with every field; NaN and None are empty, several values stand in one cell."""
        return to_csv(self.rows)

    def to_json(self) -> str:
        """A JSON list of ``to_records``."""
        return to_json(self.rows)

    def to_parquet(self, path: str | Path) -> Path:
        """Write ``to_records`` as Parquet."""
        return write_table(self.rows, path, style="parquet")

    def write(self, path: str | Path, *, style: str | None = None) -> Path:
        """Write the table to a file, whose ending says the format: .csv, .json, .md, .tex or .parquet.

        Args:
            path: The file; what it held is replaced.
            style: ``markdown``, ``csv``, ``json``, ``latex`` or ``parquet``; None takes the ending.

        Raises:
            UnknownName: No such format.
            BadUsage: The ending says none, or the file would lie in the folder of a run or a variant.
        """
        return write_table(self.rows, path, style=style)

    def _repr_html_(self) -> str:
        """The table for people in a notebook."""
        if without_truth(self.rows):
            return f"<p>{html.escape(without_truth(self.rows))}</p>"
        header, body = cells_for_people(self.rows)

        def line(cells: Sequence[str], kind: str) -> str:
            return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells) + "</tr>"

        headings = headings_of(self.rows)
        lines = ""
        for number, cells in enumerate(body):
            if number in headings:
                lines += f'<tr><th colspan="{len(header)}">{html.escape(headings[number])}</th></tr>'
            lines += line(cells, "td")
        words = html.escape(self.caption)
        return f"<table><caption>{words}</caption><thead>{line(header, 'th')}</thead><tbody>{lines}</tbody></table>"


@reads_runs
def leaderboard(
    runs: Sequence[Run] | Paths,
    *,
    truth: str = MISLABELED,
    metric: str | None = None,
    stratum: str = "all",
    by: str | None = None,
    pool: bool = False,
    more: bool = False,
    moderated: bool = False,
) -> Leaderboard[Row]:
    """Detectors compared over variants and seeds: ranked ones, incomplete ones, controls, references, each best first.

    Each data set has a block of its own, in which detectors rank among themselves.

    Args:
        runs: Runs, or folders above them.
        truth: See ``detector_rows``, as the next two.
        metric: By what they are ranked.
        stratum: Over which samples.
        by: ``noise``, ``source``, ``rate``, ``class`` or ``variant``: a column for each of them, beside their mean.
        pool: Whether several data sets are averaged, as they are by ``source``.
        more: Whether further figures are computed: worst class, overlap of the top between seeds, flags on clean sets.
        moderated: Whether ranks are by moderated t, which says more where draws or seeds are few and takes them to vary
            alike: of AUROCs, over the draws of one noise at one setting, or the seeds of its one draw.

    Raises:
        BadUsage: There are no moderated ranks of that metric, of several settings, or of one run.
        UnknownName: The labels of no run have that truth, it has no such metric or stratum, or there is no such ``by``.
        BadData: There is no finished run, or a file is broken.
        Mismatch: Scores or a memorization are of other labels than their run.
    """
    rows = detector_rows(
        runs, truth=truth, metric=metric, stratum=stratum, by=by, pool=pool, more=more, moderated=moderated
    )
    return Leaderboard(tuple(rows))


@reads_runs
def models_board(runs: Sequence[Run] | Paths, *, pool: bool = False) -> Leaderboard[ModelRow]:
    """Trained models compared at the end of training, a block for each data set; see ``model_rows``."""
    return Leaderboard(tuple(model_rows(runs, pool=pool)))


@reads_runs
def flags_board(
    runs: Sequence[Run] | Paths, *, threshold: float = HIGH_MEMORIZATION, pool: bool = False
) -> Leaderboard[BothRow]:
    """Where each detector's flags fall among wrong and clean, memorized and other samples; see ``both_rows``."""
    return Leaderboard(tuple(both_rows(runs, threshold=threshold, pool=pool)))
