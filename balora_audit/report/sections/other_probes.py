"""Sections of probes that no section of the package and none from elsewhere shows: their metrics by model, as tables."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from balora_audit.report.blocks import Block
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.rows import Reader
from balora_audit.report.tables import metric_tables, part_tables

__all__ = ["for_other_probes"]


def for_other_probes(reader: Reader, shown: Collection[str], taken: Collection[str]) -> list[SectionBuilder]:
    """Return a section for each measured probe that none of the others shows; its id is the probe's name where that is free."""
    probes = dict.fromkeys(row.probe for row in reader.record.measurements if row.probe not in shown)
    return [
        SectionBuilder(
            name=f"probe-{probe}" if probe in taken else probe,
            title=reader.probe_title(probe),
            blocks=partial(_tables, probe=probe),
            probe=probe,
        )
        for probe in probes
    ]


def _tables(reader: Reader, *, probe: str) -> list[Block]:
    metrics = list(dict.fromkeys(row.metric for row in reader.rows(probe)))
    blocks = [*metric_tables(reader, probe, reader.probe_title(probe)), *part_tables(reader, probe, metrics, ", in parts", "Part")]
    return blocks_or_reason(reader, probe, blocks)
