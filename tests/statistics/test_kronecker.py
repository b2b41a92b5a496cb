"""Self-influence under Kronecker-factored curvature, against the explicit matrix."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.statistics import kronecker
from noisybench.statistics.kronecker import kronecker_influence


def a_layer(n: int, d: int, k: int, *, scale: float = 1.0) -> tuple[Any, ...]:
    """Features, probabilities, error vectors and labels."""
    chance = np.random.default_rng(0)
    logits = scale * chance.normal(size=(n, k))
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    labels = chance.integers(k, size=n)
    return chance.normal(size=(n, d)), p, p - np.eye(k)[labels], labels


def explicit(features: NDArray[np.float64], p: NDArray[np.float64], errors: NDArray[np.float64]) -> list[float]:
    """Each sample's gradient in the inverse of the whole damped matrix."""
    n = len(features)
    inputs = np.hstack([features, np.ones((n, 1))])
    inner = sum(np.outer(x, x) for x in inputs) / n
    outer = sum(np.diag(row) - np.outer(row, row) for row in p) / n
    whole = np.kron(inner, outer)
    inverse = np.linalg.inv(whole + 0.1 * np.linalg.eigvalsh(whole).mean() * np.eye(len(whole)))
    return [float(g @ inverse @ g) for g in (np.kron(x, e) for x, e in zip(inputs, errors, strict=True))]


@pytest.mark.parametrize("chunk", [kronecker.CHUNK, 40])
def test_it_is_the_quadratic_form_of_the_explicit_matrix(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of samples at a time."""
    monkeypatch.setattr(kronecker, "CHUNK", chunk)
    features, p, errors, labels = a_layer(30, 5, 4)
    found = kronecker_influence(features, errors, labels)
    np.testing.assert_allclose(found, explicit(features, p, errors), rtol=1e-9)


def test_it_follows_its_samples_and_no_unit() -> None:
    """Permuted samples get permuted values; of rotated features they stay."""
    features, _, errors, labels = a_layer(40, 6, 3)
    found = kronecker_influence(features, errors, labels)
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_allclose(kronecker_influence(features[order], errors[order], labels[order]), found[order])
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    np.testing.assert_allclose(kronecker_influence(features @ rotation, errors, labels), found)


def test_models_without_doubt_have_finite_values() -> None:
    """Where every probability is 0 or 1 there is no curvature; who is right has value 0, and who is wrong a large one."""
    features, _, errors, labels = a_layer(20, 3, 4, scale=1e6)
    found = kronecker_influence(features, errors, labels)
    assert np.isfinite(found).all()
    assert (found[np.abs(errors).sum(1) == 0] == 0).all()
    assert (found[np.abs(errors).sum(1) > 0] > 1).all()
