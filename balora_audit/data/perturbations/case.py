"""Casing: a letter changes between upper and lower case."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["CASE"]


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    del rng
    swapped = units[index].swapcase()
    return swapped if swapped != units[index] else None


CASE = Perturbation(name="case", unit="character", description="a letter changes its case", change=_change)
