"""The main job: plan → train → score → measure → compare → ``audit.json`` (and its report, written by the caller)."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import yaml

import balora_audit.records as records
from balora_audit.cells import CellId
from balora_audit.comparison.claims import pairs
from balora_audit.comparison.compare import compare_all
from balora_audit.errors import NothingMeasured, StoreError, UnitError
from balora_audit.files import write_atomic
from balora_audit.probes import Findings, Scores
from balora_audit.progress import Progress, Silent
from balora_audit.records import AuditRecord
from balora_audit.run import samples
from balora_audit.run.plan import Cell, Plan
from balora_audit.run.record import State, assemble
from balora_audit.run.store import RunStore
from balora_audit.run.worker import read_scores
from balora_audit.training.team import assemble_team

__all__ = ["execute"]


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
    team = assemble_team()
    store = RunStore(folder)
    progress = (progress or Silent()) if team.leads else Silent()
    with store.locked() if team.leads else nullcontext():
        finished = _begin(plan, store, fresh=fresh) if team.leads else None
        if team.tell(finished is not None):
            progress.say("every unit is already there and nothing changed: nothing to compute")
            return finished or records.read(folder / "audit.json")
        execution = _Execution(State(plan, store, progress, team=team), command)
        execution.compute()
        if team.leads:
            record = execution.result()
            write_atomic(folder / "audit.json", record.to_json())
        team.tell(None)  # the others wait until the result is written
    if not team.leads:
        return records.read(folder / "audit.json")
    if record.status == "empty":
        first = record.errors[0].message if record.errors else "no probe applied to the data and conditions"
        raise NothingMeasured(f"nothing was measured: {first}")
    return record


def _begin(plan: Plan, store: RunStore, *, fresh: bool) -> AuditRecord | None:
    """Return the audit where it is finished already; otherwise make sure that there is room, and write the configuration."""
    if fresh:
        for key in plan.unit_keys:
            store.forget(key)
    elif (finished := _finished(plan, store)) is not None:
        return finished
    store.require_space(_needed_bytes(plan, store))
    write_atomic(store.folder / "config.yaml", yaml.safe_dump(plan.config.model_dump(mode="json"), sort_keys=False))
    return None


def _needed_bytes(plan: Plan, store: RunStore) -> int:
    """Guess generously: per adapter a tenth of the base's weights, per set of scores 2 MB, and something to work with."""
    weights = sum(path.stat().st_size for path in plan.model.folder.glob("*.safetensors"))
    missing = [cell for cell in plan.cells if cell.train_key is not None and not store.has(cell.train_key)]
    # stored in float32, whatever the base's own format is
    tuned = sum(2 * weights if plan.methods[cell.context.method].tuning == "full" else weights // 10 for cell in missing)
    return 100_000_000 + tuned + 2_000_000 * sum(not store.has(key) for key in plan.unit_keys)


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

    def __init__(self, state: State, command: str | None) -> None:
        self.state = state
        self.command = command
        self.failures: dict[tuple[CellId, str], str] = {}

    def compute(self) -> None:
        """Train and score what is missing; where several processes work together, all of them take part."""
        self._train()
        self._score()

    def result(self) -> AuditRecord:
        """Measure and compare what was scored."""
        with self.state.timed("measure"):
            scores, evidence = self._measure()
        with self.state.timed("compare"):
            plan = self.state.plan
            untrained = frozenset(name for name, method in plan.methods.items() if method.is_base)
            comparisons = compare_all(plan.config, plan.claims, pairs(plan.config), evidence, untrained=untrained, failures=self.failures)
        with self.state.timed("t-SNE"):
            series = self._across(scores)
        with self.state.timed("samples"):
            tables = samples.write(self.state.plan, self.state.store, scores)
        return assemble(self.state, self.command, evidence, comparisons, series, tables)

    def _train(self) -> None:
        state = self.state
        todo = {str(cell.train_key): cell for cell in reversed(state.plan.cells) if not state.done(cell)}
        todo = {key: todo[key] for key in state.team.tell(list(todo))}
        for number, cell in enumerate(reversed(todo.values()), start=1):
            title = f"training {_said(cell)} ({number} of {len(todo)})"
            try:
                worker = state.work()
                with state.timed("train"):
                    worker.train(cell, title)
            except UnitError as error:
                for same in state.plan.cells:
                    if same.train_key == cell.train_key:
                        state.fail(same, "train", str(cell.train_key), error)
                state.progress.say(f"{_said(cell)} failed: {error}")
            state.team.tell(None)  # nobody reads an adapter that is still being written

    def _score(self) -> None:
        state = self.state
        for cells in state.team.errands(_by_adapter(state.plan.cells)):
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
        state.collect()

    def _measure(self) -> tuple[dict[CellId, dict[str, Scores]], dict[CellId, dict[str, Findings]]]:
        state, plan = self.state, self.state.plan
        scores = {
            cell.id: {key: read_scores(state.store, unit) for key, unit in cell.score_keys.items()}
            for cell in plan.cells
            if cell.id not in state.failed
        }
        bases = [name for name, method in plan.methods.items() if method.is_base]
        evidence: dict[CellId, dict[str, Findings]] = {}
        state.progress.stage("measuring", len(scores), "models")
        for cell in plan.cells:
            if cell.id not in scores:
                continue
            _, condition, seed = cell.id
            base = scores.get(CellId(bases[0], condition, seed)) if bases else None
            asked = {name: self._ask(name, cell, scores[cell.id], base) for name in plan.config.active_probes}
            evidence[cell.id] = {name: found for name, found in asked.items() if found is not None}
            state.progress.advance()
        return scores, evidence

    def _ask(self, name: str, cell: Cell, scores: dict[str, Scores], base: dict[str, Scores] | None) -> Findings | None:
        """Let a probe measure one model; None where it fails, which is recorded, and the others go on."""
        try:
            return self.state.plan.probes[name].measure(cell.context, scores, base)
        except Exception as error:  # noqa: BLE001 - a probe can be anybody's, and one that fails must not take the others with it
            method, condition, seed = cell.id
            message = f"the probe {name!r} failed: {type(error).__name__}: {error}"
            self.failures[cell.id, name] = message
            self.state.failures.append(
                records.Failure(unit=name, stage="measure", message=message, method=method, condition=condition, seed=seed)
            )
            return None

    def _across(self, scores: dict[CellId, dict[str, Scores]]) -> list[records.Series]:
        plan = self.state.plan
        cells = [(cell.context, scores[cell.id]) for cell in plan.cells if cell.id in scores]
        return [series for name in plan.config.active_probes for series in plan.probes[name].across(cells)]


def _by_adapter(cells: list[Cell]) -> list[list[Cell]]:
    grouped: dict[str, list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(cell.train_key or "none", []).append(cell)
    return list(grouped.values())


def _said(cell: Cell) -> str:
    if cell.train_key is None:
        return cell.context.method
    return f"{cell.context.method}, {cell.context.condition}, seed {cell.context.seed}"
