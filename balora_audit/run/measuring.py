"""From scores to findings: every probe on every model, a light battery on every candidate, and what is fitted to all models together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from balora_audit.cells import CellId
from balora_audit.comparison.frontiers import Candidate, Frontiers
from balora_audit.errors import StoreError
from balora_audit.probes import Beside, Findings
from balora_audit.progress import Progress
from balora_audit.records import Failure, Series
from balora_audit.run.notes import first_failure
from balora_audit.run.plan import Cell, Plan
from balora_audit.run.scores import FEATURES, StoredScores
from balora_audit.run.store import RunStore
from balora_audit.slices import Slice

__all__ = ["FloorKey", "Measuring"]

FloorKey = tuple[CellId, str, str, Slice]


class Measuring:
    """Measures what was scored; a probe that fails is recorded in ``failures``, and the others go on.

    Parameters
    ----------
    plan : Plan
    store : RunStore
    progress : Progress
    lost : mapping
        Units that failed, with the reason: what they would have given is missing.
    """

    def __init__(self, plan: Plan, store: RunStore, progress: Progress, lost: Mapping[str, str]) -> None:
        self._plan, self._store, self._progress, self._lost = plan, store, progress, lost
        self.failures: list[Failure] = []

    def _made(self, cell: Cell) -> bool:
        """Whether what is to be made for a cell is there."""
        return cell.train_key not in self._lost

    def _scores(self, cell: Cell, *, again: bool = False, without: Collection[str] = ()) -> StoredScores:
        """Return the scores of a cell, as far as there are any, or those of the second scoring where there is one; nothing is read yet."""
        units = {**cell.score_keys, **cell.rebatched_keys} if again else cell.score_keys
        return StoredScores(self._store, units, lost=self._lost, without=without)

    def models(self) -> tuple[dict[CellId, dict[str, Findings]], dict[tuple[CellId, str], str], dict[FloorKey, float]]:
        """Let every probe measure every model; return what was found, why what is missing was not, and the numerical floors.

        The scores of one model, and of the base and the control beside it, are held at a time.
        """
        evidence: dict[CellId, dict[str, Findings]] = {}
        unmeasured: dict[tuple[CellId, str], str] = {}
        floors: dict[FloorKey, float] = {}
        self._progress.stage("measuring", len(self._plan.cells), "models")
        for cell in self._plan.cells:
            if self._made(cell):
                evidence[cell.id] = {}
            scores, beside = self._scores(cell), self._beside(cell)
            for name, probe in self._plan.probes.items():
                reason = self._missing(cell, name)
                if reason is None:
                    with self._guarded(name, cell.id) as failed:
                        evidence[cell.id][name] = probe.measure(cell.context, scores, beside)
                    reason = next(iter(failed), None)
                if reason is not None:
                    unmeasured[cell.id, name] = reason
            del scores, beside
            floors |= self._floors(cell, evidence.get(cell.id, {}))
            self._progress.advance()
        return evidence, unmeasured, floors

    def candidates(self) -> Frontiers:
        """Measure every candidate with the light battery, beside the base; return the candidates of each method.

        The states after shares of its steps are candidates, too, where something had been learned by then; none of them is chosen.
        """
        tried: dict[tuple[str, str, float], dict[int, dict[str, Findings]]] = {}
        settings = {(trial.method, trial.setting.name): trial.setting for trial in self._plan.trials}
        states = [(trial, cell) for trial in self._plan.trials if trial.train_key not in self._plan.failed for cell in trial.states]
        self._progress.stage("measuring candidates", len(states), "candidates")
        for trial, cell in states:
            if cell.share == 1 or first_failure(self._store, cell.score_keys.values()) is None:
                tried.setdefault((trial.method, trial.setting.name, cell.share), {})[cell.context.seed] = self._battery(cell)
            self._progress.advance()
        frontiers: dict[str, list[Candidate]] = {}
        for (method, name, share), by_seed in tried.items():
            setting = settings[method, name]
            frontiers.setdefault(method, []).append(
                Candidate(
                    method=method,
                    setting=name,
                    place=setting.place,
                    rate=setting.rate,
                    others=setting.others,
                    found=by_seed,
                    chosen=share == 1 and setting == self._plan.settings.get(method),
                    share=share,
                )
            )
        return frontiers

    def _battery(self, cell: Cell) -> dict[str, Findings]:
        """Measure one candidate with the light battery, as far as its scores are there."""
        scores, beside = self._scores(cell), self._beside(cell)
        found: dict[str, Findings] = {}
        for name, probe in self._plan.probes.items():
            light = probe.battery
            if light is None or self._missing(cell, name) is not None:
                continue
            with self._guarded(name, None):
                found[name] = light.measure(cell.context, scores, beside)
        return found

    def _beside(self, cell: Cell, *, again: bool = False) -> Beside:
        """Return the scores of the base under a cell's condition and seed, and those of its method under the control."""
        asked = cell.id
        base = next((other for other in self._plan.cells if other.id[1:] == asked[1:] and not other.context.changes_weights), None)
        control = next((other for other in self._plan.cells if other.id == asked._replace(condition=str(cell.context.control))), None)
        reason = "the model trained on the control failed" if control is not None else cell.context.no_control
        return Beside(
            base=self._scores(base, again=again) if base is not None and self._made(base) else None,
            # of a control answers are compared, not features, which would be held for a third model
            control=self._scores(control, again=again, without=FEATURES) if control is not None and self._made(control) else None,
            no_control=reason,
        )

    def _floors(self, cell: Cell, found: Mapping[str, Findings]) -> dict[FloorKey, float]:
        """Return how far a cell's numbers move when what was read is scored in other batches and another order."""
        if not cell.rebatched_keys or any(unit in self._lost for unit in cell.rebatched_keys.values()):
            return {}
        scores, beside = self._scores(cell, again=True), self._beside(cell, again=True)
        floors: dict[FloorKey, float] = {}
        for name, findings in found.items():
            if any(key in cell.rebatched_keys for key in cell.asked[name]):
                with self._guarded(name, cell.id) as failed:
                    again = self._plan.probes[name].measure(cell.context, scores, beside)
                if failed:
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
        needed = (str(cell.train_key), str(cell.state_key), *(cell.score_keys[key] for key in cell.asked[probe]))
        return next((self._lost[unit] for unit in needed if unit in self._lost), None)

    def across(self) -> list[Series]:
        """Let every probe fit what needs all models at once."""
        series: list[Series] = []
        for name, probe in self._plan.probes.items():
            cells = [(cell.context, self._scores(cell)) for cell in self._plan.cells if self._missing(cell, name) is None]
            with self._guarded(name, None):
                series += probe.across(cells)
        return series

    @contextmanager
    def _guarded(self, probe: str, cell: CellId | None) -> Iterator[list[str]]:
        """Record what a probe raises in a block, whoever wrote it, and go on; the list that is given then holds the message."""
        failed: list[str] = []
        try:
            yield failed
        except StoreError:
            raise  # damage on the disk is not the probe's
        except Exception as error:  # noqa: BLE001 - the other probes go on
            failed.append(f"the probe {probe!r} failed: {type(error).__name__}: {error}")
            where = {} if cell is None else cell._asdict()
            self.failures.append(Failure(unit=probe, stage="measure", message=failed[0], **where))
