"""The secondary hypotheses on curvature: each rate, step and activation, each rival, kinds of duplicates and of samples.

They stand here before anything is measured, and are part of ``claims.CURVATURE``.
"""

from noisybench.studies.hypotheses import Hypothesis, PublishedFigure

DUPLICATES = (
    ("pairs", "both of a conflicting pair"),
    ("copies", "the copies of conflicting pairs"),
    ("twins", "the twins of conflicting copies"),
)
"""Name of what is sought → in words."""
SECONDARY = (
    *(
        Hypothesis(
            f"curvature_finds_flips_{rate:g}",
            "Garg 2024",
            "curvature",
            f"Curvature averaged over epochs finds {100 * rate:g} % of flipped labels",
            f"AUROC of curvature for the flips at rate {rate:g}, minus 0.5",
            smallest=0.1,
        )
        for rate in (0.01, 0.02, 0.05, 0.1)
    ),
    *(
        Hypothesis(
            f"curvature_finds_flips_step_{step:g}",
            "Garg 2024",
            "curvature",
            f"Curvature at step {step:g} finds flipped labels",
            "AUROC of curvature for the flips, minus 0.5",
            smallest=0.1,
        )
        for step in (0.001, 0.01, 0.03, 0.1)
    ),
    Hypothesis(
        "curvature_finds_flips_silu",
        "Garg 2024",
        "curvature",
        "Curvature finds flipped labels in a network with a Hessian everywhere",
        "AUROC of curvature for the flips with SiLU, minus 0.5",
        smallest=0.1,
    ),
    Hypothesis(
        "silu_finds_more_flips",
        "Garg 2024",
        "curvature",
        "Curvature finds more where the network is smooth",
        "AUROC of curvature for the flips with SiLU minus that with ReLU",
        smallest=0.02,
    ),
    Hypothesis(
        "averaging_helps_duplicates",
        "Garg 2024",
        "curvature",
        "Averaging over epochs helps to see conflicting duplicates",
        "AUROC for both of a pair of curvature averaged over epochs minus that of the last epoch, mean over the rates",
        smallest=0.02,
    ),
    *(
        Hypothesis(
            f"curvature_beats_{rival}",
            "Garg 2024",
            "curvature",
            f"Curvature finds more flipped labels than {rival}",
            f"AUROC for flips of curvature averaged over epochs minus that of {rival}{where}",
            smallest=0.01,
        )
        for rival, where in (
            ("cumulative_loss", ""),
            ("final_loss", ""),
            ("input_gradient_norm", ""),
            ("curvature_zeroth", ""),
            ("gauss_newton_trace", ""),
            ("exact_curvature", ", with SiLU"),
        )
    ),
    *(
        Hypothesis(
            f"curvature_finds_{target}",
            "Garg 2024",
            "curvature",
            f"Curvature sees {words}",
            f"AUROC of curvature for {words}, minus 0.5",
            smallest=0.1,
        )
        for target, words in DUPLICATES
    ),
    *(
        Hypothesis(
            f"duplicates_seen_by_curvature_{target}",
            "Garg 2024",
            "curvature",
            f"Curvature sees {words} better than memorization",
            f"AUROC for {words} of curvature minus that of memorization",
            smallest=0.1,
        )
        for target, words in DUPLICATES[1:]
    ),
    *(
        Hypothesis(
            f"{kind}_lead_without_weight_decay",
            "Garg 2024",
            "curvature",
            f"Without weight decay more of the most curved samples are {words}",
            f"share of the most curved samples that are {words}: without weight decay minus with",
            smallest=0.05,
        )
        for kind, words in (("duplicates", "conflicting duplicates"), ("flips", "flipped labels"))
    ),
    Hypothesis(
        "step_is_robust_silu",
        "Garg 2024",
        "curvature",
        "Curvature does not depend on the step where the network is smooth",
        "Spearman correlation of curvature at steps 0.001 and 0.1 with SiLU; the null is 0.9",
        smallest=0.9,
    ),
    *(
        Hypothesis(
            f"curvature_ranks_as_memorization{ending}",
            "Garg 2024",
            "curvature",
            f"Curvature ranks {words} as memorization does",
            f"Spearman correlation of curvature and memorization over {words}",
            smallest=0.1,
        )
        for ending, words in (("", "samples"), ("_right", "samples of right labels"), ("_wrong", "flipped labels"))
    ),
    Hypothesis(
        "curvature_pearson_with_memorization",
        "Garg 2024",
        "curvature",
        "Curvature and memorization rise together",
        "Pearson correlation of curvature and memorization over samples",
        smallest=0.1,
        published=PublishedFigure(0.49, "all of CIFAR-100; Ravikumar 2025, table 1", 50_000),
    ),
    *(
        Hypothesis(
            f"curvature_agrees_more_than_{rival}",
            "Garg 2024",
            "curvature",
            f"Curvature agrees with memorization more than {rival}",
            f"Spearman correlation with memorization over right labels, of curvature minus that of {rival}",
            smallest=0.05,
        )
        for rival in ("cumulative_loss", "input_gradient_norm")
    ),
)
"""Those of Garg 2024 that no verdict on the paper rests on alone."""
