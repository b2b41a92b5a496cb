"""Columns that the answers of several people give: posteriors by each method, from answers and what stands beside them."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.data.crowd.answers import Answers, majority, one_each
from noisybench.ground.arrays import Bools, Floats, Floats32
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import uniforms
from noisybench.runs.kept_rows import with_dropped
from noisybench.statistics.annotators import SMOOTHING, dawid_skene, vote_shares
from noisybench.statistics.crowdlab import crowdlab
from noisybench.statistics.glad import glad
from noisybench.variants.variant import Variant

Who = Literal["answers", "answer columns"]
"""What answered: people, each known by a number, or columns in which different people's answers stand."""
VOTES, SKENE, GLAD, CROWDLAB, CLASSIFIER = (
    f"answers.{name}" for name in ("vote_shares", "dawid_skene", "glad", "crowdlab", "classifier")
)
BEST = (CROWDLAB, SKENE, VOTES)
"""Columns of which the first that there is gives ``prediction``: the one that knows most, as no truth says which is best."""
PARTS: Mapping[str, str] = {VOTES: "votes", SKENE: "dawid_skene", GLAD: "glad", CROWDLAB: "crowdlab"}
"""Column → the part of a run that computes it."""
_RANDOM = {"random1": 0, "random2": 1, "random3": 2}


class LookedAt(NamedTuple):
    """The answers that are looked at, and what is known of how the given labels came from them.

    Attributes:
        who: What answered.
        given_from: How the labels were made of the answers: ``majority``, ``one:SEED``, or ``random1`` and the like of
            CIFAR-N; None where nobody knows, or they were not.
        answers: Those that are left.
        removed: How many were removed, since they are the given label.
    """

    who: Who
    given_from: str | None
    answers: Answers
    removed: int


def looked_at(variant: Variant, *, without_given: bool, seed: int) -> LookedAt:
    """The answers of a variant that are looked at.

    Args:
        variant: The labels, and the answers to the samples.
        without_given: Whether one answer that is the given label is left out of each sample that has one: the very
            answer that the label was drawn from where that is known, else one of those that are equal to it, each as
            likely.
        seed: Of that draw.

    Raises:
        BadUsage: There are no answers, or the labels follow from all of them and the truth.
    """
    answers = variant.answers
    if answers is None or not len(answers):
        raise BadUsage(why_without(variant))
    columns = _column_of_cifar_n(variant)
    who: Who = "answers" if columns is None else "answer columns"
    given_from = columns or _aggregate(variant)
    kept = ~variant.dropped
    answers = _chosen(answers, kept[answers.sample])
    if not without_given:
        return LookedAt(who, given_from, answers, 0)
    own = _own_answer(variant, answers, columns or given_from, seed)
    return LookedAt(who, given_from, _chosen(answers, ~own), int(own.sum()))


def why_without(variant: Variant) -> str:
    """Why there is nothing to say by answers, in a sentence."""
    return (
        f"the variant of source '{variant.provenance.source}' has no answers of several people; left out "
        f"(build it with --source-set answers=FILE, see docs/answers.md)"
    )


def _column_of_cifar_n(variant: Variant) -> str | None:
    """Which column of CIFAR-N the labels are, which is no person's; None of other labels.

    Raises:
        BadUsage: The labels are a function of all three columns.
    """
    told = [variant.provenance.noise, *(str(value) for value in variant.provenance.params.values())]
    if told[0] == "cifar_n":
        column = str(variant.provenance.params.get("labels"))
    else:
        found = re.search(r"\bcifar_n\((?:[^)]*,)?\s*labels=(\w+)", " ".join(told[1:]))
        if found is None:
            return None
        column = found[1]
    if column not in _RANDOM:
        rule = (
            "the majority of the three answers"
            if column == "aggre"
            else "chosen among the three with the right label in hand"
        )
        msg = (
            f"labels={column} of cifar_n are {rule}, so that the answers tell nothing new of them; build labels=random1 "
            f"(or random2, random3), whose other two answers are independent of it"
        )
        raise BadUsage(msg)
    return column


def _aggregate(variant: Variant) -> str | None:
    """How the source made the labels of the answers; None where a noise or a person changed them since, or it did not."""
    provenance = variant.provenance
    rule = provenance.source_options.get("aggregate")
    if provenance.noise != "as_found" or variant.corrections is not None or rule == "column":
        return None
    if rule is None and variant.answers is not None:  # which is the majority unless the samples came with labels
        made = majority(variant.answers, len(variant.labels))[0]
        return "majority" if np.array_equal(made, variant.labels) else None
    return str(rule)


