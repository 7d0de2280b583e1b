"""Deletions: a letter or digit is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["DELETE"]


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    del rng
    return "" if units[index][:1].isalnum() else None


DELETE = Perturbation(name="delete", unit="character", description="a letter or digit is missing", change=_change)
