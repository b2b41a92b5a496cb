"""Steps of curvature: how long they were in the runs of a row, and how often they changed a model's activation pattern."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple, Protocol, TypeVar

from noisybench.board.averages import cells_of
from noisybench.detection.scoring import Detector
from noisybench.ground.lookup import find, is_ours
from noisybench.runs.reading import Run
from noisybench.statistics.column_means import mean


class CurvatureStep(NamedTuple):
    """Of a row whose detector needs curvature; NaN of any other.

    Attributes:
        curvature_step: Length of a step along each coordinate of the input.
        activation_change: Share of the steps that changed the activation pattern; NaN where nobody knows.
    """

    curvature_step: float
    activation_change: float


NO_STEP = CurvatureStep(math.nan, math.nan)


class WithStep(Protocol):
    """What is read of a row."""

    @property
    def detector(self) -> str: ...
    @property
    def curvature_step(self) -> float: ...
    @property
    def activation_change(self) -> float: ...


AnyRow = TypeVar("AnyRow", bound=WithStep)


def curvature_step_of(members: Iterable[tuple[Run, str]]) -> CurvatureStep:
    """The step of the runs of a row, which is the same in all of one setup, given the name that its detector has in each."""
    ours = [(run, _needs(run.record.detectors.get(name, ""))) for run, name in members]
    stepped = [(run, needs) for run, needs in ours if {"curvature", "curvature_zeroth"} & needs]
    if not stepped:
        return NO_STEP
    changes = ((run, run.history.get("activation_change", math.nan)) for run, needs in stepped if "curvature" in needs)
    step = stepped[0][0].record.curvature_step
    return CurvatureStep(math.nan if step is None else step, mean(cells_of(changes)))


@cache  # a table asks for every detector of every run
def _needs(spec: str) -> frozenset[str]:
    """Columns that one of noisybench's own detectors needs; none of any other."""
    if not is_ours("detectors", spec):
        return frozenset()
    detector: Detector = find("detectors", spec)
    return frozenset(detector.needs)


def steps_in_words(rows: Sequence[AnyRow], of: Callable[[AnyRow], str]) -> str:
    """What there is to say of the steps behind the rows of a table; empty where nothing is.

    Args:
        rows: Of the table.
        of: What tells two rows of one detector apart.
    """
    stepped = [row for row in rows if not math.isnan(row.curvature_step)]
    names = [row.detector for row in stepped]
    said = []
    for row in stepped:
        which = f" ({of(row)})" if names.count(row.detector) > 1 else ""
        share = f"{100 * row.activation_change:.0f} % change the activation pattern"
        seen = "no activation with a kink was recorded" if math.isnan(row.activation_change) else share
        changes = f" ({seen})" if "curvature" in _needs(row.detector) else ""
        said.append(f"{row.detector}{which} {row.curvature_step:g}{changes}")
    sentences = [f"Steps of curvature: {'; '.join(said)}."] if said else []
    if any("curvature_exact" in _needs(row.detector) for row in rows):
        sentences.append(WITHOUT_STEP)
    return " ".join(sentences)


WITHOUT_STEP = "exact_curvature takes no step: of a ReLU or max-pooling model it is the Gauss-Newton part alone, which the label is not in."
