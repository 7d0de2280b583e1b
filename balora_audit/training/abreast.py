"""Several adapters trained in one pass through their frozen base, each by itself: its own loss, clipping, optimiser and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import torch

from balora_audit.penalties import Penalties
from balora_audit.training.checkpoint import Checkpoints
from balora_audit.training.descent import Descent, Diverged, TrainingLog
from balora_audit.training.examples import TrainingRow, planned_steps, schedule
from balora_audit.training.loop import Trainable, in_training, random_state
from balora_audit.training.memory import peak_bytes, reset_peak
from balora_audit.training.objective import LanguageObjective
from balora_audit.training.shares import Shares

if TYPE_CHECKING:
    from balora_audit.config import TrainingConfig

__all__ = ["AbreastTrainer", "TrainableGroup"]


class TrainableGroup(Trainable, Protocol):
    """What the trainer trains: members that pass their rows of a batch side by side; ``parameters`` are all of theirs."""

    @property
    def members(self) -> Sequence[Trainable]:
        """What is trained, each by itself."""
        ...

    def drop(self, index: int) -> None:
        """Leave a member out of the passes to come."""
        ...


class AbreastTrainer:
    """Trains the members of a group on the same rows, with learning rates of their own.

    The base is frozen and every member reads its own copy of a batch, so that the gradient of the sum of the losses is, parameter
    by parameter, that of the member's own loss: in exact arithmetic each ends where training it alone ends. A member whose loss or
    gradient is not finite goes back to its last good state and leaves the passes; the others go on.

    Parameters
    ----------
    group : TrainableGroup
        Nothing in it may draw random numbers.
    objective : LanguageObjective
    settings : TrainingConfig
        Without early stopping or checkpointed activations.
    learning_rates : sequence of float
        The peak of each member's schedule.
    penalties : Penalties, optional
    seed : int
        Of the order of rows.
    """

    def __init__(
        self,
        group: TrainableGroup,
        objective: LanguageObjective,
        settings: TrainingConfig,
        *,
        learning_rates: Sequence[float],
        penalties: Penalties | None,
        seed: int,
        device: torch.device,
    ) -> None:
        self._group, self._objective, self._settings, self._penalties = group, objective, settings, penalties
        self._seed, self._device = seed, device
        self._descents = [
            Descent(member.parameters, settings, learning_rate=rate, penalties=penalties)
            for member, rate in zip(group.members, learning_rates, strict=True)
        ]
        self._left = list(range(len(self._descents)))
        self._diverged: dict[int, Diverged] = {}

    def fit(
        self,
        rows: Sequence[TrainingRow],
        *,
        steps: int | None = None,
        checkpoints: Sequence[Checkpoints] = (),
        shares: Sequence[Shares] = (),
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[TrainingLog | Diverged]:
        """Train on rows, and return each member's log or how it failed. A log's seconds are the member's share of the group's.

        Every member has its own checkpoints, in the form that `balora_audit.training.loop.Trainer` writes and reads. The group goes
        on from where all of them stand at one step, with no share before it missing; otherwise, as after a member has left, it starts
        from the beginning. `shares` are each member's, as for `balora_audit.training.loop.Trainer`.

        Raises
        ------
        UnitError
            Memory ran out.
        """
        settings, count = self._settings, len(self._descents)
        order = {"batch_size": settings.batch_size, "accumulation": settings.accumulation, "seed": self._seed}
        planned = list(schedule(rows, steps=planned_steps(len(rows), settings) if steps is None else steps, **order))
        own_peak = reset_peak(self._device)
        begin = time.perf_counter()
        with in_training(self._group, settings, self._seed, self._device):
            self._resume(checkpoints, shares, len(planned))
            first, earlier = self._descents[0].numbers["step"], self._descents[0].numbers["seconds"]
            if first:
                advance(first)
            for step in range(first, len(planned)):
                self.step(planned[step], step, len(planned))
                advance(1)
                if not self._left:
                    break
                for index, of_member in enumerate(shares):
                    if index in self._left:
                        of_member.after(step + 1, len(planned))
                if settings.checkpoint_steps and (step + 1) % settings.checkpoint_steps == 0 and step + 1 < len(planned):
                    self._save(checkpoints, earlier + (time.perf_counter() - begin) / count)
        seconds = earlier + (time.perf_counter() - begin) / count
        peak = peak_bytes(self._device) if own_peak else None
        return [
            self._diverged.get(index) or descent.log(planned, len(rows), wall_seconds=seconds, peak_memory_bytes=peak)
            for index, descent in enumerate(self._descents)
        ]

    def step(self, group: Sequence[Sequence[TrainingRow]], step: int, steps: int) -> None:
        """Do one optimiser step of every member that is left, on a group of batches whose gradients add up."""
        weights = self._penalties.weights_at(step, steps) if self._penalties is not None else {}
        positions = sum(row.positions for batch in group for row in batch)
        values: dict[int, dict[str, float]] = {index: {} for index in self._left}
        for batch in group:
            if not any(row.positions for row in batch):
                continue
            losses = self._objective.abreast(self._group, batch, weights, positions=positions, count=len(values))
            torch.stack([loss.total for loss in losses]).sum().backward()  # type: ignore[no-untyped-call]
            for own, loss in zip(values.values(), losses, strict=True):
                loss.add_to(own)
        for index, own in values.items():
            try:
                if own:
                    self._descents[index].update(own, weights, step, steps)
            except Diverged as error:
                self._diverged[index] = error
                self._left.remove(index)
                self._group.drop(index)
            else:
                self._descents[index].record(step, own)

    def _save(self, checkpoints: Sequence[Checkpoints], seconds: float) -> None:
        for index, kept in enumerate(checkpoints):
            if index in self._left:
                descent = self._descents[index]
                descent.numbers["seconds"] = seconds
                kept.save(descent.state(random=random_state(self._device), best={}))

    def _resume(self, checkpoints: Sequence[Checkpoints], shares: Sequence[Shares], steps: int) -> None:
        saved = [state for kept in checkpoints if (state := kept.load()) is not None]
        reached = {int(state.numbers["step"]) for state in saved}
        complete = all(of_member.complete(step, steps) for of_member in shares for step in reached)
        if len(saved) == len(self._descents) and len(reached) == 1 and complete:
            for descent, state in zip(self._descents, saved, strict=True):
                descent.resume(state)
