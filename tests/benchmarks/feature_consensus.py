"""What decided the defaults of evidence from features, on sets of which no other figure is reported.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/feature_consensus.py [--seeds 1] [--json FILE]``, some minutes. Sets are
those of ``consensus.TUNING_SETS``; Fashion-MNIST is read below ``NOISYBENCH_TEST_DATA``, and what is not installed is
left out, which is said. Three tables: ways to join ridge regression, logistic regression and neighbours into one
suspicion; cuts; and penalties λ of ridge regression. All are means over sets and seeds.
"""

import argparse
import ast
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from noisybench import MissingPackage, features_of, names, source_from_arrays
from noisybench.data.tables.text_features import text_features
from noisybench.noise.clusters import sub_clusters
from noisybench.statistics.confident_learning import confident_joint, find_issues
from noisybench.statistics.consensus import CUT, TUNING_SETS, consensus, disagreeing
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.linear_probe import held_out_probabilities
from noisybench.statistics.margins import margin_against, mean_rank
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.ranking import rank
from noisybench.statistics.ridge import PENALTIES, RidgeAnswers, leave_one_out_ridge

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Labels = NDArray[np.int64]

PACKAGES = ("scipy", "matplotlib", "sympy", "PIL", "pyarrow", "networkx")
CASES = [("none", 0.0)] + [("uniform", rate) for rate in (0.02, 0.08, 0.2, 0.4)]
CASES += [(kind, rate) for kind in ("pair", "cluster") for rate in (0.08, 0.2)]
GRID = tuple(10.0**power for power in range(-4, 4))
SIZE = 12  # samples of a cluster that is wrong together, on average


class Evidence(NamedTuple):
    """What is known of one set with given labels, and what is not."""

    given: Labels
    wrong: Bools
    ridge: RidgeAnswers
    probabilities: Floats
    shares: Floats


def docstrings(most: int = 150) -> tuple[list[str], Labels]:
    """First lines of docstrings of at least four words, up to ``most`` of each package, and which package."""
    texts, labels = [], []
    for label, package in enumerate(PACKAGES):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            print(f"{package} is not installed: its docstrings are left out")
            continue
        lines = set()
        for path in sorted(Path(spec.origin).parent.rglob("*.py")):
            if "test" not in path.as_posix():
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                    text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef | ast.ClassDef) else None
                    line = (text or "").partition("\n")[0]
                    lines |= {line} if len(line.split()) > 3 else set()
        chosen = np.random.default_rng(label).permutation(len(lines))[:most]
        found = sorted(lines)
        texts += [found[i] for i in chosen]
        labels += [label] * len(chosen)
    return texts, np.array(labels)


def tuning_sets() -> Iterator[tuple[str, NDArray[np.floating[Any]], Labels]]:
    """Name, features and right labels of each set."""
    for name, load in (("breast_cancer", datasets.load_breast_cancer), ("iris", datasets.load_iris)):
        x, y = load(return_X_y=True)
        yield name, _scaled(x), y
    x, y = datasets.load_diabetes(return_X_y=True)
    yield "diabetes", _scaled(x), np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
    for seed, (n, d, informative, k, clusters, apart) in enumerate(
        [(600, 20, 8, 3, 2, 1.5), (1000, 128, 20, 10, 1, 2.0), (1000, 30, 10, 5, 3, 1.5), (400, 10, 5, 2, 2, 1.0)]
    ):
        options: dict[str, Any] = {"n_informative": informative, "n_classes": k, "n_clusters_per_class": clusters}
        x, y = datasets.make_classification(n, d, class_sep=apart, flip_y=0, random_state=seed, **options)
        yield f"made-{k}", _scaled(x), y
    x, y = datasets.make_blobs(1000, 32, centers=10, cluster_std=6, random_state=0)
    yield "blobs", _scaled(x), y
    if "NOISYBENCH_TEST_DATA" in os.environ:
        stored = np.load(Path(os.environ["NOISYBENCH_TEST_DATA"]) / "fashion_mnist" / "fashion_mnist_prefix.npz")
        images, y = stored["x_train_prefix"][:600, :, :, None].repeat(3, 3), stored["y_train"][:600].astype(np.int64)
        yield "fashion-pixels", images[..., 0].reshape(600, -1).astype(np.float32), y
        for name in ("patches", "lite0"):
            yield from _extracted(f"fashion-{name}", name, images, y)
    texts, y = docstrings()
    words = text_features(texts)[0]
    yield "docstrings-words", words, y
    yield from _extracted("docstrings-minilm", "minilm", words, y, texts=texts)


