"""What is known only when the whole report is: the numbers of sections, figures and tables, and links to sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

from balora_audit.report.blocks import Block, Definitions, Details, Figure, Link, Links, Samples, Section, Stats, Table, TableCell

__all__ = ["numbered"]


def numbered(sections: Sequence[Section]) -> list[Section]:
    """Return the sections with everything numbered in reading order, and links that say where they lead."""
    placed = [replace(section, number=number) for number, section in enumerate(sections, start=1)]
    numbers = _Numbers({section.id: section for section in placed})
    return [replace(section, blocks=tuple(numbers.block(block) for block in section.blocks)) for section in placed]


class _Numbers:
    """Counts figures and tables while it labels them."""

    def __init__(self, sections: Mapping[str, Section]) -> None:
        self._sections = sections
        self._figures, self._tables = count(1), count(1)

    def block(self, block: Block) -> Block:
        match block:
            case Table():
                return self._table(block)
            case Figure():
                label = f"Figure {next(self._figures)}"
                return replace(block, label=label, table=None if block.table is None else self._table(block.table))
            case Samples():
                return replace(block, table=self._table(block.table))
            case Details():
                return replace(block, blocks=tuple(self.block(inner) for inner in block.blocks))
            case Stats() | Definitions():
                return replace(block, rows=tuple((name, self._cell(cell)) for name, cell in block.rows))
        return block

    def _table(self, table: Table) -> Table:
        rows = tuple(tuple(self._cell(cell) for cell in row) for row in table.rows)
        return replace(table, rows=rows, label=f"Table {next(self._tables)}")

    def _cell(self, cell: TableCell) -> TableCell:
        return replace(cell, links=tuple(self._link(link) for link in cell.links)) if isinstance(cell, Links) else cell

    def _link(self, link: Link) -> Link:
        """Return the link with its words; one to a section that this page lacks leads nowhere and is only its name."""
        section = self._sections.get(link.section)
        if section is None:
            return Link(section="", text=link.section)
        return replace(link, text=link.text.format(number=section.number, title=section.title))
