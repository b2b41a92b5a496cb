"""Forward and backward correction: plain float64 arithmetic, what theory promises of them, and how a matrix is found."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from objective_steps import loss_and_gradient, step_of, task_of
from torch import Tensor
from torch.nn import functional as F

from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.training.objectives._transition import Correction, Matrix
from noisybench.training.objectives.backward_correction import BackwardCorrection
from noisybench.training.objectives.forward_correction import ForwardCorrection

K = 4
TRUE = torch.tensor([[0.7, 0.1, 0.2, 0.0], [0.05, 0.6, 0.05, 0.3], [0.0, 0.0, 1.0, 0.0], [0.25, 0.05, 0.2, 0.5]])
"""Rows that differ in every respect, so that a matrix and its transpose are told apart."""
LABELS = torch.tensor([0, 1, 1, 3, 2, 0])
LOGITS = 3 * torch.randn(6, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
BOTH = (ForwardCorrection, BackwardCorrection)


def forward(logits: Tensor, y: int) -> Tensor:
    shares = logits.exp() / logits.exp().sum()
    return -sum(shares[i] * TRUE[i, y].double() for i in range(K)).log()  # type: ignore[union-attr]


def backward(logits: Tensor, y: int) -> Tensor:
    losses = -(logits.exp() / logits.exp().sum()).log()
    return torch.linalg.solve(TRUE.double(), losses)[y]


def exact(kind: type[Correction], **options: Any) -> Correction:  # noqa: ANN401 - of either
    """One without the floor by which the backward loss differs from its formula."""
    return kind(**(options | {"floor": 0.0} if kind is BackwardCorrection else options))


def test_the_floor_of_the_backward_loss_bounds_it() -> None:
    """A probability of zero is a loss of log(1e7); one of a half is the same to seven digits."""
    losses = [backward(LOGITS[i], int(LABELS[i])) for i in range(len(LABELS))]
    task = task_of(LABELS, K, transition=TRUE)
    loss, _ = loss_and_gradient(BackwardCorrection(transition="true"), LOGITS, LABELS, task)
    torch.testing.assert_close(loss, torch.stack(losses).mean(), rtol=1e-3, atol=0.0)
    sure = 1e4 * F.one_hot(LABELS, K).double()
    loss, _ = loss_and_gradient(BackwardCorrection(transition="true"), sure, LABELS, task)
    most = torch.linalg.inv(TRUE.double()).abs().sum(1).max() * np.log(1e7)
    assert -most < loss < 0
    assert loss_and_gradient(exact(BackwardCorrection, transition="true"), sure, LABELS, task)[0] < -10 * most


@pytest.mark.parametrize(("kind", "formula"), zip(BOTH, (forward, backward), strict=True))
def test_loss_and_gradient_are_those_of_the_formula(
    kind: type[Correction], formula: Callable[[Tensor, int], Tensor]
) -> None:
    """By plain arithmetic on each sample, with the true matrix, from the first epoch on."""
    leaf = LOGITS.clone().requires_grad_()
    losses = [formula(leaf[i], int(LABELS[i])) for i in range(len(LABELS))]
    expected = torch.stack(losses).mean()
    expected.backward()
    assert leaf.grad is not None
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        task = task_of(LABELS, K, transition=TRUE)
        loss, gradient = loss_and_gradient(exact(kind, transition="true"), LOGITS.to(dtype), LABELS, task, epoch=1)
        torch.testing.assert_close(loss.double(), expected.detach(), rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(gradient.double(), leaf.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", BOTH)
def test_with_the_identity_it_is_cross_entropy(kind: type[Correction]) -> None:
    """To the last digits, as before the estimate of a matrix."""
    task = task_of(LABELS, K, transition=torch.eye(K))
    for objective, epoch in ((exact(kind, transition="true"), 20), (exact(kind), 4)):
        loss, gradient = loss_and_gradient(objective, LOGITS, LABELS, task, epoch=epoch)
        torch.testing.assert_close(loss, F.cross_entropy(LOGITS, LABELS), rtol=1e-13, atol=0.0)
        expected = (F.softmax(LOGITS, 1) - F.one_hot(LABELS, K)) / len(LABELS)
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)


def expected_loss(objective: Correction, logits: Tensor, clean: int) -> Tensor:
    """Mean loss of a sample of a clean class over the labels that it may be given."""
    task = task_of(torch.arange(K), K, transition=TRUE)
    state = objective.start(task)
    losses = [objective.loss(step_of(logits[None], torch.tensor([y]), task, state)) for y in range(K)]
    return (TRUE[clean].double() * torch.stack(losses)).sum()


def test_the_backward_loss_is_unbiased() -> None:
    """Over the labels that a sample may be given, its mean is the cross-entropy of the clean class, whatever is predicted."""
    for clean in range(K):
        for logits in LOGITS:
            mean = expected_loss(exact(BackwardCorrection, transition="true"), logits, clean)
            torch.testing.assert_close(mean, -F.log_softmax(logits, 0)[clean], rtol=1e-5, atol=1e-5)


def test_the_forward_loss_is_least_at_the_clean_probabilities() -> None:
    """Where given labels follow Tᵀ q, its mean has no slope at p = q, and is larger elsewhere."""
    q = torch.tensor([0.5, 0.2, 0.2, 0.1], dtype=torch.float64)
    logits = q.log().requires_grad_()
    objective = ForwardCorrection(transition="true")

    def mean(logits: Tensor) -> Tensor:
        losses = torch.stack([expected_loss(objective, logits, clean) for clean in range(K)])
        return (q * losses).sum()

    (slope,) = torch.autograd.grad(mean(logits), logits)
    assert slope.abs().max() < 1e-7
    least = mean(q.log())
    assert all(mean(q.log() + 0.3 * step) > least for step in LOGITS)


@pytest.mark.parametrize("kind", BOTH)
def test_entries_of_zero_and_sure_predictions_leave_finite_numbers(kind: type[Correction]) -> None:
    """Pair flip in float32, where the model is sure of a class that the label cannot come from."""
    pairs = 0.7 * torch.eye(K) + 0.3 * torch.eye(K).roll(1, dims=1)
    logits = 300 * F.one_hot(torch.tensor([2, 2, 2, 2]), K).float()
    task = task_of(torch.arange(4), K, transition=pairs)
    loss, gradient = loss_and_gradient(exact(kind, transition="true"), logits, torch.arange(4), task)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


# --- where the matrix comes from ---------------------------------------------------------------------------------------


def known_posteriors() -> tuple[Tensor, Tensor]:
    """P(given | x) of 400 samples of which 4 are surely of a class, and labels drawn from it."""
    generator = torch.Generator().manual_seed(5)
    clean = torch.softmax(3 * torch.randn(400, K, generator=generator), 1)
    clean[:K] = torch.eye(K)
    posterior = clean @ TRUE
    return posterior, torch.multinomial(posterior, 1, generator=generator)[:, 0]


@pytest.mark.parametrize("kind", BOTH)
def test_a_matrix_is_estimated_once_from_what_is_trained_on(kind: type[Correction]) -> None:
    """At the end of the last epoch with cross-entropy; by anchor points it is the true one, where the theory holds."""
    posterior, labels = known_posteriors()
    stranger = torch.tensor([[0.9, 0.1, 0.0, 0.0]])  # would be the anchor of class 0, were it trained on
    task = task_of(torch.cat([torch.tensor([0]), labels]), K, rows=torch.arange(1, 401))
    objective, asked = kind(), []

    def ask() -> Tensor:
        asked.append(True)
        return torch.cat([stranger, posterior])

    state = objective.start(task)
    places = {name: tensor.data_ptr() for name, tensor in state.items()}
    for epoch in range(1, 21):
        assert torch.equal(state["transition"], torch.eye(K)) == (epoch <= 4)
        step = step_of(LOGITS, LABELS, task, state, epoch=epoch)
        assert torch.equal(objective.loss(step), F.cross_entropy(LOGITS, LABELS)) == (epoch <= 4)
        objective.end_epoch(state, task, epoch, ask)
        assert len(asked) == (epoch >= 4)
    torch.testing.assert_close(state["transition"], TRUE, rtol=0.0, atol=1e-6)
    assert {name: tensor.data_ptr() for name, tensor in state.items()} == places
    told = task_of(task.labels, K, rows=task.rows, transition=TRUE)
    loss, _ = loss_and_gradient(kind(transition="true"), LOGITS, LABELS, told)
    torch.testing.assert_close(objective.loss(step_of(LOGITS, LABELS, task, state)), loss, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", get_args(Matrix)[1:])
def test_every_estimator_gives_a_matrix(method: Matrix) -> None:
    """Rows that sum to one, no entry zero, nearer to the truth than the identity where predictions are good."""
    posterior, labels = known_posteriors()
    clean = torch.linalg.solve(TRUE.T, posterior.T).T.clamp(min=0)
    clean[:K] = torch.eye(K)
    seen = posterior if method.startswith("anchor") else clean / clean.sum(1, keepdim=True)
    objective, task = ForwardCorrection(transition=method, warm_up=0.1), task_of(labels, K)
    state = objective.start(task)
    objective.end_epoch(state, task, 2, lambda: seen)
    found = state["transition"]
    torch.testing.assert_close(found.sum(1), torch.ones(K))
    assert (found > 0).all()
    assert (found - TRUE).abs().sum() < 0.75 * (torch.eye(K) - TRUE).abs().sum()
    mixed = ForwardCorrection(transition=method, warm_up=0.1, mix=0.25)
    other = mixed.start(task)
    mixed.end_epoch(other, task, 2, lambda: seen)
    torch.testing.assert_close(other["transition"], 0.75 * found + 0.25 * torch.eye(K))


def test_a_class_of_which_nothing_is_told_counts_as_rightly_labeled() -> None:
    """One that nobody is given, and that no sample is predicted to be of."""
    labels = torch.tensor([0, 0, 1, 1, 2])
    seen = torch.tensor([[0.8, 0.2, 0.0, 0.0], [0.6, 0.4, 0.0, 0.0], [0.3, 0.7, 0.0, 0.0]])[[0, 1, 2, 2, 2]]
    objective, task = ForwardCorrection(), task_of(labels, K)
    state = objective.start(task)
    objective.end_epoch(state, task, 4, lambda: seen)
    expected = torch.tensor([[0.8, 0.2, 0, 0], [0.3, 0.7, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(state["transition"], expected, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("share", "epochs", "warm"), [(0.2, 20, 4), (0.1, 30, 3), (0.7, 10, 7), (0.15, 10, 2), (0, 10, 1), (0.2, 2, 1)]
)
def test_the_warm_up_is_a_share_of_the_training(share: float, epochs: int, warm: int) -> None:
    """Rounded up, and at least one epoch: without one there is nothing to estimate from."""
    task = task_of(LABELS, K, epochs=epochs)
    assert ForwardCorrection(warm_up=share).warm_epochs(task) == warm


def test_only_the_true_matrix_is_knowledge_of_the_truth() -> None:
    """Which a run has to declare."""
    assert [kind(transition="true").knows for kind in BOTH] == ["transition"] * 2
    assert [kind(transition=method).knows for kind in BOTH for method in get_args(Matrix)[1:]] == ["nothing"] * 10


@pytest.mark.parametrize("kind", BOTH)
def test_what_cannot_be_corrected_is_said(kind: type[Correction]) -> None:
    """Options that are none, no matrix, and no epoch for it."""
    with pytest.raises(BadUsage, match="transition must be one of true, anchor_points, .*, got 'known'"):
        kind(transition="known")  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match=r"mix must be a number in \[0, 1\), got '1'"):
        kind(mix=1)
    with pytest.raises(BadUsage, match="no transition matrix that is known.*say transition=anchor_points"):
        kind(transition="true").start(task_of(LABELS, K))
    with pytest.raises(BadUsage, match=r"warm_up=0.8 of the training has no epoch left of 4; train for more epochs"):
        kind(warm_up=0.8).start(task_of(LABELS, K, epochs=4))


def test_matrices_that_cannot_serve_are_refused() -> None:
    """An inverse that is none, which a share of the identity mends; a label that is given and never should be."""
    uniform = task_of(LABELS, K, transition=torch.full((K, K), 1 / K))
    with pytest.raises(
        TrainingFailed, match=r"no inverse \(condition number .*, which must be below 1e\+06\); say mix"
    ):
        BackwardCorrection(transition="true").start(uniform)
    mended = BackwardCorrection(transition="true", mix=0.1).start(uniform)
    torch.testing.assert_close(mended["inverse"] @ mended["transition"], torch.eye(K), rtol=0.0, atol=1e-5)
    never = TRUE.clone()
    never[:, 3] = 0
    with pytest.raises(BadUsage, match="class 3 is given to samples, and the transition matrix gives it to none"):
        ForwardCorrection(transition="true").start(task_of(LABELS, K, transition=never / never.sum(1, keepdim=True)))
    assert np.isfinite(loss_and_gradient(ForwardCorrection(mix=0.1), LOGITS, LABELS)[0])
