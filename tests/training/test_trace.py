"""Traces in memory and on disk, against the arrays that went in."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from noisybench.ground.errors import BadData, Mismatch, MissingColumn
from noisybench.ground.files import read_columns, write_columns
from noisybench.training.trace import Column, Observation, Trace, mend_trace, read_trace, stack, write_observation

ID = "a" * 64
RNG = np.random.default_rng(0)
EPOCHS = range(1, 12)
# Margins of every epoch, logits too, and a dear probe every fifth.
OBSERVATIONS = [
    Observation(
        epoch,
        {
            "margin": RNG.standard_normal(20).astype(np.float32),
            "logits": RNG.standard_normal((20, 3)).astype(np.float32),
            **({"curvature": RNG.random(20).astype(np.float32)} if epoch % 5 == 0 else {}),
        },
    )
    for epoch in EPOCHS
]


def written(folder: Path) -> Trace:
    for observation in OBSERVATIONS:
        write_observation(observation, folder, variant_id=ID)
    return read_trace(folder)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_trace_has_what_was_observed(tmp_path: Path, place: str) -> None:
    """Each column with its own epochs: one that was asked every fifth epoch has as many rows."""
    trace = stack(OBSERVATIONS, variant_id=ID) if place == "memory" else written(tmp_path)
    assert trace.variant_id == ID
    assert set(trace.columns) == {"margin", "logits", "curvature"}
    assert len(trace.columns) == 3
    assert trace.column("margin").epochs.tolist() == list(EPOCHS)
    assert trace.column("curvature").epochs.tolist() == [5, 10]
    assert trace["logits"].shape == (11, 20, 3)
    for name in trace.columns:
        seen = [observation.values[name] for observation in OBSERVATIONS if name in observation.values]
        assert trace[name].dtype == np.float32
        assert np.array_equal(trace[name], np.stack(seen))


def test_a_column_is_read_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are left on disk: logits may be a hundred times as large as margins."""
    trace = written(tmp_path)
    asked: list[str] = []

    def spy(path: Path, names: list[str] | None = None) -> object:
        asked.extend(names or ["everything"])
        return read_columns(path, names)

    monkeypatch.setattr("noisybench.training.trace.read_columns", spy)
    assert "logits" in trace.columns
    assert not asked
    assert trace["curvature"].shape == (2, 20)
    assert set(asked) == {"curvature"}


def test_a_small_trace_may_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a column is read once, and nobody can change it for the next; that of a large one is read each time."""
    plain = written(tmp_path)
    trace = read_trace(tmp_path, keep=True)
    for name in plain.columns:
        assert np.array_equal(trace[name], plain[name])
        assert trace[name] is trace[name]
    with pytest.raises(ValueError, match="read-only"):
        trace["margin"][0] = 0
    monkeypatch.setattr("noisybench.training.trace.SMALL", 1)
    large = read_trace(tmp_path, keep=True)
    assert large["margin"] is not large["margin"]


def test_an_epoch_written_again_takes_the_place_of_the_old(tmp_path: Path) -> None:
    """As happens when a run is resumed; other columns stay if asked to, and files that are no epochs are left alone."""
    written(tmp_path)
    again = Observation(3, {"margin": np.zeros(20, np.float32)})
    write_observation(again, tmp_path, variant_id=ID, keep=True)
    (tmp_path / "epoch-0004.parquet.99.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    trace = read_trace(tmp_path)
    assert (trace["margin"][2] == 0).all()
    assert trace.column("logits").epochs.tolist() == list(EPOCHS)
    write_observation(again, tmp_path, variant_id=ID)
    assert read_trace(tmp_path).column("logits").epochs.tolist() == [epoch for epoch in EPOCHS if epoch != 3]
    with pytest.raises(Mismatch, match="epoch-0003.parquet is of another variant"):
        write_observation(again, tmp_path, variant_id="0" * 64)


def test_epochs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Beyond four digits too, and from the untrained model on."""
    for epoch in (10_000, 0, 9_999):
        write_observation(Observation(epoch, {"loss": np.full(2, epoch, np.float32)}), tmp_path, variant_id=ID)
    column = read_trace(tmp_path).column("loss")
    assert column.epochs.tolist() == [0, 9_999, 10_000]
    assert column.values[:, 0].tolist() == [0, 9_999, 10_000]


def test_a_missing_column_names_those_present(tmp_path: Path) -> None:
    """And how to observe it."""
    for trace in (stack(OBSERVATIONS, variant_id=ID), written(tmp_path)):
        with pytest.raises(
            MissingColumn,
            match="^no column 'loss' in this trace, which has: curvature, logits, margin; observe with the probe 'loss'$",
        ):
            trace["loss"]
    with pytest.raises(MissingColumn, match="which has: none"):
        stack([], variant_id=ID)["loss"]


def test_epochs_must_increase() -> None:
    """An epoch observed twice, or out of order, is a mistake of the loop."""
    values = np.zeros((2, 3), dtype=np.float32)
    for epochs in ([2, 2], [2, 1]):
        with pytest.raises(BadData, match=rf"2 rows of values for epochs \[2, {epochs[1]}\]; expected one each, incre"):
            Column(np.array(epochs), values)
    with pytest.raises(BadData, match=r"2 rows of values for epochs \[1\]; expected one each, increasing"):
        Column(np.array([1]), values)
    with pytest.raises(BadData, match=r"epochs \[2, 2\]"):
        stack([OBSERVATIONS[1], OBSERVATIONS[1]], variant_id=ID)


def test_epochs_of_two_variants_are_refused(tmp_path: Path) -> None:
    """Otherwise scores of one label column would be compared with the truth of another."""
    write_observation(OBSERVATIONS[0], tmp_path, variant_id=ID)
    write_observation(OBSERVATIONS[1], tmp_path, variant_id="b" * 64)
    with pytest.raises(Mismatch, match="holds epochs of 2 variants; a trace is of one"):
        read_trace(tmp_path)


def test_a_trace_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    """Without an epoch, with a broken one, or with epochs of different numbers of samples."""
    with pytest.raises(BadData, match=r"holds no trace: it has no epoch-\*.parquet; 'noisybench evaluate' writes them"):
        read_trace(tmp_path / "absent")
    written(tmp_path)
    file = tmp_path / "epoch-0007.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(BadData, match=r"epoch-0007.parquet cannot be read as Parquet"):
        read_trace(tmp_path)
    for n in (1, 19):  # one value would be spread over all samples
        write_columns({"margin": np.zeros(n, np.float32)}, file, metadata={"variant_id": ID})
        with pytest.raises(
            BadData, match=rf"0007.parquet has 'margin' of shape \({n},\), epoch-0001.parquet of \(20,\)"
        ):
            read_trace(tmp_path)["margin"]


def test_a_copy_of_another_epoch_is_refused(tmp_path: Path) -> None:
    """A file says of which epoch it is; where it is called otherwise, it is taken away and made again."""
    written(tmp_path)
    shutil.copy(tmp_path / "epoch-0001.parquet", tmp_path / "epoch-0007.parquet")
    with pytest.raises(BadData, match=r"epoch-0007.parquet is a copy of epoch 1; delete it and evaluate again"):
        read_trace(tmp_path)
    mend_trace(tmp_path)
    assert not (tmp_path / "epoch-0007.parquet").exists()
    assert (tmp_path / "epoch-0001.parquet").exists()
