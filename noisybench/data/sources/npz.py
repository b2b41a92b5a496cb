"""Your own arrays in one ``.npz`` file: inputs, labels, and what else is known."""

from dataclasses import dataclass
from pathlib import Path

from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._arrays import read_arrays
from noisybench.ground.errors import BadData, BadUsage


@dataclass(frozen=True, slots=True)
class Npz:
    """The arrays ``inputs`` and ``labels`` of a file, and ``clean, test_inputs, test_labels, class_names`` if there.

    Inputs are images (n, h, w[, c]) uint8 or features (n, d); labels and clean labels are integers (n,), a clean label
    -1 where nobody knows it, and -2 where only that the label is wrong; class names are strings (k,).
    """

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is None:
            msg = "source 'npz' needs a file: say --data FILE, with arrays inputs and labels"
            raise BadUsage(msg)
        arrays = read_arrays(
            data,
            required=("inputs", "labels"),
            optional=("clean", "test_inputs", "test_labels", "class_names"),
        )
        class_names = arrays.get("class_names")
        if class_names is not None and (class_names.ndim != 1 or class_names.dtype.kind != "U"):
            msg = (
                f"class_names of {data} must be strings of shape (k,), "
                f"got {class_names.dtype} of shape {class_names.shape}"
            )
            raise BadData(msg)
        return source_from_arrays(
            "npz",
            arrays["inputs"],
            arrays["labels"],
            clean=arrays.get("clean"),
            test_inputs=arrays.get("test_inputs"),
            test_labels=arrays.get("test_labels"),
            class_names=None if class_names is None else class_names.tolist(),
            limit=limit,
        )


SOURCE: type[LoadSource] = Npz
