"""Homoglyphs: a Latin letter becomes a Cyrillic or Greek one that looks the same on screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["HOMOGLYPH"]

_TWINS = dict(
    zip("aceiopsxyABCEHIKMNOPTXYZ", "асеіорѕхуАВСЕНІКМΝОРТХΥΖ", strict=True)  # the second string is Cyrillic and Greek
)


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    del rng
    return _TWINS.get(units[index])


HOMOGLYPH = Perturbation(
    name="homoglyph", unit="character", description="a letter becomes its Cyrillic or Greek look-alike", change=_change
)
