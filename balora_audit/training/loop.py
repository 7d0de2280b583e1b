"""The training loop, read top to bottom: one adapter on the shared base, on fixed batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator

from balora_audit.config import Penalties, TrainingConfig
from balora_audit.errors import UnitError
from balora_audit.models.encode import pad
from balora_audit.models.forward import CausalForward
from balora_audit.training.examples import TrainingRow, batches, steps_per_epoch
from balora_audit.training.loss import assemble
from balora_audit.training.memory import peak_bytes, reset_peak
from balora_audit.training.schedules import learning_rate_factor, penalty_weights
from balora_audit.training.teacher import Teacher, read_mask

__all__ = ["TrainingLog", "fit"]


@dataclass(slots=True, kw_only=True)
class TrainingLog:
    """What training did. ``curves`` holds one value per step for ``step``, ``total`` and every term that was in the loss."""

    steps: int
    wall_seconds: float
    peak_memory_bytes: int | None
    curves: dict[str, list[float | None]] = field(default_factory=dict)

    @property
    def last(self) -> dict[str, float]:
        """The last recorded value of every term."""
        found = {}
        for name, values in self.curves.items():
            present = [value for value in values if value is not None]
            if name != "step" and present:
                found[name] = present[-1]
        return found


def fit(
    peft_model: Any,
    forward: CausalForward,
    rows: Sequence[TrainingRow],
    settings: TrainingConfig,
    *,
    penalties: Penalties | None,
    teacher: Teacher | None,
    seed: int,
    device: torch.device,
    advance: Callable[[], None] = lambda: None,
) -> TrainingLog:
    """Train the adapter in place.

    Parameters
    ----------
    peft_model : peft.PeftModel
        Its adapter's parameters are the only ones that require gradients.
    forward : CausalForward
        Over the same base, whose wrapped layers now contain the adapter.
    teacher : Teacher, optional
        Needed when `penalties` weighs consistency.
    advance : callable
        Called once per step, for progress.

    Raises
    ------
    UnitError
        The loss stopped being finite, or memory ran out; nothing has been saved then.
    """
    steps = settings.epochs * steps_per_epoch(len(rows), settings.batch_size)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
    trainable = [parameter for parameter in peft_model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=settings.learning_rate, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, settings))
    peft_model, optimizer, scheduler = accelerator.prepare(peft_model, optimizer, scheduler)
    names = ["step", "total", "task"] + (["consistency", "diversity", "spectral"] if penalties else [])
    curves: dict[str, list[float | None]] = {name: [] for name in names}
    own_peak = reset_peak(device)
    start = time.perf_counter()
    peft_model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # only adapter dropout draws from it
        try:
            for step, batch in enumerate(batches(rows, batch_size=settings.batch_size, epochs=settings.epochs, seed=seed)):
                ids_BT, mask_BT = pad([row.inputs for row in batch], device)
                read_BT = read_mask(batch, ids_BT.shape[1], device)
                targets_M = torch.tensor([target for row in batch for target in row.targets], device=device)
                weights = penalty_weights(step, steps, penalties) if penalties else (0.0, 0.0, 0.0)
                teacher_MV = teacher.logits(peft_model, batch) if teacher is not None and weights[0] > 0 else None
                student_MV = forward.logits(forward.run(ids_BT, mask_BT), read_BT)
                loss = assemble(student_MV, targets_M, teacher_MV=teacher_MV, penalties=penalties, weights=weights)
                values = {"total": float(loss.total.detach()), **{n: float(t.detach()) for n, t in loss.terms.items()}}
                if not all(math.isfinite(value) for value in values.values()):
                    said = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
                    raise UnitError(f"the loss is not finite at step {step + 1} of {steps} ({said}); try a smaller learning rate")
                accelerator.backward(loss.total)
                accelerator.clip_grad_norm_(trainable, settings.max_grad_norm)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad(set_to_none=True)
                for name in names:
                    curves[name].append(step + 1 if name == "step" else values.get(name))
                advance()
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise UnitError(f"out of memory while training: {error}; try a smaller training.batch_size") from error
    peft_model.eval()
    return TrainingLog(
        steps=steps,
        wall_seconds=time.perf_counter() - start,
        peak_memory_bytes=peak_bytes(device) if own_peak else None,
        curves=curves,
    )
