"""What a section is made of. Sections return blocks, templates draw them; neither computes in the other's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Badge",
    "Block",
    "Card",
    "Cards",
    "Code",
    "Definitions",
    "Details",
    "Estimate",
    "Figure",
    "Link",
    "Links",
    "Note",
    "Picture",
    "Samples",
    "Section",
    "Stats",
    "Table",
    "TableCell",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with what it rests on beneath it (an interval, or the values of single seeds). Both are our own text."""

    kind: Literal["estimate"] = "estimate"
    text: str
    below: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A state as icon, word and colour; the word carries the meaning."""

    kind: Literal["badge"] = "badge"
    icon: str
    word: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A hash, a path or a command."""

    kind: Literal["code"] = "code"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A section of the report by its id. ``{number}`` and ``{title}`` in the text are filled in when the whole report is known."""

    section: str
    text: str = "{number} {title}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Words of our own, and sections that they lead to."""

    kind: Literal["links"] = "links"
    before: str = ""
    links: tuple[Link, ...]


TableCell = str | Estimate | Badge | Code | Links
"""What stands in a table or beside a name. A plain string may come from outside and is isolated when printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A paragraph. ``tone`` is ``plain``, ``warning`` or ``quiet``."""

    kind: Literal["note"] = "note"
    text: str
    tone: Literal["plain", "finding", "warning", "quiet"] = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A few headline figures: (label, value)."""

    kind: Literal["stats"] = "stats"
    rows: tuple[tuple[str, TableCell], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose numbers are formatted before they come here.

    Parameters
    ----------
    align : str
        One letter per column: ``l`` words, ``r`` numbers, ``c`` a training condition, ``w`` longer words, ``t`` running
        text and ``a`` answers (both keep their line breaks).
    headers : int
        How many leading cells of a row are its head.
    notes : tuple of str
        Printed beneath: what a dash stands for, how seeds were summarised.
    evidence : tuple of str
        Files of the run folder that hold the items behind the numbers.
    label : str
        ``Table 3``; given when the whole report is known.
    """

    kind: Literal["table"] = "table"
    caption: str
    columns: tuple[str, ...]
    align: str
    rows: tuple[tuple[TableCell, ...], ...]
    headers: int = 1
    notes: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        widths = {len(self.columns), len(self.align), *(len(row) for row in self.rows)}
        if len(widths) > 1:
            raise ValueError(f"table {self.caption!r}: columns, align and every row need one length, got {sorted(widths)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An SVG as a ``data:`` URI, with its size in CSS pixels, so that the page keeps its place while pictures are decoded."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture, what it shows in words, its takeaway, and the same numbers as a table."""

    kind: Literal["figure"] = "figure"
    picture: Picture
    alt: str
    caption: str
    table: Table | None = None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One declared claim and what became of it."""

    badge: Badge
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
    """Names beside their values or explanations."""

    kind: Literal["definitions"] = "definitions"
    title: str | None = None
    rows: tuple[tuple[str, TableCell], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Items that were shown to the models: how they were chosen, how many of how many, and the items."""

    kind: Literal["samples"] = "samples"
    title: str
    rule: str
    showing: str
    path: str | None
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
    """One section of the report; its number is given when the whole report is known."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    number: int = 0
