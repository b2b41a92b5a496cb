"""Detectors, against loops over samples and epochs, the ``aum`` package and scikit-learn."""

import itertools
import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from aum import AUMCalculator
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import nn

from noisybench.detection.scoring import score
from noisybench.ground.errors import MissingColumn
from noisybench.ground.lookup import find, names
from noisybench.training.observing import observe
from noisybench.training.trace import Column, Trace, stack

EPOCHS = [1, 2, 4, 7, 11, 20]


def trace_of(columns: Mapping[str, object], epochs: list[int]) -> Trace:
    """A trace from nested lists or arrays of shape (e, n)."""
    at = np.array(epochs)
    return Trace({name: Column(at, np.asarray(values, dtype=np.float32)) for name, values in columns.items()}, "0" * 64)


def scores(name: str, trace: Trace) -> NDArray[np.float64]:
    return score(trace, find("detectors", name)).values


def count_forgotten(correct: list[float], epochs: list[int]) -> float:
    if not any(correct):
        return epochs[-1] + 1
    return sum(before == 1 and after == 0 for before, after in itertools.pairwise(correct))


def epoch_learnt(correct: list[float], epochs: list[int]) -> float:
    for row, epoch in enumerate(epochs):
        if all(correct[row:]):
            return epoch
    return epochs[-1] + 1


# Name of the detector → the column and what becomes of one sample's values (e,) and epochs in plain Python.
REFERENCE: dict[str, tuple[str, Callable[[list[float], list[int]], float]]] = {
    "aum": ("margin", lambda values, _: -math.fsum(values) / len(values)),
    "cores": ("mean_margin", lambda values, _: -math.fsum(values) / len(values)),
    "cumulative_error": ("correct", lambda values, _: values.count(0.0) / len(values)),
    "cumulative_loss": ("loss", lambda values, _: math.fsum(values) / len(values)),
    "el2n": ("error_norm", lambda values, _: statistics.fmean(values[:2])),  # 5 to 10 % of 20 epochs: 1 and 2
    "entropy": ("entropy", lambda values, _: statistics.fmean(values)),
    "exact_curvature": ("curvature_exact", lambda values, _: statistics.fmean(values)),
    "final_loss": ("loss", lambda values, _: values[-1]),
    "forgetting": ("correct", count_forgotten),
    "label_confidence": ("loss", lambda values, _: 1 - statistics.fmean(math.exp(-loss) for loss in values)),
    "label_variability": ("loss", lambda values, _: statistics.pstdev(math.exp(-loss) for loss in values)),
    "learning_time": ("correct", epoch_learnt),
    "loss_curvature": ("curvature", lambda values, _: statistics.fmean(values)),
}


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_detector_equals_its_definition(name: str) -> None:
    """Each score is that of a plain loop, on random columns that hold every kind of learning and forgetting."""
    rng = np.random.default_rng(0)
    columns = {probe: rng.exponential(2, (6, 300)) for probe in names("probes")}
    columns["margin"] -= 2
    columns["mean_margin"] -= 2
    columns["correct"] = (rng.random((6, 300)) < np.linspace(0, 1, 300)).astype(np.float64)
    trace = trace_of(columns, EPOCHS)
    probe, reference = REFERENCE[name]
    expected = [reference(values, EPOCHS) for values in trace[probe].T.tolist()]
    np.testing.assert_allclose(scores(name, trace), expected, rtol=1e-6, atol=1e-7)
    assert len(set(expected)) > 3


