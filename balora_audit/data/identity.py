"""Two-way swap of gendered words and names: ``swap(swap(x)) == x`` on every text it accepts (METHODS §5).

English only. *Her* is both *his* and *him*; which one is meant is told from the word after it. Where the way back would not
lead home, the text has no counterfactual.
"""

from __future__ import annotations

import re

from balora_audit.data.biography_parts import GENDERED_NAMES

__all__ = ["counterfactual", "swap"]

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
_OTHER: dict[str, str] = {}
for _female, _male in _PAIRS:
    _OTHER.setdefault(_female, _male)
    _OTHER.setdefault(_male, _female)
_OTHER["him"] = "her"

_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)
_NOT_A_NOUN = frozenset(
    [
        "and",
        "or",
        "but",
        "if",
        "when",
        "while",
        "because",
        "as",
        "at",
        "in",
        "on",
        "by",
        "to",
        "for",
        "from",
        "with",
        "of",
        "that",
        "than",
        "then",
        "so",
        "after",
        "before",
        "until",
        "into",
        "about",
        "over",
        "under",
        "again",
        "too",
        "yesterday",
        "today",
        "tomorrow",
        "is",
        "was",
        "were",
        "are",
        "be",
        "been",
        "has",
        "had",
        "have",
        "did",
        "does",
        "do",
        "will",
        "would",
        "could",
        "should",
        "may",
        "might",
        "must",
        "not",
        "never",
        "also",
    ]
)


def swap(text: str) -> str:
    """Return the text with every gendered word replaced by its counterpart, in the same case."""
    pieces, last = [], 0
    for match in _WORD.finditer(text):
        other = _counterpart(match.group(), text[match.end() :])
        if other is not None:
            pieces += [text[last : match.start()], _same_case(match.group(), other)]
            last = match.end()
    return "".join([*pieces, text[last:]])


def counterfactual(text: str) -> str | None:
    """Return the swapped text, or None when nothing is gendered or the swap does not undo itself."""
    other = swap(text)
    return other if other != text and swap(other) == text else None


def _counterpart(word: str, after: str) -> str | None:
    lower = word.lower()
    if lower == "her":
        return "his" if _takes_noun(after) else "him"
    if lower == "his":
        return "her" if _takes_noun(after) else "hers"
    return _OTHER.get(lower)


def _takes_noun(after: str) -> bool:
    """Whether a possessive is likely here: a word follows directly, and it is none that starts another phrase."""
    match = re.match(r"\s+([^\W\d_]+)", after)
    return match is not None and match.group(1).lower() not in _NOT_A_NOUN


def _same_case(model: str, word: str) -> str:
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word.capitalize() if model[0].isupper() else word
