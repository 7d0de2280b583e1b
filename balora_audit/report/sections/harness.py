"""Tasks of lm-evaluation-harness, as the harness reports them."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Note, Table, TableCell
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.numbers import MISSING, condition_title
from balora_audit.report.rows import Reader
from balora_audit.report.tables import cells, comparison_table

__all__ = ["HARNESS"]

_PROBE = "harness"


def _blocks(reader: Reader) -> list[Block]:
    """Return one row per task and metric, and the paired differences; a note where no task was run."""
    measurements = reader.rows(_PROBE)
    if not measurements:
        return [Note(text="Not run: no lm-evaluation-harness task is part of this audit.")]
    rows: list[tuple[TableCell, ...]] = []
    seen = dict.fromkeys((reader.slice_of(row), row.metric, row.condition) for row in measurements)
    for slice, metric, condition in seen:
        found = reader.across(_PROBE, metric, slice, condition)
        n = next((f"{f.n:,}" for f in found if f is not None), MISSING)
        rows.append((slice.title, reader.metric(metric).title, condition_title(condition), n, *cells(found)))
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
    return blocks_or_reason(reader, _PROBE, blocks)


HARNESS = SectionBuilder(name="harness", title="lm-evaluation-harness results", blocks=_blocks, probe=_PROBE)
