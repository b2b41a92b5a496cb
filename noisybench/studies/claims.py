"""The list of hypotheses: what the four founding papers claim, each with its smallest effect of interest.

One list, primary and secondary, that stands here before anything is measured. Published figures are those that were checked in
a paper or in its authors' files, each with what it is of, which may be another quantity than ours; others are not quoted.

Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461; Garg, Ravikumar and Roy 2024, arXiv:2307.05831; Liu 2021,
arXiv:2102.05336; Lu, Bo and He 2021, arXiv:2108.08212.
"""

from noisybench.ground.checks import unknown
from noisybench.ground.errors import UnknownName
from noisybench.studies.curvature_secondary import SECONDARY
from noisybench.studies.hypotheses import Hypothesis, PublishedFigure

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
        published=PublishedFigure(
            0.039,
            "mean of region 1, 61.80 %, minus that of region 2, 57.89 %; Clothing1M, 19 settings; authors' README",
        ),
    ),
    Hypothesis(
        "tracks_fit_within_rates",
        "Forouzesh 2023",
        "susceptibility",
        "Susceptibility tracks memorization among trainings of one learning rate",
        "Spearman correlation of the primary claim within each learning rate, mean weighted by settings",
        smallest=0.3,
    ),
    Hypothesis(
        "tracks_fit_given_accuracy",
        "Forouzesh 2023",
        "susceptibility",
        "Susceptibility tells more of memorization than training accuracy does",
        "partial Spearman correlation of the primary claim given training accuracy",
        smallest=0.2,
    ),
    Hypothesis(
        "tracks_fit_by_noise",
        "Forouzesh 2023",
        "susceptibility",
        "Susceptibility tracks memorization whatever the images of the step are",
        "Spearman correlation of the primary claim, with susceptibility measured on Gaussian noise",
        smallest=0.3,
    ),
    Hypothesis(
        "tracks_fit_over_epochs",
        "Forouzesh 2023",
        "susceptibility",
        "Susceptibility rises in the epochs in which wrong labels are fitted",
        "Spearman correlation of first differences over epochs, mean over settings",
        smallest=0.2,
    ),
    Hypothesis(
        "region_beats_accuracy",
        "Forouzesh 2023",
        "susceptibility",
        "Training accuracy and susceptibility choose better than training accuracy alone",
        "regret of the model of highest training accuracy minus that of the most accurate one of region 1",
        smallest=0.01,
    ),
    Hypothesis(
        "region_beats_validation",
        "Forouzesh 2023",
        "susceptibility",
        "Training accuracy and susceptibility choose better than validation on noisy labels",
        "regret of noisy validation minus that of the most accurate model of region 1",
        smallest=0.01,
    ),
    Hypothesis(
        "region_beats_losses",
        "Forouzesh 2023",
        "susceptibility",
        "Training accuracy and susceptibility choose better than the sum of training losses",
        "regret of the lowest sum of training losses minus that of the most accurate model of region 1",
        smallest=0.01,
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
        published=PublishedFigure(
            0.69,
            "the cosine itself, from which no null is taken; all of CIFAR-100; Ravikumar 2025, table 1",
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
        "error above that of right labels, answers drawn from the probabilities as in the theorems and weighted by the mass of "
        "the instances: upper third of the frequencies minus lower third",
        smallest=0.01,
        primary=True,
    ),
    Hypothesis(
        "correction_fails_at_small_l",
        "Liu 2021",
        "harm",
        "Loss correction fails where an instance has few labels",
        "share of units that err more under backward correction with the true matrix than under cross-entropy: units of at most 2 "
        "copies minus units of at least 16",
        smallest=0.05,
        primary=True,
    ),
    Hypothesis(
        "frequent_harmed_more_decided",
        "Liu 2021",
        "harm",
        "Wrong labels of frequent instances harm more, also where the largest answer is given",
        "as for drawn answers, of the largest answer",
        smallest=0.01,
    ),
    Hypothesis(
        "frequent_harmed_more_unweighted",
        "Liu 2021",
        "harm",
        "Wrong labels of frequent instances harm more, each instance counted alike",
        "as for drawn answers, mean over units without the weight of their mass",
        smallest=0.05,
    ),
    Hypothesis(
        "correction_fails_at_small_l_drawn",
        "Liu 2021",
        "harm",
        "Loss correction fails where an instance has few labels, answers drawn from the probabilities",
        "share of units that err more under backward correction with the true matrix: few copies minus many",
        smallest=0.05,
    ),
    Hypothesis(
        "estimated_correction_fails_at_small_l",
        "Liu 2021",
        "harm",
        "Loss correction with an estimated matrix fails where an instance has few labels",
        "share of units that err more under backward correction with the matrix of HOC: few copies minus many",
        smallest=0.05,
    ),
    Hypothesis(
        "forward_correction_fails_at_small_l",
        "Liu 2021",
        "harm",
        "Forward correction fails where an instance has few labels",
        "share of units that err more under forward correction with the true matrix: few copies minus many",
        smallest=0.05,
    ),
    Hypothesis(
        "peer_loss_fails_at_small_l",
        "Liu 2021",
        "harm",
        "Peer loss fails where an instance has few labels",
        "share of units that err more under peer loss: few copies minus many",
        smallest=0.05,
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
    Hypothesis(
        "car_holds_back_wrong_more",
        "Lu 2021",
        "reproduce",
        "CAR holds back memorization of wrong labels more than that of right ones",
        "what CAR takes from the mean memorization of the wrong labels minus what it takes from that of the right ones",
        smallest=0.05,
    ),
    Hypothesis(
        "elr_holds_back_wrong_more",
        "Lu 2021",
        "reproduce",
        "ELR holds back memorization of wrong labels more than that of right ones",
        "what ELR takes from the mean memorization of the wrong labels minus what it takes from that of the right ones",
        smallest=0.05,
    ),
    Hypothesis(
        "car_fits_less_at_equal_right",
        "Lu 2021",
        "reproduce",
        "CAR fits fewer wrong labels at as many right labels fitted",
        "wrong labels fitted where 95 % of the right ones are first fitted: under cross-entropy minus under CAR",
        smallest=0.05,
    ),
    Hypothesis(
        "elr_fits_less_at_equal_right",
        "Lu 2021",
        "reproduce",
        "ELR fits fewer wrong labels at as many right labels fitted",
        "wrong labels fitted where 95 % of the right ones are first fitted: under cross-entropy minus under ELR",
        smallest=0.05,
    ),
    Hypothesis(
        "elr_target_separates",
        "Lu 2021",
        "reproduce",
        "The target of ELR holds little of wrong labels",
        "AUROC of 1 − t of the given label, minus 0.5",
        smallest=0.1,
    ),
    Hypothesis(
        "indicator_finds_more_than_final_loss",
        "Lu 2021",
        "reproduce",
        "The indicator of CAR finds more wrong labels than the final loss of cross-entropy",
        "AUROC of 1 − τ minus that of the final loss",
        smallest=0.02,
    ),
    Hypothesis(
        "indicator_finds_more_than_cumulative_loss",
        "Lu 2021",
        "reproduce",
        "The indicator of CAR finds more wrong labels than the loss of cross-entropy summed over epochs",
        "AUROC of 1 − τ minus that of the cumulative loss",
        smallest=0.02,
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
