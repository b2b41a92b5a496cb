"""A whole ``evaluate`` with all detectors against the same training as it is usually written; measured in the same run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/end_to_end.py [--json FILE]``. The digits with mlp (5 epochs), and 2,000
images of the shape of CIFAR-10 with small_cnn, crops and flips (5 epochs), each with the standard recipe and one seed.

Baselines, with the same model, batch size, schedule and number of epochs: *plain* is a ``DataLoader`` (of a
``TensorDataset``; of PIL images with torchvision's transforms), SGD and a test after each epoch, nothing observed.
*Separate passes* adds what running each detector's own script adds: a pass over the training set after each epoch for
each detector of the dynamics, one after the last for those of the last epoch, the published curvature loop every fifth
epoch, and susceptibility on a copy of the model. ``evaluate`` also writes its trace, scores and cards, compares every
detector with the truth, and gives intervals; the baselines do none of that.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from curvature import published
from input_pipeline import TRANSFORM, Images
from measuring import Row, faster, medians, multiple, report
from susceptibility import plain as drop
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

from noisybench import Source, Variant, build_variant, evaluate, find, load_source
from noisybench.data.source import source_from_arrays
from noisybench.ground.files import read_json
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.recipe import Recipe, learning_rate

EPOCHS, REPEATS = 5, 3
Loaders = tuple[Any, Any, Any]  # training, training un-augmented and in order, test


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the highest other."""
    other = torch.scatter(logits, 1, labels.view(-1, 1), -torch.inf).max(1)[0]
    return logits.gather(1, labels.view(-1, 1)).squeeze(1) - other


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each sample."""
    return F.cross_entropy(logits, labels, reduction="none")


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the prediction is the label."""
    return logits.argmax(1) == labels


def error_norm(logits: Tensor, labels: Tensor) -> Tensor:
    """Length of probabilities minus one-hot."""
    return (logits.softmax(1) - F.one_hot(labels, logits.shape[1])).norm(dim=1)


def entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Entropy of the prediction."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)


EVERY_EPOCH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "aum": margin,
    "cores": lambda logits, labels: logits.gather(1, labels.view(-1, 1)).squeeze(1) - logits.mean(1),
    "cumulative_error": correct,
    "cumulative_loss": loss,
    "el2n": error_norm,
    "entropy": entropy,
    "forgetting": correct,
    "label_confidence": lambda logits, labels: logits.softmax(1).gather(1, labels.view(-1, 1)).squeeze(1),
    "label_variability": lambda logits, labels: logits.softmax(1).gather(1, labels.view(-1, 1)).squeeze(1),
    "learning_time": correct,
}
LAST_EPOCH = {"final_loss": loss, "gmm_loss": loss}


def usual(source: Source, build: Any, recipe: Recipe, loaders: Loaders, *, observe: bool) -> None:  # noqa: ANN401
    """The training loop of a tutorial; where asked, with a pass of its own for each detector."""
    torch.manual_seed(0)
    training, ordered, test = loaders
    model = build(num_classes=source.num_classes, input_shape=source.input_shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = recipe.epochs * len(training)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(recipe, step, steps) / recipe.lr)
    seen: dict[str, list[Tensor]] = {}
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        for x, y in training:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            sum(int((model(x).argmax(1) == y).sum()) for x, y in test)
            asked = EVERY_EPOCH if epoch < recipe.epochs else EVERY_EPOCH | LAST_EPOCH
            for name, ask in asked.items() if observe else ():
                seen.setdefault(name, []).append(torch.cat([ask(model(x), y) for x, y in ordered]))
        if observe:
            batches = list(ordered)
            if epoch % 5 == 0 or epoch == recipe.epochs:
                published(model, [x for x, _ in batches], [y for _, y in batches])
            inputs = torch.cat([x for x, _ in batches])[:512]
            drop(model, inputs, torch.randint(source.num_classes, (len(inputs),)))


def compare(name: str, source: Source, variant: Variant, model: str, recipe: Recipe, loaders: Loaders) -> list[Row]:
    """Rows of one source."""
    build = find("models", model)
    shares: list[float] = []

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            [run] = evaluate(variant, source, model=model, epochs=EPOCHS, seeds=(0,), out=Path(folder))
            timing = read_json(run.path / "timing.json")
            looking = {k: v for k, v in timing["purposes"].items() if k not in ("training", "testing")}
            shares.append(sum(looking.values()) / timing["seconds"])

    found = medians(
        {
            "ours": ours,
            "plain": partial(usual, source, build, recipe, loaders, observe=False),
            "separate": partial(usual, source, build, recipe, loaders, observe=True),
        },
        REPEATS,
    )
    seconds, share = found["ours"], float(np.median(shares))
    return [
        faster(f"{name}: evaluate against training with separate passes", seconds, found["separate"], REPEATS),
        multiple(f"{name}: evaluate", seconds, found["plain"], "times the plain training", REPEATS),
        multiple(
            f"{name}: training with separate passes",
            found["separate"],
            found["plain"],
            "times the plain training",
            REPEATS,
        ),
        Row(f"{name}: observing, as a share of the run", share * seconds, seconds, share, "of the run", REPEATS),
    ]


def digits() -> list[Row]:
    """The digits, as tensors."""
    source = load_source("digits")
    variant = build_variant(source, Symmetric(0.2))
    assert source.test_inputs is not None
    assert source.test_labels is not None

    def tensors(images: Any, labels: Any) -> TensorDataset:  # noqa: ANN401 - numpy
        return TensorDataset(torch.tensor(images).permute(0, 3, 1, 2) / 16, torch.tensor(labels))

    noisy = tensors(source.inputs, variant.labels)
    test = DataLoader(tensors(source.test_inputs, source.test_labels), batch_size=128)
    loaders = DataLoader(noisy, batch_size=32, shuffle=True), DataLoader(noisy, batch_size=128), test
    return compare("digits, mlp", source, variant, "mlp", Recipe(epochs=EPOCHS, batch_size=32), loaders)


def cifar(n: int = 2_000) -> list[Row]:
    """Images of ten classes that differ in their mean, through PIL."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 10, n + 500)
    images = (rng.integers(0, 128, (n + 500, 32, 32, 3)) + 12 * clean[:, None, None, None]).astype(np.uint8)
    train, test = slice(n), slice(n, None)
    source = source_from_arrays(
        "synthetic", images[train], clean[train], clean=clean[train], test_inputs=images[test],
        test_labels=clean[test], augmentation="crop_flip",
    )  # fmt: skip
    variant = build_variant(source, Symmetric(0.2))
    still = transforms.Compose(TRANSFORM.transforms[2:])
    noisy = Images(images[train], variant.labels, TRANSFORM)
    loaders = (
        DataLoader(noisy, batch_size=32, shuffle=True),
        DataLoader(Images(images[train], variant.labels, still), batch_size=128),
        DataLoader(Images(images[test], clean[test], still), batch_size=128),
    )
    name = f"{n:,} images, small_cnn"
    return compare(name, source, variant, "small_cnn", Recipe(epochs=EPOCHS, batch_size=32), loaders)


if __name__ == "__main__":
    report(lambda: [*digits(), *cifar()])
