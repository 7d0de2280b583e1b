"""The main job: plan → train → score → measure → compare → ``audit.json`` (and its report, written by the caller)."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import yaml

import balora_audit.records as records
from balora_audit.cells import CellId
from balora_audit.comparison.attribution import attribution
from balora_audit.comparison.compare import compare_all
from balora_audit.comparison.frontiers import Candidate, Frontiers, frontier_points
from balora_audit.errors import NothingMeasured, StoreError, UnitError
from balora_audit.files import write_atomic
from balora_audit.probes import Beside, Findings
from balora_audit.probes.skill import SKILL_OF
from balora_audit.progress import Progress, Silent
from balora_audit.records import AuditRecord, Failure, Series
from balora_audit.run import samples
from balora_audit.run.plan import Cell, Plan, Trial
from balora_audit.run.record import Outcome, assemble
from balora_audit.run.scores import FEATURES, StoredScores
from balora_audit.run.store import RunStore
from balora_audit.run.tuning import settle, tuning_record
from balora_audit.run.worker import Worker, adapter_is_there, publish
from balora_audit.scoring import ScoreRequest
from balora_audit.slices import Slice
from balora_audit.training.process_group import ProcessGroup, find_process_group

__all__ = ["execute"]

FloorKey = tuple[CellId, str, str, Slice]


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
    cells = (*plan.cells, *(trial.cell for trial in plan.trials))
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

    def _try(self, trials: Sequence[Trial]) -> None:
        """Train the candidates that are missing, and score the validation rows."""
        todo = self.process_group.broadcast([trial.train_key for trial in trials if not adapter_is_there(self.store, trial.cell)])
        chosen = [trial for trial in trials if trial.train_key in todo]
        for number, trial in enumerate(chosen, start=1):
            try:
                worker = self._work()
                with self._timed("tune"):
                    worker.try_out(trial, f"trying {trial} ({number} of {len(chosen)})")
            except UnitError as error:
                self._lose(trial.train_key, "tune", [], error)
            self.process_group.broadcast(None)
        for trial in self.process_group.assign(trials):
            if trial.train_key in self.lost or self.store.has(trial.validation_key):
                continue
            try:
                worker = self._work()
                with self._timed("tune"), worker.placed(trial.cell) as placed:
                    worker.score(trial.validation_key, trial.validation, placed)
            except UnitError as error:
                self._lose(trial.validation_key, "tune", [], error)
        self._gather()

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
        tried = [trial.cell for trial in self.plan.trials if trial.train_key not in self.plan.failed]
        for cells in self.process_group.assign(_by_adapter((*self.plan.cells, *tried))):
            first = cells[0]
            if first.train_key in self.lost:
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
                self._lose(str(first.train_key), "load", cells, error)
        self._gather()

    def conclude(self, command: str | None) -> AuditRecord:
        """Measure and compare what was scored; write the audit and return it."""
        plan = self.plan
        with self._timed("measure"):
            evidence, unmeasured, floors = self._measure()
            frontiers = self._frontiers()
        with self._timed("compare"):
            comparisons = compare_all(
                plan.config,
                plan.claims,
                plan.pairs,
                evidence,
                untrained=frozenset(name for name, method in plan.methods.items() if method.is_base),
                failures=unmeasured,
                floors=floors,
                skill=SKILL_OF[plan.dataset.task],
                controls=plan.controls,
                frontiers=frontiers,
            )
            points = frontier_points(plan.config, frontiers, SKILL_OF[plan.dataset.task])
            effects = attribution(plan.config, plan.methods, evidence, frontiers, SKILL_OF[plan.dataset.task], plan.claims)
        with self._timed("across models"):
            series = self._across()
        with self._timed("samples"):
            tables = samples.write(self.store, plan.probes.values(), [cell for cell in plan.cells if self._made(cell)], self.lost)
        outcome = Outcome(
            evidence=evidence,
            comparisons=tuple(comparisons),
            floors=floors,
            tuning=tuning_record(plan, self.store, self.lost),
            frontiers=tuple(points),
            attribution=tuple(effects),
            series=tuple(series),
            samples=tuple(tables),
            failures=tuple(self.failures),
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

    def _made(self, cell: Cell) -> bool:
        """Whether what is to be made for a cell is there."""
        return cell.train_key not in self.lost

    def _scores(self, cell: Cell, *, again: bool = False, without: Collection[str] = ()) -> StoredScores:
        """Return the scores of a cell, as far as there are any, or those of the second scoring where there is one; nothing is read yet."""
        units = {**cell.score_keys, **cell.rebatched_keys} if again else cell.score_keys
        return StoredScores(self.store, units, lost=self.lost, without=without)

    def _measure(self) -> tuple[dict[CellId, dict[str, Findings]], dict[tuple[CellId, str], str], dict[FloorKey, float]]:
        """Let every probe measure every model; return what was found, why what is missing was not, and the numerical floors.

        The scores of one model, and of the base and the control beside it, are held at a time.
        """
        evidence: dict[CellId, dict[str, Findings]] = {}
        unmeasured: dict[tuple[CellId, str], str] = {}
        floors: dict[FloorKey, float] = {}
        self.progress.stage("measuring", len(self.plan.cells), "models")
        for cell in self.plan.cells:
            if self._made(cell):
                evidence[cell.id] = {}
            scores, beside = self._scores(cell), self._beside(cell)
            for name, probe in self.plan.probes.items():
                reason = self._missing(cell, name)
                if reason is None:
                    try:
                        evidence[cell.id][name] = probe.measure(cell.context, scores, beside)
                    except StoreError:
                        raise  # damage on the disk is not the probe's
                    except Exception as error:  # noqa: BLE001 - recorded, whoever wrote the probe, and the others go on
                        reason = self._probe_failed(name, error, cell.id)
                if reason is not None:
                    unmeasured[cell.id, name] = reason
            del scores, beside
            floors |= self._floors(cell, evidence.get(cell.id, {}))
            self.progress.advance()
        return evidence, unmeasured, floors

    def _frontiers(self) -> Frontiers:
        """Measure every candidate with the light battery, beside the base; return the candidates of each method."""
        tried: dict[tuple[str, str], dict[int, dict[str, Findings]]] = {}
        settings = {(trial.method, trial.setting.name): trial.setting for trial in self.plan.trials}
        whole = [trial for trial in self.plan.trials if trial.train_key not in self.plan.failed]
        self.progress.stage("measuring candidates", len(whole), "candidates")
        for trial in whole:
            scores, beside = self._scores(trial.cell), self._beside(trial.cell)
            found: dict[str, Findings] = {}
            for name, probe in self.plan.probes.items():
                light = probe.battery
                if light is None or self._missing(trial.cell, name) is not None:
                    continue
                try:
                    found[name] = light.measure(trial.cell.context, scores, beside)
                except StoreError:
                    raise
                except Exception as error:  # noqa: BLE001 - as above
                    self._probe_failed(name, error, None)
            tried.setdefault((trial.method, trial.setting.name), {})[trial.cell.context.seed] = found
            self.progress.advance()
        frontiers: dict[str, list[Candidate]] = {}
        for (method, name), by_seed in tried.items():
            setting = settings[method, name]
            frontiers.setdefault(method, []).append(
                Candidate(
                    method=method,
                    setting=name,
                    place=setting.place,
                    rate=setting.rate,
                    others=setting.others,
                    found=by_seed,
                    chosen=setting == self.plan.settings.get(method),
                )
            )
        return frontiers

    def _beside(self, cell: Cell, *, again: bool = False) -> Beside:
        """Return the scores of the base under a cell's condition and seed, and those of its method under the control."""
        asked = cell.id
        base = next((other for other in self.plan.cells if other.id[1:] == asked[1:] and not other.context.changes_weights), None)
        control = next((other for other in self.plan.cells if other.id == asked._replace(condition=str(cell.context.control))), None)
        reason = "the model trained on the control failed" if control is not None else cell.context.no_control
        return Beside(
            base=self._scores(base, again=again) if base is not None and self._made(base) else None,
            # of a control answers are compared, not features, which would be held for a third model
            control=self._scores(control, again=again, without=FEATURES) if control is not None and self._made(control) else None,
            no_control=reason,
        )

    def _floors(self, cell: Cell, found: Mapping[str, Findings]) -> dict[FloorKey, float]:
        """Return how far a cell's numbers move when what was read is scored in other batches and another order."""
        if not cell.rebatched_keys or any(unit in self.lost for unit in cell.rebatched_keys.values()):
            return {}
        scores, beside = self._scores(cell, again=True), self._beside(cell, again=True)
        floors: dict[FloorKey, float] = {}
        for name, findings in found.items():
            if any(key in cell.rebatched_keys for key in cell.asked[name]):
                try:
                    again = self.plan.probes[name].measure(cell.context, scores, beside)
                except StoreError:
                    raise
                except Exception as error:  # noqa: BLE001 - as above
                    self._probe_failed(name, error, cell.id)
                    continue
                values = {(row.metric, row.slice): row.value for row in again.measurements}
                known = {(metric, str(slice)): slice for metric, slice in findings.scores if slice.whole}
                for row in findings.measurements:
                    other, slice = values.get((row.metric, row.slice)), known.get((row.metric, row.slice))
                    if slice is not None and row.value is not None and other is not None:
                        floors[cell.id, name, row.metric, slice] = abs(row.value - other)
        return floors

    def _missing(self, cell: Cell, probe: str) -> str | None:
        """Return why a probe cannot measure a cell: a unit that it needs failed; None where all are there."""
        needed = (str(cell.train_key), *(cell.score_keys[key] for key in cell.asked[probe]))
        return next((self.lost[unit] for unit in needed if unit in self.lost), None)

    def _across(self) -> list[Series]:
        """Let every probe fit what needs all models at once."""
        series: list[Series] = []
        for name, probe in self.plan.probes.items():
            cells = [(cell.context, self._scores(cell)) for cell in self.plan.cells if self._missing(cell, name) is None]
            try:
                series += probe.across(cells)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self._probe_failed(name, error, None)
        return series

    def _probe_failed(self, probe: str, error: Exception, cell: CellId | None) -> str:
        message = f"the probe {probe!r} failed: {type(error).__name__}: {error}"
        self.failures.append(Failure(unit=probe, stage="measure", message=message, **({} if cell is None else cell._asdict())))
        return message

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
        grouped.setdefault(cell.train_key or "none", []).append(cell)
    return list(grouped.values())
