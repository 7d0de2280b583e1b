"""Metrics: pure functions of arrays, usable on one's own tensors (METHODS §4–6). No torch."""

from __future__ import annotations

from balora_audit.metrics.answers import EXTRACTORS, Extractor, exact_match, find_extractor, guess_extractor
from balora_audit.metrics.classification import (
    balanced_accuracy,
    g_mean,
    macro_f1,
    per_class_recall,
    prior_shift,
    tpr_gap,
    worst_class_recall,
)
from balora_audit.metrics.fairness import demographic_parity_difference, equalized_odds_difference
from balora_audit.metrics.geometry import nc1
from balora_audit.metrics.neighbours import knn_correct, silhouettes
from balora_audit.metrics.robustness import agreement, flip_rate, mce, memorisation, relative_drop, severity_area
from balora_audit.metrics.similarity import anisotropy, linear_cka, principal_angles
from balora_audit.metrics.spectral import (
    OF_SINGULAR_VALUES,
    effective_rank,
    largest_singular_value_ratio,
    normalised_spectrum,
    participation_ratio,
    power_law_alpha,
    singular_value_entropy,
    singular_values,
    stable_rank,
)

__all__ = [
    "EXTRACTORS",
    "OF_SINGULAR_VALUES",
    "Extractor",
    "agreement",
    "anisotropy",
    "balanced_accuracy",
    "demographic_parity_difference",
    "effective_rank",
    "equalized_odds_difference",
    "exact_match",
    "find_extractor",
    "flip_rate",
    "g_mean",
    "guess_extractor",
    "knn_correct",
    "largest_singular_value_ratio",
    "linear_cka",
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
    "relative_drop",
    "severity_area",
    "silhouettes",
    "singular_value_entropy",
    "singular_values",
    "stable_rank",
    "tpr_gap",
    "worst_class_recall",
]
