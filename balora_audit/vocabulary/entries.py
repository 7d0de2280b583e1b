"""What is said of a metric, and short ways to say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MetricInfo", "Unit", "number", "share"]

Unit = Literal["share", "nats", "ratio", "number"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """A metric: its title, unit (``share`` is printed in percent), direction, meaning and source."""

    title: str
    unit: Unit
    higher_is_better: bool | None
    meaning: str
    source: str


def share(title: str, higher: bool | None, meaning: str, source: str) -> MetricInfo:
    """Return a metric that is printed in percent."""
    return MetricInfo(title=title, unit="share", higher_is_better=higher, meaning=meaning, source=source)


def number(title: str, unit: Unit, higher: bool | None, meaning: str, source: str) -> MetricInfo:
    """Return a metric of any other unit."""
    return MetricInfo(title=title, unit=unit, higher_is_better=higher, meaning=meaning, source=source)
