"""The main job: plan → train → score → measure → compare → ``audit.json`` (and its report, written by the caller)."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import balora_audit.audit as records
from balora_audit import provenance, samples
from balora_audit.audit import AuditRecord, ModelRow, Units, write_atomic
from balora_audit.claims import pairs
from balora_audit.conclusions import compare_all
from balora_audit.data.dataset import fingerprint
from balora_audit.errors import NothingMeasured, StoreError, UnitError
from balora_audit.methods import METHODS
from balora_audit.plan import Cell, Plan
from balora_audit.probes import PROBES
from balora_audit.probes.collapse import features, joint_tsne
from balora_audit.probes.evidence import Findings, Scores
from balora_audit.progress import Progress, Silent
from balora_audit.store import RunStore
from balora_audit.units import Worker, adapter_is_there, read_scores

__all__ = ["execute"]


@dataclass(slots=True)
class _State:
    """What a run gathers on its way."""

    plan: Plan
    store: RunStore
    progress: Progress
    failures: list[records.Failure] = field(default_factory=list)
    failed: set[tuple[str, str, int]] = field(default_factory=set)
    reasons: dict[tuple[str, str, int], str] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    worker: Worker | None = None

    def fail(self, cell: Cell, stage: str, unit: str, error: BaseException) -> None:
        method, condition, seed = cell.id
        self.failures.append(records.Failure(unit=unit, stage=stage, message=str(error), method=method, condition=condition, seed=seed))
        self.failed.add(cell.id)
        self.reasons[cell.id] = str(error)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start

    def done(self, cell: Cell) -> bool:
        """Whether a cell's adapter needs no training."""
        return cell.train_key is None or adapter_is_there(self.store, cell)

    def work(self) -> Worker:
        """Load the base model on first need: a run whose units are all there never loads it."""
        if self.worker is None:
            with self.timed("load"):
                self.worker = Worker(self.plan, self.store, self.progress)
        return self.worker


def execute(plan: Plan, folder: Path, *, progress: Progress | None = None, fresh: bool = False, command: str | None = None) -> AuditRecord:
    """Carry out a plan in a run folder and return the audit; ``audit.json`` is written on the way.

    Units that are already there are reused; `fresh` discards this plan's first. `command` is recorded as the way to
    reproduce the run.

    Raises
    ------
    StoreError
        The folder cannot be used.
    NothingMeasured
        Not one measurement could be made; ``audit.json`` then records why.
    """
    store = RunStore(folder)
    with store.locked():
        if fresh:
            for key in plan.unit_keys:
                store.forget(key)
        else:
            finished = _finished(plan, store)
            if finished is not None:
                (progress or Silent()).say("every unit is already there and nothing changed: nothing to compute")
                return finished
        store.require_space(_needed_bytes(plan, store))
        write_atomic(folder / "config.yaml", yaml.safe_dump(plan.config.model_dump(mode="json"), sort_keys=False))
        record = _Execution(_State(plan, store, progress or Silent()), command).result()
        write_atomic(folder / "audit.json", record.to_json())
    if record.status == "empty":
        first = record.errors[0].message if record.errors else "no probe applied to the data and conditions"
        raise NothingMeasured(f"nothing was measured: {first}")
    return record


def _needed_bytes(plan: Plan, store: RunStore) -> int:
    """Guess generously: per adapter a tenth of the base's weights, per set of scores 2 MB, and something to work with."""
    weights = sum(path.stat().st_size for path in plan.model.folder.glob("*.safetensors"))
    adapters = sum(1 for cell in plan.cells if cell.train_key is not None and not store.has(cell.train_key))
    return 100_000_000 + adapters * weights // 10 + 2_000_000 * sum(not store.has(key) for key in plan.unit_keys)


def _finished(plan: Plan, store: RunStore) -> AuditRecord | None:
    path = store.folder / "audit.json"
    if not path.is_file():
        return None
    try:
        record = records.read(path)
    except StoreError:
        return None  # from another version, or damaged: it is computed again from the units
    same = record.provenance.get("run_key") == plan.run_key and record.status == "complete"
    return record if same and all(store.has(key) for key in plan.unit_keys) else None


