"""What a section is made of. Sections return blocks, templates draw them; neither computes in the other's place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Block", "Card", "Cards", "Definitions", "Details", "Figure", "Note", "Samples", "Section", "Stats", "Table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A paragraph. ``tone`` is ``plain``, ``warning`` or ``quiet``."""

    kind: Literal["note"] = "note"
    text: str
    tone: Literal["plain", "warning", "quiet"] = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A few headline figures: (label, value)."""

    kind: Literal["stats"] = "stats"
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text. The first ``headers`` columns of a row are its head; numbers are formatted before they come here."""

    kind: Literal["table"] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    headers: int = 1
    numeric_from: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """An SVG picture as a data URI, what it shows in words, its takeaway, and the same numbers as a table."""

    kind: Literal["figure"] = "figure"
    uri: str
    alt: str
    caption: str
    table: Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One declared claim and what became of it."""

    verdict: str
    icon: str
    tone: str
    claim: str
    sentence: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """A titled group of verdict cards."""

    kind: Literal["cards"] = "cards"
    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Names and their explanations or values; a value may be nested pairs."""

    kind: Literal["definitions"] = "definitions"
    title: str | None = None
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Rows of items: id, input, gold, one answer per model, a remark."""

    kind: Literal["samples"] = "samples"
    title: str
    rule: str
    showing: str
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Blocks that are folded on screen and open in print."""

    kind: Literal["details"] = "details"
    summary: str
    blocks: tuple[Block, ...]


Block = Note | Stats | Table | Figure | Cards | Definitions | Samples | Details


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One numbered section of the report."""

    id: str
    title: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)
