"""Fillers: a word that says nothing slips in before a word, as in speech. English only."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Perturbation, is_latin

__all__ = ["FILLER", "looks_english"]

_FILLERS = ("um,", "uh,", "well,", "like,", "you know,", "I mean,", "actually,", "basically,", "so,", "sort of")
_ENGLISH = frozenset(
    [
        "the", "and", "that", "with", "this", "from", "they", "you", "she", "his", "it", "its", "it's",
        "which", "there", "would", "what", "were", "been", "their", "of", "is", "he", "i", "my", "an",
        "because", "about", "who", "whose", "where", "when",
    ]
)  # fmt: skip
"""Common English words. A few exist elsewhere (*an* in German, *is* and *of* in Dutch), so such a text can be taken for English."""


def looks_english(text: str) -> bool:
    """Whether most letters are Latin and one of the commonest English words occurs; a rule of thumb for one text."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(is_latin(character) for character in letters)
    return 2 * latin > len(letters) and any(word in _ENGLISH for word in re.findall(r"[a-z']+", text.lower()))


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | None:
    word = units[index]
    return f"{_FILLERS[int(rng.integers(len(_FILLERS)))]} {word}" if word[:1].isalpha() else None


FILLER = Perturbation(name="filler", unit="word", description="a filler word slips in (English)", change=_change, suits=looks_english)
