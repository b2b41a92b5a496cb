"""Training in phases by another objective: against plain loops over its formula, begun anew in each phase."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.random_streams import derive
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.batches import Inputs
from noisybench.training.machine import Machine
from noisybench.training.objective import choose_objective
from noisybench.training.phases import PhasedTraining, train_in_phases
from noisybench.training.plan import plan_run
from noisybench.training.recipe import Recipe, learning_rate
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

N, SEED = 90, 4
RECIPE = Recipe(epochs=3, batch_size=16, lr=0.1, weight_decay=0.0)
HALVES = (np.arange(0, N, 2), np.arange(1, N, 2))
OPTIONS: Mapping[str, Mapping[str, str]] = {"elr": {}, "car": {"begin": "1", "penalty": "2"}, "cross_entropy": {}}


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    return source_from_arrays("digits", digits.inputs[:N], digits.labels[:N], clean=digits.clean[:N])


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, Symmetric(0.2), seed=0)


def ask(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"loss": F.cross_entropy(logits, labels, reduction="none")}


def trained(
    small: Source, variant: Variant, name: str, folder: Path, progress: Callable[[], None] = lambda: None
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Losses (6, n) of a model that learns one half and then the other."""
    wanted = PhasedTraining("one", 10, HALVES, variant.labels, np.arange(N), ("loss",), ask)
    objective = choose_objective(name, OPTIONS[name]).objective
    how = {"seed": SEED, "machine": Machine(), "folder": folder, "made_by": {"by": name}}
    build = plan_run(small, model="mlp").build
    trace = train_in_phases(
        small,
        variant,
        build,
        RECIPE,
        wanted,
        objective=objective,
        progress=progress,
        **how,  # type: ignore[arg-type]
    )
    return trace["loss"]


def elr(logits: Tensor, y: Tensor, kept: Tensor, chosen: Tensor) -> Tensor:
    """CE + 3 log(1 - ⟨p, t⟩), t ← .7 t + .3 p."""
    p = logits.softmax(1).clamp(1e-4, 1 - 1e-4)
    kept[chosen] = 0.7 * kept[chosen] + 0.3 * (p / p.sum(1, keepdim=True)).detach()
    return F.cross_entropy(logits, y) + 3 * (1 - (kept[chosen] * p).sum(1)).log().mean()


def by_hand(small: Source, variant: Variant, name: str) -> Tensor:
    """The same losses by a plain loop; CAR with targets that never move is -log(τ p[y] + 1 - τ) - 2 log τ."""
    data, labels = Inputs(small.inputs, torch.device("cpu")).batch(slice(None)), torch.tensor(variant.labels)
    torch.manual_seed(derive(SEED, "weights"))
    hidden, head = nn.Linear(64, 128), nn.Linear(128, 10)
    losses = []
    for phase, half in enumerate(HALVES):
        own = derive(SEED, "phase", phase)
        torch.manual_seed(derive(own, "objective"))
        branch = nn.Linear(128, 1) if name == "car" else nn.Identity()
        weights = [*hidden.parameters(), *head.parameters(), *branch.parameters()]
        optimizer = torch.optim.SGD(weights, lr=RECIPE.lr, momentum=RECIPE.momentum, nesterov=True)
        kept, steps, step = torch.zeros(N, 10), -(-len(half) // RECIPE.batch_size), 0
        for epoch in range(1, RECIPE.epochs + 1):
            order = torch.randperm(len(half), generator=torch.Generator().manual_seed(derive(own, "order", epoch)))
            for chosen in torch.tensor(half)[order].split(RECIPE.batch_size):
                optimizer.param_groups[0]["lr"] = learning_rate(RECIPE, step, RECIPE.epochs * steps)
                features = hidden(data[chosen].flatten(1)).relu()
                logits, y = head(features), labels[chosen]
                if name == "elr":
                    loss = elr(logits, y, kept, chosen)
                elif name == "car":
                    trust, doubt = (sign * branch(features)[:, 0] for sign in (1, -1))
                    right = logits.softmax(1).gather(1, y[:, None])[:, 0]
                    mixed = trust.sigmoid() * right + doubt.sigmoid()
                    loss = -mixed.log().mean() - 2 * F.logsigmoid(trust).mean()
                else:
                    loss = F.cross_entropy(logits, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
            logits = head(hidden(data.flatten(1)).relu()).detach()
            losses.append(F.cross_entropy(logits, labels, reduction="none"))
    return torch.stack(losses)


@pytest.mark.parametrize("name", OPTIONS)
def test_phases_are_those_of_a_plain_loop(small: Source, variant: Variant, tmp_path: Path, name: str) -> None:
    """The weights go on, and what the objective keeps or adds is begun anew with each phase."""
    np.testing.assert_allclose(
        trained(small, variant, name, tmp_path), by_hand(small, variant, name), rtol=2e-3, atol=2e-3
    )


class Stopped(Exception):
    pass


@pytest.mark.parametrize("name", ["elr", "car"])
def test_a_stopped_training_goes_on(small: Source, variant: Variant, tmp_path: Path, name: str) -> None:
    """Stopped in either phase, and at the end of the first, to the bytes of one that was not."""
    whole = trained(small, variant, name, tmp_path / "whole")
    for epochs in (2, 3, 4):
        left = [epochs]

        def stop(left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise Stopped

        with pytest.raises(Stopped):
            trained(small, variant, name, tmp_path / str(epochs), stop)
        assert np.array_equal(trained(small, variant, name, tmp_path / str(epochs)), whole)
        one, other = (
            [path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.parquet"))]
            for folder in ("whole", str(epochs))
        )
        assert one == other
