"""How far estimated transition matrices are from the true ones, by method and by where the probabilities come from.

Run: ``OMP_NUM_THREADS=1 NOISYBENCH_TEST_DATA=… python tests/benchmarks/transition_estimation.py [--draws 5]``, two minutes. It prints
the table of docs/own-scores.md: mean total variation from the realised matrix (the share of a class's labels that an
estimate moves), its mean over the noise draws. CIFAR-10N's worse labels have one draw, with the cross-validated
probabilities of a fine-tuned ResNet-18, which cleanlab publishes. Digits (1,437 training images) have labels drawn from a
known law, and probabilities of four kinds:

* held out: logistic regression of five folds, penalty by held-out log loss (``held_out_probabilities``);
* stopped early: a network of one layer (128 units), asked of the nine tenths of the samples that it was trained on, at the
  epoch of the best accuracy on the noisy labels of the last tenth, which is how the papers of anchor points and dual-T do;
* fitted: the same network, trained on all samples without a penalty until it fits nearly all labels, wrong ones too;
* exact: the law itself, P(given | x) = T[clean], of classes that do not overlap.

Nothing is chosen by these figures.
"""

import argparse
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from noisybench import build_variant, estimate_transition, find, held_out_probabilities, load_source, transition_error
from noisybench.statistics.transition_estimation import METHODS

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
LAWS = {
    "symmetric .4": ("symmetric", {"rate": 0.4}),
    "pair flip .3": ("pair_flip", {"rate": 0.3}),
}
KINDS = ("held out", "stopped early", "fitted", "exact")


def realised(labels: Labels, clean: Labels, k: int) -> Floats:
    """T[i, j] = share of the labels j among the samples of class i, shape (k, k)."""
    counts = np.bincount(clean * k + labels, minlength=k * k).reshape(k, k)
    return np.asarray(counts / counts.sum(1, keepdims=True))


def errors(probabilities: Floats, labels: Labels, truth: Floats) -> list[float]:
    """Mean total variation of each method from the truth; NaN where it knows no class."""
    return [
        transition_error(estimate_transition(probabilities, labels, method=method), truth).total_variation
        for method in METHODS
    ]


def cifar_10n(data: Path) -> list[float]:
    """Errors on the worse labels, with the published probabilities."""
    with np.load(data / "pred_probs" / "cifar10n_worse__resnet18.npz") as file:
        probabilities = file["pred_probs"]
    human = torch.load(data / "cifar_n" / "CIFAR-10_human.pt", weights_only=False)
    labels, clean = (np.asarray(human[name]).astype(np.int64) for name in ("worse_label", "clean_label"))
    return errors(probabilities, labels, realised(labels, clean, 10))


def digits(law: str, draws: int) -> Iterator[tuple[str, list[list[float]]]]:
    """Kind of the probabilities, and the errors of each draw and method."""
    source = load_source("digits")
    inputs = (source.inputs.reshape(len(source.labels), -1) / 16).astype(np.float32)
    noise, options = LAWS[law]
    found: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for seed in range(draws):
        variant = build_variant(source, find("noises", noise)(**options), seed=seed)
        labels, clean, law_matrix = variant.labels, variant.clean, np.asarray(variant.transition)
        truth = realised(labels, clean, 10)
        held = held_out_probabilities(inputs, labels, 10, seed=seed).probabilities
        found["held out"].append(errors(held, labels, truth))
        part = np.random.default_rng(seed).permutation(len(labels))[: len(labels) * 9 // 10]
        rest = np.setdiff1d(np.arange(len(labels)), part)
        early = stopped(inputs[part], labels[part], inputs[rest], labels[rest], seed)
        found["stopped early"].append(errors(early, labels[part], realised(labels[part], clean[part], 10)))
        network = MLPClassifier(128, alpha=0, max_iter=1000, n_iter_no_change=1000, random_state=seed)
        found["fitted"].append(errors(network.fit(inputs, labels).predict_proba(inputs), labels, truth))
        found["exact"].append(errors(law_matrix[clean], labels, truth))
    yield from found.items()


def stopped(
    inputs: NDArray[np.float32], labels: Labels, others: NDArray[np.float32], held: Labels, seed: int
) -> Floats:
    """Probabilities of the samples trained on, at the epoch of 60 that is best on the noisy labels of others."""
    network, best, answers = MLPClassifier(128, alpha=0, random_state=seed), -1.0, np.empty(0)
    for _ in range(60):
        network.partial_fit(inputs, labels, classes=np.arange(10))
        right = float((network.predict(others) == held).mean())
        if right > best:
            best, answers = right, network.predict_proba(inputs)
    return answers


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5)
    draws = parser.parse_args().draws
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    print(f"| labels | probabilities | draws | {' | '.join(f'`{method}`' for method in METHODS)} |")
    print(f"|{'---|' * (3 + len(METHODS))}")
    data = os.environ.get("NOISYBENCH_TEST_DATA")
    if data:
        print(row("CIFAR-10N worse", "held out, ResNet-18", [cifar_10n(Path(data))]))
    for law in LAWS:
        for kind, values in digits(law, draws):
            print(row(f"digits, {law}", kind, values), flush=True)


def row(labels: str, kind: str, values: list[list[float]]) -> str:
    """A line: means over draws, with the standard deviation between draws where there are several."""
    cells = []
    for column in np.array(values).T:
        spread = f" ± {column.std(ddof=1):.3f}" if len(column) > 1 else ""
        cells.append(f"{column.mean():.3f}{spread}".replace("0.", ".") if not np.isnan(column).any() else "unknown")
    return f"| {labels} | {kind} | {len(values)} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
