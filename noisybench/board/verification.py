"""Verifying any folder, with the agreement that lies beside its runs."""

from collections.abc import Iterator
from pathlib import Path

from noisybench.board.agreement_file import compare_agreement
from noisybench.board.truths import Truths, read_truths
from noisybench.board.vouching import vouch, vouch_for_measured
from noisybench.ground.checks import a_path
from noisybench.runs.reading import Run
from noisybench.runs.verification import check_each


def verify(path: str | Path, *, data: str | Path | None = None, own_source: str | None = None) -> list[str]:
    """Check that variants and runs, all that are below a folder, are whole and belong together; what was checked.

    What it computes again, what it compares and what it takes on trust is written down in ``docs/trust.md``. Nothing is
    downloaded unless ``data`` or ``own_source`` is given.

    Args:
        path: A variant's folder, or any folder above variants or runs.
        data: Where the files of the variants' source are; None takes the place that each variant remembers.
        own_source: A source by its name, or ``package.module:attribute`` of one that is none of noisybench's.

    Raises:
        BadData: What differs, and from what.
    """
    return list(verify_each(path, data=data, own_source=own_source))


def verify_each(path: str | Path, *, data: str | Path | None = None, own_source: str | None = None) -> Iterator[str]:
    """The same, each sentence as soon as it is known; nothing is checked that is not asked for. See ``verify``."""
    found: dict[Path, Truths] = {}
    whole: list[Run] = []

    def further(run: Run) -> Iterator[str]:
        if run.home not in found:
            found[run.home] = read_truths(run.home)
        yield from compare_agreement(run, found[run.home])
        whole.append(run)

    yield from check_each(
        a_path(path), data=None if data is None else Path(data), own_source=own_source, further=further
    )
    for run in whole:  # only now: what lies beside a run was checked too
        vouch(run, found[run.home])
    for truths in found.values():
        vouch_for_measured(truths)
