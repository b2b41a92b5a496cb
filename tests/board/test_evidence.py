"""Evidence: runs of a stranger whose answers are none are refused in a sentence."""

import numpy as np
import pytest

from noisybench.board.evidence import contradicted
from noisybench.data.source import source_from_arrays
from noisybench.ground.arrays import Floats32
from noisybench.ground.errors import BadData
from noisybench.items import find
from noisybench.training.trace import Column, Trace
from noisybench.variants.building import build_variant

N = 6
INPUTS = np.arange(N, dtype=np.float32)[:, None]
VARIANT = build_variant(source_from_arrays("six", INPUTS, np.arange(N) % 2), find("noises", "as_found")())


def trace_of(name: str, values: Floats32) -> Trace:
    return Trace({name: Column(np.arange(len(values)), values)}, VARIANT.variant_id)


def test_more_than_half_of_all_epochs_contradict() -> None:
    """Epochs of all seeds count alike, and a tie contradicts nothing."""
    wrong = 1 - VARIANT.labels
    first = trace_of("prediction", np.stack([VARIANT.labels, wrong, wrong]).astype(np.float32))
    second = trace_of("prediction", VARIANT.labels[None].astype(np.float32))
    found, tied = contradicted([first], VARIANT), contradicted([first, second], VARIANT)
    assert found is not None
    assert found.all()
    assert tied is not None
    assert not tied.any()


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("prediction", [(1, N, 3)]),
        ("prediction", [(1, N, N)]),
        ("prediction", [(1, N), (1, N - 1)]),
        ("held_out.probabilities", [(1, N)]),
        ("held_out.probabilities", [(1, N, 2), (1, N, 4)]),
    ],
)
def test_answers_of_another_shape_are_refused(name: str, shapes: list[tuple[int, ...]]) -> None:
    traces = [trace_of(name, np.full(shape, 0.5, dtype=np.float32)) for shape in shapes]
    with pytest.raises(BadData, match=f"'{name}' has shape .* dimensions in all runs"):
        contradicted(traces, VARIANT)
