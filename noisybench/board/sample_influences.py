"""What samples do to the rows of a table: the influences of each run's scores, summed over seeds and label columns.

Scores are read one file at a time, and what comes out are a few matrices of rows by rows, kept in the user's own cache by
the digests of everything that they follow from, as agreement is: a table that was made before reads no score.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from noisybench.board.agreement import Agreement, stratum_members
from noisybench.board.judging import digest_of_code
from noisybench.board.kept_answers import kept
from noisybench.board.ranking import Group, SampleEvidence
from noisybench.board.references import reference_scores, reference_suggestions
from noisybench.board.truths import MEMORIZATION, MISLABELED, Asked, Truths
from noisybench.detection.scoring import scores_file
from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.kept_digests import kept_digest
from noisybench.ground.lookup import find
from noisybench.memorization.reliability import reliability
from noisybench.runs.reading import Run
from noisybench.runs.suggestion_files import suggestion_digests
from noisybench.statistics.column_means import LabelColumn, Setting, settings_of
from noisybench.statistics.crossed import SampleParts, SampleSums
from noisybench.statistics.influences import Influence, suggestion_influence
from noisybench.statistics.memorization_metrics import Compared, correlation_influence
from noisybench.statistics.metric import Metric
from noisybench.statistics.row_intervals import LAWS
from noisybench.statistics.sample_clusters import effective_number, in_whole_clusters, in_whole_groups
from noisybench.variants.clustered import wrong_together
from noisybench.variants.variant import Variant

ColumnAndSeed: TypeAlias = "tuple[LabelColumn, int]"
"""Label column and training seed."""


def sample_evidence(truths: Mapping[Path, Truths], asked: Asked) -> SampleEvidence:
    """How to know what samples do to the rows of a table, from the scores of their runs.

    Args:
        truths: Folder of all that is known of a variant's labels → its truths.
        asked: Truth, metric and stratum of the table.
    """
    return SampleEvidence(
        partial(sample_parts, truths=truths, asked=asked, before=_Columns()),
        LAWS.get(asked.metric) if _is_ours(asked) else None,
    )


_Sizes: TypeAlias = tuple[float, float, float]
"""Wrong labels, or clusters of them; right ones; and how many independent ones tell what the rarer kind does."""
_OfColumn: TypeAlias = "tuple[NDArray[np.float32], _Sizes] | None"
"""Influences of the samples of a label column on rows, (n, p), and how many there are."""


class _Columns:
    """Influences of label columns, for further tables of the same runs; as many as there is room for."""

    def __init__(self) -> None:
        self._held: dict[object, _OfColumn] = {}
        self._room = MOST_KEPT

    def of(self, key: object, compute: Callable[[], _OfColumn]) -> _OfColumn:
        """What ``compute`` gives, or gave before."""
        if key in self._held:
            return self._held[key]
        found = compute()
        size = 0 if found is None else found[0].nbytes
        if size <= self._room:
            self._room -= size
            self._held[key] = found
        return found


MOST_KEPT = 2**26
"""Bytes of influences that are kept for further tables."""


def sample_parts(
    groups: Sequence[Group], *, truths: Mapping[Path, Truths], asked: Asked, before: _Columns | None = None
) -> SampleParts | None:
    """What samples do to the means of some rows that have the same label columns.

    None where the metric has no influence that is known, where something was suggested by no file, or where a label column
    has one sample of a kind.

    Args:
        groups: What each row averages over.
        truths: Folder of all that is known of a variant's labels → its truths.
        asked: Truth, metric and stratum.
        before: Influences of other tables of the same truths and metric.

    Raises:
        BadData: A file of scores is broken.
        Mismatch: Scores are of another variant.
    """
    if not _has_influence(asked):
        return None
    places = [{at: one for at, one in group.items() if np.isfinite(one[1].value)} for group in groups]
    what = _follows_from(places, truths, asked)
    compute = partial(_computed, places, truths, asked, before or _Columns())
    if what is None:
        found = compute()
    else:
        fields = kept(what, lambda: _packed(compute()), list[bytes])
        found = _unpacked(fields, len(places))
    return found if found.freedom >= 1 else None


def _has_influence(asked: Asked) -> bool:
    """Whether there may be an influence: of a correlation that is told by its first sample."""
    metric = _metric(asked)
    if metric.compares == "mislabeled":
        return metric.influence is not None
    return metric.compares == "memorization" or asked.metric == "suggestion_accuracy"


def _metric(asked: Asked) -> Metric:
    found: Metric = find("metrics", asked.metric)
    return found


def _is_ours(asked: Asked) -> bool:
    """Whether a metric is noisybench's own, whose code is known."""
    compute = _metric(asked).compute
    return str(getattr(compute, "func", compute).__module__).partition(".")[0] == "noisybench"


