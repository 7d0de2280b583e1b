"""The units of work that need the model: training one adapter, scoring one set of texts. One base in memory for all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from balora_audit import costs
from balora_audit.errors import ModelError, UnitError
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import (
    attach,
    change_norm,
    keep_anchor,
    loaded,
    target_modules,
    trainable_parameters,
    without,
)
from balora_audit.methods.method import Factors
from balora_audit.models.encode import Encoder
from balora_audit.models.load import load, weights_hash
from balora_audit.models.precision import DTYPES
from balora_audit.plan import Cell, Plan
from balora_audit.probes.evidence import ScoreRequest, Scores
from balora_audit.progress import Progress
from balora_audit.scoring import CausalScorer, LabelScores, ResponseScores, TextScores
from balora_audit.store import RunStore, hash_files
from balora_audit.training.examples import encode_rows, order_hash, steps_per_epoch
from balora_audit.training.loop import TrainingLog, fit
from balora_audit.training.teacher import Teacher

__all__ = ["Worker", "adapter_is_there", "read_scores"]

_KINDS: dict[str, type[LabelScores] | type[ResponseScores] | type[TextScores]] = {
    "labels": LabelScores,
    "responses": ResponseScores,
    "texts": TextScores,
}


def read_scores(store: RunStore, key: str) -> Scores:
    """Return the stored scores of a unit."""
    record, arrays = store.read(key)
    return _KINDS[record["kind"]](**arrays)


def adapter_is_there(store: RunStore, cell: Cell) -> bool:
    """Whether a cell's adapter is trained and its files are the ones that training wrote."""
    if cell.train_key is None or not store.has(cell.train_key):
        return False
    record = store.note(cell.train_key)
    folder = store.folder / record["cell"]["adapter"]
    return folder.is_dir() and bool(hash_files(folder) == record["files"])


