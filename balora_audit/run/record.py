"""What a run gathers on its way, and the audit record that is made of it."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import balora_audit.records as records
from balora_audit.cells import CellId
from balora_audit.data.dataset import fingerprint
from balora_audit.extensions import described
from balora_audit.probes import PROBES, Findings
from balora_audit.probes.recorded import recorded
from balora_audit.progress import Progress
from balora_audit.records import AuditRecord, ModelRow, Units
from balora_audit.run import provenance
from balora_audit.run.plan import Cell, Plan
from balora_audit.run.store import RunStore
from balora_audit.run.worker import Worker, adapter_is_there
from balora_audit.training.team import Team

__all__ = ["State", "assemble"]


@dataclass(slots=True)
class State:
    """What a run gathers on its way."""

    plan: Plan
    store: RunStore
    progress: Progress
    failures: list[records.Failure] = field(default_factory=list)
    failed: set[tuple[str, str, int]] = field(default_factory=set)
    reasons: dict[tuple[str, str, int], str] = field(default_factory=dict)
    team: Team = Team()  # noqa: RUF009 - frozen
    stages: dict[str, float] = field(default_factory=dict)
    worker: Worker | None = None

    def fail(self, cell: Cell, stage: str, unit: str, error: BaseException) -> None:
        """Record that a cell's unit failed, and why."""
        method, condition, seed = cell.id
        self.failures.append(records.Failure(unit=unit, stage=stage, message=str(error), method=method, condition=condition, seed=seed))
        self.failed.add(cell.id)
        self.reasons[cell.id] = str(error)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of a block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start

    def done(self, cell: Cell) -> bool:
        """Whether a cell's adapter needs no training."""
        return cell.train_key is None or adapter_is_there(self.store, cell)

    def collect(self) -> None:
        """Bring together what failed in any process; wait for all of them."""
        for found in self.team.everybody((self.failures, self.failed, self.reasons)):
            failures, failed, reasons = found
            self.failures += [failure for failure in failures if failure not in self.failures]
            self.failed |= failed
            self.reasons.update(reasons)

    def work(self) -> Worker:
        """Load the base model on first need: a run whose units are all there never loads it."""
        if self.worker is None:
            with self.timed("load"):
                self.worker = Worker(self.plan, self.store, self.progress, self.team)
        return self.worker


def assemble(
    state: State,
    command: str | None,
    evidence: dict[CellId, dict[str, Findings]],
    comparisons: list[records.Comparison],
    tsne: list[records.Series],
    tables: list[records.SampleTable],
) -> AuditRecord:
    """Return the audit of a run whose units are there."""
    plan = state.plan
    rows = [row for by_probe in evidence.values() for found in by_probe.values() for row in found.measurements]
    drawn = [series for by_probe in evidence.values() for found in by_probe.values() for series in found.series]
    keys = plan.unit_keys
    done = sum(state.store.has(key) for key in keys)
    measured = any(row.value is not None for row in rows)
    cells, losses = _cells(state)
    probes, metrics = recorded(plan.probes, rows, plan.claims, built_in=PROBES, swapped=plan.dataset.swapped)
    return AuditRecord(
        tool={"name": "balora-audit", "version": provenance.versions()["balora-audit"]},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        status="empty" if not measured else "incomplete" if state.failures or done < len(keys) else "complete",
        units=Units(planned=len(keys), completed=done),
        config=plan.config.model_dump(mode="json"),
        provenance=_provenance(state, command),
        models=tuple(_model(plan, name) for name in plan.methods),
        cells=tuple(cells),
        probes=probes,
        metrics=metrics,
        claims=plan.claims,
        measurements=tuple(rows),
        comparisons=tuple(comparisons),
        series=(*drawn, *losses, *tsne),
        samples=tuple(tables),
        warnings=tuple(_warnings(state)),
        errors=tuple(state.failures),
    )


