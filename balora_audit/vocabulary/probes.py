"""The metrics of the package's own probes."""

from __future__ import annotations

from balora_audit.vocabulary.entries import MetricInfo, number, share

__all__ = ["COLLAPSE", "DRIFT", "IMBALANCE", "NOISE"]

NOISE: dict[str, MetricInfo] = {
    "accuracy": share("accuracy", True, "Share of items answered correctly.", "METHODS §4"),
    "accuracy_drop": share(
        "accuracy drop under noise",
        False,
        "Accuracy on the clean texts minus the mean accuracy on their noisy copies, same items. A model that is right more often "
        "has more to lose: read it beside the relative drop.",
        "METHODS §4",
    ),
    "relative_drop": share(
        "relative drop",
        False,
        "Accuracy lost under noise as a share of the clean accuracy.",
        "PromptBench's performance drop rate; METHODS §4",
    ),
    "severity_area": share(
        "area under the severity curve",
        True,
        "Mean accuracy over severity, from clean to the highest one measured (trapezoid rule, normalised).",
        "METHODS §4",
    ),
    "mce": number(
        "mean corruption error",
        "ratio",
        False,
        "Errors under noise divided by those of the base model, averaged over kinds of noise; 1 is as bad as the base.",
        "Hendrycks & Dietterich 2019, arXiv 1903.12261",
    ),
    "flip_rate": share("flip rate", False, "Share of items whose answer changes when noise is added.", "METHODS §4"),
    "realised_rate": share("realised noise rate", None, "Share of characters (or words) that the noise changed.", "METHODS §4"),
    "applicable_texts": share(
        "texts that the noise can change",
        None,
        "Share of texts in which this kind of noise finds anything to change; the others count unchanged.",
        "METHODS §4",
    ),
    "memorisation": share(
        "memorised wrong labels",
        False,
        "Among training items whose label was corrupted, the share predicted as the wrong training label.",
        "METHODS §4",
    ),
    "recovered_true": share(
        "recovered true labels",
        True,
        "Among training items whose label was corrupted, the share predicted as the true label.",
        "METHODS §4",
    ),
    "response_nll": number(
        "response NLL", "nats", False, "Mean negative log-likelihood per token of the reference response.", "METHODS §4"
    ),
    "response_nll_rise": number(
        "response NLL rise under noise",
        "nats",
        False,
        "NLL of the reference response given the noisy prompt minus that given the clean prompt.",
        "METHODS §4",
    ),
    "token_accuracy": share("token accuracy", True, "Share of response tokens that are the model's first choice.", "METHODS §4"),
    "unexplained_variance": number(
        "unexplained variance", "ratio", False, "Mean squared error over the variance of the test targets (1 − R²).", "METHODS §4"
    ),
    "unexplained_rise": number(
        "rise of the unexplained variance under noise",
        "ratio",
        False,
        "Unexplained variance on the noisy copies minus that on the clean texts, same items.",
        "METHODS §4",
    ),
    "consistency": share(
        "agreement among noisy copies",
        True,
        "Share of pairs of noisy copies of one item that get the same answer, right or wrong.",
        "METHODS §4",
    ),
    "exact_match": share("exact match", True, "Share of items whose written answer, extracted, is the reference answer.", "METHODS §4"),
    "exact_match_drop": share(
        "exact-match drop under noise",
        False,
        "Exact match on the clean prompts minus that on their noisy copies, same items.",
        "METHODS §4",
    ),
}

IMBALANCE: dict[str, MetricInfo] = {
    "recall": share("recall", True, "Share of a class's items that are found.", "METHODS §5"),
    "balanced_accuracy": share("balanced accuracy", True, "Mean of the per-class recalls.", "METHODS §5"),
    "worst_class_recall": share("worst-class recall", True, "The smallest per-class recall.", "METHODS §5"),
    "head_recall": share("head recall", True, "Mean recall of the third of classes trained on most.", "METHODS §5"),
    "medium_recall": share("medium recall", True, "Mean recall of the middle third of classes.", "METHODS §5"),
    "tail_recall": share("tail recall", True, "Mean recall of the third of classes trained on least.", "METHODS §5"),
    "macro_f1": share("macro F1", True, "Mean of the per-class F1 scores.", "METHODS §5"),
    "g_mean": share("G-mean", True, "Geometric mean of the per-class recalls.", "METHODS §5"),
    "prior_shift": number(
        "prior shift",
        "nats",
        False,
        "KL divergence between the distribution of answers and that of labels.",
        "METHODS §5",
    ),
    "worst_group_accuracy": share("worst-group accuracy", True, "The smallest accuracy of any group.", "Sagawa et al. 2020; METHODS §5"),
    "tpr_gap": share(
        "true-positive-rate gap",
        None,
        "Recall of a class in one group minus that in the other.",
        "De-Arteaga et al. 2019; METHODS §5",
    ),
    "tpr_gap_rms": share(
        "true-positive-rate gap (RMS)",
        False,
        "Root mean square over classes of the difference in recall between the groups.",
        "De-Arteaga et al. 2019; METHODS §5",
    ),
    "counterfactual_flip_rate": share(
        "counterfactual flip rate",
        False,
        "Share of items whose answer changes when only the person's gender changes in the text.",
        "Garg et al. 2019; METHODS §5",
    ),
    "counterfactual_shift": share(
        "counterfactual shift",
        False,
        "Mean absolute change of the gold answer's probability when only the person's gender changes.",
        "Garg et al. 2019; METHODS §5",
    ),
    "equalized_odds_difference": share(
        "equalized-odds difference",
        False,
        "Largest difference between two groups in the true- or false-positive rate of any class.",
        "Hardt et al. 2016, as in Fairlearn; METHODS §5",
    ),
    "demographic_parity_difference": share(
        "demographic-parity difference",
        False,
        "Largest difference between two groups in how often any class is answered.",
        "as in Fairlearn; METHODS §5",
    ),
}

