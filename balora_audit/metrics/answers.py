"""Exact match of written answers: find the answer in a text, bring it to one form, compare.

An *extractor* is a function from a text to its answer, None where there is none. `EXTRACTORS` holds those with a name;
``regex:PATTERN`` makes one from a regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from balora_audit.errors import ConfigurationError, DataError, unknown_name

__all__ = ["EXTRACTORS", "Extractor", "exact_match", "find_extractor", "guess_extractor"]

Extractor = Callable[[str], str | None]

_MARK = "####"
_PATTERN_PREFIX = "regex:"
# A minus belongs to a number unless something stands before it that it could be subtracted from. Commas are separators of
# thousands only in groups of three. The exponent has at most two digits, so that no text asks for a number of a million places.
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w).,%\]])[-+\u2212])?[$€£]?(?:"
    r"(?P<fraction>(?:[0-9]+ )?[0-9]+/[0-9]+(?![0-9/.,]*[0-9/]))"
    r"|(?P<plain>(?:[0-9]{1,3}(?:,[0-9]{3})+(?!,?[0-9])|[0-9]+)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2}(?![0-9A-Za-z]))?"
    r"|(?<![\w.])\.[0-9]+))"
)
_STATED = re.compile(r"\b(?i:answer(?:\s+is)?)\s*:?\s*\**\s*[(\[]?(?:([A-E])(?![\w'’-])|([a-e])(?![\w'’-])(?!\s+[A-Za-z]))")
# "A" before a lower-case word is an article, unless that word says something about the option.
_LETTER = re.compile(r"(?<![\w'’-])(?:\(([A-Ea-e])\)|([B-E])(?![\w'’-])|(A)(?![\w'’-])(?!\s+[a-z])|(A)(?=\s+(?:is|was|because|and|or)\b))")


def _normal(found: re.Match[str]) -> str:
    sign = "-" if found["sign"] in ("-", "\u2212") else ""
    if found["fraction"]:
        return sign + found["fraction"]
    digits = format(Decimal(found["plain"].replace(",", "")), "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits if digits == "0" else sign + digits


def _number(text: str) -> str | None:
    found = list(_NUMBER.finditer(text))
    return _normal(found[-1]) if found else None


def _gsm8k(text: str) -> str | None:
    _, mark, tail = text.rpartition(_MARK)
    first = _NUMBER.search(tail) if mark else None
    return _number(text) if first is None else _normal(first)


def _line(text: str) -> str | None:
    return next((" ".join(line.split()).casefold() for line in text.splitlines() if line.strip()), None)


def _letter(text: str) -> str | None:
    found = _STATED.search(text) or _LETTER.search(text)
    return None if found is None else next(group for group in found.groups() if group).upper()


def _text(text: str) -> str | None:
    return " ".join(text.split()) or None


EXTRACTORS: dict[str, Extractor] = {
    "gsm8k": _gsm8k,  # the number after the last "####" (as GSM8K writes it, arXiv 2110.14168), else the last number
    "number": _number,  # the last number: without $ and %, separators of thousands or needless zeros; 1/2 stays 1/2
    "line": _line,  # the first line that is not empty, without regard to case and spacing
    "letter": _letter,  # the option, A to E, that "answer is …" states, else the first letter that stands alone: "(B)", "B."
    "text": _text,  # all of it, without regard to spacing
}


def find_extractor(name: str) -> Extractor:
    r"""Return the extractor of that name; ``regex:PATTERN`` gives what the first group of the first match holds.

    A pattern without a group gives its whole match. Spaces around what was found do not count.

    Raises
    ------
    ConfigurationError
        There is none of that name (near names are given), or the pattern is no regular expression.

    Examples
    --------
    >>> find_extractor("gsm8k")("6 * 200 = 1200, so\n#### $1,200.00")
    '1200'
    >>> find_extractor("regex:colou?r: (.*)")("Its color: dark red ")
    'dark red'
    """
    if name.startswith(_PATTERN_PREFIX):
        return _by_pattern(name.removeprefix(_PATTERN_PREFIX))
    if name not in EXTRACTORS:
        raise unknown_name("answer extractor", name, [*EXTRACTORS, f"{_PATTERN_PREFIX}PATTERN"])
    return EXTRACTORS[name]


def _by_pattern(written: str) -> Extractor:
    try:
        pattern = re.compile(written)
    except re.error as error:
        raise ConfigurationError(f"the answer extractor {_PATTERN_PREFIX}{written} is no regular expression: {error}") from error
    if not written:
        raise ConfigurationError(f"the answer extractor {_PATTERN_PREFIX} needs a pattern, as in {_PATTERN_PREFIX}Answer: (.*)")

    def extract(text: str) -> str | None:
        found = pattern.search(text)
        answer = None if found is None else found[1 if pattern.groups else 0]
        return None if answer is None else answer.strip()

    return extract


def exact_match(written: Sequence[str], references: Sequence[str], extractor: Extractor) -> NDArray[np.bool_]:
    """Return (N,) whether each written text gives the answer of its reference; a text without an answer is wrong.

    Raises
    ------
    DataError
        A reference has no answer: the extractor does not suit the data.
    ValueError
        There is not one reference per text.

    Examples
    --------
    >>> exact_match(["I think 12.", "no idea"], ["#### 12", "#### 3"], EXTRACTORS["gsm8k"]).tolist()
    [True, False]
    """
    if len(written) != len(references):
        raise ValueError(f"need one reference per text, got {len(references)} for {len(written)}")
    expected = [extractor(reference) for reference in references]
    for index, (answer, reference) in enumerate(zip(expected, references, strict=True)):
        if answer is None:
            raise DataError(f"item {index}: no answer is found in its reference {_short(reference)}; choose another answer extractor")
    return np.array([extractor(text) == answer for text, answer in zip(written, expected, strict=True)], dtype=np.bool_)


def _short(text: str, limit_characters: int = 80) -> str:
    return repr(text if len(text) <= limit_characters else f"…{text[-limit_characters:]}")


def guess_extractor(references: Sequence[str]) -> str | None:
    """Return ``gsm8k`` where every reference has its ``####``, else None: nothing else can be told from the references."""
    return "gsm8k" if references and all(_MARK in reference for reference in references) else None
