"""Contractions: *don't* is written out, *do not* is contracted. English forms only."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from balora_audit.data.perturbations.perturbation import Joined, Perturbation

__all__ = ["CONTRACTION"]

_SHORT: dict[str, str] = {
    **{f"{verb}n't": f"{verb} not" for verb in (
        "do", "does", "did", "is", "are", "was", "were", "has", "have", "had", "could", "should", "would", "must", "need",
    )},
    "can't": "can not", "won't": "will not", "i'm": "i am", "let's": "let us",
    **{f"{subject}'re": f"{subject} are" for subject in ("you", "we", "they")},
    **{f"{subject}'ve": f"{subject} have" for subject in ("i", "you", "we", "they")},
    **{f"{subject}'ll": f"{subject} will" for subject in ("i", "you", "he", "she", "it", "we", "they", "that", "there")},
    **{f"{subject}'s": f"{subject} is" for subject in ("it", "he", "she", "that", "there", "what", "who", "where", "here")},
}  # fmt: skip
_LONG = {long: short for short, long in _SHORT.items()} | {"cannot": "can't"}
_OR_HAS = frozenset(["been", "got", "had", "gone", "done", "become", "made", "taken", "seen", "come"])
"""After these, *it's* means *it has*."""

_PARTS = re.compile(r"^(\W*)([^\W\d_]+(?:['\u2019][^\W\d_]+)?)(\W*)$", re.DOTALL)


def _change(units: Sequence[str], index: int, rng: np.random.Generator) -> str | Joined | None:
    del rng
    before, word, after = _parts(units[index])
    long = _SHORT.get(_plain(word))
    if long is not None:
        following = _plain(_parts(units[index + 1])[1]) if index + 1 < len(units) else ""
        if long.endswith(" is") and following in _OR_HAS:
            return None
        return before + _cased(word, long) + after
    if _plain(word) == "cannot":
        return before + _cased(word, "can't") + after
    if not _contracts(units, index):
        return None
    start = index
    while start > 0 and _contracts(units, start - 1):
        start -= 1
    if (index - start) % 2:  # of *it is not*, only *it is*: a hit at a higher rate then never undoes one at a lower rate
        return None
    _, second, end = _parts(units[index + 1])
    return Joined(before + _cased(word, _LONG[f"{_plain(word)} {_plain(second)}"]) + end)


def _contracts(units: Sequence[str], index: int) -> bool:
    if index + 1 >= len(units):
        return False
    (_, first, between), (gap, second, _) = _parts(units[index]), _parts(units[index + 1])
    return not gap and between == " " and f"{_plain(first)} {_plain(second)}" in _LONG


def _parts(unit: str) -> tuple[str, str, str]:
    found = _PARTS.match(unit)
    return ("", "", "") if found is None else (found.group(1), found.group(2), found.group(3))


def _plain(word: str) -> str:
    return word.lower().replace("\u2019", "'")


def _cased(model: str, other: str) -> str:
    if len(model) > 1 and model.isupper():
        return other.upper()
    if other.startswith("i ") or other.startswith("i'"):
        return "I" + other[1:]
    return other[0].upper() + other[1:] if model[0].isupper() else other


CONTRACTION = Perturbation(
    name="contraction", unit="word", description="a contraction is written out, or the other way round (English)", change=_change
)
