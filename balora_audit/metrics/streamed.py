"""Gram matrices and alignment of features that come in blocks of rows: nothing of size N × D is ever copied (METHODS §6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.linalg.blas import dsyrk

from balora_audit.metrics.arrays import Float, matrix

__all__ = ["BLOCK_ROWS", "Moments", "ratio_of_hsic", "streamed_cka", "unbiased_hsic"]

BLOCK_ROWS = 4096


class Moments:
    """Count, mean and Gram matrix of rows that are added block by block.

    Parameters
    ----------
    dimensions : int
        D.

    Notes
    -----
    Rows are taken relative to the mean of the first block before they are multiplied, so that features far from 0 lose no
    digits; the true mean is taken off at the end.
    """

    def __init__(self, dimensions: int) -> None:
        if dimensions < 1:
            raise ValueError(f"features need at least one dimension, got {dimensions}")
        self.count = 0
        self._shift_D: Float | None = None
        self._sum_D = np.zeros(dimensions)
        self._gram_DD = np.zeros((dimensions, dimensions), order="F")

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self._sum_D)

    def add(self, block: Any) -> Float:
        """Add rows (n, D) and return them relative to the first block's mean; `ValueError` for another width or what is not finite."""
        rows_ND = matrix(block, center=False, name="block")
        if rows_ND.shape[1] != self.dimensions:
            raise ValueError(f"this stream has {self.dimensions} dimensions, the block has {rows_ND.shape[1]}")
        if self._shift_D is None:
            self._shift_D = rows_ND.mean(axis=0)
        rows_ND = rows_ND - self._shift_D
        self.count += len(rows_ND)
        self._sum_D += rows_ND.sum(axis=0)
        # one triangle, added up in place
        self._gram_DD = dsyrk(1.0, rows_ND.T, beta=1.0, c=self._gram_DD, overwrite_c=1)
        return np.asarray(rows_ND)

    @property
    def mean(self) -> Float:
        """The mean row, (D,)."""
        if self._shift_D is None:
            raise ValueError("a stream without rows has no mean")
        return np.asarray(self._shift_D + self._sum_D / self.count)

    def gram(self, *, center: bool = True) -> Float:
        """Return XᵀX of the rows, (D, D), centred unless told otherwise."""
        if self._shift_D is None:
            raise ValueError("a stream without rows has no Gram matrix")
        upper = np.triu(self._gram_DD)
        whole = upper + np.triu(upper, 1).T
        if center:
            return np.asarray(whole - np.outer(self._sum_D, self._sum_D) / self.count)
        cross = np.outer(self._shift_D, self._sum_D)
        return np.asarray(whole + cross + cross.T + self.count * np.outer(self._shift_D, self._shift_D))


def streamed_cka(pairs: Iterable[tuple[Any, Any]], *, debiased: bool = False) -> float:
    """Return linear CKA of two feature matrices given as pairs of blocks of the same rows, (n, D₁) and (n, D₂), centred.

    Equal to `linear_cka` of the whole matrices (Kornblith et al. 2019; debiased: Song et al. 2012).
    """
    found: _Pair | None = None
    for left, right in pairs:
        x, y = matrix(left, center=False), matrix(right, center=False, name="y")
        if len(x) != len(y):
            raise ValueError(f"x and y must be features of the same items, got {len(x)} and {len(y)} rows")
        if found is None:
            found = _Pair(x.shape[1], y.shape[1])
        found.add(x, y)
    if found is None:
        raise ValueError("there are no rows to compare")
    return found.debiased() if debiased else found.plain()


