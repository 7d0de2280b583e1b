"""The units of work that need the model: training one adapter, scoring one set of texts. One base in memory for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from balora_audit.errors import ModelError, UnitError
from balora_audit.files import hash_files
from balora_audit.harness.records import HarnessScores
from balora_audit.methods import Method
from balora_audit.methods.adapter import Attached, attach, loaded, target_modules
from balora_audit.methods.full import FullTuning, full_loaded
from balora_audit.methods.imported import bring_in
from balora_audit.methods.method import Factors
from balora_audit.methods.weights import WeightAnalysis, WeightScores
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.encode import Encoder
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import load
from balora_audit.models.precision import DTYPES
from balora_audit.penalties import Penalties
from balora_audit.probes import ScoreRequest, Scores
from balora_audit.probes.harness import suite_of
from balora_audit.progress import Progress
from balora_audit.regularizers import effective_k
from balora_audit.run import costs, provenance
from balora_audit.run.plan import Cell, Plan
from balora_audit.run.store import RunStore
from balora_audit.scoring import AnswerScores, CausalScorer, ClassifierScorer, LabelScores, NumberScores, ResponseScores, TextScores
from balora_audit.training.checkpoint import Checkpoints
from balora_audit.training.examples import TrainingRow, encode_rows, encode_whole, steps_per_epoch
from balora_audit.training.fused import Head
from balora_audit.training.head_start import probe_head, random_head
from balora_audit.training.loop import Diverged, Trainer
from balora_audit.training.objective import objective_for
from balora_audit.training.teacher import Bare, Teacher
from balora_audit.training.teacher_cache import TeacherCache
from balora_audit.training.team import Team

__all__ = ["Worker", "adapter_folder", "adapter_is_there", "read_scores"]

_KINDS: dict[str, type[Scores]] = {
    "answers": AnswerScores,
    "harness": HarnessScores,
    "labels": LabelScores,
    "numbers": NumberScores,
    "responses": ResponseScores,
    "texts": TextScores,
    "weights": WeightScores,
}
_HEAD_FILE = "head.safetensors"


def read_scores(store: RunStore, key: str) -> Scores:
    """Return the stored scores of a unit."""
    record, arrays = store.read(key)
    return _KINDS[record["kind"]](**arrays)


def adapter_folder(store: RunStore, cell: Cell) -> Path | None:
    """Return where a cell's adapter was written (cells with the same content share one); None for a bare base."""
    if cell.train_key is None:
        return None
    found: str = store.note(cell.train_key)["cell"]["adapter"]
    return store.folder / found


def adapter_is_there(store: RunStore, cell: Cell) -> bool:
    """Whether a cell's adapter is trained and its files are the ones that training wrote."""
    if cell.train_key is None or not store.has(cell.train_key):
        return False
    folder = adapter_folder(store, cell)
    return folder is not None and folder.is_dir() and bool(hash_files(folder) == store.note(cell.train_key)["files"])


