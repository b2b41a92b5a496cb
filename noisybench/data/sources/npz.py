"""Your own arrays in one ``.npz`` file: inputs, labels, and what else is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from noisybench.data.array_files import array_names, read_arrays
from noisybench.data.crowd.answer_files import AnswerFile
from noisybench.data.crowd.arrays import AnsweredArrays, answered_arrays, find_answers
from noisybench.data.crowd.joining import read_aggregate
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.options import options_said

LAYOUTS = (
    ("inputs", "labels", "test_inputs", "test_labels"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("images", "labels", "test_images", "test_labels"),
    ("X", "y", "X_test", "y_test"),
    ("x", "y", "x_test", "y_test"),
)
"""What inputs, labels, test inputs and test labels are called: here, by MedMNIST, by Keras, and by others."""
GIVEN = (
    "labels",
    "given_labels",
    "noisy_labels",
    "y_train",
    "train_labels",
    "y",
    "label",
    "given_label",
    "noisy_label",
)
"""What labels are called that stand alone."""
NOISY = ("given_labels", "noisy_labels", "given_label", "noisy_label")
"""Those that are the given ones, where there are others too."""
TESTS = ("test_labels", "y_test")
"""What labels of test samples are called beside these."""
RIGHT = ("clean", "clean_labels", "true_labels", "clean_label", "true_label")
CALLED = ("sample_names", "names", "ids", "id", "sample_ids", "file_names", "filenames", "files", "paths")
ABOUT = ("pred_probs", "probabilities", "probs", "logits", "scores", "answers", "class_names")
"""Arrays that may have many columns and are no inputs."""


@dataclass(frozen=True, slots=True)
class Npz:
    """The arrays ``inputs`` and ``labels`` of a file, and ``clean, test_inputs, test_labels, class_names`` if there.

    Inputs are images (n, h, w[, c]) uint8 or features (n, d); labels and clean labels are whole numbers or texts of shape
    (n,) or (n, 1), a clean label -1 where nobody knows it, and -2 where only that the label is wrong; class names are
    strings (k,), and labels are then their indices. The names that MedMNIST and Keras give to arrays are known too. A file
    without any array that could be inputs has labels alone.

    Attributes:
        answers: What several people answered: an array of the file by its name, classes of shape (n, annotators), -1 where
            nobody answered; or a file, as source ``table`` takes it, whose items are numbers of rows from 0. None is the
            array ``answers``, where there is one.
        aggregate: How they make the given label: ``majority`` (ties to the class of the smallest index), ``one:SEED`` (one
            answer a sample, each as likely) or ``column`` (the array of labels, and the answers come too); None is
            ``column`` where there are labels, else ``majority``. Samples that nobody answered are left out where answers
            make the label.
        test: ``none`` reads no test set, whatever arrays there are; ``auto`` takes what is named as one.
    """

    answers: Path | None = None
    aggregate: str | None = None
    test: Literal["auto", "none"] = "auto"
    endings: ClassVar[tuple[str, ...]] = (".npz",)

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is None:
            msg = "source 'npz' needs a file: say --data FILE, with arrays inputs and labels"
            raise BadUsage(msg)
        there = array_names(data)
        file, odd = find_answers(self.answers, data, there)
        least = 2 if file is None else 1  # answers may stand for labels
        fitting = [names for many in (2, least) for names in LAYOUTS if {*names[:many]} <= {*there}]
        layout = [*fitting, LAYOUTS[0]][0]
        alone = None if fitting else _labels_alone(data, there, file, tests=TESTS if self.test == "auto" else ())
        if alone is not None:
            return self._labels(alone, file, odd, data, limit=limit)
        inputs, labels, test_inputs, test_labels = layout
        right = _only([name for name in RIGHT if name in there], data) or "clean"
        _only([name for name in (labels, *NOISY) if name in there], data)
        tested_arrays = () if self.test == "none" else (test_inputs, test_labels)
        optional = (right, *tested_arrays, "class_names")
        read_aggregate(self.aggregate, answered=file is not None, labelled=True)
        needed = (inputs, labels) if file is None or self.aggregate == "column" else (inputs,)
        arrays = read_arrays(data, required=needed, optional=(labels, *optional))
        left = [name for name in there if name not in arrays and (file is None or name != file.array)]
        named = (
            ""
            if layout == LAYOUTS[0]
            else f"inputs and labels are the arrays {', '.join(name for name in layout if name in arrays)}"
        )
        rest = f"{', '.join(left)} {'is' if len(left) == 1 else 'are'} not read" if left else ""
        notes = [*odd, *([f"right labels are the array {right}"] if right in arrays and right != "clean" else [])]
        notes += ["; ".join(filter(None, (named, rest)))] if named or rest else []
        names = _class_names(arrays, data)
        options: dict[str, Any] = {"test_inputs": arrays.get(test_inputs), "limit": limit}
        given, clean, tested = arrays.get(labels), arrays.get(right), arrays.get(test_labels)
        if file is None:
            options |= {"clean": clean, "test_labels": tested, "class_names": names, "notes": notes}
            return source_from_arrays("npz", arrays[inputs], given, options=options_said(self, test="auto"), **options)
        found = answered_arrays(file, self.aggregate, given, clean, tested, n=len(arrays[inputs]), class_names=names)
        kept = slice(None) if found.kept is None else found.kept
        return self._answered(file, found, notes, inputs=arrays[inputs][kept], **options)

    def _labels(
        self, alone: dict[str, Any], file: AnswerFile | None, odd: Sequence[str], data: Path, *, limit: int | None
    ) -> Source:
        """Labels without inputs, or answers that make them."""
        labels, clean, called = alone.pop("labels"), alone.pop("clean"), alone["sample_names"]
        if file is None:
            read_aggregate(self.aggregate, answered=False, labelled=True)
            alone["notes"] = [*odd, *alone["notes"]]
            said = options_said(self, test="auto")
            return source_from_arrays("npz", None, labels, clean=clean, options=said, limit=limit, **alone)
        counted = next((len(column) for column in (labels, clean, called) if column is not None), file.rows)
        if counted is None:
            msg = f"{data} has no array that says how many samples there are; expected labels, right labels, names or inputs"
            raise BadData(msg)
        names, tested = alone["class_names"], alone["test_labels"]
        found = answered_arrays(file, self.aggregate, labels, clean, tested, n=counted, class_names=names)
        notes = [*odd, *alone["notes"]]
        return self._answered(file, found, notes, inputs=None, test_inputs=None, limit=limit, called=called)

    def _answered(
        self,
        file: AnswerFile,
        found: AnsweredArrays,
        notes: Sequence[str],
        *,
        inputs: Any,  # noqa: ANN401 - of the samples that stay, or None
        test_inputs: Any,  # noqa: ANN401
        limit: int | None,
        called: Sequence[str] | None = None,
    ) -> Source:
        """The samples that stay, with their answers."""
        recorded = self if self.answers is None or file.array else replace(self, answers=file.path)
        if found.kept is not None:
            called = [str(row) if called is None else called[row] for row in found.kept.tolist()]
        return source_from_arrays(
            "npz",
            inputs,
            found.labels,
            clean=found.clean,
            test_inputs=test_inputs,
            test_labels=found.test_labels,
            class_names=found.class_names,
            options=options_said(recorded, test="auto"),
            limit=limit,
            sample_names=called,
            notes=(*notes, *found.notes),
            answers=found.answers,
        )


def _labels_alone(
    data: Path, there: list[str], file: AnswerFile | None, *, tests: Sequence[str]
) -> dict[str, Any] | None:
    """What ``source_from_arrays`` needs of a file without inputs; None where there are some, or neither labels nor answers.

    Raises:
        BadData: Two arrays may be the labels, or one may be inputs.
    """
    labels, clean, called = ([name for name in names if name in there] for names in (GIVEN, RIGHT, CALLED))
    tested = [name for name in tests if name in there]
    if not (labels or file) or {name for layout in LAYOUTS for name in (layout[0], layout[2])} & {*there}:
        return None
    _only(labels, data)
    _only(clean, data)
    known = [*labels, *clean, *tested, *(name for name in ("class_names",) if name in there)]
    arrays = read_arrays(data, required=tuple(known))
    column = arrays[(labels or clean)[0]] if labels or clean else None
    n = (0 if file is None else file.rows or 0) if column is None or not column.ndim else len(column)
    left = [name for name in there if name not in known and (file is None or name != file.array)]
    names = None
    for name in left:
        if name in ABOUT:
            continue
        try:
            values = read_arrays(data, required=(name,))[name]
        except BadData:  # Python objects and the like are no inputs
            continue
        if values.ndim > 1 and len(values) == n and values.size > n:
            msg = f"{data} has no array 'inputs'; it has: {', '.join(there)}; call '{name}' so, or leave it out for labels alone"
            raise BadData(msg)
        if names is None and name in called and values.shape == (n,) and len(np.unique(values)) == n:
            names = name, [str(value) for value in values.tolist()]
    notes = [f"labels are the array {labels[0]}"] if labels and labels[0] != "labels" else []
    notes += [f"right labels are the array {clean[0]}"] if clean and clean[0] != "clean" else []
    notes += [f"samples are called as in the array {names[0]}"] if names else []
    unread = [name for name in left if names is None or name != names[0]]
    notes += [f"not read: {', '.join(unread)}"] if unread else []
    return {
        "labels": arrays[labels[0]] if labels else None,
        "clean": arrays[clean[0]] if clean else None,
        "test_labels": arrays[tested[0]] if tested else None,
        "class_names": _class_names(arrays, data),
        "sample_names": None if names is None else names[1],
        "notes": notes,
    }


def _only(names: Sequence[str], data: Path) -> str | None:
    """The one name, None of none.

    Raises:
        BadData: There are several.
    """
    if len(names) > 1:
        msg = (
            f"{data} has arrays {', '.join(names)}; expected one of them: call the given labels 'labels' and the right ones "
            f"'clean'"
        )
        raise BadData(msg)
    return names[0] if names else None


def _class_names(arrays: dict[str, Any], data: Path) -> list[str] | None:
    """The names of the classes; None where there are none.

    Raises:
        BadData: They are no strings.
    """
    found = arrays.get("class_names")
    if found is None:
        return None
    if found.ndim != 1 or found.dtype.kind != "U":
        msg = f"class_names of {data} must be strings of shape (k,), got {found.dtype} of shape {found.shape}"
        raise BadData(msg)
    names: list[str] = found.tolist()
    return names


SOURCE: type[LoadSource] = Npz
