"""The audit record, made of a plan and what became of it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import balora_audit.records as records
from balora_audit.cells import CellId
from balora_audit.data.dataset import fingerprint
from balora_audit.extensions import described
from balora_audit.probes import PROBES, Findings
from balora_audit.probes.recorded import recorded
from balora_audit.records import AuditRecord, ModelRow, Units
from balora_audit.run import provenance
from balora_audit.run.notes import score_note, training_note
from balora_audit.run.plan import Cell, Plan
from balora_audit.run.references import references
from balora_audit.run.store import RunStore
from balora_audit.slices import Slice

__all__ = ["Outcome", "assemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run found, and what it lost: units that failed, with the reason."""

    evidence: Mapping[CellId, Mapping[str, Findings]]
    comparisons: tuple[records.Comparison, ...]
    floors: Mapping[tuple[CellId, str, str, Slice], float]
    tuning: records.Tuning | None
    frontiers: tuple[records.FrontierPoint, ...]
    attribution: tuple[records.Effect, ...]
    series: tuple[records.Series, ...]
    samples: tuple[records.SampleTable, ...]
    failures: tuple[records.Failure, ...]
    lost: Mapping[str, str]
    stage_seconds: Mapping[str, float]


def assemble(plan: Plan, store: RunStore, outcome: Outcome, command: str | None) -> AuditRecord:
    """Return the audit of a run whose units are there."""
    findings = [found for by_probe in outcome.evidence.values() for found in by_probe.values()]
    rows = [row for found in findings for row in found.measurements]
    keys = plan.unit_keys
    done = sum(store.has(key) for key in keys)
    measured = any(row.value is not None for row in rows)
    known = {**PROBES, **plan.probes}
    probes, metrics = recorded(known, rows, plan.claims, built_in=PROBES, swapped=plan.dataset.swapped)
    return AuditRecord(
        tool={"name": "balora-audit", "version": provenance.versions()["balora-audit"]},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        status="empty" if not measured else "incomplete" if outcome.failures or done < len(keys) else "complete",
        units=Units(planned=len(keys), completed=done),
        config=plan.config.model_dump(mode="json"),
        provenance={**_origins(plan), **_circumstances(plan, store, outcome, command)},
        models=tuple(_model(plan, name) for name in plan.methods),
        probes=probes,
        metrics=metrics,
        cells=tuple(_cell(store, cell, outcome.lost) for cell in plan.cells),
        claims=plan.claims,
        measurements=tuple(rows),
        comparisons=outcome.comparisons,
        tuning=outcome.tuning,
        frontiers=outcome.frontiers,
        attribution=outcome.attribution,
        references=tuple(references(plan.dataset, [cell.context for cell in plan.cells], level=plan.config.ci)),
        floors=tuple(_floors(outcome)),
        series=(*(series for found in findings for series in found.series), *_losses(plan, store, outcome.lost), *outcome.series),
        samples=outcome.samples,
        warnings=(*plan.warnings, *_limits(plan), *(outcome.tuning.notes if outcome.tuning else ()), *_cuts(plan, store)),
        errors=outcome.failures,
    )


def _cell(store: RunStore, cell: Cell, lost: Mapping[str, str]) -> records.CellRow:
    common: dict[str, Any] = cell.id._asdict()
    reasons = [lost[unit] for unit in (str(cell.train_key), *cell.score_keys.values()) if unit in lost]
    if reasons:
        return records.CellRow(**common, status="failed", reason="; ".join(dict.fromkeys(reasons)))
    if cell.train_key is None:
        return records.CellRow(**common, status="complete", trainable_parameters=0, examples=0, steps=0)
    made = dict(training_note(store, cell.train_key).cell)
    if (store.folder / cell.folder).is_dir():
        made["adapter"] = str(cell.folder)
    return records.CellRow(**common, status="complete", **made)


def _floors(outcome: Outcome) -> Iterator[records.Floor]:
    for (cell, probe, metric, slice), change in outcome.floors.items():
        yield records.Floor(**cell._asdict(), probe=probe, metric=metric, slice=str(slice), change=change)


def _losses(plan: Plan, store: RunStore, lost: Mapping[str, str]) -> Iterator[records.Series]:
    for cell in plan.cells:
        if cell.train_key is not None and cell.train_key not in lost:
            curves = training_note(store, cell.train_key).curves
            columns: dict[str, tuple[float | str | None, ...]] = {name: tuple(values) for name, values in curves.items()}
            yield records.Series(**cell.id._asdict(), probe="training", name="losses", columns=columns)


