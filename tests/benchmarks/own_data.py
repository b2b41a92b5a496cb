"""Suspects of four data sets of one's own, by the library that people know and by noisybench, over many draws of errors.

Run: ``OMP_NUM_THREADS=1 NOISYBENCH_TEST_DATA=… python tests/benchmarks/own_data.py [--sets wine,texts] [--errors uniform]
[--draws 20] [--json FILE]``. The sets are those that are reported; none of them decided a default.

wine: scikit-learn's, standardised. texts: first lines of the docstrings of numpy, torch, pandas and scikit-learn (of the
versions that are installed), the package as label. digits: 600 of MNIST. photographs: 600 of CIFAR-10 a draw where errors
are those of people (CIFAR-10N *aggre*), else the same 600.

Errors: 8 % of the labels, exactly. ``uniform``: any other class. ``confusable``: each class has one that it is taken for.
``human``: what people answered. ``none``.

``OWN_ROAD`` are the tools as their tutorials use them: Datalab on features alone; Datalab on probabilities of
scikit-learn's ``LogisticRegression`` by ``cross_val_predict``; ``CleanLearning`` as it comes. The features of their road
are standardised columns, ``TfidfVectorizer`` as it comes, pixels. ``on_arrays`` runs them on any features and
probabilities, such as ours.
"""

import argparse
import csv
import importlib
import io
import json
import os
import pkgutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.noise.cifar_n_files import read_annotations, read_column

Labels = NDArray[np.int64]
Errors = Literal["uniform", "confusable", "human", "none"]
RATE, PHOTOGRAPHS, TEXTS, PER_PACKAGE = 0.08, 600, 550, 138
PACKAGES = ("numpy", "torch", "pandas", "sklearn")


@dataclass(frozen=True, slots=True, eq=False)
class OwnData:
    """A data set as somebody might have it.

    Attributes:
        name: Of the set.
        inputs: Columns (n, d), texts, or images (n, h, w[, 3]).
        clean: Right labels, shape (n,).
        class_names: One a class.
        human: What people answered, shape (n,); None where nobody was asked.
    """

    name: str
    inputs: Any
    clean: Labels
    class_names: tuple[str, ...]
    human: Labels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a tool says of labels.

    Attributes:
        suspicion: Higher is more likely mislabeled, shape (n,).
        flagged: The tool's own cut, shape (n,).
        suggested: The label that it would give, shape (n,).
    """

    suspicion: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    suggested: Labels


Tool = Callable[[OwnData, Labels], Found]


@dataclass(frozen=True, slots=True)
class Measured:
    """A tool on one draw of errors.

    Attributes:
        precision_at_count: Share of wrong labels among as many suspects as there are wrong labels; NaN without errors.
        precision: The same at the tool's own cut; NaN where it flags nothing.
        recall: Share of the wrong labels that it flags; NaN without errors.
        flagged: How many it flags, which is what it tells the user.
        wrong: How many are.
        suggestions_of_wrong: Share of the wrong labels whose suggestion is right.
        suggestions_of_flagged: Share of the flagged labels whose suggestion is right.
        mended: Labels corrected less labels broken, if all flagged ones are replaced.
        seconds: Processor time.
    """

    precision_at_count: float
    precision: float
    recall: float
    flagged: int
    wrong: int
    suggestions_of_wrong: float
    suggestions_of_flagged: float
    mended: int
    seconds: float


# The four sets


@cache
def wine() -> OwnData:
    """178 wines, 13 measurements, three growers."""
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    return OwnData("wine", np.asarray(x, np.float64), np.asarray(y, np.int64), tuple(load_wine().target_names.tolist()))


@cache
def texts() -> OwnData:
    """First lines of docstrings, as evenly from four packages as there are; a line that two packages have is none's."""
    lines = {package: _first_lines(package) for package in PACKAGES}
    seen = [line for found in lines.values() for line in found]
    rng = np.random.default_rng(0)
    inputs: list[str] = []
    labels: list[int] = []
    for k, package in enumerate(PACKAGES):
        own = [line for line in lines[package] if seen.count(line) == 1]
        chosen = rng.permutation(len(own))[:PER_PACKAGE]
        inputs += [own[i] for i in sorted(chosen)]
        labels += [k] * len(chosen)
    order = rng.permutation(len(inputs))[:TEXTS]
    return OwnData("texts", [inputs[i] for i in order], np.array(labels, np.int64)[order], PACKAGES)


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
def digits() -> OwnData:
    """600 of the first 10,000 handwritten digits of MNIST."""
    with np.load(_data("mnist", "mnist.npz")) as archive:
        images, labels = archive["x_train"][:10_000], archive["y_train"][:10_000]
    chosen = np.sort(np.random.default_rng(0).choice(10_000, PHOTOGRAPHS, replace=False))
    return OwnData("digits", images[chosen], labels[chosen].astype(np.int64), tuple(map(str, range(10))))


CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@cache
def photographs(draw: int = 0) -> OwnData:
    """600 of the first 10,000 photographs of CIFAR-10, 32 × 32, with what people answered (CIFAR-10N *aggre*)."""
    import pyarrow.parquet as pq
    from PIL import Image

    file = _data("cifar_n", "CIFAR-10_human.pt")
    answers = read_annotations(file)
    chosen = np.sort(np.random.default_rng(draw).choice(10_000, PHOTOGRAPHS, replace=False))
    table = pq.read_table(_data("cifar10", "train.parquet"), columns=["image", "label"]).slice(0, 10_000).take(chosen)
    images = np.stack(
        [np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB")) for cell in table["image"].to_pylist()]
    )
    human, clean = (read_column(answers, key, len(CIFAR), file)[chosen] for key in ("aggre_label", "clean_label"))
    if not np.array_equal(clean, np.asarray(table["label"])):
        msg = f"{file} is in another order than the photographs"
        raise ValueError(msg)
    return OwnData("photographs", images, clean, CIFAR, human)


def _data(*parts: str) -> Path:
    return Path(os.environ["NOISYBENCH_TEST_DATA"], *parts)


SETS: dict[str, Callable[[], OwnData]] = {"wine": wine, "texts": texts, "digits": digits, "photographs": photographs}


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


# The library that people know


def plain_features(data: OwnData) -> NDArray[np.float64]:
    """Features as its tutorials make them, without a pretrained network: (n, d)."""
    if isinstance(data.inputs, list):
        from sklearn.feature_extraction.text import TfidfVectorizer

        return np.asarray(TfidfVectorizer().fit_transform(data.inputs).toarray())
    if data.inputs.ndim > 2:
        return data.inputs.reshape(len(data.inputs), -1) / 255
    return (data.inputs - data.inputs.mean(0)) / data.inputs.std(0)


def by_datalab(
    labels: Labels, *, features: NDArray[Any] | None = None, probabilities: NDArray[Any] | None = None
) -> Found:
    """Datalab's label issues, with its defaults."""
    from cleanlab import Datalab

    lab = Datalab({"label": labels.tolist()}, label_name="label", task="classification", verbosity=0)
    lab.find_issues(features=features, pred_probs=probabilities, issue_types={"label": {}})
    issues = lab.get_issues("label")
    return Found(
        1 - issues["label_score"].to_numpy(np.float64),
        issues["is_label_issue"].to_numpy(bool),
        issues["predicted_label"].to_numpy().astype(np.int64),
    )


def by_clean_learning(
    labels: Labels, *, features: NDArray[Any] | None = None, probabilities: NDArray[Any] | None = None
) -> Found:
    """The label issues of ``CleanLearning`` as it comes, or of given probabilities."""
    from cleanlab.classification import CleanLearning

    given: dict[str, Any] = {"X": features} if probabilities is None else {"pred_probs": probabilities}
    issues = CleanLearning(seed=0).find_label_issues(labels=labels, **given)
    return Found(
        1 - issues["label_quality"].to_numpy(np.float64),
        issues["is_label_issue"].to_numpy(bool),
        issues["predicted_label"].to_numpy().astype(np.int64),
    )


def cross_validated(features: NDArray[Any], labels: Labels) -> NDArray[np.float64]:
    """Held-out probabilities as its tutorials make them: (n, d) and (n,) → (n, k)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    return np.asarray(cross_val_predict(LogisticRegression(), features, labels, method="predict_proba"))


def _datalab_on_features(data: OwnData, labels: Labels) -> Found:
    return by_datalab(labels, features=plain_features(data))


def _datalab_on_probabilities(data: OwnData, labels: Labels) -> Found:
    return by_datalab(labels, probabilities=cross_validated(plain_features(data), labels))


def _clean_learning(data: OwnData, labels: Labels) -> Found:
    return by_clean_learning(labels, features=plain_features(data))


OWN_ROAD: dict[str, Tool] = {
    "Datalab, features": _datalab_on_features,
    "Datalab, probabilities": _datalab_on_probabilities,
    "CleanLearning": _clean_learning,
}


def on_arrays(evidence: Callable[[OwnData, Labels], tuple[NDArray[Any], NDArray[Any]]], name: str) -> dict[str, Tool]:
    """The same tools on given features (n, d) and held-out probabilities (n, k), and the likeliest other class alone."""

    def with_features(data: OwnData, labels: Labels) -> Found:
        return by_datalab(labels, features=evidence(data, labels)[0])

    def with_probabilities(data: OwnData, labels: Labels) -> Found:
        return by_datalab(labels, probabilities=evidence(data, labels)[1])

    def learning(data: OwnData, labels: Labels) -> Found:
        return by_clean_learning(labels, probabilities=evidence(data, labels)[1])

    def likeliest_other(data: OwnData, labels: Labels) -> Found:
        probabilities = evidence(data, labels)[1]
        rows, others = np.arange(len(labels)), probabilities.copy()
        others[rows, labels] = -np.inf
        return Found(1 - probabilities[rows, labels], probabilities.argmax(1) != labels, others.argmax(1))

    return {
        f"Datalab, features {name}": with_features,
        f"Datalab, probabilities {name}": with_probabilities,
        f"CleanLearning {name}": learning,
        f"likeliest other class {name}": likeliest_other,
    }


# Measuring


def measured(tool: Tool, data: OwnData, labels: Labels) -> Measured:
    """One tool on one draw."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tools that are not ours
        found = tool(data, labels)
    seconds = time.process_time() - start
    wrong, right = labels != data.clean, found.suggested == data.clean
    count, flagged = int(wrong.sum()), found.flagged
    top = np.argsort(-found.suspicion, kind="stable")[:count]
    return Measured(
        precision_at_count=float(wrong[top].mean()) if count else np.nan,
        precision=float(wrong[flagged].mean()) if flagged.any() else np.nan,
        recall=float(flagged[wrong].mean()) if count else np.nan,
        flagged=int(flagged.sum()),
        wrong=count,
        suggestions_of_wrong=float(right[wrong].mean()) if count else np.nan,
        suggestions_of_flagged=float(right[flagged].mean()) if flagged.any() else np.nan,
        mended=int((wrong & right & flagged).sum()) - int((~wrong & ~right & flagged).sum()),
        seconds=seconds,
    )


def over_draws(
    tools: Mapping[str, Tool], load: Callable[[], OwnData], errors: Errors, draws: int
) -> dict[str, list[Measured]]:
    """Every tool on the same draws, in turns."""
    found: dict[str, list[Measured]] = {name: [] for name in tools}
    for draw in range(1 if errors == "none" else draws):
        data = photographs(draw) if errors == "human" else load()
        labels = planted(data, errors, draw)
        for name, tool in tools.items():
            found[name].append(measured(tool, data, labels))
    return found


def paired(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Mean difference over draws and its 95 % t interval; NaN where a draw has no value on either side."""
    from scipy.stats import t

    gaps = np.subtract(ours, theirs)
    reach = float(t.ppf(0.975, len(gaps) - 1)) * gaps.std(ddof=1) / len(gaps) ** 0.5 if len(gaps) > 1 else np.nan
    return float(gaps.mean()), float(gaps.mean() - reach), float(gaps.mean() + reach)


COLUMNS = {
    "precision_at_count": "at count", "precision": "precision", "recall": "recall", "flagged": "flagged", "wrong": "wrong",
    "suggestions_of_wrong": "of wrong", "suggestions_of_flagged": "of flagged", "mended": "mended", "seconds": "seconds",
}  # fmt: skip
"""Field of ``Measured`` → heading of the printed table."""


def line(name: str, found: Sequence[Measured]) -> str:
    """One row of the table: means over draws, which leave out draws without a value."""
    cells = []
    for column in COLUMNS:
        values = np.array([getattr(one, column) for one in found], np.float64)
        mean = values[np.isfinite(values)].mean() if np.isfinite(values).any() else np.nan
        cells.append(
            "–" if np.isnan(mean) else f"{mean:.1f}" if column in {"flagged", "wrong", "mended"} else f"{mean:.3f}"
        )
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print a table for each set and law of errors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--errors", default="uniform,confusable,human,none")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure of every draw there")
    given = parser.parse_args()
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in given.sets.split(","):
        for errors in given.errors.split(","):
            if errors == "human" and name != "photographs":
                continue
            found = over_draws(OWN_ROAD, SETS[name], errors, given.draws)
            print(f"\n**{name}, {errors}**\n\n| tool | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}")
            for tool, measures in found.items():
                print(line(tool, measures), flush=True)
            results[f"{name}/{errors}"] = {tool: [asdict(one) for one in measures] for tool, measures in found.items()}
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
