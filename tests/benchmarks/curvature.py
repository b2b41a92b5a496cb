"""One pass of the curvature probe, in epochs of training, beside the published loop; measured in the same run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/curvature.py [--json FILE]``. 1,280 random images of the shape of
CIFAR-10, small_cnn, ten directions, batches of 128. An epoch is forward, backward and a step of SGD, without
augmentation. The published loop (Garg, Ravikumar and Roy 2024; the same in all their repositories) differentiates
L(x + hv) - L(x) in the input anew for every direction; the older form of it calls ``backward()`` on both losses, which
computes gradients of the parameters as well. Model and inputs are the same, channels-last, in all of them.
"""

import numpy as np
import torch
from measuring import Row, faster, medians, multiple, report
from torch import Tensor, nn

from noisybench.training.batches import Inputs
from noisybench.training.models.small_cnn import build
from noisybench.training.observing import observe
from noisybench.training.probes.curvature import Curvature

N, BATCH, DRAWS, STEP, REPEATS = 1_280, 128, 10, 1e-3, 5


def directions(inputs: Tensor) -> Tensor:
    """Random signs of length ``STEP``, as the published loop draws them."""
    signs = torch.randint_like(inputs, high=2)
    for sign in signs:
        sign[sign == 0] = -1
    return STEP * (signs + 1e-7)


def published(model: nn.Module, batches: list[Tensor], labels: list[Tensor]) -> None:
    """Two forwards and a backward of both for every direction."""
    criterion = nn.CrossEntropyLoss()
    model.eval()
    for x, y in zip(batches, labels, strict=True):
        batch, total = x.clone(), torch.zeros(len(x))
        for _ in range(DRAWS):
            v = directions(batch.detach())
            batch.requires_grad_()
            difference = criterion(model(batch + v), y) - criterion(model(batch), y)
            gradient = torch.autograd.grad(difference, batch)[0]
            total += gradient.reshape(len(x), -1).norm(dim=1)
            model.zero_grad()


def with_backward(model: nn.Module, batches: list[Tensor], labels: list[Tensor]) -> None:
    """The same with ``backward()``: parameters receive gradients that nobody reads."""
    criterion = nn.CrossEntropyLoss()
    model.eval()
    for x, y in zip(batches, labels, strict=True):
        total = torch.zeros(len(x))
        for _ in range(DRAWS):
            v = directions(x)
            here, there = x.clone().requires_grad_(), (x + v).requires_grad_()
            criterion(model(there), y).backward()
            criterion(model(here), y).backward()
            assert here.grad is not None
            assert there.grad is not None
            total += (there.grad - here.grad).reshape(len(x), -1).norm(dim=1)
            model.zero_grad()


def measure() -> list[Row]:
    """Rows in epochs of training, and the ratio of the published loop to ours."""
    rng = np.random.default_rng(0)
    data = Inputs(rng.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8), torch.device("cpu"))
    targets = torch.tensor(rng.integers(0, 10, N))
    batches, labels = list(data.batches(BATCH)), list(targets.split(BATCH))
    torch.manual_seed(0)
    model = build(num_classes=10, input_shape=(3, 32, 32)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    def epoch() -> None:
        model.train()
        for x, y in zip(batches, labels, strict=True):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    found = medians(
        {
            "epoch": epoch,
            "ours": lambda: observe(model, batches, targets, [Curvature(draws=DRAWS, step=STEP)], epoch=1),
            "published": lambda: published(model, batches, labels),
            "backward": lambda: with_backward(model, batches, labels),
        },
        REPEATS,
    )
    unit, what = "training epochs", f"curvature, {DRAWS} directions"
    return [
        multiple(f"{what}: noisybench", found["ours"], found["epoch"], unit, REPEATS),
        multiple(f"{what}: published loop", found["published"], found["epoch"], unit, REPEATS),
        multiple(f"{what}: published loop with backward()", found["backward"], found["epoch"], unit, REPEATS),
        faster(f"{what}: noisybench against the published loop", found["ours"], found["published"], REPEATS),
    ]


if __name__ == "__main__":
    report(measure)
