"""Label columns at a given place: the same counts in every cell, other difficulty and coherence, by exchanging labels.

Two samples of one clean class exchange their given labels, again and again (Metropolis steps), so that every cell (clean
class, given class) keeps its count exactly. What moves is where the wrong labels sit: on how hard samples, and how near to
others that are wrong alike. ``statistics/coherence.py`` says what these coordinates are. No torch here.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.extraction import features_of
from noisybench.data.source import Source, source_digest
from noisybench.ground.arrays import Labels, check_array, read_only
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.random_streams import derive, permutation, uniforms
from noisybench.noise.annotators import one_table
from noisybench.noise.difficulty_law import difficulty_of
from noisybench.noise.exchange_chain import Chain, aim_at
from noisybench.noise.exchange_steps import geometry_of, labels_in, start
from noisybench.noise.teacher import clean_variant
from noisybench.statistics.coherence import Coordinates, Realised, difficulty_bins, neighbour_numbers, realised

MOST_SWEEPS = 400
"""Sweeps after which a target counts as out of reach."""
PATIENCE = 40
"""Sweeps that bring it no tenth of the way nearer, after which it does, too."""
SETTLING = 2
"""Sweeps after each of which the coordinates must be within the tolerance before the chain stops."""


_KEPT: dict[str, tuple[tuple[object, ...], NDArray[Any]]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Exchanged:
    """What ``exchange`` returns.

    Attributes:
        labels: Given labels, shape (n,), with the counts of the given ones in every cell.
        realised: Their coordinates.
        reached: Whether these are within the tolerance of the targets.
        steps: Exchanges that were proposed.
        slopes: a and b of the law at the end, see ``exchange``.
    """

    labels: Labels
    realised: Realised
    reached: bool
    steps: int
    slopes: tuple[float, float]


class OutOfReach(BadUsage):
    """No column with these counts was found at the coordinates that were asked for.

    Attributes:
        realised: Where the search ended.
    """

    realised: Realised


def coordinates_of(
    source: Source,
    *,
    features: str | Path | NDArray[Any] = "input",
    neighbours: int = 10,
    bins: int = 10,
    difficulty: Path | None = None,
    lower_is_harder: bool = False,
    probabilities: Path | None = None,
) -> Coordinates:
    """The geometry in which label columns of a source are placed; that of the last source is kept.

    Copies of one sample are no neighbours of each other.

    Args:
        source: Its clean labels are meant; samples of unknown class may be neighbours.
        features: In which samples are near, by cosine: ``input``, the name of frozen features, a ``.npy`` or ``.npz`` file,
            or an array, of shape (n, d). What detectors are to be told apart by must not be in them.
        neighbours: Of each sample; all others where there are no more.
        bins: Of difficulty, within each clean class.
        difficulty: A file, as in ``difficulty_of``; None takes the doubt of models that are trained here.
        lower_is_harder: The numbers of the file have the other sign.
        probabilities: A file of class probabilities in place of it.

    Raises:
        BadUsage: Fewer neighbours or bins than one, a difficulty that is told twice, or no inputs.
        BadData: Features or difficulties of other samples.
    """
    check_kind(source, Source, "source", "load_source('digits') gives one")
    whole(neighbours, "neighbours", least=1)
    whole(bins, "bins", least=1)
    given = (source_digest(source.inputs, source.clean), source.num_classes)
    near = given, _digest(features), neighbours, *(source.marks[name].tobytes() for name in sorted(source.marks))
    hard = given, _digest(difficulty), lower_is_harder, _digest(probabilities)
    if _KEPT.get("near", (None,))[0] != near:
        k = min(neighbours, max(1, len(source.clean) - 1))
        found = neighbour_numbers(_features(source, features), k, groups=clean_variant(source).copies)
        _KEPT["near"] = near, read_only(found)
    if _KEPT.get("hard", (None,))[0] != hard:
        doubt = difficulty_of(source, file=difficulty, lower_is_harder=lower_is_harder, probabilities=probabilities)
        _KEPT["hard"] = hard, read_only(doubt)
    numbers, doubt = _KEPT["near"][1], _KEPT["hard"][1]
    return Coordinates(doubt, difficulty_bins(doubt, source.clean, bins), numbers)


def _digest(values: object) -> str | None:
    """What tells features or a file from others: a name, or a digest of the bytes."""
    if isinstance(values, Path):
        return file_digest(values)
    if isinstance(values, np.ndarray):
        return hashlib.sha256(f"{values.dtype} {values.shape}".encode() + values.tobytes()).hexdigest()
    return None if values is None else str(values)


def _features(source: Source, features: str | Path | NDArray[Any]) -> NDArray[Any]:
    """Features by name, of a file or as they are, shape (n, d), floats."""
    if isinstance(features, str):
        return features_of(source, features)
    values = one_table(features) if isinstance(features, Path) else features
    what = str(features) if isinstance(features, Path) else "features"
    check_array(values, what, dimensions=2)
    if len(values) != len(source.clean):
        msg = f"{what} has {len(values)} rows, source '{source.name}' {len(source.clean)} samples; give a row for each"
        raise BadData(msg)
    return values if values.dtype.kind == "f" else values.astype(np.float32)


def matched_twin(given: Labels, clean: Labels, *, seed: int, bins: Labels | None = None) -> Labels:
    """The given labels permuted within each clean class, shape (n,): the same counts in every cell, at random samples.

    Args:
        given: Given labels, shape (n,).
        clean: Clean labels, shape (n,); where negative, the given label stays.
        seed: Of the permutation.
        bins: Number of each sample's bin, such as ``difficulty_bins``, shape (n,): labels are permuted within class and
            bin, so that the counts of each stay as well.

    Raises:
        BadData: Arrays of several lengths.
    """
    for name, labels in (("given", given), ("clean", clean)):
        check_array(labels, name, dimensions=1, kinds="iu")
    n = len(given)
    if clean.shape != (n,) or (bins is not None and bins.shape != (n,)):
        shapes = [part.shape for part in (given, clean, bins) if part is not None]
        msg = f"given labels, clean labels and bins must have one length, got {', '.join(map(str, shapes))}"
        raise BadData(msg)
    order = permutation(seed, "twin", n)
    order = order[clean[order] >= 0]
    keys = (clean,) if bins is None else (bins, clean)
    shuffled = order[np.lexsort([key[order] for key in keys])]
    order = np.sort(order)
    twin = given.astype(np.int64)
    twin[order[np.lexsort([key[order] for key in keys])]] = given[shuffled]
    return twin


def exchange(
    given: Labels,
    clean: Labels,
    coordinates: Coordinates,
    *,
    difficulty: float,
    coherence: float,
    seed: int,
    tolerance: tuple[float, float] = (0.01, 0.01),
) -> Exchanged:
    """A column with the counts of ``given`` in every cell whose coordinates are the targets, if they can be reached.

    From a ``matched_twin`` on, a Metropolis chain exchanges the labels of two samples of one class. Its stationary law, over
    all columns with these counts, is

        P(column) ∝ exp(U(D) + V(C)),    U'(D) = a + 2 s (D* - D),    V'(C) = b + 2 r (C* - C), both within bounds,

    D and C its difficulty and coherence, D* and C* the targets, s and r fixed by tolerance and number of flips. These
    springs hold what slopes alone would jump over where clustering is a transition of first order. The slopes a and b are
    found by feedback and go on following it slowly. The chain stops when both coordinates were within the tolerance after
    each of the last ``SETTLING`` sweeps, and it has gone on for as many sweeps as it took to come there.

    The law depends on a column through its coordinates alone, so of the columns that have the realised ones all are equally
    likely under it: the law of greatest entropy with these counts and coordinates. A draw is from it approximately, as from
    any chain of finite length: where coherence is far above what small slopes give, clusters still grow slowly when the
    chain stops. In nothing but these counts and coordinates are the labels like those of people, of a model or of whole
    clusters.

    A target counts as out of reach once ``PATIENCE`` sweeps bring the chain no tenth of the way nearer, or after
    ``MOST_SWEEPS``; what it has come to is returned.

    Args:
        given: Given labels, shape (n,).
        clean: Clean labels, shape (n,); samples of unknown, negative ones keep their label and take no part.
        coordinates: Geometry of the same samples.
        difficulty: Target of the difficulty coordinate, in [0, 1]; nothing where no class has right and wrong labels.
        coherence: Target of the coherence coordinate, in [-1, 1].
        seed: Decides every draw.
        tolerance: Distance from the targets of difficulty and coherence that counts as reached. Of difficulty it is at
            least half of what one exchange of neighbouring ranks changes.

    Raises:
        BadUsage: A target or a tolerance that cannot be meant.
        BadData: Arrays of other lengths than the coordinates.

    Source: none; defined here. Metropolis et al. 1953, doi:10.1063/1.1699114, is the chain.
    """
    check_kind(coordinates, Coordinates, "coordinates", "coordinates_of(source) makes them")
    goal = check_targets(difficulty, coherence, tolerance)
    _check_labels(given, clean, len(coordinates.difficulty))
    twin = matched_twin(
        given, clean, seed=derive(seed, "exchange")
    )  # which tells the draw nothing of the twin of this seed
    places = geometry_of(coordinates, twin, clean)
    if not places.flips:
        return Exchanged(read_only(twin), realised(coordinates, twin, clean), reached=True, steps=0, slopes=(0.0, 0.0))
    column = start(places, twin)
    if not places.chance:  # no class has both right and wrong labels
        goal = (column.difficulty, goal[1])
    width = (max(tolerance[0], places.least_step / 2 * (1 + 1e-9)), tolerance[1])
    chain = Chain(column, places, aim_at(places, goal, width))
    steps = _run(chain, seed=seed)
    labels = labels_in(column, places, twin)
    slopes = (float(chain.slopes[0]), float(chain.slopes[1]))
    found = realised(coordinates, labels, clean)
    return Exchanged(read_only(labels), found, reached=chain.distance <= 1, steps=steps, slopes=slopes)


def _check_labels(given: Labels, clean: Labels, n: int) -> None:
    """Raise ``BadData`` unless these are n labels each, none of a sample of known class negative."""
    for name, labels in (("given", given), ("clean", clean)):
        check_array(labels, name, dimensions=1, kinds="iu")
        if labels.shape != (n,):
            msg = f"{name} labels must have shape ({n},) as the coordinates, got {labels.shape}"
            raise BadData(msg)
    odd = np.flatnonzero((given < 0) & (clean >= 0))
    if odd.size:
        msg = f"given[{odd[0]}] = {given[odd[0]]} is no class ({odd.size} such entries); number classes from 0"
        raise BadData(msg)


def check_targets(difficulty: float, coherence: float, tolerance: tuple[float, float]) -> tuple[float, float]:
    """The two targets; ``BadUsage`` where a coordinate cannot be such, or a tolerance is not positive."""
    for name, value in (("difficulty", difficulty), ("coherence", coherence)):
        check_kind(value, (int, float, np.number), name, "give a number")
    if not 0 <= difficulty <= 1:
        msg = f"difficulty must be an AUROC in [0, 1] (0.5 is no relation), got {difficulty!r}"
        raise BadUsage(msg)
    if not -1 <= coherence <= 1:
        msg = f"coherence must lie in [-1, 1] (0: no more than chance), got {coherence!r}"
        raise BadUsage(msg)
    pair = isinstance(tolerance, (tuple, list)) and len(tolerance) == 2  # noqa: PLR2004 - one of each coordinate
    if not (pair and all(part > 0 for part in tolerance)):
        msg = f"tolerance must be two positive distances, got {tolerance!r}"
        raise BadUsage(msg)
    return float(difficulty), float(coherence)


def _run(chain: Chain, *, seed: int) -> int:
    """Run the chain until it has come to the targets and stayed, or comes no nearer; returns the exchanges proposed."""
    flips = chain.places.flips
    arrived, inside, nearest, since = 0, 0, np.inf, 0
    for sweep in range(1, MOST_SWEEPS + 1):
        chain.sweep(uniforms(seed, f"exchange-{sweep}", 3 * flips).reshape(3, -1))
        inside = inside + 1 if chain.distance <= 1 else 0
        arrived = arrived or (sweep if inside else 0)
        if inside >= SETTLING and sweep >= 2 * arrived:
            break
        if chain.distance < 0.9 * nearest:
            nearest, since = chain.distance, sweep
        elif not arrived and sweep - since >= PATIENCE:
            break
    return sweep * flips
