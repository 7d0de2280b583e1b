"""The records of an audit, and ``audit.json``: its rows, its schema, writing and reading."""

from __future__ import annotations

from balora_audit.records.audit import SCHEMA_VERSION, AuditRecord, json_schema, read
from balora_audit.records.rows import (
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
    claims_hash,
)
from balora_audit.records.tuning import AtEqualSkill, Effect, FrontierPoint, SingleRate, Tuning, TuningCandidate
from balora_audit.records.values import VERDICT_ICONS, Verdict

__all__ = [
    "SCHEMA_VERSION",
    "VERDICT_ICONS",
    "AtEqualSkill",
    "AuditRecord",
    "CellRow",
    "Claim",
    "Comparison",
    "Effect",
    "Failure",
    "Floor",
    "FrontierPoint",
    "Matched",
    "Measurement",
    "ModelRow",
    "ProbeRow",
    "Reference",
    "SampleRow",
    "SampleTable",
    "Series",
    "SingleRate",
    "Tuning",
    "TuningCandidate",
    "Units",
    "Verdict",
    "claims_hash",
    "json_schema",
    "read",
]
