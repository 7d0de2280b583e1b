"""What a perturbation is, and how its positions are drawn.

Every unit (a character with its combining marks, or a word) gets one uniform number; it is hit when the number is below
the rate of the severity. A higher severity therefore hits a superset of the units, and severity 0 hits none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import regex

__all__ = ["CHARACTER_RATES", "WORD_RATES", "Change", "Joined", "Perturbation", "clusters", "is_latin", "words"]

CHARACTER_RATES = (0.0, 0.02, 0.05, 0.08, 0.12, 0.16)
WORD_RATES = (0.0, 0.05, 0.10, 0.15, 0.20, 0.30)

Change = Callable[[Sequence[str], int, np.random.Generator], "str | Joined | None"]
"""(units, index, generator of this unit) → the unit's replacement, or None when the noise does not apply to it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A replacement of a unit and the one after it together (two letters that change places, two words that contract)."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """One kind of noise. ``change`` rewrites one unit; which units it is asked for is decided outside.

    ``suits`` says whether the kind makes sense on a whole text (English filler words do not in a German one); None: on any.
    """

    name: str
    unit: Literal["character", "word"]
    description: str
    change: Change
    suits: Callable[[str], bool] | None = None

    @property
    def rates(self) -> tuple[float, ...]:
        """The share of units hit, by severity 0–5."""
        return CHARACTER_RATES if self.unit == "character" else WORD_RATES


def clusters(text: str) -> list[str]:
    """Split a text into what a reader sees as one character (Unicode's extended grapheme clusters); joined, they are the text."""
    found: list[str] = regex.findall(r"\X", text)
    return found


def words(text: str) -> list[str]:
    """Split a text into words, each with the white space after it; joined, they are the text."""
    return re.findall(r"^\s+|\S+\s*", text) or ([text] if text else [])


def is_latin(character: str) -> bool:
    """Whether a character (with its marks) is a Latin letter."""
    return character[:1].isalpha() and unicodedata.name(character[0], "").startswith("LATIN ")
