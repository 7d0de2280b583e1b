"""What training a cell needs, kept over all cells of an audit: one base, its teacher, the group of processes, the encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.encode import Encoder
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import HeadSpec, LoadedModel
from balora_audit.penalties import Penalties, needs_teacher
from balora_audit.training.abreast import AbreastTrainer, TrainableGroup
from balora_audit.training.checkpoint import Checkpoints
from balora_audit.training.descent import Diverged, TrainingLog
from balora_audit.training.examples import TrainingRow, encode_rows, encode_whole, planned_steps
from balora_audit.training.fused import Head
from balora_audit.training.head_initialisation import probe_head, random_head
from balora_audit.training.loop import Trainable, Trainer
from balora_audit.training.objective import LanguageObjective, Objective, kept_head, objective_for
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.shares import NO_SHARES, Shares
from balora_audit.training.teacher import Bare, Teacher
from balora_audit.training.teacher_cache import TeacherCache

if TYPE_CHECKING:
    from balora_audit.config import AdapterConfig, TrainingConfig
    from balora_audit.progress import Progress

__all__ = ["Job", "Made", "Output", "Recipe", "Workshop"]

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an audit's configuration says about training: the same for all its methods, conditions and seeds.

    ``penalties`` is the configured preset for this family of tasks, out of which a method picks, and ``regularizers`` its name.
    """

    adapter: AdapterConfig
    training: TrainingConfig
    penalties: Penalties
    regularizers: str
    head: HeadSpec
    chat_template: bool = False


