"""How alike two feature matrices of the same items are, and how aligned features are among themselves (METHODS §6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from balora_audit.metrics.arrays import Float, matrix, numpy_of
from balora_audit.metrics.streamed import BLOCK_ROWS, streamed_cka

__all__ = ["anisotropy", "linear_cka", "principal_angles"]

_MANY = 16384
"""Beyond so many items the matrices are read in blocks, and none is copied as a whole."""


def linear_cka(x: Any, y: Any, *, center: bool = True) -> float:
    """Return linear CKA ``‖YᵀX‖_F² / (‖XᵀX‖_F ‖YᵀY‖_F)``, 0 to 1 (Kornblith et al. 2019).

    Unchanged by rotations and isotropic scaling of either side. (N, D₁) and (N, D₂) on the same items in the same order.
    """
    left, right = numpy_of(x), numpy_of(y)
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


def principal_angles(x: Any, y: Any, k: int, *, center: bool = True) -> Float:
    """Return the k principal angles, in radians, smallest first, between the top-k right singular subspaces.

    The two sides need the same dimensions D; items may differ. Angles are 0 to π/2 (Björck & Golub 1973).
    """
    a, b = matrix(x, center=center), matrix(y, center=center, name="y")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"x and y must have the same dimensions, got {a.shape[1]} and {b.shape[1]}")
    most = min(*a.shape, *b.shape)
    if not 1 <= k <= most:
        raise ValueError(f"k must be within 1 and {most}, got {k}")
    va, vb = (np.linalg.svd(m, full_matrices=False)[2][:k] for m in (a, b))
    cosines = np.linalg.svd(va @ vb.T, compute_uv=False)
    sines = np.linalg.svd(vb - (vb @ va.T) @ va, compute_uv=False)[::-1]
    # The cosine loses half of the digits near 0, the sine near π/2; each is used where it is exact.
    by_cosine, by_sine = np.arccos(np.clip(cosines, 0, 1)), np.arcsin(np.clip(sines, 0, 1))
    return np.asarray(np.where(cosines**2 > 0.5, by_sine, by_cosine))


def anisotropy(x: Any, *, center: bool = False) -> float:
    """Return the mean cosine similarity over all pairs of different items, −1/(N−1) to 1 (Ethayarajh 2019).

    Not centred by default: centring would remove the common direction that is being asked about. Items with a zero vector
    are refused.
    """
    a = matrix(x, center=center)
    if len(a) < 2:
        raise ValueError("a pair needs at least two items")
    norms = np.linalg.norm(a, axis=1, keepdims=True)
    if (norms == 0).any():
        raise ValueError("an item's features are all zero: its cosine is undefined")
    total = float(np.square((a / norms).sum(axis=0)).sum())
    return (total - len(a)) / (len(a) * (len(a) - 1))
