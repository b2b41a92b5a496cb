"""Sentences of the leaderboard's page: what its words mean, what a view shows, and what chance would give."""

import math
from collections.abc import Mapping, Sequence

from noisybench.board.agreement import Stratum
from noisybench.board.detector_table import about_metric
from noisybench.board.row_words import CROSS_ENTROPY
from noisybench.board.subject import NoiseUsed, WrongShares, subject_of
from noisybench.board.truths import MEMORIZATION, MISLABELED
from noisybench.ground.text import cell
from noisybench.ground.version import __version__
from noisybench.runs.reading import Run

WORDS: Mapping[str, str] = {
    "mislabeled_fit": "Wrong labels fitted: the share of wrong labels that the model predicts for their samples.",
    "clean_fit": "Right labels fitted: the same share of the labels that are right.",
    "susceptibility": (
        "Susceptibility: how far one step of SGD on a fixed batch of inputs with random labels lowers the loss on that "
        "batch, in nats; a model of high susceptibility is ready to fit wrong labels."
    ),
    "memorization": (
        "Memorization of a sample: how much likelier models that were trained on it predict its given label than models "
        "that were not (Feldman and Zhang 2020)."
    ),
    "ranks": "Ranks are among all detectors of the same block, also those that a filter hides.",
}
"""Key → the sentence that the page says where the word comes first."""


def truth_title(truth: str, metric: str, stratum: Stratum) -> str:
    """What a view is called.

    >>> truth_title("open_set", "auroc", "all"), truth_title("memorization", "spearman", "clean")
    ('open set', 'memorization, clean samples')
    """
    title = "suggested labels" if about_metric(metric).compares == "suggestion" else truth.replace("_", " ")
    title = "wrong labels" if truth == MISLABELED and title == truth else title
    return title if stratum == "all" else f"{title}, {stratum} samples"


def view_words(truth: str, metric: str) -> str:
    """What a view's metric is, and of what it is where that is no truth of its own."""
    words = " ".join(about_metric(metric).words.split())
    return (
        words if truth in (MISLABELED, MEMORIZATION) else f"Of samples marked '{truth}': {words[:1].lower()}{words[1:]}"
    )


def about_page(runs: Sequence[Run], begun: Sequence[Run], wrong_shares: WrongShares) -> dict[str, list[str]]:
    """What a page is of, as columns ``term`` and ``words``; names in it are any text."""
    subject = subject_of(runs, wrong_shares=wrong_shares)
    noises = dict.fromkeys(map(_noise_words, subject.noises))
    trained = [run.record for run in runs if run.record.epochs]
    learners = dict.fromkeys(f"{one.model}, {one.recipe}, {one.epochs} epochs" for one in trained)
    objectives = dict.fromkeys(one.objective or CROSS_ENTROPY for one in trained)
    counts = f"{len(runs):,}" + (f", and {len(begun):,} unfinished left out" if begun else "")
    seeds = len({run.seed for run in runs})
    facts = {
        "Sources": "; ".join(f"{one.name} ({one.samples:,} samples)" for one in subject.sources),
        "Noises": _some(noises),
        "Label columns": f"{len(subject.variants):,}: {_some(dict.fromkeys(one[:8] for one in subject.variants), 4)}",
        "Trained": _some(learners, 6) or "nothing",
        "Objectives": _some(objectives, 20) if [*objectives] != [CROSS_ENTROPY] else "",
        "Runs": f"{counts}; {seeds} seed{'s' * (seeds != 1)}",
        "Trained by": f"noisybench {subject.versions}" if subject.versions else "",
        "Page by": f"noisybench {__version__}",
    }
    told = {term: cell(words) for term, words in facts.items() if words}
    return {"term": list(told), "words": list(told.values())}


def _noise_words(noise: NoiseUsed) -> str:
    """A noise, its draws and its realised share of wrong labels, as ``symmetric(rate=0.2), 5 draws, 19.9 % wrong``."""
    wrong = "" if math.isnan(noise.wrong_share) else f", {noise.wrong_share:.1%} wrong".replace("%", " %")
    return f"{noise.words}, {noise.draws} draw{'s' * (noise.draws != 1)}{wrong}"


def _some(names: Mapping[str, None], most: int = 12) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return "; ".join(list(names)[:most]) + more
