"""The leaderboard's page: one file for a browser, with its table, its charts and the details of every row."""

from collections.abc import Sequence
from importlib.resources import files

from noisybench.board.page_data import page_data
from noisybench.ground.html.page import asset, heading, page
from noisybench.runs.reading import Paths, Run

_HERE = "noisybench.board"
_CHARTS = '"use strict";\npage.charts = {}; // name → (figure, data, state), filled by charts_*.js\n'


def leaderboard_page(runs: Sequence[Run] | Paths, *, title: str | None = None, metric: str | None = None) -> str:
    """A self-contained HTML page of every truth that runs can be held against; it loads nothing from anywhere.

    Its table is filtered, sorted and searched in the browser; a row shows its command, its digests, its histogram and its
    curves. What is chosen stands in the address after ``#``, so that a view can be sent on.

    Args:
        runs: Runs, or folders above them.
        title: Headline, and name of the browser's tab; None names the data sets.
        metric: By what wrong labels and marks are ranked, one that compares with a mask; None takes the AUROC.

    Raises:
        UnknownName: There is no such metric.
        BadData: There is no finished run, or a file is broken.
        Mismatch: Scores or a memorization are of other labels than their run.
    """
    data = page_data(runs, metric=metric)
    facts = dict(zip(data["about"]["term"], data["about"]["words"], strict=True))
    title = title or f"Detectors compared on {_joined(data['sources']['name'])}"
    here = files(_HERE)
    charts = sorted(one.name for one in here.iterdir() if one.name.startswith("charts_"))
    return page(
        title=title,
        body="\n".join([heading(kind="Leaderboard", title=title, facts=facts), asset(_HERE, "leaderboard.html")]),
        data=data,
        scripts=[
            _CHARTS,
            *(asset(_HERE, name) for name in charts if name.endswith(".js")),
            *(asset(_HERE, name) for name in ("leaderboard_row.js", "leaderboard.js")),
        ],
        styles=[
            *(asset(_HERE, name) for name in charts if name.endswith(".css")),
            asset(_HERE, "leaderboard.css"),
        ],
    )


def _joined(names: Sequence[str], most: int = 3) -> str:
    """Names in a row, as in ``a, b and 3 more``."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
