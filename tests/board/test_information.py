"""What scores were made with: what the regime of a run adds to what a detector says of itself."""

from types import SimpleNamespace
from typing import cast

import pytest

from noisybench.board.information import information_of
from noisybench.runs.reading import Run


@pytest.mark.parametrize(
    ("regime", "detector", "expected"),
    [
        ("pool", "knn", {"held_out"}),  # which asks none of the models beside it
        ("pool", "self_confidence", {"held_out", "several_trainings"}),
        ("features", "knn", {"held_out"}),
        ("training", "aum", {"in_sample"}),
        ("answers", "dawid_skene", {"annotators"}),
        ("answers", "crowdlab", {"annotators", "held_out"}),
        ("given", "aum", {"unknown"}),
        ("pool", "somebody.else:DETECTOR", {"unknown", "held_out", "several_trainings"}),
    ],
)
def test_a_run_adds_what_its_models_are(regime: str, detector: str, expected: set[str]) -> None:
    told = {"features": "input", "pretrained": None, "information": None, "detectors": {detector: detector}}
    record = SimpleNamespace(regime=regime, objective_knows=None, **told)
    assert information_of(cast("Run", SimpleNamespace(record=record)), detector) == expected
    for knows in ("nothing", "rate", "transition"):
        record.objective_knows = knows
        found = information_of(cast("Run", SimpleNamespace(record=record)), detector)
        assert found == expected | ({"knows_rate"} if knows != "nothing" and regime != "given" else set())