class Output(Protocol):
    """Where the files go that training one cell makes. Only the main process writes; the others' calls do nothing."""

    @property
    def folder(self) -> Path:
        """Where they lie once :meth:`write` is done."""
        ...

    @property
    def checkpoints(self) -> Path:
        """Where a training that is under way keeps its state."""
        ...

    def write(self, save: Callable[[Path], object]) -> None:
        """Let `save` fill a folder that then takes its place as a whole."""
        ...

    def keep_failed(self, save: Callable[[Path], object]) -> str:
        """Keep the last good state of a training that failed beside it; return where that is, for a message."""
        ...

    def write_share(self, share: float, save: Callable[[Path], object]) -> None:
        """Let `save` fill a folder beside it with the state after a share of the steps."""
        ...

    def skip_share(self, share: float, reason: str) -> None:
        """Note why there is nothing to write after a share of the steps."""
        ...

    def has_share(self, share: float) -> bool:
        """Whether an earlier attempt at this training wrote a share, and its files are whole, or noted why there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cell to train: its rows, its seed, what the work is called, where its files go.

    ``steps`` are optimiser steps, the same for all conditions of an audit; None for those that the configured epochs take.
    ``recipe`` says how this cell is trained where it is not as the rest of the audit; see `Workshop.under`. ``shares`` are those of its
    steps, below 1, after which its state is written too; see `balora_audit.training.shares`.
    """

    train: tuple[Example, ...]
    seed: int
    title: str
    output: Output
    steps: int | None = None
    recipe: Recipe | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What training a cell did.

    Parameters
    ----------
    cell : mapping
        What the audit shows of it, by field of `balora_audit.records.CellRow`; ``notes`` at least.
    curves : mapping
        The loss and its terms, one value per step.
    order_sha256 : str, optional
        Over the ids of the rows in the order of training.
    passes : int
        How many rows went through the model, for the costs; 0 where that is not what it cost.
    """

    cell: Mapping[str, Any]
    curves: Mapping[str, list[float | None]] = field(default_factory=dict)
    order_sha256: str | None = None
    passes: int = 0


class Workshop:
    """Trains what methods attach to one loaded base.

    Parameters
    ----------
    base : LoadedModel
    recipe : Recipe
    dataset : AuditDataset
        How a row becomes prompt and answer.
    teacher_identity : mapping
        What the teacher's states depend on, so that they can be kept on disk.
    """

    def __init__(
        self,
        base: LoadedModel,
        recipe: Recipe,
        dataset: AuditDataset,
        *,
        teacher_identity: Mapping[str, Any],
        progress: Progress,
        process_group: ProcessGroup,
    ) -> None:
        self.base, self.recipe, self.progress, self.process_group = base, recipe, progress, process_group
        self._dataset = dataset
        self._head: Head | None = None
        if isinstance(base.forward, CausalForward):
            linear = base.forward.linear_head
            self._head = None if linear is None else Head(linear.weight, linear.bias)
            if not base.forward.selective:
                progress.say("this architecture changes its logits after the head: every pass computes all of them (slower)")
        limit = int(recipe.training.teacher_cache_gb * 1e9)
        cache = TeacherCache(teacher_identity, limit_bytes=limit, say=progress.say, writes=process_group.is_main)
        # with a sharded base all processes must compute the same rows at the same time: nothing may be forgotten
        self._teacher = Teacher(base, limit_bytes=2**62 if process_group.fully_sharded else limit, cache=cache)
        self._kept: dict[str, Any] = {}

    def under(self, recipe: Recipe | None) -> Workshop:
        """Return this workshop as it works under another recipe, for the same head; what it keeps stays shared. Itself for None."""
        if recipe is None or recipe == self.recipe:
            return self
        if recipe.head != self.recipe.head:
            raise ValueError(f"the base is loaded with the head {self.recipe.head}, a job's recipe cannot have {recipe.head}; load it anew")
        other = copy.copy(self)
        other.recipe = recipe
        return other

    def encoder(self) -> Encoder:
        """Return a new encoder, which counts what it shortens."""
        limit = min(self.recipe.training.max_tokens, self.base.limit_tokens)
        return Encoder(self.base.tokenizer, limit, chat=self.recipe.chat_template)

    def encode(self, train: Sequence[Example], encoder: Encoder) -> list[TrainingRow]:
        """Return examples as the base's head trains on them."""
        if self.recipe.head.kind == "classifier":
            return encode_whole(train, encoder)
        return encode_rows(self._dataset, train, encoder)

    def keep(self, name: str, compute: Callable[[], Thing]) -> Thing:
        """Return what depends on the base and on what its name says: computed once."""
        if name not in self._kept:
            self._kept[name] = compute()
        kept: Thing = self._kept[name]
        return kept

    def set_random_head(self, seed: int) -> None:
        """Set the head that base, students and teacher share to small random numbers."""
        forward = self._classifier()
        forward.set_head(*random_head(forward.head.in_features, self.recipe.head.outputs, seed))

    def set_probe_head(self, rows: Sequence[TrainingRow]) -> None:
        """Set the head that base, students and teacher share to a linear probe on the frozen features of these rows."""
        forward, head = self._classifier(), self.recipe.head
        bare = Bare(self.base.model)
        self._teacher.prepare(bare, rows)
        features_NF = self._teacher.states(bare, rows).float().cpu().numpy()
        targets_N = np.array([row.targets[0] for row in rows])
        intercept = "bias" in forward.head.state_dict()
        forward.set_head(*probe_head(features_NF, targets_N, head.outputs, regression=head.regression, intercept=intercept))

    def _classifier(self) -> ClassifierForward:
        if not isinstance(self.base.forward, ClassifierForward):
            raise TypeError("a language model's head is its own: there is none to set")
        return self.base.forward

    def steps(self, rows: Sequence[TrainingRow], job: Job) -> int:
        """Return how many optimiser steps a job takes on its rows."""
        return planned_steps(len(rows), self.recipe.training) if job.steps is None else job.steps

    def fit(
        self,
        tuned: Trainable,
        rows: Sequence[TrainingRow],
        penalties: Penalties | None,
        *,
        method: str,
        job: Job,
        shares: Shares = NO_SHARES,
    ) -> TrainingLog:
        """Train what is attached to the base; see `balora_audit.training.loop.Trainer.fit`."""
        training = self.recipe.training
        self.process_group.fully_shard(tuned.model)
        trainer = Trainer(
            tuned,
            self._objective(tuned, rows, penalties),
            training,
            learning_rate=training.learning_rate_of(method),
            penalties=penalties,
            seed=job.seed,
            device=self.base.device,
            process_group=self.process_group,
        )
        checkpoints = Checkpoints(job.output.checkpoints, training.checkpoint_steps)
        return trainer.fit(rows, steps=job.steps, checkpoints=checkpoints, shares=shares, advance=self.progress.advance)

    def fit_abreast(
        self,
        group: TrainableGroup,
        rows: Sequence[TrainingRow],
        penalties: Penalties | None,
        *,
        method: str,
        jobs: Sequence[Job],
        shares: Sequence[Shares] = (),
    ) -> list[TrainingLog | Diverged]:
        """Train a group whose members' jobs differ in the learning rate; see `balora_audit.training.abreast.AbreastTrainer.fit`."""
        objective = self._objective(group, rows, penalties)
        if not isinstance(objective, LanguageObjective):
            raise TypeError("only language models train several adapters abreast: a classifier's head is trained with each")
        trainer = AbreastTrainer(
            group,
            objective,
            self.recipe.training,
            learning_rates=[self.under(job.recipe).recipe.training.learning_rate_of(method) for job in jobs],
            penalties=penalties,
            seed=jobs[0].seed,
            device=self.base.device,
        )
        checkpoints = [Checkpoints(job.output.checkpoints, self.recipe.training.checkpoint_steps) for job in jobs]
        return trainer.fit(rows, steps=jobs[0].steps, checkpoints=checkpoints, shares=shares, advance=self.progress.advance)

    def _objective(self, tuned: Trainable, rows: Sequence[TrainingRow], penalties: Penalties | None) -> Objective:
        """Return the loss, with the teacher's states on these rows computed where it needs them."""
        if penalties is not None and needs_teacher(penalties.weights) and self._teacher.prepare(tuned, rows):
            self.progress.say("the teacher's states on these rows are computed and kept")
        return objective_for(
            self.base,
            self._head,
            self._teacher,
            penalties,
            self.process_group,
            regression=self.recipe.head.regression,
            teacher_head=kept_head(self.base, tuned.parameters.values()),
        )

    def remarks(self, penalties: Penalties | None, encoder: Encoder, rows: Sequence[TrainingRow]) -> list[str]:
        """Return what a reader must know about head, penalties and shortened texts."""
        return [*self._of_head(penalties, rows), *self._of_texts(encoder)]

    def _of_head(self, penalties: Penalties | None, rows: Sequence[TrainingRow]) -> list[str]:
        head, training = self.recipe.head, self.recipe.training
        if isinstance(self.base.forward, CausalForward):
            # the logits of a batch have a row for each valid token; most batches of short answers are like the median one
            tokens = round(training.batch_size * float(np.median([row.positions for row in rows])))
            words = int(self.base.forward.head.weight.shape[0])
            return [] if penalties is None else penalties.remarks(rows=max(1, tokens), outputs=words, regression=False)
        start = "a regularised linear probe on frozen features" if training.teacher_head == "probe" else "small random numbers"
        found = [f"the head, and its teacher's, started at {start}"]
        if penalties is not None:
            found += penalties.remarks(rows=training.batch_size, outputs=head.outputs, regression=head.regression)
        return found

    def _of_texts(self, encoder: Encoder) -> list[str]:
        found = []
        if encoder.truncated:
            end = "end" if self.recipe.head.kind == "classifier" else "beginning"
            found.append(f"{encoder.truncated} training texts were longer than the limit and lost their {end}")
        if encoder.cut_responses:
            found.append(f"{encoder.cut_responses} training responses took more than half of the limit and lost their end")
        return found