def _own_answer(variant: Variant, answers: Answers, given_from: str | None, seed: int) -> Bools:
    """One answer of each sample that is its given label, where there is one, shape (m,)."""
    n = len(variant.labels)
    same = answers.label == variant.labels[answers.sample]
    if given_from in _RANDOM:
        return same & (answers.annotator == _RANDOM[given_from])
    drawn = re.fullmatch(r"one:(\d+)", given_from or "")
    if drawn is not None:  # of labels that nobody corrected, so that these are all answers
        numbered = Answers(answers.sample, answers.annotator, np.arange(len(answers)))
        rows = one_each(numbered, n, seed=int(drawn[1]))
        if np.array_equal(answers.label[rows[rows >= 0]], variant.labels[rows >= 0]):
            return np.isin(np.arange(len(answers)), rows)
    several = np.bincount(answers.sample[same], minlength=n)
    chosen = np.floor(uniforms(seed, "answers/own", n) * several).astype(np.int64)
    before = np.cumsum(same) - 1 - (np.cumsum(several) - several)[answers.sample]
    return same & (before == chosen[answers.sample])


def _chosen(answers: Answers, mask: Bools) -> Answers:
    return answers if mask.all() else Answers(answers.sample[mask], answers.annotator[mask], answers.label[mask])


def digest_of_answers(answers: Answers) -> str:
    """SHA-256 of answers in their order, whatever their annotators are called."""
    digest = hashlib.sha256()
    for column in (answers.sample, answers.annotator, answers.label):
        digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
    return digest.hexdigest()


def setup_of_answers(features: str, folds: int | None, *, who: str, without_given: bool, smoothing: float) -> str:
    """Digest of everything that decides the columns but labels, answers and seed: alike for every variant."""
    what = ["answers", features, folds, who, without_given, smoothing]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def answers_columns(
    variant: Variant,
    asked: LookedAt,
    classifier: Floats32 | None,
    *,
    smoothing: float = SMOOTHING,
    seconds: dict[str, float] | None = None,
) -> dict[str, Floats32]:
    """The columns of a run's trace by name.

    Of answers alone: ``answers.vote_shares`` (n, k), and of people ``answers.dawid_skene`` and ``answers.glad`` (n, k);
    columns of answers, which are no people, have shares alone. With a classifier: ``answers.crowdlab`` (n, k) and what it
    was made with, ``answers.classifier``. Besides, ``given`` (n,), the labels, and ``prediction`` (n,), the likeliest
    class by the first of ``BEST`` that there is. Of a sample that nobody answered every class is alike in shares and by
    GLAD, as the prior by Dawid and Skene, and as the classifier by CROWDLAB. A sample that a person dropped takes part in
    nothing.

    Args:
        variant: The labels.
        asked: The answers that are looked at.
        classifier: Probabilities of each class by models that did not see the sample, shape (n, k).
        smoothing: See ``dawid_skene``.
        seconds: Filled with what each part of ``PARTS`` took.
    """
    k = variant.num_classes
    kept = np.flatnonzero(~variant.dropped)
    answers, m = asked.answers.taken(kept), len(kept)
    ways: dict[str, Callable[[], Floats]] = {VOTES: lambda: vote_shares(answers, m, k)}
    if asked.who == "answers":
        ways[SKENE] = lambda: dawid_skene(answers, m, k, smoothing=smoothing).posterior
        ways[GLAD] = lambda: glad(answers, m, k).posterior
    if classifier is not None:
        held_out = classifier[kept].astype(np.float64)
        ways = {CROWDLAB: lambda: crowdlab(answers, held_out, k).posterior}
    made: dict[str, Floats] = {}
    for name, way in ways.items():
        began = time.perf_counter()
        made[name] = way()
        if seconds is not None:
            seconds[PARTS[name]] = time.perf_counter() - began
    columns: dict[str, NDArray[Any]] = {name: with_dropped(values, variant, 1 / k) for name, values in made.items()}
    if classifier is not None:
        columns[CLASSIFIER] = classifier
    columns = {name: values.astype(np.float32) for name, values in columns.items()}
    best = next(columns[name] for name in BEST if name in columns)
    return {"given": variant.labels.astype(np.float32), **columns, "prediction": best.argmax(1).astype(np.float32)}
