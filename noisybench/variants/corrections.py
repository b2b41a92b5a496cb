"""Corrections: what a person decided about labels, as a csv that people and spreadsheets write, and how it is read.

A file begins with ``# noisybench corrections, variant_id=<64 hex>``; then comes the header
``sample,name,given,corrected,action``, then a row for each sample that was decided.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import check_names
from noisybench.ground.arrays import UNKNOWN, Labels, check_array, read_only
from noisybench.ground.checks import a_path, as_list, check_kind, unknown
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.text import spreadsheet_cell
from noisybench.variants.decision_files import plain_cell, read_decisions, whole_number_of, write_decisions

Action = Literal["accept", "keep", "drop"]
"""``accept`` takes the corrected label, ``keep`` says that the given one is right, ``drop`` leaves the sample out."""
ACTIONS: tuple[Action, ...] = get_args(Action)
CORRECTIONS = "corrections.csv"
"""File of a corrected variant's folder: what was decided, against the labels before any correction."""
CHECKED, DROPPED = "checked", "dropped"
"""Marks of a corrected variant: whose label a person chose or confirmed, and who is left out of training and of truths."""


@runtime_checkable
class Labelled(Protocol):
    """What corrections are held against: a ``Variant``."""

    @property
    def labels(self) -> Labels: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def variant_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class CorrectionRecord:
    """What the provenance of a corrected variant says of its corrections.

    Attributes:
        variant_id: Of the labels before any correction.
        sha256: Digest of the decisions, see ``Corrections.sha256``.
        accepted: Samples that took a corrected label.
        kept: Samples whose given label a person found right.
        dropped: Samples that are left out.
    """

    variant_id: str
    sha256: str
    accepted: int
    kept: int
    dropped: int


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """What was decided about m samples of a variant.

    Attributes:
        variant_id: Of the variant that was looked at.
        samples: Their numbers, shape (m,), each once.
        given: Their labels in that variant, shape (m,).
        corrected: Their new labels, shape (m,); ``UNKNOWN`` where none is accepted.
        actions: What was decided, shape (m,).
        names: What people call them, shape (m,); may be empty texts, or no text at all.

    Raises:
        BadUsage: A variant's id, actions or names that are of another kind.
        BadData: What are no whole numbers, a sample twice, an action that is none, or a corrected label where none is
            accepted, or the other way.
    """

    variant_id: str
    samples: NDArray[np.int64]
    given: Labels
    corrected: Labels
    actions: tuple[Action, ...]
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_kind(self.variant_id, str, "variant_id", "take that of the variant that was looked at")
        for what in ("samples", "given", "corrected"):
            check_array(getattr(self, what), what, dimensions=1, kinds="iu")
        for what in ("actions", "names"):
            check_kind(getattr(self, what), Sequence, what, "give one text a sample, as a tuple")
        m = len(self.samples)
        lengths = {len(self.given), len(self.corrected), len(self.actions), *([len(self.names)] if self.names else [])}
        if lengths != {m}:
            msg = (
                f"corrections of {m} samples need as many given and corrected labels, actions and names; got {lengths}"
            )
            raise BadData(msg)
        twice = np.flatnonzero(np.bincount(np.unique(self.samples, return_inverse=True)[1]) > 1)
        if twice.size:
            msg = f"sample {np.unique(self.samples)[twice[0]]} is corrected twice; keep one row of each sample"
            raise BadData(msg)
        odd = next((action for action in self.actions if action not in ACTIONS), None)
        if odd is not None:
            raise BadData(unknown(str(odd), ACTIONS, "action"))
        accepted = self.rows("accept")
        wrong = accepted & ((self.corrected < 0) | (self.corrected == self.given)) | ~accepted & (self.corrected >= 0)
        if wrong.any():
            sample = self.samples[np.flatnonzero(wrong)[0]]
            msg = f"sample {sample}: 'accept' needs a corrected label that is not the given one, 'keep' and 'drop' none"
            raise BadData(msg)

    def __repr__(self) -> str:
        counts = ", ".join(f"{int(self.rows(action).sum())} {action}" for action in ACTIONS)
        return f"Corrections({counts}; variant {self.variant_id[:8]})"

    def rows(self, *actions: Action) -> NDArray[np.bool_]:
        """Where one of these was decided, shape (m,)."""
        return np.array([action in actions for action in self.actions], dtype=np.bool_)

    @property
    def sha256(self) -> str:
        """Digest of the decisions, whatever their order in the file, the spelling of classes and the names of samples."""
        digest = hashlib.sha256(self.variant_id.encode())
        for i in np.argsort(self.samples, kind="stable"):
            digest.update(f"\n{self.samples[i]},{self.given[i]},{self.corrected[i]},{self.actions[i]}".encode())
        return digest.hexdigest()

    @property
    def record(self) -> CorrectionRecord:
        """What a provenance says of them."""
        counts = [int(self.rows(action).sum()) for action in ACTIONS]
        return CorrectionRecord(self.variant_id, self.sha256, *counts)

    def labels_before(self, labels: Labels) -> Labels:
        """Labels (n,) as they were before the corrections, from those after them."""
        before = labels.copy()
        before[self.samples] = self.given
        return read_only(before)

    def labels_after(self, labels: Labels) -> Labels:
        """Labels (n,) with those that are accepted, from those before."""
        after, accepted = labels.copy(), self.rows("accept")
        after[self.samples[accepted]] = self.corrected[accepted]
        return read_only(after)

    def mark(self, n: int, *actions: Action) -> NDArray[np.bool_]:
        """The samples of which one of these was decided, shape (n,)."""
        found = np.zeros(n, dtype=np.bool_)
        found[self.samples[self.rows(*actions)]] = True
        return read_only(found)

    def in_order(self) -> "Corrections":
        """The same by number of the sample and without names, as a variant keeps them."""
        order = np.argsort(self.samples, kind="stable")
        samples, given, corrected = (read_only(values[order]) for values in (self.samples, self.given, self.corrected))
        return Corrections(self.variant_id, samples, given, corrected, tuple(self.actions[i] for i in order))

    def followed_by(self, later: "Corrections") -> "Corrections":
        """Both as one, against the labels before the first; of a sample that both decide, the later decision counts.

        Where the later one keeps a label that the first accepted, the accepted one stays; where it takes back the label
        from before, that one was kept.
        """
        rows = {int(sample): i for i, sample in enumerate(self.samples)}
        decided: dict[int, tuple[int, int, Action]] = {
            int(sample): (int(self.given[i]), int(self.corrected[i]), self.actions[i])
            for i, sample in enumerate(self.samples)
        }
        for i, sample in enumerate(later.samples.tolist()):
            before = int(self.given[rows[sample]]) if sample in rows else int(later.given[i])
            label = int(later.corrected[i]) if later.actions[i] == "accept" else int(later.given[i])
            if later.actions[i] == "drop":
                decided[sample] = (before, UNKNOWN, "drop")
            elif label == before:
                decided[sample] = (before, UNKNOWN, "keep")
            else:
                decided[sample] = (before, label, "accept")
        return _made_of(self.variant_id, [(sample, *decision) for sample, decision in decided.items()]).in_order()


