"""How numbers and outside text are printed: one obvious place, so that every number in the report rounds alike."""

from __future__ import annotations

import unicodedata

from balora_audit.data.conditions import parse
from balora_audit.errors import ConfigurationError
from balora_audit.metric import Metric

__all__ = [
    "MISSING",
    "bytes_text",
    "capitalised",
    "change",
    "condition_title",
    "count_text",
    "digits",
    "interval_text",
    "isolated",
    "magnitude",
    "p_text",
    "plain",
    "range_text",
    "scale",
    "value_text",
    "visible",
]

MISSING = "—"
_MINUS = "\N{MINUS SIGN}"
_PERCENT = "\N{NO-BREAK SPACE}%"
_ISOLATES, _END = "\u2066\u2067\u2068", "\u2069"
_DIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def scale(metric: Metric) -> float:
    """Return 100 for shares, which are drawn in percent, and 1 for everything else."""
    return 100.0 if metric.unit == "share" else 1.0


def value_text(value: float | None, metric: Metric) -> str:
    """Print a value in its metric's unit: shares in percent with one decimal, everything else with three digits."""
    if value is None:
        return MISSING
    return f"{_tenths(100 * value)}{_PERCENT}" if metric.unit == "share" else digits(value)


def change(value: float | None, metric: Metric) -> str:
    """Print a difference with its sign: shares in percentage points, everything else with three digits."""
    if value is None:
        return MISSING
    text = f"{_tenths(100 * value)} points" if metric.unit == "share" else digits(value)
    return text if value <= 0 or text.startswith("0.0 ") else f"+{text}"


def magnitude(value: float, metric: Metric, *, unit: bool = True) -> str:
    """Print the size of a difference, without its sign: ``3.1 points``, ``0.703 nats``, ``2.09``."""
    if metric.unit == "share":
        return _tenths(100 * abs(value)) + (" points" if unit else "")
    return digits(abs(value)) + (" nats" if unit and metric.unit == "nats" else "")


def interval_text(low: float | None, high: float | None, metric: Metric, *, signed: bool = False) -> str:
    """Print an interval without its unit, which stands beside the value."""
    if low is None or high is None:
        return "no interval"
    first, last = ((change if signed else value_text)(end, metric).removesuffix(" points").removesuffix(_PERCENT) for end in (low, high))
    return f"{first} to {last}"


def range_text(low: float | None, high: float | None, metric: Metric) -> str:
    """Print the ends of a range with their unit: ``60.2 to 76.8 %``."""
    return interval_text(low, high, metric) + (_PERCENT if metric.unit == "share" and low is not None and high is not None else "")


def plain(value: float, metric: Metric) -> str:
    """Print a value without its unit."""
    return value_text(value, metric).removesuffix(_PERCENT)


def digits(value: float) -> str:
    """Print three significant digits; from 1,000 on whole numbers with thousands set apart.

    Examples
    --------
    >>> digits(60.0), digits(0.70312), digits(12345.6), digits(999.7), digits(0.0)
    ('60.0', '0.703', '12,346', '1,000', '0')
    """
    if value == 0:
        return "0"
    text = f"{value:#.3g}".rstrip(".")
    if abs(float(text)) >= 1000:
        text = f"{value:,.0f}"
    return text.replace("-", _MINUS, 1) if text.startswith("-") else text


def _tenths(value: float) -> str:
    text = f"{value:,.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", _MINUS)


def p_text(value: float | None) -> str:
    """Print a p-value; never as 0."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def bytes_text(value: int | None) -> str:
    """Print a size in memory."""
    return MISSING if value is None else f"{value / 1e9:.2f} GB"


def count_text(value: int | None) -> str:
    """Print a count with thousands set apart."""
    return MISSING if value is None else f"{value:,}"


def capitalised(title: str) -> str:
    """Return a title as a sentence begins; names in it keep their capitals.

    Examples
    --------
    >>> capitalised("response NLL")
    'Response NLL'
    """
    return title[:1].upper() + title[1:]


def condition_title(condition: str) -> str:
    """Return a training condition in words; one of an unknown form stays as it is.

    Examples
    --------
    >>> condition_title("clean"), condition_title("noise:0.3"), condition_title("imbalance:20+noise:0.1")
    ('clean data', '30 % wrong labels', 'imbalance 20:1, 10 % wrong labels')
    """
    return ", ".join(_part_title(part) for part in condition.split("+"))


def _part_title(part: str) -> str:
    try:
        return parse(part).title
    except ConfigurationError:
        return isolated(part)


def visible(text: str, *, directional: bool = False) -> str:
    r"""Make control characters and broken surrogates visible; everything else stays verbatim.

    NUL cannot stand in HTML at all, and other control characters would vanish. With `directional`, the marks that
    reorder text are spelled out too: a picture has no element that could isolate them.

    Examples
    --------
    >>> visible("a\x00b\x1b[31m"), visible("\u202eabc", directional=True)
    ('a\\x00b\\x1b[31m', '\\u202eabc')
    """
    return "".join(_shown(character, directional) for character in text)


def isolated(text: str) -> str:
    r"""Keep the writing direction of outside text from reaching the words around it, where one sentence holds both.

    The text stays verbatim between an isolate and its end; only an end that would close our isolate is spelled out.

    Examples
    --------
    >>> isolated("LoRA"), isolated("\u202eLoRA") == "\u2068\u202eLoRA\u2069"
    ('LoRA', True)
    """
    if not any(character in _DIRECTIONAL or unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text):
        return text
    depth, parts = 0, []
    for character in text:
        depth += (character in _ISOLATES) - (character == _END)
        parts.append("\\u2069" if depth < 0 else character)
        depth = max(depth, 0)
    return f"\u2068{''.join(parts)}{_END * (depth + 1)}"


def _shown(character: str, directional: bool) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20 or 0x7F <= code < 0xA0:
        return f"\\x{code:02x}"
    if 0xD800 <= code <= 0xDFFF or code & 0xFFFE == 0xFFFE or unicodedata.category(character) == "Co":
        return f"\\u{code:04x}"
    return f"\\u{code:04x}" if directional and character in _DIRECTIONAL else character
