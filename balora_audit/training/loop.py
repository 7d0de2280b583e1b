"""The training loop, read top to bottom: what may be trained, on fixed batches, with a loss that knows its terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from balora_audit.errors import UnitError
from balora_audit.penalties import PENALTIES, Penalties
from balora_audit.training.checkpoint import Checkpoints
from balora_audit.training.descent import Descent, Diverged, TrainingLog
from balora_audit.training.examples import TrainingRow, planned_steps, schedule, set_aside, steps_per_epoch
from balora_audit.training.memory import peak_bytes, reset_peak
from balora_audit.training.objective import Objective
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.shares import NO_SHARES, Shares
from balora_audit.training.teacher import Switchable

if TYPE_CHECKING:
    from balora_audit.config import TrainingConfig

__all__ = ["Diverged", "Trainable", "Trainer", "TrainingLog", "in_training", "random_state"]


class Trainable(Switchable, Protocol):
    """What the trainer trains: a model and the parameters that it may change."""

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """Parameter by name."""
        ...


class Trainer:
    """Trains one model in place.

    Parameters
    ----------
    tuned : Trainable
        Only its ``parameters`` change.
    objective : Objective
        The loss of a batch.
    settings : TrainingConfig
    learning_rate : float
        The peak of the schedule.
    penalties : Penalties, optional
        Their course over the steps; the objective computes them.
    seed : int
        Of the order of rows, of validation rows and of dropout.
    process_group : ProcessGroup
        The processes that train together.
    """

    def __init__(
        self,
        tuned: Trainable,
        objective: Objective,
        settings: TrainingConfig,
        *,
        learning_rate: float,
        penalties: Penalties | None,
        seed: int,
        device: torch.device,
        process_group: ProcessGroup = ProcessGroup(),  # noqa: B008 - frozen
    ) -> None:
        self._tuned, self._objective, self._settings, self._penalties = tuned, objective, settings, penalties
        self._seed, self._device, self._process_group = seed, device, process_group
        self._descent = Descent(tuned.parameters, settings, learning_rate=learning_rate, penalties=penalties)
        self._numbers = self._descent.numbers
        self._best: dict[str, Tensor] = {}

    def fit(
        self,
        rows: Sequence[TrainingRow],
        *,
        steps: int | None = None,
        checkpoints: Checkpoints | None = None,
        shares: Shares = NO_SHARES,
        advance: Callable[[int], None] = lambda _: None,
    ) -> TrainingLog:
        """Train on rows from the start, or from where the last checkpoint stands, if no share before it is missing.

        As many optimiser steps as asked, or those that the configured epochs take; learning rate and penalties take their course over
        them. Shares are of all these steps, and what is kept there is the state itself, also with early stopping.

        Raises
        ------
        Diverged
            The loss stopped being finite.
        UnitError
            Memory ran out, or no row has a valid position.
        """
        settings = self._settings
        training, validation = set_aside(rows, settings.validation_share, self._seed) if settings.patience else (list(rows), [])
        per_epoch = steps_per_epoch(len(training), settings.batch_size, settings.accumulation)
        order = {"batch_size": settings.batch_size, "accumulation": settings.accumulation, "seed": self._seed}
        planned = list(schedule(training, steps=planned_steps(len(training), settings) if steps is None else steps, **order))
        own_peak = reset_peak(self._device)
        begin = time.perf_counter()
        with in_training(self._tuned, self._settings, self._seed, self._device):
            self._resume(checkpoints, shares, len(planned))
            numbers, earlier = self._numbers, self._numbers["seconds"]
            if numbers["step"]:
                advance(numbers["step"])
            for step in range(numbers["step"], len(planned)):
                self._descent.record(step, self.step(planned[step], step, len(planned)))
                shares.after(step + 1, len(planned))
                advance(1)
                ends = (step + 1) % per_epoch == 0 or step + 1 == len(planned)
                if validation and ends and self._waited_enough(validation):
                    break
                if checkpoints is not None and checkpoints.every and (step + 1) % checkpoints.every == 0 and step + 1 < len(planned):
                    numbers["seconds"] = earlier + time.perf_counter() - begin
                    if self._process_group.is_main:
                        checkpoints.save(self._descent.state(random=random_state(self._device), best=self._best))
        self._descent.put(self._best)
        return self._descent.log(
            planned,
            len(training),
            wall_seconds=earlier + time.perf_counter() - begin,
            peak_memory_bytes=peak_bytes(self._device) if own_peak else None,
            notes=self._notes(len(planned), len(validation)),
        )

    def _notes(self, planned: int, validation: int) -> list[str]:
        numbers, notes = self._numbers, []
        if numbers["step"] < planned:
            waited = self._settings.patience
            notes.append(f"stopped after step {numbers['step']} of {planned}: no better validation loss for {waited} epochs")
        if validation:
            notes.append(f"{validation} training rows were kept aside for validation; the weights with the best validation loss are used")
        return notes

    def step(self, group: Sequence[Sequence[TrainingRow]], step: int, steps: int) -> dict[str, float]:
        """Do one optimiser step on a group of batches whose gradients add up; return the loss and its terms."""
        weights = self._penalties.weights_at(step, steps) if self._penalties is not None else {}
        positions = sum(row.positions for batch in group for row in batch)
        if positions == 0:
            return {}
        values: dict[str, float] = {}
        for batch in group:
            if not any(row.positions for row in batch):
                continue
            loss = self._objective(self._tuned, batch, weights, positions=positions)
            loss.total.backward()  # type: ignore[no-untyped-call]
            loss.add_to(values)
        self._share(values)
        self._descent.update(values, weights, step, steps)
        return values

    def _share(self, values: dict[str, float]) -> None:
        """Add up gradients and logged terms over the processes."""
        if self._process_group.size == 1:
            return
        names = ("task", *PENALTIES)
        logged = torch.tensor([values.get(name, 0.0) for name in names])
        for parameter in self._descent.parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._process_group.all_reduce([*(p.grad for p in self._descent.parameters.values() if p.grad is not None), logged])
        values.update({name: float(logged[i]) for i, name in enumerate(names) if name in values})

    @torch.no_grad()
    def _waited_enough(self, validation: Sequence[TrainingRow]) -> bool:
        """Note the validation loss at the end of an epoch or of all steps; return whether it has not become better for too long."""
        numbers = self._numbers
        self._tuned.model.eval()
        positions = sum(row.positions for row in validation)
        total = torch.zeros(1)
        for start in range(0, len(validation), self._settings.batch_size):
            batch = validation[start : start + self._settings.batch_size]
            total += float(self._objective(self._tuned, batch, {}, positions=positions).terms["task"])
        self._process_group.all_reduce([total])
        self._tuned.model.train()
        loss = float(total)
        if numbers["best"] is None or loss < numbers["best"]:
            numbers["best"], numbers["waited"] = loss, 0
            self._best = {name: parameter.detach().clone() for name, parameter in self._descent.parameters.items()}
        else:
            numbers["waited"] += 1
        return bool(numbers["waited"] >= self._settings.patience)

    def _resume(self, checkpoints: Checkpoints | None, shares: Shares, steps: int) -> None:
        """Go on from the last checkpoint, if there is one and what was to be kept before it is there."""
        saved = checkpoints.load() if checkpoints is not None else None
        if saved is None or not shares.complete(saved.numbers["step"], steps):
            return
        self._descent.resume(saved)
        torch.set_rng_state(saved.random["cpu"])
        if "cuda" in saved.random:
            torch.cuda.set_rng_state(saved.random["cuda"], self._device)
        self._best = {name: value.to(self._device) for name, value in saved.best.items()}


@contextmanager
def in_training(tuned: Trainable, settings: TrainingConfig, seed: int, device: torch.device) -> Iterator[None]:
    """Put a model into training mode, with a random state of its own, and name an exhausted memory by its name."""
    model = tuned.model
    model.train()
    if settings.gradient_checkpointing:
        _switch(model, "enable")({"use_reentrant": False})
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)  # only dropout draws from it
            yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UnitError(f"out of memory while training: {error}; try a smaller training.batch_size") from error
    finally:
        if settings.gradient_checkpointing:
            _switch(model, "disable")()
        for parameter in tuned.parameters.values():
            parameter.grad = None
        model.eval()


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return where the random numbers stand, for a checkpoint."""
    random = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    return random


def _switch(model: Any, what: str) -> Callable[..., None]:
    """Return the method that enables or disables checkpointed activations, by its name in this version of transformers."""
    found: Callable[..., None] = getattr(model, f"activation_checkpointing_{what}", None) or getattr(
        model, f"gradient_checkpointing_{what}"
    )
    return found
