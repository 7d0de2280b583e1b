"""The records of an audit, and ``audit.json``: its rows, its schema, writing and reading."""

from __future__ import annotations

from balora_audit.records.audit import SCHEMA_VERSION, AuditRecord, json_schema, read
from balora_audit.records.rows import (
    VERDICT_ICONS,
    CellRow,
    Claim,
    Comparison,
    Failure,
    Floor,
    Matched,
    Measurement,
    ModelRow,
    ProbeRow,
    Reference,
    SampleRow,
    SampleTable,
    Series,
    Units,
    Verdict,
    claims_hash,
)

__all__ = [
    "SCHEMA_VERSION",
    "VERDICT_ICONS",
    "AuditRecord",
    "CellRow",
    "Claim",
    "Comparison",
    "Failure",
    "Floor",
    "Matched",
    "Measurement",
    "ModelRow",
    "ProbeRow",
    "Reference",
    "SampleRow",
    "SampleTable",
    "Series",
    "Units",
    "Verdict",
    "claims_hash",
    "json_schema",
    "read",
]
