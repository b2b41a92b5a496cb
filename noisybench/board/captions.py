"""The sentences below a table: what it holds, what its intervals cover, what is missing, and what to know of its rows."""

from collections.abc import Mapping

from noisybench.board.curvature_steps import steps_in_words
from noisybench.board.detector_table import Row
from noisybench.board.flags_table import MOST_MEMORIZED, BothRow, Quarters
from noisybench.board.information import RowBlock
from noisybench.board.interval_words import cluster_words, covered_words, differences_words
from noisybench.board.model_table import ModelRow
from noisybench.board.neighbourhoods import ENOUGH_ALIKE
from noisybench.board.row_words import Rows, blocks_of, metric_title, model_words, recipe_words, versions_differ
from noisybench.ground.text import one_line
from noisybench.statistics.suggestion_metrics import SUGGESTION_METRICS
from noisybench.variants.clustered import CANNOT_BE_TOLD

BLOCK_WORDS: Mapping[RowBlock, str] = {
    "": "", "pretrained": "detectors on features of other data", "knows_truth": "detectors that know something of the truth"
}  # fmt: skip


def caption(rows: Rows) -> str:
    """A few sentences: what the table holds, what its intervals cover, and what is missing."""
    if not rows:
        return "No rows."
    first = rows[0]
    if isinstance(first, Row) and not any(row.n for row in rows):
        return _without_truth(first)
    ranked = [row for row in rows if not isinstance(row, Row) or row.rank is not None] or list(rows)
    covers = covered_words(ranked)
    if isinstance(first, Row):
        part = "" if first.stratum == "all" else f" of {first.stratum} samples"
        what = f"{metric_title(first)} against '{first.truth}'{part}, mean over noise families"
        covers += "; behind a rank stands its 95 % confidence set"
    elif isinstance(first, BothRow):
        what = _about_both(rows, first.threshold)
    else:
        what = "Runs at the end of training, mean over noise families"
    missing = _missing(rows)
    steps = steps_in_words(
        [row for row in rows if isinstance(row, Row)], lambda row: f"{model_words(row)}, {recipe_words(rows)(row)}"
    )
    told = [
        f"{what}; {covers}.",
        *differences_words([row for row in rows if isinstance(row, Row)]),
        *([f"{missing[0][:1].upper()}{'; '.join(missing)[1:]}."] if missing else ()),
        *([steps] if steps else ()),
    ]
    clustered = max((row.clustered for row in rows if not isinstance(row, ModelRow)), default=0)
    if clustered:
        told.append(f"In {clustered} of {max(row.variants for row in rows)} label columns {CANNOT_BE_TOLD}.")
        told += cluster_words([row for row in rows if isinstance(row, Row)])
    return one_line(" ".join(told))  # names come from files, which may hold any character


def _missing(rows: Rows) -> list[str]:
    """What is left out of a table, stands apart in it, or does not hold of it."""
    first = rows[0]
    said = [] if isinstance(first, ModelRow) else [BLOCK_WORDS[block] for block in blocks_of(rows) if block]
    incomplete = sum(not row.complete for row in rows if isinstance(row, ModelRow) or row.kind != "reference")
    missing = []
    if said:
        missing.append(f"{' and '.join(said)} stand in a block of their own, and rank among themselves")
    if versions_differ(rows):
        missing.append("rows were trained by different versions of noisybench")
    if first.unfinished:
        missing.append(f"{first.unfinished} unfinished run{'s' * (first.unfinished != 1)} left out")
    if isinstance(first, BothRow) and first.unmeasured:
        runs = f"{first.unmeasured} run{'s' * (first.unmeasured != 1)}"
        missing.append(f"{runs} of labels whose memorization was not measured left out")
    missing += _on_neighbours(rows)
    if incomplete:
        rest = ", unranked" if isinstance(first, Row) else ""
        missing.append(f"{incomplete} incomplete row{'s' * (incomplete != 1)}{rest}")
    return missing


def also_known_as(rows: Rows) -> str:
    """A sentence with the other names of the detectors of a table, each once; empty where none has any."""
    known = {row.detector: row.aliases for row in rows if not isinstance(row, ModelRow) and row.aliases}
    told = "; ".join(f"{name} ({', '.join(aliases)})" for name, aliases in sorted(known.items()))
    return one_line(f"Also known as: {told}.") if told else ""


def _without_truth(row: Row) -> str:
    """What is said where there is nothing to rank by."""
    if row.metric in SUGGESTION_METRICS:
        return "There is no truth to rank by: of no label is it known that it is wrong, and which class is right."
    return one_line(
        f"There is no truth to rank by: of no sample is it known whether it is '{row.truth}'; 'noisybench suspects RUN' "
        f"lists the most suspicious ones."
    )


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
