"""The theory part of the harm study: the lookup table, exactly and simulated, against every claim that is made of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.random_streams import derive
from noisybench.statistics.harm import (
    corrected_loss_gap,
    fail_bound,
    fail_formula,
    failing,
    help_bound,
    helping,
    majority_wrong,
    mass_lower_bound,
    posterior_mass,
)
from noisybench.statistics.lookup_table import (
    SAME,
    CountLaw,
    backward_answers,
    count_law,
    draw_tables,
    forward_answers,
    harm_by_copies,
    peer_answers,
    smoothed_answers,
    symmetric_matrix,
    table_harm,
)
from noisybench.studies.study import StudyTable, Verdict, pivoted, plain

TABLES: Mapping[str, Callable[[Floats, float], Floats]] = {
    "cross_entropy": lambda shares, rate: shares,  # noqa: ARG005 - of the others
    "label_smoothing .1": lambda shares, rate: smoothed_answers(shares, 0.1),  # noqa: ARG005
    "label_smoothing .4": lambda shares, rate: smoothed_answers(shares, 0.4),  # noqa: ARG005
    "label_smoothing -1": lambda shares, rate: smoothed_answers(shares, -1.0),  # noqa: ARG005
    "backward_correction, true": lambda shares, rate: backward_answers(shares, symmetric_matrix(rate, shares.shape[1])),
    "forward_correction, true": forward_answers,
    "peer_loss": lambda shares, rate: peer_answers(shares),  # noqa: ARG005
    "cores": lambda shares, rate: peer_answers(shares, 2.0),  # noqa: ARG005
}
"""Treatment → what it makes of a lookup table: shares of the labels (u, k) and the rate → (u, k)."""
LABELS = range(1, 41)
"""Numbers of labels at which the bounds are looked at."""
RATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
SHOWN = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32)
SIMULATED = 4_000
"""Instances that are simulated for each number of labels and rate."""
ERRORS = 4.0
"""Standard errors by which a simulation may miss what is exact: one in 16,000 does."""
SLACK = 1e-12


@dataclass(frozen=True, slots=True)
class Domain:
    """The finite domain that the lookup table is simulated on: that of the networks' units.

    Attributes:
        frequencies: Of the units, ascending.
        units: Of each.
        classes: Of the labels.
        repeats: How often a sample as large as the domain's is drawn.
    """

    frequencies: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    units: int = 16
    classes: int = 10
    repeats: int = 400

    @property
    def samples(self) -> int:
        """Training samples."""
        return self.units * sum(self.frequencies)

    @property
    def masses(self) -> Floats:
        """Of the instances, shape (N,)."""
        return np.repeat(np.array(self.frequencies, dtype=np.float64), self.units) / self.samples


class TheoryPart(NamedTuple):
    """A table of the theory, and the verdicts that it gives."""

    table: StudyTable
    verdicts: tuple[Verdict, ...]


def bounds(seed: int = 0) -> TheoryPart:
    """The theorems' bounds against the truth and a simulation, at ``LABELS`` and ``RATES``."""
    generator, records = np.random.default_rng(derive(seed, "harm", "bounds")), []
    for rate in RATES:
        wrong = generator.binomial(LABELS, rate, size=(SIMULATED, len(LABELS)))
        exact = {
            "copies": np.array(LABELS),
            "helps": helping(LABELS, rate),
            "help_bound": help_bound(LABELS, rate),
            "fails": failing(LABELS, rate),
            "fail_bound": fail_bound(LABELS, rate),
            "fail_formula": fail_formula(LABELS, rate),
            "majority_wrong": majority_wrong(LABELS, rate),
            "simulated_helps": (2 * wrong < np.array(LABELS)).sum(0),
        }
        told = (dict(zip(exact, values, strict=True)) for values in zip(*exact.values(), strict=True))
        records += [plain({"rate": rate, **one, "simulated": SIMULATED}) for one in told]
    shown = [one for one in records if one["rate"] in (0.2, 0.4) and one["copies"] in SHOWN]
    lines = tuple(
        (f"{one['rate']:g}", str(one["copies"]), *(_figure(one[name]) for name in COLUMNS), _figure(one["simulated_helps"] / SIMULATED))
        for one in shown
    )  # fmt: skip
    caption = (
        "A correction helps (errs no more than the memorizer) where fewer than half of the l labels of an instance are wrong, "
        "and fails (errs no less) where half or more are: the exact probabilities, the theorems' bounds, and a simulation. The lower bound of failing is one at even l alone; "
        "at odd l its formula is shown beside it."
    )
    header = ("e", "l", *COLUMNS.values(), "simulated: helps")
    return TheoryPart(StudyTable("bounds", caption, tuple(records), header, lines), _bound_verdicts(records))


