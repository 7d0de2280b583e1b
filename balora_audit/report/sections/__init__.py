"""The report's sections, in order: (reader of a record) → blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from balora_audit.report.blocks import Block, Details, Figure, Samples, Section, Table
from balora_audit.report.rows import Reader
from balora_audit.report.sections.collapse import collapse
from balora_audit.report.sections.crosswalk import crosswalk
from balora_audit.report.sections.drift import drift
from balora_audit.report.sections.effects import effects
from balora_audit.report.sections.extensions import extension, foreign_probes
from balora_audit.report.sections.harness import harness
from balora_audit.report.sections.imbalance import imbalance
from balora_audit.report.sections.limits import limits
from balora_audit.report.sections.models import models
from balora_audit.report.sections.noise import noise
from balora_audit.report.sections.provenance import provenance
from balora_audit.report.sections.samples import samples
from balora_audit.report.sections.scope import scope
from balora_audit.report.sections.summary import summary
from balora_audit.report.sections.verdicts import verdicts

__all__ = ["SECTIONS", "build"]

SECTIONS: dict[str, Callable[[Reader], Section]] = {
    "summary": summary,
    "verdicts": verdicts,
    "scope": scope,
    "models": models,
    "effects": effects,
    "noise": noise,
    "imbalance": imbalance,
    "collapse": collapse,
    "drift": drift,
    "harness": harness,
    "samples": samples,
    "provenance": provenance,
    "limits": limits,
}


def build(reader: Reader, audit_sha256: str) -> list[Section]:
    """Return all sections with figures and tables numbered; the last one carries the hash of ``audit.json``."""
    sections: list[Section] = []
    for name, section in SECTIONS.items():
        sections.append(section(reader))
        if name == "harness":
            sections += [extension(reader, probe) for probe in foreign_probes(reader)]
    sections.append(crosswalk(audit_sha256))
    numbers = _Numbers()
    return [replace(section, blocks=tuple(numbers.label(block) for block in section.blocks)) for section in sections]


class _Numbers:
    """Counts figures and tables while it labels them."""

    def __init__(self) -> None:
        self.figures = 0
        self.tables = 0

    def label(self, block: Block) -> Block:
        if isinstance(block, Table):
            return self._table(block)
        if isinstance(block, Figure):
            self.figures += 1
            named = f"Figure {self.figures}"
            return replace(block, label=named, table=None if block.table is None else self._table(block.table))
        if isinstance(block, Samples):
            return replace(block, table=self._table(block.table))
        if isinstance(block, Details):
            return replace(block, blocks=tuple(self.label(inner) for inner in block.blocks))
        return block

    def _table(self, table: Table) -> Table:
        self.tables += 1
        return replace(table, label=f"Table {self.tables}")