def _cells(state: State) -> tuple[list[records.Cell], list[records.Series]]:
    rows: list[records.Cell] = []
    losses: list[records.Series] = []
    for cell in state.plan.cells:
        method, condition, seed = cell.id
        common: dict[str, Any] = {"method": method, "condition": condition, "seed": seed}
        if cell.id in state.failed:
            rows.append(records.Cell(**common, status="failed", reason=state.reasons[cell.id]))
            continue
        if cell.train_key is None:
            rows.append(records.Cell(**common, status="complete", trainable_parameters=0, examples=0, steps=0))
            continue
        log = state.store.note(cell.train_key)
        rows.append(records.Cell(**common, status="complete", **{**log["cell"], "notes": tuple(log["cell"]["notes"])}))
        losses.append(
            records.Series(
                **common,
                probe="training",
                name="losses",
                columns={name: tuple(values) for name, values in log["curves"].items()},
            )
        )
    return rows, losses


def _model(plan: Plan, name: str) -> ModelRow:
    config, method = plan.config, plan.methods[name]
    if not method.trains:
        return ModelRow(name=name, title=method.title, method=name, initialisation=method.initialisation)
    penalties = method.penalties(config.penalties_for(plan.head.family)) if method.penalties else None
    settings: dict[str, Any] = {
        "training": {**config.training.deciding, "learning_rate": config.training.learning_rate_of(name)},
        "dropout": config.adapter.dropout,
        "stored rank": config.adapter.rank * (2 if method.anchored else 1),
    }
    if penalties is not None:
        settings["regularizers"] = {"preset": config.regularizers, **penalties.model_dump(mode="json")}
    return ModelRow(
        name=name,
        title=method.title,
        method=name,
        initialisation=method.initialisation,
        rank=config.adapter.rank,
        alpha=config.adapter.alpha,
        target_modules=config.adapter.target_modules or ("all linear layers but the head",),
        settings=settings,
    )


def _provenance(state: State, command: str | None) -> dict[str, Any]:
    plan = state.plan
    out = state.store.folder
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
            "test_rows": len(plan.dataset.test),
            "train_sha256": fingerprint(plan.dataset.train),
            "test_sha256": fingerprint(plan.dataset.test),
            "general_texts": len(plan.dataset.general),
            "source": json.loads(json.dumps(plan.dataset.source, default=str)),
            "conditions": json.loads(json.dumps(plan.changed, default=list)),
        },
        "seeds": list(plan.config.seeds),
        "versions": provenance.versions(),
        "extensions": described(plan.extensions),
        "hardware": provenance.hardware(plan.device),
        "dtype": {"used": plan.dtype, "why": plan.dtype_reason, "adapters": "float32"},
        "determinism": (
            "explicit generators, fixed batches, content-addressed units; bit-for-bit repeatable on one machine with "
            "one thread count, not across machines"
        ),
        "code_sha256": provenance.code_hash(all_code=True),
        "git_commit": provenance.git_commit(),
        "stage_seconds": {name: round(seconds, 2) for name, seconds in state.stages.items()},
        "commands": {
            "reproduce": command or f"balora-audit compare --config {out / 'config.yaml'} --out {out}",
            "render": f"balora-audit render {out}",
        },
    }


def _warnings(state: State) -> list[str]:
    plan = state.plan
    found = list(plan.warnings)
    if len(plan.config.seeds) < 3:
        found.append(
            f"{len(plan.config.seeds)} seed{'s' if len(plan.config.seeds) > 1 else ''}: every claim is about these "
            "checkpoints, not about the method"
        )
    if plan.config.limit is not None:
        found.append(f"--limit {plan.config.limit}: the data were cut for a trial run")
    found.append(
        "one learning rate, rank and number of steps for all methods, tuned for none of them: another setting may order them differently"
    )
    units = {key for cell in plan.cells for key in cell.score_keys.values() if state.store.has(key)}
    notes = [state.store.note(key) for key in sorted(units)]
    of_tasks = sum(int(note["truncated"]) for note in notes if note["kind"] == "harness")
    shortened, cut = (sum(int(note[count]) for note in notes) for count in ("truncated", "cut"))
    shortened -= of_tasks
    if cut:
        found.append(f"{cut} scored responses took more than half of {plan.config.training.max_tokens} tokens and lost their end")
    if shortened:
        end = "end" if plan.head.kind == "classifier" else "beginning"
        found.append(f"{shortened} scored texts were longer than {plan.config.training.max_tokens} tokens and lost their {end}")
    if of_tasks:
        found.append(f"{of_tasks} documents of harness tasks were longer than the model's context and lost their beginning")
    return found
