"""What people said of suspected label errors in test sets: the ``mturk`` files of Northcutt, Athalye and Mueller."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import UNKNOWN, WRONG, Labels
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import read_json

PAGE = "https://raw.githubusercontent.com/cleanlab/label-errors/main/mturk"
MAJORITY = 3  # of five people
_VOTERS = 5  # at least; some images of MNIST were shown to ten
_MOST = 1 << 20  # no number of these files is larger
_PUBLISHED = {
    "cifar10": (275, 88_252, "81b2c16c9eee060d6cc2390f6bbce1e0e7be0a050574be5177c9428f3596b5b5"),
    "cifar100": (2_235, 730_027, "b2b4fedc433e814c64fb33eff99976bbeee6355470e127b56d64bc5fb57493c0"),
    "mnist": (100, 29_472, "448bd00fc9df262c68d50d48709d7fa3d5dc966bc66580e5df20e0dcba6e5612"),
    "imagenet": (5_440, 2_032_707, "79807852426782eb04ae9fcc38454a53eb744bba8ac3213a4d290cfa973995f2"),
}


def read_verdicts(path: Path | None, name: str) -> NDArray[np.int64]:
    """The verdicts on a test set, a row for each suspect that people were shown, shape (m, 5).

    Columns are the sample, the given class, the guessed class, votes for the given one and votes for the guessed one.

    Args:
        path: ``<name>_mturk.json`` as published; None downloads it.
        name: ``cifar10``, ``cifar100``, ``mnist`` or ``imagenet``.

    Raises:
        BadData: The file is damaged, or does not have as many verdicts as were published.
    """
    count, size, sha256 = _PUBLISHED[name]
    if path is None:
        from noisybench.ground.download import fetch

        file = f"{name}_mturk.json"
        path = fetch(file, f"{PAGE}/{file}", sha256, size, instead=f"--source-set file=…/{file}, and --data DIR")
    entries = read_json(path)
    if not isinstance(entries, list) or len(entries) != count:
        found = f"{len(entries)} entries" if isinstance(entries, list) else f"a {type(entries).__name__}"
        msg = f"{path} holds {found}, expected the {count} verdicts on {name}; download {name}_mturk.json again"
        raise BadData(msg)
    rows = [_row(entry) for entry in entries]
    if None in rows:
        msg = (
            f"entry {rows.index(None)} of {path} is no verdict of at least {_VOTERS} people (id, given_original_label, "
            f"our_guessed_label, mturk: given, guessed, …); download it again"
        )
        raise BadData(msg)
    verdicts = np.array(rows, dtype=np.int64)
    if len(np.unique(verdicts[:, 0])) != count:
        msg = f"{path} has several verdicts on one sample; download it again"
        raise BadData(msg)
    return verdicts


def _row(entry: Any) -> list[int] | None:  # noqa: ANN401 - what JSON holds
    """The numbers of an entry, in the order of ``read_verdicts``; None where it has not all of them."""
    votes = entry.get("mturk") if isinstance(entry, dict) else None
    if not isinstance(votes, dict):
        return None
    row = [entry.get(key) for key in ("id", "given_original_label", "our_guessed_label")]
    row += [votes.get(key) for key in ("given", "guessed")]
    if not all(type(number) is int and 0 <= number < _MOST for number in [*row, *votes.values()]):
        return None
    return row if sum(votes.values()) >= _VOTERS else None


def clean_labels(verdicts: NDArray[np.int64], labels: Labels, rows: NDArray[np.int64], num_classes: int) -> Labels:
    """Clean labels as far as people judged them, shape (n,).

    A label is wrong where fewer than three voted for it. The right class is then the one that was guessed, where at least
    three voted for that, else ``WRONG``. What nobody was shown is ``UNKNOWN``.

    Args:
        verdicts: Shape (m, 5).
        labels: As published, shape (n,).
        rows: Place of each verdict's sample in ``labels``, shape (m,); -1 for one that is not there.
        num_classes: k.

    Raises:
        Mismatch: A verdict is on another label than the sample has.
    """
    judged = rows >= 0
    judged_rows, (_, given, guessed, for_given, for_guessed) = rows[judged], verdicts[judged].T
    other = np.flatnonzero(given != labels[judged_rows])
    if other.size or (guessed >= num_classes).any():
        first = int(other[0]) if other.size else int(np.flatnonzero(guessed >= num_classes)[0])
        msg = (
            f"the verdict on sample {verdicts[judged][first, 0]} is of label {given[first]} and guess {guessed[first]}, the "
            f"sample has label {labels[judged_rows[first]]} of {num_classes} classes ({max(other.size, 1)} such); the verdicts "
            f"are of another test set, or it is in another order than the published one"
        )
        raise Mismatch(msg)
    clean = np.full(len(labels), UNKNOWN)
    corrected = np.where(for_guessed >= MAJORITY, guessed, WRONG)
    clean[judged_rows] = np.where(for_given >= MAJORITY, given, corrected)
    return clean


def judged_words(clean: Labels, labels: Labels) -> str:
    """How many were judged and found wrong."""
    known = clean != UNKNOWN
    return f"{int(known.sum())} judged by people, {int((known & (clean != labels)).sum())} of them wrong"
