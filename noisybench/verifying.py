"""Verifying folders: what is written is whole, and what stands together belongs together."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from noisybench.agreement import against_labels, read_agreements, reference_scores
from noisybench.catalog import find
from noisybench.description import describe
from noisybench.errors import BadData, Mismatch
from noisybench.leaderboard import read_runs
from noisybench.scoring import Scores, read_scores, score
from noisybench.tables import file_name, read_record
from noisybench.trace import read_trace
from noisybench.variant import Variant, read_variant


def verify_variant(folder: Path) -> Iterator[str]:
    """Check a variant's folder, saying what was checked.

    Raises:
        BadData: What differs, and from what.
    """
    variant = read_variant(folder)  # digests, shapes, classes
    yield f"labels match their digest and variant id {variant.provenance.variant_id[:8]}"
    law = variant.flip_probability
    if law is not None and not ((law[variant.known] >= 0) & (law[variant.known] <= 1)).all():
        msg = f"{folder}: a flip probability lies outside [0, 1]; build again"
        raise BadData(msg)
    if variant.selected is not None and (variant.mislabeled & ~variant.selected).any():
        sample = int(np.flatnonzero(variant.mislabeled & ~variant.selected)[0])
        msg = f"{folder}: sample {sample} is wrong without having been selected for noise; build again"
        raise BadData(msg)
    if variant.transition is not None and ((describe(variant).transition > 0) & (variant.transition == 0)).any():
        msg = f"{folder}: labels were given that the transition matrix excludes; build again"
        raise BadData(msg)
    yield "flip probabilities, selection and transition matrix agree with the labels"


def verify_runs(folder: Path) -> Iterator[str]:
    """Check every finished run below a folder: scores follow from the trace, agreements from scores and variant.

    Raises:
        BadData: What differs, and from what.
    """
    for run in read_runs([folder]):
        path = run.path
        if not run.finished:
            yield f"{path}: unfinished"
            continue
        variant = read_variant(path.parent.parent / "variant")
        trace = read_trace(path / "trace")
        told = {(a.detector, a.metric): a.value for a in read_agreements(path / "agreement.parquet")}
        detectors = read_record(path / "run.json")["detectors"]
        for name, spec in detectors.items():
            detector = find("detectors", spec)
            written = read_scores(path / "scores" / f"{file_name(name)}.parquet")
            if trace.variant_id != variant.provenance.variant_id:
                msg = f"{path}: the trace is of another variant than the run's; evaluate again"
                raise Mismatch(msg)
            if not np.array_equal(written.values, score(trace, detector).values):
                msg = f"{path}: the scores of '{name}' do not follow from the trace; evaluate again"
                raise BadData(msg)
            _check_agreement(path, told, written, variant)
        for reference in reference_scores(variant, seed=run.seed):
            _check_agreement(path, told, reference, variant)
        yield f"{path}: {len(detectors)} detectors follow from the trace, and their agreement from the scores"


def _check_agreement(path: Path, told: Mapping[tuple[str, str], float], scores: Scores, variant: Variant) -> None:
    for agreement in against_labels(scores, variant):
        value = told.get((scores.detector, agreement.metric))
        if value is None or not np.isclose(value, agreement.value, rtol=0, atol=1e-12, equal_nan=True):
            msg = f"{path}: {agreement.metric} of '{scores.detector}' is {value}, its scores give {agreement.value}"
            raise BadData(msg)
