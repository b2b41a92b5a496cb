"""Tables of the susceptibility study on correlation: over settings, within learning rates, given accuracy, and over epochs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.statistics.association import FEWEST, Association, associate, linear, partial_ranked, ranked
from noisybench.studies.hypotheses import Effect
from noisybench.studies.study import StudyTable, plain
from noisybench.studies.susceptibility_grid import PRIMARY
from noisybench.studies.susceptibility_pools import Trained

ROUNDED = 12
"""Digits of a difference that count."""
MEASURES = ("spearman", "pearson", "within_rates", "given_accuracy")


def correlations_of(trained: Sequence[Trained], reading: str) -> Mapping[str, Association]:
    """Measure → association of a reading with the share of wrong labels fitted, within each variant, mean of several."""
    zeta, fitted, accuracy = (
        np.stack([one.mean(field) for one in trained])
        for field in (f"zeta.{reading}", "mislabeled_fit", "train_accuracy")
    )
    rates = [setting.learning_rate for setting in trained[0].settings]
    return {
        "spearman": associate(ranked, zeta, fitted),
        "pearson": associate(linear, zeta, fitted),
        "within_rates": associate(ranked, zeta, fitted, strata=rates),
        "given_accuracy": associate(partial_ranked, zeta, fitted, accuracy),
    }


def correlation_table(trained: Sequence[Trained]) -> StudyTable:
    """Every reading of every variant that memorized something, and of all of them."""
    within = [one for one in trained if not one.nothing]
    records = []
    for name, group in _groups(within):
        for reading in _readings(group):
            found = correlations_of(group, reading)
            records.append(_record({"variant": name, "reading": reading}, found))
    if len(within) > 1:
        for reading in _readings(within):
            zeta, fitted, accuracy = (
                np.concatenate([one.mean(field) for one in within])
                for field in (f"zeta.{reading}", "mislabeled_fit", "train_accuracy")
            )
            rates = [setting.learning_rate for one in within for setting in one.settings]
            found = {
                "spearman": associate(ranked, zeta, fitted),
                "pearson": associate(linear, zeta, fitted),
                "within_rates": associate(ranked, zeta, fitted, strata=rates),
                "given_accuracy": associate(partial_ranked, zeta, fitted, accuracy),
            }
            records.append(_record({"variant": ACROSS, "reading": reading}, found))
    header = (
        "variant",
        "reading",
        "Spearman",
        "Pearson",
        "within learning rates",
        "given training accuracy",
        "settings",
    )
    lines = tuple(
        (one["variant"], one["reading"], *(_span(one, name) for name in MEASURES), str(one["settings"]))
        for one in records
    )
    caption = (
        "Susceptibility against the share of wrong labels fitted, over settings (seeds averaged), with 95 % intervals by the "
        "bootstrap over settings. Within learning rates: mean of Spearman's correlations within each rate, for "
        "susceptibility grows with the rate. Given training accuracy: partial Spearman. 'Across variants' puts settings of all "
        "of them together; susceptibilities of different labels and inputs are not comparable, so it is no evidence."
    )
    return StudyTable("correlations", caption, tuple(records), header, lines)


ACROSS = "across variants (not comparable)"
WITHIN = "mean within variants"


def _groups(trained: Sequence[Trained]) -> list[tuple[str, list[Trained]]]:
    """Each variant alone, and where there are several all of them, for the mean within them."""
    return [(one.variant, [one]) for one in trained] + ([(WITHIN, [*trained])] if len(trained) > 1 else [])


def _readings(trained: Sequence[Trained]) -> list[str]:
    """Readings that all have."""
    return [name for name in trained[0].readings if all(name in one.readings for one in trained)] if trained else []


def _record(key: Mapping[str, Any], found: Mapping[str, Association]) -> dict[str, Any]:
    told: dict[str, Any] = {**key, "settings": next(iter(found.values())).units}
    for name, one in found.items():
        told |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high, f"{name}_p": one.p}
    return plain(told)


def _span(record: Mapping[str, Any], name: str) -> str:
    value, low, high = (record.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "–"
    return f"{value:.2f}" if low is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def change_correlations(one: Trained, reading: str) -> Floats:
    """Spearman of first differences over epochs of a reading with those of wrong labels fitted: a mean for each setting, (s,)."""
    zeta, fitted = (one.epochs[field] for field in (f"zeta.{reading}", "mislabeled_fit"))
    steps = (np.diff(one).round(ROUNDED) for one in (zeta, fitted))  # equal steps are ties, but for the last bits
    found = ranked(*steps)
    known = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(known, found, 0.0).sum(1) / known.sum(1)
    return means


def change_association(trained: Sequence[Trained], reading: str) -> Association:
    """Mean of these over settings, with an interval over settings."""
    return associate(_mean_of, np.stack([change_correlations(one, reading) for one in trained]))


def _mean_of(values: Floats) -> Floats:
    found: Floats = values.mean(-1)
    return found


def change_table(trained: Sequence[Trained]) -> StudyTable:
    """First differences over epochs, every reading of every variant that memorized something."""
    within = [one for one in trained if not one.nothing]
    records = [
        _record({"variant": name, "reading": reading}, {"changes": change_association(group, reading)})
        for name, group in _groups(within)
        for reading in _readings(group)
    ]
    header = ("variant", "reading", "Spearman of first differences", "settings")
    lines = tuple((one["variant"], one["reading"], _span(one, "changes"), str(one["settings"])) for one in records)
    caption = (
        "Over the epochs of a training: Spearman's correlation of the change of susceptibility from one epoch to the next "
        "with that of the share of wrong labels fitted; mean over seeds and settings, intervals over settings. The values "
        "themselves both trend, for susceptibility is a running mean, and would correlate whatever it measured."
    )
    return StudyTable("changes", caption, tuple(records), header, lines)


NO_VALUE = f"there are fewer than {FEWEST} settings (within rates: of any learning rate), or they do not differ"


def correlation_effects(trained: Sequence[Trained]) -> dict[str, Effect | str]:
    """What the hypotheses on correlation ask for."""
    within = [one for one in trained if not one.nothing]
    names = ("susceptibility_tracks_fit", "tracks_fit_within_rates", "tracks_fit_given_accuracy", "tracks_fit_by_noise",
             "tracks_fit_over_epochs")  # fmt: skip
    if not within:
        return dict.fromkeys(names, "nothing was memorized on any variant, so nothing is correlated")
    of = f"{', '.join(one.variant for one in within)}; settings, seeds averaged"
    found = correlations_of(within, PRIMARY)
    asked: dict[str, Callable[[], Association]] = {
        names[0]: lambda: found["spearman"],
        names[1]: lambda: found["within_rates"],
        names[2]: lambda: found["given_accuracy"],
        names[3]: lambda: correlations_of(within, "authors.noise")["spearman"],
        names[4]: lambda: change_association(within, PRIMARY),
    }
    effects: dict[str, Effect | str] = {}
    for name, ask in asked.items():
        one = ask()
        measured = Effect(one.value, one.low, one.high, one.units, of, p_value=one.p)
        effects[name] = NO_VALUE if np.isnan(one.value) else measured
    return effects
