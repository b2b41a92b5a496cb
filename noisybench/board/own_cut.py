"""A detector's own cut: how many labels it flags where nobody says how many are wrong.

The evidence of a run contradicts some labels, see ``contradicted``; each detector of the run flags as many, its most
suspicious ones. ``noisybench suspects`` shows these flags, and the metrics of a cut judge them.
"""

import numpy as np

from noisybench.board.agreement import settled
from noisybench.board.evidence import contradicted
from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.errors import BadData
from noisybench.runs.reading import Run
from noisybench.training.trace import Trace, read_trace, trace_rows
from noisybench.variants.variant import Variant


def own_flags(run: Run, variant: Variant) -> dict[str, Bools | None]:
    """Detector of a finished run → which labels it flags, shape (n,); None where scores came alone, which have no cut.

    Raises:
        BadData: The answers or scores are not of each sample of the variant.
    """
    against = None if run.record.form == "scores" else contradicted([answers_of(run, variant)], variant)
    if against is None:
        return dict.fromkeys(run.kinds)
    return {name: flag(_suspicion(run, name, variant), against, but=settled(variant)) for name in run.kinds}


def _suspicion(run: Run, name: str, variant: Variant) -> Floats:
    scores = run.scores(name)
    if scores.variant_id != variant.provenance.variant_id or scores.values.shape != variant.labels.shape:
        msg = f"{run.path} holds scores of '{name}' of other labels than its variant; evaluate again"
        raise BadData(msg)
    return scores.values


def answers_of(run: Run, variant: Variant) -> Trace:
    """What was observed in a run, which must be of each sample of its variant.

    Raises:
        BadData: It is of other samples.
    """
    folder = run.path / "trace"
    trace, rows = read_trace(folder), set(trace_rows(folder).values())
    if trace.variant_id != variant.provenance.variant_id or rows != {len(variant.labels)}:
        msg = f"{folder} holds answers about other labels than its variant; run the command that made it again"
        raise BadData(msg)
    return trace


def flag(suspicion: Floats, against: Bools, *, but: Bools) -> Bools:
    """As many samples as the evidence contradicts, those of highest suspicion, ties in sample order; shape (n,).

    Args:
        suspicion: Shape (n,).
        against: Whose label the evidence contradicts, shape (n,).
        but: Samples that are not flagged and do not count, shape (n,).
    """
    flags = np.zeros(len(suspicion), dtype=bool)
    order = np.argsort(-suspicion, kind="stable")
    flags[order[~but[order]][: int((against & ~but).sum())]] = True
    return flags
