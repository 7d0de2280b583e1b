"""The report's sections, in order: (record) → blocks."""

from __future__ import annotations

from collections.abc import Callable

from balora_audit.report.blocks import Section
from balora_audit.report.rows import Reader
from balora_audit.report.sections import evidence, overview
from balora_audit.report.sections.effects import effects
from balora_audit.report.sections.probes import collapse, drift, imbalance, noise

__all__ = ["SECTIONS", "build"]

SECTIONS: dict[str, Callable[[Reader], Section]] = {
    "summary": overview.summary,
    "verdicts": overview.verdicts,
    "scope": overview.scope,
    "models": overview.models,
    "effects": effects,
    "noise": noise,
    "imbalance": imbalance,
    "collapse": collapse,
    "drift": drift,
    "harness": evidence.harness,
    "samples": evidence.samples,
    "provenance": evidence.provenance,
    "limits": evidence.limits,
}


def build(reader: Reader, audit_sha256: str) -> list[Section]:
    """Return all sections; the last one carries the hash of the file the report was made from."""
    return [*(section(reader) for section in SECTIONS.values()), evidence.crosswalk(reader, audit_sha256)]
