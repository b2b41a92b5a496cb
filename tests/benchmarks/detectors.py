"""Every detector on every data set: the table of docs/detectors.md, AUROC against wrong labels.

Run: ``OMP_NUM_THREADS=1 NOISYBENCH_TEST_DATA=… python tests/benchmarks/detectors.py OUT [digits] [cifar] [music] [isBook]
[Hausa] [--workers 2] [--show]``. OUT keeps runs and features: what is finished is not repeated, and a later call adds what
is missing, detectors of a later version among it. ``--show`` trains nothing and prints what is there.

digits: the quick start's three noises. cifar: the first 10,000 photographs of CIFAR-10 with three columns of CIFAR-10N and a
published column of cluster-based noise. music and isBook: one answer a sample, of several people. Hausa: labels by rules.

Rows are whatever ``noisybench`` has: nothing is named here but the regimes that feed detectors. A training as ``evaluate``
plans it by default, with every detector; the same with the curvature of its authors; frozen features as
``default_features`` takes them; a pool of subset models, of photographs on the same frozen features; and answers where
there are any. Nothing is chosen by a figure of the table.
"""

import argparse
import csv
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import machine
from own_data_sets import CIFAR, FIRST, first_photographs

import noisybench as nb
from noisybench import Noise, NoisybenchError, Row, Source, Variant, find, leaderboard, load_source, names

FRACTIONS, MODELS, POOL_EPOCHS = (0.3, 0.5, 0.7, 0.9), 100, 30
"""Pools of subset models: shares of the samples, models for each share, and epochs of each."""
DRAWS, SEEDS = 2, (0,)
"""Noise draws, or answers that are drawn of each sample; and training seeds of each."""
AUTHORS = {"curvature": "authors"}
"""Option of ``evaluate`` that takes curvature as its authors do."""
REGIMES = {
    "training": "One training that saw the sample",
    "second_split": "Trainings on one half and then the other",
    "threshold": "Trainings with a class of threshold samples",
    "pool": "Many trainings on random subsets",
    "features": "Frozen features, without a training",
    "answers": "Answers of several people",
}
"""Where scores come from → heading of the table."""


class Labelled(NamedTuple):
    """Labels of one column of the table.

    Attributes:
        column: Of the table.
        source: The inputs.
        noise: By which labels become wrong.
        seed: Of the draw.
    """

    column: str
    source: Source
    noise: Noise
    seed: int = 0


def digits(_: Path, draws: int) -> Iterator[Labelled]:
    """Three noises of the quick start."""
    source = load_source("digits")
    for name, rate in (("symmetric", 0.2), ("asymmetric", 0.3), ("instance", 0.2)):
        for seed in range(draws):
            yield Labelled("digits", source, find("noises", name)(rate=rate), seed)


def cifar(out: Path, _: int) -> Iterator[Labelled]:
    """Errors of people, and of clusters, whose labels of the first photographs get a file of their own."""
    images, clean = first_photographs()
    source = nb.source_from_arrays("cifar10", images, clean, clean=clean, class_names=CIFAR)
    people, released = find("noises", "cifar_n"), find("noises", "published")
    file: dict[str, Any] = {"file": _data("cifar_n", "CIFAR-10_human.pt")}
    for column in ("aggre", "random1", "worse"):
        yield Labelled(column, source, people(labels=column, **file))
    cluster = out / "cluster.npy"
    np.save(cluster, np.load(_data("coherent", "cifar10-cluster-0.35.npy"))[:FIRST])
    yield Labelled("cluster", source, released(file=cluster))


def music(_: Path, draws: int) -> Iterator[Labelled]:
    """700 songs, 10 genres, 124 audio features."""
    return _answered("music", "music_genre.csv", "music_genre_answers.csv", "class", draws)


def is_book(_: Path, draws: int) -> Iterator[Labelled]:
    """1,000 reviews of products, of books or not."""
    return _answered("isBook", "isbook.csv", "isbook_answers.csv", "gold", draws)


def hausa(out: Path, _: int) -> Iterator[Labelled]:
    """2,045 titles, 5 topics; of labels by rules there is one column, in a file of its own."""
    path = out / "hausa.tsv"
    rows = []
    for name in ("hausa_train_clean.tsv", "hausa_train_clean_noisy_labels.tsv"):
        with _data("crowd", name).open(encoding="utf-8", newline="") as stream:
            rows.append(list(csv.DictReader(stream, delimiter="\t")))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["text", "label", "right"])
        writer.writerows([one["news_title"], two["label"], one["label"]] for one, two in zip(*rows, strict=True))
    yield Labelled("Hausa", _table(path, clean="right"), find("noises", "as_found")())


def _answered(column: str, table: str, answers: str, clean: str, draws: int) -> Iterator[Labelled]:
    """A table with a column of right classes; one answer a sample is its label."""
    for seed in range(draws):
        options = {"clean": clean, "answers": str(_data("crowd", answers)), "aggregate": f"one:{seed}"}
        yield Labelled(column, _table(_data("crowd", table), **options), find("noises", "as_found")())


