"""The file of agreement beside a run: one of an earlier version, whose intervals had another form."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import evaluate
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_columns, write_columns
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant

TEXTS, NUMBERS = ("detector", "truth", "stratum", "metric"), ("value", "low", "high", "n")


def write_as_before(path: Path, *, shift: float) -> None:
    """The file as versions before 0.5.0 left it: other ends of intervals, and no word of their form."""
    columns, metadata = read_columns(path)
    columns |= {"low": columns["low"] + 1e-3, "high": columns["high"] - 1e-3, "value": columns["value"] + shift}
    digest = hashlib.sha256()
    for name in ("detector", "kind", *TEXTS[1:], *NUMBERS):
        values = columns[name]
        texts = name not in NUMBERS
        digest.update(json.dumps([str(text) for text in values]).encode() if texts else values.tobytes())
    told = {key: value for key, value in metadata.items() if key != "intervals"}
    write_columns(columns, path, metadata={**told, "rows_sha256": digest.hexdigest()})


def test_intervals_of_an_earlier_version_are_no_fault(tmp_path: Path) -> None:
    """``verify`` compares all but the intervals, and says so; another value is a fault; the next run writes it anew."""
    source = load_source("digits", limit=120)
    variant = build_variant(source, Symmetric(0.2))
    (result,) = evaluate(variant, source, epochs=1, seeds=(0,), detectors="aum", out=tmp_path)
    path = result.path / "agreement.parquet"
    ours = path.read_bytes()
    table = leaderboard(tmp_path).to_records()
    write_as_before(path, shift=0.0)
    assert any("the intervals of agreement.parquet were not compared" in said for said in verify(tmp_path))
    assert leaderboard(tmp_path).to_records() == table
    write_as_before(path, shift=1e-3)
    with pytest.raises(BadData, match="agreement.parquet says value = "):
        list(verify(tmp_path))
    write_as_before(path, shift=-1e-3)
    evaluate(variant, source, epochs=1, seeds=(0,), detectors="aum", out=tmp_path)
    assert path.read_bytes() == ours
    assert not np.isnan(read_columns(path)[0]["low"]).any()
    assert not any("not compared" in said for said in verify(tmp_path))
