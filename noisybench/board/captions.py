"""The sentences below a table: what it holds, what its intervals cover, what is missing, and what to know of its rows."""

import math
from collections.abc import Mapping, Sequence

from noisybench.board.curvature_steps import steps_in_words
from noisybench.board.detector_table import Row, about_metric
from noisybench.board.flags_table import MOST_MEMORIZED, BothRow, Quarters
from noisybench.board.information import RowBlock
from noisybench.board.interval_words import cluster_words, copies_words, covered_words, differences_words, found_words
from noisybench.board.model_table import ModelRow
from noisybench.board.model_words import about_models
from noisybench.board.neighbourhoods import ENOUGH_ALIKE
from noisybench.board.row_words import (
    Rows,
    blocks_of,
    metric_title,
    model_words,
    recipe_words,
    shown_parts,
    versions_differ,
)
from noisybench.board.subject import SHOWN_OF_AN_ID, NoiseUsed, joined
from noisybench.board.truths import READ_RIDGE
from noisybench.ground.text import one_line
from noisybench.ground.version import __version__
from noisybench.memorization.learner import CLOSED_FORM
from noisybench.runs.fit_words import on_susceptibility
from noisybench.variants.clustered import CANNOT_BE_TOLD

BLOCK_WORDS: Mapping[RowBlock, str] = {
    "": "", "pretrained": "detectors on features of other data", "knows_truth": "detectors that know something of the truth"
}  # fmt: skip

MOST_NAMED = 3
"""Noises, label columns and learners that a caption names; the others it counts."""


def caption(rows: Rows) -> str:
    """A few sentences: what the table holds, what its intervals cover, and what is missing."""
    if not rows:
        return "No rows."
    first = rows[0]
    if without_truth(rows):
        return without_truth(rows)
    ranked = [row for row in rows if not isinstance(row, Row) or row.rank is not None] or list(rows)
    covers = covered_words(ranked)
    if isinstance(first, Row):
        part = "" if first.stratum == "all" else f" of {first.stratum} samples"
        what = f"{metric_title(first)} against '{first.truth}'{part}, mean over noise families"
        moderated = any(isinstance(row, Row) and row.moderated for row in ranked)
        how = " by moderated t over draws or seeds, other samples left out" if moderated else ""
        covers += f"; behind a rank its 95 % confidence set{how}"
    elif isinstance(first, BothRow):
        what = _about_both(rows, first.threshold)
    else:
        what = "Runs at the end of training, mean over noise families"
    missing = _missing(rows)
    steps = steps_in_words(
        [row for row in rows if isinstance(row, Row)], lambda row: f"{model_words(row)}, {recipe_words(rows)(row)}"
    )
    told = [
        f"{what[:1].upper()}{what[1:]}; {covers}.",
        *about_subject(rows),
        *differences_words([row for row in rows if isinstance(row, Row)]),
        *([f"{missing[0][:1].upper()}{'; '.join(missing)[1:]}."] if missing else ()),
        *([steps] if steps else ()),
        *_about_further(rows),
        *_about_own_kind(rows),
    ]
    models = [row for row in rows if isinstance(row, ModelRow)]
    told += about_models(models)
    told.append(on_susceptibility(row.susceptibility for row in models))
    clustered = max((row.clustered for row in rows if not isinstance(row, ModelRow)), default=0)
    if clustered:
        told.append(f"In {clustered} of {max(row.variants for row in rows)} label columns {CANNOT_BE_TOLD}.")
        told += cluster_words([row for row in rows if isinstance(row, Row)])
    told += copies_words([row for row in rows if isinstance(row, Row)])
    told += found_words([row for row in rows if isinstance(row, Row)])
    return one_line(" ".join(filter(None, told)))  # names come from files, which may hold any character


def _about_further(rows: Rows) -> list[str]:
    """What the further figures are, where rows have any."""
    known = [row for row in rows if isinstance(row, Row)]
    said = []
    if any(row.worst_class for row in known):
        said.append("Worst class: the given class of the worst value, of those with 5 wrong and 5 right labels.")
    if any(not math.isnan(row.top_overlap) for row in known):
        said.append(
            "Same top between seeds: of as many most suspicious samples as labels are wrong, those that both have as a share "
            "of those that either has."
        )
    return said


def _about_own_kind(rows: Rows) -> list[str]:
    """Which detectors are held against no memorization in closed form, where rows are of one."""
    whose = [row.truth_learner for row in rows if not isinstance(row, ModelRow)]
    if not any(learner is not None and learner.recipe == CLOSED_FORM for learner in whose):
        return []
    return [f"Not judged by a truth of its own kind, memorization by ridge regression: {', '.join(READ_RIDGE)}."]


def about_subject(rows: Rows) -> list[str]:
    """Sentences on what a table is of: data sets, noises, label columns, learners, and versions of noisybench."""
    if not any(row.subject.sources for row in rows):
        return []
    said = []
    for source in dict.fromkeys(row.source for row in rows):
        subject = joined(row.subject for row in rows if row.source == source)
        named = " and ".join(one.words for one in subject.sources)
        ids = _listed([one[:SHOWN_OF_AN_ID] for one in subject.variants])
        columns = f"label column{'s' * (len(subject.variants) != 1)} {ids}"
        said.append(f"Of {named}: {_listed([_noise(noise) for noise in subject.noises], '; ')}; {columns}.")
    recipe = recipe_words(rows)
    learners = [
        f"{model_words(row)}, {recipe(row)}" for row in rows if not isinstance(row, ModelRow) and row.learner.model
    ]
    if learners:
        said.append(f"Scores by {_listed(list(dict.fromkeys(learners)), '; ')}.")
    whose = [row.truth_learner.name for row in rows if not isinstance(row, ModelRow) and row.truth_learner is not None]
    if whose and isinstance(rows[0], Row):
        said.append(f"Memorization by {_listed(list(dict.fromkeys(whose)), '; ')}.")
    trained = joined(row.subject for row in rows).versions
    by = f"Trained by noisybench {trained}; table" if trained else "Table"
    by = "Trained and table" if trained == __version__ else by
    return [*said, f"{by} by noisybench {__version__}."]