COLLAPSE: dict[str, MetricInfo] = {
    "effective_rank": number(
        "effective rank",
        "number",
        True,
        "Exponential of the entropy of the normalised singular values: how many directions the features use.",
        "Roy & Vetterli 2007; METHODS §6",
    ),
    "singular_value_entropy": number(
        "singular value entropy (SVE)",
        "nats",
        True,
        "Entropy of the normalised singular values of the features.",
        "Chen et al. 2023, arXiv 2309.17002",
    ),
    "largest_singular_value_ratio": number(
        "largest singular value ratio (LSVR)",
        "nats",
        True,
        "−log of the largest singular value's share; small when one direction dominates.",
        "Chen et al. 2023, arXiv 2309.17002",
    ),
    "stable_rank": number("stable rank", "number", True, "Squared Frobenius norm over squared spectral norm.", "METHODS §6"),
    "participation_ratio": number(
        "participation ratio", "number", True, "(Σλ)²/Σλ² of the feature covariance's eigenvalues.", "METHODS §6"
    ),
    "anisotropy": number(
        "anisotropy",
        "ratio",
        False,
        "Mean cosine similarity of random pairs of features.",
        "Ethayarajh 2019; METHODS §6",
    ),
    "cka_to_base": number(
        "CKA to base",
        "ratio",
        None,
        "Linear centred kernel alignment with the base model's features; 1 is the same geometry.",
        "Kornblith et al. 2019; METHODS §6",
    ),
    "nc1": number(
        "NC1",
        "number",
        None,
        "Within-class over between-class variability of the features, tr(Σ_W Σ_B⁺)/C.",
        "Papyan et al. 2020; METHODS §6",
    ),
    "power_law_alpha": number(
        "power-law exponent α",
        "number",
        None,
        "Slope of the eigenvalue spectrum, λ_i ∝ i^(−α), by least squares on logarithms; large when few directions dominate.",
        "Agrawal et al. 2022; METHODS §6",
    ),
    "iso_score": number(
        "IsoScore", "ratio", True, "How evenly the features fill all dimensions: 1 evenly, 0 one direction only.", "Rudman et al. 2022"
    ),
    "principal_angle_to_base": number(
        "mean principal angle to base",
        "number",
        None,
        "Mean angle, in radians, between the leading feature subspaces of the model and of the base; 0 is the same subspace.",
        "Björck & Golub 1973; METHODS §6",
    ),
    "silhouette": number(
        "silhouette of the classes",
        "ratio",
        None,
        "Mean silhouette of the true classes in feature space, −1 to 1: how well they are set apart.",
        "Rousseeuw 1987; METHODS §6",
    ),
    "knn_accuracy": share(
        "nearest-neighbour accuracy",
        True,
        "Share of items whose class is that of most of their nearest other items in feature space.",
        "METHODS §6",
    ),
    "weight_change": number(
        "relative weight change",
        "ratio",
        None,
        "‖ΔW‖/‖W‖ in the Frobenius norm, mean over the adapted modules.",
        "METHODS §6",
    ),
    "weight_change_rank": number(
        "effective rank of the weight change",
        "number",
        None,
        "Effective rank of ΔW, mean over the adapted modules.",
        "METHODS §6",
    ),
    "intruder_dimensions": number(
        "intruder dimensions",
        "number",
        False,
        "How many of the leading left singular vectors of W + ΔW resemble no singular vector of W, mean over modules.",
        "Shuttleworth et al. 2024, arXiv 2410.21228",
    ),
}

DRIFT: dict[str, MetricInfo] = {
    "kl_per_token": number(
        "KL per token",
        "nats",
        False,
        "KL(base ‖ model) per token on held-out general text: how far the model moved where it was not trained.",
        "METHODS §7",
    ),
    "perplexity_ratio": number(
        "perplexity ratio", "ratio", False, "Perplexity on held-out general text over that of the base.", "METHODS §7"
    ),
    "retained": share("retained", True, "Among test items the base gets right, the share still right.", "METHODS §7"),
    "lost": share("lost", False, "Among test items the base gets right, the share now wrong.", "METHODS §7"),
    "gained": share("gained", True, "Among test items the base gets wrong, the share now right.", "METHODS §7"),
}