class _Pair:
    """What two streams of the same rows have in common, enough for both estimators of CKA.

    With the rows taken off their mean, K has the diagonal ‖x_i‖², and its row sums without it are −‖x_i‖² each, so that everything that
    HSIC₁ asks of the N × N matrices is a sum over rows or a norm of a D₁ × D₂ matrix.
    """

    def __init__(self, x_dimensions: int, y_dimensions: int) -> None:
        self.x, self.y = Moments(x_dimensions), Moments(y_dimensions)
        self._cross = np.zeros((x_dimensions, y_dimensions))
        # of rows relative to the first block's mean: ‖x‖², x·‖x‖², x·‖y‖², and products of the norms, added up
        self._squares = np.zeros((2, 2))
        self._weighted: dict[tuple[int, int], Float] = {}
        self._norms = np.zeros(2)

    def add(self, x: Any, y: Any) -> None:
        """Take rows of both streams."""
        rows = (self.x.add(x), self.y.add(y))
        self._cross += rows[0].T @ rows[1]
        norms = [np.einsum("nd,nd->n", side, side) for side in rows]
        self._norms += [float(side.sum()) for side in norms]
        self._squares += [[float(a @ b) for b in norms] for a in norms]
        for place, side in enumerate(rows):
            for other, norm in enumerate(norms):
                self._weighted[place, other] = self._weighted.get((place, other), 0.0) + side.T @ norm

    def plain(self) -> float:
        """Return the estimator of Kornblith et al."""
        own, other = float(np.linalg.norm(self.x.gram())), float(np.linalg.norm(self.y.gram()))
        if own == 0 or other == 0:
            raise ValueError("all features of one side are the same: CKA is undefined")
        return min(1.0, float(np.linalg.norm(self._centred(0, 1))) ** 2 / (own * other))

    def debiased(self) -> float:
        """Return the ratio of unbiased estimators of HSIC."""
        return ratio_of_hsic(*(self._hsic(a, b) for a, b in ((0, 1), (0, 0), (1, 1))))

    def _side(self, place: int) -> Moments:
        return (self.x, self.y)[place]

    def _centred(self, a: int, b: int) -> Float:
        """Return the centred cross products of two sides, (D_a, D_b)."""
        if a == b:
            return self._side(a).gram()
        return np.asarray(self._cross - np.outer(self.x._sum_D, self.y._sum_D) / self.x.count)

    def _norm_products(self, a: int, b: int) -> float:
        """Return Σ ‖a_i − ā‖²·‖b_i − b̄‖² from sums over rows that were not centred."""
        count = self.x.count
        mean_a, mean_b = self._side(a)._sum_D / count, self._side(b)._sum_D / count
        square_a, square_b = float(mean_a @ mean_a), float(mean_b @ mean_b)
        raw = self._raw(a, b)
        return float(
            self._squares[a, b]
            - 2 * mean_b @ self._weighted[b, a]
            - 2 * mean_a @ self._weighted[a, b]
            + 4 * mean_a @ raw @ mean_b
            + square_b * (self._norms[a] - 2 * count * square_a)
            + square_a * (self._norms[b] - 2 * count * square_b)
            + count * square_a * square_b
        )

    def _raw(self, a: int, b: int) -> Float:
        """Return the cross products of two sides as they were added, (D_a, D_b)."""
        count = self.x.count
        return np.asarray(self._centred(a, b) + np.outer(self._side(a)._sum_D, self._side(b)._sum_D) / count)

    def _hsic(self, a: int, b: int) -> float:
        products = self._norm_products(a, b)
        trace_a, trace_b = (float(np.trace(self._side(place).gram())) for place in (a, b))
        return unbiased_hsic(self.x.count, float(np.linalg.norm(self._centred(a, b)) ** 2) - products, -trace_a, -trace_b, products)


def unbiased_hsic(count: int, trace: float, sum_k: float, sum_m: float, rows: float) -> float:
    """Return HSIC₁ of N items (Song et al. 2012, eq. 5) from sums over the Gram matrices K̃ and L̃ without their diagonals.

    Parameters
    ----------
    count : int
        N, at least 4.
    trace, sum_k, sum_m, rows : float
        ``tr(K̃L̃)``, ``1ᵀK̃1``, ``1ᵀL̃1`` and ``1ᵀK̃L̃1``.
    """
    if count < 4:
        raise ValueError(f"the debiased estimator needs at least four items, got {count}")
    return (trace + sum_k * sum_m / ((count - 1) * (count - 2)) - 2 * rows / (count - 2)) / (count * (count - 3))


def ratio_of_hsic(cross: float, own: float, other: float) -> float:
    """Return CKA from the three HSIC; raises `ValueError` where one side varies no more than by chance."""
    if own <= 0 or other <= 0:
        raise ValueError("the features of one side are all the same, or vary no more than by chance: CKA is undefined")
    return min(1.0, cross / float(np.sqrt(own * other)))
