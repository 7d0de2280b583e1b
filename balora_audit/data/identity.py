"""Two-way swaps of identity terms: ``swap(swap(x)) == x`` on every text that gets a counterfactual (METHODS §5).

Built in are English gendered words and names. *Her* is both *his* and *him*; which one is meant is told from the word after
it. Where the way back would not lead home, the text has no counterfactual. A user's own file gives other terms.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from balora_audit.data.biography_parts import GENDERED_NAMES
from balora_audit.errors import DataError

__all__ = ["GENDERED", "Swaps", "counterfactual", "identity_terms", "read_swaps", "swap"]

_PAIRS: tuple[tuple[str, str], ...] = (
    ("she", "he"), ("herself", "himself"), ("hers", "his"), ("woman", "man"), ("women", "men"), ("girl", "boy"),
    ("girls", "boys"), ("mother", "father"), ("mothers", "fathers"), ("daughter", "son"), ("daughters", "sons"),
    ("sister", "brother"), ("sisters", "brothers"), ("wife", "husband"), ("wives", "husbands"), ("aunt", "uncle"),
    ("aunts", "uncles"), ("niece", "nephew"), ("nieces", "nephews"), ("queen", "king"), ("queens", "kings"),
    ("actress", "actor"), ("actresses", "actors"), ("grandmother", "grandfather"), ("girlfriend", "boyfriend"),
    ("female", "male"), ("females", "males"), ("lady", "gentleman"), ("ladies", "gentlemen"), ("mom", "dad"),
    ("mum", "dad"), ("bride", "groom"), ("mrs", "mr"), ("ms", "mr"), ("madam", "sir"), ("waitress", "waiter"),
    *((female.lower(), male.lower()) for female, male in GENDERED_NAMES),
)  # fmt: skip
_NOT_A_NOUN = frozenset(
    [
        "and", "or", "but", "if", "when", "while", "because", "as", "at", "in", "on", "by", "to", "for",
        "from", "with", "of", "that", "than", "then", "so", "after", "before", "until", "into", "about",
        "over", "under", "again", "too", "yesterday", "today", "tomorrow", "is", "was", "were", "are", "be",
        "been", "has", "had", "have", "did", "does", "do", "will", "would", "could", "should", "may", "might",
        "must", "not", "never", "also",
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Swaps:
    """A table of terms and what each becomes.

    Parameters
    ----------
    pairs : tuple of (str, str)
        The terms; of several pairs with one term, the first decides what it becomes.
    possessives : bool
        Whether *her*, *him*, *his* and *hers* are swapped too, by grammar.
    """

    pairs: tuple[tuple[str, str], ...]
    possessives: bool = False
    _other: dict[str, str] = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        other: dict[str, str] = {}
        for left, right in self.pairs:
            other.setdefault(left.lower(), right)
            other.setdefault(right.lower(), left)
        if self.possessives:
            other |= {"her": "him", "him": "her", "his": "hers", "hers": "his"}
        longest_first = sorted(other, key=lambda term: (-len(term), term))
        spaced = (re.escape(term).replace(r"\ ", r"\s+") for term in longest_first)
        object.__setattr__(self, "_other", other)
        object.__setattr__(self, "_pattern", re.compile(rf"(?<![^\W_])(?:{'|'.join(spaced)})(?![^\W_])", re.IGNORECASE))

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term that is swapped, in lower case."""
        return tuple(self._other)

    def swap(self, text: str) -> str:
        """Return the text with every term replaced by its counterpart, in the same case; a possessive *'s* stays."""
        return self._pattern.sub(lambda match: _same_case(match.group(), self._counterpart(match)), text)

    def counterfactual(self, text: str) -> str | None:
        """Return the swapped text, or None when it has no term or the swap does not undo itself."""
        other = self.swap(text)
        return other if other != text and self.swap(other) == text else None

    def _counterpart(self, match: re.Match[str]) -> str:
        term = " ".join(match.group().lower().split())
        if self.possessives and term in ("her", "his") and _takes_noun(match.string[match.end() :]):
            return "his" if term == "her" else "her"
        # a pattern that ignores case also takes the long s for an s; such a term stays as it is
        return self._other.get(term, match.group())