_NONE = np.zeros(0)
NOT_KNOWN = SampleParts(_NONE, _NONE, 0.0, _NONE, _NONE, _NONE)
"""Parts of rows of whose influences one is not known."""


def _computed(
    rows: Sequence[Mapping[ColumnAndSeed, tuple[Run, Agreement]]],
    truths: Mapping[Path, Truths],
    asked: Asked,
    before: _Columns,
) -> SampleParts:
    """The parts from the scores of every run."""
    homes = {column: run.home for row in rows for (column, _), (run, _) in row.items()}
    sets: dict[object, list[Setting]] = {}
    for setting in settings_of(homes):
        sets.setdefault(_sample_set(rows, setting.columns[0]), []).append(setting)
    measured, elsewhere = (np.zeros((len(rows), len(rows))) for _ in range(2))
    weights: list[float] = []
    sizes: list[_Sizes] = []
    for members in sets.values():
        n = len(truths[homes[members[0].columns[0]]].variant.labels)
        sums = SampleSums(n, len(rows))
        for setting in members:
            draws = len(setting.columns)
            for column in setting.columns:
                found = _of_column(rows, column, truths[homes[column]], asked, before)
                if found is None:
                    return NOT_KNOWN
                sums.add(found[0], setting.weight / draws, draws)
                weights.append(setting.weight / draws)
                sizes.append(found[1])
            sums.close_setting(draws)
        sums.close()
        measured += sums.measured
        elsewhere += sums.elsewhere
    wrong, right, apart = np.array(sizes).T
    return SampleParts(
        measured,
        elsewhere,
        float(apart.min() - 1),
        np.array(weights),
        wrong,
        right,
    )


def _sample_set(rows: Sequence[Mapping[ColumnAndSeed, tuple[Run, Agreement]]], column: LabelColumn) -> object:
    """What the samples of a label column are, whatever their labels."""
    record = next(run for row in rows for (at, _), (run, _) in row.items() if at == column).record
    return record.source, record.source_sha256, json.dumps(dict(record.source_options), sort_keys=True), record.limit


def _of_column(
    rows: Sequence[Mapping[ColumnAndSeed, tuple[Run, Agreement]]],
    column: LabelColumn,
    truths: Truths,
    asked: Asked,
    before: _Columns,
) -> _OfColumn:
    """Influences of the samples of a label column on every row, averaged over its seeds, (n, p), and how many of each kind.

    None where one is not known.
    """
    members = [[one for (at, _), one in row.items() if at == column] for row in rows]
    key = tuple(
        tuple((run.path, held.detector, held.kind, held.learner, held.given_class) for run, held in some)
        for some in members
    )
    return before.of(key, lambda: _averaged(members, truths, asked))


def _averaged(members: Sequence[Sequence[tuple[Run, Agreement]]], truths: Truths, asked: Asked) -> _OfColumn:
    """See ``_of_column``; of the runs of each row."""
    compute = _metric(asked).influence  # looked up once, not for each file
    means = np.zeros((len(truths.variant.labels), len(members)), dtype=np.float32)
    sizes = np.inf, np.inf, np.inf
    for i, some in enumerate(members):
        for run, agreement in some:
            found = influence_of(run, agreement, truths, asked, compute)
            if found is None:
                return None
            means[:, i] += found[0] / len(some)
            wrong, right, apart = map(min, sizes, found[1])
            sizes = wrong, right, apart
    return means, sizes


