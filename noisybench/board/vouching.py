"""Vouching: which runs were made or verified on this machine, so that a table says of which nobody knows.

A table cannot verify what it shows, which would take as long as to make it. So what ``verify`` found whole, and what was
made here, is noted in the user's own cache by the digests of all that a table reads of it; a file that changes is
another, of which nothing is noted.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from noisybench.board.truths import Measured, Truths
from noisybench.detection.scoring import scores_path
from noisybench.ground.digests import file_digest
from noisybench.ground.download import cache_folder
from noisybench.runs.folder import log
from noisybench.runs.reading import Run


def vouch(run: Run, truths: Truths) -> None:
    """Note that a finished run was verified, or made, here."""
    _note(_key_of_run(run, truths))


def vouch_for_measured(truths: Truths, folder: Path | None = None) -> None:
    """Note that the memorization beside runs, all or that in a folder, was verified, or made, here."""
    only = None if folder is None else file_digest(folder / "memorization.parquet")
    for one in truths.measured:
        if only in (None, one.digests["memorization"]):
            _note(_key_of_measured(one, truths))


def is_vouched_for(run: Run, truths: Truths) -> bool:
    """Whether a finished run was verified, or made, here."""
    return _is_noted(_key_of_run(run, truths))


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
        missing = sum(not _is_noted(_key_of_measured(one, of)) for one, of in measured)
        if missing:
            words.append(f"{missing} of {len(measured)} measurements of memorization")
    if words:
        folder = os.path.commonpath(unknown) if unknown else next(iter(truths))
        log.warning(
            "%s were neither made nor verified here; 'noisybench verify %s' checks them", " and ".join(words), folder
        )


def _key_of_run(run: Run, truths: Truths) -> str:
    files = [run.path / name for name in ("run.json", "history.parquet")]
    files += [scores_path(run.path, name) for name in run.kinds]
    return _key(truths, {str(file.relative_to(run.path)): file_digest(file) for file in files if file.is_file()})


def _key_of_measured(one: Measured, truths: Truths) -> str:
    return _key(truths, dict(one.digests))


def _key(truths: Truths, digests: Mapping[str, str]) -> str:
    what = json.dumps([dict(truths.digests), dict(digests)], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()


def _path(key: str) -> Path:
    return cache_folder() / "verified" / key[:2] / key


def _is_noted(key: str) -> bool:
    return _path(key).is_file()


def _note(key: str) -> None:
    with suppress(OSError):  # a cache that cannot be written is told of by every table
        _path(key).parent.mkdir(parents=True, exist_ok=True)
        _path(key).touch()


def is_made_since(folder: Path, moment: float) -> bool:
    """Whether everything in a folder was written after a moment, as the file system tells it: a stranger's was not."""
    return all(path.lstat().st_ctime >= moment - CLOCK for path in _all_files(folder))


CLOCK = 1.0
"""Seconds by which the clocks of a file system and of this process may differ."""


def _all_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.name != ".lock" and not path.is_dir())
