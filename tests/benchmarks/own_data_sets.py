"""Four data sets as somebody might have them, and errors in their labels.

None of them decided a default, but for the side of features ``lite0``, chosen looking at photographs of CIFAR-10.

wine: scikit-learn's. texts: first lines of the docstrings of numpy, pandas, scikit-learn and torch (of the versions that are
installed), the package as label. digits: 600 of MNIST. photographs: 600 of CIFAR-10, 32 × 32.

Errors: 8 % of the labels, exactly. ``uniform``: any other class. ``confusable``: each class has one that it is taken for.
``human``: what people answered (CIFAR-10N *aggre*). ``none``.
"""

import csv
import importlib
import io
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.noise.cifar_n_files import read_annotations, read_column

Labels = NDArray[np.int64]
Errors = Literal["uniform", "confusable", "human", "none"]
RATE, IMAGES, TEXTS, PER_PACKAGE, FIRST = 0.08, 600, 550, 138, 10_000
PACKAGES = ("numpy", "pandas", "sklearn", "torch")


@dataclass(frozen=True, slots=True, eq=False)
class OwnData:
    """A data set as somebody might have it.

    Attributes:
        name: Of the set.
        inputs: Columns (n, d), texts, or images (n, h, w[, 3]).
        clean: Right labels, shape (n,).
        class_names: One a class.
        human: What people answered, shape (n,); None where nobody was asked.
        rows: Which of the first photographs of CIFAR-10 they are, shape (n,); None of another set.
    """

    name: str
    inputs: Any
    clean: Labels
    class_names: tuple[str, ...]
    human: Labels | None = None
    rows: NDArray[np.intp] | None = None


# The four sets


@cache
def wine(draw: int = 0) -> OwnData:
    """178 wines, 13 measurements, three growers; of which there is one draw."""
    del draw
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    return OwnData("wine", np.asarray(x, np.float64), np.asarray(y, np.int64), tuple(load_wine().target_names.tolist()))


@cache
def texts(draw: int = 0) -> OwnData:
    """First lines of docstrings, as evenly from four packages as there are; a line that two packages have is none's."""
    lines = _lines()
    seen = [line for found in lines.values() for line in found]
    rng = np.random.default_rng(draw)
    inputs: list[str] = []
    labels: list[int] = []
    for k, package in enumerate(PACKAGES):
        own = [line for line in lines[package] if seen.count(line) == 1]
        chosen = rng.permutation(len(own))[:PER_PACKAGE]
        inputs += [own[i] for i in sorted(chosen)]
        labels += [k] * len(chosen)
    order = rng.permutation(len(inputs))[:TEXTS]
    return OwnData("texts", [inputs[i] for i in order], np.array(labels, np.int64)[order], PACKAGES)


@cache
def _lines() -> dict[str, list[str]]:
    return {package: _first_lines(package) for package in PACKAGES}


def _first_lines(package: str) -> list[str]:
    """First lines, of three words at least, of what a package and its public modules define; sorted, each once."""
    found = set()
    top = importlib.import_module(package)
    names = [
        package,
        *(f"{package}.{m.name}" for m in pkgutil.iter_modules(top.__path__) if not m.name.startswith("_")),
    ]
    for name in names:
        if name.rpartition(".")[2] in {"tests", "test", "conftest", "testing", "distributed", "onnx", "utils"}:
            continue
        try:
            module = importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112 - what an optional part of a package raises without its own packages
            continue
        for attribute in sorted(vars(module)):
            item = getattr(module, attribute, None)
            if attribute.startswith("_") or not str(getattr(item, "__module__", "")).startswith(package):
                continue
            told = getattr(item, "__doc__", None)
            lines = told.strip().splitlines() if isinstance(told, str) else []
            if lines and len(lines[0].split()) >= 3:
                found.add(" ".join(lines[0].split()))
    return sorted(found)


