"""Errors of crowds and of rules: AUROC of what frozen features say, beside what others measured on the same files.

Run: ``OMP_NUM_THREADS=1 NOISYBENCH_TEST_DATA=… python tests/benchmarks/crowd.py [--seeds 5]``, a minute. music: one answer a
song, audio features on one scale. isBook: one answer a review, TF-IDF of words. Hausa: labels by rules, half of them wrong,
TF-IDF of two to four characters within words; once more with the features that ``noisybench suspects`` takes, of which the
default without extras, words, tells neighbours less than runs of characters do. No default was changed for it.

What is beside them is logistic regression in five folds and ten neighbours by cosine, on such features, of one draw.
``tests/statistics/test_crowd_errors.py`` holds ours to it.
"""

import argparse
import csv
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench import MissingPackage, features_of, source_from_arrays
from noisybench.data.tables.text_features import text_features
from noisybench.statistics.consensus import consensus
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.grouping import find_groups
from noisybench.statistics.linear_probe import held_out_probabilities
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.ranking import rank
from noisybench.statistics.ridge import leave_one_out_ridge

Labels = NDArray[np.int64]
Features = NDArray[np.float32]
WAYS = ("feature_consensus", "self_confidence", "knn")


class Crowd(NamedTuple):
    """A set, and label columns that people or rules gave it."""

    features: Features
    clean: Labels
    given: tuple[Labels, ...]


class Known(NamedTuple):
    """AUROC that others measured."""

    self_confidence: float
    knn: float


def music(seeds: int) -> Crowd:
    """700 songs, 10 genres."""
    songs, answers = _rows("music_genre.csv"), _rows("music_genre_answers.csv")
    asked = {answer["id"] for answer in answers}
    songs = [song for song in songs if song["id"] in asked]
    names = [song["class"] for song in songs]
    x = np.array([[float(song[f"feature{j}"]) for j in range(124)] for song in songs])
    drawn = [_one_answer(answers, "id", [song["id"] for song in songs], seed) for seed in range(seeds)]
    return _crowd(((x - x.mean(0)) / x.std(0)).astype(np.float32), names, drawn)


def is_book(seeds: int) -> Crowd:
    """1,000 reviews of products, of books or not."""
    answers = _rows("isbook_answers.csv")
    asked = {answer["question"] for answer in answers}
    reviews = [review for review in _rows("isbook.csv") if review["question"] in asked]
    questions = [review["question"] for review in reviews]
    drawn = [_one_answer(answers, "question", questions, seed) for seed in range(seeds)]
    return _crowd(text_features([review["text"] for review in reviews])[0], [r["gold"] for r in reviews], drawn)


def hausa(seeds: int) -> Crowd:
    """2,045 titles, 5 topics; of labels by rules there is one column."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    del seeds
    titles, clean, given = _titles()
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=4_000, dtype=np.float32)
    return _crowd(vectorizer.fit_transform(titles).toarray(), clean, [given])


def hausa_words(seeds: int) -> Crowd:
    """The same, features ``words``."""
    del seeds
    titles, clean, given = _titles()
    return _crowd(text_features(titles)[0], clean, [given])


def hausa_minilm(seeds: int) -> Crowd:
    """The same, features ``minilm``, an encoder of English."""
    del seeds
    titles, clean, given = _titles()
    source = source_from_arrays("hausa", text_features(titles)[0], np.zeros(len(titles), np.int64), texts=titles)
    return _crowd(features_of(source, "minilm"), clean, [given])


SETS: dict[str, tuple[Callable[[int], Crowd], Known]] = {
    "music": (music, Known(0.810, 0.851)),
    "isBook": (is_book, Known(0.896, 0.911)),
    "Hausa": (hausa, Known(0.594, 0.658)),
    "Hausa, words": (hausa_words, Known(0.594, 0.658)),
    "Hausa, minilm": (hausa_minilm, Known(0.594, 0.658)),
}
"""Name → the set, and what is known of it."""


def _titles() -> tuple[list[str], list[str], list[str]]:
    clean = _rows("hausa_train_clean.tsv", "\t")
    given = _rows("hausa_train_clean_noisy_labels.tsv", "\t")
    return [row["news_title"] for row in clean], [row["label"] for row in clean], [row["label"] for row in given]


@cache
def _rows(name: str, delimiter: str = ",") -> list[dict[str, str]]:
    path = Path(os.environ["NOISYBENCH_TEST_DATA"], "crowd", name)
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def _one_answer(answers: Sequence[dict[str, str]], key: str, samples: Sequence[str], seed: int) -> list[str]:
    """One of the answers on each sample, drawn from a seed."""
    first: dict[str, str] = {}
    for i in np.random.default_rng(seed).permutation(len(answers)):
        first.setdefault(answers[i][key], answers[i]["answer"])
    return [first[sample] for sample in samples]


def _crowd(features: Features, clean: Sequence[str], given: Sequence[Sequence[str]]) -> Crowd:
    names = sorted({*clean, *(name for column in given for name in column)})
    number = {name: k for k, name in enumerate(names)}
    columns = [np.array([number[name] for name in column], dtype=np.int64) for column in (clean, *given)]
    return Crowd(features, columns[0], tuple(columns[1:]))


def averages(crowd: Crowd) -> dict[str, float]:
    """AUROC of each way against the wrong labels, the mean over label columns, and their share ``wrong``."""
    found: dict[str, list[float]] = {"wrong": [], **{way: [] for way in WAYS}}
    groups, k = find_groups(crowd.features), int(max(column.max() for column in (crowd.clean, *crowd.given))) + 1
    for given in crowd.given:
        wrong, rows = given != crowd.clean, np.arange(len(given))
        more: dict[str, Any] = {"groups": groups}
        probabilities = held_out_probabilities(crowd.features, given, k, **more).probabilities
        shares = neighbour_labels(crowd.features, given, k, **more).astype(np.float64)
        ridge = leave_one_out_ridge(crowd.features, given, k, **more)
        suspicions = (
            consensus(given, ridge.answers, probabilities, shares),
            -probabilities[rows, given],
            -shares[rows, given],
        )
        found["wrong"].append(float(wrong.mean()))
        for way, suspicion in zip(WAYS, suspicions, strict=True):
            found[way].append(auroc(rank(suspicion, wrong)).value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    """Print one line a set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5, help="answers that are drawn of each sample, one at a time")
    seeds = parser.parse_args().seeds
    print(f"| set | wrong | {' | '.join(WAYS)} | known, self-confidence | known, knn |\n|---|{'---|' * 6}")
    for name, (load, known) in SETS.items():
        try:
            found = averages(load(seeds))
        except MissingPackage as missing:
            print(f"{name} is left out: {missing}")
            continue
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in [*found.values(), *known])} |", flush=True)


if __name__ == "__main__":
    main()
