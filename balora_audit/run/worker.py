"""The units of work that need the model: training one cell, scoring one set of texts. One base in memory for all."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from balora_audit.errors import ModelError, UnitError, Unusable
from balora_audit.files import hash_files, write_atomic
from balora_audit.models.load import load
from balora_audit.models.placed import Placed
from balora_audit.models.precision import DTYPES
from balora_audit.progress import Progress
from balora_audit.run import costs, provenance
from balora_audit.run.code import code_hash
from balora_audit.run.layout import CANDIDATES, share_folder
from balora_audit.run.notes import training_note
from balora_audit.run.plan import Cell, Plan, Trial
from balora_audit.run.store import RunStore
from balora_audit.scoring import Reader, ScoreRequest, score
from balora_audit.training import teacher
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.workshop import Job, Made, Workshop

__all__ = ["Worker", "adapter_folder", "adapter_is_there", "can_be_tested", "publish"]


def adapter_folder(store: RunStore, cell: Cell) -> Path | None:
    """Return where a cell's adapter was written (cells with the same content share one); None for a bare base.

    Raises
    ------
    Unusable
        After this share of its steps there was nothing to write.
    """
    if cell.train_key is None:
        return None
    made = training_note(store, cell.train_key)
    if cell.share == 1:
        return made.folder
    state = made.shares.get(cell.share)
    if state is None or state.folder is None:
        raise Unusable(_NOT_KEPT if state is None else state.reason)
    return state.folder


def adapter_is_there(store: RunStore, cell: Cell) -> bool:
    """Whether a cell's adapter is trained and its files are the ones that training wrote, or training noted why it wrote none."""
    if cell.train_key is None or not store.has(cell.train_key):
        return False
    made = training_note(store, cell.train_key)
    if cell.share == 1:
        return _is_whole(made.folder, made.files)
    state = made.shares.get(cell.share)
    return state is not None and (state.folder is None or _is_whole(state.folder, state.files))


def can_be_tested(store: RunStore, cell: Cell) -> bool:
    """Whether all scores of a cell are there, or the adapter that they are taken of."""
    return all(store.has(unit) for unit in cell.score_keys.values()) or adapter_is_there(store, cell)


def _is_whole(folder: Path, files: Mapping[str, str]) -> bool:
    return folder.is_dir() and hash_files(folder) == files


