"""What the records of an audit share: verdicts, their signs, and the rule that numbers are finite or absent."""

from __future__ import annotations

import math
from typing import Any, Literal

__all__ = ["VERDICT_ICONS", "Json", "Verdict", "finite"]

Verdict = Literal["supported", "contradicted", "equivalent", "inconclusive", "not comparable", "not run", "error"]
VERDICT_ICONS: dict[Verdict, str] = {
    "supported": "▲",
    "contradicted": "▼",
    "equivalent": "≈",
    "inconclusive": "?",
    "not comparable": "⊘",
    "not run": "∅",
    "error": "!",
}
"""Every verdict, in the order in which they are counted, with the sign that stands for it wherever it is shown."""
Json = dict[str, Any]


def finite(record: object, *names: str) -> None:
    """Raise `ValueError` where one of these fields of a record is neither finite nor None."""
    for name in names:
        value = getattr(record, name)
        if value is not None and not math.isfinite(value):
            raise ValueError(
                f"{type(record).__name__}.{name} must be finite or None, got {value!r}; "
                "record None with a reason where a quantity is undefined"
            )
