"""Word drop: a word is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["WORD_DROP"]


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    del rng
    return "" if units[index].strip() else None


WORD_DROP = Perturbation(name="word_drop", unit="word", description="a word is missing", change=_change)