def _made_of(variant_id: str, rows: Sequence[tuple[int, int, int, Action]], names: Sequence[str] = ()) -> Corrections:
    """Corrections from sample, given and corrected label and action of each row."""
    samples, given, corrected = (read_only(np.array([row[k] for row in rows], dtype=np.int64)) for k in range(3))
    return Corrections(variant_id, samples, given, corrected, tuple(row[3] for row in rows), names)


def check_corrections(corrections: Corrections, variant: Labelled, what: str = "the corrections") -> None:
    """Raise unless corrections are of the labels that a variant has.

    Raises:
        Mismatch: They are of another variant.
        BadData: A sample, class or given label that the variant does not have.
    """
    if corrections.variant_id != variant.variant_id:
        msg = (
            f"{what} are of variant {corrections.variant_id[:12]}, and this is {variant.variant_id[:12]}; build from the "
            f"folder of the variant that was looked at, or give the corrections that made it, in their order, before"
        )
        raise Mismatch(msg)
    n, k = len(variant.labels), len(variant.class_names)
    for values, most, name in ((corrections.samples, n, "sample"), (corrections.corrected, k, "corrected label")):
        odd = np.flatnonzero((values >= most) | (values < (0 if name == "sample" else UNKNOWN)))
        if odd.size:
            msg = f"{what} have {name} {values[odd[0]]}, expected one of 0..{most - 1} ({odd.size} such rows)"
            raise BadData(msg)
    odd = np.flatnonzero(corrections.given != variant.labels[corrections.samples])
    if odd.size:
        sample = int(corrections.samples[odd[0]])
        told, has = (_name_of(int(k), variant) for k in (corrections.given[odd[0]], variant.labels[sample]))
        msg = (
            f"{what} say that sample {sample} is given '{told}', and the variant gives it '{has}' ({odd.size} such rows); "
            f"take the rows as they were written, and change 'corrected' and 'action' alone"
        )
        raise BadData(msg)


def _name_of(label: int, variant: Labelled) -> str:
    return variant.class_names[label] if 0 <= label < len(variant.class_names) else str(label)


# Files


def read_corrections(path: str | Path, variant: Labelled) -> Corrections:
    """What a person decided about a variant, as ``write_corrections``, a page or a spreadsheet wrote it.

    UTF-8, UTF-16 with its mark or Windows-1252; separated by commas, semicolons, tabs or bars; with or without Excel's
    ``sep=`` line; rows that are empty are passed over, and so are empty cells behind the last column.

    Args:
        path: The file.
        variant: Whose labels were looked at.

    Raises:
        BadUsage: What is given is no path, or no variant.
        Mismatch: They are of another variant.
        BadData: The file cannot be read, or a row says what cannot be; by its line.
    """
    path = a_path(path)
    check_kind(variant, Labelled, "variant", "read_variant(folder) reads one")
    found = parse_corrections(path, variant.class_names, len(variant.labels))
    check_corrections(found, variant, str(path))
    return found