COLUMNS = {
    "helps": "helps", "help_bound": "at least", "fails": "fails", "fail_bound": "at least (even l)",
    "fail_formula": "formula", "majority_wrong": "majority wrong",
}  # fmt: skip


def _bound_verdicts(records: Sequence[Mapping[str, Any]]) -> tuple[Verdict, ...]:
    """Verdicts on both bounds, exact and by counts, and on the formula at odd l."""
    even = [one for one in records if one["copies"] % 2 == 0]
    odd = [one for one in records if one["copies"] % 2]
    helped = [one["helps"] >= one["help_bound"] - SLACK for one in records]
    failed = [one["fails"] >= one["fail_bound"] - SLACK for one in even]
    seen_to_help = [_reaches(one["simulated_helps"], one["help_bound"]) for one in records]
    seen_to_fail = [_reaches(SIMULATED - one["simulated_helps"], one["fail_bound"]) for one in even]
    broken = [one for one in odd if one["fail_formula"] > one["fails"] + SLACK]
    worst = max(odd, key=lambda one: one["fail_formula"] - one["fails"])
    where = f"of {len(LABELS)} l × {len(RATES)} rates"
    return (
        Verdict(
            "A correction helps with probability 1 − exp(−2l (½ − e)²) or more",
            all(helped) and all(seen_to_help),
            f"exact at {sum(helped)} of {len(helped)}, simulated at {sum(seen_to_help)} of {len(seen_to_help)} {where}",
        ),
        Verdict(
            "A correction fails with probability exp(−l D(½ ‖ e)) / √(2l) or more at even l, ties counted as failures",
            all(failed) and all(seen_to_fail),
            f"exact at {sum(failed)} of {len(failed)}, simulated at {sum(seen_to_fail)} of {len(seen_to_fail)} even l × rates",
        ),
        Verdict(
            "The same formula bounds it at odd l",
            not broken,
            f"it exceeds the truth at {len(broken)} of {len(odd)} odd l × rates, most at l = {worst['copies']} and "
            f"e = {worst['rate']:g}: {worst['fail_formula']:.2f} against {worst['fails']:.2f}",
        ),
    )


def _reaches(count: int, bound: float) -> bool:
    """Whether a count of simulated instances does not speak against a probability of at least ``bound``."""
    return count / SIMULATED >= bound - ERRORS * float(np.sqrt(bound * (1 - bound) / SIMULATED)) - SLACK


def costs(domain: Domain) -> TheoryPart:
    """What a wrong answer costs by l, τ_l, in three domains: that of the study, equal masses, and masses like 1/rank."""
    ranks = 1 / np.arange(1, len(domain.masses) + 1)
    domains = {
        "equal masses": np.full(len(domain.masses), 1 / len(domain.masses)),
        "this spectrum": domain.masses,
        "masses like 1/rank": ranks / ranks.sum(),
    }
    copies, records = np.array(domain.frequencies), []
    for name, masses in domains.items():
        tau = posterior_mass(masses, domain.samples, copies)
        bound = mass_lower_bound(masses, domain.samples, copies)
        slopes = [np.nan, *(np.diff(np.log(tau)) / np.diff(np.log(copies)))]
        for place, times in enumerate(copies):
            told = {"domain": name, "copies": times, "posterior_mass": tau[place], "slope": slopes[place]}
            records.append(plain({**told, "mass_lower_bound": bound[place]}))
    shown = [{**one, "cell": f"{one['posterior_mass']:.4f} ({one['mass_lower_bound']:.1g})"} for one in records]
    header, lines = pivoted(shown, ("domain",), "copies", "cell", prefix="l = ")
    caption = (
        f"What a wrong answer costs at an instance that occurs l times among {domain.samples:,} samples: its posterior mass τ_l "
        f"(the paper's lower bound l²/n² · weight, without its constant). {len(domain.masses)} instances each."
    )
    slopes = [one["slope"] for one in records if one["slope"] is not None]
    below = [one["mass_lower_bound"] <= one["posterior_mass"] + SLACK for one in records]
    verdicts = (
        Verdict(
            "The harm of a memorised label grows like l²",
            min(slopes) >= SQUARE,
            f"τ_l·e has log-log slopes of {min(slopes):.2f} to {max(slopes):.2f} in three domains: the power is that of a lower "
            f"bound, whose weight depends on l",
        ),
        Verdict(
            "l²/n² · weight is below τ_l",
            all(below),
            f"at {sum(below)} of {len(below)} domains × l, with 1 as the constant that is not said",
        ),
    )
    return TheoryPart(StudyTable("costs", caption, tuple(records), header, lines), verdicts)


