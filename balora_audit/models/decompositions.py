"""Singular value decompositions of the base's own weights, kept for the next model that is compared with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decomposition", "Decompositions"]

_KEPT_BYTES = 1_000_000_000


class Decomposition(NamedTuple):
    """W = U·diag(σ)·Vᵀ in float64, σ descending."""

    u: NDArray[np.float64]
    sigma: NDArray[np.float64]
    vt: NDArray[np.float64]


class Decompositions:
    """Decompositions by module name, up to a bound in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, Decomposition] = {}

    def of(self, name: str, weight: Callable[[], NDArray[np.float64]]) -> Decomposition:
        """Return the decomposition of a module's original weight, which `weight` gives where it is not kept yet."""
        if name not in self._kept:
            found = np.linalg.svd(weight(), full_matrices=False)
            if sum(part.nbytes for kept in self._kept.values() for part in kept) > _KEPT_BYTES:
                self._kept.clear()
            self._kept[name] = Decomposition(found.U, found.S, found.Vh)
        return self._kept[name]