def _scaled(x: Floats) -> Floats:
    return (x - x.mean(0)) / x.std(0)


def _extracted(
    title: str, name: str, inputs: NDArray[Any], y: Labels, *, texts: list[str] | None = None
) -> Iterator[tuple[str, NDArray[np.floating[Any]], Labels]]:
    more: dict[str, Any] = {} if texts is None else {"texts": texts}
    try:
        if name in names("features"):
            yield title, features_of(source_from_arrays("tuning", inputs, y, clean=y, **more), name), y
            return
    except MissingPackage as missing:
        print(f"{title} is left out: {missing}")
        return
    print(f"{title} is left out: there are no features '{name}'")


def with_errors(x: NDArray[Any], y: Labels, kind: str, rate: float, seed: int) -> Labels:
    """Given labels: a share ``rate`` wrong, drawn uniformly, as the class of the nearest mean, or in whole clusters."""
    rng = np.random.default_rng(seed)
    n, k, given = len(y), int(y.max()) + 1, y.copy()
    count = round(rate * n)
    if kind == "cluster":
        cluster = sub_clusters(x, y, SIZE)
        order = np.concatenate([np.flatnonzero(cluster == one) for one in rng.permutation(cluster.max() + 1)])
        shift = rng.integers(1, k, cluster.max() + 1)[cluster]
        given[order[:count]] = ((y + shift) % k)[order[:count]]
        return given
    who = rng.permutation(n)[:count]
    means = np.stack([x[y == label].mean(0) for label in range(k)])
    apart = ((means[:, None] - means[None]) ** 2).sum(-1) + np.diag(np.full(k, np.inf))
    given[who] = apart.argmin(1)[y[who]] if kind == "pair" else (y[who] + rng.integers(1, k, count)) % k
    return given


def gather(x: NDArray[Any], y: Labels, given: Labels) -> Evidence:
    """The three kinds of evidence as a run of features has them."""
    k = int(y.max()) + 1
    probabilities = held_out_probabilities(x, given, k).probabilities
    ridge = leave_one_out_ridge(x, given, k)
    return Evidence(given, y != given, ridge, probabilities, neighbour_labels(x, given, k).astype(np.float64))


def suspicions(e: Evidence) -> dict[str, Floats]:
    """Single kinds, and ways to join them."""
    odds = margin_against(np.log(e.probabilities + 1e-3), e.given)
    near = margin_against(e.shares, e.given)
    near_odds = margin_against(np.log(e.shares + 0.05), e.given)
    rows = np.arange(len(e.given))
    return {
        "ridge: mean rank over penalties": e.ridge.suspicion,
        "ridge: penalty chosen": e.ridge.margin_at_chosen,
        "logistic: log odds": odds,
        "logistic: probability of given": -e.probabilities[rows, e.given],
        "neighbours: share of given": -e.shares[rows, e.given],
        "mean rank": mean_rank(np.stack([e.ridge.suspicion, odds, near])),
        "mean rank, ridge and logistic": mean_rank(np.stack([e.ridge.suspicion, odds])),
        "mean log odds, ridge × 4": 4 * margin_against(e.ridge.answers, e.given) + odds + near_odds,
        "scaled margins (consensus)": consensus(e.given, e.ridge.answers, e.probabilities, e.shares),
    }


