"""Gram matrices and alignment of features that come in blocks of rows: nothing of size N × D is ever copied (METHODS §6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.linalg.blas import dsyrk

from balora_audit.metrics.arrays import Float, matrix

__all__ = ["BLOCK_ROWS", "Moments", "streamed_cka"]

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


def streamed_cka(pairs: Iterable[tuple[Any, Any]]) -> float:
    """Return linear CKA of two feature matrices given as pairs of blocks of the same rows, (n, D₁) and (n, D₂), centred.

    Equal to `linear_cka` of the whole matrices (Kornblith et al. 2019).
    """
    mine: Moments | None = None
    theirs: Moments | None = None
    cross: Float | None = None
    for left, right in pairs:
        x, y = matrix(left, center=False), matrix(right, center=False, name="y")
        if len(x) != len(y):
            raise ValueError(f"x and y must be features of the same items, got {len(x)} and {len(y)} rows")
        if mine is None or theirs is None or cross is None:
            mine, theirs, cross = Moments(x.shape[1]), Moments(y.shape[1]), np.zeros((x.shape[1], y.shape[1]))
        x_shifted, y_shifted = mine.add(x), theirs.add(y)
        cross += x_shifted.T @ y_shifted
    if mine is None or theirs is None or cross is None:
        raise ValueError("there are no rows to compare")
    cross -= np.outer(mine._sum_D, theirs._sum_D) / mine.count
    own, other = float(np.linalg.norm(mine.gram())), float(np.linalg.norm(theirs.gram()))
    if own == 0 or other == 0:
        raise ValueError("all features of one side are the same: CKA is undefined")
    return min(1.0, float(np.linalg.norm(cross)) ** 2 / (own * other))
