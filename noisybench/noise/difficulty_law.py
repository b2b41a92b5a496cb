"""Difficulty of samples, and chances of a wrong label that follow it as closely as is asked.

How closely is said by an AUROC: of a wrong and a right sample, drawn at random, how often the wrong one is the harder,
where equal difficulties count one half. This module needs no torch until it trains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source, source_digest
from noisybench.ground.arrays import UNKNOWN, Floats, Labels, read_only
from noisybench.ground.errors import BadData, BadUsage
from noisybench.memorization.difficulty_files import read_difficulty
from noisybench.noise.teacher import check_teachable, class_probabilities, clean_variant
from noisybench.statistics.expected_auroc import expected_auroc_in_groups, mid_ranks

Within = Literal["class", "all"]
STEEPEST = 100.0
"""Strength for each sample that makes a step of the chances between any two ranks: chances of 1 - 1e-44 beside 1e-44."""
PRECISION = 1e-12
"""Distance within which mean chances and AUROC are met."""
MOST_STEPS = 200
"""Bound on the steps of a search that takes about eight."""
_KEPT: dict[tuple[object, ...], Floats] = {}


def difficulty_of(
    source: Source,
    *,
    file: Path | None,
    lower_is_harder: bool = False,
    probabilities: Path | None = None,
    model: str | None = None,
    epochs: int = 10,
) -> Floats:
    """Difficulty of each sample for its clean label, shape (n,), higher is harder.

    Without a file it is one minus the probability of the clean class: by a file of probabilities, or by small models, each
    asked about the fifth that it has not learnt. These are the same for every seed of a noise: seeds vary the noise, not
    what is difficult.

    Args:
        source: Its clean labels are meant.
        file: One number a sample, as ``read_difficulty`` takes it, such as C-scores; or ``memorization.parquet``, as
            measured on the clean labels.
        lower_is_harder: The numbers of the file have the other sign, as C-scores do.
        probabilities: A file of class probabilities, a row for each sample; None, and no file, trains models.
        model: As in ``class_probabilities``.
        epochs: Of training.

    Raises:
        BadUsage: Two of file, probabilities and model, or a sign without a file.
        BadData: The file cannot be read, is of other samples, or lacks a value.
        Mismatch: It is of other labels.
    """
    check_one_origin(file, probabilities, model, lower_is_harder=lower_is_harder)
    if file is not None:
        return read_numbers(source, file, lower_is_harder=lower_is_harder)
    if probabilities is not None:
        answers = class_probabilities(source, file=probabilities, model=None, epochs=epochs, seed=0)
        return _doubt(answers, source.clean)
    return _model_difficulty(source, model, epochs)


def check_one_origin(
    file: Path | None, probabilities: Path | None, model: str | None, *, lower_is_harder: bool
) -> None:
    """Raise ``BadUsage`` where a difficulty is told in two ways, or a sign is given of none that is told."""
    told = [
        name
        for name, value in (("difficulty", file), ("probabilities", probabilities), ("model", model))
        if value is not None
    ]
    if len(told) > 1:
        msg = f"{told[0]} and {told[1]} both tell what is difficult; leave out one of the two"
        raise BadUsage(msg)
    if lower_is_harder and file is None:
        msg = "lower_is_harder is for a file of difficulties; give one with it, or leave it out"
        raise BadUsage(msg)


def read_numbers(source: Source, file: Path, *, lower_is_harder: bool = False) -> Floats:
    """One number for each sample from a file, as ``read_difficulty`` takes it, shape (n,), finite.

    Raises:
        BadUsage: The file's name ends in something else, or it is a memorization and has another sign.
        BadData: The file cannot be read, is of other samples, or lacks the number of a sample of known class.
        Mismatch: It is of other labels than the clean ones.
    """
    values = read_difficulty(file, clean_variant(source), lower_is_harder=lower_is_harder)
    missing = np.flatnonzero(np.isnan(values) & (source.clean != UNKNOWN))
    if missing.size:
        msg = f"{file} has no number for sample {missing[0]} ({missing.size} such); measure it with more models"
        raise BadData(msg)
    return np.nan_to_num(values)


def check_auroc(auroc: float) -> float:
    """``auroc`` as a plain float.

    Raises:
        BadUsage: It is no number, or outside [0, 1]; NaN is outside.
    """
    number = np.asarray(auroc)
    if number.ndim or number.dtype.kind not in "iuf" or not 0 <= auroc <= 1:
        msg = f"auroc must be a number in [0, 1] (0.5 is no relation to difficulty), got {auroc!r}"
        raise BadUsage(msg)
    return float(auroc)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What a law of chances needs to know of the samples, all of known class.

    Attributes:
        rates: Mean chance of each sample's group, shape (n,), one value in each group.
        group: In which the mean of the chances is kept, shape (n,).
        ranks: Of difficulty, in the classes or over all, shape (n,).
        pairs: Groups in which samples are compared, shape (n,).
    """

    rates: Floats
    group: NDArray[np.int64]
    ranks: Floats
    pairs: NDArray[np.int64]

    @property
    def positions(self) -> Floats:
        """Ranks as numbers in (-1/2, 1/2), shape (n,)."""
        return (self.ranks - 0.5) / np.bincount(self.pairs)[self.pairs] - 0.5


