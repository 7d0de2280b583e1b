"""The records of an audit, and ``audit.json``: its schema, writing and reading.

Every record is frozen, keyword-only and validated when it is made. A quantity that could not be measured is
``None`` with a ``reason``; it is never 0 and never NaN. The report is a pure function of :class:`AuditRecord`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from balora_audit.errors import StoreError
from balora_audit.metric import Metric

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "SCHEMA_VERSION",
    "VERDICT_ICONS",
    "AuditRecord",
    "CellRow",
    "Claim",
    "Comparison",
    "Failure",
    "Measurement",
    "ModelRow",
    "ProbeRow",
    "SampleRow",
    "SampleTable",
    "Series",
    "Units",
    "Verdict",
    "claims_hash",
    "json_schema",
    "read",
]

SCHEMA_VERSION = "1.1"

Status = Literal["complete", "failed", "skipped"]
Verdict = Literal["supported", "contradicted", "equivalent", "inconclusive", "not run", "error"]
VERDICT_ICONS: dict[Verdict, str] = {
    "supported": "▲",
    "contradicted": "▼",
    "equivalent": "≈",
    "inconclusive": "?",
    "not run": "∅",
    "error": "!",
}
"""Every verdict, in the order in which they are counted, with the sign that stands for it wherever it is shown."""
Json = dict[str, Any]


def _finite(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not math.isfinite(value):
            raise ValueError(
                f"{type(record).__name__}.{name} must be finite or None, got {value!r}; "
                "record None with a reason where a quantity is undefined"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One audited model: a fine-tuning method as configured. ``name`` is unique and is what other rows refer to."""

    name: str
    title: str
    method: str
    initialisation: str
    rank: int | None = None
    alpha: float | None = None
    target_modules: tuple[str, ...] = ()
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRow:
    """One probe: what it is called and asks, and which metrics it has in this audit, in the order in which a reader meets them.

    The probes of this package are all there, also those that did not run, which have no metrics; of others those that ran.
    """

    name: str
    title: str
    summary: str = ""
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One trained model: method × condition × seed. ``losses`` are the last logged values, by term."""

    method: str
    condition: str
    seed: int
    status: Status
    reason: str | None = None
    trainable_parameters: int | None = None
    examples: int | None = None
    steps: int | None = None
    losses: dict[str, float] = field(default_factory=dict)
    wall_seconds: float | None = None
    peak_memory_bytes: int | None = None
    adapter: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _finite(self, "wall_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured number of one model.

    ``slice`` says on what part of the data (``"all"``, ``"typo@3"``, ``"class=nurse"``, ``"class=nurse;group=female"``).
    ``value`` is None exactly when ``reason`` says why. ``evidence`` is the path, relative to the run folder, of the
    per-item file behind the number.
    """

    method: str
    condition: str
    seed: int
    probe: str
    metric: str
    slice: str = "all"
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    higher_is_better: bool | None
    reason: str | None = None
    evidence: str | None = None

    def __post_init__(self) -> None:
        _finite(self, "value", "ci_low", "ci_high")
        if (self.value is None) != (self.reason is not None):
            raise ValueError(
                f"Measurement {self.probe}/{self.metric} [{self.slice}] of {self.method!r}: a missing value needs a "
                f"reason and a present one has none, got value={self.value!r}, reason={self.reason!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim declared before anything is computed: *candidate is better than baseline on metric by more than margin*."""

    id: str
    baseline: str
    candidate: str
    condition: str
    probe: str
    metric: str
    slice: str = "all"
    margin: float
    higher_is_better: bool


def claims_hash(claims: Sequence[Claim]) -> str:
    """Return the SHA-256 of the claims, whatever their order; any edit of a claim changes it."""
    rows = sorted(json.dumps(asdict(claim), sort_keys=True, ensure_ascii=False) for claim in claims)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A paired difference, Δ = candidate − baseline, on the same items and seeds.

    ``claim`` is the id of the declared claim it decides, or None for an exploratory row; only the former have a
    ``verdict``, a ``margin`` and a ``p_adjusted``. ``test`` names what ``p_value`` comes from.
    """

    claim: str | None = None
    baseline: str
    candidate: str
    condition: str
    probe: str
    metric: str
    slice: str = "all"
    delta: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float = 0.95
    p_value: float | None = None
    p_adjusted: float | None = None
    test: str | None = None
    baseline_value: float | None = None
    candidate_value: float | None = None
    n_items: int
    n_seeds: int
    margin: float | None = None
    higher_is_better: bool | None
    verdict: Verdict | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        _finite(self, "delta", "ci_low", "ci_high", "p_value", "p_adjusted", "baseline_value", "candidate_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Numbers meant to be drawn: columns of equal length (a spectrum, t-SNE coordinates, a loss curve)."""

    method: str
    condition: str
    seed: int
    probe: str
    name: str
    columns: dict[str, tuple[float | str | None, ...]]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"Series {self.name!r}: columns must have one length, got {sorted(lengths)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One item as shown to a reader. ``answers`` maps model name → its answer (or None where it has none)."""

    id: str
    input: str
    gold: str
    answers: dict[str, str | None]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTable:
    """Items behind one claim family: how they were chosen, how many there are in all, and the rows shown."""

    probe: str
    condition: str
    title: str
    rule: str
    total: int
    path: str | None
    rows: tuple[SampleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A unit of work that failed or was given up; the reader sees it, nothing is silently zero."""

    unit: str
    stage: str
    message: str
    method: str | None = None
    condition: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How many units of work were planned and how many are complete."""

    planned: int
    completed: int


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
