"""Word repeat: a word is written twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["WORD_REPEAT"]


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    del rng
    word = units[index].strip()
    return f"{word} {units[index]}" if word else None


WORD_REPEAT = Perturbation(name="word_repeat", unit="word", description="a word is written twice", change=_change)
