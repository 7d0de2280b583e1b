"""Measures of a feature matrix's singular values σ (METHODS §6). p_i = σ_i/Σσ, λ_i = σ_i².

All are unchanged by rotations of the features, by the order of the items and by a common scale. Features are centred
unless ``center=False``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from balora_audit.metrics.arrays import Float, matrix, numpy_of
from balora_audit.metrics.streamed import BLOCK_ROWS, Moments
from balora_audit.metrics.triangle import Triangle, each_left_out, without_rounding

__all__ = [
    "OF_SINGULAR_VALUES",
    "effective_rank",
    "iso_score",
    "iso_score_of",
    "largest_singular_value_ratio",
    "leading_directions",
    "leave_group_out_singular_values",
    "normalised_spectrum",
    "participation_ratio",
    "power_law_alpha",
    "rank_curve",
    "rankme",
    "singular_value_entropy",
    "singular_values",
    "stable_rank",
]

_GRAM_DIGITS = 1e-14
_TALL = 4
_FEW = 1024
"""Up to so many items a direct decomposition is quick."""


def singular_values(x: Any, *, center: bool = True) -> Float:
    """Return the singular values, largest first; raises `ValueError` for a matrix of rank 0.

    With many more items than dimensions they come from a triangular factor, which blocks of rows add up to (`Triangle`); else from
    a direct decomposition. Both in float64, to the same digits.
    """
    raw = numpy_of(x)
    if _is_tall(raw):
        return _triangle(raw).singular_values(center=center)
    return without_rounding(np.linalg.svd(matrix(raw, center=center), compute_uv=False))


def leave_group_out_singular_values(x: Any, groups: Any, *, center: bool = True, precise: bool = True) -> list[Float]:
    """Return the singular values with each group of items left out, groups in ascending order.

    ``groups`` (N,) holds a group number per item. Each is centred anew. With many more items than dimensions, the
    groups are factored once each, and their factors joined, instead of starting again. Where values below 10⁻⁷ of the largest do not
    matter, as in a mean over all of them, ``precise=False`` takes them from Gram matrices, which is several times faster.
    """
    raw, of = numpy_of(x), np.asarray(groups)
    if of.shape != raw.shape[:1]:
        raise ValueError(f"need one group per item, got {of.shape} for {raw.shape[:1]} items")
    names = np.unique(of)
    if len(names) < 2:
        raise ValueError("leaving a group out needs at least two groups")
    if not precise and raw.ndim == 2 and len(raw) > raw.shape[1]:
        return _from_grams(raw, of, names, center=center)
    if not _is_tall(raw):
        return [singular_values(raw[of != name], center=center) for name in names]
    parts = [_triangle(raw[of == name]) for name in names]
    return [others.singular_values(center=center) for others in each_left_out(parts)]


def _from_grams(x: NDArray[Any], of: NDArray[Any], names: NDArray[Any], *, center: bool) -> list[Float]:
    """Return singular values without each group: the square roots of the eigenvalues of what is left of XᵀX."""
    a = matrix(x, center=center)
    whole, total = a.T @ a, a.sum(axis=0)
    found = []
    for name in names:
        part = a[of == name]
        gram = whole - part.T @ part
        if center:
            rest = total - part.sum(axis=0)
            gram -= np.outer(rest, rest) / (len(a) - len(part))
        squares = np.clip(np.linalg.eigvalsh(gram)[::-1], 0, None)
        found.append(np.sqrt(np.where(squares > _GRAM_DIGITS * squares[0], squares, 0)))
    return found


def leading_directions(x: NDArray[Any], k: int, *, center: bool = True) -> Float:
    """Return the k leading right singular vectors, (k, D); of many more items than dimensions, from the Gram matrix.

    That keeps the digits of leading directions: it is the last ones that are lost in a Gram matrix.
    """
    if _is_tall(x):
        size = x.shape[1]
        _, vectors = eigh(_moments(x).gram(center=center), subset_by_index=(size - k, size - 1), check_finite=False)
        return np.asarray(vectors.T[::-1])
    return np.asarray(np.linalg.svd(matrix(x, center=center), full_matrices=False)[2][:k])


def _is_tall(x: NDArray[Any]) -> bool:
    return x.ndim == 2 and len(x) >= _TALL * x.shape[1] and len(x) > _FEW


def _triangle(x: NDArray[Any]) -> Triangle:
    found = Triangle(x.shape[1])
    for block in _blocks(x):
        found.add(block)
    return found


def _moments(x: NDArray[Any]) -> Moments:
    found = Moments(x.shape[1])
    for block in _blocks(x):
        found.add(block)
    return found


def _blocks(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (x[start : start + BLOCK_ROWS] for start in range(0, len(x), BLOCK_ROWS))


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


def rankme(x: Any) -> float:
    """Return RankMe: the same of the features as they are, not centred, 1 to rank (Garrido et al. 2023)."""
    return effective_rank(x, center=False)


def rank_curve(x: Any, sizes: Sequence[int], *, seed: int, draws: int = 2) -> Float:
    """Return the effective rank over the number of items, (S,): a rank is read with its N.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of items, 2 to N.
    seed, draws
        Of the subsets, drawn without replacement; the mean over `draws` of them, one where all items are taken.
    """
    raw = numpy_of(x)
    if any(not 2 <= size <= len(raw) for size in sizes):
        raise ValueError(f"sizes must be within 2 and {len(raw)} items, got {list(sizes)}")
    rng = np.random.default_rng(seed)
    found = []
    for size in sizes:
        chosen = [np.sort(rng.permutation(len(raw))[:size]) for _ in range(draws if size < len(raw) else 1)]
        found.append(float(np.mean([effective_rank(raw[rows]) for rows in chosen])))
    return np.array(found)


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
    return _alpha(singular_values(x, center=center), first, last)


def _alpha(sigma: Float, first: int = 1, last: int | None = None) -> float:
    eigenvalues = sigma**2
    eigenvalues = eigenvalues[eigenvalues > 0][first - 1 : last]
    if first < 1 or len(eigenvalues) < 2:
        raise ValueError("a power law needs at least two positive eigenvalues in the range")
    ranks = np.arange(first, first + len(eigenvalues))
    return float(-np.polyfit(np.log(ranks), np.log(eigenvalues), 1)[0])


def iso_score(x: Any) -> float:
    """Return IsoScore, 0 (one direction holds everything) to 1 (all D dimensions alike) (Rudman et al. 2022).

    Unchanged by rotation, shift and scale. Of N ≤ D items at most N − 1 dimensions can be filled, which bounds the score.
    """
    return iso_score_of(singular_values(x), numpy_of(x).shape[1])


def iso_score_of(sigma: Any, dimensions: int) -> float:
    """Return IsoScore from the singular values of centred features in `dimensions` ≥ 2 dimensions."""
    eigenvalues = np.asarray(sigma, dtype=np.float64) ** 2
    if dimensions < 2 or len(eigenvalues) > dimensions:
        raise ValueError(f"IsoScore needs at least two dimensions, and no more singular values than those; got {dimensions}")
    if not eigenvalues.any():
        raise ValueError("all features are the same (rank 0): IsoScore is undefined")
    # With v = √D·λ/‖λ‖ and the defect δ² = ‖v − 1‖²/(2(D − √D)): φ = (D − δ²(D − √D))²/D², and φ is rescaled from [1/D, 1].
    # ‖v‖² = D, so D − δ²(D − √D) = Σv, and φ = (Σλ)²/(D·Σλ²): the participation ratio over D.
    filled = float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())
    return float(np.clip((filled - 1) / (dimensions - 1), 0, 1))


def _entropy(sigma: Float) -> float:
    p = sigma[sigma > 0] / sigma.sum()
    return float(-(p * np.log(p)).sum())


OF_SINGULAR_VALUES: dict[str, Callable[[Float], float]] = {
    "effective_rank": lambda sigma: float(np.exp(_entropy(sigma))),
    "singular_value_entropy": _entropy,
    "largest_singular_value_ratio": lambda sigma: float(-np.log(sigma[0] / sigma.sum())),
    "stable_rank": lambda sigma: float((sigma**2).sum() / sigma[0] ** 2),
    "participation_ratio": lambda sigma: float((sigma**2).sum() ** 2 / (sigma**4).sum()),
    "power_law_alpha": _alpha,
}
"""The measures as functions of the singular values, for callers who want several from one decomposition."""
