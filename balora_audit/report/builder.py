"""What a section of the report is made by, and what stands in its place where there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from balora_audit.report.blocks import Block, Note, Section
from balora_audit.report.rows import Reader

__all__ = ["SectionBuilder", "blocks_or_reason"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionBuilder:
    """One section: what it is called, and how its blocks are made of a record.

    Parameters
    ----------
    name : str
        The section's id, to which links on the page lead.
    title : str
        Its heading.
    blocks : callable
        (reader) → the blocks, from nothing but what the reader knows: the same ``audit.json`` gives the same page.
    probe : str, optional
        The probe whose numbers it shows. A probe that no section shows gets tables of its own.
    after : str
        For a section from another package: the section of this package that it follows.
    """

    name: str
    title: str
    blocks: Callable[[Reader], Sequence[Block]]
    probe: str | None = None
    after: str = "harness"

    def build(self, reader: Reader) -> Section:
        """Return the section of a record.

        Raises
        ------
        TypeError
            Something other than blocks was made.
        """
        blocks = tuple(self.blocks(reader))
        wrong = next((type(block).__name__ for block in blocks if not isinstance(block, Block)), None)
        if wrong is not None:
            raise TypeError(f"the section {self.name!r} must be made of blocks, got {wrong}")
        return Section(id=self.name, title=self.title, blocks=blocks)


def blocks_or_reason(reader: Reader, probe: str, blocks: Sequence[Block]) -> list[Block]:
    """Return a probe's blocks, or the note that says why nothing was measured; never empty figures."""
    if blocks and reader.measured(probe):
        return list(blocks)
    reasons = list(dict.fromkeys(row.reason for row in reader.rows(probe) if row.reason))
    asked = reader.record.config.get("probes")
    if reasons:
        why = "; ".join(reasons)
    elif isinstance(asked, list) and probe not in asked:
        why = "the probe was not asked for"
    elif reader.record.errors:
        why = "every model it needs failed; the summary lists the failures"
    else:
        why = "the audit holds no numbers of this probe"
    return [Note(text=f"Not measured: {why}.")]
