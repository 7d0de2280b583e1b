"""Simulated evidence of two models with known truth.

Items have their own difficulty, shared by both models; each training seed shifts a model's skill by N(0, τ). The truth of a
checkpoint is the statistic over the population of items at its skill; that of a method is the mean over seeds of these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from balora_audit.comparison.calibration.claimed import CLAIMED
from balora_audit.comparison.calibration.kind import Kind, item_names, normal_items
from balora_audit.metrics.spectral import OF_SINGULAR_VALUES, leave_group_out_singular_values, singular_values
from balora_audit.stats import ItemScores, Jackknife
from balora_audit.stats.items import Combine, FloatArray

__all__ = ["KINDS", "method_truth"]

_DIMENSIONS = 8
_GROUPS = 40


def method_truth(kind: Kind, skill: float, tau: float) -> float:
    """Return the mean truth over seeds whose skill is N(skill, τ²), by Gauss–Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    return float(sum(w * kind.truth(skill + tau * x) for x, w in zip(nodes, weights, strict=True)) / weights.sum())


def _right(offset_N: FloatArray, easy_N: FloatArray, skill: float, rng: np.random.Generator) -> FloatArray:
    return (rng.random(len(easy_N)) < norm.cdf(offset_N + easy_N + skill)).astype(np.float64)


def _rate(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    return ItemScores.mean_of(item_names(len(easy_N)), _right(np.full(len(easy_N), 0.8), easy_N, skill, rng))


def _mean(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    return ItemScores.mean_of(item_names(len(easy_N)), np.exp(0.5 * easy_N) + skill + rng.normal(0, 0.5, len(easy_N)))


def _ratio(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    tokens_N = 5.0 + np.floor(40 * norm.cdf(easy_N))  # long items are the same for both models
    noise_N = rng.gamma(4, 0.25, len(easy_N))
    return ItemScores(ids=item_names(len(easy_N)), numerators=(tokens_N * noise_N * 0.2 * np.exp(skill))[None], denominators=tokens_N[None])


def _skewed(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    return ItemScores.mean_of(item_names(len(easy_N)), np.exp(easy_N + skill + rng.normal(0, 0.3, len(easy_N))))


def _drop(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    """Draw a clean and a noisy answer of the same item: the accuracy drop of an item is −1, 0 or 1, mostly 0."""
    clean_N, noisy_N = (easy_N + rng.normal(0, 0.3, len(easy_N)) < offset for offset in _drop_offsets(skill))
    return ItemScores.mean_of(item_names(len(easy_N)), clean_N.astype(np.float64) - noisy_N)


def _drop_offsets(skill: float) -> tuple[float, float]:
    return 1.2 + skill, 1.0 + skill / 2


_CLASSES = np.array([0.9, 0.6, 0.0])
_UNEVEN = np.repeat([0, 1, 2], [12, 6, 2])  # shares of 60, 30 and 10 %
_KNOWN = np.array([1.6, 0.9, 0.3])


def _recalls(classes_N: NDArray[np.int64], right_N: FloatArray, combine: Combine) -> ItemScores:
    inside_KN = np.stack([classes_N == c for c in range(3)]).astype(np.float64)
    return ItemScores(ids=item_names(len(right_N)), numerators=inside_KN * right_N, denominators=inside_KN, combine=combine)


def _balanced(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    classes_N = _UNEVEN[np.arange(len(easy_N)) % len(_UNEVEN)]
    return _recalls(classes_N, _right(_KNOWN[classes_N], easy_N, skill, rng), "mean")


def _worst(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    classes_N = np.arange(len(easy_N)) % 3
    return _recalls(classes_N, _right(_CLASSES[classes_N], easy_N, skill, rng), "min")


def _gap(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    index = np.arange(len(easy_N))
    classes_N, groups_N = index % 2, index // 2 % 2
    inside_KN = np.stack([(classes_N == c) & (groups_N == g) for g in (1, 0) for c in range(2)]).astype(np.float64)
    right_N = _right(np.asarray((groups_N - 0.5) * (1.2 + skill), dtype=np.float64), easy_N, 0.0, rng)
    return ItemScores(ids=item_names(len(easy_N)), numerators=inside_KN * right_N, denominators=inside_KN, combine="rms_difference")


def _scales(skill: float) -> FloatArray:
    return np.asarray(np.exp(-np.arange(_DIMENSIONS) * (0.4 - 0.2 * skill)), dtype=np.float64)


def _features(n: int, rng: np.random.Generator) -> FloatArray:
    return rng.normal(size=(n, _DIMENSIONS))


def _rank(z_ND: FloatArray, skill: float, rng: np.random.Generator) -> Jackknife:
    x_ND = (0.9 * z_ND + np.sqrt(1 - 0.81) * rng.normal(size=z_ND.shape)) * _scales(skill)
    of = OF_SINGULAR_VALUES["effective_rank"]
    left_out = leave_group_out_singular_values(x_ND, np.arange(len(x_ND)) % _GROUPS)
    return Jackknife(items=len(x_ND), estimate=of(singular_values(x_ND)), left_out=np.array([of(sigma) for sigma in left_out]))


def _rank_truth(skill: float) -> float:
    shares = _scales(skill) / _scales(skill).sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _gap_truth(skill: float) -> float:
    half = (1.2 + skill) / 2 / np.sqrt(2)
    return float(abs(norm.cdf(half) - norm.cdf(-half)))


KINDS: dict[str, Kind] = {
    "rate": Kind(metric="accuracy", items=normal_items, draw=_rate, truth=lambda s: float(norm.cdf((0.8 + s) / np.sqrt(2)))),
    "mean": Kind(metric="unexplained_rise", items=normal_items, draw=_mean, truth=lambda s: float(np.exp(0.125) + s)),
    "ratio": Kind(metric="kl_per_token", items=normal_items, draw=_ratio, truth=lambda s: float(0.2 * np.exp(s))),
    "skewed mean": Kind(metric="counterfactual_shift", items=normal_items, draw=_skewed, truth=lambda s: float(np.exp(s + 0.5 + 0.045))),
    "drop": Kind(
        metric="accuracy_drop",
        items=normal_items,
        draw=_drop,
        truth=lambda s: float(np.subtract(*norm.cdf(np.array(_drop_offsets(s)) / np.sqrt(1.09)))),
    ),
    "balanced": Kind(
        metric="balanced_accuracy", items=normal_items, draw=_balanced, truth=lambda s: float(norm.cdf((_KNOWN + s) / np.sqrt(2)).mean())
    ),
    "min": Kind(metric="worst_class_recall", items=normal_items, draw=_worst, truth=lambda s: float(norm.cdf(s / np.sqrt(2)))),
    "rms_difference": Kind(metric="tpr_gap_rms", items=normal_items, draw=_gap, truth=_gap_truth),
    "jackknife": Kind(metric="effective_rank", items=_features, draw=_rank, truth=_rank_truth),
    **CLAIMED,
}