def test_aum_equals_the_aum_package(tmp_path: Path) -> None:
    """On random logits over six epochs in shuffled batches, AUM is the package's negated; with other labels it is not."""
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(6, 90, 7, generator=generator)
    labels = torch.randint(7, (90,), generator=generator)
    calculator = AUMCalculator(save_dir=str(tmp_path))
    published: dict[int, float] = {}
    for epoch in range(6):
        for chosen in torch.randperm(90, generator=generator).view(3, 30):
            records = calculator.update(logits[epoch][chosen], labels[chosen], chosen.tolist())
            published |= {sample: record.aum for sample, record in records.items()}
    expected = [-published[sample] for sample in range(90)]

    def ours(labels: torch.Tensor) -> NDArray[np.float64]:
        seen = [
            observe(nn.Identity(), logits[epoch], labels, [find("probes", "margin")], epoch=epoch + 1)
            for epoch in range(6)
        ]
        return scores("aum", stack(seen, variant_id="0" * 64))

    np.testing.assert_allclose(ours(labels), expected, rtol=1e-6, atol=1e-6)
    assert not np.allclose(ours((labels + 1) % 7), expected, atol=0.1)


@pytest.mark.parametrize(
    ("epochs", "taken"),
    [
        (list(range(1, 201)), list(range(10, 21))),  # the paper's own
        (list(range(1, 31)), [2, 3]),
        (list(range(11)), [1]),
        (list(range(1, 6)), [1]),
        ([50, 100, 150, 200], [50]),
        ([5, 15, 25, 200], [15]),
        ([0], [0]),
    ],
)
def test_el2n_takes_the_epochs_from_5_to_10_percent(epochs: list[int], taken: list[int]) -> None:
    """The window is that of epochs 10 to 20 of 200, and never empty."""
    squares = np.array(epochs, dtype=np.float32)[:, None] ** 2
    expected = np.mean([epoch**2 for epoch in taken])
    assert scores("el2n", trace_of({"error_norm": squares}, epochs)) == pytest.approx(expected)


def test_learning_and_forgetting_of_known_histories() -> None:
    """Epochs are those of the trace, not row numbers; a sample that is never right stands above all others."""
    histories = {
        "always right": [1, 1, 1, 1],
        "learnt at 5": [0, 1, 1, 1],
        "forgotten once, learnt at 20": [1, 1, 0, 1],
        "forgotten twice, wrong at the end": [1, 0, 1, 0],
        "never right": [0, 0, 0, 0],
    }
    trace = trace_of({"correct": np.transpose(list(histories.values()))}, [1, 5, 10, 20])
    assert scores("learning_time", trace).tolist() == [1, 5, 20, 21, 21]
    assert scores("forgetting", trace).tolist() == [0, 0, 1, 2, 21]
    assert scores("cumulative_error", trace).tolist() == [0, 0.25, 0.25, 0.5, 1]


def losses_of_two_groups() -> NDArray[np.float32]:
    rng = np.random.default_rng(3)
    return np.concatenate([rng.gamma(2, 0.2, 400), rng.normal(4, 0.8, 100)]).clip(0).astype(np.float32)


def test_gmm_equals_scikit_learn() -> None:
    """The score is the posterior of the high-mean component of the mixture that DivideMix fits, at the last epoch."""
    losses = losses_of_two_groups()
    scaled = ((losses - losses.min()) / np.ptp(losses)).astype(np.float64)[:, None]
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=7).fit(scaled)
    expected = mixture.predict_proba(scaled)[:, mixture.means_.argmax()]
    values = scores("gmm_loss", trace_of({"loss": [losses[::-1], losses]}, [1, 2]))
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert ((values > 0.5) == (np.arange(500) >= 400)).mean() > 0.98


def test_gmm_does_not_look_at_the_order_of_samples() -> None:
    """Permuted losses give bit-equal permuted posteriors."""
    losses = losses_of_two_groups()
    order = np.random.default_rng(0).permutation(500)
    plain = scores("gmm_loss", trace_of({"loss": [losses]}, [1]))
    assert np.array_equal(scores("gmm_loss", trace_of({"loss": [losses[order]]}, [1])), plain[order])


@pytest.mark.parametrize("losses", [[2.0], [0.0, 0.0, 0.0], [1.0, 2.0], [0.0] * 50 + [1.0], [1e-30, 1.0, 1e3]])
def test_gmm_of_odd_losses_is_a_probability(losses: list[float]) -> None:
    """One sample, equal losses, two distinct losses, many orders of magnitude: a posterior; equal losses share 0.5."""
    values = scores("gmm_loss", trace_of({"loss": [losses]}, [1]))
    assert np.all((values >= 0) & (values <= 1))
    if len(set(losses)) == 1:
        assert set(values) == {0.5}


