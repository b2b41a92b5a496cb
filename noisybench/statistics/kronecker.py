"""Self-influence under the Kronecker-factored curvature of a linear softmax classifier. No torch here."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAMPING = 0.1
"""Share of the mean eigenvalue of the curvature that is added to each, as Grosse et al. 2023 do."""
CHUNK = 2**22
"""Numbers of a float64 copy at a time: 32 MB."""
LEAST_CURVATURE = 1e-12
"""Mean curvature at the logits that is counted at least: that of a model without any doubt is zero."""


def kronecker_influence(features: NDArray[Any], errors: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """gᵀ(A ⊗ G + λI)⁻¹g of each sample's gradient g in a linear layer: (n, d), (n, k) and (n,) → (n,).

    With φ̃ = [φ 1] and the error vector e = p - one-hot label, g = φ̃ ⊗ e is the gradient of the cross-entropy in weight and
    bias. A is the mean of φ̃φ̃ᵀ, G that of diag(p) - ppᵀ, the Hessian at the logits, which does not know the labels; their
    Kronecker product stands for the Gauss-Newton matrix of the layer. λ is a tenth of the mean eigenvalue of A ⊗ G. With
    λ = 0 this is eᵀG⁻¹e · φ̃ᵀA⁻¹φ̃; the damped inverse is exact, through the eigenvectors of A and G.

    Args:
        features: φ, what the layer is given.
        errors: p - one-hot label.
        labels: Given labels.

    Source: Martens and Grosse 2015, arXiv:1503.05671, section 3 (factors); damping of Grosse et
    al. 2023, arXiv:2308.03296.
    """
    n, (d, k) = len(labels), (features.shape[1], errors.shape[1])
    inner, outer, mean = np.zeros((d + 1, d + 1)), np.zeros((k, k)), np.zeros(k)
    for part, inputs, error in _parts(features, errors):
        p = error.copy()
        p[np.arange(len(p)), labels[part]] += 1
        inner += inputs.T @ inputs / n
        outer += p.T @ p / n
        mean += p.sum(0) / n
    (a, in_inputs), (g, in_logits) = np.linalg.eigh(inner), np.linalg.eigh(np.diag(mean) - outer)
    a, g = np.maximum(a, 0), np.maximum(g, 0)  # rounding may leave them below
    damping = DAMPING * a.mean() * max(g.mean(), LEAST_CURVATURE)
    weights = 1 / (np.outer(g, a) + damping)
    values = np.empty(n)
    for part, inputs, error in _parts(features, errors):
        along_logits, along_inputs = np.square(error @ in_logits), np.square(inputs @ in_inputs)
        values[part] = np.einsum("ij,ij->i", along_logits @ weights, along_inputs)
    return values


def _parts(
    features: NDArray[Any], errors: NDArray[Any]
) -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.float64]]]:
    """Some samples at a time: where they are, [φ 1] and error vectors, float64."""
    rows = max(1, CHUNK // (features.shape[1] + errors.shape[1] + 1))
    for start in range(0, len(features), rows):
        part = slice(start, start + rows)
        some = features[part].astype(np.float64)
        yield part, np.concatenate([some, np.ones((len(some), 1))], axis=1), errors[part].astype(np.float64)
