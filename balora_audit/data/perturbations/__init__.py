"""Input noise: one kind per file, one line each in :data:`PERTURBATIONS` (METHODS §4)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from balora_audit.data.perturbations.perturbation import Joined, Perturbation, clusters, words
from balora_audit.extensions import Extensions, built_in, checked, find_extensions
from balora_audit.slices import Slice

__all__ = ["PERTURBATIONS", "Perturbation", "Perturbed", "available", "extensions", "perturb"]


def _checked(name: str, thing: object) -> Perturbation:
    noise = checked(Perturbation, name, thing, called="kind of noise")
    Slice("part", name), Slice("noise", name, 1)  # its name must not be read as that of another part of the data
    return noise


PERTURBATIONS: dict[str, Perturbation] = built_in(
    {
        "typo": "balora_audit.data.perturbations.typo:TYPO",
        "swap": "balora_audit.data.perturbations.swap:SWAP",
        "delete": "balora_audit.data.perturbations.delete:DELETE",
        "insert": "balora_audit.data.perturbations.insert:INSERT",
        "case": "balora_audit.data.perturbations.case:CASE",
        "punctuation": "balora_audit.data.perturbations.punctuation:PUNCTUATION",
        "ocr": "balora_audit.data.perturbations.ocr:OCR",
        "homoglyph": "balora_audit.data.perturbations.homoglyph:HOMOGLYPH",
        "word_drop": "balora_audit.data.perturbations.word_drop:WORD_DROP",
        "word_repeat": "balora_audit.data.perturbations.word_repeat:WORD_REPEAT",
        "filler": "balora_audit.data.perturbations.filler:FILLER",
        "contraction": "balora_audit.data.perturbations.contraction:CONTRACTION",
    },
    _checked,
)
"""The kinds of noise of this package."""

_ALWAYS_PROTECTED = re.compile(
    r"https?://\S+|www\.\S+"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"
    r"|[-+±]?[$€£¥]?\d+(?:[.,:/-]\d+)*(?:\s?%)?"
)
"""Addresses and numbers, with sign, currency, percent; dates and times are numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbed:
    """A noisy copy of a text.

    ``units`` counts its characters or words, ``applicable`` those that this kind of noise could change at any severity,
    ``changed`` those that it did change.
    """

    text: str
    changed: int
    units: int
    applicable: int


def extensions() -> Extensions[Perturbation]:
    """Return the kinds of noise that other packages bring."""
    return find_extensions("perturbation", _checked, taken=PERTURBATIONS)


def available() -> dict[str, Perturbation]:
    """Return the kinds of noise by name: those of this package, then those of other packages."""
    return {**PERTURBATIONS, **extensions().things}


def perturb(noise: Perturbation, text: str, *, severity: int, seed: int, item_id: str, protect: Sequence[str] = ()) -> Perturbed:
    """Return a noisy copy of a text; severity 0 returns it byte for byte.

    The draw depends on (name of the noise, seed, item id) alone, by SHA-256, so it is the same in every process; a higher severity
    changes a superset of the units. Web and mail addresses, numbers and the words in `protect` are never touched. Noise on words
    needs at least two of them: a text without spaces (Chinese, Japanese, Thai) is not one long word.

    Raises
    ------
    ValueError
        The severity is not within 0 and 5.
    """
    if not 0 <= severity < len(noise.rates):
        raise ValueError(f"severity must be within 0 and {len(noise.rates) - 1}, got {severity}")
    units = clusters(text) if noise.unit == "character" else words(text)
    unsuited = noise.suits is not None and not noise.suits(text)
    if unsuited or (noise.unit == "word" and sum(bool(unit.strip()) for unit in units) < 2):
        return Perturbed(text=text, changed=0, units=len(units), applicable=0)
    frozen = _protected(text, units, tuple(protect))
    any_rng = np.random.default_rng(0)
    applicable = sum(_replacement(noise, units, index, frozen, any_rng) is not None for index in range(len(units)))
    if severity == 0 or applicable == 0:
        return Perturbed(text=text, changed=0, units=len(units), applicable=applicable)
    digest = hashlib.sha256(f"{noise.name}\x1f{seed}\x1f{item_id}".encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    draws = rng.random(len(units))
    own = rng.integers(2**63, size=len(units))
    pieces, changed, index = [], 0, 0
    while index < len(units):
        found = None
        if draws[index] < noise.rates[severity]:
            found = _replacement(noise, units, index, frozen, np.random.default_rng(int(own[index])))
        if found is None:
            pieces.append(units[index])
        else:
            pieces.append(found.text if isinstance(found, Joined) else found)
            changed += 1
        index += 2 if isinstance(found, Joined) else 1
    if not "".join(pieces).strip():  # a text that would vanish is left alone
        return Perturbed(text=text, changed=0, units=len(units), applicable=applicable)
    return Perturbed(text="".join(pieces), changed=changed, units=len(units), applicable=applicable)


def _replacement(
    noise: Perturbation, units: Sequence[str], index: int, frozen: Sequence[bool], rng: np.random.Generator
) -> str | Joined | None:
    if frozen[index]:
        return None
    found = noise.change(units, index, rng)
    return None if isinstance(found, Joined) and frozen[index + 1] else found


def _protected(text: str, units: Sequence[str], protect: tuple[str, ...]) -> list[bool]:
    mask = bytearray(len(text))
    patterns = [_ALWAYS_PROTECTED, *([_any_of(protect)] if any(protect) else [])]
    for pattern in patterns:
        for match in pattern.finditer(text):
            mask[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
    frozen, start = [], 0
    for unit in units:
        frozen.append(any(mask[start : start + len(unit)]))
        start += len(unit)
    return frozen


@lru_cache(maxsize=16)
def _any_of(protect: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted({word for word in protect if word}, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
