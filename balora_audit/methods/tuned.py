"""Methods that are trained here, step by step: what all of them share, whatever they attach to the base."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from balora_audit.errors import Unusable, unknown_name
from balora_audit.methods.method import Method
from balora_audit.penalties import PENALTIES, Penalties
from balora_audit.training.descent import Diverged, TrainingLog
from balora_audit.training.examples import TrainingRow
from balora_audit.training.shares import Shares
from balora_audit.training.workshop import Job, Made, Recipe, Workshop

__all__ = ["Tuned", "TunedMethod"]


class Tuned(ABC):
    """Something trainable on the base: its model, and the parameters that an optimiser may change."""

    model: Any
    parameters: dict[str, nn.Parameter]
    _before: dict[str, Tensor]

    @property
    def count(self) -> int:
        """How many numbers training can change."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    def change_norm(self) -> float:
        """Return the Frobenius norm of all changes since it was put on the base (0 means that nothing was learned)."""
        squares = [float((p.detach().float() - self._before[n].float()).square().sum()) for n, p in self.parameters.items()]
        return math.sqrt(math.fsum(squares))

    @abstractmethod
    def disable(self) -> AbstractContextManager[object]:
        """Give the base for the time of a block."""

    @abstractmethod
    def write_back(self) -> None:
        """Bring what was trained into the form in which it is saved."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files that `Method.place` reads; call :meth:`write_back` first."""

    def snapshot(self, folder: Path) -> None:
        """Write what :meth:`save` writes of the state as it is now; training can go on as if nothing had been written."""
        self.write_back()
        self.save(folder)

    @abstractmethod
    def detach(self) -> None:
        """Leave the base as it was."""


@dataclass(frozen=True, kw_only=True)
class TunedMethod(Method):
    """A method that attaches something to the base and trains it on every condition and seed.

    Parameters
    ----------
    terms : frozenset of str
        The penalties that it uses, with the settings of the configured preset; none for the plain task loss.
    plain : str, optional
        What it is called without its penalties; None where that is its own name.

    Raises
    ------
    ValueError
        A term that no penalty is called.
    """

    terms: frozenset[str] = frozenset()
    plain: str | None = None

    def __post_init__(self) -> None:
        for term in sorted(self.terms):
            if term not in PENALTIES:
                raise ValueError(f"terms of {self.name!r}: {unknown_name('penalty', term, PENALTIES)}")

    @property
    def start(self) -> str:
        """The initialisation's family: the name of the method without its penalties, ``pissa`` for ``balora`` and ``pissa[+cr]``."""
        return self.name if self.plain is None else self.plain

    @abstractmethod
    def attach(self, workshop: Workshop, seed: int) -> Tuned:
        """Put what is to be trained on the base."""

    def chosen_penalties(self, recipe: Recipe) -> Penalties | None:
        """Return the regularizers of the recipe that this method uses; None where it uses none."""
        return recipe.penalties.only(self.terms) if self.terms else None

    def key(self, recipe: Recipe, rows: Mapping[str, str], seed: int, steps: int | None) -> dict[str, Any]:
        """Return rows, start, adapter, training settings, regularizers, seed and steps."""
        penalties = self.chosen_penalties(recipe)
        return {
            **rows,
            "method": [type(self).__name__, self.initialisation],
            "adapter": recipe.adapter.model_dump(mode="json"),
            "training": recipe.training.deciding,
            "learning_rate": recipe.training.learning_rate_of(self.name),
            "penalties": penalties.model_dump(mode="json") if penalties is not None else None,
            "seed": seed,
            "steps": steps,
        }

    def make(self, workshop: Workshop, job: Job) -> Made:
        """Attach, train, write back and save; a training that diverges keeps its last good state beside its place."""
        workshop = workshop.under(job.recipe)
        training = workshop.recipe.training
        encoder = workshop.encoder()
        rows = workshop.encode(job.train, encoder)
        penalties = self.chosen_penalties(workshop.recipe)
        if workshop.recipe.head.kind == "classifier" and training.teacher_head == "init":
            workshop.set_random_head(job.seed)
        elif workshop.recipe.head.kind == "classifier":
            workshop.set_probe_head(rows)
        workshop.progress.stage(job.title, workshop.steps(rows, job), "steps")
        tuned = self.attach(workshop, job.seed)
        try:
            outcome = self._outcome(workshop, tuned, rows, penalties, job)
            return self.finish(tuned, outcome, job, rows=len(rows), notes=workshop.remarks(penalties, encoder, rows))
        finally:
            tuned.detach()

    def _outcome(
        self, workshop: Workshop, tuned: Tuned, rows: Sequence[TrainingRow], penalties: Penalties | None, job: Job
    ) -> TrainingLog | Diverged:
        try:
            return workshop.fit(tuned, rows, penalties, method=self.name, job=job, shares=self.shares(tuned, job))
        except Diverged as error:
            return error

    def shares(self, tuned: Tuned, job: Job) -> Shares:
        """Return what writes the state after the job's shares of its steps; where nothing has been learned by then, that is noted."""

        def keep(share: float) -> None:
            if tuned.change_norm() == 0:
                job.output.skip_share(share, "nothing was learned by then: the adapter is what it started as")
            else:
                job.output.write_share(share, tuned.snapshot)

        return Shares(wanted=job.shares, keep=keep, kept=job.output.has_share)

    def finish(self, tuned: Tuned, outcome: TrainingLog | Diverged, job: Job, *, rows: int, notes: Sequence[str]) -> Made:
        """Write what training left to the job's output, and return what was made.

        Raises
        ------
        Unusable
            Training diverged, and its last good state is kept; or it changed nothing.
        """
        if isinstance(outcome, Diverged):
            tuned.write_back()
            kept = job.output.keep_failed(tuned.save)
            raise Unusable(f"{outcome}; its last good state is kept in {kept}") from outcome
        if tuned.change_norm() == 0:
            raise Unusable("training changed nothing: the adapter is what it started as")
        tuned.write_back()
        job.output.write(tuned.save)
        cell = {
            "trainable_parameters": tuned.count,
            "examples": rows,
            "steps": outcome.steps,
            "epochs": round(outcome.epochs, 4),
            "losses": outcome.last,
            "wall_seconds": round(outcome.wall_seconds, 2),
            "peak_memory_bytes": outcome.peak_memory_bytes,
            "notes": [*outcome.notes, *notes],
        }
        return Made(cell=cell, curves=outcome.curves, order_sha256=outcome.order_sha256, passes=outcome.seen)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        """Return rank, α, adapted modules, and the settings of training and regularizers."""
        adapter, penalties = recipe.adapter, self.chosen_penalties(recipe)
        shown: dict[str, Any] = {
            "training": {**recipe.training.deciding, "learning_rate": recipe.training.learning_rate_of(self.name)},
            "dropout": adapter.dropout,
            "stored rank": self.stored_rank(adapter.rank),
        }
        if penalties is not None:
            shown["regularizers"] = {"preset": recipe.regularizers, **penalties.model_dump(mode="json")}
        return {
            "rank": adapter.rank,
            "alpha": adapter.alpha,
            "target_modules": adapter.target_modules or ("all linear layers but the head",),
            "settings": shown,
        }

    def stored_rank(self, rank: int) -> int:
        """Return the rank of what is saved where `rank` is trained."""
        return rank
