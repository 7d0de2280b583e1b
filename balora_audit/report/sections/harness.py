"""Section 10: tasks of lm-evaluation-harness, as the harness reports them."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Cell, Note, Section, Table
from balora_audit.report.numbers import MISSING, condition_title, info
from balora_audit.report.rows import Reader
from balora_audit.report.tables import comparison_table, section_or_reason

__all__ = ["harness"]

_PROBE = "harness"


def harness(reader: Reader) -> Section:
    """Return one row per task and metric, and the paired differences; a note where no task was run."""
    if not any(row.probe == _PROBE for row in reader.record.measurements):
        note = Note(text="Not run: no lm-evaluation-harness task is part of this audit.")
        return Section(id=_PROBE, title="lm-evaluation-harness results", blocks=(note,))
    rows: list[tuple[Cell, ...]] = []
    seen = dict.fromkeys((row.slice, row.metric, row.condition) for row in reader.record.measurements if row.probe == _PROBE)
    for slice, metric, condition in seen:
        found = reader.across(_PROBE, metric, slice, condition)
        n = next((f"{f.n:,}" for f in found if f is not None), MISSING)
        cells = [MISSING if f is None else f.cell for f in found]
        rows.append((slice, info(metric).title, condition_title(condition), n, *cells))
    blocks: list[Block] = [
        Table(
            caption="Harness tasks by model; versions and shots stand with the task's name and in the provenance",
            columns=("Task", "Metric", "Trained on", "Items", *(reader.title(model) for model in reader.models)),
            align="llcr" + "r" * len(reader.models),
            rows=tuple(rows),
        )
    ]
    differences = [row for row in reader.record.comparisons if row.probe == _PROBE]
    if differences:
        blocks.append(comparison_table(reader, "Harness tasks: paired differences", differences, verdicts=False))
    return section_or_reason(reader, _PROBE, "lm-evaluation-harness results", blocks)
