"""Command that joins what several machines made: merge."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisybench.cli.printing import Json, print_json, say, status, tell

if TYPE_CHECKING:
    from noisybench.runs.merging import Merged, MergedPart


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders of runs, or any above some.")],
    *,
    out: Annotated[Path, typer.Option(help="The merged folder; what it holds already takes part.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all and say what would be joined.")] = False,
    as_json: Json = False,
) -> None:
    """Join runs and pools of models that several machines made; what does not belong together is refused.

    Nothing is taken away from the folders. A merge that was stopped goes on with the same command.
    """
    from noisybench.runs.merging import merge as join

    with status("reading what is to be joined"):
        merged = join(folders, out, dry_run=dry_run)
    for note in merged.notes:
        tell(f"note: {note}")
    if as_json:
        print_json(_record(merged, dry_run=dry_run))
        return
    for home in dict.fromkeys(part.home for part in merged.parts if part.kind in ("run", "memorization")):
        for line in _lines([part for part in merged.parts if part.home == home]):
            say(f"{out / home}: {line}")
    begun = sum(part.state == "unfinished" and part.command is None for part in merged.parts)
    if begun:
        tell(
            f"note: the command that began an unfinished run goes on with it, said with --out {out} ({begun} such runs)"
        )
    for command in merged.commands:
        say(command)
    if dry_run:
        tell("note: nothing was written; the same command without --dry-run joins them")


def _record(merged: "Merged", *, dry_run: bool) -> dict[str, Any]:
    """What was joined, for machines."""
    parts = [
        {
            "kind": part.kind,
            "path": str(part.path),
            "sources": [str(source) for source in part.sources],
            "state": part.state or None,
            "models": part.models,
            "unfinished_elsewhere": part.passed_over,
            "was_there": part.is_there,
            "command": part.command,
        }
        for part in merged.parts
    ]
    return {"out": str(merged.out), "dry_run": dry_run, "parts": parts, "notes": list(merged.notes)}


def _lines(parts: list["MergedPart"]) -> list[str]:
    """What was joined of one variant: how many runs, and each pool of models by itself."""
    runs = [part for part in parts if part.kind == "run"]
    states = Counter(part.state for part in runs)
    several = sum(len(part.sources) > 1 for part in runs)
    there = sum(part.is_there for part in runs)
    told = [f"{count} {state}" for state, count in sorted(states.items())]
    passed = sum(part.passed_over for part in runs)
    told += [f"{passed} unfinished elsewhere"] * bool(passed)
    told += [f"{several} in several folders"] * bool(several) + [f"{there} there already"] * bool(there)
    lines = [f"{len(runs)} run{'s' * (len(runs) != 1)} ({', '.join(told)})"] if runs else []
    for part in parts:
        if part.models is not None:
            estimate = {"finished": "with its estimate", "blocks": "without an estimate"}.get(part.state, part.state)
            more = "; the command below goes on with them" if part.command else ""
            lines.append(f"{part.path.parent.name}/{part.path.name}: {part.models} models {estimate}{more}")
        elif part.kind == "memorization":
            lines.append(f"{part.path.parent.name}/{part.path.name}: estimate")
    return lines
