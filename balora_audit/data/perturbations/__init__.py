"""Input noise: one kind per file, one line each in :data:`PERTURBATIONS` (METHODS §4)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from balora_audit.data.perturbations.case import CASE
from balora_audit.data.perturbations.delete import DELETE
from balora_audit.data.perturbations.homoglyph import HOMOGLYPH
from balora_audit.data.perturbations.insert import INSERT
from balora_audit.data.perturbations.ocr import OCR
from balora_audit.data.perturbations.perturbation import Perturbation, clusters, words
from balora_audit.data.perturbations.punctuation import PUNCTUATION
from balora_audit.data.perturbations.swap import SWAP
from balora_audit.data.perturbations.typo import TYPO
from balora_audit.data.perturbations.word_drop import WORD_DROP
from balora_audit.data.perturbations.word_repeat import WORD_REPEAT
from balora_audit.errors import unknown_name

__all__ = ["PERTURBATIONS", "Perturbation", "Perturbed", "perturb"]

PERTURBATIONS: dict[str, Perturbation] = {
    "typo": TYPO,
    "swap": SWAP,
    "delete": DELETE,
    "insert": INSERT,
    "case": CASE,
    "punctuation": PUNCTUATION,
    "ocr": OCR,
    "homoglyph": HOMOGLYPH,
    "word_drop": WORD_DROP,
    "word_repeat": WORD_REPEAT,
}

_ALWAYS_PROTECTED = re.compile(r"https?://\S+|www\.\S+|\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbed:
    """A noisy copy of a text: how many of its units (characters or words) were changed."""

    text: str
    changed: int
    units: int


def perturb(name: str, text: str, *, severity: int, seed: int, item_id: str, protect: Sequence[str] = ()) -> Perturbed:
    """Return a noisy copy of a text; severity 0 returns it byte for byte.

    The draw depends on (name, seed, item id) alone, by SHA-256, so it is the same in every process; a higher severity
    changes a superset of the units. URLs, numbers and the words in `protect` are never touched.

    Raises
    ------
    ConfigurationError
        The kind of noise is unknown.
    ValueError
        The severity is not within 0 and 5.
    """
    if name not in PERTURBATIONS:
        raise unknown_name("perturbation", name, PERTURBATIONS)
    noise = PERTURBATIONS[name]
    if not 0 <= severity < len(noise.rates):
        raise ValueError(f"severity must be within 0 and {len(noise.rates) - 1}, got {severity}")
    units = clusters(text) if noise.unit == "character" else words(text)
    if severity == 0 or not units:
        return Perturbed(text=text, changed=0, units=len(units))
    frozen = _protected(text, units, protect)
    digest = hashlib.sha256(f"{name}\x1f{seed}\x1f{item_id}".encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    draws = rng.random(len(units))
    own = rng.integers(2**63, size=len(units))
    pieces, changed, skip = [], 0, False
    for index, unit in enumerate(units):
        if skip:  # the unit before took this one along (a swap of two letters)
            skip = False
            continue
        takes_next = name == "swap"
        blocked = frozen[index] or (takes_next and index + 1 < len(units) and frozen[index + 1])
        found = None
        if draws[index] < noise.rates[severity] and not blocked:
            found = noise.change(units, index, np.random.default_rng(int(own[index])))
        if found is None:
            pieces.append(unit)
            continue
        pieces.append(found)
        changed += 1
        skip = takes_next
    if noise.unit == "word" and changed == len(units) and not "".join(pieces).strip():
        return Perturbed(text=text, changed=0, units=len(units))  # a text that would vanish is left alone
    return Perturbed(text="".join(pieces), changed=changed, units=len(units))


def _protected(text: str, units: Sequence[str], protect: Sequence[str]) -> list[bool]:
    spans = [match.span() for match in _ALWAYS_PROTECTED.finditer(text)]
    for word in protect:
        if word:
            spans += [match.span() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)]
    frozen, start = [], 0
    for unit in units:
        end = start + len(unit)
        frozen.append(any(low < end and start < high for low, high in spans))
        start = end
    return frozen
