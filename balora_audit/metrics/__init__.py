"""Metrics: pure functions of arrays, usable on one's own tensors (METHODS §4–6). No torch."""

from __future__ import annotations

from balora_audit.metrics.answers import EXTRACTORS, Extractor, exact_match, find_extractor, guess_extractor
from balora_audit.metrics.classification import (
    balanced_accuracy,
    g_mean,
    macro_f1,
    per_class_recall,
    prior_shift,
    worst_class_recall,
)
from balora_audit.metrics.fairness import (
    demographic_parity_difference,
    equalized_odds_difference,
    tpr_gap,
    tpr_gap_null,
    tpr_gap_squared,
)
from balora_audit.metrics.geometry import nc1
from balora_audit.metrics.neighbours import knn_correct, silhouettes
from balora_audit.metrics.robustness import agreement, flip_rate, mce, memorisation, relative_drop, relative_mce, severity_area
from balora_audit.metrics.similarity import anisotropy, linear_cka, principal_angles
from balora_audit.metrics.spectral import (
    OF_SINGULAR_VALUES,
    effective_rank,
    iso_score,
    iso_score_of,
    largest_singular_value_ratio,
    leave_group_out_singular_values,
    normalised_spectrum,
    participation_ratio,
    power_law_alpha,
    rank_curve,
    rankme,
    singular_value_entropy,
    singular_values,
    stable_rank,
)
from balora_audit.metrics.streamed import Moments, streamed_cka
from balora_audit.metrics.weights import dense_likeness, likeness, low_rank_singular_values

__all__ = [
    "EXTRACTORS",
    "OF_SINGULAR_VALUES",
    "Extractor",
    "Moments",
    "agreement",
    "anisotropy",
    "balanced_accuracy",
    "demographic_parity_difference",
    "dense_likeness",
    "effective_rank",
    "equalized_odds_difference",
    "exact_match",
    "find_extractor",
    "flip_rate",
    "g_mean",
    "guess_extractor",
    "iso_score",
    "iso_score_of",
    "knn_correct",
    "largest_singular_value_ratio",
    "leave_group_out_singular_values",
    "likeness",
    "linear_cka",
    "low_rank_singular_values",
    "macro_f1",
    "mce",
    "memorisation",
    "nc1",
    "normalised_spectrum",
    "participation_ratio",
    "per_class_recall",
    "power_law_alpha",
    "principal_angles",
    "prior_shift",
    "rank_curve",
    "rankme",
    "relative_drop",
    "relative_mce",
    "severity_area",
    "silhouettes",
    "singular_value_entropy",
    "singular_values",
    "stable_rank",
    "streamed_cka",
    "tpr_gap",
    "tpr_gap_null",
    "tpr_gap_squared",
    "worst_class_recall",
]
