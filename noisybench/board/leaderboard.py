"""The leaderboard: a table of detectors, of models, or of where flags fall, ready to be shown or written."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from noisybench.board.captions import caption
from noisybench.board.detector_table import Row, detector_rows
from noisybench.board.flags_table import HIGH_MEMORIZATION, BothRow, both_rows
from noisybench.board.model_table import ModelRow, model_rows
from noisybench.board.rendering import cells_for_people, to_csv, to_json, to_latex, to_markdown, to_records
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
        """Every field of every row, NaN as None."""
        return to_records(self.rows)

    def to_markdown(self) -> str:
        """A Markdown table for people, under its caption."""
        return to_markdown(self.rows)

    def to_latex(self) -> str:
        r"""A LaTeX table for people; needs ``\usepackage{booktabs}``."""
        return to_latex(self.rows)

    def to_csv(self) -> str:
        """CSV with every field; NaN and None are empty."""
        return to_csv(self.rows)

    def to_json(self) -> str:
        """A JSON list of ``to_records``."""
        return to_json(self.rows)

    def _repr_html_(self) -> str:
        """The table for people in a notebook."""
        header, body = cells_for_people(self.rows)

        def line(cells: Sequence[str], kind: str) -> str:
            return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells) + "</tr>"

        lines = "".join(line(cells, "td") for cells in body)
        words = html.escape(self.caption)
        return f"<table><caption>{words}</caption><thead>{line(header, 'th')}</thead><tbody>{lines}</tbody></table>"


@reads_runs
def leaderboard(
    runs: Sequence[Run] | Paths, *, truth: str = MISLABELED, metric: str | None = None, stratum: str = "all"
) -> Leaderboard[Row]:
    """Detectors compared over variants and seeds: ranked ones, incomplete ones, controls, references, each best first.

    Args:
        runs: Runs, or folders above them.
        truth: See ``detector_rows``, as the next two.
        metric: By what they are ranked.
        stratum: Over which samples.

    Raises:
        UnknownName: The labels of no run have that truth, or it has no such metric or stratum.
        BadData: There is no finished run, or a file is broken.
        Mismatch: Scores or a memorization are of other labels than their run.
    """
    return Leaderboard(tuple(detector_rows(runs, truth=truth, metric=metric, stratum=stratum)))


@reads_runs
def models_board(runs: Sequence[Run] | Paths) -> Leaderboard[ModelRow]:
    """Trained models compared at the end of training; see ``model_rows``."""
    return Leaderboard(tuple(model_rows(runs)))


@reads_runs
def flags_board(runs: Sequence[Run] | Paths, *, threshold: float = HIGH_MEMORIZATION) -> Leaderboard[BothRow]:
    """Where each detector's flags fall among wrong and clean, memorized and other samples; see ``both_rows``."""
    return Leaderboard(tuple(both_rows(runs, threshold=threshold)))
