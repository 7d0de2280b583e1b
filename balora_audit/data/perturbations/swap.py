"""Transpositions: a letter and the one after it change places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Joined, Perturbation

__all__ = ["SWAP"]


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> Joined | None:
    del rng
    start = index
    while start > 0 and units[start - 1].isalpha():
        start -= 1
    if (index - start) % 2:  # disjoint pairs within a word: more hits then never undo earlier ones
        return None
    if index + 1 >= len(units) or not (units[index].isalpha() and units[index + 1].isalpha()):
        return None
    return None if units[index] == units[index + 1] else Joined(units[index + 1] + units[index])


SWAP = Perturbation(name="swap", unit="character", description="two neighbouring letters change places", change=_change)
