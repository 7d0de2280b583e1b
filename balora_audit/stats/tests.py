"""Exact and resampling tests for paired data (METHODS §8)."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

__all__ = ["mcnemar_exact", "paired_permutation"]

_ENUMERATED = 12


def mcnemar_exact(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Return the two-sided exact p-value of McNemar's test on paired right/wrong answers; 1 when none differs.

    Under the null, each of the discordant pairs falls either way with probability 1/2 (McNemar 1947).
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"need two one-dimensional arrays of one length, got {a.shape} and {b.shape}")
    only_a, only_b = int((a & ~b).sum()), int((~a & b).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def paired_permutation(differences: ArrayLike, *, n_resamples: int = 9999, seed: int = 0) -> float:
    """Return the two-sided sign-flip p-value for the mean of paired differences.

    All 2ⁿ sign patterns are enumerated for n ≤ 12; beyond, `n_resamples` seeded patterns and the add-one rule.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or len(d) == 0 or not np.isfinite(d).all():
        raise ValueError("need a non-empty one-dimensional array of finite differences")
    observed = abs(d.mean()) - 1e-12 * max(1.0, float(np.abs(d).max()))
    if len(d) <= _ENUMERATED:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(d))))
        return float((np.abs(signs @ d / len(d)) >= observed).mean())
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(n_resamples, len(d)))
    return float((1 + (np.abs(signs @ d / len(d)) >= observed).sum()) / (1 + n_resamples))
