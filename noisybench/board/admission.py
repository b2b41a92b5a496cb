"""Admission: which runs a table shows, and what it says of those that it leaves out or cannot vouch for."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from noisybench.board.agreement_file import check_agreement
from noisybench.board.truths import Truths, read_truths
from noisybench.board.vouching import tell_unknown
from noisybench.ground.errors import BadData
from noisybench.runs.reading import Run, leave_out
from noisybench.runs.record_checks import check_detectors, compare_about_labels, told_of_labels


def admit(
    runs: Sequence[Run], *, memorization: bool = False, bare: bool = False
) -> tuple[list[Run], dict[Path, Truths]]:
    """The finished runs that a table shows, and folder of a variant's runs → its truths.

    A run is left out, and named in a warning, where its record is of other labels than the variant beside it, names a
    detector that is none, or lies beside an agreement that does not fit. How many of the others were neither made nor
    verified here is said too.

    Args:
        runs: Finished ones.
        memorization: Whether the table shows what was measured of it.
        bare: Whether a run may have no variant beside it: nothing is held against a truth.

    Raises:
        BadData: None is left; the sentence is of the first.
    """
    truths: dict[Path, Truths] = {}
    broken: dict[Path, BadData] = {}
    for home in sorted({run.home for run in runs}):
        if bare and not (home / "variant" / "variant.json").exists():
            continue
        try:
            truths[home] = read_truths(home)
        except BadData as error:
            broken[home] = error
    faults = list(broken.values())
    admitted = []
    wanted = {home: told_of_labels(of.variant) for home, of in truths.items()}
    for run in (run for run in runs if run.home not in broken):
        try:
            check_detectors(run.path, run.record)
            if run.home in truths:
                compare_about_labels(run.path, run.record, wanted[run.home])
                check_agreement(run, truths[run.home])
        except BadData as error:
            faults.append(error)
        else:
            admitted.append(run)
    tell_left_out(faults, any_left=bool(admitted))
    tell_unknown(admitted, truths, memorization=memorization)
    return admitted, truths


def tell_left_out(faults: Iterable[BadData], *, any_left: bool) -> None:
    """Name in a line each what is wrong with runs that a table leaves out.

    Raises:
        BadData: The first fault, where no run is left.
    """
    for fault in faults:
        if not any_left:
            raise fault
        leave_out(fault)
