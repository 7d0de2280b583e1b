"""Punctuation and white space: a mark is lost or doubled, a stray mark or a second space follows a word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["PUNCTUATION"]

_MARKS = ",.;:!?-"


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    word = units[index]
    core = word.rstrip()
    if not core:
        return None
    space = word[len(core) :]
    choice = int(rng.integers(3))
    if choice == 0 and core[-1] in _MARKS and len(core) > 1:
        return core[:-1] + space
    if choice == 1:
        return core + " " + (space or " ")
    return core + _MARKS[int(rng.integers(len(_MARKS)))] + space


PUNCTUATION = Perturbation(name="punctuation", unit="word", description="punctuation lost or added, spaces doubled", change=_change)