def influence_of(
    run: Run, agreement: Agreement, truths: Truths, asked: Asked, compute: Influence | None
) -> tuple[Floats, _Sizes] | None:
    """Influence of each sample on an agreement, (n,), 0 of those that do not count, and how many there are.

    Wrong labels that come in clusters count as one, with the influence of them all, by ``clusters_of``. So do copies of one
    sample, right or wrong; their number stays, as wrong and right copies undo much of what the sample is like.

    Args:
        run: Whose scores they are.
        agreement: What they were held against, and of which class.
        truths: Of its labels.
        asked: Truth, metric and stratum.
        compute: The metric's influence; of suggestions and of memorization it is another.
    """
    on = _on_memorization if asked.truth == MEMORIZATION else partial(_on_labels, compute=compute)
    found, copies = on(run, agreement, truths, asked), truths.variant.copies
    if found is None:
        return None
    influence, (wrong, right), counted = found
    apart = min(wrong, right)
    if copies is None:
        return influence, (wrong, right, apart)
    return in_whole_groups(influence, counted, copies), (wrong, right, min(apart, effective_number(copies[counted])))


_Found: TypeAlias = "tuple[Floats, tuple[float, float], Bools]"
"""Influences of samples, (n,); how many there are of either kind, or clusters of them; and who counts, (n,)."""


def _on_labels(
    run: Run, agreement: Agreement, truths: Truths, asked: Asked, compute: Influence | None
) -> "_Found | None":
    """Influence of each sample on an agreement with wrong labels or with a mark, or on suggestions."""
    variant = truths.variant
    result = np.zeros(len(variant.labels))
    if asked.metric == "suggestion_accuracy":
        suggested = _suggested(run, agreement, variant)
        if suggested is None:
            return None
        counted = wrong = variant.mislabeled & variant.class_known & _of_class(variant, agreement)
        right = np.inf
        result[wrong] = suggestion_influence(suggested[wrong], variant.clean[wrong])
    else:
        counted, wrong = (mask & _of_class(variant, agreement) for mask in _counted(variant, asked.truth))
        if compute is None:
            return None
        values = _scores_of(run, agreement, truths)[counted]
        result[counted] = compute(values, wrong[counted], variant.labels[counted])
        right = float(counted.sum() - wrong.sum())
    clusters = clusters_of(variant, wrong)
    if clusters is None:
        return result, (float(wrong.sum()), right), counted
    return *in_whole_clusters(result, wrong, clusters, right), counted


def _counted(variant: Variant, truth: str) -> tuple[Bools, Bools]:
    """Which samples count against the mislabeled mask or a mark, and which of them shall be found: as in ``agreement``."""
    if truth == MISLABELED:
        return variant.known, variant.mislabeled
    bears = variant.marks[truth] & ~variant.dropped
    return (bears | ~variant.mislabeled) & ~variant.dropped, bears


def _of_class(variant: Variant, agreement: Agreement) -> Bools:
    """The samples of the given class that an agreement is of, (n,); all where it is of every class."""
    if agreement.given_class is None:
        return np.ones(len(variant.labels), dtype=bool)
    return np.asarray(variant.labels == agreement.given_class)


def _on_memorization(run: Run, agreement: Agreement, truths: Truths, asked: Asked) -> "_Found | None":
    """Influence of each sample on a correlation with memorization."""
    variant = truths.variant
    measured = next(one for one in truths.measured if one.memorization.learner == agreement.learner)
    truth, held_out = measured.memorization, measured.held_out_error
    counted = stratum_members(variant, asked.stratum) & _of_class(variant, agreement) & ~np.isnan(truth.values)
    if _metric(asked).needs_held_out_error and held_out is not None:
        counted &= ~np.isnan(held_out)
    values = _scores_of(run, agreement, truths)[counted]
    beside = np.zeros(0) if held_out is None else held_out[counted]
    compared = Compared(values, truth.values[counted], reliability(truth, counted), beside)
    found = correlation_influence(asked.metric, compared)
    if found is None:
        return None
    result = np.zeros(len(counted))
    result[counted] = found
    return result, (float(counted.sum()), np.inf), counted