class Worker:
    """Trains and scores with one loaded base."""

    def __init__(self, plan: Plan, store: RunStore, progress: Progress, team: Team = Team()) -> None:  # noqa: B008 - frozen
        self.plan = plan
        self.store = store
        self.progress = progress
        self.team = team
        progress.say(f"loading {plan.model.name} in {plan.dtype} on {plan.device} ({plan.dtype_reason})")
        self.base = load(
            plan.model,
            device=torch.device(plan.device),
            dtype=DTYPES[plan.dtype],
            head=plan.head,
            trust_remote_code=plan.config.trust_remote_code,
        )
        self._head: Head | None = None
        if isinstance(self.base.forward, CausalForward):
            linear = self.base.forward.linear_head
            self._head = None if linear is None else Head(linear.weight, linear.bias)
            if not self.base.forward.selective:
                progress.say("this architecture changes its logits after the head: every pass computes all of them (slower)")
        self._teacher = self._make_teacher()
        self._factors: dict[str, Factors] = {}
        self._analysis: WeightAnalysis | None = None

    def _make_teacher(self) -> Teacher:
        limit = int(self.plan.config.training.teacher_cache_gb * 1e9)
        identity = {
            "model": self.plan.model.fingerprint,
            "dtype": self.plan.dtype,
            "device": self.plan.device,
            "head": repr(self.plan.head),
            "versions": provenance.versions(),
            "code": provenance.code_hash(),
            "threads": torch.get_num_threads(),
        }
        cache = TeacherCache(identity, limit_bytes=limit, say=self.progress.say, writes=self.team.leads)
        # with a spread base all processes must compute the same rows at the same time: nothing may be forgotten
        return Teacher(self.base, limit_bytes=2**62 if self.team.shards else limit, cache=cache)

    def _encoder(self) -> Encoder:
        return Encoder(self.base.tokenizer, min(self.plan.config.training.max_tokens, self.base.limit_tokens))

    def train(self, cell: Cell, title: str) -> None:
        """Train a cell's adapter (or fit the base's head, or bring in an adapter), check it, and store it with its log.

        Raises
        ------
        UnitError
            The loss diverged, memory ran out, nothing was learned, or the base's weights changed.
        """
        method = self.plan.methods[cell.context.method]
        if method.tuning == "imported":
            self._import(cell, method)
        elif method.is_base:
            self._fit_head(cell, title)
        else:
            self._fine_tune(cell, method, title)
        if self.base.current_weights() != self.base.weights:
            raise ModelError(f"training {method.name} changed the base's weights; this is a defect, please report it")

    def _fine_tune(self, cell: Cell, method: Method, title: str) -> None:
        config, seed = self.plan.config, cell.context.seed
        encoder = self._encoder()
        rows = self._rows(cell, encoder)
        steps = config.training.epochs * -(-steps_per_epoch(len(rows), config.training.batch_size) // config.training.accumulation)
        penalties = method.penalties(config.penalties_for(self.plan.head.family)) if method.penalties else None
        start = time.perf_counter()
        if self.plan.head.kind == "classifier":
            self._set_head(cell, rows, own_start=config.training.teacher_head == "init")
        self.progress.stage(title, steps, "steps")
        tuned = self._attach(method, seed)
        partial = self.store.partial(str(cell.train_key))
        try:
            self.team.spread(tuned.model)
            if penalties is not None and penalties.consistency > 0 and self._teacher.prepare(tuned, rows):
                self.progress.say("the teacher's states on these rows are computed and kept")
            trainer = Trainer(
                tuned,
                objective_for(self.base, self._head, self._teacher, penalties, self.team, regression=self.plan.head.regression),
                config.training,
                learning_rate=config.training.learning_rate_of(method.name),
                penalties=penalties,
                seed=seed,
                device=self.base.device,
                team=self.team,
            )
            checkpoints = Checkpoints(partial, config.training.checkpoint_steps)
            try:
                log = trainer.fit(rows, checkpoints=checkpoints, advance=self.progress.advance)
            except Diverged as error:
                tuned.settle()
                kept = self.store.adapter_path(*cell.id)
                kept = kept.with_name(kept.name + ".diverged")
                self._save(tuned, kept)
                raise UnitError(f"{error}; its last good state is kept in {kept.relative_to(self.store.folder)}") from error
            if tuned.change_norm() == 0:
                raise UnitError("training changed nothing: the adapter is what it started as")
            tuned.settle()
            self._save(tuned, self.store.adapter_path(*cell.id))
        finally:
            tuned.detach()
        costs.record(self.plan, f"train:{method.name}", time.perf_counter() - start, len(rows) * config.training.epochs)
        notes = [*log.notes, *self._remarks(penalties)]
        if encoder.truncated:
            end = "end" if self.plan.head.kind == "classifier" else "beginning"
            notes.append(f"{encoder.truncated} training texts were longer than the limit and lost their {end}")
        if encoder.cut_responses:
            notes.append(f"{encoder.cut_responses} training responses took more than half of the limit and lost their end")
        written = {
            "trainable_parameters": tuned.count,
            "examples": len(rows),
            "steps": log.steps,
            "losses": log.last,
            "wall_seconds": round(log.wall_seconds, 2),
            "peak_memory_bytes": log.peak_memory_bytes,
            "notes": notes,
        }
        self._note(cell, written, order_sha256=log.order_sha256, curves=log.curves)
        if self.team.leads:
            checkpoints.clear()

    def _remarks(self, penalties: Penalties | None) -> list[str]:
        """Return what a reader must know about how head and penalties were set."""
        head, training = self.plan.head, self.plan.config.training
        if head.kind == "lm":
            return []
        start = "a regularised linear probe on frozen features" if training.teacher_head == "probe" else "small random numbers"
        found = [f"the head, and its teacher's, started at {start}"]
        if penalties is not None and head.regression:
            return [*found, "one output has no distribution, covariance or spectrum: of the regularizers, consistency alone is used"]
        if penalties is not None and penalties.spectral > 0:
            used = effective_k(penalties.k, training.batch_size, head.outputs)
            if used < penalties.k:
                found.append(
                    f"the singular-value term uses k = {used}: with k = {penalties.k} it would be the constant 1 on {head.outputs} classes"
                )
        return found

    def _attach(self, method: Method, seed: int) -> Attached | FullTuning:
        if method.tuning == "full":
            return FullTuning(self.base)
        factors: Callable[[], Factors] | None = None
        if not method.seeded:
            factors = lambda: self._initial_factors(method)  # noqa: E731
        return attach(self.base, method, self.plan.config.adapter, seed, factors=factors)

    def _initial_factors(self, method: Method) -> Factors:
        """Return initial factors that depend on the base and the rank alone: computed once for all cells that start alike."""
        if method.initialisation not in self._factors:
            self.progress.say(f"decomposing the base's weights ({method.initialisation}), once")
            settings = self.plan.config.adapter
            assert method.initialise is not None
            modules = target_modules(self.base.model, settings.target_modules, head=self.base.head)
            self._factors[method.initialisation] = method.initialise(modules, settings, 0)
        return self._factors[method.initialisation]

    def _rows(self, cell: Cell, encoder: Encoder) -> list[TrainingRow]:
        if self.plan.head.kind == "classifier":
            return encode_whole(cell.context.train, encoder)
        return encode_rows(self.plan.dataset, cell.context.train, encoder)

    def _set_head(self, cell: Cell, rows: list[TrainingRow], *, own_start: bool) -> None:
        """Set the head that base, students and teacher share (`own_start`: random instead of fitted)."""
        forward = self.base.forward
        assert isinstance(forward, ClassifierForward)
        outputs, size = self.plan.head.outputs, forward.head.in_features
        if own_start:
            weight_CF, bias_C = random_head(size, outputs, cell.context.seed)
        else:
            bare = Bare(self.base.model)
            self._teacher.prepare(bare, rows)
            features_NF = self._teacher.states(bare, rows).float().cpu().numpy()
            targets_N = np.array([row.targets[0] for row in rows])
            intercept = "bias" in forward.head.state_dict()
            regression = self.plan.head.regression
            weight_CF, bias_C = probe_head(features_NF, targets_N, outputs, regression=regression, intercept=intercept)
        forward.set_head(weight_CF, bias_C)

    def _fit_head(self, cell: Cell, title: str) -> None:
        from safetensors.torch import save_file

        self.progress.stage(title, 1, "fit")
        start = time.perf_counter()
        encoder = self._encoder()
        rows = self._rows(cell, encoder)
        self._set_head(cell, rows, own_start=False)
        head = self.base.head
        if self.team.leads:
            with self.store.staged(self.store.adapter_path(*cell.id)) as temporary:
                save_file({name: value.detach().contiguous() for name, value in head.state_dict().items()}, temporary / _HEAD_FILE)
        seconds = time.perf_counter() - start
        costs.record(self.plan, "train:base", seconds, len(rows))
        written = {
            "trainable_parameters": sum(parameter.numel() for parameter in head.parameters()),
            "examples": len(rows),
            "steps": 0,
            "wall_seconds": round(seconds, 2),
            "notes": ["a regularised linear probe on the frozen features; the base itself is untouched"],
        }
        self._note(cell, written, curves={})

    def _import(self, cell: Cell, method: Method) -> None:
        assert method.folder is not None
        if not self.team.leads:
            return
        with self.store.staged(self.store.adapter_path(*cell.id)) as temporary:
            notes = bring_in(self.base, method.folder, temporary)
        with loaded(self.base, self.store.adapter_path(*cell.id)):
            pass  # refuses what PEFT cannot load, and an adapter that is zero
        self._note(cell, {"notes": notes}, curves={})

    def _save(self, tuned: Attached | FullTuning, target: Path) -> None:
        if self.team.leads:
            with self.store.staged(target) as temporary:
                tuned.save(temporary)

    def _note(self, cell: Cell, written: dict[str, Any], **more: Any) -> None:
        if not self.team.leads:
            return
        target = self.store.adapter_path(*cell.id)
        record = {
            "kind": "train",
            "cell": {**written, "adapter": target.relative_to(self.store.folder).as_posix()},
            "base_sha256": self.base.weights,
            "files": hash_files(target),
            **more,
        }
        self.store.write(str(cell.train_key), record)

    def score(self, cell: Cell, missing: Mapping[str, tuple[Cell, str]], title: str) -> None:
        """Score the missing sets of one adapter (or of the bare base) and store each as a unit.

        Raises
        ------
        UnitError
            The adapter is zero, or memory ran out.
        """
        requests = {unit: owner.requests[key] for unit, (owner, key) in missing.items()}
        self.progress.stage(title, sum(request.size for request in requests.values()), "texts")
        try:
            with self._in_place(cell) as off:
                scorer = self._scorer(off)
                for unit, request in requests.items():
                    start = time.perf_counter()
                    scorer.encoder.truncated = scorer.encoder.cut_responses = 0
                    found = self._weigh(cell, request, off) if request.kind == "weights" else self._score_one(scorer, request)
                    arrays = {name: value for name, value in _fields(found).items() if value is not None}
                    counts = {"truncated": scorer.encoder.truncated, "cut": scorer.encoder.cut_responses}
                    record = {"kind": request.kind, **counts, "set": request.key}
                    if self.team.leads or not self.team.shards:  # with a spread base all processes compute the same
                        self.store.write(unit, record, arrays)
                    costs.record(self.plan, f"score:{request.kind}", time.perf_counter() - start, request.size)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise UnitError(f"out of memory while scoring: {error}") from error

    @contextmanager
    def _in_place(self, cell: Cell) -> Iterator[Callable[[], AbstractContextManager[object]]]:
        """Put what was trained for a cell in place for the time of a block; give what switches it off."""
        from safetensors.torch import load_file

        method, folder = self.plan.methods[cell.context.method], adapter_folder(self.store, cell)
        if folder is None:
            yield nullcontext
        elif method.is_base:
            head = load_file(folder / _HEAD_FILE)
            assert isinstance(self.base.forward, ClassifierForward)
            self.base.forward.set_head(head["weight"], head.get("bias", torch.zeros(len(head["weight"]))))
            yield nullcontext
        else:
            with full_loaded(self.base, folder) if method.tuning == "full" else loaded(self.base, folder) as off:
                yield off

    def _scorer(self, off: Callable[[], AbstractContextManager[object]]) -> CausalScorer | ClassifierScorer:
        limit = self._encoder().limit_tokens
        if self.plan.head.kind == "classifier":
            return ClassifierScorer(self.base, limit_tokens=limit, advance=self.progress.advance)
        return CausalScorer(self.base, limit_tokens=limit, without_adapter=off, advance=self.progress.advance)

    def _score_one(self, scorer: CausalScorer | ClassifierScorer, request: ScoreRequest) -> Scores:
        if request.kind == "harness":
            # the adapter is in place on the base, which is the model that the harness then gets
            result = suite_of(self.plan.config).evaluate(self.base.model, self.base.tokenizer)
            scorer.encoder.truncated = sum(result.shortened.values())
            found: Scores = HarnessScores.of(result)
            self.progress.advance(len(request.texts))
        elif isinstance(scorer, ClassifierScorer):
            run = scorer.numbers if request.kind == "numbers" else scorer.labels
            found = run(request.texts, features=request.features, layers=request.layers)
        elif request.kind == "labels":
            answers = [" " + name for name in self.plan.dataset.label_names]
            found = scorer.labels(request.texts, answers, features=request.features, layers=request.layers)
        elif request.kind == "responses":
            found = scorer.responses(request.texts, request.responses, features=request.features, layers=request.layers)
        elif request.kind == "answers":
            found = scorer.write(request.texts, **dict(request.settings))
        else:
            found = scorer.texts(request.texts)
        return _finite(found, request)

    def _weigh(self, cell: Cell, request: ScoreRequest, off: Callable[[], AbstractContextManager[object]]) -> Scores:
        if self._analysis is None:
            self._analysis = WeightAnalysis(**dict(request.settings))
        full = self.plan.methods[cell.context.method].tuning == "full"
        found = self._analysis.analyse(self.base, off, full=full)
        self.progress.advance(1)
        return _finite(found, request)


def _finite(found: Scores, request: ScoreRequest) -> Scores:
    for name, array in _fields(found).items():
        if array is not None and not np.isfinite(array).all():
            raise UnitError(f"the model gives {name.replace('_', ' ')} that are not finite on the set {request.key!r}")
    return found


def _fields(scores: Scores) -> dict[str, np.ndarray | None]:
    return {name: getattr(scores, name) for name in type(scores).__dataclass_fields__}
