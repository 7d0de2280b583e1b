"""Measures of a feature matrix's singular values σ (METHODS §6). p_i = σ_i/Σσ, λ_i = σ_i².

All are unchanged by rotations of the features, by the order of the items and by a common scale. Features are centred
unless ``center=False``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from balora_audit.metrics.arrays import Float, matrix

__all__ = [
    "OF_SINGULAR_VALUES",
    "effective_rank",
    "largest_singular_value_ratio",
    "normalised_spectrum",
    "participation_ratio",
    "power_law_alpha",
    "singular_value_entropy",
    "singular_values",
    "stable_rank",
]

_RELATIVE_ZERO = 1e-10


def singular_values(x: Any, *, center: bool = True) -> Float:
    """Return the singular values, largest first; raises `ValueError` for a matrix of rank 0."""
    sigma = np.linalg.svd(matrix(x, center=center), compute_uv=False)
    if sigma[0] <= np.finfo(np.float64).tiny or not np.isfinite(sigma[0]):
        raise ValueError("all features are the same (rank 0): the spectrum has no shape")
    # Rounding leaves values near 1e-16 where centring or exact dependence makes them zero.
    return np.asarray(np.where(sigma > _RELATIVE_ZERO * sigma[0], sigma, 0.0))


def normalised_spectrum(x: Any, *, center: bool = True) -> Float:
    """Return p, the singular values divided by their sum, largest first."""
    sigma = singular_values(x, center=center)
    return np.asarray(sigma / sigma.sum())


def singular_value_entropy(x: Any, *, center: bool = True) -> float:
    """Return SVE ``−Σ p log p`` in nats, 0 to log(rank) (Chen et al. 2023, arXiv 2309.17002)."""
    return OF_SINGULAR_VALUES["singular_value_entropy"](singular_values(x, center=center))


def effective_rank(x: Any, *, center: bool = True) -> float:
    """Return ``exp(SVE)``, 1 to rank (Roy & Vetterli 2007)."""
    return OF_SINGULAR_VALUES["effective_rank"](singular_values(x, center=center))


def largest_singular_value_ratio(x: Any, *, center: bool = True) -> float:
    """Return LSVR ``−log(σ₁/Σσ)`` in nats; 0 when one direction holds everything (Chen et al. 2023)."""
    return OF_SINGULAR_VALUES["largest_singular_value_ratio"](singular_values(x, center=center))


def stable_rank(x: Any, *, center: bool = True) -> float:
    """Return ``‖X‖_F²/σ₁²``, 1 to rank."""
    return OF_SINGULAR_VALUES["stable_rank"](singular_values(x, center=center))


def participation_ratio(x: Any, *, center: bool = True) -> float:
    """Return ``(Σλ)²/Σλ²``, 1 to rank."""
    return OF_SINGULAR_VALUES["participation_ratio"](singular_values(x, center=center))


def power_law_alpha(x: Any, *, center: bool = True, first: int = 1, last: int | None = None) -> float:
    """Return α of λ_i ∝ i^(−α), by least squares on log λ against log i for i in [first, last] (Agrawal et al. 2022).

    Raises
    ------
    ValueError
        Fewer than two positive eigenvalues lie in the range.
    """
    eigenvalues = singular_values(x, center=center) ** 2
    eigenvalues = eigenvalues[eigenvalues > 0][first - 1 : last]
    if first < 1 or len(eigenvalues) < 2:
        raise ValueError("a power law needs at least two positive eigenvalues in the range")
    ranks = np.arange(first, first + len(eigenvalues))
    return float(-np.polyfit(np.log(ranks), np.log(eigenvalues), 1)[0])


def _entropy(sigma: Float) -> float:
    p = sigma[sigma > 0] / sigma.sum()
    return float(-(p * np.log(p)).sum())


OF_SINGULAR_VALUES: dict[str, Callable[[Float], float]] = {
    "effective_rank": lambda sigma: float(np.exp(_entropy(sigma))),
    "singular_value_entropy": _entropy,
    "largest_singular_value_ratio": lambda sigma: float(-np.log(sigma[0] / sigma.sum())),
    "stable_rank": lambda sigma: float((sigma**2).sum() / sigma[0] ** 2),
    "participation_ratio": lambda sigma: float((sigma**2).sum() ** 2 / (sigma**4).sum()),
}
"""The measures as functions of the singular values, for callers who want several from one decomposition."""
