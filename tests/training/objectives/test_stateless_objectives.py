"""Objectives whose loss is a formula: values and gradients by plain float64 arithmetic, limits, schedules, refusals."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
import torch
from objective_steps import loss_and_gradient, step_of, task_of
from scipy.stats import chi2
from torch import Tensor
from torch.nn import functional as F

from noisybench.ground.checks import number
from noisybench.ground.errors import BadUsage
from noisybench.training.objective import Objective, Task
from noisybench.training.objectives._options import ramp
from noisybench.training.objectives.bootstrapping import Bootstrapping
from noisybench.training.objectives.cores import Cores
from noisybench.training.objectives.generalised_cross_entropy import GeneralisedCrossEntropy
from noisybench.training.objectives.label_smoothing import LabelSmoothing
from noisybench.training.objectives.nce_rce import NormalisedAndReverse
from noisybench.training.objectives.peer_loss import PeerLoss

K = 5
LABELS = torch.tensor([0, 1, 1, 4, 2, 0, 0])
LOGITS = 3 * torch.randn(7, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
PRIOR = [3 / 7, 2 / 7, 1 / 7, 0.0, 1 / 7]
"""Shares of ``LABELS``."""


def probabilities(logits: Tensor) -> list[Tensor]:
    """Softmax of one sample, written out."""
    parts = [logit.exp() for logit in logits]
    total = sum(parts[1:], parts[0])
    return [part / total for part in parts]


def smoothed(r: float) -> Callable[[list[Tensor], int], Tensor]:
    """Cross-entropy with the target (1 − r) onehot + r / K."""
    return lambda p, y: -sum(((1 - r) * (k == y) + r / K) * p[k].log() for k in range(K))  # type: ignore[return-value]


def mixed(beta: float) -> Callable[[list[Tensor], int], Tensor]:
    return lambda p, y: -sum((beta * (k == y) + (1 - beta) * p[k]) * p[k].log() for k in range(K))  # type: ignore[return-value]


def nce_rce(alpha: float, beta: float, zero: float) -> Callable[[list[Tensor], int], Tensor]:
    def loss(p: list[Tensor], y: int) -> Tensor:
        active = -p[y].log() / -sum(share.log() for share in p)
        passive = -sum(p[k] * (0.0 if k == y else zero) for k in range(K))
        return alpha * active + beta * passive

    return loss


def regularised(beta: float, floor: float = 0.0) -> Callable[[list[Tensor], int], Tensor]:
    return lambda p, y: -p[y].log() + beta * sum(PRIOR[k] * (p[k] + floor).log() for k in range(K))


FORMULAS: dict[str, tuple[Objective, Callable[[list[Tensor], int], Tensor]]] = {
    "smoothing .3": (LabelSmoothing(smoothing=0.3), smoothed(0.3)),
    "smoothing -2": (LabelSmoothing(smoothing=-2), smoothed(-2)),
    "gce .7": (GeneralisedCrossEntropy(), lambda p, y: (1 - p[y] ** 0.7) / 0.7),
    "gce 1": (
        GeneralisedCrossEntropy(q=1),
        lambda p, y: torch.stack([abs(float(k == y) - p[k]) for k in range(K)]).sum() / 2,
    ),
    "nce+rce": (NormalisedAndReverse(), nce_rce(1, 1, -4)),
    "nce+rce 100": (NormalisedAndReverse(alpha=10, beta=0.1, log_zero=np.log(1e-4)), nce_rce(10, 0.1, np.log(1e-4))),
    "bootstrapping": (Bootstrapping(), mixed(0.95)),
    "bootstrapping .3": (Bootstrapping(beta=0.3), mixed(0.3)),
    "cores": (Cores(), regularised(2, 1e-8)),
    "cores without floor": (Cores(floor=0), regularised(2)),
    "cores .5": (Cores(strength=0.5, floor=1e-3), regularised(0.5, 1e-3)),
    "cores divided": (Cores(divided=True), lambda p, y: regularised(2, 1e-8)(p, y) / 3),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_loss_and_gradient_are_those_of_the_formula(case: str) -> None:
    """In float64, of single samples by plain arithmetic; in float32, as a training has them, to its digits."""
    objective, formula = FORMULAS[case]
    leaf = LOGITS.clone().requires_grad_()
    losses = [formula(probabilities(leaf[i]), int(LABELS[i])) for i in range(len(LABELS))]
    expected = sum(losses[1:], losses[0]) / len(losses)
    expected.backward()
    assert leaf.grad is not None
    for dtype, tolerance in ((torch.float64, 1e-7 if "cores" in case else 1e-12), (torch.float32, 2e-6)):
        loss, gradient = loss_and_gradient(objective, LOGITS.to(dtype), LABELS)
        torch.testing.assert_close(loss.double(), expected.detach(), rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(gradient.double(), leaf.grad, rtol=tolerance, atol=tolerance)


CROSS_ENTROPIES: dict[str, tuple[Objective, int]] = {
    "no smoothing": (LabelSmoothing(smoothing=0), 20),
    "smoothing that waits": (LabelSmoothing(smoothing=0.5, warm_up=0.5), 10),
    "q = 0": (GeneralisedCrossEntropy(q=0), 20),
    "beta = 1": (Bootstrapping(beta=1), 20),
    "no pair": (PeerLoss(alpha=0, floor=0), 20),
    "a pair that waits": (PeerLoss(begin=0.5, full=0.6, floor=0), 11),
    "no regulariser": (Cores(strength=0), 20),
    "a regulariser that waits": (Cores(), 3),
}


@pytest.mark.parametrize("case", CROSS_ENTROPIES)
def test_at_the_neutral_option_it_is_cross_entropy(case: str) -> None:
    """Loss and gradient, to the last digits."""
    objective, epoch = CROSS_ENTROPIES[case]
    loss, gradient = loss_and_gradient(objective, LOGITS, LABELS, epoch=epoch)
    torch.testing.assert_close(loss, F.cross_entropy(LOGITS, LABELS), rtol=1e-13, atol=1e-14)
    expected = (F.softmax(LOGITS, 1) - F.one_hot(LABELS, K)) / len(LABELS)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)


def test_smoothing_is_that_of_torch() -> None:
    """Between 0 and 1, where torch has it."""
    loss, _ = loss_and_gradient(LabelSmoothing(smoothing=0.25), LOGITS, LABELS)
    torch.testing.assert_close(loss, F.cross_entropy(LOGITS, LABELS, label_smoothing=0.25), rtol=1e-13, atol=0.0)


@pytest.mark.parametrize("q", [1e-3, 1e-6, 1e-12])
def test_generalised_cross_entropy_nears_cross_entropy_without_losing_digits(q: float) -> None:
    """It differs by q log² p / 2, in float32 too, where 1 − p^q by itself would have none left."""
    logits = LOGITS.float()
    expected = F.cross_entropy(logits, LABELS)
    gap = q / 2 * F.log_softmax(LOGITS, 1).gather(1, LABELS[:, None]).square().mean().float()
    loss, gradient = loss_and_gradient(GeneralisedCrossEntropy(q=q), logits, LABELS)
    torch.testing.assert_close(expected - loss, gap, rtol=0.02, atol=2e-6)
    slope = (F.softmax(logits, 1) - F.one_hot(LABELS, K)) / len(LABELS)
    torch.testing.assert_close(gradient, slope, rtol=20 * q + 1e-5, atol=1e-7)


def test_a_target_that_is_held_only_slows_cross_entropy() -> None:
    """The gradient of the cross-entropy of p with itself is zero: what is left is β of that with the label."""
    loss, gradient = loss_and_gradient(Bootstrapping(beta=0.6, gradient="stopped"), LOGITS, LABELS)
    _, plain = loss_and_gradient(LabelSmoothing(smoothing=0), LOGITS, LABELS)
    through, other = loss_and_gradient(Bootstrapping(beta=0.6), LOGITS, LABELS)
    torch.testing.assert_close(gradient, 0.6 * plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(loss, through, rtol=1e-13, atol=0.0)
    assert not torch.allclose(other, gradient, rtol=1e-2)


# --- peer loss and the regulariser that is its mean --------------------------------------------------------------------

TABLE = torch.randn(8, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
"""Logits of eight samples, of which the first and the last are not trained on."""
GIVEN = torch.tensor([5, 0, 1, 2, 3, 4, 5, 0])


def peer_task() -> Task:
    return task_of(GIVEN, 6, rows=torch.arange(1, 7))


def test_pairs_are_drawn_independently_from_all_that_are_trained_on() -> None:
    """All 36 pairs of six inputs and six labels are equally likely; what is not trained on is in none."""
    task, batch = peer_task(), torch.arange(1, 2)
    values = -F.log_softmax(TABLE[1:7], 1)  # label k is that of row k + 1
    own = values[0, 0]
    counts = np.zeros(36)
    generator = torch.Generator().manual_seed(3)
    objective = PeerLoss(floor=0)
    for _ in range(1080):
        step = replace(
            step_of(TABLE[batch], GIVEN[batch], task, {}, ask=lambda numbers: TABLE[numbers]), generator=generator
        )
        counts[(values - (own - objective.loss(step))).abs().argmin()] += 1
    assert ((counts - 30) ** 2 / 30).sum() < chi2.isf(1e-4, 35)


def test_the_mean_peer_loss_is_that_over_all_pairs() -> None:
    """Which is also what the regulariser of CORES² subtracts: mean loss and mean gradient of 60,000 pairs."""
    task, rows = peer_task(), torch.arange(1, 7)
    table, alpha = TABLE.clone().requires_grad_(), 0.7
    losses = -F.log_softmax(table, 1)
    pairs = torch.stack([losses[a, GIVEN[b]] for a in rows for b in rows])
    expected = losses[rows, GIVEN[rows]].mean() - alpha * pairs.mean()
    (slope,) = torch.autograd.grad(expected, table)

    leaf, batch = TABLE.clone().requires_grad_(), rows.repeat(1000)
    generator, total, steps = torch.Generator().manual_seed(4), torch.zeros(()).double(), 10
    for _ in range(steps):
        step = step_of(leaf[batch], GIVEN[batch], task, {}, ask=lambda numbers: leaf[numbers])
        total = total + PeerLoss(alpha=alpha, floor=0).loss(replace(step, generator=generator)) / steps
    total.backward()
    deviation = alpha / (steps * len(batch)) ** 0.5
    assert abs((total - expected).item()) < 4 * deviation * pairs.std().item()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, slope, rtol=0.0, atol=4 * deviation * 0.5)
    assert not leaf.grad[[0, 7]].any()

    cores = Cores(strength=alpha, begin=0, full=0, floor=0)
    loss = cores.loss(step_of(table[rows], GIVEN[rows], task, cores.start(task)))
    torch.testing.assert_close(loss, expected, rtol=1e-7, atol=1e-9)


def test_a_floor_bounds_the_peer_loss() -> None:
    """By −α log(floor) from below; without one it falls as far as the logits are driven."""
    extreme = 500 * F.one_hot(LABELS, K).double()
    task = task_of(LABELS, K)
    for floor, least in ((1e-5, np.log(1e-5)), (0.0, -inf)):
        step = step_of(extreme, LABELS, task, {}, ask=lambda numbers: -extreme[numbers])
        loss = float(PeerLoss(floor=floor).loss(step))
        assert loss >= least - 1e-4
        assert (loss < -12) == (floor == 0)


def test_a_divided_loss_is_that_of_a_divided_learning_rate() -> None:
    """1 + α times smaller."""
    task = task_of(LABELS, K)
    step = step_of(LOGITS, LABELS, task, {}, ask=lambda numbers: LOGITS[numbers])
    whole = PeerLoss(alpha=3).loss(step)
    divided = PeerLoss(alpha=3, divided=True).loss(replace(step, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(whole, 4 * divided)


def test_the_sieve_leaves_out_what_fits_its_label_less_than_others() -> None:
    """From its share of the training on, by the outputs of the batch; where it leaves none, nothing is learnt."""
    cores, task = Cores(sieve=0.5, floor=0), task_of(LABELS, K)
    logs = F.log_softmax(LOGITS, 1)
    given = logs.gather(1, LABELS[:, None])[:, 0]
    kept = -given <= -logs.mean(1)
    assert 0 < kept.sum() < len(kept)
    losses = -given + 2 * (logs * torch.tensor(PRIOR)).sum(1)
    before, _ = loss_and_gradient(cores, LOGITS, LABELS, epoch=10)
    after, gradient = loss_and_gradient(cores, LOGITS, LABELS, epoch=11)
    torch.testing.assert_close(before, losses.mean(), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(after, losses[kept].mean(), rtol=1e-7, atol=1e-9)
    assert torch.equal(gradient.abs().sum(1) > 0, kept)
    loss, gradient = loss_and_gradient(cores, LOGITS[~kept], LABELS[~kept], task, epoch=11)
    assert float(loss) == 0
    assert not gradient.any()


def test_with_equal_shares_the_regulariser_is_the_criterion_of_the_sieve() -> None:
    """β = 1: the mean logit less that of the label."""
    labels = torch.arange(K)
    loss, _ = loss_and_gradient(Cores(strength=1, floor=0), LOGITS[:K], labels)
    torch.testing.assert_close(loss, (LOGITS[:K].mean(1) - LOGITS[labels, labels]).mean(), rtol=1e-6, atol=1e-7)


def test_the_shares_are_those_of_what_is_trained_on() -> None:
    """Also of a class that nobody is given."""
    state = Cores().start(task_of(GIVEN, 7, rows=torch.arange(1, 7)))
    assert state["prior"].tolist() == pytest.approx([1 / 6] * 6 + [0], abs=1e-7)


def test_in_twenty_epochs_each_weight_has_begun_and_become_whole() -> None:
    """As the authors' 100 epochs: nothing for a tenth, then a straight line, whole from 40 % on."""
    weights = [ramp(epoch / 20, Cores().begin, Cores().full) for epoch in range(20)]
    assert weights[:3] == [0, 0, 0]
    assert weights[3:8] == pytest.approx([1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6])
    assert weights[8:] == [1] * 12
    assert PeerLoss().full == 0  # whole from the first epoch on


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LabelSmoothing(smoothing=1), "smoothing must be a number below 1 and finite, got 1"),
        (lambda: LabelSmoothing(smoothing=nan), "smoothing must be a number below 1 and finite, got nan"),
        (lambda: LabelSmoothing(warm_up=1), r"warm_up must be a number in \[0, 1\), got 1"),
        (lambda: GeneralisedCrossEntropy(q=1.5), r"q must be a number in \[0, 1\], got 1.5"),
        (lambda: GeneralisedCrossEntropy(q="x"), r"q must be a number in \[0, 1\], got 'x'"),  # type: ignore[arg-type]
        (lambda: NormalisedAndReverse(beta=-1), "beta must be a number at least 0 and finite, got -1"),
        (lambda: NormalisedAndReverse(log_zero=0), "log_zero must be a number below 0 and finite, got 0"),
        (lambda: Bootstrapping(beta=0), r"beta must be a number in \(0, 1\], got 0"),
        (lambda: Bootstrapping(gradient="on"), "gradient must be one of through, stopped, got 'on'"),  # type: ignore[arg-type]
        (lambda: PeerLoss(alpha=inf), "alpha must be a number at least 0 and finite, got inf"),
        (lambda: PeerLoss(begin=0.3), "full must be at least begin, got full=0 and begin=0.3"),
        (lambda: Cores(full=2), r"full must be a number in \[0, 1\], got 2"),
        (lambda: Cores(sieve=-0.1), r"sieve must be a number in \[0, 1\], got -0.1"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(make: Callable[[], Objective], words: str) -> None:
    """In one sentence that names option, range and value."""
    with pytest.raises(BadUsage, match=words):
        make()


def test_numbers_are_plain() -> None:
    """Neither -0.0 nor a scalar of NumPy's is left, which would name other folders."""
    assert str(number(np.float32(-0.0), "x")) == "0.0"
    assert type(number(np.int64(2), "x", least=0)) is float
    with pytest.raises(BadUsage, match="more than 0 and finite"):
        number(True, "x", least=0, without=0)  # noqa: FBT003 - a number is asked for
