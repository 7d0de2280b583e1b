"""How numbers and outside text are printed: one obvious place, so that every number in the report rounds alike."""

from __future__ import annotations

import unicodedata

from balora_audit.vocabulary import METRICS

__all__ = ["MISSING", "bytes_text", "change", "interval_text", "p_text", "value_text", "visible"]

MISSING = "—"


def value_text(value: float | None, metric: str) -> str:
    """Print a value in its metric's unit: shares in percent with one decimal, everything else with three digits."""
    if value is None:
        return MISSING
    return f"{100 * value:.1f} %" if METRICS[metric].unit == "share" else _digits(value)


def change(value: float | None, metric: str) -> str:
    """Print a difference with its sign: shares in percentage points, everything else with three digits."""
    if value is None:
        return MISSING
    if METRICS[metric].unit == "share":
        return f"{100 * value:+.1f} points".replace("-", "−")
    return ("+" if value > 0 else "") + _digits(value)


def interval_text(low: float | None, high: float | None, metric: str, *, signed: bool = False) -> str:
    """Print an interval."""
    if low is None or high is None:
        return "no interval"
    show = change if signed else value_text
    first = show(low, metric).removesuffix(" points").removesuffix(" %")
    return f"{first} to {show(high, metric)}"


def p_text(value: float | None) -> str:
    """Print a p-value; never as 0."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def bytes_text(value: int | None) -> str:
    """Print a size in memory."""
    return MISSING if value is None else f"{value / 1e9:.2f} GB"


def visible(text: str) -> str:
    """Make control characters and broken surrogates visible; everything else stays verbatim.

    NUL cannot stand in HTML at all, and other control characters would act on a terminal or vanish.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F or 0x80 <= code < 0xA0 or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF):
        return f"\\u{code:04x}"
    return character if unicodedata.category(character) != "Co" else f"\\u{code:04x}"


def _digits(value: float) -> str:
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return text.replace("-", "−", 1) if text.startswith("-") else text