def _takes_noun(after: str) -> bool:
    """Whether a possessive is likely here: a word follows directly, and it is none that starts another phrase."""
    match = re.match(r"\s+([^\W\d_]+)", after)
    return match is not None and match.group(1).lower() not in _NOT_A_NOUN


def _same_case(model: str, term: str) -> str:
    if model.isupper() and len(model) > 1:
        return term.upper()
    return term[:1].upper() + term[1:] if model[:1].isupper() else term


GENDERED = Swaps(pairs=_PAIRS, possessives=True)
"""English gendered words and names."""


def swap(text: str) -> str:
    """Return the text about the other gender; see `Swaps.swap`."""
    return GENDERED.swap(text)


def counterfactual(text: str) -> str | None:
    """Return the text about the other gender, or None; see `Swaps.counterfactual`."""
    return GENDERED.counterfactual(text)


def identity_terms() -> tuple[str, ...]:
    """Return all built-in identity terms, to be protected from noise."""
    return GENDERED.terms


def read_swaps(path: Path) -> Swaps:
    """Return the terms of a user's file: ``.csv`` or ``.tsv`` with two columns, or ``.json`` with pairs or an object.

    Raises
    ------
    DataError
        The file is missing or not readable, a row is no pair, or a term has two counterparts: a swap must lead back.
    """
    if path.suffix not in (".csv", ".tsv", ".json"):
        raise DataError(f"{path}: swaps are read from .csv, .tsv or .json, not from {path.suffix or 'a file without a suffix'!r}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"swap file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"swap file {path} is not UTF-8 (offset {error.start}); convert it first") from error
    rows = _json_pairs(text, path) if path.suffix == ".json" else _table_pairs(text, path)
    seen: dict[str, tuple[str, str]] = {}
    pairs = []
    for where, pair in rows:
        pairs.append(_checked(pair, where, path.name, seen))
    if not pairs:
        raise DataError(f"swap file {path} has no pairs")
    return Swaps(pairs=tuple(pairs))


def _checked(pair: Sequence[object], where: str, name: str, seen: dict[str, tuple[str, str]]) -> tuple[str, str]:
    if len(pair) != 2 or not all(isinstance(term, str) for term in pair):
        raise DataError(f"{name}, {where}: a swap is a pair of two terms, got {list(pair)!r}")
    left, right = str(pair[0]), str(pair[1])
    for term, partner in ((left, right), (right, left)):
        if not term.strip() or term != " ".join(term.split()):
            raise DataError(f"{name}, {where}: {term!r} is empty or has white space that it should not have")
        if not (term[0].isalnum() and term[-1].isalnum()):
            raise DataError(f"{name}, {where}: {term!r} must begin and end with a letter or digit")
        if term.lower() in seen:
            earlier, line = seen[term.lower()]
            raise DataError(
                f"{name}, {where}: {term!r} is already swapped with {earlier!r} ({line}), and now with {partner!r}; "
                "a swap must lead back, so each term may stand in one pair only"
            )
    if left.lower() == right.lower():
        raise DataError(f"{name}, {where}: {left!r} is swapped with itself")
    seen[left.lower()], seen[right.lower()] = (right, where), (left, where)
    return left.lower(), right.lower()


def _table_pairs(text: str, path: Path) -> Iterable[tuple[str, Sequence[object]]]:
    reader = csv.reader(text.splitlines(), delimiter="\t" if path.suffix == ".tsv" else ",")
    for number, row in enumerate(reader, start=1):
        if not row or (number == 1 and [cell.strip().lower() for cell in row] == ["left", "right"]):
            continue
        yield f"line {number}", row


def _json_pairs(text: str, path: Path) -> Iterable[tuple[str, Sequence[object]]]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"swap file {path} is not JSON: {error}") from error
    rows = list(found.items()) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not all(isinstance(row, list | tuple) for row in rows):
        raise DataError(f"swap file {path} must hold an object of terms, or a list of pairs")
    yield from ((f"pair {number}", row) for number, row in enumerate(rows, start=1))
