"""The whole result of a run: what ``audit.json`` holds, its schema, writing and reading. The report is a pure function of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from balora_audit.errors import StoreError
from balora_audit.metric import Metric
from balora_audit.records.rows import (
    CellRow,
    Claim,
    Comparison,
    Failure,
    Floor,
    Measurement,
    ModelRow,
    ProbeRow,
    Reference,
    SampleTable,
    Series,
    Units,
)
from balora_audit.records.tuning import Effect, FrontierPoint, Tuning
from balora_audit.records.values import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["SCHEMA_VERSION", "AuditRecord", "json_schema", "read"]

SCHEMA_VERSION = "1.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """The whole result of a run: what ``audit.json`` holds and all that the report reads.

    ``metrics`` are the records of every metric that was measured or claimed: a report needs no package but this one.
    :class:`balora_audit.Audit` is the friendly view of it (pandas frames, rendering).
    """

    schema_version: str = SCHEMA_VERSION
    tool: Json
    created: str
    status: Literal["complete", "incomplete", "empty"]
    units: Units
    config: Json
    provenance: Json
    models: tuple[ModelRow, ...]
    probes: tuple[ProbeRow, ...] = ()
    metrics: tuple[Metric, ...] = ()
    cells: tuple[CellRow, ...]
    claims: tuple[Claim, ...]
    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...]
    tuning: Tuning | None = None
    frontiers: tuple[FrontierPoint, ...] = ()
    attribution: tuple[Effect, ...] = ()
    references: tuple[Reference, ...] = ()
    floors: tuple[Floor, ...] = ()
    series: tuple[Series, ...] = ()
    samples: tuple[SampleTable, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[Failure, ...] = ()

    def to_json(self) -> str:
        """Return the text of ``audit.json``: sorted keys are not used, the order of the fields is the schema's."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str = "audit.json") -> AuditRecord:
        """Parse and validate the text of ``audit.json``; `where` names it in errors (`StoreError`)."""
        from pydantic import ValidationError

        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise StoreError(f"{where} is not JSON ({error}); run `balora-audit compare` again to rebuild it") from error
        version = found.get("schema_version") if isinstance(found, Mapping) else None
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{where} has schema version {version!r}, this balora-audit reads {SCHEMA_VERSION!r}; "
                "render it with the version named under its 'tool' key"
            )
        try:
            return _adapter().validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise StoreError(f"{where} does not fit its schema at {place!r}: {first['msg']} ({error.error_count()} in all)") from error


def read(run_dir: str | Path) -> AuditRecord:
    """Read the audit of a run folder (or of an ``audit.json`` file). Raises `StoreError` when there is none."""
    path = Path(run_dir)
    if path.is_dir():
        path = path / "audit.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist; `balora-audit compare --out {path.parent}` writes it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    return AuditRecord.from_json(text, where=str(path))


def json_schema() -> Json:
    """Return the JSON Schema of ``audit.json``; ``assets/audit.schema.json`` is a copy kept equal by a test."""
    schema = _adapter().json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


@cache
def _adapter() -> TypeAdapter[AuditRecord]:
    from pydantic import ConfigDict, TypeAdapter

    AuditRecord.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    return TypeAdapter(AuditRecord)