def _noise(noise: NoiseUsed) -> str:
    wrong = "" if math.isnan(noise.wrong_share) else f", {noise.wrong_share:.3f} wrong"
    return f"{noise.words}, {noise.draws} draw{'s' * (noise.draws != 1)}{wrong}"


def _listed(words: Sequence[str], between: str = ", ") -> str:
    """The first of some words; how many more there are."""
    named, more = words[:MOST_NAMED], len(words) - MOST_NAMED
    return between.join(named) + (f" and {more} more" if more > 0 else "")


def _missing(rows: Rows) -> list[str]:
    """What is left out of a table, stands apart in it, or does not hold of it."""
    first = rows[0]
    said = [BLOCK_WORDS[block] for block in blocks_of(rows) if block and not isinstance(first, ModelRow)]
    cutless = _without_cut(rows)
    incomplete = sum(
        not row.complete
        for row in rows
        if isinstance(row, ModelRow) or (row.kind != "reference" and row.detector not in cutless)
    )
    missing = []
    if said:
        missing.append(f"{' and '.join(said)} stand in a block of their own, and rank among themselves")
    if isinstance(first, ModelRow) and any(blocks_of(rows)):
        missing.append("learners whose objective knows something of the truth stand in a block of their own")
    if versions_differ(rows):
        missing.append("rows were trained by different versions of noisybench")
    if first.unfinished:
        missing.append(f"{first.unfinished} unfinished run{'s' * (first.unfinished != 1)} left out")
    if isinstance(first, BothRow) and first.unmeasured:
        runs = f"{first.unmeasured} run{'s' * (first.unmeasured != 1)}"
        missing.append(f"{runs} of labels whose memorization was not measured left out")
    missing += _on_neighbours(rows)
    if cutless:
        missing.append(f"{', '.join(cutless)}: no value, since scores that came alone have no cut of their own")
    parts, shown = (len(first.parts) if isinstance(first, Row) else 0), len(shown_parts(rows))
    if parts > shown:
        missing.append(
            f"of {parts} parts the {shown} in which the best detector is worst are shown, csv and json have all"
        )
    if incomplete:
        rest = ", unranked" if isinstance(first, Row) else ""
        missing.append(f"{incomplete} incomplete row{'s' * (incomplete != 1)}{rest}")
    return missing


def also_known_as(rows: Rows) -> str:
    """A sentence with the other names of the detectors of a table, each once; empty where none has any."""
    known = {row.detector: row.aliases for row in rows if not isinstance(row, ModelRow) and row.aliases}
    told = "; ".join(f"{name} ({', '.join(aliases)})" for name, aliases in sorted(known.items()))
    return one_line(f"Also known as: {told}.") if told else ""


def without_truth(rows: Rows) -> str:
    """The sentence that stands for a table of detectors where there is nothing to rank by; empty where there is."""
    row = rows[0] if rows else None
    if not isinstance(row, Row) or any(row.n for row in rows):
        return ""
    if about_metric(row.metric).compares == "suggestion":
        return "There is no truth to rank by: of no label is it known that it is wrong, and which class is right."
    return one_line(
        f"There is no truth to rank by: of no sample is it known whether it is '{row.truth}'; 'noisybench suspects RUN' "
        f"lists the most suspicious ones."
    )


def _without_cut(rows: Rows) -> list[str]:
    """Detectors that have no cut, in a table of what is flagged at each detector's own."""
    return [
        row.detector
        for row in rows
        if isinstance(row, Row)
        and about_metric(row.metric).compares == "cut"
        and row.regime == "given"
        and math.isnan(row.mean)
    ]


def _on_neighbours(rows: Rows) -> list[str]:
    """What is said where detectors assume of neighbours what is known not to hold."""
    told = [(row.detector, row.neighbours_alike) for row in rows if isinstance(row, Row)]
    odd = [(name, share) for name, share in told if share is not None and share < ENOUGH_ALIKE]
    if not odd:
        return []
    who, least = " and ".join(dict.fromkeys(name for name, _ in odd)), min(share for _, share in odd)
    takes = "take" if " and " in who else "takes"
    return [
        f"the two nearest others share the true class of {least:.0%} of samples, which {who} {takes} to be nearly all"
    ]


def _about_both(rows: Rows, threshold: float) -> str:
    """What the shares are, and whose memorization."""
    learners = {row.truth_learner.name for row in rows if isinstance(row, BothRow)}
    whose = f"by {next(iter(learners))}" if len(learners) == 1 else "by the learner under 'truth of'"
    sizes = {tuple(getattr(row, f"samples_{quarter}") for quarter in Quarters._fields) for row in rows}
    count = f", {' + '.join(map(str, next(iter(sizes))))} samples" if len(sizes) == 1 else ""
    return (
        f"Every detector flags as many samples as are mislabeled. False alarms: share of the {MOST_MEMORIZED} % most "
        f"memorized clean samples that it flags. Then, of wrong and clean samples, memorized (at least "
        f"{threshold:g}, {whose}) or not{count}: share of such samples that it flags / share of its flags that fall on "
        f"them; those of 'chance' fall as the samples do. Means over noise families"
    )