def _model(plan: Plan, name: str) -> ModelRow:
    method = plan.methods[name]
    recipe = plan.layout.recipe_of(name, plan.settings.get(name))
    return ModelRow(name=name, title=method.title, method=name, initialisation=method.initialisation, **method.settings(recipe))


def _origins(plan: Plan) -> dict[str, Any]:
    """Return where the numbers come from: what was compared, and on what."""
    return {
        "run_key": plan.run_key,
        "claims_sha256": records.claims_hash(plan.claims),
        "model": {
            "name": plan.model.name,
            "origin": plan.model.origin,
            "fingerprint": plan.model.fingerprint,
            "files": plan.model.files,
            "config": plan.model.config,
        },
        "data": {
            "name": plan.dataset.name,
            "task": plan.dataset.task,
            "labels": list(plan.dataset.label_names),
            "prompt": plan.dataset.prompt,
            "train_rows": len(plan.dataset.train),
            "validation_rows": len(plan.dataset.validation),
            "validation_sha256": fingerprint(plan.dataset.validation),
            "test_rows": len(plan.dataset.test),
            "train_sha256": fingerprint(plan.dataset.train),
            "test_sha256": fingerprint(plan.dataset.test),
            "general_texts": len(plan.dataset.general),
            "rows_redrawn": plan.dataset.draw is not None,
            "rows_per_seed": plan.dataset.redrawn,
            "source": json.loads(json.dumps(plan.dataset.source, default=str)),
            "conditions": json.loads(json.dumps(plan.changed, default=list)),
        },
        "seeds": list(plan.config.seeds),
    }


def _circumstances(plan: Plan, store: RunStore, outcome: Outcome, command: str | None) -> dict[str, Any]:
    """Return what the numbers were made with, and how to make them again."""
    out = store.folder
    return {
        "versions": provenance.versions(),
        "extensions": described(plan.extensions),
        "hardware": provenance.hardware(plan.device),
        "dtype": {"used": plan.dtype, "why": plan.dtype_reason, "adapters": "float32"},
        "determinism": (
            "explicit generators, fixed batches, content-addressed units; bit-for-bit repeatable on one machine with "
            "one thread count, not across machines"
        ),
        "code_sha256": provenance.code_hash(),
        "git_commit": provenance.git_commit(),
        "stage_seconds": {name: round(seconds, 2) for name, seconds in outcome.stage_seconds.items()},
        "commands": {
            "reproduce": command or f"balora-audit compare --config {out / 'config.yaml'} --out {out}",
            "render": f"balora-audit render {out}",
        },
    }


def _limits(plan: Plan) -> Iterator[str]:
    """Yield what the design of the audit cannot say."""
    count = len(plan.config.seeds)
    if count < 3:
        yield f"{count} seed{'s' if count > 1 else ''}: every claim is about these checkpoints, not about the method"
    elif plan.dataset.draw is None:
        yield f"every claim is about these training rows: {plan.dataset.redrawn}"
    if plan.config.limit is not None:
        yield f"--limit {plan.config.limit}: the data were cut for a trial run"
    if plan.grid is None:
        yield "one learning rate, rank and number of steps for all methods, tuned for none: another setting may order them differently"
    elif all(len(values) == 1 for values in plan.grid.axes.values()):
        yield "one candidate for each method: nothing was tuned, and another setting may order them differently"


def _cuts(plan: Plan, store: RunStore) -> Iterator[str]:
    """Yield what was too long for the model, as the units tell."""
    units = {key for cell in plan.cells for key in cell.score_keys.values() if store.has(key)}
    notes = [score_note(store, key) for key in sorted(units)]
    documents = sum(note.truncated for note in notes if note.kind == "harness")
    responses = sum(note.cut for note in notes)
    texts = sum(note.truncated for note in notes) - documents
    limit = plan.config.training.max_tokens
    if responses:
        yield f"{responses} scored responses took more than half of {limit} tokens and lost their end"
    if texts:
        end = "end" if plan.recipe.head.kind == "classifier" else "beginning"
        yield f"{texts} scored texts were longer than {limit} tokens and lost their {end}"
    if documents:
        yield f"{documents} documents of harness tasks were longer than the model's context and lost their beginning"
