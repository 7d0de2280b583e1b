"""How far a model moved where it was not trained, and what it kept of what the base gets right."""

from __future__ import annotations

from balora_audit.report.blocks import Block
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.charts import by_condition
from balora_audit.report.rows import Reader
from balora_audit.report.tables import metric_tables

__all__ = ["DRIFT"]

_PROBE = "drift"


def _blocks(reader: Reader) -> list[Block]:
    """Return the drift measurements by training condition."""
    blocks: list[Block] = []
    for metric in reader.group(_PROBE, "headline"):
        blocks += by_condition(reader, _PROBE, metric)
    return blocks_or_reason(reader, _PROBE, [*blocks, *metric_tables(reader, _PROBE, "Distance from the base")])


DRIFT = SectionBuilder(name="drift", title="Knowledge drift", blocks=_blocks, probe=_PROBE)