def _table(path: Path, **options: str) -> Source:
    more: dict[str, Any] = {**options}
    return load_source("table", data=path, **more)


def _data(*parts: str) -> Path:
    return Path(os.environ["NOISYBENCH_TEST_DATA"], *parts)


SETS: dict[str, Callable[[Path, int], Iterator[Labelled]]] = {
    "digits": digits,
    "cifar": cifar,
    "music": music,
    "isBook": is_book,
    "Hausa": hausa,
}
COLUMNS = ("digits", "aggre", "random1", "worse", "cluster", "music", "isBook", "Hausa")
TIMED = ("digits", "worse", "isBook")
"""Columns whose seconds are told."""


# Runs


class How(NamedTuple):
    """How much is trained.

    Attributes:
        draws: Noise draws.
        seeds: Of training.
        models: Of a pool, for each share.
        epochs: Of a training; None takes the recipe's.
        machine: By how many processes.
        detectors: Names or sets.
    """

    draws: int
    seeds: Sequence[int]
    models: int
    epochs: int | None
    machine: nb.Machine
    detectors: Sequence[str]


def make(name: str, out: Path, how: How) -> None:
    """Every run of a data set that is not there yet, and in ``columns.json`` the label columns of each column of the table."""
    out.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[str]] = {}
    for one in SETS[name](out, how.draws):
        variant = nb.build_variant(one.source, one.noise, seed=one.seed)
        columns.setdefault(one.column, []).append(variant.name)
        for what, run in regimes(one.source, variant, out, how).items():
            start = time.perf_counter()
            try:
                run()
            except NoisybenchError as why:
                print(f"{variant.name}, {what}: left out: {why}", flush=True)
                continue
            print(f"{variant.name}, {what}: {time.perf_counter() - start:.0f} s", flush=True)
        (out / "columns.json").write_text(json.dumps(columns, indent=1) + "\n", encoding="utf-8")


def regimes(source: Source, variant: Variant, out: Path, how: How) -> dict[str, Callable[[], Any]]:
    """What there is to run on one label column."""
    more: dict[str, Any] = {"seeds": how.seeds, "epochs": how.epochs, "machine": how.machine, "out": out}
    found: dict[str, Callable[[], Any]] = {
        "training": lambda: nb.evaluate(variant, source, detectors=how.detectors, **more),
        "curvature of its authors": lambda: nb.evaluate(
            variant, source, detectors=["loss_curvature"], options=AUTHORS, **more
        ),
        "features": lambda: nb.score_features(source, variant, None, out, detectors="all", machine=how.machine),
        "pool": lambda: _pool(source, variant, out, how),
    }
    if variant.answers is not None:
        found["answers"] = lambda: nb.score_answers(source, variant, out, machine=how.machine)
        found["answers without the given"] = lambda: nb.score_answers(
            source, variant, out, without_given=True, machine=how.machine
        )
    return found


def _pool(source: Source, variant: Variant, out: Path, how: How) -> nb.Detected:
    """A pool on the inputs; of photographs, on which a network takes hours, on frozen features."""
    features = nb.default_features(source).name if source.name == "cifar10" else "input"
    epochs = how.epochs or POOL_EPOCHS
    learner, seen = nb.plan_learner(source, epochs=epochs, features=features, cache=out / "features")
    return nb.detect(
        source, variant, learner, out, fractions=FRACTIONS, models=how.models, features=seen, machine=how.machine
    )


# The table


class Key(NamedTuple):
    """A row: a detector, what feeds it, and how it was asked, where that is not by default."""

    regime: str
    detector: str
    how: str


def rows_of(out: Path) -> dict[Key, dict[str, Row]]:
    """Row → column → what the leaderboard says of the runs in a folder."""
    found: dict[Key, dict[str, Row]] = {}
    for name in SETS:
        path = out / name / "columns.json"
        for column, variants in (json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}).items():
            for row in leaderboard([out / name / one for one in variants], pool=True):
                if row.kind == "reference" and row.detector not in ("random", "given_label_only"):
                    continue
                regime = "reference" if row.kind == "reference" else row.regime
                key = Key(regime, row.detector, _how(out / name, variants[0], row))
                found.setdefault(key, {})[column] = row
    return found


def _how(folder: Path, variant: str, row: Row) -> str:
    """What tells two rows of one detector apart: whose curvature, and whether the given label is one of the answers.

    A run of its authors' curvature scores it alone; one by default, every detector.
    """
    if row.regime == "answers":
        return row.observe
    for path in (folder / variant).glob(f"*-{row.setup[:8]}/seed-*/run.json") if row.setup else ():
        alone = list(json.loads(path.read_text(encoding="utf-8"))["detectors"]) == ["loss_curvature"]
        return "authors' choice" if alone and row.regime == "training" else ""
    return ""