SQUARE = 2
"""Slope that l² would have."""


def lookup(domain: Domain, rates: Sequence[float], seed: int = 0) -> TheoryPart:
    """What each treatment makes of the table, for two classes and for those of the domain: exact, and simulated."""
    records: list[dict[str, Any]] = []
    agreed = {"same": 0, "instances": 0}
    tau = posterior_mass(domain.masses, domain.samples, domain.frequencies)
    # E[α² | l], the same ratio one draw further.
    squared = tau * posterior_mass(domain.masses, domain.samples + 1, [copies + 1 for copies in domain.frequencies])
    for classes in dict.fromkeys((2, domain.classes)):
        laws: dict[tuple[int, float], CountLaw] = {}
        for rate in rates:
            generator = np.random.default_rng(derive(seed, "harm", "lookup", classes, f"{rate:g}"))
            drawn = draw_tables(
                domain.masses, domain.samples, rate, classes, repeats=domain.repeats, generator=generator
            )
            memorised = 1 - drawn.shares[:, 0]
            for name, treat in TABLES.items():
                error = 1 - treat(drawn.shares, rate)[:, 0]
                means, _ = harm_by_copies(drawn, error, domain.frequencies)
                if classes == 2 and name in AS_THE_SHARE_SAYS:  # noqa: PLR2004
                    better, worse = error < memorised - SAME, error > memorised + SAME
                    s = memorised
                    agreed["same"] += int(
                        ((better == ((s > SAME) & (s < 0.5))) & (worse == ((s > 0.5) & (s < 1 - SAME)))).sum()  # noqa: PLR2004
                    )
                    agreed["instances"] += len(s)
                for place, copies in enumerate(domain.frequencies):
                    law = laws.get((copies, rate)) or count_law(copies, rate, classes)
                    laws[copies, rate] = law
                    answers = treat(law.shares, rate)
                    harm, there = table_harm(answers, law), drawn.copies == copies
                    variance = (
                        squared[place] * (law.probability @ (1 - answers[:, 0]) ** 2) - (tau[place] * harm.error) ** 2
                    )
                    told = {
                        "classes": classes, "rate": rate, "treatment": name, "copies": copies, "posterior_mass": tau[place],
                        **harm._asdict(), "excess": tau[place] * harm.error,
                        "simulated_excess": means[place], "stderr": float(np.sqrt(variance / max(1, there.sum()))), "simulated": int(there.sum()),
                        "simulated_worse": int((error > memorised + SAME)[there].sum()),
                    }  # fmt: skip
                    records.append(plain(told))
    shown = [{**one, "error": f"{one['error']:.2f}, worse {one['worse']:.2f}"} for one in records]
    header, lines = pivoted(shown, ("classes", "rate", "treatment"), "copies", "error", prefix="l = ")
    caption = (
        "The lookup table: probability of a wrong answer at an instance with l labels, and the probability that it is above "
        "that of the memorizer (cross-entropy), exactly. Answers are drawn from the table, as in the paper; smoothing spreads "
        "them, and so is worse by construction where most labels are right."
    )
    table = StudyTable("lookup", caption, tuple(records), header, lines)
    return TheoryPart(table, _lookup_verdicts(records, agreed))


