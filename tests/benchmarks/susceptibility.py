"""One susceptibility probe against a copy of the model, a step and two evaluations; measured in the same run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/susceptibility.py [--json FILE]``. Both take one plain SGD step on all
randomly labelled inputs in eval mode and give loss before minus loss after: 512 random images of the shape of CIFAR-10
with small_cnn, and the training digits with mlp. The baseline is the plain way to write it: ``deepcopy`` of the model, the
loss without gradient, a step of ``torch.optim.SGD``, the loss again.
"""

import copy

import numpy as np
import torch
from measuring import Row, faster, medians, report
from torch import Tensor, nn

from noisybench import load_source
from noisybench.training.batches import Inputs
from noisybench.training.models import mlp, small_cnn
from noisybench.training.susceptibility import drop_of_fresh_step

LR, REPEATS, CALLS = 0.01, 7, 10


def plain(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The drop, measured on a copy."""
    other = copy.deepcopy(model).eval()
    optimizer = torch.optim.SGD(other.parameters(), lr=LR)
    with torch.no_grad():
        before = nn.functional.cross_entropy(other(inputs), labels)
    optimizer.zero_grad()
    nn.functional.cross_entropy(other(inputs), labels).backward()
    optimizer.step()
    with torch.no_grad():
        return float(before - nn.functional.cross_entropy(other(inputs), labels))


def measure() -> list[Row]:
    """A row for images and one for features."""
    rng = np.random.default_rng(0)
    cpu = torch.device("cpu")
    torch.manual_seed(0)
    images = Inputs(rng.integers(0, 256, (512, 32, 32, 3), dtype=np.uint8), cpu).batch(slice(None))
    digits = Inputs(load_source("digits").inputs, cpu).batch(slice(None))
    cases = {
        "small_cnn": (small_cnn.build(num_classes=10, input_shape=(3, 32, 32)), images),
        "mlp": (mlp.build(num_classes=10, input_shape=tuple(digits.shape[1:])), digits),
    }
    rows = []
    for name, (model, inputs) in cases.items():
        net = model.to(memory_format=torch.channels_last)
        labels = torch.tensor(rng.integers(0, 10, len(inputs)))
        assert abs(plain(net, inputs, labels) - drop_of_fresh_step(net, inputs, labels, lr=LR)) < 1e-5

        def ours(net: nn.Module = net, inputs: Tensor = inputs, labels: Tensor = labels) -> None:
            for _ in range(CALLS):
                drop_of_fresh_step(net, inputs, labels, lr=LR)

        def baseline(net: nn.Module = net, inputs: Tensor = inputs, labels: Tensor = labels) -> None:
            for _ in range(CALLS):
                plain(net, inputs, labels)

        found = medians({"ours": ours, "plain": baseline}, REPEATS)
        what = f"susceptibility, {name}, {len(inputs):,} samples"
        rows.append(faster(what, found["ours"] / CALLS, found["plain"] / CALLS, REPEATS))
    return rows


if __name__ == "__main__":
    report(measure)