class _Execution:
    """One pass over a plan."""

    def __init__(self, state: _State, command: str | None) -> None:
        self.state = state
        self.command = command

    def result(self) -> AuditRecord:
        self._train()
        self._score()
        with self.state.timed("measure"):
            scores, evidence = self._measure()
        with self.state.timed("compare"):
            plan = self.state.plan
            untrained = frozenset(name for name in plan.config.models if not METHODS[name].trains)
            comparisons = compare_all(plan.config, plan.claims, pairs(plan.config), evidence, untrained=untrained)
        with self.state.timed("t-SNE"):
            series = self._tsne(scores)
        with self.state.timed("samples"):
            tables = samples.write(self.state.plan, self.state.store, scores)
        return self._record(evidence, comparisons, series, tables)

    def _train(self) -> None:
        state = self.state
        todo = [cell for cell in state.plan.cells if not state.done(cell)]
        for number, cell in enumerate(todo, start=1):
            title = f"training {_said(cell)} ({number} of {len(todo)})"
            try:
                worker = state.work()
                with state.timed("train"):
                    worker.train(cell, title)
            except UnitError as error:
                state.fail(cell, "train", str(cell.train_key), error)
                state.progress.say(f"{_said(cell)} failed: {error}")

    def _score(self) -> None:
        state = self.state
        for cells in _by_adapter(state.plan.cells):
            if cells[0].id in state.failed:
                continue
            missing: dict[str, tuple[Cell, str]] = {}
            for cell in cells:
                for key, unit in cell.score_keys.items():
                    if not state.store.has(unit):
                        missing.setdefault(unit, (cell, key))
            if not missing:
                continue
            try:
                worker = state.work()
                with state.timed("score"):
                    worker.score(cells[0], missing, f"scoring {_said(cells[0])}")
            except UnitError as error:
                for cell in cells:
                    state.fail(cell, "score", next(iter(missing)), error)
                state.progress.say(f"{_said(cells[0])} failed: {error}")

    def _measure(self) -> tuple[dict[tuple[str, str, int], dict[str, Scores]], dict[tuple[str, str, int], dict[str, Findings]]]:
        state, plan = self.state, self.state.plan
        scores = {
            cell.id: {key: read_scores(state.store, unit) for key, unit in cell.score_keys.items()}
            for cell in plan.cells
            if cell.id not in state.failed
        }
        bases = [name for name in plan.config.models if not METHODS[name].trains]
        evidence: dict[tuple[str, str, int], dict[str, Findings]] = {}
        state.progress.stage("measuring", len(scores), "models")
        for cell in plan.cells:
            if cell.id not in scores:
                continue
            _, condition, seed = cell.id
            base = scores.get((bases[0], condition, seed)) if bases else None
            evidence[cell.id] = {name: PROBES[name].measure(cell.context, scores[cell.id], base) for name in plan.config.probes}
            state.progress.advance()
        return scores, evidence

    def _tsne(self, scores: dict[tuple[str, str, int], dict[str, Scores]]) -> list[records.Series]:
        plan = self.state.plan
        if "collapse" not in plan.config.probes:
            return []
        seed, condition = plan.config.seeds[0], plan.config.conditions[0]
        chosen = [(m, features(scores[m, condition, seed])) for m in plan.config.models if (m, condition, seed) in scores]
        if not chosen:
            return []
        self.state.progress.stage("t-SNE", 1, "fit")
        found = joint_tsne(plan.dataset, chosen, seed=0)
        return [
            records.Series(
                method=name,
                condition=condition,
                seed=seed,
                probe="collapse",
                name="tsne",
                columns={key: tuple(column) for key, column in columns.items()},
            )
            for name, columns in found.items()
        ]

    def _record(
        self,
        evidence: dict[tuple[str, str, int], dict[str, Findings]],
        comparisons: list[records.Comparison],
        tsne: list[records.Series],
        tables: list[records.SampleTable],
    ) -> AuditRecord:
        state, plan = self.state, self.state.plan
        rows = [row for by_probe in evidence.values() for found in by_probe.values() for row in found.measurements]
        drawn = [series for by_probe in evidence.values() for found in by_probe.values() for series in found.series]
        keys = plan.unit_keys
        done = sum(state.store.has(key) for key in keys)
        measured = any(row.value is not None for row in rows)
        cells, losses = self._cells()
        return AuditRecord(
            tool={"name": "balora-audit", "version": provenance.versions()["balora-audit"]},
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            status="empty" if not measured else "incomplete" if state.failures or done < len(keys) else "complete",
            units=Units(planned=len(keys), completed=done),
            config=plan.config.model_dump(mode="json"),
            provenance=self._provenance(),
            models=tuple(self._model(name) for name in plan.config.models),
            cells=tuple(cells),
            claims=plan.claims,
            measurements=tuple(rows),
            comparisons=tuple(comparisons),
            series=(*drawn, *losses, *tsne),
            samples=tuple(tables),
            warnings=tuple(self._warnings()),
            errors=tuple(state.failures),
        )

    def _cells(self) -> tuple[list[records.Cell], list[records.Series]]:
        state = self.state
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

    def _model(self, name: str) -> ModelRow:
        config, method = self.state.plan.config, METHODS[name]
        if not method.trains:
            return ModelRow(name=name, title=method.title, method=name, initialisation=method.initialisation)
        penalties = method.penalties(config.effective_penalties) if method.penalties else None
        settings: dict[str, Any] = {
            "training": config.training.model_dump(mode="json"),
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

    def _provenance(self) -> dict[str, Any]:
        state, plan = self.state, self.state.plan
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
                "reproduce": self.command or f"balora-audit compare --config {out / 'config.yaml'} --out {out}",
                "render": f"balora-audit render {out}",
            },
        }

    def _warnings(self) -> list[str]:
        plan = self.state.plan
        found = list(plan.warnings)
        if len(plan.config.seeds) < 3:
            found.append(
                f"{len(plan.config.seeds)} seed{'s' if len(plan.config.seeds) > 1 else ''}: every claim is about these "
                "checkpoints, not about the method"
            )
        if plan.config.limit is not None:
            found.append(f"--limit {plan.config.limit}: the data were cut for a trial run")
        found.append(
            "one learning rate, rank and number of steps for all methods, tuned for none of them: another setting may order "
            "them differently"
        )
        units = {key for cell in plan.cells for key in cell.score_keys.values() if self.state.store.has(key)}
        shortened = sum(int(self.state.store.note(key)["truncated"]) for key in units)
        if shortened:
            found.append(f"{shortened} scored prompts were longer than {plan.config.training.max_tokens} tokens and lost their beginning")
        return found


def _by_adapter(cells: list[Cell]) -> list[list[Cell]]:
    grouped: dict[str, list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(cell.train_key or "none", []).append(cell)
    return list(grouped.values())


def _said(cell: Cell) -> str:
    if cell.train_key is None:
        return METHODS[cell.context.method].title
    return f"{METHODS[cell.context.method].title}, {cell.context.condition}, seed {cell.context.seed}"
