"""Keyboard typos: a letter becomes its neighbour on a QWERTY keyboard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["TYPO"]

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> dict[str, str]:
    place = {letter: (row, column + 0.5 * row) for row, line in enumerate(_ROWS) for column, letter in enumerate(line)}
    return {
        a: "".join(sorted(b for b, (r, c) in place.items() if b != a and abs(r - ra) <= 1 and abs(c - ca) <= 1))
        for a, (ra, ca) in place.items()
    }


_NEAR = _neighbours()


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    near = _NEAR.get(units[index].lower())
    if near is None:
        return None
    letter = near[int(rng.integers(len(near)))]
    return letter.upper() if units[index].isupper() else letter


TYPO = Perturbation(name="typo", unit="character", description="a letter becomes its keyboard neighbour", change=_change)