@cache
def digits(draw: int = 0) -> OwnData:
    """600 of the first 10,000 handwritten digits of MNIST."""
    with np.load(_data("mnist", "mnist.npz")) as archive:
        images, labels = archive["x_train"][:FIRST], archive["y_train"][:FIRST]
    chosen = _chosen(draw)
    return OwnData("digits", images[chosen], labels[chosen].astype(np.int64), tuple(map(str, range(10))))


CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@cache
def first_photographs() -> tuple[NDArray[np.uint8], Labels]:
    """The first 10,000 photographs of CIFAR-10, (n, 32, 32, 3), and their classes, (n,)."""
    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(_data("cifar10", "train.parquet"), columns=["image", "label"]).slice(0, FIRST)
    files = (io.BytesIO(cell["bytes"]) for cell in table["image"].to_pylist())
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    return images, np.asarray(table["label"]).astype(np.int64)


def answers_of_people(key: str) -> Labels:
    """What people said of the first photographs, as CIFAR-10N has it, such as ``aggre_label``; shape (n,)."""
    file = _data("cifar_n", "CIFAR-10_human.pt")
    answers = read_annotations(file)
    if not np.array_equal(read_column(answers, "clean_label", len(CIFAR), file)[:FIRST], first_photographs()[1]):
        msg = f"{file} is in another order than the photographs"
        raise ValueError(msg)
    return read_column(answers, key, len(CIFAR), file)[:FIRST]


@cache
def photographs(draw: int = 0) -> OwnData:
    """600 of the first 10,000 photographs of CIFAR-10, 32 × 32, with what people answered (CIFAR-10N *aggre*)."""
    images, clean = first_photographs()
    chosen = _chosen(draw)
    human = answers_of_people("aggre_label")[chosen]
    return OwnData("photographs", images[chosen], clean[chosen], CIFAR, human, chosen)


def _chosen(draw: int) -> NDArray[np.intp]:
    return np.sort(np.random.default_rng(draw).choice(FIRST, IMAGES, replace=False)).astype(np.intp)


def _data(*parts: str) -> Path:
    return Path(os.environ["NOISYBENCH_TEST_DATA"], *parts)


SETS: dict[str, Callable[[int], OwnData]] = {"wine": wine, "texts": texts, "digits": digits, "photographs": photographs}


# Errors


def planted(data: OwnData, errors: Errors, seed: int) -> Labels:
    """Given labels, shape (n,).

    Args:
        data: The set.
        errors: By which law.
        seed: Of the draw; of ``human`` errors there is one.
    """
    labels = data.clean.copy()
    if errors == "none":
        return labels
    if errors == "human":
        if data.human is None:
            msg = f"nobody was asked about {data.name}"
            raise ValueError(msg)
        return data.human.copy()
    k = len(data.class_names)
    rng = np.random.default_rng([seed, 14])
    wrong = rng.choice(len(labels), round(RATE * len(labels)), replace=False)
    shift = 1 + rng.integers(0, k - 1, len(wrong)) if errors == "uniform" else 1
    taken_for = np.random.default_rng(5).permutation(k)  # of a ring: each class for the next one, always the same
    place = np.argsort(taken_for)
    labels[wrong] = taken_for[(place[labels[wrong]] + shift) % k]
    return labels


def written(data: OwnData, labels: Labels, folder: Path) -> Path:
    """The set as its owner has it: a csv, or folders of PNGs by class; what ``noisybench suspects`` is given."""
    named = [data.class_names[label] for label in labels]
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(data.inputs, np.ndarray) and data.inputs.ndim > 2:
        from PIL import Image

        for i, (image, name) in enumerate(zip(data.inputs, named, strict=True)):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / name / f"{i:04}.png")
        return folder
    rows = [[text] for text in data.inputs] if isinstance(data.inputs, list) else data.inputs.tolist()
    header = ["text"] if isinstance(data.inputs, list) else [f"measurement_{j}" for j in range(len(rows[0]))]
    path = folder / f"{data.name}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(
            [[*header, "label"], *([*row, name] for row, name in zip(rows, named, strict=True))]
        )
    return path
