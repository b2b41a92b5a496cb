import json
from pathlib import Path

import numpy as np
import pytest

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage
from noisybench.noise.noises.transition import Transition
from noisybench.variants.building import build_variant
from noisybench.variants.transitions import all_entries

MATRIX = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])


@pytest.fixture
def source() -> Source:
    labels = np.tile(np.arange(3), 40)
    return source_from_arrays("toy", np.zeros((120, 1)), labels, clean=labels)


def write(path: Path, values: object) -> Path:
    match path.suffix:
        case ".npy":
            np.save(path, np.asarray(values))
        case ".csv":
            np.savetxt(path, np.asarray(values), delimiter=",")
        case _:
            path.write_text(json.dumps(np.asarray(values).tolist()))
    return path


@pytest.mark.parametrize("ending", [".npy", ".csv", ".json"])
def test_each_format_gives_the_same_labels(ending: str, source: Source, tmp_path: Path) -> None:
    """40 samples a class: every cell is met exactly, so the counts are 40 T in any format."""
    noise = Transition(write(tmp_path / f"matrix{ending}", MATRIX))
    variant = build_variant(source, noise, mode="exact_per_class")
    counts = np.bincount(source.clean * 3 + variant.labels, minlength=9).reshape(3, 3)
    np.testing.assert_array_equal(counts, 40 * MATRIX)
    assert variant.transition is not None
    assert variant.transition is not None
    np.testing.assert_allclose(all_entries(variant.transition), MATRIX)
    assert str(tmp_path) not in str(variant.provenance)
    assert str(variant.provenance.params["matrix"]).startswith(f"matrix{ending} sha256:")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.eye(4), r"a transition matrix of 3 classes has shape \(3, 3\), got \(4, 4\)"),
        (MATRIX.T, "row 0 of the transition matrix sums to 1.05, expected 1; its columns do: give the transpose"),
        (np.eye(3) * 40, "row 0 of the transition matrix sums to 40, expected 1$"),
        ([[1.2, -0.2, 0], [0, 1, 0], [0, 0, 1]], r"transition\[0, 1\] = -0.2 is not a probability"),
        ([[float("nan"), 0, 0], [0, 1, 0], [0, 0, 1]], r"transition\[0, 0\] = nan is not a probability"),
    ],
)
def test_what_is_no_transition_matrix_is_refused(values: object, message: str, source: Source, tmp_path: Path) -> None:
    """Shape, sign, NaN and rows are checked, and a transposed matrix is recognised."""
    with pytest.raises(BadData, match=message):
        Transition(write(tmp_path / "matrix.npy", values))(source, seed=0, mode="exact")


def test_files_that_cannot_be_read_are_refused(source: Source, tmp_path: Path) -> None:
    """Missing, of another kind, ragged, of words, of objects."""
    with pytest.raises(BadData, match="there is no transition matrix at"):
        Transition(tmp_path / "none.npy")(source, seed=0, mode="exact")
    with pytest.raises(BadUsage, match=r"a transition matrix is a .npy, .csv, .json file, got 'matrix.txt'"):
        Transition(tmp_path / "matrix.txt")(source, seed=0, mode="exact")
    for name, content in [
        ("ragged.json", "[[1], [0, 1]]"),
        ("object.json", '{"a": 1}'),
        ("words.csv", "clean,given\n0.5,0.5\n"),
    ]:
        (tmp_path / name).write_text(content)
        with pytest.raises(BadData, match=f"{name} does not hold rows of numbers of equal length"):
            Transition(tmp_path / name)(source, seed=0, mode="exact")
    np.save(tmp_path / "pickled.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(BadData, match=r"pickled.npy cannot be read as a NumPy array"):
        Transition(tmp_path / "pickled.npy")(source, seed=0, mode="exact")