def publish(store: RunStore, cell: Cell) -> None:
    """Give a cell that was trained as a candidate its adapter in its own place; the same files, by another name where that is possible."""
    place, folder = adapter_folder(store, cell), store.folder / cell.folder
    if place is None or place == folder or not place.is_relative_to(store.folder / CANDIDATES):
        return
    if _is_whole(folder, training_note(store, str(cell.train_key)).files):
        return
    with store.staged(folder) as temporary:
        shutil.copytree(place, temporary, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


_NOT_KEPT = "training kept no state there: it ended before, or its method keeps none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    """The place of one cell's files in a run folder; see `balora_audit.training.workshop.Output`.

    What became of its shares is noted beside the checkpoints until training is done.
    """

    store: RunStore
    folder: Path
    checkpoints: Path
    writes: bool

    def write(self, save: Callable[[Path], object]) -> None:
        self._fill(self.folder, save)

    def keep_failed(self, save: Callable[[Path], object]) -> str:
        kept = self.folder.with_name(self.folder.name + ".diverged")
        self._fill(kept, save)
        return kept.relative_to(self.store.folder).as_posix()

    def write_share(self, share: float, save: Callable[[Path], object]) -> None:
        folder = share_folder(self.folder, share)
        self._fill(folder, save)
        if self.writes:
            self._note(share, {"adapter": folder.relative_to(self.store.folder).as_posix(), "files": hash_files(folder)})

    def skip_share(self, share: float, reason: str) -> None:
        if self.writes:
            self._note(share, {"reason": reason})

    def has_share(self, share: float) -> bool:
        return "files" in (said := self.share(share)) or said["reason"] != _NOT_KEPT

    def share(self, share: float) -> dict[str, Any]:
        """Return what the training unit says of a share: its folder and files, or why there are none."""
        try:
            said: dict[str, Any] = json.loads(self._place(share).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"reason": _NOT_KEPT}
        whole = "reason" in said or _is_whole(self.store.folder / str(said["adapter"]), said["files"])
        return said if whole else {"reason": _NOT_KEPT}

    def _note(self, share: float, said: Mapping[str, Any]) -> None:
        write_atomic(self._place(share), json.dumps(said))

    def _place(self, share: float) -> Path:
        return self.checkpoints / f"share{share}.json"

    def _fill(self, target: Path, save: Callable[[Path], object]) -> None:
        if self.writes:
            with self.store.staged(target) as temporary:
                save(temporary)


class Worker:
    """Trains and scores with one loaded base."""

    def __init__(self, plan: Plan, store: RunStore, progress: Progress, process_group: ProcessGroup = ProcessGroup()) -> None:  # noqa: B008 - frozen
        self.plan, self.store, self.progress, self.process_group = plan, store, progress, process_group
        progress.say(f"loading {plan.model.name} in {plan.dtype} on {plan.device} ({plan.dtype_reason})")
        self.base = load(
            plan.model,
            device=torch.device(plan.device),
            dtype=DTYPES[plan.dtype],
            head=plan.recipe.head,
            trust_remote_code=plan.config.trust_remote_code,
        )
        identity = {
            "model": plan.model.fingerprint,
            "dtype": plan.dtype,
            "device": plan.device,
            "head": repr(plan.recipe.head),
            "versions": provenance.versions(),
            "code": code_hash(teacher.__name__),
            "threads": torch.get_num_threads(),
        }
        self.workshop = Workshop(
            self.base, plan.recipe, plan.dataset, teacher_identity=identity, progress=progress, process_group=process_group
        )

    def train(self, cell: Cell, title: str) -> None:
        """Let a cell's method make what it makes, check that the base is what it was, and store the log.

        Raises
        ------
        UnitError
            The loss diverged, memory ran out, or nothing was learned.
        """
        method, job = self.plan.methods[cell.context.method], self._job(cell, title)
        start = time.perf_counter()
        made = method.make(self.workshop, job)
        self._keep(cell, made)
        if made.passes:
            costs.record(self.plan, f"train:{method.name}", time.perf_counter() - start, made.passes)
        self._check_base(method.name)

    def try_out(self, trials: Sequence[Trial], title: str) -> dict[str, UnitError]:
        """Train candidates of one group, in one pass where that is possible; return what failed otherwise than for good, by unit.

        A candidate that gives no model is recorded as such, since it would fail again.
        """
        method = self.plan.methods[trials[0].method]
        jobs = [self._job(trial.cell, title) for trial in trials]
        start = time.perf_counter()
        outcomes = method.make_all(self.workshop, jobs)
        failed: dict[str, UnitError] = {}
        for trial, outcome in zip(trials, outcomes, strict=True):
            if not isinstance(outcome, UnitError):
                self._keep(trial.cell, outcome)
                continue
            self.progress.say(f"{trial} failed: {outcome}")
            if not isinstance(outcome, Unusable):
                failed[trial.train_key] = outcome
            elif self.process_group.is_main:
                self.store.write(trial.validation_key, {"kind": "failed", "reason": str(outcome)})
                for left in (self.store.partial(trial.train_key), *(self.store.folder / cell.folder for cell in trial.partial)):
                    shutil.rmtree(left, ignore_errors=True)  # what is left of its way is not tested
        passes = sum(outcome.passes for outcome in outcomes if not isinstance(outcome, UnitError))
        costs.record(self.plan, f"tune:{method.name}", time.perf_counter() - start, passes)
        self._check_base(method.name)
        return failed

    def _job(self, cell: Cell, title: str) -> Job:
        context = cell.context
        return Job(
            train=context.train,
            seed=context.seed,
            title=title,
            output=self._output(cell),
            steps=context.steps,
            recipe=cell.recipe,
            shares=cell.shares,
        )

    def _output(self, cell: Cell) -> _Output:
        return _Output(
            store=self.store,
            folder=self.store.folder / cell.folder,
            checkpoints=self.store.partial(str(cell.train_key)),
            writes=self.process_group.is_main,
        )

    def _check_base(self, method: str) -> None:
        if self.base.current_weights() != self.base.weights:
            raise ModelError(f"training {method} changed the base's weights; this is a defect, please report it")

    def _keep(self, cell: Cell, made: Made) -> None:
        if not self.process_group.is_main:
            return
        output = self._output(cell)
        record = {
            "kind": "train",
            "cell": {**made.cell, "adapter": output.folder.relative_to(self.store.folder).as_posix()},
            "base_sha256": self.base.weights,
            "files": hash_files(output.folder),
            **({} if made.order_sha256 is None else {"order_sha256": made.order_sha256}),
            "curves": dict(made.curves),
            **({"shares": {str(share): output.share(share) for share in cell.shares}} if cell.shares else {}),
        }
        self.store.write(str(cell.train_key), record)
        shutil.rmtree(output.checkpoints, ignore_errors=True)

    @contextmanager
    def placed(self, cell: Cell) -> Iterator[Placed]:
        """Put what was made for a cell on the base for the time of a block.

        Raises
        ------
        UnitError
            The adapter is zero, or memory ran out.
        ModelError
            It is damaged.
        Unusable
            It is the state after a share of the steps, and there is none.
        """
        folder = adapter_folder(self.store, cell)
        if folder is None:
            yield Placed(base=self.base)
            return
        with ExitStack() as stack:
            try:
                placed = stack.enter_context(self.plan.methods[cell.context.method].place(self.base, folder))
            except (torch.OutOfMemoryError, MemoryError) as error:
                raise UnitError(f"out of memory while loading {folder}: {error}") from error
            yield placed

    def skip(self, units: Iterable[str], reason: str) -> None:
        """Store of units of scores that there is nothing to score."""
        if self.process_group.is_main or not self.process_group.fully_sharded:
            for unit in units:
                self.store.write(unit, {"kind": "failed", "reason": reason})

    def score(self, unit: str, request: ScoreRequest, placed: Placed) -> None:
        """Score one set of texts with what is in place, and store the unit.

        Raises
        ------
        UnitError
            Memory ran out, or a number is not finite; the other sets may still succeed.
        """
        start = time.perf_counter()
        encoder = self.workshop.encoder()
        found = score(request, Reader(placed=placed, encoder=encoder, advance=self.progress.advance))
        record = {"kind": request.kind, "truncated": encoder.truncated, "cut": encoder.cut_responses, "set": request.key}
        if self.process_group.is_main or not self.process_group.fully_sharded:  # with a sharded base all processes compute the same
            self.store.write(unit, record, found.arrays())
        costs.record(self.plan, f"score:{request.kind}", time.perf_counter() - start, request.size)
