"""A table as a file, written whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path

from noisybench.board.latex import to_latex
from noisybench.board.records import to_csv, to_json, to_parquet
from noisybench.board.rendering import to_markdown
from noisybench.board.row_words import Rows
from noisybench.ground.checks import a_path, unknown
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.files import replacing

TEXTS: Mapping[str, Callable[[Rows], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
}
"""Formats that can be printed as well, by name."""
FILES: Mapping[str, Callable[[Rows, Path], None]] = {"parquet": to_parquet}
"""Formats of files alone."""
ENDINGS: Mapping[str, str] = {
    ".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex", ".parquet": "parquet"
}  # fmt: skip
"""How a file ends → its format."""
NOT_BESIDE = ("run.json", "variant.json", "memorization.parquet")
"""Files of folders that hold nothing else: runs, variants and measurements."""


def write_table(rows: Rows, path: str | Path, *, style: str | None = None) -> Path:
    """Write a table; what the file held before is replaced.

    Args:
        rows: Of a leaderboard.
        path: The file; its folder is made.
        style: ``markdown``, ``csv``, ``json``, ``latex`` or ``parquet``; None takes the ending of the file.

    Raises:
        UnknownName: No such format.
        BadUsage: The ending says none, or the file would lie in the folder of a run or a variant.
    """
    path = a_path(path, "path")
    style = style_of(path, style)
    path.parent.mkdir(parents=True, exist_ok=True)
    if style in FILES:
        FILES[style](rows, path)
        return path
    text = TEXTS[style](rows)
    with replacing(path) as part:
        part.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8", newline="")
    return path


def style_of(path: Path, style: str | None) -> str:
    """The format of a file that a table shall be written to; see ``write_table``."""
    known = (*TEXTS, *FILES)
    if style is not None and style not in known:
        raise UnknownName(unknown(style, known, "format of a file"))
    style = style or ENDINGS.get(path.suffix.lower())
    if style is None:
        msg = f"{path} does not say its format; end it in {', '.join(ENDINGS)}, or say one of {', '.join(known)}"
        raise BadUsage(msg)
    if any((path.parent / name).exists() for name in NOT_BESIDE):
        msg = f"{path} would lie in the folder of a run or a variant, which holds nothing else; name a file elsewhere"
        raise BadUsage(msg)
    return style
