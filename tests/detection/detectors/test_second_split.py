"""Forgetting and learning on two halves, against loops over epochs."""

import numpy as np

from noisybench.detection.scoring import score
from noisybench.ground.lookup import find
from noisybench.training.trace import Column, Trace

E, N = 5, 400


def trace_of(first: object, second: object) -> Trace:
    """A trace of lists or arrays of shape (e, n), the second phase after the first."""
    values = [np.asarray(part, dtype=np.float32) for part in (first, second)]
    e = len(values[0])
    columns = {
        "second_split.first": Column(np.arange(1, e + 1), values[0]),
        "second_split.second": Column(np.arange(e + 1, 2 * e + 1), values[1]),
    }
    return Trace(columns, "0" * 64)


def test_the_order_is_that_of_a_loop_over_epochs() -> None:
    """Epochs decide, then correctness in the second phase, then in the first; equal histories are tied, others are not."""
    rng = np.random.default_rng(0)
    first, second = rng.random((2, E, N)) < np.linspace(0, 1, N)
    trace = trace_of(first, second)
    keys: dict[str, list[tuple[int, ...]]] = {"second_split_forgetting": [], "first_split": []}
    for i in range(N):
        forgotten = learnt = E + 1
        for epoch in range(E, 0, -1):
            forgotten = epoch if not second[epoch - 1 :, i].any() else forgotten
            learnt = epoch if first[epoch - 1 :, i].all() else learnt
        keys["second_split_forgetting"].append((-forgotten, -second[:, i].sum(), -first[:, i].sum()))
        keys["first_split"].append((learnt, -first[:, i].sum()))
    for name, wanted in keys.items():
        values = score(trace, find("detectors", name)).values
        rank = {key: place for place, key in enumerate(sorted(set(wanted)))}
        place = {value: at for at, value in enumerate(sorted(set(values)))}
        assert [place[value] for value in values] == [rank[key] for key in wanted]


def test_known_histories() -> None:
    """Forgotten at once, slowly, once and for good again, never; learnt at once, late, never."""
    first = np.transpose([[1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    second = np.transpose([[1, 1, 1], [1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    trace = trace_of(first, second)
    forgetting = score(trace, find("detectors", "second_split_forgetting")).values
    assert np.floor(-forgetting).tolist() == [4, 3, 3, 2, 1]
    assert (np.diff(forgetting) > 0).all()  # the third was right once, the second twice
    learning = score(trace, find("detectors", "first_split")).values
    assert np.floor(learning).tolist() == [1, 1, 2, 3, 4]
    assert learning[0] == learning[1]