def cuts(e: Evidence) -> dict[str, Bools]:
    """Which labels each cut says disagree."""
    k = e.probabilities.shape[1]
    votes = np.sum([margin_against(a, e.given) > 0 for a in (e.ridge.answers, e.probabilities, e.shares)], axis=0)
    counted = confident_joint(e.given, e.probabilities)
    suspicion = consensus(e.given, e.ridge.answers, e.probabilities, e.shares)
    as_many = np.argsort(-suspicion, kind="stable")[: len(e.given) - int(np.trace(counted))]
    return {
        "logistic says another class": margin_against(e.probabilities, e.given) > 0,
        "two of three say another": votes >= 2,
        "all three say another": votes == 3,
        "confident learning, by noise rate": find_issues(e.given, e.probabilities),
        "consensus, as many as off the joint": np.isin(np.arange(len(e.given)), as_many) & (k > 1),
        **{f"consensus above {t:g}": suspicion > t for t in (0.25, 0.4, 0.6, 0.75, 1.0)},
        f"consensus above {CUT:g} (ours)": disagreeing(suspicion),
    }


def penalties(x: NDArray[Any], e: Evidence, k: int) -> dict[str, Floats]:
    """Margins at each penalty of a wide grid, at the one with the best leave-one-out accuracy, and the mean rank."""
    wide = leave_one_out_ridge(x, e.given, k, penalties=GRID)
    each = {f"λ {p:g}": leave_one_out_ridge(x, e.given, k, penalties=(p,)).margin_at_chosen for p in GRID}
    return {**each, "chosen": wide.margin_at_chosen, "mean": e.ridge.suspicion}


def at_count(values: Floats, wrong: Bools) -> float:
    """Share of wrong ones among as many as there are wrong."""
    return float(wrong[np.argsort(-values, kind="stable")[: wrong.sum()]].mean())


def f1(flagged: Bools, wrong: Bools) -> tuple[float, float, float]:
    """Precision, recall and their harmonic mean."""
    hits = int((flagged & wrong).sum())
    return hits / max(int(flagged.sum()), 1), hits / int(wrong.sum()), 2 * hits / int(flagged.sum() + wrong.sum())


def table(title: str, found: dict[str, dict[str, list[Any]]], show: Callable[[list[Any]], str]) -> None:
    """One line a way, one column a kind of error."""
    print(f"\n{title}\n| | " + " | ".join(columns := list(next(iter(found.values())))) + " |")
    print("|---|" + "---|" * len(columns))
    for name, cells in found.items():
        print(f"| {name} | " + " | ".join(show(cells[column]) for column in columns) + " |")


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    joined, cut, ridge = (defaultdict[str, dict[str, list[Any]]](lambda: defaultdict(list)) for _ in range(3))
    for name, x, y in tuning_sets():
        assert name in TUNING_SETS
        print(name, x.shape, flush=True)
        for seed, (kind, rate) in ((s, c) for s in range(options.seeds) for c in CASES):
            e = gather(x, y, with_errors(x, y, kind, rate, seed))
            case = f"{kind} {rate:g}"
            for way, flagged in cuts(e).items():
                cut[way][case].append(f1(flagged, e.wrong) if rate else float(flagged.mean()))
                cut[way]["mean F1"] += [f1(flagged, e.wrong)[2]] if rate else []
            if not rate:
                continue
            for way, values in suspicions(e).items():
                pair = auroc(rank(values, e.wrong)).value, at_count(values, e.wrong)
                joined[way][case].append(pair)
                joined[way]["mean"].append(pair)
            if rate == 0.08:
                areas = {p: auroc(rank(v, e.wrong)).value for p, v in penalties(x, e, int(y.max()) + 1).items()}
                best = max(area for p, area in areas.items() if p.startswith("λ"))
                for way, area in {**areas, "best of each": best}.items():
                    ridge[way][kind].append(area)
    table(
        "Joined: AUROC / precision at the true count", joined, lambda c: "{:.3f} / {:.3f}".format(*np.mean(c, axis=0))
    )
    table(
        "Cut: share flagged without errors, else precision / recall / F1", cut,
        lambda c: " / ".join(f"{v:.3f}" for v in np.atleast_1d(np.mean(c, axis=0))),
    )  # fmt: skip
    kinds = {way: {kind: cells[kind] for kind in ("uniform", "pair", "cluster")} for way, cells in ridge.items()}
    table(f"Ridge at .08 errors: AUROC; the mean is over λ = {PENALTIES}", kinds, lambda c: f"{np.mean(c):.3f}")
    if options.json is not None:
        options.json.write_text(json.dumps({"joined": joined, "cut": cut, "ridge": ridge}), encoding="utf-8")


if __name__ == "__main__":
    main()