def rank_samples(difficulty: Floats, clean: Labels, rates: Floats, *, within: Within, alike: bool) -> Ranking:
    """The ranking of samples of known class.

    Args:
        difficulty: Higher is harder, shape (n,).
        clean: Clean labels, shape (n,), all known.
        rates: Chance of a wrong label of each class, shape (k,).
        within: Whether ranks and pairs are those in a class or over all.
        alike: Whether all classes have one rate, which need then not be kept in each where ``within`` is ``all``.
    """
    one = np.zeros_like(clean)
    pairs = clean if within == "class" else one
    return Ranking(
        rates=rates[clean],
        group=one if within == "all" and alike else clean,
        ranks=mid_ranks(difficulty, pairs),
        pairs=pairs,
    )


def tilted(positions: Floats, ranking: Ranking, strength: float) -> Floats:
    """Chances sigmoid(b + strength * position), shape (n,), with the b of each group for which their mean is its rate.

    Where the positions are those in a group, it is in each group the law of independent flips that has the greatest entropy
    for its rate and its AUROC.
    """
    from scipy.special import expit, logit

    group, sizes = ranking.group, np.bincount(ranking.group)
    wanted = np.bincount(group, ranking.rates) / np.maximum(sizes, 1)
    slope = strength * positions
    certain = (wanted <= 0) | (wanted >= 1)
    target = np.where(certain, 0.5, wanted)
    lowest, highest = np.full(len(sizes), np.inf), np.full(len(sizes), -np.inf)
    np.minimum.at(lowest, group, slope)
    np.maximum.at(highest, group, slope)
    low, high = (np.where(sizes > 0, logit(target) - edge, 0.0) for edge in (highest, lowest))
    offset = (low + high) / 2
    for _ in range(MOST_STEPS):
        chances: Floats = expit(offset[group] + slope)
        surplus = np.bincount(group, chances) / np.maximum(sizes, 1) - target
        surplus[sizes == 0] = 0.0
        if np.abs(surplus).max(initial=0) <= PRECISION:
            break
        low, high = np.where(surplus < 0, offset, low), np.where(surplus > 0, offset, high)
        steepness = np.bincount(group, chances * (1 - chances)) / np.maximum(sizes, 1)
        with np.errstate(over="ignore"):  # a step beyond all bounds is not taken
            newton = offset - np.divide(surplus, steepness, out=np.full_like(surplus, np.inf), where=steepness > 0)
        before, offset = offset, np.where((newton > low) & (newton < high), newton, (low + high) / 2)
        if np.array_equal(before, offset):  # as near as floats come
            break
    return np.where(certain[group], wanted[group], chances)


def follow(ranking: Ranking, auroc: float, parts: Sequence[tuple[float, Floats]]) -> list[Floats]:
    """Chances of each part, (n,) each, whose weighted sum has the expected AUROC ``auroc``.

    Each part is ``tilted`` by one common strength, which is found by a root finder: the AUROC grows with it.

    Args:
        ranking: Of the samples.
        auroc: What is asked.
        parts: Share and positions of each part; shares sum to one.

    Raises:
        BadUsage: No strength gives that AUROC.
    """

    def chances(strength: float) -> list[Floats]:
        return [tilted(positions, ranking, strength) for _, positions in parts]

    def found(strength: float) -> float:
        total = sum(share * part for (share, _), part in zip(parts, chances(strength), strict=True))
        return expected_auroc_in_groups(np.asarray(total), ranking.ranks, ranking.pairs)

    plain = found(0.0)
    if np.isnan(plain) or abs(plain - auroc) < PRECISION:
        return chances(0.0)
    end = STEEPEST * len(ranking.ranks) * (1 if auroc > plain else -1)
    limit = found(end)
    if (auroc - limit) * end > 0:
        if abs(auroc - limit) < PRECISION:
            return chances(end)
        rate = float(ranking.rates.mean())
        msg = (
            f"auroc {auroc:g} is out of reach at rate {rate:g}: by this difficulty the "
            f"{'greatest' if end > 0 else 'least'} is {limit:.6f}; samples of equal difficulty cannot be told apart"
        )
        raise BadUsage(msg)
    return chances(_root(lambda strength: found(strength) - auroc, end))


def _root(difference: Callable[[float], float], end: float) -> float:
    """Where an increasing function between 0 and ``end`` is zero, on a scale on which small and large are alike."""
    from scipy.optimize import brentq

    most = np.arcsinh(end)
    found = brentq(lambda x: difference(float(np.sinh(x))), 0.0, most, xtol=1e-14, rtol=1e-14)
    return float(np.sinh(found))


def _model_difficulty(source: Source, model: str | None, epochs: int) -> Floats:
    """The last one is kept, so that a sweep over rates, seeds or AUROC trains once."""
    check_teachable(source)
    key = (source_digest(source.inputs, source.clean), source.num_classes, source.augmentation, model, epochs)
    if key not in _KEPT:
        answers = class_probabilities(source, file=None, model=model, epochs=epochs, how="cross_fitted", seed=0)
        _KEPT.clear()
        _KEPT[key] = read_only(_doubt(answers, source.clean))
    return _KEPT[key]


def _doubt(probabilities: Floats, clean: Labels) -> Floats:
    """One minus the probability of the clean class, shape (n,); of samples without one it means nothing."""
    return 1 - probabilities[np.arange(len(clean)), clean]
