"""The list of hypotheses: what the four founding papers claim, each with its smallest effect of interest.

One list, primary and secondary, that stands here before anything is measured. Published figures are those that were checked
in the paper or in its authors' files; others are not quoted.

Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461; Garg, Ravikumar and Roy 2024, arXiv:2307.05831; Liu 2021,
arXiv:2102.05336; Lu, Bo and He 2021, arXiv:2108.08212.
"""

from noisybench.ground.checks import unknown
from noisybench.ground.errors import UnknownName
from noisybench.studies.curvature_secondary import SECONDARY
from noisybench.studies.hypotheses import Hypothesis, Published

SUSCEPTIBILITY = (
    Hypothesis(
        "susceptibility_tracks_fit",
        "Forouzesh 2023",
        "susceptibility",
        "Susceptibility tracks memorization",
        "Spearman correlation over settings, within a variant, of susceptibility with the share of wrong labels fitted",
        smallest=0.3,
        primary=True,
    ),
    Hypothesis(
        "regions_select",
        "Forouzesh 2023",
        "susceptibility",
        "Models that are trainable and resistant have the best test accuracy",
        "mean test accuracy of region 1 minus that of a random model of the upper half by training accuracy",
        smallest=0.01,
        primary=True,
        published=Published(
            0.039, "61.80 % of region 1 against 57.89 % of region 2, Clothing1M, 19 settings; authors' README"
        ),
    ),
)
CURVATURE = (
    Hypothesis(
        "curvature_finds_flips",
        "Garg 2024",
        "curvature",
        "Curvature averaged over epochs finds 1 to 10 % of flipped labels in an interpolating network",
        "AUROC of curvature for the flips, least of the rates, minus 0.5",
        smallest=0.1,
        primary=True,
    ),
    Hypothesis(
        "averaging_helps",
        "Garg 2024",
        "curvature",
        "Averaging over epochs helps",
        "AUROC for flips of curvature averaged over epochs minus that of the last epoch, mean over the rates",
        smallest=0.02,
        primary=True,
    ),
    Hypothesis(
        "curvature_agrees_with_memorization",
        "Garg 2024",
        "curvature",
        "Curvature agrees with memorization",
        "cosine of curvature and memorization minus the larger of those of a constant and of shuffled curvature",
        smallest=0.05,
        primary=True,
        published=Published(
            -0.12,
            "cosine .69 over all of CIFAR-100 minus that of a constant, .81 with C-scores as a stand-in; Ravikumar 2025, table 1",
        ),
    ),
    Hypothesis(
        "duplicates_seen_by_curvature",
        "Garg 2024",
        "curvature",
        "Curvature sees conflicting duplicates, which memorization misses",
        "AUROC for both of a conflicting pair of curvature minus that of memorization",
        smallest=0.1,
        primary=True,
    ),
    Hypothesis(
        "weight_decay_changes_top",
        "Garg 2024",
        "curvature",
        "Weight decay changes which samples are most curved",
        "overlap of the most curved samples between two seeds minus that between two seeds of which one has weight decay",
        smallest=0.1,
        primary=True,
    ),
    Hypothesis(
        "step_is_robust",
        "Garg 2024",
        "curvature",
        "Curvature does not depend on the step between 0.001 and 0.1",
        "Spearman correlation of curvature at the two ends; the null is 0.9",
        smallest=0.9,
        primary=True,
    ),
    *SECONDARY,
)
HARM = (
    Hypothesis(
        "frequent_harmed_more",
        "Liu 2021",
        "harm",
        "Wrong labels of frequent instances harm more",
        "harm of networks weighted by the mass of the instances: the most frequent ones minus the rarest",
        smallest=0.01,
        primary=True,
    ),
    Hypothesis(
        "correction_fails_at_small_l",
        "Liu 2021",
        "harm",
        "Loss correction fails where an instance has few labels",
        "share of units that err more under backward correction with the true matrix: 1 and 2 copies minus 16 and 32",
        smallest=0.05,
        primary=True,
    ),
)
RESISTANCE = (
    Hypothesis(
        "indicator_separates",
        "Lu 2021",
        "reproduce",
        "The indicator of CAR is low of wrong labels",
        "AUROC of 1 − τ for wrong labels, minus 0.5",
        smallest=0.1,
        primary=True,
    ),
    Hypothesis(
        "car_holds_back",
        "Lu 2021",
        "reproduce",
        "CAR holds back memorization of wrong labels",
        "mean memorization of the wrong labels under cross-entropy minus that under CAR",
        smallest=0.05,
        primary=True,
    ),
    Hypothesis(
        "elr_holds_back",
        "Lu 2021",
        "reproduce",
        "ELR, with which CAR is compared, holds back memorization of wrong labels",
        "mean memorization of the wrong labels under cross-entropy minus that under ELR",
        smallest=0.05,
        primary=True,
    ),
)
HYPOTHESES = (*SUSCEPTIBILITY, *CURVATURE, *HARM, *RESISTANCE)
"""All of them, paper by paper."""


def hypotheses_of(study: str) -> tuple[Hypothesis, ...]:
    """Those that a study measures.

    Raises:
        UnknownName: No hypothesis is of such a study.
    """
    found = tuple(one for one in HYPOTHESES if one.study == study)
    if not found:
        raise UnknownName(unknown(study, tuple(dict.fromkeys(one.study for one in HYPOTHESES)), "study"))
    return found
