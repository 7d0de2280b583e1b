"""How alike two feature matrices of the same items are, and how aligned features are among themselves (METHODS §6)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora_audit.metrics.arrays import Float, matrix, numpy_of
from balora_audit.metrics.spectral import leading_directions
from balora_audit.metrics.streamed import BLOCK_ROWS, ratio_of_hsic, streamed_cka, unbiased_hsic

__all__ = ["anisotropy", "linear_cka", "principal_angles"]

_FEW = 2048
"""Up to so many items the N × N Gram matrices are quicker than sums over rows, whatever the dimensions."""

_MANY = 16384
"""Beyond so many items the matrices are read in blocks, and none is copied as a whole."""


def linear_cka(x: Any, y: Any, *, center: bool = True, debiased: bool = False) -> float:
    """Return linear CKA of (N, D₁) and (N, D₂) on the same items in the same order.

    Unchanged by rotations and isotropic scaling of either side.

    Parameters
    ----------
    center : bool
        Whether the features are centred first. The debiased estimator does that by itself.
    debiased : bool
        By default ``‖YᵀX‖_F² / (‖XᵀX‖_F ‖YᵀY‖_F)``, 0 to 1 (Kornblith et al. 2019), which grows with the dimensions over the items: two
        independent matrices of 128 × 576 have 0.82. Debiased: ``HSIC₁(K, L) / √(HSIC₁(K, K)·HSIC₁(L, L))`` with the unbiased estimator of
        Song et al. 2012 (Murphy et al. 2024, arXiv 2405.01012), around 0 there, and at most 1.

    Raises
    ------
    ValueError
        The features of one side are all the same, or there are fewer than four items for the debiased estimator.

    Examples
    --------
    >>> x, y = np.random.default_rng(0).normal(size=(2, 128, 576))
    >>> round(linear_cka(x, y), 1), abs(linear_cka(x, y, debiased=True)) < 0.05, round(linear_cka(x, x, debiased=True), 6)
    (0.8, True, 1.0)
    """
    left, right = numpy_of(x), numpy_of(y)
    if debiased:
        return _debiased(left, right)
    if center and left.ndim == right.ndim == 2 and len(left) == len(right) > max(_MANY, left.shape[1], right.shape[1]):
        blocks = range(0, len(left), BLOCK_ROWS)
        return streamed_cka((left[start : start + BLOCK_ROWS], right[start : start + BLOCK_ROWS]) for start in blocks)
    a, b = matrix(left, center=center), matrix(right, center=center, name="y")
    if len(a) != len(b):
        raise ValueError(f"x and y must be features of the same items, got {len(a)} and {len(b)} rows")
    if len(a) < max(a.shape[1], b.shape[1]):  # the N × N Gram matrices are smaller and give the same numbers
        k, m = a @ a.T, b @ b.T
        cross, own, other = float((k * m).sum()), float(np.linalg.norm(k)), float(np.linalg.norm(m))
    else:
        cross = float(np.linalg.norm(b.T @ a) ** 2)
        own, other = float(np.linalg.norm(a.T @ a)), float(np.linalg.norm(b.T @ b))
    if own == 0 or other == 0:
        raise ValueError("all features of one side are the same: CKA is undefined")
    return min(1.0, cross / (own * other))


def _debiased(left: NDArray[Any], right: NDArray[Any]) -> float:
    if left.ndim == right.ndim == 2 and len(left) == len(right) > max(_FEW, left.shape[1], right.shape[1]):
        blocks = range(0, len(left), BLOCK_ROWS)
        return streamed_cka(((left[at : at + BLOCK_ROWS], right[at : at + BLOCK_ROWS]) for at in blocks), debiased=True)
    a, b = matrix(left, center=True), matrix(right, center=True, name="y")
    if len(a) != len(b):
        raise ValueError(f"x and y must be features of the same items, got {len(a)} and {len(b)} rows")
    k, m = a @ a.T, b @ b.T
    return ratio_of_hsic(*(_hsic_of_grams(one, other) for one, other in ((k, m), (k, k), (m, m))))


def _hsic_of_grams(k_NN: Float, m_NN: Float) -> float:
    """Return HSIC₁ of two Gram matrices (Song et al. 2012, eq. 5)."""
    k, m = k_NN - np.diag(np.diag(k_NN)), m_NN - np.diag(np.diag(m_NN))
    rows_k, rows_m = k.sum(axis=1), m.sum(axis=1)
    return unbiased_hsic(len(k), float((k * m).sum()), float(rows_k.sum()), float(rows_m.sum()), float(rows_k @ rows_m))


def principal_angles(x: Any, y: Any, k: int, *, center: bool = True) -> Float:
    """Return the k principal angles, in radians, smallest first, between the top-k right singular subspaces.

    The two sides need the same dimensions D; items may differ. Angles are 0 to π/2 (Björck & Golub 1973).
    """
    a, b = numpy_of(x), numpy_of(y)
    for side, name in ((a, "x"), (b, "y")):
        if side.ndim != 2 or 0 in side.shape:
            raise ValueError(f"{name} must be a non-empty (items, dimensions) matrix, got shape {side.shape}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"x and y must have the same dimensions, got {a.shape[1]} and {b.shape[1]}")
    most = min(*a.shape, *b.shape)
    if not 1 <= k <= most:
        raise ValueError(f"k must be within 1 and {most}, got {k}")
    va, vb = leading_directions(a, k, center=center), leading_directions(b, k, center=center)
    cosines = np.linalg.svd(va @ vb.T, compute_uv=False)
    sines = np.linalg.svd(vb - (vb @ va.T) @ va, compute_uv=False)[::-1]
    # The cosine loses half of the digits near 0, the sine near π/2; each is used where it is exact.
    by_cosine, by_sine = np.arccos(np.clip(cosines, 0, 1)), np.arcsin(np.clip(sines, 0, 1))
    return np.asarray(np.where(cosines**2 > 0.5, by_sine, by_cosine))


def anisotropy(x: Any, *, center: bool = False) -> float:
    """Return the mean cosine similarity over all pairs of different items, −1/(N−1) to 1 (Ethayarajh 2019).

    Not centred by default: centring would remove the common direction that is being asked about. Items with a zero vector
    are refused. Rows are read in blocks.
    """
    raw = numpy_of(x)
    if raw.ndim != 2 or len(raw) < 2:
        raise ValueError("a pair needs at least two items")
    middle = raw.mean(axis=0, dtype=np.float64) if center else 0.0
    total = np.zeros(raw.shape[1])
    for start in range(0, len(raw), BLOCK_ROWS):
        block = matrix(raw[start : start + BLOCK_ROWS], center=False) - middle
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        if (norms == 0).any():
            raise ValueError("an item's features are all zero: its cosine is undefined")
        total += (block / norms).sum(axis=0)
    return (float(total @ total) - len(raw)) / (len(raw) * (len(raw) - 1))
