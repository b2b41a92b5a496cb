"""Vouching: which runs were made or verified on this machine, so that a table says of which nobody knows.

A table cannot verify what it shows, which would take as long as to make it. So what ``verify`` found whole, and what was
made here, is noted in the user's own cache by the digests of all that a table reads of it; a file that changes is
another, of which nothing is noted.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from noisybench.board.notes import is_noted, key_of_files, note
from noisybench.board.truths import Measured, Truths
from noisybench.detection.scoring import scores_file
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData
from noisybench.ground.kept_digests import kept_digest
from noisybench.runs.folder import log
from noisybench.runs.reading import Run


def vouch(run: Run, truths: Truths) -> None:
    """Note that a finished run was verified, or made, here."""
    note(_key_of_run(run, truths))


def vouch_for_measured(truths: Truths, folder: Path | None = None) -> None:
    """Note that the memorization beside runs, all or that in a folder, was verified, or made, here."""
    only = None if folder is None else file_digest(folder / "memorization.parquet")
    for one in truths.measured:
        if only in (None, one.digests["memorization"]):
            note(_key_of_measured(one, truths))


def is_vouched_for(run: Run, truths: Truths) -> bool:
    """Whether a finished run was verified, or made, here."""
    return is_noted(_key_of_run(run, truths))


def tell_unknown(runs: Iterable[Run], truths: Mapping[Path, Truths], *, memorization: bool = False) -> None:
    """Say in one line how many of the runs that a table shows were neither made nor verified here.

    Args:
        runs: Finished ones.
        truths: Folder of a variant's runs → its truths.
        memorization: Whether the table shows what was measured, too.
    """
    runs = list(runs)
    unknown = [run.path for run in runs if run.home not in truths or not is_vouched_for(run, truths[run.home])]
    words = []
    if unknown:
        words.append(f"{len(unknown)} of {len(runs)} runs")
    if memorization:
        measured = [
            (one, truths[home])
            for home in sorted({run.home for run in runs} & set(truths))
            for one in truths[home].measured
        ]
        missing = sum(not is_noted(_key_of_measured(one, of)) for one, of in measured)
        if missing:
            words.append(f"{missing} of {len(measured)} measurements of memorization")
    if words:
        folder = os.path.commonpath(unknown) if unknown else next(iter(truths))
        log.warning(
            "%s were neither made nor verified here; 'noisybench verify %s' checks them", " and ".join(words), folder
        )


def _key_of_run(run: Run, truths: Truths) -> str:
    files = [(name, f"{run.path}{os.sep}{name}") for name in ("run.json", "history.parquet")]
    scores = (scores_file(run.path, name) for name in run.kinds)
    files += [(f"scores/{path.rpartition(os.sep)[2]}", path) for path in scores]
    digests = {}
    for name, path in files:
        with suppress(BadData):  # missing: a key that nothing is noted by
            digests[name] = kept_digest(path)
    return key_of_files(truths, digests)


def _key_of_measured(one: Measured, truths: Truths) -> str:
    return key_of_files(truths, one.digests)


def is_made_since(folder: Path, moment: float) -> bool:
    """Whether everything in a folder was written after a moment, as the file system tells it: a stranger's was not."""
    return all(path.lstat().st_ctime >= moment - CLOCK for path in _all_files(folder))


CLOCK = 1.0
"""Seconds by which the clocks of a file system and of this process may differ."""


def _all_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.name != ".lock" and not path.is_dir())
