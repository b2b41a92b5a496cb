"""Sentences of the leaderboard's page: what its words mean, what a view shows, and what chance would give."""

from collections.abc import Callable, Mapping, Sequence

from noisybench.board.agreement import Stratum
from noisybench.board.detector_table import about_metric
from noisybench.board.subject import subject_of
from noisybench.board.truths import MEMORIZATION, MISLABELED
from noisybench.ground.text import cell
from noisybench.ground.version import __version__
from noisybench.runs.reading import Run
from noisybench.statistics.suggestion_metrics import SUGGESTION_METRICS

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
    title = "suggested labels" if metric in SUGGESTION_METRICS else truth.replace("_", " ")
    title = "wrong labels" if truth == MISLABELED and title == truth else title
    return title if stratum == "all" else f"{title}, {stratum} samples"


def view_words(truth: str, metric: str) -> str:
    """One sentence about what scores are held against, and how."""
    title = about_metric(metric).title
    if metric in SUGGESTION_METRICS:
        return f"{title}: suggested labels against the right classes of mislabeled samples."
    if truth == MEMORIZATION:
        return f"{title} between suspicion and measured memorization."
    what = "wrong labels" if truth == MISLABELED else f"samples marked '{truth}'"
    return f"{title}: how well suspicion tells {what} from the others."


_CHANCE: Mapping[str, Callable[[float], float]] = {
    "auroc": lambda _: 0.5,
    "auroc_within_class": lambda _: 0.5,
    "average_precision": lambda share: share,
    "average_precision_normalised": lambda _: 0.0,
    "false_negative_rate": lambda share: 1 - share,
    "precision_at_1": lambda share: share,
    "precision_at_5": lambda share: share,
    "precision_at_10": lambda share: share,
    "pearson": lambda _: 0.0,
    "spearman": lambda _: 0.0,
    "kendall": lambda _: 0.0,
}


def chance_of(metric: str, share: float) -> float | None:
    """What scores that know nothing reach by a metric; None where nobody can say.

    Args:
        metric: Its name.
        share: Of the samples that are to be found.
    """
    chance = _CHANCE.get(metric)
    return None if chance is None else chance(share)


def about_page(runs: Sequence[Run], begun: Sequence[Run]) -> dict[str, list[str]]:
    """What a page is of, as columns ``term`` and ``words``; names in it are any text."""
    subject = subject_of(runs)
    noises: dict[str, None] = {f"{words}, {draws} draw{'s' * (draws != 1)}": None for words, draws in subject.noises}
    learners = dict.fromkeys(
        f"{run.record.model}, {run.record.recipe}, {run.record.epochs} epochs" for run in runs if run.record.epochs
    )
    counts = f"{len(runs):,}" + (f", and {len(begun):,} unfinished left out" if begun else "")
    seeds = len({run.seed for run in runs})
    facts = {
        "Sources": "; ".join(f"{name} ({samples:,} samples)" for name, samples in subject.sources),
        "Noises": _some(noises),
        "Label columns": f"{len(subject.variants):,}: {_some(dict.fromkeys(one[:8] for one in subject.variants), 4)}",
        "Trained": _some(learners, 6) or "nothing",
        "Runs": f"{counts}; {seeds} seed{'s' * (seeds != 1)}",
        "Trained by": f"noisybench {subject.versions}" if subject.versions else "",
        "Page by": f"noisybench {__version__}",
    }
    told = {term: cell(words) for term, words in facts.items() if words}
    return {"term": list(told), "words": list(told.values())}


def _some(names: Mapping[str, None], most: int = 12) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return "; ".join(list(names)[:most]) + more