class Worker:
    """Trains and scores with one loaded base."""

    def __init__(self, plan: Plan, store: RunStore, progress: Progress) -> None:
        self.plan = plan
        self.store = store
        self.progress = progress
        progress.say(f"loading {plan.model.name} in {plan.dtype} on {plan.device} ({plan.dtype_reason})")
        self.base = load(
            plan.model,
            device=torch.device(plan.device),
            dtype=DTYPES[plan.dtype],
            trust_remote_code=plan.config.trust_remote_code,
        )
        if not self.base.forward.selective:
            progress.say("this architecture changes its logits after the head: every pass computes all of them (slower)")
        self._teacher = Teacher(self.base.forward, self.base.device)
        self._principal: Factors | None = None

    def train(self, cell: Cell, title: str) -> None:
        """Train a cell's adapter, check it, and store adapter and log.

        Raises
        ------
        UnitError
            The loss diverged, memory ran out, nothing was learned, or the base's weights changed.
        """
        config, method, seed = self.plan.config, METHODS[cell.context.method], cell.context.seed
        assert cell.train_key is not None
        encoder = Encoder(self.base.tokenizer, config.training.max_tokens)
        rows = encode_rows(self.plan.dataset, cell.context.train, encoder)
        steps = config.training.epochs * steps_per_epoch(len(rows), config.training.batch_size)
        self.progress.stage(title, steps, "steps")
        start = time.perf_counter()
        peft_model, prepared = attach(
            self.base.model,
            method,
            config.adapter,
            seed,
            factors=self._principal_factors if method.anchored else None,
        )
        try:
            before = keep_anchor(peft_model)
            penalties = method.penalties(config.effective_penalties) if method.penalties else None
            log = fit(
                peft_model,
                self.base.forward,
                rows,
                config.training,
                penalties=penalties,
                teacher=self._teacher if penalties is not None else None,
                seed=seed,
                device=self.base.device,
                advance=self.progress.advance,
            )
            if change_norm(peft_model, before) == 0:
                raise UnitError("training changed nothing: the adapter is what it started as")
            parameters = trainable_parameters(peft_model, prepared)
            target = self.store.adapter_path(*cell.id)
            with self.store.staged(target) as temporary:
                peft_model.save_pretrained(temporary)
                _drop_model_card(temporary)
        finally:
            peft_model.unload()
        if weights_hash(self.base.model) != self.base.weights:
            raise ModelError(f"training {method.name} changed the base's weights; this is a defect, please report it")
        costs.record(self.plan, f"train:{method.name}", time.perf_counter() - start, len(rows) * config.training.epochs)
        self._store_log(cell, log, rows_hash=self._order(rows, seed), parameters=parameters, examples=len(rows), encoder=encoder)

    def _order(self, rows: list[Any], seed: int) -> str:
        training = self.plan.config.training
        return order_hash(rows, batch_size=training.batch_size, epochs=training.epochs, seed=seed)

    def _store_log(self, cell: Cell, log: TrainingLog, *, rows_hash: str, parameters: int, examples: int, encoder: Encoder) -> None:
        target = self.store.adapter_path(*cell.id)
        notes = []
        if encoder.truncated:
            notes.append(f"{encoder.truncated} training prompts were longer than the limit and lost their beginning")
        record = {
            "kind": "train",
            "cell": {
                "trainable_parameters": parameters,
                "examples": examples,
                "steps": log.steps,
                "losses": log.last,
                "wall_seconds": round(log.wall_seconds, 2),
                "peak_memory_bytes": log.peak_memory_bytes,
                "adapter": target.relative_to(self.store.folder).as_posix(),
                "notes": notes,
            },
            "order_sha256": rows_hash,
            "base_sha256": self.base.weights,
            "files": hash_files(target),
            "curves": log.curves,
        }
        self.store.write(str(cell.train_key), record)

    def _principal_factors(self) -> Factors:
        """PiSSA's initial factors depend on the base and the rank alone: computed once for all cells."""
        if self._principal is None:
            self.progress.say("decomposing the base's weights for PiSSA (once)")
            from balora_audit.methods.pissa import principal_factors

            settings = self.plan.config.adapter
            self._principal = principal_factors(target_modules(self.base.model, settings.target_modules), settings, 0)
        return self._principal

    def score(self, cell: Cell, missing: Mapping[str, tuple[Cell, str]], title: str) -> None:
        """Score the missing sets of one adapter (or of the bare base) and store each as a unit.

        Raises
        ------
        UnitError
            The adapter is zero, or memory ran out.
        """
        requests = {unit: owner.requests[key] for unit, (owner, key) in missing.items()}
        self.progress.stage(title, sum(len(request.texts) for request in requests.values()), "texts")
        folder = None if cell.train_key is None else self.store.adapter_path(*cell.id)
        try:
            with loaded(self.base.model, folder) as peft_model:
                scorer = CausalScorer(
                    self.base,
                    limit_tokens=self.plan.config.training.max_tokens,
                    without_adapter=without(peft_model),
                    advance=self.progress.advance,
                )
                for unit, request in requests.items():
                    start = time.perf_counter()
                    scorer.encoder.truncated = 0
                    found = self._score_one(scorer, request)
                    arrays = {name: value for name, value in _fields(found).items() if value is not None}
                    record = {"kind": request.kind, "truncated": scorer.encoder.truncated, "set": request.key}
                    self.store.write(unit, record, arrays)
                    costs.record(self.plan, f"score:{request.kind}", time.perf_counter() - start, len(request.texts))
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise UnitError(f"out of memory while scoring: {error}") from error

    def _score_one(self, scorer: CausalScorer, request: ScoreRequest) -> Scores:
        if request.kind == "labels":
            answers = [" " + name for name in self.plan.dataset.label_names]
            found: Scores = scorer.labels(request.texts, answers, features=request.features)
        elif request.kind == "responses":
            found = scorer.responses(request.texts, request.responses, features=request.features)
        else:
            found = scorer.texts(request.texts)
        for name, array in _fields(found).items():
            if array is not None and not np.isfinite(array).all():
                raise UnitError(f"the model gives {name.replace('_', ' ')} that are not finite on the set {request.key!r}")
        return found


def _fields(scores: Scores) -> dict[str, np.ndarray | None]:
    return {name: getattr(scores, name) for name in type(scores).__dataclass_fields__}


def _drop_model_card(folder: Path) -> None:
    """PEFT writes a template of a model card whose blanks nobody filled; an adapter here is described by ``audit.json``."""
    (folder / "README.md").unlink(missing_ok=True)
