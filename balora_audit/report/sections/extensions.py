"""Sections of probes that other packages brought: their metrics by model, as tables."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Section
from balora_audit.report.numbers import BUILT_IN, condition_title, info
from balora_audit.report.rows import Reader
from balora_audit.report.tables import metric_table, section_or_reason, slice_table

__all__ = ["extension", "foreign_probes"]


def foreign_probes(reader: Reader) -> list[str]:
    """Return the probes of the record that are not built in, in order of appearance."""
    return list(dict.fromkeys(row.probe for row in reader.record.measurements if row.probe not in BUILT_IN))


def extension(reader: Reader, probe: str) -> Section:
    """Return the section of one such probe."""
    blocks: list[Block] = []
    for condition in reader.conditions(probe):
        metrics = reader.metrics(probe, condition)
        if metrics:
            caption = f"{reader.probe_title(probe)}, trained on {condition_title(condition)}"
            blocks.append(metric_table(reader, probe, condition, metrics, caption))
    for metric in dict.fromkeys(row.metric for row in reader.record.measurements if row.probe == probe):
        conditions = [c for c in reader.conditions(probe, (metric,)) if set(reader.slices(probe, metric, c)) - {"all", "clean"}]
        if conditions:
            blocks.append(slice_table(reader, probe, metric, conditions, f"{info(metric).title}, in parts", "Part"))
    return section_or_reason(reader, probe, reader.probe_title(probe), blocks)