def test_gmm_is_silent_where_ten_iterations_do_not_converge() -> None:
    """Losses on which scikit-learn warns are scored as they are, without its warning (an error in this suite)."""
    losses = np.linspace(0, 1, 500) ** 4
    with pytest.warns(ConvergenceWarning):
        GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(losses[:, None])
    assert scores("gmm_loss", trace_of({"loss": [losses]}, [1])).shape == (500,)


def test_detectors_of_frozen_features_are_what_their_formulas_say() -> None:
    """Differences of distances and of votes, a ratio of squares, and minus what is high of right labels."""
    given = {"given": [[0, 1, 2]]}
    distances = [[1.0, 5.0, 7.0], [2.0, 8.0, 3.0], [4.0, 4.0, 4.0]]
    gaussian = trace_of({**given, "features.gaussian_distances": [distances]}, [0])
    assert scores("gaussian_likelihood_ratio", gaussian).tolist() == [-4, 6, 0]
    votes = trace_of({**given, "features.simifeat_votes": [[[0.6, 0.8, 0.0], [0.0, 1.0, 0.0], [0.8, 0.6, 0.0]]]}, [0])
    np.testing.assert_allclose(scores("simifeat_vote", votes), [0.2, -1, 0.8], rtol=1e-6)
    for name, trace, expected in (
        ("gaussian_likelihood_ratio", gaussian, [1, 0, 0]),
        ("simifeat_vote", votes, [1, 0, 0]),
        ("simifeat_rank", votes, [1, 0, 0]),
    ):
        suggest = find("detectors", name).suggest
        assert suggest is not None
        assert suggest(trace).tolist() == expected
    near = {"features.nearest_same": [[0.3, 0.0, 0.0]], "features.nearest_other": [[0.1, 0.5, 0.0]]}
    np.testing.assert_allclose(scores("self_clean", trace_of(near, [0])), [0.9, 0, 0.5])
    alone = {"fine": "alignment", "knn_shapley": "shapley"}
    for name, column in alone.items():
        assert scores(name, trace_of({f"features.{column}": [[0.5, -0.25, 0.0]]}, [0])).tolist() == [-0.5, 0.25, 0]
    for name, column in {"cooks_distance": "cooks_distance", "simifeat_rank": "simifeat_ranks"}.items():
        assert scores(name, trace_of({f"features.{column}": [[0.5, 0.25, 0.0]]}, [0])).tolist() == [0.5, 0.25, 0]


def test_confidence_tells_well_fitted_samples_apart() -> None:
    """Losses far below float32's resolution of 1 - p still give distinct scores."""
    values = scores("label_confidence", trace_of({"loss": [[1e-12, 1e-11, 1e-10]]}, [1]))
    np.testing.assert_allclose(values, [1e-12, 1e-11, 1e-10], rtol=1e-5)


def test_long_traces_are_reduced_in_double_precision() -> None:
    """The mean of 3,000 epochs of float32 is exact to double precision, not to the rounding of a float32 sum."""
    column = np.random.default_rng(0).random((3000, 2), dtype=np.float32) + np.float32(1000)
    trace = trace_of({"loss": column, "margin": column}, list(range(3000)))
    expected = [math.fsum(values) / 3000 for values in column.T.tolist()]
    np.testing.assert_allclose(scores("cumulative_loss", trace), expected, rtol=1e-13)
    np.testing.assert_allclose(-scores("aum", trace), expected, rtol=1e-13)


def test_a_missing_column_is_named() -> None:
    """The error says which probe to observe with."""
    with pytest.raises(
        MissingColumn, match="no column 'margin' in this trace, which has: loss; observe with the probe"
    ):
        scores("aum", trace_of({"loss": [[1.0]]}, [1]))
