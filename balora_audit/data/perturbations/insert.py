"""Insertions: a random lower-case letter slips in after a letter."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation, is_latin

__all__ = ["INSERT"]


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    if not is_latin(units[index]):
        return None  # a Latin letter among others would be a change of script
    return units[index] + string.ascii_lowercase[int(rng.integers(26))]


INSERT = Perturbation(name="insert", unit="character", description="a random letter slips in", change=_change)
