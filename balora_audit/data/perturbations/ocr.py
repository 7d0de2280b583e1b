"""OCR confusions: a character is read as one that looks alike in print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation

__all__ = ["OCR"]

_ALIKE: dict[str, tuple[str, ...]] = {
    "o": ("0", "c"), "0": ("O", "o"), "O": ("0", "Q"), "l": ("1", "I"), "1": ("l", "I"), "I": ("l", "1"), "i": ("j", "l"),
    "e": ("c", "o"), "c": ("e", "o"), "a": ("o", "e"), "s": ("5", "8"), "5": ("S", "s"), "S": ("5", "8"), "B": ("8", "R"),
    "8": ("B", "3"), "g": ("q", "9"), "q": ("g", "9"), "9": ("g", "q"), "m": ("rn", "nn"), "n": ("ri", "u"), "u": ("n", "ii"),
    "w": ("vv", "uu"), "d": ("cl", "o"), "h": ("b", "li"), "b": ("h", "6"), "6": ("b", "G"), "G": ("6", "C"), "t": ("f", "l"),
    "f": ("t", "r"), "r": ("n", "i"), "z": ("2", "x"), "2": ("Z", "z"), "Z": ("2", "7"), "v": ("y", "u"), "y": ("v", "g"),
    "D": ("O", "0"), "E": ("F", "B"), "F": ("E", "P"), "P": ("F", "R"), "R": ("P", "B"), "T": ("I", "7"), "C": ("G", "O"),
}  # fmt: skip


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    alike = _ALIKE.get(units[index])
    return None if alike is None else alike[int(rng.integers(len(alike)))]


OCR = Perturbation(name="ocr", unit="character", description="a character is misread as one that looks alike", change=_change)
