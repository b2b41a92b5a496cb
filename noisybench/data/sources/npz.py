"""Your own arrays in one ``.npz`` file: inputs, labels, and what else is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._arrays import array_names, read_arrays
from noisybench.ground.errors import BadData, BadUsage

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


@dataclass(frozen=True, slots=True)
class Npz:
    """The arrays ``inputs`` and ``labels`` of a file, and ``clean, test_inputs, test_labels, class_names`` if there.

    Inputs are images (n, h, w[, c]) uint8 or features (n, d); labels and clean labels are whole numbers or texts of shape
    (n,) or (n, 1), a clean label -1 where nobody knows it, and -2 where only that the label is wrong; class names are
    strings (k,), and labels are then their indices. The names that MedMNIST and Keras give to arrays are known too.
    """

    endings: ClassVar[tuple[str, ...]] = (".npz",)

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is None:
            msg = "source 'npz' needs a file: say --data FILE, with arrays inputs and labels"
            raise BadUsage(msg)
        there = array_names(data)
        layout = next((names for names in LAYOUTS if {*names[:2]} <= {*there}), LAYOUTS[0])
        inputs, labels, test_inputs, test_labels = layout
        optional = ("clean", test_inputs, test_labels, "class_names")
        arrays = read_arrays(data, required=(inputs, labels), optional=optional)
        notes = []
        if layout != LAYOUTS[0]:
            left = [name for name in there if name not in arrays]
            rest = f"; {', '.join(left)} {'is' if len(left) == 1 else 'are'} not read" if left else ""
            notes = [f"inputs and labels are the arrays {', '.join(name for name in layout if name in arrays)}{rest}"]
        class_names = arrays.get("class_names")
        if class_names is not None and (class_names.ndim != 1 or class_names.dtype.kind != "U"):
            msg = (
                f"class_names of {data} must be strings of shape (k,), "
                f"got {class_names.dtype} of shape {class_names.shape}"
            )
            raise BadData(msg)
        return source_from_arrays(
            "npz",
            arrays[inputs],
            arrays[labels],
            clean=arrays.get("clean"),
            test_inputs=arrays.get(test_inputs),
            test_labels=arrays.get(test_labels),
            class_names=None if class_names is None else class_names.tolist(),
            limit=limit,
            notes=notes,
        )


SOURCE: type[LoadSource] = Npz
