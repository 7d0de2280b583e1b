"""Delete-group jackknife intervals of what is computed from a whole matrix of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from balora_audit.stats import Jackknife

__all__ = ["FEW_GROUPS", "GROUPS", "deal", "jackknife"]

GROUPS = 20
FEW_GROUPS = 10
"""For measures that decompose with vectors each time."""


def deal(count: int, groups: int) -> np.ndarray:
    """Return a group number for each item, dealt in turn."""
    return np.arange(count) % min(count, groups)


def jackknife(function: Callable[..., float], matrices: Sequence[np.ndarray], groups: np.ndarray, within: tuple[float, float]) -> Jackknife:
    """Return a function of matrices with one row per item, with each group of items left out; its values lie `within` bounds.

    Groups need not be of one size: their sizes enter the variance.
    """
    left_out = [float(function(*(matrix[groups != group] for matrix in matrices))) for group in range(int(groups.max()) + 1)]
    sizes = np.bincount(groups)
    return Jackknife(items=len(groups), estimate=float(function(*matrices)), left_out=np.array(left_out), sizes=sizes, within=within)