def _scores_of(run: Run, agreement: Agreement, truths: Truths) -> Floats:
    """Scores that an agreement is of, (n,)."""
    if agreement.kind != "reference":
        return run.scores(agreement.detector).values
    known = _references(truths.variant, run.seed)
    if agreement.detector in known:
        return known[agreement.detector]
    return next(
        one.memorization.values
        for one in truths.measured
        if agreement.detector == f"memorization by {one.memorization.learner.name}"
    )


def _suggested(run: Run, agreement: Agreement, variant: Variant) -> Labels | None:
    """Labels that an agreement is of, (n,); None where nothing is suggested."""
    if agreement.kind != "reference":
        suggestion = run.suggestion(agreement.detector, variant)
        return None if suggestion is None else suggestion.labels
    found = reference_suggestions(variant, seed=run.seed)
    return next((one.labels for one in found if one.detector == agreement.detector), None)


@lru_cache(maxsize=2)
def _references(variant: Variant, seed: int) -> dict[str, Floats]:
    return {one.detector: one.values for one in reference_scores(variant, seed=seed)}


# Clusters


def clusters_of(variant: Variant, wrong: Bools) -> NDArray[np.int64] | None:
    """Number of the cluster of each wrong label, shape (m,); None where each counts by itself.

    The clusters of a noise are not written down. All wrong labels of one right and one given class stand for them, in which
    every cluster lies: the variance is right where few clusters share a pair of classes, and too large otherwise.
    """
    if not wrong_together(variant.provenance.noise, variant.provenance.params):
        return None
    pairs = np.stack([variant.clean[wrong], variant.labels[wrong]])
    numbers: NDArray[np.int64] = np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)
    return numbers


# Keeping


def _follows_from(
    rows: Sequence[Mapping[ColumnAndSeed, tuple[Run, Agreement]]], truths: Mapping[Path, Truths], asked: Asked
) -> dict[str, object] | None:
    """Digests of all that the parts of such rows follow from; None where one has none."""
    runs = {id(run): run for row in rows for run, _ in row.values()}
    homes = {run.home for run in runs.values()}
    digests = [[_digest_of(*one, asked) for one in row.values()] for row in rows]
    if not _is_ours(asked) or any(digest is None for row in digests for digest in row):
        return None
    return {
        "samples": digests,
        "places": [[[*column, seed] for column, seed in row] for row in rows],
        "of": [sorted(map(repr, {(held.learner, held.given_class) for _, held in row.values()})) for row in rows],
        "asked": asdict(asked),
        "truths": sorted(
            [sorted(truths[home].digests.items()), *(sorted(one.digests.items()) for one in truths[home].measured)]
            for home in homes
        ),
        "code": digest_of_code(Path(__file__)),
    }


def _digest_of(run: Run, held: Agreement, asked: Asked) -> str | None:
    """Digest of what an agreement is of; None of what was suggested by no file."""
    if held.kind == "reference":
        return f"{held.detector} of seed {run.seed}"
    if asked.metric == "suggestion_accuracy":
        return suggestion_digests(run.path, run.record).get(held.detector)
    return kept_digest(scores_file(run.path, held.detector))


def _packed(parts: SampleParts) -> list[bytes]:
    return [np.asarray(field, dtype=np.float64).tobytes() for field in parts]


def _unpacked(fields: Sequence[bytes], rows: int) -> SampleParts:
    measured, elsewhere, freedom, *sizes = (np.frombuffer(field) for field in fields)
    shape = (rows, rows) if measured.size else (0,)
    return SampleParts(measured.reshape(shape), elsewhere.reshape(shape), float(freedom[0]), *sizes)
