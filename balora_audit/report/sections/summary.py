"""What was completed, and what a reader must know before anything else."""

from __future__ import annotations

from balora_audit.records import CellRow, Failure
from balora_audit.report.blocks import Badge, Block, Link, Links, Note, Stats
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.numbers import condition_title, isolated
from balora_audit.report.rows import Reader

__all__ = ["STATUS", "SUMMARY", "place"]

STATUS: dict[str, Badge] = {
    "complete": Badge(icon="✓", word="complete", tone="good"),
    "incomplete": Badge(icon="!", word="incomplete", tone="bad"),
    "empty": Badge(icon="∅", word="nothing measured", tone="fault"),
    "failed": Badge(icon="!", word="failed", tone="fault"),
    "skipped": Badge(icon="∅", word="skipped", tone="open"),
}


def _blocks(reader: Reader) -> list[Block]:
    """Return progress, sizes and every warning: what failed, what was skipped, what is limited."""
    record = reader.record
    numbers = sum(row.value is not None for row in record.measurements)
    empty = len(reader.unmeasured())
    blocks: list[Block] = [
        Stats(
            rows=(
                ("planned measurements", f"{record.units.completed:,} of {record.units.planned:,} completed"),
                ("status", STATUS[record.status]),
                ("models", str(len(record.models))),
                ("seeds", str(len(reader.seeds))),
                ("numbers measured", f"{numbers:,}"),
                ("without a value", _reasons(empty) if empty else "none"),
            )
        )
    ]
    blocks += [Note(text=_failed(reader, failure), tone="warning") for failure in record.errors]
    told = {(failure.method, failure.condition, failure.seed) for failure in record.errors}
    for cell in record.cells:
        if cell.status != "complete" and (cell.method, cell.condition, cell.seed) not in told:
            blocks.append(Note(text=f"{place(reader, cell)} {cell.status}: {cell.reason or 'no reason recorded'}", tone="warning"))
    blocks += [Note(text=text, tone="warning") for text in record.warnings]
    return blocks


SUMMARY = SectionBuilder(name="summary", title="Summary", blocks=_blocks)


def place(reader: Reader, of: CellRow | Failure) -> str:
    """Say which model, trained on what, with which seed."""
    model = "a unit of work" if of.method is None else reader.title(of.method)
    condition = "" if of.condition is None else f" ({condition_title(of.condition)})"
    return f"{model}{condition}" + ("" if of.seed is None else f", seed {of.seed}")


def _reasons(empty: int) -> Links:
    return Links(before=f"{empty:,}, reasons in ", links=(Link(section="limits", text="section {number}"),))


def _failed(reader: Reader, failure: Failure) -> str:
    return f"{place(reader, failure)} failed in the stage “{isolated(failure.stage)}”: {failure.message}"