AS_THE_SHARE_SAYS = ("backward_correction, true", "forward_correction, true", "peer_loss")
"""Treatments of which the theorems say where they help."""


def _lookup_verdicts(records: Sequence[Mapping[str, Any]], agreed: Mapping[str, int]) -> tuple[Verdict, ...]:
    """Verdicts on the cost of an error, and on where the treatments help."""
    seen = [one for one in records if one["simulated_excess"] is not None]
    near = [abs(one["simulated_excess"] - one["excess"]) <= ERRORS * one["stderr"] + SLACK for one in seen]
    return (
        Verdict(
            "An instance with l labels costs its posterior mass τ_l times the probability of a wrong answer",
            all(near),
            f"the simulated excess error is within {ERRORS:g} standard errors at {sum(near)} of {len(near)} "
            f"treatments × rates × classes × l",
        ),
        Verdict(
            "With two classes correction and peer loss err less where 0 < wrong share < ½, more where ½ < wrong share < 1, and "
            "else as much",
            agreed["same"] == agreed["instances"],
            f"so at {agreed['same']:,} of {agreed['instances']:,} simulated instances × treatments",
        ),
    )


def paradox(domain: Domain, rates: Sequence[float], seed: int = 0) -> TheoryPart:
    """The corrected training loss of a memorizer against its expectation under independence, exact and simulated."""
    records, near, unbiased = [], [], []
    for classes in dict.fromkeys((2, domain.classes)):
        for rate in rates:
            generator = np.random.default_rng(derive(seed, "harm", "paradox", classes, f"{rate:g}"))
            matrix = symmetric_matrix(rate, classes)
            for copies in domain.frequencies:
                own, fresh = (generator.multinomial(copies, matrix[0], size=SIMULATED) / copies for _ in range(2))
                losses = [corrected_losses(own, labels, rate) for labels in (own, fresh)]
                gap = corrected_loss_gap([copies], rate, classes)[0]
                error = float(np.sqrt(sum(loss.var() for loss in losses) / SIMULATED))
                told = {
                    "classes": classes, "rate": rate, "copies": copies, "expected": rate, "corrected": rate - gap,
                    "simulated_fresh": losses[1].mean(), "simulated_own": losses[0].mean(),
                }  # fmt: skip
                near += [abs(losses[0].mean() - rate + gap) <= ERRORS * error + SLACK]
                unbiased += [abs(losses[0].mean() - rate) <= ERRORS * error + SLACK]
                near += [abs(losses[1].mean() - rate) <= ERRORS * error + SLACK]
                records.append(plain(told))
    shown = [{**one, "cell": f"{one['corrected']:.3f} ({one['simulated_own']:.3f})"} for one in records]
    header, lines = pivoted(shown, ("classes", "rate"), "copies", "cell", prefix="l = ")
    caption = (
        "The memorization paradox: the corrected training loss of a memorizer, exact (simulated). Were its answers independent "
        "of the labels that it is judged by, it would be e, the rate of its wrong answers, at every l. The loss is the "
        "probability of a wrong answer, corrected backward with the true matrix."
    )
    verdict = Verdict(
        "The corrected loss is unbiased for a model that has memorised the labels it is judged by",
        all(unbiased),
        f"on its own labels it lies too low at {len(unbiased) - sum(unbiased)} of {len(unbiased)} classes × rates × l; by as much as "
        f"the closed form says, and on fresh labels it is right: within {ERRORS:g} standard errors at {sum(near)} of {len(near)}",
    )
    return TheoryPart(StudyTable("paradox", caption, tuple(records), header, lines), (verdict,))


def corrected_losses(answers: Floats, labels: Floats, rate: float) -> Floats:
    """Backward-corrected probability of a wrong answer: answers (u, k), shares of the labels that judge (u, k) → (u,)."""
    inverse = np.linalg.inv(symmetric_matrix(rate, answers.shape[1]))
    found: Floats = 1 - ((labels @ inverse) * answers).sum(1)
    return found


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
