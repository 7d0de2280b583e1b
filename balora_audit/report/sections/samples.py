"""Section 11: the items themselves, as far as they are shown."""

from __future__ import annotations

from balora_audit.records import SampleRow, SampleTable
from balora_audit.report.blocks import Block, Cell, Note, Samples, Section, Table
from balora_audit.report.numbers import MISSING, PROBE_TITLES, condition_title
from balora_audit.report.rows import Reader

__all__ = ["samples"]

_MOST_ROWS = 20
_MOST_INPUT = 1200
_MOST_ANSWER = 400


def samples(reader: Reader) -> Section:
    """Return the shown items with their selection rule and how many of how many they are."""
    blocks: list[Block] = [_samples(reader, table) for table in reader.record.samples]
    if blocks:
        text = "Texts are shown as the models read them, isolated from the page; control characters are spelled out."
        blocks.insert(0, Note(text=text, tone="quiet"))
    else:
        blocks = [Note(text="No items are shown: none were kept for these data.")]
    return Section(id="samples", title="Samples", blocks=tuple(blocks))


def _samples(reader: Reader, table: SampleTable) -> Samples:
    shown = table.rows[:_MOST_ROWS]
    remarks = any(row.note for row in shown)
    tail = ("Remark",) if remarks else ()
    return Samples(
        title=f"{PROBE_TITLES.get(table.probe, table.probe)}: {table.title}",
        rule=f"Selection: {table.rule}.",
        showing=f"Showing {len(shown):,} of {table.total:,}.",
        path=table.path,
        table=Table(
            caption=f"{table.title}, trained on {condition_title(table.condition)}",
            columns=("Item", "Input", "Gold", *(reader.title(model) for model in reader.models), *tail),
            align="lt" + "a" * (1 + len(reader.models)) + "l" * len(tail),
            rows=tuple(_row(reader, row, remarks=remarks) for row in shown),
        ),
    )


def _row(reader: Reader, row: SampleRow, *, remarks: bool) -> tuple[Cell, ...]:
    answers = (row.answers.get(model) for model in reader.models)
    said = [MISSING if answer is None else _cut(answer, _MOST_ANSWER) for answer in answers]
    return (row.id, _cut(row.input, _MOST_INPUT), _cut(row.gold, _MOST_ANSWER), *said, *([row.note] if remarks else []))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… [showing {most:,} of {len(text):,} characters]"
