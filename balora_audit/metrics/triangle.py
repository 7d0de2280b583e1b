"""Singular values of rows that come in blocks, to full precision: a triangular factor instead of a Gram matrix (METHODS §6).

Squaring a matrix squares its condition: of a Gram matrix in float64, singular values below 1e-8 of the largest are noise, and those
of 1e-7 have two digits. The factor R of X = QR keeps the digits of X, and R of a longer X follows from those of its parts, however many
(TSQR: Demmel et al. 2012, SIAM J. Sci. Comput. 34).

Shapes: N item, D dimension, M new row, K row of the factor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtpqrt

from balora_audit.metrics.arrays import Float, matrix

__all__ = ["Triangle", "each_left_out", "without_rounding"]

_PANEL = 32
_RELATIVE_ZERO = 1e-10
"""Singular values below this share of the largest are what rounding leaves where centring or exact dependence makes them zero."""


class Triangle:
    """Count, mean and triangular factor of rows that are added block by block.

    Parameters
    ----------
    dimensions : int
        D.

    Notes
    -----
    ``RᵀR = Σ (x − mean)(x − mean)ᵀ``. Each block is centred on its own mean before it is factored, so that features far from 0 lose no
    digits. Two streams of n and m rows whose means are d apart have the scatter of both and, on top, that of the one row
    ``√(nm/(n + m))·d`` (Chan, Golub & LeVeque 1983).
    """

    def __init__(self, dimensions: int) -> None:
        if dimensions < 1:
            raise ValueError(f"features need at least one dimension, got {dimensions}")
        self.count = 0
        self._mean_D: Float = np.zeros(dimensions)
        self._factor_KD: Float = np.zeros((0, dimensions))  # upper trapezoid, K = min(count, D): so few rows take no D × D

    def add(self, block: Any) -> None:
        """Add rows (n, D); `ValueError` for another width or what is not finite."""
        rows_ND = matrix(block, center=False, name="block")
        if rows_ND.shape[1] != len(self._mean_D):
            raise ValueError(f"this stream has {len(self._mean_D)} dimensions, the block has {rows_ND.shape[1]}")
        mean_D = rows_ND.mean(axis=0)
        self._absorb(rows_ND - mean_D, len(rows_ND), mean_D, triangular=0)

    def join(self, other: Triangle) -> None:
        """Add the rows of another stream."""
        self._absorb(other._factor_KD, other.count, other._mean_D, triangular=len(other._factor_KD))

    def copy(self) -> Triangle:
        """Return a stream of the same rows that can be added to on its own."""
        found = Triangle(len(self._mean_D))
        found.count, found._mean_D, found._factor_KD = self.count, self._mean_D, self._factor_KD
        return found

    def singular_values(self, *, center: bool = True) -> Float:
        """Return the singular values of the rows, largest first, min(N, D) of them; raises `ValueError` for rank 0."""
        if self.count == 0:
            raise ValueError("a stream without rows has no singular values")
        factor_KD = self._factor_KD
        if not center:
            factor_KD = np.vstack([factor_KD, math.sqrt(self.count) * self._mean_D])
        sigma = np.linalg.svd(factor_KD, compute_uv=False)[: min(self.count, len(self._mean_D))]
        return without_rounding(sigma)

    def _absorb(self, rows_MD: Float, count: int, mean_D: Float, *, triangular: int) -> None:
        """Take in the scatter of `count` more rows: that of `rows_MD`, of which the last `triangular` are an upper trapezoid."""
        total = self.count + count
        between_D = math.sqrt(self.count * count / total) * (mean_D - self._mean_D)
        dimensions = len(self._mean_D)
        factor_DD = np.zeros((dimensions, dimensions), order="F")
        factor_DD[: len(self._factor_KD)] = self._factor_KD
        below_MD = np.asfortranarray(np.vstack([between_D, rows_MD]))
        factor_DD = dtpqrt(triangular, min(_PANEL, dimensions), factor_DD, below_MD, overwrite_a=1, overwrite_b=1)[0]
        self._factor_KD = factor_DD if total >= dimensions else factor_DD[:total].copy()
        self._mean_D = self._mean_D + count / total * (mean_D - self._mean_D)
        self.count = total


def without_rounding(sigma: NDArray[Any]) -> Float:
    """Return singular values with rounding errors as 0; raises `ValueError` where all are 0 or one is not finite."""
    if sigma[0] <= np.finfo(np.float64).tiny or not np.isfinite(sigma[0]):
        raise ValueError("all features are the same (rank 0): the spectrum has no shape")
    return np.asarray(np.where(sigma > _RELATIVE_ZERO * sigma[0], sigma, 0.0), dtype=np.float64)


def each_left_out(parts: Sequence[Triangle]) -> Iterator[Triangle]:
    """Yield, for each of two or more streams in turn, the stream of all the others.

    Halves of the parts are joined and passed down to the other half, so that G parts take G·log₂G joins instead of G².
    """
    yield from _within(parts, Triangle(len(parts[0]._mean_D)))


def _within(parts: Sequence[Triangle], others: Triangle) -> Iterator[Triangle]:
    if len(parts) == 1:
        yield others
        return
    middle = len(parts) // 2
    for own, left_out in ((parts[:middle], parts[middle:]), (parts[middle:], parts[:middle])):
        joined = others.copy()
        for part in left_out:
            joined.join(part)
        yield from _within(own, joined)