def parse_corrections(path: Path, class_names: Sequence[str], n: int) -> Corrections:
    """The corrections that a file holds, not yet held against a variant's labels.

    Raises:
        BadData: See ``read_corrections``.
    """
    file = read_decisions(path, "corrections")
    classes = {spreadsheet_cell(name): label for label, name in enumerate(class_names)}
    classes |= {name: label for label, name in enumerate(class_names)}
    seen: dict[int, int] = {}
    rows: list[tuple[int, int, int, Action]] = []
    names: list[str] = []
    for line, cells in file.rows:
        row = _Row(path, line, cells)
        sample = row.sample(n)
        if sample in seen:
            row.refuse(f"sample {sample} stands in line {seen[sample]} already; keep one of the two rows")
        seen[sample] = line
        rows.append((sample, *row.decision(classes, class_names)))
        names.append(plain_cell(cells["name"]))
    if not rows:
        msg = f"{path} decides nothing: it has no row below its header; decide about a sample, or leave the file out"
        raise BadData(msg)
    return _made_of(file.variant_id, rows, names)


def write_corrections(corrections: Corrections, path: str | Path, class_names: Sequence[str]) -> None:
    """Write corrections as ``read_corrections`` reads them: the file as a whole, or nothing.

    A name of a sample or of a class that a spreadsheet would take for a formula stands behind an apostrophe.

    Args:
        corrections: Any.
        path: The file.
        class_names: One per class, in index order.

    Raises:
        BadUsage: What is given are no corrections, or no path.
        BadData: A name that is no text, or a label without one.
    """
    check_kind(corrections, Corrections, "corrections", "read_corrections(path, variant) or Corrections(…) gives some")
    class_names = as_list(class_names, "class_names", "give a text for each class")
    check_names(class_names, "corrections")
    labels = np.concatenate([corrections.given, corrections.corrected[corrections.corrected != UNKNOWN]])
    odd = labels[(labels < 0) | (labels >= len(class_names))]
    if odd.size:
        msg = f"corrections have label {odd[0]}, expected one of 0..{len(class_names) - 1}; give the variant's class names"
        raise BadData(msg)
    names = corrections.names or [""] * len(corrections.samples)
    columns = (corrections.samples.tolist(), names, corrections.given, corrections.corrected, corrections.actions)
    rows = (
        (sample, name, class_names[given], class_names[new] if new >= 0 else "", action)
        for sample, name, given, new, action in zip(*columns, strict=True)
    )
    write_decisions(a_path(path), "corrections", {"variant_id": corrections.variant_id}, rows)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, as it is written."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def refuse(self, why: str) -> NoReturn:
        msg = f"line {self.line} of {self.path}: {why}"
        raise BadData(msg)

    def sample(self, n: int) -> int:
        text = self.cells["sample"].strip()
        number = whole_number_of(text)
        if number is None or number >= n:
            self.refuse(f"sample is {text[:40]!r}, expected a whole number of 0..{n - 1}")
        return number

    def decision(self, classes: dict[str, int], class_names: Sequence[str]) -> tuple[int, int, Action]:
        """Given label, corrected one and action."""
        said = self.cells["action"].strip().lower()
        action = next((one for one in ACTIONS if one == said), None)
        if action is None:
            mend = "; delete the rows that are not decided" if not said else ""
            self.refuse(f"action is {said[:40]!r}, expected one of {', '.join(ACTIONS)}{mend}")
        given, corrected = self._label("given", classes, class_names), UNKNOWN
        if self.cells["corrected"].strip():
            corrected = self._label("corrected", classes, class_names)
        if action != "accept":
            return given, UNKNOWN, action  # what else was suggested stays without effect
        if corrected == UNKNOWN:
            self.refuse("action is 'accept', and 'corrected' is empty; expected the name of the right class")
        if corrected == given:
            self.refuse(f"'corrected' is the given label '{class_names[given]}'; say keep where that is right")
        return given, corrected, action

    def _label(self, column: str, classes: dict[str, int], class_names: Sequence[str]) -> int:
        text = self.cells[column]
        label = classes.get(text, classes.get(text.strip()))
        if label is None:
            self.refuse(f"{column}: {unknown(text[:80], tuple(class_names), 'class')}")
        return label


def as_corrections(given: Corrections | str | Path, variant: Labelled) -> Corrections:
    """Corrections of a variant, read where a file is named.

    Raises:
        Mismatch: They are of another variant.
        BadData: See ``read_corrections``.
    """
    if isinstance(given, Corrections):
        check_corrections(given, variant)
        return given
    return read_corrections(given, variant)


def several(
    given: "Corrections | str | Path | Iterable[Corrections | str | Path] | None",
) -> list[Corrections | str | Path]:
    """One or several corrections as a list, none as an empty one."""
    if given is None:
        return []
    if isinstance(given, Corrections | str | Path):
        return [given]
    return as_list(given, "corrections", "give the file that holds them, or several in their order")