def table(found: dict[Key, dict[str, Row]]) -> Iterator[str]:
    """Lines of Markdown: a block a regime and what its scores are made with, best mean first."""
    columns = [column for column in COLUMNS if any(column in cells for cells in found.values())]
    timed = [column for column in TIMED if column in columns] or columns[:1]
    heads = [*columns, *(f"s, {column}" for column in timed)]
    yield f"| detector | {' | '.join(heads)} |"
    yield f"|---|{'---:|' * len(heads)}"
    blocks: dict[tuple[str, str], list[Key]] = {}
    for key, cells in found.items():
        made = {word for row in cells.values() for word in row.information} - {"pretrained"}
        blocks.setdefault((key.regime, ", ".join(sorted(made))), []).append(key)
    order = [*REGIMES, "given", "reference"]
    for regime, words in sorted(blocks, key=lambda block: (order.index(block[0]), block[1])):
        title = REGIMES.get(regime, "For reference")
        shown_words = f" ({words.replace('_', ' ')})" if words else ""
        yield f"| **{title}**{shown_words} |{' |' * len(heads)}"
        for key in sorted(blocks[regime, words], key=lambda key: _rank(found[key])):
            cells = found[key]
            shown = [_cell(cells.get(column)) for column in columns]
            shown += [_seconds(cells.get(column)) for column in timed]
            yield f"| {_name(key, cells)} | {' | '.join(shown)} |"


def _rank(cells: dict[str, Row]) -> tuple[bool, float]:
    """Controls last; then the highest mean over columns first."""
    return next(iter(cells.values())).kind == "control", -sum(row.mean for row in cells.values()) / len(cells)


def _name(key: Key, cells: dict[str, Row]) -> str:
    """Of a row."""
    control = next(iter(cells.values())).kind == "control"
    notes = [*([key.how] if key.how else []), *(["control"] if control else [])]
    return f"`{key.detector}`" + (f" ({', '.join(notes)})" if notes else "")


def _cell(row: Row | None) -> str:
    """Mean and half of the interval, with a mark where features of other data were used."""
    if row is None or row.mean != row.mean:
        return ""
    reach = f" ± {(row.high - row.low) / 2:.3f}".replace("0.", ".") if row.interval != "none" else ""
    return f"{row.mean:.3f}".replace("0.", ".", 1) + reach + ("†" if row.pretrained is not None else "")


def _seconds(row: Row | None) -> str:
    return (
        ""
        if row is None or row.seconds != row.seconds
        else f"{row.seconds:.2g}"
        if row.seconds < 10
        else f"{row.seconds:.0f}"
    )


def legend(found: dict[Key, dict[str, Row]]) -> Iterator[str]:
    """What the table says, by what, where and when."""
    about = machine()
    versions = sorted({row.version for cells in found.values() for row in cells.values() if row.version})
    drawn = {column: row for cells in found.values() for column, row in cells.items() if row.kind != "reference"}
    runs = ", ".join(f"{column} {row.variants} × {row.seeds}" for column, row in drawn.items())
    yield (
        f"AUROC against wrong labels, mean and half of the 95 % interval; † features that were trained on other data. "
        f"Label columns × training seeds: {runs}. Trained by noisybench {', '.join(versions)}; printed by "
        f"{nb.__version__}, {', '.join(f'{key} {value}' for key, value in about.items())}, "
        f"{datetime.now(UTC):%d %B %Y}. Seconds of a detector hold what it shares with others."
    )


def aliases() -> Iterator[str]:
    """Lines of Markdown: a detector, and under what other names the same ranking was published."""
    yield "| detector | also known as |"
    yield "|---|---|"
    for name in names("detectors"):
        also = find("detectors", name).aliases
        if also:
            yield f"| `{name}` | {', '.join(also)} |"


def main() -> None:
    """Run what is missing, and print the tables."""
    logging.getLogger("noisybench").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of runs, which is kept")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"some of {', '.join(SETS)}; all where none is named")
    parser.add_argument("--show", action="store_true", help="train nothing, print what is there")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--epochs", type=int, help="of every training; other figures than those of the page")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--detectors", default="all", help="of a training: fast, standard, all, or names")
    given = parser.parse_args()
    unknown = sorted({*given.sets} - {*SETS})
    if unknown:
        parser.error(f"no data set is called {', '.join(unknown)}; there are {', '.join(SETS)}")
    how = How(
        given.draws,
        range(given.seeds),
        given.models,
        given.epochs,
        nb.Machine(device="auto", workers=given.workers),
        given.detectors.split(","),
    )
    for name in () if given.show else given.sets or SETS:
        make(name, given.out / name, how)
    found = rows_of(given.out)
    for line in (*table(found), "", *legend(found), "", *aliases()):
        print(line)


if __name__ == "__main__":
    main()
