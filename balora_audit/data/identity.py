"""Two-way swaps of identity terms: ``swap(swap(x)) == x`` on every text that gets a counterfactual (METHODS §5).

Built in are English gendered words and names. *Her* is both *his* and *him*; which one is meant is told from the word after
it. Where the way back would not lead home, the text has no counterfactual. Users' files of other terms are read in
`balora_audit.data.swap_files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from balora_audit.data.biography_parts import GENDERED_NAMES

__all__ = ["GENDERED", "Swaps", "counterfactual", "identity_terms", "placebo", "swap"]

_MORE_NAMES: tuple[tuple[str, str], ...] = (
    ("Elizabeth", "Michael"), ("Jennifer", "William"), ("Linda", "Richard"), ("Patricia", "Joseph"), ("Barbara", "Charles"),
    ("Jessica", "Christopher"), ("Nancy", "Matthew"), ("Betty", "Anthony"), ("Margaret", "Steven"), ("Sandra", "Andrew"),
    ("Diane", "Joshua"), ("Kimberly", "Kenneth"), ("Donna", "Brian"), ("Michelle", "Edward"), ("Cheryl", "Ronald"),
    ("Amanda", "Timothy"), ("Melissa", "Jason"), ("Deborah", "Jeffrey"), ("Stephanie", "Ryan"), ("Rebecca", "Jacob"),
    ("Sharon", "Gary"), ("Cynthia", "Nicholas"), ("Kathleen", "Eric"), ("Amy", "Jonathan"), ("Angela", "Stephen"),
    ("Shirley", "Larry"), ("Brenda", "Justin"), ("Pamela", "Raymond"), ("Nicole", "Brandon"), ("Samantha", "Benjamin"),
    ("Katherine", "Samuel"), ("Christine", "Gregory"), ("Catherine", "Alexander"), ("Rachel", "Patrick"), ("Carolyn", "Zachary"),
    ("Janet", "Dennis"), ("Maria", "Jerry"), ("Teresa", "Tyler"), ("Julie", "Aaron"), ("Hannah", "Nathan"),
)  # fmt: skip
"""(female, male) first names beside those of the built-in biographies, in two-way pairs; none is also a common word."""

_PAIRS: tuple[tuple[str, str], ...] = (
    ("she", "he"), ("herself", "himself"), ("hers", "his"), ("woman", "man"), ("women", "men"), ("girl", "boy"),
    ("girls", "boys"), ("mother", "father"), ("mothers", "fathers"), ("daughter", "son"), ("daughters", "sons"),
    ("sister", "brother"), ("sisters", "brothers"), ("wife", "husband"), ("wives", "husbands"), ("aunt", "uncle"),
    ("aunts", "uncles"), ("niece", "nephew"), ("nieces", "nephews"), ("queen", "king"), ("queens", "kings"),
    ("actress", "actor"), ("actresses", "actors"), ("grandmother", "grandfather"), ("girlfriend", "boyfriend"),
    ("female", "male"), ("females", "males"), ("lady", "gentleman"), ("ladies", "gentlemen"), ("mom", "dad"),
    ("mum", "dad"), ("bride", "groom"), ("mrs", "mr"), ("ms", "mr"), ("madam", "sir"), ("waitress", "waiter"),
    *((female.lower(), male.lower()) for female, male in (*GENDERED_NAMES, *_MORE_NAMES)),
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


def _neighbours(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield names two by two, so that renaming undoes itself."""
    yield from zip(names[::2], names[1::2], strict=False)


RENAMED = Swaps(pairs=tuple(pair for side in (0, 1) for pair in _neighbours([names[side] for names in (*GENDERED_NAMES, *_MORE_NAMES)])))
"""English first names, each with another one of the same gender."""


def placebo(text: str) -> str | None:
    """Return the text with every known first name replaced by another one of the same gender, or None; see `Swaps.counterfactual`.

    Examples
    --------
    >>> placebo("Mary met John."), placebo("She met him.")
    ('Anna met Peter.', None)
    """
    return RENAMED.counterfactual(text)


def swap(text: str) -> str:
    """Return the text about the other gender; see `Swaps.swap`."""
    return GENDERED.swap(text)


def counterfactual(text: str) -> str | None:
    """Return the text about the other gender, or None; see `Swaps.counterfactual`."""
    return GENDERED.counterfactual(text)


def identity_terms() -> tuple[str, ...]:
    """Return all built-in identity terms, to be protected from noise."""
    return GENDERED.terms
