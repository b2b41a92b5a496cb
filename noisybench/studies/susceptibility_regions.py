"""Tables of the susceptibility study on choosing models: the four regions, every threshold, and the regret of each rule."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats, Indices
from noisybench.statistics.association import interval_of
from noisybench.statistics.regions import (
    RULES,
    ModelPool,
    chance_of,
    gain_of_region,
    mean_where,
    random_gains,
    regions_at,
    thresholds_of,
    upper_half,
)
from noisybench.statistics.replication import holm, share_beyond
from noisybench.studies.hypotheses import Effect
from noisybench.studies.study import StudyTable, plain
from noisybench.studies.susceptibility_grid import PRIMARY
from noisybench.studies.susceptibility_pools import Trained

RESAMPLES, RANDOM = 2_000, 2_000
"""Bootstrap resamples of settings, and random choices out of the upper half."""
REGIONS = {
    1: "1 trainable, resistant",
    2: "2 trainable, not resistant",
    3: "3 not trainable, resistant",
    4: "4 neither",
}
HALF, ALL = "upper half by training accuracy", "all settings"


def region_table(trained: Sequence[Trained]) -> StudyTable:
    """Test accuracy in each region by the paper's rule, beside the upper half by training accuracy and all settings."""
    records: list[dict[str, Any]] = []
    for one in trained:
        groups: dict[str, list[float]] = {name: [] for name in (*REGIONS.values(), HALF, ALL)}
        for pool in one.pools(PRIMARY):
            at = thresholds_of(pool.other_accuracy, pool.other_susceptibility)
            regions, known = regions_at(pool.accuracy, pool.susceptibility, at), np.isfinite(pool.test)
            for number, name in REGIONS.items():
                groups[name] += pool.test[(regions == number) & known].tolist()
            groups[HALF] += pool.test[upper_half(pool.accuracy) & known].tolist()
            groups[ALL] += pool.test[known].tolist()
        for name, values in groups.items():
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
            told = {"variant": one.variant, "region": name, "models": len(values), "deviation": deviation}
            records.append(plain(told | {"test_accuracy": float(np.mean(values)) if values else np.nan}))
    lines = tuple(
        (one["variant"], one["region"], str(one["models"]), _share(one["test_accuracy"]), _share(one["deviation"]))
        for one in records
    )
    caption = (
        "The four regions by training accuracy and susceptibility (the authors' step on training images), with mean "
        "thresholds from another pool than the one that is judged: models of one seed by the means of the others, or, of one "
        "seed, each random half of the settings by the other. Mean and standard deviation of test accuracy."
    )
    header = ("variant", "region", "models", "test accuracy", "deviation")
    return StudyTable("regions", caption, tuple(records), header, lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


class Gain(NamedTuple):
    """Test accuracy of region 1 above that of a random model of the upper half, mean over pools and variants.

    Attributes:
        value: NaN where region 1 is empty in every pool.
        low: Lower end of the 95 % interval by the bootstrap over settings.
        high: Upper end.
        p: Two-sided, by random choices of as many models out of the upper half, alike in all pools.
        empty: Pools whose region 1 is empty, of ``pools``.
        pools: How many there are.
    """

    value: float
    low: float
    high: float
    p: float
    empty: int
    pools: int


def gain_of(trained: Sequence[Trained], reading: str, rule: str) -> Gain:
    """The gain of region 1 by a reading and a rule of thresholds."""
    random = np.random.default_rng(0)
    order = random.random((RANDOM, len(trained[0].settings)))
    own = [[gain_of_region(pool, rule) for pool in one.pools(reading)] for one in trained]
    lots = [
        _mean_known(
            [
                random_gains(pool, rule, order[:, places])
                for pool, places in zip(one.pools(reading), one.judged(one.parts), strict=True)
            ]
        )
        for one in trained
    ]
    parts = trained[0].redrawn(random, RESAMPLES)
    drawn = _mean_known(
        [_mean_known([gain_of_region(pool, rule) for pool in one.pools(reading, parts)]) for one in trained]
    )
    value = float(_mean_known([_mean_known(gains) for gains in own]))
    empty = sum(bool(np.isnan(gain)) for gains in own for gain in gains)
    chance = chance_of(_mean_known(lots), value)
    return Gain(value, *interval_of(drawn), chance, empty, sum(map(len, own)))


def _mean_known(values: Sequence[Any]) -> Any:  # noqa: ANN401 - numbers or arrays
    """Mean over the first axis of what is known; NaN where nothing is."""
    found = np.asarray(values, dtype=np.float64)
    known = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        return np.where(known, found, 0.0).sum(0) / known.sum(0)


def threshold_table(trained: Sequence[Trained]) -> StudyTable:
    """Gain of region 1 by every rule of thresholds and every reading, the paper's first; Holm over the others."""
    readings = [name for name in trained[0].readings if all(name in one.readings for one in trained)]
    cells = [(reading, rule) for reading in readings for rule in RULES]
    gains = {cell: gain_of(trained, *cell) for cell in cells}
    tested = [cell for cell in cells[1:] if not np.isnan(gains[cell].p)]
    adjusted = dict(zip(tested, holm([gains[cell].p for cell in tested]).tolist(), strict=True)) if tested else {}
    records = [
        plain(
            {"reading": cell[0], "thresholds": cell[1], "primary": cell == cells[0]}
            | {"gain": gains[cell].value, "gain_low": gains[cell].low, "gain_high": gains[cell].high}
            | {"p": gains[cell].p, "adjusted_p": adjusted.get(cell, np.nan)}
            | {"empty_pools": gains[cell].empty, "pools": gains[cell].pools}
        )
        for cell in cells
    ]
    lines = tuple(
        (
            one["reading"], one["thresholds"], _points(one, "gain"), "–" if one["p"] is None else f"{one['p']:.2g}",
            "primary" if one["primary"] else "–" if one["adjusted_p"] is None else f"{one['adjusted_p']:.2g}",
            f"{one['empty_pools']} of {one['pools']}",
        )
        for one in records
    )  # fmt: skip
    caption = (
        "Test accuracy of region 1 minus that of a random model of the upper half by training accuracy, in points, mean over "
        "variants and pools: by every reading and rule of thresholds. Intervals by the bootstrap over settings; p by random "
        "choices of as many models from the upper half; that of all but the primary rule by Holm over them. Claims leave out "
        "variants on which no wrong label is memorized."
    )
    header = ("reading", "thresholds", "gain, points", "p", "p (Holm)", "pools without region 1")
    return StudyTable("thresholds", caption, tuple(records), header, lines)


def _points(record: Mapping[str, Any], name: str) -> str:
    value, low, high = (record.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "–"
    return (
        f"{100 * value:.1f}"
        if low is None or high is None
        else f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    )


class Judge(NamedTuple):
    """A pool to choose from, with what rules read of each of its models."""

    pool: ModelPool
    scores: Mapping[str, Floats]
    """Rule → score of each setting, higher is better; NaN where it was not measured."""
    wave_test: Floats
    """Test accuracy of each setting at the epoch where Label Wave stops."""


Choice = Callable[[Judge], Floats]


def _best(score: Floats, test: Floats) -> Floats:
    """Test accuracy of the model of highest score, the mean over several, (…, m) → (…); NaN where none has one."""
    known = np.isfinite(score) & np.isfinite(test)
    filled = np.where(known, score, -np.inf)
    return mean_where(test, known & (filled == filled.max(-1, initial=-np.inf, keepdims=True)))


CHOICES: Mapping[str, Choice] = {
    "region 1, any": lambda judge: mean_where(judge.pool.test, judge.pool.first_region()),
    "region 1, most accurate": lambda judge: _best(
        np.where(judge.pool.first_region(), judge.pool.accuracy, np.nan), judge.pool.test
    ),
    "training accuracy": lambda judge: _best(judge.pool.accuracy, judge.pool.test),
    "upper half, any": lambda judge: mean_where(
        judge.pool.test, upper_half(judge.pool.accuracy) & np.isfinite(judge.pool.test)
    ),
    "noisy validation": lambda judge: _best(judge.scores["noisy_validation"], judge.pool.test),
    "Label Wave": lambda judge: _best(judge.scores["label_wave"], judge.wave_test),
    "RATT": lambda judge: _best(judge.scores["ratt"], judge.pool.test),
    "PMV": lambda judge: _best(judge.scores["pmv"], judge.pool.test),
    "sum of training losses": lambda judge: _best(judge.scores["sum_of_losses"], judge.pool.test),
    "last epoch, any": lambda judge: mean_where(judge.pool.test, np.isfinite(judge.pool.test)),
    "oracle": lambda judge: _best(judge.pool.test, judge.pool.test),
}
"""Rule → test accuracy of the model that it chooses; ``any`` is a random one."""


def judges_of(one: Trained, parts: Sequence[Indices] | None = None) -> list[Judge]:
    """The pools of a variant with the scores of each setting; ``parts`` as of ``Trained.pools``."""
    taken = one.parts if parts is None else parts
    rivals = {"noisy_validation": 1, "ratt": -1, "pmv": 1}  # the second is a bound on an error
    scores = {
        name: [sign * one.mean(f"rival.{name}")[here] for here in one.judged(taken)] for name, sign in rivals.items()
    }
    scores |= {
        name: [-values for values in one.own(field, taken)]
        for name, field in (("sum_of_losses", "sum_of_losses"), ("label_wave", "wave_changes"))
    }
    tested = one.own("wave_test", taken)
    return [
        Judge(pool, {name: each[place] for name, each in scores.items()}, tested[place])
        for place, pool in enumerate(one.pools(PRIMARY, parts))
    ]


def regrets_of(judges: Sequence[Judge]) -> dict[str, Floats]:
    """Rule → test accuracy of the best model of a pool minus that of the chosen one, mean over pools, shape (…)."""
    best = [CHOICES["oracle"](judge) for judge in judges]
    return {
        name: _mean_known([top - rule(judge) for judge, top in zip(judges, best, strict=True)])
        for name, rule in CHOICES.items()
    }


class Regrets(NamedTuple):
    """Regret of each rule: of each variant, their mean, and that of each resample of settings."""

    own: list[dict[str, float]]
    mean: dict[str, float]
    drawn: dict[str, Floats]


def all_regrets(trained: Sequence[Trained]) -> Regrets:
    """Regret of each rule on variants with a test set, and on resamples of the settings."""
    own = [{name: float(found) for name, found in regrets_of(judges_of(one)).items()} for one in trained]
    parts = trained[0].redrawn(np.random.default_rng(1), RESAMPLES)
    again = [regrets_of(judges_of(one, parts)) for one in trained]
    drawn = {name: _mean_known([one[name] for one in again]) for name in CHOICES}
    return Regrets(own, {name: float(_mean_known([one[name] for one in own])) for name in CHOICES}, drawn)


def selection_table(trained: Sequence[Trained], regrets: Regrets) -> StudyTable:
    """Regret of every rule, within each variant and their mean."""
    records = []
    for name in CHOICES:
        low, high = interval_of(regrets.drawn[name])
        told: dict[str, Any] = {"rule": name, "regret": regrets.mean[name], "regret_low": low, "regret_high": high}
        told |= {one.variant: own[name] for one, own in zip(trained, regrets.own, strict=True)}
        records.append(plain(told))
    names = [one.variant for one in trained]
    lines = tuple(
        (
            one["rule"],
            _points(one, "regret"),
            *("–" if one[name] is None else f"{100 * one[name]:.1f}" for name in names),
        )
        for one in records
    )
    caption = (
        "Regret: test accuracy of the best setting at its last epoch minus that of the setting which the rule chooses, in "
        "points, mean over the pools in which it chooses one; the mean over variants with its 95 % interval by the bootstrap over settings, then each "
        "variant. Label Wave takes the setting whose predictions change least where it stops, at that epoch, and may so be "
        "below 0. 'Any' is a random model of those that the rule leaves. Scores of noisy validation, RATT and PMV are of the "
        "first seed, on trainings of their own; where one was not measured on a variant, its mean is over the others."
    )
    return StudyTable("selection", caption, tuple(records), ("rule", "mean regret, points", *names), lines)


def better_by(trained: Sequence[Trained], chosen: str, other: str) -> tuple[float, Floats]:
    """Regret of a rule minus that of the chosen one, and that of each resample of settings; of the pools that have both."""
    rules, parts = (CHOICES[chosen], CHOICES[other]), trained[0].redrawn(np.random.default_rng(1), RESAMPLES)

    def difference(again: Sequence[Indices] | None) -> Any:  # noqa: ANN401 - a number or an array
        each = [[rules[0](judge) - rules[1](judge) for judge in judges_of(one, again)] for one in trained]
        return _mean_known([_mean_known(gains) for gains in each])

    return float(difference(None)), difference(parts)


def region_effects(tested: Sequence[Trained]) -> dict[str, Effect | str]:
    """What the hypotheses on choosing ask for, on variants with a test set on which there is something to resist."""
    others = {"region_beats_accuracy": "training accuracy", "region_beats_validation": "noisy validation",
              "region_beats_losses": "sum of training losses"}  # fmt: skip
    if not tested:
        return dict.fromkeys(("regions_select", *others), "no variant has a test set of known labels")
    trained = [one for one in tested if one.resisted]
    if not trained:
        return dict.fromkeys(
            ("regions_select", *others), "nothing was memorized on any variant, so nothing was resisted"
        )
    gain, of = gain_of(trained, PRIMARY, "mean"), f"{', '.join(one.variant for one in trained)}; settings"
    units = len(trained[0].settings)
    effect = Effect(gain.value, gain.low, gain.high, units, of, p_value=gain.p)
    effects: dict[str, Effect | str] = {"regions_select": "no model is in region 1" if np.isnan(gain.value) else effect}
    for name, other in others.items():
        value, drawn = better_by(trained, "region 1, most accurate", other)
        measured = Effect(value, *interval_of(drawn), units, of, p_value=share_beyond(drawn))
        asked = any(np.isfinite(CHOICES[other](judge)) for one in trained for judge in judges_of(one))
        lacking = "no model is in region 1" if asked else f"{other} was not measured"
        effects[name] = lacking if np.isnan(value) else measured
    return effects
