"""What commands share: options, progress, tables and JSON on the terminal."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisybench.ground.errors import UnknownName
from noisybench.ground.text import cell, one_line, spreadsheet_cell, visible

if TYPE_CHECKING:
    from noisybench.board.row_words import Rows
    from noisybench.cards.description import Description


def whole_number(text: str) -> int:
    """A whole number, for an option's parser."""
    try:
        return int(text)
    except ValueError:
        msg = f"'{text}' is no whole number"
        raise typer.BadParameter(msg) from None


Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text.")]
Data = Annotated[Path | None, typer.Option(help="Where the source's files are; default: the cache, after a download.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="An option; may be repeated.")]
OwnSource = Annotated[
    str | None, typer.Option("--source", help="A source of your own, package.module:attribute; default: by its name.")
]
SourceSettings = Annotated[
    list[str] | None,
    typer.Option(metavar="K=V", help="An option of the source, see 'noisybench list sources NAME'; may be repeated."),
]


@contextmanager
def status(what: str) -> Iterator[None]:
    """A spinner on stderr for what takes seconds and has no steps; nothing where that is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield


@contextmanager
def progress_bar(what: str, total: int, unit: str = "epochs") -> Iterator[Callable[[], None]]:
    """A bar with the time left, on stderr; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn(f"{unit}, left"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def console() -> Any:  # noqa: ANN401 - rich is imported where it is used
    """A console for tables; wide enough for a whole row where the output is a file or a pipe."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=200)


def say(text: str) -> None:
    """Print text, in which names of strangers' files cannot steer the terminal."""
    typer.echo(visible(text))


def print_json(value: Any) -> None:  # noqa: ANN401 - what JSON holds
    """Print JSON for machines."""
    say(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_rows(rows: "Rows", style: str) -> None:
    """Print a leaderboard in one of its formats."""
    from noisybench.board.captions import without_truth
    from noisybench.board.rendering import to_table
    from noisybench.board.table_files import TEXTS

    if style == "table":
        if without_truth(rows):
            say(without_truth(rows))
        else:
            where = console()
            table = to_table(rows, where.width)
            words, table.caption = table.caption, None  # as wide as the terminal, however narrow the table
            where.print(table)
            where.print(words, width=min(where.width, 120))
        return
    if style not in TEXTS:
        raise no_format(style, ("table", *TEXTS))
    say(TEXTS[style](rows).rstrip("\n"))


def print_lines(header: Sequence[str], lines: Sequence[Sequence[str]], style: str) -> None:
    """Print a table of words in one of its formats."""
    if style == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([[spreadsheet_cell(name) for name in line] for line in (header, *lines)])
    elif style == "markdown":
        from noisybench.board.rendering import markdown

        say(markdown(header, lines).rstrip("\n"))
    elif style == "table":
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for name in header:
            table.add_column(name, overflow="fold")  # a name is never cut
        for line in lines:
            table.add_row(*(Text(cell(name)) for name in line))
        console().print(table)
    else:
        raise no_format(style, ("table", "markdown", "csv", "json"))


def no_format(style: str, known: tuple[str, ...]) -> UnknownName:
    """The error for a format that does not exist."""
    from noisybench.ground.checks import unknown

    return UnknownName(unknown(style, known, "format"))


def tell(sentence: str) -> None:
    """Print on stderr what was chosen for the user, or is hard to believe."""
    typer.echo(one_line(sentence), err=True)


def tell_suspects(folders: Sequence[Path]) -> None:
    """Name on stderr the command for runs of whose labels nobody knows which are wrong, one for each variant."""
    from noisybench.variants.variant import read_variant

    homes: dict[Path, list[Path]] = {}
    for folder in folders:
        homes.setdefault(folder.parent.parent, []).append(folder)
    for home, runs in homes.items():
        variant = read_variant(home / "variant")
        if not variant.known.any():
            first = [run for run in runs if run.parent == runs[0].parent]  # suspects are of one setup
            shown = first[0].parent if len(first) > 1 else first[0]
            tell(
                f"{variant.name}: of no label is it known whether it is wrong; 'noisybench suspects {quote(str(shown))}' "
                f"lists the most suspicious ones"
            )


def warn(description: "Description") -> None:
    """Print the warnings of a description on stderr."""
    for sentence in description.warnings:
        typer.echo(f"warning: {one_line(sentence)}", err=True)
