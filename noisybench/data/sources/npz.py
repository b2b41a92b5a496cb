"""Your own arrays in one ``.npz`` file: inputs, labels, and what else is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.array_files import array_names, read_arrays
from noisybench.data.crowd.answer_files import AnswerFile
from noisybench.data.crowd.arrays import answered_arrays, find_answers
from noisybench.data.crowd.joining import COLUMN, read_aggregate
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
        read_aggregate(self.aggregate, answered=file is not None, labelled=True)
        layout = _layout(there, least=2 if file is None else 1)  # answers may stand for labels
        if file is None and not {*layout[:2]} <= {*there}:
            alone = _labels_alone(data, there, tests=TESTS if self.test == "auto" else ())
            if alone is not None:
                said = options_said(self, test="auto")
                return source_from_arrays("npz", None, alone.pop("labels"), options=said, limit=limit, **alone)
        arrays, notes = self._arrays(data, there, layout, file)
        inputs, labels, test_inputs, test_labels = map(arrays.get, layout)
        assert inputs is not None  # noqa: S101 - it is required
        clean, class_names = arrays.get("clean"), _class_names(arrays, data)
        if file is None:
            return source_from_arrays(
                "npz",
                inputs,
                labels,
                clean=clean,
                test_inputs=test_inputs,
                test_labels=test_labels,
                class_names=class_names,
                options=options_said(self, test="auto"),
                limit=limit,
                notes=(*odd, *notes),
            )
        found = answered_arrays(
            file, self.aggregate, labels, clean, test_labels, n=len(inputs), class_names=class_names
        )
        recorded = self if self.answers is None or file.array else replace(self, answers=file.path)
        return source_from_arrays(
            "npz",
            inputs if found.kept is None else inputs[found.kept],
            found.labels,
            clean=found.clean,
            test_inputs=test_inputs,
            test_labels=found.test_labels,
            class_names=found.class_names,
            options=options_said(recorded, test="auto"),
            limit=limit,
            sample_names=None if found.kept is None else found.kept.astype(str).tolist(),
            notes=(*odd, *notes, *found.notes),
            answers=found.answers,
        )

    def _arrays(
        self, data: Path, there: list[str], layout: Sequence[str], answers: AnswerFile | None
    ) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """The arrays of a layout that are there, by their names in the file, and a note where these are unusual."""
        needed = layout[:2] if answers is None or self.aggregate == COLUMN else layout[:1]
        tests = () if self.test == "none" else layout[2:]
        arrays = read_arrays(data, required=tuple(needed), optional=(layout[1], "clean", *tests, "class_names"))
        if layout == LAYOUTS[0]:
            return arrays, []
        read = (*arrays, "" if answers is None else answers.array)
        left = [name for name in there if name not in read]
        rest = f"; {', '.join(left)} {'is' if len(left) == 1 else 'are'} not read" if left else ""
        return arrays, [
            f"inputs and labels are the arrays {', '.join(name for name in layout if name in arrays)}{rest}"
        ]


def _layout(there: list[str], *, least: int) -> tuple[str, ...]:
    """The layout whose inputs and labels are there, else one of which ``least`` arrays are, else the first."""
    fitting = (names for many in (2, least) for names in LAYOUTS if {*names[:many]} <= {*there})
    return next(fitting, LAYOUTS[0])


def _labels_alone(data: Path, there: list[str], tests: Sequence[str]) -> dict[str, Any] | None:
    """What ``source_from_arrays`` needs of a file of labels without inputs; None of one that has none or has other faults.

    Raises:
        BadData: Two arrays may be the labels, or one may be inputs.
    """
    labels, clean, called = ([name for name in names if name in there] for names in (GIVEN, RIGHT, CALLED))
    tested = [name for name in tests if name in there]
    if not labels or {name for layout in LAYOUTS for name in (layout[0], layout[2])} & {*there}:
        return None
    if len(labels) > 1 or len(clean) > 1:
        msg = (
            f"{data} has arrays {', '.join(labels if len(labels) > 1 else clean)}; expected one of them: call the given "
            f"labels 'labels' and the right ones 'clean'"
        )
        raise BadData(msg)
    known = [*labels, *clean, *tested, *(name for name in ("class_names",) if name in there)]
    arrays = read_arrays(data, required=tuple(known))
    n = len(arrays[labels[0]]) if arrays[labels[0]].ndim else 0
    left = [name for name in there if name not in known]
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
    notes = [f"labels are the array {labels[0]}"] if labels[0] != "labels" else []
    notes += [f"right labels are the array {clean[0]}"] if clean and clean[0] != "clean" else []
    notes += [f"samples are called as in the array {names[0]}"] if names else []
    unread = [name for name in left if names is None or name != names[0]]
    notes += [f"not read: {', '.join(unread)}"] if unread else []
    return {
        "labels": arrays[labels[0]],
        "clean": arrays[clean[0]] if clean else None,
        "test_labels": arrays[tested[0]] if tested else None,
        "class_names": _class_names(arrays, data),
        "sample_names": None if names is None else names[1],
        "notes": notes,
    }


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
