"""The main job: plan → train → score → measure → compare → ``audit.json`` (and its report, written by the caller)."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import yaml

import balora_audit.records as records
from balora_audit.comparison.attribution import attribution
from balora_audit.comparison.compare import compare_all
from balora_audit.comparison.frontiers import frontier_points
from balora_audit.errors import NothingMeasured, StoreError, UnitError, Unusable
from balora_audit.files import write_atomic
from balora_audit.probes.skill import SKILL_OF
from balora_audit.progress import Progress, Silent
from balora_audit.records import AuditRecord, Failure
from balora_audit.run import samples
from balora_audit.run.measuring import Measuring
from balora_audit.run.plan import Cell, Plan, Trial
from balora_audit.run.record import Outcome, assemble
from balora_audit.run.store import RunStore
from balora_audit.run.tuning import settle, tuning_record
from balora_audit.run.worker import Worker, adapter_is_there, can_be_tested, publish
from balora_audit.scoring import ScoreRequest
from balora_audit.training.process_group import ProcessGroup, find_process_group

__all__ = ["execute"]


def execute(plan: Plan, folder: Path, *, progress: Progress | None = None, fresh: bool = False, command: str | None = None) -> AuditRecord:
    """Carry out a plan in a run folder and return the audit; ``audit.json`` is written on the way.

    Units that are already there are reused; `fresh` discards this plan's first. `command` is recorded as the way to
    reproduce the run. Where several processes work together, all of them train and score, and one writes.

    Raises
    ------
    StoreError
        The folder cannot be used.
    NothingMeasured
        Not one measurement could be made; ``audit.json`` then records why.
    """
    process_group = find_process_group()
    store = RunStore(folder)
    progress = (progress or Silent()) if process_group.is_main else Silent()
    with store.locked() if process_group.is_main else nullcontext():
        finished = _begin(plan, store, fresh=fresh) if process_group.is_main else None
        if process_group.broadcast(finished is not None):
            progress.say("every unit is already there and nothing changed: nothing to compute")
            return finished or records.read(folder)
        execution = Execution(plan, store, progress, process_group)
        execution.tune()
        execution.train()
        execution.score()
        record = execution.conclude(command) if process_group.is_main else None
        process_group.broadcast(None)  # the others wait until the result is written
    if record is None:
        return records.read(folder)
    if record.status == "empty":
        first = record.errors[0].message if record.errors else "no probe applied to the data and conditions"
        raise NothingMeasured(f"nothing was measured: {first}")
    return record


def _begin(plan: Plan, store: RunStore, *, fresh: bool) -> AuditRecord | None:
    """Return the audit where it is finished already; otherwise make sure that there is room, and write the configuration."""
    known = settle(plan, store, lost={}) or plan
    if fresh:
        for key in dict.fromkeys((*plan.unit_keys, *known.unit_keys)):
            store.forget(key)
    elif (finished := _finished(known, store)) is not None:
        return finished
    store.require_space(_needed_bytes(plan, store))
    write_atomic(store.folder / "config.yaml", yaml.safe_dump(plan.config.model_dump(mode="json"), sort_keys=False))
    return None


def _needed_bytes(plan: Plan, store: RunStore) -> int:
    """Guess generously: what the methods say that they write, per set of scores 2 MB, and something to work with."""
    weights = sum(path.stat().st_size for path in plan.model.folder.glob("*.safetensors"))
    cells = (*plan.cells, *(cell for trial in plan.trials for cell in trial.states))
    missing = [cell for cell in cells if cell.train_key is not None and not store.has(cell.train_key)]
    made = sum(plan.methods[cell.context.method].needed_bytes(weights) for cell in missing)
    return 100_000_000 + made + 2_000_000 * sum(not store.has(key) for key in plan.unit_keys)


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


class Execution:
    """One pass over a plan: the steps in their order, and what fails on the way.

    ``failures`` are what the reader sees. ``lost`` are the units that failed, by key: what they would have given is missing
    further on, and everything else goes on.
    """

    def __init__(self, plan: Plan, store: RunStore, progress: Progress, process_group: ProcessGroup) -> None:
        self.plan = plan
        self.store = store
        self.progress = progress
        self.process_group = process_group
        self.failures: list[Failure] = []
        self.lost: dict[str, str] = {}
        self.stage_seconds: dict[str, float] = {}
        self._worker: Worker | None = None

    def tune(self) -> None:
        """Try the candidates and settle on a setting for every method; the chosen candidate is the method's clean run."""
        if self.plan.grid is None:
            return
        settled = settle(self.plan, self.store, lost=self.lost, work=self._try, say=self.progress.say)
        assert settled is not None
        self.plan = settled
        if self._worker is not None:
            self._worker.plan = settled
        for method in self.plan.tuned:
            reasons = [self.plan.failed.get(trial.train_key) for trial in self.plan.trials if trial.method == method]
            if all(reasons):
                self._lose_method(method, f"all {len(reasons)} candidates failed; the first: {reasons[0]}")
        if self.process_group.is_main:
            for cell in self.plan.cells:
                if cell.train_key is not None and adapter_is_there(self.store, cell):
                    publish(self.store, cell)
        self.process_group.broadcast(None)

    def _try(self, trials: Sequence[Trial], missing: Collection[str]) -> None:
        """Train the groups of candidates in which one is missing, and score the validation rows."""
        groups: dict[tuple[object, ...], list[Trial]] = {}
        for trial in trials:
            groups.setdefault(trial.group, []).append(trial)
        missing = {trial.train_key for trial in trials if trial.train_key in missing and not self._is_trained(trial)}
        # a group is trained anew as a whole: the rounding of its numbers depends on who was trained together
        todo = self.process_group.broadcast([key for key, group in groups.items() if any(t.train_key in missing for t in group)])
        for number, key in enumerate(todo, start=1):
            group = groups[key]
            rates = ", ".join(f"{trial.setting.rate:g}" for trial in group)
            title = f"trying {group[0].method}, seed {group[0].cell.context.seed}, learning rates {rates} ({number} of {len(todo)})"
            worker = self._work()
            with self._timed("tune"):
                failed = worker.try_out(group, title)
            for trial in (trial for trial in group if trial.train_key in failed):
                self._lose(trial.train_key, "tune", [trial.cell], failed[trial.train_key])
            self.process_group.broadcast(None)
        for trial in self.process_group.assign(trials):
            if trial.train_key in self.lost or self.store.has(trial.validation_key):
                continue
            try:
                worker = self._work()
                with self._timed("tune"), worker.placed(trial.cell) as placed:
                    worker.score(trial.validation_key, trial.validation, placed)
            except Unusable as error:
                self.progress.say(f"{trial} failed: {error}")
                worker.skip([trial.validation_key], str(error))
            except UnitError as error:
                self._lose(trial.validation_key, "tune", [trial.cell], error)
        self._gather()

    def _is_trained(self, trial: Trial) -> bool:
        return adapter_is_there(self.store, trial.cell) and all(can_be_tested(self.store, cell) for cell in trial.partial)

    def _lose_method(self, method: str, reason: str) -> None:
        cells = [cell for cell in self.plan.cells if cell.id.method == method]
        for key in dict.fromkeys(str(cell.train_key) for cell in cells):
            self._lose(key, "tune", [cell for cell in cells if str(cell.train_key) == key], UnitError(reason))

    def train(self) -> None:
        """Train what is missing; what several cells share is trained once, under the first one's name."""
        trained: dict[str, Cell] = {}
        for cell in self.plan.cells:
            if cell.train_key is not None and cell.train_key not in self.lost:
                trained.setdefault(cell.train_key, cell)
        todo = self.process_group.broadcast([key for key, cell in trained.items() if not adapter_is_there(self.store, cell)])
        for number, key in enumerate(todo, start=1):
            cell = trained[key]
            try:
                worker = self._work()
                with self._timed("train"):
                    worker.train(cell, f"training {cell} ({number} of {len(todo)})")
            except UnitError as error:
                self._lose(key, "train", [same for same in self.plan.cells if same.train_key == key], error)
            self.process_group.broadcast(None)  # nobody reads an adapter that is still being written

    def score(self) -> None:
        """Score what is missing, adapter by adapter; a set that cannot be scored costs only what is measured on it."""
        tried = [cell for trial in self.plan.trials if trial.train_key not in self.plan.failed for cell in trial.states]
        for cells in self.process_group.assign(_by_adapter((*self.plan.cells, *tried))):
            first = cells[0]
            if first.train_key in self.lost or first.state_key in self.lost:
                continue
            missing = {unit: request for cell in cells for unit, request in _units(cell) if not self.store.has(unit)}
            if not missing:
                continue
            worker = self._work()
            self.progress.stage(f"scoring {first}", sum(request.size for request in missing.values()), "texts")
            try:
                with self._timed("score"), worker.placed(first) as placed:
                    for unit, request in missing.items():
                        try:
                            worker.score(unit, request, placed)
                        except UnitError as error:
                            self._lose(unit, "score", [cell for cell in cells if unit in dict(_units(cell)) and cell not in tried], error)
            except UnitError as error:  # what was trained cannot be put in place
                if first.share < 1 and isinstance(error, Unusable):  # nothing was learned so early: no point of the frontier
                    worker.skip(missing, str(error))
                else:
                    self._lose(str(first.state_key), "load", cells, error)
        self._gather()

    def conclude(self, command: str | None) -> AuditRecord:
        """Measure and compare what was scored; write the audit and return it."""
        plan = self.plan
        skill = SKILL_OF[plan.dataset.task]
        measuring = Measuring(plan, self.store, self.progress, self.lost)
        with self._timed("measure"):
            evidence, unmeasured, floors = measuring.models()
            frontiers = measuring.candidates()
        with self._timed("compare"):
            comparisons = compare_all(
                plan.config,
                plan.claims,
                plan.pairs,
                evidence,
                untrained=frozenset(name for name, method in plan.methods.items() if method.is_base),
                failures=unmeasured,
                floors=floors,
                skill=skill,
                controls=plan.controls,
                frontiers=frontiers,
            )
            points = tuple(frontier_points(plan.config, frontiers, skill))
            effects = tuple(attribution(plan.config, plan.methods, evidence, frontiers, skill, plan.claims))
        with self._timed("across models"):
            series = measuring.across()
        with self._timed("samples"):
            tables = samples.write(
                self.store, plan.probes.values(), [cell for cell in plan.cells if cell.train_key not in self.lost], self.lost
            )
        outcome = Outcome(
            evidence=evidence,
            comparisons=tuple(comparisons),
            floors=floors,
            tuning=tuning_record(plan, self.store, self.lost),
            frontiers=points,
            attribution=effects,
            series=tuple(series),
            samples=tuple(tables),
            failures=(*self.failures, *measuring.failures),
            lost=self.lost,
            stage_seconds=self.stage_seconds,
        )
        record = assemble(plan, self.store, outcome, command)
        write_atomic(self.store.folder / "audit.json", record.to_json())
        return record

    def _work(self) -> Worker:
        """Load the base model on first need: a run whose units are all there never loads it."""
        if self._worker is None:
            with self._timed("load"):
                self._worker = Worker(self.plan, self.store, self.progress, self.process_group)
        return self._worker

    def _lose(self, unit: str, stage: str, cells: Iterable[Cell], error: UnitError) -> None:
        """Record that a unit failed, and which cells it was for."""
        self.lost[unit] = str(error)
        for cell in cells:
            self.failures.append(Failure(unit=unit, stage=stage, message=str(error), **cell.id._asdict()))
            self.progress.say(f"{cell} failed: {error}")

    def _gather(self) -> None:
        """Bring together what failed in any process; wait for all of them."""
        for failures, lost in self.process_group.all_gather((self.failures, self.lost)):
            self.failures += [failure for failure in failures if failure not in self.failures]
            self.lost.update(lost)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of a block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + time.perf_counter() - start


def _units(cell: Cell) -> Iterator[tuple[str, ScoreRequest]]:
    """Yield the units of scores of a cell with what each asks."""
    yield from ((unit, cell.requests[key]) for key, unit in cell.score_keys.items())
    yield from ((unit, cell.rebatched[key]) for key, unit in cell.rebatched_keys.items())


def _by_adapter(cells: Iterable[Cell]) -> list[list[Cell]]:
    grouped: dict[str, list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(cell.state_key or "none", []).append(cell)
    return list(grouped.values())
