"""Scores: what a detector may give, and their file."""

from pathlib import Path

import numpy as np
import pytest

from noisybench.detection.scoring import Detector, Scores, read_scores, score, scores_path, write_scores
from noisybench.ground.errors import BadData, Mismatch, MissingColumn
from noisybench.ground.files import write_columns
from noisybench.training.trace import Observation, Trace, stack

ID = "a" * 64
DETECTOR = Detector("mine", ("loss",), lambda trace: trace["loss"].sum(0, dtype=np.float64), "this test")


def traced(*losses: list[float]) -> Trace:
    return stack(
        [Observation(e, {"loss": np.array(row, np.float32)}) for e, row in enumerate(losses, 1)], variant_id=ID
    )


def test_a_detector_reduces_a_trace() -> None:
    """The scores carry the variant of the trace and cannot be written to."""
    scores = score(traced([1, 2, 3], [1, 0, 4]), DETECTOR)
    assert scores.values.tolist() == [2, 2, 7]
    assert (scores.detector, scores.variant_id) == ("mine", ID)
    assert not scores.values.flags.writeable


def test_a_score_of_any_number_is_kept_as_float64() -> None:
    """What comes of a column without more ado is float32, which no file of scores may hold."""
    single = Detector("mine", ("loss",), lambda trace: -trace["loss"][-1], "this test")
    values = score(traced([0.1, 2]), single).values
    assert values.dtype == np.float64
    assert values.tolist() == [-float(np.float32(0.1)), -2]


def test_one_number_a_sample_is_asked_for() -> None:
    """A detector that gives its whole column has forgotten to reduce it."""
    whole = Detector("mine", ("loss",), lambda trace: trace["loss"], "this test")  # type: ignore[arg-type, return-value]
    with pytest.raises(BadData, match=r"detector 'mine' gave float32 of shape \(2, 3\), expected one number a sample"):
        score(traced([1, 2, 3], [4, 5, 6]), whole)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_a_score_that_is_not_finite_is_refused(value: float, word: str) -> None:
    """It could not be ranked; the message says whose, which and how many."""
    with pytest.raises(
        BadData, match=rf"^detector 'mine' gave {word} for sample 1 \(2 such samples\); a score must be finite$"
    ):
        score(traced([1, value, 3, value]), DETECTOR)


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0],
        np.array(["a"]),
        np.array([1j]),
        np.ones((2, 2)),
        np.array([1.0], object),
        np.ma.masked_array([1.0], [True]),
    ],
)
def test_scores_of_another_kind_are_refused(values: object) -> None:
    """A list, texts, complex numbers, rows, objects and what a mask hides."""
    with pytest.raises(BadData, match="scores of 'mine'"):
        Scores("mine", values, ID)  # type: ignore[arg-type]


def test_no_two_detectors_share_a_file(tmp_path: Path) -> None:
    """Whatever their names look like on a disk; scores that 0.1.0 wrote under the name as it was are found."""
    names = ("aum", "Aum", "AUM", "a/b", "a+b", "a:b", "é", "e\u0301", "x" * 300, "x" * 301, "..", "con+")
    files = [scores_path(tmp_path, name) for name in names]
    assert len({str(path).lower() for path in files}) == len(names)
    assert all(path.parent == tmp_path / "scores" and len(path.name.encode()) < 255 for path in files)
    assert files[0].name == "aum.parquet"
    old = tmp_path / "scores" / "a+b.parquet"
    write_scores(Scores("a/b", np.zeros(2), ID), old)
    assert scores_path(tmp_path, "a/b") == old
    assert scores_path(tmp_path, "a+b") == files[4]


def test_a_column_that_was_not_observed_is_asked_for_before_the_detector_runs() -> None:
    """A detector need not check what it declares."""
    needy = Detector("needy", ("loss", "margin"), lambda _: pytest.fail("it ran"), "this test")
    with pytest.raises(
        MissingColumn, match="no column 'margin' in this trace, which has: loss; observe with the probe"
    ):
        score(traced([1, 2]), needy)


def test_a_detector_cites_its_source() -> None:
    """Nothing is ranked whose definition nobody can look up."""
    with pytest.raises(BadData, match="detector 'mine' names no source; say where its definition stands"):
        Detector("mine", (), DETECTOR.score, "")


def test_scores_come_back_bit_by_bit(tmp_path: Path) -> None:
    """With their detector and their variant."""
    values = np.random.default_rng(0).standard_normal(1000)
    write_scores(Scores("mine", values, ID), tmp_path / "scores" / "other.parquet")
    scores = read_scores(tmp_path / "scores" / "other.parquet")
    assert scores.values.tobytes() == values.tobytes()
    assert scores.values.dtype == np.float64
    assert (scores.detector, scores.variant_id) == ("mine", ID)


@pytest.mark.parametrize("samples", [[1, 0, 2], [0, 1, 3], [0, 0, 1], [1, 2, 3]])
def test_scores_out_of_order_are_refused(tmp_path: Path, samples: list[int]) -> None:
    """A file sorted by score once made a detector look worthless; so does one that lacks a sample."""
    write_columns(
        {"sample": np.array(samples), "score": np.arange(3.0)}, tmp_path / "x.parquet", metadata={"variant_id": ID}
    )
    with pytest.raises(BadData, match=r"x.parquet is not in sample order; expected samples 0..2$"):
        read_scores(tmp_path / "x.parquet")


def test_scores_of_nobody_knows_what_are_refused(tmp_path: Path) -> None:
    """Without a variant, without the columns, or with a value that is not finite."""
    file = tmp_path / "x.parquet"
    columns = {"sample": np.arange(3), "score": np.arange(3.0)}
    write_columns(columns, file)
    with pytest.raises(Mismatch, match=r"x.parquet does not say which variant it scores; write it with noisybench"):
        read_scores(file)
    write_columns({"score": np.arange(3.0)}, file, metadata={"variant_id": ID})
    with pytest.raises(BadData, match=r"x.parquet has no column 'sample'; it has: score"):
        read_scores(file)
    write_columns({**columns, "score": np.array([0, np.nan, 1])}, file, metadata={"variant_id": ID})
    with pytest.raises(BadData, match="detector 'x' gave nan for sample 1"):
        read_scores(file)
